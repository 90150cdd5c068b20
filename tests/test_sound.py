from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pelvis.data import ActivityState, Command, Cue, ProvisionalContact, Side
from pelvis.pipeline import Settings
from pelvis.simulate import Phase, Scenario, TrueContact
from sensor_host import places, sound_latency
from sensor_host.config import SoundConfig
from sensor_host.player import process
from sensor_host.player.process import PLAYER_COMMAND
from sensor_host.ports import Mode, Said, SensorInfo, SessionInfo, SessionState, SinkState
from sensor_host.session import Session
from sensor_host.sinks import sound
from sensor_host.sinks.sound import SoundSink
from sensor_host.sound_latency import DeviceLatencies, DeviceLatency
from sensor_host.sources.simulated import SimulatedSource
from tests.said_examples import step

SESSION = SessionInfo("s1", "anna", Mode.SIMULATED, "2025-01-02T03:04:05Z", 0, (SensorInfo("pelvis", "rimu"),))

LONG_S = 20.0


def cue(
    cue_id: int = 1,
    *,
    kind: str = "phrase",
    phrase: str = "tilt",
    side: Side = Side.UNKNOWN,
    expires_s: float = 10.0,
) -> Cue:
    return Cue(cue_id, "tilt", kind, phrase, side, 5, 1.0, expires_s)


class States:
    """What a sink reported, and a way to wait for it."""

    def __init__(self) -> None:
        self.all: list[SinkState] = []
        self._news = asyncio.Condition()

    def take(self, state: SinkState) -> None:
        self.all.append(state)
        self._task = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def wait_for(self, state: str, count: int = 1) -> SinkState:
        async with asyncio.timeout(LONG_S), self._news:
            await self._news.wait_for(lambda: len(self.named(state)) >= count)
        return self.named(state)[-1]

    def named(self, state: str) -> list[SinkState]:
        return [said for said in self.all if said.state == state]


@contextlib.asynccontextmanager
async def running(
    config: SoundConfig | None = None,
    command: Sequence[str] = PLAYER_COMMAND,
    restart_min_s: float = 0.01,
    now_s: Callable[[], float] | None = None,
) -> AsyncIterator[tuple[SoundSink, States]]:
    states = States()
    sink = SoundSink(
        config or SoundConfig(),
        SESSION,
        now_s=now_s,
        report=states.take,
        command=command,
        restart_min_s=restart_min_s,
    )
    async with asyncio.timeout(3 * LONG_S), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        try:
            yield sink, states
        finally:
            sink.close()


async def sound_of(recording: Any, duration_s: float) -> np.ndarray:
    return await asyncio.to_thread(recording.sound, duration_s)


async def test_a_cue_is_heard_on_the_side_it_concerns(ear: Any) -> None:
    async with running() as (sink, states):
        ready = await states.wait_for("ready")
        with ear.listening() as recording:
            sink.put(cue(side=Side.RIGHT))
            sound = await sound_of(recording, 1.5)
    left, right = np.sqrt(np.mean(sound**2, axis=0))
    assert right > 3 * left > 0
    assert sink.played == 1
    assert ready.detail
    assert states.all[-1].state == "closed"


async def test_contacts_tick_only_where_that_is_wanted(ear: Any) -> None:
    contact = ProvisionalContact(1, 0.9, Side.LEFT, 0.96)
    for sonify in ("", "contacts"):
        async with running(SoundConfig(sonify=sonify)) as (sink, states):
            await states.wait_for("ready")
            with ear.listening() as recording:
                sink.put(contact)
                if sonify:
                    assert len(await sound_of(recording, 0.03)) < 0.05 * recording.rate_hz
                else:
                    # The chime, which is in both ears alike, shows that a tick, which is not, would have been heard.
                    sink.put(cue(kind="chime"))
                    sound = await sound_of(recording, 0.64)
                    assert np.allclose(sound[:, 0], sound[:, 1], atol=1e-3)


async def test_every_contact_of_a_run_is_heard_as_a_tick_of_its_foot(ear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy the machine: what this is about is the chain, not its haste.
    monkeypatch.setattr(sound, "TICK_EXPIRES_S", LONG_S)
    plan = (Phase(ActivityState.STANDING, 1.0), Phase(ActivityState.RUNNING, 6.0), Phase(ActivityState.STANDING, 0.5))
    touched_down: list[TrueContact] = []
    source = SimulatedSource(
        Scenario(phases=plan),
        duration_s=7.5,
        connection_interval_s=0.03,
        on_block=lambda block: touched_down.extend(block.contacts),
    )
    session = Session(SESSION, source, Settings())
    states, contacts = States(), Contacts()
    sink = SoundSink(SoundConfig(sonify="contacts"), SESSION, now_s=session.now_s, report=states.take)
    session.add(sink)
    session.add(contacts)
    async with source:
        with ear.listening() as recording:
            await session.run()
            await asyncio.to_thread(recording.next, 0.3)
            heard = recording.everything()
    pitches = {Side.LEFT: 880.0, Side.RIGHT: 440 * 2 ** (16 / 12)}
    # From the contact on with which it was clear that the runner runs; 50 ms: its time is provisional.
    first_s = contacts.said[0].initial_contact_s - 0.05
    true = [(pitches[contact.side], contact.side) for contact in touched_down if contact.initial_contact_s > first_s]
    loud = np.flatnonzero(np.abs(heard).max(axis=1) > recording.audible)
    ticks = []
    for begin in loud[np.diff(loud, prepend=-recording.rate_hz) > 0.1 * recording.rate_hz]:
        left, right = np.mean(heard[begin : begin + 960] ** 2, axis=0)
        spectrum = np.abs(np.fft.rfft(heard[begin : begin + 1440].sum(axis=1), recording.rate_hz))
        ticks.append((pytest.approx(np.argmax(spectrum), abs=15), Side.LEFT if left > right else Side.RIGHT))
    assert len(true) > 8
    # Coming to a halt shakes the runner once more or twice.
    assert ticks[: len(true)] == true
    assert len(ticks) <= len(true) + 2


class Contacts:
    """A sink that keeps provisional contacts."""

    name = "contacts"

    def __init__(self) -> None:
        self.said: list[ProvisionalContact] = []
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        if isinstance(item, ProvisionalContact):
            self.said.append(item)

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def test_a_stale_cue_is_never_heard(ear: Any) -> None:
    async with running() as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            sink.put(cue(1, expires_s=0.0))
            sink.put(cue(2, kind="chime"))
            sound = await sound_of(recording, 0.64)
    assert len(sound) < 0.7 * recording.rate_hz  # the chime alone
    assert sink.played == 1
    assert states.all[-1].dropped == 1


def beats_spm(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the rate of each two neighbouring beats."""
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > 0.005)
    onsets = loud[np.diff(loud, prepend=-rate_hz) > 0.1 * rate_hz]
    return 60 * rate_hz / np.diff(onsets)


async def test_the_metronome_of_the_configuration_is_heard_from_the_start(ear: Any) -> None:
    with ear.listening() as recording:
        async with running(SoundConfig(metronome_spm=200)):
            sound = await sound_of(recording, 2.0)
    assert np.median(beats_spm(sound, recording.rate_hz)) == pytest.approx(200, abs=1)


class Runner:
    """Someone who takes a step every 353 ms, 100 s of session time ago and ever since."""

    step_s = 60 / 170

    def __init__(self) -> None:
        self._began_s = time.monotonic() - 100.0
        self._steps = round(96 / self.step_s)

    def now_s(self) -> float:
        return time.monotonic() - self._began_s

    def run_on(self, sink: SoundSink) -> None:
        """Let the sink hear the steps that are known by now: those of which the foot has left the ground."""
        while self._steps * self.step_s < self.now_s() - 0.3:
            sink.put(replace(step(self._steps), initial_contact_s=self._steps * self.step_s))
            self._steps += 1

    def off_s(self, heard_s: np.ndarray) -> np.ndarray:
        """Return how far moments of the monotonic clock lie from the contact next to them."""
        after_s = (heard_s - self._began_s) % self.step_s
        return np.where(after_s < self.step_s / 2, after_s, after_s - self.step_s)


def first_beats_s(recording: Any) -> np.ndarray:
    """Return when beats were heard before which there was nothing for longer than between beats."""
    loud = np.flatnonzero(np.abs(recording.everything()).max(axis=1) > recording.audible)
    return recording.heard_at_s(loud[np.diff(loud, prepend=-recording.rate_hz) > 0.4 * recording.rate_hz])


@pytest.mark.parametrize("latency_ms", [0, 200])
async def test_the_first_beat_is_in_the_ear_as_a_foot_touches_down(ear: Any, latency_ms: float) -> None:
    runner = Runner()
    beat, no_beat = Command(0.0, "metronome", "178.5"), Command(0.0, "metronome", "0")
    muted, unmuted = SessionState("online", muted=True), SessionState("online")
    async with running(SoundConfig(latency_ms=latency_ms), now_s=runner.now_s) as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            for begin, end in ((beat, muted), (unmuted, no_beat), (beat, no_beat)):
                runner.run_on(sink)
                sink.put(begin)
                await asyncio.to_thread(recording.next, 0.8)
                sink.put(end)
                await asyncio.to_thread(recording.next, 0.8)
            heard_s = first_beats_s(recording)
    assert len(heard_s) >= 3
    # A headset that plays what it is handed 200 ms later is given it so much earlier; of those 200 ms the stream of
    # events, on which they are measured, itself has 35 ms and up to two of its blocks of 9 ms.
    early_s = 0.2 - 0.044 if latency_ms else 0.0
    # 20 ms: 10 of the recorder's, and what the sound server errs in where it stands. One in nine does by chance.
    assert np.median(np.abs(runner.off_s(heard_s + early_s))) < 0.02


async def test_beats_are_early_by_what_was_measured_of_the_device_and_a_damaged_file_is_told(
    ear: Any,
) -> None:
    runner = Runner()
    known = DeviceLatencies(devices=(DeviceLatency(device="ear", latency_ms=200.0, error_ms=25.0, measured_utc=""),))
    sound_latency.save(known)
    async with running(now_s=runner.now_s) as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            runner.run_on(sink)
            sink.put(Command(0.0, "metronome", "178.5"))
            await sound_of(recording, 0.03)
            # 30 ms: as above, for a single beat
            assert abs(runner.off_s(first_beats_s(recording) + 0.2 - 0.044)[0]) < 0.03
    places.sound_path().write_text("no JSON", encoding="utf-8")
    async with running() as (_, states):
        ready = await states.wait_for("ready")
    assert "delete it and measure again" in ready.detail


async def test_the_coachs_metronome_goes_on_in_a_new_player(ear: Any) -> None:
    given = {"target_spm": 250.0, "seconds": 60.0}
    async with running(SoundConfig(metronome_spm=150)) as (sink, states):
        await states.wait_for("ready")
        sink.put(Cue(1, "cadence", "metronome", "metronome", Side.UNKNOWN, 5, 1.0, 4.0, {}, given))
        os.kill(only_child(), signal.SIGKILL)
        await states.wait_for("ready", 2)
        with ear.listening() as recording:
            await sound_of(recording, 0.03)
            heard = await asyncio.to_thread(recording.next, 1.5)
    assert np.median(beats_spm(heard, recording.rate_hz)) == pytest.approx(250, abs=1)


async def test_beats_are_in_step_again_after_a_new_player_and_a_new_headset(ear: Any) -> None:
    runner = Runner()
    async with running(SoundConfig(metronome_spm=178.5), now_s=runner.now_s) as (sink, states):
        off_s = []
        for count in (1, 2, 3):
            await states.wait_for("ready", count)
            runner.run_on(sink)
            with ear.listening() as recording:
                await sound_of(recording, 0.03)
                off_s.append(runner.off_s(first_beats_s(recording))[0])
            if count == 1:
                os.kill(only_child(), signal.SIGKILL)
                await states.wait_for("failed")
            elif count == 2:
                ear.unplug()
                await states.wait_for("waiting")
                ear.plug_in()
    # The first began before a step was known.
    assert np.abs(off_s[1:]).max() < 0.03


async def test_the_metronome_is_changed_and_ended_by_command(ear: Any) -> None:
    async with running() as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            sink.put(Command(0.0, "metronome", "240"))
            await sound_of(recording, 0.1)
            sound = await asyncio.to_thread(recording.next, 2.0)
            sink.put(Command(0.0, "metronome", "0"))
            await asyncio.to_thread(recording.next, 1.0)
            silence = await asyncio.to_thread(recording.next, 1.0)
    assert np.median(beats_spm(sound, recording.rate_hz)) == pytest.approx(240, abs=1)
    assert np.abs(silence).max() < 0.001


async def test_the_coachs_metronome_lasts_its_seconds_and_is_silent_for_who_keeps_its_beat(ear: Any) -> None:
    def metronome(**more: float) -> Cue:
        given = {"target_spm": 200.0, "seconds": 2.0} | more
        return Cue(1, "cadence", "metronome", "metronome", Side.UNKNOWN, 5, 1.0, 4.0, {}, given)

    lengths = {}
    for cadence_spm in (190.0, 200.0):
        async with running() as (sink, states):
            await states.wait_for("ready")
            with ear.listening() as recording:
                for i in range(9):
                    sink.put(replace(step(i), initial_contact_s=60 / cadence_spm * i))
                sink.put(metronome())
                # The chime shows that something would be heard.
                sink.put(cue(2, kind="chime"))
                lengths[cadence_spm] = len(await sound_of(recording, 4.0)) / recording.rate_hz
    assert lengths[190.0] == pytest.approx(2.0, abs=0.4)
    assert lengths[200.0] < 0.7


async def test_the_coachs_metronome_ends_when_the_coach_says_so_and_the_lasting_one_goes_on(ear: Any) -> None:
    def beat(**given: float) -> Cue:
        return Cue(1, "cadence", "metronome", "metronome", Side.UNKNOWN, 5, 1.0, 4.0, {}, dict(given))

    rates = []
    async with running(SoundConfig(metronome_spm=150)) as (sink, states):
        await states.wait_for("ready")
        for cue_said in (beat(target_spm=250.0, seconds=60.0), beat(target_spm=250.0, seconds=0.0)):
            with ear.listening() as recording:
                sink.put(cue_said)
                await asyncio.to_thread(recording.next, 1.0)
                sound = await asyncio.to_thread(recording.next, 2.0)
            rates.append(np.median(beats_spm(sound, recording.rate_hz)))
    assert rates == pytest.approx([250, 150], abs=1)


async def test_steps_are_heard_as_notes_that_follow_the_metric(ear: Any) -> None:
    config = SoundConfig(sonify="contact_time_s")
    async with running(config) as (sink, states):
        await states.wait_for("ready")
        pitches = []
        # Twenty steps with a standard deviation of 10 ms; then one as long as ever, one three deviations shorter.
        values = [0.24, 0.26] * 10 + [0.25, 0.25 - 3 * 0.01 * (20 / 19) ** 0.5]
        for i, value in enumerate(values):
            heard_step = replace(step(i), side=Side.LEFT, metrics={**step().metrics, "contact_time_s": value})
            if i < 20:
                sink.put(heard_step)
                continue
            with ear.listening() as recording:
                sink.put(heard_step)
                sound = await sound_of(recording, 0.09)
            left, right = np.sqrt(np.mean(sound**2, axis=0))
            assert left > 3 * right > 0
            middle = sound[480:-480, 0]
            pitches.append(np.argmax(np.abs(np.fft.rfft(middle, 48_000))))
    assert pitches == pytest.approx([660, 330], rel=0.02)


async def test_without_a_device_it_says_so_once_and_the_run_goes_on(no_sound: None) -> None:
    async with running() as (sink, states):
        waiting = await states.wait_for("waiting")
        for i in range(10):
            sink.put(cue(i))
            await sink.room()
    assert [state.state for state in states.all] == ["waiting", "closed"]
    assert "no sound device" in waiting.detail
    assert "connect" in waiting.detail
    assert sink.played == 0


async def test_a_headset_that_goes_is_said_once_and_the_run_goes_on_with_it_when_it_is_back(ear: Any) -> None:
    async with running(SoundConfig(metronome_spm=200)) as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            await sound_of(recording, 0.1)
        ear.unplug()
        await states.wait_for("waiting")
        sink.put(cue(1, kind="chime"))
        ear.plug_in()
        await states.wait_for("ready", 2)
        with ear.listening() as recording:
            sound = await sound_of(recording, 2.0)
    assert np.median(beats_spm(sound, recording.rate_hz)) == pytest.approx(200, abs=1)
    assert [state.state for state in states.all] == ["ready", "waiting", "ready", "closed"]


async def test_a_player_that_crashes_is_started_again_and_heard(ear: Any) -> None:
    async with running() as (sink, states):
        await states.wait_for("ready")
        os.kill(only_child(), signal.SIGKILL)
        failed = await states.wait_for("failed")
        await states.wait_for("ready", 2)
        with ear.listening() as recording:
            sink.put(cue())
            assert len(await sound_of(recording, 1.5)) > 0
    assert "starts again" in failed.detail


async def test_mute_silences_everything_but_a_person_and_outlives_the_player(ear: Any) -> None:
    async with running(SoundConfig(metronome_spm=200, sonify="contacts")) as (sink, states):
        await states.wait_for("ready")
        with ear.listening() as recording:
            sink.put(cue(1))
            await sound_of(recording, 0.1)
            sink.put(SessionState("online", muted=True))
            # 0.2 s of beats lie ready in the metronome's stream, and a sound server has a reserve of its own.
            await asyncio.to_thread(recording.next, 0.6)
            sink.put(cue(2))
            sink.put(ProvisionalContact(1, 0.9, Side.LEFT, 0.96))
            silence = [await asyncio.to_thread(recording.next, 0.7)]
            os.kill(only_child(), signal.SIGKILL)
            await states.wait_for("ready", 2)
            sink.put(ProvisionalContact(1, 0.9, Side.LEFT, 0.96))
            silence.append(await asyncio.to_thread(recording.next, 0.7))
            sink.put(replace(cue(3), rule="say"))
            said = await asyncio.to_thread(recording.next, 0.7)
            sink.put(SessionState("online"))
            beats = await asyncio.to_thread(recording.next, 2.0)
    assert max(np.abs(part).max() for part in silence) < recording.audible
    assert np.abs(said).max() > recording.audible
    assert np.median(beats_spm(beats[recording.rate_hz :], recording.rate_hz)) == pytest.approx(200, abs=1)


async def test_a_player_that_never_starts_is_tried_at_longer_and_longer_intervals() -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('broken')")
    async with running(command=command) as (_, states):
        await states.wait_for("failed", 4)
    assert [state.detail for state in states.named("failed")][:4] == [
        f"the sound player ended (broken); it starts again in {pause} s" for pause in ("0.01", "0.02", "0.04", "0.08")
    ]


async def test_closing_does_not_wait_for_the_next_try() -> None:
    async with asyncio.timeout(LONG_S), running(command=("/nonexistent/player",), restart_min_s=3600) as (_, states):
        await states.wait_for("failed")
        closing_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - closing_s < 1


async def test_a_player_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "END_TIMEOUT_S", 0.2)
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    loop = asyncio.get_running_loop()
    async with running(command=command) as (sink, _):
        began_s = loop.time()
        for i in range(5000):
            sink.put(cue(i, phrase="Push the ground away " * 20))
            await sink.room()
            if i % 100 == 0:
                await asyncio.sleep(0)
        assert loop.time() - began_s < 2
    assert sink.state.dropped > 4000


async def test_no_player_outlives_the_run(ear: Any) -> None:
    async with running() as (_, states):
        await states.wait_for("ready")
        watch = os.pidfd_open(only_child())
    assert ended(watch)


HOST = """
import asyncio, sys
from sensor_host.config import SoundConfig
from sensor_host.ports import Mode, SessionInfo
from sensor_host.sinks.sound import SoundSink
from tests.said_examples import step

def said(state):
    print(state.state, state.detail, flush=True)

async def main():
    await SoundSink(SoundConfig(), SessionInfo("s1", "anna", Mode.LIVE, "", 0, ()), report=said).run()

asyncio.run(main())
"""


def test_no_player_outlives_a_host_that_was_killed() -> None:
    host = subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE)
    try:
        assert host.stdout is not None
        with host.stdout:
            assert host.stdout.readline()
            watch = os.pidfd_open(only_child(host.pid))
            host.kill()
            host.wait()
            assert ended(watch)
    finally:
        host.kill()
        host.wait()


def only_child(parent: int | None = None) -> int:
    """Return the pid of the only player among a process's children."""
    if sys.platform != "linux":
        pytest.skip("children are found by /proc")
    tasks = Path(f"/proc/{parent or os.getpid()}/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    found = [int(pid) for pid in children if "sensor_host.player" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(found) == 1, found
    return found[0]


def ended(watch: int) -> bool:
    """Wait for the end of a process, by its pidfd."""
    try:
        return bool(select.select([watch], [], [], 5.0)[0])
    finally:
        os.close(watch)
