"""The bar under a replay: a place on it is a time, and the playhead lands there."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot
from recorded_runs import Run, coached_run

from sensor_host.view.cursor import NOWHERE, Cursor
from sensor_host.view.loading import Loading
from sensor_host.view.theme import DARK, SUN, Theme
from sensor_host.view.timeline import Timeline
from sensor_host.view.transport import Section, Transport
from sensor_host.view.transport_bar import EDGE_PX, HEIGHT_PX, WORDS_PX, TransportBar, clock_words

LEFT = Qt.MouseButton.LeftButton
WIDTH_PX = 1000
LOW = HEIGHT_PX - 10
MARKS = WORDS_PX + 5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return coached_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def timeline(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    timeline = Timeline()
    with Loading(run.path, tmp_path_factory.mktemp("cache")) as loading:
        loading.wait_opened()
        loading.wait_ended(60.0)
        loading.take(timeline, None)
    return timeline


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def bar(qtbot: QtBot, timeline: Timeline) -> TransportBar:
    made = TransportBar(Transport(timeline.begin_s, timeline.end_s), Clock(), Cursor())
    qtbot.addWidget(made)
    made.resize(WIDTH_PX, HEIGHT_PX)
    made.set_theme(DARK)
    made.set_shaking([0.01] * 5 + [0.8] * 125)
    made.show()
    made.show_at(timeline, timeline.begin_s)
    return made


def playhead_s(bar: TransportBar) -> float:
    return bar._transport.now_s(100.0)


def test_places_and_times_are_each_others_inverse(bar: TransportBar, timeline: Timeline) -> None:
    assert bar.time_at(EDGE_PX) == timeline.begin_s
    assert bar.time_at(WIDTH_PX - EDGE_PX) == pytest.approx(timeline.end_s)
    for x in (EDGE_PX, 77.0, 500.5, WIDTH_PX - EDGE_PX):
        assert bar.place_of(bar.time_at(x)) == pytest.approx(x)


@pytest.mark.parametrize("x", [0, EDGE_PX, 123, 777, WIDTH_PX - EDGE_PX, WIDTH_PX - 1])
def test_a_click_puts_the_playhead_under_the_mouse(qtbot: QtBot, bar: TransportBar, timeline: Timeline, x: int) -> None:
    qtbot.mouseClick(bar, LEFT, pos=QPoint(x, LOW))
    within = min(max((x - EDGE_PX) / (WIDTH_PX - 2 * EDGE_PX), 0.0), 1.0)
    wanted_s = timeline.begin_s + within * (timeline.end_s - timeline.begin_s)
    assert playhead_s(bar) == pytest.approx(wanted_s, abs=1e-6)


def test_dragging_takes_the_playhead_along_and_tells_it(qtbot: QtBot, bar: TransportBar) -> None:
    told: list[float] = []
    bar.moved.connect(told.append)
    qtbot.mousePress(bar, LEFT, pos=QPoint(200, LOW))
    for x in (300, 400):
        qtbot.mouseMove(bar, QPoint(x, LOW))
    qtbot.mouseRelease(bar, LEFT, pos=QPoint(400, LOW))
    assert told[0] == pytest.approx(bar.time_at(200))
    assert playhead_s(bar) == told[-1]


def test_a_click_on_a_mark_lands_exactly_on_it(qtbot: QtBot, bar: TransportBar, timeline: Timeline) -> None:
    lap = next(mark for mark in timeline.marks if mark.kind == "lap")
    x = round(bar.place_of(lap.t_s)) + 2
    qtbot.mouseClick(bar, LEFT, pos=QPoint(x, MARKS))
    assert playhead_s(bar) == lap.t_s
    # below the marks the place itself is meant
    qtbot.mouseClick(bar, LEFT, pos=QPoint(x, LOW))
    assert playhead_s(bar) == pytest.approx(bar.time_at(x)) != lap.t_s


def test_dragging_with_shift_draws_the_section(qtbot: QtBot, bar: TransportBar) -> None:
    qtbot.mousePress(bar, LEFT, Qt.KeyboardModifier.ShiftModifier, QPoint(600, LOW))
    event_at = bar.mapToGlobal(QPoint(300, LOW))
    move = _move(bar, QPoint(300, LOW), event_at)
    bar.mouseMoveEvent(move)
    section = bar._transport.section
    assert section is not None
    assert (section.from_s, section.to_s) == pytest.approx((bar.time_at(300), bar.time_at(600)))


def _move(bar: TransportBar, at: QPoint, globally: QPoint):  # type: ignore[no-untyped-def]
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtGui import QMouseEvent

    return QMouseEvent(
        QEvent.Type.MouseMove, QPointF(at), QPointF(globally), LEFT, LEFT, Qt.KeyboardModifier.NoModifier
    )


def test_a_double_click_takes_the_lap_around_it(qtbot: QtBot, bar: TransportBar, timeline: Timeline) -> None:
    first, second = (mark.t_s for mark in timeline.marks if mark.kind == "lap")
    for at_s, lap in (
        (5.0, Section(timeline.begin_s, first)),
        (40.0, Section(first, second)),
        (100.0, Section(second, timeline.end_s)),
    ):
        qtbot.mouseDClick(bar, LEFT, pos=QPoint(round(bar.place_of(at_s)), LOW))
        assert bar._transport.section == lap


def test_the_mouse_points_for_all_plots(qtbot: QtBot, bar: TransportBar) -> None:
    assert bar._pointer is not None
    bar.mouseMoveEvent(_move(bar, QPoint(321, LOW), bar.mapToGlobal(QPoint(321, LOW))))
    assert bar._pointer.at.t_s == pytest.approx(bar.time_at(321))
    from PySide6.QtCore import QEvent

    bar.leaveEvent(QEvent(QEvent.Type.Leave))
    assert bar._pointer.at == NOWHERE


@pytest.mark.parametrize("theme", [DARK, SUN], ids=["dark", "sun"])
def test_the_playhead_and_a_lap_are_seen_where_they_are(bar: TransportBar, timeline: Timeline, theme: Theme) -> None:
    bar.set_theme(theme)
    bar.show_at(timeline, 90.0)
    image = bar.grab().toImage()
    lap = next(mark for mark in timeline.marks if mark.kind == "lap")
    for t_s in (90.0, lap.t_s):
        near = [QColor(image.pixel(round(bar.place_of(t_s)) + dx, HEIGHT_PX // 2)).name() for dx in (-1, 0, 1)]
        assert theme.text in near
    # while he stood nothing shook, then it did
    standing, running = (QColor(image.pixel(round(bar.place_of(t_s)), HEIGHT_PX - 15)).name() for t_s in (2.0, 70.3))
    assert (standing, running) == (theme.panel, theme.grid)


@pytest.mark.parametrize("width_px", [640, 1000, 2500])
def test_the_cadence_is_one_line_at_any_width(bar: TransportBar, timeline: Timeline, width_px: int) -> None:
    bar.resize(width_px, HEIGHT_PX)
    bar.show_at(timeline, 0.0)
    image = bar.grab().toImage()
    begin, end = (round(bar.place_of(t_s)) for t_s in (10.0, 128.0))
    rows = range(HEIGHT_PX - 50, HEIGHT_PX)
    ground = {DARK.grid, DARK.panel}
    drawn = [any(QColor(image.pixel(x, y)).name() not in ground for y in rows) for x in range(begin, end)]
    assert sum(drawn) > 0.98 * len(drawn)


def test_times_read_as_people_read_them() -> None:
    assert [clock_words(t_s) for t_s in (0.0, 65.25, 3599.96, 3725.3)] == ["0:00.0", "1:05.2", "1:00:00.0", "1:02:05.3"]
