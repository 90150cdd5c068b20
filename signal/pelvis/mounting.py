"""How the sensor sits on the pelvis: level from standing, heading from running, and whether it moved on the belt.

Level: while the runner stands still gravity gives the sensor's tilt against the standing
pelvis. Heading: the forward axis of running (`pelvis.contacts.ForwardAxis`), averaged and
then frozen, so that the reported angles do not wander. A sensor that moves on the belt is
told from a runner who changes by how fast and how far (`SlipWatch`); its new place follows
from the running posture, which stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pelvis.data import FORWARD, LEFT, STANDARD_GRAVITY_MPS2, UP, Array

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

# 7 deg: forward found from eight steps strays from the frozen one by 3.2 deg at most in 48 runs
TURNED_LIMIT_RAD = math.radians(7.0)
# sideways 4 deg: bends, camber and speed change the mean lean of the pelvis by less than 2
LEAN_LIMIT_RAD = math.radians(4.0)
# forward 7 deg: a steep hill or 2 m/s of speed change the mean tilt by up to 6
TILT_LIMIT_RAD = math.radians(7.0)
# 15 deg any way: not even a sharp turn does that for long
FAR_RAD = math.radians(15.0)
# 0.01: 100 steps; a posture that changes within a minute is followed, one that changes within seconds is none
POSTURE_MEMORY = 0.01
# 10 steps: a posture known well enough to compare with
POSTURE_STEPS = 10
# 0.15 rad/s: at 4 m/s the apparent vertical of a bend then leans by 3.5 deg
TURNING_RADPS = 0.15
# 12 steps: the attitude has forgotten a bend, and a stumble or a spurt is over
STEADY_STEPS = 12
# 6 steps in a row: nobody runs sideways that long
DOUBTED_STEPS = 6


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


def level(axis: Array, up: Array) -> Array:
    """Return the unit vector (3,) at right angles to ``up`` (a unit vector) that is nearest to ``axis``."""
    return unit(axis - float(axis[0] * up[0] + axis[1] * up[1] + axis[2] * up[2]) * up)


def cross(a: Array, b: Array) -> Array:
    """Return the cross product of two vectors (3,), without `numpy.cross`'s overhead."""
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))


Posture: TypeAlias = tuple[float, float, float]
"""The mean vertical of running in pelvis axes (forward, left, up): how the pelvis is held against standing."""


class Mount:
    """The sensor's place on the pelvis as far as it is known.

    ``up`` (3,) is the standing pelvis' vertical in the sensor frame; ``reference`` (3,) a sensor-fixed
    horizontal axis from which headings are counted; ``heading_rad`` the angle from it to forward;
    ``bank_rad`` how far the vertical that was felt leans to the right of the true one, as in a bend to the
    left; ``axes`` (3, 3) holds forward, left and up as columns, against the true one.
    """

    def __init__(self) -> None:
        self.up: Array | None = None
        self.from_standing = False
        self.reference: Array | None = None
        self.heading_rad = math.nan
        self.bank_rad = 0.0
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
        self.reference = level(axis, up)
        if not math.isnan(self.heading_rad):
            self.set_heading(self.heading_rad)

    def set_heading(self, heading_rad: float) -> None:
        """Take the angle from the reference axis to forward, counter-clockwise from above."""
        assert self.up is not None
        assert self.reference is not None
        self.heading_rad = heading_rad
        side = cross(self.up, self.reference)
        self.forward = math.cos(heading_rad) * self.reference + math.sin(heading_rad) * side
        left = math.cos(heading_rad) * side - math.sin(heading_rad) * self.reference
        c, s = math.cos(self.bank_rad), math.sin(self.bank_rad)
        self.left = c * left - s * self.up
        self.axes = np.column_stack((self.forward, self.left, c * self.up + s * left))

    def set_bank(self, bank_rad: float) -> None:
        """Take how far the vertical that is felt leans to the right."""
        self.bank_rad = bank_rad
        if not math.isnan(self.heading_rad):
            self.set_heading(self.heading_rad)

    def carry_over(self, running_up: Array, heading_rad: float, posture: Posture) -> None:
        """Find the place of a sensor that moved: the runner's ``posture`` is as before, seen now along ``running_up``.

        ``running_up`` (3,) is the mean vertical of running in the sensor frame.
        """
        assert self.reference is not None
        # the frame of running: level with the mean vertical
        reference = level(self.reference, running_up)
        side = cross(running_up, reference)
        forward = math.cos(heading_rad) * reference + math.sin(heading_rad) * side
        left = math.cos(heading_rad) * side - math.sin(heading_rad) * reference
        up = posture[UP] * running_up - posture[FORWARD] * forward - posture[LEFT] * left
        self.heading_rad = heading_rad
        self.set_level(unit(up), from_standing=self.from_standing)

    def forget(self) -> None:
        """Know nothing any more: the sensor has moved."""
        self.up = self.reference = self.forward = self.left = self.axes = None
        self.from_standing = False
        self.heading_rad = math.nan


# 5.5 deg: by as much the pelvis tips forward from standing to running, with a spread of 4.5 (Fukuchi 2017's runners)
USUAL_TILT_RAD = math.radians(5.5)
USUAL_POSTURE: Posture = (-math.sin(USUAL_TILT_RAD), 0.0, math.cos(USUAL_TILT_RAD))


class SlipWatch:
    """Tells a sensor that moved on the belt from a runner who changes.

    What a sensor does when it slips no runner does: forward turns on the pelvis, or the mean vertical
    of running leaves its place by more than posture can, for good, within seconds. Slow changes are
    followed: fatigue and hills are the runner's.
    """

    def __init__(self) -> None:
        self._posture = USUAL_POSTURE
        self._steps = 0
        self._turned = 0
        self._tipped = 0
        self._straight = 0
        self._was_turning = False

    @property
    def posture(self) -> Posture:
        """The runner's posture as it was before anything was in doubt."""
        return self._posture

    def watch(self, posture: Posture, turned_rad: float, yaw_radps: float, *, opposed: bool, settled: bool) -> bool:
        """Take in a step; return whether the sensor has moved.

        ``posture`` is the mean vertical of the last two steps in pelvis axes as the mount has them,
        ``turned_rad`` the angle from the mount's forward to that of the last steps, ``yaw_radps`` how fast
        the runner turned, ``opposed``: forward looks like backward in this step; ``settled``: the mount is none that
        was itself made to fit the posture a moment ago, so that the posture may be learned from it.
        """
        forward, left, up = posture
        ref_forward, ref_left, ref_up = self._posture
        turning = abs(yaw_radps) > TURNING_RADPS
        # a single step may seem to turn
        self._straight = 0 if turning and self._was_turning else self._straight + 1
        self._was_turning = turning
        tilted_rad = leant_rad = 0.0
        if self._steps >= POSTURE_STEPS:
            tilted_rad = math.atan2(forward, up) - math.atan2(ref_forward, ref_up)
            tilted_rad = abs(math.remainder(tilted_rad, 2.0 * math.pi))
            leant_rad = math.atan2(left, up) - math.atan2(ref_left, ref_up)
            leant_rad = abs(math.remainder(leant_rad, 2.0 * math.pi))
        tipped = tilted_rad > TILT_LIMIT_RAD or leant_rad > LEAN_LIMIT_RAD
        far = opposed or max(abs(turned_rad), tilted_rad, leant_rad) > FAR_RAD
        turned = far or abs(turned_rad) > TURNED_LIMIT_RAD
        self._turned = self._turned + 1 if far or (turned and self._straight >= DOUBTED_STEPS) else 0
        self._tipped = self._tipped + 1 if tipped and self._straight >= STEADY_STEPS else 0
        if self._turned >= DOUBTED_STEPS or self._tipped >= STEADY_STEPS:
            self._turned = self._tipped = 0
            return True
        if settled and not turned and not tipped:
            self._steps += 1
            share = max(POSTURE_MEMORY, 1.0 / self._steps)
            self._posture = (
                ref_forward + share * (forward - ref_forward),
                ref_left + share * (left - ref_left),
                ref_up + share * (up - ref_up),
            )
        return False

    @property
    def doubts(self) -> int:
        """Steps in a row that do not fit the mount."""
        return max(self._turned, self._tipped)

    def restart(self) -> None:
        """Learn the posture anew: another level was taken."""
        self._steps = 0
        self._turned = self._tipped = 0
