"""The coach: decides when a measured change is worth a word, and which one.

It listens to what the core says, to speed, heart rate, markers and commands, in time order, and speaks only then: it
has no clock.

1. A step counts while running, after the warm-up, straight on, at sufficient quality, not within ``settle_s`` of an
   edge or a change of speed by 0.2 m/s, and not in the rest of intervals (`pelvis.blocks`).
2. Faults are judged by `pelvis.faults`: one begins when its change has reached the rule's threshold and ``enter_z`` for
   the rule's dwell, and ends when z has been at most ``exit_z`` for ``exit_s``. The end of one that was told is worth
   one chime.
3. Corrections keep ``between_s`` apart, the same one ``same_s``, ``per_hour`` at most. Nothing waits in a queue: what
   may not be said now is judged anew at the next step.
4. A limit of the heart goes before the debrief after a repetition, that before the focus, that before a second
   fault (from ``second_z`` on), that before praise, that before splits. The focus is what was commanded, else the
   first fault told in a block.
5. Three tellings of a fault without a gain of half a z bring its other phrase, three more silence about it and a
   notice.
6. A cue names a phrase by its id. What that is in words is known to whoever speaks or shows it.
7. What became of a correction is said `OUTCOME_S` after it.
8. What a person has said (the command `say`) is passed on at once, and counts as a correction for those that follow.
9. It says what it compares with (`References`) at the first step and whenever that changes.
10. At the end it says what was usual in this run, for the runner's profile (`pelvis.baselines`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan, pi
from statistics import median
from types import MappingProxyType
from typing import TypeAlias

from pelvis.baselines import FRESH_S
from pelvis.blocks import EDGE_MPS, Stretches, block_of, is_live
from pelvis.data import (
    Activity,
    ActivityState,
    Command,
    CoreOutput,
    Cue,
    CueOutcome,
    HeartRate,
    Marker,
    Notice,
    Reference,
    References,
    Retention,
    RunBaseline,
    Side,
    Speed,
    Step,
    Stride,
)
from pelvis.faults import COUNTED_GAP_S, Channel, Fault
from pelvis.quality import SAID_LATE
from pelvis.rules import Baseline, CueRule, CueSettings, Term
from pelvis.speed import ESTIMATE, MODEL, SPEED_HOLDS_S, TREADMILL

__all__ = [
    "DERIVED",
    "FOCUS",
    "OUTCOME_S",
    "SECOND",
    "Baseline",
    "Coach",
    "CueRule",
    "CueSettings",
    "Said",
    "Term",
]

Heard: TypeAlias = CoreOutput | Speed | HeartRate | Marker | Command
Said: TypeAlias = Cue | CueOutcome | References | Retention | Notice

DERIVED: Mapping[str, str] = MappingProxyType(
    {
        "peak_force_ratio": "Peak of the vertical force in body weights, taking it for half a sine (Morin et al. "
        "2005): pi/2 (flight time / contact time + 1). It knows nothing of the impact itself."
    }
)
"""What rules may ask for beside `pelvis.metrics.METRICS`, and its definition."""

OUTCOME_S = 60.0
# priorities of cues: of what is due at once the highest is heard
LIMIT, EDGE, FOCUS, SECOND, PRAISE, SPLIT = 9, 8, 7, 5, 2, 1

_NOT_STRAIGHT = frozenset({"turning", "sensor_turned", SAID_LATE})
_SPEED_CHANGE_MPS = 0.2
_SPEEDS = 5  # a watch's jumps from second to second are twice what counts as a change
_STALE_S = 60.0  # after so long without a counted step medians speak of another piece of the run
_HOUR_S = 3600.0
_LIMIT_HOLDS_S = 10.0  # beats miscounted by a strap come in shorter bursts
_LIMIT_EVERY_S = 300.0
# of the runner's cadence: first, after a telling without gain, and at most (Heiderscheit et al. 2011 used 5 and 10 %)
_BEAT_FIRST, _BEAT_MORE, _BEAT_MOST = 0.05, 0.025, 0.10
_RETENTION_LEAST_S = 30.0


@dataclass(slots=True)
class _Pending:
    """A correction whose outcome is still open."""

    cue: Cue
    fault: Fault
    z: float
    value: float


SAID = "say"
"""The rule of a cue that a person has sent."""

HEART_LIMIT = "heart_rate_limit"
"""The rule of a cue that says the runner's heart beats faster than he allows it to."""

THROUGH_MUTE = frozenset({SAID, HEART_LIMIT})
"""The rules that are heard by who wants to hear nothing: a person has a reason, and a limit was set to be kept."""


class Coach:
    """Turns measured steps into cues; what it says depends on nothing but the items it was given, in their order."""

    def __init__(self, settings: CueSettings | None = None, rules: tuple[CueRule, ...] = ()) -> None:
        self._settings = settings = settings or CueSettings()
        self._channels: dict[tuple[str, Side], Channel] = {}
        self._faults: list[Fault] = []
        for number, rule in enumerate(rules):
            for side in (Side.LEFT, Side.RIGHT) if rule.per_side else (Side.UNKNOWN,):
                channels = [self._channel(term.metric, side) for term in rule.when]
                self._faults.append(Fault(rule, number, side, channels, settings))
        for metric in settings.watched:
            self._channel(metric, Side.UNKNOWN)
        # what a rule compares with other runs; where it stands, whatever is of the same metric and foot is doubtful
        asked = {term.metric for rule in rules if not rule.within_run for term in rule.when} | {*settings.watched}
        self._gathered = [channel for (metric, _), channel in self._channels.items() if metric in asked]
        self._doubtful = [self._touched(fault) for fault in self._faults]
        self._cadence = self._channel("cadence_spm", Side.UNKNOWN)
        # at first that nothing is known is news, too
        self._referred: tuple[Baseline | None, ...] | None = None
        self._stretches = Stretches(settings.rep_s)
        self._muted = False
        self._command_focus = ""
        self._block_focus = (-1, "")
        self._running = False
        self._run_s = 0.0
        self._last_step_s = self._last_counted_s = self._judged_s = -inf
        self._quiet_until_s = -inf
        self._heard_s = -inf
        self._coming: deque[Speed] = deque()
        self._speeds: deque[float] = deque(maxlen=_SPEEDS)
        self._speed_until_s = inf
        self._speed_mps: float | None = None
        self._edge_mps: float | None = None
        self._steps: dict[int, tuple[Side, bool, float, float]] = {}
        self._said_s: deque[float] = deque()
        self._corrected_s = self._chimed_s = -inf
        self._hot_since_s = inf
        self._limit_s = -inf
        self._pending: deque[_Pending] = deque()
        self._run_m = 0.0
        self._split_run_s = 0.0
        self._cues = 0
        self._silent_block, self._silent_s, self._silent_bad_s = -1, 0.0, 0.0

    def consider(self, item: Heard) -> Iterator[Said]:
        """Yield what is to be said because of this item. Consume it wholly."""
        match item:
            case Step():
                yield from self._come_to(item.reported_at_s)
                yield from self._take_step(item)
            case Stride():
                yield from self._come_to(item.completed_at_s)
                yield from self._take_stride(item)
            case Activity():
                yield from self._come_to(item.decided_at_s)
                yield from self._turn(item)
            case Speed() if item.t_s > self._heard_s:
                self._coming.append(item)
            case Speed():
                yield from self._take_speed(item)
            case HeartRate():
                yield from self._take_beat(item)
            case Marker():
                if item.kind == "lap":
                    yield from self._edge(item.t_s, faster=None)
            case Notice():
                if item.kind == "sensor_slipped":
                    # whoever hears of that need hear nothing else right after it
                    self._corrected_s = item.decided_at_s
            case Command(name="say"):
                yield from self._pass_on(item)
            case Command():
                self._obey(item)
            case _:
                pass

    def finish(self, t_s: float) -> Iterator[RunBaseline]:
        """Yield what was usual in this run, which has ended at ``t_s`` or with the last step."""
        for channel in self._gathered:
            yield from channel.tell(max(t_s, self._judged_s))

    # ------------------------------------------------------------ what comes in

    def _channel(self, metric: str, side: Side) -> Channel:
        window = self._settings.window_steps
        steps = window if side is Side.UNKNOWN else -(-window // 2)
        return self._channels.setdefault((metric, side), Channel(metric, side, steps, self._settings))

    def _touched(self, fault: Fault) -> Sequence[Channel]:
        metrics = {term.metric for term in fault.rule.when}
        sides = (Side.UNKNOWN, fault.side) if fault.side is not Side.UNKNOWN else tuple(Side)
        return [one for (metric, side), one in self._channels.items() if metric in metrics and side in sides]

    def _take_step(self, step: Step) -> Iterator[Said]:
        since_s = step.initial_contact_s - self._last_step_s
        if since_s < COUNTED_GAP_S:
            self._run_s += since_s
            self._run_m += since_s * (self._speed_mps or nan)
        self._last_step_s = step.initial_contact_s
        t_s = step.reported_at_s
        if t_s > self._speed_until_s:
            yield from self._change_speed(t_s, None)
        usable = step.quality >= self._settings.min_quality and _NOT_STRAIGHT.isdisjoint(step.flags)
        offset_s = step.contact_time_offset_s
        self._steps[step.step_index] = (step.side, usable, step.metrics.get("contact_time_s", nan), offset_s)
        metrics = step.metrics
        if step.speed_source in ("", MODEL, ESTIMATE):
            metrics = {name: value for name, value in metrics.items() if name != "step_length_m"}
            yield from self._watch_estimate(t_s, metrics.get("speed_mps", nan))
        yield from self._measured(t_s, metrics, _plain(metrics, offset_s), step.side, usable=usable)
        yield from self._refer(t_s)
        yield from self._split(t_s)

    def _refer(self, t_s: float) -> Iterator[References]:
        """Say what is compared with, where something of it has changed."""
        known = tuple(channel.known for channel in self._channels.values())
        if known == self._referred:
            return
        self._referred = known
        told = (
            Reference(metric, side, one.mean, one.sd, one.runs)
            for (metric, side), one in zip(self._channels, known, strict=True)
            if one is not None
        )
        yield References(tuple(told), self._speed_mps, t_s)

    def _take_stride(self, stride: Stride) -> Iterator[Said]:
        # the quality of a stride is that of its step; older ones never come
        for old in [index for index in self._steps if index < stride.step_index]:
            del self._steps[old]
        side, usable, contact_s, offset_s = self._steps.pop(stride.step_index, (stride.side, False, nan, 0.0))
        metrics = {**stride.metrics, "peak_force_ratio": _peak_force(contact_s, stride.metrics)}
        plain = _plain(stride.metrics, offset_s)
        plain = {**plain, "peak_force_ratio": _peak_force(contact_s - offset_s, plain)}
        yield from self._measured(stride.completed_at_s, metrics, plain, side, usable=usable)

    def _pass_on(self, said: Command) -> Iterator[Cue]:
        if not said.value:
            return
        self._cues += 1
        self._said_s.append(said.t_s)
        self._corrected_s = said.t_s
        yield Cue(
            cue_id=self._cues,
            rule=SAID,
            kind="phrase",
            phrase=said.value,
            side=Side.UNKNOWN,
            # the highest: a person sees more than a sensor
            priority=9,
            decided_at_s=said.t_s,
            expires_s=self._settings.expires_s,
        )

    def _obey(self, command: Command) -> None:
        if command.name == "mute":
            self._muted = True
        elif command.name == "unmute":
            self._muted = False
        elif command.name == "focus":
            self._command_focus = command.value
        elif command.name == "swap_sides":
            # nobody knows since when they were the wrong way round
            for (_, side), channel in self._channels.items():
                if side is not Side.UNKNOWN:
                    channel.gathering.drop()

    def _turn(self, activity: Activity) -> Iterator[Said]:
        running = activity.state is ActivityState.RUNNING
        if running is not self._running:
            self._running = running
            self._edge_mps = self._speed_mps
            yield from self._edge(activity.decided_at_s, faster=running)

    def _edge(self, t_s: float, *, faster: bool | None) -> Iterator[Said]:
        """Begin a stretch; the end of a repetition is the time to say what was not said in it."""
        ripe = [fault for fault in self._faults if fault.ripe and not fault.given_up]
        if self._stretches.edge(t_s, faster=faster) and ripe and self._may_speak(t_s):
            fault = max(ripe, key=lambda f: (f.rule.priority, f.z, -f.number))
            if fault.rule.phrase or fault.rule.alternate:
                self._said_s.append(t_s)
                yield self._cue(t_s, fault, "debrief", fault.rule.phrase or fault.rule.alternate, EDGE, fault.bad_s)
        self._quiet_until_s = t_s + self._settings.settle_s
        self._forget()

    def _come_to(self, t_s: float) -> Iterator[Said]:
        """Let speeds count that were told beforehand, and count from now on."""
        self._heard_s = max(self._heard_s, t_s)
        while self._coming and self._coming[0].t_s <= t_s:
            yield from self._take_speed(replace(self._coming.popleft(), t_s=t_s))

    def _take_speed(self, speed: Speed) -> Iterator[Said]:
        if speed.source == TREADMILL:
            self._speeds.clear()
            self._speed_until_s = inf
            yield from self._change_speed(speed.t_s, speed.speed_mps or None)
        else:
            self._speeds.append(speed.speed_mps)
            self._speed_until_s = speed.t_s + 2.0 * SPEED_HOLDS_S
            yield from self._change_speed(speed.t_s, median(self._speeds))

    def _change_speed(self, t_s: float, speed_mps: float | None) -> Iterator[Said]:
        before, self._speed_until_s = self._speed_mps, inf if speed_mps is None else self._speed_until_s
        if speed_mps is not None and before is not None and abs(speed_mps - before) < _SPEED_CHANGE_MPS:
            # small changes are followed only in steps of this size: a slow drift must not pass for steadiness
            return
        if speed_mps == before:
            return
        if speed_mps is None or before is None:
            self._edge_mps = speed_mps
            self._run_m, self._split_run_s = 0.0, self._run_s
        elif self._edge_mps is not None and abs(speed_mps - self._edge_mps) >= EDGE_MPS:
            faster, self._edge_mps = speed_mps > self._edge_mps, speed_mps
            yield from self._edge(t_s, faster=faster)
        self._speed_mps = speed_mps
        self._quiet_until_s = t_s + self._settings.settle_s
        self._forget()
        for channel in self._channels.values():
            channel.match(speed_mps)

    def _watch_estimate(self, t_s: float, speed_mps: float) -> Iterator[Said]:
        """See an edge where nothing measures speed: what steps make of it is good for differences that large."""
        if self._speed_mps is not None or not isfinite(speed_mps):
            return
        if self._edge_mps is None:
            self._edge_mps = speed_mps
        elif abs(speed_mps - self._edge_mps) >= EDGE_MPS:
            faster, self._edge_mps = speed_mps > self._edge_mps, speed_mps
            yield from self._edge(t_s, faster=faster)

    def _forget(self) -> None:
        for channel in self._channels.values():
            channel.forget()
        for fault in self._faults:
            fault.forget()
        self._last_counted_s = -inf

    # ------------------------------------------------------------ judging

    def _measured(
        self, t_s: float, metrics: Mapping[str, float], plain: Mapping[str, float], side: Side, *, usable: bool
    ) -> Iterator[Said]:
        """Judge what was measured of a step; ``plain`` is the same without calibration."""
        self._judged_s = t_s
        yield from self._tell_outcomes(t_s)
        if not self._running or not usable or t_s < self._quiet_until_s or self._run_s < self._settings.warm_up_s:
            return
        if self._stretches.resting and not self._stretches.allow(t_s):
            return
        if t_s - self._last_counted_s > _STALE_S:
            self._forget()
        since_s, self._last_counted_s = t_s - self._last_counted_s, t_s
        counted_s = since_s if since_s < COUNTED_GAP_S else 0.0
        fresh = self._run_s < self._settings.warm_up_s + FRESH_S
        for (metric, where), channel in self._channels.items():
            if where in (Side.UNKNOWN, side) and metric in metrics:
                channel.take(self._run_s, metrics[metric])
                if fresh:
                    channel.gathering.take(plain[metric], self._speed_mps)
        for fault, channels in zip(self._faults, self._doubtful, strict=True):
            fault.judge(counted_s)
            if fresh and fault.doubtful:
                for channel in channels:
                    channel.gathering.leave_out()
        yield from self._retain(t_s, counted_s)
        yield from self._correct(t_s)
        yield from self._praise(t_s)

    def _retain(self, t_s: float, counted_s: float) -> Iterator[Retention]:
        """Count how form holds while nothing is said; say it when the block is over."""
        warm_s = self._run_s - self._settings.warm_up_s
        block = block_of(warm_s)
        if block != self._silent_block:
            if self._silent_s >= _RETENTION_LEAST_S:
                held = 1.0 - self._silent_bad_s / self._silent_s
                yield Retention(self._silent_block, held, self._silent_s, t_s)
            self._silent_block, self._silent_s, self._silent_bad_s = block, 0.0, 0.0
        if not self._live and any(fault.main is not None for fault in self._faults):
            self._silent_s += counted_s
            self._silent_bad_s += counted_s if any(fault.bad for fault in self._faults) else 0.0

    @property
    def _live(self) -> bool:
        return is_live(self._run_s - self._settings.warm_up_s, self._settings.plan_run)

    def _tell_outcomes(self, t_s: float) -> Iterator[CueOutcome]:
        while self._pending and t_s - self._pending[0].cue.decided_at_s >= OUTCOME_S:
            told = self._pending.popleft()
            metric = told.cue.why["metric"]
            value = next((change.value for change in told.fault.changes if change.metric == metric), nan)
            z = told.fault.z if isfinite(told.fault.z) else nan
            yield CueOutcome(
                cue_id=told.cue.cue_id,
                rule=told.fault.rule.name,
                metric=str(metric),
                value_before=told.value,
                value_after=value,
                z_before=told.z,
                z_after=z,
                corrected=z <= self._settings.exit_z,
                decided_at_s=t_s,
            )

    # ------------------------------------------------------------ speaking

    def _may_speak(self, t_s: float) -> bool:
        """Whether anything may be said now that is not a limit."""
        while self._said_s and t_s - self._said_s[0] >= _HOUR_S:
            self._said_s.popleft()
        return not self._muted and self._live and len(self._said_s) < self._settings.per_hour

    def _correct(self, t_s: float) -> Iterator[Said]:
        if not self._may_speak(t_s) or t_s - self._corrected_s < self._settings.between_s:
            return
        if not self._stretches.allow(t_s):
            return
        best: tuple[tuple[bool, int, float, int], Fault] | None = None
        for fault in self._faults:
            if not fault.may_be_told(t_s):
                continue
            if fault.useless:
                fault.given_up = True
                text = f"What was said about {fault.rule.name} did not help; nothing more is said about it in this run."
                yield Notice(t_s, "cue_given_up", text, t_s)
                continue
            focused = self._is_focus(fault)
            rank = (focused, fault.rule.priority, fault.z, -fault.number)
            if (focused or fault.z >= self._settings.second_z) and (best is None or rank > best[0]):
                best = rank, fault
        if best is not None:
            yield from self._tell(t_s, best[1], FOCUS if best[0][0] else SECOND)

    def _is_focus(self, fault: Fault) -> bool:
        if self._command_focus:
            return fault.rule.name == self._command_focus
        block, name = self._block_focus
        return block != block_of(self._run_s - self._settings.warm_up_s) or fault.rule.name == name

    def _tell(self, t_s: float, fault: Fault, priority: int) -> Iterator[Cue]:
        rule, block = fault.rule, block_of(self._run_s - self._settings.warm_up_s)
        if self._block_focus[0] != block:
            self._block_focus = block, rule.name
        self._said_s.append(t_s)
        self._corrected_s = t_s
        self._stretches.told += 1
        more = min(_BEAT_FIRST + _BEAT_MORE * fault.tellings, _BEAT_MOST)
        phrase = fault.tell(t_s)
        cues = [self._cue(t_s, fault, "phrase", phrase, priority, fault.bad_s)] if phrase else []
        cadence_spm = self._cadence.median
        if rule.metronome_s and isfinite(cadence_spm):
            beat = {"target_spm": round(cadence_spm * (1.0 + more), 1), "seconds": rule.metronome_s}
            cues.append(self._cue(t_s, fault, "metronome", "metronome", priority, fault.bad_s, beat))
        if cues and fault.main is not None:
            self._pending.append(_Pending(cues[0], fault, fault.z, fault.main.value))
        yield from cues

    def _praise(self, t_s: float) -> Iterator[Cue]:
        """Say with one chime that a fault which was told is over."""
        for fault in self._faults:
            if not fault.over:
                continue
            told_s = fault.praise()
            rare = t_s - self._chimed_s >= self._settings.chime_every_s
            if rare and not self._muted and self._live:
                self._chimed_s = t_s
                yield self._cue(t_s, fault, "chime", "chime", PRAISE, t_s - told_s)

    def _take_beat(self, reading: HeartRate) -> Iterator[Cue]:
        limit_bpm = self._settings.heart_rate_max_bpm
        if not limit_bpm or reading.heart_rate_bpm < limit_bpm:
            self._hot_since_s = inf
            return
        self._hot_since_s = min(self._hot_since_s, reading.t_s)
        seconds = reading.t_s - self._hot_since_s
        if seconds >= _LIMIT_HOLDS_S and reading.t_s - self._limit_s >= _LIMIT_EVERY_S:
            self._limit_s = self._corrected_s = reading.t_s
            self._said_s.append(reading.t_s)
            why: dict[str, float | str] = {"metric": "heart_rate_bpm", "value": reading.heart_rate_bpm}
            why |= {"baseline": limit_bpm, "seconds": seconds}
            yield self._make(reading.t_s, HEART_LIMIT, "phrase", "heart_rate_limit", Side.UNKNOWN, LIMIT, why)

    def _split(self, t_s: float) -> Iterator[Cue]:
        """Say how fast a split was; where something else is being said it is left out."""
        length_m = self._settings.split_m
        if not length_m or not self._running or not self._run_m >= length_m:
            return
        self._run_m -= length_m
        seconds, self._split_run_s = self._run_s - self._split_run_s, self._run_s
        if self._may_speak(t_s) and t_s - max(self._corrected_s, self._chimed_s) >= self._settings.expires_s:
            minutes, rest = divmod(round(seconds), 60)
            beat: dict[str, float | str] = {"time": f"{minutes}:{rest:02}", "split_m": length_m}
            why: dict[str, float | str] = {"metric": "speed_mps", "value": length_m / seconds, "seconds": seconds}
            yield self._make(t_s, "split", "phrase", "split", Side.UNKNOWN, SPLIT, why, beat)

    def _cue(
        self,
        t_s: float,
        fault: Fault,
        kind: str,
        phrase: str,
        priority: int,
        seconds: float,
        parameters: Mapping[str, float | str] | None = None,
    ) -> Cue:
        change = fault.main
        assert change is not None  # what is bad or over has been measured
        why: dict[str, float | str] = {
            "metric": change.metric,
            "value": change.value,
            "baseline": change.baseline,
            "z": fault.z,
            "seconds": seconds,
            "baseline_source": change.source,
        }
        return self._make(t_s, fault.rule.name, kind, phrase, fault.side, priority, why, parameters)

    def _make(
        self,
        t_s: float,
        rule: str,
        kind: str,
        phrase: str,
        side: Side,
        priority: int,
        why: Mapping[str, float | str],
        parameters: Mapping[str, float | str] | None = None,
    ) -> Cue:
        self._cues += 1
        return Cue(
            cue_id=self._cues,
            rule=rule,
            kind=kind,
            phrase=phrase,
            side=side,
            priority=priority,
            decided_at_s=t_s,
            expires_s=self._settings.expires_s,
            why=why,
            parameters=parameters or {},
        )


def _plain(metrics: Mapping[str, float], offset_s: float) -> Mapping[str, float]:
    """Return metrics as they were without a calibration that made contacts longer by ``offset_s``."""
    if not offset_s:
        return metrics
    moved = {"contact_time_s": -offset_s, "flight_time_s": offset_s}
    return {name: value + moved.get(name, 0.0) for name, value in metrics.items()}


def _peak_force(contact_time_s: float, metrics: Mapping[str, float]) -> float:
    """Return the peak of the vertical force, see `DERIVED`."""
    return 0.5 * pi * (metrics.get("flight_time_s", nan) / contact_time_s + 1.0)
