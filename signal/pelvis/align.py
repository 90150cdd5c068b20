"""From the sensor's own sample times to one uniform grid of 200 Hz, holes and all.

The event models' coefficients belong to 200 Hz, so every rate is brought to it here, once:
cubic interpolation (Catmull-Rom tangents on the real sample times) at and below 200 Hz, a
linear-phase low-pass first above it. A sample that lies on the grid is taken as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array, Samples
from pelvis.filters import History, SymmetricSmoother

GRID_RATE_HZ = 200.0
GRID_PERIOD_S = 1.0 / GRID_RATE_HZ
# 20 ms: a hole that interpolation crosses without harm to the attitude; in running, longer ones take the stride before
HARMLESS_GAP_S = 0.02
# 80 ms: interpolated all the same as long as there is no stride to take
INTERPOLATED_GAP_S = 0.08
# 0.25 s: as long as the runner is not known to run, a straight line is better than starting over
BRIDGED_SAMPLES = 50
# 5 ms for acceleration, 25 ms for angular rate: as long does a stride differ from the one before in the same way
# (Fukuchi 2017's runners); carried on for longer, the difference at the end of a hole would add up to a wrong angle
_JOIN = np.exp(-np.arange(1.0, 401.0)[:, np.newaxis] / np.repeat((1.0, 5.0), 3))
# 2 % of a grid period: the stamps of an exact 200 Hz clock, rounded to microseconds, count as on the grid
ON_GRID_S = 0.02 * GRID_PERIOD_S
# 4096 samples: the working set of one block stays in the processor's cache
LARGEST_BLOCK = 4096
# 16 samples: up to here plain floats, row by row, take half the time of NumPy, and a third with cold caches
FEW_SAMPLES = 16
# 602 rows: two strides at 80 steps a minute, and both ends of a hole
REMEMBERED_ROWS = 602
# columns of a sample: acceleration, angular rate, whether it was clipped, when it came
_CLIPPED, _CAME_S, _ROW_CHANNELS = 6, 7, 8


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Grid samples ``index`` .. ``index + n``: acceleration and angular rate in the sensor frame.

    ``motion`` (n, 6): acc_mps2 then gyr_radps. ``known_s`` (n,) is the time of the last input
    sample each row rests on. ``filled`` and ``clipped`` (n,) are 1 where a row was made up over
    a hole, and where its samples reached the end of their range, else 0. ``made_up``: all of it is the filling of
    one hole.
    """

    index: int
    motion: Array
    known_s: Array
    filled: Array
    clipped: Array
    made_up: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole too long to fill: the grid goes on at ``next_index``; the sample that ended it came at ``known_s``."""

    next_index: int
    duration_s: float
    known_s: float


class Aligner:
    """Brings `Samples` onto the grid.

    ``stride_samples`` is set by the owner whenever a stride has been measured (0: none), and with it
    ``two_strides_samples``, that stride and the one before (0: none). Holes shorter than a stride are filled with the
    mean of the two strides before, their ends joined; longer ones become a `Hole`.
    """

    def __init__(self) -> None:
        self.stride_samples = 0
        self.two_strides_samples = 0
        self.origin_s = 0.0
        self._next = 0
        self._started = False
        self._times: list[float] = []
        self._rows: list[list[float]] = []
        self._last_s = 0.0
        self._smoother: SymmetricSmoother | None = None
        self._past = History(6, REMEMBERED_ROWS)

    def time_s(self, index: float) -> float:
        """Return the session time of a (fractional) grid index."""
        return self.origin_s + index * GRID_PERIOD_S

    def align(self, samples: Samples) -> Iterator[Aligned | Hole]:
        """Yield the grid rows these samples complete, in order.

        The generator must be consumed in step with the processing of what it yields:
        it reads ``stride_samples`` when it comes to a hole.
        """
        period_s = 1.0 / samples.rate_hz
        times = samples.t_s
        if not len(times):
            return
        if self._started and self._smoother is None and len(times) <= FEW_SAMPLES:
            stamps_s: list[float] = times.tolist()
            before_s = (self._last_s, *stamps_s[:-1])
            if all(t - before - 1.5 * period_s <= HARMLESS_GAP_S for t, before in zip(stamps_s, before_s, strict=True)):
                self._last_s = stamps_s[-1]
                yield from self._interpolate_few(samples, stamps_s, period_s)
                return
        rows = np.empty((len(times), _ROW_CHANNELS))
        rows[:, 0:3] = samples.acc_mps2
        rows[:, 3:6] = samples.gyr_radps
        rows[:, _CLIPPED] = samples.clipped
        rows[:, _CAME_S] = times
        if not self._started:
            self._started = True
            self.origin_s = float(times[0])
            self._last_s = self.origin_s - period_s
            if samples.rate_hz > 1.1 * GRID_RATE_HZ:
                self._smoother = SymmetricSmoother(2 * round(samples.rate_hz / GRID_RATE_HZ) + 1)
        steps_s = np.diff(times, prepend=self._last_s) - 1.5 * period_s
        holes = (steps_s > HARMLESS_GAP_S).nonzero()[0]
        self._last_s = float(times[-1])
        start = 0
        for hole in (*holes.tolist(), len(times)):
            for low in range(start, hole, LARGEST_BLOCK):
                high = min(hole, low + LARGEST_BLOCK)
                yield from self._interpolate(times[low:high], rows[low:high], period_s)
            if hole < len(times) and (self.stride_samples or steps_s[hole] > INTERPOLATED_GAP_S):
                yield from self._cross(float(times[hole]), rows[hole, :6])
            start = hole

    def _interpolate(self, times: Array, rows: Array, period_s: float) -> Iterator[Aligned]:
        if self._smoother is not None:
            # what comes out belongs to the smoothed time, which sees lost samples as well, but is known only now
            rows = self._smoother.smooth(rows)
            rows[:, _CLIPPED] = rows[:, _CLIPPED] > 0.0
            times, rows[:, _CAME_S] = rows[:, _CAME_S].copy(), times
        t = np.concatenate((self._times, times))
        x = np.concatenate((np.array(self._rows).reshape(-1, _ROW_CHANNELS), rows))
        grid, left, on_sample = self._ready(t)
        if len(grid):
            between = (~on_sample).nonzero()[0]
            lost: Array | None = None
            if len(between) == len(grid):
                out, lost = _between(t, x, grid, left, period_s)
                need = left + 2
            else:
                out, need = x.take(left, axis=0), left
                if len(between):
                    lost = np.zeros(len(grid))
                    out[between], lost[between] = _between(t, x, grid[between], left[between], period_s)
                    need[between] += 2
            first = self._next
            self._next += len(grid)
            motion = np.ascontiguousarray(out[:, :6])
            self._past.append(motion)
            # a row that lies on a sample still waits for the rows before it
            known_s = np.maximum.accumulate(x[:, _CAME_S].take(need))
            filled = np.zeros(len(grid)) if lost is None else lost
            yield Aligned(first, motion, known_s, filled=filled, clipped=x[:, _CLIPPED].take(need))
        self._times = t[-4:].tolist()
        self._rows = x[-4:].tolist()

    def _interpolate_few(self, samples: Samples, stamps_s: list[float], period_s: float) -> Iterator[Aligned]:
        """Do as `_interpolate` does, to the last bit, one row after the other."""
        t = self._times + stamps_s
        clipped = float(samples.clipped)
        felt = zip(samples.acc_mps2.tolist(), samples.gyr_radps.tolist(), stamps_s, strict=True)
        x = self._rows + [[*acc, *gyr, clipped, came_s] for acc, gyr, came_s in felt]
        out: list[list[float]] = []
        needed: list[list[float]] = []
        filled: list[float] = []
        index, end = self._next, len(t) - 1
        last_index = math.floor((t[-1] + ON_GRID_S - self.origin_s) / GRID_PERIOD_S)
        left = 0
        while index <= last_index:
            grid = self.origin_s + index * GRID_PERIOD_S
            while left < end and t[left + 1] <= grid + ON_GRID_S:
                left += 1
            if grid - t[left] <= ON_GRID_S:
                out.append(x[left][:6])
                needed.append(x[left])
                filled.append(0.0)
            elif left < end - 1:
                row, lost = _between_few(t, x, grid, left, period_s)
                out.append(row)
                needed.append(x[left + 2])
                filled.append(lost)
            else:
                break
            index += 1
        if out:
            first = self._next
            self._next = index
            motion = np.array(out)
            self._past.append(motion)
            # a row that lies on a sample still waits for the rows before it
            known_s = np.array(list(accumulate((sample[_CAME_S] for sample in needed), max)))
            made = np.array([sample[_CLIPPED] for sample in needed])
            yield Aligned(first, motion, known_s, filled=np.array(filled), clipped=made)
        self._times = t[-4:]
        self._rows = x[-4:]

    def _ready(self, t: Array) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
        """Return the grid times that can be made now, the samples at or before them, and which lie on their sample."""
        last_index = math.floor((t[-1] + ON_GRID_S - self.origin_s) / GRID_PERIOD_S)
        grid: Array = self.origin_s + np.arange(self._next, last_index + 1, dtype=np.float64) * GRID_PERIOD_S
        left = t.searchsorted(grid + ON_GRID_S, side="right")
        left -= 1
        np.maximum(left, 0, out=left)
        on_sample = grid - t.take(left) <= ON_GRID_S
        ready = on_sample | (left < len(t) - 2)
        n = len(grid) if ready.all() else int(ready.argmin())
        return grid[:n], left[:n], on_sample[:n]

    def _cross(self, resume_s: float, row: Array) -> Iterator[Aligned | Hole]:
        """Fill the grid up to the sample after the hole, or say that it cannot be filled."""
        resume = int(np.ceil((resume_s - ON_GRID_S - self.origin_s) / GRID_PERIOD_S))
        missing = resume - self._next
        made_up = self._made_up(missing, row) if missing > 0 else None
        if made_up is not None:
            first = self._next
            self._next = resume
            self._past.append(made_up)
            known_s = np.full(missing, resume_s)
            yield Aligned(first, made_up, known_s, filled=np.ones(missing), clipped=np.zeros(missing), made_up=True)
        elif missing > 0:
            self._next = resume
            self._past.restart(0)
            yield Hole(resume, missing * GRID_PERIOD_S, resume_s)
        self._times = []
        self._rows = []
        if self._smoother is not None:
            self._smoother.reset()

    def _made_up(self, missing: int, row: Array) -> Array | None:
        """Return rows over a hole of ``missing`` rows before ``row``: the stride before, else a line, else None."""
        end = self._past.end
        past = self._past.view(max(self._past.start, end - REMEMBERED_ROWS), end)
        strides = [stride for stride in (self.stride_samples, self.two_strides_samples) if missing < stride < len(past)]
        if strides:
            # what the strides before had, from the last sample to the next
            usual = np.zeros((missing + 2, 6))
            for stride in strides:
                back = len(past) - 1 - stride
                usual += past[back : back + missing + 2]
            usual *= 1.0 / len(strides)
            # this stride's own way: known at both ends, and soon forgotten between
            filled: Array = usual[1:-1]
            filled += _JOIN[:missing] * (past[-1] - usual[0])
            filled += _JOIN[missing - 1 :: -1] * (row - usual[-1])
            return filled
        part: Array = ((np.arange(missing, dtype=np.float64) + 1.0) / (missing + 1.0))[:, np.newaxis]
        if missing <= BRIDGED_SAMPLES and len(past):
            line: Array = (1.0 - part) * past[-1] + part * row
            return line
        return None


def _between(t: Array, x: Array, grid: Array, left: NDArray[np.intp], period_s: float) -> tuple[Array, Array]:
    """Interpolate rows x (n, channels) at times ``grid`` by cubics through the samples, tangents from their neighbours.

    A neighbour beyond a hole gives no tangent: there the slope of the interval itself is used. Returns the rows, and
    1 where the interval itself is a hole, else 0.
    """
    width_s = t[1:] - t[:-1]
    near = width_s <= 1.5 * period_s
    width = width_s.take(left)
    s = (grid - t.take(left)) / width
    # Hermite's basis; each tangent is a difference of two samples, so that four weights are all there is
    rise = (3.0 - 2.0 * s) * s * s
    first = ((s - 2.0) * s + 1.0) * s * width
    second = (s - 1.0) * s * s * width
    i0 = left - 1
    weights = np.empty((4, len(grid), 1))
    if near.all() and left[0] > 0:
        lost = np.zeros(len(grid))
        first /= width_s.take(i0) + width
        second /= width + width_s.take(left + 1)
        weights[0, :, 0] = -first
        weights[1, :, 0] = 1.0 - rise - second
        weights[2, :, 0] = rise + first
        weights[3, :, 0] = second
    else:
        np.maximum(i0, 0, out=i0)
        before, after = near.take(i0) & (left > 0), near.take(left + 1)
        lost = (~near.take(left)).astype(np.float64)
        first /= np.where(before, width_s.take(i0) + width, width)
        second /= np.where(after, width + width_s.take(left + 1), width)
        weights[0, :, 0] = np.where(before, -first, 0.0)
        weights[1, :, 0] = 1.0 - rise - second - np.where(before, 0.0, first)
        weights[2, :, 0] = rise + first + np.where(after, 0.0, second)
        weights[3, :, 0] = np.where(after, second, 0.0)
    out: Array = x.take(left, axis=0)
    out *= weights[1]
    out += x.take(i0, axis=0) * weights[0]
    out += x.take(left + 1, axis=0) * weights[2]
    out += x.take(left + 2, axis=0) * weights[3]
    return out, lost


def _between_few(
    t: list[float], x: list[list[float]], grid: float, left: int, period_s: float
) -> tuple[list[float], float]:
    """Interpolate one row (6 channels) as `_between` does, to the last bit."""
    width = t[left + 1] - t[left]
    s = (grid - t[left]) / width
    rise = (3.0 - 2.0 * s) * s * s
    first = ((s - 2.0) * s + 1.0) * s * width
    second = (s - 1.0) * s * s * width
    before = left > 0 and t[left] - t[left - 1] <= 1.5 * period_s
    after = t[left + 2] - t[left + 1] <= 1.5 * period_s
    first /= t[left] - t[left - 1] + width if before else width
    second /= width + (t[left + 2] - t[left + 1]) if after else width
    w0 = -first if before else 0.0
    w1 = 1.0 - rise - second if before else 1.0 - rise - second - first
    w2 = rise + first if after else rise + first + second
    w3 = second if after else 0.0
    around = zip(x[left][:6], x[max(left - 1, 0)], x[left + 1], x[left + 2])  # noqa: B905 - the first six channels
    row = [b * w1 + a * w0 + c * w2 + d * w3 for b, a, c, d in around]
    return row, 0.0 if width <= 1.5 * period_s else 1.0
