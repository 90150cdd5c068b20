"""A run measured from arrays, in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pelvis
from pelvis.data import Activity, ActivityState, Samples
from pelvis.foreign import UnusableError
from pelvis.simulate import Scenario, SensorModel, SimulatedRunner, TrueContact
from sensor_host import load_session
from sensor_host.tables import format_samples, samples_header
from tests.core_run import simulated

SCENARIO = Scenario(speed_mps=3.2, standing_s=4.0, duration_s=30.0, sensor=SensorModel(rate_hz=100.0))


@pytest.fixture(scope="module")
def run() -> tuple[Samples, list[TrueContact]]:
    return simulated(SCENARIO, seed=3)


def test_arrays_become_steps_that_agree_with_the_truth(run: tuple[Samples, list[TrueContact]]) -> None:
    samples, truth = run
    found = pelvis.analyze(samples.t_s, samples.acc_mps2, samples.gyr_radps)
    true_s = np.array([contact.initial_contact_s for contact in truth])
    nearest = np.abs(found.steps["initial_contact_s"][:, np.newaxis] - true_s).argmin(axis=1)
    # all but the first and last of the run, each once
    assert nearest.tolist() == list(range(nearest[0], nearest[-1] + 1))
    assert len(nearest) > len(truth) - 6
    # limits from the accuracy that is published for such sensors
    errors_s = found.steps["contact_time_s"] - [truth[i].contact_time_s for i in nearest]
    assert np.sqrt(np.mean(errors_s[10:] ** 2)) < 0.012
    assert found.steps["side"][2:].tolist() == [str(truth[i].side) for i in nearest[2:]]
    assert ActivityState.RUNNING in {item.state for item in found.said if isinstance(item, Activity)}


def test_motion_is_the_pelvis_whose_truth_is_known(run: tuple[Samples, list[TrueContact]]) -> None:
    samples, _ = run
    motion = pelvis.analyze(samples.t_s, samples.acc_mps2, samples.gyr_radps).motion
    (block,) = SimulatedRunner(SCENARIO, 3).blocks(SCENARIO.end_s + 1.0)
    true_deg = np.interp(motion.t_s, block.t_s, block.truth.obliquity_deg)
    late = motion.t_s > 15.0  # forward is known by then
    errors_deg = (motion.obliquity_deg - true_deg)[late]
    assert np.std(true_deg[late]) > 1.0
    assert np.sqrt(np.mean((errors_deg - errors_deg.mean()) ** 2)) < 0.5


def test_arrays_and_a_file_of_the_same_samples_say_the_very_same(tmp_path: Path) -> None:
    (block,) = SimulatedRunner(SCENARIO, 3).blocks(SCENARIO.end_s + 1.0)
    path = tmp_path / "run.csv"
    path.write_bytes(samples_header() + format_samples(block.t_s, block.acc_mps2, block.gyr_radps))
    session = load_session(path, coached=False)
    columns = np.loadtxt(path, delimiter=",", skiprows=1)
    found = pelvis.analyze(columns[:, 0], columns[:, 1:4], columns[:, 4:])
    assert found.steps.to_csv() == session.steps.to_csv()
    assert found.motion.obliquity_deg.tobytes() == session.motion.obliquity_deg.tobytes()


def test_a_treadmill_s_speed_is_that_of_every_step(run: tuple[Samples, list[TrueContact]]) -> None:
    samples, _ = run
    steps = pelvis.analyze(samples.t_s, samples.acc_mps2, samples.gyr_radps, speed_mps=3.2).steps
    assert set(steps["speed_source"]) == {"treadmill"}
    assert set(steps["speed_mps"]) == {3.2}


def test_rows_that_are_no_numbers_are_lost_samples(run: tuple[Samples, list[TrueContact]]) -> None:
    samples, _ = run
    spoilt = samples.acc_mps2.copy()
    spoilt[1500:1520] = np.nan
    kept = np.ones(len(spoilt), dtype=np.bool_)
    kept[1500:1520] = False
    with_nan = pelvis.analyze(samples.t_s, spoilt, samples.gyr_radps)
    without = pelvis.analyze(samples.t_s[kept], samples.acc_mps2[kept], samples.gyr_radps[kept])
    assert with_nan.steps.to_csv() == without.steps.to_csv()
    assert any("lost_samples" in flags for flags in with_nan.steps["flags"])


def test_lists_will_do_and_nobody_writes_into_them(run: tuple[Samples, list[TrueContact]]) -> None:
    samples, _ = run
    rows = slice(0, 1500)
    arrays = [samples.t_s[rows].copy(), samples.acc_mps2[rows].copy(), samples.gyr_radps[rows].copy()]
    for array in arrays:
        array.flags.writeable = False
    found = pelvis.analyze(*arrays)
    assert len(found.steps) > 10
    assert pelvis.analyze(*(array.tolist() for array in arrays)).steps.to_csv() == found.steps.to_csv()


@pytest.mark.parametrize(
    ("t_s", "acc", "gyr", "words"),
    [
        (1.0, 1 / 9.80665, 1.0, r"0\.10\d g where about 1 g is expected: acc_mps2 must be in m/s2"),
        (1.0, 1.0, 57.3, "gyr_radps must be in rad/s"),
        (1000.0, 1.0, 1.0, r"sampled at 0\.1 Hz; 50 to 500 Hz can be analysed \(t_s must be in seconds\)"),
        (-1.0, 1.0, 1.0, r"goes back in time: t_s\[1\]"),
    ],
)
def test_a_wrong_unit_is_told_and_not_measured(
    run: tuple[Samples, list[TrueContact]], t_s: float, acc: float, gyr: float, words: str
) -> None:
    samples, _ = run
    with pytest.raises(ValueError, match=words):
        pelvis.analyze(t_s * samples.t_s, acc * samples.acc_mps2, gyr * samples.gyr_radps)


def test_shapes_that_do_not_fit_and_runs_that_are_too_short_are_told() -> None:
    with pytest.raises(ValueError, match=r"acc_mps2 and gyr_radps \(n, 3\); they are \(5,\), \(3, 5\), \(3, 5\)"):
        pelvis.analyze(np.arange(5.0), np.zeros((3, 5)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"the run has 0 samples over 0\.00 s; at least 1 s is needed") as told:
        pelvis.analyze([], np.empty((0, 3)), np.empty((0, 3)))
    assert isinstance(told.value.__cause__, UnusableError)
