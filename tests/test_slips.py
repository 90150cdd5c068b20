"""A sensor that moves on the belt is noticed, and the angles are right again; a runner who changes is none.

The slips are made: the frame of a measured run is turned in mid-run, and the gyroscope feels the turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from core_run import keep, only, run, simulated, stream

from pelvis.data import Activity, ActivityState, Array, CoreOutput, Notice, Samples, Step
from pelvis.mounting import (
    DOUBTED_STEPS,
    LEAN_LIMIT_RAD,
    POSTURE_STEPS,
    STEADY_STEPS,
    TILT_LIMIT_RAD,
    TURNED_LIMIT_RAD,
    SlipWatch,
)
from pelvis.simulate import Drift, Phase, Scenario, SensorModel, Slip
from sensor_host.validation.device import Device, wear
from sensor_host.validation.score import match
from sensor_host.validation.sources import Run, fukuchi, sisfall

ROLL, PITCH, YAW = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
# heading is learned in 40 steps: the slips come right after, so that as much as possible of a run of 30 s is left
RUN_BEFORE_S = 16.0


def slips(said: list[CoreOutput]) -> list[Notice]:
    return [notice for notice in only(Notice, said) if notice.kind == "sensor_slipped"]


@dataclass(slots=True)
class Outcome:
    """What became of runs with a slip."""

    runs: int = 0
    once: int = 0
    sides_right: int = 0
    sides: int = 0
    flagged: int = 0
    flaggable: int = 0
    noticed_after: list[int] = field(default_factory=list[int])
    drop_deg: list[float] = field(default_factory=list[float])
    wave_deg: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    shift_deg: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


def judged(runs: Iterator[tuple[Run, list[CoreOutput], float, float]]) -> Outcome:
    """Compare runs (run, what was said, when the slip began, when it was over) with the optical pelvis."""
    found = Outcome()
    for trial, said, begun_s, over_s in runs:
        steps, notices = only(Step, said), slips(said)
        contact_s = np.array([step.initial_contact_s for step in steps])
        found.runs += 1
        found.once += len(notices) == 1
        if notices:
            found.noticed_after.append(int(np.sum((contact_s > begun_s) & (contact_s < notices[0].t_s))))
            between = [s for s in steps if begun_s < s.initial_contact_s <= notices[0].t_s]
            found.flaggable += len(between[6:])
            found.flagged += sum("sensor_turned" in s.flags for s in between[6:])
        for i, j in match(trial.truth.contact_s, contact_s):
            if contact_s[j] > begun_s:
                found.sides += 1
                found.sides_right += steps[j].side == trial.truth.sides[i]
            if contact_s[j] > over_s + 8.0:
                found.drop_deg.append(steps[j].metrics["pelvic_drop_deg"] - trial.truth.metrics["pelvic_drop_deg"][i])
        t_s = stream(said, "t_s")
        before = (trial.truth.wave_s > trial.lead_s + 8.0) & (trial.truth.wave_s < begun_s)
        after = (trial.truth.wave_s > over_s + 8.0) & (trial.truth.wave_s < t_s[-1])
        for name in ("obliquity_deg", "tilt_deg"):
            error = np.interp(trial.truth.wave_s, t_s, stream(said, name)) - trial.truth.waves[name]
            found.wave_deg.setdefault(name, []).append(float(np.std(error[after])))
            found.shift_deg.setdefault(name, []).append(float(np.mean(error[after]) - np.mean(error[before])))
    return found


def every_fourth(data_dir: Path, device: Device) -> Iterator[Run]:
    """A quarter of the runs, each speed in turn."""
    for k, trial in enumerate(fukuchi(data_dir)):
        if (k + k // 4) % 4 == 0:
            yield wear(trial, device)


def rms(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


# ---------------------------------------------------------------- real runners


@pytest.mark.parametrize(
    ("axis", "angle_deg", "over_s"),
    [
        (YAW, 20.0, 0.2),
        (YAW, 45.0, 0.2),
        (YAW, 90.0, 0.3),
        (YAW, 180.0, 0.5),
        (YAW, 45.0, 5.0),
        (ROLL, -10.0, 0.2),
        (ROLL, 20.0, 0.2),
        (ROLL, 10.0, 5.0),
        (PITCH, 10.0, 0.2),
        (PITCH, -20.0, 0.2),
        (ROLL, 180.0, 0.5),
        (PITCH, 90.0, 0.5),
    ],
)
def test_a_sensor_that_slips_in_mid_run_is_noticed_and_measures_as_before(
    data_dir: Path, axis: tuple[float, float, float], angle_deg: float, over_s: float
) -> None:
    def runs() -> Iterator[tuple[Run, list[CoreOutput], float, float]]:
        slip = Slip(RUN_BEFORE_S - over_s, axis, angle_deg, over_s)
        for trial in every_fourth(data_dir, Device(slip=slip)):
            at_s = trial.lead_s + slip.at_s
            yield trial, run(trial.samples, motion=True), at_s, at_s + over_s

    found = judged(runs())
    assert found.runs == 12
    assert found.once == found.runs
    assert np.median(found.noticed_after) <= 20
    assert max(found.noticed_after) <= 25
    if over_s < 1.0:
        assert found.flagged >= 0.4 * found.flaggable
    assert found.sides_right == found.sides
    assert rms(found.drop_deg) <= 0.5
    assert np.mean(found.wave_deg["obliquity_deg"]) <= 0.45
    assert np.mean(found.wave_deg["tilt_deg"]) <= 0.5
    assert rms(found.shift_deg["obliquity_deg"]) <= 1.0
    # what a slow slip looks like at first is taken for posture
    assert rms(found.shift_deg["tilt_deg"]) <= 1.0


def test_a_clip_that_comes_off_and_is_put_back_upside_down_is_noticed(data_dir: Path) -> None:
    def runs() -> Iterator[tuple[Run, list[CoreOutput], float, float]]:
        for trial in every_fourth(data_dir, Device(slip=Slip(11.0, ROLL, 180.0))):
            t_s, at_s = trial.samples.t_s, trial.lead_s + 11.0
            samples = keep(trial.samples, (t_s < at_s) | (t_s > at_s + 3.0))
            yield trial, run(samples, motion=True), at_s, at_s + 8.0

    found = judged(runs())
    assert found.once == found.runs
    # behind a hole the first step has no side yet
    assert found.sides_right >= found.sides - found.runs
    assert rms(found.drop_deg) <= 0.5
    assert np.mean(found.wave_deg["obliquity_deg"]) <= 0.6


@pytest.mark.parametrize(
    "device",
    [
        Device(),
        Device(mount_deg=None, still_s=0.0),
        Device(rate_hz=50.0),
        Device(loss_ratio=0.05),
        Device(loss_ratio=0.1, burst_s=0.1),
    ],
    ids=["usual", "any mounting, no standing", "50 Hz", "5 % lost", "10 % lost in long bursts"],
)
def test_a_sensor_that_stays_where_it_is_never_slips(data_dir: Path, device: Device) -> None:
    said = [run(trial.samples) for trial in every_fourth(data_dir, device)]
    assert sum(len(slips(one)) for one in said) == 0
    steps = [step for one in said for step in only(Step, one)]
    assert np.mean(["sensor_turned" in step.flags for step in steps]) < 0.01


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["faster and faster", "4.5, 2.5, 3.5 m/s"])
def test_another_speed_is_no_slip(data_dir: Path, order: tuple[int, int, int]) -> None:
    straight = Device(mount_deg=0.0, gyro_bias_dps=0.0, acc_bias_g=0.0, scale_ratio=0.0)
    trials = [wear(trial, straight) for trial in fukuchi(data_dir)]
    for k in range(0, len(trials), 6):
        parts: list[Array] = []
        for n, trial in enumerate(trials[k + i] for i in order):
            # from one right contact to another, so that the steps go on alternating
            right = trial.truth.contact_s[np.array(trial.truth.sides) == "right"]
            after = trial.samples.t_s >= (right[3] if n else 0.0)
            rows = after & (trial.samples.t_s < right[-2])
            parts.append(np.hstack((trial.samples.acc_mps2[rows], trial.samples.gyr_radps[rows])))
        rows = np.concatenate(parts)
        said = run(Samples(np.arange(len(rows)) / 200.0, rows[:, :3], rows[:, 3:], 200.0))
        assert len(only(Step, said)) > 180
        assert not slips(said), trials[k].name


def test_the_sharp_turns_of_real_joggers_are_hardly_ever_taken_for_a_slip(data_dir: Path) -> None:
    joggers = [life for life in sisfall(data_dir) if life.activity in ("D03", "D04")]
    said = [run(life.samples) for life in joggers]
    # belts do slip: nobody watched them
    assert sum(bool(slips(one)) for one in said) <= 0.2 * len(joggers)


# ---------------------------------------------------------------- the side after a hole


@pytest.mark.parametrize("late_s", [0.0, 0.08, 0.17, 0.25, 0.33, 0.42, 0.5, 0.58])
def test_the_side_is_right_again_after_a_hole_of_three_seconds(data_dir: Path, late_s: float) -> None:
    steps_missed = set()
    for trial in every_fourth(data_dir, Device(mount_deg=30.0)):
        at_s = trial.lead_s + 12.0 + late_s
        kept = (trial.samples.t_s < at_s) | (trial.samples.t_s > at_s + 3.0)
        steps = [s for s in only(Step, run(keep(trial.samples, kept))) if s.initial_contact_s > at_s]
        steps_missed.add(int(np.sum((trial.truth.contact_s > at_s) & (trial.truth.contact_s < at_s + 3.0))) % 2)
        true = {
            j: trial.truth.sides[i]
            for i, j in match(trial.truth.contact_s, np.array([s.initial_contact_s for s in steps]))
        }
        after = int(np.searchsorted(trial.truth.contact_s, at_s + 3.0))
        in_time = [j for j in true if steps[j].initial_contact_s >= trial.truth.contact_s[after + 15]]
        assert len(in_time) > 10
        assert all(steps[j].side == true[j] for j in in_time), trial.name
    assert steps_missed == {0, 1}


# ---------------------------------------------------------------- the simulated runner


@pytest.mark.parametrize(("axis", "angle_deg"), [(YAW, 30.0), (YAW, 180.0), (ROLL, 15.0), (ROLL, 180.0)])
def test_after_a_slip_the_angles_are_those_of_the_same_runner_without(
    axis: tuple[float, float, float], angle_deg: float
) -> None:
    sensor = SensorModel(rate_hz=200.0)
    slipping = replace(sensor, slips=(Slip(30.0, axis, angle_deg),))
    said, calm = (run(simulated(Scenario(duration_s=60.0, sensor=s))[0], motion=True) for s in (slipping, sensor))
    assert [notice.kind for notice in slips(said)] == ["sensor_slipped"]
    assert 30.0 < slips(said)[0].t_s < 38.0
    late = stream(said, "t_s") > 45.0
    for name in ("obliquity_deg", "tilt_deg"):
        difference = stream(said, name)[late] - stream(calm, name)[late]
        assert np.sqrt(np.mean(difference**2)) < 0.8, name


def test_two_slips_are_said_twice() -> None:
    sensor = SensorModel(rate_hz=200.0, slips=(Slip(30.0, YAW, 30.0), Slip(60.0, ROLL, -15.0)))
    first, second = slips(run(simulated(Scenario(duration_s=80.0, sensor=sensor))[0]))
    assert 30.0 < first.t_s < 38.0
    assert 60.0 < second.t_s < 68.0


def test_fatigue_and_intervals_are_no_slip() -> None:
    tired = Scenario(
        duration_s=260.0,
        drifts=(Drift(60.0, 260.0, tilt_deg=9.0, drop_left_deg=3.0, pelvis_sway_m=0.015),),
    )
    phases = (Phase(ActivityState.STANDING, 5.0),) + 3 * (
        Phase(ActivityState.RUNNING, 25.0, 2.8),
        Phase(ActivityState.RUNNING, 25.0, 4.8),
        Phase(ActivityState.WALKING, 10.0),
    )
    for scenario in (tired, Scenario(phases=phases)):
        said = run(simulated(scenario)[0])
        assert any(a.state is ActivityState.RUNNING for a in only(Activity, said))
        assert not slips(said)


# ---------------------------------------------------------------- what tells a slip from a runner

STRAIGHT = (0.0, 0.0, 1.0)


def leaning(tilt_rad: float, lean_rad: float) -> tuple[float, float, float]:
    return math.sin(tilt_rad), math.sin(lean_rad), math.cos(tilt_rad) * math.cos(lean_rad)


def watching() -> SlipWatch:
    watch = SlipWatch()
    for _ in range(POSTURE_STEPS + STEADY_STEPS):
        assert not watch.watch(STRAIGHT, 0.0, 0.0, opposed=False, settled=True)
    return watch


@pytest.mark.parametrize(
    ("posture", "turned_rad", "opposed", "steps"),
    [
        (STRAIGHT, 1.1 * TURNED_LIMIT_RAD, False, DOUBTED_STEPS),
        (STRAIGHT, 0.0, True, DOUBTED_STEPS),
        (leaning(0.0, 1.1 * LEAN_LIMIT_RAD), 0.0, False, STEADY_STEPS),
        (leaning(-1.1 * TILT_LIMIT_RAD, 0.0), 0.0, False, STEADY_STEPS),
        (leaning(0.0, math.pi), 0.0, False, DOUBTED_STEPS),
    ],
    ids=["turned", "back to front", "leant", "tilted", "upside down"],
)
def test_a_slip_is_what_lasts(
    posture: tuple[float, float, float], turned_rad: float, opposed: bool, steps: int
) -> None:
    watch = watching()
    said = [watch.watch(posture, turned_rad, 0.0, opposed=opposed, settled=True) for _ in range(steps)]
    assert said == [False] * (steps - 1) + [True]
    watch = watching()
    for _ in range(5):
        for _ in range(steps - 1):
            assert not watch.watch(posture, turned_rad, 0.0, opposed=opposed, settled=True)
        assert not watch.watch(STRAIGHT, 0.0, 0.0, opposed=False, settled=True)


def test_what_leans_in_a_bend_is_the_runner() -> None:
    watch = watching()
    for _ in range(60):
        assert not watch.watch(leaning(0.0, math.radians(8.0)), 0.0, 0.6, opposed=False, settled=True)


def test_what_changes_within_minutes_is_the_runner() -> None:
    watch = watching()
    for k in range(2000):
        assert not watch.watch(leaning(-math.radians(0.02 * k), 0.0), 0.0, 0.0, opposed=False, settled=True)
    assert watch.posture[0] < -0.5
