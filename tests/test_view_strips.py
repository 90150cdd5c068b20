"""Strips: every step where it belongs, medians that are the tiles', laps and cues at their times."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QWheelEvent
from pytestqt.qtbot import QtBot

from pelvis.data import Gap, Marker, Side, Speed
from sensor_host.shown import SHOWN
from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.figures import recent
from sensor_host.view.stamps import colored, stamped, symbol
from sensor_host.view.strip_data import nice_range, range_for, running_median, strip_between, thinned, time_ticks
from sensor_host.view.strips import Strips
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import Timeline
from tests.said_examples import cue
from tests.view_panels import assert_texts_fit, last_contact_s, look, near, pixels, take_steps, texts, usual

THEME = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)
NAMES = [metric.name for metric in SHOWN]


@pytest.fixture
def timeline() -> Timeline:
    """Three hundred steps from 10 s to 114.65 s, contact 240 ms on the left and 220 ms on the right."""
    made = Timeline()
    left = {"pelvic_drop_deg": 5.0, "contact_time_s": 0.240, "vertical_oscillation_m": 0.100}
    right = {"pelvic_drop_deg": 2.0, "contact_time_s": 0.220, "vertical_oscillation_m": 0.110}
    both = {"cadence_spm": 171.44, "flight_time_s": 0.1282, "pelvis_sway_m": 0.0314}
    take_steps(made, 300, left | both, right | both)
    return made


def shown(
    qtbot: QtBot,
    timeline: Timeline,
    now_s: float,
    theme: Theme = DARK,
    size: tuple[int, int] = (900, 400),
    names: tuple[str, ...] = ("contact_time_s", "pelvic_drop_deg"),
    span_s: float = 60.0,
) -> Strips:
    strips = Strips(names)
    qtbot.addWidget(strips)
    strips.set_theme(theme)
    strips.set_span(span_s)
    strips.resize(*size)
    strips.show_at(timeline, now_s)
    # a window that is not shown hears of its size only when it is looked at
    look(strips)
    strips.show_at(timeline, now_s)
    look(strips)
    return strips


def mixed(over: str, under: str, share: float) -> str:
    """A colour that lets some of what is under it through."""
    pairs = ((int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


# ---------------------------------------------------------------- what is reckoned


def test_few_points_are_all_drawn_and_of_many_none_that_strays_is_lost() -> None:
    rng = np.random.default_rng(3)
    t_s = np.sort(rng.uniform(0.0, 100.0, 20_000))
    values = rng.normal(size=20_000)
    values[[777, 15_000]] = 50.0, -50.0
    np.testing.assert_array_equal(thinned(t_s[:200], values[:200], 0.0, 100.0, 100)[1], values[:200])
    few_s, few = thinned(t_s, values, 0.0, 100.0, 100)
    assert len(few) == 200
    assert {50.0, -50.0} <= set(few)
    assert np.all(np.diff(few_s) > 0)
    for column in range(100):
        here = values[(t_s >= column) & (t_s < column + 1)]
        drawn = few[(few_s >= column) & (few_s < column + 1)]
        assert (drawn.min(), drawn.max()) == (here.min(), here.max())


def test_a_median_is_that_of_the_steps_before_it() -> None:
    rng = np.random.default_rng(5)
    t_s, values = np.arange(100) * 0.35, rng.normal(size=100)
    at_s, medians = running_median(t_s, values, 20, begin_s=0.0, most=1000)
    for when, median in zip(at_s, medians, strict=True):
        i = round(when / 0.35)
        assert median == np.median(values[max(i - 19, 0) : i + 1])
    assert at_s[0] == pytest.approx(4 * 0.35)
    # fewer points, the last still among them
    thin_s, thin = running_median(t_s, values, 20, begin_s=0.0, most=10)
    assert len(thin) <= 12
    assert (thin_s[-1], thin[-1]) == (at_s[-1], medians[-1])


def test_no_median_reaches_over_a_pause_and_no_line_is_drawn_across_it() -> None:
    t_s = np.concatenate((np.arange(50) * 0.35, 60.0 + np.arange(50) * 0.35))
    values = np.concatenate((np.zeros(50), np.ones(50)))
    at_s, medians = running_median(t_s, values, 20, begin_s=0.0, most=1000)
    broken = np.flatnonzero(np.isnan(medians))
    assert len(broken) == 1
    assert at_s[broken[0]] < 20.0 < at_s[broken[0] + 1]
    assert set(medians[np.isfinite(medians)]) == {0.0, 1.0}


@pytest.mark.parametrize("name", NAMES)
def test_the_latest_median_is_the_figure_of_the_tile(timeline: Timeline, name: str) -> None:
    rng = np.random.default_rng(9)
    for index in range(300, 340):
        take_steps(timeline, 1, {name: float(rng.normal())}, {name: float(rng.normal())}, first=index)
    now_s = last_contact_s(timeline)
    strip, tile = strip_between(timeline, name, 50.0, now_s + 0.1, 500), recent(timeline, name, now_s)
    if Side.UNKNOWN in strip.latest:
        assert strip.latest == {Side.UNKNOWN: pytest.approx(tile.value)}
    else:
        assert strip.latest == {Side.LEFT: pytest.approx(tile.left), Side.RIGHT: pytest.approx(tile.right)}


def test_contact_times_of_the_feet_are_one_line_for_a_few_steps_do_not_tell_them_apart(timeline: Timeline) -> None:
    assert set(strip_between(timeline, "contact_time_s", 50.0, 110.0, 500).lines) == {Side.UNKNOWN}
    assert set(strip_between(timeline, "pelvic_drop_deg", 50.0, 110.0, 500).lines) == {Side.LEFT, Side.RIGHT}


@pytest.mark.parametrize(
    ("low", "high", "least", "expected"),
    [
        (221.0, 248.0, 20.0, (220.0, 250.0, 10.0)),
        (2.1, 5.3, 2.0, (2.0, 6.0, 2.0)),
        (171.0, 171.4, 2.0, (170.0, 173.0, 1.0)),
        (-1.3, 0.4, 1.0, (-2.0, 1.0, 1.0)),
    ],
)
def test_a_range_is_round_and_holds_what_it_must(
    low: float, high: float, least: float, expected: tuple[float, float, float]
) -> None:
    made = nice_range(low, high, least)
    assert (made.low, made.high, made.step) == pytest.approx(expected)
    assert made.ticks[0] == made.low
    assert made.ticks[-1] == pytest.approx(made.high)


def test_a_range_stands_still_until_the_steps_leave_it_or_shrink_in_it() -> None:
    steps = np.linspace(0.220, 0.245, 100)
    first = range_for("contact_time_s", steps, None)
    assert first is not None
    assert first.low <= 220.0
    assert first.high >= 245.0
    assert range_for("contact_time_s", steps + 0.002, first) is first
    left = range_for("contact_time_s", steps + 0.030, first)
    assert left is not None
    assert left.high >= 275.0
    wide = nice_range(100.0, 400.0, 20.0)
    assert range_for("contact_time_s", steps, wide) != wide
    # a single stray step does not move it
    assert range_for("contact_time_s", np.append(steps, 0.9), first) is first
    assert range_for("contact_time_s", np.empty(0), first) is first


def test_times_are_divided_at_round_ones() -> None:
    assert time_ticks(31.0, 151.0, 5) == (60.0, 90.0, 120.0, 150.0)
    assert time_ticks(-100.0, 200.0, 5) == (0.0, 60.0, 120.0, 180.0)
    assert time_ticks(0.0, 3600.0, 6) == tuple(600.0 * i for i in range(7))


# ---------------------------------------------------------------- stamps


def test_a_disc_and_a_triangle_look_it() -> None:
    disc, triangle = symbol(Side.LEFT, 15), symbol(Side.RIGHT, 15)
    assert disc.sum() / 255 == pytest.approx(np.pi * 7.5**2, rel=0.02)
    np.testing.assert_allclose(disc.astype(int), disc[::-1].astype(int), atol=3)
    assert triangle[: len(triangle) // 2].sum() < 0.5 * triangle[len(triangle) // 2 :].sum()


def test_stamps_stand_where_they_were_put_whole_at_the_rim_and_none_outside() -> None:
    stamp = symbol(Side.LEFT, 7)
    one = stamped(60, 40, np.array([20.4]), np.array([10.7]), stamp)
    assert one.shape == (40, 60)
    rows, columns = np.nonzero(one)
    assert (rows.mean(), columns.mean()) == pytest.approx((10.0, 20.0))
    np.testing.assert_array_equal(one[one > 0], stamp[stamp > 0])
    both = stamped(60, 40, np.array([20.0, 20.0, 22.0]), np.array([10.0, 10.0, 11.0]), stamp)
    # where two overlap, the one that covers more is seen
    alone = [stamped(60, 40, np.array([x]), np.array([y]), stamp) for x, y in ((20.0, 10.0), (22.0, 11.0))]
    np.testing.assert_array_equal(both, np.maximum(*alone))
    corner = stamped(60, 40, np.array([0.0]), np.array([39.5]), stamp)
    assert corner[39, 0] == 255
    assert not stamped(60, 40, np.array([-0.5, 61.0]), np.array([5.0, 5.0]), stamp).any()


def test_coverage_becomes_colour(qtbot: QtBot) -> None:
    coverage = np.array([[0, 128, 255]], np.uint8)
    image = colored(coverage, "#ff8000", 1.0, 1.0)
    full, half, none = (image.pixelColor(x, 0) for x in (2, 1, 0))
    assert full.getRgb() == (255, 128, 0, 255)
    assert half.alpha() == 128
    assert half.red() == 255
    assert none.alpha() == 0


# ---------------------------------------------------------------- what is seen


@THEME
def test_steps_stand_at_their_times_and_heights_in_their_colours(
    qtbot: QtBot, timeline: Timeline, theme: Theme
) -> None:
    # in the last seconds nobody ran, so that the last steps can be told
    strips = shown(qtbot, timeline, 120.0, theme, names=("contact_time_s",), span_s=20.0)
    assert strips.view is not None
    (reach,) = strips.view.ranges
    assert reach is not None
    seen = pixels(look(strips))
    plot = strips.plot_rects()[0]
    x = plot.left() + (114.65 - strips.view.from_s) / 20.0 * plot.width()
    y = plot.bottom() - (220.0 - reach.low) / (reach.high - reach.low) * plot.height()
    around = seen[round(y) - 10 : round(y) + 10, round(x) - 4 : round(x) + 14]
    right, left = (near(around, mixed(color, theme.panel, 0.62), 20).sum() for color in (theme.right, theme.left))
    assert right > 15
    assert left == 0
    # the last step of all: nothing to the right of it
    beyond = seen[round(plot.top()) : round(plot.bottom()) - 1, round(x) + 8 : round(plot.right())]
    assert not near(beyond, mixed(theme.right, theme.panel, 0.62), 20).any()


@THEME
def test_the_norm_is_an_area_at_its_height(qtbot: QtBot, timeline: Timeline, theme: Theme) -> None:
    timeline.take(Speed(9.0, 3.5, "treadmill"))
    strips = shown(qtbot, timeline, 130.0, theme, names=("pelvic_drop_deg",))
    assert strips.view is not None
    (reach,) = strips.view.ranges
    assert reach is not None
    plot = strips.plot_rects()[0]
    # to the right of all steps; 16 runners at 3.5 m/s: 2.5 +- 1.2 deg
    column = pixels(look(strips))[round(plot.top()) : round(plot.bottom()), round(plot.right()) - 20]
    inside = np.flatnonzero(~near(column[None], theme.panel, 3)[0])
    share = [1 - (edge + 0.5) / plot.height() for edge in (inside[-2], inside[0])]
    values = [reach.low + one * (reach.high - reach.low) for one in share]
    in_band = [tick for tick in reach.ticks if tick > 3.7]
    assert values[0] <= 1.4
    assert values[1] == pytest.approx(max([3.7, *in_band]), abs=0.15)


def test_laps_and_cues_stand_at_their_times_with_their_words(qtbot: QtBot, timeline: Timeline) -> None:
    timeline.take(Marker(30.0, "", "lap"))
    timeline.take(Marker(70.0, "hill", "lap"))
    timeline.take(replace(cue(), decided_at_s=90.0))
    timeline.take(replace(cue(), decided_at_s=105.0, kind="chime"))
    timeline.take(Gap(100.0, 2.0, "link lost"))
    strips = shown(qtbot, timeline, 114.0, size=(1200, 400))
    said = texts(strips)
    # the lap at 30 s is out of sight and counted
    assert "lap 2 hill" in said
    assert "Belt level" in said
    assert "good" in said
    plot = strips.plot_rects()[0]
    (label,) = (label for label in strips.labels if label.text == "Belt level")
    assert strips.view is not None
    x = plot.left() + (90.0 - strips.view.from_s) / 60.0 * plot.width()
    assert x < label.box.left() < x + 25


def test_what_is_clicked_is_a_time_and_the_mouse_points(qtbot: QtBot, timeline: Timeline) -> None:
    strips = shown(qtbot, timeline, 110.0)
    cursor = Cursor()
    strips.follow(cursor)
    strips.show()
    plot = strips.plot_rects()[0].toAlignedRect()
    assert strips.view is not None
    middle = QPoint(plot.center().x(), plot.center().y())
    with qtbot.waitSignal(strips.picked) as signal:
        qtbot.mouseClick(strips, Qt.MouseButton.LeftButton, pos=middle)
    assert signal.args is not None
    assert signal.args[0] == pytest.approx(strips.view.from_s + 30.0, abs=0.2)
    qtbot.mouseMove(strips, middle)
    qtbot.waitUntil(lambda: cursor.at is not NOWHERE)
    assert cursor.at.t_s == pytest.approx(signal.args[0], abs=0.2)


def test_the_wheel_shows_more_or_fewer_minutes(qtbot: QtBot, timeline: Timeline) -> None:
    strips = shown(qtbot, timeline, 110.0, span_s=300.0)
    for turned, span_s in ((120, 120.0), (120, 60.0), (120, 60.0), (-120, 120.0)):
        at = QPointF(400.0, 200.0)
        wheel = QWheelEvent(
            at, at, QPoint(), QPoint(0, turned), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        strips.wheelEvent(wheel)
        assert strips.span_s == span_s
    strips.show_at(timeline, 110.0)
    assert strips.view is not None
    assert strips.view.to_s - strips.view.from_s == pytest.approx(120.0)


@pytest.mark.parametrize(("now_s", "span_s"), [(12.0, 60.0), (69.0, 60.0), (71.0, 120.0), (114.0, 120.0)])
def test_no_more_is_shown_than_there_was(qtbot: QtBot, timeline: Timeline, now_s: float, span_s: float) -> None:
    # the session began at 10 s
    strips = shown(qtbot, timeline, now_s, span_s=300.0)
    assert strips.view is not None
    assert strips.view.to_s - strips.view.from_s == pytest.approx(span_s)


def test_a_click_on_a_title_shows_another_metric_and_none_twice(qtbot: QtBot, timeline: Timeline) -> None:
    strips = shown(qtbot, timeline, 110.0, names=("contact_time_s", "cadence_spm"))
    (title,) = (label for label in strips.labels if label.text == "contact time, ms")
    strips.show()
    with qtbot.assertNotEmitted(strips.picked):
        qtbot.mouseClick(strips, Qt.MouseButton.LeftButton, pos=title.ink.center().toPoint())
    # cadence, the next in the table, is shown already
    assert strips.names == ("pelvic_drop_deg", "cadence_spm")
    strips.show_at(timeline, 110.0)
    look(strips)
    assert "pelvic drop, deg" in texts(strips)
    qtbot.mouseClick(strips, Qt.MouseButton.RightButton, pos=title.ink.center().toPoint())
    assert strips.names == ("contact_time_s", "cadence_spm")
    strips.turn(0, -1)
    assert strips.names[0] == "rotation_range_deg"


def test_the_cursor_reads_off_the_nearest_step_of_each_strip(qtbot: QtBot, timeline: Timeline) -> None:
    strips = shown(qtbot, timeline, 110.0)
    cursor = Cursor()
    strips.follow(cursor)
    # left at 80.0 s, right at 80.35 s
    cursor.point(Pointed(80.01))
    assert [(label.text, label.color) for label in strips.cursor_labels()] == [("240", DARK.left), ("5.0", DARK.left)]
    cursor.point(Pointed(80.33))
    assert [(label.text, label.color) for label in strips.cursor_labels()] == [("220", DARK.right), ("2.0", DARK.right)]
    line = near(pixels(look(strips)), DARK.text, 4).sum()
    cursor.point(Pointed(500.0))
    assert strips.cursor_labels() == ()
    assert near(pixels(look(strips)), DARK.text, 4).sum() < line - 100


def test_it_is_painted_only_when_a_step_came_or_time_went_on(
    qtbot: QtBot, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = shown(qtbot, timeline, 110.0)
    asked: list[int] = []
    monkeypatch.setattr(strips, "update", lambda: asked.append(1))
    for _ in range(5):
        strips.show_at(timeline, 110.0)
    assert not asked
    take_steps(timeline, 1, {"contact_time_s": 0.24}, {"contact_time_s": 0.24}, first=300)
    strips.show_at(timeline, 110.0)
    assert len(asked) == 1
    timeline.take(usual("contact_time_s", 0.23, 0.01))
    strips.show_at(timeline, 110.0)
    assert len(asked) == 2
    strips.show_at(timeline, 111.0)
    assert len(asked) == 3


def test_without_steps_that_is_said(qtbot: QtBot) -> None:
    strips = shown(qtbot, Timeline(), 10.0)
    assert texts(strips).count("no step yet") == 2
    strips.show_at(Timeline(), nan)


LONG = "Becken waagerecht halten, Gleichgewichtsverlagerungsbewegungen vermeiden"


@pytest.mark.parametrize("size", [(200, 120), (320, 240), (640, 200), (900, 400), (1280, 720), (2400, 300)])
@pytest.mark.parametrize("scale", [1.0, 1000.0, -12.3])
@pytest.mark.parametrize("names", [("contact_time_s",), tuple(NAMES)])
def test_no_text_leaves_its_box(qtbot: QtBot, size: tuple[int, int], scale: float, names: tuple[str, ...]) -> None:
    timeline = Timeline()
    take_steps(timeline, 200, dict.fromkeys(NAMES, scale), dict.fromkeys(NAMES, 1.3 * scale))
    for t_s in (30.0, 31.0, 45.0, 79.0):
        timeline.take(Marker(t_s, LONG, "lap"))
        timeline.take(Marker(t_s + 3.0, LONG, "note"))
    strips = shown(qtbot, timeline, 79.5, size=size, names=names)
    assert_texts_fit(strips.labels, QRectF(strips.rect()))
