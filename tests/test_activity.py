"""The gate opens for running, and for nothing that only looks like it; the rest is told apart by its rhythm."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pelvis.activity import (
    CYCLES_TO_CLOSE,
    CYCLES_TO_OPEN,
    CYCLES_TO_REOPEN,
    ESTABLISHED_CYCLES,
    REMEMBERED_S,
    Cycle,
    RunningGate,
    classify_rest,
)
from pelvis.data import ActivityState, Array

G = 9.80665


def bouncing(period_s: float, contact_s: float, lowest_g: float | None = None) -> Cycle:
    """The cycle of a mass that flies between half-sine contacts; smoothing keeps most of its depth and height."""
    # the leg gives back what gravity takes in a step; of that, what exceeds body weight while it does
    peak_g = 0.5 * math.pi * period_s / contact_s
    part = math.asin(min(1.0, 1.0 / peak_g)) / math.pi  # share of the contact before the force reaches body weight
    above_s = contact_s * (1.0 - 2.0 * part)
    impulse = G * (peak_g * contact_s * 2.0 / math.pi * math.cos(math.pi * part) - above_s)
    flies = contact_s < period_s
    return Cycle(period_s, impulse, (0.1 if flies else 0.8) if lowest_g is None else lowest_g, 0.9 * peak_g)


RUNNING = bouncing(0.36, 0.25)
SLOW_RUNNING = replace(bouncing(0.44, 0.30), lowest_g=0.0)
WALKING = Cycle(0.52, 0.25, 0.75, 1.25)
BRISK_WALKING = Cycle(0.41, 0.45, 0.55, 1.45)


def feed(gate: RunningGate, cycles: list[Cycle], start_s: float = 0.0) -> list[bool]:
    t_s, counted = start_s, []
    for cycle in cycles:
        t_s += cycle.period_s
        counted.append(gate.pass_cycle(cycle, t_s))
    return counted


@pytest.mark.parametrize("cycle", [RUNNING, SLOW_RUNNING, bouncing(0.30, 0.19), bouncing(0.40, 0.28)])
def test_the_gate_opens_with_the_eighth_cycle_of_a_runner(cycle: Cycle) -> None:
    gate = RunningGate()
    assert feed(gate, [cycle] * (CYCLES_TO_OPEN + 3)) == [False] * (CYCLES_TO_OPEN - 1) + [True] * 4
    assert gate.open


@pytest.mark.parametrize("cycle", [WALKING, BRISK_WALKING, replace(RUNNING, lowest_g=0.7), Cycle(0.18, 1.2, 0.0, 2.0)])
def test_walking_and_shaking_never_open_it(cycle: Cycle) -> None:
    gate = RunningGate()
    assert not any(feed(gate, [cycle] * 60))
    assert not gate.open


def test_seven_leaps_upstairs_do_not_open_it() -> None:
    gate = RunningGate()
    assert not any(feed(gate, ([RUNNING] * (CYCLES_TO_OPEN - 1) + [WALKING] * 3) * 4))


def test_cycles_that_alternate_in_length_do_not_open_it() -> None:
    gate = RunningGate()
    assert not any(feed(gate, [bouncing(0.28, 0.18), bouncing(0.40, 0.26)] * 20))


def test_a_natural_spread_of_three_percent_does_not_keep_it_shut() -> None:
    gate = RunningGate()
    periods = 0.36 * (1.0 + 0.03 * np.random.default_rng(1).standard_normal(20))
    assert feed(gate, [bouncing(p, 0.25) for p in periods])[CYCLES_TO_OPEN - 1]


def test_once_open_it_forgives_one_cycle_and_closes_with_the_second() -> None:
    gate = RunningGate()
    feed(gate, [RUNNING] * 10)
    weak = replace(RUNNING, impulse_mps=0.3)
    assert feed(gate, [weak, RUNNING, RUNNING, weak, RUNNING]) == [False, True, True, False, True]
    assert gate.open
    assert feed(gate, [weak] * CYCLES_TO_CLOSE) == [False] * CYCLES_TO_CLOSE
    assert not gate.open


def test_a_cycle_of_another_length_is_odd_and_so_is_the_one_after_it() -> None:
    gate = RunningGate()
    feed(gate, [RUNNING] * 10)
    feed(gate, [bouncing(0.46, 0.3)])
    assert gate.open
    feed(gate, [RUNNING])
    assert not gate.open


@pytest.mark.parametrize(("pause_s", "cycles"), [(20.0, CYCLES_TO_REOPEN), (REMEMBERED_S + 10.0, CYCLES_TO_OPEN)])
def test_a_run_that_was_established_reopens_sooner_within_a_minute(pause_s: float, cycles: int) -> None:
    gate = RunningGate()
    feed(gate, [RUNNING] * (CYCLES_TO_OPEN + ESTABLISHED_CYCLES + 1))
    gate.close()
    after_s = (CYCLES_TO_OPEN + ESTABLISHED_CYCLES) * RUNNING.period_s + pause_s
    assert feed(gate, [RUNNING] * cycles, after_s) == [False] * (cycles - 1) + [True]


def test_a_run_of_a_few_steps_is_not_remembered() -> None:
    gate = RunningGate()
    feed(gate, [RUNNING] * (CYCLES_TO_OPEN + 5))
    gate.close()
    assert not any(feed(gate, [RUNNING] * (CYCLES_TO_OPEN - 1), 10.0))


def test_two_good_cycles_are_promising() -> None:
    gate = RunningGate()
    promising = []
    for _ in range(3):
        gate.pass_cycle(RUNNING, 0.0)
        promising.append(gate.promising)
    assert promising == [False, True, True]
    gate.pass_cycle(WALKING, 1.0)
    assert not gate.promising


# ---------------------------------------------------------------- at rest

T_S = np.arange(400) / 200.0


def noise(size_g: float) -> Array:
    return size_g * np.random.default_rng(1).standard_normal(400)


@pytest.mark.parametrize("steps_per_minute", [80, 100, 120, 145])
def test_a_rhythm_of_walking_is_walking(steps_per_minute: int) -> None:
    f_hz = steps_per_minute / 60.0
    z = 1.0 + 0.2 * np.sin(2 * np.pi * f_hz * T_S) + 0.08 * np.sin(4 * np.pi * f_hz * T_S + 1.0) + noise(0.02)
    assert classify_rest(z) is ActivityState.WALKING


def test_a_steady_force_is_standing() -> None:
    assert classify_rest(1.0 + 0.01 * np.sin(2 * np.pi * 0.4 * T_S) + noise(0.003)) is ActivityState.STANDING
    assert classify_rest(np.ones(400)) is ActivityState.STANDING


def test_anything_without_a_rhythm_is_something_else() -> None:
    assert classify_rest(1.0 + noise(0.2)) is ActivityState.OTHER
    fall = np.ones(400)
    fall[200:240] = 0.1
    fall[240:250] = 4.0
    assert classify_rest(fall) is ActivityState.OTHER
    assert classify_rest(1.0 + 1.5 * np.sin(2 * np.pi * 2.0 * T_S)) is ActivityState.OTHER
