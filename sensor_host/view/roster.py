"""Who is heard: for each runner the timeline of the present session, and how it stands, in words. No Qt, no MQTT."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from sensor_host.messages import RecentFigures, SamplesPacket, SessionFigures
from sensor_host.ports import Mode, SessionState
from sensor_host.view.timeline import Timeline
from sensor_host.view.wire import Outcome, Received

# 10 min of motion, in 8 MB: who freezes the picture can still go back a while
KEEP_S: Final = 600.0
# 2 s: link figures come every second; once they stay out, something is wrong
SILENT_S: Final = 2.0
# 2 s of arrivals tell how fast session time runs here: in a replay it may be any factor
PACE_S: Final = 2.0
# 0.3 s: longer than from one portion of motion to the next; after that nothing is ahead but a hole
AHEAD_S: Final = 0.3


class Pace:
    """The present moment of a session, that moves evenly though what is heard comes in portions."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, float]] = deque()
        self._last_s = -np.inf

    def take(self, received_s: float, end_s: float) -> None:
        """Note that at ``received_s`` of this computer's clock session time had reached ``end_s``."""
        self._arrivals.append((received_s, end_s))
        while received_s - self._arrivals[0][0] > PACE_S:
            self._arrivals.popleft()

    def now_s(self, clock_s: float) -> float:
        """Return the session time at ``clock_s``; it never runs back."""
        if not self._arrivals:
            return self._last_s
        first, last = self._arrivals[0], self._arrivals[-1]
        took_s = last[0] - first[0]
        rate = (last[1] - first[1]) / took_s if took_s > 0.5 * PACE_S else 1.0
        # delay is never negative: who came soonest tells where the session is
        ahead_s = max(end_s - rate * received_s for received_s, end_s in self._arrivals)
        now_s = min(ahead_s + rate * clock_s, last[1] + AHEAD_S)
        self._last_s = max(self._last_s, now_s)
        return self._last_s


def clock_text(t_s: float) -> str:
    """Return a time of a session as people read it."""
    whole = max(0, int(t_s)) if np.isfinite(t_s) else 0
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Runner:
    """What is known of one runner."""

    def __init__(self, name: str, words: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._words = words
        self.timeline = Timeline(KEEP_S, words)
        self.pace = Pace()
        self.session_id = ""
        self.mode: Mode | None = None
        self.start_utc = ""
        self.state = ""
        self.state_detail = ""
        self.last_s = -np.inf
        """When something was heard last, by this computer's monotonic clock; what a broker kept does not count."""
        self.missed = 0
        """Messages that never came."""
        self.no_motion = ""
        """Why no motion is sent; empty while it is."""

    @property
    def is_here(self) -> bool:
        """Whether a session goes on, or something was heard of it: old news that a broker kept is neither."""
        return self.state == "online" or self.last_s > -np.inf

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be said of this session."""
        return self.state in ("offline", "lost")

    def now_s(self, clock_s: float) -> float:
        """Return the present moment of the session; at its end it stands."""
        return self.timeline.end_s if self.has_ended else self.pace.now_s(clock_s)

    def take(self, received: Received) -> None:
        """Take a message."""
        item = received.heard.item
        self.missed += received.missed
        if not received.retained:
            self.last_s = received.received_s
        match item:
            case SessionState():
                self._take_state(item, received.heard.session)
            case SamplesPacket():
                self.no_motion = ""
                rows = np.arange(len(item.values), dtype=np.float64)
                self.timeline.take_motion(item.t0_s + item.period_s * rows, item.values)
                self.pace.take(received.received_s, self.timeline.end_s)
            case RecentFigures() | SessionFigures():
                pass
            case _:
                before_s = self.timeline.end_s
                self.timeline.take(item, str(received.heard.session.get("words", "")))  # type: ignore[arg-type]
                if self.timeline.end_s > before_s and not received.retained:
                    self.pace.take(received.received_s, self.timeline.end_s)

    def _take_state(self, state: SessionState, session: Mapping[str, object]) -> None:
        session_id = str(session["session_id"])
        if session_id != self.session_id:
            if self.session_id:
                self.timeline, self.pace, self.missed = Timeline(KEEP_S, self._words), Pace(), 0
            self.session_id = session_id
        self.mode = Mode(str(session["mode"]))
        self.start_utc = str(session["start_utc"])
        self.state, self.state_detail = state.state, state.detail
        self.timeline.take(state)

    def trouble(self, clock_s: float) -> str:
        """Return in words what is missing; empty while all is well."""
        if self.state == "lost":
            return f"the host of {self.name} was lost; the last figures stand"
        if self.state == "offline":
            return f"the run of {self.name} has ended"
        silent_s = clock_s - self.last_s
        if silent_s > SILENT_S:
            return f"no data for {silent_s:.0f} s" if np.isfinite(silent_s) else "no data yet"
        for link in self.timeline.links.values():
            if link.state != "connected":
                return f"{link.role.replace('_', ' ')} sensor: {link.detail or link.state}"
        return self.no_motion


class Roster:
    """All runners that are heard, by name."""

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        self._words = words
        self._runners: dict[str, Runner] = {}

    def take(self, received: Received) -> None:
        """Take a message of whomever."""
        if received.runner not in self._runners:
            self._runners[received.runner] = Runner(received.runner, self._words)
        self._runners[received.runner].take(received)

    def take_outcome(self, outcome: Outcome) -> None:
        """Note that a host refuses to send motion."""
        if outcome.command == "samples" and outcome.runner in self._runners:
            self._runners[outcome.runner].no_motion = f"no waveforms: {outcome.error}"

    @property
    def here(self) -> list[Runner]:
        """The runners to show, in the order of their names."""
        return [self._runners[name] for name in sorted(self._runners) if self._runners[name].is_here]

    def get(self, name: str) -> Runner | None:
        """Return a runner, or None where nobody of that name was heard."""
        return self._runners.get(name)
