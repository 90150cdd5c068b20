"""The coach: decides when a measured change is worth a word, and which word.

It listens to what the core says, to speed and to commands, in time order, and speaks only then: it has no clock.

1. A step counts while running, at sufficient quality, not within ``settle_s`` of a start or a change of speed.
2. A metric is judged by the median of the last ``window_steps`` steps (of each side apart where sides matter)
   against the runner's own baseline at that speed: one given in the settings, else one learned in this run
   after the warm-up. z is the change in standard deviations of single baseline steps.
3. A fault begins when its change has reached the rule's threshold and ``enter_z`` for the rule's dwell, and ends
   when z has been at most ``exit_z`` for ``exit_s``. The end of a fault that was told is worth one chime.
4. Corrections keep ``between_s`` apart, the same one ``same_s``, ``per_hour`` at most. Nothing waits in a queue: what
   may not be said now is judged anew at the next step. Of several, the highest priority speaks, then the largest z.
5. Three tellings of a fault without a gain of half a z bring its other phrase, three more silence until it has ended.
6. A cue names a phrase by its id. What that is in words is known to whoever speaks or shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from statistics import median
from typing import Literal

from pelvis.data import Activity, ActivityState, Command, CoreOutput, Cue, Side, Speed, Step, Stride

_SPEED_BIN_MPS = 0.5  # baselines of one bin are compared: contact time changes by 20 ms per half metre per second
_SPEED_CHANGE_MPS = 0.2
_TELLINGS = 3  # of one phrase, before something else is tried
_GAIN_Z = 0.5
_SECOND_FAULT_Z = 2.5
_STEP_PAUSE_S = 1.5  # longer than any running step: time in between was not run
_HOUR_S = 3600.0
# A baseline that hardly varied would make every change enormous and no return complete.
_LEAST_SPREAD = 0.25
_MAD_TO_SD = 1.4826  # for normally distributed values


@dataclass(frozen=True, slots=True)
class CueRule:
    """One fault and what to say about it.

    ``metric`` of `pelvis.metrics`; the fault is a change of it to one ``direction`` by ``threshold``, in its unit or,
    where ``relative``, as a share of the baseline. ``per_side`` judges left and right steps apart and names the side.
    ``phrase`` is the id of what to say, ``alternate`` of what to say when that does not help (empty: the same).
    """

    name: str
    metric: str
    direction: Literal["above", "below"]
    threshold: float
    phrase: str
    alternate: str = ""
    dwell_s: float = 20.0
    priority: int = 5
    relative: bool = False
    per_side: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that would always hold (ValueError)."""
        if self.threshold <= 0:
            raise ValueError(f"cue {self.name}: threshold must be greater than 0")


DEFAULT_RULES: tuple[CueRule, ...] = (
    CueRule("drop", "pelvic_drop_deg", "above", 1.5, "drop", "drop_alternate", 60.0, 7, per_side=True),
    CueRule("sway", "pelvis_sway_m", "above", 0.010, "sway", "sway_alternate", priority=6),
    CueRule("cadence", "cadence_spm", "below", 0.04, "cadence", "cadence_alternate", priority=5, relative=True),
    CueRule("low_push", "contact_time_s", "above", 0.012, "low_push", "low_push_alternate", priority=4),
    CueRule("tilt", "tilt_deg", "above", 3.0, "tilt", "tilt_alternate", priority=4),
    CueRule("bounce", "vertical_oscillation_m", "above", 0.008, "bounce", "bounce_alternate", priority=3),
)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a metric is in this runner when nothing is wrong: mean and spread of single steps, at a speed if known."""

    metric: str
    mean: float
    sd: float
    speed_mps: float | None = None


@dataclass(frozen=True, slots=True)
class CueSettings:
    """When the coach may speak. ``dwell_ratio`` < 1 shortens every rule's dwell, for drills and demonstrations."""

    warm_up_s: float = 480.0
    learn_s: float = 300.0
    settle_s: float = 5.0
    dwell_ratio: float = 1.0
    exit_s: float = 10.0
    enter_z: float = 1.5
    exit_z: float = 0.75
    between_s: float = 90.0
    same_s: float = 180.0
    chime_every_s: float = 180.0
    per_hour: int = 12
    window_steps: int = 25
    min_quality: float = 0.8
    expires_s: float = 4.0
    baselines: tuple[Baseline, ...] = ()


class Coach:
    """Turns measured steps into cues; what it says depends on nothing but the items it was given, in their order."""

    def __init__(self, settings: CueSettings | None = None, rules: tuple[CueRule, ...] = DEFAULT_RULES) -> None:
        self._settings = settings or CueSettings()
        self._faults = [_Fault(rule, self._settings) for rule in rules]
        self._muted = False
        self._focus = ""
        self._running = False
        self._run_s = 0.0
        self._last_step_s = -inf
        self._quiet_until_s = -inf
        self._speed_mps: float | None = None
        self._steps: dict[int, tuple[Side, float]] = {}
        self._said_s: deque[float] = deque()
        self._chimed_s = -inf
        self._cues = 0

    def consider(self, item: CoreOutput | Speed | Command) -> Iterator[Cue]:
        """Yield what is to be said because of this item. Consume it wholly."""
        match item:
            case Step():
                self._pace(item)
                self._steps[item.step_index] = (item.side, item.quality)
                yield from self._measured(item.reported_at_s, item.metrics, item.side, item.quality)
            case Stride():
                # the quality of a stride is that of its step; older ones never come
                for old in [index for index in self._steps if index < item.step_index]:
                    del self._steps[old]
                side, quality = self._steps.pop(item.step_index, (item.side, 0.0))
                yield from self._measured(item.completed_at_s, item.metrics, side, quality)
            case Activity():
                self._turn(item)
            case Speed():
                self._change_speed(item)
            case Command():
                self._obey(item)
            case _:
                pass

    def _obey(self, command: Command) -> None:
        if command.name == "mute":
            self._muted = True
        elif command.name == "unmute":
            self._muted = False
        elif command.name == "focus":
            self._focus = command.value

    def _turn(self, activity: Activity) -> None:
        running = activity.state is ActivityState.RUNNING
        if running and not self._running:
            self._quiet_until_s = activity.decided_at_s + self._settings.settle_s
        if not running:
            self._forget()
        self._running = running

    def _change_speed(self, speed: Speed) -> None:
        before = self._speed_mps
        if before is None or abs(speed.speed_mps - before) >= _SPEED_CHANGE_MPS:
            # small changes are followed only in steps of this size: a slow drift must not pass for steadiness
            self._speed_mps = speed.speed_mps
            self._quiet_until_s = speed.t_s + self._settings.settle_s
            self._forget()

    def _forget(self) -> None:
        for fault in self._faults:
            fault.forget()

    def _pace(self, step: Step) -> None:
        since_s = step.initial_contact_s - self._last_step_s
        if since_s < _STEP_PAUSE_S:
            self._run_s += since_s
        self._last_step_s = step.initial_contact_s

    def _measured(self, t_s: float, metrics: Mapping[str, float], side: Side, quality: float) -> Iterator[Cue]:
        if not self._running or quality < self._settings.min_quality or t_s < self._quiet_until_s:
            return
        warm = self._run_s >= self._settings.warm_up_s
        for fault in self._faults:
            value = metrics.get(fault.rule.metric, nan)
            if isfinite(value) and warm:
                for state in fault.take(t_s, self._run_s, value, side, self._speed_mps):
                    yield from self._praise(t_s, fault, state)
        yield from self._correct(t_s)

    def _praise(self, t_s: float, fault: _Fault, state: _State) -> Iterator[Cue]:
        """Say with one chime that a fault which was told is over."""
        told_s, state.tellings, state.first_told_s = state.first_told_s, 0, inf
        if told_s < inf and not self._muted and t_s - self._chimed_s >= self._settings.chime_every_s:
            self._chimed_s = t_s
            yield self._cue(t_s, fault, state, "chime", "chime", 1, t_s - told_s)

    def _correct(self, t_s: float) -> Iterator[Cue]:
        settings = self._settings
        while self._said_s and t_s - self._said_s[0] >= _HOUR_S:
            self._said_s.popleft()
        if self._muted or len(self._said_s) >= settings.per_hour:
            return
        if self._said_s and t_s - self._said_s[-1] < settings.between_s:
            return
        ready = [
            (fault.rule.priority, state.z, -number, fault, state)
            for number, fault in enumerate(self._faults)
            for state in fault.ready(t_s)
            if self._focus in ("", fault.rule.name) or state.z >= _SECOND_FAULT_Z
        ]
        if not ready:
            return
        _, _, _, fault, state = max(ready, key=lambda r: r[:3])
        phrase = state.next_phrase(fault.rule, t_s)
        if phrase:
            self._said_s.append(t_s)
            yield self._cue(t_s, fault, state, "phrase", phrase, fault.rule.priority, t_s - state.since_s)

    def _cue(
        self, t_s: float, fault: _Fault, state: _State, kind: str, phrase: str, priority: int, seconds: float
    ) -> Cue:
        self._cues += 1
        return Cue(
            cue_id=self._cues,
            rule=fault.rule.name,
            kind=kind,
            phrase=phrase,
            side=state.side,
            priority=priority,
            decided_at_s=t_s,
            expires_s=self._settings.expires_s,
            why={
                "metric": fault.rule.metric,
                "value": state.value,
                "baseline": state.baseline,
                "z": state.z,
                "seconds": seconds,
                "baseline_source": state.source,
            },
        )


@dataclass(slots=True)
class _State:
    """How one fault stands on one side (or on both together: unknown)."""

    side: Side
    recent: deque[float]
    value: float = nan
    baseline: float = nan
    source: str = ""
    z: float = -inf
    since_s: float = inf
    good_since_s: float = inf
    last_told_s: float = -inf
    first_told_s: float = inf
    tellings: int = 0
    z_before: float = inf

    def next_phrase(self, rule: CueRule, t_s: float) -> str:
        """Choose the phrase and remember that it was said; empty when words have proved useless."""
        if self.tellings and self.z <= self.z_before - _GAIN_Z:
            self.tellings = 0
        if self.tellings == 0:
            self.z_before = self.z
        if self.tellings >= 2 * _TELLINGS:
            return ""
        phrase = rule.phrase if self.tellings < _TELLINGS else rule.alternate or rule.phrase
        self.tellings += 1
        self.last_told_s = t_s
        self.first_told_s = min(self.first_told_s, t_s)
        return phrase


@dataclass(slots=True)
class _Learning:
    """Values gathered for a baseline, and the running time at which gathering began."""

    begun_run_s: float
    values: list[float] = field(default_factory=list[float])


class _Fault:
    """One rule, watched on each side apart or on both together, with what has been learned about it."""

    def __init__(self, rule: CueRule, settings: CueSettings) -> None:
        self.rule = rule
        self._settings = settings
        sides = (Side.LEFT, Side.RIGHT) if rule.per_side else (Side.UNKNOWN,)
        steps = -(-settings.window_steps // len(sides))
        self._states = {side: _State(side, deque(maxlen=steps)) for side in sides}
        self._learned: dict[tuple[int | None, Side], Baseline] = {}
        self._learning: dict[tuple[int | None, Side], _Learning] = {}

    def forget(self) -> None:
        """Start the medians and the dwell afresh: what comes next is not comparable with what was."""
        for state in self._states.values():
            state.recent.clear()
            state.since_s = state.good_since_s = inf

    def take(self, t_s: float, run_s: float, value: float, side: Side, speed_mps: float | None) -> Iterator[_State]:
        """Add one step's value; yield the state if its fault has ended with it."""
        state = self._states.get(side if self.rule.per_side else Side.UNKNOWN)
        if state is None:
            return
        baseline = self._given(speed_mps)
        if baseline is None:
            baseline = self._learn(run_s, value, state.side, speed_mps)
            state.source = "learning"
        else:
            state.source = "profile"
        if baseline is None:
            return
        state.recent.append(value)
        if len(state.recent) < (state.recent.maxlen or 0):
            return
        sign = 1.0 if self.rule.direction == "above" else -1.0
        floor = self.rule.threshold * (abs(baseline.mean) if self.rule.relative else 1.0)
        state.value, state.baseline = median(state.recent), baseline.mean
        change = sign * (state.value - baseline.mean)
        state.z = change / max(baseline.sd, _LEAST_SPREAD * floor)
        bad = change >= floor and state.z >= self._settings.enter_z
        state.since_s = min(state.since_s, t_s) if bad else inf
        good = state.z <= self._settings.exit_z
        state.good_since_s = min(state.good_since_s, t_s) if good else inf
        if t_s - state.good_since_s >= self._settings.exit_s and state.first_told_s < inf:
            yield state

    def ready(self, t_s: float) -> Iterator[_State]:
        """Yield the states that have been bad for the dwell and may be told again."""
        for state in self._states.values():
            ripe = t_s - state.since_s >= self.rule.dwell_s * self._settings.dwell_ratio
            useless = state.tellings >= 2 * _TELLINGS and state.z > state.z_before - _GAIN_Z
            if ripe and not useless and t_s - state.last_told_s >= self._settings.same_s:
                yield state

    def _given(self, speed_mps: float | None) -> Baseline | None:
        """Look for a baseline of the settings at this speed."""
        best: Baseline | None = None
        nearest = 0.5 * _SPEED_BIN_MPS
        for known in self._settings.baselines:
            if known.metric != self.rule.metric:
                continue
            if known.speed_mps is None:
                best = best or known
            elif speed_mps is not None and abs(known.speed_mps - speed_mps) <= nearest:
                best, nearest = known, abs(known.speed_mps - speed_mps)
        return best

    def _learn(self, run_s: float, value: float, side: Side, speed_mps: float | None) -> Baseline | None:
        key = (None if speed_mps is None else round(speed_mps / _SPEED_BIN_MPS), side)
        if key in self._learned:
            return self._learned[key]
        learning = self._learning.setdefault(key, _Learning(run_s))
        learning.values.append(value)
        enough = len(learning.values) >= self._settings.window_steps // len(self._states)
        if run_s - learning.begun_run_s >= self._settings.learn_s and enough:
            middle = median(learning.values)
            spread = _MAD_TO_SD * median(abs(v - middle) for v in learning.values)
            self._learned[key] = Baseline(self.rule.metric, middle, spread, speed_mps)
            del self._learning[key]
        return None
