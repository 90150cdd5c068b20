"""Where the pelvis is at a moment, as far as one sensor at its back can tell. No Qt.

1. Angles are measured. A place is not: what one sensor tells of it is the to and fro within a stride.
2. That is had as the metrics have it: force in level axes over one stride, its mean removed, integrated twice as a
   Fourier series (`pelvis.windows.displacement_m`). Steady running repeats itself, so the stride that ends now will do.
3. Slow shifts, to the edge of the road or uphill, cannot be told and are not drawn. Without strides there is no place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Array, Side
from pelvis.windows import STRIDE_POINTS, displacement_m
from sensor_host.view.timeline import MOTION_COLUMNS, SIDE_CODES, Timeline

_SIDES: Final = {code: side for side, code in SIDE_CODES.items()}
_OBLIQUITY, _TILT, _ROTATION = (MOTION_COLUMNS.index(name) for name in ("obliquity_deg", "tilt_deg", "rotation_deg"))

# 0.5 s: motion comes in portions, over a radio that stutters; what is older is not now
HELD_S: Final = 0.5
# 1.2 s: longer than the stride of the slowest run; what lies between such contacts is no stride
LONGEST_STRIDE_S: Final = 1.2
# 0.3 s: a foot that is down and not yet measured is down for about so long
USUAL_CONTACT_S: Final = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Posture:
    """The pelvis at a moment; NaN where unknown.

    ``path_m`` (64, 2): the sensor point over the last stride, left and up of its mean; its last row is now. Empty where
    there is no stride. ``stance`` is the foot on the ground, None: in the air or unknown.
    """

    t_s: float
    obliquity_deg: float
    rotation_deg: float
    path_m: Array
    stance: Side | None

    @property
    def known(self) -> bool:
        return self.obliquity_deg == self.obliquity_deg


def posture(timeline: Timeline, now_s: float) -> Posture:
    """Return how the pelvis is at a moment."""
    t_s, values = timeline.motion(now_s - HELD_S, now_s + 0.5 * GRID_PERIOD_S)
    stance = stance_at(timeline, now_s)
    if not len(t_s):
        return Posture(now_s, nan, nan, np.empty((0, 2)), stance)
    at_s, obliquity, rotation = float(t_s[-1]), float(values[-1, _OBLIQUITY]), float(values[-1, _ROTATION])
    return Posture(at_s, obliquity, rotation, path_m(timeline, at_s), stance)


def stance_at(timeline: Timeline, now_s: float) -> Side | None:
    """Return the foot on the ground at a moment; None in flight, and where it is unknown."""
    rows = timeline.steps_between(now_s - LONGEST_STRIDE_S, now_s + 1e-9)
    if len(rows) and now_s < float(timeline.column("toe_off_s", rows)[-1]):
        return _SIDES.get(float(timeline.column("side", rows)[-1]))
    for contact in reversed(timeline.open_contacts):
        if contact.t_s <= now_s:
            return contact.side if now_s < contact.t_s + USUAL_CONTACT_S else None
    return None


def path_m(timeline: Timeline, end_s: float) -> Array:
    """Return where the sensor point was over the stride that ends at ``end_s``: left and up of its mean, (64, 2).

    Empty where the runner does not run, or motion is missing.
    """
    nowhere: Array = np.empty((0, 2))
    contacts = timeline.column("initial_contact_s", timeline.steps_between(end_s - 2.0 * LONGEST_STRIDE_S, end_s))
    if len(contacts) < 3:
        return nowhere
    stride_s = float(contacts[-1] - contacts[-3])
    if stride_s > LONGEST_STRIDE_S or end_s - float(contacts[-1]) > LONGEST_STRIDE_S:
        return nowhere
    t_s, values = timeline.motion(end_s - stride_s - 2.0 * GRID_PERIOD_S, end_s + 0.5 * GRID_PERIOD_S)
    whole = len(t_s) * GRID_PERIOD_S >= stride_s
    if not whole or not np.isfinite(values).all():
        return nowhere
    at_s = end_s - stride_s + stride_s / STRIDE_POINTS * np.arange(1, STRIDE_POINTS + 1)
    force: Array = level_force_g(values)
    sampled: Array = np.stack([np.interp(at_s, t_s, force[:, i]) for i in range(2)], axis=1)
    moved: Array = displacement_m(sampled, stride_s)
    return moved


def level_force_g(values: NDArray[np.float32]) -> Array:
    """Return the force to the left and upward, (n, 2) in g, in axes that lie level and point where the runner runs.

    Parameters
    ----------
    values
        Motion (n, 6) with the columns `MOTION_COLUMNS`: force along the pelvis' axes, and the three angles, which
        together say how those axes lie (as `pelvis.windows.pelvis_motion` makes them).
    """
    force: Array = values[:, :3].astype(np.float64)
    angles: Array = np.radians(values[:, [_OBLIQUITY, _TILT, _ROTATION]].astype(np.float64))
    obliquity, tilt, rotation = angles.T
    # the vertical parts of the pelvis' axes, and the level length of the forward one
    left_up = -np.sin(obliquity)
    forward_up = -np.cos(obliquity) * np.sin(tilt)
    up_up = np.cos(obliquity) * np.cos(tilt)
    level = np.sqrt(1.0 - forward_up * forward_up)
    # of the left axis, along and across the way forward points
    along = -left_up * forward_up / level
    across = np.sqrt(np.maximum(1.0 - left_up * left_up - along * along, 0.0))
    c, s = np.cos(rotation), np.sin(rotation)
    forward_left = level * s
    left_left = along * s + across * c
    # up = forward x left, its part to the left
    left_ahead = along * c - across * s
    up_left = forward_up * left_ahead - level * c * left_up
    aside = force[:, 0] * forward_left + force[:, 1] * left_left + force[:, 2] * up_left
    upward = force[:, 0] * forward_up + force[:, 1] * left_up + force[:, 2] * up_up
    return np.stack((aside, upward), axis=1)
