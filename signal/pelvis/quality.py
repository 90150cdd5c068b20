"""How far a step can be trusted: one number from 0 to 1, and the reasons that lowered it.

Quality is the standard error of contact time on undisturbed signals, divided by the one
expected for this step: 1 is as good as it gets, 0.5 means an error twice as large. The
expected error adds up, in squares, what each disturbance was seen to cost on force plates.
"""

from __future__ import annotations

import math

from pelvis.data import Evidence

# ms of contact time; costs found on Fukuchi 2017's force plates with disturbances added one at a time
UNDISTURBED_MS = 8.5
STRANGE_MS = 3.0  # per squared spread beyond the usual one
FILLED_MS = 15.0  # per share of made-up samples in the last two steps
CLIPPED_MS = 30.0  # per share of clipped samples in the last two steps
UNEVEN_MS = 60.0  # per relative deviation from the usual step time beyond 5 %
# 0.12 of the last two steps, some 80 ms: said even where contact time loses little by it; angles lose more
FILLED_FLAGGED_RATIO = 0.12
SETTLING_MS = 20.0  # divided by the number of steps of this run
# 10 steps: two seconds and more at any cadence; they are provisional, and flagged as such
SETTLING_STEPS = 10
NO_GYROSCOPE_MS = 10.0
TURNED_MS = 8.0
TURNING_MS = 28.0  # per radian per second of the runner's own turning
AMBIGUOUS_MS = 20.0  # forward and backward told apart with little confidence

SAID_LATE = "said_late"
"""Flag of a step that was said when it had become clear that the runner runs, not as soon as it could be measured."""


def judge(evidence: Evidence) -> tuple[float, tuple[str, ...]]:
    """Return the quality of a step and the flags of what lowered it, the worst first."""
    costs = (
        (STRANGE_MS * max(0.0, evidence.strangeness - 1.0), "unusual_waveform"),
        (FILLED_MS * evidence.filled_ratio, "lost_samples"),
        (CLIPPED_MS * evidence.clipped_ratio, "clipped"),
        (UNEVEN_MS * max(0.0, abs(evidence.period_ratio - 1.0) - 0.05), "uneven_step_time"),
        (SETTLING_MS / evidence.run_steps, "settling"),
        (0.0 if evidence.has_gyroscope else NO_GYROSCOPE_MS, "no_gyroscope"),
        (TURNED_MS if evidence.disagrees else 0.0, "sensor_turned"),
        (TURNING_MS * abs(evidence.yaw_radps), "turning"),
        (AMBIGUOUS_MS * max(0.0, 0.5 - evidence.axis_confidence), "forward_ambiguous"),
    )
    variance = sum(cost * cost for cost, _ in costs)
    said: set[str] = set()
    if evidence.filled_ratio > FILLED_FLAGGED_RATIO:
        said.add("lost_samples")
    if evidence.run_steps <= SETTLING_STEPS:
        said.add("settling")
    if evidence.yaw_radps:
        said.add("turning")
    worst = sorted((cost, flag) for cost, flag in costs if cost > 0.5 * UNDISTURBED_MS or flag in said)
    return UNDISTURBED_MS / math.sqrt(UNDISTURBED_MS**2 + variance), tuple(flag for _, flag in reversed(worst))
