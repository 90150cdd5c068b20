"""One number, over the whole screen: for the runner on the treadmill and the coach at the rail, 5 m away.

Letters of 20 to 22 minutes of arc are read with ease by who sits still (ISO 9241-303). A runner's head moves, so 30 are
asked for: at 5 m that is 44 mm, which on a laptop of 13 inches and 1280 x 720 pixels is 190 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import radians, tan
from typing import ClassVar, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QWidget

from pelvis.data import Side
from sensor_host.view.figures import FIGURES
from sensor_host.view.lettering import Label, draw, fitted
from sensor_host.view.norms import Place
from sensor_host.view.shapes import draw_lettered
from sensor_host.view.theme import DARK, Theme, Weight
from sensor_host.view.tiles import KIND_WORDS, SAMPLE, SHOWN_NAMES, TileView, tile_view
from sensor_host.view.timeline import Timeline

DISTANCE_M: Final = 5.0
READ_RUNNING_ARCMIN: Final = 30.0


def cap_height_mm(distance_m: float = DISTANCE_M, arcmin: float = READ_RUNNING_ARCMIN) -> float:
    """Return how high a figure must be to be seen under an angle from a distance."""
    return 2000.0 * distance_m * tan(radians(arcmin / 60.0) / 2.0)


class Number(QWidget):
    """One metric, as large as the window."""

    period_s: ClassVar[float] = 0.1

    turned = Signal(str)
    """Another metric is shown: its name."""

    def __init__(
        self, name: str = SHOWN_NAMES[0], names: Sequence[str] = SHOWN_NAMES, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.names = tuple(names)
        self.name = name
        self.view: TileView | None = None
        self.labels: Sequence[Label] = ()

    def sizeHint(self) -> QSize:
        return QSize(1280, 720)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.update()

    def set_metric(self, name: str) -> None:
        """Show this metric from the next moment on."""
        if name != self.name and name in FIGURES:
            self.name, self.view = name, None
            self.turned.emit(name)
            self.update()

    def turn(self, by: int) -> None:
        """Go so many metrics on, or back; after the last comes the first."""
        place = self.names.index(self.name) if self.name in self.names else 0
        self.set_metric(self.names[(place + by) % len(self.names)])

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Show the moment; paint only if something reads differently now."""
        view = tile_view(timeline, self.name, now_s)
        if view != self.view:
            self.view = view
            self.setAccessibleName(f"{view.title} {view.number} {view.unit}")
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.turn(-1 if event.button() is Qt.MouseButton.RightButton else 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.fillRect(self.rect(), QColor(self.theme.ground))
            if self.view is not None:
                self._paint(painter, self.view)

    def _paint(self, painter: QPainter, view: TileView) -> None:
        theme, rect = self.theme, QRectF(self.rect())
        rim = 0.04 * min(rect.width(), rect.height())
        inner = rect.adjusted(rim, rim, -rim, -rim)
        high = inner.height()
        title = QRectF(inner.left(), inner.top(), inner.width(), 0.13 * high)
        number = QRectF(inner.left(), inner.top() + 0.17 * high, inner.width(), 0.56 * high)
        below = QRectF(inner.left(), inner.bottom() - 0.2 * high, inner.width(), 0.2 * high)
        names = (f"{view.title}, {view.unit}", view.title, view.title.split()[-1])
        color = theme.text if view.fresh else theme.soft
        weight: Weight = "heavy" if view.fresh else "plain"
        labels = [
            fitted(names, title, theme.soft, weight="strong", align="centre"),
            fitted(view.number, number, color, weight=weight, align="centre", figures=True, sample=SAMPLE, least_px=1),
        ]
        place = below
        if view.difference:
            place = below.adjusted(0.0, 0.0, -0.46 * below.width(), 0.0)
            labels += self._sides(painter, view, below.adjusted(0.57 * below.width(), 0.0, 0.0, 0.0))
        labels += self._place(painter, view, place)
        self.labels = labels
        draw(painter, labels)

    def _place(self, painter: QPainter, view: TileView, box: QRectF) -> Iterable[Label]:
        """Draw where the figure lies: a large shape, and a word or two beside it."""
        theme = self.theme
        if view.place is None or not view.fresh:
            yield fitted(view.verdict[0], _middle(box, 0.6), theme.soft, weight="strong", align="centre")
            return
        color = theme.good if view.place is Place.IN else theme.warn if view.strict else theme.text
        kind = KIND_WORDS[view.bands[-1].kind]
        wordings = (f"{view.place.word} {kind}", view.place.word)
        size = 0.86 * min(box.height(), 0.2 * box.width())
        words = fitted(wordings, _middle(box, 0.62).adjusted(1.35 * size, 0.0, 0.0, 0.0), color, weight="strong")
        # shape and words stand in the middle together
        spare = words.box.right() - words.ink.right()
        moved = words.box.translated(0.5 * spare, 0.0).intersected(box)
        left = box.left() + 0.5 * spare
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(color))
        painter.drawPath(place_path(view.place, QPointF(left + 0.5 * size, box.center().y()), size))
        yield Label(words.text, moved, words.color, words.px, words.weight)

    def _sides(self, painter: QPainter, view: TileView, box: QRectF) -> Iterable[Label]:
        half = 0.5 * box.width()
        made: list[Label] = []
        for side, text, i in ((Side.LEFT, view.left, 0), (Side.RIGHT, view.right, 1)):
            part = QRectF(box.left() + i * half, box.top(), half, box.height())
            size = 0.8 * min(0.62 * part.height(), 0.3 * half)
            draw_lettered(painter, self.theme, side, QPointF(part.left() + 0.8 * size, part.center().y()), size)
            place = _middle(part, 0.62).adjusted(1.6 * size, 0.0, 0.0, 0.0)
            made.append(fitted(text, place, self.theme.of(side), weight="strong", sample=SAMPLE, least_px=1))
        return made


def _middle(box: QRectF, share: float) -> QRectF:
    """Return the middle part of a box's height."""
    spare = 0.5 * (1.0 - share) * box.height()
    return box.adjusted(0.0, spare, 0.0, -spare)


def place_path(place: Place, centre: QPointF, size_px: float) -> QPainterPath:
    """Return the shape of a place: a triangle that points up or down, a disc."""
    path, half = QPainterPath(), size_px / 2
    if place is Place.IN:
        path.addEllipse(centre, 0.8 * half, 0.8 * half)
        return path
    up = -half if place is Place.ABOVE else half
    path.moveTo(centre.x(), centre.y() + 0.9 * up)
    path.lineTo(centre.x() + half, centre.y() - 0.8 * up)
    path.lineTo(centre.x() - half, centre.y() - 0.8 * up)
    path.closeSubpath()
    return path
