"""From sample counters, device stamps and receipt times to one uniform time base.

Boards differ in what their packets tell (`TimeBase`). What a board lacks is filled in before anything else: a counter
from the stamps, both from the receipts (`pelvis.arrival`). From there on all go the same way.

How it works
------------
1. Session time is the sensor's own clock since the session's first sample. The host's clock never bends it, unless
   the sensor has none.
2. The counter decides what is in order, lost, doubled or late. It wraps (16 bit: 315 s at 208 Hz), so inside a gap the
   device's clock says how often; that one wraps too (32 bit of microseconds: 71.6 min), so there the receipt says.
3. Stamps jitter, and the sensor's rate is only nominally known. Phase and period are tracked by a line fitted to all
   stamps that fades into a fading-memory line (Morrison 1969, polynomial filters of degree 1): an expanding memory at
   first, then `MEMORY_S`. Samples of a packet are evenly spaced by the period known at its arrival.
4. Time never runs back: a packet starts at least half a period behind the last sample.
5. A device that was started anew counts from 0. If its clock went on, so does session time. If not (a reboot), the
   receipt times bridge the break through the least delay seen so far.
6. Receipt minus session time is delay plus offset, and delay is never negative: the lower envelope is the offset, its
   slope the drift (`pelvis.envelope`).
7. Without a counter, what is missing between two stamps is counted in whole samples, and in whole packets as long as
   all are of one size: exact while stamps and rate err by less than half of that.

Every packet is placed by what came before it alone, one after the other, in plain floating-point arithmetic: how
packets are grouped into calls changes no bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pelvis.arrival import ArrivalClock
from pelvis.data import Array, Gap
from pelvis.envelope import HostOffset

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

# where a counter that never wraps would
_NEVER = 1 << 62


class TimeBase(StrEnum):
    """What of its packets tells when a sample was taken, and so how loss is known.

    COUNTED: a sample counter and the device's clock; loss is counted exactly. STAMPED: the device's clock alone; loss
    follows from it. ARRIVAL: neither; time and loss are estimated from when packets came.
    """

    COUNTED = "counter"
    STAMPED = "device clock"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """What is known of a sensor's counters. ``index_wrap`` and ``device_wrap_us`` are where they start again, or 0."""

    rate_hz: float
    index_wrap: int = 1 << 16
    device_wrap_us: int = 1 << 32
    time_base: TimeBase = TimeBase.COUNTED


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


class SensorClock:
    """The time base of one sensor. `stamp` places packets; counts and mappings are read at any time.

    Attributes
    ----------
    lost_samples
        Samples that are missing, known by what `TimeBase` says.
    doubled, late
        Packets that had been there before, and packets that came after later ones. Neither is kept.
    restarts, reboots
        How often the stream began anew, and how often of these the device's clock did too.
    """

    def __init__(self, settings: ClockSettings) -> None:
        self._counted = settings.time_base is TimeBase.COUNTED
        self._index_wrap = (settings.index_wrap if self._counted else 0) or _NEVER
        self._device_wrap_us = settings.device_wrap_us or _NEVER
        self._nominal_s = 1.0 / settings.rate_hz
        self._arrivals = ArrivalClock(self._nominal_s) if settings.time_base is TimeBase.ARRIVAL else None
        self._about = "about " if self._arrivals else ""
        self._smallest = self._largest = 0  # packet of this stream
        self._wraps_before = [0, 0]  # of counter and clock, before the stream and the boot that now are
        self.lost_samples = 0
        self.doubled = 0
        self.late = 0
        self.restarts = 0
        self.reboots = 0
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

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the host's clock runs than the sensor's; None until that is known.

        A sensor without a clock is taken to have one that ticks with its samples, at its nominal rate.
        """
        return self._arrivals.drift_ppm if self._arrivals else self.offset.drift_ppm

    @property
    def excess_ratio(self) -> float:
        """How many times the nominal rate arrives, where that is more than a sensor's rate can be off; else 0."""
        return self._arrivals.excess_ratio if self._arrivals else 0.0

    @property
    def index_wraps(self) -> int:
        """How often the counter began again of itself, unseen inside gaps included."""
        return self._wraps_before[0] + max(0, self._next_index - 1) // self._index_wrap

    @property
    def device_wraps(self) -> int:
        """How often the device's clock began again of itself, unseen inside gaps included."""
        return self._wraps_before[1] + self._device_us // self._device_wrap_us

    def expect(self, rate_hz: float) -> None:
        """Take another nominal rate from here on."""
        nominal_s = 1.0 / rate_hz
        if nominal_s != self._nominal_s:
            if self._arrivals is not None:
                self._arrivals.expect(nominal_s)
            self._nominal_s = self._period_s = nominal_s
            self._period_age = 0
            self._steady = False
            self._gains_for = 0

    def passed_over(self) -> None:
        """Say that what was before the next packet was skipped on purpose: the hole is neither lost nor a gap."""
        self._quiet = True
        if self._arrivals is not None:
            self._arrivals.bridge()

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
            Counter and device clock at the first sample, wrapping as sent; what the board lacks does not matter. For
            ARRIVAL the index counts the stream's sample slots as far as the decoder knows them.
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
        if not self._counted:
            index, device_us = self._fill_in(stream, index, device_us, samples, first, t_host_s)
        reason = self._place(stream, index, device_us, samples, overrun, first, t_host_s)
        if reason in _REFUSED:
            return _REFUSED[reason], math.nan, math.nan, None
        gap = Gap(end_s, self._t_s - end_s, reason) if reason else None
        return KEPT, self._t_s, self._period_s, gap

    # ---------------------------------------------------------------- what a board lacks

    def _fill_in(
        self,
        stream: int,
        index: int,
        device_us: int,
        samples: int,
        first: bool,  # noqa: FBT001
        t_host_s: float,
    ) -> tuple[int, int]:
        """Return counter and stamp as a board that has both would have sent them."""
        begins = stream != self._stream or not self._started
        if self._arrivals is None:
            return self._count_by_stamp(device_us, samples, t_host_s, begins=begins), device_us
        begins = begins or (first and self._next_index > samples)
        ahead, stamp_s = self._arrivals.place(index, samples, t_host_s, anew=begins)
        if ahead < 0:
            self.lost_samples += ahead
        return 0 if begins else self._next_index + max(0, ahead), round(stamp_s * 1e6)

    def _count_by_stamp(self, device_us: int, samples: int, t_host_s: float, *, begins: bool) -> int:
        """Return the counter of a packet's first sample, as its stamp has it."""
        if begins:
            self._smallest = self._largest = samples
            return 0
        since_us = self._unwrap_clock((device_us - self._raw_us) % self._device_wrap_us, t_host_s)
        ahead = since_us * 1e-6 / self._period_s - self._last_count
        self._smallest = min(self._smallest, samples)
        self._largest = max(self._largest, samples)
        # the first interval is measured by the nominal rate
        sure = 0.0 if self._period_age else RATE_TOLERANCE * self._last_count
        if abs(ahead) < sure + 0.5 * self._smallest:
            return self._next_index
        whole = self._smallest if self._smallest == self._largest else 1
        return self._next_index + whole * round(ahead / whole)

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
            agreed = plain or self._arrivals is not None or self._agree(since_us, ahead, t_host_s)
            if begins or not agreed:
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
        since_us = self._unwrap_clock(since_us, t_host_s)
        by_stamp = since_us * 1e-6 / self._period_s - self._last_count
        return since_us, ahead + self._index_wrap * round((by_stamp - ahead) / self._index_wrap)

    def _unwrap_clock(self, since_us: int, t_host_s: float) -> int:
        # receipts tell whole turns of the device's clock apart, and a doubled packet from one 71 minutes later
        wrap_us = self._device_wrap_us
        return since_us + wrap_us * round((t_host_s - self._host_s - since_us * 1e-6) / (wrap_us * 1e-6))

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
            reason = f"{self._about}{ahead} samples lost"
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
        self._wraps_before[0] = self.index_wraps
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
            self.reboots += 1
            self._wraps_before[1] = self.device_wraps
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
