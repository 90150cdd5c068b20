"""Smoothing is linear in phase and exact in any portions; the past is found under its index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.filters import History, SymmetricSmoother, at_fraction, interior_hann

TAPS = (3, 5, 7, 11, 21)


@pytest.mark.parametrize("taps", TAPS)
def test_the_weights_are_a_hann_window_without_its_zeros(taps: int) -> None:
    k = np.arange(1, taps + 1)
    window = np.sin(np.pi * k / (taps + 1)) ** 2
    np.testing.assert_allclose(interior_hann(taps), window / window.sum(), rtol=1e-12)
    assert interior_hann(taps).sum() == pytest.approx(1.0, abs=1e-15)
    assert np.all(interior_hann(taps) > 0.0)


@pytest.mark.parametrize("taps", TAPS)
def test_a_constant_stays_and_a_ramp_lags_by_half_the_taps(taps: int) -> None:
    smoother = SymmetricSmoother(taps)
    ramp = np.arange(100.0)[:, np.newaxis] * [0.0, 2.0] + [3.0, 5.0]
    out = smoother.smooth(ramp)
    assert smoother.delay_samples == taps // 2
    np.testing.assert_allclose(out[:, 0], 3.0, rtol=1e-14)
    np.testing.assert_allclose(out[taps:, 1], ramp[taps - taps // 2 : -(taps // 2), 1], rtol=1e-13)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("radians_per_sample", [0.05, 0.3, 1.0])
def test_every_frequency_lags_alike_and_loses_what_the_window_says(taps: int, radians_per_sample: float) -> None:
    n, delay = np.arange(400), taps // 2
    out = SymmetricSmoother(taps).smooth(np.sin(radians_per_sample * n)[:, np.newaxis])[:, 0]
    gain = float(interior_hann(taps) @ np.cos(radians_per_sample * (np.arange(taps) - delay)))
    expected = gain * np.sin(radians_per_sample * (n - delay))
    np.testing.assert_allclose(out[taps:], expected[taps:], atol=1e-12)


def test_before_the_first_sample_it_is_held() -> None:
    step = np.array([[4.0], [4.0], [4.0]])
    np.testing.assert_allclose(SymmetricSmoother(11).smooth(step), step, rtol=1e-15)


def test_after_a_reset_nothing_of_the_past_is_left() -> None:
    smoother = SymmetricSmoother(7)
    smoother.smooth(np.full((20, 1), 100.0))
    smoother.reset()
    np.testing.assert_allclose(smoother.smooth(np.ones((5, 1))), 1.0, rtol=1e-15)


@given(st.sampled_from(TAPS), st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(0, 1000))
def test_portions_change_not_one_bit(taps: int, sizes: list[int], seed: int) -> None:
    data = np.random.default_rng(seed).standard_normal((sum(sizes), 3))
    whole = SymmetricSmoother(taps).smooth(data)
    smoother, start, parts = SymmetricSmoother(taps), 0, []
    for size in sizes:
        parts.append(smoother.smooth(data[start : start + size]))
        start += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_callers_array_is_neither_kept_nor_changed() -> None:
    block = np.random.default_rng(1).standard_normal((30, 2))
    copy = block.copy()
    one, other = SymmetricSmoother(5), SymmetricSmoother(5)
    one.smooth(block)
    other.smooth(copy)
    np.testing.assert_array_equal(block, copy)
    block[:] = np.nan
    np.testing.assert_array_equal(one.smooth(copy), other.smooth(copy))


# ---------------------------------------------------------------- history


@given(st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(-50, 50))
def test_the_last_rows_are_found_under_their_index(sizes: list[int], first: int) -> None:
    keep = 25
    history, index = History(2, keep, first), first
    for size in sizes:
        before = index
        rows = np.column_stack((np.arange(index, index + size), -np.arange(index, index + size))).astype(float)
        history.append(rows)
        index += size
        assert history.end == index
        oldest = max(first, before - keep)
        assert history.start <= oldest
        np.testing.assert_array_equal(history.view(oldest, index)[:, 0], np.arange(oldest, index))


def test_rows_that_are_not_held_are_refused() -> None:
    history = History(1, 10)
    history.append(np.zeros((5, 1)))
    for start, stop in ((0, 6), (-1, 2)):
        with pytest.raises(IndexError, match="not held"):
            history.view(start, stop)
    history.restart(100)
    with pytest.raises(IndexError):
        history.view(0, 5)
    history.append(np.ones((3, 1)))
    np.testing.assert_array_equal(history.view(100, 103), np.ones((3, 1)))


def test_between_two_rows_lies_the_straight_line() -> None:
    rows = np.column_stack((np.arange(10.0), np.arange(10.0) ** 2))
    out = at_fraction(rows, np.array([0.0, 2.25, 7.999]))
    np.testing.assert_allclose(out[:, 0], [0.0, 2.25, 7.999])
    np.testing.assert_allclose(out[:, 1], [0.0, 4.0 + 0.25 * 5.0, 49.0 + 0.999 * 15.0])
