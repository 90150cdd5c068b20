"""A runner's calibration in the core: where it is trusted, what it moves, and that it helps real runners."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from core_run import cut, events, only, run, simulated

from pelvis.data import CoreOutput, Samples, Step, Stride
from pelvis.personal import REACH, SPREAD_S, ContactCalibrator, ContactOffset, ContactPoint, Personal
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Scenario

POINT = ContactPoint(contact_time_s=0.24, offset_s=0.010, standard_error_s=0.001)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return simulated(Scenario(standing_s=3.0, duration_s=20.0))[0]


def told(personal: Personal, *items: Samples) -> list[CoreOutput]:
    pipeline = Pipeline(Settings(personal=personal))
    return [said for item in items for said in pipeline.feed(item)] + list(pipeline.finish())


# ---------------------------------------------------------------- how far an offset is trusted


def test_where_it_was_found_an_offset_is_trusted_and_elsewhere_less() -> None:
    offset = ContactOffset([POINT])
    # var / (var + se^2) of what was found, by the rules of prediction from a single observation
    trust = SPREAD_S**2 / (SPREAD_S**2 + 0.001**2)
    assert offset.at(0.24) == pytest.approx(0.010 * trust)
    assert offset.at(0.24 * math.exp(REACH)) == pytest.approx(0.010 * trust / math.e)
    assert offset.at(0.24 * math.exp(-REACH)) == pytest.approx(0.010 * trust / math.e)


def test_what_a_device_calls_contact_holds_at_every_speed() -> None:
    offset = ContactOffset([POINT], definition_sd_s=0.015)
    assert offset.at(0.12) > 0.75 * offset.at(0.24) > 0.007


def test_an_uncertain_offset_moves_little() -> None:
    vague = ContactOffset([replace(POINT, standard_error_s=SPREAD_S)])
    assert vague.at(0.24) == pytest.approx(0.005)


def test_two_points_are_both_met_and_what_lies_between_is_between() -> None:
    offset = ContactOffset([POINT, ContactPoint(0.20, -0.004, 0.001)])
    assert offset.at(0.24) == pytest.approx(0.010, abs=0.0005)
    assert offset.at(0.20) == pytest.approx(-0.004, abs=0.0005)
    assert -0.004 < offset.at(0.22) < 0.010


def test_what_remains_is_least_where_it_was_found_and_never_more_than_without() -> None:
    offset = ContactOffset([POINT])
    near, far = offset.remaining_sd_s(0.24), offset.remaining_sd_s(0.12)
    assert 0.0009 < near < 0.0011
    assert near < far < SPREAD_S
    assert offset.remaining_sd_s(10.0) == pytest.approx(SPREAD_S, rel=0.01)


def test_single_steps_do_not_make_the_offset_jump() -> None:
    calibrator = ContactCalibrator(Personal("force plate", (POINT,)))
    steady = [calibrator.tell(0.24) for _ in range(8)][-1]
    odd = calibrator.tell(0.18)
    assert abs(odd - steady) < 0.25 * abs(steady - ContactOffset([POINT]).at(0.18))
    calibrator.restart()
    assert calibrator.tell(0.18) == ContactOffset([POINT]).at(0.18)


# ---------------------------------------------------------------- what it moves


def test_both_ends_move_by_half_and_everything_keeps_fitting(samples: Samples) -> None:
    said = told(Personal("force plate", (POINT,)), samples)
    bare, moved = only(Step, run(samples)), only(Step, said)
    strides = {stride.step_index: stride for stride in only(Stride, said)}
    assert len(bare) == len(moved) > 30
    for before, after in zip(bare, moved, strict=True):
        offset_s = after.contact_time_offset_s
        assert 0.008 < offset_s < 0.0105
        assert after.contact_time_reference == "force plate"
        assert after.metrics["contact_time_s"] - before.metrics["contact_time_s"] == pytest.approx(offset_s, abs=1e-9)
        assert before.initial_contact_s - after.initial_contact_s == pytest.approx(offset_s / 2, abs=1e-9)
        assert after.toe_off_s - before.toe_off_s == pytest.approx(offset_s / 2, abs=1e-9)
        assert after.metrics["contact_time_s"] == after.toe_off_s - after.initial_contact_s
        assert (before.side, before.reported_at_s) == (after.side, after.reported_at_s)
    for before, after in pairwise(moved):
        flight_s = strides[before.step_index].metrics["flight_time_s"]
        assert flight_s == pytest.approx(after.initial_contact_s - before.toe_off_s, abs=1e-9)


def test_speed_rests_on_contact_time_as_it_was_measured(samples: Samples) -> None:
    bare = [step.metrics["speed_mps"] for step in only(Step, run(samples))]
    moved = [step.metrics["speed_mps"] for step in only(Step, told(Personal("force plate", (POINT,)), samples))]
    # velocity gain alone is taken over a stance that is a little longer now
    assert moved == pytest.approx(bare, rel=0.01, nan_ok=True)


def test_without_points_nothing_moves_and_nothing_is_named(samples: Samples) -> None:
    assert events(told(Personal(), samples)) == events(run(samples))
    assert {(s.contact_time_reference, s.contact_time_offset_s) for s in only(Step, run(samples))} == {("", 0.0)}


def test_a_calibrated_run_is_the_same_however_it_is_cut(samples: Samples) -> None:
    personal = Personal("force plate", (POINT, ContactPoint(0.2, 0.002, 0.002)), 0.01)
    parts = cut(samples, range(0, len(samples.t_s), 53))
    assert events(told(personal, *parts)) == events(told(personal, samples))


# ---------------------------------------------------------------- real runners


@pytest.fixture(scope="module")
def unseen(data_dir: Path):  # type: ignore[no-untyped-def]
    """Trials, and for each runner the event models of a fit without him or her."""
    pytest.importorskip("scipy")
    from sensor_host.validation.device import Device
    from sensor_host.validation.fit import Draw, take_down
    from sensor_host.validation.left_out import leave_each_out
    from sensor_host.validation.sources import fukuchi

    trials = fukuchi(data_dir)
    # two draws in place of twelve are soon made, and the models of no gyroscope are not looked at
    draws = [Draw(Device(seed=101)), Draw(Device(seed=301, gyroscope=False))]
    return trials, leave_each_out(take_down(trials, draws))


def test_a_calibration_at_one_speed_helps_at_others_and_most_at_its_own(unseen) -> None:  # type: ignore[no-untyped-def]
    from sensor_host.validation.calibration import gains
    from sensor_host.validation.device import Device

    trials, models = unseen
    found = gains(trials, Device(seed=7), models)
    same = found.pop("at the same speed, the same run")
    both = found.pop("at the two other speeds")
    assert len(found) == 3
    # where it was found it holds; elsewhere it wins more than it loses, and two speeds know more than one
    assert sum(gain.after_s**2 for gain in found.values()) < 0.95 * sum(gain.before_s**2 for gain in found.values())
    assert both.after_s < 0.9 * both.before_s
    assert same.after_s < 0.0015 < 0.25 * same.before_s
    assert same.steps_after_s < 0.7 * same.steps_before_s


def test_the_shipped_spread_and_reach_are_those_of_runners_left_out(unseen) -> None:  # type: ignore[no-untyped-def]
    from sensor_host.validation.calibration import run_means, spread_and_reach
    from sensor_host.validation.device import Device

    trials, models = unseen
    spread_s, reach = spread_and_reach(run_means(trials, Device(seed=1), models))
    assert spread_s == pytest.approx(SPREAD_S, rel=0.15)
    # 16 runners at three speeds tell it to a factor of two
    assert REACH / 2 < reach < 2 * REACH
