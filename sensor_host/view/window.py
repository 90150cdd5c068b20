"""The plot window: one runner large or several as cards, drawn from what is heard; keys, looks and words about trouble.

1. Qt owns the main thread. One timer takes what the wire has heard and has the visible panels drawn, each as often as
   it wants to be.
2. What is missing is said in words: in the middle while there is nobody to see, in the last line while there is.
3. A frozen picture stays; what is said meanwhile is kept and there afterwards.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import numpy as np
from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QColor, QKeySequence, QMouseEvent, QPalette, QShortcut
from PySide6.QtWidgets import QApplication, QGridLayout, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget

from sensor_host import places
from sensor_host.errors import OutputError
from sensor_host.messages import CommandName
from sensor_host.ports import Mode
from sensor_host.view.remembered import Remembered, recall, remember
from sensor_host.view.roster import Roster, Runner
from sensor_host.view.theme import THEMES, Theme, font, other_theme
from sensor_host.view.timeline import Timeline
from sensor_host.view.waves import SPANS_S, TRACES, Waves
from sensor_host.view.window_keys import KEYS
from sensor_host.view.wire import Outcome, Received, Wire, WireState

FRAME_S: Final = 1 / 30
# 6 s: time to look down and read a line
TOLD_S: Final = 6.0
LEAST_SIZE: Final = (640, 400)
FIRST_SIZE: Final = (1280, 720)
TEXT_PX: Final = 15
TITLE_PX: Final = 20
GAP_PX: Final = 6

_MODES: Final = {Mode.LIVE: "live", Mode.REPLAY: "replay", Mode.SIMULATED: "simulated"}


class _Themed(Protocol):
    def set_theme(self, theme: Theme) -> None: ...


class Panel(Protocol):
    """A part that draws a moment of a timeline."""

    period_s: float

    def set_theme(self, theme: Theme) -> None: ...

    def show_at(self, timeline: Timeline, now_s: float) -> None: ...

    def isVisible(self) -> bool: ...


def clock_text(t_s: float) -> str:
    """Return a time of a session as people read it."""
    whole = max(0, int(t_s)) if np.isfinite(t_s) else 0
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Card(QWidget):
    """One of several runners, small: who, how it stands, and a few seconds of waves. A click chooses it."""

    chosen = Signal(str)
    period_s = 0.1

    def __init__(self, name: str, number: int, theme: Theme) -> None:
        super().__init__()
        self.name = name
        self._number = number
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._title = QLabel()
        self._title.setFont(font(TITLE_PX, "strong"))
        self._state = QLabel()
        self._state.setFont(font(TEXT_PX))
        self.waves = Waves(TRACES[:1], compact=True)
        self.waves.set_span(5.0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addStretch()
        head.addWidget(self._state)
        layout.addLayout(head)
        layout.addWidget(self.waves, 1)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        _paint(self._title, theme.text)
        _paint(self._state, theme.soft)
        self.waves.set_theme(theme)

    def show_runner(self, runner: Runner, clock_s: float, now_s: float) -> None:
        """Draw how a runner is at ``now_s``."""
        self._title.setText(f"{self._number}  {runner.name}")
        self._state.setText(runner.trouble(clock_s) or f"{runner.timeline.activity}  {clock_text(now_s)}")
        self.waves.show_at(runner.timeline, now_s)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.chosen.emit(self.name)


class Window(QWidget):
    """The plot window.

    Parameters
    ----------
    wire
        Hears the runners; started and closed by the caller.
    roster
        Where what was heard is kept.
    only
        The runner that is waited for; empty: anybody.
    """

    refused = Signal(str)
    """The broker does not want this user, and never did since the window opened; why."""

    def __init__(self, wire: Wire, roster: Roster, only: str = "") -> None:
        super().__init__()
        self.setWindowTitle("hipdrive")
        self.setMinimumSize(*LEAST_SIZE)
        self._wire, self.roster, self._only = wire, roster, only
        self._wire_state = WireState("connecting", "")
        self._was_connected = False
        self._remembered = recall()
        self.theme: Theme = THEMES[self._remembered.theme]
        self._focus = ""
        self._frozen_s: float | None = None
        self._told, self._told_until_s = "", 0.0
        self._due: dict[int, float] = {}
        self._cards: dict[str, Card] = {}

        self._title, self._state, self._hint = QLabel(), QLabel(), QLabel("? keys")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.waves = Waves()
        self.waves.set_span(min(SPANS_S, key=lambda span_s: abs(span_s - self._remembered.span_s)))
        self._panels: list[Panel] = [self.waves]
        self._grid = QWidget()
        self._grid_layout = QGridLayout(self._grid)
        self._grid_layout.setContentsMargins(0, 0, 0, 0)
        self._help = _Help(self)
        self._lay_out()
        self._bind_keys()
        self._set_theme(self.theme)
        self._place()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start(round(1000 * FRAME_S))

    # ------------------------------------------------------------ layout and looks

    def _lay_out(self) -> None:
        for label, size, weight in (
            (self._title, TITLE_PX, "strong"),
            (self._state, TEXT_PX, "plain"),
            (self._hint, TEXT_PX, "plain"),
            (self.words, TITLE_PX, "plain"),
        ):
            label.setFont(font(size, weight))
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._focus_page = QWidget()
        focus = QVBoxLayout(self._focus_page)
        focus.setContentsMargins(0, 0, 0, 0)
        focus.setSpacing(GAP_PX)
        focus.addWidget(self._title)
        focus.addWidget(self.waves, 1)
        self._pages = QStackedLayout()
        for page in (self.words, self._grid, self._focus_page):
            self._pages.addWidget(page)
        last = QHBoxLayout()
        last.addWidget(self._state, 1)
        last.addWidget(self._hint)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        whole.addLayout(self._pages, 1)
        whole.addLayout(last)

    def _place(self) -> None:
        self.resize(*FIRST_SIZE)
        try:
            geometry = b64decode(self._remembered.geometry, validate=True)
        except Base64Error:
            return
        # Qt looks for itself whether the screen of then is still there
        self.restoreGeometry(QByteArray(geometry))

    def _set_theme(self, theme: Theme) -> None:
        self.theme = theme
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Window, QColor(theme.ground))
        self.setPalette(palette)
        self.setAutoFillBackground(True)
        for label in (self._title, self.words):
            _paint(label, theme.text)
        _paint(self._hint, theme.soft)
        themed: list[_Themed] = [*self._panels, *self._cards.values(), self._help]
        for part in themed:
            part.set_theme(theme)
        self._due.clear()

    # ------------------------------------------------------------ what happens thirty times a second

    def tick(self) -> None:
        """Take what was heard and draw what is due."""
        clock_s = time.monotonic()
        for item in self._wire.take():
            match item:
                case Received():
                    self.roster.take(item)
                case WireState():
                    self._take_wire_state(item)
                case Outcome():
                    self._take_outcome(item)
        here = self.roster.here
        if not self._focus and len(here) == 1:
            self._focus = here[0].name
        runner = self.runner
        if runner is not None:
            self._show_page(self._focus_page, [runner.name])
            self._show_focus(runner, clock_s)
        elif here:
            self._show_page(self._grid, [each.name for each in here])
            self._show_grid(here, clock_s)
        else:
            self._show_page(self.words, [])
            self.words.setText(self._waiting_words())
        self._show_state(runner, clock_s)

    @property
    def runner(self) -> Runner | None:
        """The runner that is looked at; None while it is several, or nobody."""
        return self.roster.get(self._focus)

    def now_s(self, runner: Runner, clock_s: float) -> float:
        """Return the session time that is shown of a runner."""
        return runner.pace.now_s(clock_s) if self._frozen_s is None else self._frozen_s

    def _show_page(self, page: QWidget, watched: list[str]) -> None:
        self._wire.watch(watched)
        if self._pages.currentWidget() is not page:
            self._pages.setCurrentWidget(page)

    def _show_focus(self, runner: Runner, clock_s: float) -> None:
        now_s = self.now_s(runner, clock_s)
        mode = _MODES[runner.mode] if runner.mode is not None else ""
        parts = (runner.name, mode, clock_text(now_s), str(runner.timeline.activity))
        frozen = "" if self._frozen_s is None else "   FROZEN"
        muted = "   muted" if runner.timeline.muted else ""
        self._title.setText("   ".join(part for part in parts if part) + muted + frozen)
        for panel in self._panels:
            if panel.isVisible() and self._is_due(panel, clock_s):
                panel.show_at(runner.timeline, now_s)

    def _show_grid(self, here: list[Runner], clock_s: float) -> None:
        if list(self._cards) != [runner.name for runner in here]:
            self._deal(here)
        for runner in here:
            card = self._cards[runner.name]
            if self._is_due(card, clock_s):
                card.show_runner(runner, clock_s, runner.pace.now_s(clock_s))

    def _deal(self, here: list[Runner]) -> None:
        for card in self._cards.values():
            self._grid_layout.removeWidget(card)
            card.deleteLater()
        columns = int(np.ceil(np.sqrt(len(here))))
        self._cards = {}
        for i, runner in enumerate(here):
            card = self._cards[runner.name] = Card(runner.name, i + 1, self.theme)
            card.chosen.connect(self.focus_on)
            self._grid_layout.addWidget(card, i // columns, i % columns)

    def _is_due(self, panel: Panel | Card, clock_s: float) -> bool:
        """Return whether a panel's turn has come; half a frame early is better than a whole one late."""
        if clock_s < self._due.get(id(panel), 0.0) - FRAME_S / 2:
            return False
        self._due[id(panel)] = clock_s + panel.period_s
        return True

    # ------------------------------------------------------------ words

    def _waiting_words(self) -> str:
        if self._wire_state.state != "connected":
            return self._wire_state.text
        whom = f"the run of {self._only}" if self._only else "a run"
        return f"{self._wire_state.text}\n\nwaiting for {whom} to begin"

    def _show_state(self, runner: Runner | None, clock_s: float) -> None:
        trouble = "" if self._wire_state.state == "connected" else self._wire_state.text
        if runner is not None and not trouble:
            trouble = runner.trouble(clock_s)
        if clock_s < self._told_until_s:
            text, color = self._told, self.theme.text
        elif trouble and (runner is not None or self._cards):
            text, color = trouble, self.theme.bad
        else:
            missed = f"{runner.missed} messages missed" if runner is not None and runner.missed else ""
            text, color = "   ".join(part for part in (self._wire_state.text, missed) if part), self.theme.soft
        if text != self._state.text():
            self._state.setText(text)
        _paint(self._state, color)

    def tell(self, text: str) -> None:
        """Say something in the last line for a while."""
        self._told, self._told_until_s = text, time.monotonic() + TOLD_S

    def _take_wire_state(self, state: WireState) -> None:
        self._wire_state = state
        self._was_connected |= state.state == "connected"
        if state.state == "refused" and not self._was_connected:
            self.refused.emit(state.text)

    def _take_outcome(self, outcome: Outcome) -> None:
        if outcome.command in ("samples", "history"):
            self.roster.take_outcome(outcome)
        elif outcome.ok:
            self.tell(f"{_DONE.get(outcome.command, outcome.command)}: {outcome.runner}")
        else:
            self.tell(f"no {_DONE.get(outcome.command, outcome.command)}: {outcome.error}")

    # ------------------------------------------------------------ keys

    def _bind_keys(self) -> None:
        does: Mapping[str, Callable[[], object]] = {
            "freeze": self.freeze,
            "earlier": partial(self._move, -0.1),
            "later": partial(self._move, 0.1),
            "lap": partial(self._command, "mark", kind="lap"),
            "mark": partial(self._command, "mark", kind="note"),
            "mute": self._mute,
            "wider": partial(self._change_span, 1),
            "narrower": partial(self._change_span, -1),
            "theme": lambda: self._set_theme(other_theme(self.theme)),
            "picture": self.take_picture,
            "full_screen": self._full_screen,
            "back": self._back,
            "help": self._help.toggle,
            "close": self.close,
        }
        for key in KEYS:
            for number, sequence in enumerate(key.sequences):
                shortcut = QShortcut(QKeySequence(sequence), self)
                if key.name == "focus":
                    shortcut.activated.connect(partial(self._focus_number, number))
                else:
                    shortcut.activated.connect(does[key.name])

    def focus_on(self, name: str) -> None:
        """Look at one runner."""
        self._focus, self._frozen_s = name, None

    def _focus_number(self, number: int) -> None:
        here = self.roster.here
        if number < len(here):
            self.focus_on(here[number].name)

    def _back(self) -> None:
        if self._help.isVisible():
            self._help.hide()
        elif self._focus and len(self.roster.here) > 1:
            self._focus, self._frozen_s = "", None
        elif self.isFullScreen():
            self.showNormal()

    def freeze(self) -> None:
        """Let the picture stand, or go on."""
        runner = self.runner
        if runner is not None:
            self._frozen_s = runner.pace.now_s(time.monotonic()) if self._frozen_s is None else None

    def _move(self, share: float) -> None:
        runner = self.runner
        if runner is not None and self._frozen_s is not None:
            wanted_s = self._frozen_s + share * self.waves.span_s
            self._frozen_s = float(np.clip(wanted_s, runner.timeline.begin_s, runner.timeline.end_s))

    def _change_span(self, by: int) -> None:
        at = SPANS_S.index(self.waves.span_s) + by
        self.waves.set_span(SPANS_S[min(max(at, 0), len(SPANS_S) - 1)])

    def _command(self, name: CommandName, **fields: str) -> None:
        runner = self.runner
        if runner is None:
            self.tell("choose a runner first: a click, or its number")
        else:
            self._wire.command(runner.name, name, **fields)

    def _mute(self) -> None:
        runner = self.runner
        self._command("unmute" if runner is not None and runner.timeline.muted else "mute")

    def _full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def take_picture(self) -> None:
        """Save what is seen, and say where."""
        path = places.pictures_dir() / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}-{self._focus or 'all'}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            saved = self.grab().save(str(path))
        except OSError:
            saved = False
        self.tell(f"picture: {path}" if saved else str(OutputError(f"{path} cannot be written")))

    # ------------------------------------------------------------ the end

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        geometry = b64encode(self.saveGeometry().data()).decode()
        remember(Remembered(theme=self.theme.name, span_s=self.waves.span_s, geometry=geometry))
        super().closeEvent(event)


_DONE: Final = {"mark": "mark", "mute": "mute", "unmute": "speaking again"}


class _Help(QLabel):
    """All keys, over the window."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.setFont(font(TEXT_PX))
        rows = "".join(
            f"<tr><td><b>{key.sign}</b>&nbsp;&nbsp;&nbsp;</td><td>{key.does}</td></tr>" for key in KEYS if key.sign
        )
        self.setText(f"<table cellpadding=3>{rows}</table>")
        self.setMargin(3 * GAP_PX)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self.setStyleSheet(f"background: {theme.panel}; color: {theme.text}; border: 2px solid {theme.line};")

    def toggle(self) -> None:
        """Appear in the middle, or go."""
        if self.isVisible():
            self.hide()
            return
        self.adjustSize()
        room = self._window.size() - self.size()
        self.move(room.width() // 2, room.height() // 2)
        self.show()
        self.raise_()


def _paint(label: QLabel, color: str) -> None:
    palette = label.palette()
    if palette.color(QPalette.ColorRole.WindowText).name() != color:
        palette.setColor(QPalette.ColorRole.WindowText, QColor(color))
        label.setPalette(palette)


def application() -> QApplication:
    """Return the application; there is one in a process."""
    running = QApplication.instance()
    return running if isinstance(running, QApplication) else QApplication(["hipdrive"])
