"""What is usual for a runner: gathered in every run, combined over the last of them, looked up at a speed.

1. A run says per metric, stance side and speed the median and the spread of its own steps: of those that count for the
   coach, in the first `FRESH_S` after the warm-up, while no fault of that metric stood or had been told.
2. A step is gathered once the coach's median has moved past it without a fault: steps before the moment at which a
   fault shows are in that median, and never get in.
3. A step counts at each multiple of `SPEED_STEP_MPS` closer than `MATCHED_MPS`, carried there by `SLOPES`. So runs
   whose speeds lie closer together than that always have one in common.
4. Runs are combined by medians: of four runs, one that was wrong from its beginning to its end moves the baseline no
   further than among the other three.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, hypot, isfinite, nan
from statistics import median

from pelvis.data import RunBaseline, Side
from pelvis.rules import Baseline

# half of the 0.5 m/s in which speeds are told apart: contact time changes by 10 ms over it, less than its threshold
MATCHED_MPS = 0.25
SPEED_STEP_MPS = 0.25
# 1 m/s: between two known speeds no further apart a metric is taken to change evenly
BETWEEN_MPS = 1.0
# Per m/s. The first three are those of 26 runners on a treadmill at 2.5 to 4.5 m/s: Fukuchi, Fukuchi and Duarte 2017
# (doi:10.7717/peerj.3298); the others how the 16 of them whose pelvis was recorded change as this core measures them.
# What changes over `MATCHED_MPS` by less than a tenth of its rule's threshold is left out.
SLOPES: Mapping[str, float] = {
    "contact_time_s": -0.036,
    "cadence_spm": 11.0,
    "vertical_oscillation_m": -0.009,
    "peak_force_ratio": 0.20,
    "step_length_m": 0.27,
    "velocity_gain_mps": 0.17,
    "velocity_loss_mps": 0.04,
    "rotation_range_deg": 3.9,
    "pelvis_sway_m": 0.003,
}

# 20 min of running: with the warm-up half an hour, which an everyday run lasts; what comes later in a long one is what
# the rule `fatigue` shall see
FRESH_S = 1200.0
# 200 steps, of one side half as many: their median errs by a tenth of the spread, by a fifth where neighbours are alike
LEAST_STEPS = 200
# 8 runs: two or three weeks. A median of as many is steady, and follows the season.
RUNS_KEPT = 8

_MAD_TO_SD = 1.4826  # for normally distributed values
# what the same is too small by in samples of 2 to 8: Croux and Rousseeuw 1992 (doi:10.1007/978-3-662-26811-7_58)
_SMALL_SAMPLE = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129}


def middle_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and, by the median deviation from it, the standard deviation of values."""
    middle = median(values)
    return middle, _MAD_TO_SD * median(abs(value - middle) for value in values)


def carried(metric: str, value: float, by_mps: float) -> float:
    """Return what a metric's value would be at a speed higher by so much."""
    return value + SLOPES.get(metric, 0.0) * by_mps


def speeds_at(speed_mps: float | None) -> Iterator[float | None]:
    """Yield the speeds at which a step counts that was run at this one; None at no speed."""
    if speed_mps is None:
        yield None
        return
    below = floor(speed_mps / SPEED_STEP_MPS) * SPEED_STEP_MPS
    for at_mps in (below, below + SPEED_STEP_MPS):
        if abs(at_mps - speed_mps) < MATCHED_MPS:
            yield at_mps


def at_speed(known: Sequence[Baseline], speed_mps: float | None) -> Baseline | None:
    """Return what is known of a metric at a speed; None where nothing is.

    The nearest known speed counts within `MATCHED_MPS`, carried over by `SLOPES`; else what lies between two speeds no
    more than `BETWEEN_MPS` apart. What is known at no speed counts where no speed is known, and nowhere else.
    """
    if speed_mps is None:
        return next((one for one in known if one.speed_mps is None), None)
    points = sorted(((one.speed_mps, one) for one in known if one.speed_mps is not None), key=lambda p: p[0])
    below = max((p for p in points if p[0] <= speed_mps), key=lambda p: p[0], default=None)
    above = min((p for p in points if p[0] >= speed_mps), key=lambda p: p[0], default=None)
    if below is not None and above is not None and 0.0 < above[0] - below[0] <= BETWEEN_MPS:
        share = (speed_mps - below[0]) / (above[0] - below[0])
        mean = below[1].mean + share * (above[1].mean - below[1].mean)
        sd = below[1].sd + share * (above[1].sd - below[1].sd)
        return Baseline(below[1].metric, mean, sd, speed_mps, min(below[1].runs, above[1].runs), below[1].side)
    near = min(points, key=lambda p: abs(p[0] - speed_mps), default=None)
    if near is None or abs(near[0] - speed_mps) > MATCHED_MPS:
        return None
    one = near[1]
    mean = carried(one.metric, one.mean, speed_mps - near[0])
    return Baseline(one.metric, mean, one.sd, speed_mps, one.runs, one.side)


class Gathering:
    """One metric's own steps of a run, by speed; on one side or on both (unknown)."""

    def __init__(self, metric: str, side: Side, window: int) -> None:
        self._metric = metric
        self._side = side
        self._window = window
        self._waiting: deque[tuple[float | None, float]] = deque()
        self._values: dict[float | None, list[float]] = {}
        self._left_out: Counter[float | None] = Counter()

    def take(self, value: float, speed_mps: float | None) -> None:
        """Add a step of the coach's median; the one it takes the place of has passed."""
        if not isfinite(value):
            return
        self._waiting.append((speed_mps, value))
        if len(self._waiting) > self._window:
            run_mps, passed = self._waiting.popleft()
            for at_mps in speeds_at(run_mps):
                by_mps = 0.0 if at_mps is None or run_mps is None else at_mps - run_mps
                self._values.setdefault(at_mps, []).append(carried(self._metric, passed, by_mps))

    def leave_out(self) -> None:
        """Let go of the steps of the present median: a fault has shown in it, or was told and is not over."""
        for run_mps, _ in self._waiting:
            self._left_out.update(speeds_at(run_mps))
        self._waiting.clear()

    def forget(self) -> None:
        """Begin the median afresh."""
        self._waiting.clear()

    def drop(self) -> None:
        """Forget all that was gathered."""
        self._waiting.clear()
        self._values.clear()

    def tell(self, known: Sequence[Baseline], learned: Sequence[Baseline], t_s: float) -> Iterator[RunBaseline]:
        """Yield what was gathered, and what the coach compared it with; ``known`` and ``learned`` of this metric."""
        seen = {*self._values, *self._left_out}
        for at_mps in sorted(seen, key=lambda v: -1.0 if v is None else v):
            values = self._values.get(at_mps, [])
            middle, spread = middle_and_spread(values) if values else (nan, nan)
            profile = at_speed(known, at_mps)
            of_this_run = "learning" if at_speed(learned, at_mps) is not None else ""
            yield RunBaseline(
                metric=self._metric,
                side=self._side,
                speed_mps=at_mps,
                median=middle,
                sd=spread,
                steps=len(values),
                left_out_steps=self._left_out[at_mps],
                baseline_source="profile" if profile is not None else of_this_run,
                baseline_runs=profile.runs if profile is not None else 0,
                decided_at_s=t_s,
            )


def least_steps(side: Side) -> int:
    """Return how many steps of a run make it count."""
    return LEAST_STEPS if side is Side.UNKNOWN else ceil(LEAST_STEPS / 2)


def combine(runs: Sequence[Sequence[RunBaseline]]) -> tuple[Baseline, ...]:
    """Return a runner's baselines from what the runs said, the oldest first: of each metric, side and speed the last.

    ``mean`` is the median of the runs' medians. ``sd`` is how far a single step of any run lies from it: the spread
    within a run (the median of all) and that from run to run (by the median deviation), added in squares. So what
    differs from day to day without being a fault is not taken for one.
    """
    found: dict[tuple[str, Side, float | None], list[RunBaseline]] = {}
    for said in runs:
        for one in said:
            if one.steps >= least_steps(one.side):
                found.setdefault((one.metric, one.side, one.speed_mps), []).append(one)
    baselines: list[Baseline] = []
    for (metric, side, speed_mps), of_runs in found.items():
        last = of_runs[-RUNS_KEPT:]
        level, between = middle_and_spread([one.median for one in last])
        between *= _SMALL_SAMPLE.get(len(last), 1.0)
        within = median(one.sd for one in last)
        baselines.append(Baseline(metric, level, hypot(within, between), speed_mps, len(last), side))
    return tuple(baselines)
