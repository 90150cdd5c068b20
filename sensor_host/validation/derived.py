"""Truth that the data set does not list: metrics from its optical angles and its ideal force."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array

# a stride that takes longer holds a contact beside the force plate
LONGEST_STEP_S = 0.55
# 60 points of a stance: 4 ms apart, where the force holds nothing beyond 25 Hz
STANCE_POINTS = 60


def derived(d: Mapping[str, Array]) -> dict[str, Array]:
    """Return true metrics (n,) by their names in METRICS, NaN where unknown, from a file of the Fukuchi set."""
    from scipy.spatial.transform import Rotation

    contact_s, toe_off_s, t_s = d["ic"], d["to"], d["t"]
    n = len(contact_s)
    step_s = np.append(np.diff(contact_s), np.nan)
    step_s = np.where(step_s < LONGEST_STEP_S, step_s, np.nan)
    truth = {"step_time_s": step_s, "cadence_spm": 60.0 / np.append(np.nan, step_s[:-1])}
    whole = np.isfinite(step_s[:-2] + step_s[1:-1]) if n > 2 else np.zeros(0, np.bool_)
    waves = {
        "obliquity_range_deg": d["obliquity_rightup_deg"],
        "tilt_range_deg": d["tilt_ant_deg"],
        "rotation_range_deg": d["rotation_ccw_deg"],
    }
    for name in (*waves, "tilt_deg", "velocity_loss_mps", "velocity_gain_mps"):
        truth[name] = np.full(n, np.nan)
    ahead = Rotation.from_quat(d["quat_WS_xyzw"]).apply(d["acc_g"].astype(np.float64))[:, 0] * STANDARD_GRAVITY_MPS2
    edges = np.searchsorted(t_s, contact_s)
    for i in np.flatnonzero(whole).tolist():
        rows = slice(edges[i], edges[i + 2])
        for name, wave in waves.items():
            truth[name][i] = np.ptp(wave[rows])
        truth["tilt_deg"][i] = d["tilt_ant_deg"][rows].mean() - d["static_rot_obl_tilt_deg"][2]
        # a steady runner's force has no mean along the way
        at_s: Array = np.linspace(float(contact_s[i]), float(toe_off_s[i]), STANCE_POINTS)
        force: Array = np.interp(at_s, t_s, ahead) - ahead[rows].mean()
        steps: Array = 0.5 * (force[1:] + force[:-1]) * (at_s[1] - at_s[0])
        velocity = np.concatenate(([0.0], np.cumsum(steps)))
        truth["velocity_loss_mps"][i] = -velocity.min()
        truth["velocity_gain_mps"][i] = velocity[-1] - velocity.min()
    return truth
