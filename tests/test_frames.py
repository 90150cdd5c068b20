"""The table of movements and signs: every axis by analytically made motions, through attitude and mount."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pelvis.align import GRID_PERIOD_S
from pelvis.attitude import ROW_CHANNELS, AttitudeTracker
from pelvis.data import FORWARD, LEFT, STANDARD_GRAVITY_MPS2, UP, Array, Side
from pelvis.metrics import measure_step, peak_drop_deg, pelvic_drop_deg, velocity_gain_mps, velocity_loss_mps
from pelvis.mounting import Mount
from pelvis.windows import StepView, pelvis_motion, stance_obliquity, stance_velocity

MOUNTS = {
    "on its axes": Rotation.identity(),
    "tilted": Rotation.from_euler("xyz", [14.0, -11.0, 13.0], degrees=True),
    "turned round": Rotation.from_euler("xyz", [5.0, 8.0, 180.0], degrees=True),
    "on its side": Rotation.from_euler("xyz", [90.0, 0.0, 20.0], degrees=True),
    "upside down": Rotation.from_euler("xyz", [180.0, 10.0, -60.0], degrees=True),
}
STILL_ROWS, TURN_ROWS, HELD_ROWS = 2000, 96, 64


@dataclass(frozen=True)
class Measured:
    """What the core makes of standing still and then moving: before (mean) and after (held) the movement."""

    force_g: Array
    obliquity_deg: float
    tilt_deg: float
    rotation_deg: float
    rows: Array
    mount: Mount


def feel(turn_rotvec: Array, mounting: Rotation, push_mps2: Array | None = None) -> Measured:
    """Stand with the pelvis tipped forward as people do, then turn by a rotation vector (pelvis axes), and hold.

    ``push_mps2`` is an acceleration (pelvis axes) felt while holding.
    """
    standing = Rotation.from_euler("ZY", [25.0, 9.0], degrees=True)  # any heading; the top 9 degrees forward
    # the pelvis frame is that of standing: the sensor's own tilt is part of how it is mounted
    level = Rotation.from_euler("Z", 25.0, degrees=True)
    part = np.concatenate((np.zeros(STILL_ROWS), (np.arange(TURN_ROWS) + 1.0) / TURN_ROWS, np.ones(HELD_ROWS)))
    turned = level * Rotation.from_rotvec(part[:, None] * turn_rotvec)
    pelvis_to_earth = turned * (level.inv() * standing)
    sensor_to_earth = pelvis_to_earth * mounting.inv()
    acceleration = np.zeros((len(part), 3))
    if push_mps2 is not None:
        acceleration[STILL_ROWS + TURN_ROWS :] = (level * Rotation.from_rotvec(turn_rotvec)).apply(push_mps2)
    acc = sensor_to_earth.inv().apply(acceleration + np.array([0.0, 0.0, STANDARD_GRAVITY_MPS2]))
    gyr = np.zeros_like(acc)
    gyr[1:] = (sensor_to_earth[:-1].inv() * sensor_to_earth[1:]).as_rotvec() / GRID_PERIOD_S

    rows = AttitudeTracker().track(np.hstack((acc, gyr)))
    assert rows.shape == (len(part), ROW_CHANNELS)
    mount = Mount()
    mount.set_level(acc[:STILL_ROWS].mean(axis=0) / STANDARD_GRAVITY_MPS2, from_standing=True)
    assert mount.reference is not None
    assert mount.up is not None
    forward = sensor_to_earth[0].inv().apply(level.apply([1.0, 0.0, 0.0]))
    side = np.cross(mount.up, mount.reference)
    mount.set_heading(math.atan2(float(forward @ side), float(forward @ mount.reference)))
    assert mount.forward is not None
    ahead = rows[STILL_ROWS - 200 : STILL_ROWS, 0:9].mean(axis=0).reshape(3, 3) @ mount.forward
    force, obliquity, tilt, rotation = pelvis_motion(
        rows, mount.axes, np.full(len(rows), complex(ahead[0], ahead[1]) / abs(complex(ahead[0], ahead[1])))
    )
    held = slice(STILL_ROWS + TURN_ROWS, STILL_ROWS + TURN_ROWS + 16)
    for angle in (obliquity, tilt, rotation):
        assert np.max(np.abs(angle[STILL_ROWS - 200 : STILL_ROWS])) < 0.05
    return Measured(
        force[held].mean(axis=0), obliquity[held].mean(), tilt[held].mean(), rotation[held].mean(), rows, mount
    )


ABOUT_FORWARD, ABOUT_LEFT, ABOUT_UP = np.eye(3)

# movement of the pelvis as a rotation about its own axes (right hand), and the angle that must come out
TABLE = {
    # the right side is at -y: it rises when y falls, a turn about forward the other way round
    "the right side rises": (-ABOUT_FORWARD, "obliquity_deg", +1),
    "the left side rises": (+ABOUT_FORWARD, "obliquity_deg", -1),
    # z turns towards x
    "the top tips forward": (+ABOUT_LEFT, "tilt_deg", +1),
    "the top tips backward": (-ABOUT_LEFT, "tilt_deg", -1),
    # -y turns towards x
    "the right side comes forward": (+ABOUT_UP, "rotation_deg", +1),
    "the left side comes forward": (-ABOUT_UP, "rotation_deg", -1),
}


@pytest.mark.parametrize("mounting", MOUNTS.values(), ids=MOUNTS.keys())
@pytest.mark.parametrize("movement", TABLE)
def test_each_movement_has_its_sign_on_its_axis_alone(movement: str, mounting: Rotation) -> None:
    axis, name, sign = TABLE[movement]
    measured = feel(axis * math.radians(8.0), mounting)
    for angle in ("obliquity_deg", "tilt_deg", "rotation_deg"):
        expected = sign * 8.0 if angle == name else 0.0
        assert getattr(measured, angle) == pytest.approx(expected, abs=0.15), angle


@pytest.mark.parametrize("mounting", MOUNTS.values(), ids=MOUNTS.keys())
@pytest.mark.parametrize(("axis", "name"), [(FORWARD, "forward"), (LEFT, "left"), (UP, "up")])
def test_a_push_is_felt_in_its_direction(axis: int, name: str, mounting: Rotation) -> None:
    push = np.zeros(3)
    push[axis] = 3.0
    expected = np.array([0.0, 0.0, 1.0]) + push / STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(feel(np.zeros(3), mounting, push).force_g, expected, atol=0.02, err_msg=name)


def test_at_rest_the_accelerometer_reads_one_g_upward() -> None:
    np.testing.assert_allclose(feel(np.zeros(3), MOUNTS["tilted"]).force_g, [0.0, 0.0, 1.0], atol=1e-3)


@pytest.mark.parametrize(
    ("stance", "axis", "falls"),
    [
        # in right stance the swing side is the left one: it falls when the right side rises
        (Side.RIGHT, -ABOUT_FORWARD, True),
        (Side.RIGHT, +ABOUT_FORWARD, False),
        (Side.LEFT, +ABOUT_FORWARD, True),
        (Side.LEFT, -ABOUT_FORWARD, False),
    ],
)
def test_drop_is_positive_when_the_swing_side_falls(stance: Side, axis: Array, *, falls: bool) -> None:
    measured = feel(axis * math.radians(5.0), MOUNTS["tilted"])
    contact, toe_off = float(STILL_ROWS) - 10.5, float(STILL_ROWS + TURN_ROWS + 8)
    start = STILL_ROWS - 20
    view = StepView(
        initial_contact_s=contact * GRID_PERIOD_S,
        toe_off_s=toe_off * GRID_PERIOD_S,
        previous_contact_s=math.nan,
        side=stance,
        from_standing=True,
        obliquity_rad=stance_obliquity(measured.rows[start:], start, contact, toe_off, measured.mount),
        slowest_mps=0.0,
        last_mps=0.0,
    )
    # the largest fall: none where the swing side rises
    assert pelvic_drop_deg(view) == pytest.approx(5.0 if falls else 0.0, abs=0.1)
    assert peak_drop_deg(view) == pytest.approx(5.0 if falls else 0.0, abs=0.1)
    assert measure_step(view)["pelvic_drop_deg"] == pelvic_drop_deg(view)


def test_braking_is_a_loss_and_pushing_a_gain_both_positive() -> None:
    # -0.3 g for 100 ms, then +0.4 g for 100 ms
    forward_g = np.concatenate((np.full(21, -0.3), np.full(20, 0.4)))
    slowest, last = stance_velocity(forward_g)
    view = StepView(0.0, 0.2, math.nan, Side.LEFT, True, np.empty(0), slowest, last)
    g = STANDARD_GRAVITY_MPS2
    assert velocity_loss_mps(view) == pytest.approx(0.3 * 0.1 * g, rel=0.02)
    assert velocity_gain_mps(view) == pytest.approx(0.4 * 0.1 * g, rel=0.05)
