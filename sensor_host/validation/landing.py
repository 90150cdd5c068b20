"""How a landing may show at the pelvis: what optical markers smooth away and a sensor on a belt does not.

Fukuchi's motion comes from markers on the skin and holds no more than 25 Hz: landings look softer there than a sensor
feels them, and alike. `landed` gives a trial the impact, the push, the soft tissue and the place of another wearer, so
that a model cannot rest on their absence. What runs against the laws of motion stays out: the mean vertical force of
the trial is kept, and contact and toe-off stay where the force plate saw them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pelvis.data import FORWARD, LEFT, UP, Array
from sensor_host.validation.device import at_arm, through_tissue
from sensor_host.validation.sources import Trial

# Real sacral sensors show 0 to 1.5 g of impact; less than none is a landing softer than the marker's.
IMPACT_G = (-0.4, 1.6)
IMPACT_AT_S = (0.012, 0.035)
IMPACT_WIDTH_S = (0.010, 0.020)
# fore-aft force and pitch rate that come with it, per g
IMPACT_FORE_AFT_RATIO = (-0.5, 0.3)
IMPACT_PITCH_DPS = (-25.0, 25.0)
# a push that lasts longer or ends earlier, as uphill and downhill
PUSH_G = (-0.3, 0.3)
PUSH_BEFORE_TOE_OFF_S = 0.03
PUSH_WIDTH_S = 0.03
PUSH_FORE_AFT_RATIO = (-0.5, 0.5)
# soft tissue swings at 9 to 20 Hz and takes up to half of the motion with it
TISSUE_HZ = (9.0, 20.0)
TISSUE_DAMPING = (0.15, 0.45)
TISSUE_SHARE = (0.0, 0.5)
# 2 cm in each direction: clips are not put on with a ruler
PLACE_SD_M = 0.02


def landed(trial: Trial, seed: int) -> Trial:
    """Return the trial as another landing and another belt would have it; the same seed gives the same trial."""
    rng = np.random.default_rng([seed, *trial.name.encode()])
    time_s = trial.start_s + np.arange(len(trial.acc_g)) / trial.rate_hz
    impact_g, at_s, width_s = rng.uniform(*IMPACT_G), rng.uniform(*IMPACT_AT_S), rng.uniform(*IMPACT_WIDTH_S)
    push_g = rng.uniform(*PUSH_G)
    impact, push = np.zeros(len(time_s)), np.zeros(len(time_s))
    for contact_s, toe_off_s in zip(trial.truth.contact_s, trial.truth.toe_off_s, strict=True):
        near = (time_s > contact_s - 0.02) & (time_s < contact_s + 0.3)
        since_s, stance_s = time_s[near] - contact_s, toe_off_s - contact_s
        stance = np.where(
            (since_s > 0.0) & (since_s < stance_s), np.sin(np.pi * np.clip(since_s / stance_s, 0.0, 1.0)), 0.0
        )
        strike = _bell(since_s - at_s, width_s) * (since_s > -0.01)
        last = _bell(since_s - stance_s + PUSH_BEFORE_TOE_OFF_S, PUSH_WIDTH_S)
        # a step's momentum is given: what comes more in one moment comes less over the stance
        impact[near] += impact_g * (1.0 + 0.2 * rng.normal()) * (strike - stance * strike.sum() / stance.sum())
        push[near] += push_g * (last - stance * last.sum() / stance.sum())
    acc, gyr = trial.acc_g.copy(), trial.gyr_dps.copy()
    acc[:, UP] += impact + push
    acc[:, FORWARD] += rng.uniform(*IMPACT_FORE_AFT_RATIO) * impact + rng.uniform(*PUSH_FORE_AFT_RATIO) * push
    # a positive rate about the axis to the left is anterior pitch
    gyr[:, LEFT] += rng.uniform(*IMPACT_PITCH_DPS) * impact
    share, natural_hz, damping = rng.uniform(*TISSUE_SHARE), rng.uniform(*TISSUE_HZ), rng.uniform(*TISSUE_DAMPING)
    for rows in (acc, gyr):
        rows += share * (through_tissue(rows, natural_hz, damping, trial.rate_hz) - rows)
    arm_m = rng.normal(0.0, PLACE_SD_M, 3)
    return replace(trial, acc_g=at_arm(acc, gyr, arm_m, trial.rate_hz), gyr_dps=gyr)


def _bell(x: Array, width: float) -> Array:
    return np.asarray(np.exp(-0.5 * (x / width) ** 2))
