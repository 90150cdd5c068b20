"""Simulated runners, written as the public data sets are published: for tests where the real ones are not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pelvis.data import STANDARD_GRAVITY_MPS2
from pelvis.simulate import Scenario, SensorModel, SimulatedRunner

STANDING_S = 2.0
RATE_HZ = 200.0


def write_fukuchi(
    folder: Path, runner: int, speed_mps: float, *, strike: str = "Rearfoot", length_s: float = 24.0
) -> None:
    """Write a treadmill run of a simulated runner, in the manner of rbds/."""
    scenario = Scenario(
        speed_mps=speed_mps, standing_s=STANDING_S, postural_sway_deg=0.0, sensor=SensorModel.ideal(RATE_HZ),
        duration_s=STANDING_S + length_s + 3.0, tilt_range_deg=6.0 + runner % 3,
    )  # fmt: skip
    blocks = list(SimulatedRunner(scenario, seed=runner).blocks())
    motion = [block.truth for block in blocks]
    t_s, acc, gyr = (np.concatenate([getattr(b, k) for b in blocks]) for k in ("t_s", "acc_mps2", "gyr_radps"))
    obliquity, tilt, rotation = (
        np.concatenate([getattr(m, f"{k}_deg") for m in motion]) for k in ("obliquity", "tilt", "rotation")
    )
    contacts = [c for block in blocks for c in block.contacts][3:]
    start_s, end_s = contacts[0].initial_contact_s - 0.1, contacts[0].initial_contact_s + length_s
    contacts = [c for c in contacts if c.toe_off_s < end_s]
    rows = (t_s >= start_s) & (t_s < end_s)
    attitude = Rotation.from_euler("ZXY", np.column_stack([rotation, -obliquity, tilt])[rows], degrees=True)
    (folder / "rbds").mkdir(parents=True, exist_ok=True)
    named = {
        "drop_from_ic_deg": "pelvic_drop_deg",
        "drop_abs_deg": "peak_drop_deg",
        "vert_osc_per_step_m": "vertical_oscillation_m",
        "ml_range_per_stride_m": "sway_m",
        "ml_center_range_per_stride_m": "pelvis_sway_m",
    }
    np.savez(
        folder / "rbds" / f"RBDS{runner:03d}_T{10 * speed_mps:.0f}.npz",
        t=t_s[rows],
        fs=RATE_HZ,
        acc_g=acc[rows] / STANDARD_GRAVITY_MPS2,
        gyr_dps=np.degrees(gyr[rows]),
        quat_WS_xyzw=attitude.as_quat(),
        static_rot_obl_tilt_deg=np.array([0.0, obliquity[100], tilt[100]]),
        ic=np.array([c.initial_contact_s for c in contacts]),
        to=np.array([c.toe_off_s for c in contacts]),
        side=np.array([c.side[:1].upper() for c in contacts]),
        obliquity_rightup_deg=obliquity[rows] - obliquity[100],
        tilt_ant_deg=tilt[rows] - tilt[100],
        rotation_ccw_deg=rotation[rows],
        speed_mps=speed_mps,
        meta=json.dumps({"footstrike_L": strike, "footstrike_R": strike}),
        **{theirs: np.array([getattr(c, ours) for c in contacts]) for theirs, ours in named.items()},
    )


def write_alcantara(folder: Path, name: str, slope_deg: int) -> None:
    """Write 8 s of a simulated runner as seen by a vertical and a fore-aft accelerometer alone."""
    scenario = Scenario(speed_mps=3.3, standing_s=0.0, duration_s=12.0, sensor=SensorModel.ideal(500.0))
    blocks = list(SimulatedRunner(scenario, seed=7).blocks())
    t_s, acc = (np.concatenate([getattr(b, k) for b in blocks]) for k in ("t_s", "acc_mps2"))
    rows = t_s >= 4.0
    contacts = [c for b in blocks for c in b.contacts if c.initial_contact_s > 4.0]
    (folder / "alcantara").mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "alcantara" / f"{name}.npz",
        t=t_s[rows] - 4.0,
        fs=500.0,
        acc_v_g=acc[rows, 2] / STANDARD_GRAVITY_MPS2,
        acc_ap_g=acc[rows, 0] / STANDARD_GRAVITY_MPS2,
        ic=np.array([c.initial_contact_s for c in contacts]) - 4.0,
        to=np.array([c.toe_off_s for c in contacts]) - 4.0,
        speed_mps=3.3,
        slope_deg=slope_deg,
    )


def write_walk(folder: Path) -> None:
    """Write half a minute of sitting still, in the manner of walking/."""
    rng = np.random.default_rng(1)
    (folder / "walking").mkdir(parents=True, exist_ok=True)
    acc = np.array([0.0, 0.0, STANDARD_GRAVITY_MPS2]) + rng.normal(0.0, 0.05, (3000, 3))
    np.savez(folder / "walking" / "1-1.npz", acc_mps2=acc, gyr_radps=rng.normal(0.0, 0.01, (3000, 3)), fs=100.0)


def write_all(folder: Path) -> None:
    """Write four treadmill runs of two runners, two of a sacral accelerometer, and a walk."""
    for runner, strike in ((1, "Rearfoot"), (2, "Forefoot")):
        for speed_mps in (2.5, 3.5):
            write_fukuchi(folder, runner, speed_mps, strike=strike)
    for slope_deg in (0, 5):
        write_alcantara(folder, f"alc_{slope_deg}", slope_deg)
    write_walk(folder)
