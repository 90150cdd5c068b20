"""The playhead of a replay: where it stands in session time, how fast it goes, what it repeats. No clock, no Qt.

1. Whoever asks says what time it is (``clock_s``, any clock that only goes forward): the same calls give the same
   places.
2. Where it is put, it stands exactly. Playing counts from there and then, not from frame to frame: errors do not add
   up, and frames that were left out change nothing.
3. What has not been measured yet cannot be played: the playhead waits in front of it. It can be put there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

RATES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""How fast it can play."""

# 1 s: whoever asks for the previous lap while it plays wants the one before, not the one that has just gone by
GRACE_S: Final = 1.0
# half of a row of the grid: what is nearer than that is here
HERE_S: Final = 0.0025
# 0.5 s: a stride is longer; a shorter loop was a slip of the hand
LEAST_SECTION_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of session time, half open."""

    from_s: float
    to_s: float

    @property
    def duration_s(self) -> float:
        return self.to_s - self.from_s


class Transport:
    """The playhead between ``begin_s`` and ``end_s``; at first it stands at the begin.

    Attributes
    ----------
    available_to_s
        How far it can play; whoever loads moves it on.
    """

    def __init__(self, begin_s: float, end_s: float) -> None:
        self.begin_s, self.end_s = begin_s, max(begin_s, end_s)
        self.available_to_s = inf
        self._rate = 1.0
        self._at_s = begin_s
        self._since_clock_s: float | None = None
        self._section_from_s: float | None = None
        self._section_to_s: float | None = None

    # ---------------------------------------------------------------- where it is

    def now_s(self, clock_s: float) -> float:
        """Return where it stands now. At the end it stops by itself."""
        if self._since_clock_s is None:
            return self._at_s
        at_s = self._at_s + max(0.0, clock_s - self._since_clock_s) * self._rate
        reach_s = max(self._at_s, self.available_to_s)
        if at_s > reach_s:
            # what it waits for is not made up for
            at_s = reach_s
            self._count_from(at_s, clock_s)
        loop = self.section
        if loop is not None and at_s >= loop.to_s:
            at_s = loop.from_s + (at_s - loop.to_s) % loop.duration_s
            self._count_from(at_s, clock_s)
        if at_s >= self.end_s:
            self._at_s, self._since_clock_s = self.end_s, None
            return self.end_s
        return at_s

    @property
    def plays(self) -> bool:
        """Whether it goes on by itself, as of the last `now_s`."""
        return self._since_clock_s is not None

    @property
    def rate(self) -> float:
        """How fast it plays: 1 is as fast as it was."""
        return self._rate

    @property
    def section(self) -> Section | None:
        """What is repeated; None while not both of its ends are set."""
        if self._section_from_s is None or self._section_to_s is None:
            return None
        return Section(self._section_from_s, self._section_to_s)

    @property
    def section_begun_s(self) -> float | None:
        """Where a section begins whose end is not set yet."""
        return self._section_from_s if self._section_to_s is None else None

    # ---------------------------------------------------------------- moving it

    def play(self, clock_s: float) -> None:
        """Go on; from the end, anew from the begin."""
        now_s = self.now_s(clock_s)
        self._count_from(self.begin_s if now_s >= self.end_s else now_s, clock_s)

    def pause(self, clock_s: float) -> None:
        """Stand still."""
        self._at_s, self._since_clock_s = self.now_s(clock_s), None

    def toggle(self, clock_s: float) -> None:
        """Go on, or stand still."""
        if self.plays:
            self.pause(clock_s)
        else:
            self.play(clock_s)

    def seek(self, t_s: float, clock_s: float) -> None:
        """Stand at a time, or at the end nearest to it; whether it plays stays as it is."""
        self._at_s = min(max(t_s, self.begin_s), self.end_s)
        if self._since_clock_s is not None:
            self._since_clock_s = clock_s

    def move(self, by_s: float, clock_s: float) -> None:
        """Go so much further, or back."""
        self.seek(self.now_s(clock_s) + by_s, clock_s)

    def set_rate(self, rate: float, clock_s: float) -> None:
        """Play at the nearest of `RATES`."""
        now_s = self.now_s(clock_s)
        self._rate = min(RATES, key=lambda known: abs(known - rate))
        if self.plays:
            self._count_from(now_s, clock_s)

    def change_rate(self, by: int, clock_s: float) -> None:
        """Play so many of `RATES` faster or slower."""
        self.set_rate(RATES[min(max(RATES.index(self._rate) + by, 0), len(RATES) - 1)], clock_s)

    def jump(self, times_s: Sequence[float], by: int, clock_s: float) -> float | None:
        """Stand exactly at the next of rising times (``by`` 1) or at the one before (-1).

        Returns
        -------
        float or None
            Where; None, and nothing moves, where there is none.
        """
        now_s = self.now_s(clock_s)
        if by > 0:
            place = bisect_right(times_s, now_s + HERE_S)
        else:
            place = bisect_left(times_s, now_s - (GRACE_S * self._rate if self.plays else HERE_S)) - 1
        if not 0 <= place < len(times_s):
            return None
        self.seek(times_s[place], clock_s)
        return times_s[place]

    # ---------------------------------------------------------------- the section

    def begin_section(self, clock_s: float) -> None:
        """Let a section begin here; its end is kept where it lies behind."""
        now_s = self.now_s(clock_s)
        self._section_from_s = now_s
        if self._section_to_s is not None and self._section_to_s < now_s + LEAST_SECTION_S:
            self._section_to_s = None

    def end_section(self, clock_s: float) -> None:
        """Let the section end here; without a begin before here it begins at the begin of the session."""
        now_s = self.now_s(clock_s)
        begin_s = self._section_from_s
        if begin_s is None or begin_s > now_s - LEAST_SECTION_S:
            begin_s = self.begin_s
        self.set_section(begin_s, now_s, clock_s)

    def set_section(self, from_s: float, to_s: float, clock_s: float) -> None:
        """Repeat from one time to another, in whatever order; too short a stretch is none, and nothing changes."""
        low, high = sorted(min(max(t_s, self.begin_s), self.end_s) for t_s in (from_s, to_s))
        if high - low < LEAST_SECTION_S:
            return
        now_s = self.now_s(clock_s)
        self._section_from_s, self._section_to_s = low, high
        if self.plays:
            # behind its end it would never come back
            self._count_from(now_s if now_s < high else low, clock_s)

    def clear_section(self) -> None:
        """Repeat nothing."""
        self._section_from_s = self._section_to_s = None

    def _count_from(self, at_s: float, clock_s: float) -> None:
        self._at_s, self._since_clock_s = at_s, clock_s
