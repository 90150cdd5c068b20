"""Several runners side by side: a card each, with who, how it stands, a few seconds of waves and a few figures."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Final

from PySide6.QtCore import QMargins, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from sensor_host.view.line import Line
from sensor_host.view.panel import Panel, Turns
from sensor_host.view.roster import Runner, clock_text
from sensor_host.view.theme import DARK, Theme
from sensor_host.view.tiles import Tiles
from sensor_host.view.waves import TRACES, Waves

GAP_PX: Final = 8
TITLE_PX: Final = 20
STATE_PX: Final = 14
SPAN_S: Final = 5.0
FIGURES: Final = ("cadence_spm", "contact_time_s", "pelvic_drop_deg", "vertical_oscillation_m")


class Card(QWidget):
    """One of several runners. A click chooses it."""

    chosen = Signal(str)

    def __init__(self, runner: str, number: int, frame_s: float) -> None:
        super().__init__()
        self.runner = runner
        self._number = number
        self._theme = DARK
        self._turns = Turns(frame_s)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.title, self.state = Line(TITLE_PX, "strong"), Line(STATE_PX, align="right")
        self.waves = Waves(TRACES[:1], compact=True)
        self.waves.set_span(SPAN_S)
        self.tiles = Tiles(FIGURES)
        self._panels: tuple[Panel, ...] = (self.waves, self.tiles)
        for part in (self.waves, self.tiles):
            # a click is the card's
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.state, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.addLayout(head)
        layout.addWidget(self.waves, 2)
        layout.addWidget(self.tiles, 3)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        for panel in self._panels:
            panel.set_theme(theme)
        self._turns.reset()
        self.update()

    def show_runner(self, runner: Runner, clock_s: float) -> None:
        """Draw how a runner is now."""
        now_s, trouble = runner.now_s(clock_s), runner.trouble(clock_s)
        self.title.say(f"{self._number}  {self.runner}", self._theme.text)
        well = f"{runner.timeline.activity}   {clock_text(now_s)}"
        self.state.say(trouble or well, self._theme.bad if trouble else self._theme.soft)
        for panel in self._panels:
            if self._turns.come(panel, clock_s):
                panel.show_at(runner.timeline, now_s)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(QColor(self._theme.line))
        painter.setBrush(QColor(self._theme.ground))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.chosen.emit(self.runner)


class Grid(QWidget):
    """The page of several runners."""

    chosen = Signal(str)

    def __init__(self, frame_s: float) -> None:
        super().__init__()
        self._frame_s = frame_s
        self._theme = DARK
        self.cards: dict[str, Card] = {}
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(QMargins())
        self._layout.setSpacing(GAP_PX)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        for card in self.cards.values():
            card.set_theme(theme)

    def show_runners(self, runners: Sequence[Runner], clock_s: float) -> None:
        """Draw how the runners are now."""
        if list(self.cards) != [runner.name for runner in runners]:
            self._deal([runner.name for runner in runners])
        for runner in runners:
            self.cards[runner.name].show_runner(runner, clock_s)

    def _deal(self, names: Sequence[str]) -> None:
        for card in self.cards.values():
            self._layout.removeWidget(card)
            card.deleteLater()
        columns = ceil(sqrt(len(names)))
        self.cards = {}
        for i, name in enumerate(names):
            card = self.cards[name] = Card(name, i + 1, self._frame_s)
            card.set_theme(self._theme)
            card.chosen.connect(self.chosen)
            self._layout.addWidget(card, i // columns, i % columns)
