"""The recorder: nothing waits for it, nothing is lost with it, and it alone may end a run."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sensor_host.errors import OutputError
from sensor_host.outbox import OutboxFullError, Policy
from sensor_host.ports import Arrival, Mode, Notification, SensorInfo, SessionInfo
from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter
from sensor_host.sinks.recorder import Recorder

SESSION = SessionInfo("s", "anna", Mode.SIMULATED, "2024-05-01T06:30:00Z", 0, (SensorInfo("pelvis", "rimu"),))


def notification(number: int) -> Notification:
    return Notification("pelvis", b"\x10" + number.to_bytes(4, "little") + bytes(99), 10.0 + number * 8 / 208)


def writer(path: Path) -> RecordingWriter:
    return RecordingWriter(path, SESSION, flush_s=None)


async def test_what_is_put_stands_in_the_file_in_order(tmp_path: Path) -> None:
    arrivals: list[Arrival] = [notification(k) for k in range(500)]
    recorder = Recorder(writer(tmp_path / "a.mcap"))
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        for arrival in arrivals:
            recorder.put(arrival)
            await recorder.room()
        recorder.close()
    recording = read(tmp_path / "a.mcap")
    assert list(recording.arrivals()) == arrivals
    assert not recording.cut
    assert recorder.written == 500


async def test_silence_does_not_hold_back_what_came_before_it(tmp_path: Path) -> None:
    """The link drops right after ten notifications: they are in the file before the promised time is over."""
    path = tmp_path / "a.mcap"
    recorder = Recorder(writer(path), flush_s=0.1)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        empty = path.stat().st_size
        for number in range(10):
            recorder.put(notification(number))
        async with asyncio.timeout(5.0):
            while path.stat().st_size == empty:
                await asyncio.sleep(0.005)
        assert len(list(read(path).arrivals())) == 10
        recorder.close()


class SlowDisk(RecordingWriter):
    """A writer on a disk that stands still until it is released."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SESSION, flush_s=None)
        self.asked = threading.Event()
        self.released = threading.Event()

    def flush(self) -> None:
        self.asked.set()
        self.released.wait(10.0)
        super().flush()


async def test_a_disk_that_stands_still_never_holds_up_the_run(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path / "a.mcap")
    recorder = Recorder(disk, flush_s=0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        began_s = time.perf_counter()
        recorder.put(notification(0))
        assert await asyncio.to_thread(disk.asked.wait, 5.0)
        for number in range(1, 20_000):
            recorder.put(notification(number))
        await recorder.room()
        assert time.perf_counter() - began_s < 5.0
        disk.released.set()
        recorder.close()
    assert len(list(read(tmp_path / "a.mcap").arrivals())) == 20_000


async def test_an_outbox_that_runs_over_fails_loudly_and_keeps_what_fitted(tmp_path: Path) -> None:
    recorder = Recorder(writer(tmp_path / "a.mcap"), capacity=100)
    for number in range(150):
        recorder.put(notification(number))
    with pytest.raises(OutboxFullError) as caught:
        await recorder.run()
    assert caught.value.exit_code == 4
    assert len(list(read(tmp_path / "a.mcap").arrivals())) == 100


async def test_a_run_that_is_broken_off_keeps_what_it_had(tmp_path: Path) -> None:
    recorder = Recorder(writer(tmp_path / "a.mcap"), flush_s=1000.0)
    task = asyncio.ensure_future(recorder.run())
    for number in range(50):
        recorder.put(notification(number))
    while recorder.written < 50:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(list(read(tmp_path / "a.mcap").arrivals())) == 50


async def test_with_policy_wait_the_source_is_held_up_instead(tmp_path: Path) -> None:
    recorder = Recorder(writer(tmp_path / "a.mcap"), policy=Policy.WAIT, capacity=10)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        for number in range(1000):
            await recorder.room()
            recorder.put(notification(number))
        recorder.close()
    assert len(list(read(tmp_path / "a.mcap").arrivals())) == 1000


async def test_a_disk_that_refuses_ends_the_recorder_with_one_line(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(writer(tmp_path / "a.mcap"), flush_s=0.02)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, hard))
    number = 0

    async def feed() -> None:
        nonlocal number
        while True:
            for _ in range(26):
                recorder.put(notification(number))
                number += 1
            await asyncio.sleep(0.005)

    feeder = asyncio.ensure_future(feed())
    try:
        with pytest.raises(OutputError) as caught:
            async with asyncio.timeout(20.0):
                await recorder.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        feeder.cancel()
    assert "\n" not in str(caught.value)
    recorder.put(notification(number))  # and still nothing is raised at the source
    got = list(read(tmp_path / "a.mcap").arrivals())
    assert got == [notification(k) for k in range(len(got))]
    assert got


RUN_UNTIL_KILLED = """
import asyncio, sys, time
from pathlib import Path
from sensor_host.ports import Mode, Notification, SensorInfo, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.sinks.recorder import Recorder

async def main():
    session = SessionInfo("s", "anna", Mode.LIVE, "2024-05-01T06:30:00Z", 0, (SensorInfo("pelvis", "rimu"),))
    recorder = Recorder(RecordingWriter(Path(sys.argv[1]), session, flush_s=None), flush_s=1.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.run())
        while True:
            now = time.monotonic()
            recorder.put(Notification("pelvis", bytes([16]) + bytes(103), now))
            print(now, flush=True)
            await asyncio.sleep(0.02)

asyncio.run(main())
"""


def test_kill_9_costs_less_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    child = subprocess.Popen(
        [sys.executable, "-c", RUN_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    first_s = float(child.stdout.readline())
    last_s = first_s
    while last_s < first_s + 2.3:
        last_s = float(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=10)
    last_s = float([last_s, *rest.split()][-1]) if rest.strip() else last_s
    recording = read(path)
    kept = [arrival.t_host_s for arrival in recording.arrivals()]
    assert recording.cut
    assert kept[0] == first_s
    assert last_s - kept[-1] < 1.0
