"""Samples of any sensor, as a file or an array holds them: what a device would have told is found in the samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Samples

MIN_RATE_HZ, MAX_RATE_HZ = 50.0, 500.0
RATE_TOLERANCE = 0.02  # clocks and rounded times: 1 ms steps make 2 % of 50 Hz
RATE_WINDOW_S = 2.0  # the first seconds alone decide the rate: cutting a run changes nothing
MIN_LENGTH_S = 1.0
# 2 g is the smallest range there is; sensors err by a few percent
SMALLEST_RANGE_MPS2 = 1.9 * STANDARD_GRAVITY_MPS2
# standing and running both have a median near 1 g; a wrong unit is off by a factor of 9.8
USUAL_FORCE_G = (0.3, 4.0)


class UnusableError(ValueError):
    """Samples that cannot be analysed; the text says why, and begins with a verb: what holds them is its subject."""


def rate_of(t_s: Array) -> float:
    """Return the nominal rate in Hz of samples at strictly rising times (n,): their first two seconds tell it.

    Raises
    ------
    UnusableError
        When there are too few of them, or their rate is none that can be analysed.
    """
    length_s = float(t_s[-1] - t_s[0]) if len(t_s) > 1 else 0.0
    if length_s < MIN_LENGTH_S:
        raise UnusableError(f"has {len(t_s)} samples over {length_s:.2f} s; at least {MIN_LENGTH_S:g} s is needed")
    # three at least, so that what has a row now and then is told its rate as well
    within = int(np.count_nonzero(t_s <= t_s[0] + RATE_WINDOW_S))
    intervals_s = np.diff(t_s[: max(3, within)])
    # without the holes; the mean of what is left sees through times that were rounded to milliseconds
    # (416 Hz: 2 and 3 ms), where a hole is at least twice the median
    rate_hz = 1.0 / float(np.mean(intervals_s[intervals_s < 1.6 * median(intervals_s)]))
    if not MIN_RATE_HZ * (1 - RATE_TOLERANCE) <= rate_hz <= MAX_RATE_HZ * (1 + RATE_TOLERANCE):
        raise UnusableError(
            f"is sampled at {rate_hz:.4g} Hz; {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz can be analysed "
            "(t_s must be in seconds)"
        )
    return round(rate_hz, 3)


def usual_force_g(acc_mps2: Array) -> float:
    """Return the median size of specific force (n, 3) in g: about 1, else the unit is another."""
    return median(np.linalg.norm(acc_mps2, axis=1)) / STANDARD_GRAVITY_MPS2


class RangeWatch:
    """Finds samples that were clipped, where nothing says at what the sensor's range ends.

    An axis that says the very same thing three times in a row, beyond what the smallest range can say, and more
    than ever before, has nothing more to say. Only samples before have a say.
    """

    def __init__(self) -> None:
        self._last_mps2 = np.full((2, 3), np.nan)
        self._most_mps2 = np.zeros(3)

    def cut(self, t_s: Array, acc_mps2: Array, gyr_radps: Array, rate_hz: float) -> Iterator[Samples]:
        """Yield these rows as samples, cut where they begin or cease to be clipped."""
        if not len(t_s):
            return
        clipped = self._at_end(acc_mps2)
        changes = (clipped[1:] != clipped[:-1]).nonzero()[0] + 1
        for low, high in pairwise((0, *changes.tolist(), len(t_s))):
            yield Samples(
                t_s=np.ascontiguousarray(t_s[low:high]),
                acc_mps2=np.ascontiguousarray(acc_mps2[low:high]),
                gyr_radps=np.ascontiguousarray(gyr_radps[low:high]),
                rate_hz=rate_hz,
                clipped=bool(clipped[low]),
            )

    def _at_end(self, acc_mps2: Array) -> NDArray[np.bool_]:
        size = np.abs(np.concatenate((self._last_mps2, acc_mps2)))
        same = (size[2:] == size[1:-1]) & (size[1:-1] == size[:-2])
        most = np.maximum(np.fmax.accumulate(size, axis=0)[2:], self._most_mps2)
        clipped: NDArray[np.bool_] = (same & (size[2:] >= most) & (size[2:] > SMALLEST_RANGE_MPS2)).any(axis=1)
        self._last_mps2, self._most_mps2 = size[-2:], most[-1]
        return clipped


def median(values: Array) -> float:
    """Return the median of values (n,)."""
    # numpy.median would import numpy.ma, 10 ms
    ordered = np.sort(values)
    return 0.5 * float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])
