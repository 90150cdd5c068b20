"""Strips: every step of the last minutes, metric by metric, with running medians, bands, laps and cues.

1. Left steps are discs, right steps triangles, in their colours; the medians are lines.
2. All that stands still between two steps is one picture, painted anew when a step came or time has gone on by a pixel;
   a cursor is drawn over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import ClassVar, Final

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from pelvis.data import Array, Side
from pelvis.metrics import METRICS
from sensor_host.screen import clock_text
from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.figures import FIGURES
from sensor_host.view.lettering import Label, draw, fitted
from sensor_host.view.norms import Band, bands_at
from sensor_host.view.shapes import draw_mark, draw_panel
from sensor_host.view.stamps import colored, stamped, symbol
from sensor_host.view.strip_data import Range, Strip, range_for, strip_between, time_ticks
from sensor_host.view.theme import DARK, Theme, metrics
from sensor_host.view.timeline import Mark, Timeline

STRIP_NAMES: Final = ("contact_time_s", "pelvic_drop_deg", "vertical_oscillation_m")
SPANS_S: Final = (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_MARKED: Final = ("lap", "note", "cue", "chime")


@dataclass(frozen=True, slots=True, eq=False)
class StripsView:
    """What is shown: from when to when, a strip for each metric with its range and bands, and the marks."""

    from_s: float
    to_s: float
    strips: tuple[Strip, ...]
    ranges: tuple[Range | None, ...]
    bands: tuple[tuple[Band, ...], ...]
    marks: tuple[Mark, ...]
    laps_before: int


class Strips(QWidget):
    """Step-by-step strips of some metrics."""

    period_s: ClassVar[float] = 0.1

    picked = Signal(float)
    """A time was clicked."""

    def __init__(self, names: Sequence[str] = STRIP_NAMES, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.names = tuple(names)
        self.span_s = 300.0
        self.view: StripsView | None = None
        self.labels: Sequence[Label] = ()
        self._key: object = None
        self._ranges: dict[str, Range | None] = {}
        self._picture: QPixmap | None = None
        self._cursor: Cursor | None = None
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(900, 320)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self._repaint()

    def set_names(self, names: Sequence[str]) -> None:
        """Show these metrics from the next moment on."""
        self.names, self._key = tuple(names), None

    def set_span(self, span_s: float) -> None:
        """Show so many seconds from the next moment on."""
        self.span_s, self._key = span_s, None

    def widen(self, by: int) -> None:
        """Show more minutes, or fewer with a negative number: so many places on in `SPANS_S`."""
        place = min(range(len(SPANS_S)), key=lambda i: abs(SPANS_S[i] - self.span_s))
        self.set_span(SPANS_S[min(max(place + by, 0), len(SPANS_S) - 1)])

    def turn(self, strip: int, by: int = 1) -> None:
        """Let a strip show another metric: the next in the table that no other strip shows."""
        free = [name for name in METRICS if name == self.names[strip] or name not in self.names]
        chosen = free[(free.index(self.names[strip]) + by) % len(free)]
        self.set_names((*self.names[:strip], chosen, *self.names[strip + 1 :]))

    def follow(self, cursor: Cursor) -> None:
        """Point with this cursor where the mouse is, and draw where it points."""
        self._cursor = cursor
        cursor.moved.connect(self.update)

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Show the minutes before a moment; reckon and paint only if a step came or time went on by a pixel."""
        if not isfinite(now_s):
            return
        width = max(round(_plot_rect(QRectF(self.rect())).width()), 1)
        span_s = self._span_at(now_s - timeline.begin_s)
        pixel_s = span_s / width
        to_s = pixel_s * ceil(now_s / pixel_s)
        steps = timeline.steps
        # a step is filled up when its stride is complete
        late = int(np.isfinite(steps[-4:]).sum())
        key = (
            id(timeline),
            to_s,
            width,
            len(steps),
            late,
            len(timeline.marks),
            timeline.speed_at(now_s),
            len(timeline.cues),
        )
        if key == self._key and self._held(timeline, now_s):
            return
        self._key = key
        self.view = self._reckon(timeline, to_s - span_s, to_s, now_s, width)
        self._repaint()

    def _held(self, timeline: Timeline, now_s: float) -> bool:
        """Return whether the bands are what they were."""
        return self.view is not None and self.view.bands == tuple(bands_at(timeline, n, now_s).all for n in self.names)

    def _span_at(self, elapsed_s: float) -> float:
        """Return how much is shown: no more than the session is long, in the same few steps."""
        return min((span_s for span_s in SPANS_S if elapsed_s <= span_s < self.span_s), default=self.span_s)

    def _reckon(self, timeline: Timeline, from_s: float, to_s: float, now_s: float, width: int) -> StripsView:
        strips = tuple(strip_between(timeline, name, from_s, to_s, width) for name in self.names)
        for strip in strips:
            self._ranges[strip.name] = range_for(strip.name, strip.values, self._ranges.get(strip.name))
        return StripsView(
            from_s,
            to_s,
            strips,
            tuple(self._ranges[name] for name in self.names),
            tuple(bands_at(timeline, name, now_s).all for name in self.names),
            tuple(mark for mark in timeline.marks_between(from_s, to_s) if mark.kind in (*_MARKED, "gap")),
            sum(mark.kind == "lap" for mark in timeline.marks_between(-1e9, from_s)),
        )

    # ------------------------------------------------------------ painting

    def _repaint(self) -> None:
        self._picture = None
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._key, self._picture = None, None

    def paintEvent(self, event: QPaintEvent) -> None:
        picture = self._picture
        with QPainter(self) as painter:
            # of what is painted on, which for a picture of the window is not the widget's own
            ratio = painter.deviceTransform().m11()
            if picture is None or picture.devicePixelRatio() != ratio:
                picture = QPixmap(ceil(self.width() * ratio), ceil(self.height() * ratio))
                picture.setDevicePixelRatio(ratio)
                with QPainter(picture) as still:
                    self._paint(still)
                self._picture = picture
            painter.drawPixmap(0, 0, picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_cursor(painter)

    def _paint(self, painter: QPainter) -> None:
        rect, view = QRectF(self.rect()), self.view
        draw_panel(painter, rect, self.theme)
        if view is None:
            return
        places = _places(rect, len(view.strips))
        for i in range(len(view.strips)):
            _draw_bands(painter, places, view, i, self.theme)
        labels = [*_draw_time(painter, places, view, self.theme), *_draw_marks(painter, places, view, self.theme)]
        for i in range(len(view.strips)):
            labels += _draw_strip(painter, places, view, i, self.theme)
        draw(painter, labels)
        self.labels = labels

    def _paint_cursor(self, painter: QPainter) -> None:
        view, cursor = self.view, self._cursor
        if view is None or cursor is None or cursor.at.t_s is None or not view.from_s <= cursor.at.t_s < view.to_s:
            return
        places = _places(QRectF(self.rect()), len(view.strips))
        # on one column of pixels, not between two
        x = round(places.x_of(view, cursor.at.t_s)) + 0.5
        painter.setPen(QPen(QColor(self.theme.text), 1.0))
        painter.drawLine(QPointF(x, places.plots[0].top()), QPointF(x, places.plots[-1].bottom()))
        draw(painter, self.cursor_labels())

    def cursor_labels(self) -> Sequence[Label]:
        """Return what the cursor reads off: its time, and in each strip the step it is nearest to."""
        view, cursor = self.view, self._cursor
        if view is None or cursor is None or cursor.at.t_s is None or not view.from_s <= cursor.at.t_s < view.to_s:
            return ()
        places = _places(QRectF(self.rect()), len(view.strips))
        made: list[Label] = []
        for strip, plot in zip(view.strips, places.plots, strict=True):
            side, value = _nearest(strip, cursor.at.t_s)
            if isfinite(value):
                text = FIGURES[strip.name].text(value)
                made.append(_flag(text, places.x_of(view, cursor.at.t_s), plot, self.theme.of(side)))
        return made

    def plot_rects(self) -> Sequence[QRectF]:
        """Return where each strip's steps stand, between the times of `view`."""
        return _places(QRectF(self.rect()), len(self.names)).plots

    # ------------------------------------------------------------ the mouse

    def _time_at(self, at: QPointF) -> float | None:
        view, plot = self.view, _plot_rect(QRectF(self.rect()))
        if view is None or not plot.left() <= at.x() <= plot.right():
            return None
        return view.from_s + (at.x() - plot.left()) / plot.width() * (view.to_s - view.from_s)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        on_title = self._head_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if on_title else Qt.CursorShape.ArrowCursor)
        if self._cursor is not None:
            t_s = self._time_at(event.position())
            self._cursor.point(NOWHERE if t_s is None else Pointed(t_s))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        strip = self._head_at(event.position())
        t_s = self._time_at(event.position())
        if strip is not None:
            self.turn(strip, -1 if event.button() is Qt.MouseButton.RightButton else 1)
        elif t_s is not None:
            self.picked.emit(t_s)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y()
        if turned:
            self.widen(-1 if turned > 0 else 1)

    def _head_at(self, at: QPointF) -> int | None:
        """Return whose title is there."""
        heads = _places(QRectF(self.rect()), len(self.names)).heads
        return next((i for i, head in enumerate(heads) if _title_box(head).contains(at)), None)

    def leaveEvent(self, event: QEvent) -> None:
        if self._cursor is not None:
            self._cursor.point(NOWHERE)


# ---------------------------------------------------------------- where things stand


@dataclass(frozen=True, slots=True)
class _Places:
    """``lane`` of the marks, ``axis`` of time, and for each strip its head and its plot."""

    lane: QRectF
    axis: QRectF
    heads: tuple[QRectF, ...]
    plots: tuple[QRectF, ...]
    gutter: float

    def x_of(self, view: StripsView, t_s: float) -> float:
        plot = self.plots[0]
        return plot.left() + plot.width() * (t_s - view.from_s) / (view.to_s - view.from_s)


def _plot_rect(rect: QRectF) -> QRectF:
    """Return what of the panel the plots have in all: beside them stand the numbers of their scales."""
    rim = min(max(0.02 * rect.width(), 6.0), 14.0)
    gutter = min(max(0.05 * rect.width(), 30.0), 52.0)
    return rect.adjusted(rim + gutter, 0.7 * rim, -rim, -0.5 * rim)


def _places(rect: QRectF, n: int) -> _Places:
    inner = _plot_rect(rect)
    small = min(max(0.055 * rect.height(), 11.0), 20.0)
    lane = QRectF(inner.left(), inner.top(), inner.width(), small)
    axis = QRectF(inner.left(), inner.bottom() - small, inner.width(), small)
    high = max((axis.top() - lane.bottom()) / max(n, 1), 1.0)
    head = min(max(0.2 * high, 11.0), 22.0)
    tops = [lane.bottom() + i * high for i in range(n)]
    return _Places(
        lane,
        axis,
        tuple(QRectF(inner.left(), top, inner.width(), head) for top in tops),
        tuple(QRectF(inner.left(), top + head, inner.width(), max(high - head - 0.08 * high, 1.0)) for top in tops),
        min(max(0.05 * rect.width(), 30.0), 52.0),
    )


# ---------------------------------------------------------------- drawing


def _draw_time(painter: QPainter, places: _Places, view: StripsView, theme: Theme) -> Iterable[Label]:
    axis = places.axis
    wide = 1.6 * metrics(12).horizontalAdvance("0:00:00")
    for t_s in time_ticks(view.from_s, view.to_s, int(axis.width() / wide)):
        x = places.x_of(view, t_s)
        painter.setPen(QPen(QColor(theme.line), 1.0))
        painter.drawLine(QPointF(x, axis.top()), QPointF(x, axis.top() + 4.0))
        box = QRectF(x - 0.48 * wide, axis.top(), 0.96 * wide, axis.height())
        if box.left() >= axis.left() - places.gutter and box.right() <= axis.right() + 4.0:
            yield fitted(clock_text(t_s), box, theme.soft, align="centre", most_px=13)


def _draw_marks(painter: QPainter, places: _Places, view: StripsView, theme: Theme) -> Iterable[Label]:
    """Draw laps as flags on solid lines, cues as diamonds on dashed ones, holes as areas; yield their words."""
    lane = places.lane
    laps = view.laps_before
    drawn = [mark for mark in view.marks if mark.kind != "gap"]
    for mark in view.marks:
        if mark.kind == "gap":
            left = places.x_of(view, mark.t_s)
            right = min(places.x_of(view, mark.t_s + mark.duration_s), places.plots[0].right())
            for plot in places.plots:
                painter.fillRect(QRectF(left, plot.top(), max(right - left, 1.0), plot.height()), QColor(theme.grid))
    for i, mark in enumerate(drawn):
        x = places.x_of(view, mark.t_s)
        laps += mark.kind == "lap"
        color = QColor({"lap": theme.text, "note": theme.soft}.get(mark.kind, theme.warn))
        pen = QPen(color, theme.frame_width_px)
        if mark.kind != "lap":
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        for plot in places.plots:
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        size = 0.62 * lane.height()
        _draw_sign(painter, mark.kind, QPointF(x, lane.center().y()), size, color)
        end = places.x_of(view, drawn[i + 1].t_s) if i + 1 < len(drawn) else lane.right()
        begin = (1.3 if mark.kind == "lap" else 0.8) * size
        box = QRectF(x + begin, lane.top(), end - x - begin - 0.8 * size, lane.height())
        wordings = {"lap": (f"lap {laps} {mark.text}".strip(), f"lap {laps}", f"{laps}"), "chime": ("good", "")}
        if box.width() > 8.0:
            yield fitted((*wordings.get(mark.kind, (mark.text,)), ""), box, color.name(), weight="strong", most_px=13)


def _draw_sign(painter: QPainter, kind: str, centre: QPointF, size: float, color: QColor) -> None:
    painter.setPen(QPen(color, 1.5))
    painter.setBrush(color)
    half = size / 2
    path = QPainterPath()
    match kind:
        case "lap":
            path.moveTo(centre.x(), centre.y() - half)
            path.lineTo(centre.x() + size, centre.y() - 0.4 * half)
            path.lineTo(centre.x(), centre.y() + 0.2 * half)
            path.closeSubpath()
        case "cue":
            path.moveTo(centre.x(), centre.y() - half)
            path.lineTo(centre.x() + half, centre.y())
            path.lineTo(centre.x(), centre.y() + half)
            path.lineTo(centre.x() - half, centre.y())
            path.closeSubpath()
        case _:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            path.addEllipse(centre, 0.7 * half, 0.7 * half)
    painter.drawPath(path)


def _title_box(head: QRectF) -> QRectF:
    return QRectF(head.left(), head.top(), 0.5 * head.width(), head.height())


@dataclass(frozen=True, slots=True)
class _Axes:
    """From times and values to places in a plot."""

    plot: QRectF
    from_s: float
    to_s: float
    reach: Range
    factor: float

    def x(self, t_s: Array) -> Array:
        return self.plot.left() + self.plot.width() * (t_s - self.from_s) / (self.to_s - self.from_s)

    def y(self, values: Array) -> Array:
        """Return heights; steps beyond the scale stand at its edge."""
        share: Array = (values * self.factor - self.reach.low) / (self.reach.high - self.reach.low)
        return self.plot.bottom() - self.plot.height() * np.clip(share, 0.0, 1.0)


def _axes(places: _Places, view: StripsView, i: int) -> _Axes | None:
    reach = view.ranges[i]
    factor = FIGURES[view.strips[i].name].factor
    return None if reach is None else _Axes(places.plots[i], view.from_s, view.to_s, reach, factor)


def _draw_bands(painter: QPainter, places: _Places, view: StripsView, i: int, theme: Theme) -> None:
    axes = _axes(places, view, i)
    if axes is None:
        return
    plot = axes.plot
    painter.setPen(QPen(QColor(theme.grid), 1.0))
    for tick in axes.reach.ticks[1:]:
        y = float(axes.y(np.array([tick / axes.factor]))[0])
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
    for band in view.bands[i]:
        top, bottom = axes.y(np.array([band.high, band.low])).tolist()
        _draw_band(painter, band, plot, top, bottom, theme)
    painter.setPen(QPen(QColor(theme.line), theme.frame_width_px))
    painter.drawLine(plot.bottomLeft(), plot.bottomRight())


def _draw_strip(painter: QPainter, places: _Places, view: StripsView, i: int, theme: Theme) -> Iterable[Label]:
    head, strip, axes = places.heads[i], view.strips[i], _axes(places, view, i)
    figure = FIGURES[strip.name]
    half = _title_box(head)
    yield fitted((f"{figure.title}, {figure.unit}", figure.title), half, theme.soft, weight="strong", most_px=15)
    if axes is None:
        yield fitted(("no step yet", "–"), places.plots[i], theme.soft, align="centre", most_px=16)
        return
    rest = QRectF(half.right(), head.top(), head.right() - half.right(), head.height())
    yield from _legend(painter, rest, strip, theme)
    _draw_steps(painter, strip, axes, theme)
    for side, (t_s, values) in strip.lines.items():
        painter.setPen(QPen(QColor(theme.text if side is Side.UNKNOWN else theme.of(side)), theme.mean_width_px))
        painter.drawLines(_segments(axes.x(t_s), axes.y(values)))
    yield from _tick_labels(places, axes.plot, axes.reach, strip.name, theme)


def _segments(x_px: Array, y_px: Array) -> Sequence[QLineF]:
    """Return a line piece by piece: Qt strokes a broad path of many points ten times as slowly."""
    points = np.stack((x_px[:-1], y_px[:-1], x_px[1:], y_px[1:]), axis=1)
    return [QLineF(*ends) for ends in points[np.isfinite(points).all(axis=1)].tolist()]


# single steps stand back behind the line of their medians
_OPACITY: Final = 0.62
# no smaller than this, however many there are: a triangle must still be one
_LEAST_SYMBOL_PX: Final = 4.0


def _draw_steps(painter: QPainter, strip: Strip, axes: _Axes, theme: Theme) -> None:
    ratio = painter.device().devicePixelRatio()
    most = max(len(t_s) for t_s, _ in strip.points.values())
    # in low strips, and where many steps stand beside each other, symbols are smaller
    size = theme.symbol_px * min(
        1.0, axes.plot.height() / 90.0, 4.0 * axes.plot.width() / (theme.symbol_px * max(most, 1))
    )
    pixels = round(ratio * max(size, _LEAST_SYMBOL_PX))
    # symbols at the edge are not cut
    rim = size
    left, top = round(axes.plot.left() - rim), round(axes.plot.top() - rim)
    width, height = ceil(ratio * (axes.plot.width() + 2 * rim)), ceil(ratio * (axes.plot.height() + 2 * rim))
    for side in (Side.UNKNOWN, Side.LEFT, Side.RIGHT):
        t_s, values = strip.points[side]
        if len(t_s):
            x_px, y_px = ratio * (axes.x(t_s) - left), ratio * (axes.y(values) - top)
            coverage = stamped(width, height, x_px, y_px, symbol(side, pixels))
            painter.drawImage(QPointF(left, top), colored(coverage, theme.of(side), _OPACITY, ratio))


def _tick_labels(places: _Places, plot: QRectF, reach: Range, name: str, theme: Theme) -> Iterable[Label]:
    figure = FIGURES[name]
    high = min(max(0.16 * plot.height(), 11.0), 15.0)
    room = plot.height() / max(len(reach.ticks) - 1, 1)
    # every second or third where there is no room for all
    for tick in reach.ticks[:: max(ceil(1.1 * high / max(room, 0.1)), 1)]:
        y = plot.bottom() - plot.height() * (tick - reach.low) / (reach.high - reach.low)
        y = min(max(y, plot.top() + 0.3 * high), plot.bottom() - 0.3 * high)
        box = QRectF(plot.left() - places.gutter, y - high / 2, places.gutter - 5.0, high)
        yield fitted(figure.text(tick / figure.factor), box, theme.soft, align="right", most_px=13)


def _legend(painter: QPainter, box: QRectF, strip: Strip, theme: Theme) -> Iterable[Label]:
    """Yield the medians of the moment at the right of a strip's head, each behind its side's shape."""
    x = box.right()
    px = round(min(0.8 * box.height(), 16.0))
    for side in (Side.RIGHT, Side.LEFT, Side.UNKNOWN):
        value = strip.latest.get(side)
        if value is None:
            continue
        text = FIGURES[strip.name].text(value)
        wide = metrics(px, "strong").horizontalAdvance(text) + 4.0
        if x - wide - 1.4 * px < box.left():
            return
        color = theme.text if side is Side.UNKNOWN else theme.of(side)
        yield fitted(
            text, QRectF(x - wide, box.top(), wide, box.height()), color, weight="strong", align="right", most_px=px
        )
        if side is not Side.UNKNOWN:
            draw_mark(painter, theme, side, QPointF(x - wide - 0.45 * px, box.center().y()), 0.62 * px)
        x -= wide + 1.6 * px


# a whole plot may lie in the norm: a field of it must stay quiet
_BAND_OPACITY: Final = 0.6


def _draw_band(painter: QPainter, band: Band, plot: QRectF, top: float, bottom: float, theme: Theme) -> None:
    area = QRectF(plot.left(), top, plot.width(), bottom - top)
    if band.kind == "norm":
        color = QColor(theme.band)
        color.setAlphaF(_BAND_OPACITY)
        painter.fillRect(area, color)
        return
    pen = QPen(QColor(theme.own if band.kind == "own" else theme.cue), theme.frame_width_px)
    pen.setDashPattern([6.0, 4.0] if band.kind == "own" else [2.0, 3.0])
    painter.setPen(pen)
    for y in (top, bottom):
        # an edge beyond the scale is not seen there
        if plot.top() < y < plot.bottom():
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))


def _nearest(strip: Strip, t_s: float) -> tuple[Side, float]:
    """Return side and value of the step nearest to a time, no further than two seconds away; else unknown, NaN."""
    best, found = 2.0, (Side.UNKNOWN, float("nan"))
    for side, (times, values) in strip.points.items():
        if len(times):
            i = int(np.argmin(np.abs(times - t_s)))
            if abs(float(times[i]) - t_s) < best:
                best, found = abs(float(times[i]) - t_s), (side, float(values[i]))
    return found


def _flag(text: str, x: float, plot: QRectF, color: str) -> Label:
    """Return what a cursor reads off, beside its line, on whichever side there is room."""
    px = round(min(max(0.2 * plot.height(), 11.0), 16.0))
    wide = metrics(px, "strong").horizontalAdvance(text) + 4.0
    left = x + 5.0 if x + 5.0 + wide <= plot.right() else x - 5.0 - wide
    box = QRectF(left, plot.top() + 1.0, wide, metrics(px, "strong").height())
    return fitted(text, box, color, weight="strong", most_px=px)
