"""Runs of the simulated runner through a session and its recorder: the file, and all that was said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from pelvis.data import Command, HeartRate, Marker, Speed
from pelvis.simulate import Drift, Scenario, SimulatedBlock, TrueContact, Variability
from sensor_host.config import Config, CuesConfig, RunnerConfig
from sensor_host.outbox import Policy
from sensor_host.ports import Arrival, Injected, Said, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.runners import Profile
from sensor_host.runners import encode as encode_profile
from sensor_host.session import Session
from sensor_host.settings import core_settings, encode
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.simulated import SimulatedSource

# soon and often, so that two minutes are enough for a coach
QUICK = CuesConfig(warm_up_s=2.0, learn_s=10.0, dwell_ratio=0.1, between_s=10.0, chime_every_s=10.0, plan=False)
CONFIG = Config(runner=RunnerConfig(name="ada"), cues=QUICK)
# a drop on the left that comes at 30 s and goes at 56 s
COACHED = Scenario(
    duration_s=130.0, drifts=(Drift(30.0, 34.0, drop_left_deg=3.5), Drift(56.0, 58.0, drop_left_deg=-3.5))
)
EVERY_STEP_THE_SAME = Variability.none()


@dataclass(frozen=True)
class Run:
    """A recording, what was said while it was made, and what was true."""

    path: Path
    said: Sequence[Said]
    contacts: Sequence[TrueContact]
    blocks: Sequence[SimulatedBlock]


class _Meddled:
    """A source among whose arrivals come some of a person's."""

    def __init__(self, source: SimulatedSource, injected: Sequence[tuple[float, Marker | Command | Speed | HeartRate]]):
        self._source = source
        self._injected = sorted(injected, key=lambda one: one[0])
        self.mode, self.sensors = source.mode, source.sensors

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def _arrivals(self) -> Iterator[Arrival]:
        waiting = list(self._injected)
        first_s: float | None = None
        for arrival in self._source.arrivals():
            first_s = arrival.t_host_s if first_s is None else first_s
            while waiting and arrival.t_host_s - first_s >= waiting[0][0]:
                yield Injected(waiting.pop(0)[1], arrival.t_host_s)
            yield arrival

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        for arrival in self._arrivals():
            yield arrival
            await asyncio.sleep(0)


class _Ear:
    name = "ear"

    def __init__(self) -> None:
        self.said: list[Said] = []

    def put(self, item: Said) -> None:
        self.said.append(item)

    async def room(self) -> None:
        return

    async def run(self) -> None:
        return

    def close(self) -> None:
        return


def record(
    path: Path,
    scenario: Scenario,
    seed: int = 1,
    injected: Sequence[tuple[float, Marker | Command | Speed | HeartRate]] = (),
    config: Config = CONFIG,
) -> Run:
    """Record a run as `hipdrive run` would; ``injected`` are seconds since the start and what came then."""
    blocks: list[SimulatedBlock] = []
    source = _Meddled(SimulatedSource(scenario, seed, paced=False, on_block=blocks.append), injected)
    profile = Profile(runner=config.runner.name)
    info = SessionInfo(f"run-{seed}", config.runner.name, source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)
    writer = RecordingWriter(
        path,
        info,
        encode(config),
        encode_profile(profile),
        config_type="application/json",
        profile_type="application/json",
    )
    session = Session(info, source, core_settings(config, profile, motion=True), Recorder(writer, policy=Policy.WAIT))
    ear = _Ear()
    session.add(ear, motion=True)

    async def run() -> None:
        async with source:
            await session.run()

    asyncio.run(run())
    return Run(path, ear.said, [contact for block in blocks for contact in block.contacts], blocks)


MEDDLING = (
    (20.0, Marker(20.0, "", "lap")),
    (40.0, HeartRate(40.0, 150.0, (0.4,))),
    (60.0, Marker(60.0, "", "lap")),
    (70.0, Speed(70.0, 3.2, "treadmill")),
    (90.0, HeartRate(90.0, 170.0, (0.35,))),
    (100.0, Command(100.0, "mute")),
)


@cache
def coached_run(folder: Path) -> Run:
    """Return a run of two minutes with cues, laps, heart rate, a speed and a mute; made once."""
    return record(folder / "coached.mcap", COACHED, 1, MEDDLING)
