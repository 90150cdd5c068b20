"""The attitude settles quickly, survives a hole, learns the gyroscope's bias at rest, and depends on no portions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pelvis.align import GRID_RATE_HZ
from pelvis.attitude import FORCE, RATE, ROTATION, ROW_CHANNELS, AttitudeTracker
from pelvis.data import STANDARD_GRAVITY_MPS2, Array


def still(seconds: float, attitude: Rotation, bias_dps: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
    """Sensor rows (n, 6) of something that rests in an attitude (sensor to earth)."""
    n = round(seconds * GRID_RATE_HZ)
    up = attitude.inv().apply([0.0, 0.0, STANDARD_GRAVITY_MPS2])
    rng = np.random.default_rng(1)
    return np.hstack(
        (
            up + 0.01 * rng.standard_normal((n, 3)),
            np.radians(np.array(bias_dps) + 0.05 * rng.standard_normal((n, 3))),
        )
    )


def inclination_error_deg(row: Array, attitude: Rotation) -> float:
    said_up = row[ROTATION].reshape(3, 3)[2]
    true_up = attitude.inv().apply([0.0, 0.0, 1.0])
    return math.degrees(math.acos(min(1.0, float(said_up @ true_up))))


LEVEL = Rotation.identity()
TIPPED = Rotation.from_euler("xyz", [30.0, -10.0, 40.0], degrees=True)


def test_a_row_holds_a_rotation_and_what_it_makes_of_force_and_rate() -> None:
    motion = still(3.0, TIPPED) + np.random.default_rng(2).standard_normal((600, 6)) * [2.0, 2.0, 2.0, 0.5, 0.5, 0.5]
    rows = AttitudeTracker().track(motion)
    assert rows.shape == (600, ROW_CHANNELS)
    matrices = rows[:, ROTATION].reshape(-1, 3, 3)
    np.testing.assert_allclose(
        np.einsum("nij,nkj->nik", matrices, matrices), np.tile(np.eye(3), (600, 1, 1)), atol=1e-9
    )
    force = np.einsum("nij,nj->ni", matrices, motion[:, :3]) / STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(rows[:, FORCE], force, atol=1e-9)
    # the rate is that of the gyroscope less a bias of at most 10 deg/s
    rate = np.einsum("nij,nj->ni", matrices, motion[:, 3:])
    assert np.max(np.linalg.norm(rows[:, RATE] - rate, axis=1)) <= math.radians(10.0) * math.sqrt(3.0)


def test_a_sensor_at_rest_is_level_within_seconds_whatever_its_attitude() -> None:
    rows = AttitudeTracker().track(still(6.0, TIPPED))
    assert inclination_error_deg(rows[-1], TIPPED) < 0.1
    np.testing.assert_allclose(rows[-1, FORCE], [0.0, 0.0, 1.0], atol=0.005)


@pytest.mark.parametrize("bias_dps", [(1.5, -2.0, 0.5), (6.0, -5.0, 4.0)])
def test_the_bias_of_the_gyroscope_is_learned_at_rest(bias_dps: tuple[float, float, float]) -> None:
    rows = AttitudeTracker().track(still(8.0, TIPPED, bias_dps))
    assert np.degrees(np.abs(rows[-200:, RATE].mean(axis=0))).max() < 0.1


def test_a_turn_is_followed_by_the_gyroscope_at_once() -> None:
    n = 100
    rotvec = np.radians(40.0) / 0.5 * np.array([0.0, 1.0, 0.0])
    turn = Rotation.from_rotvec(rotvec * (np.arange(1, n + 1) / GRID_RATE_HZ)[:, np.newaxis])
    motion = np.hstack((turn.inv().apply([0.0, 0.0, STANDARD_GRAVITY_MPS2]), np.tile(rotvec, (n, 1))))
    tracker = AttitudeTracker()
    tracker.track(still(10.0, LEVEL))
    rows = tracker.track(motion)
    errors = [inclination_error_deg(row, attitude) for row, attitude in zip(rows, turn, strict=True)]
    assert max(errors) < 0.3


def test_after_a_hole_a_new_attitude_is_found_as_quickly_as_at_first() -> None:
    errors = []
    for restarted in (True, False):
        tracker = AttitudeTracker()
        tracker.track(still(20.0, LEVEL), rested=400)
        if restarted:
            tracker.restart()
        # in the hole the sensor turned by 30 degrees that nobody saw
        rows = tracker.track(still(4.0, Rotation.from_euler("y", 30.0, degrees=True)))
        errors.append(inclination_error_deg(rows[-1], Rotation.from_euler("y", 30.0, degrees=True)))
    assert errors[0] < 1.0
    assert errors[0] < 0.5 * errors[1]


@given(
    sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=8),
    rested=st.one_of(st.none(), st.integers(0, 4999)),
    restart=st.booleans(),
)
@settings(max_examples=30)
def test_portions_change_not_one_bit(sizes: list[int], rested: int | None, *, restart: bool) -> None:
    motion = np.concatenate((still(5.0, LEVEL, (1.0, -1.0, 0.5)), still(20.0, TIPPED)))[:5000]
    motion = motion + 0.5 * np.random.default_rng(3).standard_normal(motion.shape)
    whole, parts = AttitudeTracker(), AttitudeTracker()
    if restart:
        for tracker in (whole, parts):
            tracker.track(motion[:700])
            tracker.restart()
    expected = whole.track(motion, rested)
    edges = [e for e in np.cumsum([0, *sizes]).tolist() if e < len(motion)] + [len(motion)]
    said = [
        parts.track(motion[a:b], rested - a if rested is not None and a <= rested < b else None)
        for a, b in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(said), expected)
