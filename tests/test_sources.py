"""Replay and simulation come through the same door as the radio: bytes and receipt times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pelvis.data import Gap, Samples
from pelvis.simulate import Scenario, SensorModel, SimulatedBlock
from sensor_host.boards.rimu import INFO_TYPE
from sensor_host.chain import SensorChain
from sensor_host.errors import InputError
from sensor_host.ports import Arrival, LinkState, Mode, Notification, Role, SessionInfo, Source
from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter
from sensor_host.sources.replay import ReplaySource
from sensor_host.sources.simulated import SimulatedSource

ACC_LSB_MPS2 = 0.488e-3 * 9.80665


async def everything(source: Source) -> list[Arrival]:
    async with source:
        return [arrival async for arrival in source]


def notifications(arrivals: list[Arrival]) -> list[Notification]:
    return [arrival for arrival in arrivals if isinstance(arrival, Notification)]


# ---------------------------------------------------------------- simulated


async def test_the_host_measures_what_the_device_measured_to_one_count() -> None:
    blocks: list[SimulatedBlock] = []
    source = SimulatedSource(Scenario(standing_s=1.0), seed=3, paced=False, duration_s=12.0, on_block=blocks.append)
    said = SensorChain(source.sensors[0]).feed(notifications(await everything(source)))
    t_s = np.concatenate([item.t_s for item in said if isinstance(item, Samples)])
    acc = np.concatenate([item.acc_mps2 for item in said if isinstance(item, Samples)])
    np.testing.assert_allclose(t_s, np.concatenate([block.t_s for block in blocks]), atol=3e-6)
    np.testing.assert_allclose(acc, np.concatenate([block.acc_mps2 for block in blocks]), atol=0.51 * ACC_LSB_MPS2)
    assert not any(isinstance(item, Gap) for item in said)
    assert source.mode is Mode.SIMULATED


async def test_the_same_seed_gives_the_same_bytes_and_receipt_times() -> None:
    runs = [
        await everything(SimulatedSource(seed=seed, paced=False, duration_s=5.0, loss_ratio=0.1)) for seed in (4, 4, 5)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0] == list(SimulatedSource(seed=4, paced=False, duration_s=5.0, loss_ratio=0.1).arrivals())


async def test_the_device_describes_itself_first() -> None:
    arrivals = await everything(
        SimulatedSource(Scenario(sensor=SensorModel(rate_hz=104.0)), paced=False, duration_s=2.0)
    )
    first, info, *_, last = arrivals
    assert isinstance(first, LinkState)
    assert isinstance(info, Notification)
    assert isinstance(last, LinkState)
    assert (first.state, last.state) == ("connected", "closed")
    assert info.data[0] == INFO_TYPE
    chain = SensorChain(SimulatedSource().sensors[0])
    chain.feed(notifications(arrivals))
    assert chain.rate_hz == 104.0


async def test_delay_is_never_negative_and_receipts_never_run_back() -> None:
    source = SimulatedSource(Scenario(sensor=SensorModel(clock_error_ppm=50.0)), seed=2, paced=False, duration_s=300.0)
    arrivals = notifications(await everything(source))
    t_host_s = np.array([arrival.t_host_s for arrival in arrivals])
    assert (np.diff(t_host_s) >= 0).all()
    chain = SensorChain(source.sensors[0])
    said = chain.feed(arrivals[1:])
    device_s = np.concatenate([item.t_s for item in said if isinstance(item, Samples)])[7::8]
    delay_s = t_host_s[1:] - device_s * (1 + 50e-6)
    assert delay_s.min() > -1e-5
    assert delay_s.max() < 0.06
    assert 0.003 < delay_s.mean() < 0.015
    # the simulated crystal is 50 ppm slow, and the host finds it
    assert chain.health(0.0).drift_ppm == pytest.approx(50.0, abs=2.0)


async def test_lost_packets_are_seen_by_their_counter() -> None:
    source = SimulatedSource(seed=2, paced=False, duration_s=60.0, loss_ratio=0.05)
    arrivals = notifications(await everything(source))
    chain = SensorChain(source.sensors[0])
    chain.feed(arrivals)
    health = chain.health(0.0)
    assert health.samples + health.lost_samples == pytest.approx(60 * 208, abs=8)
    assert 0.02 < health.lost_samples / (60 * 208) < 0.08


async def test_paced_it_keeps_real_time_without_drifting() -> None:
    began_s = time.monotonic()
    connected, *arrivals = await everything(SimulatedSource(duration_s=1.0))
    took_s = time.monotonic() - began_s
    assert took_s == pytest.approx(1.0, abs=0.25)
    packets = notifications(arrivals)[1:]
    due_s = np.arange(1, len(packets) + 1) * 8 / 208 - 1 / 208
    late_s = np.array([packet.t_host_s for packet in packets]) - connected.t_host_s - due_s
    assert late_s.min() > -1e-3
    assert np.median(late_s) < 0.05


async def test_pacing_can_be_broken_off_at_once() -> None:
    async def play() -> None:
        async for _ in SimulatedSource():
            started.set()

    started = asyncio.Event()
    task = asyncio.ensure_future(play())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1.0):
            await task


def test_an_endless_runner_is_made_as_it_goes() -> None:
    arrivals: Iterator[Arrival] = SimulatedSource(paced=False).arrivals()
    assert sum(1 for _, arrival in zip(range(1000), arrivals, strict=False)) == 1000


# ---------------------------------------------------------------- replay


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Arrival]]:
    """Forty seconds of a simulated runner."""
    source = SimulatedSource(seed=6, paced=False, duration_s=40.0, loss_ratio=0.02)
    arrivals = list(source.arrivals())
    session = SessionInfo("s", "anna", Mode.SIMULATED, "2024-05-01T06:30:00Z", 0, source.sensors)
    path = tmp_path_factory.mktemp("replay") / "a.mcap"
    with RecordingWriter(path, session) as writer:
        for arrival in arrivals:
            writer.write(arrival)
    return path, arrivals


async def test_a_replay_gives_exactly_what_was_recorded(recorded: tuple[Path, list[Arrival]]) -> None:
    path, arrivals = recorded
    source = ReplaySource(path, speed=None)
    assert await everything(source) == arrivals
    assert source.mode is Mode.REPLAY
    assert [sensor.role for sensor in source.sensors] == [Role.PELVIS]
    assert source.openings == ()


async def test_a_replay_leaves_the_loop_to_others_too(recorded: tuple[Path, list[Arrival]]) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await everything(ReplaySource(recorded[0], speed=None))
    task.cancel()
    assert turns > 20


async def test_a_paced_replay_takes_its_time(recorded: tuple[Path, list[Arrival]]) -> None:
    began_s = time.monotonic()
    part = await everything(ReplaySource(recorded[0], speed=20.0, start_s=10.0, end_s=20.0))
    assert time.monotonic() - began_s == pytest.approx(0.5, abs=0.2)
    assert all(isinstance(arrival, Notification) for arrival in part)


async def test_a_part_keeps_the_sessions_time_and_scales(recorded: tuple[Path, list[Arrival]]) -> None:
    path, arrivals = recorded
    whole = SensorChain(SimulatedSource().sensors[0])
    expected = np.concatenate([s.t_s for s in whole.feed(notifications(arrivals)) if isinstance(s, Samples)])
    source = ReplaySource(path, speed=None, start_s=25.0, end_s=35.0)
    chain = SensorChain(source.sensors[0])
    chain.start_behind(source.openings)
    part = await everything(source)
    got = np.concatenate([s.t_s for s in chain.feed(notifications(part)) if isinstance(s, Samples)])
    assert 24.9 < got[0] < 25.1
    np.testing.assert_allclose(got, expected[np.searchsorted(expected, got[0] - 1e-3) :][: len(got)], atol=1e-4)
    assert [opening.data[0] == INFO_TYPE for opening in source.openings] == [True, False]


async def test_an_unfinished_recording_is_replayed_to_its_end(
    tmp_path: Path, recorded: tuple[Path, list[Arrival]]
) -> None:
    path = tmp_path / "a.mcap"
    session = read(recorded[0]).session
    writer = RecordingWriter(path, session)
    for arrival in recorded[1][:300]:
        writer.write(arrival)
    writer.flush()
    writer.abandon()
    assert await everything(ReplaySource(path, speed=None)) == recorded[1][:300]


def test_what_cannot_be_read_is_said_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ReplaySource(tmp_path / "none.mcap")
