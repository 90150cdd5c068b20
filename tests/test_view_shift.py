"""The place of the pelvis that the window draws, against a runner whose place is known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pelvis.data import ProvisionalContact, Side
from pelvis.simulate import Scenario, SimulatedRunner
from sensor_host.view.shift import level_force_g, path_m, posture, stance_at
from sensor_host.view.timeline import Timeline
from tests.view_panels import last_contact_s, simulated_timeline, take_steps, treadmill_timeline

RUN = Scenario(duration_s=40.0, drop_left_deg=5.0)


@cache
def truth() -> tuple[np.ndarray, np.ndarray]:
    (block,) = SimulatedRunner(RUN).blocks(41.0)
    return block.t_s, block.truth.position_m[:, 1:]


@pytest.fixture
def ran() -> Timeline:
    return simulated_timeline(RUN)


def test_the_place_is_that_of_the_sensor_within_the_stride(ran: Timeline) -> None:
    t_s, true_m = truth()
    errors = []
    for now_s in np.arange(20.0, 38.0, 0.137):
        path = path_m(ran, now_s)
        contacts = ran.column("initial_contact_s", ran.steps_between(0.0, now_s))
        stride_s = contacts[-1] - contacts[-3]
        at_s = now_s - stride_s + stride_s / 64 * np.arange(1, 65)
        there = np.stack([np.interp(at_s, t_s, true_m[:, i]) for i in range(2)], axis=1)
        errors.append((path - (there - there.mean(axis=0)))[-1])
    aside_m, up_m = np.sqrt(np.mean(np.square(errors), axis=0))
    # the standard errors of the ranges are 4.4 and 3.2 mm; that strides repeat themselves only nearly costs more
    assert aside_m < 0.006
    assert up_m < 0.006


@pytest.mark.parametrize("name", ["RBDS001_T25", "RBDS004_T35", "RBDS005_T45"])
def test_the_place_is_that_of_markers_on_runners_of_a_treadmill(data_dir: Path, name: str) -> None:
    path = data_dir / "rbds" / f"{name}.npz"
    ran = treadmill_timeline(path)
    with np.load(path) as d:
        # without the slow wandering over the belt, which one sensor cannot tell
        t_s, true_m = d["t"] - d["t"][0], np.stack((d["pelvis_ml_detrended_m"], d["pelvis_up_m"]), axis=1)
    errors, ranges = [], []
    for now_s in np.arange(12.0, 28.0, 0.137):
        way = path_m(ran, now_s)
        contacts = ran.column("initial_contact_s", ran.steps_between(0.0, now_s))
        stride_s = contacts[-1] - contacts[-3]
        at_s = now_s - stride_s + stride_s / 64 * np.arange(1, 65)
        there = np.stack([np.interp(at_s, t_s, true_m[:, i]) for i in range(2)], axis=1)
        errors.append((way - (there - there.mean(axis=0)))[-1])
        ranges.append(np.ptp(there, axis=0))
    aside_m, up_m = np.sqrt(np.mean(np.square(errors), axis=0))
    assert aside_m < 0.005
    assert up_m < 0.007
    # and that is little against what is to be seen
    assert np.mean(ranges, axis=0)[1] > 10 * up_m


def test_its_ranges_are_the_metrics_of_the_step(ran: Timeline) -> None:
    contacts, sway = ran.column("initial_contact_s"), ran.column("sway_m")
    for i in range(30, len(contacts) - 4, 7):
        assert np.ptp(path_m(ran, contacts[i + 2])[:, 0]) == pytest.approx(sway[i], abs=0.004)


def test_force_is_turned_level_by_the_angles() -> None:
    rng = np.random.default_rng(4)
    ahead, left, up = np.eye(3)
    for _ in range(50):
        yaw, tilt, roll = np.radians(rng.uniform(-20, 20, 3))
        turn = _about(up, yaw) @ _about(left, tilt) @ _about(ahead, roll)
        forward_axis, left_axis, up_axis = turn.T
        angles = np.degrees(
            [
                -np.arcsin(left_axis[2]),
                np.arctan2(-forward_axis[2], up_axis[2]),
                np.arctan2(forward_axis[1], forward_axis[0]),
            ]
        )
        level = rng.normal(size=3)
        row = np.concatenate((turn.T @ level, angles))[np.newaxis].astype(np.float32)
        np.testing.assert_allclose(level_force_g(row)[0], level[1:], atol=1e-5)


def _about(axis: np.ndarray, angle_rad: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


def test_who_stands_has_angles_and_no_place(ran: Timeline) -> None:
    standing = posture(ran, 3.0)
    assert standing.stance is None
    assert not len(standing.path_m)
    assert not posture(Timeline(), 3.0).known
    assert posture(ran, 30.0).known


def test_what_is_long_past_is_not_now(ran: Timeline) -> None:
    assert posture(ran, ran.end_s + 0.3).known
    assert not posture(ran, ran.end_s + 0.7).known


def test_a_foot_is_on_the_ground_from_contact_to_toe_off() -> None:
    timeline = Timeline()
    take_steps(timeline, 4, {}, {})
    # left at 10.00 to 10.24 s, right at 10.35 to 10.59 s, and so on
    at = {10.0: Side.LEFT, 10.23: Side.LEFT, 10.3: None, 10.36: Side.RIGHT, 10.6: None, 10.71: Side.LEFT}
    assert {t_s: stance_at(timeline, t_s) for t_s in at} == at


def test_a_contact_that_is_not_yet_a_step_counts_at_once_and_not_for_ever() -> None:
    timeline = Timeline()
    take_steps(timeline, 4, {}, {})
    timeline.take(ProvisionalContact(104, 11.40, Side.LEFT, 11.46))
    assert stance_at(timeline, 11.39) is None
    assert stance_at(timeline, 11.45) is Side.LEFT
    assert stance_at(timeline, 11.9) is None
    assert last_contact_s(timeline) == pytest.approx(11.05)
