"""A replay says what the run said, to the byte; a killed run leaves what it had."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pelvis.data import Step, Stride
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario, SensorModel
from sensor_host.analysis import analyze, open_input
from sensor_host.messages import Address, encode
from sensor_host.outbox import Policy
from sensor_host.ports import Said, SessionInfo, Source
from sensor_host.recording.reader import read
from sensor_host.recording.salvage import recover
from sensor_host.recording.writer import RecordingWriter
from sensor_host.session import Session
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.replay import ReplaySource
from sensor_host.sources.simulated import SimulatedSource

Needs = Callable[[str], str]

HIPDRIVE = (sys.executable, "-m", "sensor_host.cli")
SCENARIO = Scenario(standing_s=4.0, duration_s=25.0, sensor=SensorModel())


class Publisher:
    """A sink that keeps the payloads that would be published of steps and strides."""

    name = "publisher"

    def __init__(self, info: SessionInfo) -> None:
        self.payloads: list[bytes] = []
        self._address = Address("hipdrive", info)

    def put(self, item: Said) -> None:
        if isinstance(item, Step | Stride):
            self.payloads.append(encode(item, len(self.payloads), self._address).payload)

    async def room(self) -> None:
        return

    async def run(self) -> None:
        return

    def close(self) -> None:
        return


async def publish(source: Source, recording: Path | None = None, *, motion: bool = True) -> list[bytes]:
    info = SessionInfo("s", "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
    recorder = Recorder(RecordingWriter(recording, info), policy=Policy.WAIT) if recording else None
    openings = source.openings if isinstance(source, ReplaySource) else ()
    session = Session(info, source, Settings(motion=motion), recorder, openings)
    publisher = Publisher(info)
    session.add(publisher)
    async with source:
        await session.run()
    return publisher.payloads


@pytest.mark.parametrize("loss_ratio", [0.0, 0.05])
async def test_a_replay_publishes_the_very_bytes_of_the_run(tmp_path: Path, loss_ratio: float) -> None:
    path = tmp_path / "run.mcap"
    live = await publish(SimulatedSource(SCENARIO, 3, paced=False, loss_ratio=loss_ratio), path)
    assert len(live) > 60
    assert await publish(ReplaySource(path, None)) == live
    assert await publish(ReplaySource(path, 500.0), motion=False) == live


async def test_a_run_in_real_time_and_its_replay_publish_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    # a device clock of its own and real receipt times: the clock's work depends on when packets arrived
    scenario = Scenario(standing_s=1.0, duration_s=6.0, sensor=SensorModel(clock_error_ppm=120.0))
    live = await publish(SimulatedSource(scenario, 1, paced=True), path)
    assert len(live) > 4
    assert await publish(ReplaySource(path, None)) == live


async def test_analysis_and_replay_say_the_same_steps(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    live = [json.loads(payload) for payload in await publish(SimulatedSource(SCENARIO, 3, paced=False), path)]
    analyze(open_input(path), steps=tmp_path / "steps.csv")
    with (tmp_path / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = [message for message in live if "reported_at_s" in message]
    assert [row["initial_contact_s"] for row in rows] == [f"{step['initial_contact_s']:.6f}" for step in said]
    assert [row["side"] for row in rows] == [step["side"] for step in said]
    strides = {message["step_index"]: message for message in live if "completed_at_s" in message}
    assert len(strides) > 20
    for row in rows:
        if stride := strides.get(int(row["step_index"])):
            sway_m = stride["sway_m"]
            assert row["sway_m"] == ("" if sway_m is None else f"{sway_m:.7g}")


async def test_a_part_of_a_recording_keeps_the_session_time_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    live = [json.loads(payload) for payload in await publish(SimulatedSource(SCENARIO, 3, paced=False), path)]
    part = [json.loads(payload) for payload in await publish(ReplaySource(path, None, 8.0, 20.0))]
    contacts = [step["initial_contact_s"] for step in part if "reported_at_s" in step]
    before = [step["initial_contact_s"] for step in live if "reported_at_s" in step]
    assert len(contacts) > 20
    assert 8.0 < contacts[0] < 13.0
    assert contacts[-1] < 20.0
    # the same moments within a millisecond, though level and heading were found anew
    assert all(min(abs(contact - other) for other in before) < 0.004 for contact in contacts[5:])


# ---------------------------------------------------------------- the program itself


@contextmanager
def mosquitto(path: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([path, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            wait_until(lambda: _accepts(port))
            yield port
        finally:
            broker.kill()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for another process, which gives no event to wait for."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)


@contextmanager
def listening(needs: Needs, port: int, topic: str, file: Path) -> Iterator[None]:
    """Let a subscriber that is not ours write one payload a line."""
    # a retained message on a second topic says that the subscription stands
    subprocess.run([needs("mosquitto_pub"), "-p", str(port), "-t", "ready", "-m", "ready", "-r"], check=True)
    command = [needs("mosquitto_sub"), "-p", str(port), "-t", topic, "-t", "ready"]
    with file.open("wb") as out, subprocess.Popen(command, stdout=out) as child:
        try:
            wait_until(lambda: file.read_bytes().startswith(b"ready"))
            yield
        finally:
            child.kill()


def payloads(file: Path) -> list[bytes]:
    return [line for line in file.read_bytes().splitlines() if line.startswith(b"{")]


@pytest.mark.skipif(sys.platform == "win32", reason="ends the run with SIGINT")
def test_mosquitto_sub_hears_the_same_steps_in_the_demo_and_in_its_replay(needs: Needs, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    with mosquitto(needs("mosquitto")) as port:
        options = [
            "--broker", f"mqtt://127.0.0.1:{port}", "--no-sound", "--no-console", "--json",
            "--set", "simulation.standing_s=1", "--set", f"recording.directory={folder}",
        ]  # fmt: skip
        demo_file, replay_file = tmp_path / "demo.txt", tmp_path / "replay.txt"
        with (
            listening(needs, port, "hipdrive/v1/+/step", demo_file),
            subprocess.Popen([*HIPDRIVE, "demo", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo,
        ):
            wait_until(lambda: len(payloads(demo_file)) > 12)
            demo.send_signal(signal.SIGINT)
            told, errors = demo.communicate(timeout=30)
            assert (demo.returncode, errors) == (0, b"")
            summary = json.loads(told)
            wait_until(lambda: len(payloads(demo_file)) >= summary["steps"])
        (recording,) = folder.glob("*.mcap")
        assert summary["recording"] == str(recording)
        with listening(needs, port, "hipdrive/v1/+/step", replay_file):
            replay = subprocess.run(
                [*HIPDRIVE, "replay", str(recording), "--speed", "max", *options], capture_output=True, check=False
            )
            assert (replay.returncode, replay.stderr) == (0, b"")
            wait_until(lambda: len(payloads(replay_file)) >= summary["steps"])
    assert payloads(replay_file) == payloads(demo_file)
    assert json.loads(replay.stdout)["replay_of"] == summary["session"]
    assert list(folder.glob("*")) == [recording]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_9_in_mid_run_costs_at_most_the_last_second(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    command = [
        *HIPDRIVE, "demo", "--broker", "off", "--no-sound", "--no-console",
        "--set", "simulation.standing_s=1", "--set", f"recording.directory={folder}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as demo:
        wait_until(lambda: any(path.stat().st_size > 26_000 for path in folder.glob("*.mcap")))
        # the file grew just now: wait longer than a second, and end anywhere between two flushes
        time.sleep(random.Random(os.getpid()).uniform(1.5, 2.5))
        killed_s = time.monotonic()
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait()
    (path,) = folder.glob("*.mcap")
    left = list(read(path).arrivals())
    # paced: receipt times are this computer's monotonic clock
    assert 0.0 <= killed_s - left[-1].t_host_s <= 1.0
    recover(path, tmp_path / "whole.mcap")
    assert list(read(tmp_path / "whole.mcap").arrivals()) == left
    cut, whole = tmp_path / "cut.csv", tmp_path / "whole.csv"
    assert analyze(open_input(path), steps=cut).steps > 2
    analyze(open_input(tmp_path / "whole.mcap"), steps=whole)
    assert cut.read_bytes() == whole.read_bytes()
