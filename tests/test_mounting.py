"""Standing still is found and nothing else is taken for it; the axes stay a right-handed frame whatever is learned."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from pelvis.mounting import (
    LONGEST_STILL_WINDOWS,
    SHORTEST_STILL_WINDOWS,
    STILL_WINDOW_SAMPLES,
    Mount,
    Still,
    StillFinder,
    angle_between_rad,
    cross,
    unit,
)

G = STANDARD_GRAVITY_MPS2
UPWARD = Rotation.from_euler("xyz", [12.0, -30.0, 0.0], degrees=True).apply([0.0, 0.0, 1.0])


def still(seconds: float, up: Array = UPWARD, seed: int = 1, sway_g: float = 0.015, sway_dps: float = 2.0) -> Array:
    """Rows (n, 6) of somebody standing as people do: 0.01-0.02 g and 1-3 deg/s of sway, and the sensor's noise."""
    n = round(seconds * 200)
    rng = np.random.default_rng(seed)
    t_s = np.arange(n)[:, np.newaxis] / 200.0
    slow = np.sin(2.0 * np.pi * (0.4 * t_s + rng.random(6)))
    rows = np.empty((n, 6))
    rows[:, :3] = G * (up + sway_g / 2 * slow[:, :3] + 0.002 * rng.standard_normal((n, 3)))
    rows[:, 3:] = np.radians(sway_dps * slow[:, 3:] + 0.1 * rng.standard_normal((n, 3)) + [1.0, -1.5, 0.7])
    return rows


def found(*blocks: Array) -> list[Still]:
    finder, index, said = StillFinder(), 0, []
    for block in blocks:
        said += finder.find(index, block)
        index += len(block)
    return said


def test_standing_is_found_after_two_seconds_and_its_mean_gets_better() -> None:
    said = found(still(6.0))
    assert said[0].index == SHORTEST_STILL_WINDOWS * STILL_WINDOW_SAMPLES - 1
    assert [s.windows for s in said] == list(range(SHORTEST_STILL_WINDOWS, 25))
    for s in said:
        assert angle_between_rad(unit(s.force_g), UPWARD) < math.radians(0.7)
    assert angle_between_rad(unit(said[-1].force_g), UPWARD) < math.radians(0.3)


def test_an_old_posture_fades_when_standing_goes_on() -> None:
    other = Rotation.from_euler("x", 3.0, degrees=True).apply(UPWARD)
    said = found(still(60.0), still(40.0, other))
    assert max(s.windows for s in said) == LONGEST_STILL_WINDOWS
    assert angle_between_rad(unit(said[-1].force_g), other) < math.radians(0.8)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("a walking body", lambda rows, t: rows[:, 2].__iadd__(0.3 * G * np.sin(2 * np.pi * 1.8 * t))),
        ("a turning body", lambda rows, t: rows[:, 5].__iadd__(np.radians(60.0))),
        ("free fall", lambda rows, t: rows[:, :3].__imul__(0.0)),
        ("a lift that starts", lambda rows, t: rows[:, :3].__imul__(1.3)),
    ],
)
def test_what_is_no_standing_is_not_taken_for_it(name: str, change: object) -> None:
    rows = still(6.0)
    change(rows, np.arange(len(rows)) / 200.0)  # type: ignore[operator]
    assert not found(rows), name


def test_a_movement_in_between_starts_the_two_seconds_anew() -> None:
    moved = still(5.0)
    moved[350:360, 0] += 5.0  # a step aside after 1.75 s
    said = found(moved)
    assert said[0].index >= 350 + SHORTEST_STILL_WINDOWS * STILL_WINDOW_SAMPLES


def test_a_hole_starts_the_two_seconds_anew() -> None:
    finder = StillFinder()
    assert not list(finder.find(0, still(1.9)))
    finder.restart()
    assert not list(finder.find(1000, still(1.9)))
    assert [s.index for s in finder.find(1380, still(0.1))] == [1399]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.integers(0, 50))
def test_portions_change_not_one_bit(sizes: list[int], seed: int) -> None:
    rows = np.concatenate([still(4.0, seed=seed), 3.0 * still(1.0), still(3.0, seed=seed + 1)])[: sum(sizes)]
    edges = np.cumsum([0, *sizes])
    parts = found(*[rows[a:b] for a, b in pairwise(edges.tolist()) if a < len(rows)])
    whole = found(rows)
    assert [(s.index, s.windows, s.force_g.tobytes()) for s in parts] == [
        (s.index, s.windows, s.force_g.tobytes()) for s in whole
    ]


# ---------------------------------------------------------------- mount

directions = st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1).map(np.array)


@given(directions, st.floats(-math.pi, math.pi))
def test_forward_left_up_are_a_right_handed_frame(up: Array, heading_rad: float) -> None:
    mount = Mount()
    mount.set_level(unit(up), from_standing=True)
    mount.set_heading(heading_rad)
    assert mount.axes is not None
    np.testing.assert_allclose(mount.axes.T @ mount.axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(mount.axes) == pytest.approx(1.0)
    np.testing.assert_allclose(mount.axes[:, 2], unit(up), atol=1e-12)
    # counter-clockwise from the reference, seen from above
    assert mount.reference is not None
    assert mount.forward is not None
    turned = Rotation.from_rotvec(heading_rad * unit(up)).apply(mount.reference)
    np.testing.assert_allclose(mount.forward, turned, atol=1e-12)


@given(directions, st.floats(-math.pi, math.pi), st.floats(0.0, math.radians(8.0)), st.floats(0.0, 2.0 * math.pi))
def test_a_better_level_hardly_turns_what_was_learned_of_forward(
    up: Array, heading_rad: float, tip_rad: float, about_rad: float
) -> None:
    mount = Mount()
    mount.set_level(unit(up), from_standing=False)
    mount.set_heading(heading_rad)
    assert mount.forward is not None
    assert mount.left is not None
    before = mount.forward.copy()
    axis = math.cos(about_rad) * mount.forward + math.sin(about_rad) * mount.left
    mount.set_level(Rotation.from_rotvec(tip_rad * axis).apply(unit(up)), from_standing=True)
    assert mount.from_standing
    assert angle_between_rad(mount.forward, before) < 1.05 * tip_rad + 1e-6


def test_before_running_there_are_no_axes_and_after_a_move_none_again() -> None:
    mount = Mount()
    mount.set_level(np.array([0.0, 0.0, 1.0]), from_standing=True)
    assert mount.axes is None
    mount.set_heading(0.3)
    mount.forget()
    assert mount.axes is None
    assert mount.up is None
    assert math.isnan(mount.heading_rad)


@given(directions, directions)
def test_the_vector_arithmetic_is_that_of_the_textbook(a: Array, b: Array) -> None:
    np.testing.assert_allclose(cross(a, b), np.cross(a, b), atol=1e-14)
    cosine = float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))
    assert math.cos(angle_between_rad(unit(a), unit(b))) == pytest.approx(cosine, abs=1e-12)
