"""The true metrics of every running contact, from the clean motion on a dense grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pelvis.data import ACTIVITY_CODES, ActivityState, Array, Side
from pelvis.runner.motion import move, point_in_world, point_velocity
from pelvis.runner.scenario import Scenario
from pelvis.runner.steps import RUNNING, Window

# 5 ms apart: the largest value between two points is missed by less than 0.1 mm and 0.01 deg
_STANCE_POINTS, _FLIGHT_POINTS = 49, 25


@dataclass(frozen=True, slots=True)
class TrueContact:
    """One running contact as it was; fields are named and defined as in `pelvis.metrics`, NaN where undefined.

    Computed from the clean motion; times in device time. What spans later contacts is NaN when running ends before.
    """

    initial_contact_s: float
    toe_off_s: float
    side: Side
    contact_time_s: float
    cadence_spm: float
    pelvic_drop_deg: float
    peak_drop_deg: float
    velocity_loss_mps: float
    velocity_gain_mps: float
    flight_time_s: float
    step_time_s: float
    vertical_oscillation_m: float
    sway_m: float
    pelvis_sway_m: float
    obliquity_range_deg: float
    tilt_deg: float
    tilt_range_deg: float
    rotation_range_deg: float
    speed_mps: float
    step_length_m: float
    vertical_ratio_percent: float


def true_contacts(scenario: Scenario, window: Window, start_s: float, end_s: float) -> list[TrueContact]:
    """Measure the running contacts with an initial contact in [``start_s``, ``end_s``) of device time.

    The window must hold one step before and three after them.
    """
    slow = 1.0 + 1e-6 * scenario.sensor.clock_error_ppm
    contact_s = window.initial_contact_s / slow
    first, last = (int(k) for k in np.searchsorted(contact_s, (start_s, end_s)))
    running = ACTIVITY_CODES.index(ActivityState.RUNNING)
    is_contact = (window.activity == running) & (window.sizes[:, RUNNING] > 0.5)
    if not np.any(is_contact[first:last]):
        return []
    ic, to, end = (x[first : last + 1] for x in (window.initial_contact_s, window.toe_off_s, window.end_s))
    stance = np.linspace(0.0, 1.0, _STANCE_POINTS)
    flight = np.linspace(0.0, 1.0, _FLIGHT_POINTS)[1:]
    grid = np.hstack([ic[:, None] + (to - ic)[:, None] * stance, to[:, None] + (end - to)[:, None] * flight])
    # the end of a step is the beginning of the next one: keep it on this side
    grid = np.minimum(grid, np.nextafter(end, 0.0)[:, None])
    motion = move(scenario, window, grid.ravel())
    position = point_in_world(motion)

    def by_step(values: Array) -> Array:
        return values.reshape(grid.shape)

    obliquity, rotation = (by_step(np.degrees(x.value)) for x in (motion.obliquity_rad, motion.rotation_rad))
    tilt = by_step(np.degrees(motion.tilt_rad.value))
    # obliquity with the sign that makes a fall of the swing side positive
    sign = np.where(window.number[first : last + 1] % 2, -1.0, 1.0)
    falling = obliquity[:, :_STANCE_POINTS] * sign[:, None]
    forward = by_step(point_velocity(motion)[:, 0])[:, :_STANCE_POINTS]
    slowest = np.min(forward, axis=1)
    tilt_s = np.sum(0.5 * (tilt[:, 1:] + tilt[:, :-1]) * np.diff(grid, axis=1), axis=1)
    length_s = end - ic

    step_known = is_contact[first + 1 : last + 1]
    stride_known = step_known & is_contact[first + 2 : last + 2]
    after_contact = is_contact[first - 1 : last - 1]
    stride_tilt = (tilt_s[:-1] + tilt_s[1:]) / (length_s[:-1] + length_s[1:])
    columns = {
        "contact_time_s": (to - ic)[:-1] / slow,
        "cadence_spm": np.where(after_contact, 60.0 / np.diff(contact_s[first - 1 : last]), np.nan),
        "pelvic_drop_deg": (np.max(falling, axis=1) - falling[:, 0])[:-1],
        "peak_drop_deg": (np.max(falling, axis=1) - sign * scenario.standing_obliquity_deg)[:-1],
        "velocity_loss_mps": (forward[:, 0] - slowest)[:-1],
        "velocity_gain_mps": (forward[:, -1] - slowest)[:-1],
        "flight_time_s": np.where(step_known, (end - to)[:-1] / slow, np.nan),
        "step_time_s": np.where(step_known, length_s[:-1] / slow, np.nan),
        "vertical_oscillation_m": np.where(step_known, np.ptp(by_step(position[:, 2]), axis=1)[:-1], np.nan),
        "sway_m": np.where(stride_known, _stride_range(by_step(position[:, 1])), np.nan),
        "pelvis_sway_m": np.where(stride_known, _stride_range(by_step(motion.centre_m[:, 1])), np.nan),
        "obliquity_range_deg": np.where(stride_known, _stride_range(obliquity), np.nan),
        "tilt_deg": np.where(stride_known, stride_tilt - scenario.standing_tilt_deg, np.nan),
        "tilt_range_deg": np.where(stride_known, _stride_range(tilt), np.nan),
        "rotation_range_deg": np.where(stride_known, _stride_range(rotation), np.nan),
        "speed_mps": window.speed_mps[first:last],
    }
    columns["step_length_m"] = columns["speed_mps"] * 60.0 / columns["cadence_spm"]
    way_m = columns["speed_mps"] * columns["step_time_s"]
    # who comes to a stop has no way to compare with
    columns["vertical_ratio_percent"] = 100.0 * columns["vertical_oscillation_m"] / np.where(way_m > 0.0, way_m, np.nan)
    return [
        TrueContact(
            initial_contact_s=float(contact_s[k]),
            toe_off_s=float(window.toe_off_s[k]) / slow,
            side=Side.LEFT if window.number[k] % 2 else Side.RIGHT,
            **{name: float(values[k - first]) for name, values in columns.items()},
        )
        for k in range(first, last)
        if is_contact[k]
    ]


def _stride_range(values: Array) -> Array:
    """Range over each step and the one after it, from values (steps, points)."""
    highest, lowest = np.max(values, axis=1), np.min(values, axis=1)
    return np.asarray(np.maximum(highest[:-1], highest[1:]) - np.minimum(lowest[:-1], lowest[1:]), dtype=np.float64)
