"""Two sections, of one session or of two: what differs, by how much, and whether that is a difference at all.

1. A mean is as sure as its steps allow: their spread, more where neighbours are alike, `pelvis.uncertainty` for what
   the sensor adds. Between two sessions, in which the sensor sat differently, comes what averaging does not take away.
2. Many metrics are looked at at once: a difference is told where chance alone would give one of its size once in a
   hundred (2.6 standard errors), and where it would be seen in the last digit.
3. Nothing here knows Qt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from pelvis.data import Array, Side
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.metrics import METRICS, Metric
from pelvis.uncertainty import FEWEST_STEPS, dependence_of
from sensor_host.summary import GOOD_QUALITY
from sensor_host.view.timeline import SIDE_CODES, Timeline
from sensor_host.view.transport import Section

SURE_Z: Final = 2.576
"""Standard errors beyond which chance alone comes once in a hundred."""
# 0.9: neighbours more alike than that are one long drift, of which a mean says nothing
MOST_ALIKE: Final = 0.9

# 0.1 m/s: what a treadmill's step is; from there on the metrics of `METRICS` are seen to follow
SPEEDS_DIFFER_MPS: Final = 0.1

Verdict: TypeAlias = Literal["more", "less", "no difference", "not sure", "too few steps"]
"""``not sure``: more than chance, and no more than another seat of the sensor may make."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean, standard deviation and number of a metric's values in a section, and how sure the mean is.

    ``se`` is what more steps would lower, ``common`` what they would not.
    """

    n: int
    mean: float
    sd: float
    se: float
    common: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric in two sections; ``difference`` is here less there, ``se`` its standard error."""

    metric: Metric
    here: Mean
    there: Mean
    difference: float
    se: float
    verdict: Verdict


def mean_in(timeline: Timeline, section: Section, name: str, side: Side = Side.UNKNOWN) -> Mean:
    """Return the mean of a metric over a section's good steps; those of one foot, or of both (unknown)."""
    rows = timeline.steps_between(section.from_s, section.to_s)
    values, quality = timeline.column(name, rows), timeline.column("quality", rows)
    good = np.isfinite(values) & (quality >= GOOD_QUALITY)
    if side is not Side.UNKNOWN:
        good &= timeline.column("side", rows) == SIDE_CODES[side]
    values = values[good]
    n = len(values)
    if n < 2:
        return Mean(n, float(values.mean()) if n else math.nan, math.nan, math.nan, math.nan)
    sd = float(values.std(ddof=1))
    model = ERROR_MODELS.get(name)
    measured, common = 0.0, 0.0
    if model is not None:
        independent = model.usual**2 * (1.0 - model.common)
        measured = dependence_of(n, model.dependence) * independent / n
        common = model.usual * math.sqrt(model.common)
    spread = sd * sd * _alike(values) / n
    # the spread holds the sensor's errors already; where these are alike in neighbours, it may hold too little
    return Mean(n, float(values.mean()), sd, math.sqrt(max(spread, measured)), common)


def _alike(values: Array) -> float:
    """Return by how much the variance of the mean grows because neighbours are alike.

    As of an autoregressive series of first order (Bayley and Hammersley 1946), by the correlation of neighbours.
    """
    away = values - values.mean()
    total = float(away @ away)
    if total <= 0.0:
        return 1.0
    correlation = min(max(float(away[:-1] @ away[1:]) / total, 0.0), MOST_ALIKE)
    return (1.0 + correlation) / (1.0 - correlation)


def difference(metric: Metric, here: Mean, there: Mean, *, one_session: bool) -> Difference:
    """Return how a metric differs; in ``one_session`` the sensor sat the same."""
    by = here.mean - there.mean
    by_chance = math.hypot(here.se, there.se)
    se = by_chance if one_session else math.hypot(by_chance, here.common, there.common)
    verdict: Verdict = "no difference"
    if min(here.n, there.n) < FEWEST_STEPS or not math.isfinite(se):
        verdict = "too few steps"
    elif abs(by) > SURE_Z * by_chance and abs(by) >= metric.resolution:
        verdict = "not sure" if abs(by) <= SURE_Z * se else "more" if by > 0.0 else "less"
    return Difference(metric, here, there, by, se, verdict)


def differences(
    here: Timeline, section: Section, there: Timeline, other: Section, side: Side = Side.UNKNOWN
) -> Sequence[Difference]:
    """Return every metric of both sections, in the order of METRICS; without those that neither has."""
    rows = [
        difference(
            metric,
            mean_in(here, section, name, side),
            mean_in(there, other, name, side),
            one_session=here is there,
        )
        for name, metric in METRICS.items()
    ]
    return [row for row in rows if row.here.n or row.there.n]


def words_about(rows: Sequence[Difference]) -> str:
    """Return in a line what must be known before the differences mean something; empty where nothing is."""
    speed = next((row for row in rows if row.metric.name == "speed_mps"), None)
    if speed is None:
        return "Speed is not known: a change of speed alone changes most of this." if rows else ""
    if speed.verdict in ("more", "less", "not sure") and abs(speed.difference) > SPEEDS_DIFFER_MPS:
        by = f"{abs(speed.difference):.{speed.metric.decimals}f} {speed.metric.unit}"
        return f"The speeds differ by {by}: most of this changes with speed."
    return ""
