"""The stride view: mean curves of both feet over a stride, with their spread, against what was chosen for comparison.

1. Left is a solid line, right a dashed one; the colours are those of everywhere. What is compared with is drawn in one
   colour of its own, with the same lines. Bands are one standard deviation to either side.
2. Obliquity and rotation are those of the foot in contact (`sensor_host.view.curves`): where both feet do the same,
   their curves lie on one another.
3. Beside each plot stand the numbers; below, how many strides there were, and why others were left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from pelvis.data import Array, Side
from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.curves import (
    CURVES,
    OBLIQUITY,
    PERCENT,
    SIDES,
    Curve,
    Number,
    SectionCurves,
    SideCurves,
    phase_at,
    section_curves,
)
from sensor_host.view.theme import DARK, SIDE_LOOKS, Theme, font, metrics
from sensor_host.view.timeline import Timeline
from sensor_host.view.transport import Section

# it carries no types
pg: Any = import_module("pyqtgraph")

# 60 s: some eighty strides of each foot; a mean is then steady, and still of now
LAST_S: Final = 60.0
SHOWN: Final = tuple(i for i, curve in enumerate(CURVES) if curve.column != "tilt_deg")
COLUMNS: Final = 2
TEXT_PX: Final = 13
SMALL_PX: Final = 12
AXIS_PX: Final = 42
# the widest that stands beside a plot
WIDEST: Final = "at contact  −00.00 ± 0.00  −00.00 ± 0.00"
BAND_ALPHA: Final = 60
GRID_ALPHA: Final = 60
# what changes is seen at once, a range that has become too wide stays
SHRINK_BELOW: Final = 0.6
MARGIN: Final = 0.08

_LINES: Final = {Side.LEFT: Qt.PenStyle.SolidLine, Side.RIGHT: Qt.PenStyle.DashLine}


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared with: its name as it is shown, its curves, and what is behind them where it is not strides."""

    name: str
    curves: SectionCurves
    behind: str = ""
    one: bool = False
    """Both feet have the same: it is drawn once."""


class StrideView(QWidget):
    """Mean curves over the stride.

    Parameters
    ----------
    cursor
        What all plots point at.
    compact
        Without the numbers beside the plots.
    """

    period_s: ClassVar[float] = 0.5

    def __init__(self, cursor: Cursor | None = None, *, compact: bool = False) -> None:
        super().__init__()
        self._theme: Theme = DARK
        self._pointer = cursor
        self._section: Section | None = None
        self._compared: Compared | None = None
        self._timeline: Timeline | None = None
        self._drawn: tuple[object, ...] = ()
        self.curves: SectionCurves | None = None
        """What is drawn."""
        self._head, self._foot = QLabel(), QLabel()
        for label in (self._head, self._foot):
            label.setFont(font(TEXT_PX))
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._foot.setWordWrap(True)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        self._plots = {i: _Plot(CURVES[i], i, self._pointed) for i in SHOWN}
        for place, plot in enumerate(self._plots.values()):
            row, column = divmod(place, COLUMNS)
            grid.addWidget(plot, row, column)
            grid.setRowStretch(row, 1)
            grid.setColumnStretch(column, 1)
            plot.numbers.setVisible(not compact)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._head)
        layout.addLayout(grid, 1)
        layout.addWidget(self._foot)
        if cursor is not None:
            cursor.moved.connect(self._read_off)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        for label, color in ((self._head, theme.text), (self._foot, theme.soft)):
            paint(label, color)
        for plot in self._plots.values():
            plot.set_theme(theme)
        self._draw()

    def set_section(self, section: Section | None) -> None:
        """Show the strides of a section; None: those of the last minute."""
        self._section = section
        self._drawn = ()

    def compare_with(self, compared: Compared | None) -> None:
        """Draw other curves beside these; None: none."""
        if compared is not self._compared:
            self._compared = compared
            self._draw()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Draw the strides of the section, or of the last minute before ``now_s``."""
        section = self._section or Section(now_s - LAST_S, now_s)
        known = (id(timeline), len(timeline.steps), len(timeline.motion(section.from_s, section.to_s)[0]), section)
        if known == self._drawn:
            return
        self._drawn, self._timeline = known, timeline
        self.curves = section_curves(timeline, section.from_s, section.to_s)
        self._draw()
        if self._pointer is not None:
            self._read_off(self._pointer.at)

    # ------------------------------------------------------------ drawing

    def _draw(self) -> None:
        if self.curves is None:
            return
        for plot in self._plots.values():
            plot.draw(self.curves, self._compared)
        what = "the section" if self._section is not None else f"the last {LAST_S:.0f} s"
        against = f"   compared with {self._compared.name}" if self._compared is not None else ""
        self._head.setText(f"Strides of {what}{against}")
        self._foot.setText(words_about(self.curves, self._compared))

    def _pointed(self, percent: float | None) -> None:
        if self._pointer is not None:
            self._pointer.point(NOWHERE if percent is None else Pointed(percent=percent))
        else:
            self._show_percent(percent)

    def _read_off(self, at: Pointed) -> None:
        percent = at.percent
        if percent is None and at.t_s is not None and self._timeline is not None:
            phase = phase_at(self._timeline, at.t_s)
            percent = phase[1] if phase is not None else None
        self._show_percent(percent)

    def _show_percent(self, percent: float | None) -> None:
        for plot in self._plots.values():
            plot.show_percent(percent)

    # ------------------------------------------------------------ what is drawn, for tests

    def drawn(self, column: str, side: Side) -> tuple[Array, Array]:
        """Return the mean curve that is drawn: % of the stride, values."""
        (plot,) = (plot for plot in self._plots.values() if plot.curve.column == column)
        return plot.here[side].mean.getData()  # type: ignore[no-any-return]

    def texts(self) -> list[str]:
        """Return all texts that are shown, as plain text."""
        labels = [self._head, self._foot]
        for plot in self._plots.values():
            labels += [plot.title, plot.numbers]
        return [label.text() for label in labels]


def words_about(curves: SectionCurves, compared: Compared | None) -> str:
    """Return how many strides are behind the curves, and why others were left out."""
    parts = [_counted("", curves)]
    if compared is not None:
        parts.append(compared.behind or _counted(f"{compared.name}: ", compared.curves))
    return "     ".join(parts)


def _counted(name: str, curves: SectionCurves) -> str:
    counts = ", ".join(f"{SIDE_LOOKS[side].letter} {curves.sides[side].n}" for side in SIDES)
    left_out = ", ".join(f"{count} {reason}" for reason, count in curves.left_out().items())
    return f"{name}{counts} strides" + (f"; left out: {left_out}" if left_out else "")


def paint(label: QLabel, color: str) -> None:
    """Give a label's text a colour."""
    palette = label.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor(color))
    label.setPalette(palette)


def in_figures(number: Number, decimals: int) -> str:
    """Return mean and standard deviation as text; a dash where nothing is known."""
    if not np.isfinite(number.mean):
        return "–"
    spread = f" ± {number.sd:.{decimals}f}" if np.isfinite(number.sd) else ""
    return f"{number.mean:.{decimals}f}{spread}"


class _Mean:
    """One foot's curve in one plot: mean, band, and when the foot leaves the ground."""

    def __init__(self, plot: Any, side: Side, depth: int) -> None:
        self._side = side
        self._edges = [pg.PlotCurveItem(), pg.PlotCurveItem()]
        self.band = pg.FillBetweenItem(*self._edges)
        self.mean = pg.PlotCurveItem(antialias=True)
        self.toe_off = pg.InfiniteLine(angle=90, movable=False)
        self.spread = pg.PlotCurveItem()
        for z, item in enumerate((self.band, self.toe_off, self.spread, self.mean)):
            item.setZValue(depth + z)
            plot.addItem(item, ignoreBounds=True)

    def set_look(self, color: str, width_px: float) -> None:
        line = _LINES[self._side]
        self.mean.setPen(pg.mkPen(color, width=width_px, style=line))
        faint = QColor(color)
        faint.setAlpha(BAND_ALPHA)
        self.band.setBrush(faint)
        self.toe_off.setPen(pg.mkPen(color, width=1.0, style=line))
        self.spread.setPen(pg.mkPen(color, width=5.0))

    def draw(self, curve: int, side: SideCurves | None, bottom: float) -> None:
        # a norm has no curve of some
        shown = side is not None and side.n > 0 and bool(np.isfinite(side.mean[curve]).all())
        for item in (self.band, self.mean, self.toe_off, self.spread):
            item.setVisible(shown)
        if side is None or not shown:
            self.mean.setData([], [])
            return
        mean, sd = side.mean[curve], np.nan_to_num(side.sd[curve])
        self.mean.setData(PERCENT, mean)
        for edge, sign in zip(self._edges, (-1.0, 1.0), strict=True):
            edge.setData(PERCENT, mean + sign * sd)
        self.toe_off.setValue(side.toe_off.mean)
        spread = 0.0 if np.isnan(side.toe_off.sd) else side.toe_off.sd
        self.spread.setData([side.toe_off.mean - spread, side.toe_off.mean + spread], [bottom, bottom])


class _Plot(QWidget):
    """One curve: title and what the cursor reads off above, the plot, the numbers beside it."""

    def __init__(self, curve: Curve, index: int, pointed: Callable[[float | None], None]) -> None:
        super().__init__()
        self.curve, self._index, self._pointed = curve, index, pointed
        self._theme: Theme = DARK
        self._range = (0.0, 0.0)
        self._last: tuple[SectionCurves, Compared | None] | None = None
        self._percent: float | None = None
        self.title, self.numbers = QLabel(), QLabel()
        self.title.setFont(font(TEXT_PX, "strong"))
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.numbers.setFont(font(SMALL_PX))
        self.numbers.setTextFormat(Qt.TextFormat.RichText)
        self.numbers.setFixedWidth(round(metrics(SMALL_PX).horizontalAdvance(WIDEST)) + 12)
        self.numbers.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._view = pg.PlotWidget()
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._view.setMinimumHeight(80)
        plot = self._view.getPlotItem()
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.disableAutoRange()
        plot.setXRange(0.0, 100.0, padding=0.02)
        plot.getAxis("left").setWidth(AXIS_PX)
        plot.getAxis("bottom").setTicks([[(p, f"{p} %" if p else "0") for p in range(0, 101, 20)]])
        plot.showGrid(x=True, y=True, alpha=GRID_ALPHA / 255)
        self._plot = plot
        self._zero = pg.InfiniteLine(0.0, angle=0, movable=False)
        self._line = pg.InfiniteLine(0.0, angle=90, movable=False)
        self._line.setVisible(False)
        plot.addItem(self._zero, ignoreBounds=True)
        self.there = {side: _Mean(plot, side, 10) for side in SIDES}
        self.here = {side: _Mean(plot, side, 20) for side in SIDES}
        plot.addItem(self._line, ignoreBounds=True)
        self._view.scene().sigMouseMoved.connect(self._moved)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.title, 0, 0, 1, 2)
        layout.addWidget(self._view, 1, 0)
        layout.addWidget(self.numbers, 1, 1)
        layout.setRowStretch(1, 1)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._view.setBackground(theme.panel)
        for name in ("left", "bottom"):
            axis = self._plot.getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.soft))
            small: QFont = font(SMALL_PX)
            axis.setStyle(tickFont=small)
        self._zero.setPen(pg.mkPen(theme.line, width=theme.frame_width_px))
        self._line.setPen(pg.mkPen(theme.text, width=1.0))
        for side in SIDES:
            self.here[side].set_look(theme.of(side), theme.mean_width_px)
            self.there[side].set_look(theme.other, theme.trace_width_px)
        paint(self.title, theme.text)
        paint(self.numbers, theme.text)
        self._say()

    def draw(self, curves: SectionCurves, compared: Compared | None) -> None:
        self._last = (curves, compared)
        low, high = self._fit()
        self._plot.setYRange(low, high, padding=0.0)
        height = high - low
        for step, side in enumerate(SIDES):
            self.here[side].draw(self._index, curves.sides[side], low + height * (0.02 + 0.035 * step))
            other = compared.curves.sides[side] if compared is not None and not (step and compared.one) else None
            self.there[side].draw(self._index, other, low + height * (0.10 + 0.035 * step))
        self._say()

    def _fit(self) -> tuple[float, float]:
        """Return a range that holds all bands; one that is wide enough stays."""
        assert self._last is not None
        curves, compared = self._last
        sides = [*curves.sides.values(), *(compared.curves.sides.values() if compared is not None else ())]
        edges = [
            side.mean[self._index] + sign * np.nan_to_num(side.sd[self._index])
            for side in sides
            if side.n and np.isfinite(side.mean[self._index]).all()
            for sign in (-1.0, 1.0)
        ]
        if not edges:
            return self._range if self._range[1] > self._range[0] else (-1.0, 1.0)
        low, high = float(np.min(edges)), float(np.max(edges))
        margin = max(high - low, 10.0**-self.curve.decimals) * MARGIN
        # room for the feet at the bottom
        low, high = low - 2.5 * margin, high + margin
        old_low, old_high = self._range
        if low < old_low or high > old_high or high - low < SHRINK_BELOW * (old_high - old_low):
            self._range = (low, high)
        return self._range

    # ------------------------------------------------------------ words

    def show_percent(self, percent: float | None) -> None:
        """Read the curves off at a place of the stride."""
        self._percent = percent
        self._line.setVisible(percent is not None)
        if percent is not None:
            self._line.setValue(percent)
        self._say()

    def _say(self) -> None:
        text = f"{self.curve.title} <span style='color:{self._theme.soft}'>({self.curve.unit})</span>"
        if self._percent is not None and self._last is not None:
            text += f"&nbsp;&nbsp; at {self._percent:.0f} %: {self._values()}"
        self.title.setText(text)
        self.numbers.setText(self._table() if self._last is not None else "")

    def _values(self) -> str:
        assert self._last is not None
        assert self._percent is not None
        curves, compared = self._last
        parts: list[str] = []
        for side in SIDES:
            mean: Array = curves.sides[side].mean[self._index]
            value = float(np.interp(self._percent, PERCENT, mean))
            parts.append(self._colored(f"{SIDE_LOOKS[side].letter} {value:.{self.curve.decimals}f}", side))
        if compared is not None:
            means = [compared.curves.sides[side].mean[self._index] for side in SIDES]
            values = [f"{np.interp(self._percent, PERCENT, mean):.{self.curve.decimals}f}" for mean in means]
            values = ["–" if value == "nan" else value for value in values]
            parts.append(f"<span style='color:{self._theme.other}'>{' / '.join(values)}</span>")
        return "&nbsp; ".join(parts)

    def _colored(self, text: str, side: Side) -> str:
        return f"<span style='color:{self._theme.of(side)}'>{text}</span>"

    def _table(self) -> str:
        assert self._last is not None
        curves, compared = self._last
        signs = {Side.LEFT: "L ——", Side.RIGHT: "R – –"}
        rows = [("", [self._colored(f"<b>{signs[side]}</b>", side) for side in SIDES])]
        for title, which in (("range", "ranges"), ("at contact", "at_contact"), ("drop", "drop_deg")):
            if which == "drop_deg" and self._index != OBLIQUITY:
                continue
            rows.append((title, self._cells(curves, which, self._theme.text)))
            if compared is not None:
                rows.append(("", self._cells(compared.curves, which, self._theme.other)))
        return "".join(
            [
                "<table cellspacing='0' cellpadding='1'>",
                *(
                    f"<tr><td style='color:{self._theme.soft}'>{title}</td>"
                    + "".join(f"<td align='right'>&nbsp;{cell}</td>" for cell in cells)
                    + "</tr>"
                    for title, cells in rows
                ),
                "</table>",
            ]
        )

    def _cells(self, curves: SectionCurves, which: str, color: str) -> list[str]:
        cells: list[str] = []
        for side in SIDES:
            found: Number | Sequence[Number] = getattr(curves.sides[side], which)
            number = found if isinstance(found, Number) else found[self._index]
            # a minus as wide as a figure; and nothing is broken in two
            text = in_figures(number, self.curve.decimals).replace("-", "−").replace(" ", "&nbsp;")
            cells.append(f"<span style='color:{color}'>{text}</span>")
        return cells

    def _moved(self, at: QPointF) -> None:
        box = self._plot.vb.sceneBoundingRect()
        if not box.contains(at):
            self._pointed(None)
            return
        self._pointed(round(float(self._plot.vb.mapSceneToView(at).x()), 1))
