"""Means over steps, with a standard error each, and how many steps they need before they mean something."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from pelvis.data import Array, Step, Stride
from pelvis.error_coefficients import ERROR_MODELS, SIDES_SE_S
from pelvis.metrics import METRICS, STEP_NAMES, STRIDE_NAMES
from pelvis.uncertainty import dependence_of, steps_needed

# 123 steps of each foot: the true spread of contact time then moves the balance by less than 1 point in 100 runs of 95
BALANCE_STEPS = 123


@dataclass(slots=True)
class Average:
    """Count, mean and standard deviation of a metric's values, and how far the mean may be off; no value is kept."""

    name: str
    n: int = 0
    mean: float = 0.0
    _squares: float = 0.0
    _common: float = 0.0
    _independent: float = 0.0

    def take(self, value: float, error: float, common: float) -> None:
        """Count in a value, its standard error and what of this averaging does not remove; Welford (1962)."""
        if not math.isfinite(value):
            return
        self.n += 1
        delta = value - self.mean
        self.mean += delta / self.n
        self._squares += delta * (value - self.mean)
        square = common * common
        self._common += square
        self._independent += error * error - square

    def merge(self, n: int, mean: float, squares: float, common: float, independent: float) -> None:
        """Count in ``n`` values by their mean and sums of squares; Chan, Golub and LeVeque (1983)."""
        if not n:
            return
        both = self.n + n
        delta = mean - self.mean
        self.mean += delta * n / both
        self._squares += squares + delta * delta * self.n * n / both
        self.n = both
        self._common += common
        self._independent += independent

    @property
    def sd(self) -> float:
        """The standard deviation of the values: what the runner does, and the errors."""
        return math.sqrt(self._squares / (self.n - 1)) if self.n > 1 else math.nan

    @property
    def averaging_variance(self) -> float:
        """The variance of the mean that more steps would lower."""
        if not self.n:
            return math.nan
        return dependence_of(self.n, ERROR_MODELS[self.name].dependence) * self._independent / self.n**2

    @property
    def se(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self._common / self.n + self.averaging_variance) if self.n else math.nan

    @property
    def needs(self) -> int:
        """How many steps like these a mean needs until what averages out is below the metric's resolution."""
        metric = METRICS[self.name]
        if not self.n:
            return metric.steps_needed
        return steps_needed(self._independent / self.n, ERROR_MODELS[self.name].dependence, metric.resolution)


# 512 steps are counted in at once: one by one, the means would cost more than some of the metrics
HELD_STEPS = 512


class Averages:
    """An `Average` of every metric over steps and their strides."""

    def __init__(self) -> None:
        self._known = {name: Average(name) for name in METRICS}
        self._held: dict[tuple[str, ...], list[tuple[float, ...]]] = {STEP_NAMES: [], STRIDE_NAMES: []}

    def take(self, item: Step | Stride) -> None:
        """Count in the metrics of a step, or of its stride."""
        names = STEP_NAMES if isinstance(item, Step) else STRIDE_NAMES
        held = self._held[names]
        unknown = repeat(math.nan)
        held.append(
            (
                *map(item.metrics.get, names, unknown),
                *map(item.errors.get, names, unknown),
                *map(item.common_errors.get, names, unknown),
            )
        )
        if len(held) == HELD_STEPS:
            self._count(names, held)

    def __getitem__(self, name: str) -> Average:
        """Return the average of a metric over all steps so far."""
        for names, held in self._held.items():
            self._count(names, held)
        return self._known[name]

    def __iter__(self) -> Iterator[Average]:
        """Yield the average of every metric, in the order of METRICS."""
        return (self[name] for name in METRICS)

    def _count(self, names: tuple[str, ...], held: list[tuple[float, ...]]) -> None:
        if not held:
            return
        table: Array = np.array(held).reshape(len(held), 3, len(names))
        held.clear()
        values, errors, commons = table[:, 0], table[:, 1], table[:, 2]
        known = np.isfinite(values)
        n = known.sum(axis=0)
        means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(n, 1)
        squares = np.where(known, (values - means) ** 2, 0.0).sum(axis=0)
        common = np.where(known, commons**2, 0.0).sum(axis=0)
        independent = np.where(known, errors**2 - commons**2, 0.0).sum(axis=0)
        rows = zip(names, *(x.tolist() for x in (n, means, squares, common, independent)), strict=True)
        for name, *sums in rows:
            self._known[name].merge(*sums)


@dataclass(frozen=True, slots=True)
class Balance:
    """The left foot's share of contact time, 0.5 when both are on the ground for as long, and its standard error."""

    ratio: float
    se_ratio: float


def balance_of(left: Average, right: Average) -> Balance | None:
    """Return the balance of two averages of contact time; None before BALANCE_STEPS of each foot."""
    if min(left.n, right.n) < BALANCE_STEPS:
        return None
    both_s = left.mean + right.mean
    # small changes: (right dl - left dr) / both^2, of errors that are nearly those of each foot alone
    variance = SIDES_SE_S**2 + left.averaging_variance + right.averaging_variance
    return Balance(left.mean / both_s, 0.5 * math.sqrt(variance) / both_s)
