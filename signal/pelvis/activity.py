"""Running or not: the gate that lets steps through, and what else the runner may be doing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pelvis.data import ActivityState, Array


@dataclass(frozen=True, slots=True)
class Cycle:
    """One step cycle between two loadings, as the gate sees it.

    ``period_s`` from loading to loading; ``impulse_mps`` the upward velocity given in the loading;
    ``lowest_g`` the least vertical force before it, ``highest_g`` the greatest in it (both smoothed).
    """

    period_s: float
    impulse_mps: float
    lowest_g: float
    highest_g: float


# Limits of a running cycle. The strict ones open the gate, the loose ones keep it open.
STRICT = Cycle(0.41, 0.60, 0.42, 1.5)
LOOSE = Cycle(0.43, 0.45, 0.60, 1.35)
# Slow runners' steps last longer than fast walkers', but they fly: more is asked of a longer cycle.
STRICT_SLOW = Cycle(0.48, 1.10, 0.05, 1.7)
LOOSE_SLOW = Cycle(0.52, 0.90, 0.25, 1.5)
SHORTEST_PERIOD_S = 0.22
# 20 %: a runner's step time varies by 2-3 %, jumps and stumbles by more
REGULAR_RATIO = 0.2
# 8: people run up and down stairs for up to nine steps; a run that was established reopens after 4
CYCLES_TO_OPEN = 8
CYCLES_TO_REOPEN = 4
ESTABLISHED_CYCLES = 30
REMEMBERED_S = 60.0
CYCLES_TO_CLOSE = 2
# 1 s without a loading is not running
LONGEST_PAUSE_S = 1.0


def _within(cycle: Cycle, limits: Cycle) -> bool:
    return (
        cycle.period_s <= limits.period_s
        and cycle.impulse_mps > limits.impulse_mps
        and cycle.lowest_g < limits.lowest_g
        and cycle.highest_g > limits.highest_g
    )


class RunningGate:
    """Opens after eight regular cycles of a runner, closes after failing ones or a pause."""

    def __init__(self) -> None:
        self.open = False
        self._good = 0
        self._bad = 0
        self._last_period_s = math.nan
        self._passed = 0
        self._ran_at_s = -math.inf

    @property
    def promising(self) -> bool:
        """Open, or on the way: two good cycles in a row."""
        return self.open or self._good >= 2

    def pass_cycle(self, cycle: Cycle, at_s: float) -> bool:
        """Take in a cycle that ended ``at_s``; return whether the step that ends it counts as running."""
        regular = abs(cycle.period_s - self._last_period_s) < REGULAR_RATIO * cycle.period_s
        self._last_period_s = cycle.period_s
        usual, slow = (LOOSE, LOOSE_SLOW) if self.open else (STRICT, STRICT_SLOW)
        running = cycle.period_s >= SHORTEST_PERIOD_S and (_within(cycle, usual) or _within(cycle, slow))
        if self.open:
            self._bad = 0 if running and regular else self._bad + 1
            if self._bad >= CYCLES_TO_CLOSE:
                self.close()
                return False
            self._passed += running
            if self._passed >= ESTABLISHED_CYCLES:
                self._ran_at_s = at_s
            return running
        if running and (regular or self._good == 0):
            self._good += 1
        else:
            self._good = 1 if running else 0
        known = at_s - self._ran_at_s < REMEMBERED_S
        if self._good >= (CYCLES_TO_REOPEN if known else CYCLES_TO_OPEN):
            self.open = True
            self._passed = 0
            self._bad = 0
            return True
        return False

    def close(self) -> None:
        """Shut the gate: a pause, a hole, or too many failing cycles."""
        self.open = False
        self._good = 0
        self._bad = 0
        self._last_period_s = math.nan


# ------------------------------------------------------------------ standing, walking, other

WATCH_HOP_SAMPLES = 100
WATCH_SAMPLES = 400
STANDING_SPREAD_G = 0.03
WALKING_SPREAD_G = (0.06, 0.6)
# 0.40-0.80 s: walking steps at 75 to 150 a minute
WALKING_LAGS_SAMPLES = (80, 160)
WALKING_LIKENESS = 0.5


def classify_rest(vertical_g: Array) -> ActivityState:
    """Return what 2 s of smoothed vertical force (400,) without running look like."""
    z = vertical_g - vertical_g.mean()
    energy = float(z @ z)
    spread = math.sqrt(energy / len(z))
    if spread < STANDING_SPREAD_G:
        return ActivityState.STANDING
    if not WALKING_SPREAD_G[0] < spread < WALKING_SPREAD_G[1]:
        return ActivityState.OTHER
    low, high = WALKING_LAGS_SAMPLES
    best = 0.0
    for lag in range(low, high, 4):
        a, b = z[lag:], z[:-lag]
        size = math.sqrt(float(a @ a) * float(b @ b))
        best = max(best, float(a @ b) / size if size > 0.0 else 0.0)
    return ActivityState.WALKING if best > WALKING_LIKENESS else ActivityState.OTHER
