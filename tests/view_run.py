"""A simulated run, published to a real broker by the real sink; what was said, and what was true."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from pelvis.data import Motion, Step
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario, TrueContact
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig
from sensor_host.messages import CommandPayload
from sensor_host.outbox import Policy
from sensor_host.ports import Mode, Said, SessionInfo, SessionState, SinkState
from sensor_host.session import Session
from sensor_host.sinks.mqtt import MqttSink
from sensor_host.sources.simulated import SimulatedSource
from sensor_host.view.wire import Inbox, Item, Place, Received, Wire, WireState

Needs = Callable[[str], str]


class Broker:
    """Mosquitto, to be killed and started again on the same port."""

    def __init__(self, program: str, folder: Path, port: int, *, anonymous: bool = True) -> None:
        self.url = f"mqtt://127.0.0.1:{port}"
        self._conf = folder / "mosquitto.conf"
        root = ["user root"] if os.geteuid() == 0 else []
        lines = [
            f"listener {port} 127.0.0.1",
            f"allow_anonymous {str(anonymous).lower()}",
            "log_dest stderr",
            "max_queued_messages 0",
            *root,
        ]
        self._conf.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._program = program
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", self._conf], stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        lines: list[str] = []
        for line in self._process.stderr:
            lines.append(line)
            if "running" in line:
                return
        pytest.fail("".join(lines))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def open_broker(needs: Needs, folder: Path, port: int, *, anonymous: bool = True) -> Iterator[Broker]:
    broker = Broker(needs("mosquitto"), folder, port, anonymous=anonymous)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@dataclass
class Onlooker:
    """A sink that keeps all that was said."""

    name = "onlooker"
    said: list[Said] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        self.said.append(item)

    async def room(self) -> None:
        pass

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class Run:
    """A simulated run in a thread of its own, as fast as it goes: ``with Run(url) as run: ...`` waits for its end."""

    def __init__(
        self,
        url: str,
        runner: str = "ada",
        duration_s: float = 20.0,
        *,
        number: int = 1,
        scenario: Scenario | None = None,
    ) -> None:
        self.said: list[Said] = []
        self.contacts: list[TrueContact] = []
        self._url, self._runner, self._number = url, runner, number
        self._scenario = scenario or Scenario(standing_s=3.0)
        self._duration_s = duration_s
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._publishing = threading.Event()

    @property
    def steps(self) -> list[Step]:
        return [item for item in self.said if isinstance(item, Step)]

    @property
    def motion(self) -> list[Motion]:
        return [item for item in self.said if isinstance(item, Motion)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()

    async def _run(self) -> None:
        source = SimulatedSource(
            self._scenario,
            self._number,
            paced=False,
            duration_s=self._duration_s,
            on_block=lambda block: self.contacts.extend(block.contacts),
        )
        info = SessionInfo(
            f"20250601T070000Z-{self._runner}-{self._number:04}",
            self._runner,
            Mode.SIMULATED,
            "2025-06-01T07:00:00Z",
            7200,
            source.sensors,
        )
        onlooker = Onlooker(self.said)
        connected = asyncio.Event()

        def report(state: SinkState) -> None:
            if state.state == "ready":
                connected.set()

        async with source:
            session = Session(info, source, Settings(motion=True))
            sink = MqttSink(MqttConfig(), info, inject=session.inject, policy=Policy.WAIT, url=self._url, report=report)
            session.add(onlooker, motion=True)
            session.add(sink, motion=True)
            await session.run()
        assert connected.is_set()


class Ear(Inbox):
    """An inbox that can be waited for; keeps what was taken."""

    def __init__(self, motion_items: int = 100_000, other_items: int = 100_000) -> None:
        super().__init__(motion_items, other_items)
        self.items: list[Item] = []
        self._come = threading.Condition()

    def put(self, item: Item) -> None:
        super().put(item)
        with self._come:
            self._come.notify_all()

    def until(self, holds: Callable[[Item], bool], timeout_s: float = 20.0) -> Item:
        """Take items until one is as wanted, and return it."""
        with self._come:
            for _ in range(100_000):
                taken = self.take()
                self.items += taken
                for i, item in enumerate(taken):
                    if holds(item):
                        # what came behind it is looked at the next time
                        behind = taken[i + 1 :]
                        del self.items[len(self.items) - len(behind) :]
                        for late in behind:
                            super().put(late)
                        return item
                if not self._come.wait(timeout_s):
                    break
        pytest.fail(f"it never came; what came last: {self.items[-3:]}")


class Host:
    """A host's MQTT sink in a thread of its own, and nobody running: what it is told is said, what it hears is kept."""

    def __init__(self, url: str, runner: str = "ada", number: int = 1, config: MqttConfig | None = None) -> None:
        self.injected: list[Said] = []
        self._url, self._runner, self._number = url, runner, number
        self._config = config or MqttConfig()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: MqttSink | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self.asked = threading.Event()
        """Somebody has asked for the history."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.say(SessionState("offline"))
        assert self._loop is not None
        assert self._sink is not None
        self._loop.call_soon_threadsafe(self._sink.close)
        self._thread.join()

    def say(self, *items: Said) -> None:
        assert self._loop is not None
        assert self._sink is not None
        for item in items:
            self._loop.call_soon_threadsafe(self._sink.put, item)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let what is said in the body be lost on its way; the host remembers it."""
        assert self._loop is not None
        assert self._sink is not None
        outbox = self._sink._outbox
        put = outbox.put
        self._loop.call_soon_threadsafe(setattr, outbox, "put", lambda _: None)
        yield
        self._loop.call_soon_threadsafe(setattr, outbox, "put", put)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        info = SessionInfo(
            f"20250601T080000Z-{self._runner}-{self._number:04}", self._runner, Mode.LIVE, "2025-06-01T08:00:00Z", 0, ()
        )

        def report(state: SinkState) -> None:
            if state.state == "ready":
                self._ready.set()

        self._sink = MqttSink(
            self._config, info, inject=self.injected.append, policy=Policy.WAIT, url=self._url, report=report
        )
        answer = self._sink._answer_history

        def answer_history(command: CommandPayload) -> None:
            self.asked.set()
            answer(command)

        self._sink._answer_history = answer_history  # type: ignore[method-assign]
        await self._sink.run()


@contextmanager
def listening(broker: Broker, runner: str = "") -> Iterator[tuple[Wire, Ear]]:
    """Open a wire to the broker; it is connected when the body begins."""
    place = Place(BrokerAddress.parse(broker.url), "hipdrive")
    ear = Ear()
    wire = Wire(lambda: place, password_env="HIPDRIVE_MQTT_PASSWORD", runner=runner, inbox=ear)
    wire.start()
    try:
        ear.until(is_state("connected"))
        yield wire, ear
    finally:
        wire.close()


def is_state(state: str) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, WireState) and item.state == state


def says(state: str) -> Callable[[Item], bool]:
    return lambda item: (
        isinstance(item, Received) and isinstance(item.heard.item, SessionState) and item.heard.item.state == state
    )
