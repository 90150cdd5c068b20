"""A heart-rate strap beside the clip, from the radio to the summary and back through a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from bluetooth import Bluetooth, OpenBluetooth, Spec
from msgspec.structs import replace

from pelvis.data import HeartRate
from pelvis.pipeline import Settings
from sensor_host.boards.heart_rate import MEASUREMENT_UUID, encode
from sensor_host.config import SensorConfig
from sensor_host.outbox import Policy
from sensor_host.ports import LinkHealth, LinkState, Mode, Notification, Role, Said, SessionInfo, Source
from sensor_host.recording.overview import info
from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter
from sensor_host.screen import Readings, frame, status_line
from sensor_host.session import Session
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.ble import BleSource
from sensor_host.sources.replay import ReplaySource
from sensor_host.sources.together import Together

CLIP = Spec(runs=True)
STRAP = Spec("H10 12345678", "C0:FF:EE:00:00:80", board="heart_rate")
ANY = SensorConfig(scan_timeout_s=5.0, watchdog_s=2.0, reconnect_min_s=0.01, reconnect_max_s=0.05)


class Listener:
    """A sink that keeps what it hears and lets a test wait for it."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Said] = []
        self._news = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        self.heard.append(item)
        self._news.set()

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    @property
    def readings(self) -> list[HeartRate]:
        return [item for item in self.heard if isinstance(item, HeartRate)]

    def link(self, role: str) -> LinkHealth:
        said = [item for item in self.heard if isinstance(item, LinkHealth) and item.role == role]
        return said[-1] if said else LinkHealth(role, "", 0.0, 0, 0, 0, 0, 0)

    def state(self, role: str) -> str:
        return self.link(role).state


def clip_and_strap(which: str = "", clip: SensorConfig = ANY) -> Together:
    connected = asyncio.Event()
    strap = BleSource(
        SensorConfig(which=which, scan_timeout_s=0.3, reconnect_min_s=0.01, reconnect_max_s=0.05),
        Role.HEART_RATE,
        optional=True,
        first=connected,
    )
    return Together(BleSource(clip), strap, connected=connected)


def described(source: Source) -> SessionInfo:
    return SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)


class Run:
    """``async with Run(source, path) as run``: a recorded session with a listener; leaving ends it in order."""

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._path = path
        self.listener = Listener()

    async def __aenter__(self) -> Self:
        await self._source.__aenter__()
        self.info = described(self._source)
        recorder = Recorder(RecordingWriter(self._path, self.info), policy=Policy.FAIL)
        self.session = Session(self.info, self._source, Settings(), recorder)
        self.session.add(self.listener)
        self._task = asyncio.ensure_future(self.session.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.session.stop()
        await self._task
        await self._source.__aexit__(None, None, None)


async def beat(bluetooth: Bluetooth, listener: Listener, *measurements: bytes) -> None:
    """Send what a strap would, one by one, each heard before the next."""
    for measurement in measurements:
        count = len(listener.readings)
        await bluetooth.notify(1, MEASUREMENT_UUID, measurement)
        await listener.until(lambda count=count: len(listener.readings) > count)


async def test_what_the_strap_says_is_recorded_said_shown_counted_and_replayed(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    sent = [encode(150, [0.4, 0.41]), encode(160, [0.375]), encode(0), encode(170, [0.35, 0.36])]
    path = tmp_path / "run.mcap"
    async with open_bluetooth(CLIP, STRAP) as bluetooth, Run(clip_and_strap(), path) as run:
        listener = run.listener
        await bluetooth.until(1, "subscribed")
        await listener.until(lambda: run.session.tally.last_s > 0.2)
        await beat(bluetooth, listener, *sent[:2])
        await bluetooth.notify(1, MEASUREMENT_UUID, sent[2])
        await beat(bluetooth, listener, sent[3])
        last_s = run.session.tally.last_s
        await listener.until(lambda: listener.link(Role.HEART_RATE).notifications == len(sent))
        shown = Readings(run.info)
        for item in listener.heard:
            shown.take(item)

    # said in session time, which is the clip's: behind what the clip had said before, not beyond what it says now
    times = [reading.t_s for reading in listener.readings]
    assert times == sorted(times)
    assert 0.1 < times[0] < times[-1] < last_s + 0.5
    assert [reading.heart_rate_bpm for reading in listener.readings][:2] == [150.0, 160.0]
    assert listener.readings[0].rr_s == pytest.approx((0.4, 0.41), abs=0.5 / 1024)

    # counted; 0 is a strap that feels no heart and says nothing
    heart = run.session.tally.as_dict()["heart_rate"]
    assert heart == {"readings": 3, "mean_bpm": 160.0, "max_bpm": 170.0, "beats": 5}
    assert "heart rate: 160 bpm on average, 170 at most, 5 beats" in run.session.tally.lines()

    # shown
    screen = "\n".join("".join(part.text for part in line) for line in frame(shown, 80, 40).lines)
    assert "heart rate  ● connected   170 bpm" in screen
    assert "heart rate 170 bpm" in status_line(shown)

    # which strap it was stands where it was connected
    links = [a for a in read(path).arrivals() if isinstance(a, LinkState) and a.role == Role.HEART_RATE]
    assert [link.detail for link in links if link.state == "connecting"] == [f"{STRAP.name} ({STRAP.address})"]

    # recorded verbatim, and said again by a replay
    recorded = [a for a in read(path).arrivals() if isinstance(a, Notification) and a.role == Role.HEART_RATE]
    assert [notification.data for notification in recorded] == sent
    assert [(s.role, s.board) for s in read(path).session.sensors] == [("pelvis", "rimu"), ("heart_rate", "heart_rate")]
    replayed = Listener()
    source = ReplaySource(path, speed=None)
    session = Session(described(source), source, Settings())
    session.add(replayed)
    await session.run()
    assert replayed.readings == listener.readings
    assert session.tally.as_dict()["heart_rate"] == heart
    assert source.mode is Mode.REPLAY
    assert info(path).sensors[1].health.samples == 3


async def test_without_a_strap_in_reach_the_run_begins_at_once_and_says_once_what_is_missing(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    async with open_bluetooth(CLIP), Run(clip_and_strap(), tmp_path / "run.mcap") as run:
        listener = run.listener
        await listener.until(lambda: "not heard" in listener.link(Role.HEART_RATE).detail)
        heard = run.session.tally.last_s
        # several searches later
        await listener.until(lambda: run.session.tally.last_s > heard + 1.5)
    said = [a for a in read(tmp_path / "run.mcap").arrivals() if isinstance(a, LinkState) and a.role == Role.HEART_RATE]
    assert [state.state for state in said] == ["searching", "searching"]
    assert said[1].detail.startswith("a heart-rate strap was not heard within 0.3 s")
    assert run.session.tally.links["pelvis"].lost_samples == 0


async def test_a_strap_that_drops_comes_back_and_the_clip_never_notices(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    async with open_bluetooth(CLIP, STRAP) as bluetooth, Run(clip_and_strap(), tmp_path / "run.mcap") as run:
        listener = run.listener
        await bluetooth.until(1, "subscribed")
        await beat(bluetooth, listener, encode(150))
        await bluetooth.drop(1)
        await listener.until(lambda: listener.state(Role.HEART_RATE) == "lost")
        await bluetooth.until(1, "subscribed")
        await beat(bluetooth, listener, encode(155))
    assert [reading.heart_rate_bpm for reading in listener.readings] == [150.0, 155.0]
    assert states_of(run, "pelvis") == ["connecting", "connected"]
    assert run.session.tally.gaps == 0


async def test_the_strap_waits_until_the_clip_is_connected_again(open_bluetooth: OpenBluetooth, tmp_path: Path) -> None:
    source = clip_and_strap(clip=replace(ANY, scan_timeout_s=1.0))
    async with open_bluetooth(CLIP, STRAP) as bluetooth, Run(source, tmp_path / "run.mcap") as run:
        listener = run.listener
        await bluetooth.until(1, "subscribed")
        await bluetooth.reach(0, within=False)
        # a strap that is lost before the clip is known to be may come back at once
        await listener.until(lambda: listener.state("pelvis") not in ("", "connected"))
        await bluetooth.drop(1)
        await listener.until(lambda: listener.state("heart_rate") != "connected")
        # the clip was searched for in vain, in which time the strap would have been found many times over
        await listener.until(lambda: "not heard" in listener.link("pelvis").detail)
        assert listener.state("heart_rate") != "connected"
        assert await bluetooth.connects(1) == 1
        await bluetooth.reach(0, within=True)
        await listener.until(lambda: listener.state("heart_rate") == "connected")
    assert order_of_return(run) == ["pelvis", "heart_rate"]


async def test_of_two_straps_the_one_asked_for_is_taken_however_far(
    open_bluetooth: OpenBluetooth, tmp_path: Path
) -> None:
    stranger = Spec("HW9 777", "C0:FF:EE:00:00:81", board="heart_rate", rssi_dbm=-30)
    source = clip_and_strap(STRAP.address)
    async with open_bluetooth(CLIP, STRAP, stranger) as bluetooth, Run(source, tmp_path / "run.mcap"):
        await bluetooth.until(1, "subscribed")
        assert await bluetooth.connects(2) == 0


def states_of(run: Run, role: str) -> list[str]:
    """Return the states a sensor's link went through, each once in a row."""
    states: list[str] = []
    for item in run.listener.heard:
        if isinstance(item, LinkHealth) and item.role == role and item.state not in states[-1:]:
            states.append(item.state)
    return [state for state in states if state != "searching"]


def order_of_return(run: Run) -> list[str]:
    """Return in which order the sensors were connected for the second time."""
    connected: list[str] = []
    before: dict[str, str] = {}
    for item in run.listener.heard:
        if isinstance(item, LinkHealth):
            if item.state == "connected" and before.get(item.role) != "connected":
                connected.append(item.role)
            before[item.role] = item.state
    return connected[2:]
