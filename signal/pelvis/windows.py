"""Windows on the recent past, one step, one stride: the signals from which `pelvis.metrics` measures.

Angles come from the attitude rows and the mount; positions from specific force by Fourier
integration over the stride, which is periodic and needs no starting velocity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pelvis.align import GRID_PERIOD_S
from pelvis.attitude import FORCE, RATE, ROTATION, ROW_CHANNELS
from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Side
from pelvis.filters import History, SymmetricSmoother, at_fraction
from pelvis.mounting import Mount

STRIDE_POINTS = 64
"""Points of a stride, from initial contact to the same foot's next."""
INTEGRATED_HARMONICS = 8
# from the sensor over the sacrum to the pelvis' centre, pelvis frame, m (anthropometric constant; Fukuchi 2017 runners)
CENTRE_FORWARD_M, CENTRE_UP_M = 0.105, -0.010


class StepView(NamedTuple):
    """One stance and the step before it.

    ``obliquity_rad`` (n,) runs from initial contact (exactly) to toe-off, empty where the mount is unknown.
    ``slowest_mps`` is the least forward velocity in stance against that at initial contact (0 or less),
    ``last_mps`` that at toe-off. ``speed_mps`` is the running speed (NaN: unknown), ``speed_source`` its source.
    """

    initial_contact_s: float
    toe_off_s: float
    previous_contact_s: float
    side: Side
    from_standing: bool
    obliquity_rad: Array
    slowest_mps: float
    last_mps: float
    speed_mps: float = math.nan
    speed_source: str = ""

    @property
    def swing_down(self) -> float:
        """+1 where a rising right side means that the swing side falls (right stance), -1 in left stance."""
        if self.side is Side.UNKNOWN:
            return math.nan
        return 1.0 if self.side is Side.RIGHT else -1.0

    @property
    def lowest_swing_side_rad(self) -> float:
        """How far the swing side lies below the stance side at most."""
        down = self.swing_down
        return down * float((np.maximum if down > 0.0 else np.minimum).reduce(self.obliquity_rad))


def stance_velocity(forward_g: Array) -> tuple[float, float]:
    """Return (slowest, last) forward velocity in m/s against the first of the rows (n,) of forward force."""
    velocity = np.add.accumulate(forward_g)
    # trapezoids: the running sum less half of its ends
    velocity -= 0.5 * (forward_g + forward_g[0])
    scale = GRID_PERIOD_S * STANDARD_GRAVITY_MPS2
    return min(0.0, scale * float(np.minimum.reduce(velocity))), scale * float(velocity[-1])


# columns of a stride's waves
UP_M, LEFT_M, CENTRE_LEFT_M, OBLIQUITY_RAD, TILT_RAD, ROTATION_RAD = range(6)


class StrideView(NamedTuple):
    """One stride: STRIDE_POINTS equal parts from a contact to the second next.

    ``waves`` (64, 6): height and mediolateral position of the sensor point, mediolateral position of the
    pelvis centre (m, about their means), obliquity, tilt and rotation (rad); NaN where the mount is unknown.
    ``ranges`` and ``means`` (6,) are theirs; ``step_points`` the points up to the contact between. ``speed_mps`` is NaN
    where it is not known better than by an estimate.
    """

    initial_contact_s: float
    toe_off_s: float
    next_contact_s: float
    speed_mps: float
    from_standing: bool
    step_points: int
    waves: Array
    ranges: tuple[float, ...]
    means: tuple[float, ...]


def stance_obliquity(rows: Array, start: int, contact: float, toe_off: float, mount: Mount) -> Array:
    """Return obliquity (n,) in rad, right side up positive, at ``contact`` and on every row up to ``toe_off``.

    ``rows`` are attitude rows from absolute index ``start`` on.
    """
    if mount.left is None:
        return np.empty(0)
    first = int(contact) - start
    window = rows[first : int(toe_off) - start + 1, 6:9]
    rise = window @ mount.left
    part = contact - int(contact)
    rise[0] += part * (rise[1] - rise[0])
    angle: Array = -np.arcsin(rise)
    return angle


def _integrator() -> Array:
    """Return the matrix (64, 64) that turns acceleration over a stride of 1 s into periodic displacement."""
    points = np.arange(STRIDE_POINTS)
    lag = (points[:, np.newaxis] - points[np.newaxis, :]) * (2.0 * np.pi / STRIDE_POINTS)
    twice = np.zeros((STRIDE_POINTS, STRIDE_POINTS))
    for k in range(1, INTEGRATED_HARMONICS + 1):
        twice -= np.cos(k * lag) / (2.0 * np.pi * k) ** 2
    return twice * (2.0 / STRIDE_POINTS)


_POINTS = np.arange(STRIDE_POINTS) / STRIDE_POINTS
_INTEGRATE = _integrator() * STANDARD_GRAVITY_MPS2


def displacement_m(force_g: Array, duration_s: float | Array) -> Array:
    """Return the periodic displacement of specific force (..., 64, channels) over a stride, mean removed."""
    moved: Array = _INTEGRATE @ force_g
    moved *= duration_s * duration_s
    return moved


class StrideSpan(NamedTuple):
    """Which stride to look at, and with which mount.

    Three successive ``contacts`` as fractional row indices and as ``times_s``; the toe-off of the first;
    ``axes`` (3, 3) of the mount, None where it is unknown; ``speed_mps`` as in `StrideView`; ``yaw_radps``: how fast
    the runner turned, or seemed to, over the last strides.
    """

    contacts: tuple[float, float, float]
    times_s: tuple[float, float, float]
    toe_off_s: float
    speed_mps: float
    axes: Array | None
    from_standing: bool
    yaw_radps: float = 0.0


def view_strides(rows: Array, start: int, spans: Sequence[StrideSpan]) -> list[StrideView]:
    """Return the view of every stride; ``rows`` are attitude rows from absolute index ``start`` on.

    All strides at once: what one call per stride costs is mostly the calls. Each comes out the same in any company.
    """
    many = len(spans)
    ends = np.array([(span.contacts[0], span.contacts[2]) for span in spans])
    begin = np.floor(ends[:, :1])
    positions = (ends[:, :1] - begin) + (ends[:, 1:] - ends[:, :1]) * _POINTS
    first_row = np.repeat(begin.astype(np.intp) - start, STRIDE_POINTS)
    sampled = at_fraction(rows[:, :12], positions.ravel(), first_row).reshape(many, STRIDE_POINTS, 12)
    # earth components of the pelvis' forward, left and up axes: rows east, north, up of each
    mounts = np.array([_UNKNOWN_AXES if span.axes is None else span.axes for span in spans])
    axes = (sampled[:, :, ROTATION].reshape(many, 3 * STRIDE_POINTS, 3) @ mounts).reshape(many, STRIDE_POINTS, 9)
    axes = np.ascontiguousarray(axes.transpose(0, 2, 1))
    total = np.add.reduce(axes, axis=2)
    east, north = total[:, 0:1], total[:, 3:4]
    size = np.sqrt(east * east + north * north)
    c, s = east / size, north / size
    duration_s = np.array([span.times_s[2] - span.times_s[0] for span in spans])
    # to the stride's own heading, which goes along with a bend, and with what the gyroscope thinks is one
    yaw_rad = (duration_s * [span.yaw_radps for span in spans])[:, np.newaxis] * (_POINTS - _POINTS[-1] / 2.0)
    onward, aside = np.cos(yaw_rad), np.sin(yaw_rad)
    c, s = c * onward - s * aside, s * onward + c * aside
    ahead = axes[:, 0] * c + axes[:, 3] * s
    left = axes[:, 3] * c - axes[:, 0] * s
    left_of_up = axes[:, 5] * c - axes[:, 2] * s
    force = np.empty((many, STRIDE_POINTS, 2))
    force[:, :, 0] = sampled[:, :, 10] * c - sampled[:, :, 9] * s
    force[:, :, 1] = sampled[:, :, 11]
    moved = displacement_m(force, duration_s[:, np.newaxis, np.newaxis])
    waves = np.empty((many, 6, STRIDE_POINTS))
    waves[:, UP_M] = moved[:, :, 1]
    waves[:, LEFT_M] = moved[:, :, 0]
    waves[:, CENTRE_LEFT_M] = moved[:, :, 0] + CENTRE_FORWARD_M * left + CENTRE_UP_M * left_of_up
    waves[:, OBLIQUITY_RAD] = -np.arcsin(axes[:, 7])
    waves[:, TILT_RAD] = np.arctan2(-axes[:, 6], axes[:, 8])
    waves[:, ROTATION_RAD] = np.arctan2(left, ahead)
    ranges = (np.maximum.reduce(waves, axis=2) - np.minimum.reduce(waves, axis=2)).tolist()
    means = (np.add.reduce(waves, axis=2) * (1.0 / STRIDE_POINTS)).tolist()
    return [
        StrideView(
            initial_contact_s=span.times_s[0],
            toe_off_s=span.toe_off_s,
            next_contact_s=span.times_s[1],
            speed_mps=span.speed_mps,
            from_standing=span.from_standing,
            step_points=round(
                STRIDE_POINTS * (span.contacts[1] - span.contacts[0]) / (span.contacts[2] - span.contacts[0])
            ),
            waves=waves[i].T,
            ranges=tuple(ranges[i]),
            means=tuple(means[i]),
        )
        for i, span in enumerate(spans)
    ]


_UNKNOWN_AXES = np.full((3, 3), np.nan)


# ------------------------------------------------------------------ the recent past

# columns added to the attitude rows
KNOWN, FILLED, CLIPPED = ROW_CHANNELS, ROW_CHANNELS + 1, ROW_CHANNELS + 2
PAST_CHANNELS = ROW_CHANNELS + 3
# 2000 rows = 10 s: sixteen cycles of slow running (0.52 s each), after which the doubtful ones are said as well
LOOK_BACK_ROWS = 2000
# and 700 more: two strides of the longest kind (1.04 s) and the delay of deciding
KEPT_ROWS = LOOK_BACK_ROWS + 700
SMOOTH_TAPS, LEVEL_TAPS = 11, 21
# 5: the touch must be said early; 10 ms of delay instead of 25
TOUCH_TAPS = 5


class Past:
    """The last seconds on the grid: attitude rows, and the smoothed signals the event models read.

    ``rows`` attitude rows (15), KNOWN time, FILLED and CLIPPED flags. ``smooth`` (6) earth-frame force and rate after
    the 11-point window, ``level`` (1) vertical force after the 21-point window; both are found under the
    index on which they are centred.
    """

    def __init__(self) -> None:
        self.rows = History(PAST_CHANNELS, KEPT_ROWS)
        self.smooth = History(6, KEPT_ROWS)
        self.level = History(1, KEPT_ROWS)
        self._smoother = SymmetricSmoother(SMOOTH_TAPS)
        self._leveller = SymmetricSmoother(LEVEL_TAPS)
        self._toucher = SymmetricSmoother(TOUCH_TAPS)
        self.restart(0)

    def restart(self, index: int) -> None:
        """After a hole: nothing before row ``index`` is known."""
        self.rows.restart(index)
        self.smooth.restart(index - SMOOTH_TAPS // 2)
        self.level.restart(index - LEVEL_TAPS // 2)
        self._smoother.reset()
        self._leveller.reset()
        self._toucher.reset()

    def append(self, rows: Array) -> tuple[Array, Array]:
        """Store rows (n, 18); return the new smoothed vertical forces (n,): 5-point, 21-point."""
        smooth = self._smoother.smooth(rows[:, FORCE.start : RATE.stop])
        vertical = rows[:, FORCE.stop - 1 : FORCE.stop]
        level = self._leveller.smooth(vertical)
        self.rows.append(rows)
        self.smooth.append(smooth)
        self.level.append(level)
        return self._toucher.smooth(vertical)[:, 0], level[:, 0]

    def known_s(self, index: int) -> float:
        """Return the time of the last input sample row ``index`` rests on."""
        return self.rows.value(index, KNOWN)


def pelvis_motion(rows: Array, axes: Array | None, ahead: NDArray[np.complex128]) -> tuple[Array, Array, Array, Array]:
    """Return pelvis-frame force (n, 3) in g, and obliquity, tilt, rotation (n,) in deg, of attitude rows.

    ``axes`` (3, 3) are those of the mount, None: all NaN. Rotation is counted from ``ahead`` (n,), the unit
    direction forward points to on average. Call it with whole multiples of 16 rows: the vector and the scalar
    forms of the inverse trigonometric functions differ in the last bit.
    """
    n = len(rows)
    if axes is None:
        unknown = np.full(n, np.nan)
        return np.full((n, 3), np.nan), unknown, unknown, unknown
    # sums of three terms, written out: a matrix product's rounding may depend on the number of rows
    # earth component, sensor component or force, time
    turn = np.ascontiguousarray(rows[:, : FORCE.stop].T).reshape(4, 3, n)
    # earth components (second index) of the pelvis' axes (first)
    across = axes.T[:, :, np.newaxis, np.newaxis]
    pointing = turn[:3, 0] * across[:, 0]
    pointing += turn[:3, 1] * across[:, 1]
    pointing += turn[:3, 2] * across[:, 2]
    force = turn[3, 0] * pointing[:, 0]
    force += turn[3, 1] * pointing[:, 1]
    force += turn[3, 2] * pointing[:, 2]
    east, north, dip = pointing[0]
    c, s = ahead.real, ahead.imag
    rotation = np.arctan2(north * c - east * s, east * c + north * s)
    obliquity = -np.arcsin(np.minimum(np.maximum(pointing[1, 2], -1.0), 1.0))
    tilt = np.arctan2(-dip, pointing[2, 2])
    scale = 180.0 / math.pi
    return np.ascontiguousarray(force.T), obliquity * scale, tilt * scale, rotation * scale
