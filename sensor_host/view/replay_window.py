"""The window over recordings: the pages of a run at any moment of it, strides, a comparison, and the bar to move along.

1. What is shown is the moment at the playhead. The same panels draw it as draw a run while it happens.
2. A recording is measured while the window is in use (`sensor_host.view.loading`); what is not there yet is said in the
   last line, and the playhead waits in front of it.
3. With two recordings one is looked at and the other is what is compared with, until something else is chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import numpy as np
from PySide6.QtCore import QMargins, Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QLabel, QStackedLayout, QVBoxLayout, QWidget

from pelvis.data import Side
from sensor_host.view.comparison_view import Chosen, ComparisonView
from sensor_host.view.cursor import Cursor
from sensor_host.view.curves import CURVES, phase_at
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
from sensor_host.view.line import Line
from sensor_host.view.loading import Loading
from sensor_host.view.overlay import Help
from sensor_host.view.panel import Turns
from sensor_host.view.remembered import recall
from sensor_host.view.stride_norms import norm_at
from sensor_host.view.stride_view import LAST_S, Compared, StrideView
from sensor_host.view.strips import SPANS_S as STRIP_SPANS_S
from sensor_host.view.strips import Strips
from sensor_host.view.theme import SIDE_LOOKS, THEMES, Theme, font, other_theme
from sensor_host.view.timeline import MOTION_COLUMNS, Timeline
from sensor_host.view.transport import Section, Transport
from sensor_host.view.transport_bar import TransportBar, clock_words
from sensor_host.view.wave_cursor import WaveCursor
from sensor_host.view.window_keys import REPLAY_KEYS

# 2 s: three strides or so
A_BIT_S: Final = 2.0
TITLE_PX: Final = 20
RUN, STRIDES, COMPARISON, STRIPS = range(4)

_FEET: Final = (Side.UNKNOWN, Side.LEFT, Side.RIGHT)


class Themed(Protocol):
    """What has a look."""

    def set_theme(self, theme: Theme) -> None: ...


class Opened:
    """A recording that is shown: what is known of it so far, and where its playhead stands."""

    def __init__(self, loading: Loading, clock_s: float) -> None:
        assert loading.survey is not None
        self.loading, self.survey = loading, loading.survey
        self.timeline = Timeline()
        # from its first word on: what it has said so far need not come to be known
        self.transport = Transport(self.survey.begin_s, self.survey.end_s)
        self.transport.set_rate(1.0, clock_s)

    @property
    def name(self) -> str:
        """How it is called in a title."""
        parts = (self.survey.runner, self.survey.start_utc.replace("T", " ").removesuffix("Z"), self.survey.source)
        return "   ".join(part for part in parts if part)

    @property
    def short_name(self) -> str:
        """How it is called beside a figure."""
        return self.survey.source

    def take(self) -> None:
        """Take what has been measured."""
        self.loading.take(self.timeline)
        self.transport.available_to_s = self.loading.measured_to_s

    def trouble(self) -> str:
        """Return what is not as it should be; empty where all is there."""
        if self.loading.error is not None:
            return str(self.loading.error)
        if self.loading.state != "complete":
            done_s = max(self.loading.measured_to_s, self.survey.begin_s) - self.survey.begin_s
            share = done_s / max(self.survey.end_s - self.survey.begin_s, 1e-9)
            return f"measuring: {share:.0%}".replace("%", " %")
        return ""


class ReplayWindow(QWidget):
    """The plot window over one or two recordings.

    Parameters
    ----------
    loadings
        The recordings; `Loading.wait_opened` has returned for each. Closed by the caller.
    clock
        What the playhead counts by, in seconds.
    """

    def __init__(self, loadings: Sequence[Loading], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self.sessions = [Opened(loading, clock()) for loading in loadings]
        self.session = self.sessions[0]
        self.setMinimumSize(*LEAST_SIZE)
        self._remembered = recall()
        self.theme: Theme = THEMES[self._remembered.theme]
        self._told, self._told_until_s = "", 0.0
        self._chosen: Chosen | None = None
        self._norm: Compared | None = None
        self._turns = Turns(FRAME_S)
        self.cursor_of_all = Cursor()
        self.title = Line(TITLE_PX, "strong")
        self.state, self._hint = Line(LINE_PX), Line(LINE_PX, whole=True)
        self.run = Focus(self._remembered.sizes, FRAME_S)
        self.run.title.hide()
        self.run.waves.set_span(span_near(self._remembered.span_s))
        self.strides, self.comparison = StrideView(self.cursor_of_all), ComparisonView(self.cursor_of_all)
        self.strips = Strips()
        for strips in (self.strips, self.run.strips):
            strips.follow(self.cursor_of_all)
            strips.picked.connect(self._go_to)
        self.wave_cursor = WaveCursor(self.run.waves, self.cursor_of_all, lambda: self.now_s)
        self.words = QLabel()
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setFont(font(WORDS_PX))
        self.bars = [TransportBar(each.transport, clock, self.cursor_of_all) for each in self.sessions]
        for bar, each in zip(self.bars, self.sessions, strict=True):
            bar.set_shaking(each.survey.shaking_g)
            bar.moved.connect(self.tick)
            bar.section_changed.connect(self.take_section)
        self.help = Help(self, REPLAY_KEYS)
        self._lay_out()
        self._bind_keys()
        self._look_at(0)
        if len(self.sessions) > 1:
            self._compare_with_the_other()
        self.set_theme(self.theme)
        place(self, self._remembered)
        self._timer = ticking(self, self.tick)

    # ------------------------------------------------------------ layout and looks

    def _lay_out(self) -> None:
        self.pages = QStackedLayout()
        for page in (self.run, self.strides, self.comparison, self.strips):
            self.pages.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(QMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX))
        whole.setSpacing(GAP_PX)
        whole.addWidget(self.title)
        whole.addLayout(self.pages, 1)
        for bar in self.bars:
            whole.addWidget(bar)
        whole.addLayout(last_line(self.state, self._hint))

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self.theme = theme
        paint_ground(self, theme)
        self._hint.say("? keys", theme.soft)
        parts: tuple[Themed, ...] = (
            self.run,
            self.strides,
            self.comparison,
            self.strips,
            self.wave_cursor,
            *self.bars,
            self.help,
        )
        for part in parts:
            part.set_theme(theme)
        self._turns.reset()

    # ------------------------------------------------------------ what happens thirty times a second

    @property
    def now_s(self) -> float:
        """The session time that is shown."""
        return self.session.transport.now_s(self._clock())

    def tick(self) -> None:
        """Take what has been measured and draw what is due."""
        clock_s = self._clock()
        for each in self.sessions:
            each.take()
        session = self.session
        timeline, now_s = session.timeline, self.now_s
        timeline.stand_at(now_s)
        page = self.pages.currentIndex()
        if page == RUN:
            self.run.show_at(timeline, now_s, clock_s)
        elif page == STRIDES and self._turns.come(self.strides, clock_s):
            self.strides.compare_with(self._compared_strides())
            self.strides.show_at(timeline, now_s)
        elif page == COMPARISON and self._turns.come(self.comparison, clock_s):
            self.comparison.show_at(timeline, now_s)
        elif page == STRIPS and self._turns.come(self.strips, clock_s):
            self.strips.show_at(timeline, now_s)
        for bar, each in zip(self.bars, self.sessions, strict=True):
            if bar.isVisible():
                bar.show_at(each.timeline, each.transport.now_s(clock_s))
        parts = (session.name, str(timeline.activity), "muted" if timeline.muted else "")
        self.title.say("   ".join(part for part in parts if part), self.theme.text)
        self._show_state()

    def _show_state(self) -> None:
        trouble, read_off = self.session.trouble(), self.read_off()
        if self._clock() < self._told_until_s:
            self.state.say(self._told, self.theme.text)
        elif trouble:
            self.state.say(trouble, self.theme.bad if self.session.loading.error is not None else self.theme.warn)
        elif read_off:
            self.state.say(read_off, self.theme.other)
        else:
            self.state.say("   ".join(self.session.survey.warnings), self.theme.soft)

    def read_off(self) -> str:
        """Return in words what the cursor points at; empty where it does not."""
        at = self.cursor_of_all.at
        t_s = at.t_s if at.t_s is not None else self.wave_cursor.t_s
        if t_s is None:
            return ""
        timeline = self.session.timeline
        times_s, values = timeline.motion(t_s - 0.01, t_s + 0.01)
        if not len(times_s):
            return f"{clock_words(t_s)}   not measured"
        row = values[int(np.argmin(np.abs(times_s - t_s)))]
        parts = [clock_words(t_s)]
        for curve in CURVES:
            value = float(row[MOTION_COLUMNS.index(curve.column)])
            if np.isfinite(value):
                parts.append(f"{curve.title.partition(',')[0].lower()} {value:.{curve.decimals}f} {curve.unit}")
        phase = phase_at(timeline, t_s)
        if phase is not None:
            parts.append(f"{phase[1]:.0f} % of a stride {SIDE_LOOKS[phase[0]].letter}")
        return "   ".join(parts)

    def tell(self, text: str) -> None:
        """Say something in the last line for a while."""
        self._told, self._told_until_s = text, self._clock() + TOLD_S

    # ------------------------------------------------------------ keys

    def _bind_keys(self) -> None:
        does: Mapping[str, Callable[[], object]] = {
            "play": lambda: self._transport.toggle(self._clock()),
            "back_a_bit": lambda: self._transport.move(-A_BIT_S, self._clock()),
            "on_a_bit": lambda: self._transport.move(A_BIT_S, self._clock()),
            "step_back": partial(self._jump, "step", -1),
            "step_on": partial(self._jump, "step", 1),
            "cue_on": partial(self._jump, "cue", 1),
            "cue_back": partial(self._jump, "cue", -1),
            "lap_on": partial(self._jump, "lap", 1),
            "lap_back": partial(self._jump, "lap", -1),
            "begin": lambda: self._transport.seek(self._transport.begin_s, self._clock()),
            "end": lambda: self._transport.seek(self._transport.end_s, self._clock()),
            "slower": lambda: self._transport.change_rate(-1, self._clock()),
            "faster": lambda: self._transport.change_rate(1, self._clock()),
            "section_begin": self._begin_section,
            "section_end": self._end_section,
            "section_none": self._clear_section,
            "compare": self.compare_with_this,
            "compare_none": self._compare_with_nothing,
            "norm": self.show_norm,
            "feet": self._next_feet,
            "swap": self._swap,
            "wider": partial(self._change_span, 1),
            "narrower": partial(self._change_span, -1),
            "theme": lambda: self.set_theme(other_theme(self.theme)),
            "picture": self.take_picture,
            "full_screen": partial(turn_full_screen, self),
            "back": self._back,
            "help": self.help.toggle,
            "close": self.close,
        }
        bind(self, REPLAY_KEYS, does, {"page": self.turn_to})

    @property
    def _transport(self) -> Transport:
        return self.session.transport

    def turn_to(self, page: int) -> None:
        """Show another page."""
        self.pages.setCurrentIndex(page)
        self._turns.reset()

    def _go_to(self, t_s: float) -> None:
        self._transport.seek(t_s, self._clock())

    def _jump(self, what: str, by: int) -> None:
        timeline = self.session.timeline
        if what == "step":
            times_s: list[float] = timeline.column("initial_contact_s").tolist()
        else:
            kinds = ("cue", "chime") if what == "cue" else ("lap",)
            times_s = [mark.t_s for mark in timeline.marks if mark.kind in kinds]
        found_s = self._transport.jump(times_s, by, self._clock())
        if found_s is None:
            self.tell(f"no {what} {'after' if by > 0 else 'before'} here")
        elif what != "step":
            words = next((mark.text for mark in timeline.marks if mark.t_s == found_s and mark.text), what)
            self.tell(f"{clock_words(found_s)}   {words}")

    # ------------------------------------------------------------ sections and comparison

    def _begin_section(self) -> None:
        self._transport.begin_section(self._clock())
        self.take_section()

    def _end_section(self) -> None:
        self._transport.end_section(self._clock())
        self.take_section()

    def _clear_section(self) -> None:
        self._transport.clear_section()
        self.take_section()

    def take_section(self) -> None:
        """Let all pages show the strides of what is repeated now."""
        section = self._transport.section
        self.strides.set_section(section)
        self.comparison.set_section(section)
        self._turns.reset()

    def compare_with_this(self) -> None:
        """Compare with the section, or with the last minute, from now on."""
        now_s = self.now_s
        section = self._transport.section or Section(max(self._transport.begin_s, now_s - LAST_S), now_s)
        name = f"{_minutes(section.from_s)} to {_minutes(section.to_s)}"
        if len(self.sessions) > 1:
            name = f"{self.session.short_name} {name}"
        self.choose(Chosen(name, self.session.timeline, section))
        self.tell(f"compared with {name} from now on")

    def choose(self, chosen: Chosen | None) -> None:
        """Compare with this; None: with nothing."""
        self._chosen, self._norm = chosen, None
        self.comparison.choose(chosen)
        self._turns.reset()

    def _compare_with_nothing(self) -> None:
        self.choose(None)

    def show_norm(self) -> None:
        """Draw what is usual at the section's speed beside the strides, or what was chosen again."""
        if self._norm is not None:
            self._norm = None
        else:
            now_s = self.now_s
            section = self._transport.section or Section(now_s - LAST_S, now_s)
            timeline = self.session.timeline
            speeds = timeline.column("speed_mps", timeline.steps_between(section.from_s, section.to_s))
            known = speeds[np.isfinite(speeds)]
            speed_mps = float(np.median(known)) if len(known) else float("nan")
            self._norm = norm_at(speed_mps)
            if self._norm is None:
                how = f"at {speed_mps:.1f} m/s" if len(known) else "at an unknown speed"
                self.tell(f"nothing is known of what is usual {how}")
        self._turns.reset()

    def _compared_strides(self) -> Compared | None:
        if self._norm is not None:
            return self._norm
        return self._chosen.compared() if self._chosen is not None else None

    def _compare_with_the_other(self) -> None:
        other = next(each for each in self.sessions if each is not self.session)
        self.choose(Chosen(other.short_name, other.timeline, Section(other.survey.begin_s, other.survey.end_s)))

    def _next_feet(self) -> None:
        self.comparison.set_side(_FEET[(_FEET.index(self.comparison.side) + 1) % len(_FEET)])
        self._turns.reset()

    def _swap(self) -> None:
        if len(self.sessions) < 2:
            self.tell("only one recording is open: hipdrive view ONE TWO opens two")
            return
        self._transport.pause(self._clock())
        was_the_other = self._chosen is not None and self._chosen.timeline is not self.session.timeline
        self._look_at(1 - self.sessions.index(self.session))
        if was_the_other:
            self._compare_with_the_other()

    def _look_at(self, number: int) -> None:
        self.session = self.sessions[number]
        for each, bar in zip(self.sessions, self.bars, strict=True):
            bar.setVisible(each is self.session)
        self.wave_cursor.set_timeline(self.session.timeline)
        self.run.health.set_session(self.session.survey.runner, "replay")
        self.setWindowTitle(f"{self.session.survey.source} - hipdrive")
        self.take_section()

    # ------------------------------------------------------------ the rest of the keys

    def _change_span(self, by: int) -> None:
        if self.pages.currentIndex() == STRIPS:
            at = STRIP_SPANS_S.index(self.strips.span_s) + by
            self.strips.set_span(STRIP_SPANS_S[min(max(at, 0), len(STRIP_SPANS_S) - 1)])
            return
        change_span(self.run.waves, by)

    def _back(self) -> None:
        if self.help.isVisible():
            self.help.hide()
        elif self.isFullScreen():
            self.showNormal()

    def take_picture(self) -> None:
        """Save what is seen, and say where."""
        self.tell(save_picture(self, self.session.survey.runner))

    # ------------------------------------------------------------ the end

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        keep(self, self.theme, self.run)
        super().closeEvent(event)


def _minutes(t_s: float) -> str:
    return clock_words(t_s).removesuffix(".0")
