"""The gate opens for running, and for nothing that only looks like it; the rest is told apart by its rhythm."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pelvis.activity import (
    CYCLES_TO_CLOSE,
    ESTABLISHED_CYCLES,
    EVIDENCE_TO_OPEN,
    EVIDENCE_TO_REOPEN,
    FALL_RATIO,
    LEANING_FALL_RATIO,
    REMEMBERED_S,
    Cycle,
    RunningGate,
    alternation,
    classify_rest,
    drive_ratio,
    likeness,
)
from pelvis.contacts import PHASE_STEPS
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


# as if on stairs: nothing brakes, nothing repeats
RUNNING = replace(bouncing(0.36, 0.25), drive_ratio=0.05, likeness=0.7)
CLEAR_RUNNING = replace(RUNNING, drive_ratio=0.4, likeness=1.0)
SLOW_RUNNING = replace(bouncing(0.48, 0.33), lowest_g=0.0, drive_ratio=0.3, likeness=0.9)
WALKING = Cycle(0.52, 0.25, 0.75, 1.25, drive_ratio=0.5, likeness=0.9)
BRISK_WALKING = Cycle(0.41, 0.45, 0.55, 1.45, drive_ratio=0.5, likeness=0.9)
# on the belly, where a buckle swings along
BRISK_WALKING_ON_A_BELT = Cycle(0.45, 0.94, 0.42, 1.75, drive_ratio=0.6, likeness=0.9)
# a flight of stairs seldom has more steps, and people who run take one or two at a time
STAIRS = 11


def feed(gate: RunningGate, cycles: list[Cycle], start_s: float = 0.0) -> list[bool]:
    """Return whether the gate was open after each of the cycles."""
    t_s, opened = start_s, []
    for cycle in cycles:
        t_s += cycle.period_s
        gate.pass_cycle(cycle, t_s)
        opened.append(gate.open)
    return opened


def first_open(cycle: Cycle, cycles: int = 60) -> int:
    """Return with which of the same cycles the gate opens."""
    return feed(RunningGate(), [cycle] * cycles).index(True) + 1


def test_running_that_drives_and_repeats_opens_it_with_the_fifth_cycle() -> None:
    assert first_open(CLEAR_RUNNING) == 5


@pytest.mark.parametrize("cycle", [RUNNING, bouncing(0.30, 0.19), bouncing(0.40, 0.28)])
def test_running_of_which_nothing_more_is_known_opens_it_after_more_cycles_than_stairs_have(cycle: Cycle) -> None:
    assert STAIRS < first_open(cycle) <= EVIDENCE_TO_OPEN


def test_the_more_a_cycle_drives_and_repeats_the_sooner_it_opens() -> None:
    by_drive = [first_open(replace(RUNNING, drive_ratio=d)) for d in (0.05, 0.12, 0.16, 0.2, 0.25, 0.3)]
    assert by_drive == sorted(by_drive, reverse=True)
    assert len(set(by_drive)) > 4
    by_likeness = [first_open(replace(RUNNING, likeness=c)) for c in (0.7, 0.92, 0.95, 0.98)]
    assert by_likeness == sorted(by_likeness, reverse=True)
    assert by_likeness[-1] < by_likeness[0]


def test_slow_runners_who_fly_open_it() -> None:
    assert first_open(SLOW_RUNNING) < STAIRS
    assert first_open(replace(SLOW_RUNNING, drive_ratio=0.0, likeness=0.0)) <= EVIDENCE_TO_OPEN


def test_a_buckle_that_swings_more_with_every_second_step_does_not_keep_it_shut() -> None:
    weak = Cycle(0.36, 0.52, 0.50, 1.65, drive_ratio=0.5, likeness=0.9)
    strong = Cycle(0.39, 0.85, 0.10, 2.3, drive_ratio=0.5, likeness=0.9)
    assert any(feed(RunningGate(), [weak, strong] * 10))


@pytest.mark.parametrize(
    "cycle",
    [
        WALKING,
        BRISK_WALKING,
        BRISK_WALKING_ON_A_BELT,
        replace(CLEAR_RUNNING, lowest_g=0.7),
        replace(CLEAR_RUNNING, highest_g=1.3),
        replace(CLEAR_RUNNING, period_s=0.18),
        replace(CLEAR_RUNNING, impulse_mps=1.1 * G * 0.36),
        replace(CLEAR_RUNNING, alternation=0.2),
        replace(CLEAR_RUNNING, drive_ratio=1.5),
    ],
    ids=[
        "walking",
        "brisk",
        "on a belt",
        "no flight",
        "no load",
        "too quick",
        "no leg gives it",
        "one leg",
        "sideways",
    ],
)
def test_walking_and_shaking_never_open_it(cycle: Cycle) -> None:
    assert not any(feed(RunningGate(), [cycle] * 60))


def test_stairs_run_up_and_down_do_not_open_it() -> None:
    up = replace(RUNNING, drive_ratio=0.12, likeness=0.85)
    assert not any(feed(RunningGate(), ([up] * STAIRS + [WALKING] * 3) * 4))


def test_cycles_that_alternate_in_length_do_not_open_it() -> None:
    assert not any(feed(RunningGate(), [bouncing(0.28, 0.18), bouncing(0.40, 0.26)] * 20))


def test_a_natural_spread_of_three_percent_delays_nothing() -> None:
    periods = 0.36 * (1.0 + 0.03 * np.random.default_rng(1).standard_normal(20))
    cycles = [replace(bouncing(p, 0.25), drive_ratio=0.4, likeness=0.95) for p in periods]
    assert feed(RunningGate(), cycles).index(True) + 1 == 5


def test_a_doubtful_cycle_costs_evidence_but_not_all_of_it() -> None:
    gate = RunningGate()
    feed(gate, [CLEAR_RUNNING] * 4)
    assert not gate.pass_cycle(replace(RUNNING, impulse_mps=0.3), 2.0)
    assert gate.cycles == 5
    assert feed(gate, [CLEAR_RUNNING] * 3)[-1]


def test_what_led_to_the_opening_is_counted_from_the_first_cycle_of_running() -> None:
    gate = RunningGate()
    told = [gate.pass_cycle(cycle, 0.0) for cycle in [WALKING] * 3 + [CLEAR_RUNNING] * 5]
    assert told == [False] * 3 + [True] * 5
    assert gate.open
    assert gate.cycles == 5


# ---------------------------------------------------------------- open


def opened(cycle: Cycle = CLEAR_RUNNING, cycles: int = 10) -> RunningGate:
    gate = RunningGate()
    assert feed(gate, [cycle] * cycles)[-1]
    return gate


def test_once_open_it_forgives_one_cycle_and_closes_with_the_second() -> None:
    gate = opened()
    weak = replace(RUNNING, impulse_mps=0.3)
    told = [gate.pass_cycle(cycle, 5.0) for cycle in (weak, RUNNING, RUNNING, weak, RUNNING)]
    assert told == [False, True, True, False, True]
    assert gate.open
    assert feed(gate, [weak] * CYCLES_TO_CLOSE) == [True] * (CYCLES_TO_CLOSE - 1) + [False]


def test_a_cycle_of_another_length_spoils_no_other() -> None:
    gate = opened()
    assert all(feed(gate, [bouncing(0.46, 0.3), RUNNING, RUNNING, bouncing(0.27, 0.18), RUNNING]))


def test_a_lasting_change_of_pace_is_followed() -> None:
    assert all(feed(opened(), [bouncing(0.27, 0.18)] * 6 + [bouncing(0.40, 0.28)] * 6))


def test_walking_closes_it_with_the_second_cycle() -> None:
    assert feed(opened(), [WALKING] * 2) == [True, False]


def test_a_body_that_is_caught_after_a_fall_closes_it_at_once() -> None:
    gate = opened(cycles=ESTABLISHED_CYCLES + 10)
    assert not gate.pass_cycle(replace(RUNNING, impulse_mps=1.05 * FALL_RATIO * RUNNING.impulse_mps), 15.0)
    assert not gate.open
    # what was run before helps nobody who lies on the ground
    assert not any(feed(gate, [RUNNING] * math.ceil(EVIDENCE_TO_REOPEN), 15.0))


def test_a_body_that_leans_needs_less_to_have_fallen() -> None:
    hard = replace(RUNNING, impulse_mps=0.5 * (LEANING_FALL_RATIO + FALL_RATIO) * RUNNING.impulse_mps)
    assert opened().pass_cycle(hard, 5.0)
    gate = opened()
    assert not gate.pass_cycle(replace(hard, leaning=True), 5.0)
    assert not gate.open
    assert not opened().pass_cycle(replace(hard, leaning=True, made_up=True), 5.0)
    assert opened().pass_cycle(replace(RUNNING, leaning=True), 5.0)


def test_a_landing_of_which_samples_are_lost_is_no_fall() -> None:
    gate = opened()
    hard = replace(RUNNING, impulse_mps=1.1 * G * RUNNING.period_s, made_up=True)
    assert gate.pass_cycle(hard, 5.0)
    assert gate.open


@pytest.mark.parametrize("remembered", [True, False])
def test_a_run_that_was_established_reopens_sooner_within_a_minute(remembered: bool) -> None:
    gate = opened(cycles=ESTABLISHED_CYCLES + 10)
    gate.close()
    after_s = (ESTABLISHED_CYCLES + 10) * RUNNING.period_s + (20.0 if remembered else REMEMBERED_S + 10.0)
    evidence = EVIDENCE_TO_REOPEN if remembered else EVIDENCE_TO_OPEN
    assert feed(gate, [RUNNING] * 20, after_s).index(True) + 1 == evidence


def test_a_run_of_a_few_steps_is_not_remembered() -> None:
    gate = opened()
    gate.close()
    assert not any(feed(gate, [RUNNING] * STAIRS, 10.0))


def test_two_good_cycles_are_promising() -> None:
    gate = RunningGate()
    promising = []
    for _ in range(3):
        gate.pass_cycle(RUNNING, 0.0)
        promising.append(gate.promising)
    assert promising == [False, True, True]
    gate.pass_cycle(WALKING, 1.0)
    assert not gate.promising


# ---------------------------------------------------------------- what tells running from stairs and shaking

STEP_RAD = 2.0 * np.pi * np.concatenate((PHASE_STEPS, 1.0 + PHASE_STEPS))


def signals(forward_g: Array, left_g: Array, up_g: Array, heading_rad: float = 0.0) -> Array:
    """Two steps of earth-frame signals, walked in some direction; the rates say nothing."""
    c, s = math.cos(heading_rad), math.sin(heading_rad)
    east, north = c * forward_g - s * left_g, s * forward_g + c * left_g
    return np.column_stack((east, north, up_g, np.zeros((len(up_g), 3))))


# the body is lowest, and pushed most, at phase 0: it sinks before and rises after
UP_G = 1.0 + 1.4 * np.cos(STEP_RAD)
RISING = np.sin(STEP_RAD)
SIDEWAYS_G = 0.3 * np.cos(0.5 * STEP_RAD)


@pytest.mark.parametrize("heading_rad", [0.0, 1.0, 2.5, -0.7])
def test_braking_and_driving_is_measured_whatever_the_heading(heading_rad: float) -> None:
    runner = signals(0.02 + 0.42 * RISING, SIDEWAYS_G, UP_G, heading_rad)
    assert drive_ratio(runner) == pytest.approx(0.3, abs=0.01)


def test_a_straight_shake_does_not_drive() -> None:
    assert drive_ratio(signals(2.0 * (UP_G - 1.0), UP_G, UP_G)) == pytest.approx(0.0, abs=1e-9)
    assert drive_ratio(np.zeros((48, 6))) == 0.0


def test_what_goes_on_two_legs_alternates_and_what_a_hand_shakes_does_not() -> None:
    runner = signals(0.42 * RISING, SIDEWAYS_G, UP_G, 0.6)
    # 0.3 to each side, 0.42 to and fro
    assert alternation(runner) == pytest.approx(0.3 / 0.42, rel=0.05)
    shaken = signals(0.42 * RISING, 0.3 * np.cos(STEP_RAD), UP_G, 0.6)
    assert alternation(shaken) == pytest.approx(0.0, abs=1e-6)
    # the pelvis rolls and yaws from side to side even where hardly a force is felt
    shaken[:, 3] = 0.8 * np.cos(0.5 * STEP_RAD)
    shaken[:, 4] = 0.8 * np.cos(STEP_RAD)
    assert alternation(shaken) == pytest.approx(1.0, rel=0.05)


def test_without_a_sideways_axis_there_is_nothing_to_alternate() -> None:
    assert math.isnan(alternation(signals(0.42 * RISING, np.zeros(48), UP_G, 0.6)))


def test_steps_that_repeat_are_alike_and_others_are_not() -> None:
    one = signals(0.4 * RISING, SIDEWAYS_G, UP_G)[:24]
    assert likeness(one, one + 0.1) == pytest.approx(1.0)
    assert likeness(one, -one) == pytest.approx(-1.0)
    other = np.random.default_rng(2).standard_normal((24, 6))
    assert abs(likeness(one, other)) < 0.5
    assert likeness(one, np.zeros((24, 6))) == 0.0


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
