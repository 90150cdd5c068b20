"""How long it takes from a notification until the step that it completes is said, and until a foreign client has it.

A session as `hipdrive run` makes it, with recorder and MQTT sink, is fed notifications faster than real.
"Own time" ends when the step stands in the outboxes of the sinks, encoded for MQTT;
"received" when a subscriber in another process, through a real broker, has it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from measure import percentile, table

from pelvis.data import Step
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario
from sensor_host.broker import EmbeddedBroker
from sensor_host.config import MqttConfig, RecordingConfig
from sensor_host.outbox import Policy
from sensor_host.ports import Arrival, Mode, Said, SensorInfo, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.session import Session
from sensor_host.sinks.mqtt import MqttSink
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.simulated import SimulatedSource

# 5: a processor that slept between notifications has cold caches, as in a real run; 1000: none of that
PACES = {"at five times the real pace": 5.0, "back to back": 1000.0}
RUNNING_S = 300.0

# prints the index of every step and when it was there, by the same clock that this process reads
SUBSCRIBER = """
import sys, time, json
import paho.mqtt.client as mqtt
def heard(client, _, message):
    t_s = time.monotonic()
    print(json.loads(message.payload)["step_index"], t_s, flush=True)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = heard
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect(sys.argv[1], int(sys.argv[2]))
client.subscribe("hipdrive/v1/runner/step")
client.loop_forever()
"""


class PacedSource:
    """The notifications of a simulated runner, faster than real; notes when it handed each on."""

    mode = Mode.LIVE

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._runner = SimulatedSource(Scenario(), paced=False, duration_s=RUNNING_S)
        self.handed_on_s = self.handed_on_cpu_s = 0.0

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        return self._runner.sensors

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        begin_s = time.monotonic()
        # made before the measurement, as the radio makes them elsewhere
        for arrival in list(self._runner.arrivals()):
            await asyncio.sleep(max(0.0, begin_s + arrival.t_host_s / self._pace - time.monotonic()))
            self.handed_on_s, self.handed_on_cpu_s = time.monotonic(), time.thread_time()
            yield arrival


class Watch:
    """A sink that notes when a step was handed to it, and how old the notification was by then."""

    name = "watch"

    def __init__(self, source: PacedSource) -> None:
        self._source = source
        self._closed = asyncio.Event()
        self.begun_s: dict[int, float] = {}
        self.own_s: dict[int, float] = {}
        self.own_cpu_s: dict[int, float] = {}

    def put(self, item: Said) -> None:
        if isinstance(item, Step):
            self.begun_s[item.step_index] = self._source.handed_on_s
            self.own_s[item.step_index] = time.monotonic() - self._source.handed_on_s
            self.own_cpu_s[item.step_index] = time.thread_time() - self._source.handed_on_cpu_s

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def measure(folder: Path, pace: float) -> tuple[Watch, dict[int, float]]:
    source = PacedSource(pace)
    info = SessionInfo("bench", "runner", Mode.LIVE, "2025-01-01T00:00:00Z", 0, source.sensors)
    options = RecordingConfig()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(EmbeddedBroker(MqttConfig()))
        address = broker.url.rpartition("//")[2]
        host, _, port = address.rpartition(":")
        listener = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, host, port], stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        assert await asyncio.to_thread(listener.stdout.readline) == "ready\n"
        writer = RecordingWriter(folder / "bench.mcap", info, flush_s=None)
        session = Session(info, source, Settings(motion=True), Recorder(writer, options.flush_s, options.fsync_s))
        watch = Watch(source)
        mqtt = MqttSink(MqttConfig(), info, inject=session.inject, policy=Policy.DROP_OLDEST, url=broker.url)
        session.add(mqtt, motion=True)
        session.add(watch)
        await session.run()
        listener.terminate()
        lines = (await asyncio.to_thread(listener.stdout.read)).splitlines()
        await asyncio.to_thread(listener.wait)
        listener.stdout.close()
    return watch, {int(index): float(t_s) for index, t_s in (line.split() for line in lines)}


def main() -> None:
    for how, pace in PACES.items():
        measure_at(how, pace)


def measure_at(how: str, pace: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watch, received_s = asyncio.run(measure(Path(folder), pace))
    received = [received_s[step] - begun_s for step, begun_s in watch.begun_s.items() if step in received_s]
    rows = {
        "own time": list(watch.own_s.values()),
        "own time of the processor": list(watch.own_cpu_s.values()),
        "until a foreign subscriber has it": received,
    }
    for what, values_s in rows.items():
        p50_ms, p99_ms = 1e3 * percentile(values_s, 0.5), 1e3 * percentile(values_s, 0.99)
        figures = f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms ({len(values_s)} steps)"
        table((f"notification to step, {what}, {how}", figures))


if __name__ == "__main__":
    main()
