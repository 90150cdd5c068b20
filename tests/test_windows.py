"""Displacement, velocity, angles and ranges of motions whose truth is a formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pelvis.align import GRID_PERIOD_S
from pelvis.attitude import FORCE, RATE, ROTATION, ROW_CHANNELS
from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from pelvis.filters import interior_hann
from pelvis.mounting import Mount
from pelvis.windows import (
    CENTRE_FORWARD_M,
    CENTRE_LEFT_M,
    CENTRE_UP_M,
    INTEGRATED_HARMONICS,
    KNOWN,
    LEFT_M,
    LEVEL_TAPS,
    OBLIQUITY_RAD,
    PAST_CHANNELS,
    ROTATION_RAD,
    SMOOTH_TAPS,
    STRIDE_POINTS,
    TILT_RAD,
    TOUCH_TAPS,
    UP_M,
    Past,
    StrideSpan,
    displacement_m,
    stance_velocity,
    view_strides,
)

G = STANDARD_GRAVITY_MPS2
PHASE = np.arange(STRIDE_POINTS) / STRIDE_POINTS

# ---------------------------------------------------------------- displacement


@pytest.mark.parametrize("harmonic", range(1, INTEGRATED_HARMONICS + 1))
@pytest.mark.parametrize("duration_s", [0.5, 0.72, 1.04])
def test_a_sine_of_acceleration_is_a_sine_of_displacement(harmonic: int, duration_s: float) -> None:
    w = 2.0 * np.pi * harmonic / duration_s
    wave = np.cos(2.0 * np.pi * harmonic * PHASE + 0.7)
    moved = displacement_m(np.column_stack((0.5 * wave, -2.0 * wave)), duration_s)
    np.testing.assert_allclose(moved[:, 0], -0.5 * G / w**2 * wave, atol=1e-15)
    np.testing.assert_allclose(moved[:, 1], 2.0 * G / w**2 * wave, atol=1e-15)


def test_gravity_and_what_shakes_faster_move_nothing() -> None:
    fast = np.cos(2.0 * np.pi * (INTEGRATED_HARMONICS + 1) * PHASE)
    moved = displacement_m(np.column_stack((np.ones(STRIDE_POINTS), fast)), 0.7)
    np.testing.assert_allclose(moved, 0.0, atol=1e-15)


def test_a_bouncing_mass_rises_as_far_as_ballistics_says() -> None:
    # two flights of 0.1 s and two half-sine contacts of 0.25 s a stride, as the sensor would feel them
    contact_s, flight_s = 0.25, 0.1
    step_s = contact_s + flight_s
    peak_g = 0.5 * math.pi * step_s / contact_s
    t_s = np.mod(2.0 * step_s * PHASE, step_s)
    force = np.where(t_s < contact_s, peak_g * np.sin(np.pi * np.minimum(t_s / contact_s, 1.0)), 0.0)
    height = np.ptp(displacement_m(force[:, np.newaxis], 2.0 * step_s))
    # in contact z'' = g (peak sin - 1) from -v to v with v = g flight / 2; at mid-stance z is lowest
    v = 0.5 * G * flight_s
    w = math.pi / contact_s
    lowest = -v * contact_s / 2 - 0.5 * G * (contact_s / 2) ** 2 + peak_g * G / w * (contact_s / 2 - 1.0 / w)
    highest = v**2 / (2.0 * G)
    assert height == pytest.approx(highest - lowest, rel=0.01)


# ---------------------------------------------------------------- velocity


def test_a_steady_push_changes_velocity_by_force_times_time() -> None:
    n = 41
    slowest, last = stance_velocity(np.full(n, 0.2))
    assert slowest == 0.0
    assert last == pytest.approx(0.2 * G * (n - 1) * GRID_PERIOD_S)


def test_trapezoids_are_exact_for_a_force_that_grows_evenly() -> None:
    forward_g = np.linspace(-0.4, 0.4, 51)
    slowest, last = stance_velocity(forward_g)
    assert slowest == pytest.approx(-0.5 * 0.4 * G * 25 * GRID_PERIOD_S)
    assert last == pytest.approx(0.0, abs=1e-12)


# ---------------------------------------------------------------- a stride


@dataclass(frozen=True)
class Motion:
    """A stride of a pelvis, rows from 30 before its first contact on, heading anywhere."""

    rows: Array
    mount: Mount
    left_m: Array
    centre_left_m: Array
    period: float
    first: float


START = 1000


def swinging(heading_deg: float, mounting: Rotation, period: float = 144.0) -> Motion:
    """Obliquity, rotation and sway once a stride, tilt and height twice: formulas, and the attitude rows of them."""
    first = START + 30.25
    index = np.arange(START, START + 30 + math.ceil(period) + 30)
    p = 2.0 * np.pi * (index - first) / period
    obliquity, tilt, rotation = 6.0 * np.sin(p), 4.0 + 3.0 * np.sin(2.0 * p + 1.0), 7.0 * np.cos(p)
    pelvis = Rotation.from_euler("ZXY", np.column_stack((heading_deg + rotation, -obliquity, tilt)), degrees=True)
    sensor = pelvis * mounting.inv()
    duration_s = period * GRID_PERIOD_S
    left = 0.020 * np.cos(p + 0.5)
    height = 0.045 * np.sin(2.0 * p + 2.0)
    w = 2.0 * np.pi / duration_s
    travel = Rotation.from_euler("Z", heading_deg, degrees=True)
    acceleration = np.column_stack((np.zeros_like(p), -left * w**2, -height * (2.0 * w) ** 2))
    rows = np.zeros((len(index), ROW_CHANNELS))
    rows[:, ROTATION] = sensor.as_matrix().reshape(-1, 9)
    rows[:, FORCE] = travel.apply(acceleration) / G + [0.0, 0.0, 1.0]
    mount = Mount()
    mount.set_level(mounting.apply([0.0, 0.0, 1.0]), from_standing=True)
    forward = mounting.apply([1.0, 0.0, 0.0])
    assert mount.reference is not None
    assert mount.up is not None
    mount.set_heading(math.atan2(forward @ np.cross(mount.up, mount.reference), forward @ mount.reference))
    centre = left + travel.inv().apply(pelvis.apply([CENTRE_FORWARD_M, 0.0, CENTRE_UP_M]))[:, 1]
    stride = (index >= first) & (index <= first + period)
    return Motion(rows, mount, left[stride], centre[stride], period, first)


@given(st.floats(-180.0, 180.0), st.tuples(*[st.floats(-180.0, 180.0)] * 3), st.floats(110.0, 190.0))
@settings(max_examples=25)
def test_a_stride_of_known_angles_and_ways_is_measured(
    heading_deg: float, mounting_deg: tuple[float, float, float], period: float
) -> None:
    motion = swinging(heading_deg, Rotation.from_euler("xyz", mounting_deg, degrees=True), period)
    contacts = (motion.first, motion.first + 0.5 * period, motion.first + period)
    times_s = tuple(c * GRID_PERIOD_S for c in contacts)
    span = StrideSpan(contacts, (times_s[0], times_s[1], times_s[2]), times_s[0] + 0.25, 3.0, motion.mount.axes, True)
    (view,) = view_strides(motion.rows, START, [span])
    degrees = np.degrees
    assert degrees(view.ranges[OBLIQUITY_RAD]) == pytest.approx(12.0, abs=0.05)
    assert degrees(view.ranges[TILT_RAD]) == pytest.approx(6.0, abs=0.1)
    assert degrees(view.means[TILT_RAD]) == pytest.approx(4.0, abs=0.05)
    assert degrees(view.ranges[ROTATION_RAD]) == pytest.approx(14.0, abs=0.15)
    assert view.ranges[UP_M] == pytest.approx(0.090, rel=0.01)
    assert view.ranges[LEFT_M] == pytest.approx(np.ptp(motion.left_m), rel=0.01)
    assert view.ranges[CENTRE_LEFT_M] == pytest.approx(np.ptp(motion.centre_left_m), abs=5e-4)
    # signs and phases, not only sizes
    p = 2.0 * np.pi * PHASE
    np.testing.assert_allclose(degrees(view.waves[:, OBLIQUITY_RAD]), 6.0 * np.sin(p), atol=0.05)
    np.testing.assert_allclose(view.waves[:, LEFT_M], 0.020 * np.cos(p + 0.5), atol=3e-4)
    np.testing.assert_allclose(view.waves[:, UP_M], 0.045 * np.sin(2.0 * p + 2.0), atol=6e-4)
    assert view.step_points == STRIDE_POINTS // 2
    assert (view.initial_contact_s, view.next_contact_s, view.toe_off_s) == (*times_s[:2], times_s[0] + 0.25)


def test_where_the_mount_is_unknown_only_the_height_is_known() -> None:
    motion = swinging(40.0, Rotation.identity())
    contacts = (motion.first, motion.first + 72.0, motion.first + 144.0)
    (view,) = view_strides(motion.rows, START, [StrideSpan(contacts, (0.0, 0.36, 0.72), 0.25, 3.0, None, False)])
    assert view.ranges[UP_M] == pytest.approx(0.090, rel=0.01)
    assert np.isnan(view.waves[:, [LEFT_M, CENTRE_LEFT_M, OBLIQUITY_RAD, TILT_RAD, ROTATION_RAD]]).all()


# ---------------------------------------------------------------- the past


def test_smoothed_signals_are_found_under_the_row_they_are_centred_on() -> None:
    past = Past()
    past.restart(500)
    n = 300
    rows = np.random.default_rng(1).standard_normal((n, PAST_CHANNELS))
    rows[:, KNOWN] = np.arange(n) * 0.005
    touch, level = past.append(rows)
    signals = rows[:, FORCE.start : RATE.stop]
    for taps, index, values in (
        (SMOOTH_TAPS, 640, past.smooth.view(640, 641)[0]),
        (LEVEL_TAPS, 640, past.level.view(640, 641)[0]),
    ):
        half = taps // 2
        window = signals[index - 500 - half : index - 500 + half + 1]
        expected = interior_hann(taps) @ window
        np.testing.assert_allclose(values, expected if len(values) == 6 else expected[2:3], atol=1e-12)
    # what is said at once is centred half the taps before
    vertical = rows[:, FORCE.stop - 1]
    assert level[140] == pytest.approx(interior_hann(LEVEL_TAPS) @ vertical[141 - LEVEL_TAPS : 141])
    assert touch[140] == pytest.approx(interior_hann(TOUCH_TAPS) @ vertical[141 - TOUCH_TAPS : 141])
    assert past.known_s(620) == pytest.approx(0.6)
