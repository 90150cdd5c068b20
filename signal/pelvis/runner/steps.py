"""The steps of a run, planned one after the other: when each begins and leaves the ground, and how large it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pelvis.data import ACTIVITY_CODES, ActivityState, Array, Side
from pelvis.runner import shapes
from pelvis.runner.scenario import MIN_CONTACT_S, MIN_FLIGHT_S, Drift, Phase, Scenario

_RAMP_STEPS = 3  # a gait comes and goes over this many steps
_IDLE_STEP_S = 0.35  # standing marks time in steps of no size
_MAX_SPEED_CHANGE_MPS2 = 1.5
_WALKING_TILT_DEG = 2.0  # mean against standing
_MAX_FORM_CHANGE_MPS = 0.4  # a new speed shows in form and rhythm over a few steps, this much in each

# Columns of a step's sizes: obliquity, rotation, tilt, forward, lateral, vertical at 3.5 m/s; the same six for what
# each changes per m/s; the same six for walking; then single ones.
SERIES = 6
TILT_MEAN, RUNNING, STANDING = 3 * SERIES, 3 * SERIES + 1, 3 * SERIES + 2
COLUMNS = 3 * SERIES + 3


class Step(NamedTuple):
    """A step as planned; times in true seconds. ``number`` counts half strides: even ones are right."""

    number: int
    activity: int
    initial_contact_s: float
    toe_off_s: float
    end_s: float
    speed_mps: float
    start_m: float
    impact_g: float
    impact_delay_s: float
    sizes: Array


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Neighbouring steps as arrays (m,), sizes (m, columns); the first and the last are there for their neighbours."""

    number: NDArray[np.int64]
    activity: NDArray[np.int8]
    initial_contact_s: Array
    toe_off_s: Array
    end_s: Array
    speed_mps: Array
    start_m: Array
    impact_g: Array
    impact_delay_s: Array
    sizes: Array


class StepWindow:
    """Plans step after step and keeps those that are still needed."""

    def __init__(self, scenario: Scenario, chance: np.random.Generator) -> None:
        self._kept: deque[Step] = deque()
        self._plan = _plan_steps(scenario, chance)

    def cover(self, start_s: float, end_s: float) -> Window:
        """Give the steps from two before ``start_s`` to four beyond ``end_s``."""
        kept = self._kept
        while len(kept) < 6 or kept[-5].initial_contact_s <= end_s:
            kept.append(next(self._plan))
        while len(kept) > 3 and kept[2].end_s <= start_s:
            kept.popleft()
        number, activity, ic, to, end, speed, start, impact, delay, sizes = zip(*kept, strict=True)
        return Window(
            np.array(number), np.array(activity, np.int8), np.array(ic), np.array(to), np.array(end), np.array(speed),
            np.array(start), np.array(impact), np.array(delay), np.array(sizes),
        )  # fmt: skip


def _plan_steps(scenario: Scenario, chance: np.random.Generator) -> Iterator[Step]:
    """Yield steps without end, from a little before time 0."""
    slow = 1.0 + 1e-6 * scenario.sensor.clock_error_ppm  # the scenario is written in device time
    vary = scenario.variability
    parity = 0 if scenario.first_side is Side.RIGHT else 1
    number = parity - 3
    t_s, position_m, speed_now = -3 * _IDLE_STEP_S, 0.0, 0.0
    running = walking = 0.0
    shape_speed = scenario.speed_mps
    phases = _phase_ends(scenario)
    phase, phase_end_s = next(phases)
    moved = False
    while True:
        while t_s / slow >= phase_end_s - 1e-9:
            phase, phase_end_s = next(phases)
        activity = phase.activity
        speed = scenario.speed_of(phase)
        extra = _drifted(scenario, t_s / slow)
        luck = chance.standard_normal(10)
        if activity is ActivityState.RUNNING:
            shape_speed = _nearer(shape_speed, speed, _MAX_FORM_CHANGE_MPS) if running else speed
            step_s = 60.0 / (scenario.cadence_of(phase, shape_speed) + extra.cadence_spm) + vary.step_time_s * luck[0]
        elif activity is ActivityState.WALKING:
            step_s = 60.0 / scenario.cadence_of(phase, speed) + vary.step_time_s * luck[0]
        else:
            left_s = phase_end_s * slow - t_s
            step_s = max(left_s, 0.5 * _IDLE_STEP_S) if left_s < 1.5 * _IDLE_STEP_S else _IDLE_STEP_S
            if not moved and left_s < 1.5 * _IDLE_STEP_S:
                # the next step has the side the scenario wants, however many idle ones there were
                number += (number + 1 + parity) % 2
        moved = moved or activity is not ActivityState.STANDING
        running = _nearer(running, 1.0 if activity is ActivityState.RUNNING else 0.0, 1.0 / _RAMP_STEPS)
        walking = _nearer(walking, 1.0 if activity is ActivityState.WALKING else 0.0, 1.0 / _RAMP_STEPS)
        left = number % 2 == 1
        if activity is ActivityState.RUNNING:
            lean = 0.5 * scenario.contact_asymmetry_ratio * (1.0 if left else -1.0)
            contact_s = (scenario.contact_time_of(phase, shape_speed) + extra.contact_time_s) * (1.0 + lean)
            contact_s = max(MIN_CONTACT_S, min(contact_s + vary.contact_time_s * luck[1], step_s - MIN_FLIGHT_S))
        else:
            contact_s = shapes.TOE_OFF_PHASE * step_s
        next_speed = _nearer(speed_now, speed, _MAX_SPEED_CHANGE_MPS2 * step_s)
        duty = contact_s / step_s
        sizes = _sizes(scenario, extra, _Form(shape_speed, duty, running, walking, left), luck)
        yield Step(
            number,
            ACTIVITY_CODES.index(activity),
            t_s,
            t_s + contact_s,
            t_s + step_s,
            speed_now,
            position_m,
            scenario.impact_g * running * max(0.0, 1.0 + vary.impact_ratio * luck[2]),
            scenario.impact_delay_s + vary.impact_delay_s * luck[3],
            sizes,
        )
        position_m += 0.5 * (speed_now + next_speed) * step_s
        speed_now = next_speed
        t_s += step_s
        number += 1


def _phase_ends(scenario: Scenario) -> Iterator[tuple[Phase, float]]:
    end_s = 0.0
    for phase in scenario.plan:
        end_s = float("inf") if phase.duration_s is None else end_s + phase.duration_s
        yield phase, end_s
    yield Phase(ActivityState.STANDING), float("inf")


def _nearer(value: float, target: float, change: float) -> float:
    """Go from a value towards a target by at most ``change``."""
    return value + min(max(target - value, -change), change)


def _drifted(scenario: Scenario, t_s: float) -> Drift:
    """Sum of what all drifts have brought by a time."""
    total = dict.fromkeys(_DRIFTING, 0.0)
    for drift in scenario.drifts:
        share = drift.share(t_s)
        for name in _DRIFTING:
            total[name] += share * float(getattr(drift, name))
    return Drift(0.0, 1.0, **total)


_DRIFTING = (
    "drop_left_deg", "drop_right_deg", "contact_time_s", "cadence_spm", "pelvis_sway_m", "tilt_deg",
    "rotation_range_deg",
)  # fmt: skip


class _Form(NamedTuple):
    """What shapes a step besides chance: how much of it is running or walking runs from 0 to 1."""

    speed_mps: float
    duty: float
    running: float
    walking: float
    left: bool


def _sizes(scenario: Scenario, extra: Drift, form: _Form, luck: Array) -> Array:
    """Sizes (columns,) of all waveforms in one step."""
    vary, speed = scenario.variability, form.speed_mps
    drop = _or_norm(scenario.drop_left_deg if form.left else scenario.drop_right_deg, shapes.typical_drop_deg(speed))
    drop += (extra.drop_left_deg if form.left else extra.drop_right_deg) + vary.drop_deg * float(luck[4])
    rotation = _or_norm(scenario.rotation_range_deg, shapes.typical_rotation_range_deg(speed))
    tilt_range = _or_norm(scenario.tilt_range_deg, shapes.typical_tilt_range_deg(speed))
    sway_m = _or_norm(scenario.pelvis_sway_m, shapes.typical_pelvis_sway_m(speed))
    chance = 1.0 + vary.size_ratio * luck[5:9]
    tilt_ratio = tilt_range / shapes.range_of_shape(shapes.TILT_DEG, speed) * chance[1]
    sizes = np.zeros(COLUMNS)
    sizes[:SERIES] = (
        drop / shapes.drop_of_shape_deg(speed),
        (rotation + extra.rotation_range_deg) / shapes.range_of_shape(shapes.ROTATION_DEG, speed) * chance[0],
        tilt_ratio,
        scenario.fore_aft_ratio * chance[2],
        1e3 * (sway_m + extra.pelvis_sway_m) / shapes.range_of_shape(shapes.LATERAL_MM, speed) * chance[3],
        1.0,
    )
    sizes[:SERIES] *= form.running
    sizes[SERIES : 2 * SERIES] = shapes.faster_than_reference_mps(speed) * sizes[:SERIES]
    sizes[2 * SERIES : 3 * SERIES] = form.walking
    tilt = _or_norm(scenario.tilt_deg, shapes.typical_tilt_deg(speed)) + extra.tilt_deg + vary.tilt_deg * luck[9]
    # the waveform's own mean over time is not 0: stance and flight take unequal shares of the step
    tilt -= tilt_ratio * shapes.mean_of_tilt_deg(speed, round(form.duty, 2))
    sizes[TILT_MEAN] = np.radians(form.running * tilt + form.walking * _WALKING_TILT_DEG)
    sizes[RUNNING] = form.running
    sizes[STANDING] = max(0.0, 1.0 - form.running - form.walking)
    return sizes


def _or_norm(value: float | None, norm: float) -> float:
    return norm if value is None else value
