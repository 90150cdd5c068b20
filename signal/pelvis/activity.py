"""Running or not: the gate that lets steps through, and what else the runner may be doing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pelvis.contacts import PHASE_STEPS, PHASES
from pelvis.data import STANDARD_GRAVITY_MPS2, ActivityState, Array


@dataclass(frozen=True, slots=True)
class Cycle:
    """One step cycle between two loadings, as the gate sees it.

    ``period_s`` from loading to loading; ``impulse_mps`` the upward velocity given in the loading;
    ``lowest_g`` the least vertical force before it, ``highest_g`` the greatest in it (both smoothed).
    ``alternation``, ``drive_ratio`` and ``likeness`` come from the functions of that name, NaN where there is
    nothing to compare with.
    Of a hard landing, ``made_up`` says that some of its samples were lost and filled in, ``leaning`` that the pelvis
    leans far from where it was in the steps before.
    """

    period_s: float
    impulse_mps: float
    lowest_g: float
    highest_g: float
    alternation: float = math.nan
    drive_ratio: float = math.nan
    likeness: float = math.nan
    made_up: bool = False
    leaning: bool = False


# the fundamental of a step, from the half-sum of two: what both have in common
_FUNDAMENTAL = np.exp(-2j * np.pi * np.tile(PHASE_STEPS, 2)) / PHASES
_RISING = np.concatenate((_FUNDAMENTAL.real, _FUNDAMENTAL.imag)).reshape(2, 2 * PHASES)


def drive_ratio(signals: Array) -> float:
    """Return how much horizontal force goes with vertical velocity, as a share of vertical force.

    ``signals`` (2 * PHASES, 6) are earth-frame force and rate of two steps, any heading. A runner on the flat is
    braked while the body sinks and driven on while it rises. On stairs there is little to brake, and a straight shake
    moves all axes at once: there the horizontal force goes with vertical acceleration, if with anything.
    """
    real, imaginary = (_RISING @ signals[:, :3]).tolist()
    east, north, up = (complex(real[i], imaginary[i]) for i in range(3))
    size = abs(up)
    if size == 0.0:
        return 0.0
    velocity = up / (1j * size)
    x, y = (east * velocity.conjugate()).real, (north * velocity.conjugate()).real
    return math.sqrt(x * x + y * y) / size


# 0.05 rad/s: a pelvis that runs turns ten times as fast; less is a gyroscope that is not there
TURNING_RADPS = 0.05
# a thousandth: what is left of the second horizontal axis where a sensor has none
FLAT_RATIO = 1e-3


def alternation(signals: Array) -> float:
    """Return what changes sign with every step, as a share of what repeats: horizontal force or turning, the larger.

    ``signals`` (2 * PHASES, 6) are earth-frame force and rate of two steps. Sideways force, roll and yaw of whoever
    goes on two legs change sign; a hand that shakes knows no left and right. NaN where no sideways axis is measured.
    """
    one, other = signals[:PHASES], signals[PHASES:]
    repeats, changes = one + other, one - other
    repeats -= repeats.mean(axis=0)
    changes -= changes.mean(axis=0)
    same, odd = (repeats * repeats).sum(axis=0).tolist(), (changes * changes).sum(axis=0).tolist()
    turning = math.sqrt((sum(odd[3:]) + sum(same[3:])) / (4 * PHASES))
    force = math.sqrt((odd[0] + odd[1]) / max(same[0] + same[1], 1e-12))
    if turning > TURNING_RADPS:
        return max(force, math.sqrt(sum(odd[3:]) / max(sum(same[3:]), 1e-12)))
    both = np.concatenate((repeats[:, :2], changes[:, :2]))
    moments = both.T @ both
    size = float(moments[0, 0] + moments[1, 1])
    return force if float(np.linalg.det(moments)) > FLAT_RATIO * size * size else math.nan


def likeness(one: Array, other: Array) -> float:
    """Return the correlation of horizontal force in two steps of the same foot, (PHASES, 6) each: 1 where alike."""
    a, b = one[:, :2] - one[:, :2].mean(axis=0), other[:, :2] - other[:, :2].mean(axis=0)
    size = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / size if size > 0.0 else 0.0


# Limits of any running cycle. The shortest is that of a step at 270 a minute; slow runners come to 0.48 s.
SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 0.22, 0.52
# at most: in a step a leg gives what gravity takes, gravity times the period, part of it below body weight
LEAST_IMPULSE_MPS = 0.45
LIGHTEST_G, OPENING_LIGHTEST_G = 0.60, 0.45
LEAST_HIGHEST_G = 1.35
# Whoever walks has long cycles, whoever runs slowly flies in them: the longer a cycle, the more it must give and the
# lighter it must become. At 0.39 s a runner with a soft belt and a fast walker still differ by less than nothing,
# at 0.48 s a flight gives 1 m/s; the line between runs through both.
FREE_PERIOD_S = 0.393
FLIGHT_MPS_PER_S = 12.0
# 1 m/s per g: impulse and lightness vary about as much from stride to stride
LIGHTNESS_MPS_PER_G = 1.0
# 0.5 m/s beyond that line nobody was seen to walk; an open gate forgives 0.3 m/s on the wrong side of it
SURE_MPS = 0.5
FORGIVEN_MPS = 0.3
# 0.3: runners have 0.5 to 2, and hardly a step below 0.35; a shaking hand has 0.1 and seldom 0.25
LEAST_ALTERNATION = 0.3
# 1.2: brakes and drives of runners stay below their vertical force
MOST_DRIVE_RATIO = 1.2
# 20 %: a runner's step time varies by 2-3 %, jumps and stumbles by more
REGULAR_RATIO = 0.2
# 1.4: landings of one run differ by less in 999 of 1000; a body that falls is caught with more
FALL_RATIO = 1.4
# 1.2 is enough where the pelvis leans as it lands: by 4 to 12 deg against the steps before in running, 64 to 83 in
# falls
LEANING_FALL_RATIO = 1.2
FALL_LEAN_RAD = math.radians(40.0)
# 0.65: whoever slows down at the end of a flight brakes, which is no evidence of running on
WEAK_RATIO = 0.65
# 3 cycles until it is known what is usual
SETTLED_CYCLES = 3
# Flights of stairs are run in up to ten or eleven cycles: sixteen say that it is something else
EVIDENCE_TO_OPEN = 16.0
EVIDENCE_TO_REOPEN = 8.0
# A cycle counts more where it drives (0.1 to 0.2 on stairs, 0.2 to 0.4 jogging on the flat) and where it is like the
# stride before. Four cycles' worth at most: no run is told from fewer than five
PLAIN_DRIVE_RATIO = 0.12
EVIDENCE_PER_DRIVE = 15.0
# 0.45: walking drives as much and more, where vertical force is small; then it is no evidence
WALKING_DRIVE_RATIO = 0.45
PLAIN_LIKENESS, FULL_LIKENESS = 0.90, 0.97
MOST_EVIDENCE = 4.0
# what a cycle that is none of running takes back
EVIDENCE_AGAINST = 4.0
ESTABLISHED_CYCLES = 30
REMEMBERED_S = 60.0
CYCLES_TO_CLOSE = 2
# 1 s without a loading is not running
LONGEST_PAUSE_S = 1.0


class RunningGate:
    """Opens when cycles have given enough evidence of running, closes after failing ones, a fall or a pause.

    Evidence is counted in cycles: one that could as well belong to stairs counts 1, a clear one up to 4, one that
    could be walking less than 1.
    """

    def __init__(self) -> None:
        self.open = False
        self.cycles = 0
        """Cycles since the evidence began to gather, the last one included; 0: nothing speaks for running."""
        self._evidence = 0.0
        self._bad = 0
        self._last: Cycle | None = None
        self._period_s = math.nan
        self._impulse_mps = math.nan
        self._passed = 0
        self._ran_at_s = -math.inf

    @property
    def promising(self) -> bool:
        """Open, or on the way: two cycles or more."""
        return self.open or self.cycles >= 2

    def hardness(self, impulse_mps: float) -> float:
        """Return the impulse of a landing against those before it; 0 while it is not known what is usual."""
        return impulse_mps / self._impulse_mps if self._passed >= SETTLED_CYCLES else 0.0

    def pass_cycle(self, cycle: Cycle, at_s: float) -> bool:
        """Take in a cycle that ended ``at_s``; return whether the step that ends it counts as running.

        What it returns while the gate is closed counts once it opens.
        """
        regular = self._is_regular(cycle.period_s)
        stride = self._stride(cycle)
        beyond_mps = (
            stride.impulse_mps
            - LIGHTNESS_MPS_PER_G * stride.lowest_g
            - FLIGHT_MPS_PER_S * (stride.period_s - FREE_PERIOD_S)
        )
        hardness = self.hardness(cycle.impulse_mps)
        falls = hardness > LEANING_FALL_RATIO if cycle.leaning else hardness > FALL_RATIO and not cycle.made_up
        running = (
            SHORTEST_PERIOD_S <= cycle.period_s <= LONGEST_PERIOD_S
            and cycle.impulse_mps > LEAST_IMPULSE_MPS
            and (cycle.impulse_mps < STANDARD_GRAVITY_MPS2 * cycle.period_s or cycle.made_up)
            and cycle.lowest_g < LIGHTEST_G
            and cycle.highest_g > LEAST_HIGHEST_G
            and (beyond_mps > -FORGIVEN_MPS if self.open else beyond_mps > 0.0 and stride.lowest_g < OPENING_LIGHTEST_G)
            and not falls
        )
        self._last = cycle
        if self.open:
            return self._go_on(cycle, at_s, running=running, regular=regular, falls=falls)
        # the first cycle's comparison is with one that need not have been running
        if self.cycles and (cycle.alternation < LEAST_ALTERNATION or cycle.drive_ratio > MOST_DRIVE_RATIO):
            regular = False
        self._wait(cycle, beyond_mps, running=running, regular=regular)
        known = at_s - self._ran_at_s < REMEMBERED_S
        self.open = self._evidence >= (EVIDENCE_TO_REOPEN if known else EVIDENCE_TO_OPEN)
        return running and self.cycles > 0

    def close(self) -> None:
        """Shut the gate: a pause, a hole, a fall, or too many failing cycles."""
        self.open = False
        self._last = None
        self._bad = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.cycles = 0
        self._evidence = 0.0
        self._passed = 0
        self._period_s = self._impulse_mps = math.nan

    def _is_regular(self, period_s: float) -> bool:
        """Whether a cycle is about as long as the one before it or as usual: one odd cycle spoils no other."""
        if self._last is None:
            return True
        limit_s = REGULAR_RATIO * period_s
        return abs(period_s - self._last.period_s) < limit_s or abs(period_s - self._period_s) < limit_s

    def _stride(self, cycle: Cycle) -> Cycle:
        """Return the mean of a cycle and the one before it: left and right may differ, on a belt by half."""
        last = self._last
        if last is None or self.cycles == 0 or last.period_s > LONGEST_PERIOD_S:
            return cycle
        return Cycle(
            0.5 * (cycle.period_s + last.period_s),
            0.5 * (cycle.impulse_mps + last.impulse_mps),
            0.5 * (cycle.lowest_g + last.lowest_g),
            0.5 * (cycle.highest_g + last.highest_g),
        )

    def _wait(self, cycle: Cycle, beyond_mps: float, *, running: bool, regular: bool) -> None:
        """Gather evidence, or lose some."""
        self.cycles += 1
        if not (running and regular):
            self._evidence -= EVIDENCE_AGAINST
            if self._evidence > 0.0 and cycle.period_s <= LONGEST_PERIOD_S:
                return
            self._begin_anew()
            if not running:
                return
            self.cycles = 1
        sure = min(1.0, beyond_mps / SURE_MPS) ** 2
        weak = self._passed >= SETTLED_CYCLES and cycle.impulse_mps < WEAK_RATIO * self._impulse_mps
        walks = sure < 1.0 and cycle.drive_ratio > WALKING_DRIVE_RATIO
        more = 0.0
        # what the first cycles are compared with need not have been running
        if self.cycles >= 2 and not (weak or walks or math.isnan(cycle.drive_ratio)):
            more += EVIDENCE_PER_DRIVE * max(0.0, cycle.drive_ratio - PLAIN_DRIVE_RATIO)
        if self.cycles >= 3 and not (weak or walks or math.isnan(cycle.likeness)):
            more += min(1.0, max(0.0, (cycle.likeness - PLAIN_LIKENESS) / (FULL_LIKENESS - PLAIN_LIKENESS)))
        self._evidence += sure * min(MOST_EVIDENCE, 1.0 + sure * more)
        self._follow(cycle)

    def _follow(self, cycle: Cycle) -> None:
        """Learn what is usual: a mean that forgets after some five cycles."""
        self._passed += 1
        if self._passed == 1:
            self._period_s, self._impulse_mps = cycle.period_s, cycle.impulse_mps
        self._period_s += 0.2 * (cycle.period_s - self._period_s)
        self._impulse_mps += 0.2 * (cycle.impulse_mps - self._impulse_mps)

    def _go_on(self, cycle: Cycle, at_s: float, *, running: bool, regular: bool, falls: bool) -> bool:
        self.cycles += 1
        self._bad = 0 if running and regular else self._bad + 1
        if falls or self._bad >= CYCLES_TO_CLOSE:
            self.close()
            if falls:
                self._ran_at_s = -math.inf
            return False
        if running:
            self._follow(cycle)
            if self._passed >= ESTABLISHED_CYCLES:
                self._ran_at_s = at_s
        return running


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
