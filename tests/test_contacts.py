"""Anchors, forward, contact events, side and the early touch, on waveforms whose truth is a formula."""

from __future__ import annotations

import cmath
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelvis.coefficients import SHIPPED
from pelvis.contacts import (
    AXIS_MEMORY,
    EDGE_SAMPLES,
    LOADED_G,
    MODEL_END_SAMPLES,
    MODEL_POINTS,
    PHASES,
    RISE_AFTER_SAMPLES,
    RISE_BEFORE_SAMPLES,
    SHORTEST_STEP_SAMPLES,
    TOUCH_G,
    UNLOADED_G,
    Anchor,
    AnchorFinder,
    Events,
    ForwardAxis,
    SideVote,
    TouchFinder,
    compare_steps,
    event_features,
    find_events,
    model_positions,
    rise_foot,
    step_moments,
)
from pelvis.data import Array

PERIOD = 72.0  # 0.36 s


def bounce(index: Array | float, period: float = PERIOD, start: float = 10.0, size_g: float = 1.2) -> Array:
    """Vertical force that rises through 1 g at ``start``, and falls through it half a period later."""
    return np.asarray(1.0 + size_g * np.sin(2.0 * np.pi * (np.asarray(index) - start) / period))


# ---------------------------------------------------------------- anchors


def test_anchors_are_where_the_force_crosses_body_weight() -> None:
    z = bounce(np.arange(600.0))
    found = AnchorFinder().find(0, z)
    assert len(found) == 8
    for k, (row, anchor) in enumerate(found):
        # between two samples a sine is a straight line but for its third derivative
        assert anchor.up == pytest.approx(10.0 + k * PERIOD, abs=0.002)
        assert anchor.down == pytest.approx(10.0 + (k + 0.5) * PERIOD, abs=0.002)
        assert z[row] < UNLOADED_G <= z[row - 1]


def test_a_force_that_never_exceeds_the_threshold_loads_no_leg() -> None:
    assert not AnchorFinder().find(0, bounce(np.arange(600.0), size_g=LOADED_G - 1.01))


def test_the_last_rise_before_the_load_counts() -> None:
    z = bounce(np.arange(200.0))
    z[68:74] = [0.9, 1.05, 1.1, 1.05, 0.97, 0.9]  # a twitch above body weight before the leg is loaded
    anchor = AnchorFinder().find(0, z)[1][1]
    assert anchor.up == pytest.approx(82.0, abs=0.01)


def test_a_dip_in_mid_stance_does_not_end_it() -> None:
    z = bounce(np.arange(100.0))
    z[26:30] = [1.0, 0.95, 0.95, 1.0]
    ((_, anchor),) = AnchorFinder().find(0, z)
    assert anchor.down == pytest.approx(46.0, abs=0.01)


def test_two_loadings_are_at_least_200_ms_apart() -> None:
    ups = [anchor.up for _, anchor in AnchorFinder().find(0, bounce(np.arange(600.0), period=30.0))]
    assert len(ups) > 8
    assert all(b - a >= SHORTEST_STEP_SAMPLES for a, b in pairwise(ups))


def test_what_was_under_way_before_a_restart_is_forgotten() -> None:
    finder = AnchorFinder()
    finder.find(0, bounce(np.arange(30.0)))  # loaded, not yet unloaded
    finder.restart(200)
    # rows centred before the restart are not real: a rise among them does not count
    found = finder.find(190, bounce(np.arange(190.0, 420.0), start=198.0))
    assert [anchor.up for _, anchor in found] == pytest.approx([270.0, 342.0], abs=0.01)


@given(st.lists(st.integers(1, 80), min_size=1, max_size=20), st.integers(0, 2**32 - 1), st.sampled_from([0, 37]))
@settings(max_examples=60)
def test_portions_change_no_anchor_and_no_touch(sizes: list[int], seed: int, restart: int) -> None:
    rng = np.random.default_rng(seed)
    z = 1.0 + np.convolve(rng.standard_normal(sum(sizes) + 8), np.ones(9) / 3.0, mode="valid")
    for make in (AnchorFinder, TouchFinder):
        whole, parts = make(), make()
        for finder in (whole, parts):
            finder.restart(restart)
        expected = whole.find(restart - 10, z)
        said, start = [], 0
        for size in sizes:
            said += parts.find(restart - 10 + start, z[start : start + size])
            start += size
        assert said == expected


# ---------------------------------------------------------------- the early touch


def test_a_touch_is_said_on_the_first_row_above_its_threshold() -> None:
    z = bounce(np.arange(300.0))
    found = TouchFinder().find(0, z)
    before = math.asin((1.0 - TOUCH_G) / 1.2) * PERIOD / (2.0 * math.pi)
    for k, (row, rise) in enumerate(found):
        assert rise == pytest.approx(10.0 + k * PERIOD - before, abs=0.01)
        assert row == math.ceil(rise)
    assert len(found) == 5


def test_a_fall_before_a_restart_arms_no_touch() -> None:
    finder = TouchFinder()
    finder.restart(100)
    z = np.array([0.2, 0.2, 0.2, 0.7, 1.2, 1.2, 0.2, 0.2, 1.2, 1.2])  # rows 98 to 107; 98 to 100 are not real
    assert [row for row, _ in finder.find(98, z)] == [106]


def test_a_force_that_stays_up_touches_once() -> None:
    z = np.concatenate((np.full(20, 0.2), np.tile([0.8, 0.6], 30)))
    assert len(TouchFinder().find(0, z)) == 1


# ---------------------------------------------------------------- forward

P = np.arange(2 * PHASES) / PHASES  # phase of two steps


def two_steps(forward_rad: float, *, backward: bool = False, noise: float = 0.0, seed: int = 0) -> Array:
    """Two steps of a runner heading ``forward_rad``: what repeats each step and what changes sides."""
    rng = np.random.default_rng(seed)
    # vertical force cos; its velocity lags 90 degrees; fore-aft leads that by 35
    phase = math.radians(-90.0 + 35.0) + (math.pi if backward else 0.0)
    fore_aft = 0.25 * np.cos(2.0 * np.pi * P + phase) + 0.1 * np.cos(4.0 * np.pi * P + 1.0)
    side = 0.15 * np.cos(np.pi * P + 0.4) + 0.08 * np.cos(3.0 * np.pi * P)
    pitch = 1.2 * np.cos(2.0 * np.pi * P + 2.0)
    roll = 1.5 * np.cos(np.pi * P - 1.0)
    force, rate = (
        (fore_aft + 1j * side) * cmath.exp(1j * forward_rad),
        (roll + 1j * pitch) * cmath.exp(1j * forward_rad),
    )
    rows = np.column_stack(
        (force.real, force.imag, 1.0 + np.cos(2.0 * np.pi * P), rate.real, rate.imag, 0.4 * np.cos(np.pi * P))
    )
    return rows + noise * rng.standard_normal(rows.shape)


def learned(forward_rad: float, reference_rad: float, steps: int = 12, **kind: float | bool) -> ForwardAxis:
    axis = ForwardAxis(AXIS_MEMORY)
    for k in range(steps):
        signals = two_steps(forward_rad, seed=k, **kind)  # type: ignore[arg-type]
        axis.learn(compare_steps(*step_moments(signals[np.newaxis]), cmath.exp(1j * reference_rad)))
    return axis


@given(st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi))
def test_forward_is_found_wherever_it_points(forward_rad: float, reference_rad: float) -> None:
    axis = learned(forward_rad, reference_rad, steps=3)
    error = math.remainder(axis.angle_rad - (forward_rad - reference_rad), 2.0 * math.pi)
    assert abs(error) < math.radians(0.1)
    assert axis.sign_confidence > 0.9


def test_backward_fore_aft_force_means_the_other_way() -> None:
    error = math.remainder(learned(0.7, 0.2, backward=True).angle_rad - (0.5 + math.pi), 2.0 * math.pi)
    assert abs(error) < math.radians(0.1)


def test_noise_of_a_fifth_costs_a_few_degrees() -> None:
    errors = [
        math.remainder(learned(f, -0.4, noise=0.05).angle_rad - (f + 0.4), 2.0 * math.pi)
        for f in np.linspace(-3.0, 3.0, 13)
    ]
    assert max(abs(e) for e in errors) < math.radians(5.0)


def test_the_axis_follows_a_sensor_that_turns_on_the_belt() -> None:
    axis = learned(0.3, 0.0)
    for k in range(60):
        signals = two_steps(0.3 + math.radians(30.0), seed=k)
        axis.learn(compare_steps(*step_moments(signals[np.newaxis]), 1 + 0j))
    assert math.remainder(axis.angle_rad - 0.3 - math.radians(30.0), 2 * math.pi) == pytest.approx(0.0, abs=0.01)


def test_without_a_gyroscope_force_alone_finds_forward() -> None:
    axis = ForwardAxis(AXIS_MEMORY)
    for k in range(5):
        signals = two_steps(1.1, seed=k)
        signals[:, 3:] = 0.0
        axis.learn(compare_steps(*step_moments(signals[np.newaxis]), 1 + 0j))
    assert axis.angle_rad == pytest.approx(1.1, abs=math.radians(0.5))


# ---------------------------------------------------------------- events


def runner(index: Array, period: float, contact: float, start: float = 100.0) -> Array:
    """Vertical and fore-aft force in g, pitch rate in rad/s, of a spring-like runner in contact from ``start`` on."""
    phase = np.mod(index - start, period) / contact
    down = phase < 1.0
    vertical = np.where(down, 0.5 * np.pi * period / contact * np.sin(np.pi * np.minimum(phase, 1.0)), 0.0)
    fore_aft = np.where(down, -0.3 * np.sin(2.0 * np.pi * np.minimum(phase, 1.0)), 0.0)
    pitch = 1.0 * np.sin(2.0 * np.pi * (index - start) / period + 0.5)
    return np.column_stack((vertical, fore_aft, pitch))


def events_of(
    period: float = PERIOD,
    contact: float = 50.0,
    start: float = 100.0,
    anchor_error: float = 0.0,
    *,
    pitch: bool = True,
) -> Events:
    fine = np.arange(start, start + period, 0.01)
    loaded = fine[runner(fine, period, contact, start)[:, 0] > 1.0]
    anchor = Anchor(float(loaded[0]) + anchor_error, float(loaded[-1]) + anchor_error)
    positions = model_positions(anchor, period)
    assert len(positions) == MODEL_POINTS
    assert positions[-1] == pytest.approx(anchor.down + MODEL_END_SAMPLES - period / MODEL_POINTS)
    assert positions[0] == pytest.approx(anchor.down + MODEL_END_SAMPLES - period)
    seen = runner(np.concatenate((positions, anchor.up + np.array(EDGE_SAMPLES))), period, contact, start)
    around = np.arange(int(anchor.up) - RISE_BEFORE_SAMPLES, int(anchor.up) + RISE_AFTER_SAMPLES)
    foot = rise_foot(runner(around, period, contact, start)[:, 0], int(around[0]))
    return find_events(
        event_features(anchor, period, seen, anchor.up if pitch else foot), SHIPPED, with_gyroscope=pitch
    )


@pytest.mark.parametrize("pitch", [True, False])
@given(shift=st.floats(-50.0, 5000.0))
@settings(max_examples=20)
def test_events_move_with_the_waveform(*, pitch: bool, shift: float) -> None:
    here, there = events_of(pitch=pitch), events_of(start=100.0 + shift, pitch=pitch)
    assert there.initial_contact - here.initial_contact == pytest.approx(shift, abs=0.05)
    assert there.toe_off - here.toe_off == pytest.approx(shift, abs=0.05)
    assert there.strangeness == pytest.approx(here.strangeness, rel=0.05)


@pytest.mark.parametrize("anchor_error", [-3.0, -1.0, 1.0, 3.0])
def test_an_anchor_that_errs_moves_them_by_no_more_than_it_errs(anchor_error: float) -> None:
    # half of where events are counted from is the phase of the first harmonic, which no anchor moves
    here, there = events_of(pitch=False), events_of(anchor_error=anchor_error, pitch=False)
    assert abs(there.initial_contact - here.initial_contact) <= 0.6 * abs(anchor_error)
    assert abs(there.toe_off - here.toe_off) <= 0.6 * abs(anchor_error)
    here, there = events_of(), events_of(anchor_error=anchor_error)
    assert abs(there.initial_contact - here.initial_contact) <= abs(anchor_error)
    assert abs(there.toe_off - here.toe_off) <= abs(anchor_error)


@pytest.mark.parametrize("height_g", [0.8, 1.6, 3.2])
def test_the_foot_of_a_rise_stays_where_it_is_however_steep_the_rise(height_g: float) -> None:
    begin, length = 7.3, 16.0
    part = np.clip((np.arange(40) - begin) / length, 0.0, 1.0)
    rise = 0.5 * height_g * (1.0 - np.cos(np.pi * part))
    # half of a cosine is steepest in its middle, pi / 2 times as steep as its chord
    assert rise_foot(rise, 1000) == pytest.approx(1000 + begin + length * (0.5 - 1.0 / np.pi), abs=0.1)


@pytest.mark.parametrize("pitch", [True, False])
def test_a_longer_contact_in_the_same_step_is_seen_as_longer(*, pitch: bool) -> None:
    events = [events_of(contact=contact, pitch=pitch) for contact in (38.0, 44.0, 50.0, 56.0)]
    said = [e.toe_off - e.initial_contact for e in events]
    assert all(b > a for a, b in pairwise(said))
    # a pelvis is no point mass: toe-off is not where its force ends; the beginning is felt more sharply
    assert all(abs(e.initial_contact - 100.0) < 3.0 for e in events)
    if pitch:
        assert said[2] == pytest.approx(50.0, abs=7.0)


def test_an_unheard_of_waveform_is_strange() -> None:
    usual = events_of()
    positions = np.concatenate((np.arange(MODEL_POINTS) * PERIOD / MODEL_POINTS, 50.0 + np.array(EDGE_SAMPLES)))
    # nobody lands with three times the force a step of this length needs
    odd = 3.0 * runner(positions, PERIOD, 50.0, 0.0)
    seen = find_events(event_features(Anchor(50.0, 70.0), PERIOD, odd, 50.0), SHIPPED, with_gyroscope=True)
    assert seen.strangeness > 3.0 * usual.strangeness


# ---------------------------------------------------------------- side


def test_alternating_roll_locks_the_side_from_the_second_step() -> None:
    vote = SideVote()
    said = [vote.vote(0.8 if k % 2 == 0 else -0.7, 1) for k in range(1, 30)]
    assert said[0] == (0.0, 0.0)
    assert [lock > 0.0 for lock, _ in said[1:]] == [k % 2 == 0 for k in range(2, 30)]
    assert all(confidence > 0.99 for _, confidence in said[2:])


def test_one_odd_step_swaps_no_side() -> None:
    vote = SideVote()
    locks = []
    for k in range(1, 40):
        rate = 0.8 if k % 2 == 0 else -0.8
        locks.append(vote.vote(-rate if k == 20 else rate, 1)[0])
    assert [lock > 0.0 for lock in locks[1:]] == [k % 2 == 0 for k in range(2, 40)]


def test_a_missed_step_does_not_swap_the_sides() -> None:
    vote = SideVote()
    for k in range(1, 21):
        lock, _ = vote.vote(0.8 if k % 2 == 0 else -0.8, 1)
    assert lock > 0.0
    # step 21 was not seen; 22 is of the same foot as 20
    assert vote.vote(0.8, 2)[0] > 0.0
    assert vote.vote(-0.8, 1)[0] < 0.0


def test_confidence_is_low_where_votes_contradict_each_other() -> None:
    vote, rng = SideVote(), np.random.default_rng(1)
    confidence = [vote.vote(float(rng.standard_normal()), 1)[1] for _ in range(200)]
    assert np.mean(confidence[10:]) < 0.6


def test_after_a_hole_nothing_is_known_of_the_side() -> None:
    vote = SideVote()
    for k in range(10):
        vote.vote(float((-1) ** k), 1)
    vote.restart()
    assert vote.vote(1.0, 1) == (0.0, 0.0)
    assert vote.vote(-1.0, 1)[0] < 0.0
