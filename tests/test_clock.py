"""The time base against physics: a sensor with a rate of its own, a clock that wraps, a radio that delays.

The truth is the time at which the sensor sampled, by the device's crystal. The tests make stamps and receipts of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pelvis.clock import DOUBLED, KEPT, LATE, ClockSettings, SensorClock, Stamps

NOMINAL_HZ = 208.0


@dataclass
class Device:
    """Packets of a sensor whose true sample times, by its crystal, are known."""

    true_s: NDArray[np.float64]  # of each packet's first sample
    index: NDArray[np.int64]
    samples: NDArray[np.int64]
    stamp_us: NDArray[np.int64]
    t_host_s: NDArray[np.float64]
    stream: NDArray[np.int64]

    def rows(self, rows: slice | NDArray[np.int64] | list[int]) -> Device:
        return Device(
            self.true_s[rows],
            self.index[rows],
            self.samples[rows],
            self.stamp_us[rows],
            self.t_host_s[rows],
            self.stream[rows],
        )


def device(
    packets: int,
    *,
    size: int = 8,
    rate_hz: float = NOMINAL_HZ,
    jitter_s: float = 0.0,
    boot_us: int = 5_000_000,
    first_index: int = 0,
    host_drift_ppm: float = 0.0,
    delay_s: float = 0.010,
    spread_s: float = 0.004,
    host_zero_s: float = 100.0,
    stream: int = 0,
    seed: int = 1,
) -> Device:
    rng = np.random.default_rng(seed)
    index = np.arange(packets) * size
    true_s = index / rate_hz
    stamps = boot_us + np.rint((true_s + jitter_s * rng.uniform(-1, 1, packets)) * 1e6).astype(np.int64)
    done_s = true_s + (size - 1) / rate_hz
    host = host_zero_s + done_s * (1 + host_drift_ppm * 1e-6) + delay_s + rng.exponential(spread_s, packets)
    return Device(
        true_s,
        (index + first_index) % 65536,
        np.full(packets, size),
        stamps % (1 << 32),
        np.maximum.accumulate(host),
        np.full(packets, stream),
    )


def stamp(clock: SensorClock, d: Device) -> Stamps:
    return clock.stamp(
        d.stream.tolist(),
        d.index.tolist(),
        d.stamp_us.tolist(),
        d.samples.tolist(),
        [False] * len(d.index),
        [False] * len(d.index),
        d.t_host_s.tolist(),
    )


def sample_times(stamps: Stamps, samples: NDArray[np.int64]) -> NDArray[np.float64]:
    kept = stamps.verdict == KEPT
    return np.concatenate(
        [
            t + np.arange(n) * period
            for t, n, period in zip(stamps.t_s[kept], samples[kept], stamps.period_s[kept], strict=True)
        ]
    )


def new_clock() -> SensorClock:
    return SensorClock(ClockSettings(NOMINAL_HZ))


# ---------------------------------------------------------------- a healthy stream


@pytest.mark.parametrize("rate_hz", [192.0, 208.0, 223.0])
@pytest.mark.parametrize("size", [1, 8, 19])
def test_session_time_is_the_sensors_own_whatever_its_rate_is_off(rate_hz: float, size: int) -> None:
    """A MEMS sensor of nominally 208 Hz may run 7 % off; its samples are still where they were taken."""
    d = device(2000 // size, size=size, rate_hz=rate_hz)
    clock = new_clock()
    t_s = sample_times(stamp(clock, d), d.samples)
    true_s = np.arange(len(t_s)) / rate_hz
    # the first packet is placed by the nominal rate: at most 18 periods, 7 % off
    error_s = np.abs(t_s - true_s)
    assert error_s[:size].max() < 0.08 * size / NOMINAL_HZ
    assert error_s[4 * size :].max() < 20e-6
    assert clock.rate_hz == pytest.approx(rate_hz, rel=1e-4)
    assert (np.diff(t_s) > 0).all()


def test_jitter_of_the_stamps_is_smoothed() -> None:
    """2 ms of interrupt jitter: uniform, so 1.15 ms rms. What is left after two seconds must be a quarter of it."""
    d = device(3000, rate_hz=205.0, jitter_s=0.002)
    stamps = stamp(new_clock(), d)
    settled = slice(100, None)
    error_s = stamps.t_s[settled] - d.true_s[settled]
    assert np.sqrt(np.mean((error_s - error_s.mean()) ** 2)) < 0.25 * 1.15e-3
    assert abs(np.mean(error_s)) < 2e-3  # the first stamp, which is the origin, jitters too


def test_the_rate_is_followed_as_the_sensor_warms_up() -> None:
    """From 206 to 209 Hz in ten minutes, 25 ppm a second: far more than real sensors do.

    A line that fades with 2 s lags by 25e-6 / s x (2 s)^2 = 100 us.
    """
    count = 15_000
    rate_hz = np.linspace(206.0, 209.0, count)
    true_s = np.concatenate([[0.0], np.cumsum(8 / rate_hz)[:-1]])
    d = device(count)
    d.true_s = true_s
    d.stamp_us = 5_000_000 + np.rint(true_s * 1e6).astype(np.int64)
    d.t_host_s = true_s + 100.1
    stamps = stamp(new_clock(), d)
    assert np.abs(stamps.t_s - true_s).max() < 150e-6
    assert not stamps.gaps


@given(
    st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=30),
    st.lists(st.integers(0, 65535), min_size=30, max_size=30),
    st.lists(st.integers(1, 30), min_size=30, max_size=30),
    st.lists(st.integers(0, 1), min_size=30, max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.lists(st.floats(0, 1e4), min_size=30, max_size=30),
)
def test_time_never_runs_back_whatever_comes(
    stamps_us: list[int],
    index: list[int],
    samples: list[int],
    stream: list[int],
    first: list[bool],
    waits_s: list[float],
) -> None:
    n = len(stamps_us)
    clock = new_clock()
    t_host_s = np.cumsum(waits_s[:n]).tolist()
    stamps = clock.stamp(stream[:n], index[:n], stamps_us, samples[:n], [False] * n, first[:n], t_host_s)
    t_s = sample_times(stamps, np.array(samples[:n]))
    assert (np.diff(t_s) > 0).all()
    assert np.isfinite(t_s).all()
    assert all(gap.duration_s > 0 for _, gap in stamps.gaps)
    refused = int((stamps.verdict == DOUBLED).sum()), int((stamps.verdict == LATE).sum())
    assert (clock.doubled, clock.late) == refused


@given(st.data())
def test_grouping_changes_no_bit(data: st.DataObject) -> None:
    d = device(120, rate_hz=201.0, jitter_s=0.003, seed=data.draw(st.integers(0, 5)))
    keep = np.flatnonzero(np.random.default_rng(7).random(120) > 0.1)
    d = d.rows(keep)
    whole = stamp(new_clock(), d)
    clock, start = new_clock(), 0
    t_s: list[bytes] = []
    period_s: list[bytes] = []
    gaps = 0
    while start < len(keep):
        end = data.draw(st.integers(start + 1, len(keep)))
        part = stamp(clock, d.rows(slice(start, end)))
        t_s.append(part.t_s.tobytes())
        period_s.append(part.period_s.tobytes())
        gaps += len(part.gaps)
        start = end
    assert b"".join(t_s) == whole.t_s.tobytes()
    assert b"".join(period_s) == whole.period_s.tobytes()
    assert gaps == len(whole.gaps)


# ---------------------------------------------------------------- losses


def test_lost_packets_are_counted_exactly_and_leave_a_hole() -> None:
    d = device(1000, rate_hz=210.0)
    rng = np.random.default_rng(5)
    keep = np.flatnonzero((rng.random(1000) > 0.05) | (np.arange(1000) < 3))
    last = int(keep[-1])
    clock = new_clock()
    stamps = stamp(clock, d.rows(keep))
    assert clock.lost_samples == 8 * (last + 1 - len(keep))
    assert np.abs(stamps.t_s[5:] - d.true_s[keep][5:]).max() < 20e-6
    holes = np.flatnonzero(np.diff(keep) > 1) + 1
    assert [position for position, _ in stamps.gaps] == holes.tolist()
    for position, gap in stamps.gaps:
        assert gap.t_s == pytest.approx(d.true_s[keep][position - 1] + 7 / 210.0, abs=1e-3)
        assert gap.t_s + gap.duration_s == stamps.t_s[position]


def test_a_gap_in_which_the_counter_wrapped_is_told_by_the_stamps() -> None:
    """400 s at 208 Hz are 83,200 samples: the 16-bit counter comes round once."""
    d = device(20_000)
    rows = [*range(500), *range(500 + 10_400, 12_000)]
    clock = new_clock()
    stamps = stamp(clock, d.rows(rows))
    assert clock.lost_samples == 10_400 * 8
    assert np.abs(stamps.t_s - d.true_s[rows]).max() < 1e-4


def test_the_devices_clock_may_wrap_in_the_middle_of_a_run() -> None:
    """32 bits of microseconds: 71.6 minutes."""
    d = device(300, boot_us=(1 << 32) - 3_000_000, first_index=65_000)
    stamps = stamp(new_clock(), d)
    assert np.abs(stamps.t_s - d.true_s).max() < 1e-5
    assert not stamps.gaps


def test_a_gap_longer_than_the_devices_clock_is_told_by_the_receipts() -> None:
    """Two hours: 1.7 turns of the device's clock, 23 of the counter."""
    packets = 26 * 7400
    d = device(packets)
    rows = [*range(500), *range(26 * 7200, packets)]
    clock = new_clock()
    stamps = stamp(clock, d.rows(rows))
    assert clock.lost_samples == (26 * 7200 - 500) * 8
    assert np.abs(stamps.t_s - d.true_s[rows]).max() < 5e-3
    assert len(stamps.gaps) == 1


def test_doubled_packets_are_dropped_and_counted() -> None:
    """What a forgotten subscription does after a reconnect: everything twice."""
    d = device(100)
    twice = np.repeat(np.arange(100), 2)
    clock = new_clock()
    stamps = stamp(clock, d.rows(twice))
    assert clock.doubled == 100
    assert clock.lost_samples == 0
    assert (stamps.verdict == np.tile([KEPT, DOUBLED], 100)).all()
    assert np.abs(stamps.t_s[::2] - d.true_s).max() < 1e-5


def test_a_late_packet_is_told_from_a_doubled_one() -> None:
    d = device(20)
    order = [0, 1, 2, 4, 3, 4, 5, 6]
    clock = new_clock()
    stamps = stamp(clock, d.rows(order))
    assert stamps.verdict.tolist() == [KEPT, KEPT, KEPT, KEPT, LATE, DOUBLED, KEPT, KEPT]
    assert (clock.late, clock.doubled, clock.lost_samples) == (1, 1, 8)


def test_an_overrun_of_the_device_is_a_gap_although_the_counter_goes_on() -> None:
    d = device(100)
    d.stamp_us[50:] += 60_000  # 12 samples that the device did not count
    overrun = [k == 50 for k in range(100)]
    clock = new_clock()
    stamps = clock.stamp(
        d.stream.tolist(),
        d.index.tolist(),
        d.stamp_us.tolist(),
        d.samples.tolist(),
        overrun,
        [False] * 100,
        d.t_host_s.tolist(),
    )
    assert [(position, gap.reason) for position, gap in stamps.gaps] == [(50, "the device lost samples")]
    assert np.abs(stamps.t_s[50:] - d.true_s[50:] - 0.060).max() < 1e-4


# ---------------------------------------------------------------- starts


def test_a_stream_that_was_started_anew_keeps_the_devices_time() -> None:
    """A reconnect: the counter starts at 0, the device's clock went on. Session time is exact again."""
    before = device(200)
    after = device(200, boot_us=5_000_000 + 30_000_000, host_zero_s=130.0, stream=1, seed=2)
    clock = new_clock()
    stamp(clock, before)
    stamps = stamp(clock, after)
    assert np.abs(stamps.t_s - (after.true_s + 30.0)).max() < 1e-4
    assert [gap.reason for _, gap in stamps.gaps] == ["the stream was started anew"]
    assert clock.restarts == 1


def test_after_a_reboot_the_receipts_bridge_the_break() -> None:
    """The device's clock begins anew too: 30 s passed by the host's clock, right to the spread of the radio's delay."""
    before = device(2000)
    after = device(200, boot_us=700_000, host_zero_s=130.0 + 76.0, stream=1, seed=2)
    clock = new_clock()
    stamp(clock, before)
    stamps = stamp(clock, after)
    error_s = stamps.t_s - (after.true_s + 106.0)
    assert np.abs(error_s).max() < 0.030
    assert np.ptp(error_s) < 1e-4  # a shift, but evenly spaced
    assert [gap.reason for _, gap in stamps.gaps] == ["the device was started anew"]


def test_a_start_that_nobody_announced_is_seen_by_counter_and_stamp_together() -> None:
    before = device(200)
    after = device(200, boot_us=100_000, host_zero_s=115.0)
    clock = new_clock()
    stamp(clock, before)
    stamps = stamp(clock, after)
    assert clock.restarts == 1
    assert (stamps.verdict == KEPT).all()
    assert abs(stamps.t_s[0] - 15.0) < 0.030


def test_a_reboot_after_a_long_run_is_seen_although_the_count_of_starts_is_the_same() -> None:
    """A counter of starts that lives in memory begins anew with a reboot. The stamps then lie 40 minutes back."""
    before = device(26 * 2400)
    after = device(200, boot_us=2_000_000, host_zero_s=2520.0)
    clock = new_clock()
    stamp(clock, before)
    stamps = stamp(clock, after)
    assert clock.restarts == 1
    assert (stamps.verdict == KEPT).all()
    assert abs(stamps.t_s[0] - 2420.0) < 0.030


def test_a_first_packet_begins_a_stream_once_however_often_it_comes() -> None:
    d = device(4)
    rows = [0, 0, 1, 2, 0, 3]
    clock = new_clock()
    part = d.rows(rows)
    first = [row == 0 for row in rows]
    none = [False] * len(rows)
    stamps = clock.stamp(
        part.stream.tolist(),
        part.index.tolist(),
        part.stamp_us.tolist(),
        part.samples.tolist(),
        none,
        first,
        part.t_host_s.tolist(),
    )
    assert stamps.verdict.tolist() == [KEPT, DOUBLED, KEPT, KEPT, DOUBLED, KEPT]
    assert clock.restarts == 0


@pytest.mark.parametrize(("index", "stamp_us"), [(30_000, 3_000_000_000), (400, 900_000_000), (12_000, 6_900_000)])
def test_one_foreign_packet_does_not_silence_the_stream(index: int, stamp_us: int) -> None:
    d = device(100)
    d.index[50] = index
    d.stamp_us[50] = stamp_us
    stamps = stamp(new_clock(), d)
    assert (np.delete(stamps.verdict, 50) == KEPT).all()
    assert (np.diff(sample_times(stamps, d.samples)) > 0).all()
    assert np.abs(stamps.t_s[60:] - d.true_s[60:]).max() < 0.1


def test_what_was_passed_over_on_purpose_is_no_loss() -> None:
    d = device(5000)
    clock = new_clock()
    stamp(clock, d.rows(slice(0, 1)))
    clock.passed_over()
    stamps = stamp(clock, d.rows(slice(3000, 5000)))
    assert not stamps.gaps
    assert clock.lost_samples == 0
    assert np.abs(stamps.t_s - d.true_s[3000:]).max() < 1e-3


# ---------------------------------------------------------------- host's clock


@pytest.mark.parametrize("drift_ppm", [-60.0, 0.0, 45.0])
def test_the_drift_between_the_clocks_is_found(drift_ppm: float) -> None:
    d = device(26 * 1200, host_drift_ppm=drift_ppm, spread_s=0.008)
    clock = new_clock()
    stamp(clock, d)
    assert clock.offset.drift_ppm == pytest.approx(drift_ppm, abs=1.0)


def test_session_and_host_time_map_both_ways() -> None:
    d = device(26 * 1800, host_drift_ppm=50.0)
    clock = new_clock()
    stamp(clock, d)
    end_s = float(d.true_s[-1])
    # the least delay is part of the mapping: 10 ms
    assert clock.host_from_session(end_s) == pytest.approx(100.0 + end_s * (1 + 50e-6) + 0.010, abs=0.002)
    for t_s in (end_s - 30.0, end_s):
        assert clock.session_from_host(clock.host_from_session(t_s)) == pytest.approx(t_s, abs=1e-9)


def test_a_stretch_of_delays_moves_the_mapping_by_nothing() -> None:
    """Thirty seconds in which every packet is 80 ms late: the least delay of the minute before still holds."""
    d = device(26 * 90)
    d.t_host_s[26 * 60 :] += 0.080
    clock = new_clock()
    stamp(clock, d)
    assert clock.host_from_session(90.0) == pytest.approx(190.010, abs=0.002)


def test_before_the_first_packet_session_time_is_zero() -> None:
    clock = new_clock()
    assert clock.session_from_host(12345.6) == 0.0
    assert clock.last_s == 0.0
    assert clock.offset.drift_ppm is None


def test_receipts_never_bend_session_time() -> None:
    """The same packets over a calm and over a wild link have the same stamps, bit for bit."""
    calm = device(3000, spread_s=0.0)
    wild = device(3000, spread_s=0.3)
    assert stamp(new_clock(), calm).t_s.tobytes() == stamp(new_clock(), wild).t_s.tobytes()
