"""Waveforms of the last seconds: acceleration and angles, with every contact of the left and the right foot.

1. Time runs from the left to now at the right edge, in seconds before now: axes stand still, curves move.
2. Ranges are fixed and come in steps, so that heights can be compared by eye; a range grows at once and shrinks late.
3. All contacts of a side are one item, whatever their number. No line is drawn across a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil, inf
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Array, Side
from sensor_host.view.theme import DARK, SIDE_LOOKS, Theme, font
from sensor_host.view.timeline import MOTION_COLUMNS, SIDE_CODES, Mark, Timeline

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
# 0.6 s: longer than any stance of running; a contact that is older and unconfirmed is not drawn as a foot on the ground
LONGEST_STANCE_S: Final = 0.6
# 4 points a pixel: from there on the highest and the lowest of each pixel look the same
THIN_FROM: Final = 4

AXIS_PX: Final = 46
LANE_PX: Final = 40
MARKS_PX: Final = 22
TIME_AXIS_PX: Final = 22
FONT_PX: Final = 12
# how visible grid and contact lines are, of 255
GRID_ALPHA: Final = 70
CONTACT_ALPHA: Final = 150

SIDES: Final = (Side.LEFT, Side.RIGHT)
# where a side's bars lie in the lane of the feet
_LANES: Final = {Side.LEFT: (0.55, 0.95), Side.RIGHT: (0.05, 0.45)}
_COLUMN: Final = {name: i for i, name in enumerate(MOTION_COLUMNS)}

_MARK_SIGNS: Final = {"lap": "Lap", "note": "Mark", "cue": "", "chime": "Chime", "notice": "", "gap": "Gap"}


class _Part(Protocol):
    """One of the plots that share the time axis."""

    def set_theme(self, theme: Theme) -> None: ...

    def set_span(self, span_s: float) -> None: ...


class Waves(QWidget):
    """Waveforms and contacts of the last ``span_s`` seconds before a moment.

    Parameters
    ----------
    traces
        Which waveforms, from top to bottom.
    compact
        Without titles, axes and words: for a card.
    """

    period_s = 1 / 30

    def __init__(
        self, traces: Sequence[Trace] = TRACES, *, compact: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.traces = tuple(traces)
        self.span_s = DEFAULT_SPAN_S
        self._compact = compact
        self._theme: Theme = DARK
        self._drawn: tuple[object, ...] = ()
        self._view = pg.GraphicsLayoutWidget()
        self._view.setAntialiasing(False)
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        inside = self._view.ci.layout
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        self._marks = None if compact else _Marks(self._plot(0))
        self._plots = [
            _TracePlot(self._plot(1 + i), trace, compact=compact, has_symbols=i == 0)
            for i, trace in enumerate(self.traces)
        ]
        self._feet = _Feet(self._plot(1 + len(self.traces)), compact=compact)
        self._times: list[_Part] = [*self._plots, self._feet, *([self._marks] if self._marks is not None else [])]
        inside.setRowFixedHeight(1 + len(self.traces), (0 if compact else TIME_AXIS_PX) + (16 if compact else LANE_PX))
        if not compact:
            inside.setRowFixedHeight(0, MARKS_PX)
        self.set_theme(DARK)
        self.set_span(DEFAULT_SPAN_S)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        self._view.setBackground(theme.panel)
        for plot in self._times:
            plot.set_theme(theme)
        self._drawn = ()

    def set_span(self, span_s: float) -> None:
        """Show so many seconds."""
        self.span_s = span_s
        for plot in self._times:
            plot.set_span(span_s)
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
        contacts = _contacts(timeline, from_s, now_s)
        marks = timeline.marks_between(from_s - LONGEST_STANCE_S, now_s)
        for plot in self._plots:
            plot.draw(t_s, x, values[:, _COLUMN[plot.trace.column]], every, now_s)
            plot.draw_contacts(contacts)
            plot.draw_marks(marks, now_s)
        self._feet.draw(contacts)
        if self._marks is not None:
            self._marks.draw(marks, now_s)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._drawn = ()
        super().resizeEvent(event)

    def _plot(self, row: int) -> Any:
        plot = self._view.addPlot(row=row, col=0)
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.disableAutoRange()
        plot.layout.setContentsMargins(0, 0, 0, 0)
        plot.getAxis("bottom").setStyle(showValues=False)
        plot.hideAxis("bottom")
        if self._compact:
            plot.hideAxis("left")
        else:
            plot.getAxis("left").setWidth(AXIS_PX)
        return plot

    # ------------------------------------------------------------ what is drawn, for tests and a shared cursor

    def curve(self, column: str) -> tuple[Array, Array]:
        """Return what of a waveform is drawn: seconds before now, and values."""
        (plot,) = (plot for plot in self._plots if plot.trace.column == column)
        return plot.curve.getData()  # type: ignore[no-any-return]

    def contacts(self, side: Side) -> Array:
        """Return the seconds before now at which a side's confirmed contacts are drawn."""
        x: Array | None = self._plots[0].lines[side].getData()[0]
        return np.empty(0) if x is None else x[::2]

    def stances(self, side: Side) -> Array:
        """Return the drawn bars of a side, (n, 2): seconds before now of contact and toe-off."""
        bars = self._feet.bars[side].opts
        return np.column_stack((bars["x0"], bars["x1"]))

    def range_of(self, column: str) -> tuple[float, float]:
        """Return the range in which a waveform is shown."""
        (plot,) = (plot for plot in self._plots if plot.trace.column == column)
        return plot.trace.ranges[plot.chosen]


# ---------------------------------------------------------------- contacts


@dataclass(frozen=True, slots=True)
class _Contacts:
    """Contacts in seconds before now, by side: confirmed ones (n, 2) with their toe-off, and those still open (m,)."""

    stances: dict[Side, Array]
    open: dict[Side, Array]


def _contacts(timeline: Timeline, from_s: float, now_s: float) -> _Contacts:
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
    return _Contacts(stances, still_open)


def _pairs(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return upright lines at ``x`` for ``connect="pairs"``."""
    return np.repeat(x, 2), np.tile((low, high), len(x))


def _pen(color: str, width_px: float = 1.0, alpha: int = 255, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> Any:
    made = QColor(color)
    made.setAlpha(alpha)
    return pg.mkPen(made, width=width_px, style=style)


def _lines(plot: Any) -> Any:
    """Add one item for any number of upright lines."""
    item = pg.PlotCurveItem(connect="pairs", skipFiniteCheck=True, antialias=False)
    item.setSegmentedLineMode("on")
    plot.addItem(item, ignoreBounds=True)
    return item


# ---------------------------------------------------------------- one waveform


class _TracePlot:
    def __init__(self, plot: Any, trace: Trace, *, compact: bool, has_symbols: bool) -> None:
        self.trace = trace
        self.chosen = 0
        self._plot = plot
        self._fits_since_s = inf
        self._shown_s = -inf
        self._gaps = pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[], pen=None)
        plot.addItem(self._gaps, ignoreBounds=True)
        self.lines = {side: _lines(plot) for side in SIDES}
        self._marks, self._cues = _lines(plot), _lines(plot)
        self.curve = pg.PlotCurveItem(skipFiniteCheck=True, antialias=False)
        self.curve.setSegmentedLineMode("on")
        plot.addItem(self.curve, ignoreBounds=True)
        self._symbols: dict[Side, Any] = {}
        self._open: dict[Side, Any] = {}
        for side in SIDES if has_symbols else ():
            for items in (self._symbols, self._open):
                items[side] = pg.ScatterPlotItem(pxMode=True, antialias=True)
                plot.addItem(items[side], ignoreBounds=True)
        self._title = None
        if not compact:
            self._title = pg.TextItem(anchor=(0, 0))
            plot.addItem(self._title, ignoreBounds=True)
        self._span_s = DEFAULT_SPAN_S
        self._choose(0)

    def set_theme(self, theme: Theme) -> None:
        self.curve.setPen(_pen(theme.text, theme.trace_width_px))
        self._gaps.setOpts(brush=QColor(theme.grid))
        self._marks.setPen(_pen(theme.soft, theme.frame_width_px))
        self._cues.setPen(_pen(theme.cue, theme.frame_width_px + 1))
        for side in SIDES:
            self.lines[side].setPen(_pen(theme.of(side), theme.frame_width_px, CONTACT_ALPHA))
            look = SIDE_LOOKS[side]
            for items, filled in ((self._symbols, True), (self._open, False)) if self._symbols else ():
                items[side].setSymbol(look.symbol)
                items[side].setSize(theme.symbol_px + 2)
                items[side].setPen(_pen(theme.of(side), 1.5))
                items[side].setBrush(QColor(theme.of(side)) if filled else None)
        if self._title is not None:
            self._title.setFont(font(FONT_PX))
            self._title.setText(f"{self.trace.title}  ({self.trace.unit})", color=theme.soft)
        _dress(self._plot, theme)

    def set_span(self, span_s: float) -> None:
        self._span_s = span_s
        self._plot.setXRange(-span_s, 0, padding=0)
        _time_ticks(self._plot, span_s)
        self._choose(self.chosen)

    def draw(self, t_s: Array, x: Array, y: NDArray[np.float32], every: int, now_s: float) -> None:
        unknown = np.isnan(y)
        if not unknown.any():
            self._fit(float(y.min()) if len(y) else 0.0, float(y.max()) if len(y) else 0.0, now_s)
            if every > 1:
                x, y = thinned(round(t_s[0] / GRID_PERIOD_S), x, y, every)
            self.curve.setData(x, y, connect="all", skipFiniteCheck=True)
            return
        known = ~unknown
        if known.any():
            self._fit(float(y[known].min()), float(y[known].max()), now_s)
        # a point that is not known hides between two others, and no line leads to it or from it
        joined = (known & np.append(known[1:], False)).astype(np.int32)
        self.curve.setData(x, np.where(unknown, np.float32(0), y), connect=joined, skipFiniteCheck=True)

    def draw_contacts(self, contacts: _Contacts) -> None:
        low, high = self.trace.ranges[self.chosen]
        for side in SIDES:
            at = contacts.stances[side][:, 0]
            at = at[at > -self._span_s]
            self.lines[side].setData(*_pairs(at, low, high), connect="pairs", skipFiniteCheck=True)
            if self._symbols:
                # a tenth below the edge, so that a symbol is seen whole
                height = high - 0.1 * (high - low)
                self._symbols[side].setData(at, np.full(len(at), height))
                self._open[side].setData(contacts.open[side], np.full(len(contacts.open[side]), height))

    def draw_marks(self, marks: Sequence[Mark], now_s: float) -> None:
        low, high = self.trace.ranges[self.chosen]
        for item, kinds in ((self._marks, ("lap", "note", "notice")), (self._cues, ("cue", "chime"))):
            at = np.array([mark.t_s - now_s for mark in marks if mark.kind in kinds], np.float64)
            item.setData(*_pairs(at, low, high), connect="pairs", skipFiniteCheck=True)
        begin = np.array([mark.t_s - now_s for mark in marks if mark.kind == "gap"], np.float64)
        length = np.array([mark.duration_s for mark in marks if mark.kind == "gap"], np.float64)
        if len(begin) or len(self._gaps.opts["x0"]):
            self._gaps.setOpts(x0=begin, x1=begin + length, y0=np.full(len(begin), low), y1=np.full(len(begin), high))

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
        middle = 0.0 if low == -high else (low + high) / 2
        ticks = sorted({low, 0.0, middle, high})
        # the numbers at the edges would be cut in two by them
        inner = [(value, f"{value:g}") for value in ticks if low < value < high]
        half = [(value, f"{value:g}") for value in (low / 2, high / 2) if low == -high]
        self._plot.getAxis("left").setTicks([sorted({*inner, *half}), []])
        if self._title is not None:
            self._title.setPos(-self._span_s, high)


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


# ---------------------------------------------------------------- feet on the ground, and the time axis


class _Feet:
    def __init__(self, plot: Any, *, compact: bool) -> None:
        self._plot = plot
        self.bars: dict[Side, Any] = {}
        self.open: dict[Side, Any] = {}
        for side in SIDES:
            for items in (self.bars, self.open):
                items[side] = pg.BarGraphItem(x0=np.empty(0), x1=np.empty(0), y0=np.empty(0), y1=np.empty(0))
                plot.addItem(items[side], ignoreBounds=True)
        plot.setYRange(0, 1, padding=0)
        lanes = [(sum(_LANES[side]) / 2, SIDE_LOOKS[side].letter) for side in SIDES]
        plot.getAxis("left").setTicks([lanes, []])
        if not compact:
            plot.showAxis("bottom")
            plot.getAxis("bottom").setStyle(showValues=True)
            plot.getAxis("bottom").setHeight(TIME_AXIS_PX)

    def set_theme(self, theme: Theme) -> None:
        for side in SIDES:
            color = QColor(theme.of(side))
            self.bars[side].setOpts(pen=_pen(theme.of(side)), brush=color)
            self.open[side].setOpts(pen=_pen(theme.of(side), 1.5, style=Qt.PenStyle.DotLine), brush=QColor(0, 0, 0, 0))
        _dress(self._plot, theme)

    def set_span(self, span_s: float) -> None:
        self._plot.setXRange(-span_s, 0, padding=0)
        _time_ticks(self._plot, span_s)

    def draw(self, contacts: _Contacts) -> None:
        for side in SIDES:
            stances, begin = contacts.stances[side], contacts.open[side]
            _bars(self.bars[side], stances[:, 0], stances[:, 1], side)
            _bars(self.open[side], begin, np.minimum(begin + LONGEST_STANCE_S, 0.0), side)


def _bars(item: Any, begin: Array, end: Array, side: Side) -> None:
    low, high = _LANES[side]
    item.setOpts(x0=begin, x1=end, y0=np.full(len(begin), low), y1=np.full(len(begin), high))


class _Marks:
    """The lane in which marks are told in words."""

    def __init__(self, plot: Any) -> None:
        self._plot = plot
        self._texts: list[Any] = []
        self._theme: Theme = DARK
        plot.setYRange(0, 1, padding=0)
        plot.getAxis("left").setTicks([[], []])

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for text in self._texts:
            self._plot.removeItem(text)
        self._texts.clear()
        _dress(self._plot, theme)
        self._plot.getAxis("left").setPen(QColor(0, 0, 0, 0))

    def set_span(self, span_s: float) -> None:
        self._plot.setXRange(-span_s, 0, padding=0)

    def draw(self, marks: Sequence[Mark], now_s: float) -> None:
        while len(self._texts) < len(marks):
            text = pg.TextItem(anchor=(0, 0.5))
            text.setFont(font(FONT_PX, "strong"))
            self._plot.addItem(text, ignoreBounds=True)
            self._texts.append(text)
        for text in self._texts[len(marks) :]:
            text.setVisible(False)
        for text, mark in zip(self._texts, marks, strict=False):
            spoken = mark.kind in ("cue", "chime")
            words = f"{_MARK_SIGNS[mark.kind]} {mark.text}".strip()
            if text.toPlainText() != words:
                text.setText(words, color=self._theme.on_cue if spoken else self._theme.text)
                text.fill = pg.mkBrush(self._theme.cue if spoken else self._theme.panel)
            text.setPos(mark.t_s - now_s, 0.5)
            text.setVisible(True)

    @property
    def words(self) -> list[str]:
        return [text.toPlainText() for text in self._texts if text.isVisible()]


def _dress(plot: Any, theme: Theme) -> None:
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(_pen(theme.line, theme.frame_width_px))
        axis.setTextPen(_pen(theme.soft))
        axis.setTickPen(_pen(theme.grid, theme.frame_width_px))
        axis.setTickFont(font(FONT_PX))
        axis.setStyle(tickLength=0)


def _time_ticks(plot: Any, span_s: float) -> None:
    step_s = span_s / 5
    ticks = [(-i * step_s, "now" if i == 0 else f"-{i * step_s:g} s") for i in range(6)]
    plot.getAxis("bottom").setTicks([ticks[1:-1], []])
