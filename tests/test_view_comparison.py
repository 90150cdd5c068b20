"""Two sections beside each other: what is a difference, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot
from recorded_runs import coached_run

from pelvis.data import Array, Side
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.metrics import METRICS
from sensor_host.view.comparison import Difference, difference, differences, mean_in, words_about
from sensor_host.view.comparison_view import NOTHING_CHOSEN, Chosen, ComparisonView
from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.curves import CURVES, PERCENT, phase_at, section_curves, time_of_phase
from sensor_host.view.loading import Loading
from sensor_host.view.stride_view import SHOWN, Compared, StrideView
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import SIDE_CODES, STEP_COLUMNS, Timeline
from sensor_host.view.transport import Section

STEP_S = 0.35
THEMES = pytest.mark.parametrize("theme", [SUN, DARK], ids=lambda theme: theme.name)


def told(name: str, values: Array, quality: float = 1.0) -> Timeline:
    """Return a session whose steps have these values of a metric, feet in turns."""
    column = {each: i for i, each in enumerate(STEP_COLUMNS)}
    rows = np.full((len(values), len(STEP_COLUMNS)), np.nan)
    number = np.arange(len(values))
    rows[:, column["step_index"]] = number
    rows[:, column["initial_contact_s"]] = STEP_S * number
    rows[:, column["side"]] = np.where(number % 2, SIDE_CODES[Side.LEFT], SIDE_CODES[Side.RIGHT])
    rows[:, column["quality"]] = quality
    rows[:, column[name]] = values
    timeline = Timeline()
    timeline.take_steps(rows)
    return timeline


def series(rng: np.random.Generator, n: int, correlation: float) -> Array:
    """Return a stationary series whose neighbours are alike, with standard deviation 1."""
    values = rng.standard_normal(n)
    for i in range(1, n):
        values[i] = correlation * values[i - 1] + np.sqrt(1.0 - correlation**2) * values[i]
    return values


WHOLE = Section(0.0, 1e9)
DROP = METRICS["pelvic_drop_deg"]


def compare(here: Array, there: Array) -> Difference:
    first = told(DROP.name, np.concatenate([here, there]))
    edge_s = STEP_S * len(here) - 0.1
    return next(
        row
        for row in differences(first, Section(0.0, edge_s), first, Section(edge_s, 1e9))
        if row.metric.name == DROP.name
    )


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.7])
def test_where_nothing_changed_a_difference_is_seldom_told(correlation: float) -> None:
    rng = np.random.default_rng(1)
    verdicts = [
        compare(3.0 + 0.5 * series(rng, 200, correlation), 3.0 + 0.5 * series(rng, 200, correlation)).verdict
        for _ in range(400)
    ]
    # one in a hundred, and a few more: the likeness of neighbours is itself known from these steps only
    assert sum(verdict != "no difference" for verdict in verdicts) <= 16


def test_a_true_difference_is_told_with_its_size() -> None:
    rng = np.random.default_rng(2)
    for shift, verdict in ((0.6, "more"), (-0.6, "less")):
        row = compare(3.0 + shift + 0.4 * rng.standard_normal(150), 3.0 + 0.4 * rng.standard_normal(150))
        assert row.verdict == verdict
        assert row.difference == pytest.approx(shift, abs=3.0 * row.se)
        assert 0.02 < row.se < 0.1


def test_a_difference_below_the_last_digit_is_none() -> None:
    tilt = 3.0 + 0.001 * np.random.default_rng(3).standard_normal(400)
    here, there = told("cadence_spm", tilt + 0.05), told("cadence_spm", tilt)
    assert mean_in(here, WHOLE, "cadence_spm").n == 400
    row = difference(
        METRICS["cadence_spm"],
        mean_in(here, WHOLE, "cadence_spm"),
        mean_in(there, WHOLE, "cadence_spm"),
        one_session=True,
    )
    assert (row.verdict, round(row.difference, 3)) == ("no difference", 0.05)


def test_between_two_sessions_counts_what_averaging_does_not_take_away() -> None:
    model = ERROR_MODELS["contact_time_s"]
    common_s = model.usual * np.sqrt(model.common)
    steady = 0.230 + 0.001 * np.random.default_rng(4).standard_normal(1000)
    # larger than the last digit, and than a thousand steps' chance; as large as another seat of the sensor may make
    here, there = told("contact_time_s", steady + common_s), told("contact_time_s", steady)
    metric = METRICS["contact_time_s"]
    means = [mean_in(timeline, WHOLE, "contact_time_s") for timeline in (here, there)]
    assert difference(metric, *means, one_session=True).verdict == "more"
    assert difference(metric, *means, one_session=False).verdict == "not sure"
    (row,) = differences(here, WHOLE, there, WHOLE)
    assert row.verdict == "not sure"
    assert row.se > common_s
    far = told("contact_time_s", steady + 5.0 * common_s)
    assert differences(far, WHOLE, there, WHOLE)[0].verdict == "more"


def test_few_steps_and_poor_steps_tell_nothing() -> None:
    values = np.full(24, 3.0)
    assert compare(values, values + 5.0).verdict == "too few steps"
    poor = told(DROP.name, np.full(100, 3.0), quality=0.1)
    assert mean_in(poor, WHOLE, DROP.name).n == 0


def test_each_foot_can_be_compared_for_itself() -> None:
    values = np.where(np.arange(200) % 2, 5.0, 2.0)
    timeline = told(DROP.name, values)
    assert mean_in(timeline, WHOLE, DROP.name, Side.LEFT).mean == 5.0
    assert mean_in(timeline, WHOLE, DROP.name, Side.RIGHT).mean == 2.0
    assert mean_in(timeline, WHOLE, DROP.name).mean == 3.5


def test_that_the_speed_differs_is_said_first() -> None:
    rng = np.random.default_rng(5)
    slow, fast = (told("speed_mps", speed + 0.02 * rng.standard_normal(200)) for speed in (3.0, 4.5))
    assert "speeds differ by 1.50 m/s" in words_about(differences(fast, WHOLE, slow, WHOLE))
    assert words_about(differences(slow, WHOLE, slow, WHOLE)) == ""
    assert "Speed is not known" in words_about(differences(told(DROP.name, np.ones(50)), WHOLE, slow, Section(0, 0)))


# ---------------------------------------------------------------- a real recording, in the window


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    run = coached_run(tmp_path_factory.mktemp("run"))
    timeline = Timeline()
    with Loading(run.path, tmp_path_factory.mktemp("cache")) as loading:
        loading.wait_opened()
        loading.wait_ended(60.0)
        loading.take(timeline, None)
    return timeline


# the left side drops 3.5 degrees more from 34 to 56 s
BEFORE, DROPPED = Section(12.0, 30.0), Section(36.0, 55.0)


def test_the_drop_that_came_is_the_difference_that_is_told(timeline: Timeline) -> None:
    left, right = (
        {row.metric.name: row for row in differences(timeline, DROPPED, timeline, BEFORE, side)}
        for side in (Side.LEFT, Side.RIGHT)
    )
    assert left["pelvic_drop_deg"].verdict == "more"
    assert left["pelvic_drop_deg"].difference == pytest.approx(3.5, abs=0.5)
    for name in ("cadence_spm", "contact_time_s", "tilt_deg", "vertical_oscillation_m"):
        assert left[name].verdict == right[name].verdict == "no difference"


@THEMES
def test_the_table_says_it_and_nothing_is_cut_off(qtbot: QtBot, timeline: Timeline, theme: Theme) -> None:
    view = ComparisonView()
    qtbot.addWidget(view)
    view.set_theme(theme)
    view.resize(1268, 560)
    view.show()
    view.show_at(timeline, 60.0)
    assert (view.words.isVisible(), view.words.text()) == (True, NOTHING_CHOSEN)
    view.choose(Chosen("0:12 to 0:30", timeline, BEFORE))
    view.set_section(DROPPED)
    view.set_side(Side.LEFT)
    view.show_at(timeline, 60.0)
    qtbot.waitUntil(lambda: view.table.width() > 100)
    assert not view.words.isVisible()
    text = view.table.text()
    assert "left foot" in text
    assert text.count("no&nbsp;difference") >= 8
    assert "▲&nbsp;more" in text
    assert view.table.width() >= view.table.sizeHint().width()
    assert view.table.height() >= view.table.sizeHint().height()
    assert view.width() == 1268


# ---------------------------------------------------------------- the stride view


@pytest.fixture
def strides(qtbot: QtBot, timeline: Timeline) -> StrideView:
    view = StrideView(Cursor())
    qtbot.addWidget(view)
    view.resize(1268, 560)
    view.show()
    view.set_section(DROPPED)
    view.show_at(timeline, 60.0)
    return view


def test_the_mean_curves_are_drawn_for_both_feet(strides: StrideView, timeline: Timeline) -> None:
    section = section_curves(timeline, DROPPED.from_s, DROPPED.to_s)
    assert section.n > 40
    for i in SHOWN:
        for side in (Side.LEFT, Side.RIGHT):
            x, y = strides.drawn(CURVES[i].column, side)
            np.testing.assert_array_equal(x, PERCENT)
            np.testing.assert_array_equal(y, section.sides[side].mean[i])
    plot = strides._plots[0]
    assert plot.here[Side.LEFT].toe_off.value() == section.sides[Side.LEFT].toe_off.mean
    # the foot is on the ground for about a third of its stride
    assert 28.0 < plot.here[Side.LEFT].toe_off.value() < 40.0


@THEMES
def test_numbers_and_counts_stand_beside_and_are_not_cut_off(strides: StrideView, theme: Theme) -> None:
    strides.set_theme(theme)
    strides.compare_with(Compared("another", strides.curves))  # type: ignore[arg-type]
    assert strides.curves is not None
    left = strides.curves.sides[Side.LEFT]
    assert f"L {left.n}, R " in strides.texts()[1]
    obliquity = strides._plots[0].numbers
    assert f"{left.drop_deg.mean:.1f}&nbsp;±&nbsp;{left.drop_deg.sd:.1f}" in obliquity.text()
    assert "drop" not in strides._plots[1].numbers.text()
    for plot in strides._plots.values():
        assert plot.numbers.width() >= plot.numbers.sizeHint().width()
        assert plot.numbers.height() >= plot.numbers.minimumSizeHint().height()
    assert strides.width() == 1268


def test_without_a_section_the_last_minute_is_shown(strides: StrideView, timeline: Timeline) -> None:
    strides.set_section(None)
    strides.show_at(timeline, 100.0)
    assert strides.curves is not None
    assert (strides.curves.from_s, strides.curves.to_s) == (40.0, 100.0)
    # nothing new: nothing is drawn again
    before = strides.curves
    strides.show_at(timeline, 100.0)
    assert strides.curves is before


def test_what_one_plot_points_at_is_read_off_in_all(strides: StrideView, timeline: Timeline) -> None:
    assert strides._pointer is not None
    box = strides._plots[1]._plot.vb.sceneBoundingRect()
    at = QPointF(box.left() + 0.25 * box.width(), box.center().y())
    strides._plots[1]._moved(at)
    percent = strides._pointer.at.percent
    assert percent is not None
    # the range has a margin of 2 % on either side
    assert percent == pytest.approx(-2.0 + 0.25 * 104.0, abs=0.6)
    for plot in strides._plots.values():
        assert plot._line.isVisible()
        assert plot._line.value() == percent
        assert f"at {percent:.0f} %" in plot.title.text()
    strides._plots[1]._moved(QPointF(box.right() + 50.0, box.center().y()))
    assert strides._pointer.at == NOWHERE
    assert not strides._plots[0]._line.isVisible()


def test_a_moment_is_read_off_at_its_place_in_the_stride(strides: StrideView, timeline: Timeline) -> None:
    contacts_s, sides = timeline.column("initial_contact_s"), timeline.column("side")
    begin_s, end_s = contacts_s[100], contacts_s[102]
    side = Side.RIGHT if sides[100] > 0 else Side.LEFT
    at_s = float(begin_s + 0.2 * (end_s - begin_s))
    assert phase_at(timeline, at_s) == (side, pytest.approx(20.0))
    assert strides._pointer is not None
    strides._pointer.point(Pointed(t_s=at_s))
    assert strides._plots[0]._line.value() == pytest.approx(20.0)
    assert time_of_phase(timeline, float(end_s) + 0.01, side, 20.0) == pytest.approx(at_s)
    assert phase_at(timeline, 2.0) is None
    assert time_of_phase(timeline, 2.0, side, 20.0) is None


def test_where_nobody_ran_the_view_says_so(qtbot: QtBot) -> None:
    view = StrideView()
    qtbot.addWidget(view)
    view.show_at(Timeline(), 60.0)
    assert view.texts()[1] == "L 0, R 0 strides"
    assert "–" in view._plots[0].numbers.text()
