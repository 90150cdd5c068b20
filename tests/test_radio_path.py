"""The whole path of a run over the radio: virtual boards, real GATT, a real D-Bus, bleak, session, recorder, replay.

What a sensor sent is known from the link itself, and what it was by reading its bytes as hardware/rimu-v1.md lays them
out: nothing of the path judges itself.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bluetooth import Bluetooth, OpenBluetooth, Spec

from pelvis.data import Gap, Samples, Step
from pelvis.pipeline import Settings
from sensor_host.chain import SensorChain
from sensor_host.config import SensorConfig
from sensor_host.outbox import Outbox, Policy
from sensor_host.ports import LinkHealth, Notification, Said, SessionInfo, Source
from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter
from sensor_host.session import Session
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.ble import BleSource
from sensor_host.sources.replay import ReplaySource

SENSOR = SensorConfig(which="RIMU 7A", scan_timeout_s=20.0, reconnect_min_s=0.01, reconnect_max_s=0.1)
RUNNER = Spec(runs=True)
PERIOD_S = 1.0 / 208.0


# ---------------------------------------------------------------- what was sent, by the profile's page


@dataclass(frozen=True)
class Sent:
    """A data notification: when it left the sensor, and what its bytes say."""

    t_s: float
    data: bytes

    @property
    def stream(self) -> int:
        return self.data[1] >> 4

    @property
    def index(self) -> int:
        return int(struct.unpack_from("<H", self.data, 2)[0])

    @property
    def device_s(self) -> float:
        return float(struct.unpack_from("<I", self.data, 4)[0]) * 1e-6

    @property
    def samples(self) -> int:
        return (len(self.data) - 8) // 12


async def sent_by(bluetooth: Bluetooth, sensor: int = 0) -> list[Sent]:
    return [Sent(t_s, data) for t_s, data in await bluetooth.sent(sensor) if data[0] == 0x10]


# ---------------------------------------------------------------- a session, and what it said


class Ear:
    """A sink that keeps what is said."""

    name = "ear"

    def __init__(self) -> None:
        self.heard: list[Said] = []
        self._outbox: Outbox[Said] = Outbox(self.name, 1_000_000, Policy.WAIT)

    def put(self, item: Said) -> None:
        self._outbox.put(item)

    async def room(self) -> None:
        await self._outbox.room()

    async def run(self) -> None:
        while items := await self._outbox.take():
            self.heard += items

    def close(self) -> None:
        self._outbox.close()

    def steps(self) -> list[str]:
        return [repr(item) for item in self.heard if isinstance(item, Step)]  # repr: unknown (NaN) equals unknown

    def gaps(self) -> list[Gap]:
        return [item for item in self.heard if isinstance(item, Gap)]

    def health(self) -> LinkHealth:
        return [item for item in self.heard if isinstance(item, LinkHealth)][-1]


async def listen_to(
    source: Source, path: Path | None = None, until: Callable[[], Awaitable[None]] | None = None
) -> Ear:
    """Run a session on an open source, recorded if there is a path, to its end or until ``until`` has returned."""
    info = SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
    recorder = Recorder(RecordingWriter(path, info)) if path else None
    session, ear = Session(info, source, Settings(), recorder), Ear()
    session.add(ear)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(session.run())
        if until is not None:
            await until()
            session.stop()
        await running
    return ear


def recorded(path: Path) -> list[Notification]:
    """Return the data notifications of a recording."""
    return [each for each in read(path).arrivals() if isinstance(each, Notification) and each.data[0] == 0x10]


def assert_nothing_is_missing(path: Path, sent: list[Sent]) -> None:
    """All that was sent was recorded, each once, in order; but for what was under way when the session ended."""
    came = [notification.data for notification in recorded(path)]
    assert came == [each.data for each in sent[: len(came)]]
    assert len(sent) - len(came) <= 3


async def seconds(duration_s: float) -> None:
    """Let a runner run: real time is what is waited for."""
    await asyncio.sleep(duration_s)


# ---------------------------------------------------------------- drops


async def test_through_twenty_drops_nothing_comes_twice_and_no_hole_is_unnoticed(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    path = tmp_path / "run.mcap"
    async with open_bluetooth(RUNNER) as bluetooth:
        await bluetooth.sent(0)

        async def drop_twenty_times() -> None:
            await bluetooth.until(0, "streaming")
            await seconds(8.0)
            for _ in range(20):
                # out of range everything takes longer, so that some of it is still under way when the link drops
                await bluetooth.slow(0, 0.3)
                await seconds(0.2)
                await bluetooth.drop(0)
                await bluetooth.slow(0, 0.0)
                await bluetooth.until(0, "disconnected")
                await bluetooth.until(0, "streaming")
                await seconds(0.4)
            await seconds(3.0)

        async with BleSource(SENSOR) as source:
            ear = await listen_to(source, path, drop_twenty_times)
        sent = await sent_by(bluetooth)
        assert await bluetooth.connects(0) == 21
    came = [notification.data for notification in recorded(path)]
    assert len(set(came)) == len(came)
    lost = [each for each in sent if each.data not in set(came)]
    assert lost, "the drops took nothing with them: the test proves less than it should"
    # every break between two streams is one gap, as long as the sensor's own clock says
    kept = [each for each in sent if each.data in set(came)]
    breaks = [(before, after) for before, after in pairwise(kept) if before.stream != after.stream]
    gaps = ear.gaps()
    assert len(breaks) == len(gaps) == 20
    for (before, after), gap in zip(breaks, gaps, strict=True):
        last_s = before.device_s + (before.samples - 1) * PERIOD_S
        assert gap.duration_s == pytest.approx(after.device_s - last_s, abs=0.5 * PERIOD_S)
        assert after.index == 0
    # within a stream the counter has no hole, and whatever was lost lies in a gap
    for before, after in pairwise(kept):
        assert after.index == before.index + before.samples or (before, after) in breaks
    for each in lost[:-3]:
        assert any(before.device_s < each.device_s < after.device_s for before, after in breaks)
    health = ear.health()
    assert (health.duplicates, health.bad_notifications, health.lost_samples) == (0, 0, 0)
    assert health.samples == sum(each.samples for each in kept)
    # and the recording says the same again
    replayed = await listen_to(ReplaySource(path, speed=None))
    assert replayed.steps() == ear.steps()
    assert replayed.gaps() == gaps
    assert len(ear.steps()) > 20


# ---------------------------------------------------------------- stalls, storms, crowds


async def test_a_host_that_stands_still_for_five_seconds_loses_nothing(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    path = tmp_path / "run.mcap"
    async with open_bluetooth(RUNNER) as bluetooth:
        await bluetooth.sent(0)

        async def stand_still() -> None:
            await bluetooth.until(0, "streaming")
            await seconds(1.0)
            time.sleep(5.0)
            await seconds(1.0)

        async with BleSource(SENSOR) as source:
            ear = await listen_to(source, path, stand_still)
        assert_nothing_is_missing(path, await sent_by(bluetooth))
        assert await bluetooth.connects(0) == 1
    assert ear.gaps() == []
    assert ear.health().samples > 6.5 * 208


async def test_a_thousand_notifications_a_second_all_arrive(open_bluetooth: OpenBluetooth, tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    # at the smallest MTU a notification holds one sample
    async with open_bluetooth(Spec(runs=True, rate_hz=1040.0, mtu=23)) as bluetooth:
        await bluetooth.sent(0)

        async def endure() -> None:
            await bluetooth.until_sent(0, 4000)

        async with BleSource(SENSOR) as source:
            ear = await listen_to(source, path, endure)
        sent = await sent_by(bluetooth)
        assert await bluetooth.connects(0) == 1
    came = [notification.data for notification in recorded(path)]
    # the last ones sent may still have been under way
    assert len(came) > 3900
    assert came == [each.data for each in sent[: len(came)]]
    assert ear.gaps() == []
    assert ear.health().lost_samples == 0


async def test_six_sensors_at_once_are_heard_without_loss(open_bluetooth: OpenBluetooth, tmp_path: Path) -> None:
    specs = [Spec(f"RIMU {n}", f"C0:FF:EE:00:00:0{n}", runs=True, seed=n) for n in range(1, 7)]
    async with open_bluetooth(*specs) as bluetooth:
        for number in range(6):
            await bluetooth.sent(number)

        async def endure() -> None:
            for number in range(6):
                await bluetooth.until(number, "streaming")
            await seconds(4.0)

        async with AsyncExitStack() as stack:
            configs = [msgspec.structs.replace(SENSOR, which=spec.name) for spec in specs]
            sources = [await stack.enter_async_context(BleSource(config)) for config in configs]
            async with asyncio.TaskGroup() as group:
                sessions = [
                    group.create_task(listen_to(source, tmp_path / spec.name, endure))
                    for source, spec in zip(sources, specs, strict=True)
                ]
        for number, (spec, session) in enumerate(zip(specs, sessions, strict=True)):
            assert_nothing_is_missing(tmp_path / spec.name, await sent_by(bluetooth, number))
            assert session.result().gaps() == []
            assert session.result().health().samples > 3.5 * 208
            assert await bluetooth.connects(number) == 1


# ---------------------------------------------------------------- bad links


async def test_a_slow_and_bunching_link_loses_nothing_and_does_not_bend_time(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    path = tmp_path / "run.mcap"
    async with open_bluetooth(RUNNER) as bluetooth:
        await bluetooth.sent(0)

        async def endure() -> None:
            await bluetooth.until(0, "streaming")
            await seconds(1.0)
            await bluetooth.slow(0, 0.3, delay_s=0.5)
            await seconds(5.0)

        async with BleSource(SENSOR) as source:
            ear = await listen_to(source, path, endure)
        sent = await sent_by(bluetooth)
    heard = recorded(path)
    came = [notification.data for notification in heard]
    assert came == [each.data for each in sent[: len(came)]]
    assert ear.gaps() == []
    late_s = max(n.t_host_s - each.t_s for n, each in zip(heard, sent, strict=False))
    assert late_s > 0.5, "the link was not slow"
    chain = SensorChain(read(path).session.sensors[0])
    said = [item for n in heard for item in chain.feed([n]) if isinstance(item, Samples)]
    times_s = np.array([item.t_s[0] for item in said])
    device_s = np.array([Sent(0.0, data).device_s for data in came])
    assert np.abs(times_s - (device_s - device_s[0])).max() < 1e-3


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped"])
async def test_spoiled_notifications_are_counted_and_every_one_is_a_gap_of_its_samples(
    open_bluetooth: OpenBluetooth, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "run.mcap"
    async with open_bluetooth(RUNNER) as bluetooth:
        await bluetooth.tamper(0, how, every=5)

        async def endure() -> None:
            await bluetooth.until(0, "streaming")
            await seconds(2.5)

        async with BleSource(SENSOR) as source:
            ear = await listen_to(source, path, endure)
    health = ear.health()
    assert health.bad_notifications > 5
    assert health.state == "connected"
    assert {gap.reason for gap in ear.gaps()} == {"8 samples lost"}
    assert 8 * len(ear.gaps()) == health.lost_samples
    # the last one may have been the end
    assert health.bad_notifications - len(ear.gaps()) in (0, 1)
