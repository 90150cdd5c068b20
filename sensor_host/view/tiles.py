"""Tiles: one figure each, large, and under it what it is compared with.

1. What a tile shows is a `TileView`: it is made anew ten times a second and painted only when it has changed.
2. A place on the scale is that of the written figure, so that nothing moves unless a text does.
3. The runner's own baseline counts before the norm. Outside the norm is no fault: it is told, and not coloured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite, nan
from typing import ClassVar, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from pelvis.data import Side
from sensor_host.screen import UNKNOWN
from sensor_host.shown import SHOWN
from sensor_host.view.figures import FIGURES, Figure, Recent, recent
from sensor_host.view.lettering import Label, draw, fitted, wrapped
from sensor_host.view.norms import Band, Bands, Place, bands_at, place_of
from sensor_host.view.shapes import chevron_path, draw_lettered, draw_mark, draw_panel, pointer_path
from sensor_host.view.theme import DARK, LEAST_PX, Theme, Weight, font_px, metrics
from sensor_host.view.timeline import Timeline

KIND_WORDS: Final = {"target": "target", "own": "own range", "norm": "norm"}

# Four figures and a point: the widest that a metric usually needs; what is wider becomes smaller.
SAMPLE: Final = "888.8"


SHOWN_NAMES: Final = tuple(metric.name for metric in SHOWN)

DIFFERENCE: Final = "L−R"


@dataclass(frozen=True, slots=True)
class TileView:
    """What a tile shows. Numbers are rounded as they are written; NaN where unknown."""

    title: str
    unit: str
    number: str
    value: float
    left: str
    right: str
    difference: str
    left_value: float
    right_value: float
    sides_reason: str
    bands: tuple[Band, ...]
    place: Place | None
    verdict: tuple[str, ...]
    """The fullest wording first."""
    fresh: bool

    @property
    def strict(self) -> bool:
        """Whether being outside is something to act on: outside the runner's own range or a target."""
        return bool(self.bands) and self.bands[-1].kind != "norm"


def tile_view(timeline: Timeline, name: str, now_s: float) -> TileView:
    """Return what the tile of a metric shows at a moment."""
    figure, said = FIGURES[name], recent(timeline, name, now_s)
    bands = _rounded(figure, bands_at(timeline, name, now_s))
    value = _as_written(figure, said.value)
    first = bands.first
    place = place_of(value, first) if first is not None and isfinite(value) else None
    sides = figure.per_foot and isfinite(said.difference)
    return TileView(
        title=figure.title,
        unit=figure.unit,
        number=figure.text(value),
        value=value,
        left=figure.text(said.left) if sides else "",
        right=figure.text(said.right) if sides else "",
        difference=f"{DIFFERENCE} {figure.signed(said.difference)}" if sides else "",
        left_value=_as_written(figure, said.left) if sides else nan,
        right_value=_as_written(figure, said.right) if sides else nan,
        sides_reason=said.reason if figure.per_foot and isfinite(value) and not sides else "",
        bands=bands.all,
        place=place,
        verdict=_verdict(figure, said, first, place),
        fresh=said.fresh,
    )


def _as_written(figure: Figure, value: float) -> float:
    return round(value * figure.factor, figure.decimals) / figure.factor if isfinite(value) else nan


def _rounded(figure: Figure, bands: Bands) -> Bands:
    def rounded(band: Band | None) -> Band | None:
        if band is None:
            return None
        low, high = _as_written(figure, band.low), _as_written(figure, band.high)
        return Band(low, high, band.kind, band.text, band.source)

    return Bands(rounded(bands.target), rounded(bands.own), rounded(bands.norm))


def _verdict(figure: Figure, said: Recent, band: Band | None, place: Place | None) -> tuple[str, ...]:
    if not isfinite(said.value):
        return (said.reason,)
    if not said.fresh:
        return ("not running",)
    if band is None or place is None:
        return ("no norm at this speed", "no norm")
    short = f"{place.sign} {place.word} {KIND_WORDS[band.kind]}"
    numbers = f"{short} {figure.text(band.low)}–{figure.text(band.high)}"
    return (f"{numbers}, {band.text}", numbers, short, f"{place.sign} {place.word}", place.sign)


def span_of(bands: Iterable[Band]) -> tuple[float, float]:
    """Return what a scale reaches over: all bands, and half as much again on either side."""
    bands = tuple(bands)
    low, high = min(band.low for band in bands), max(band.high for band in bands)
    room = 0.5 * (high - low)
    return low - room, high + room


# ---------------------------------------------------------------- one tile


class Tile(QWidget):
    """One metric."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.theme = DARK
        self.view: TileView | None = None
        self.labels: Sequence[Label] = ()

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.update()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Show the moment; paint only if something reads differently now."""
        view = tile_view(timeline, self.name, now_s)
        if view != self.view:
            self.view = view
            self.setAccessibleName(f"{view.title} {view.number} {view.unit}")
            self.setAccessibleDescription(view.verdict[0])
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        # a painter left open by an exception would end the process
        with QPainter(self) as painter:
            rect = QRectF(self.rect())
            draw_panel(painter, rect, self.theme)
            if self.view is not None:
                places = _places(rect, per_foot=FIGURES[self.name].per_foot)
                self.labels = tuple(_labels(self.view, places, self.theme))
                draw(painter, self.labels)
                _draw_side_marks(painter, self.view, places, self.theme)
                _draw_scale(painter, places.scale, self.view, self.theme)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the parts of a tile stand; empty where there is no room."""

    title: QRectF
    number: QRectF
    left: QRectF
    right: QRectF
    difference: QRectF
    scale: QRectF
    verdict: QRectF


def _places(rect: QRectF, *, per_foot: bool) -> _Places:
    width, height = rect.width(), rect.height()
    # of a small tile the rim is small, too
    rim = min(max(0.05 * min(width, height), 4.0), 18.0)
    inner = rect.adjusted(rim * 1.3, rim, -rim * 1.3, -rim)
    line = min(max(0.16 * inner.height(), 12.0), 32.0)
    scale = min(max(0.16 * inner.height(), 8.0), 40.0)
    title = QRectF(inner.left(), inner.top(), inner.width(), line)
    verdict = QRectF(inner.left(), inner.bottom() - line, inner.width(), line)
    bar = QRectF(inner.left(), verdict.top() - scale - 0.1 * line, inner.width(), scale)
    middle = QRectF(inner.left(), title.bottom(), inner.width(), max(bar.top() - title.bottom(), 0.0))
    middle = middle.adjusted(0.0, 0.14 * middle.height(), 0.0, -0.1 * middle.height())
    difference = QRectF()
    if inner.width() > 1.25 * inner.height():
        number = QRectF(middle.left(), middle.top(), 0.66 * middle.width(), middle.height())
        column = QRectF(number.right() + rim, middle.top(), middle.right() - number.right() - rim, middle.height())
        half = 0.5 * column.height()
        left = QRectF(column.left(), column.top(), column.width(), 0.94 * half)
        right = left.translated(0.0, 1.06 * half)
        # titles of all tiles are of one size, whether a difference stands beside them or not
        title.setRight(column.left() - rim)
        difference = QRectF(column.left(), title.top(), column.width(), line)
    else:
        row = min(line, 0.24 * middle.height())
        number = middle.adjusted(0.0, 0.0, 0.0, -2.6 * row)
        half = 0.5 * inner.width()
        left = QRectF(inner.left(), number.bottom() + 0.4 * row, half - 3.0, row)
        right = left.translated(half, 0.0)
        difference = QRectF(inner.left(), left.bottom() + 0.15 * row, inner.width(), 0.85 * row)
    if not per_foot or min(left.height(), left.width() / 3) < 9.0:
        left = right = difference = QRectF()
    return _Places(title, number, left, right, difference, bar, verdict)


# Tiles stand beside each other: their titles, and their words below, are of one size.
_USUAL_VERDICT: Final = f"{Place.BELOW.sign} {Place.BELOW.word} {KIND_WORDS['own']}"
_LONGEST_TITLE: Final = max((metric.title for metric in SHOWN), key=len)


def _labels(view: TileView, places: _Places, theme: Theme) -> Iterable[Label]:
    weight: Weight = "heavy" if view.fresh else "plain"
    color = theme.text if view.fresh else theme.soft
    yield fitted(
        (view.title, view.title.split()[-1]),
        places.title,
        theme.soft,
        weight="strong",
        most_px=24,
        sample=_LONGEST_TITLE,
    )
    box = places.number.adjusted(0.0, 0.0, -0.2 * places.number.width(), 0.0)
    number = fitted(view.number, box, color, weight=weight, figures=True, sample=SAMPLE, least_px=1)
    yield number
    if view.number != UNKNOWN:
        cap = metrics(number.px, weight).capHeight()
        begin = number.ink.right() + 0.12 * number.px
        high = min(max(0.5 * cap, 12.0), 30.0)
        base = box.center().y() + cap / 2
        unit = QRectF(begin, base - 0.78 * high, places.number.right() - begin, high)
        yield fitted(view.unit, unit, theme.soft)
    if view.difference and not places.left.isEmpty():
        yield from _sides(view, places, theme)
    elif view.sides_reason and not places.left.isEmpty():
        whole = places.left.united(places.right).united(places.difference)
        yield from wrapped(view.sides_reason, whole, theme.soft)
    # a shorter wording is better than a smaller one
    most = min(font_px(_USUAL_VERDICT, places.verdict.width(), places.verdict.height(), "strong"), 20)
    yield fitted(
        view.verdict,
        places.verdict,
        _verdict_color(view, theme),
        weight="strong",
        most_px=most,
        least_px=max(round(0.8 * most), LEAST_PX),
    )


def _sides(view: TileView, places: _Places, theme: Theme) -> Iterable[Label]:
    """Yield the figures of left and right, of one size: they are compared."""
    pairs = ((view.left, _beside_mark(places.left), theme.left), (view.right, _beside_mark(places.right), theme.right))
    made = [fitted(text, box, color, weight="strong", most_px=30) for text, box, color in pairs]
    least = min(label.px for label in made)
    yield from (replace(label, px=least) for label in made)
    wordings = (view.difference, view.difference.removeprefix(f"{DIFFERENCE} "))
    yield fitted(wordings, places.difference, theme.text, weight="strong", most_px=least)


def _beside_mark(box: QRectF) -> QRectF:
    """Return what of a box is left beside a side's mark."""
    return box.adjusted(1.6 * _mark_px(box), 0.0, 0.0, 0.0)


def _mark_px(box: QRectF) -> float:
    return min(0.8 * box.height(), 0.28 * box.width(), 26.0)


def _verdict_color(view: TileView, theme: Theme) -> str:
    if view.place is None or not view.fresh:
        return theme.soft
    if view.place is Place.IN:
        return theme.good
    return theme.warn if view.strict else theme.text


def _draw_side_marks(painter: QPainter, view: TileView, places: _Places, theme: Theme) -> None:
    if not view.difference:
        return
    for side, box in ((Side.LEFT, places.left), (Side.RIGHT, places.right)):
        if not box.isEmpty():
            size = _mark_px(box)
            draw_lettered(painter, theme, side, QPointF(box.left() + size / 2, box.center().y()), size)


def _draw_scale(painter: QPainter, rect: QRectF, view: TileView, theme: Theme) -> None:
    """Draw bands and pointers: norm as an area, own baseline as a bracket, target as a frame."""
    bar = QRectF(rect.left(), rect.top() + 0.52 * rect.height(), rect.width(), 0.38 * rect.height())
    painter.setPen(QPen(QColor(theme.line), theme.frame_width_px))
    painter.drawLine(QPointF(bar.left(), bar.center().y()), QPointF(bar.right(), bar.center().y()))
    if not view.bands:
        return
    low, high = span_of(view.bands)

    def x_of(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return bar.left() + bar.width() * min(max(share, 0.0), 1.0)

    for band in view.bands:
        area = QRectF(x_of(band.low), bar.top(), max(x_of(band.high) - x_of(band.low), 2.0), bar.height())
        _draw_band(painter, band, area, theme)
    size = 0.5 * rect.height()
    for side, value in ((Side.LEFT, view.left_value), (Side.RIGHT, view.right_value)):
        if isfinite(value):
            centre = QPointF(x_of(value), bar.center().y())
            draw_mark(painter, theme, side, centre, 0.95 * bar.height(), rim=theme.panel)
    if isfinite(view.value):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.text if view.fresh else theme.soft))
        tip = QPointF(x_of(view.value), bar.top() - 1.0)
        if low <= view.value <= high:
            painter.drawPath(pointer_path(tip, size))
        else:
            painter.setPen(QPen(QColor(theme.text), 2.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPath(chevron_path(QPointF(tip.x(), tip.y() - size / 2), size, to_right=view.value > high))


def _draw_band(painter: QPainter, band: Band, area: QRectF, theme: Theme) -> None:
    if band.kind == "norm":
        painter.setPen(QPen(QColor(theme.band_edge), theme.frame_width_px))
        painter.setBrush(QColor(theme.band))
        painter.drawRoundedRect(area, 3.0, 3.0)
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(theme.own if band.kind == "own" else theme.cue), 2.0))
    if band.kind == "target":
        painter.drawRoundedRect(area.adjusted(0.0, -2.0, 0.0, 2.0), 3.0, 3.0)
        return
    foot = area.bottom() + 2.0
    bracket = QPainterPath(QPointF(area.left(), area.center().y()))
    bracket.lineTo(area.left(), foot)
    bracket.lineTo(area.right(), foot)
    bracket.lineTo(area.right(), area.center().y())
    bracket.moveTo(area.center().x(), foot)
    bracket.lineTo(area.center().x(), area.top())
    painter.drawPath(bracket)


# ---------------------------------------------------------------- all of them


class Tiles(QWidget):
    """Tiles of some metrics, as many beside each other as makes them well shaped."""

    period_s: ClassVar[float] = 0.1

    chosen = Signal(str)
    """A tile was clicked: the name of its metric."""

    def __init__(self, names: Sequence[str] = SHOWN_NAMES, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.tiles = {name: Tile(name, self) for name in names}

    def sizeHint(self) -> QSize:
        return QSize(420, 300)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        for tile in self.tiles.values():
            tile.set_theme(theme)
        self.update()

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        for tile in self.tiles.values():
            tile.show_at(timeline, now_s)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.fillRect(event.rect(), QColor(self.theme.ground))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        for name, tile in self.tiles.items():
            if tile.geometry().contains(event.position().toPoint()):
                self.chosen.emit(name)

    def resizeEvent(self, event: object) -> None:
        self.arrange()

    def arrange(self) -> None:
        """Put the tiles into rows."""
        n = len(self.tiles)
        if not n:
            return
        gap = min(max(round(0.012 * self.width()), 4), 12)
        columns = columns_of(n, self.width(), self.height())
        rows = ceil(n / columns)
        for i, tile in enumerate(self.tiles.values()):
            row, column = divmod(i, columns)
            left, right = (round((self.width() + gap) * c / columns) for c in (column, column + 1))
            top, bottom = (round((self.height() + gap) * r / rows) for r in (row, row + 1))
            tile.setGeometry(left, top, max(right - left - gap, 1), max(bottom - top - gap, 1))


# 1.7: title, figure and scale of a tile fill it best when it is so much wider than high
_SHAPE: Final = 1.7


def columns_of(n: int, width: float, height: float) -> int:
    """Return into how many columns ``n`` tiles go so that they are about 1.7 times as wide as high, none left alone."""

    def badness(columns: int) -> tuple[float, int]:
        rows = ceil(n / columns)
        shape = (width / columns) / max(height / rows, 1.0)
        return max(shape / _SHAPE, _SHAPE / max(shape, 1e-6)) + 0.5 * (columns * rows - n), columns

    return min(range(1, n + 1), key=badness)
