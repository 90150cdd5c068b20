"""What is seen of a loading when its step is decided: signals at all phases and instants a step needs, at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pelvis.contacts import (
    EDGE_SAMPLES,
    MODEL_POINTS,
    PHASE_STEPS,
    PHASES,
    Anchor,
    Moments,
    model_positions,
    step_moments,
)
from pelvis.data import Array
from pelvis.filters import at_fraction
from pelvis.windows import SMOOTH_TAPS, Past

# a step is decided this many rows after its second anchor: model window 75 ms, smoothing 25 ms, rounding
DECIDE_AFTER_SAMPLES = 21
# 0.25..0.55 of a step after the up anchor the pelvis rolls to the swing side
ROLL_WINDOW = np.linspace(0.25, 0.55, 13)
_EDGE = np.array(EDGE_SAMPLES)
EVENT_POINTS = MODEL_POINTS + len(EDGE_SAMPLES)


def _positions(first: float, middle: float, up: float, down: float) -> Array:
    """Return where a step's signals are wanted: the phases of two steps, the event model's points, early stance.

    ``first``, ``middle``, ``up`` are the up anchors of three successive loadings, ``down`` the last one's down anchor.
    """
    period = up - middle
    return np.concatenate(
        (
            first + (middle - first) * PHASE_STEPS,
            middle + period * PHASE_STEPS,
            model_positions(Anchor(up, down), period),
            up + _EDGE,
            up + period * ROLL_WINDOW,
        )
    )


# positions are linear in the anchors: one product gives all of them
_LOOK_FROM = _positions(0.0, 0.0, 0.0, 0.0)
_LOOK = np.array([_positions(*one) - _LOOK_FROM for one in np.eye(4).tolist()])


class Look(NamedTuple):
    """What is seen of a loading and the two before it: ``signals`` (96, 6), and how the last two steps compare."""

    signals: Array
    moments: Moments


def look_at(past: Past, triples: Sequence[tuple[Anchor, Anchor, Anchor]]) -> list[Look]:
    """Return what is seen of three successive loadings each; each comes out the same in any company."""
    many = len(triples)
    first, middle, up = (np.array([[three[k].up] for three in triples]) for k in range(3))
    down = np.array([[three[2].down] for three in triples])
    # term by term: a matrix product would come out differently in other company
    positions = _LOOK[0] * first + _LOOK[1] * middle + _LOOK[2] * up + _LOOK[3] * down + _LOOK_FROM
    # a short loading may end before the roll window does: hold the last value known
    stop = np.floor(down) + (DECIDE_AFTER_SAMPLES - SMOOTH_TAPS // 2)
    np.minimum(positions, stop - 0.001, out=positions)
    start = np.floor(np.minimum(first, positions[:, 2 * PHASES : 2 * PHASES + 1]))
    positions -= start
    begin = int(start.min())
    rows = past.smooth.view(begin, int(stop.max()) + 1)
    signals = at_fraction(rows, positions.ravel(), np.repeat(start.astype(np.intp) - begin, len(_LOOK_FROM)))
    signals = signals.reshape(many, len(_LOOK_FROM), 6)
    return list(map(Look, signals, step_moments(signals[:, : 2 * PHASES])))
