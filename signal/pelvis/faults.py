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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from statistics import median

from pelvis.baselines import MATCHED_MPS, Gathering, at_speed, middle_and_spread
from pelvis.data import RunBaseline, Side
from pelvis.rules import Baseline, CueRule, CueSettings, Term

TELLINGS = 3  # of one phrase, before something else is tried
GAIN_Z = 0.5

COUNTED_GAP_S = 1.5  # longer than any running step: time in between was not counted
LEAST_SPREAD = 0.25
MOST_Z = 4.0  # in a mean of several: one gross change must not stand for all of them


@dataclass(slots=True)
class _Learning:
    """Values gathered for a baseline, and the running time at which gathering began."""

    begun_run_s: float
    values: list[float] = field(default_factory=list[float])


class Channel:
    """One metric on one side, or on both together (unknown)."""

    def __init__(self, metric: str, side: Side, window: int, settings: CueSettings) -> None:
        self.gathering = Gathering(metric, side, window)
        self.median = nan
        self.profile: Baseline | None = None
        self.learned: Baseline | None = None
        self._metric = metric
        self._window = window
        self._settings = settings
        self._recent: deque[float] = deque(maxlen=window)
        # what one side does says nothing of the other: no runner is even
        known = [b for b in settings.baselines if (b.metric, b.side) == (metric, side)]
        self._known = [b for b in known if b.runs >= settings.min_runs]
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
        self.gathering.forget()

    def tell(self, t_s: float) -> Iterator[RunBaseline]:
        """Yield what was gathered for the profile, and what it was compared with."""
        return self.gathering.tell(self._known, self._all_learned, t_s)

    @property
    def known(self) -> Baseline | None:
        """What the present speed is compared with; None where nothing is known."""
        return self.profile or self.learned

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
            middle, spread = middle_and_spread(learning.values)
            self._all_learned.append(Baseline(self._metric, middle, spread, key))
            del self._learning[key]
            self.learned = at_speed(self._all_learned, self._speed_mps)


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
    def doubtful(self) -> bool:
        """Whether what is measured now is not the runner's own: it stands, or was told and is not over."""
        return self.bad or self.first_told_s < inf

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
