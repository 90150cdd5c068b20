"""How well a link carries a sensor: how much arrives, how late, what is lost, and whether that is good enough.

How it works
------------
1. Arrivals go through the same decoder and clock as in a run. What is judged is what a run would have had.
2. Nobody at the host can know how long a packet was under way. What can be known: how much later than the fastest ones
   it came. The fastest form a line (`Receipts`): delay is never negative, and the two clocks drift apart evenly.
3. On top of that every sample waits in its packet until the packet is full; that share is known exactly.
4. Each figure is held against `LIMITS`; the verdict is the worst of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np

from pelvis.clock import TimeBase
from pelvis.data import Array, Samples
from sensor_host.ports import Arrival, LinkState, Notification, SensorInfo
from sensor_host.routing import Router

Mark: TypeAlias = Literal["good", "usable", "poor"]

MEANING: Final[Mapping[Mark, str]] = {
    "good": "everything can be measured and heard in time",
    "usable": "a run can be measured; improve what is marked if you can",
    "poor": "improve what is marked before you trust a run over this link",
}

# 5 s: at least one packet in so many is not delayed by a second try, even on a poor link
BIN_S = 5.0
# over fewer bins a few milliseconds of delay look like drift
BINS_FOR_DRIFT = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one link. Times in seconds; NaN or None where nothing can be said.

    ``delay_*`` are above the fastest packet. ``packet_s`` is how long the first sample of a packet waits for the last.
    ``queued_p99_s`` is from the radio callback to the first look at the packet; live only.
    """

    duration_s: float
    notifications: int
    notifications_hz: float
    samples_hz: float
    rate_hz: float
    rate_off_ratio: float
    packet_s: float
    lost_samples: int
    lost_ratio: float
    duplicates: int
    bad_notifications: int
    drops: int
    longest_silence_s: float
    delay_p50_s: float
    delay_p99_s: float
    delay_max_s: float
    queued_p99_s: float | None = None
    rssi_dbm: int | None = None
    battery_ratio: float | None = None
    loss_known_by: TimeBase | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """Up to where a figure is good, up to where usable, why there, and what helps.

    ``form`` shows the figure times ``scale``.
    """

    figure: str
    title: str
    form: str
    scale: float
    good: float
    usable: float
    why: str
    advice: str

    def mark(self, value: float) -> Mark:
        """Return how good a value is."""
        if value <= self.good:
            return "good"
        return "usable" if value <= self.usable else "poor"

    def told(self, value: float) -> str:
        """Return a value as people read it."""
        return self.form.format(value * self.scale)


LIMITS: Final[tuple[Limit, ...]] = (
    Limit(
        "lost_ratio",
        "lost",
        "{:.2f} %",
        100.0,
        0.005,
        0.05,
        "with 5 % lost contact times err by a few tenths of a millisecond more, angles by hundredths of a degree "
        "(accuracy.md); more was not tried",
        "wear host and sensor on the same side of the body, bring the host nearer, move away from other radios",
    ),
    Limit(
        "delay_p99_s",
        "late by (p99)",
        "{:.0f} ms",
        1e3,
        0.060,
        0.250,
        "a contact is to be heard within 220 ms, of which measuring takes 100 and a packet of 8 samples 38; later than "
        "a step, a cue still comes in time",
        "a host asks for long connection intervals when it serves many devices: disconnect some of them",
    ),
    Limit(
        "longest_silence_s",
        "longest silence",
        "{:.2f} s",
        1.0,
        0.5,
        3.0,
        "a step and a half without data; from 3 s on the link is made anew",
        "something shields the sensor now and then, usually the body: wear the host on the same side",
    ),
    Limit(
        "drops",
        "drops",
        "{:.0f}",
        1.0,
        0.0,
        1.0,
        "each costs the seconds until the sensor is back",
        "charge the sensor, bring the host nearer, keep others from connecting to it",
    ),
    Limit(
        "duplicates",
        "came twice",
        "{:.0f}",
        1.0,
        0.0,
        0.0,
        "they are thrown away, but a stack that doubles them holds an old subscription",
        "switch Bluetooth off and on",
    ),
    Limit(
        "bad_notifications",
        "made no sense",
        "{:.0f}",
        1.0,
        0.0,
        3.0,
        "a radio packet has a checksum, so these come from the sensor itself",
        "update the sensor's firmware; 'hipdrive scan --details' shows what it has",
    ),
    Limit(
        "rate_off_ratio",
        "rate is off by",
        "{:.2f} %",
        100.0,
        0.05,
        0.15,
        "a sensor chip's own clock may be off by some percent, which is measured and allowed for; more is a fault",
        "switch the sensor off and on; if it stays so, the sensor measures at another rate than it says",
    ),
    Limit(
        "queued_p99_s",
        "waited here (p99)",
        "{:.1f} ms",
        1e3,
        0.005,
        0.050,
        "of the 60 ms a contact may take to a tone, the computer should not be the greater part",
        "close what else keeps this computer busy",
    ),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure, held against its limit."""

    limit: Limit
    value: float
    mark: Mark


@dataclass(slots=True)
class LinkBench:
    """Takes what a link brings and says what it is worth.

    Parameters
    ----------
    sensor
        The sensor whose link it is.
    """

    sensor: SensorInfo
    _router: Router = field(init=False)
    _receipts: list[Receipts] = field(default_factory=lambda: [Receipts()])
    _packet_samples: list[int] = field(default_factory=list[int])
    _queued_s: list[float] = field(default_factory=list[float])
    _first_host_s: float = math.nan
    _last_host_s: float = math.nan
    _silence_s: float = 0.0
    _samples: int = 0
    _drops: int = 0
    _rate_hz: float = math.nan

    def __post_init__(self) -> None:
        self._router = Router((self.sensor,))

    def take(self, arrival: Arrival, t_now_s: float | None = None) -> None:
        """Take an arrival, in a live run with the moment at which it was taken out of the queue."""
        if arrival.role != self.sensor.role if isinstance(arrival, Notification | LinkState) else True:
            return
        clock = self._router.chains[self.sensor.role].clock
        reboots = clock.reboots
        said = self._router.take(arrival)
        if isinstance(arrival, LinkState):
            self._drops += arrival.state == "lost"
            return
        assert isinstance(arrival, Notification)
        if t_now_s is not None:
            self._queued_s.append(t_now_s - arrival.t_host_s)
        if clock.reboots != reboots:
            self._receipts.append(Receipts())
        for item in said:
            if isinstance(item, Samples):
                self._take_samples(item, arrival.t_host_s)

    def _take_samples(self, samples: Samples, t_host_s: float) -> None:
        if math.isnan(self._first_host_s):
            self._first_host_s = t_host_s
        else:
            self._silence_s = max(self._silence_s, t_host_s - self._last_host_s)
        self._last_host_s = t_host_s
        count = len(samples.t_s)
        self._samples += count
        self._packet_samples.append(count)
        self._receipts[-1].take(float(samples.t_s[-1]), t_host_s)

    def figures(self) -> Figures:
        """Return what was measured so far."""
        chain = self._router.chains[self.sensor.role]
        health = chain.health(chain.last_s)
        duration_s = self._last_host_s - self._first_host_s
        notifications = len(self._packet_samples)
        delays_s = np.concatenate([receipts.delays_s() for receipts in self._receipts])
        p50_s, p99_s, max_s = np.percentile(delays_s, [50, 99, 100]).tolist() if len(delays_s) else [math.nan] * 3
        rate_hz = chain.measured_rate_hz
        due = self._samples + health.lost_samples
        return Figures(
            duration_s=duration_s,
            notifications=notifications,
            notifications_hz=_per_s(notifications, duration_s),
            samples_hz=_per_s(self._samples, duration_s),
            rate_hz=rate_hz,
            rate_off_ratio=abs(rate_hz / chain.rate_hz - 1.0) if chain.rate_hz else math.nan,
            packet_s=(float(np.median(self._packet_samples)) - 1.0) / rate_hz if notifications else math.nan,
            lost_samples=health.lost_samples,
            lost_ratio=health.lost_samples / due if due else math.nan,
            duplicates=health.duplicates,
            bad_notifications=health.bad_notifications,
            drops=self._drops,
            longest_silence_s=self._silence_s,
            delay_p50_s=p50_s,
            delay_p99_s=p99_s,
            delay_max_s=max_s,
            queued_p99_s=float(np.percentile(self._queued_s, 99)) if self._queued_s else None,
            rssi_dbm=health.rssi_dbm,
            battery_ratio=health.battery_ratio,
            loss_known_by=health.loss_known_by,
        )


@dataclass(slots=True)
class Receipts:
    """When packets came, by the host's clock, against when they were complete, by the sensor's."""

    t_s: list[float] = field(default_factory=list[float])
    t_host_s: list[float] = field(default_factory=list[float])

    def take(self, t_s: float, t_host_s: float) -> None:
        """Note one packet."""
        self.t_s.append(t_s)
        self.t_host_s.append(t_host_s)

    def delays_s(self) -> Array:
        """Return how much later than the fastest each packet came (n,), the drift of the clocks taken out."""
        t_s = np.array(self.t_s)
        offset_s: Array = np.array(self.t_host_s) - t_s
        if not len(t_s):
            return offset_s
        bins = ((t_s - t_s[0]) / BIN_S).astype(np.int64)
        lowest = np.array([np.flatnonzero(bins == one)[np.argmin(offset_s[bins == one])] for one in np.unique(bins)])
        if len(lowest) >= BINS_FOR_DRIFT:
            slope, floor_s = np.polyfit(t_s[lowest], offset_s[lowest], 1).tolist()
            offset_s = offset_s - (slope * t_s + floor_s)
        delays_s: Array = offset_s - offset_s.min()
        return delays_s


def judge(figures: Figures) -> list[Judged]:
    """Return every figure that has a limit, judged; what is unknown is left out."""
    judged: list[Judged] = []
    for limit in LIMITS:
        value = getattr(figures, limit.figure)
        if value is not None and not math.isnan(value):
            judged.append(Judged(limit, value, limit.mark(value)))
    return judged


def worst(judged: Iterable[Judged]) -> Mark:
    """Return the verdict on the whole."""
    marks = {one.mark for one in judged}
    if "poor" in marks or not marks:
        return "poor"
    return "usable" if "usable" in marks else "good"


def lines(figures: Figures, judged: Iterable[Judged]) -> list[tuple[str, str, str]]:
    """Return rows of mark, title and what was found, as a screen shows them."""
    per_s = f"{figures.notifications_hz:.1f} packets and {figures.samples_hz:.1f} samples a second"
    rows = [
        ("", "received", f"{per_s}, {figures.duration_s:.0f} s"),
        ("", "packed for", f"up to {1e3 * figures.packet_s:.0f} ms"),
    ]
    estimated = {"lost_ratio"} if figures.loss_known_by is TimeBase.ARRIVAL else set[str]()
    return rows + [
        (one.mark, one.limit.title, ("about " if one.limit.figure in estimated else "") + one.limit.told(one.value))
        for one in judged
    ]


def as_dict(figures: Figures, judged: Iterable[Judged]) -> Mapping[str, object]:
    """Return figures, marks and verdict for JSON."""
    from dataclasses import asdict

    judged = list(judged)
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(figures).items()
    }
    return {**values, "marks": {one.limit.figure: one.mark for one in judged}, "verdict": worst(judged)}


def _per_s(count: int, duration_s: float) -> float:
    return count / duration_s if duration_s > 0 else math.nan
