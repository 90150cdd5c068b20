"""Causal smoothing that remembers where it stopped, and the store of the recent past.

Everything here is elementwise along time, so that the portions in which samples arrive
cannot change one bit of a result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array


def interior_hann(taps: int) -> Array:
    """Return the ``taps`` non-zero weights of a Hann window, summing to one.

    Linear phase: the smoothed signal lags by ``(taps - 1) / 2`` samples exactly.
    """
    window = np.hanning(taps + 2)[1:-1]
    return np.asarray(window / window.sum(), dtype=np.float64)


class SymmetricSmoother:
    """A linear-phase FIR over (n, channels); its output lags the input by `delay_samples`.

    The past before the first sample is taken to be that sample held.
    """

    def __init__(self, taps: int) -> None:
        self._weights = interior_hann(taps)
        self._taps = taps
        self.delay_samples = taps // 2
        self._past: History | None = None

    def smooth(self, block: Array) -> Array:
        """Return (n, channels): row i is centred ``delay_samples`` rows before row i of the block."""
        before = self._taps - 1
        if self._past is None:
            self._past = History(block.shape[1], before)
            self._past.append(np.repeat(block[:1], before, axis=0))
        self._past.append(block)
        n, end = len(block), self._past.end
        window = self._past.view(end - n - before, end)
        # every window of the past by itself: each sum is made the same way whatever the length of the block
        step, channel = window.strides
        windows = np.ndarray((n, window.shape[1], self._taps), np.float64, window, 0, (step, channel, step))
        smoothed: Array = np.einsum("nct,t->nc", windows, self._weights)
        return smoothed

    def reset(self) -> None:
        """Forget the past; the next sample is held backwards again."""
        self._past = None


class History:
    """The last samples of some channels, found again by their absolute index."""

    def __init__(self, channels: int, keep: int, first_index: int = 0) -> None:
        self._keep = keep
        self._rows = np.empty((4 * keep, channels))
        self._count = 0
        self._offset = first_index

    @property
    def end(self) -> int:
        """The absolute index after the last row."""
        return self._offset + self._count

    @property
    def start(self) -> int:
        """The absolute index of the oldest row still held."""
        return self._offset

    def append(self, block: Array) -> None:
        """Add rows; at least the last ``keep`` rows before the block stay readable."""
        n = len(block)
        if self._count + n > len(self._rows):
            kept = min(self._keep, self._count)
            rows = self._rows
            if kept + n > len(rows):
                rows = np.empty((2 * (kept + n), rows.shape[1]))
            rows[:kept] = self._rows[self._count - kept : self._count].copy()
            self._rows = rows
            self._offset += self._count - kept
            self._count = kept
        self._rows[self._count : self._count + n] = block
        self._count += n

    def restart(self, index: int) -> None:
        """Forget everything; the next row has this absolute index."""
        self._count = 0
        self._offset = index

    def value(self, index: int, channel: int) -> float:
        """Return one value of row ``index`` (absolute)."""
        if not self._offset <= index < self.end:
            raise IndexError(f"row {index} is not held (have {self._offset}..{self.end})")
        return float(self._rows.item(index - self._offset, channel))

    def view(self, start: int, stop: int) -> Array:
        """Return rows ``start`` to ``stop`` (absolute, half-open) without copying; do not write into it."""
        low = start - self._offset
        if low < 0 or stop - self._offset > self._count:
            raise IndexError(f"rows {start}..{stop} are not held (have {self._offset}..{self.end})")
        return self._rows[low : stop - self._offset]


def at_fraction(rows: Array, position: Array, first_row: NDArray[np.intp] | int = 0) -> Array:
    """Interpolate (n, channels) linearly at fractional positions (m,) from ``first_row`` on; return (m, channels).

    Counting from a row near the positions keeps their last bits independent of where ``rows`` begin.
    """
    whole = position.astype(np.intp)
    part = (position - whole)[:, np.newaxis]
    whole += first_row
    low = rows.take(whole, axis=0)
    whole += 1
    change = rows.take(whole, axis=0)
    change -= low
    change *= part
    change += low
    return change
