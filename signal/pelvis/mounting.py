"""How the sensor sits on the pelvis: level from standing, heading from running.

Level: while the runner stands still gravity gives the sensor's tilt against the standing
pelvis. Heading: the forward axis of running (`pelvis.contacts.ForwardAxis`), averaged and
then frozen, so that the reported angles do not wander.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array

# 0.25 s windows; standing people sway by 0.01-0.02 g and 1-3 deg/s
STILL_WINDOW_SAMPLES = 50
STILL_ACC_G = 0.04
STILL_RATE_RADPS = 0.12
# 0.8-1.2 g: what stands still feels gravity and nothing else; sensors err by a few percent
STILL_FORCE_G = (0.8, 1.2)
# 2 s: long enough for a level within 0.3 deg in a swaying stance
SHORTEST_STILL_WINDOWS = 8
# 4 s: a later standing must be this long to replace the level of an earlier one
LONG_STILL_WINDOWS = 16
# 20 s: an older posture than that fades from the mean
LONGEST_STILL_WINDOWS = 80
# 25 deg: more than any runner's trunk leans between standing and running; beyond it the sensor was elsewhere
POSTURE_LIMIT_RAD = math.radians(25.0)


@dataclass(frozen=True, slots=True)
class Still:
    """The runner stood still up to grid ``index``: mean specific force (3,) in g over ``windows`` quarter seconds."""

    index: int
    force_g: Array
    windows: int


class StillFinder:
    """Finds standing still in sensor-frame rows, in quarter seconds counted from the first row."""

    def __init__(self) -> None:
        self._rest = np.empty((0, 6))
        self._index = 0
        self._sum = np.zeros(3)
        self._count = 0

    def find(self, first_index: int, motion: Array) -> Iterator[Still]:
        """Yield a growing `Still` at the end of every still window from 2 s of stillness on."""
        if not len(self._rest):
            self._index = first_index
        rows = np.concatenate((self._rest, motion))
        whole = len(rows) // STILL_WINDOW_SAMPLES
        cut = whole * STILL_WINDOW_SAMPLES
        self._rest = rows[cut:].copy()
        if not whole:
            return
        # channel by channel, each window in one piece
        windows = np.ascontiguousarray(rows[:cut].T).reshape(6, whole, STILL_WINDOW_SAMPLES)
        low, high = np.minimum.reduce(windows, axis=2), np.maximum.reduce(windows, axis=2)
        # peak to peak of a quarter second is about four standard deviations
        spread = np.maximum.reduce(high[:3] - low[:3])
        turn = np.maximum.reduce(np.maximum(-low[3:], high[3:]))
        force = (np.add.reduce(windows[:3], axis=2) * (1.0 / STILL_WINDOW_SAMPLES / STANDARD_GRAVITY_MPS2)).T
        size = np.sqrt(force[:, 0] ** 2 + force[:, 1] ** 2 + force[:, 2] ** 2)
        still = (spread < 4.0 * STILL_ACC_G * STANDARD_GRAVITY_MPS2) & (turn < 4.0 * STILL_RATE_RADPS)
        still &= (size > STILL_FORCE_G[0]) & (size < STILL_FORCE_G[1])
        for k, is_still in enumerate(still.tolist()):
            if not is_still:
                self._count = 0
                self._sum = np.zeros(3)
                continue
            self._sum = self._sum + force[k]
            self._count += 1
            if self._count >= SHORTEST_STILL_WINDOWS:
                yield Still(self._index + (k + 1) * STILL_WINDOW_SAMPLES - 1, self._sum / self._count, self._count)
                if self._count >= LONGEST_STILL_WINDOWS:
                    self._count //= 2
                    self._sum = self._sum * 0.5
        self._index += cut

    def restart(self) -> None:
        """After a hole the windows begin anew."""
        self._rest = self._rest[:0]
        self._count = 0
        self._sum = np.zeros(3)


def unit(vector: Array) -> Array:
    """Return the vector (3,) with length one."""
    return vector / math.sqrt(float(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2))


def angle_between_rad(a: Array, b: Array) -> float:
    """Return the angle between two unit vectors (3,)."""
    cosine = float(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
    return math.acos(max(-1.0, min(1.0, cosine)))


def cross(a: Array, b: Array) -> Array:
    """Return the cross product of two vectors (3,), without `numpy.cross`'s overhead."""
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))


class Mount:
    """The sensor's place on the pelvis as far as it is known.

    ``up`` (3,) is the standing pelvis' vertical in the sensor frame; ``reference`` (3,) a sensor-fixed
    horizontal axis from which headings are counted; ``heading_rad`` the angle from it to forward;
    ``axes`` (3, 3) holds forward, left and up as columns.
    """

    def __init__(self) -> None:
        self.up: Array | None = None
        self.from_standing = False
        self.reference: Array | None = None
        self.heading_rad = math.nan
        self.forward: Array | None = None
        self.left: Array | None = None
        self.axes: Array | None = None

    def set_level(self, up: Array, *, from_standing: bool) -> None:
        """Take a new vertical; the reference axis and heading are carried over onto it."""
        self.up = up
        self.from_standing = from_standing
        if self.reference is None:
            axis = np.zeros(3)
            axis[int(np.argmin(np.abs(up)))] = 1.0
        else:
            axis = self.reference
        self.reference = unit(axis - float(axis[0] * up[0] + axis[1] * up[1] + axis[2] * up[2]) * up)
        if not math.isnan(self.heading_rad):
            self.set_heading(self.heading_rad)

    def set_heading(self, heading_rad: float) -> None:
        """Take the angle from the reference axis to forward, counter-clockwise from above."""
        assert self.up is not None
        assert self.reference is not None
        self.heading_rad = heading_rad
        side = cross(self.up, self.reference)
        self.forward = math.cos(heading_rad) * self.reference + math.sin(heading_rad) * side
        self.left = math.cos(heading_rad) * side - math.sin(heading_rad) * self.reference
        self.axes = np.column_stack((self.forward, self.left, self.up))

    def forget(self) -> None:
        """Know nothing any more: the sensor has moved."""
        self.up = self.reference = self.forward = self.left = self.axes = None
        self.from_standing = False
        self.heading_rad = math.nan
