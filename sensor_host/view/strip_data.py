"""What a strip of steps shows, reckoned in pixels: points, running medians, a range that stands still. No Qt.

1. However many steps there are, no more than a few points per pixel column are drawn: of those that fall on one column
   the lowest and the highest, so that no stray step is lost.
2. A range changes only when the steps leave it or fill less than a third of it: the runner moves, not the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pelvis.data import Array, Side
from sensor_host.screen import REMEMBERED_STEPS
from sensor_host.view.figures import FIGURES, FRESH_S
from sensor_host.view.timeline import SIDE_CODES, Timeline

# 5: fewer steps have no median worth a line
_LEAST_STEPS: Final = 5
# of the steps that are seen, the outermost 2 % on either side do not move the scale
_OUTER_PERCENT: Final = 2.0
_LEAST_FILLED: Final = 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One metric between two times.

    ``points``: times and values of each side's steps. ``lines``: of the medians of the last steps, one for each foot
    where a few steps tell them apart, else one of both (unknown); NaN where nobody ran. ``latest``: their ends.
    """

    name: str
    points: dict[Side, tuple[Array, Array]]
    lines: dict[Side, tuple[Array, Array]]
    latest: dict[Side, float]

    @property
    def values(self) -> Array:
        """All values of all sides."""
        return np.concatenate([values for _, values in self.points.values()])


def strip_between(timeline: Timeline, name: str, from_s: float, to_s: float, width_px: int) -> Strip:
    """Return what a strip of so many pixels shows of a metric between two times."""
    rows = timeline.steps_between(from_s - 60.0, to_s)
    t_s, values, sides = (timeline.column(column, rows) for column in ("initial_contact_s", name, "side"))
    known = np.isfinite(values)
    t_s, values, sides = t_s[known], values[known], sides[known]
    begin = int(np.searchsorted(t_s, from_s))
    points: dict[Side, tuple[Array, Array]] = {}
    for side, code in SIDE_CODES.items():
        mine = np.flatnonzero(sides[begin:] == code) + begin
        points[side] = thinned(t_s[mine], values[mine], from_s, to_s, width_px)
    lines: dict[Side, tuple[Array, Array]] = {}
    latest: dict[Side, float] = {}
    apart = (Side.LEFT, Side.RIGHT) if FIGURES[name].told_apart else (Side.UNKNOWN,)
    for side in apart:
        mine = np.ones(len(t_s), np.bool_) if side is Side.UNKNOWN else sides == SIDE_CODES[side]
        window = REMEMBERED_STEPS if side is Side.UNKNOWN else REMEMBERED_STEPS // 2
        lines[side] = running_median(t_s[mine], values[mine], window, begin_s=from_s, most=width_px // 3)
        if len(lines[side][1]):
            latest[side] = float(lines[side][1][-1])
    return Strip(name, points, lines, latest)


def thinned(t_s: Array, values: Array, from_s: float, to_s: float, width_px: int) -> tuple[Array, Array]:
    """Return the points that are drawn: all, or of each pixel column the lowest and the highest."""
    if len(t_s) <= 2 * width_px:
        return t_s, values
    column: NDArray[np.intp] = ((t_s - from_s) * (width_px / (to_s - from_s))).astype(np.intp)
    order = np.lexsort((values, column))
    first = np.flatnonzero(np.diff(column[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    kept = np.unique(order[np.concatenate((first, last))])
    return t_s[kept], values[kept]


def running_median(t_s: Array, values: Array, window: int, *, begin_s: float, most: int) -> tuple[Array, Array]:
    """Return times and medians of the last ``window`` values from ``begin_s`` on, at most about ``most`` of them.

    NaN stands where nobody ran for 3 s; the median then begins anew.
    """
    times: list[Array] = []
    medians: list[Array] = []
    each = max(1, ceil(len(t_s) / max(most, 1)))
    breaks = np.flatnonzero(np.diff(t_s) > FRESH_S) + 1
    for piece_s, piece in zip(np.split(t_s, breaks), np.split(values, breaks), strict=True):
        begin = max(int(np.searchsorted(piece_s, begin_s)), min(_LEAST_STEPS, window) - 1)
        if begin >= len(piece):
            continue
        # the last is always there: it is the figure of the moment
        ends = np.unique(np.append(np.arange(begin, len(piece), each), len(piece) - 1))
        whole = ends[ends >= window - 1]
        short = [float(np.median(piece[: end + 1])) for end in ends[ends < window - 1].tolist()]
        long: Array = (
            np.median(sliding_window_view(piece, window)[whole - window + 1], axis=1) if len(whole) else piece[:0]
        )
        times += [piece_s[ends], np.array([piece_s[ends[-1]]])]
        medians += [np.append(short, long), np.array([np.nan])]
    if not times:
        return np.empty(0), np.empty(0)
    # nothing follows the last piece that a line could be drawn to
    return np.concatenate(times)[:-1], np.concatenate(medians)[:-1]


# ---------------------------------------------------------------- ranges


@dataclass(frozen=True, slots=True)
class Range:
    """What a scale reaches over, with its ticks, in the units in which figures are written."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> tuple[float, ...]:
        n = round((self.high - self.low) / self.step)
        return tuple(self.low + i * self.step for i in range(n + 1))


def nice_range(low: float, high: float, least: float) -> Range:
    """Return a range of round numbers around these, at least ``least`` wide."""
    if high - low < least:
        middle = 0.5 * (low + high)
        low, high = middle - 0.5 * least, middle + 0.5 * least
    raw = (high - low) / 3.0
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= raw * 0.999)
    return Range(step * floor(low / step + 1e-9), step * ceil(high / step - 1e-9), step)


def range_for(name: str, values: Array, before: Range | None) -> Range | None:
    """Return the range for some values of a metric, as it was if that still will do; None where nothing is known."""
    if not len(values):
        return before
    figure = FIGURES[name]
    low, high = (
        float(edge) * figure.factor for edge in np.percentile(values, (_OUTER_PERCENT, 100.0 - _OUTER_PERCENT))
    )
    # 20 units of the last digit: less than that is the noise of single steps
    least = 20.0 * 10.0**-figure.decimals
    if before is not None and isfinite(low):
        filled = max(high - low, least) / (before.high - before.low)
        if before.low <= low and high <= before.high and filled >= _LEAST_FILLED:
            return before
    room = 0.1 * (high - low)
    return nice_range(low - room, high + room, least)


# 1 min to 6 h: round times in which a scale of time is divided
_TIME_STEPS_S: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)


def time_ticks(from_s: float, to_s: float, most: int) -> tuple[float, ...]:
    """Return round times between two, at most about ``most``."""
    wanted = (to_s - from_s) / max(most, 1)
    step = next((step for step in _TIME_STEPS_S if step >= wanted), _TIME_STEPS_S[-1])
    first = ceil(max(from_s, 0.0) / step)
    return tuple(float(i * step) for i in range(first, floor(to_s / step) + 1))
