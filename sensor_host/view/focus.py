"""One runner, large: waves or mean strides, the pelvis, tiles and strips, each as wide as the user drew it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import QMargins, Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from sensor_host.view.belt import Belt
from sensor_host.view.health import Health
from sensor_host.view.line import Line
from sensor_host.view.panel import Panel, Turns
from sensor_host.view.stride_view import StrideView
from sensor_host.view.strips import Strips
from sensor_host.view.theme import Theme
from sensor_host.view.tiles import Tiles
from sensor_host.view.timeline import Timeline
from sensor_host.view.waves import Waves

TITLE_PX: Final = 20
GAP_PX: Final = 6

# shares of a window that was never divided by hand
FIRST_SIZES: Final[Mapping[str, tuple[int, ...]]] = {
    "rows": (400, 250),
    "upper": (960, 300),
    "lower": (640, 620),
}


class Focus(QWidget):
    """The page of one runner.

    Parameters
    ----------
    sizes
        How the page was divided the last time.
    frame_s
        How often it is asked to draw.
    """

    def __init__(self, sizes: Mapping[str, Sequence[int]], frame_s: float) -> None:
        super().__init__()
        self.title, self.health = Line(TITLE_PX, "strong"), Health()
        self.waves, self.belt, self.tiles, self.strips = Waves(), Belt(), Tiles(), Strips()
        self.strides = StrideView(compact=True)
        self._panels: tuple[Panel, ...] = (self.health, self.waves, self.strides, self.belt, self.tiles, self.strips)
        self._turns = Turns(frame_s)
        self._curves = QStackedWidget()
        for part in (self.waves, self.strides):
            self._curves.addWidget(part)
        upper = _splitter(Qt.Orientation.Horizontal, (self._curves, self.belt))
        lower = _splitter(Qt.Orientation.Horizontal, (self.tiles, self.strips))
        rows = _splitter(Qt.Orientation.Vertical, (upper, lower))
        self._splitters = {"upper": upper, "lower": lower, "rows": rows}
        for name, splitter in self._splitters.items():
            wanted = tuple(sizes.get(name, ()))
            # a size for each part, and not all of them nothing
            usable = len(wanted) == splitter.count() and sum(wanted) > 0
            splitter.setSizes(wanted if usable else FIRST_SIZES[name])
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.health, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(QMargins())
        layout.setSpacing(GAP_PX)
        layout.addLayout(head)
        layout.addWidget(rows, 1)

    @property
    def sizes(self) -> Mapping[str, tuple[int, ...]]:
        """How the page is divided."""
        return {name: tuple(splitter.sizes()) for name, splitter in self._splitters.items()}

    def turn(self) -> None:
        """Show mean strides in the place of the waves, or the waves again."""
        self._curves.setCurrentIndex(1 - self._curves.currentIndex())
        self._turns.reset()

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        for panel in self._panels:
            panel.set_theme(theme)
        self._turns.reset()

    def show_at(self, timeline: Timeline, now_s: float, clock_s: float) -> None:
        """Let every panel that is seen, and whose turn it is, draw a moment."""
        for panel in self._panels:
            if panel.isVisible() and self._turns.come(panel, clock_s):
                panel.show_at(timeline, now_s)


def _splitter(orientation: Qt.Orientation, parts: Sequence[QWidget]) -> QSplitter:
    splitter = QSplitter(orientation)
    for part in parts:
        splitter.addWidget(part)
    splitter.setHandleWidth(GAP_PX)
    return splitter
