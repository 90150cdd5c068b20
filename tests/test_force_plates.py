"""Real runners and real sensors: the core against force plates, daily life and walks, in public data.

Runs where HIPDRIVE_DATA names the folder with the data sets; `hipdrive validate` prints the whole tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, ContactWithdrawn, ProvisionalContact, Samples, Step
from pelvis.metrics import METRICS
from sensor_host.validation.bounds import bounds
from sensor_host.validation.device import Device, wear
from sensor_host.validation.field import JOGGING, JOGGING_FALL
from sensor_host.validation.measured import Measured
from sensor_host.validation.score import Score, contacts_of, rms, said_of, score_run
from sensor_host.validation.sources import fukuchi, sisfall, voisard

# half a minute where nothing else runs
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def reference_board(measured: Measured) -> Score:
    """48 runs of 16 runners behind the reference board's rate."""
    score = measured.score(Device(rate_hz=208.0), shipped=True)
    assert score.contacts > 3000
    return score


def test_everything_that_is_asked_of_the_accuracy_is_met(measured: Measured) -> None:
    asked = bounds(measured)
    assert len(asked) > 40
    assert [f"{b.what}: {b.text(b.value)}, asked {b.asked}" for b in asked if not b.met] == []


def test_the_shipped_models_do_no_worse_than_those_that_have_not_seen_a_runner(measured: Measured) -> None:
    left_out, shipped = measured.score(), measured.score(shipped=True)
    for name in ("initial_contact_s", "toe_off_s", "contact_time_s"):
        assert shipped.rmse(name) <= left_out.rmse(name)


def test_the_reference_board_fares_as_well(measured: Measured, reference_board: Score) -> None:
    usual = measured.score(shipped=True)
    assert reference_board.f1 >= 0.999
    assert reference_board.while_standing == 0
    assert reference_board.sides.all()
    assert reference_board.rmse("contact_time_s") <= usual.rmse("contact_time_s") + 0.5  # ms
    assert reference_board.rmse("pelvic_drop_deg") <= usual.rmse("pelvic_drop_deg") + 0.05
    assert reference_board.rmse("peak_drop_deg") <= 0.5


def test_every_metric_is_filled_for_nearly_every_step(reference_board: Score) -> None:
    # which needs a speed that is no estimate
    assert {name for name in METRICS if reference_board.coverage(name) < 0.95} == {"vertical_ratio_percent"}


def test_provisional_contacts_come_within_80_ms_and_hold(reference_board: Score) -> None:
    touches = [run.touches for run in reference_board.runs if run.touches is not None]
    delay_ms = np.concatenate([t.delays_ms for t in touches])
    assert delay_ms.max() <= 80.0
    assert np.median(delay_ms) <= 60.0
    assert len(delay_ms) >= 0.99 * reference_board.contacts
    assert sum(t.withdrawn for t in touches) <= 0.01 * reference_board.contacts
    assert np.std(np.concatenate([t.errors_ms for t in touches])) <= 10.0
    assert np.mean(np.concatenate([t.side_right for t in touches])) >= 0.98


def test_quality_tells_good_steps_from_bad_ones(measured: Measured) -> None:
    runs = [
        run
        for device in (Device(), Device(loss_ratio=0.1, burst_s=0.1))
        for run in measured.score(device, shipped=True).runs
    ]
    quality = np.concatenate([run.quality for run in runs])
    groups = [(quality >= low) & (quality < high) for low, high in ((0.8, 1.01), (0.6, 0.8), (0.0, 0.6))]
    for name in ("contact_time_s", "pelvic_drop_deg"):
        error = np.concatenate([run.errors[name] for run in runs])
        good, middling, bad = (rms(error[group][np.isfinite(error[group])]) for group in groups)
        assert good < middling < bad


@pytest.mark.parametrize(
    "device",
    [Device(mount_deg=None), Device(loss_ratio=0.05), Device(still_s=0.0, gyro_bias_dps=3.0)],
    ids=["any mounting", "5 % lost", "no standing"],
)
def test_other_sensors_and_wearers_fare_about_as_well(measured: Measured, device: Device) -> None:
    # every third run: each speed in turn, all runners
    chosen = [trial for k, trial in enumerate(measured.trials) if (k + k // 3) % 3 == 0]
    runs = [wear(trial, replace(device, seed=3)) for trial in chosen]
    score = Score(tuple(score_run(run, said_of(run.samples)) for run in runs))
    assert len(score.runs) == 16
    assert score.f1 >= 0.995
    assert score.sides.mean() >= 0.98
    assert score.rmse("contact_time_s") <= 15.0
    assert score.rmse("pelvic_drop_deg") <= 0.6


def test_a_real_sacral_accelerometer_is_measured_on_the_level_without_a_gyroscope(measured: Measured) -> None:
    # 13 ms was reached by others' means on the level
    assert measured.slopes.by_slope[0.0].rmse("contact_time_s") <= 13.2


def worn_otherwise(samples: Samples) -> Samples:
    """The same seen by a sensor that sits any other way round."""
    tilted = rotation_about((1.0, -2.0, 0.5), 2.2)
    return replace(samples, acc_mps2=samples.acc_mps2 @ tilted.T, gyr_radps=samples.gyr_radps @ tilted.T)


def rotation_about(axis: tuple[float, float, float], angle_rad: float) -> Array:
    """Rodrigues' rotation matrix."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    matrix: Array = np.eye(3) + np.sin(angle_rad) * cross + (1.0 - np.cos(angle_rad)) * cross @ cross
    return matrix


def without_gyroscope(samples: Samples) -> Samples:
    return replace(samples, gyr_radps=np.zeros_like(samples.gyr_radps))


WORN = pytest.mark.parametrize(
    "worn", [lambda samples: samples, worn_otherwise, without_gyroscope], ids=["as worn", "turned", "no gyroscope"]
)


@WORN
def test_daily_life_falls_and_walks_give_no_steps(data_dir: Path, worn: Callable[[Samples], Samples]) -> None:
    false: Counter[str] = Counter()
    for life in (*sisfall(data_dir), *voisard(data_dir)):
        if life.activity not in (*JOGGING, JOGGING_FALL):
            said = said_of(worn(life.samples))
            false[life.activity] += len(contacts_of(said))
            provisional = sum(isinstance(x, ProvisionalContact) for x in said)
            assert provisional <= sum(isinstance(x, Step | ContactWithdrawn) for x in said)
    assert sum(n for activity, n in false.items() if activity.startswith("F")) <= 5
    assert not {activity: n for activity, n in false.items() if n and not activity.startswith("F")}


@WORN
def test_jogging_is_heard_and_its_cadence_counted(data_dir: Path, worn: Callable[[Samples], Samples]) -> None:
    jogging = 0
    errors: list[float] = []
    for life in sisfall(data_dir):
        if life.activity not in JOGGING:
            continue
        contact_s = contacts_of(said_of(worn(life.samples)))
        for k, (cadence_spm, counted) in enumerate(zip(life.cadence_spm, life.counted, strict=True)):
            if counted and k >= 2:
                inside = contact_s[(contact_s >= k * life.window_s) & (contact_s < (k + 1) * life.window_s)]
                jogging += 1
                if len(inside) >= 0.85 * (cadence_spm * life.window_s / 60.0 - 1.0):
                    errors.append(120.0 / float(np.median(inside[2:] - inside[:-2])) - cadence_spm)
    assert len(errors) >= 0.98 * jogging > 600
    assert np.std(errors) <= 1.2
    assert abs(np.mean(errors)) < 1.0


@WORN
def test_a_fall_while_jogging_ends_the_steps(data_dir: Path, worn: Callable[[Samples], Samples]) -> None:
    falls = [life for life in sisfall(data_dir) if life.activity == JOGGING_FALL]
    assert falls
    for life in falls:
        force_g = np.sqrt((life.samples.acc_mps2**2).sum(axis=1)) / STANDARD_GRAVITY_MPS2
        # the last shock is the body's, and no foot touches down in the 0.3 s before it
        hits_s = life.samples.t_s[np.flatnonzero(force_g > 3.5)[-1]]
        contact_s = contacts_of(said_of(worn(life.samples)))
        assert len(contact_s) >= 5, life.name
        assert contact_s.max() < hits_s - 0.3, life.name


def test_the_first_steps_of_a_run_are_found_and_know_their_side(data_dir: Path) -> None:
    contacts = found = right = 0
    errors_ms: list[float] = []
    for trial in fukuchi(data_dir):
        run = wear(trial, Device(rate_hz=208.0))
        truth = run.truth
        steps = [x for x in said_of(run.samples) if isinstance(x, Step)]
        contact_s = np.array([step.initial_contact_s for step in steps])
        first = (truth.contact_s > run.lead_s) & (truth.contact_s < run.lead_s + 4.0)
        for k in np.flatnonzero(first).tolist():
            i = int(np.argmin(np.abs(contact_s - truth.contact_s[k])))
            contacts += 1
            if abs(contact_s[i] - truth.contact_s[k]) < 0.08:
                found += 1
                right += steps[i].side == truth.sides[k]
                errors_ms.append(1e3 * (steps[i].metrics["contact_time_s"] - (truth.toe_off_s[k] - truth.contact_s[k])))
    # the first loading of each run ends no cycle
    assert found >= contacts - 48
    assert right == found
    # 17 ms: what the first 2 s cost where the axes were not known yet
    assert np.sqrt(np.mean(np.square(errors_ms))) <= 17.0
