"""Means over steps, with a standard error each, and how many steps they need before they mean something."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pelvis.error_coefficients import ERROR_MODELS, SIDES_SE_S
from pelvis.metrics import METRICS
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
