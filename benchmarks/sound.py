"""What the player's sound is worth: how late a contact's tick and a cue's words are, how regular the metronome.

A session with a simulated runner at real pace, its sound sink and the player, heard by a sound server of its own whose
loudspeaker is recorded (tests/ear.py). Times are those of the monotonic clock; "heard" is in the recording, so the
server's own way is in them, a headset's is not. Needs pulseaudio, parec, pactl, PortAudio and espeak-ng.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import ROOT, percentile, table

from pelvis.data import Cue, ProvisionalContact, Side
from pelvis.pipeline import Settings
from sensor_host.config import SoundConfig
from sensor_host.player import tones
from sensor_host.ports import Mode, Said, SessionInfo, SinkState
from sensor_host.session import Session
from sensor_host.sinks.sound import SoundSink
from sensor_host.sources.simulated import SimulatedSource

sys.path.append(str(ROOT / "tests"))

from ear import Ear, Recording, open_ear

METRONOME_S = 300.0
TICKS_S = 60.0
CUES = 12
# 8 s: the stream has come to rest, so that waking it is in the figure
BETWEEN_CUES_S = 8.0
RATE_SPM = 172.5
AUDIBLE = 0.005


class Watch:
    """A sink that notes when provisional contacts were handed to the sinks, and when sound was ready."""

    name = "watch"

    def __init__(self) -> None:
        self.contacts_s: list[float] = []
        self.ready = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        if isinstance(item, ProvisionalContact):
            self.contacts_s.append(time.monotonic())
        elif isinstance(item, SinkState) and item.state == "ready":
            self.ready.set()

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def record(ear: Ear, config: SoundConfig, for_s: float, cues: int = 0) -> tuple[Watch, list[float], Recording]:
    source = SimulatedSource()
    info = SessionInfo("bench", "runner", Mode.SIMULATED, "2025-01-01T00:00:00Z", 0, source.sensors)
    session = Session(info, source, Settings(motion=True))
    watch = Watch()
    sink = SoundSink(config, info, now_s=session.now_s, report=session.report)
    session.add(watch)
    session.add(sink)
    put_s: list[float] = []
    async with source:
        with ear.listening() as recording:
            async with asyncio.TaskGroup() as group:
                group.create_task(session.run())
                await watch.ready.wait()
                for number in range(cues):
                    await asyncio.sleep(BETWEEN_CUES_S)
                    put_s.append(time.monotonic())
                    sink.put(Cue(number, "bench", "phrase", "low_push", Side.UNKNOWN, 5, 0.0, 4.0))
                await asyncio.sleep(for_s)
                session.stop()
    return watch, put_s, recording


def onsets(sound: np.ndarray, silence_s: float) -> np.ndarray:
    """Return the samples at which something begins to sound after a silence."""
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > AUDIBLE)
    return loud[np.diff(loud, prepend=-tones.RATE_HZ) > silence_s * tones.RATE_HZ]


def beats(ear: Ear) -> None:
    _, _, recording = asyncio.run(record(ear, SoundConfig(metronome_spm=RATE_SPM), METRONOME_S))
    begun = onsets(recording.everything(), 0.1) / tones.RATE_HZ
    period_s = 60 / RATE_SPM
    between_ms = 1e3 * (np.diff(begun) - period_s)
    torn = np.abs(between_ms) > 1
    sd_ms, worst_ms = between_ms.std(), np.abs(between_ms).max()
    table(
        (
            f"metronome, {METRONOME_S:.0f} s beside a session: jitter from beat to beat",
            f"SD {sd_ms:.3f} ms, at most {worst_ms:.2f} ms ({len(begun)} beats, {torn.sum()} off by more than 1 ms)",
        ),
        ("the same without those", f"SD {between_ms[~torn].std():.4f} ms"),
    )


def ticks(ear: Ear) -> None:
    watch, _, recording = asyncio.run(record(ear, SoundConfig(sonify="contacts"), TICKS_S))
    heard_s = recording.heard_at_s(onsets(recording.everything(), 0.1))
    late_s = []
    for contact_s in watch.contacts_s:
        after = heard_s[heard_s > contact_s]
        if len(after):
            late_s.append(float(after[0] - contact_s))
    figures = f"p50 {1e3 * percentile(late_s, 0.5):.0f} ms, p95 {1e3 * percentile(late_s, 0.95):.0f} ms"
    table(("provisional contact to tone", f"{figures} ({len(late_s)} contacts)"))


def cues(ear: Ear) -> None:
    _, put_s, recording = asyncio.run(record(ear, SoundConfig(), 3.0, CUES))
    sound = recording.everything()
    begun = onsets(sound, 3.0)
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > AUDIBLE)
    # the earcon's two notes are 0.06 s long; what sounds behind them is the voice
    voice = np.array([loud[np.searchsorted(loud, at + round(0.062 * tones.RATE_HZ))] for at in begun])
    for what, frames in (("earcon", begun), ("first sample of speech", voice)):
        late_s = [float(at) for at in recording.heard_at_s(frames) - np.array(put_s)]
        figures = f"p50 {1e3 * percentile(late_s, 0.5):.0f} ms, p95 {1e3 * percentile(late_s, 0.95):.0f} ms"
        table((f"cue decided to {what}, the stream at rest before", f"{figures} ({len(late_s)} cues)"))


def main() -> None:
    programs = [shutil.which(name) or sys.exit(f"{name} is not installed") for name in ("pulseaudio", "parec", "pactl")]
    chosen = sys.argv[1:] or ["ticks", "cues", "beats"]
    with tempfile.TemporaryDirectory() as folder, open_ear(Path(folder), *programs, os.environ["PATH"]) as ear:
        os.environ["PULSE_SERVER"] = ear.address
        for name in chosen:
            {"ticks": ticks, "cues": cues, "beats": beats}[name](ear)


if __name__ == "__main__":
    main()
