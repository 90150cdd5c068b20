"""One sensor's way from notifications to core inputs."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from virtual_link import board_of

from pelvis.clock import TimeBase
from pelvis.data import STANDARD_GRAVITY_MPS2, CoreInput, Gap, HeartRate, Samples
from sensor_host.boards import BOARDS
from sensor_host.boards.heart_rate import encode as encode_heart_rate
from sensor_host.boards.rimu import Info, RimuEncoder, encode_info
from sensor_host.chain import SensorChain
from sensor_host.errors import ConfigError
from sensor_host.ports import LinkHealth, LinkState, Notification, SensorInfo, TimedBlock
from sensor_host.summary import Tally

PELVIS = SensorInfo("pelvis", "rimu")
RATE_HZ = 208.0


def upright(samples: int, *, rate_hz: float = RATE_HZ, loud: tuple[int, ...] = ()) -> list[Notification]:
    """Notifications of a device that stands still; at the samples ``loud`` something hits it beyond its range."""
    t_s = np.arange(samples) / rate_hz
    acc = np.tile([0.0, 0.0, STANDARD_GRAVITY_MPS2], (samples, 1))
    acc[list(loud), 0] = 500.0
    encoder = RimuEncoder(Info(rate_hz=rate_hz))
    packets = encoder.encode(t_s, acc, np.zeros((samples, 3))) + encoder.flush()
    return [Notification("pelvis", packet.data, 50.0 + packet.t_last_s + 0.012) for packet in packets]


def column(said: list[CoreInput], name: str) -> NDArray[np.float64]:
    parts = [getattr(item, name) for item in said if isinstance(item, Samples)]
    return np.concatenate(parts) if parts else np.empty(0)


def signature(said: list[CoreInput]) -> list[object]:
    """What was said, sample by sample: equal for two lists that differ only in how samples are portioned."""
    signed: list[object] = []
    for item in said:
        if isinstance(item, Samples):
            signed += [
                (t.hex(), acc.tobytes(), gyr.tobytes(), item.rate_hz, item.clipped)
                for t, acc, gyr in zip(item.t_s.tolist(), item.acc_mps2, item.gyr_radps, strict=True)
            ]
        else:
            signed.append(item)
    return signed


def test_samples_come_out_in_si_units_from_session_time_zero() -> None:
    said = SensorChain(PELVIS).feed(upright(80))
    t_s = column(said, "t_s")
    np.testing.assert_allclose(t_s, np.arange(80) / RATE_HZ, atol=2e-6)
    # half a count of 0.488 mg
    np.testing.assert_allclose(column(said, "acc_mps2")[:, 2], STANDARD_GRAVITY_MPS2, atol=0.0025)
    assert {item.rate_hz for item in said if isinstance(item, Samples)} == {RATE_HZ}


def test_a_lost_notification_is_a_gap_and_a_hole_and_is_counted() -> None:
    notifications = upright(80)
    del notifications[4:6]
    chain = SensorChain(PELVIS)
    said = chain.feed(notifications)
    before, gap, after = said
    assert isinstance(before, Samples)
    assert isinstance(gap, Gap)
    assert isinstance(after, Samples)
    assert gap.t_s == before.t_s[-1]
    assert gap.t_s + gap.duration_s == after.t_s[0]
    assert gap.duration_s == pytest.approx(17 / RATE_HZ, abs=1e-5)
    health = chain.health(1.0)
    assert (health.notifications, health.samples, health.lost_samples) == (8, 64, 16)


def test_what_is_bad_or_doubled_is_counted_and_the_stream_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    good = upright(80)
    foreign = Notification("pelvis", b"\x55aforeign", 50.1)
    chain = SensorChain(PELVIS)
    with caplog.at_level(logging.WARNING):
        said = chain.feed([good[0], good[0], foreign, foreign, *good[1:]])
    assert len(column(said, "t_s")) == 80
    assert not any(isinstance(item, Gap) for item in said)
    health = chain.health(1.0)
    assert (health.notifications, health.duplicates, health.bad_notifications) == (13, 1, 2)
    assert chain.bad == {"foreign": 2}
    assert len(caplog.records) == 1, "each kind is said once"


def test_clipped_says_the_same_for_every_sample_of_a_portion() -> None:
    said = SensorChain(PELVIS).feed(upright(64, loud=(17, 18, 40)))
    flags = [(len(item.t_s), item.clipped) for item in said if isinstance(item, Samples)]
    assert flags == [(16, False), (8, True), (16, False), (8, True), (16, False)]


def test_the_device_may_announce_another_rate_in_the_middle() -> None:
    fast = [Notification("pelvis", encode_info(Info(rate_hz=416.0, stream=0)), 51.0)]
    said = SensorChain(PELVIS).feed([*upright(16), *fast])
    assert {item.rate_hz for item in said if isinstance(item, Samples)} == {208.0}
    chain = SensorChain(PELVIS)
    chain.feed(fast)
    said = chain.feed(upright(160, rate_hz=416.0))
    assert {item.rate_hz for item in said if isinstance(item, Samples)} == {416.0}
    np.testing.assert_allclose(column(said, "t_s"), np.arange(160) / 416.0, atol=2e-6)


arrival = st.integers(0, 25)


@given(st.lists(arrival, min_size=1, max_size=40), st.data())
def test_grouping_changes_no_bit(order: list[int], data: st.DataObject) -> None:
    """Good, lost, doubled, late, foreign and describing notifications in any order, in any portions."""
    stock = upright(160, loud=(30, 90, 91))
    stock += [Notification("pelvis", b"", 50.0), Notification("pelvis", b"\x10" * 21, 50.0)]
    stock += [Notification("pelvis", encode_info(Info(rate_hz=rate)), 50.0) for rate in (208.0, 104.0, 208.0, 210.0)]
    notifications = [
        Notification("pelvis", stock[pick].data, 50.0 + 0.04 * number) for number, pick in enumerate(order)
    ]
    whole_chain, chain = SensorChain(PELVIS), SensorChain(PELVIS)
    whole = whole_chain.feed(notifications)
    parts: list[CoreInput] = []
    start = 0
    while start < len(notifications):
        end = data.draw(st.integers(start + 1, len(notifications)))
        parts += chain.feed(notifications[start:end])
        start = end
    assert signature(parts) == signature(whole)
    assert chain.health(0.0) == whole_chain.health(0.0)
    for t_host_s in (50.0, 51.5, 60.0):
        assert chain.session_from_host(t_host_s).hex() == whole_chain.session_from_host(t_host_s).hex()


@given(st.lists(st.binary(max_size=40) | st.binary(min_size=19, max_size=19).map(lambda b: b"\x10" + b), max_size=20))
def test_no_bytes_are_fatal_and_time_never_runs_back(payloads: list[bytes]) -> None:
    chain = SensorChain(PELVIS)
    said = chain.feed_bytes(payloads, [10.0 + 0.04 * k for k in range(len(payloads))])
    t_s = column(said, "t_s")
    assert (np.diff(t_s) > 0).all()
    assert chain.health(0.0).notifications == len(payloads)


def test_session_time_of_a_moment_is_that_of_the_sample_the_host_has_just_then() -> None:
    chain = SensorChain(PELVIS)
    chain.feed(upright(2080))
    assert chain.session_from_host(50.0 + 5.0 + 0.012) == pytest.approx(5.0, abs=1e-3)
    assert chain.host_from_session(5.0) == pytest.approx(55.012, abs=1e-3)


@pytest.mark.parametrize("time_base", TimeBase)
def test_a_replay_from_the_middle_keeps_the_sessions_time(time_base: TimeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts alone find it again but for the delay of a packet or two."""
    board = board_of(time_base)
    monkeypatch.setitem(BOARDS, board.key, board)
    sensor = SensorInfo("pelvis", board.key, rate_hz=RATE_HZ)
    notifications = upright(8000)
    whole = column(SensorChain(sensor).feed(notifications), "t_s")
    chain = SensorChain(sensor)
    chain.start_behind(notifications[:1])
    said = chain.feed(notifications[600:])
    assert not any(isinstance(item, Gap) for item in said)
    near_s = 0.010 if time_base is TimeBase.ARRIVAL else 1e-5
    np.testing.assert_allclose(column(said, "t_s"), whole[4800:], atol=near_s)
    health = chain.health(0.0)
    assert (health.lost_samples, health.samples, health.notifications) == (0, 3200, 400)
    assert (health.restarts, health.loss_known_by) == (0, time_base)


@given(st.lists(st.integers(0, 120), min_size=1, max_size=60), st.data())
def test_grouping_changes_no_bit_where_only_receipts_tell(order: list[int], data: st.DataObject) -> None:
    """Notifications that come once, twice, in bunches, after silences, and say that a stream begins."""
    board = board_of(TimeBase.ARRIVAL)
    stock = upright(960)
    waits = data.draw(st.lists(st.sampled_from([0.0, 0.001, 0.04, 1.0]), min_size=len(order), max_size=len(order)))
    t_host_s = np.cumsum(waits).tolist()
    payloads = [stock[pick % 100].data for pick in order for _ in range(1 + pick // 100)]
    times = [at_s for pick, at_s in zip(order, t_host_s, strict=True) for _ in range(1 + pick // 100)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOARDS, board.key, board)
        whole_chain, chain = (SensorChain(SensorInfo("pelvis", board.key)) for _ in range(2))
    whole = whole_chain.feed_bytes(payloads, times)
    parts: list[CoreInput] = []
    start = 0
    while start < len(payloads):
        end = data.draw(st.integers(start + 1, len(payloads)))
        parts += chain.feed_bytes(payloads[start:end], times[start:end])
        start = end
    assert signature(parts) == signature(whole)
    assert chain.health(0.0) == whole_chain.health(0.0)


def test_the_summary_marks_an_estimated_loss_and_repeats_the_links_warning() -> None:
    tally = Tally()
    tally.take(
        LinkHealth(
            "pelvis", "closed", 60.0, 1000, 8000, 40, 0, 0,
            loss_known_by=TimeBase.ARRIVAL, restarts=3, reboots=2, warning="it comes twice",
        )
    )  # fmt: skip
    (link,) = [line for line in tally.lines() if line.startswith("pelvis:")]
    assert "about 40 lost" in link
    assert "started anew 2 x" in link
    assert "warning: pelvis: it comes twice" in tally.lines()
    links = tally.as_dict()["links"]
    assert isinstance(links, dict)
    figures = {name: links["pelvis"][name] for name in ("lost_samples", "loss_known_by", "restarts", "reboots")}
    assert figures == {"lost_samples": 40, "loss_known_by": "arrival", "restarts": 3, "reboots": 2}


def test_heart_rate_is_put_into_the_pelvis_time() -> None:
    chain = SensorChain(SensorInfo("heart_rate", "heart_rate"), session_time=lambda t_host_s: t_host_s - 50.0)
    said = chain.feed(
        [
            Notification("heart_rate", encode_heart_rate(151, [0.4, 0.41]), 57.5),
            Notification("heart_rate", b"", 58.0),
            Notification("heart_rate", encode_heart_rate(80, contact=False), 58.5),
        ]
    )
    (reading,) = said
    assert isinstance(reading, HeartRate)
    assert (reading.t_s, reading.heart_rate_bpm) == (7.5, 151.0)
    assert reading.rr_s == pytest.approx((0.4, 0.41), abs=1e-3)
    assert chain.health(0.0).bad_notifications == 1


def test_foreign_data_passes_as_it_is() -> None:
    chain = SensorChain(SensorInfo("pelvis", "timed"))
    samples = Samples(np.array([3.0, 3.01]), np.zeros((2, 3)), np.zeros((2, 3)), 100.0)
    assert chain.feed_block(TimedBlock("pelvis", samples, 3.01)) == [samples]
    assert chain.session_from_host(5.0) == pytest.approx(5.0)
    assert chain.health(0.0).samples == 2


def test_the_link_keeps_what_it_heard_of_signal_and_battery() -> None:
    chain = SensorChain(PELVIS)
    chain.take_link(LinkState("pelvis", "connected", 1.0, rssi_dbm=-60, battery_ratio=0.8))
    chain.take_link(LinkState("pelvis", "lost", 2.0))
    health = chain.health(0.0)
    assert (health.state, health.rssi_dbm, health.battery_ratio) == ("lost", -60, 0.8)


def test_an_unknown_board_is_a_config_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="rimu") as caught:
        SensorChain(SensorInfo("pelvis", "remu"))
    assert caught.value.path == "sensor.board"
