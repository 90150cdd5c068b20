"""The bar under a replay: the whole session at a glance, its laps and cues, the playhead, and what is repeated.

1. A place on the bar is a time: `TransportBar.time_at` and `TransportBar.place_of` are each other's inverse. A click
   puts the playhead there, dragging moves it, dragging with shift draws the section that is repeated; a double click
   takes the lap around it.
2. The outline (how much he shook, the cadence as far as it is measured) is painted once for each size and look, and
   again while it grows; a frame paints the playhead over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QToolTip, QWidget

from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.theme import DARK, Theme, elided, font, metrics
from sensor_host.view.timeline import Mark, Timeline
from sensor_host.view.transport import Section, Transport

HEIGHT_PX: Final = 96
EDGE_PX: Final = 10
MARKS_PX: Final = 18
WORDS_PX: Final = 20
FONT_PX: Final = 13
# 4 px: what a finger on a touch pad can aim at
NEAR_PX: Final = 4
# cadence from a stroll to a sprint: always the same scale, so that sessions can be compared by eye
CADENCE_SPM: Final = (140.0, 200.0)
# 1 g: the standard deviation of fast running
SHAKING_G: Final = 1.0
# 3 s: longer than a lost step or two
PAUSE_S: Final = 3.0
# a section is seen through
SECTION_ALPHA: Final = 70
# 0.5 s: how often the outline is painted anew while the session is being measured
ANEW_S: Final = 0.5

_SHOWN_MARKS: Final = ("lap", "note", "cue", "chime", "gap")


def clock_words(t_s: float) -> str:
    """Return a session time as 1:02:05.3 or 2:05.3."""
    tenths = round(10.0 * max(0.0, t_s))
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02}.{rest % 10}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def lap_around(marks: Sequence[Mark], t_s: float, begin_s: float, end_s: float) -> Section:
    """Return the lap that holds a time: from one lap's mark to the next, or to the end of the session."""
    edges = [begin_s, *(mark.t_s for mark in marks if mark.kind == "lap"), end_s]
    before = max((edge for edge in edges if edge <= t_s), default=begin_s)
    after = min((edge for edge in edges if edge > t_s), default=end_s)
    return Section(before, after)


class TransportBar(QWidget):
    """The bar.

    Parameters
    ----------
    transport
        The playhead it shows and moves.
    clock
        Gives the time by which the transport counts, in seconds.
    cursor
        What all plots point at.
    """

    period_s: ClassVar[float] = 1 / 30

    moved = Signal(float)
    """The playhead was put somewhere with the mouse: session time in seconds."""
    section_changed = Signal()

    def __init__(self, transport: Transport, clock: Callable[[], float], cursor: Cursor | None = None) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT_PX)
        self.setMinimumWidth(200)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._transport, self._clock, self._pointer = transport, clock, cursor
        self._theme: Theme = DARK
        self._timeline: Timeline | None = None
        self._shaking_g = np.empty(0)
        self._outline: QPixmap | None = None
        self._outline_of: tuple[object, ...] = ()
        self._outline_at_s = -np.inf
        self._drawn: tuple[object, ...] = ()
        self._now_s = transport.begin_s
        self._section_from_s: float | None = None
        if cursor is not None:
            cursor.moved.connect(self.update)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        self._outline = None
        self.update()

    def set_shaking(self, shaking_g: Sequence[float | None]) -> None:
        """Take the outline of the session: the standard deviation of acceleration in every second."""
        self._shaking_g = np.array([np.nan if value is None else value for value in shaking_g])
        self._outline = None
        self.update()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Draw the moment ``now_s``; does nothing where nothing has changed."""
        self._timeline, self._now_s = timeline, now_s
        transport = self._transport
        state = (
            round(self.place_of(now_s) * self.devicePixelRatioF()),
            clock_words(now_s),
            transport.plays,
            transport.rate,
            transport.section,
            transport.section_begun_s,
            timeline.version,
        )
        if state != self._drawn:
            self._drawn = state
            self.update()

    # ------------------------------------------------------------ places and times

    @property
    def _span_px(self) -> float:
        return max(1.0, self.width() - 2.0 * EDGE_PX)

    def time_at(self, x_px: float) -> float:
        """Return the session time of a place on the bar."""
        share = min(max((x_px - EDGE_PX) / self._span_px, 0.0), 1.0)
        transport = self._transport
        return transport.begin_s + share * (transport.end_s - transport.begin_s)

    def place_of(self, t_s: float) -> float:
        """Return where a session time lies on the bar, in pixels from its left."""
        transport = self._transport
        length_s = max(transport.end_s - transport.begin_s, 1e-9)
        return EDGE_PX + self._span_px * (t_s - transport.begin_s) / length_s

    # ------------------------------------------------------------ the mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        t_s = self.time_at(event.position().x())
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._section_from_s = t_s
            return
        self._section_from_s = None
        self._put(self._snapped(event.position().x(), event.position().y(), t_s))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        t_s = self.time_at(event.position().x())
        if self._pointer is not None:
            self._pointer.point(Pointed(t_s=t_s))
        if not event.buttons() & Qt.MouseButton.LeftButton:
            self._tell(event)
        elif self._section_from_s is not None:
            self._transport.set_section(self._section_from_s, t_s, self._clock())
            self.section_changed.emit()
            self.update()
        else:
            self._put(t_s)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        t_s = self.time_at(event.position().x())
        marks = self._timeline.marks if self._timeline is not None else ()
        lap = lap_around(marks, t_s, self._transport.begin_s, self._transport.end_s)
        self._transport.set_section(lap.from_s, lap.to_s, self._clock())
        self.section_changed.emit()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        if self._pointer is not None:
            self._pointer.point(NOWHERE)
        super().leaveEvent(event)

    def _put(self, t_s: float) -> None:
        self._transport.seek(t_s, self._clock())
        self.moved.emit(t_s)
        self.update()

    def _snapped(self, x_px: float, y_px: float, t_s: float) -> float:
        """Return the time of the mark that was clicked on: only in the lane of the marks."""
        if y_px > WORDS_PX + MARKS_PX:
            return t_s
        near = self._near(x_px)
        return near.t_s if near is not None else t_s

    def _near(self, x_px: float) -> Mark | None:
        marks = self._marks()
        nearest = min(marks, key=lambda mark: abs(self.place_of(mark.t_s) - x_px), default=None)
        return nearest if nearest is not None and abs(self.place_of(nearest.t_s) - x_px) <= NEAR_PX else None

    def _tell(self, event: QMouseEvent) -> None:
        mark = self._near(event.position().x())
        words = f"{clock_words(mark.t_s)}  {_name(mark)}" if mark is not None else ""
        QToolTip.showText(event.globalPosition().toPoint(), words, self)

    def _marks(self) -> list[Mark]:
        return [mark for mark in self._timeline.marks if mark.kind in _SHOWN_MARKS] if self._timeline else []

    # ------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._outlined())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_section(painter)
        self._paint_words(painter)
        for t_s, color, width_px in (
            (self._pointer.at.t_s if self._pointer is not None else None, self._theme.soft, 1.0),
            (self._now_s, self._theme.text, self._theme.mean_width_px),
        ):
            if t_s is not None:
                painter.setPen(QPen(QColor(color), width_px))
                x = self.place_of(t_s)
                painter.drawLine(QPointF(x, WORDS_PX), QPointF(x, self.height() - 1.0))
        painter.end()

    def _outlined(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        version = self._timeline.version if self._timeline is not None else -1
        stable = (self.width(), self.height(), ratio, self._theme.name, self._transport.end_s)
        now_s = self._clock()
        if self._outline is not None and self._outline_of == (*stable, version):
            return self._outline
        if self._outline is not None and self._outline_of[:-1] == stable and now_s < self._outline_at_s + ANEW_S:
            self._drawn = ()  # later
            return self._outline
        self._outline_of, self._outline_at_s = (*stable, version), now_s
        pixmap = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(self._theme.panel))
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_shaking(painter)
        self._paint_cadence(painter)
        self._paint_marks(painter)
        painter.end()
        self._outline = pixmap
        return pixmap

    @property
    def _top_px(self) -> float:
        return WORDS_PX + MARKS_PX

    def _paint_shaking(self, painter: QPainter) -> None:
        if not len(self._shaking_g):
            return
        low, height = self.height() - 1.0, self.height() - 1.0 - self._top_px
        size = np.nan_to_num(np.minimum(self._shaking_g / SHAKING_G, 1.0))
        begin_s = self._transport.begin_s
        corners = [QPointF(self.place_of(begin_s), low)]
        for second, share in enumerate(size.tolist()):
            y = low - height * share
            corners.append(QPointF(self.place_of(begin_s + second), y))
            corners.append(QPointF(self.place_of(min(begin_s + second + 1.0, self._transport.end_s)), y))
        corners.append(QPointF(self.place_of(self._transport.end_s), low))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.grid))
        painter.drawPolygon(QPolygonF(corners))

    def _paint_cadence(self, painter: QPainter) -> None:
        if self._timeline is None or not len(self._timeline.steps):
            return
        steps = self._timeline.steps
        t_s, cadence = self._timeline.column("initial_contact_s", steps), self._timeline.column("cadence_spm", steps)
        known = np.isfinite(cadence)
        if not known.any():
            return
        # a median for each two pixels: single steps are not seen at this size
        length_s = max(self._transport.end_s - self._transport.begin_s, 1e-9)
        t_s, cadence = t_s[known], cadence[known]
        column = ((t_s - self._transport.begin_s) / length_s * self._span_px / 2.0).astype(np.intp)
        edges = np.flatnonzero(np.diff(column, prepend=-1, append=column[-1] + 1)).tolist()
        low_spm, high_spm = CADENCE_SPM
        height = self.height() - 4.0 - self._top_px
        painter.setPen(QPen(QColor(self._theme.text), self._theme.trace_width_px))
        line = QPolygonF()
        last_s = -np.inf
        for first, end in pairwise(edges):
            if t_s[first] > last_s + PAUSE_S:
                # somebody who stands has no cadence
                painter.drawPolyline(line)
                line = QPolygonF()
            last_s = float(t_s[end - 1])
            share = (float(np.median(cadence[first:end])) - low_spm) / (high_spm - low_spm)
            y = self.height() - 2.0 - height * min(max(share, 0.0), 1.0)
            line.append(QPointF(EDGE_PX + 2.0 * float(column[first]) + 1.0, y))
        painter.drawPolyline(line)

    def _paint_marks(self, painter: QPainter) -> None:
        theme, top = self._theme, float(WORDS_PX)
        for mark in self._marks():
            x, middle = self.place_of(mark.t_s), top + MARKS_PX / 2.0
            if mark.kind == "gap":
                end = self.place_of(mark.t_s + mark.duration_s)
                painter.fillRect(QRectF(x, self._top_px, max(1.0, end - x), self.height()), QColor(theme.bad))
                continue
            color = QColor({"lap": theme.text, "note": theme.soft}.get(mark.kind, theme.warn))
            painter.setPen(QPen(color, 1.0))
            painter.setBrush(color)
            if mark.kind in ("lap", "note"):
                # on whole pixels: half of a thin line is none
                painter.fillRect(QRectF(round(x), top + 1.0, 1.0, self.height() - top - 1.0), color)
            if mark.kind == "lap":
                painter.drawPolygon(QPolygonF([QPointF(x, top + 1), QPointF(x + 9, top + 5), QPointF(x, top + 9)]))
            elif mark.kind != "note":
                size = 6.0 if mark.kind == "cue" else 3.5
                painter.drawPolygon(
                    QPolygonF(
                        [
                            QPointF(x, middle - size),
                            QPointF(x + size, middle),
                            QPointF(x, middle + size),
                            QPointF(x - size, middle),
                        ]
                    )
                )

    def _paint_section(self, painter: QPainter) -> None:
        section, begun_s = self._transport.section, self._transport.section_begun_s
        ends = [] if begun_s is None else [(begun_s, 1.0)]
        if section is not None:
            ends = [(section.from_s, 1.0), (section.to_s, -1.0)]
        color = QColor(self._theme.other)
        for t_s, sign in ends:
            x = self.place_of(t_s)
            painter.setPen(QPen(color, self._theme.mean_width_px))
            painter.drawLine(QPointF(x, WORDS_PX), QPointF(x, self.height() - 1.0))
            for y in (WORDS_PX + 1.0, self.height() - 2.0):
                painter.drawLine(QPointF(x, y), QPointF(x + 5.0 * sign, y))
        if section is not None:
            left, right = self.place_of(section.from_s), self.place_of(section.to_s)
            color.setAlpha(SECTION_ALPHA)
            painter.fillRect(QRectF(left, WORDS_PX, right - left, self.height() - WORDS_PX), color)

    def _paint_words(self, painter: QPainter) -> None:
        transport = self._transport
        painter.setFont(font(FONT_PX, "strong"))
        painter.setPen(QColor(self._theme.text))
        box = QRectF(EDGE_PX, 1.0, self._span_px, WORDS_PX)
        playing = f"▶ {transport.rate:g}x" if transport.plays else f"❚❚ {transport.rate:g}x"
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | middle, f"{clock_words(self._now_s)}   {playing}")
        end = clock_words(transport.end_s)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | middle, end)
        section = transport.section
        if section is not None:
            words = f"A {clock_words(section.from_s)}  B {clock_words(section.to_s)}"
        elif transport.section_begun_s is not None:
            words = f"A {clock_words(transport.section_begun_s)}  B ..."
        else:
            return
        painter.setPen(QColor(self._theme.other))
        room = self._span_px - 2.0 * metrics(FONT_PX, "strong").horizontalAdvance(f"{end}   ▶ 0.25x   ")
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | middle, elided(words, room, FONT_PX, "strong"))


def _name(mark: Mark) -> str:
    return f"{mark.kind}: {mark.text}" if mark.text else mark.kind
