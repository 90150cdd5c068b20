"""Every metric, defined once: one function per metric, and METRICS, from which all else derives.

A metric's name carries its unit, its docstring is its definition. Group "step" is known
when a step is reported, group "stride" when its stride is complete. NaN where unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pelvis.error_coefficients import ERROR_MODELS
from pelvis.uncertainty import steps_needed
from pelvis.windows import (
    CENTRE_LEFT_M,
    LEFT_M,
    OBLIQUITY_RAD,
    ROTATION_RAD,
    TILT_RAD,
    UP_M,
    StepView,
    StrideView,
)

DEGREES = 180.0 / math.pi


def error_name(name: str) -> str:
    """Return the name of a figure's standard error, the unit last: contact_time_se_s."""
    stem, _, unit = name.rpartition("_")
    return f"{stem}_se_{unit}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of METRICS: ``name`` with its unit, a ``title`` for screens, ``unit`` as shown, ``decimals`` to show."""

    name: str
    title: str
    unit: str
    group: Literal["step", "stride"]
    decimals: int
    definition: str

    @property
    def error_name(self) -> str:
        """The name of its standard error."""
        return error_name(self.name)

    @property
    def resolution(self) -> float:
        """What a mean must tell apart before it is shown: one unit of the last digit."""
        return 10.0**-self.decimals

    @property
    def usual_error(self) -> float:
        """The standard error of an undisturbed step."""
        return ERROR_MODELS[self.name].usual

    @property
    def steps_needed(self) -> int:
        """How many undisturbed steps a mean needs: what averages out is then below the resolution."""
        model = ERROR_MODELS[self.name]
        return steps_needed((1.0 - model.common) * model.usual**2, model.dependence, self.resolution)


@dataclass(frozen=True, slots=True)
class Refused:
    """A figure that is asked for and not given, and why."""

    name: str
    title: str
    reason: str


_step: dict[str, tuple[Metric, Callable[[StepView], float]]] = {}
_stride: dict[str, tuple[Metric, Callable[[StrideView], float]]] = {}

StepFunction = Callable[[StepView], float]
StrideFunction = Callable[[StrideView], float]


def _of_step(title: str, unit: str, decimals: int) -> Callable[[StepFunction], StepFunction]:
    def register(function: StepFunction) -> StepFunction:
        definition = " ".join((function.__doc__ or "").split())
        _step[function.__name__] = Metric(function.__name__, title, unit, "step", decimals, definition), function
        return function

    return register


def _of_stride(title: str, unit: str, decimals: int) -> Callable[[StrideFunction], StrideFunction]:
    def register(function: StrideFunction) -> StrideFunction:
        definition = " ".join((function.__doc__ or "").split())
        _stride[function.__name__] = Metric(function.__name__, title, unit, "stride", decimals, definition), function
        return function

    return register


@_of_step("contact time", "s", 3)
def contact_time_s(step: StepView) -> float:
    """Toe-off minus initial contact of the same foot."""
    return step.toe_off_s - step.initial_contact_s


@_of_step("cadence", "spm", 1)
def cadence_spm(step: StepView) -> float:
    """60 divided by the interval from the previous initial contact: steps per minute, instantaneous."""
    return 60.0 / (step.initial_contact_s - step.previous_contact_s)


@_of_step("pelvic drop", "deg", 1)
def pelvic_drop_deg(step: StepView) -> float:
    """Contralateral pelvic drop: how far at most the swing side falls in stance below its height at initial contact."""
    if not len(step.obliquity_rad):
        return math.nan
    return DEGREES * (step.lowest_swing_side_rad - float(step.obliquity_rad[0]) * step.swing_down)


@_of_step("peak drop", "deg", 1)
def peak_drop_deg(step: StepView) -> float:
    """Lowest position of the swing side during stance against standing; unknown without a standing phase."""
    if not len(step.obliquity_rad) or not step.from_standing:
        return math.nan
    return DEGREES * step.lowest_swing_side_rad


@_of_step("velocity loss", "m/s", 2)
def velocity_loss_mps(step: StepView) -> float:
    """Forward velocity the sensor point loses from initial contact to its slowest moment in stance."""
    return -step.slowest_mps


@_of_step("velocity gain", "m/s", 2)
def velocity_gain_mps(step: StepView) -> float:
    """Forward velocity the sensor point gains from its slowest moment in stance until toe-off."""
    return step.last_mps - step.slowest_mps


@_of_step("speed", "m/s", 2)
def speed_mps(step: StepView) -> float:
    """Speed of running, from where `speed_source` says.

    A source that measures it: what a treadmill was said to run at until that is changed, anything else for 5 s. Else
    "model": a power law of step time, velocity gain and contact time through the runner's own known speeds. Else
    "estimate": the same law of all runners, about 14 % off and drawn to their mean. The last two are means (of ln) over
    the last 8 steps of the run, of at least 4.
    """
    return step.speed_mps


@_of_step("step length", "m", 2)
def step_length_m(step: StepView) -> float:
    """Speed times the interval from the previous initial contact: 60 x speed / cadence; of a step, not a stride."""
    return step.speed_mps * 60.0 / cadence_spm(step)


@_of_stride("flight time", "s", 3)
def flight_time_s(stride: StrideView) -> float:
    """Next initial contact minus this toe-off; negative where both feet are down."""
    return stride.next_contact_s - stride.toe_off_s


@_of_stride("step time", "s", 3)
def step_time_s(stride: StrideView) -> float:
    """Next initial contact minus this one."""
    return stride.next_contact_s - stride.initial_contact_s


@_of_stride("vertical oscillation", "m", 3)
def vertical_oscillation_m(stride: StrideView) -> float:
    """Range of the sensor point's height from this contact to the next."""
    height_m = stride.waves[: stride.step_points + 1, UP_M]
    return float(np.maximum.reduce(height_m) - np.minimum.reduce(height_m))


@_of_stride("vertical ratio", "%", 1)
def vertical_ratio_percent(stride: StrideView) -> float:
    """Vertical oscillation in per cent of speed times step time; unknown where speed is no better than an estimate."""
    length_m = stride.speed_mps * step_time_s(stride)
    return 100.0 * vertical_oscillation_m(stride) / length_m if length_m > 0.0 else math.nan


@_of_stride("sway", "m", 3)
def sway_m(stride: StrideView) -> float:
    """Mediolateral range of the sensor point over the stride."""
    return stride.ranges[LEFT_M]


@_of_stride("pelvis sway", "m", 3)
def pelvis_sway_m(stride: StrideView) -> float:
    """Mediolateral range of the pelvis centre (0.105 m before and 0.010 m below the sensor) over the stride."""
    return stride.ranges[CENTRE_LEFT_M]


@_of_stride("obliquity range", "deg", 1)
def obliquity_range_deg(stride: StrideView) -> float:
    """Range of pelvic obliquity over the stride."""
    return DEGREES * stride.ranges[OBLIQUITY_RAD]


@_of_stride("tilt", "deg", 1)
def tilt_deg(stride: StrideView) -> float:
    """Mean pelvic tilt over the stride minus standing, anterior positive; unknown without a standing phase."""
    return DEGREES * stride.means[TILT_RAD] if stride.from_standing else math.nan


@_of_stride("tilt range", "deg", 1)
def tilt_range_deg(stride: StrideView) -> float:
    """Range of pelvic tilt over the stride."""
    return DEGREES * stride.ranges[TILT_RAD]


@_of_stride("rotation range", "deg", 1)
def rotation_range_deg(stride: StrideView) -> float:
    """Range of axial pelvic rotation over the stride."""
    return DEGREES * stride.ranges[ROTATION_RAD]


METRICS: dict[str, Metric] = {name: row for name, (row, _) in (_step | _stride).items()}
"""Every metric by name, in the order in which columns and messages carry them."""

STEP_METRICS: tuple[Metric, ...] = tuple(row for row, _ in _step.values())
STRIDE_METRICS: tuple[Metric, ...] = tuple(row for row, _ in _stride.values())
STEP_NAMES, STRIDE_NAMES = tuple(_step), tuple(_stride)


def measure_step(step: StepView) -> dict[str, float]:
    """Return every metric of group "step" by name."""
    return {name: function(step) for name, (_, function) in _step.items()}


def measure_stride(stride: StrideView) -> dict[str, float]:
    """Return every metric of group "stride" by name."""
    return {name: function(stride) for name, (_, function) in _stride.items()}


_ELSEWHERE = "It is not seen by a sensor at the waist, and no stand-in for it is offered."

REFUSED: dict[str, Refused] = {
    row.name: row
    for row in (
        Refused(
            "contact_time_asymmetry",
            "left-right asymmetry of contact time",
            "Per step it cannot be measured: it truly varies by 6.8 ms from runner to runner, its error by as much. "
            "Averages show the balance, with its standard error, from 123 steps of each foot on.",
        ),
        Refused("hip_extension", "hip extension", _ELSEWHERE),
        Refused("gluteal_activation", "activation of the gluteal muscles", _ELSEWHERE),
        Refused("knee_position", "position of the knees", _ELSEWHERE),
        Refused("foot_strike", "foot strike", _ELSEWHERE),
        Refused("arm_swing", "swing of the arms", _ELSEWHERE),
        Refused(
            "braking_impulse",
            "braking impulse",
            "It belongs to the whole body's centre of mass; the velocity that the pelvis loses and gains is another "
            "quantity.",
        ),
    )
}
"""What is not measured, and why; shown wherever it is asked for."""
