"""What stands behind the curves: a line for every contact, the feet on the ground, marks in words, gaps, titles.

One item of the scene draws all of it. An item each would cost a frame more than the curves do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from pelvis.data import Array, Side
from sensor_host.view.theme import DARK, Theme, elided, font, metrics
from sensor_host.view.timeline import SIDE_CODES, Mark, Timeline

SIDES: Final = (Side.LEFT, Side.RIGHT)
# 0.6 s: longer than any stance of running; a contact that is older and unconfirmed is not drawn as a foot on the ground
LONGEST_STANCE_S: Final = 0.6

FONT_PX: Final = 12
PAD_PX: Final = 4
SYMBOL_PX: Final = 9.0
BAR_PX: Final = 8.0
# 24 px: what is left of a mark's words between two marks must be a word at least
LEAST_WORDS_PX: Final = 24.0
# how much of a side's colour its lines have, the rest is the ground's: they stand behind the curves
LINE_SHARE: Final = 0.55

_SPOKEN: Final = frozenset(("cue", "chime"))
_SIGNS: Final = {"lap": "Lap", "note": "Mark", "cue": "", "chime": "Chime", "notice": "", "gap": "Gap"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen, in seconds before ``now_s``: contacts with their toe-off (n, 2), open contacts (m,), marks."""

    stances: Mapping[Side, Array]
    open: Mapping[Side, Array]
    marks: Sequence[Mark]
    now_s: float


def seen(timeline: Timeline, from_s: float, now_s: float) -> Seen:
    """Return what of a timeline is seen between two times."""
    # the stance that began before the left edge ends behind it
    steps = timeline.steps_between(from_s - LONGEST_STANCE_S, now_s)
    begin, end = timeline.column("initial_contact_s", steps) - now_s, timeline.column("toe_off_s", steps) - now_s
    sides = timeline.column("side", steps)
    stances: dict[Side, Array] = {}
    still_open: dict[Side, Array] = {}
    for side in SIDES:
        of_side = sides == SIDE_CODES[side]
        both = np.column_stack((begin[of_side], end[of_side]))
        # a toe-off that is not known: a bar of no length, the contact itself is seen
        stances[side] = np.where(np.isnan(both), both[:, :1], both)
        still_open[side] = np.array(
            [c.t_s - now_s for c in timeline.open_contacts if c.side is side and from_s < c.t_s <= now_s], np.float64
        )
    marks = timeline.marks_between(from_s - LONGEST_STANCE_S, now_s)
    return Seen(stances, still_open, marks, now_s)


NOTHING: Final = Seen(
    {side: np.empty((0, 2)) for side in SIDES}, {side: np.empty(0) for side in SIDES}, (), float("nan")
)


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where things are, in pixels of the scene: the words of marks, the plots with their zero and title, the feet."""

    marks: QRectF
    plots: Sequence[tuple[QRectF, float, str]]
    feet: QRectF


class Backdrop(QGraphicsItem):
    """Draws what is `Seen`."""

    def __init__(self) -> None:
        super().__init__()
        self.setZValue(-10)
        self.seen = NOTHING
        self._span_s = 1.0
        self._lanes = Lanes(QRectF(), (), QRectF())
        self._room = QRectF()
        self._theme = DARK
        self.words: list[str] = []
        """The marks' words as they were drawn."""
        self._soft: dict[Side, QColor] = {}
        self._line_px = 1.0
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        self._soft = {side: _mixed(theme.of(side), theme.panel, LINE_SHARE) for side in SIDES}
        # whole pixels: lines of one and a half would be now one, now two wide
        self._line_px = float(round(theme.frame_width_px))
        self.update()

    def set_lanes(self, lanes: Lanes, span_s: float) -> None:
        """Say where things are, and how many seconds that is wide."""
        room = QRectF(lanes.feet).united(lanes.marks)
        for rect, _, _ in lanes.plots:
            room = room.united(rect)
        self.prepareGeometryChange()
        self._room, self._lanes, self._span_s = room, lanes, span_s

    def show_seen(self, what: Seen) -> None:
        """Draw this from now on."""
        self.seen = what
        self.update()

    def boundingRect(self) -> QRectF:
        return self._room

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
        painter.setClipRect(self._room)
        self._paint_gaps(painter)
        self._paint_contacts(painter)
        self._paint_plots(painter)
        self._paint_marks(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=True)
        self._paint_feet(painter)

    # ------------------------------------------------------------ from the back to the front

    def _x(self, before_s: float) -> float:
        feet = self._lanes.feet
        return feet.right() + before_s / self._span_s * feet.width()

    def _upright(self, x: float) -> QLineF:
        plots = self._lanes.plots
        top = plots[0][0].top() if plots else self._lanes.feet.top()
        return QLineF(x, top, x, self._lanes.feet.bottom())

    def _paint_gaps(self, painter: QPainter) -> None:
        for mark in self.seen.marks:
            if mark.kind == "gap":
                begin = max(self._x(mark.t_s - self.seen.now_s), self._room.left())
                end = self._x(mark.t_s + mark.duration_s - self.seen.now_s)
                whole = self._upright(begin)
                area = QRectF(begin, whole.y1(), max(end - begin, 1.0), whole.dy())
                painter.fillRect(area, QBrush(QColor(self._theme.line), Qt.BrushStyle.BDiagPattern))

    def _paint_plots(self, painter: QPainter) -> None:
        theme = self._theme
        painter.setFont(font(FONT_PX))
        for rect, zero_y, title in self._lanes.plots:
            painter.setPen(QPen(QColor(theme.grid), self._line_px))
            painter.drawLine(QLineF(rect.left(), zero_y, rect.right(), zero_y))
            painter.setPen(QPen(QColor(theme.line), self._line_px))
            painter.drawLine(rect.bottomLeft(), rect.bottomRight())
            if title:
                painter.setPen(QColor(theme.soft))
                height = metrics(FONT_PX).height()
                short = elided(title, rect.width() - 2 * PAD_PX, FONT_PX)
                wide = metrics(FONT_PX).horizontalAdvance(short) + PAD_PX
                box = QRectF(rect.left() + PAD_PX, rect.top() + 1, wide, height)
                painter.fillRect(box, QColor(theme.panel))
                painter.drawText(box, Qt.AlignmentFlag.AlignLeft, short)

    def _paint_contacts(self, painter: QPainter) -> None:
        for side in SIDES:
            at = self.seen.stances[side][:, 0]
            painter.setPen(QPen(self._soft[side], self._line_px))
            painter.drawLines([self._upright(self._x(x)) for x in at[at > -self._span_s].tolist()])
            painter.setPen(QPen(self._soft[side], self._line_px, Qt.PenStyle.DashLine))
            painter.drawLines([self._upright(self._x(x)) for x in self.seen.open[side].tolist()])

    def _paint_feet(self, painter: QPainter) -> None:
        feet = self._lanes.feet
        for side, middle in ((Side.LEFT, 0.27), (Side.RIGHT, 0.73)):
            y = feet.top() + middle * feet.height()
            size = min(SYMBOL_PX, 0.36 * feet.height())
            thick = min(BAR_PX, 0.36 * feet.height())
            color = QColor(self._theme.of(side))
            painter.setPen(QPen(color, 1.0))
            painter.setBrush(color)
            for begin, end in self.seen.stances[side].tolist():
                x = self._x(begin)
                painter.fillRect(QRectF(x, y - thick / 2, max(self._x(end) - x, 0.0), thick), color)
                _draw_symbol(painter, side, QPointF(x, y), size)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(color, 1.5))
            for begin in self.seen.open[side].tolist():
                x = self._x(begin)
                end = self._x(min(begin + LONGEST_STANCE_S, 0.0))
                painter.drawRect(QRectF(x, y - thick / 2, max(end - x, 0.0), thick))
                _draw_symbol(painter, side, QPointF(x, y), size)

    def _paint_marks(self, painter: QPainter) -> None:
        theme, lane, marks = self._theme, self._lanes.marks, self.seen.marks
        self.words = []
        painter.setFont(font(FONT_PX, "strong"))
        for i, mark in enumerate(marks):
            spoken = mark.kind in _SPOKEN
            x = self._x(mark.t_s - self.seen.now_s)
            if mark.kind != "gap":
                painter.setPen(QPen(QColor(theme.cue if spoken else theme.soft), 2.0 if spoken else 1.0))
                painter.drawLine(self._upright(x))
            if lane.height() <= 0:
                continue
            # up to the next mark, and a word that leaves at the left goes on being read
            end = self._x(marks[i + 1].t_s - self.seen.now_s) if i + 1 < len(marks) else lane.right()
            begin = max(x, lane.left())
            words = f"{_SIGNS[mark.kind]} {mark.text}".strip()
            short = elided(words, end - begin - 2 * PAD_PX, FONT_PX, "strong")
            if not short or end - begin < LEAST_WORDS_PX:
                continue
            wide = metrics(FONT_PX, "strong").horizontalAdvance(short) + 2 * PAD_PX
            box = QRectF(begin, lane.top(), wide, lane.height())
            if spoken:
                painter.fillRect(box, QColor(theme.cue))
            painter.setPen(QColor(theme.on_cue if spoken else theme.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, short)
            self.words.append(short)


def _draw_symbol(painter: QPainter, side: Side, centre: QPointF, size: float) -> None:
    half = size / 2
    if side is Side.LEFT:
        painter.drawEllipse(centre, half, half)
        return
    # somewhat larger: a triangle looks as large as a disc then
    x, y, reach = centre.x(), centre.y(), 1.2 * half
    painter.drawPolygon(
        QPolygonF([QPointF(x, y - reach), QPointF(x + reach, y + reach), QPointF(x - reach, y + reach)])
    )


def _mixed(color: str, ground: str, share: float) -> QColor:
    one, other = QColor(color), QColor(ground)
    parts = zip((one.red(), one.green(), one.blue()), (other.red(), other.green(), other.blue()), strict=True)
    return QColor(*(round(share * a + (1 - share) * b) for a, b in parts))
