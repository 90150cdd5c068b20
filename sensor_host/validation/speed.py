"""The fit of the speed model on belts of known speed, and how far it can be trusted.

Every error is that of a runner whom the fit has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pelvis.coefficients import SHIPPED
from pelvis.data import Array, Step
from pelvis.models import EventModels
from pelvis.personal import SpeedPoint
from pelvis.speed import PowerLaw, law_of, point_of
from sensor_host.validation.device import Device, wear
from sensor_host.validation.score import SETTLE_S, said_of
from sensor_host.validation.sources import Trial

# 0.03: the three inputs nearly go together (r > 0.8), and unshrunk exponents follow single runners
SHRINKAGE = 0.03

DEVICES = tuple(Device(seed=seed) for seed in (1, 2, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """How runners ran at known speeds, one row for each run (n,).

    ``seen`` (n, 3) are ln of step time, velocity gain and contact time, ``known`` ln of the belt's speed.
    """

    seen: Array
    known: Array
    runner: NDArray[np.str_]

    def of(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Runs:
        """Return these runs."""
        return Runs(self.seen[rows], self.known[rows], self.runner[rows])

    def points(self) -> list[SpeedPoint]:
        """Return the runs as points of calibration."""
        rows = zip(np.exp(self.known).tolist(), np.exp(self.seen).tolist(), strict=True)
        return [SpeedPoint(speed_mps, *seen) for speed_mps, seen in rows]


def observe(
    trials: Sequence[Trial], devices: Sequence[Device] = DEVICES, models: Mapping[str, EventModels] | None = None
) -> Runs:
    """Return what the core says of every trial behind every device, and the belt's speed.

    ``models`` are the event models to be used for a runner, in place of the shipped ones.
    """
    points: list[SpeedPoint] = []
    for device in devices:
        for trial in trials:
            run = wear(trial, device)
            said = said_of(run.samples, models=models[trial.runner] if models else SHIPPED)
            after_s = run.lead_s + SETTLE_S
            steps = [item.metrics for item in said if isinstance(item, Step) and item.initial_contact_s > after_s]
            points.append(point_of(trial.speed_mps, steps)[0])
    seen = np.log(np.array([(p.step_time_s, p.velocity_gain_mps, p.contact_time_s) for p in points]))
    known = np.log(np.array([p.speed_mps for p in points]))
    return Runs(seen, known, np.array([trial.runner for _ in devices for trial in trials]))


def fit_within(runs: Runs) -> tuple[float, float, float]:
    """Return the exponents by which speed changes within a runner."""
    seen, known = runs.seen.copy(), runs.known.copy()
    for name in np.unique(runs.runner):
        own = runs.runner == name
        seen[own] -= seen[own].mean(axis=0)
        known[own] -= known[own].mean()
    return _ridge(seen, known, runs.seen.std(axis=0))


def fit_across(runs: Runs) -> PowerLaw:
    """Return the law of all runners together."""
    middle: Array = runs.seen.mean(axis=0)
    level = float(runs.known.mean())
    exponents = _ridge(runs.seen - middle, runs.known - level, runs.seen.std(axis=0))
    return PowerLaw(level - float(middle @ exponents), exponents)


def _ridge(inputs: Array, wanted: Array, spread: Array) -> tuple[float, float, float]:
    z: Array = inputs / spread
    shrunk = z.T @ z + SHRINKAGE * len(z) * np.eye(z.shape[1])
    weights = np.asarray(np.linalg.solve(shrunk, z.T @ wanted), np.float64) / spread
    return float(weights[0]), float(weights[1]), float(weights[2])


def predicted(law: PowerLaw, runs: Runs) -> Array:
    """Return ln of the speeds (n,) that a law says."""
    return np.array([law.log_speed(*row) for row in np.exp(runs.seen).tolist()])


def errors(runs: Runs) -> dict[str, Array]:
    """Return said / true - 1 of runners left out, by what was known of them; ``runs`` are of one device.

    Several devices would count every runner several times without knowing any of them better.
    """
    found: dict[str, list[float]] = {}
    for others, mine in _left_out(runs):
        exponents, points = fit_within(others), mine.points()
        laws = [("nothing", fit_across(others), list(range(len(points))))]
        for k in range(len(points)):
            rest = [j for j in range(len(points)) if j != k]
            one = law_of([points[k]], exponents)
            laws += [("one point", one, rest)]
            laws += [("one point, the middle speed", one, rest)] if k == 1 else []
            where = "between" if k == 1 else "beyond"
            laws += [(f"two points, the third {where} them", law_of([points[j] for j in rest], exponents), [k])]
        for name, law, scored in laws:
            part = mine.of(np.array(scored, dtype=np.intp))
            found.setdefault(name, []).extend((predicted(law, part) - part.known).tolist())
    return {name: np.expm1(values) for name, values in found.items()}


def _left_out(runs: Runs) -> Iterator[tuple[Runs, Runs]]:
    """Yield (all others, one runner's runs in the order of speed)."""
    for name in np.unique(runs.runner):
        own = runs.runner == name
        mine = runs.of(own)
        yield runs.of(~own), mine.of(np.argsort(mine.known))


def numbers(runs: Runs) -> dict[str, object]:
    """Return the numbers of `pelvis.speed` as these runs have them, rounded as they stand there."""
    across = fit_across(runs)
    return {
        "EXPONENTS": tuple(round(x, 3) for x in fit_within(runs)),
        "POPULATION": PowerLaw(round(across.level, 3), _rounded(across.exponents)),
    }


def _rounded(exponents: tuple[float, float, float]) -> tuple[float, float, float]:
    a, b, c = exponents
    return round(a, 3), round(b, 3), round(c, 3)


def table(runs: Runs) -> list[tuple[str, str, str, str]]:
    """Return the errors as rows of text: what was known, runs, RMSE, mean absolute error."""
    rows = [("known of the runner", "runs", "RMSE", "mean absolute error")]
    for name, relative in errors(runs).items():
        rms, mean = math.sqrt(float(np.mean(relative**2))), float(np.mean(np.abs(relative)))
        rows.append((name, str(len(relative)), f"{100 * rms:.1f} %", f"{100 * mean:.1f} %"))
    return rows
