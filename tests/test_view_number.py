"""One number over the whole screen: it is read from 5 m, by a runner too."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt
from pytestqt.qtbot import QtBot

from pelvis.data import Speed
from sensor_host.shown import SHOWN
from sensor_host.view.number import Number, cap_height_mm
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import Timeline
from tests.view_panels import assert_texts_fit, last_contact_s, look, near, pixels, take_steps, texts, usual

THEME = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)
NAMES = [metric.name for metric in SHOWN]

# a laptop of 13.3 inches is 294 mm wide, and 1280 pixels stand beside each other on it
PIXEL_MM = 294.0 / 1280.0


@pytest.fixture
def timeline() -> Timeline:
    """Three hundred steps at 3.5 m/s, all in the norm but for the drop."""
    made = Timeline()
    left = {"pelvic_drop_deg": 4.6, "contact_time_s": 0.2243, "vertical_oscillation_m": 0.1044}
    right = {"pelvic_drop_deg": 2.9, "contact_time_s": 0.2262, "vertical_oscillation_m": 0.1061}
    both = {"cadence_spm": 171.44, "flight_time_s": 0.1282, "pelvis_sway_m": 0.0314}
    take_steps(made, 300, left | both, right | both)
    made.take(Speed(9.0, 3.5, "treadmill"))
    return made


def shown(
    qtbot: QtBot, timeline: Timeline, name: str, theme: Theme = DARK, size: tuple[int, int] = (1280, 720)
) -> Number:
    number = Number(name)
    qtbot.addWidget(number)
    number.set_theme(theme)
    number.resize(*size)
    number.show_at(timeline, last_contact_s(timeline))
    look(number)
    return number


def test_the_height_that_is_asked_for_is_seen_under_half_a_degree() -> None:
    # 5 m away half a degree is 43.6 mm
    assert cap_height_mm(5.0, 30.0) == pytest.approx(43.63, abs=0.01)
    assert cap_height_mm(10.0, 30.0) == pytest.approx(2 * cap_height_mm(5.0, 30.0))


@THEME
@pytest.mark.parametrize("name", NAMES)
def test_its_figures_are_large_enough_on_a_small_laptop(
    qtbot: QtBot, timeline: Timeline, theme: Theme, name: str
) -> None:
    number = shown(qtbot, timeline, name, theme)
    (label,) = (label for label in number.labels if label.figures)
    seen = pixels(look(number))
    box = label.ink.toAlignedRect()
    drawn = near(seen, theme.text, 40)[box.top() - 5 : box.bottom() + 6, box.left() : box.right()]
    rows = np.flatnonzero(drawn.any(axis=1))
    # figures reach a little above and below the height of a capital: a seventieth either way
    high_px = (rows[-1] - rows[0] + 1) * 0.97
    assert high_px * PIXEL_MM >= cap_height_mm()
    assert drawn.sum() > 5000


@pytest.mark.parametrize(("mean", "words"), [(4.0, "in own range"), (8.0, "below own range"), (1.0, "above own range")])
def test_where_it_lies_is_told_in_words_and_by_a_large_shape(
    qtbot: QtBot, timeline: Timeline, mean: float, words: str
) -> None:
    timeline.take(usual("pelvic_drop_deg", mean, 0.5))
    number = shown(qtbot, timeline, "pelvic_drop_deg")
    assert words in texts(number)
    color = DARK.good if words.startswith("in") else DARK.warn
    shape = near(pixels(look(number))[540:, :160], color, 8)
    rows, columns = np.nonzero(shape)
    assert rows.max() - rows.min() > 70
    breadths = [len(np.unique(columns[rows == row])) for row in (rows.min() + 8, rows.max() - 8)]
    # a triangle is broad at its foot, a disc at neither end
    expected = {"in": 0, "below": 1, "above": -1}[words.split(maxsplit=1)[0]]
    assert np.sign(round((breadths[0] - breadths[1]) / 30)) == expected


def test_left_and_right_stand_below_where_a_metric_has_sides(qtbot: QtBot, timeline: Timeline) -> None:
    assert {"4.6", "2.9"} <= set(texts(shown(qtbot, timeline, "pelvic_drop_deg")))
    assert texts(shown(qtbot, timeline, "cadence_spm"))[:2] == ["cadence, spm", "171.4"]


def test_another_metric_is_a_key_or_a_click_away(qtbot: QtBot, timeline: Timeline) -> None:
    number = shown(qtbot, timeline, NAMES[0])
    number.show()
    seen: list[str] = []
    number.turned.connect(seen.append)
    number.turn(1)
    number.turn(-2)
    qtbot.mouseClick(number, Qt.MouseButton.LeftButton)
    number.set_metric("no_such_metric")
    assert seen == [NAMES[1], NAMES[-1], NAMES[0]]
    number.set_metric("rotation_range_deg")
    number.turn(1)
    assert number.name == NAMES[1]


def test_who_stopped_and_what_is_unknown_is_told(qtbot: QtBot, timeline: Timeline) -> None:
    number = Number("cadence_spm")
    qtbot.addWidget(number)
    number.resize(1280, 720)
    number.show_at(Timeline(), 1.0)
    look(number)
    assert texts(number) == ["cadence, spm", "–", "no step yet"]
    number.show_at(timeline, last_contact_s(timeline) + 10.0)
    look(number)
    assert texts(number) == ["cadence, spm", "171.4", "not running"]


@pytest.mark.parametrize("size", [(200, 120), (640, 400), (400, 900), (1280, 720), (2560, 600)])
@pytest.mark.parametrize("scale", [1.0, 1000.0, -12.345, nan])
@pytest.mark.parametrize("name", NAMES)
def test_no_text_leaves_the_screen(qtbot: QtBot, size: tuple[int, int], scale: float, name: str) -> None:
    timeline = Timeline()
    values = [dict.fromkeys(NAMES, scale * (1.0 + i)) for i in (0, 0.3)]
    take_steps(timeline, 300, values[0], values[1])
    timeline.take(usual(name, 5.0, 0.1))
    number = shown(qtbot, timeline, name, size=size)
    assert_texts_fit(number.labels, QRectF(number.rect()))


def test_it_is_painted_only_when_it_reads_differently(
    qtbot: QtBot, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = shown(qtbot, timeline, "cadence_spm")
    asked: list[int] = []
    monkeypatch.setattr(number, "update", lambda: asked.append(1))
    number.show_at(timeline, last_contact_s(timeline) + 0.5)
    assert not asked
    take_steps(timeline, 40, {"cadence_spm": 185.0}, {"cadence_spm": 185.0}, first=300)
    number.show_at(timeline, last_contact_s(timeline))
    assert asked == [1]
