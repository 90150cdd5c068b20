"""A session: one path from arrivals to sinks, whatever becomes of the sinks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pelvis.data import Command, Marker, Motion, Step, Stride
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario
from sensor_host import session as session_module
from sensor_host.errors import BrokerError, LinkError, OutputError
from sensor_host.outbox import Outbox, Policy
from sensor_host.ports import (
    Injected,
    LinkHealth,
    Mode,
    Notification,
    Said,
    SessionInfo,
    SessionState,
    SinkState,
    Source,
)
from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter
from sensor_host.session import Session
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.simulated import SimulatedSource


class Listener:
    """A sink that keeps what it hears."""

    def __init__(self, name: str = "listener", capacity: int = 1_000_000, policy: Policy = Policy.WAIT) -> None:
        self.name = name
        self.heard: list[Said] = []
        self._outbox: Outbox[Said] = Outbox(name, capacity, policy)

    def put(self, item: Said) -> None:
        self._outbox.put(item)

    async def room(self) -> None:
        await self._outbox.room()

    async def run(self) -> None:
        while items := await self._outbox.take():
            self.heard += items
            await self.after(items)

    async def after(self, items: list[Said]) -> None:
        """For those who do more."""

    def close(self) -> None:
        self._outbox.close()

    @property
    def full(self) -> bool:
        return len(self._outbox) >= self._outbox.capacity

    def of(self, *kinds: type) -> list[Said]:
        return [item for item in self.heard if isinstance(item, kinds)]


class FailingAt(Listener):
    """A sink that fails at its first step."""

    def __init__(self, error: Exception, **options: int) -> None:
        super().__init__("failing", **options)
        self._error = error

    async def after(self, items: list[Said]) -> None:
        if any(isinstance(item, Step) for item in items):
            raise self._error


def simulated(duration_s: float = 20.0, seed: int = 1, **options: bool) -> SimulatedSource:
    return SimulatedSource(Scenario(standing_s=4.0, duration_s=duration_s), seed, paced=False, **options)


def info(source: Source, session_id: str = "s") -> SessionInfo:
    return SessionInfo(session_id, "anna", source.mode, "2026-01-02T03:04:05Z", 0, source.sensors)


async def run(
    source: Source, *sinks: Listener, recorder: Recorder | None = None, motion: tuple[Listener, ...] = ()
) -> Session:
    session = Session(info(source), source, Settings(motion=bool(motion)), recorder)
    for sink in sinks:
        session.add(sink, motion=sink in motion)
    async with source:
        await session.run()
    return session


def open_recorder(path: Path, source: Source) -> Recorder:
    return Recorder(RecordingWriter(path, info(source)), policy=Policy.WAIT)


async def test_every_sink_hears_the_same_in_the_same_order_between_online_and_offline() -> None:
    first, second = Listener("first"), Listener("second")
    session = await run(simulated(), first, second)
    assert first.heard == second.heard
    assert first.heard[0] == SessionState("online")
    assert first.heard[-1] == SessionState("offline")
    steps = first.of(Step)
    assert len(steps) == session.tally.steps > 20
    assert [step.step_index for step in steps] == sorted(step.step_index for step in steps)


async def test_motion_goes_only_to_those_who_want_it() -> None:
    plain, curious = Listener("plain"), Listener("curious")
    await run(simulated(), plain, curious, motion=(curious,))
    assert not plain.of(Motion)
    motion = curious.of(Motion)
    assert sum(len(block.t_s) for block in motion) == pytest.approx(20 * 200, rel=0.02)
    assert curious.of(Step, Stride) == plain.of(Step, Stride)


async def test_the_link_is_said_about_once_a_second_and_at_the_end() -> None:
    listener = Listener()
    await run(simulated(), listener)
    health = listener.of(LinkHealth)
    assert 20 <= len(health) <= 24
    last = health[-1]
    assert (last.samples, last.lost_samples, last.bad_notifications) == (20 * 208, 0, 0)


@pytest.mark.parametrize("capacity", [1_000_000, 2])
async def test_a_sink_that_fails_is_taken_out_and_named_and_the_run_goes_on(capacity: int) -> None:
    listener, failing = Listener(), FailingAt(BrokerError("no broker any more"), capacity=capacity)
    session = await run(simulated(), failing, listener)
    alone = Listener()
    await run(simulated(), alone)
    assert repr(listener.of(Step, Stride)) == repr(alone.of(Step, Stride))  # repr: unknown (NaN) equals unknown
    assert listener.of(SinkState) == [SinkState("failing", "failed", "no broker any more")]
    assert session.tally.sinks["failing"].state == "failed"
    assert [str(error) for error in session.tally.failures] == ["no broker any more"]


async def test_a_sink_that_fails_with_a_full_outbox_holds_nobody_back() -> None:
    class Stuck(Listener):
        async def run(self) -> None:
            while not self.full:
                await asyncio.sleep(0)
            # the session waits for room by now, and nobody will ever make any
            await asyncio.sleep(0.05)
            raise BrokerError("gone")

    listener = Listener()
    async with asyncio.timeout(30):
        await run(simulated(6.0), Stuck("stuck", capacity=2), listener)
    assert listener.heard[-1] == SessionState("offline")


async def test_even_a_fault_in_a_sink_itself_does_not_reach_the_run() -> None:
    listener = Listener()
    session = await run(simulated(), FailingAt(ZeroDivisionError("oops")), listener)
    assert session.tally.sinks["failing"].detail == "ZeroDivisionError: oops"
    assert listener.heard[-1] == SessionState("offline")


async def test_a_sink_that_never_finishes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CLOSING_S", 0.05)

    class Hanging(Listener):
        async def run(self) -> None:
            await asyncio.Event().wait()

    session = await run(simulated(6.0), Hanging("hanging"), Listener())
    assert session.tally.warnings == ["hanging did not finish within 0.05 s and was ended"]


async def test_what_arrives_is_recorded_whole_and_in_order(tmp_path: Path) -> None:
    source = simulated()
    await run(source, Listener(), recorder=open_recorder(tmp_path / "run.mcap", source))
    assert list(read(tmp_path / "run.mcap").arrivals()) == list(simulated().arrivals())


async def test_a_recorder_that_fails_ends_the_run_and_keeps_what_it_had(tmp_path: Path) -> None:
    class FullAfter(RecordingWriter):
        def flush(self) -> None:
            super().flush()
            if self.path.stat().st_size > 20_000:
                raise OutputError("disk full", path=str(self.path))

    source = simulated(120.0)
    path = tmp_path / "run.mcap"
    recorder = Recorder(FullAfter(path, info(source)), flush_s=0.01, policy=Policy.WAIT, capacity=64)
    listener = Listener()
    with pytest.raises(OutputError, match="disk full"):
        await run(source, listener, recorder=recorder)
    assert listener.heard[-1] == SessionState("offline")
    assert max(health.t_s for health in listener.of(LinkHealth)) < 60.0
    kept = list(read(path).arrivals())
    assert 100 < len(kept) < 3000
    assert kept == list(simulated(120.0).arrivals())[: len(kept)]


async def test_what_is_injected_is_recorded_said_and_replayed_where_it_came(tmp_path: Path) -> None:
    source = simulated(10.0)
    session = Session(info(source), source, Settings(), open_recorder(tmp_path / "run.mcap", source))

    class Coach(Listener):
        async def after(self, items: list[Said]) -> None:
            if any(isinstance(item, LinkHealth) and item.t_s > 3 for item in items) and not self.of(Marker):
                session.inject(Marker(3.5, "lap"))

    coach = Coach("coach")
    session.add(coach)
    await session.run()
    assert coach.of(Marker) == [Marker(3.5, "lap")]
    arrivals = list(read(tmp_path / "run.mcap").arrivals())
    (where,) = [number for number, arrival in enumerate(arrivals) if isinstance(arrival, Injected)]
    assert arrivals[where].item == Marker(3.5, "lap")
    assert 3.0 < arrivals[where - 1].t_host_s == arrivals[where].t_host_s < 10.0


async def test_that_the_run_is_muted_is_said_when_it_changes_and_only_then() -> None:
    class Presses(Listener):
        async def run(self) -> None:
            for name in ("mute", "mute", "unmute"):
                session.inject(Command(0.0, name))
            await super().run()

    listener = Listener()
    source = simulated()
    async with source:
        session = Session(info(source), source, Settings())
        session.add(listener)
        session.add(Presses("presses"))
        await session.run()
    assert [(said.state, said.muted) for said in listener.of(SessionState)] == [
        ("online", False),
        ("online", True),
        ("online", False),
        ("offline", False),
    ]


async def test_stop_ends_an_endless_run_in_order(tmp_path: Path) -> None:
    source = SimulatedSource(Scenario(standing_s=4.0), 1, paced=False)
    session = Session(info(source), source, Settings(), open_recorder(tmp_path / "run.mcap", source))

    class Enough(Listener):
        async def after(self, items: list[Said]) -> None:
            if len(self.of(Step)) > 10:
                session.stop()

    enough = Enough("enough")
    session.add(enough)
    await session.run()
    assert enough.heard[-1] == SessionState("offline")
    recording = read(tmp_path / "run.mcap")
    assert not recording.cut
    assert sum(isinstance(arrival, Notification) for arrival in recording.arrivals()) > 200


async def test_a_source_that_gives_up_ends_the_run_in_order_and_says_why(tmp_path: Path) -> None:
    class Lost(SimulatedSource):
        async def __aiter__(self):
            async for number, arrival in _numbered(super().__aiter__()):
                if number == 300:
                    raise LinkError("the adapter was pulled out")
                yield arrival

    source = Lost(Scenario(standing_s=4.0), 1, paced=False)
    listener = Listener()
    with pytest.raises(LinkError, match="pulled out"):
        await run(source, listener, recorder=open_recorder(tmp_path / "run.mcap", source))
    assert listener.heard[-1] == SessionState("offline")
    assert len(list(read(tmp_path / "run.mcap").arrivals())) == 300


async def _numbered(arrivals):
    number = 0
    async for arrival in arrivals:
        yield number, arrival
        number += 1


async def test_sessions_of_one_process_know_nothing_of_each_other() -> None:
    async def alone(seed: int) -> list[str]:
        listener = Listener()
        await run(simulated(seed=seed), listener)
        return [repr(said) for said in listener.heard]

    expected = [await alone(seed) for seed in (1, 2, 3)]
    together = await asyncio.gather(*(alone(seed) for seed in (1, 2, 3)))
    assert together == expected
    assert expected[0] != expected[1]


async def test_the_mode_is_that_of_the_source() -> None:
    assert info(simulated()).mode is Mode.SIMULATED
