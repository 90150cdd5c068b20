"""How fast the runner runs: from a source that measures it, else from how the runner runs.

Within a runner speed follows a power law of step time T, fore-aft velocity gain dv and contact time tc,

    ln(v / v0) = a ln(T / T0) + b ln(dv / dv0) + c ln(tc / tc0),

through the point (v0, T0, dv0, tc0) at which the runner's speed was once known. Further points bend the exponents:
least squares, with those of all runners as prior. Without any point the population's own regression gives an
estimate, which is drawn towards the mean of all runners. Fitted on Fukuchi, Fukuchi and Duarte 2017
(doi:10.7717/peerj.3298) by `sensor_host.validation.speed`; `hipdrive validate DATA --only speed,constants` prints
errors and numbers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pelvis.data import Array, Speed
from pelvis.personal import Personal, SpeedPoint

MODEL, ESTIMATE = "model", "estimate"
"""What `Step.speed_source` says where no source knows the speed: the runner's own model, the population's."""

# somebody typed it in: it holds until it is changed, and 0 takes it back
TREADMILL = "treadmill"
# 5 s: a foot pod, watch or GPS says its speed every second; five missed messages are a lost source, and in that time
# a runner who speeds up steadily has changed by about half a metre per second
SPEED_HOLDS_S = 5.0

# 8 steps: the model's scatter of single steps (4 %, sides included) falls to 1.5 %, and 3 s are soon enough for a pace
SMOOTHED_STEPS = 8
# of them before anything is said: two of each side
LEAST_STEPS = 4
# 120 to 300 steps a minute: what lies outside is a missed contact or none
SHORTEST_STEP_S, LONGEST_STEP_S = 0.2, 0.5
LEAST_GAIN_MPS = 0.05


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """ln v = level + exponents . (ln step time, ln velocity gain, ln contact time), all in SI units."""

    level: float
    exponents: tuple[float, float, float]

    def log_speed(self, step_time_s: float, velocity_gain_mps: float, contact_time_s: float) -> float:
        """Return ln of the speed in m/s."""
        a, b, c = self.exponents
        return self.level + a * math.log(step_time_s) + b * math.log(velocity_gain_mps) + c * math.log(contact_time_s)


# fitted within runners, and across them
EXPONENTS = (-0.988, 0.342, -0.923)
POPULATION = PowerLaw(-0.268, (0.38, 0.198, -1.307))
# relative errors of runners left out, 1 m/s from a known point; `sensor_host.validation.speed`
ESTIMATE_ERROR_RATIO, MODEL_ERROR_RATIO = 0.14, 0.09
# a point's own deviation from a runner's law, and how far runners' exponents differ, as ln
POINT_SD = 0.05
EXPONENT_SD = 0.3


def speed_error_ratio(source: str) -> float:
    """Return the relative standard error of a speed from there; 0 where it was measured, which is taken as given."""
    return ESTIMATE_ERROR_RATIO if source == ESTIMATE else MODEL_ERROR_RATIO if source == MODEL else 0.0


def law_of(points: Sequence[SpeedPoint], exponents: tuple[float, float, float] = EXPONENTS) -> PowerLaw:
    """Return the law through a runner's points: exactly through one, by least squares through several.

    ``exponents`` are those of all runners: what one point has, and what several are drawn to.

    Raises
    ------
    ValueError
        Without a point.
    """
    if not points:
        raise ValueError("a runner's law needs a point")
    known: Array = np.array([math.log(point.speed_mps) for point in points])
    seen: Array = np.array(
        [_logs(point.step_time_s, point.velocity_gain_mps, point.contact_time_s) for point in points]
    )
    middle: Array = seen.mean(axis=0)
    about = seen - middle
    usual = np.array(exponents)
    off: Array = known - known.mean() - about @ usual
    ratio = (POINT_SD / EXPONENT_SD) ** 2
    pulled = np.asarray(np.linalg.solve(about.T @ about + ratio * np.eye(3), about.T @ off), dtype=np.float64)
    bent = usual + pulled
    return PowerLaw(float(known.mean() - middle @ bent), (float(bent[0]), float(bent[1]), float(bent[2])))


def point_of(speed_mps: float, steps: Iterable[Mapping[str, float]]) -> tuple[SpeedPoint, int]:
    """Return how the runner ran at a known speed, and over how many steps, from the metrics of steps not calibrated.

    Without a usual step the point is NaN.
    """
    rows = [(60.0 / m["cadence_spm"], m["velocity_gain_mps"], m["contact_time_s"]) for m in steps]
    logs = [_logs(*row) for row in rows if _is_usual(*row)]
    if not logs:
        return SpeedPoint(speed_mps, math.nan, math.nan, math.nan), 0
    # the mean of logarithms, as the speedometer takes it
    step_time_s, velocity_gain_mps, contact_time_s = np.exp(np.mean(logs, axis=0)).tolist()
    return SpeedPoint(speed_mps, step_time_s, velocity_gain_mps, contact_time_s), len(logs)


def _is_usual(step_time_s: float, velocity_gain_mps: float, contact_time_s: float) -> bool:
    return (
        SHORTEST_STEP_S <= step_time_s <= LONGEST_STEP_S
        and velocity_gain_mps >= LEAST_GAIN_MPS
        and contact_time_s > 0.0
    )


def _logs(step_time_s: float, velocity_gain_mps: float, contact_time_s: float) -> tuple[float, float, float]:
    return math.log(step_time_s), math.log(velocity_gain_mps), math.log(contact_time_s)


class Speedometer:
    """Tells the speed of each step and where it comes from: a source, the runner's model, an estimate."""

    def __init__(self, personal: Personal) -> None:
        points = personal.speed_points
        self._law = law_of(points) if points else POPULATION
        self._law_name = MODEL if points else ESTIMATE
        self._coming: deque[Speed] = deque()
        self._entry: Speed | None = None
        self._heard: Speed | None = None
        self._recent: deque[float] = deque(maxlen=SMOOTHED_STEPS)

    def take(self, speed: Speed) -> None:
        """Remember what a source says; it counts from its own time on."""
        self._coming.append(speed)

    def restart(self) -> None:
        """Forget the steps of a run that was broken: they say nothing of those to come."""
        self._recent.clear()

    def tell(
        self, t_s: float, step_time_s: float, velocity_gain_mps: float, contact_time_s: float
    ) -> tuple[float, str]:
        """Return the speed in m/s of a step reported at ``t_s``, and its source; (NaN, "") where it is unknown.

        ``contact_time_s`` is that before any calibration; ``step_time_s`` is NaN for the first step of a run.
        """
        while self._coming and self._coming[0].t_s <= t_s:
            speed = self._coming.popleft()
            if speed.source == TREADMILL:
                self._entry = speed
            else:
                self._heard = speed
        if _is_usual(step_time_s, velocity_gain_mps, contact_time_s):
            self._recent.append(self._law.log_speed(step_time_s, velocity_gain_mps, contact_time_s))
        heard, entry = self._heard, self._entry
        if heard is not None and heard.speed_mps > 0.0 and t_s - heard.t_s <= SPEED_HOLDS_S:
            return heard.speed_mps, heard.source or "source"
        if entry is not None and entry.speed_mps > 0.0:
            return entry.speed_mps, entry.source
        if len(self._recent) >= LEAST_STEPS:
            return math.exp(sum(self._recent) / len(self._recent)), self._law_name
        return math.nan, ""
