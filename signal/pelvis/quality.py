"""How far a step can be trusted: one number from 0 to 1, and the reasons that lowered it.

Quality is the standard error that contact time would have had nothing disturbed this step, divided by the one it has
(`pelvis.uncertainty`): 1 is as good as it gets, 0.5 means an error twice as large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from pelvis.data import Evidence
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.uncertainty import BASE_TERMS, TERMS

# per term of `pelvis.uncertainty` that disturbs: the flag it sets
FLAGS = {
    "beyond": "unusual_waveform",
    "no_gyroscope": "no_gyroscope",
    "turned": "sensor_turned",
    "ambiguous": "forward_ambiguous",
    "turning": "turning",
    "filled": "lost_samples",
    "filled_before": "lost_samples",
    "filled_lately": "lost_samples",
    "clipped": "clipped",
    "settling": "settling",
    "uneven": "uneven_step_time",
}
# contact time differs much from what it has been at the same foot
UNLIKE = "unlike_steps_before"
SAID_LATE = "said_late"
"""Flag of a step that was said when it had become clear that the runner runs, not as soon as it could be measured."""

# a disturbance that adds more than half of the undisturbed standard error sets its flag; in variance
FLAGGED_RATIO = 0.5**2
# 0.12 of the last two steps, some 80 ms: said even where contact time loses little by it; angles lose more
FILLED_FLAGGED_RATIO = 0.12
# 10 steps: two seconds and more at any cadence; they are provisional, and flagged as such
SETTLING_STEPS = 10

_MODEL = ERROR_MODELS["contact_time_s"]
_BASE: tuple[float, ...] = tuple(_MODEL.squares(BASE_TERMS).tolist())
_COSTS: tuple[float, ...] = tuple(_MODEL.squares(name if name in FLAGS else "" for name in TERMS).tolist())
_NAMED = tuple(FLAGS.get(name, "") for name in TERMS)
# steps that nothing disturbs differ from those before as well: what that adds to the variance of the usual step
_USUAL_RATIO = max(1.0, _MODEL.usual**2 / sum(_BASE))


def judge(
    evidence: Evidence, squares: Sequence[float], contact_time_se_s: float, calibrated: float = 1.0
) -> tuple[float, tuple[str, ...]]:
    """Return the quality of a step and the flags of what lowered it, the worst first.

    ``squares`` are those of `pelvis.uncertainty.terms`; ``calibrated`` as in `pelvis.uncertainty.StandardErrors.judge`.
    """
    base = (1.0 - _MODEL.common * (1.0 - calibrated)) * sum(map(mul, _BASE, squares))
    undisturbed = _USUAL_RATIO * base
    costs = tuple(map(mul, _COSTS, squares))
    cost = sum(costs)
    unlike = max(0.0, contact_time_se_s * contact_time_se_s - cost - undisturbed)
    quality = math.sqrt(undisturbed / (undisturbed + cost + unlike))
    limit = FLAGGED_RATIO * undisturbed
    # said whatever they cost contact time: angles lose more
    said = {
        flag
        for flag, holds in (
            ("settling", evidence.run_steps <= SETTLING_STEPS),
            ("lost_samples", evidence.filled_ratio > FILLED_FLAGGED_RATIO),
            ("turning", evidence.yaw_radps != 0.0),
        )
        if holds
    }
    if cost + unlike <= limit and not said:  # none of them alone can be more
        return quality, ()
    by_flag = {UNLIKE: unlike}
    for flag, c in zip(_NAMED, costs, strict=True):
        by_flag[flag] = by_flag.get(flag, 0.0) + c
    worst = sorted(((c, flag) for flag, c in by_flag.items() if flag and (c > limit or flag in said)), reverse=True)
    return quality, tuple(flag for _, flag in worst)
