"""How late sound is heard, from taps: of numbers, and of a robot that hears what is really played."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_host import places, sound_latency
from sensor_host.config import SoundConfig
from sensor_host.errors import InputError
from sensor_host.player.orders import Play, Played, Ready, Report, Setup
from sensor_host.player.process import PlayerProcess
from sensor_host.sound_latency import DeviceLatencies, DeviceLatency, latency_s
from sensor_host.tap_test import SilentError, tap_test
from sensor_host.tapping import (
    ANTICIPATION_S,
    ANTICIPATION_SD_S,
    BEATS,
    FEWEST_TAPS,
    LEAD_BEATS,
    PERIOD_S,
    TappingError,
    latency_of,
)

if sys.platform != "win32":
    import pty
    import termios

LONG_S = 60.0

PLAYED_S = [100.0 + PERIOD_S * beat for beat in range(BEATS)]


def tapped(late_s: float, scatter_s: float = 0.0, seed: int = 1) -> list[float]:
    """Return the taps of somebody who hears every beat late and taps as people do."""
    luck = np.random.default_rng(seed)
    return [played_s + late_s - ANTICIPATION_S + scatter_s * luck.standard_normal() for played_s in PLAYED_S]


# ---------------------------------------------------------------- of numbers


@given(st.floats(0.0, 0.5))
def test_the_latency_is_what_the_taps_are_late_and_what_they_come_early(late_s: float) -> None:
    found = latency_of(PLAYED_S, tapped(late_s))
    assert found.latency_s == pytest.approx(late_s, abs=1e-9)
    assert found.taps == BEATS - LEAD_BEATS
    # the person is what remains unknown, however even the taps
    assert found.error_s == pytest.approx(ANTICIPATION_SD_S)


@pytest.mark.parametrize("person_sd_s", [0.0, ANTICIPATION_SD_S])
def test_the_stated_error_is_that_of_people_who_differ_and_scatter(person_sd_s: float) -> None:
    # 2,000 people: each anticipates differently, and scatters by 30 ms
    luck = np.random.default_rng(7)
    errors: list[float] = []
    variances: list[float] = []
    for seed in range(2000):
        found = latency_of(PLAYED_S, tapped(0.2 + person_sd_s * luck.standard_normal(), 0.030, seed))
        errors.append(found.latency_s - 0.2)
        # were all people alike, their share of the stated error would be too much
        variances.append(found.error_s**2 - ANTICIPATION_SD_S**2 + person_sd_s**2)
    assert np.mean(errors) == pytest.approx(0.0, abs=0.002)
    assert np.std(errors) == pytest.approx(float(np.mean(variances)) ** 0.5, rel=0.08)


def test_taps_that_are_missing_doubled_or_too_soon_change_nothing() -> None:
    taps_s = tapped(0.18)
    kept = [*taps_s[:LEAD_BEATS], *taps_s[LEAD_BEATS + 3 :]]
    doubled = sorted([*kept, *(tap_s + 0.09 for tap_s in kept)])
    found = latency_of(PLAYED_S, doubled)
    assert found.latency_s == pytest.approx(0.18, abs=1e-9)
    assert found.taps == BEATS - LEAD_BEATS - 3


def test_too_few_taps_tell_nothing_and_the_message_says_what_to_do() -> None:
    with pytest.raises(TappingError, match=r"11 of 20 clicks were tapped: tap the space bar"):
        latency_of(PLAYED_S, tapped(0.1)[: LEAD_BEATS + FEWEST_TAPS - 1])
    assert latency_of(PLAYED_S, tapped(0.1)[: LEAD_BEATS + FEWEST_TAPS]).taps == FEWEST_TAPS
    with pytest.raises(TappingError, match=r"0 of 0 clicks"):
        latency_of([], [])


def test_taps_without_a_beat_tell_nothing() -> None:
    luck = np.random.default_rng(3)
    with pytest.raises(TappingError, match="scatter"):
        latency_of(PLAYED_S, [played_s + luck.uniform(-0.1, 0.45) for played_s in PLAYED_S])


# ---------------------------------------------------------------- what is kept


def measured(device: str, latency_ms: float) -> DeviceLatency:
    return DeviceLatency(device=device, latency_ms=latency_ms, error_ms=26, measured_utc="2026-01-02T03:04:05Z")


def test_what_was_measured_is_kept_for_its_device_and_the_configuration_wins() -> None:
    assert latency_s(SoundConfig(), "Buds") == 0.0
    sound_latency.save(DeviceLatencies().measured(measured("Buds", 240)).measured(measured("Wire", 12)))
    sound_latency.save(sound_latency.load().measured(measured("Buds", 180)))
    assert latency_s(SoundConfig(), "Buds") == 0.18
    assert latency_s(SoundConfig(), "Wire") == 0.012
    assert latency_s(SoundConfig(), "Speaker") == 0.0
    assert latency_s(SoundConfig(latency_ms=90), "Buds") == 0.09


def test_a_file_of_a_newer_program_is_left_to_it() -> None:
    places.replace_file(places.sound_path(), b'{"schema": 2, "rooms": []}')
    with pytest.raises(InputError, match=r"schema 2.*update hipdrive"):
        sound_latency.load()


def test_a_damaged_file_is_told_in_one_line() -> None:
    places.sound_path().parent.mkdir(parents=True)
    places.sound_path().write_text("{")
    with pytest.raises(InputError, match="delete it and measure again"):
        sound_latency.load()


async def test_without_a_terminal_nothing_is_played() -> None:
    with pytest.raises(SilentError, match="no terminal"):
        await tap_test(SoundConfig(), lambda _: None, ["false"])


# ---------------------------------------------------------------- a robot that hears

IN_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from sensor_host.cli import main
main()
"""


class Robot:
    """Hears the clicks of the private sound server, and calls a fixed time after each."""

    RATE_HZ = 48_000
    LOUD = 0.02
    # the tick is over by then, and the next has not come
    QUIET_S = 0.1

    def __init__(self, parec: str, delay_s: float, call: Callable[[], object]) -> None:
        command = [parec, "--raw", "--format=float32le", f"--rate={self.RATE_HZ}", "--channels=1"]
        self._child = subprocess.Popen([*command, "--device=ear.monitor", "--latency-msec=10"], stdout=subprocess.PIPE)
        self._delay_s = delay_s
        self._call = call
        self.heard_s: list[float] = []
        self.running = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        frames, begin_s, loud_at = 0, float("inf"), -self.RATE_HZ
        timers: list[threading.Timer] = []
        with self._child.stdout as pipe:
            while block := pipe.read(960):
                wave = np.frombuffer(block, np.float32)
                # nothing is heard before it was played: the soonest block tells when the recording began
                begin_s = min(begin_s, time.monotonic() - (frames + len(wave)) / self.RATE_HZ)
                self.running.set()
                for at in (frames + np.flatnonzero(np.abs(wave) > self.LOUD)).tolist():
                    if at - loud_at > self.QUIET_S * self.RATE_HZ:
                        heard_s = begin_s + at / self.RATE_HZ
                        self.heard_s.append(heard_s)
                        timers.append(threading.Timer(heard_s + self._delay_s - time.monotonic(), self._call))
                        timers[-1].start()
                    loud_at = at
                frames += len(wave)
        for timer in timers:
            timer.join()

    def close(self) -> None:
        self._child.terminate()
        self._child.wait()
        self._thread.join()


@contextlib.contextmanager
def robot(parec: str, delay_s: float, call: Callable[[], object]) -> Iterator[Robot]:
    made = Robot(parec, delay_s, call)
    try:
        assert made.running.wait(LONG_S)
        yield made
    finally:
        made.close()


async def chain_s(parec: str) -> float:
    """Return how long a click takes from the player's hand to the robot's ear."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    player = PlayerProcess(lambda report: loop.call_soon_threadsafe(reports.put_nowait, report), lambda *_: None)
    played_s: list[float] = []
    heard = asyncio.Semaphore(0)
    try:
        player.send(Setup(0.6))
        assert isinstance(await reports.get(), Ready)
        with robot(parec, 0.0, lambda: loop.call_soon_threadsafe(heard.release)) as listening:
            for number in range(8):
                player.send(Play("tick", time.monotonic() + LONG_S, order_id=number))
                report = await reports.get()
                assert isinstance(report, Played)
                played_s.append(report.started_host_s)
                await heard.acquire()
                await asyncio.sleep(0.15)  # the tick dies away
    finally:
        await asyncio.to_thread(player.close)
    # the first wakes the stream, which takes longer
    return float(np.median(np.subtract(listening.heard_s, played_s)[1:]))


async def test_the_latency_measured_is_the_delay_put_in(ear: Any, needs: Callable[[str], str]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals that Python can open")
    parec = needs("parec")
    delay_s = 0.2
    async with asyncio.timeout(3 * LONG_S):
        known_s = await chain_s(parec)
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        command = [sys.executable, "-P", "-c", IN_A_TERMINAL, "doctor", "--audio", "--json"]
        with robot(parec, delay_s - ANTICIPATION_S, lambda: os.write(master, b" ")) as listening:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=slave, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
            answer, _ = await child.communicate()
        assert child.returncode == 0
        assert termios.tcgetattr(slave) == before
        os.close(slave)
        os.close(master)
    assert len(listening.heard_s) == BEATS
    told = json.loads(answer)
    # 20 ms: taps are written, read and timed by a machine that does other things too; the median of 20 is taken
    assert told["latency_ms"] / 1000 == pytest.approx(known_s + delay_s, abs=0.020)
    assert told["error_ms"] >= 1000 * ANTICIPATION_SD_S
    # kept for the loudspeaker itself, not for whatever is the default another day
    assert told["device"] == "ear"
    assert latency_s(SoundConfig(), "default") == told["latency_ms"] / 1000


def test_another_key_ends_the_test_and_nothing_is_kept(ear: Any, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals that Python can open")
    master, slave = pty.openpty()
    command = [sys.executable, "-P", "-c", IN_A_TERMINAL, "doctor", "--audio"]
    with subprocess.Popen(command, stdin=slave, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stderr is not None
        assert "Tap the space bar" in child.stderr.readline()
        os.write(master, b"x")
        assert "ended before the last click" in child.stderr.read()
    assert child.returncode == 1
    assert not places.sound_path().exists()
    os.close(slave)
    os.close(master)
