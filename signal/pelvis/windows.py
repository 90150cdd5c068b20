"""Windows on the recent past, one step, one stride: the signals from which `pelvis.metrics` measures.

Angles come from the attitude rows and the mount; positions from specific force by Fourier
integration over the stride, which is periodic and needs no starting velocity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, slots=True, eq=False)
class StepView:
    """One stance and the step before it.

    ``obliquity_rad`` (n,) and ``forward_mps2`` (m,) run from initial contact to toe-off (the first
    value exactly at initial contact); NaN arrays of length 0 where mount or heading is unknown.
    """

    initial_contact_s: float
    toe_off_s: float
    previous_contact_s: float
    side: Side
    from_standing: bool
    obliquity_rad: Array
    forward_mps2: Array
    sample_s: float = GRID_PERIOD_S

    @property
    def swing_down(self) -> float:
        """+1 where a rising right side means that the swing side falls (right stance), -1 in left stance."""
        if self.side is Side.UNKNOWN:
            return math.nan
        return 1.0 if self.side is Side.RIGHT else -1.0


@dataclass(frozen=True, slots=True, eq=False)
class StrideView:
    """One stride: STRIDE_POINTS equal parts from a contact to the second next; arrays (64,), m and rad.

    ``up_m``, ``left_m`` of the sensor point and ``centre_left_m`` of the pelvis centre have zero mean.
    ``step_points`` is the number of points up to the contact between.
    """

    initial_contact_s: float
    toe_off_s: float
    next_contact_s: float
    second_next_contact_s: float
    from_standing: bool
    step_points: int
    up_m: Array
    left_m: Array
    centre_left_m: Array
    obliquity_rad: Array
    tilt_rad: Array
    rotation_rad: Array


def stance_obliquity(rows: Array, start: int, contact: float, toe_off: float, mount: Mount) -> Array:
    """Return obliquity (n,) in rad, right side up positive, at ``contact`` and on every row up to ``toe_off``.

    ``rows`` are attitude rows from absolute index ``start`` on.
    """
    if mount.left is None:
        return np.empty(0)
    first = int(contact) - start
    window = rows[first : int(toe_off) - start + 1, 6:9]
    x, y, z = mount.left.tolist()
    rise = window[:, 0] * x + window[:, 1] * y + window[:, 2] * z
    part = contact - int(contact)
    rise[0] += part * (rise[1] - rise[0])
    angle: Array = -np.arcsin(rise)
    return angle


_WAVE = np.fft.fftfreq(STRIDE_POINTS, 1.0 / STRIDE_POINTS)[1 : INTEGRATED_HARMONICS + 1]


def displacement_m(acceleration_mps2: Array, duration_s: float) -> Array:
    """Return the periodic displacement (64, channels) of accelerations (64, channels) over one stride, mean removed."""
    spectrum = np.fft.rfft(acceleration_mps2, axis=0)
    omega = (2.0 * np.pi / duration_s) * _WAVE
    spectrum[0] = 0.0
    spectrum[1 : INTEGRATED_HARMONICS + 1] *= (-1.0 / (omega * omega))[:, np.newaxis]
    spectrum[INTEGRATED_HARMONICS + 1 :] = 0.0
    moved: Array = np.fft.irfft(spectrum, STRIDE_POINTS, axis=0)
    return moved


_POINTS = np.arange(STRIDE_POINTS) / STRIDE_POINTS


def view_stride(
    rows: Array,
    start: int,
    contacts: tuple[float, float, float],
    times_s: tuple[float, float, float],
    toe_off_s: float,
    mount: Mount,
) -> StrideView:
    """Return the view of the stride between three successive contacts (fractional indices and times)."""
    first, middle, last = contacts
    sampled = at_fraction(rows[:, :12], first - start + (last - first) * _POINTS)
    duration_s = times_s[2] - times_s[0]
    step_points = round(STRIDE_POINTS * (middle - first) / (last - first))
    force = sampled[:, FORCE] * STANDARD_GRAVITY_MPS2
    if mount.forward is None or mount.left is None or mount.up is None:
        up_m = displacement_m(force[:, 2:], duration_s)[:, 0]
        nothing = np.full(STRIDE_POINTS, np.nan)
        return StrideView(
            times_s[0], toe_off_s, times_s[1], times_s[2], mount.from_standing, step_points, up_m,
            nothing, nothing, nothing, nothing, nothing,
        )  # fmt: skip
    rotation = sampled[:, ROTATION].reshape(STRIDE_POINTS, 3, 3)
    axes = np.einsum("nij,kj->nik", rotation, np.array((mount.forward, mount.left, mount.up)))
    # axes[n, i, k]: earth component i of the pelvis' forward, left, up axis
    east, north = axes[:, 0, 0], axes[:, 1, 0]
    mean_east, mean_north = float(east.sum()), float(north.sum())
    size = math.hypot(mean_east, mean_north)
    c, s = mean_east / size, mean_north / size
    left_force = force[:, 1] * c - force[:, 0] * s
    moved = displacement_m(np.column_stack((left_force, force[:, 2])), duration_s)
    lever = CENTRE_FORWARD_M * axes[:, :, 0] + CENTRE_UP_M * axes[:, :, 2]
    centre = moved[:, 0] + (lever[:, 1] * c - lever[:, 0] * s)
    yaw = np.arctan2(north * c - east * s, east * c + north * s)
    # straight or not: what the heading gains over the stride is the runner's turn, not the pelvis' rotation
    yaw = yaw - yaw.mean()
    return StrideView(
        initial_contact_s=times_s[0],
        toe_off_s=toe_off_s,
        next_contact_s=times_s[1],
        second_next_contact_s=times_s[2],
        from_standing=mount.from_standing,
        step_points=step_points,
        up_m=moved[:, 1],
        left_m=moved[:, 0],
        centre_left_m=centre - centre.mean(),
        obliquity_rad=-np.arcsin(axes[:, 2, 1]),
        tilt_rad=np.arctan2(-axes[:, 2, 0], axes[:, 2, 2]),
        rotation_rad=yaw,
    )


# ------------------------------------------------------------------ the recent past

# columns added to the attitude rows
KNOWN, FILLED = ROW_CHANNELS, ROW_CHANNELS + 1
# 700 rows: two strides of the longest kind (1.04 s) and the delay of deciding
KEPT_ROWS = 700
SMOOTH_TAPS, LEVEL_TAPS = 11, 21


class Past:
    """The last seconds on the grid: attitude rows, and the smoothed signals the event models read.

    ``rows`` attitude rows (15), KNOWN time, FILLED flag. ``smooth`` (6) earth-frame force and rate after
    the 11-point window, ``level`` (1) vertical force after the 21-point window; both are found under the
    index on which they are centred.
    """

    def __init__(self) -> None:
        self.rows = History(ROW_CHANNELS + 2, KEPT_ROWS)
        self.smooth = History(6, KEPT_ROWS)
        self.level = History(1, KEPT_ROWS)
        self._smoother = SymmetricSmoother(SMOOTH_TAPS)
        self._leveller = SymmetricSmoother(LEVEL_TAPS)
        self.restart(0)

    def restart(self, index: int) -> None:
        """After a hole: nothing before row ``index`` is known."""
        self.rows.restart(index)
        self.smooth.restart(index - SMOOTH_TAPS // 2)
        self.level.restart(index - LEVEL_TAPS // 2)
        self._smoother.reset()
        self._leveller.reset()

    def append(self, rows: Array) -> tuple[Array, Array]:
        """Store attitude rows (n, 17); return the new smoothed vertical forces (n,): 11-point, 21-point."""
        smooth = self._smoother.smooth(rows[:, FORCE.start : RATE.stop])
        level = self._leveller.smooth(rows[:, FORCE.stop - 1 : FORCE.stop])
        self.rows.append(rows)
        self.smooth.append(smooth)
        self.level.append(level)
        return smooth[:, 2], level[:, 0]

    def known_s(self, index: int) -> float:
        """Return the time of the last input sample row ``index`` rests on."""
        return float(self.rows.view(index, index + 1)[0, KNOWN])


def pelvis_motion(rows: Array, mount: Mount, mean_heading: complex) -> tuple[Array, Array, Array, Array]:
    """Return pelvis-frame force (n, 3) in g, and obliquity, tilt, rotation (n,) in deg, of attitude rows.

    Rotation is counted from ``mean_heading``, the reference axis' mean direction over the last two steps.
    Call it with whole multiples of 16 rows: the vector and the scalar forms of the inverse
    trigonometric functions differ in the last bit.
    """
    n = len(rows)
    if mount.forward is None or mount.left is None or mount.up is None:
        unknown = np.full(n, np.nan)
        return np.full((n, 3), np.nan), unknown, unknown, unknown
    r = rows.T
    force = np.empty((n, 3))
    axes: list[tuple[Array, Array, Array]] = []
    for k, axis in enumerate((mount.forward, mount.left, mount.up)):
        x, y, z = axis.tolist()
        east, north, high = (r[3 * i] * x + r[3 * i + 1] * y + r[3 * i + 2] * z for i in range(3))
        force[:, k] = r[9] * east + r[10] * north + r[11] * high
        axes.append((east, north, high))
    ahead = mean_heading * complex(math.cos(mount.heading_rad), math.sin(mount.heading_rad))
    east, north, dip = axes[0]
    rotation = np.arctan2(north * ahead.real - east * ahead.imag, east * ahead.real + north * ahead.imag)
    obliquity = -np.arcsin(np.clip(axes[1][2], -1.0, 1.0))
    tilt = np.arctan2(-dip, axes[2][2])
    scale = 180.0 / math.pi
    return force, obliquity * scale, tilt * scale, rotation * scale
