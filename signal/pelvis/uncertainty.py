"""How far each figure may be off: a standard error per metric, step by step.

A variance adds up from terms: what an undisturbed step has, and what was seen to disturb this one. Every term has a
coefficient per metric, fitted on force plates and optical pelves of runners the event models had not seen
(`pelvis.error_coefficients`); 68 % of the errors shall lie within one standard error, those over lost packets as well.

A variance has two parts. The common part is the same for all steps of a runner in a session (how the sensor sits, how
this body differs from those of the fit): averaging does not remove it. The independent part averages out:

    se_mean^2 = common^2 + independent^2 * dependence / n
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pelvis.data import Array, Evidence

# what adds to a variance, in squares; see `terms`
BASE_TERMS = ("one", "slow", "fast", "strange")
COMMON_TERMS = ("beyond", "no_gyroscope", "turned", "ambiguous", "no_standing")
INDEPENDENT_TERMS = (
    "turning",
    "filled",
    "filled_before",
    "filled_lately",
    "filled_fast",
    "filled_stride",
    "clipped",
    "settling",
    "uneven",
)
TERMS = (*BASE_TERMS, *COMMON_TERMS, *INDEPENDENT_TERMS)
# terms of a metric's own: its value, how far that is off what this foot's steps have been lately, and the value again
# where part of the stride is made up: a hole in a wide wave costs more
OWN_TERMS = ("value", "odd", "filled_value")

# 0.22 s: contact time of an everyday run, from which slow and fast are counted
USUAL_CONTACT_S = 0.22
# 2: 95 % of the fit's own steps are less strange than that
USUAL_STRANGENESS = 2.0
# 5 %: steps of a steady runner differ by less
EVEN_RATIO = 0.05
# 0.2: about five steps of the same foot
ODD_MEMORY = 0.2

# 25 steps: what the errors of means were seen over; of fewer, nothing is known
FEWEST_STEPS = 25

FILLED_LATELY, FILLED_FAST, FILLED_STRIDE = map(TERMS.index, ("filled_lately", "filled_fast", "filled_stride"))
_BASE = len(BASE_TERMS)
_COMMON = slice(_BASE, _BASE + len(COMMON_TERMS))


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """The standard error of one metric or event.

    ``terms`` by their names in TERMS and OWN_TERMS: each is the standard error that one unit of its term adds, in
    squares; nothing where a term is not named. ``common`` is the share of the undisturbed variance (BASE_TERMS and
    value) that is common to all steps of a runner; ``dependence`` the variance of the independent part of a mean over
    FEWEST_STEPS against that of as many independent steps. ``usual`` is the standard error of an undisturbed step.
    """

    terms: Mapping[str, float]
    common: float
    dependence: float
    usual: float

    def squares(self, names: Iterable[str]) -> Array:
        """Return the variances of one unit of each of these terms."""
        return np.square([self.terms.get(name, 0.0) for name in names])


def terms(evidence: Evidence, contact_time_s: float) -> tuple[float, ...]:
    """Return the squares of TERMS for a step; what only a stride knows is 0."""
    e = evidence
    pace = min(2.0, max(0.5, contact_time_s / USUAL_CONTACT_S)) ** 2
    uneven = max(0.0, abs(e.period_ratio - 1.0) - EVEN_RATIO)
    ambiguous = max(0.0, 0.5 - e.axis_confidence)
    settling = 1.0 / e.run_steps
    return (
        1.0,
        pace * pace,
        1.0 / (pace * pace),
        e.strangeness,
        max(0.0, e.strangeness - USUAL_STRANGENESS),
        0.0 if e.has_gyroscope else 1.0,
        1.0 if e.disagrees else 0.0,
        ambiguous * ambiguous,
        0.0 if e.from_standing else 1.0,
        e.yaw_radps * e.yaw_radps,
        e.filled_stance * e.filled_stance,
        e.filled_before * e.filled_before,
        e.filled_lately * e.filled_lately,
        e.filled_lately / (pace * pace),
        0.0,
        e.clipped_ratio * e.clipped_ratio,
        settling * settling,
        uneven * uneven,
    )


def dependence_of(n: int, dependence: float) -> float:
    """Return the dependence of a mean over ``n`` steps; less than FEWEST_STEPS are taken for partly independent."""
    return 1.0 + (dependence - 1.0) * min(1.0, n / FEWEST_STEPS)


def steps_needed(independent_variance: float, dependence: float, resolution: float) -> int:
    """Return how many steps a mean needs until what averages out is below ``resolution``; FEWEST_STEPS at least.

    FEWEST_STEPS as well where the variance is not known (NaN): somebody else measured it.
    """
    if math.isnan(independent_variance):
        return FEWEST_STEPS
    return max(FEWEST_STEPS, math.ceil(dependence * independent_variance / resolution**2))


def product_error(value: float, common_ratio: float, *independent_ratios: float) -> tuple[float, float]:
    """Return the standard error of a product or quotient, and its common part, by its factors' relative errors."""
    common = value * common_ratio
    return math.sqrt(common * common + sum((value * ratio) ** 2 for ratio in independent_ratios)), common


# the metrics of which a calibration of contact time takes away the runner's own error; it knows the sum of the errors
# of initial contact and toe-off, which is half of what there is to know of each
CALIBRATED: Mapping[str, float] = {
    "initial_contact_s": 0.5,
    "toe_off_s": 0.5,
    "contact_time_s": 1.0,
    "flight_time_s": 1.0,
}


class StandardErrors:
    """Says the standard errors of some metrics, step by step; ``models`` come in the order in which values will."""

    def __init__(self, models: Mapping[str, ErrorModel]) -> None:
        self._memory: tuple[list[float], list[float]] = ([], [])
        self._run = -1
        common, independent, known = np.zeros((3, len(models), len(TERMS)))
        own: list[tuple[float, float, float, float]] = []
        for k, (name, model) in enumerate(models.items()):
            squares = model.squares(TERMS)
            value, odd, filled_value = model.squares(OWN_TERMS).tolist()
            common[k, :_BASE] = model.common * squares[:_BASE]
            common[k, _COMMON] = squares[_COMMON]
            independent[k, :_BASE] = (1.0 - model.common) * squares[:_BASE]
            independent[k, _COMMON.stop :] = squares[_COMMON.stop :]
            known[k, :_BASE] = CALIBRATED.get(name, 0.0) * common[k, :_BASE]
            own.append((model.common * value, (1.0 - model.common) * value, odd, filled_value))
        self._weights: Array = np.concatenate((common, independent))
        self._known: Array = np.concatenate((known, np.zeros_like(independent)))
        self._own = tuple(own)

    def judge(
        self, squares: Sequence[float], values: Iterable[float], step_index: int, run: int, calibrated: float = 1.0
    ) -> tuple[list[float], list[float]]:
        """Return the standard errors of ``values``, and of each its common part; NaN where the value is.

        ``squares`` are those of TERMS. Steps must come in order: what one foot's steps have been lately is remembered
        over the same ``run``. ``calibrated`` is the share of the variance of the runner's own contact time error that
        a calibration left: 1 all of it, 0 nothing.
        """
        n = len(self._own)
        if run != self._run:
            self._run = run
            self._memory = ([math.nan] * n, [math.nan] * n)
        lately = self._memory[step_index & 1]
        weights = self._weights if calibrated == 1.0 else self._weights - (1.0 - calibrated) * self._known
        variances: list[float] = (weights @ np.array(squares)).tolist()
        filled = math.sqrt(squares[FILLED_STRIDE])
        errors = [math.nan] * n
        commons = [math.nan] * n
        for k, value in enumerate(values):
            if value != value:
                continue
            shared, alone, odd, filled_value = self._own[k]
            square = value * value
            common = variances[k] + shared * square
            independent = variances[n + k] + (alone + filled_value * filled) * square
            change = value - lately[k]
            if change == change:
                independent += odd * change * change
                lately[k] += ODD_MEMORY * change
            else:
                lately[k] = value
            errors[k] = math.sqrt(common + independent)
            commons[k] = math.sqrt(common)
        return errors, commons
