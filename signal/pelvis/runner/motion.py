"""The clean motion of the pelvis at any time, and what a point of it feels.

Every quantity is a closed formula with its first and second derivative beside it, so that position,
velocity and acceleration, attitude and angular rate agree to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from pelvis.runner import shapes
from pelvis.runner.scenario import Scenario
from pelvis.runner.steps import RUNNING, SERIES, STANDING, TILT_MEAN, Window

CENTRE_FROM_SENSOR_M = (0.105, 0.0, -0.010)
"""From the sensor over the sacrum to the pelvis centre, in pelvis axes."""

_G = STANDARD_GRAVITY_MPS2
_TOE_OFF = shapes.TOE_OFF_PHASE

_RUNNING_SERIES: tuple[tuple[shapes.Waveform, float], ...] = (
    (shapes.OBLIQUITY_DEG, np.pi / 180.0),
    (shapes.ROTATION_DEG, np.pi / 180.0),
    (shapes.TILT_DEG, np.pi / 180.0),
    (shapes.FORWARD_MM, 1e-3),
    (shapes.LATERAL_MM, 1e-3),
    (shapes.VERTICAL_MM, 1e-3),
)
_WALKING_SERIES: tuple[shapes.Waveform, ...] = (
    shapes.WALKING_OBLIQUITY_DEG,
    shapes.WALKING_ROTATION_DEG,
    shapes.WALKING_TILT_DEG,
    shapes.WALKING_FORWARD_MM,
    shapes.WALKING_LATERAL_MM,
    shapes.WALKING_VERTICAL_MM,
)
_ORDERS = np.arange(1, 2 * shapes.HARMONICS + 1)


def _series_matrix() -> Array:
    """Coefficients (24, 3 x 18) from [cos, sin] of the orders to the waveforms and their two derivatives by phase."""
    columns = np.zeros((len(_ORDERS), 3 * SERIES), dtype=np.complex128)
    for k, (waveform, unit) in enumerate(_RUNNING_SERIES):
        rows = np.array(waveform.orders) - 1
        columns[rows, k] = np.array(waveform.at_3_5_mps) * unit
        columns[rows, SERIES + k] = np.array(waveform.per_mps) * unit
        walking = _WALKING_SERIES[k]
        columns[np.array(walking.orders) - 1, 2 * SERIES + k] = np.array(walking.at_3_5_mps) * unit
    turn = 1j * np.pi * _ORDERS[:, None]
    every = np.hstack([columns, columns * turn, columns * turn**2])
    return np.ascontiguousarray(np.vstack([every.real, -every.imag]))


_MATRIX = _series_matrix()


class Derived(NamedTuple):
    """A quantity (n,) and its first and second derivative by time."""

    value: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Motion of the pelvis at times (n,): attitude and centre (n, 3) with derivatives, step index (n,)."""

    step: NDArray[np.intp]
    obliquity_rad: Derived
    rotation_rad: Derived
    tilt_rad: Derived
    centre_m: Array
    centre_mps: Array
    centre_mps2: Array


def move(scenario: Scenario, window: Window, t_s: Array) -> Motion:
    """Evaluate the clean motion at true times (n,) that the window covers."""
    step = np.searchsorted(window.initial_contact_s, t_s, side="right") - 1
    sizes = _sizes_at(window, step, t_s)
    phase = _phase_at(window, step, t_s)
    once = np.exp(1j * np.pi * phase.value)
    turns = np.cumprod(np.broadcast_to(once[:, None], (len(t_s), len(_ORDERS))), axis=1)
    waves = np.hstack([turns.real, turns.imag]) @ _MATRIX
    by_phase, by_phase_twice = waves[:, 3 * SERIES : 6 * SERIES], waves[:, 6 * SERIES :]
    value = waves[:, : 3 * SERIES]
    first = by_phase * phase.first[:, None]
    second = by_phase_twice * (phase.first**2)[:, None] + by_phase * phase.second[:, None]
    scale, scale_1, scale_2 = (s[:, : 3 * SERIES] for s in sizes)
    series_value = scale * value
    series_first = scale_1 * value + scale * first
    series_second = scale_2 * value + 2.0 * scale_1 * first + scale * second

    def component(k: int) -> Derived:
        return Derived(
            series_value[:, k] + series_value[:, SERIES + k] + series_value[:, 2 * SERIES + k],
            series_first[:, k] + series_first[:, SERIES + k] + series_first[:, 2 * SERIES + k],
            series_second[:, k] + series_second[:, SERIES + k] + series_second[:, 2 * SERIES + k],
        )

    def column(k: int) -> Derived:
        return Derived(*(s[:, k] for s in sizes))

    standing = column(STANDING)
    sway_rad = np.radians(scenario.postural_sway_deg)
    obliquity = _plus(component(0), _times(standing, _slow_wave(t_s, 0.5 * sway_rad, 0.23)))
    tilt = _plus(component(2), column(TILT_MEAN), _times(standing, _slow_wave(t_s, sway_rad, 0.31)))
    obliquity = obliquity._replace(value=obliquity.value + np.radians(scenario.standing_obliquity_deg))
    tilt = tilt._replace(value=tilt.value + np.radians(scenario.standing_tilt_deg))
    forward = _plus(component(3), _travel(window, step, t_s))
    vertical = _plus(component(5), _times(column(RUNNING), _point_mass(window, step, t_s)))
    lateral = component(4)
    return Motion(
        step,
        obliquity,
        component(1),
        tilt,
        np.column_stack([forward.value, lateral.value, vertical.value]),
        np.column_stack([forward.first, lateral.first, vertical.first]),
        np.column_stack([forward.second, lateral.second, vertical.second]),
    )


def _plus(*terms: Derived) -> Derived:
    return Derived(sum(t.value for t in terms[1:]) + terms[0].value, sum(t.first for t in terms[1:]) + terms[0].first,
                    sum(t.second for t in terms[1:]) + terms[0].second)  # fmt: skip


def _times(a: Derived, b: Derived) -> Derived:
    return Derived(
        a.value * b.value,
        a.first * b.value + a.value * b.first,
        a.second * b.value + 2.0 * a.first * b.first + a.value * b.second,
    )


def _slow_wave(t_s: Array, size: float, rate_hz: float) -> Derived:
    w = 2.0 * np.pi * rate_hz
    return Derived(size * np.sin(w * t_s), size * w * np.cos(w * t_s), -size * w * w * np.sin(w * t_s))


def _rise(x: Array) -> Derived:
    """From 0 to 1 over x = 0..1, with two vanishing derivatives at both ends (by x)."""
    return Derived(
        x**3 * (10.0 - 15.0 * x + 6.0 * x * x),
        30.0 * (x * (1.0 - x)) ** 2,
        60.0 * x * (1.0 - x) * (1.0 - 2.0 * x),
    )


def _sizes_at(window: Window, step: NDArray[np.intp], t_s: Array) -> tuple[Array, Array, Array]:
    """Sizes (n, columns) and derivatives: constant in stance, going over to the next step's in flight."""
    gap_s = window.end_s[step] - window.toe_off_s[step]
    x = np.clip((t_s - window.toe_off_s[step]) / gap_s, 0.0, 1.0)
    rise = _rise(x)
    now = window.sizes[step]
    change = window.sizes[step + 1] - now
    return (
        now + change * rise.value[:, None],
        change * (rise.first / gap_s)[:, None],
        change * (rise.second / gap_s**2)[:, None],
    )


def _phase_at(window: Window, step: NDArray[np.intp], t_s: Array) -> Derived:
    """Stride phase: a quintic from event to event with no curvature at them, its slope there the mean of both sides."""
    stance_s = window.toe_off_s - window.initial_contact_s
    swing_s = window.end_s - window.toe_off_s
    stance_slope, swing_slope = _TOE_OFF / stance_s, (1.0 - _TOE_OFF) / swing_s
    at_toe_off = 0.5 * (stance_slope + swing_slope)
    at_contact = 0.5 * (stance_slope + np.concatenate([swing_slope[:1], swing_slope[:-1]]))
    in_swing = t_s >= window.toe_off_s[step]
    length_s = np.where(in_swing, swing_s[step], stance_s[step])
    x = (t_s - np.where(in_swing, window.toe_off_s[step], window.initial_contact_s[step])) / length_s
    begin = np.where(in_swing, at_toe_off[step], at_contact[step]) * length_s
    end = np.where(in_swing, at_contact[step + 1], at_toe_off[step]) * length_s
    c3, c4, c5 = shapes.bridge(np.where(in_swing, 1.0 - _TOE_OFF, _TOE_OFF), begin, end)
    # whole strides are taken off: phase stays small and exact however long the run
    base = (window.number[step] % 2) + np.where(in_swing, _TOE_OFF, 0.0)
    return Derived(
        base + x * (begin + x * x * (c3 + x * (c4 + x * c5))),
        (begin + x * x * (3.0 * c3 + x * (4.0 * c4 + x * 5.0 * c5))) / length_s,
        x * (6.0 * c3 + x * (12.0 * c4 + x * 20.0 * c5)) / length_s**2,
    )


def _travel(window: Window, step: NDArray[np.intp], t_s: Array) -> Derived:
    """Forward position of steady running: speed goes over from step to step without a corner."""
    length_s = (window.end_s - window.initial_contact_s)[step]
    x = (t_s - window.initial_contact_s[step]) / length_s
    speed = window.speed_mps[step]
    change = window.speed_mps[step + 1] - speed
    rise = _rise(x)
    covered = x**4 * (2.5 - 3.0 * x + x * x)
    return Derived(
        window.start_m[step] + length_s * (speed * x + change * covered),
        speed + change * rise.value,
        change * rise.first / length_s,
    )


def _point_mass(window: Window, step: NDArray[np.intp], t_s: Array) -> Derived:
    """Height of a point mass that is at 0 at every initial contact and toe-off and falls freely between contacts."""
    contact_s = window.toe_off_s - window.initial_contact_s
    flight_s = window.end_s - window.toe_off_s
    leaving = 0.5 * _G * flight_s
    landing = -np.concatenate([leaving[:1], leaving[:-1]])
    mean_force = 0.5 * np.pi * ((leaving - landing) / contact_s + _G)
    skew_force = 2.0 * np.pi * (0.5 * _G - landing / contact_s) - 2.0 * mean_force
    in_flight = t_s >= window.toe_off_s[step]
    tau = t_s - np.where(in_flight, window.toe_off_s[step], window.initial_contact_s[step])
    speed = np.where(in_flight, leaving[step], landing[step])
    a = np.where(in_flight, 0.0, mean_force[step])
    b = np.where(in_flight, 0.0, skew_force[step])
    once = contact_s[step] / np.pi
    angle = tau / once
    sin_1, cos_1 = np.sin(angle), np.cos(angle)
    sin_2, cos_2 = 2.0 * sin_1 * cos_1, 2.0 * cos_1 * cos_1 - 1.0
    return Derived(
        tau * (speed - 0.5 * _G * tau) + a * once * (tau - once * sin_1) + 0.5 * b * once * (tau - 0.5 * once * sin_2),
        speed - _G * tau + a * once * (1.0 - cos_1) + 0.5 * b * once * (1.0 - cos_2),
        a * sin_1 + b * sin_2 - _G,
    )


# ---------------------------------------------------------------- what a point of a turning body feels


def _angles(motion: Motion) -> tuple[Array, Array, Array, Array, Array, Array]:
    yaw, roll, pitch = motion.rotation_rad.value, -motion.obliquity_rad.value, motion.tilt_rad.value
    return np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)


def _rows(motion: Motion) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Elements of R = Rz(rotation) Rx(-obliquity) Ry(tilt), pelvis axes to world."""
    cy, sy, cr, sr, cp, sp = _angles(motion)
    return (
        (cy * cp - sy * sr * sp, -sy * cr, cy * sp + sy * sr * cp),
        (sy * cp + cy * sr * sp, cy * cr, sy * sp - cy * sr * cp),
        (-cr * sp, sr, cr * cp),
    )


def point_in_world(motion: Motion) -> Array:
    """Position (n, 3) of the sensor point."""
    return motion.centre_m - _turn(motion, np.array(CENTRE_FROM_SENSOR_M))


def point_velocity(motion: Motion) -> Array:
    """Velocity (n, 3) of the sensor point in world axes."""
    return motion.centre_mps - _turn(motion, _cross(_rates(motion)[0], np.array(CENTRE_FROM_SENSOR_M)))


def _turn(motion: Motion, vector: Array) -> Array:
    """Rotate a vector (3,) or vectors (n, 3) from pelvis axes to world axes."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    return np.column_stack([r[0] * x + r[1] * y + r[2] * z for r in _rows(motion)])


def _turn_back(motion: Motion, vectors: Array) -> Array:
    rows = _rows(motion)
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    return np.column_stack([rows[0][k] * x + rows[1][k] * y + rows[2][k] * z for k in range(3)])


def _rates(motion: Motion) -> tuple[Array, Array]:
    """Angular rate and angular acceleration (n, 3) in pelvis axes."""
    _, _, cr, sr, cp, sp = _angles(motion)
    roll_1, roll_2 = -motion.obliquity_rad.first, -motion.obliquity_rad.second
    yaw_1, yaw_2 = motion.rotation_rad.first, motion.rotation_rad.second
    pitch_1, pitch_2 = motion.tilt_rad.first, motion.tilt_rad.second
    across, along = yaw_1 * sr, yaw_1 * cr
    across_1 = yaw_2 * sr + yaw_1 * roll_1 * cr
    along_1 = yaw_2 * cr - yaw_1 * roll_1 * sr
    x, z = cp * roll_1 - sp * along, sp * roll_1 + cp * along
    rate = np.column_stack([x, across + pitch_1, z])
    change = np.column_stack(
        [cp * roll_2 - sp * along_1 - pitch_1 * z, across_1 + pitch_2, sp * roll_2 + cp * along_1 + pitch_1 * x]
    )
    return rate, change


def feel(motion: Motion) -> tuple[Array, Array]:
    """Specific force and angular rate (n, 3) at the sensor point, pelvis axes."""
    rate, change = _rates(motion)
    lever = np.array(CENTRE_FROM_SENSOR_M)
    force = _turn_back(motion, motion.centre_mps2 + np.array([0.0, 0.0, _G]))
    return force - _cross(change, lever) - _cross(rate, _cross(rate, lever)), rate


def _cross(a: Array, b: Array) -> Array:
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    ax, ay, az = a[:, 0], a[:, 1], a[:, 2]
    return np.column_stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
