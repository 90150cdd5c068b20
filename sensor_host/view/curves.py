"""What the pelvis does over a stride: curves cut from contact to the same foot's next, on one scale, mean and spread.

1. Each stride becomes 101 points, 0 to 100 % of it. Between the rows of motion a cubic is drawn (Catmull and Rom 1974):
   a straight line would take off up to a fifth of what an impact does at 50 Hz.
2. Obliquity and rotation are turned to the foot in contact, so that a symmetric runner's feet lie on one another:
   stance side up and stance side forward are positive. Contralateral drop is then the rise from contact on.
3. A stride is left out for a reason, and every reason is counted (`Strides.refused`, `Side.odd`).
4. Nothing here knows Qt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Array, Side
from sensor_host.summary import GOOD_QUALITY
from sensor_host.view.timeline import MOTION_COLUMNS, SIDE_CODES, Timeline

POINTS: Final = 101
PERCENT: Final[Array] = np.linspace(0.0, 100.0, POINTS)


@dataclass(frozen=True, slots=True)
class Curve:
    """One of the curves: a column of `MOTION_COLUMNS`; ``turned`` to the foot in contact.

    A stride is not odd that is nearer than ``slight`` to all others (root mean square over the stride).
    """

    column: str
    title: str
    unit: str
    decimals: int
    slight: float
    turned: bool = False


# slight: an angle's error over a stride (docs/accuracy.md), and what an impact differs by from stride to stride
CURVES: Final = (
    Curve("obliquity_deg", "Obliquity, stance side up +", "deg", 1, 0.3, turned=True),
    Curve("rotation_deg", "Rotation, stance side forward +", "deg", 1, 0.8, turned=True),
    Curve("tilt_deg", "Tilt, anterior +", "deg", 1, 0.3),
    Curve("acc_up_g", "Vertical acceleration", "g", 2, 0.05),
    Curve("acc_forward_g", "Fore-aft acceleration, forward +", "g", 2, 0.05),
)
"""In the order of the last axis but one of all curves."""

SIDES: Final = (Side.LEFT, Side.RIGHT)
OBLIQUITY: Final = 0

_SOURCE_COLUMNS: Final = [MOTION_COLUMNS.index(curve.column) for curve in CURVES]
_TURNED: Final = [i for i, curve in enumerate(CURVES) if curve.turned]

# 0.4 s and 1.3 s: two steps at 300 and at 92 a minute; what is outside is no stride of running
SHORTEST_S: Final = 0.4
LONGEST_S: Final = 1.3
# 5 robust standard deviations: of a runner's own strides one in a million; a stumble, a turn, a step aside are beyond
ODD_BEYOND: Final = 5.0
# 7: with fewer, nothing tells what is usual
LEAST_TO_JUDGE: Final = 7
# median absolute deviation to standard deviation, where errors are normal
_MAD_TO_SD: Final = 1.4826
# 1024 strides at once: what is gathered for them fits a processor's cache
_PIECE: Final = 1024

# reasons, as they are shown
UNCERTAIN_SIDE: Final = "side unknown"
POOR: Final = "poor quality"
BROKEN: Final = "step missing"
LOST: Final = "samples lost"
ODD_LENGTH: Final = "unusual length"
ODD_COURSE: Final = "unusual course"


@dataclass(frozen=True, slots=True, eq=False)
class Strides:
    """The strides of a section that can be used.

    ``begin_s`` (n,) initial contacts; ``duration_s`` (n,); ``right`` (n,) whether the right foot is in contact;
    ``toe_off`` and ``opposite`` (n,) when that foot left the ground, and the other's contact, in % of the stride;
    ``curves`` (n, curves, points). ``refused`` counts the others by reason.
    """

    begin_s: Array
    duration_s: Array
    right: NDArray[np.bool_]
    toe_off: Array
    opposite: Array
    curves: NDArray[np.float32]
    refused: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.begin_s)


@dataclass(frozen=True, slots=True)
class Number:
    """Mean and standard deviation over strides."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True, eq=False)
class SideCurves:
    """The mean curves of one foot's strides: ``mean`` and ``sd`` (curves, points), ``n`` strides, what was left out.

    ``ranges`` and ``at_contact`` hold a number per curve; ``drop_deg`` is contralateral drop from contact to toe-off.
    """

    side: Side
    n: int
    mean: Array
    sd: Array
    toe_off: Number
    opposite: Number
    duration_s: Number
    ranges: Sequence[Number]
    at_contact: Sequence[Number]
    drop_deg: Number
    odd: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, eq=False)
class SectionCurves:
    """Both feet of a section of session time."""

    from_s: float
    to_s: float
    sides: Mapping[Side, SideCurves]
    refused: Mapping[str, int]

    @property
    def n(self) -> int:
        return sum(side.n for side in self.sides.values())

    def left_out(self) -> Mapping[str, int]:
        """Return how many strides were left out, by reason."""
        counts = dict(self.refused)
        for side in self.sides.values():
            for reason, count in side.odd.items():
                counts[reason] = counts.get(reason, 0) + count
        return {reason: count for reason, count in counts.items() if count}


def section_curves(timeline: Timeline, from_s: float, to_s: float) -> SectionCurves:
    """Return the mean curves of all strides that lie wholly in from_s <= t < to_s."""
    strides = strides_between(timeline, from_s, to_s)
    sides = {side: mean_of(strides, side) for side in SIDES}
    return SectionCurves(from_s, to_s, sides, strides.refused)


def strides_between(timeline: Timeline, from_s: float, to_s: float) -> Strides:
    """Return every stride that lies wholly in from_s <= t < to_s."""
    steps = timeline.steps_between(from_s, to_s)
    contact_s, toe_off_s, side, quality = (
        timeline.column(name, steps) for name in ("initial_contact_s", "toe_off_s", "side", "quality")
    )
    begin_s, other_s, end_s = contact_s[:-2], contact_s[1:-1], contact_s[2:]
    t_s, values = timeline.motion(from_s - 1.0, to_s + 1.0)
    refused: dict[str, int] = {}
    kept = np.ones(len(begin_s), dtype=bool)

    def refuse(bad: NDArray[np.bool_], reason: str) -> None:
        nonlocal kept
        refused[reason] = int(np.count_nonzero(bad & kept))
        kept = kept & ~bad

    duration_s = end_s - begin_s
    with np.errstate(invalid="ignore"):
        known = (np.abs(side) == SIDE_CODES[Side.RIGHT]) if len(side) else np.empty(0, bool)
        refuse(~(known[:-2] & known[1:-1] & known[2:]), UNCERTAIN_SIDE)
        alternate = (side[:-2] == -side[1:-1]) & (side[:-2] == side[2:])
        refuse(~(alternate & (duration_s >= SHORTEST_S) & (duration_s <= LONGEST_S)), BROKEN)
        good = (quality >= GOOD_QUALITY) & np.isfinite(toe_off_s)
        refuse(~(good[:-2] & good[1:-1]), POOR)
    chosen = np.flatnonzero(kept)
    curves, whole = _cut(t_s, values, begin_s[chosen], duration_s[chosen])
    refused[LOST] = int(np.count_nonzero(~whole))
    chosen, curves = chosen[whole], curves[whole]
    right = side[:-2][chosen] == SIDE_CODES[Side.RIGHT]
    curves[np.ix_(~right, _TURNED)] *= -1.0
    to_percent = 100.0 / duration_s[chosen]
    return Strides(
        begin_s=begin_s[chosen],
        duration_s=duration_s[chosen],
        right=right,
        toe_off=(toe_off_s[:-2][chosen] - begin_s[chosen]) * to_percent,
        opposite=(other_s[chosen] - begin_s[chosen]) * to_percent,
        curves=curves,
        refused={reason: count for reason, count in refused.items() if count},
    )


def mean_of(strides: Strides, side: Side) -> SideCurves:
    """Return the mean curves of one foot; strides far off all others are left out."""
    mine = np.flatnonzero(strides.right == (side is Side.RIGHT))
    odd: dict[str, int] = {}
    if len(mine) >= LEAST_TO_JUDGE:
        usual = _usual(strides.duration_s[mine], GRID_PERIOD_S)
        odd[ODD_LENGTH] = int(np.count_nonzero(~usual))
        mine = mine[usual]
    if len(mine) >= LEAST_TO_JUDGE:
        curves = strides.curves[mine]
        away = curves - np.median(curves, axis=0)
        # root mean square over the stride; a stride is as odd as the oddest of its curves
        distance = np.sqrt(np.einsum("scp,scp->sc", away, away) / POINTS).astype(np.float64)
        usual = np.logical_and.reduce(
            [_usual(distance[:, i], curve.slight, only_above=True) for i, curve in enumerate(CURVES)]
        )
        odd[ODD_COURSE] = int(np.count_nonzero(~usual))
        mine = mine[usual]
    curves = strides.curves[mine]
    n = len(mine)
    if n:
        mean = curves.mean(axis=0, dtype=np.float64)
        sd = curves.std(axis=0, dtype=np.float64, ddof=1) if n > 1 else np.full(mean.shape, np.nan)
    else:
        mean = sd = np.full((len(CURVES), POINTS), np.nan)
    ranges = np.ptp(curves, axis=2) if n else np.empty((0, len(CURVES)))
    return SideCurves(
        side=side,
        n=n,
        mean=mean,
        sd=sd,
        toe_off=_number(strides.toe_off[mine]),
        opposite=_number(strides.opposite[mine]),
        duration_s=_number(strides.duration_s[mine]),
        ranges=tuple(_number(ranges[:, i]) for i in range(len(CURVES))),
        at_contact=tuple(_number(curves[:, i, 0]) for i in range(len(CURVES))),
        drop_deg=_number(_drops_deg(curves[:, OBLIQUITY], strides.toe_off[mine])),
        odd={reason: count for reason, count in odd.items() if count},
    )


def _drops_deg(obliquity_deg: NDArray[np.float32], toe_off: Array) -> Array:
    """Return how far the swing side falls from contact to toe-off at most, (n,), of curves (n, points)."""
    stance = np.where(toe_off[:, np.newaxis] >= PERCENT, obliquity_deg, -np.inf)
    drops: Array = (stance.max(axis=1, initial=-np.inf) - obliquity_deg[:, 0]).astype(np.float64)
    return drops


def _usual(values: Array, slight: float, *, only_above: bool = False) -> NDArray[np.bool_]:
    """Return which values lie no further from the median than usual; ``slight`` is never unusual."""
    away = values - np.median(values)
    size = np.abs(away)
    limit = max(ODD_BEYOND * _MAD_TO_SD * float(np.median(size)), slight)
    usual: NDArray[np.bool_] = (away if only_above else size) <= limit
    return usual


def _number(values: NDArray[np.floating]) -> Number:
    n = len(values)
    return Number(
        float(np.mean(values, dtype=np.float64)) if n else float("nan"),
        float(np.std(values, dtype=np.float64, ddof=1)) if n > 1 else float("nan"),
    )


def _cut(
    t_s: Array, values: NDArray[np.float32], begin_s: Array, duration_s: Array
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return (curves (n, curves, points), whether each is whole (n,))."""
    n = len(begin_s)
    curves = np.empty((n, len(CURVES), POINTS), np.float32)
    if len(t_s) < 4:
        return curves, np.zeros(n, bool)
    source = np.ascontiguousarray(values[:, _SOURCE_COLUMNS].T)
    first = np.clip(np.searchsorted(t_s, begin_s, side="right") - 1, 0, len(t_s) - 1)
    last = np.searchsorted(t_s, begin_s + duration_s, side="right") - 1
    rows = (duration_s / GRID_PERIOD_S)[:, np.newaxis]
    start = (begin_s - t_s[first]) / GRID_PERIOD_S
    # where a hole lies in between, fewer rows than time say
    together = (np.abs((t_s[last] - t_s[first]) / GRID_PERIOD_S - (last - first)) < 0.5) & (start < 1.5)
    for low in range(0, n, _PIECE):
        piece = slice(low, low + _PIECE)
        position = start[piece, np.newaxis] + rows[piece] * (PERCENT / 100.0)
        whole = np.floor(position)
        x = (position - whole).astype(np.float32)
        row = first[piece, np.newaxis] + whole.astype(np.intp)
        weights = (
            0.5 * x * (x * (2.0 - x) - 1.0),
            0.5 * (x * x * (3.0 * x - 5.0) + 2.0),
            0.5 * x * (x * (4.0 - 3.0 * x) + 1.0),
            0.5 * x * x * (x - 1.0),
        )
        total = np.zeros((len(CURVES), *position.shape), np.float32)
        for offset, weight in enumerate(weights, start=-1):
            total += source.take(np.clip(row + offset, 0, len(t_s) - 1), axis=1) * weight
        curves[piece] = total.transpose(1, 0, 2)
    return curves, together & np.isfinite(curves).all(axis=(1, 2))


# ---------------------------------------------------------------- where in its stride a moment lies


def phase_at(timeline: Timeline, t_s: float) -> tuple[Side, float] | None:
    """Return the foot that touched down last and how far its stride had come at a time, in %; None outside strides."""
    steps = timeline.steps_between(t_s - LONGEST_S, t_s + LONGEST_S)
    contact_s, side = timeline.column("initial_contact_s", steps), timeline.column("side", steps)
    row = int(np.searchsorted(contact_s, t_s, side="right")) - 1
    if row < 0 or row + 2 >= len(contact_s) or side[row] != side[row + 2]:
        return None
    duration_s = float(contact_s[row + 2] - contact_s[row])
    named = next((name for name in SIDES if SIDE_CODES[name] == side[row]), None)
    if named is None or duration_s > LONGEST_S:
        return None
    return named, 100.0 * (t_s - float(contact_s[row])) / duration_s


def time_of_phase(timeline: Timeline, now_s: float, side: Side, percent: float) -> float | None:
    """Return when the last whole stride of a foot before ``now_s`` had come so far; None where there is none."""
    steps = timeline.steps_between(now_s - 3.0 * LONGEST_S, now_s)
    contact_s = timeline.column("initial_contact_s", steps)
    mine = contact_s[timeline.column("side", steps) == SIDE_CODES[side]]
    if len(mine) < 2 or mine[-1] - mine[-2] > LONGEST_S:
        return None
    return float(mine[-2] + percent / 100.0 * (mine[-1] - mine[-2]))
