"""Speed and step length: which source speaks, for how long, and what the models are worth on real runners."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from core_run import cut, events, only, run, simulated

from pelvis import speed
from pelvis.data import Array, CoreInput, CoreOutput, Samples, Speed, Step, Stride
from pelvis.personal import ANYBODY, Personal, SpeedPoint
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Scenario
from pelvis.speed import ESTIMATE, MODEL, SPEED_HOLDS_S, TREADMILL, Speedometer, law_of, point_of
from sensor_host.validation import sources
from sensor_host.validation import speed as fit
from sensor_host.validation.device import Device
from sensor_host.validation.speed import Runs

POINT = SpeedPoint(speed_mps=3.0, step_time_s=0.36, velocity_gain_mps=0.6, contact_time_s=0.25)
GAIT = (0.36, 0.6, 0.25)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return simulated(Scenario(standing_s=3.0, duration_s=24.0, speed_mps=3.2))[0]


def told(personal: Personal, *items: CoreInput) -> list[CoreOutput]:
    pipeline = Pipeline(Settings(personal=personal))
    return [said for item in items for said in pipeline.feed(item)] + list(pipeline.finish())


# ---------------------------------------------------------------- who speaks


def test_a_treadmill_entry_holds_until_it_is_changed_and_zero_takes_it_back() -> None:
    meter = Speedometer(ANYBODY)
    meter.take(Speed(10.0, 3.0, TREADMILL))
    meter.take(Speed(2000.0, 3.5, TREADMILL))
    meter.take(Speed(3000.0, 0.0, TREADMILL))
    assert math.isnan(meter.tell(9.9, *GAIT)[0])
    assert meter.tell(10.0, *GAIT) == (3.0, TREADMILL)
    assert meter.tell(1999.0, *GAIT) == (3.0, TREADMILL)
    assert meter.tell(2001.0, *GAIT) == (3.5, TREADMILL)
    assert meter.tell(3001.0, *GAIT)[1] != TREADMILL


def test_a_source_that_falls_silent_is_forgotten_and_the_entry_before_it_holds_again() -> None:
    meter = Speedometer(ANYBODY)
    meter.take(Speed(0.0, 3.0, TREADMILL))
    meter.take(Speed(10.0, 3.3, "foot pod"))
    assert meter.tell(10.0 + SPEED_HOLDS_S, *GAIT) == (3.3, "foot pod")
    assert meter.tell(10.1 + SPEED_HOLDS_S, *GAIT) == (3.0, TREADMILL)


def test_a_source_that_says_standing_while_the_runner_runs_is_not_believed() -> None:
    meter = Speedometer(Personal(speed_points=(POINT,)))
    for _ in range(4):
        meter.take(Speed(0.0, 0.0, "foot pod"))
        said = meter.tell(1.0, *GAIT)
    assert said == (pytest.approx(3.0), MODEL)


def test_nothing_is_said_from_fewer_than_two_steps_of_each_foot() -> None:
    meter = Speedometer(ANYBODY)
    sources = [meter.tell(0.4 * k, *GAIT)[1] for k in range(5)]
    assert sources == ["", "", "", ESTIMATE, ESTIMATE]
    meter.restart()
    assert meter.tell(9.0, *GAIT) == (pytest.approx(math.nan, nan_ok=True), "")


def test_a_missed_contact_does_not_make_a_slow_step() -> None:
    meter = Speedometer(Personal(speed_points=(POINT,)))
    for _ in range(8):
        meter.tell(0.0, *GAIT)
    assert meter.tell(0.0, 0.72, 0.6, 0.25) == (pytest.approx(3.0), MODEL)
    assert meter.tell(0.0, math.nan, 0.6, 0.25) == (pytest.approx(3.0), MODEL)


# ---------------------------------------------------------------- the law


def test_the_law_goes_through_a_runner_s_one_point_and_scales_by_the_exponents() -> None:
    law = law_of([POINT])
    assert law.log_speed(*GAIT) == pytest.approx(math.log(3.0))
    a, b, c = speed.EXPONENTS
    faster = law.log_speed(0.36 * 0.9, 0.6 * 1.2, 0.25 * 0.8)
    assert faster - math.log(3.0) == pytest.approx(a * math.log(0.9) + b * math.log(1.2) + c * math.log(0.8))


def test_more_points_bend_the_law_towards_the_runner() -> None:
    truth = (-0.8, 0.5, -1.2)
    seen = [(0.38, 0.5, 0.28), (0.36, 0.7, 0.24), (0.33, 0.9, 0.20)]
    points = [
        SpeedPoint(math.exp(2.0 + sum(x * math.log(y) for x, y in zip(truth, row, strict=True))) / 5.0, *row)
        for row in seen
    ]
    one, three = law_of(points[:1]), law_of(points)
    fastest = points[-1]
    missed_by = [
        abs(law.log_speed(*seen[-1]) - math.log(fastest.speed_mps)) for law in (one, law_of(points[:2]), three)
    ]
    assert missed_by[2] < 0.01
    assert missed_by[2] < missed_by[1] < missed_by[0]


def test_a_point_s_means_leave_odd_steps_out() -> None:
    usual = {"cadence_spm": 60.0 / 0.36, "velocity_gain_mps": 0.6, "contact_time_s": 0.25}
    odd = [{**usual, "cadence_spm": 80.0}, {**usual, "cadence_spm": math.nan}, {**usual, "velocity_gain_mps": 0.0}]
    point, steps = point_of(3.0, [usual, *odd, usual])
    assert steps == 2
    assert (point.step_time_s, point.velocity_gain_mps, point.contact_time_s) == pytest.approx(GAIT)
    assert point_of(3.0, odd)[1] == 0


# ---------------------------------------------------------------- in the pipeline


def test_step_length_is_speed_times_step_time_to_the_bit_wherever_speed_comes_from(samples: Samples) -> None:
    said = told(ANYBODY, Speed(10.0, 3.2, TREADMILL), Speed(18.0, 0.0, TREADMILL), samples)
    steps = only(Step, said)
    assert {step.speed_source for step in steps} == {"", ESTIMATE, TREADMILL}
    for step in steps:
        m = step.metrics
        assert math.isnan(m["speed_mps"]) == (step.speed_source == "")
        if not math.isnan(m["speed_mps"] * m["cadence_spm"]):
            assert m["step_length_m"] == m["speed_mps"] * 60.0 / m["cadence_spm"]
        else:
            assert math.isnan(m["step_length_m"])
        held = 10.0 <= step.reported_at_s < 18.0
        assert (step.speed_source == TREADMILL) == held
        assert not held or m["speed_mps"] == 3.2


def test_the_way_between_contacts_adds_up_to_the_belt_s(samples: Samples) -> None:
    steps = only(Step, told(ANYBODY, Speed(0.0, 3.2, TREADMILL), samples))
    way_m = sum(step.metrics["step_length_m"] for step in steps[1:])
    assert way_m == pytest.approx(3.2 * (steps[-1].initial_contact_s - steps[0].initial_contact_s))


def test_vertical_ratio_needs_a_speed_that_is_no_estimate(samples: Samples) -> None:
    estimated = only(Stride, told(ANYBODY, samples))
    assert all(math.isnan(stride.metrics["vertical_ratio_percent"]) for stride in estimated)
    known = [
        stride.metrics
        for stride in only(Stride, told(ANYBODY, Speed(0.0, 3.2, TREADMILL), samples))
        if math.isfinite(stride.metrics["vertical_oscillation_m"])
    ]
    for m in known:
        share = m["vertical_oscillation_m"] / (3.2 * m["step_time_s"])
        assert m["vertical_ratio_percent"] == pytest.approx(100.0 * share)
    assert 6.0 < np.mean([m["vertical_ratio_percent"] for m in known]) < 13.0


def test_speed_is_the_same_however_the_samples_are_cut(samples: Samples) -> None:
    personal = Personal(speed_points=(POINT,))
    speeds = [Speed(9.0, 3.1, "foot pod"), Speed(16.0, 3.3, "foot pod")]
    whole = events(told(personal, *speeds, samples))
    parts = cut(samples, range(0, len(samples.t_s), 37))
    assert events(told(personal, *speeds, *parts)) == whole
    # a speed that is told when it is due, before the samples that follow it
    mixed: list[CoreInput] = []
    for part in parts:
        end_s = part.t_s[-1] if len(part.t_s) else -1.0
        mixed += [s for s in speeds if s not in mixed and s.t_s <= end_s]
        mixed.append(part)
    assert events(told(personal, *mixed)) == whole


def test_speed_changes_nothing_else(samples: Samples) -> None:
    def bare(said: list[CoreOutput]) -> list[str]:
        kept = ("speed_mps", "step_length_m", "vertical_ratio_percent")
        steps = [
            replace(
                item,
                metrics={k: v for k, v in item.metrics.items() if k not in kept},
                errors={k: v for k, v in item.errors.items() if k not in kept},
                common_errors={k: v for k, v in item.common_errors.items() if k not in kept},
                **({"speed_source": ""} if isinstance(item, Step) else {}),
            )
            for item in said
            if isinstance(item, Step | Stride)
        ]
        return [repr(step) for step in steps]

    assert bare(run(samples)) == bare(told(Personal(speed_points=(POINT,)), Speed(12.0, 3.2, "gps"), samples))


# ---------------------------------------------------------------- real runners


@pytest.fixture(scope="module")
def treadmill(data_dir: Path) -> Runs:
    return fit.observe(sources.fukuchi(data_dir), [Device(seed=5)])


def test_the_shipped_numbers_are_those_of_the_fit(treadmill: Runs) -> None:
    # single exponents, which nearly go together, move with the noise; what they say together does not
    assert np.abs(_changes(treadmill, fit.fit_within(treadmill)) - _changes(treadmill, speed.EXPONENTS)).max() < 0.03
    refitted = fit.predicted(fit.fit_across(treadmill), treadmill)
    assert np.abs(refitted - fit.predicted(speed.POPULATION, treadmill)).max() < 0.04


def _changes(runs: Runs, exponents: tuple[float, float, float]) -> Array:
    """Return ln of the speed of each run against the runner's mean, by these exponents."""
    own = np.array([runs.seen[runs.runner == name].mean(axis=0) for name in runs.runner])
    return np.asarray((runs.seen - own) @ np.array(exponents))


def test_one_known_point_tells_other_speeds_better_than_none(treadmill: Runs) -> None:
    found = {name: float(np.mean(np.abs(errors))) for name, errors in fit.errors(treadmill).items()}
    one, none = found["one point, the middle speed"], found["nothing"]
    assert found["two points, the third between them"] < one < none
    # 6.5 % and 11 % of runners left out were reached
    assert one < 0.075
    assert none < 0.12


def test_the_order_of_a_runner_s_speeds_is_right_without_any_point(treadmill: Runs) -> None:
    said = fit.predicted(speed.POPULATION, treadmill)
    pairs: list[tuple[float, float]] = []
    for name in np.unique(treadmill.runner):
        own = treadmill.runner == name
        pairs += pairwise(said[own][np.argsort(treadmill.known[own])].tolist())
    assert np.mean([slower < faster for slower, faster in pairs]) >= 0.97
