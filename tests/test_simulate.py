"""The simulated runner obeys mechanics, is what its scenario says, and its sensor errs as it is told to."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import vqf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pelvis.data import ACTIVITY_CODES, STANDARD_GRAVITY_MPS2, ActivityState, Array, Side
from pelvis.metrics import METRICS
from pelvis.simulate import (
    CENTRE_FROM_SENSOR_M,
    Drift,
    Phase,
    Scenario,
    SensorModel,
    SimulatedBlock,
    SimulatedRunner,
    TrueContact,
    Variability,
)

G = STANDARD_GRAVITY_MPS2
SETTLED_S = 8.0  # 5 s of standing, then 2.1 s to get up to speed


def whole(scenario: Scenario, seed: int = 1) -> SimulatedBlock:
    (block,) = SimulatedRunner(scenario, seed).blocks(scenario.end_s + 1.0)
    return block


@lru_cache
def clean_at_1_khz() -> SimulatedBlock:
    return whole(replace(Scenario(duration_s=20.0).clean(), sensor=SensorModel.ideal(1000.0)))


def steady(block: SimulatedBlock) -> list[TrueContact]:
    """Contacts at full speed whose stride is known."""
    return [c for c in block.contacts if c.initial_contact_s > SETTLED_S and np.isfinite(c.sway_m)]


def attitude(block: SimulatedBlock) -> Rotation:
    truth = block.truth
    return Rotation.from_euler(
        "ZXY", np.column_stack([truth.rotation_deg, -truth.obliquity_deg, truth.tilt_deg]), degrees=True
    )


def integral(values: Array, t_s: Array) -> Array:
    """Cumulative trapezoidal integral along time, 0 at the start."""
    areas = 0.5 * (values[1:] + values[:-1]) * np.diff(t_s)[:, None]
    return np.vstack([np.zeros((1, values.shape[1])), np.cumsum(areas, axis=0)])


def between(block: SimulatedBlock, start_s: float, end_s: float) -> slice:
    return slice(*np.searchsorted(block.t_s, (start_s, end_s)))


# ---------------------------------------------------------------- mechanics


def test_the_accelerometer_integrates_back_to_the_motion_it_is_said_to_have_felt() -> None:
    block = clean_at_1_khz()
    acceleration = attitude(block).apply(block.acc_mps2) - np.array([0.0, 0.0, G])
    # it stands still at first; what is left of standing sway is its speed at time 0
    start_mps = (block.truth.position_m[1] - block.truth.position_m[0]) * 1000.0
    velocity = start_mps + integral(acceleration, block.t_s)
    position = block.truth.position_m[0] + integral(velocity, block.t_s)
    assert np.ptp(block.truth.position_m[:, 0]) > 40.0
    np.testing.assert_allclose(position, block.truth.position_m, atol=2e-3)


def test_the_gyroscope_integrates_back_to_the_attitude_it_is_said_to_have_had() -> None:
    block = clean_at_1_khz()
    part = between(block, 4.0, 14.0)
    middle_radps = 0.5 * (block.gyr_radps[part][1:] + block.gyr_radps[part][:-1])
    turned = attitude(block)[part.start]
    for turn in Rotation.from_rotvec(middle_radps * 1e-3):
        turned = turned * turn
    error = turned.inv() * attitude(block)[part.stop - 1]
    assert np.degrees(error.magnitude()) < 0.02


def test_a_filter_written_by_others_finds_the_same_attitude() -> None:
    block = whole(
        Scenario(duration_s=30.0, standing_s=10.0, postural_sway_deg=0.0, sensor=SensorModel.ideal(200.0)).clean()
    )
    found = vqf.VQF(1.0 / 200.0).updateBatch(
        np.ascontiguousarray(block.gyr_radps), np.ascontiguousarray(block.acc_mps2)
    )
    up_found = Rotation.from_quat(np.roll(found["quat6D"], -1, axis=1)).inv().apply([0.0, 0.0, 1.0])
    up_true = attitude(block).inv().apply([0.0, 0.0, 1.0])
    error_deg = np.degrees(np.arccos(np.clip(np.einsum("ij,ij->i", up_found, up_true), -1.0, 1.0)))
    standing = between(block, 2.0, 9.0)
    assert np.max(error_deg[standing]) < 0.05
    # the speed-up tilts what a filter takes for vertical; it forgets that within seconds
    assert np.sqrt(np.mean(error_deg[between(block, 22.0, 30.0)] ** 2)) < 0.5


def test_mean_vertical_force_over_whole_strides_is_body_weight() -> None:
    block = clean_at_1_khz()
    contacts = steady(block)
    up_mps2 = attitude(block).apply(block.acc_mps2)[:, 2]
    part = between(block, contacts[0].initial_contact_s, contacts[-1 - len(contacts) % 2].initial_contact_s)
    assert np.mean(up_mps2[part]) / G == pytest.approx(1.0, abs=0.01)


def test_the_runner_is_nearly_weightless_in_flight_and_heavy_in_mid_stance() -> None:
    block = clean_at_1_khz()
    up_g = attitude(block).apply(block.acc_mps2)[:, 2] / G
    for contact in steady(block):
        to, flight_s = contact.toe_off_s, contact.flight_time_s
        # not quite weightless: the pelvis moves against the body's centre of mass, and the sensor against the pelvis
        assert -0.7 < np.mean(up_g[between(block, to + 0.2 * flight_s, to + flight_s)]) < 0.2
        middle_s = 0.5 * (contact.initial_contact_s + to)
        assert 1.8 < np.mean(up_g[between(block, middle_s - 0.03, middle_s + 0.03)]) < 3.2


def test_the_pelvis_brakes_first_and_then_pushes() -> None:
    block = clean_at_1_khz()
    forward_mps2 = attitude(block).apply(block.acc_mps2)[:, 0]
    for contact in steady(block):
        ic, stance_s = contact.initial_contact_s, contact.contact_time_s
        assert np.mean(forward_mps2[between(block, ic, ic + 0.25 * stance_s)]) < -2.0
        assert np.mean(forward_mps2[between(block, ic + 0.4 * stance_s, ic + 0.8 * stance_s)]) > 2.0
    strides = between(block, steady(block)[0].initial_contact_s, steady(block)[-1].initial_contact_s)
    assert np.mean(forward_mps2[strides]) == pytest.approx(0.0, abs=0.1)


def test_the_sensor_lies_behind_the_pelvis_centre_and_turns_with_it() -> None:
    block = clean_at_1_khz()
    lever = attitude(block).inv().apply(block.truth.centre_m - block.truth.position_m)
    np.testing.assert_allclose(lever, np.broadcast_to(CENTRE_FROM_SENSOR_M, lever.shape), atol=1e-12)


# ---------------------------------------------------------------- truth per contact


def test_true_metrics_are_what_the_clean_motion_says() -> None:
    block = clean_at_1_khz()
    truth, contacts = block.truth, block.contacts
    forward_mps = np.gradient(truth.position_m[:, 0], 1e-3)
    checked = 0
    for contact, following, second in zip(contacts, contacts[1:], contacts[2:], strict=False):
        ic, to = contact.initial_contact_s, contact.toe_off_s
        stance, step = between(block, ic, to), between(block, ic, following.initial_contact_s)
        stride = between(block, ic, second.initial_contact_s)
        swing_up = truth.obliquity_deg[stance] * (1.0 if contact.side is Side.LEFT else -1.0)
        slowest = np.min(forward_mps[stance])
        expected = {
            "contact_time_s": to - ic,
            "flight_time_s": following.initial_contact_s - to,
            "step_time_s": following.initial_contact_s - ic,
            "pelvic_drop_deg": swing_up[0] - np.min(swing_up),
            "peak_drop_deg": -np.min(swing_up),
            "velocity_loss_mps": forward_mps[stance][0] - slowest,
            "velocity_gain_mps": forward_mps[stance][-1] - slowest,
            "vertical_oscillation_m": np.ptp(truth.position_m[step, 2]),
            "sway_m": np.ptp(truth.position_m[stride, 1]),
            "pelvis_sway_m": np.ptp(truth.centre_m[stride, 1]),
            "obliquity_range_deg": np.ptp(truth.obliquity_deg[stride]),
            "tilt_range_deg": np.ptp(truth.tilt_deg[stride]),
            "rotation_range_deg": np.ptp(truth.rotation_deg[stride]),
            "tilt_deg": np.mean(truth.tilt_deg[stride]) - Scenario().standing_tilt_deg,
        }
        for name, value in expected.items():
            # one millisecond of grid: velocity changes by up to 20 mm/s in it, angles by some hundredths
            within = {"mps": 0.025, "eg": 0.06, "_s": 1e-9, "_m": 3e-4}[name[-3:] if "mps" in name else name[-2:]]
            assert getattr(contact, name) == pytest.approx(value, abs=within), name
        checked += 1
    assert checked > 30


def test_every_metric_has_its_truth() -> None:
    contact = steady(clean_at_1_khz())[0]
    assert all(np.isfinite(getattr(contact, name)) for name in METRICS)


def test_sides_alternate_from_the_first_side_on() -> None:
    for first_side in (Side.LEFT, Side.RIGHT):
        for standing_s in (0.0, 4.9, 5.0, 5.2):
            scenario = Scenario(first_side=first_side, standing_s=standing_s, duration_s=standing_s + 5.0)
            sides = [c.side for c in whole(scenario).contacts]
            # the first of the three steps in which running comes up is no full contact yet
            assert sides[0] is first_side.other
            assert all(a is b.other for a, b in pairwise(sides))


def test_what_needs_later_contacts_is_unknown_at_the_end_of_running() -> None:
    plan = (Phase(ActivityState.RUNNING, 10.0), Phase(ActivityState.STANDING, 5.0))
    *_, last_but_one, last = whole(Scenario(phases=plan)).contacts
    assert np.isfinite(last_but_one.flight_time_s)
    assert np.isnan(last_but_one.sway_m)
    assert np.isnan(last.flight_time_s)
    assert np.isnan(last.vertical_oscillation_m)
    assert np.isfinite(last.pelvic_drop_deg)


def test_contacts_follow_one_another_without_overlap() -> None:
    contacts = whole(Scenario(duration_s=60.0)).contacts
    for contact, following in pairwise(contacts):
        assert contact.initial_contact_s < contact.toe_off_s < following.initial_contact_s
        assert following.cadence_spm == pytest.approx(60.0 / contact.step_time_s)


# ---------------------------------------------------------------- the scenario is kept


def mean_of(block: SimulatedBlock, name: str, side: Side | None = None) -> float:
    return float(np.mean([getattr(c, name) for c in steady(block) if side in (None, c.side)]))


def test_sizes_are_those_of_the_scenario() -> None:
    wanted = {
        "cadence_spm": 176.0,
        "contact_time_s": 0.235,
        "tilt_deg": 3.0,
        "rotation_range_deg": 12.0,
        "tilt_range_deg": 7.0,
        "pelvis_sway_m": 0.022,
    }
    steps_alike = Scenario(duration_s=25.0, variability=Variability.none(), **wanted)  # type: ignore[arg-type]
    block = whole(replace(steps_alike, drop_left_deg=5.5, drop_right_deg=2.0))
    for name, value in wanted.items():
        assert mean_of(block, name) == pytest.approx(value, rel=0.01), name
    assert mean_of(block, "pelvic_drop_deg", Side.LEFT) == pytest.approx(5.5, rel=0.01)
    assert mean_of(block, "pelvic_drop_deg", Side.RIGHT) == pytest.approx(2.0, rel=0.01)


def test_contact_times_of_left_and_right_differ_as_wanted() -> None:
    block = whole(Scenario(duration_s=25.0, contact_asymmetry_ratio=0.06, variability=Variability.none()))
    left, right = (mean_of(block, "contact_time_s", side) for side in (Side.LEFT, Side.RIGHT))
    assert (left - right) / (0.5 * (left + right)) == pytest.approx(0.06, rel=1e-6)


@pytest.mark.parametrize(
    ("speed_mps", "contact_s", "cadence_spm", "oscillation_m", "obliquity_range_deg"),
    # means of 26 runners on a treadmill: Fukuchi, Fukuchi & Duarte 2017
    [(2.5, 0.266, 162.0, 0.108, 6.4), (3.5, 0.223, 171.0, 0.104, 8.1), (4.5, 0.194, 184.0, 0.090, 9.7)],
)
def test_the_default_runner_is_an_average_one(
    speed_mps: float, contact_s: float, cadence_spm: float, oscillation_m: float, obliquity_range_deg: float
) -> None:
    block = whole(Scenario(speed_mps=speed_mps, duration_s=60.0))
    assert mean_of(block, "contact_time_s") == pytest.approx(contact_s, abs=0.002)
    assert mean_of(block, "cadence_spm") == pytest.approx(cadence_spm, abs=1.0)
    assert mean_of(block, "vertical_oscillation_m") == pytest.approx(oscillation_m, abs=0.006)
    assert mean_of(block, "obliquity_range_deg") == pytest.approx(obliquity_range_deg, abs=1.0)
    assert mean_of(block, "pelvic_drop_deg") == pytest.approx(2.4, abs=0.2)


def test_steps_vary_as_much_as_is_said() -> None:
    vary = Variability(step_time_s=0.008, contact_time_s=0.006, drop_deg=0.5, tilt_deg=0.0, size_ratio=0.0)
    contacts = steady(whole(Scenario(duration_s=180.0, variability=vary)))
    assert np.std([c.step_time_s for c in contacts]) == pytest.approx(0.008, rel=0.15)
    assert np.std([c.contact_time_s for c in contacts]) == pytest.approx(0.006, rel=0.15)
    assert np.std([c.pelvic_drop_deg for c in contacts]) == pytest.approx(0.5, rel=0.15)


def test_a_fault_comes_and_goes_when_it_is_told_to() -> None:
    change = Drift(20.0, 24.0, drop_left_deg=4.0, contact_time_s=0.02)
    back = Drift(34.0, 36.0, drop_left_deg=-4.0, contact_time_s=-0.02)
    block = whole(Scenario(duration_s=45.0, drifts=(change, back), variability=Variability.none()))
    times = np.array([c.initial_contact_s for c in block.contacts])
    left = np.array([c.side is Side.LEFT for c in block.contacts])
    drop = np.array([c.pelvic_drop_deg for c in block.contacts])
    contact_s = np.array([c.contact_time_s for c in block.contacts])
    before, during, after = ((times > a) & (times < b) for a, b in ((10.0, 20.0), (24.5, 33.5), (36.5, 44.0)))
    assert np.mean(drop[during & left]) - np.mean(drop[before & left]) == pytest.approx(4.0, abs=0.02)
    assert np.mean(drop[during & ~left]) == pytest.approx(np.mean(drop[before & ~left]), abs=0.02)
    assert np.mean(contact_s[during]) - np.mean(contact_s[before]) == pytest.approx(0.02, abs=1e-6)
    assert np.mean(drop[after & left]) == pytest.approx(np.mean(drop[before & left]), abs=0.02)


def test_phases_follow_one_another_and_only_running_has_contacts() -> None:
    plan = (
        Phase(ActivityState.STANDING, 4.0),
        Phase(ActivityState.WALKING, 15.0),
        Phase(ActivityState.RUNNING, 20.0, 2.8),
        Phase(ActivityState.RUNNING, 15.0, 4.2),
        Phase(ActivityState.STANDING, 6.0),
    )
    block = whole(replace(Scenario(phases=plan).clean(), sensor=SensorModel.ideal(200.0)))
    assert block.t_s[-1] == pytest.approx(60.0, abs=0.01)
    codes = [ACTIVITY_CODES[k] for k in block.truth.activity[[300, 2000, 4000, 7000, 11500]]]
    assert codes == [p.activity for p in plan]
    assert all(19.0 <= c.initial_contact_s < 55.0 for c in block.contacts)
    walking = between(block, 8.0, 18.0)
    up_g = attitude(block).apply(block.acc_mps2)[:, 2] / G
    assert 0.5 < np.min(up_g[walking]) < 0.8
    assert 1.2 < np.max(up_g[walking]) < 1.6
    slow = [c for c in block.contacts if 24.0 < c.initial_contact_s < 38.0]
    fast = [c for c in block.contacts if 44.0 < c.initial_contact_s < 53.0]
    assert np.mean([c.contact_time_s for c in slow]) - np.mean([c.contact_time_s for c in fast]) > 0.03
    metres = block.truth.position_m[between(block, 44.0, 53.0), 0]
    assert np.ptp(metres) / 9.0 == pytest.approx(4.2, rel=0.02)
    # nothing jumps on the way, neither in nor out of a gait
    assert np.max(np.abs(np.diff(block.truth.position_m, axis=0))) < 5.5 / 200.0
    assert np.max(np.abs(block.acc_mps2)) < 6.0 * G


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda: Scenario(speed_mps=0.5), "speed_mps"),
        (lambda: Scenario(contact_time_s=0.5), "contact"),
        (lambda: Scenario(first_side=Side.UNKNOWN), "first_side"),
        (lambda: Scenario(phases=(Phase(ActivityState.RUNNING), Phase(ActivityState.STANDING, 1.0))), "duration_s"),
        (lambda: Scenario(phases=(Phase(ActivityState.OTHER, 1.0),)), "standing, walking or running"),
        (lambda: Scenario(drifts=(Drift(5.0, 5.0),)), "drift"),
        (lambda: SensorModel(rate_hz=5.0), "rate_hz"),
        (lambda: SensorModel(acc_range_g=0.0), "acc_range_g"),
        (lambda: SensorModel(acc_noise_g=-1.0), "noise"),
    ],
)
def test_what_nobody_can_run_is_refused_by_name(wrong, word) -> None:
    with pytest.raises(ValueError, match=word):
        wrong()


# ---------------------------------------------------------------- skin, strap and sensor


def standing(**sensor: object) -> SimulatedBlock:
    """20 s of standing without sway, the sensor ideal but for what is given."""
    ideal = replace(SensorModel.ideal(), **sensor)  # type: ignore[arg-type]
    return whole(Scenario(duration_s=20.0, standing_s=30.0, standing_tilt_deg=0.0, postural_sway_deg=0.0, sensor=ideal))


def test_bias_and_scale_are_added_per_sensor_axis() -> None:
    block = standing(
        acc_bias_g=(0.1, -0.2, 0.3), gyro_bias_dps=(1.0, -2.0, 3.0), acc_scale_error_ratio=(0.0, 0.0, 0.02)
    )
    np.testing.assert_allclose(np.mean(block.acc_mps2, axis=0) / G, [0.1, -0.2, 1.32], atol=1e-12)
    np.testing.assert_allclose(np.degrees(np.mean(block.gyr_radps, axis=0)), [1.0, -2.0, 3.0], atol=1e-12)


def test_noise_has_its_density_and_no_colour() -> None:
    block = standing(acc_noise_g=150e-6, gyro_noise_dps=0.008)
    band = np.sqrt(208.0 / 2.0)
    np.testing.assert_allclose(np.std(block.acc_mps2, axis=0) / G, 150e-6 * band, rtol=0.05)
    np.testing.assert_allclose(np.degrees(np.std(block.gyr_radps, axis=0)), 0.008 * band, rtol=0.05)
    centred = block.gyr_radps[:, 0] - np.mean(block.gyr_radps[:, 0])
    assert abs(np.mean(centred[1:] * centred[:-1])) < 0.05 * np.var(centred)


def test_the_gyroscope_wanders_while_it_warms_up() -> None:
    block = standing(gyro_drift_dps=(2.0, 0.0, -1.0), warm_up_s=10.0)
    at_10_s = np.degrees(block.gyr_radps[np.searchsorted(block.t_s, 10.0)])
    np.testing.assert_allclose(at_10_s, [2.0 * (1 - np.exp(-1)), 0.0, -1.0 * (1 - np.exp(-1))], atol=0.01)
    np.testing.assert_allclose(block.gyr_radps[0], 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("mount_deg", "axis", "sign"),
    # a sensor turned by 90 degrees about one pelvis axis feels gravity on the axis that now points up
    [((90.0, 0.0, 0.0), 1, -1.0), ((0.0, 90.0, 0.0), 0, 1.0), ((180.0, 0.0, 0.0), 2, -1.0)],
)
def test_a_turned_sensor_feels_gravity_elsewhere(mount_deg: tuple[float, float, float], axis: int, sign: float) -> None:
    expected = np.zeros(3)
    expected[axis] = sign * G
    np.testing.assert_allclose(standing(mount_deg=mount_deg).acc_mps2[100], expected, atol=1e-9)


def test_mounting_turns_both_sensors_alike_and_changes_no_size() -> None:
    scenario = Scenario(duration_s=12.0).clean()
    straight = whole(scenario)
    turned = whole(replace(scenario, sensor=replace(SensorModel.ideal(), mount_deg=(20.0, -130.0, 77.0))))
    rotation, _ = Rotation.align_vectors(turned.acc_mps2, straight.acc_mps2)
    np.testing.assert_allclose(rotation.apply(straight.acc_mps2), turned.acc_mps2, atol=1e-6)
    np.testing.assert_allclose(rotation.apply(straight.gyr_radps), turned.gyr_radps, atol=1e-6)


def test_what_exceeds_the_range_is_cut_off() -> None:
    limited = replace(SensorModel.ideal(), acc_range_g=2.0, gyro_range_dps=60.0)
    block = whole(replace(Scenario(duration_s=12.0).clean(), sensor=limited))
    assert np.max(np.abs(block.acc_mps2)) == pytest.approx(2.0 * G)
    assert np.degrees(np.max(np.abs(block.gyr_radps))) == pytest.approx(60.0)
    assert np.sum(np.abs(block.acc_mps2[:, 2]) >= 2.0 * G) > 100


def test_a_slow_clock_stamps_the_same_event_earlier() -> None:
    exact, slow = (
        whole(Scenario(standing_s=0.0, duration_s=50.0, sensor=replace(SensorModel.ideal(), clock_error_ppm=ppm)))
        for ppm in (0.0, 5000.0)
    )
    pairs = zip(exact.contacts, slow.contacts, strict=False)
    np.testing.assert_allclose([b.initial_contact_s / a.initial_contact_s for a, b in pairs], 1.0 / 1.005, rtol=1e-9)
    part = slow.t_s < 49.0
    height_m = np.interp(slow.t_s[part] * 1.005, exact.t_s, exact.truth.position_m[:, 2])
    np.testing.assert_allclose(slow.truth.position_m[part, 2], height_m, atol=1e-3)


@pytest.mark.parametrize("ppm", [-9000.0, 9000.0])
def test_a_clock_that_is_far_off_leaves_no_contact_out_in_four_minutes(ppm: float) -> None:
    scenario = Scenario(standing_s=0.0, duration_s=240.0)
    exact, off = (
        whole(replace(scenario, sensor=replace(SensorModel.ideal(), clock_error_ppm=error))) for error in (0.0, ppm)
    )
    # the scenario ends by the device's clock, so one of them has a few more
    both = min(len(exact.contacts), len(off.contacts)) - 8
    ratio = [off.contacts[k].initial_contact_s / exact.contacts[k].initial_contact_s for k in range(both)]
    np.testing.assert_allclose(ratio, 1.0 / (1.0 + 1e-6 * ppm), rtol=1e-9)


def test_the_impact_transient_comes_when_it_is_said_to_and_leaves_no_trace() -> None:
    base = Scenario(duration_s=15.0, variability=Variability.none(), sensor=SensorModel.ideal(1000.0)).clean()
    base = replace(base, sensor=SensorModel.ideal(1000.0))
    hit = whole(replace(base, impact_g=1.0, impact_delay_s=0.030))
    extra = hit.acc_mps2 - whole(base).acc_mps2
    contact = steady(hit)[3]
    ic, following = contact.initial_contact_s, contact.initial_contact_s + contact.step_time_s
    part = between(hit, ic, following)
    peak = part.start + int(np.argmax(extra[part, 2]))
    assert hit.t_s[peak] - ic == pytest.approx(0.030, abs=0.0015)
    assert extra[peak, 2] == pytest.approx(G, rel=0.01)
    # neither velocity nor position is left behind
    velocity = np.cumsum(extra[part, 2]) * 1e-3
    assert abs(velocity[-1]) < 0.005
    assert abs(np.sum(velocity) * 1e-3) < 1e-3
    np.testing.assert_array_equal(hit.truth.position_m, whole(base).truth.position_m)


def test_the_strap_wobbles_at_its_own_frequency_and_dies_away() -> None:
    base = replace(Scenario(duration_s=15.0).clean(), sensor=SensorModel.ideal(1000.0))
    extra = whole(replace(base, wobble_g=0.5, wobble_hz=12.0)).acc_mps2 - whole(base).acc_mps2
    contact = steady(whole(base))[3]
    start = int(np.searchsorted(whole(base).t_s, contact.initial_contact_s))
    shortly, later = extra[start : start + 60, 2], extra[start + 240 : start + 300, 2]
    assert np.argmax(shortly) == pytest.approx(1000.0 / 12.0 / 4.0, abs=6.0)
    assert np.max(np.abs(later)) < 0.05 * np.max(np.abs(shortly))


def test_the_wobble_rocks_the_sensor_and_turns_it_nowhere_for_good() -> None:
    base = replace(Scenario(duration_s=15.0).clean(), sensor=SensorModel.ideal(1000.0))
    wobbling = whole(replace(base, wobble_g=0.5, wobble_hz=12.0))
    first, last = steady(wobbling)[2], steady(wobbling)[12]
    part = between(wobbling, first.initial_contact_s, last.initial_contact_s)
    turned_deg = np.degrees(np.cumsum((wobbling.gyr_radps - whole(base).gyr_radps)[part], axis=0) * 1e-3)
    assert np.max(np.abs(turned_deg)) > 0.2
    assert np.max(np.abs(turned_deg[-1])) < 0.02


# ---------------------------------------------------------------- streaming


@settings(max_examples=12)
@given(block_s=st.floats(0.002, 40.0))
def test_the_size_of_the_blocks_changes_nothing(block_s: float) -> None:
    scenario = Scenario(duration_s=14.0)
    once = whole(scenario)
    pieces = list(SimulatedRunner(scenario).blocks(block_s))
    for name in ("t_s", "acc_mps2", "gyr_radps"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in pieces]), getattr(once, name))
    np.testing.assert_array_equal(np.concatenate([p.truth.position_m for p in pieces]), once.truth.position_m)
    assert [repr(c) for p in pieces for c in p.contacts] == [repr(c) for c in once.contacts]
    for piece in pieces:
        for contact in piece.contacts:
            assert piece.t_s[0] - 0.01 < contact.initial_contact_s < piece.t_s[-1] + 0.01


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    scenario = Scenario(duration_s=12.0)
    first, again, other = whole(scenario, 3), whole(scenario, 3), whole(scenario, 4)
    np.testing.assert_array_equal(first.acc_mps2, again.acc_mps2)
    assert first.contacts[5].initial_contact_s != other.contacts[5].initial_contact_s


def test_a_short_run_is_the_beginning_of_a_long_one() -> None:
    short, long = (whole(Scenario(duration_s=duration_s)) for duration_s in (12.0, 31.0))
    np.testing.assert_array_equal(short.acc_mps2, long.acc_mps2[: len(short.acc_mps2)])
    finished = [c for c in long.contacts if c.toe_off_s < 12.0]
    assert [repr(c) for c in short.contacts] == [repr(c) for c in finished]


def test_memory_does_not_grow_with_the_run() -> None:
    def peak_bytes(duration_s: float) -> int:
        tracemalloc.start()
        for _ in SimulatedRunner(Scenario(duration_s=duration_s)).blocks():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(15.0)  # what is remembered for ever is made
    assert peak_bytes(200.0) < 1.1 * peak_bytes(40.0) + 500_000
