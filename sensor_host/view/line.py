"""One line of text that is never cut in the middle of a letter: what does not fit ends in an ellipsis."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from sensor_host.view.lettering import Align, Label, draw
from sensor_host.view.theme import Weight, elided, metrics


class Line(QWidget):
    """A line of text of one size; it is painted anew only when its text or colour changes.

    With ``whole`` it takes the room its text needs, and others have to make way.
    """

    def __init__(self, px: int, weight: Weight = "plain", align: Align = "left", *, whole: bool = False) -> None:
        super().__init__()
        self.text = ""
        self._color = "#808080"
        self._px = px
        self._weight: Weight = weight
        self._align: Align = align
        wide = QSizePolicy.Policy.Fixed if whole else QSizePolicy.Policy.Expanding
        self.setSizePolicy(wide, QSizePolicy.Policy.Fixed)

    def say(self, text: str, color: str) -> None:
        """Show this from now on."""
        if (text, color) != (self.text, self._color):
            self.text, self._color = text, color
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        measures = metrics(self._px, self._weight)
        return QSize(round(measures.horizontalAdvance(self.text)) + 4, round(measures.height()) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        short = elided(self.text, self.width() - 4, self._px, self._weight)
        if short:
            painter = QPainter(self)
            box = QRectF(self.rect()).adjusted(2, 0, -2, 0)
            draw(painter, [Label(short, box, self._color, self._px, self._weight, self._align)])
            painter.end()
