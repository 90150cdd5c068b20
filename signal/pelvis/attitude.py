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

# 1 s finds the attitude quickly; 3 s afterwards keeps the runner's own accelerations out of it, but only 1.5 s
# hold an attitude whose gyroscope never rested: its bias is then less well known
TAU_START_S = 1.0
TAU_S = 3.0
TAU_UNRESTED_S = 1.5
# 6 s until the gyroscope's bias is roughly known from motion alone; once the sensor has rested it is known, and 2 s do
START_SAMPLES = int(6 * GRID_RATE_HZ)
RESTED_START_SAMPLES = int(2 * GRID_RATE_HZ)
# 5 s after a hole: a turn that nobody saw is forgotten to one percent
RESTART_SAMPLES = int(5 * GRID_RATE_HZ)
# 2 s while rows are made up now and then: each hole turns the attitude by half a degree or more
TAU_DOUBTED_S = 2.0
# 10 s after the last of them: every change of the time constant disturbs by itself
DOUBTED_SAMPLES = int(10 * GRID_RATE_HZ)
# 60 s: follows a bias that drifts by 0.5 deg/s in ten minutes, and a minute's running does not mislead it
BIAS_MEMORY_S = 60.0
# 10 deg/s: the package's default of 2 breaks with the bias of common MEMS gyroscopes
BIAS_CLIP_DPS = 10.0

# 512 rows: what is needed to make them stays in the cache, and in memory that need not be asked for again
PIECE_ROWS = 512

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
        GRID_PERIOD_S, tauAcc=TAU_START_S, biasClip=BIAS_CLIP_DPS, biasSigmaInit=3.0, biasForgettingTime=BIAS_MEMORY_S
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
        rows = np.empty((n, ROW_CHANNELS))
        rested_from = -1 if rested is None or self._rested else rested + 1
        low = 0
        while low < n:
            high = min(n, low + PIECE_ROWS)
            if low < rested_from:
                high = min(high, rested_from)
            if not self._settled:
                unsettled = self._start_samples - self._seen
                if unsettled > 0:
                    high = min(high, low + unsettled)
                else:
                    self._settled = True
                    self._filter.setTauAcc(TAU_S if self._rested else TAU_UNRESTED_S)
            self._seen += high - low
            acc, gyr = motion[low:high, :3], np.ascontiguousarray(motion[low:high, 3:])
            said = self._filter.updateBatch(gyr, np.ascontiguousarray(acc))
            _fill(rows[low:high], said["quat6D"], acc, gyr, said["bias"])
            low = high
            if low == rested_from:
                self._rested = True
                self._settled = False
                self._start_samples = RESTED_START_SAMPLES
        return rows

    def doubt(self) -> None:
        """Rows will be made up, and turn the attitude a little too far or too little: correct it faster for a while."""
        if not self._rested or not (self._settled or self._start_samples == DOUBTED_SAMPLES):
            return
        self._seen = 0
        self._settled = False
        self._start_samples = DOUBTED_SAMPLES
        self._filter.setTauAcc(TAU_DOUBTED_S)

    def restart(self) -> None:
        """After a hole: the attitude is unknown, settle quickly again. The bias is kept."""
        self._seen = 0
        self._settled = False
        self._start_samples = RESTART_SAMPLES if self._rested else START_SAMPLES
        self._filter.setTauAcc(TAU_START_S)


# which products of the quaternion's components (w, x, y, z) make up the rotation matrix, row by row:
# twice the sum or difference of two products, the first nine and the second nine, and one on the diagonal
_FACTORS = np.array(
    (
        (2, 1, 1, 1, 1, 2, 1, 2, 1, 3, 0, 0, 0, 3, 0, 0, 0, 2),
        (2, 2, 3, 2, 1, 3, 3, 3, 1, 3, 3, 2, 3, 3, 1, 2, 1, 2),
    )
)
_TWICE = np.array(
    ((-2.0, 2.0, 2.0, 2.0, -2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, 2.0, 2.0, -2.0, -2.0, -2.0, 2.0, -2.0),)
).T
_ONE = np.array(((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),)).T


def _fill(rows: Array, quaternion: Array, acc_mps2: Array, gyr_radps: Array, bias_radps: Array) -> None:
    # sums of two and three terms, written out: a matrix product's rounding may depend on the length of the block
    n = len(quaternion)
    factors = quaternion.T.take(_FACTORS, axis=0)
    products = factors[0]
    products *= factors[1]
    products *= _TWICE
    rotation = products[:9]
    rotation += products[9:]
    rotation += _ONE
    rows[:, ROTATION] = rotation.T
    felt = np.empty((2, 1, 3, n))
    np.multiply(acc_mps2.T, 1.0 / STANDARD_GRAVITY_MPS2, out=felt[0, 0])
    np.subtract(gyr_radps.T, bias_radps.T, out=felt[1, 0])
    # rotation (earth component, sensor component) times what was felt, for force and rate at once
    parts = rotation.reshape(3, 3, n) * felt
    turned = parts[:, :, 0] + parts[:, :, 1]
    turned += parts[:, :, 2]
    rows[:, FORCE.start : RATE.stop] = turned.reshape(6, n).T
