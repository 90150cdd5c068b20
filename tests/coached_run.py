"""Runs told step by step to a coach, with changes of form, and runners who listen."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from math import inf

from pelvis.cues import Coach, CueRule, CueSettings, Said
from pelvis.data import (
    Activity,
    ActivityState,
    Command,
    CoreOutput,
    Cue,
    HeartRate,
    Marker,
    References,
    Side,
    Speed,
    Step,
    Stride,
)
from pelvis.metrics import METRICS
from sensor_host.coaching import coaching
from sensor_host.config import CuesConfig

STEP_S = 0.35
RULES = coaching(CuesConfig())[1]
GOOD = {
    "contact_time_s": 0.230,
    "cadence_spm": 60.0 / STEP_S,
    "pelvic_drop_deg": 2.4,
    "pelvis_sway_m": 0.014,
    "tilt_deg": 6.0,
    "vertical_oscillation_m": 0.100,
    "velocity_loss_mps": 0.20,
    "velocity_gain_mps": 0.22,
    "flight_time_s": 0.120,
    "rotation_range_deg": 12.0,
    "step_length_m": 1.05,
}
SPREAD = {
    "contact_time_s": 0.005,
    "cadence_spm": 2.5,
    "pelvic_drop_deg": 0.35,
    "pelvis_sway_m": 0.002,
    "tilt_deg": 0.4,
    "vertical_oscillation_m": 0.003,
    "velocity_loss_mps": 0.012,
    "velocity_gain_mps": 0.012,
    "flight_time_s": 0.006,
    "rotation_range_deg": 0.8,
    "step_length_m": 0.015,
}
QUICK = CueSettings(
    warm_up_s=10.0, learn_s=20.0, dwell_ratio=0.2, between_s=15.0, same_s=30.0, chime_every_s=20.0, exit_s=4.0
)
Item = CoreOutput | Speed | Command | Marker | HeartRate


class Run:
    """A run told step by step, with changes of metrics over stretches of time."""

    def __init__(self, seconds: float, *, seed: int = 1, quality: float = 0.95) -> None:
        self.seconds = seconds
        self.quality = quality
        self.chance = random.Random(seed)
        self.changes: list[tuple[float, float, str, float, Side | None]] = []
        self.extra: list[tuple[float, Item]] = []
        self.speed_source = "treadmill"
        self.good, self.spread = GOOD, SPREAD

    def change(self, start_s: float, end_s: float, metric: str, by: float, side: Side | None = None) -> Run:
        self.changes.append((start_s, end_s, metric, by, side))
        return self

    def also(self, t_s: float, item: Item) -> Run:
        self.extra.append((t_s, item))
        return self

    def share_left(self, t_s: float) -> float:
        """What is left of all changes."""
        return 1.0

    def value(self, metric: str, t_s: float, side: Side) -> float:
        value = self.good[metric] + self.chance.gauss(0.0, self.spread[metric])
        for start_s, end_s, name, by, where in self.changes:
            if name == metric and start_s <= t_s < end_s and where in (None, side):
                value += by * self.share_left(t_s)
        return value

    def items(self) -> Iterator[Item]:
        """Yield what is said in time order, each step made when its time has come."""
        order = count()
        heap: list[tuple[float, int, Item]] = []
        for t_s, item in ((2.0, Activity(2.0, ActivityState.RUNNING, 2.0)), *self.extra):
            heappush(heap, (t_s, next(order), item))
        for k in range(int((self.seconds - 2.0) / STEP_S)):
            t_s = 2.0 + k * STEP_S
            while heap and heap[0][0] <= t_s:
                yield heappop(heap)[2]
            for said_s, item in self._pair(k, t_s):
                heappush(heap, (said_s, next(order), item))
        while heap:
            yield heappop(heap)[2]

    def _pair(self, k: int, t_s: float) -> Iterator[tuple[float, Step | Stride]]:
        side = Side.LEFT if k % 2 else Side.RIGHT
        values = {name: self.value(name, t_s, side) for name in self.good}
        groups = {
            group: {name: value for name, value in values.items() if METRICS[name].group == group}
            for group in ("step", "stride")
        }
        step = Step(
            step_index=k,
            stride_index=k // 2,
            contact_id=k,
            initial_contact_s=t_s,
            toe_off_s=t_s + 0.23,
            side=side,
            side_confidence=1.0,
            metrics=groups["step"],
            errors={},
            common_errors={},
            initial_contact_se_s=0.006,
            toe_off_se_s=0.007,
            quality=self.quality,
            flags=self.flags_at(t_s),
            reported_at_s=t_s + 0.33,
            speed_source=self.speed_source,
        )
        yield step.reported_at_s, step
        yield t_s + 0.90, Stride(k, k // 2, t_s, side, groups["stride"], {}, {}, t_s + 0.90)

    def flags_at(self, t_s: float) -> tuple[str, ...]:
        return ()


class Responder(Run):
    """A runner who puts a fault right, ``latency_s`` after being told of it, within ``takes_s``."""

    def __init__(self, seconds: float, rule: str, *, latency_s: float = 3.0, takes_s: float = 15.0) -> None:
        super().__init__(seconds)
        self.rule = rule
        self.latency_s = latency_s
        self.takes_s = takes_s
        self.begins_s = inf

    def hear(self, said: Said) -> None:
        if isinstance(said, Cue) and said.rule == self.rule and said.kind in ("phrase", "metronome"):
            self.begins_s = min(self.begins_s, said.decided_at_s + self.latency_s)

    def share_left(self, t_s: float) -> float:
        return min(1.0, max(0.0, 1.0 - (t_s - self.begins_s) / self.takes_s))


def respond(runner: Responder, settings: CueSettings) -> list[Said]:
    """Run the runner and the coach against each other."""
    coach = Coach(settings, RULES)
    heard: list[Said] = []
    for item in runner.items():
        for said in coach.consider(item):
            runner.hear(said)
            heard.append(said)
    return heard


def hear(run: Run | Iterable[Item], settings: CueSettings = QUICK, rules: tuple[CueRule, ...] = RULES) -> list[Said]:
    """Return what the coach makes of a run; what it compares with is left out."""
    items = run.items() if isinstance(run, Run) else run
    coach = Coach(settings, rules)
    return [said for item in items for said in coach.consider(item) if not isinstance(said, References)]


def listen(run: Run | Iterable[Item], settings: CueSettings = QUICK, rules: tuple[CueRule, ...] = RULES) -> list[Cue]:
    return [said for said in hear(run, settings, rules) if isinstance(said, Cue)]


def phrases(cues: Iterable[Cue]) -> list[Cue]:
    return [cue for cue in cues if cue.kind == "phrase"]
