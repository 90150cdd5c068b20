"""How a run stands against the runner's own: medians, baselines, and the faults that are made of them.

1. A channel is one metric on one side (or on both): the median of its last steps, and what that is compared with: the
   profile's baseline at this speed, else what was learned in this run after the warm-up.
2. z is the change in standard deviations of single baseline steps; a spread below a quarter of the threshold counts as
   that quarter, for a baseline that hardly varied would make every change enormous and no return complete.
3. A fault lasts in counted time: between two steps that count and lie close together. Bends and poor steps stop its
   clock, they do not turn it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from statistics import median

from pelvis.data import Side
from pelvis.rules import Baseline, CueRule, CueSettings, Term

TELLINGS = 3  # of one phrase, before something else is tried
GAIN_Z = 0.5

# half of the 0.5 m/s in which speeds are told apart: contact time changes by 10 ms over it, less than its threshold
MATCHED_MPS = 0.25
# 1 m/s: between two known speeds no further apart a metric is taken to change evenly
BETWEEN_MPS = 1.0
# Per m/s, treadmill, 26 runners at 2.5 to 4.5 m/s: Fukuchi, Fukuchi and Duarte 2017 (doi:10.7717/peerj.3298). What
# changes by less than a tenth of its rule's threshold is left out.
SLOPES: Mapping[str, float] = {"contact_time_s": -0.036, "cadence_spm": 11.0, "vertical_oscillation_m": -0.009}

COUNTED_GAP_S = 1.5  # longer than any running step: time in between was not counted
LEAST_SPREAD = 0.25
MOST_Z = 4.0  # in a mean of several: one gross change must not stand for all of them
_MAD_TO_SD = 1.4826  # for normally distributed values


@dataclass(slots=True)
class _Learning:
    """Values gathered for a baseline, and the running time at which gathering began."""

    begun_run_s: float
    values: list[float] = field(default_factory=list[float])


class Channel:
    """One metric on one side, or on both together (unknown)."""

    def __init__(self, metric: str, window: int, settings: CueSettings) -> None:
        self.median = nan
        self.profile: Baseline | None = None
        self.learned: Baseline | None = None
        self._metric = metric
        self._window = window
        self._settings = settings
        self._recent: deque[float] = deque(maxlen=window)
        self._known = [b for b in settings.baselines if b.metric == metric and b.runs >= settings.min_runs]
        self._all_learned: list[Baseline] = []
        self._learning: dict[float | None, _Learning] = {}
        self._speed_mps: float | None = None
        self.match(None)

    def match(self, speed_mps: float | None) -> None:
        """Compare with what is known of this speed from now on."""
        self._speed_mps = speed_mps
        self.profile = at_speed(self._known, speed_mps)
        self.learned = at_speed(self._all_learned, speed_mps)

    def forget(self) -> None:
        """Start the median afresh: what comes next is not comparable with what was."""
        self._recent.clear()
        self.median = nan

    def take(self, run_s: float, value: float) -> None:
        """Add one step's value."""
        if not isfinite(value):
            return
        if self.learned is None:
            self._learn(run_s, value)
        self._recent.append(value)
        if len(self._recent) == self._window:
            self.median = median(self._recent)

    def _learn(self, run_s: float, value: float) -> None:
        near = [v for v in self._learning if v is not None and abs(v - (self._speed_mps or inf)) <= MATCHED_MPS]
        key = near[0] if near else self._speed_mps
        learning = self._learning.setdefault(key, _Learning(run_s))
        learning.values.append(value)
        if run_s - learning.begun_run_s >= self._settings.learn_s and len(learning.values) >= self._window:
            middle = median(learning.values)
            spread = _MAD_TO_SD * median(abs(v - middle) for v in learning.values)
            self._all_learned.append(Baseline(self._metric, middle, spread, key))
            del self._learning[key]
            self.learned = at_speed(self._all_learned, self._speed_mps)


def at_speed(known: Sequence[Baseline], speed_mps: float | None) -> Baseline | None:
    """Return what is known of a metric at a speed; None where nothing is.

    The nearest known speed counts within `MATCHED_MPS`, carried over by `SLOPES`; else what lies between two speeds no
    more than `BETWEEN_MPS` apart. What is known at no speed counts where none is known, and where nothing else does.
    """
    anywhere = next((one for one in known if one.speed_mps is None), None)
    if speed_mps is None:
        return anywhere
    points = sorted(((one.speed_mps, one) for one in known if one.speed_mps is not None), key=lambda p: p[0])
    below = max((p for p in points if p[0] <= speed_mps), key=lambda p: p[0], default=None)
    above = min((p for p in points if p[0] >= speed_mps), key=lambda p: p[0], default=None)
    if below is not None and above is not None and 0.0 < above[0] - below[0] <= BETWEEN_MPS:
        share = (speed_mps - below[0]) / (above[0] - below[0])
        mean = below[1].mean + share * (above[1].mean - below[1].mean)
        sd = below[1].sd + share * (above[1].sd - below[1].sd)
        return Baseline(below[1].metric, mean, sd, speed_mps, min(below[1].runs, above[1].runs))
    near = min(points, key=lambda p: abs(p[0] - speed_mps), default=None)
    if near is None or abs(near[0] - speed_mps) > MATCHED_MPS:
        return anywhere
    one = near[1]
    mean = one.mean + SLOPES.get(one.metric, 0.0) * (speed_mps - near[0])
    return Baseline(one.metric, mean, one.sd, speed_mps, one.runs)


@dataclass(frozen=True, slots=True)
class Change:
    """How one term stands: the metric's median, what it is compared with, and the change in baseline spreads."""

    metric: str
    value: float
    baseline: float
    z: float
    source: str
    holds: bool


class Fault:
    """One rule on one side (or on both together), with all that was said about it."""

    def __init__(
        self, rule: CueRule, number: int, side: Side, channels: Sequence[Channel], settings: CueSettings
    ) -> None:
        self.rule = rule
        self.number = number
        self.side = side
        self.main: Change | None = None
        self.changes: Sequence[Change] = ()
        self.z = -inf
        self.bad = False
        self.bad_s = self.good_s = 0.0
        self.last_told_s = -inf
        self.first_told_s = inf
        self.tellings = 0
        self.given_up = False
        self._parts = tuple(zip(rule.when, channels, strict=True))
        self._settings = settings
        self._enter_z = rule.enter_z or settings.enter_z
        self._z_before = inf

    @property
    def ripe(self) -> bool:
        """Whether it has lasted as long as it must before it is told."""
        return self.bad and self.bad_s >= self.rule.dwell_s * self._settings.dwell_ratio

    @property
    def over(self) -> bool:
        """Whether it was told and has gone since."""
        return self.first_told_s < inf and self.good_s >= self._settings.exit_s and self.z <= self._settings.exit_z

    def forget(self) -> None:
        """Begin afresh: what comes next is not comparable with what was."""
        self.main, self.changes, self.z, self.bad, self.bad_s, self.good_s = None, (), -inf, False, 0.0, 0.0

    def judge(self, counted_s: float) -> None:
        """See how it stands now, ``counted_s`` of counted time after the last look."""
        self.changes = changes = list(self._changes())
        if len(changes) < (1 if self.rule.needs == "any" else len(self._parts)):
            self.main, self.z, self.bad = None, -inf, False
            return
        if self.rule.needs == "mean":
            self.z = sum(min(max(c.z, 0.0), MOST_Z) for c in changes) / len(changes)
            self.main = max(changes, key=lambda c: c.z)
            bad = self.z >= self._enter_z
        else:
            holding = [c for c in changes if c.holds and c.z >= self._enter_z]
            bad = len(holding) == len(self._parts) if self.rule.needs == "all" else bool(holding)
            self.main = changes[0] if self.rule.needs == "all" else max(holding or changes, key=lambda c: c.z)
            self.z = min(c.z for c in changes) if self.rule.needs == "all" else self.main.z
        self.bad_s = self.bad_s + counted_s if bad and self.bad else 0.0
        self.bad = bad
        self.good_s = self.good_s + counted_s if self.z <= self._settings.exit_z else 0.0

    def may_be_told(self, t_s: float) -> bool:
        """Whether it is ripe, not given up, and was not told lately."""
        return self.ripe and not self.given_up and t_s - self.last_told_s >= (self.rule.same_s or self._settings.same_s)

    @property
    def useless(self) -> bool:
        """Whether it was told in both phrases without a gain."""
        return self.tellings >= 2 * TELLINGS and self.z > self._z_before - GAIN_Z

    def tell(self, t_s: float) -> str:
        """Remember that it is told now and return the phrase (empty: the metronome alone)."""
        if self.tellings and self.z <= self._z_before - GAIN_Z:
            self.tellings = 0
        if self.tellings == 0:
            self._z_before = self.z
        second = self.tellings >= TELLINGS
        self.tellings += 1
        self.last_told_s = t_s
        self.first_told_s = min(self.first_told_s, t_s)
        return (self.rule.alternate or self.rule.phrase) if second else self.rule.phrase

    def praise(self) -> float:
        """Take the fault for ended; return when it was first told."""
        told_s, self.first_told_s, self.tellings = self.first_told_s, inf, 0
        return told_s

    def _changes(self) -> Iterator[Change]:
        for term, channel in self._parts:
            known = None if self.rule.within_run else channel.profile
            source = "profile" if known is not None else "learning"
            known = known or channel.learned
            if known is not None and isfinite(channel.median):
                yield _change(term, channel.median, known, source)


def _change(term: Term, value: float, known: Baseline, source: str) -> Change:
    mean = term.target or known.mean
    floor = term.threshold * (abs(mean) if term.relative else 1.0)
    change = value - mean if term.direction == "above" else mean - value
    spread = max(known.sd, LEAST_SPREAD * floor)
    return Change(term.metric, value, mean, change / spread, source, holds=change >= floor)
