"""The belt from behind: it leans the right way, by four times as much, and shifts where the sensor went."""

from __future__ import annotations

from math import atan2, degrees, nan

import numpy as np
import pytest
from PySide6.QtCore import QRectF
from pytestqt.qtbot import QtBot

from pelvis.data import Side
from pelvis.simulate import Scenario
from sensor_host.view.belt import BREADTH_M, MAGNIFIED, Belt
from sensor_host.view.shift import path_m
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import Timeline
from tests.view_panels import assert_texts_fit, look, near, pixels, simulated_timeline, take_steps, texts

THEME = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)
SIZES = [(160, 120), (300, 220), (420, 320), (900, 240), (300, 700), (1280, 720)]


def held(obliquity_deg: float, rotation_deg: float) -> Timeline:
    """A pelvis that holds still at these angles, from 0 to 1 s."""
    timeline = Timeline()
    values = np.tile([0.0, 0.0, 1.0, obliquity_deg, 0.0, rotation_deg], (200, 1)).astype(np.float32)
    timeline.take_motion(np.arange(200) * 0.005, values)
    return timeline


def shown(
    qtbot: QtBot, timeline: Timeline, now_s: float, theme: Theme = DARK, size: tuple[int, int] = (420, 320)
) -> Belt:
    belt = Belt()
    qtbot.addWidget(belt)
    belt.set_theme(theme)
    belt.resize(*size)
    belt.show_at(timeline, now_s)
    look(belt)
    return belt


def hips(belt: Belt) -> dict[Side, tuple[float, float, float]]:
    """Where the two discs are drawn, and how broad: x, y, breadth."""
    # the feet below have the colours of the hips
    seen = pixels(look(belt))[: round(0.8 * belt.height())]
    found = {}
    for side in (Side.LEFT, Side.RIGHT):
        rows, columns = np.nonzero(near(seen, belt.theme.of(side), 8))
        found[side] = (
            (columns.min() + columns.max()) / 2,
            (rows.min() + rows.max()) / 2,
            columns.max() - columns.min() + 1.0,
        )
    return found


@THEME
@pytest.mark.parametrize("obliquity_deg", [-6.0, -1.5, 0.0, 2.0, 5.0])
def test_it_leans_fourfold_and_the_right_side_up_is_up_on_the_right(
    qtbot: QtBot, theme: Theme, obliquity_deg: float
) -> None:
    found = hips(shown(qtbot, held(obliquity_deg, 0.0), 0.9, theme))
    (left_x, left_y, _), (right_x, right_y, _) = found[Side.LEFT], found[Side.RIGHT]
    assert right_x > left_x
    # a screen's y grows downward
    assert degrees(atan2(left_y - right_y, right_x - left_x)) == pytest.approx(MAGNIFIED * obliquity_deg, abs=0.7)


@pytest.mark.parametrize("rotation_deg", [-6.0, 6.0])
def test_the_side_that_is_further_forward_is_further_away(qtbot: QtBot, rotation_deg: float) -> None:
    found = hips(shown(qtbot, held(0.0, rotation_deg), 0.9))
    left, right = found[Side.LEFT][2], found[Side.RIGHT][2]
    # the right side forward, away from who looks from behind, is positive
    assert (right < 0.8 * left) if rotation_deg > 0 else (left < 0.8 * right)


def test_it_shifts_to_the_scale_that_stands_beside_it(qtbot: QtBot) -> None:
    ran = simulated_timeline(Scenario(duration_s=40.0))
    breadths = []
    seen: list[tuple[float, float]] = []
    true: list[tuple[float, float]] = []
    for now_s in np.arange(30.0, 31.0, 0.041):
        belt = shown(qtbot, ran, now_s)
        image = pixels(look(belt))
        rows, columns = np.nonzero(near(image, belt.theme.sensor, 6))
        seen.append((columns.mean(), rows.mean()))
        left_m, up_m = path_m(ran, float(ran.motion(now_s - 0.1, now_s + 0.0025)[0][-1]))[-1]
        true.append((-left_m, -up_m))
    level = hips(shown(qtbot, held(0.0, 0.0), 0.9))
    breadths = level[Side.RIGHT][0] - level[Side.LEFT][0]
    px_per_m = breadths / BREADTH_M
    moved = np.array(seen) - np.mean(seen, axis=0)
    expected = px_per_m * (np.array(true) - np.mean(true, axis=0))
    assert np.ptp(expected[:, 1]) > 40
    np.testing.assert_allclose(moved, expected, atol=1.5)


@THEME
@pytest.mark.parametrize(("t_s", "down"), [(10.1, Side.LEFT), (10.3, None), (10.4, Side.RIGHT)])
def test_the_foot_on_the_ground_is_lit(qtbot: QtBot, theme: Theme, t_s: float, down: Side | None) -> None:
    timeline = Timeline()
    take_steps(timeline, 4, {}, {})
    belt = shown(qtbot, timeline, t_s, theme)
    feet = pixels(look(belt))[-60:]
    lit = {side for side in (Side.LEFT, Side.RIGHT) if near(feet, theme.of(side), 8).sum() > 1000}
    assert lit == ({down} if down else set())
    assert {"left", "right"} <= set(texts(belt))


@pytest.mark.parametrize(
    ("timeline", "words"),
    [
        (Timeline(), "no motion is heard"),
        (held(nan, nan), "the sensor's place on the belt is not known yet"),
        (held(1.0, 0.0), "pelvis from behind, angles ×4, shift when running"),
    ],
)
def test_it_says_what_is_missing(qtbot: QtBot, timeline: Timeline, words: str) -> None:
    assert texts(shown(qtbot, timeline, 0.9, size=(900, 300)))[0] == words


def test_it_is_painted_only_when_something_moved(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = held(2.0, 0.0)
    belt = shown(qtbot, timeline, 0.9)
    asked: list[float] = []
    monkeypatch.setattr(belt, "update", lambda: asked.append(1.0))
    belt.show_at(timeline, 0.9)
    assert not asked
    belt.show_at(timeline, 0.95)
    assert len(asked) == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("obliquity_deg", "rotation_deg"), [(0.0, 0.0), (12.0, -12.0), (-80.0, 80.0), (nan, nan)])
def test_nothing_leaves_the_panel(
    qtbot: QtBot, size: tuple[int, int], obliquity_deg: float, rotation_deg: float
) -> None:
    belt = shown(qtbot, held(obliquity_deg, rotation_deg), 0.9, size=size)
    assert_texts_fit(belt.labels, QRectF(belt.rect()))
    seen = pixels(look(belt))
    rim = near(
        np.concatenate([seen[:2, 12:-12].reshape(-1, 3), seen[-2:, 12:-12].reshape(-1, 3)])[np.newaxis], DARK.panel, 3
    )
    assert rim.all()
