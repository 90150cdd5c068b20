"""Time from receipts alone: what a sensor without counter and clock would have stamped and counted.

How it works
------------
1. Sample slots are counted. Slots times the nominal period is the sensor's own time ``x``; receipt minus ``x`` is delay
   plus offset. The line under the last minute of it gives the sensor's true period and when a sample was taken, but for
   the least delay (`pelvis.envelope`). Until `RATE_AFTER_S` have passed the nominal rate is believed.
2. Lateness is how far a receipt lies above that line. A link that stalls holds packets back and then catches up:
   lateness comes down again. A loss lifts it for good. So loss is decided only when lateness has stayed above
   `LATE_S` for two windows of `SETTLE_S` on end and is not coming down; it is as many whole packets as fill it.
3. A packet that is too early proves a guess of the last minute wrong: it is taken back, and next time as much
   lateness is taken for the link's manner.
4. Stamps follow the line without steps: what the line moves by is made up over `FOLLOW_S`, but for losses.
5. After a new start the line stands; the receipt of the first packet says how far along it the stream goes on.

Accuracy
--------
On a usual link (events every 15 to 50 ms, some second tries) a quarter of a second is right to 2.5 ms after 10 s, and
after a minute to 0.05 ms, or to 1 ms where packets and events keep step; the place of a sample, but for a constant
delay, to 10 ms, and in step to the interval or a packet's span, whichever is less, and 10 ms; drift to 60 ppm. Losses
of less than `LATE_S` are not seen one by one, only in their sum.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from pelvis.envelope import HostOffset, slope_under

# 1 s: holds some twenty connection events, one of them hardly delayed
BIN_S = 1.0
# 60: a minute; longer, and a sensor that warms up (10 ppm a second at worst) bends the line by more than 5 ms
BINS = 60

# 5 s: 25 ms of delay are half a percent of it, which is what MEMS rates are usually off
RATE_AFTER_S = 5.0
# after a new start the known rate is better than one found in less
RATE_AGAIN_AFTER_S = 30.0
# MEMS gyroscopes time their samples to 1 or 2 %, the oscillators of small controllers to 3
RATE_TOLERANCE = 0.05

# 50 ms: the longest interval between connection events that hosts ask for
LATE_S = 0.050
# 0.5 s, twice: ten events of the slowest link each; second tries in a row have passed by then
SETTLE_S = 0.5
# a backlog that is being worked off shrinks by more than this in one window
SETTLED_S = 0.025
# what was proved to be a manner of the link is borne with: half as much again, forgotten with a memory of 100 s
BEAR_RATIO = 1.5
FORGET_RATIO = 0.99
# a guess that stood for so long is no longer proved wrong: the line will soon have forgotten what it rests on
TAKE_BACK_S = 45.0

# 10 s: 25 ms are made up for by running 0.25 % fast or slow, 0.6 ms in a contact; at most 1 %
FOLLOW_S = 10.0
FOLLOW_RATIO = 0.01

# 1.2: no sensor is that fast by itself
EXCESS_RATIO = 1.2
# 10 s: a backlog of two seconds at the start looks like 1.2 in less
EXCESS_AFTER_S = 10.0


@dataclass(slots=True)
class _Guess:
    """``samples`` are believed to be lost at ``since_s``, of ``at_first`` so many; it may prove wrong ``until_s``."""

    since_s: float
    until_s: float
    samples: int
    at_first: int


class ArrivalClock:
    """Gives each packet the counter and stamp that its sensor did not send.

    Attributes
    ----------
    excess_ratio
        How many times the nominal rate arrives, where that is more than any sensor's; else 0.
    """

    def __init__(self, nominal_s: float) -> None:
        self.excess_ratio = 0.0
        self._nominal_s = nominal_s
        self._slope = 0.0
        self._rate_known = False
        self._rate_after_s = RATE_AFTER_S
        self._started = False
        self._bridging = False
        self._shift_s = 0.0  # x of slot 0 of this stream
        self._next_index = 0
        self._first_s = 0.0  # x of the last packet's first sample
        self._zero_s = 0.0  # where on the line stamp 0 lies
        self._stamp_s = 0.0
        self._intercept_s = 0.0
        self._usual_s = 0.0  # how far the least delayed packet of a bin usually lies above the line
        self._points: deque[tuple[float, float]] = deque(maxlen=BINS)
        self._bin_end_s = -math.inf
        self._bin_lowest: tuple[float, float] | None = None
        self._bin_lowest_s = math.inf
        self._all = HostOffset()
        self._guesses: list[_Guess] = []
        self._bear_s = LATE_S
        self._late_since_s = 0.0
        self._window_end_s = math.inf
        self._window_least_s = math.inf
        self._window_before_s = math.inf

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the host's clock runs than the sensor's at its nominal rate; None until a minute was seen."""
        return self._all.drift_ppm

    def bridge(self) -> None:
        """Say that the next packet does not follow the last one: only its receipt tells when it is."""
        self._bridging = True

    def expect(self, nominal_s: float) -> None:
        """Take another nominal period from here on, and find the rate anew."""
        next_s = self._next_index * self._nominal_s + self._shift_s
        self._nominal_s = nominal_s
        self._shift_s = next_s - self._next_index * nominal_s
        self._intercept_s += self._slope * next_s
        self._slope = 0.0
        self._rate_known = False
        self._rate_after_s = RATE_AFTER_S
        self._forget()

    def place(self, index: int, samples: int, t_host_s: float, *, anew: bool) -> tuple[int, float]:
        """Return how many samples are missing before a packet, and the stamp of its first sample in seconds.

        Less than none are missing where a guess was wrong.

        Parameters
        ----------
        index
            Slot of the first sample, counted by the decoder since the stream's start.
        samples
            How many samples the packet holds.
        t_host_s
            When it came.
        anew
            Whether a stream begins with it.
        """
        ahead = 0
        behind_s = (samples - 1) * self._nominal_s
        if not self._started:
            self._started = True
            self._shift_s = -index * self._nominal_s
            self._first_s = 0.0
            self._intercept_s = self._zero_s = t_host_s - behind_s * (1.0 + self._slope)
        elif anew or self._bridging or index < self._next_index:
            ahead = self._bridge(index, samples, t_host_s)
        else:
            ahead = index - self._next_index
        self._bridging = False
        x_s = index * self._nominal_s + self._shift_s + behind_s
        lost = self._watch(x_s, samples, t_host_s)
        ahead += lost
        x_s += lost * self._nominal_s
        if lost < 0:
            self._first_s += lost * self._nominal_s  # it was there that the last packet belonged
        self._observe(x_s, t_host_s)
        self._next_index = index + samples
        first_s = x_s - behind_s
        step_s = (first_s - self._first_s) * (1.0 + self._slope)
        self._first_s = first_s
        self._stamp_s += step_s
        error_s = self._line(first_s) - self._zero_s - self._stamp_s
        error_s = min(max(error_s, -FOLLOW_RATIO * FOLLOW_S), FOLLOW_RATIO * FOLLOW_S)
        self._stamp_s += error_s * min(1.0, samples * self._nominal_s / FOLLOW_S)
        return ahead, self._stamp_s

    def _line(self, x_s: float) -> float:
        """Return when the host would have what the sensor has at ``x_s``, by the least delay."""
        return x_s + self._slope * x_s + self._intercept_s

    def _bridge(self, index: int, samples: int, t_host_s: float) -> int:
        """Let a stream begin where on the line its first packet came; return how many samples would fill the break."""
        x_s = (t_host_s - self._intercept_s - self._usual_s) / (1.0 + self._slope)
        first_s = x_s - (samples - 1) * self._nominal_s
        next_s = self._next_index * self._nominal_s + self._shift_s
        self._shift_s = first_s - index * self._nominal_s
        if self._rate_known:
            self._rate_after_s = RATE_AGAIN_AFTER_S
        self._forget()
        return max(0, round((first_s - next_s) / self._nominal_s))

    def _forget(self) -> None:
        """Forget what the line rests on, but not the line."""
        self._points.clear()
        self._all.restart()
        self._guesses.clear()
        self._bin_end_s = -math.inf
        self._bin_lowest = None
        self._settle()

    # ---------------------------------------------------------------- loss

    def _watch(self, x_s: float, samples: int, t_host_s: float) -> int:
        """Return how many samples are lost before this packet, as is clear only now; negative: a guess was wrong."""
        late_s = t_host_s - self._line(x_s)
        packet_s = samples * self._nominal_s
        if self._guesses and late_s < -0.5 * packet_s:
            return -self._take_back(late_s, samples)
        if late_s < self._bear_s or not self._rate_known:
            self._settle()
            return 0
        if self._window_end_s == math.inf:
            self._window_end_s = t_host_s + SETTLE_S
            self._late_since_s = x_s
        self._window_least_s = min(self._window_least_s, late_s)
        if t_host_s < self._window_end_s:
            return 0
        least_s, before_s = self._window_least_s, self._window_before_s
        if before_s == math.inf or least_s < before_s - SETTLED_S:
            self._window_end_s = t_host_s + SETTLE_S
            self._window_least_s, self._window_before_s = math.inf, least_s
            return 0
        self._settle()
        lost = samples * max(1, round((least_s - self._usual_s) / packet_s))
        self._guesses.append(_Guess(self._late_since_s, x_s + TAKE_BACK_S, lost, lost))
        self._move(lost, self._late_since_s)
        return lost

    def _take_back(self, early_s: float, samples: int) -> int:
        """Take back the latest guess as far as an early packet proves it wrong; return by how many samples."""
        guess = self._guesses[-1]
        wrong = min(guess.samples, samples * max(1, round(-early_s / (samples * self._nominal_s))))
        guess.samples -= wrong
        guess.until_s = max(guess.until_s, self._first_s + TAKE_BACK_S)
        if not guess.samples:
            self._guesses.pop()
        if guess.samples < guess.at_first / 2:
            self._bear_s = min(1.0, max(self._bear_s, BEAR_RATIO * guess.at_first * self._nominal_s))
        self._move(-wrong, guess.since_s)
        # a backlog that is worked off for a minute must not pass for a rate
        on_line = [at for at in self._points if at[1] - self._slope * at[0] < self._intercept_s + LATE_S]
        self._points = deque(on_line, maxlen=BINS)
        self._all.restart()
        self._fit_intercept()
        return wrong

    def _move(self, samples: int, since_s: float) -> None:
        """Count more slots from ``since_s`` on; what was seen since is moved too, or it would tilt the line."""
        by_s = samples * self._nominal_s
        self._shift_s += by_s
        self._bin_end_s += by_s
        for number, (at_s, offset_s) in enumerate(self._points):
            if at_s >= since_s:
                self._points[number] = (at_s + by_s, offset_s - by_s)
        if self._bin_lowest is not None and self._bin_lowest[0] >= since_s:
            self._bin_lowest = (self._bin_lowest[0] + by_s, self._bin_lowest[1] - by_s)
            self._bin_lowest_s = self._bin_lowest[1] - self._slope * self._bin_lowest[0]

    def _settle(self) -> None:
        self._window_end_s = self._window_least_s = self._window_before_s = math.inf

    # ---------------------------------------------------------------- the line

    def _observe(self, x_s: float, t_host_s: float) -> None:
        """Take a packet into the line."""
        if x_s >= self._bin_end_s:
            if self._bin_lowest is not None:
                self._points.append(self._bin_lowest)
                self._guesses = [guess for guess in self._guesses if x_s < guess.until_s]
                self._fit()
                self._bear_s = max(LATE_S, FORGET_RATIO * self._bear_s)
            self._bin_end_s = x_s + BIN_S
            self._bin_lowest = None
            self._bin_lowest_s = math.inf
        self._all.observe(x_s, t_host_s)
        offset_s = t_host_s - x_s
        above_s = offset_s - self._slope * x_s
        if above_s < self._bin_lowest_s:
            self._bin_lowest_s = above_s
            self._bin_lowest = (x_s, offset_s)
            if not self._guesses:
                self._intercept_s = min(self._intercept_s, above_s)

    def _fit(self) -> None:
        span_s = self._points[-1][0] - self._points[0][0]
        if span_s >= self._rate_after_s:
            slope = slope_under(self._points)
            excess = slope < 1.0 / EXCESS_RATIO - 1.0 and span_s >= EXCESS_AFTER_S
            self.excess_ratio = 1.0 / (1.0 + slope) if excess else 0.0
            self._slope = min(max(slope, -RATE_TOLERANCE), RATE_TOLERANCE)
            self._rate_known = True
        self._fit_intercept()
        above_s = sorted(offset_s - self._slope * at_s - self._intercept_s for at_s, offset_s in self._points)
        self._usual_s = above_s[len(above_s) // 2]

    def _fit_intercept(self) -> None:
        """Lay the line so that it touches the points from below.

        As long as a guess may be wrong, the points after it have no say: early packets shall show that it is.
        """
        points = [*self._points, self._bin_lowest] if self._bin_lowest else [*self._points]
        if self._guesses:
            points = [point for point in points if point[0] < self._guesses[0].since_s] or points
        self._intercept_s = min((at[1] - self._slope * at[0] for at in points), default=self._intercept_s)
        if self._bin_lowest is not None:
            self._bin_lowest_s = self._bin_lowest[1] - self._slope * self._bin_lowest[0]
