"""What the sound is worth: how late ticks and words are, how regular the metronome, each with its bound.

A session with a simulated runner at real pace (208 Hz, 8 samples a notification, a connection interval of 30 ms), its
sound sink and the player, heard by a sound server of its own whose loudspeaker is recorded (tests/ear.py). When a foot
really touched down the simulator knows. All times are those of one monotonic clock; "heard" is in the recording, so
the server's own way is in them, a headset's is not. Needs pulseaudio, parec, pactl, PortAudio and espeak-ng.

On a busy machine: chrt -f 1 .venv/bin/python benchmarks/sound.py. PulseAudio and PortAudio leave that priority for an
ordinary one; they are given it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from load import children
from measure import ROOT, percentile, table

from pelvis.data import Cue, ProvisionalContact, Side
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario, SimulatedBlock, TrueContact
from sensor_host.config import SoundConfig
from sensor_host.player import tones
from sensor_host.ports import Arrival, Mode, Said, SessionInfo, SinkState
from sensor_host.session import Session
from sensor_host.sinks.sound import SoundSink
from sensor_host.sources.simulated import SimulatedSource

sys.path.append(str(ROOT / "tests"))

from ear import Ear, Recording, open_ear

CONNECTION_INTERVAL_S = 0.030
METRONOME_S = 300.0
TICKS_S = 120.0
# 24: the slowest but one is then the slowest of twenty
CUES = 24
# 7 s: the stream has come to rest, so that waking it is in the figure
BETWEEN_CUES_S = 7.0
RATE_SPM = 172.5
AUDIBLE = 0.005

# what is asked of the sound (docs/performance.md)
IN_EAR_S = 0.220
TICK_S = 0.060
WORDS_S = 0.150
JITTER_SD_S = 0.002


class Watch:
    """A sink that notes when provisional contacts were handed to the sinks, and when sound was ready."""

    name = "watch"

    def __init__(self) -> None:
        self.contacts: list[tuple[float, Side]] = []
        self.ready = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        if isinstance(item, ProvisionalContact):
            self.contacts.append((time.monotonic(), item.side))
        elif isinstance(item, SinkState) and item.state == "ready":
            self.ready.set()

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class TimedSource(SimulatedSource):
    """A runner at real pace, and when his feet touched down by the monotonic clock."""

    def __init__(self) -> None:
        scenario = Scenario()
        super().__init__(scenario, connection_interval_s=CONNECTION_INTERVAL_S, on_block=self._take)
        self._sensor = scenario.sensor
        self._contacts: list[TrueContact] = []
        self._begin_s = 0.0

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        async for arrival in super().__aiter__():
            self._begin_s = self._begin_s or arrival.t_host_s
            yield arrival

    def _take(self, block: SimulatedBlock) -> None:
        self._contacts += block.contacts

    @property
    def contacts(self) -> list[tuple[float, Side]]:
        """When which foot touched down, in order."""
        true_s = self._sensor.true_s(np.array([contact.initial_contact_s for contact in self._contacts]))
        return [(self._begin_s + float(t_s), contact.side) for t_s, contact in zip(true_s, self._contacts, strict=True)]


@dataclass(frozen=True, slots=True)
class Heard:
    """A session that was listened to: what was recorded, what happened when by the monotonic clock."""

    recording: Recording
    touched_down: list[tuple[float, Side]]
    said: list[tuple[float, Side]]
    cues_s: list[float]


async def record(ear: Ear, config: SoundConfig, for_s: float, cues: int = 0) -> Heard:
    source = TimedSource()
    info = SessionInfo("bench", "runner", Mode.SIMULATED, "2025-01-01T00:00:00Z", 0, source.sensors)
    session = Session(info, source, Settings(motion=True))
    watch = Watch()
    sink = SoundSink(config, info, now_s=session.now_s, report=session.report)
    session.add(watch)
    session.add(sink)
    cues_s: list[float] = []
    async with source:
        with ear.listening() as recording:
            async with asyncio.TaskGroup() as group:
                group.create_task(session.run())
                await watch.ready.wait()
                for number in range(cues):
                    await asyncio.sleep(BETWEEN_CUES_S)
                    cues_s.append(time.monotonic())
                    sink.put(Cue(number, "bench", "phrase", "low_push", Side.UNKNOWN, 5, 0.0, 4.0))
                await asyncio.sleep(for_s)
                session.stop()
    return Heard(recording, source.contacts, watch.contacts, cues_s)


def onsets(sound: np.ndarray, silence_s: float) -> np.ndarray:
    """Return the samples at which something begins to sound after a silence."""
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > AUDIBLE)
    return loud[np.diff(loud, prepend=-tones.RATE_HZ) > silence_s * tones.RATE_HZ]


def verdict(what: str, figures: str, value_s: float, bound_s: float) -> None:
    held = "yes" if value_s <= bound_s else "**no**"
    table((what, f"{figures}; within {1e3 * bound_s:.0f} ms: {held}"))


def tell_late(what: str, late_s: list[float], of: str, bound_s: float) -> None:
    """Print how late something was, and whether the slowest in twenty is within its bound."""
    p50_s, p95_s = percentile(late_s, 0.5), percentile(late_s, 0.95)
    figures = f"p50 {1e3 * p50_s:.0f} ms, p95 {1e3 * p95_s:.0f} ms, at most {1e3 * max(late_s):.0f} ms ({of})"
    verdict(what, figures, p95_s, bound_s)


def ticks(ear: Ear) -> None:
    heard = asyncio.run(record(ear, SoundConfig(sonify="contacts"), TICKS_S))
    ticked = ticks_of(heard.recording)
    # Contacts are said once it is clear that the runner runs, and the recording ends with the run.
    first_s, last_s = heard.said[0][0], ticked[-1][0] - 0.5
    truth = [contact for contact in heard.touched_down if first_s < contact[0] < last_s]
    said = [contact for contact in heard.said if contact[0] < last_s]
    from_truth_s, from_said_s = lateness_s(truth, ticked), lateness_s(said, ticked)
    of = f"{len(from_truth_s)} of {len(truth)} contacts"
    tell_late("initial contact to its tick in the ear", from_truth_s, of, IN_EAR_S)
    of = f"{len(from_said_s)} of {len(said)} contacts"
    tell_late("provisional contact to its tick", from_said_s, of, TICK_S)


def ticks_of(recording: Recording) -> list[tuple[float, Side]]:
    """Return when ticks were heard, and on which side."""
    sound = recording.everything()
    begun = onsets(sound, 0.1)
    louder = [np.argmax(np.mean(sound[at : at + round(0.02 * tones.RATE_HZ)] ** 2, axis=0)) for at in begun]
    at_s = recording.heard_at_s(begun)
    return [(float(t_s), (Side.LEFT, Side.RIGHT)[side]) for t_s, side in zip(at_s, louder, strict=True)]


def lateness_s(contacts: list[tuple[float, Side]], ticked: list[tuple[float, Side]]) -> list[float]:
    """Return how long after each contact its tick was heard: the first on its side, before that foot's next contact."""
    late_s = []
    for contact_s, side in contacts:
        after_s = next((t_s - contact_s for t_s, heard in ticked if t_s > contact_s and heard is side), 1.0)
        # 0.6 s: a stride takes 0.7
        if after_s < 0.6:
            late_s.append(after_s)
    return late_s


def cues(ear: Ear) -> None:
    heard = asyncio.run(record(ear, SoundConfig(), 3.0, CUES))
    sound = heard.recording.everything()
    begun = onsets(sound, 3.0)
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > AUDIBLE)
    # the earcon's two notes are 0.06 s long; what sounds behind them is the voice
    voice = np.array([loud[np.searchsorted(loud, at + round(0.062 * tones.RATE_HZ))] for at in begun])
    late_s = [float(late) for late in heard.recording.heard_at_s(voice) - np.array(heard.cues_s)]
    what = "cue decided to the first sample of its words, the stream at rest before"
    tell_late(what, late_s, f"{len(late_s)} cues", WORDS_S)


def beats(ear: Ear) -> None:
    heard = asyncio.run(record(ear, SoundConfig(metronome_spm=RATE_SPM), METRONOME_S))
    begun = onsets(heard.recording.everything(), 0.1) / tones.RATE_HZ
    off_s = np.diff(begun) - 60 / RATE_SPM
    torn = np.abs(off_s) > 0.001
    figures = (
        f"SD {1e3 * off_s.std():.3f} ms, at most {1e3 * np.abs(off_s).max():.2f} ms ({len(begun)} beats), "
        f"without {torn.sum()} torn ones SD {1e3 * off_s[~torn].std():.3f} ms"
    )
    verdict(
        f"metronome, {METRONOME_S:.0f} s beside a session: jitter from beat to beat", figures, off_s.std(), JITTER_SD_S
    )


def stay_ahead() -> None:
    """Give every thread of every child the real-time priority of this process, over and over."""
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    while policy != os.SCHED_OTHER:
        # processes and threads come and go
        with contextlib.suppress(OSError):
            for pid in children(os.getpid()):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    if os.sched_getscheduler(int(task.name)) == os.SCHED_OTHER:
                        os.sched_setscheduler(int(task.name), policy, priority)
        time.sleep(0.1)


def main() -> None:
    programs = [shutil.which(name) or sys.exit(f"{name} is not installed") for name in ("pulseaudio", "parec", "pactl")]
    chosen = sys.argv[1:] or ["ticks", "cues", "beats"]
    with tempfile.TemporaryDirectory() as folder, open_ear(Path(folder), *programs, os.environ["PATH"]) as ear:
        os.environ["PULSE_SERVER"] = ear.address
        threading.Thread(target=stay_ahead, daemon=True).start()
        for name in chosen:
            {"ticks": ticks, "cues": cues, "beats": beats}[name](ear)
    if hasattr(os, "getloadavg"):
        one, five, fifteen = os.getloadavg()
        table(("load of the machine meanwhile", f"{one:.1f} in the last minute, {five:.1f} in 5, {fifteen:.1f} in 15"))


if __name__ == "__main__":
    main()
