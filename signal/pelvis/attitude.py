"""Where the sensor points: attitude by VQF, and what it makes of specific force and angular rate.

Laidig and Seel 2023, "VQF: Highly Accurate IMU Orientation Estimation with Bias Estimation
and Magnetic Disturbance Rejection", doi:10.1016/j.inffus.2022.10.014, through its package.
Its accelerometer correction works in an almost-inertial frame and does not normalise the
accelerometer: filters that do err by degrees in running.
"""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import vqf  # type: ignore[import-untyped]  # ships no py.typed

from pelvis.align import GRID_PERIOD_S, GRID_RATE_HZ
from pelvis.data import STANDARD_GRAVITY_MPS2, Array

# 1 s finds the attitude quickly; 3 s afterwards keeps the runner's own accelerations out of it, but only 2 s
# hold an attitude whose gyroscope never rested: its bias is then less well known
TAU_START_S = 1.0
TAU_S = 3.0
TAU_UNRESTED_S = 2.0
# 15 s until the gyroscope's bias is known from motion alone; once the sensor has rested it is known, and 2 s do
START_SAMPLES = int(15 * GRID_RATE_HZ)
RESTED_START_SAMPLES = int(2 * GRID_RATE_HZ)
# 5 s after a hole: a turn that nobody saw is forgotten to one percent
RESTART_SAMPLES = int(5 * GRID_RATE_HZ)
# 10 deg/s: the package's default of 2 breaks with the bias of common MEMS gyroscopes
BIAS_CLIP_DPS = 10.0

# columns of an attitude row
ROTATION = slice(0, 9)
"""Sensor-to-earth rotation matrix, row by row."""
FORCE = slice(9, 12)
"""Specific force in the earth frame, g."""
RATE = slice(12, 15)
"""Bias-corrected angular rate in the earth frame, rad/s."""
ROW_CHANNELS = 15


class _Filter(Protocol):
    """The part of `vqf.VQF` that is used."""

    def updateBatch(self, gyr: Array, acc: Array, /) -> dict[str, Array]: ...  # noqa: N802

    def setTauAcc(self, tau_s: float, /) -> None: ...  # noqa: N802


def _new_filter() -> _Filter:
    made = vqf.VQF(
        GRID_PERIOD_S, tauAcc=TAU_START_S, biasClip=BIAS_CLIP_DPS, biasSigmaInit=3.0, biasForgettingTime=30.0
    )
    return cast("_Filter", made)


class AttitudeTracker:
    """Turns sensor-frame rows into earth-frame rows (z up, heading arbitrary but steady)."""

    def __init__(self) -> None:
        self._filter = _new_filter()
        self._seen = 0
        self._start_samples = START_SAMPLES
        self._settled = False
        self._rested = False

    def track(self, motion: Array, rested: int | None = None) -> Array:
        """Return rows (n, 15) for sensor-frame rows (n, 6: acc_mps2, gyr_radps).

        ``rested`` is the row with which a rest long enough to know the gyroscope's bias was complete.
        """
        n = len(motion)
        if rested is not None and not self._rested:
            head = self.track(motion[: rested + 1])
            self._rested = True
            self._settled = False
            self._start_samples = RESTED_START_SAMPLES
            return np.concatenate((head, self.track(motion[rested + 1 :]))) if rested + 1 < n else head
        if not self._settled:
            start = self._start_samples
            if 0 < start - self._seen < n:
                cut = start - self._seen
                return np.concatenate((self.track(motion[:cut]), self.track(motion[cut:])))
            if self._seen >= start:
                self._settled = True
                self._filter.setTauAcc(TAU_S if self._rested else TAU_UNRESTED_S)
        self._seen += n
        gyr = np.ascontiguousarray(motion[:, 3:])
        said = self._filter.updateBatch(gyr, np.ascontiguousarray(motion[:, :3]))
        return _earth_rows(said["quat6D"], motion[:, :3], gyr - said["bias"])

    def restart(self) -> None:
        """After a hole: the attitude is unknown, settle quickly again. The bias is kept."""
        self._seen = 0
        self._settled = False
        self._start_samples = RESTART_SAMPLES if self._rested else START_SAMPLES
        self._filter.setTauAcc(TAU_START_S)


# which products of the quaternion's components (w, x, y, z) make up the rotation matrix, row by row:
# twice the sum or difference of two products, one minus that on the diagonal
_FIRST = np.array([2, 1, 1, 1, 1, 2, 1, 2, 1])
_FIRST_WITH = np.array([2, 2, 3, 2, 1, 3, 3, 3, 1])
_SECOND = np.array([3, 0, 0, 0, 3, 0, 0, 0, 2])
_SECOND_WITH = np.array([3, 3, 2, 3, 3, 1, 2, 1, 2])
_SIGN = np.array([-2.0, 2.0, 2.0, 2.0, -2.0, 2.0, 2.0, 2.0, -2.0])
_SECOND_SIGN = np.array([-2.0, -2.0, 2.0, 2.0, -2.0, -2.0, -2.0, 2.0, -2.0])
_ONE = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])


def _earth_rows(quaternion: Array, acc_mps2: Array, rate_radps: Array) -> Array:
    # sums of two and three terms, written out: a matrix product's rounding may depend on the length of the block
    n = len(quaternion)
    columns = np.ascontiguousarray(quaternion.T)
    twice = columns.take(_FIRST, axis=0)
    twice *= columns.take(_FIRST_WITH, axis=0)
    twice *= _SIGN[:, np.newaxis]
    other = columns.take(_SECOND, axis=0)
    other *= columns.take(_SECOND_WITH, axis=0)
    other *= _SECOND_SIGN[:, np.newaxis]
    twice += other
    twice += _ONE[:, np.newaxis]
    rows = np.empty((n, ROW_CHANNELS))
    rows[:, ROTATION] = twice.T
    felt = np.empty((2, 1, 3, n))
    np.multiply(acc_mps2.T, 1.0 / STANDARD_GRAVITY_MPS2, out=felt[0, 0])
    felt[1, 0] = rate_radps.T
    # rotation (earth component, sensor component) times what was felt, for force and rate at once
    parts = twice.reshape(3, 3, n) * felt
    turned = parts[:, :, 0] + parts[:, :, 1]
    turned += parts[:, :, 2]
    rows[:, FORCE.start : RATE.stop] = turned.reshape(6, n).T
    return rows
