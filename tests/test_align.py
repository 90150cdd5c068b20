"""Every rate comes onto one grid at the right time, no row rests on a later sample than it says, holes are joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelvis.align import (
    BRIDGED_SAMPLES,
    GRID_PERIOD_S,
    GRID_RATE_HZ,
    HARMLESS_GAP_S,
    ON_GRID_S,
    Aligned,
    Aligner,
    Hole,
)
from pelvis.data import Array, Samples
from pelvis.filters import interior_hann

RATES_HZ = (50.0, 100.0, 104.0, 200.0, 208.0, 400.0, 500.0)


def times(rate_hz: float, duration_s: float, start_s: float = 0.0) -> Array:
    return start_s + np.arange(round(duration_s * rate_hz)) / rate_hz


def waves(t_s: Array, f_hz: float) -> Array:
    """Six sines (n, 6) of size 1, each with a phase of its own."""
    return np.sin(2.0 * np.pi * f_hz * t_s[:, np.newaxis] + np.arange(6.0))


def samples(t_s: Array, values: Array, rate_hz: float, *, clipped: bool = False) -> Samples:
    return Samples(t_s, values[:, :3].copy(), values[:, 3:].copy(), rate_hz, clipped=clipped)


@dataclass(frozen=True)
class Grid:
    """What an aligner gave, joined."""

    t_s: Array
    motion: Array
    known_s: Array
    filled: Array
    clipped: Array
    holes: list[Hole]


def align(aligner: Aligner, items: Iterable[Samples]) -> Grid:
    parts = [part for item in items for part in aligner.align(item)]
    rows = [part for part in parts if isinstance(part, Aligned)]
    index = np.concatenate([np.arange(p.index, p.index + len(p.motion)) for p in rows])
    assert np.all(np.diff(index) > 0)
    return Grid(
        np.array([aligner.time_s(float(i)) for i in index]),
        np.concatenate([p.motion for p in rows]),
        np.concatenate([p.known_s for p in rows]),
        np.concatenate([p.filled for p in rows]),
        np.concatenate([p.clipped for p in rows]),
        [p for p in parts if isinstance(p, Hole)],
    )


def once(t_s: Array, values: Array, rate_hz: float, stride_samples: int = 0) -> Grid:
    aligner = Aligner()
    aligner.stride_samples = stride_samples
    return align(aligner, [samples(t_s, values, rate_hz)])


def taps(rate_hz: float) -> int:
    """Length of the low-pass that a rate above the grid's gets, 1 where there is none."""
    return 2 * round(rate_hz / GRID_RATE_HZ) + 1 if rate_hz > 1.1 * GRID_RATE_HZ else 1


# ---------------------------------------------------------------- time and value


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("f_hz", [1.4, 2.8, 5.6])
def test_a_sine_is_found_on_the_grid_where_it_was(rate_hz: float, f_hz: float) -> None:
    t_s = times(rate_hz, 5.0, start_s=12.345)
    grid = once(t_s, waves(t_s, f_hz), rate_hz)
    np.testing.assert_allclose(np.diff(grid.t_s), GRID_PERIOD_S, atol=1e-9)
    assert grid.t_s[0] == t_s[0]
    # the low-pass takes what its window says and shifts nothing
    w = 2.0 * np.pi * f_hz / rate_hz
    delay = taps(rate_hz) // 2
    gain = float(interior_hann(taps(rate_hz)) @ np.cos(w * (np.arange(taps(rate_hz)) - delay)))
    # third-order interpolation: tangents from the neighbours are wrong by h2 f'''/6, the cubic itself by h4 f''''/384
    bound = 0.017 * w**3 + w**4 / 384.0 + 1e-9
    middle = (grid.t_s > t_s[0] + 0.1) & (grid.t_s < t_s[-1] - 0.1)
    assert middle.sum() > 900
    error = grid.motion[middle] - gain * waves(grid.t_s[middle], f_hz)
    assert np.max(np.abs(error)) < bound


@pytest.mark.parametrize("rate_hz", [100.0, 200.0])
def test_what_lies_on_the_grid_is_taken_as_it_is(rate_hz: float) -> None:
    t_s = times(rate_hz, 2.0)
    values = np.random.default_rng(1).standard_normal((len(t_s), 6))
    grid = once(t_s, values, rate_hz)
    every = round(GRID_RATE_HZ / rate_hz)
    np.testing.assert_array_equal(grid.motion[::every], values[: len(grid.motion[::every])])


def test_times_rounded_to_microseconds_count_as_on_the_grid() -> None:
    t_s = np.round(times(200.0, 2.0) + 1.2345678e-3, 6) + np.random.default_rng(2).uniform(-1e-6, 1e-6, 400)
    values = np.random.default_rng(1).standard_normal((400, 6))
    np.testing.assert_array_equal(once(t_s, values, 200.0).motion, values)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_clock_that_is_wrong_by_200_ppm_bends_nothing(rate_hz: float) -> None:
    t_s = times(rate_hz, 20.0) * 1.0002
    grid = once(t_s, waves(t_s, 1.5), rate_hz)
    middle = (grid.t_s > 0.1) & (grid.t_s < t_s[-1] - 0.1)
    w = 2.0 * np.pi * 1.5 / rate_hz
    loss = w**2 * float(interior_hann(taps(rate_hz)) @ (np.arange(taps(rate_hz)) - taps(rate_hz) // 2) ** 2) / 2.0
    error = np.abs(grid.motion[middle] - waves(grid.t_s[middle], 1.5))
    # a sample within 0.1 ms of the grid counts as on it
    assert np.max(error) < 0.017 * w**3 + w**4 / 384.0 + 1.01 * loss + 2.0 * np.pi * 1.5 * ON_GRID_S


# ---------------------------------------------------------------- what a row rests on


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_row_is_known_by_its_second_next_sample_at_the_latest(rate_hz: float) -> None:
    t_s = times(rate_hz, 3.0)
    grid = once(t_s, waves(t_s, 3.0), rate_hz)
    late_s = grid.known_s - grid.t_s
    allowed_s = 2.0 / rate_hz + (taps(rate_hz) // 2) / rate_hz
    assert np.max(late_s) <= allowed_s + 1e-9
    assert np.min(late_s) >= -1.1e-4
    assert np.all(np.diff(grid.known_s) >= 0.0)
    assert set(grid.known_s.tolist()) <= set(t_s.tolist())


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_cutting_after_the_sample_a_row_rests_on_leaves_the_row_as_it_is(rate_hz: float) -> None:
    t_s = times(rate_hz, 1.5)
    lost = (t_s > 0.6) & (t_s < 0.64)
    t_s = t_s[~lost]
    values = np.random.default_rng(3).standard_normal((len(t_s), 6))
    whole = once(t_s, values, rate_hz)
    for last in range(5, len(t_s)):
        part = once(t_s[: last + 1], values[: last + 1], rate_hz)
        rows = int(np.sum(whole.known_s <= t_s[last]))
        assert len(part.motion) == rows
        np.testing.assert_array_equal(part.motion, whole.motion[:rows])


# ---------------------------------------------------------------- holes


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_hole_of_a_few_samples_is_crossed_smoothly_and_marked(rate_hz: float) -> None:
    t_s = times(rate_hz, 4.0)
    lost = (t_s > 2.0) & (t_s < 2.0 + 0.9 * HARMLESS_GAP_S)
    grid = once(t_s[~lost], waves(t_s[~lost], 3.0), rate_hz, stride_samples=140)
    assert not grid.holes
    np.testing.assert_allclose(np.diff(grid.t_s), GRID_PERIOD_S, atol=1e-9)
    # the interval is now as long as the hole and two periods, and has one-sided tangents: second order, h2 f''/8 at
    # most; the low-pass takes its share
    h_s = 0.9 * HARMLESS_GAP_S + 2.0 / rate_hz + 2.0 * (taps(rate_hz) // 2) / rate_hz
    bound = (2.0 * np.pi * 3.0 * h_s) ** 2 / 8.0
    near = (grid.t_s > 1.9) & (grid.t_s < 2.1)
    assert np.max(np.abs(grid.motion[near] - waves(grid.t_s[near], 3.0))) < bound
    if lost.any():
        assert np.all(grid.filled[(grid.t_s > 2.0 + 1e-6) & (grid.t_s < t_s[lost].max() - 1e-6)] == 1.0)
    assert np.all(grid.filled[(grid.t_s < 1.95) | (grid.t_s > 2.08)] == 0.0)


def test_a_hole_shorter_than_a_stride_is_filled_with_the_stride_before() -> None:
    stride = 140
    t_s = times(200.0, 6.0)
    # a runner's signal: periodic in the stride
    values = waves(t_s, 200.0 / stride) + 0.3 * waves(t_s, 3 * 200.0 / stride)
    for missing in (6, 20, 60, stride - 1):
        lost = np.zeros(len(t_s), bool)
        lost[700 : 700 + missing] = True
        grid = once(t_s[~lost], values[~lost], 200.0, stride)
        assert not grid.holes
        np.testing.assert_allclose(grid.motion, values, atol=1e-9)
        np.testing.assert_array_equal(grid.filled, lost.astype(float))
        # nobody knew before the next sample came
        assert np.all(grid.known_s[lost] == t_s[700 + missing])


@given(st.integers(0, 2**32 - 1), st.integers(6, 130))
@settings(max_examples=40)
def test_a_filling_is_joined_at_both_ends_whatever_the_signal_does(seed: int, missing: int) -> None:
    stride, start = 140, 600
    t_s = times(200.0, 5.0)
    rng = np.random.default_rng(seed)
    values = waves(t_s, 200.0 / stride) * rng.uniform(0.5, 2.0, 6)
    values[start - 70 :] = 1.3 * values[start - 70 :] + rng.uniform(-1.0, 1.0, 6)  # changed since the stride before
    kept = np.r_[0:start, start + missing : len(t_s)]
    filled = once(t_s[kept], values[kept], 200.0, stride).motion[start - 1 : start + missing + 1]
    # the template's own steps, plus a correction that begins and ends as the signal does, and is soon forgotten
    template = values[start - 1 - stride : start + missing + 1 - stride]
    correction = filled - template
    ends = np.abs(correction[[0, -1]]).max(axis=0)
    for step in (correction[1] - correction[0], correction[-1] - correction[-2]):
        assert np.all(np.abs(step[:3]) <= 0.65 * ends[:3] + 0.37**missing * ends[:3])  # acceleration: one sample
        assert np.all(np.abs(step[3:]) <= 0.19 * ends[3:] + 0.82**missing * ends[3:])  # angular rate: five
    if missing > 50:
        assert np.all(np.abs(correction[len(correction) // 2]) <= 0.02 * ends)


def test_a_filling_from_two_strides_is_nearer_to_a_runner_who_varies() -> None:
    stride, t_s = 140, times(200.0, 60.0)
    rng = np.random.default_rng(5)
    size = np.repeat(rng.normal(1.0, 0.2, (len(t_s) // stride + 1, 6)), stride, axis=0)[: len(t_s)]
    values = size * waves(t_s, 200.0 / stride)
    errors = []
    for two in (0, 2 * stride):
        error = []
        for start in range(700, 10_000, 431):
            kept = np.r_[0:start, start + 40 : len(t_s)]
            aligner = Aligner()
            aligner.stride_samples, aligner.two_strides_samples = stride, two
            filled = align(aligner, [samples(t_s[kept], values[kept], 200.0)]).motion[start : start + 40]
            error.append(np.mean((filled - values[start : start + 40]) ** 2))
        errors.append(np.mean(error))
    # the mean of two strides varies by half as much: 1.5 instead of 2 variances between it and this one
    assert errors[1] < 0.85 * errors[0]


def test_without_a_stride_a_quarter_second_is_bridged_by_a_straight_line() -> None:
    t_s = times(200.0, 3.0)
    values = np.random.default_rng(4).standard_normal((600, 6))
    kept = np.r_[0:300, 300 + BRIDGED_SAMPLES : 600]
    grid = once(t_s[kept], values[kept], 200.0)
    assert not grid.holes
    line = grid.motion[299 : 301 + BRIDGED_SAMPLES]
    np.testing.assert_allclose(np.diff(line, 2, axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(line[0], values[299])
    np.testing.assert_array_equal(line[-1], values[300 + BRIDGED_SAMPLES])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("stride", [0, 140])
def test_what_is_longer_is_a_hole_and_time_goes_on_behind_it(rate_hz: float, stride: int) -> None:
    t_s = times(rate_hz, 8.0)
    kept = (t_s < 3.0) | (t_s >= 5.337)
    grid = once(t_s[kept], waves(t_s[kept], 1.0), rate_hz, stride)
    (hole,) = grid.holes
    resumed_s = t_s[t_s >= 5.337][0]
    assert hole.known_s == resumed_s
    assert hole.duration_s == pytest.approx(resumed_s - 3.0, abs=0.06)
    behind = grid.t_s[grid.t_s > 4.0]
    assert resumed_s - 1.1e-4 <= behind[0] <= resumed_s + GRID_PERIOD_S
    assert behind[0] == pytest.approx(hole.next_index * GRID_PERIOD_S)
    far = (grid.t_s > 5.337 + 0.1) & (grid.t_s < 7.9)
    assert np.max(np.abs(grid.motion[far] - waves(grid.t_s[far], 1.0))) < 0.005


@pytest.mark.parametrize("portion", [5, 30])
def test_clipped_samples_mark_the_rows_they_reach(portion: int) -> None:
    t_s = times(208.0, 3.0)
    values = waves(t_s, 2.0)
    clipped = [(first, first + portion, True) for first in range(200, 230, portion)]
    pieces = [(0, 200, False), *clipped, (230, len(t_s), False)]
    grid = align(Aligner(), [samples(t_s[a:b], values[a:b], 208.0, clipped=c) for a, b, c in pieces])
    inside = (grid.t_s > t_s[201]) & (grid.t_s < t_s[227])
    outside = (grid.t_s < t_s[197]) | (grid.t_s > t_s[232])
    assert np.all(grid.clipped[inside] == 1.0)
    assert np.all(grid.clipped[outside] == 0.0)


# ---------------------------------------------------------------- portions


@given(
    rate_hz=st.sampled_from(RATES_HZ),
    seed=st.integers(0, 2**32 - 1),
    stride=st.sampled_from([0, 0, 130]),
    sizes=st.lists(st.integers(0, 200), min_size=1, max_size=40),
)
@settings(max_examples=60)
def test_portions_change_not_one_bit(rate_hz: float, seed: int, stride: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    n = sum(sizes) + 1
    # a clock that is steered a little, and losses of all lengths
    t_s = np.cumsum((1.0 + rng.uniform(-1e-3, 1e-3, n)) / rate_hz)
    t_s += np.cumsum((rng.random(n) < 0.02) * rng.exponential(0.15, n))
    values = rng.standard_normal((n, 6))
    aligner = Aligner()
    aligner.stride_samples = stride
    edges = np.concatenate(([0], np.cumsum(sizes), [n]))
    pieces = [samples(t_s[a:b], values[a:b], rate_hz) for a, b in pairwise(edges.tolist())]
    parts, whole = align(aligner, pieces), once(t_s, values, rate_hz, stride)
    for name in ("t_s", "motion", "known_s", "filled", "clipped"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)
    assert parts.holes == whole.holes
