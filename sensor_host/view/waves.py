"""Waveforms of the last seconds: acceleration and angles, with every contact of the left and the right foot.

1. Time runs from the left to now at the right edge, in seconds before now: axes stand still, curves move.
2. Ranges are fixed and come in steps, so that heights can be compared by eye; a range grows at once and shrinks late.
3. No line is drawn across a hole. Contacts, feet, marks and gaps stand behind the curves (`sensor_host.view.backdrop`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil, inf
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Array, Side
from sensor_host.view.backdrop import FONT_PX, Backdrop, Lanes, seen
from sensor_host.view.theme import DARK, SIDE_LOOKS, Theme, font
from sensor_host.view.timeline import MOTION_COLUMNS, Timeline

# it carries no types
pg: Any = import_module("pyqtgraph")


@dataclass(frozen=True, slots=True)
class Trace:
    """A waveform: a column of `MOTION_COLUMNS`, and the ranges it may be shown in, from narrow to wide."""

    column: str
    title: str
    unit: str
    ranges: tuple[tuple[float, float], ...]


def _symmetric(*limits: float) -> tuple[tuple[float, float], ...]:
    return tuple((-limit, limit) for limit in limits)


TRACES: Final = (
    # running seldom leaves -2 to 6 g at the sacrum; 16 g is where sensors end
    Trace("acc_up_g", "Vertical acceleration", "g", ((-2, 4), (-2, 6), (-4, 8), (-8, 16), (-16, 16))),
    Trace("acc_forward_g", "Fore-aft acceleration, forward +", "g", _symmetric(1, 2, 4, 8, 16)),
    Trace("obliquity_deg", "Obliquity, right side up +", "deg", _symmetric(6, 12, 24, 48, 90)),
    Trace("rotation_deg", "Rotation, right side forward +", "deg", _symmetric(8, 16, 32, 64, 180)),
)
"""What is shown, from top to bottom; signs as in docs/frames.md."""

SPANS_S: Final = (5.0, 10.0, 20.0, 30.0, 60.0)
DEFAULT_SPAN_S: Final = 10.0

# 3 s: a range that became too wide stays for a few strides, or it would jump with each of them
SHRINK_AFTER_S: Final = 3.0
# 4 points a pixel: from there on the highest and the lowest of each pixel look the same
THIN_FROM: Final = 4

# 3 px of the screen: 1.5 of the window on a screen of double density
MOST_PX: Final = 3

AXIS_PX: Final = 40
MARKS_PX: Final = 22
FEET_PX: Final = 34
COMPACT_FEET_PX: Final = 20
TIME_AXIS_PX: Final = 22

_COLUMN: Final = {name: i for i, name in enumerate(MOTION_COLUMNS)}


class Waves(QWidget):
    """Waveforms and contacts of the last ``span_s`` seconds before a moment.

    Parameters
    ----------
    traces
        Which waveforms, from top to bottom.
    compact
        Without titles, axes and words: for a card.
    """

    period_s: ClassVar[float] = 1 / 30

    def __init__(
        self, traces: Sequence[Trace] = TRACES, *, compact: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.traces = tuple(traces)
        self.span_s = DEFAULT_SPAN_S
        self._compact = compact
        self._drawn: tuple[object, ...] = ()
        self._laid_out: tuple[object, ...] = ()
        self._view = pg.GraphicsLayoutWidget()
        self._view.setAntialiasing(False)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        # clicks and wheel are the window's
        self._view.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        inside = self._view.ci.layout
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        self._plots = [_TracePlot(self._plot(i), trace) for i, trace in enumerate(self.traces)]
        self._feet = self._plot(len(self.traces))
        self._lay_out(inside)
        self.backdrop = Backdrop()
        self._view.scene().addItem(self.backdrop)
        self.set_theme(DARK)
        self.set_span(DEFAULT_SPAN_S)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._view.setBackground(theme.panel)
        self.backdrop.set_theme(theme)
        for plot in self._plots:
            plot.set_theme(theme)
        _dress(self._feet, theme)
        self._drawn = ()

    def set_span(self, span_s: float) -> None:
        """Show so many seconds."""
        self.span_s = span_s
        for plot in self._plots:
            plot.set_span(span_s)
        self._feet.setXRange(-span_s, 0, padding=0)
        step_s = span_s / 5
        self._feet.getAxis("bottom").setTicks([[(-i * step_s, f"-{i * step_s:g} s") for i in range(1, 5)], []])
        self._drawn = ()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Draw the seconds before ``now_s``."""
        drawn = (id(timeline), timeline.version, now_s, self.span_s)
        if drawn == self._drawn or not np.isfinite(now_s):
            return
        self._drawn = drawn
        from_s = now_s - self.span_s
        t_s, values = timeline.motion(from_s, now_s)
        x = t_s - now_s
        wide_px = max(1, self.width() - AXIS_PX)
        every = ceil(len(x) / wide_px) if len(x) > THIN_FROM * wide_px else 1
        for plot in self._plots:
            plot.draw(t_s, x, values[:, _COLUMN[plot.trace.column]], every, now_s)
        self._place_backdrop()
        self.backdrop.show_seen(seen(timeline, from_s, now_s))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._drawn = self._laid_out = ()
        super().resizeEvent(event)

    # ------------------------------------------------------------ where things are

    def _plot(self, row: int) -> Any:
        plot = self._view.addPlot(row=row, col=0)
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.disableAutoRange()
        plot.layout.setContentsMargins(0, 0, 0, 0)
        plot.hideAxis("bottom")
        if self._compact:
            plot.hideAxis("left")
        else:
            plot.getAxis("left").setWidth(AXIS_PX)
        return plot

    def _lay_out(self, inside: Any) -> None:
        feet_px = COMPACT_FEET_PX if self._compact else FEET_PX + TIME_AXIS_PX
        inside.setRowFixedHeight(len(self.traces), feet_px)
        self._feet.setYRange(0, 1, padding=0)
        if self._compact:
            return
        inside.setContentsMargins(0, MARKS_PX, 0, 0)
        lanes = [(y, SIDE_LOOKS[side].letter) for y, side in ((0.73, Side.LEFT), (0.27, Side.RIGHT))]
        self._feet.getAxis("left").setTicks([lanes, []])
        self._feet.showAxis("bottom")
        self._feet.getAxis("bottom").setHeight(TIME_AXIS_PX)

    def _place_backdrop(self) -> None:
        feet: QRectF = self._feet.vb.sceneBoundingRect()
        laid_out = (feet.getRect(), self.span_s, *(plot.chosen for plot in self._plots))
        if laid_out == self._laid_out:
            return
        self._laid_out = laid_out
        plots: list[tuple[QRectF, float, str]] = []
        for plot in self._plots:
            rect, zero_y = plot.place()
            title = "" if self._compact else f"{plot.trace.title}  ({plot.trace.unit})"
            plots.append((rect, zero_y, title))
        top = plots[0][0].top()
        marks = QRectF(feet.left(), top - MARKS_PX, feet.width(), 0.0 if self._compact else MARKS_PX)
        self.backdrop.set_lanes(Lanes(marks, plots, feet), self.span_s)

    # ------------------------------------------------------------ what is drawn, for tests and a shared cursor

    @property
    def plotted(self) -> QRectF:
        """Where time runs from ``span_s`` before now to now: all plots together, in pixels of this widget."""
        first: QRectF = self._plots[0].place()[0]
        return first.united(self._feet.vb.sceneBoundingRect())

    def curve(self, column: str) -> tuple[Array, Array]:
        """Return what of a waveform is drawn: seconds before now, and values."""
        return self._of(column).curve.getData()  # type: ignore[no-any-return]

    def contacts(self, side: Side) -> Array:
        """Return the seconds before now at which a side's confirmed contacts are drawn."""
        at = self.backdrop.seen.stances[side][:, 0]
        return at[at > -self.span_s]

    def range_of(self, column: str) -> tuple[float, float]:
        """Return the range in which a waveform is shown."""
        plot = self._of(column)
        return plot.trace.ranges[plot.chosen]

    def _of(self, column: str) -> _TracePlot:
        (plot,) = (plot for plot in self._plots if plot.trace.column == column)
        return plot


# ---------------------------------------------------------------- one waveform


class _TracePlot:
    def __init__(self, plot: Any, trace: Trace) -> None:
        self.trace = trace
        self.chosen = 0
        self._plot = plot
        self._span_s = DEFAULT_SPAN_S
        self._fits_since_s = inf
        self._shown_s = -inf
        # Qt draws lines of more than one pixel four times as slowly: a wide line is drawn again, side by side
        self.curve, *self._again = (pg.PlotCurveItem(skipFiniteCheck=True, antialias=False) for _ in range(MOST_PX))
        self._width_px = 1.0
        for curve in (self.curve, *self._again):
            curve.setSegmentedLineMode("on")
            plot.addItem(curve, ignoreBounds=True)
        self._choose(0)

    def set_theme(self, theme: Theme) -> None:
        for curve in (self.curve, *self._again):
            curve.setPen(pg.mkPen(QColor(theme.text), width=1))
        self._width_px = theme.trace_width_px
        _dress(self._plot, theme)

    def set_span(self, span_s: float) -> None:
        self._span_s = span_s
        self._plot.setXRange(-span_s, 0, padding=0)

    def place(self) -> tuple[QRectF, float]:
        """Return where the plot is, and how high its zero, in pixels of the scene."""
        rect: QRectF = self._plot.vb.sceneBoundingRect()
        return rect, self._plot.vb.mapViewToScene(QPointF(0.0, 0.0)).y()

    def draw(self, t_s: Array, x: Array, y: NDArray[np.float32], every: int, now_s: float) -> None:
        unknown = np.isnan(y)
        if not unknown.any():
            if len(y):
                self._fit(float(y.min()), float(y.max()), now_s)
            if every > 1:
                x, y = thinned(round(t_s[0] / GRID_PERIOD_S), x, y, every)
            self._draw(x, y, "all")
            return
        known = ~unknown
        if known.any():
            self._fit(float(y[known].min()), float(y[known].max()), now_s)
        # what is not known stands at zero, and no line leads to it or away from it
        joined = np.zeros(len(y), np.int32)
        joined[:-1] = known[:-1] & known[1:]
        self._draw(x, np.where(unknown, np.float32(0), y), joined)

    def _draw(self, x: Array, y: NDArray[np.float32], connect: str | NDArray[np.int32]) -> None:
        self.curve.setData(x, y, connect=connect, skipFiniteCheck=True)
        # a curve's pixels are those of the screen, of which a dense one has several to a pixel of the window
        density = self._plot.scene().views()[0].devicePixelRatioF()
        wanted = int(self._width_px * density + 0.5)
        for number, curve in enumerate(self._again, start=1):
            curve.setVisible(number < wanted)
            if number < wanted:
                curve.setData(x, y, connect=connect, skipFiniteCheck=True)
                curve.setPos(number * self._plot.vb.viewPixelSize()[0] / density, 0)

    def _fit(self, low: float, high: float, now_s: float) -> None:
        """Choose the range for what is seen now."""
        ranges = self.trace.ranges
        needed = next((i for i, (lo, hi) in enumerate(ranges) if lo <= low and high <= hi), len(ranges) - 1)
        jumped = abs(now_s - self._shown_s) > self._span_s
        self._shown_s = now_s
        if needed >= self.chosen or jumped:
            self._fits_since_s = inf
            if needed != self.chosen:
                self._choose(needed)
        elif self._fits_since_s == inf:
            self._fits_since_s = now_s
        elif now_s - self._fits_since_s > SHRINK_AFTER_S:
            self._fits_since_s = inf
            self._choose(needed)

    def _choose(self, index: int) -> None:
        self.chosen = index
        low, high = self.trace.ranges[index]
        self._plot.setYRange(low, high, padding=0)
        # quarters, without those at the edges, whose numbers would be cut in two
        step = (high - low) / (4 if low == -high else 3)
        ticks = np.arange(low + step, high - step / 2, step)
        self._plot.getAxis("left").setTicks([[(tick, f"{tick:g}") for tick in ticks.tolist()], []])


def thinned(first: int, x: Array, y: NDArray[np.float32], every: int) -> tuple[Array, NDArray[np.float32]]:
    """Return the lowest and the highest of every so many points, in their places.

    ``first`` is the number of the first point: portions hang on it, so that a curve that moves does not flicker.
    """
    skip = -first % every
    whole = (len(x) - skip) // every * every
    portions = y[skip : skip + whole].reshape(-1, every)
    begin = skip + every * np.arange(len(portions))
    ends = np.stack((begin + portions.argmin(axis=1), begin + portions.argmax(axis=1)), axis=1)
    ends.sort(axis=1)
    at = np.concatenate((np.arange(skip), ends.ravel(), np.arange(skip + whole, len(x))))
    return x[at], y[at]


def _dress(plot: Any, theme: Theme) -> None:
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(pg.mkPen(QColor(theme.line), width=theme.frame_width_px))
        axis.setTextPen(pg.mkPen(QColor(theme.soft)))
        axis.setTickFont(font(FONT_PX))
        axis.setStyle(tickLength=0)
