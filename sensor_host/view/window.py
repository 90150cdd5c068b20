"""The window of runs that happen now: one runner large or several as cards; keys, looks, and what is missing in words.

1. Qt owns the main thread. One timer takes what the wire has heard and has the visible panels drawn, each as often as
   it wants to be.
2. What is missing is said in words: in the middle while there is nobody to see, in the last line while there is.
3. A frozen picture stays; what is said meanwhile is kept and there afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QLabel, QStackedLayout, QVBoxLayout, QWidget

from sensor_host.messages import CommandName
from sensor_host.ports import Mode
from sensor_host.view.focus import Focus
from sensor_host.view.frame import (
    FRAME_S,
    GAP_PX,
    LEAST_SIZE,
    LINE_PX,
    TOLD_S,
    WORDS_PX,
    bind,
    change_span,
    keep,
    last_line,
    paint_ground,
    place,
    save_picture,
    span_near,
    ticking,
    turn_full_screen,
)
from sensor_host.view.grid import Grid
from sensor_host.view.line import Line
from sensor_host.view.number import Number
from sensor_host.view.overlay import Help
from sensor_host.view.remembered import recall
from sensor_host.view.roster import Roster, Runner
from sensor_host.view.theme import THEMES, Theme, font, other_theme
from sensor_host.view.window_keys import KEYS
from sensor_host.view.wire import Outcome, Received, Wire, WireState

_MODES: Final = {Mode.LIVE: "live", Mode.REPLAY: "replay", Mode.SIMULATED: "simulated"}
# how a command is called when there is something to say of it
_COMMANDS: Final = {"mark": "mark", "mute": "mute", "unmute": "unmute"}


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
        self._focused = ""
        self.frozen_s: float | None = None
        self._enlarged = False
        self._told, self._told_until_s = "", 0.0

        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setFont(font(WORDS_PX))
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.state, self._hint = Line(LINE_PX), Line(LINE_PX, whole=True)
        self.focus_page = Focus(self._remembered.sizes, FRAME_S)
        self.grid, self.number = Grid(FRAME_S), Number()
        self.grid.chosen.connect(self.focus_on)
        self.focus_page.tiles.chosen.connect(self.enlarge)
        self.help = Help(self)
        self.waves = self.focus_page.waves
        self.waves.set_span(span_near(self._remembered.span_s))
        self._lay_out()
        self._bind_keys()
        self.set_theme(self.theme)
        place(self, self._remembered)
        self._timer = ticking(self, self.tick)

    # ------------------------------------------------------------ layout and looks

    def _lay_out(self) -> None:
        self._pages = QStackedLayout()
        for page in (self.words, self.grid, self.focus_page, self.number):
            self._pages.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        whole.setSpacing(GAP_PX)
        whole.addLayout(self._pages, 1)
        whole.addLayout(last_line(self.state, self._hint))

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self.theme = theme
        paint_ground(self, theme)
        self._hint.say("? keys", theme.soft)
        themed: Sequence[Focus | Grid | Number | Help] = (self.focus_page, self.grid, self.number, self.help)
        for part in themed:
            part.set_theme(theme)

    # ------------------------------------------------------------ what happens thirty times a second

    def tick(self) -> None:
        """Take what has come and draw what is due."""
        clock_s = time.monotonic()
        self._hear()
        here = self.roster.here
        if not self._focused and len(here) == 1:
            self._focused = here[0].name
        shown = self.runner
        if shown is not None:
            now_s = shown.now_s(clock_s) if self.frozen_s is None else self.frozen_s
            if self._enlarged:
                self._show_page(self.number, [shown.name])
                self.number.show_at(shown.timeline, now_s)
            else:
                self._show_page(self.focus_page, [shown.name])
                self._show_focus(shown, now_s, clock_s)
        elif here:
            self._show_page(self.grid, [each.name for each in here])
            self.grid.show_runners(here, clock_s)
        else:
            self._show_page(self.words, [])
            self.words.setText(self._waiting_words())
        self._show_state(shown, clock_s, anybody=bool(here))

    def _hear(self) -> None:
        for item in self._wire.take():
            match item:
                case Received():
                    self.roster.take(item)
                case WireState():
                    self._take_wire_state(item)
                case Outcome():
                    self._take_outcome(item)

    @property
    def runner(self) -> Runner | None:
        """The runner that is looked at; None while it is several, or nobody."""
        return self.roster.get(self._focused)

    def _show_page(self, page: QWidget, watched: list[str]) -> None:
        self._wire.watch(watched)
        if self._pages.currentWidget() is not page:
            self._pages.setCurrentWidget(page)

    def _show_focus(self, shown: Runner, now_s: float, clock_s: float) -> None:
        frozen = self.frozen_s is not None
        self.focus_page.title.say("FROZEN" if frozen else "", self.theme.warn)
        self.focus_page.title.setVisible(frozen)
        self.focus_page.health.set_session(shown.name, _MODES[shown.mode] if shown.mode is not None else "")
        self.focus_page.show_at(shown.timeline, now_s, clock_s)

    # ------------------------------------------------------------ words

    def _waiting_words(self) -> str:
        if self._wire_state.state != "connected":
            return self._wire_state.text
        whom = f"the run of {self._only}" if self._only else "a run"
        return f"{self._wire_state.text}\n\nwaiting for {whom} to begin"

    def _show_state(self, runner: Runner | None, clock_s: float, *, anybody: bool) -> None:
        connected = self._wire_state.state == "connected"
        trouble = "" if connected else self._wire_state.text
        if runner is not None and (connected or runner.has_ended):
            # that a run is over says more than that its broker is gone
            trouble = "   ".join(part for part in (runner.trouble(clock_s), trouble) if part)
        if clock_s < self._told_until_s:
            self.state.say(self._told, self.theme.text)
        elif trouble and anybody:
            self.state.say(trouble, self.theme.bad)
        else:
            missed = f"{runner.missed} messages missed" if runner is not None and runner.missed else ""
            well = self._wire_state.text if connected else ""
            self.state.say("   ".join(part for part in (well, missed) if part), self.theme.soft)

    def tell(self, text: str) -> None:
        """Say something in the last line for a while."""
        self._told, self._told_until_s = text, time.monotonic() + TOLD_S

    def _take_wire_state(self, state: WireState) -> None:
        self._wire_state = state
        self._was_connected |= state.state == "connected"
        if state.state == "refused" and not self._was_connected:
            self.refused.emit(state.text)

    def _take_outcome(self, outcome: Outcome) -> None:
        if outcome.command in _COMMANDS:
            what = _COMMANDS[outcome.command]
            self.tell(f"{outcome.runner}: {what}" if outcome.ok else f"no {what}: {outcome.error}")
        else:
            self.roster.take_outcome(outcome)

    # ------------------------------------------------------------ keys

    def _bind_keys(self) -> None:
        does: Mapping[str, Callable[[], object]] = {
            "freeze": self.freeze,
            "earlier": partial(self._move, -1),
            "later": partial(self._move, 1),
            "number": partial(self.enlarge, ""),
            "strides": self.focus_page.turn,
            "lap": partial(self._command, "mark", kind="lap"),
            "mark": partial(self._command, "mark", kind="note"),
            "mute": self._mute,
            "wider": partial(change_span, self.waves, 1),
            "narrower": partial(change_span, self.waves, -1),
            "theme": lambda: self.set_theme(other_theme(self.theme)),
            "picture": self.take_picture,
            "full_screen": partial(turn_full_screen, self),
            "back": self._back,
            "help": self.help.toggle,
            "close": self.close,
        }
        bind(self, KEYS, does, {"focus": self._focus_number})

    def focus_on(self, name: str) -> None:
        """Look at one runner."""
        self._focused, self.frozen_s = name, None

    def _focus_number(self, number: int) -> None:
        here = self.roster.here
        if number < len(here):
            self.focus_on(here[number].name)

    def _back(self) -> None:
        if self.help.isVisible():
            self.help.hide()
        elif self._enlarged:
            self._enlarged = False
        elif self.isFullScreen():
            self.showNormal()
        elif self._focused and len(self.roster.here) > 1:
            self._focused, self.frozen_s = "", None

    def freeze(self) -> None:
        """Let the picture stand, or go on."""
        runner = self.runner
        if runner is not None:
            self.frozen_s = runner.now_s(time.monotonic()) if self.frozen_s is None else None

    def _move(self, by: int) -> None:
        step_s, runner = 0.1 * by * self.waves.span_s, self.runner
        if self._enlarged:
            self.number.turn(by)
        elif runner is not None and self.frozen_s is not None:
            wanted_s = self.frozen_s + step_s
            self.frozen_s = float(np.clip(wanted_s, runner.timeline.begin_s, runner.timeline.end_s))

    def enlarge(self, metric: str) -> None:
        """Show one number, that of a tile or the last one, or all else again."""
        if metric:
            self.number.set_metric(metric)
        self._enlarged = bool(metric) or not self._enlarged

    def _command(self, name: CommandName, **fields: str) -> None:
        runner = self.runner
        if runner is None:
            self.tell("choose a runner first: a click, or its number")
        elif runner.has_ended:
            self.tell(f"the run of {runner.name} has ended: nobody is left to hear it")
        else:
            self._wire.command(runner.name, name, **fields)

    def _mute(self) -> None:
        runner = self.runner
        self._command("unmute" if runner is not None and runner.timeline.muted else "mute")

    def take_picture(self) -> None:
        """Save what is seen, and say where."""
        self.tell(save_picture(self, self._focused or "all"))

    # ------------------------------------------------------------ the end

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        keep(self, self.theme, self.focus_page)
        super().closeEvent(event)


def application() -> QApplication:
    """Return the application; there is one in a process."""
    running = QApplication.instance()
    return running if isinstance(running, QApplication) else QApplication(["hipdrive"])
