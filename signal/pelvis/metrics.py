"""Every metric, defined once: one function per metric, and METRICS, from which all else derives.

A metric's name carries its unit, its docstring is its definition. Group "step" is known
when a step is reported, group "stride" when its stride is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Group = Literal["step", "stride"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of METRICS: ``name`` with its unit, a ``title`` for screens, ``unit`` as shown, ``decimals`` to show."""

    name: str
    title: str
    unit: str
    group: Group
    decimals: int
    definition: str
    measure: Callable[[Any], float]


_table: dict[str, Metric] = {}


def _metric(title: str, unit: str, group: Group, decimals: int) -> Callable[[Callable[[Any], float]], Callable[[Any], float]]:
    def register(function: Callable[[Any], float]) -> Callable[[Any], float]:
        _table[function.__name__] = Metric(
            function.__name__, title, unit, group, decimals, (function.__doc__ or "").strip(), function
        )
        return function

    return register


@_metric("contact time", "s", "step", 3)
def contact_time_s(view: Any) -> float:
    """Toe-off minus initial contact of the same foot."""
    return view.contact_time_s


@_metric("cadence", "spm", "step", 1)
def cadence_spm(view: Any) -> float:
    """60 divided by the interval from the previous initial contact: steps per minute, instantaneous."""
    return view.cadence_spm


@_metric("pelvic drop", "deg", "step", 1)
def pelvic_drop_deg(view: Any) -> float:
    """Contralateral pelvic drop: how far the swing side falls below its height at initial contact, at most, during stance."""
    return view.pelvic_drop_deg


@_metric("peak drop", "deg", "step", 1)
def peak_drop_deg(view: Any) -> float:
    """Lowest position of the swing side during stance against standing."""
    return view.peak_drop_deg


@_metric("velocity loss", "m/s", "step", 3)
def velocity_loss_mps(view: Any) -> float:
    """Forward velocity the pelvis loses after initial contact."""
    return view.velocity_loss_mps


@_metric("velocity gain", "m/s", "step", 3)
def velocity_gain_mps(view: Any) -> float:
    """Forward velocity the pelvis gains from its slowest moment in stance until toe-off."""
    return view.velocity_gain_mps


@_metric("flight time", "s", "stride", 3)
def flight_time_s(view: Any) -> float:
    """Next initial contact minus this toe-off."""
    return view.flight_time_s


@_metric("step time", "s", "stride", 3)
def step_time_s(view: Any) -> float:
    """Next initial contact minus this one."""
    return view.step_time_s


@_metric("vertical oscillation", "m", "stride", 3)
def vertical_oscillation_m(view: Any) -> float:
    """Range of the sensor point's height from this contact to the next."""
    return view.vertical_oscillation_m


@_metric("sway", "m", "stride", 3)
def sway_m(view: Any) -> float:
    """Mediolateral range of the sensor point over the stride."""
    return view.sway_m


@_metric("pelvis sway", "m", "stride", 3)
def pelvis_sway_m(view: Any) -> float:
    """Mediolateral range of the pelvis centre over the stride."""
    return view.pelvis_sway_m


@_metric("obliquity range", "deg", "stride", 1)
def obliquity_range_deg(view: Any) -> float:
    """Range of pelvic obliquity over the stride."""
    return view.obliquity_range_deg


@_metric("tilt", "deg", "stride", 1)
def tilt_deg(view: Any) -> float:
    """Mean pelvic tilt over the stride minus standing; anterior positive."""
    return view.tilt_deg


@_metric("tilt range", "deg", "stride", 1)
def tilt_range_deg(view: Any) -> float:
    """Range of pelvic tilt over the stride."""
    return view.tilt_range_deg


@_metric("rotation range", "deg", "stride", 1)
def rotation_range_deg(view: Any) -> float:
    """Range of axial pelvic rotation over the stride."""
    return view.rotation_range_deg


METRICS: dict[str, Metric] = dict(_table)
"""Every metric by name, in the order in which columns and messages carry them."""

STEP_METRICS: tuple[Metric, ...] = tuple(m for m in METRICS.values() if m.group == "step")
STRIDE_METRICS: tuple[Metric, ...] = tuple(m for m in METRICS.values() if m.group == "stride")
