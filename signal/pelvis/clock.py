"""From sample counters, device stamps and receipt times to one uniform time base.

How it works
------------
1. Session time is the sensor's own clock since the session's first sample. The host's clock never bends it.
2. The counter decides what is in order, lost, doubled or late. It wraps (16 bit: 315 s at 208 Hz), so inside a gap the
   device's clock says how often; that one wraps too (32 bit of microseconds: 71.6 min), so there the receipt says.
3. Stamps jitter, and the sensor's rate is only nominally known. Phase and period are tracked by a line fitted to all
   stamps that fades into a fading-memory line (Morrison 1969, polynomial filters of degree 1): an expanding memory at
   first, then `MEMORY_S`. Samples of a packet are evenly spaced by the period known at its arrival.
4. Time never runs back: a packet starts at least half a period behind the last sample.
5. A device that was started anew counts from 0. If its clock went on, so does session time. If not (a reboot), the
   receipt times bridge the break through the least delay seen so far.
6. Receipt minus session time is delay plus offset, and delay is never negative: the lower envelope is the offset, its
   slope the drift (Moon, Skelly & Towsley 1999, doi:10.1109/INFCOM.1999.749287).

Every packet is placed by what came before it alone, one after the other, in plain floating-point arithmetic: how
packets are grouped into calls changes no bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array, Gap

# 2 s: a sensor's rate follows its temperature over minutes; interrupt jitter is averaged over about 50 packets
MEMORY_S = 2.0

# MEMS data rates are off by up to 10 % of nominal
RATE_TOLERANCE = 0.15

# stamps that disagree with the counter by more than this are no jitter: samples were lost or doubled inside the device
SLIP_PERIODS = 5.0

# beyond this much disagreement, and this share of the elapsed time while the sensor's rate is hardly known and once
# it is, counter and stamp cannot belong to one stream
BREAK_S = 0.1
BREAK_RATIO_EARLY = 0.2
BREAK_RATIO = 0.02
RATE_KNOWN_AFTER = 50

# a packet from further back is no repetition: the device's clock began anew
REPEATED_WITHIN_S = 10.0

# a fresh start reaches the host this early (clocks drift) or this late (a stalled link) against what was expected
EARLY_S = 0.25
LATE_S = 6.0

# two crystals differ by less than 200 ppm
DRIFT_RATIO = 1e-3

# holes that are remembered to tell a late packet from a doubled one
HOLES = 16

KEPT, DOUBLED, LATE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """What is known of a sensor's counters. ``index_wrap`` and ``device_wrap_us`` are where they start again."""

    rate_hz: float
    index_wrap: int = 1 << 16
    device_wrap_us: int = 1 << 32


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """Where a run of packets lies in session time.

    ``verdict`` (p,) KEPT, DOUBLED or LATE; ``t_s`` (p,) session time of the first sample, NaN where not kept;
    ``period_s`` (p,) spacing of the samples. ``gaps`` are (position, gap): the break just before that packet.
    """

    verdict: NDArray[np.int8]
    t_s: Array
    period_s: Array
    gaps: tuple[tuple[int, Gap], ...]


class HostOffset:
    """The lower envelope of host minus session time, and its slope."""

    # 10 s: long enough to hold a notification that was not delayed, short enough to follow the drift
    BIN_S = 10.0
    # over less than a minute, milliseconds of delay look like drift
    SLOPE_AFTER_S = 60.0
    RECENT_BINS = 6

    def __init__(self) -> None:
        self._slope = 0.0
        self._slope_known = False
        self._intercept_s = math.inf
        self._hull: list[tuple[float, float]] = []
        self._first_s = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=self.RECENT_BINS)
        self._bin_end_s = -math.inf
        self._bin_lowest = (0.0, 0.0)
        self._bin_lowest_s = math.inf
        self._known = False

    @property
    def known(self) -> bool:
        return self._known

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the host's clock runs than the sensor's; None until a minute was seen."""
        return self._slope * 1e6 if self._slope_known else None

    def observe(self, t_s: float, t_host_s: float) -> None:
        """Take the session time of a packet's last sample and when the host had it."""
        if t_s >= self._bin_end_s:
            self._close_bin(t_s)
        offset_s = t_host_s - t_s
        above_s = offset_s - self._slope * t_s
        if above_s < self._bin_lowest_s:
            self._bin_lowest_s = above_s
            self._bin_lowest = (t_s, offset_s)
            self._intercept_s = min(self._intercept_s, above_s)

    def host_from_session(self, t_s: float) -> float:
        return t_s + self._intercept_s + self._slope * t_s

    def session_from_host(self, t_host_s: float) -> float:
        return (t_host_s - self._intercept_s) / (1.0 + self._slope)

    def restart(self) -> None:
        """Forget the envelope but not the drift: the sensor's clock began anew, its crystal is the same."""
        self._hull.clear()
        self._recent.clear()
        self._bin_end_s = -math.inf
        self._intercept_s = math.inf
        self._known = False

    def _close_bin(self, t_s: float) -> None:
        if self._known:
            self._recent.append(self._bin_lowest)
            _extend_lower_hull(self._hull, self._bin_lowest)
            if self._bin_lowest[0] - self._first_s >= self.SLOPE_AFTER_S and len(self._hull) > 1:
                middle_s = 0.5 * (self._first_s + self._bin_lowest[0])
                self._slope = _slope_at(self._hull, middle_s)
                self._slope_known = True
            self._intercept_s = min(offset_s - self._slope * at_s for at_s, offset_s in self._recent)
        else:
            self._first_s = t_s
            self._known = True
        self._bin_lowest_s = math.inf
        self._bin_end_s = t_s + self.BIN_S


def _extend_lower_hull(hull: list[tuple[float, float]], point: tuple[float, float]) -> None:
    """Add a point further right to a lower convex hull (Andrew 1979)."""
    while len(hull) > 1:
        (x0, y0), (x1, y1) = hull[-2], hull[-1]
        if (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0) > 0:
            break
        hull.pop()
    hull.append(point)


def _slope_at(hull: list[tuple[float, float]], x: float) -> float:
    """Return the slope of the hull's edge over ``x``: of all lines under the points, the one closest to them."""
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x <= x1:
            return (y1 - y0) / (x1 - x0)
    (x0, y0), (x1, y1) = hull[-2:]
    return (y1 - y0) / (x1 - x0)


class SensorClock:
    """The time base of one sensor. `stamp` places packets; counts and mappings are read at any time.

    Attributes
    ----------
    lost_samples
        Samples that the counter proves to be missing.
    doubled, late
        Packets that had been there before, and packets that came after later ones. Neither is kept.
    restarts
        How often the stream began anew.
    """

    def __init__(self, settings: ClockSettings) -> None:
        self._index_wrap = settings.index_wrap
        self._device_wrap_us = settings.device_wrap_us
        self._nominal_s = 1.0 / settings.rate_hz
        self.lost_samples = 0
        self.doubled = 0
        self.late = 0
        self.restarts = 0
        self.offset = HostOffset()
        self._started = False
        self._quiet = False
        self._stream = 0
        self._next_index = 0  # unwrapped counter of the next sample in this stream
        self._last_count = 0
        self._raw_us = 0
        self._device_us = 0  # unwrapped
        self._origin_us = 0  # the device's clock at session time 0
        self._host_s = 0.0
        self._opening = (0, 0)  # counter and stamp of the packet with which the stream began
        self._line_s = 0.0  # the fitted line at the first sample of the last packet
        self._t_s = 0.0  # the same, held behind what was before
        self._end_s = 0.0  # its last sample
        self._period_s = self._nominal_s
        self._phase_age = 0
        self._period_age = 0
        self._steady = False
        self._gains = _steady_gains(8 * self._nominal_s)
        self._gains_for = 8
        self._holes: deque[tuple[int, int]] = deque(maxlen=HOLES)

    @property
    def started(self) -> bool:
        return self._started

    @property
    def rate_hz(self) -> float:
        """The sensor's rate by its own clock, as far as known."""
        return 1.0 / self._period_s

    @property
    def last_s(self) -> float:
        """Session time of the last sample."""
        return self._end_s

    def expect(self, rate_hz: float) -> None:
        """Take another nominal rate from here on."""
        nominal_s = 1.0 / rate_hz
        if nominal_s != self._nominal_s:
            self._nominal_s = self._period_s = nominal_s
            self._period_age = 0
            self._steady = False
            self._gains_for = 0

    def passed_over(self) -> None:
        """Say that what comes next was skipped on purpose: the hole before it is neither lost nor a gap."""
        self._quiet = True

    def host_from_session(self, t_s: float) -> float:
        """Return when, by the host's clock, a sample of that session time reaches the host at the earliest."""
        return self.offset.host_from_session(t_s) if self.offset.known else t_s

    def session_from_host(self, t_host_s: float) -> float:
        """Return the session time of a moment of the host's clock; 0 before the first sample."""
        return max(0.0, self.offset.session_from_host(t_host_s)) if self.offset.known else 0.0

    def stamp(
        self,
        stream: Sequence[int],
        index: Sequence[int],
        device_us: Sequence[int],
        samples: Sequence[int],
        overrun: Sequence[bool],
        first: Sequence[bool],
        t_host_s: Sequence[float],
    ) -> Stamps:
        """Place packets, in the order they came.

        Parameters
        ----------
        stream
            The device's count of its starts.
        index, device_us
            Counter and device clock at the first sample, wrapping as sent.
        samples
            How many samples a packet holds, at least 1.
        overrun
            Whether the device says that it lost samples before this packet.
        first
            Whether the device says that this packet is the first since it was started.
        t_host_s
            Receipt times.
        """
        count = len(index)
        verdict = np.zeros(count, np.int8)
        t_s: list[float] = []
        period_s: list[float] = []
        gaps: list[tuple[int, Gap]] = []
        rows = zip(stream, index, device_us, samples, overrun, first, t_host_s, strict=True)
        for position, row in enumerate(rows):
            verdict[position], at_s, spacing_s, gap = self.place(*row)
            t_s.append(at_s)
            period_s.append(spacing_s)
            if gap is not None:
                gaps.append((position, gap))
        return Stamps(verdict, np.array(t_s), np.array(period_s), tuple(gaps))

    def place(
        self,
        stream: int,
        index: int,
        device_us: int,
        samples: int,
        overrun: bool,  # noqa: FBT001
        first: bool,  # noqa: FBT001
        t_host_s: float,
    ) -> tuple[int, float, float, Gap | None]:
        """Place one packet as `stamp` does; return verdict, time of its first sample, spacing and the gap before it."""
        end_s = self._end_s
        reason = self._place(stream, index, device_us, samples, overrun, first, t_host_s)
        if reason in _REFUSED:
            return _REFUSED[reason], math.nan, math.nan, None
        gap = Gap(end_s, self._t_s - end_s, reason) if reason else None
        return KEPT, self._t_s, self._period_s, gap

    # ---------------------------------------------------------------- one packet

    def _place(
        self,
        stream: int,
        index: int,
        device_us: int,
        samples: int,
        overrun: bool,  # noqa: FBT001
        first: bool,  # noqa: FBT001
        t_host_s: float,
    ) -> str:
        """Place one packet; return why the stream broke before it, why it is refused, or nothing."""
        if not self._started:
            self._begin(index, device_us)
            reason = ""
        else:
            begins = stream != self._stream or (first and (index, device_us) != self._opening)
            since_us = (device_us - self._raw_us) % self._device_wrap_us
            ahead = (index - self._next_index) % self._index_wrap
            late_s = since_us * 1e-6 - self._last_count * self._period_s
            # nearly always: the next packet, within what no counter can have wrapped in
            plain = not ahead and -BREAK_S < late_s < BREAK_S and t_host_s < self._host_s + 60.0
            if not plain:
                since_us, ahead = self._unwrap(since_us, ahead, t_host_s)
            if begins or not (plain or self._agree(since_us, ahead, t_host_s)):
                reason = self._restart(index, device_us, since_us, samples, t_host_s)
            elif ahead < 0:
                return self._refuse(ahead, samples)
            else:
                reason = self._follow(since_us, ahead, samples, overrun=overrun)
                index = self._next_index + ahead
        self._stream = stream
        self._next_index = index + samples
        self._last_count = samples
        self._raw_us = device_us
        self._host_s = t_host_s
        self._end_s = self._t_s + (samples - 1) * self._period_s
        self.offset.observe(self._end_s, t_host_s)
        if self._quiet:
            self._quiet = False
            return ""
        return reason

    def _unwrap(self, since_us: int, ahead: int, t_host_s: float) -> tuple[int, int]:
        """Return microseconds since the last packet and samples ahead of the next one expected, turns included."""
        # receipts tell whole turns of the device's clock apart, and a doubled packet from one 71 minutes later
        wrap_us = self._device_wrap_us
        since_us += wrap_us * round((t_host_s - self._host_s - since_us * 1e-6) / (wrap_us * 1e-6))
        by_stamp = since_us * 1e-6 / self._period_s - self._last_count
        return since_us, ahead + self._index_wrap * round((by_stamp - ahead) / self._index_wrap)

    def _agree(self, since_us: int, ahead: int, t_host_s: float) -> bool:
        """Tell whether counter, stamp and receipt can all be right."""
        by_index_s = (self._last_count + ahead) * self._period_s
        by_stamp_s = since_us * 1e-6
        by_host_s = t_host_s - self._host_s
        ratio = BREAK_RATIO if self._period_age > RATE_KNOWN_AFTER else BREAK_RATIO_EARLY
        return (
            abs(by_index_s - by_stamp_s) <= BREAK_S + ratio * abs(by_stamp_s)
            and -REPEATED_WITHIN_S <= by_stamp_s <= by_host_s + LATE_S + DRIFT_RATIO * by_host_s
        )

    def _begin(self, index: int, device_us: int) -> None:
        self._started = True
        self._opening = (index, device_us)
        self._device_us = self._origin_us = device_us
        self._line_s = self._t_s = 0.0

    def _follow(self, since_us: int, ahead: int, samples: int, *, overrun: bool) -> str:
        """Continue the stream, over a hole of ``ahead`` samples if there is one."""
        reason = ""
        if ahead and not self._quiet:
            self.lost_samples += ahead
            self._holes.append((self._next_index, self._next_index + ahead))
            reason = f"{ahead} samples lost"
        steps = self._last_count + ahead
        self._device_us += since_us
        stamp_s = (self._device_us - self._origin_us) * 1e-6
        expected_s = self._line_s + steps * self._period_s
        error_s = stamp_s - expected_s
        if overrun or abs(error_s) > SLIP_PERIODS * self._period_s:
            self._phase_age = 0
            self._steady = False
            self._line_s = stamp_s
            reason = reason or ("the device lost samples" if error_s > self._period_s or overrun else "")
        else:
            phase_gain, period_gain = self._next_gains(samples)
            self._line_s = expected_s + phase_gain * error_s
            period_s = self._period_s + period_gain * error_s / steps
            low, high = self._nominal_s * (1.0 - RATE_TOLERANCE), self._nominal_s * (1.0 + RATE_TOLERANCE)
            self._period_s = min(max(period_s, low), high)
        self._t_s = max(self._line_s, self._end_s + 0.5 * self._period_s)
        return reason

    def _restart(self, index: int, device_us: int, since_us: int, samples: int, t_host_s: float) -> str:
        """Bridge the break before a stream that began anew."""
        self.restarts += 1
        self._opening = (index, device_us)
        self._holes.clear()
        expected_s = self.session_from_host(t_host_s) - (samples - 1) * self._period_s
        went_on_s = (self._device_us + since_us - self._origin_us) * 1e-6
        drift_s = DRIFT_RATIO * (t_host_s - self._host_s)
        earliest_s = self._end_s + 0.5 * self._period_s
        if went_on_s > self._end_s and -EARLY_S - drift_s <= expected_s - went_on_s <= LATE_S + drift_s:
            self._device_us += since_us
            self._t_s = max(went_on_s, earliest_s)
            reason = "the stream was started anew"
        else:
            self._t_s = max(expected_s, earliest_s)
            self._device_us = device_us
            self._origin_us = device_us - round(self._t_s * 1e6)
            self.offset.restart()
            reason = "the device was started anew"
        self._line_s = self._t_s
        self._phase_age = 0
        self._steady = False
        return reason

    def _refuse(self, ahead: int, samples: int) -> str:
        first = self._next_index + ahead
        if any(start <= first and first + samples <= end for start, end in self._holes):
            self.late += 1
            return "late"
        self.doubled += 1
        return "doubled"

    def _next_gains(self, samples: int) -> tuple[float, float]:
        """Return the shares of an error that move phase and period: growing memory first, then fading."""
        if samples != self._gains_for:
            self._gains = _steady_gains(samples * self._nominal_s)
            self._gains_for = samples
            self._steady = False
        if self._steady:
            return self._gains
        steady_phase, steady_period = self._gains
        self._phase_age += 1
        self._period_age += 1
        k, j = self._phase_age, self._period_age
        phase = 2.0 * (2 * k + 1) / ((k + 1) * (k + 2))
        period = 6.0 / ((j + 1) * (j + 2))
        self._steady = phase <= steady_phase and period <= steady_period
        return max(phase, steady_phase), max(period, steady_period)


_REFUSED = {"doubled": DOUBLED, "late": LATE}


def _steady_gains(interval_s: float) -> tuple[float, float]:
    """Return the gains of a critically damped line whose memory fades with `MEMORY_S`."""
    theta = MEMORY_S / (MEMORY_S + interval_s)
    return 1.0 - theta * theta, (1.0 - theta) * (1.0 - theta)
