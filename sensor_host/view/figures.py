"""How a metric's values are written in the window, and what stands for the last steps. No Qt.

Names, units and decimals are those of METRICS. Thousandths of a second or metre are written as whole ms and mm: on a
large tile, and from afar, "243 ms" is read where "0.243 s" is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Final

import numpy as np

from pelvis.averages import BALANCE_STEPS
from pelvis.data import Array, Side
from pelvis.metrics import METRICS
from sensor_host.screen import REMEMBERED_STEPS, UNKNOWN, median
from sensor_host.view.timeline import SIDE_CODES, Timeline

MINUS: Final = "−"

# 3 s: longer than a stride and its report take, and than the holes a radio link usually has
FRESH_S: Final = 3.0

# Rows to look back over for 20 known values: unknown ones lie between, and the last stride is not complete
_ROWS: Final = 3 * REMEMBERED_STEPS

# Of one foot's stance, or of the step that it began; the others are of two feet or of a whole stride.
_PER_FOOT: Final = (
    "contact_time_s",
    "pelvic_drop_deg",
    "peak_drop_deg",
    "velocity_loss_mps",
    "velocity_gain_mps",
    "vertical_oscillation_m",
)

# The contact times of the two feet differ by as little as the error of a step: see REFUSED in pelvis.metrics.
_BALANCED: Final = ("contact_time_s",)

# What is unknown as long as something else is, in the words of the definitions
_NEEDS: Final = {
    "peak_drop_deg": "needs standing first",
    "tilt_deg": "needs standing first",
    "vertical_ratio_percent": "needs a measured speed",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """How the values of one metric are written."""

    name: str
    title: str
    unit: str
    decimals: int
    factor: float

    @property
    def per_foot(self) -> bool:
        """Whether left and right are told apart."""
        return self.name in _PER_FOOT

    @property
    def told_apart(self) -> bool:
        """Whether a few steps tell left from right: of contact time they do not."""
        return self.per_foot and self.name not in _BALANCED

    def text(self, value: float) -> str:
        """Return a value as it is shown, without its unit."""
        return self._written(value, "")

    def signed(self, value: float) -> str:
        """Return a difference as it is shown, with its sign."""
        return self._written(value, "+")

    def _written(self, value: float, sign: str) -> str:
        if not isfinite(value):
            return UNKNOWN
        text = f"{value * self.factor:{sign}.{self.decimals}f}"
        # no "-0.0": it is as much 0 as the other
        if not text.strip("+-0."):
            text = text.lstrip("+-")
        return text.replace("-", MINUS)


def _figure(name: str) -> Figure:
    metric = METRICS[name]
    if metric.unit in ("s", "m") and metric.decimals == 3:
        return Figure(name, metric.title, f"m{metric.unit}", 0, 1000.0)
    return Figure(name, metric.title, metric.unit, metric.decimals, 1.0)


FIGURES: Final = {name: _figure(name) for name in METRICS}


@dataclass(frozen=True, slots=True)
class Recent:
    """What the last steps say of a metric; NaN where unknown.

    ``value``, ``left`` and ``right`` are medians, ``difference`` is left minus right where that can be measured.
    ``steps`` counts what ``value`` rests on. ``fresh``: the runner ran a moment ago. ``reason``: why it is unknown.
    """

    value: float
    left: float
    right: float
    difference: float
    steps: int
    fresh: bool
    reason: str


def recent(timeline: Timeline, name: str, now_s: float) -> Recent:
    """Return what the last 20 steps before a moment say: the window of the live table."""
    steps = timeline.steps
    end = int(np.searchsorted(timeline.column("initial_contact_s"), now_s, side="right"))
    rows = steps[max(end - _ROWS, 0) : end]
    values, sides = timeline.column(name, rows), timeline.column("side", rows)
    known = np.flatnonzero(np.isfinite(values))[-REMEMBERED_STEPS:]
    fresh = end > 0 and now_s - float(timeline.column("initial_contact_s")[end - 1]) <= FRESH_S
    left, right = (median(values[known[sides[known] == SIDE_CODES[side]]].tolist()) for side in (Side.LEFT, Side.RIGHT))
    difference = left - right
    reason = ""
    if not len(known):
        reason = "no step yet" if not len(rows) else _NEEDS.get(name, "not known yet")
    if name in _BALANCED:
        left, right, lacking = _balance(timeline, name, end)
        difference, reason = left - right, reason or lacking
    elif FIGURES[name].per_foot and len(known) and not isfinite(difference):
        reason = "side not known yet"
    return Recent(median(values[known].tolist()), left, right, difference, len(known), fresh, reason)


def _balance(timeline: Timeline, name: str, end: int) -> tuple[float, float, str]:
    """Return the means of each foot over all steps so far, and what is missing until they can be told apart."""
    values, sides = timeline.column(name)[:end], timeline.column("side")[:end]
    feet: list[Array] = []
    for side in (Side.LEFT, Side.RIGHT):
        of_side = values[sides == SIDE_CODES[side]]
        feet.append(of_side[np.isfinite(of_side)])
    if min(len(foot) for foot in feet) < BALANCE_STEPS:
        return nan, nan, f"L−R needs {BALANCE_STEPS} steps each"
    return float(np.mean(feet[0])), float(np.mean(feet[1])), ""
