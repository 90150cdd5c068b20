"""What the radio path carries, and how late: from a virtual board's notification to the source's queue and to a step.

Sensors, GATT and the Bluetooth service are played by another process (tests/bluetooth.py); the D-Bus between and bleak
are real. Times are those of the monotonic clock, which all processes of a computer share. What the radio itself adds
(the wait for a connection event, second tries) is not in it. Needs dbus-daemon and bumble.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import msgspec
from measure import ROOT, percentile, table

from pelvis.data import Step
from pelvis.pipeline import Settings
from sensor_host.config import SensorConfig
from sensor_host.ports import Arrival, LinkHealth, LinkState, Mode, Notification, Said, SessionInfo
from sensor_host.session import Session
from sensor_host.sources.ble import BleSource

sys.path.append(str(ROOT / "tests"))

from bluetooth import Bluetooth, Spec

SENSOR = SensorConfig(which="RIMU 7A")

# the pace of one sensor, a thousand, and twice what is asked for
PACES = {26.0: 20.0, 1000.0: 10.0, 2000.0: 10.0}
STEPS_S = 60.0
CROWD = 6
CROWD_S = 20.0


# sends the time at a pace, as the sensor does, but straight through a pipe
PIPE_SENDER = """
import sys, time
rate_hz, count = float(sys.argv[1]), int(sys.argv[2])
begin_s = time.monotonic()
for number in range(count):
    time.sleep(max(0.0, begin_s + number / rate_hz - time.monotonic()))
    sys.stdout.write(f"{time.monotonic_ns()}\\n")
    sys.stdout.flush()
"""


async def bare(rate_hz: float, duration_s: float) -> None:
    """Print what the computer itself adds between two processes: what the path's lateness has to be held against."""
    count = str(round(rate_hz * duration_s))
    command = (sys.executable, "-c", PIPE_SENDER, str(rate_hz), count)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    late_s = [time.monotonic() - 1e-9 * int(line) async for line in child.stdout]
    await child.wait()
    table((f"{rate_hz:.0f} lines a second through a bare pipe: sent to read", in_ms(late_s)))


async def storm(bluetooth: Bluetooth, rate_hz: float, duration_s: float) -> None:
    """Print how many of so many notifications a second arrive, and how late."""
    count = round(rate_hz * duration_s)
    late_s: list[float] = []
    async with BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_connected(arrivals)
        sending = asyncio.ensure_future(bluetooth.storm(0, rate_hz, count))
        begin_s = time.monotonic()
        async for arrival in arrivals:
            if isinstance(arrival, Notification) and len(arrival.data) == 104:
                sent_ns, number = (
                    int.from_bytes(arrival.data[:8], "little"),
                    int.from_bytes(arrival.data[8:12], "little"),
                )
                late_s.append(arrival.t_host_s - 1e-9 * sent_ns)
                if number == count - 1:
                    break
            elif isinstance(arrival, LinkState) and arrival.state == "lost":
                break
        took_s = time.monotonic() - begin_s
        await sending
    what = f"{rate_hz:.0f} notifications a second, 104 bytes each"
    table(
        (f"{what}: arrived", f"{len(late_s)} of {count}, {len(late_s) / took_s:.0f} a second"),
        (f"{what}: sent to stamped in the source's queue", in_ms(late_s)),
    )


async def steps(bluetooth: Bluetooth) -> None:
    """Print how long after the notification that completes it left the sensor a step is said."""
    await bluetooth.sent(1)
    async with BleSource(msgspec.structs.replace(SENSOR, which="RIMU run")) as source:
        watch = Watch(source)
        await measure(watch, STEPS_S)
        sent_s = {data: t_s for t_s, data in await bluetooth.sent(1)}
    late_s = [said_s - sent_s[data] for data, said_s in watch.said]
    table(("notification sent to step said, one sensor at 208 Hz", f"{in_ms(late_s)} ({len(late_s)} steps)"))


async def crowd() -> None:
    """Print what six sensors cost and lose, each with a session of its own in one process."""
    async with AsyncExitStack() as stack:
        configs = [msgspec.structs.replace(SENSOR, which=f"RIMU {number}") for number in range(CROWD)]
        watches = [Watch(await stack.enter_async_context(BleSource(config))) for config in configs]
        cpu_s, begin_s = time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(measure(watch, CROWD_S))
        share = (time.process_time() - cpu_s) / (time.monotonic() - begin_s)
    lost = sum(watch.health.lost_samples for watch in watches if watch.health)
    samples = sum(watch.health.samples for watch in watches if watch.health)
    what = f"{CROWD} sensors at 208 Hz, six sessions"
    table((what, f"{lost} of {samples} samples lost, {100 * share:.0f} % of one core"))


class Watch:
    """A source that remembers what it handed on last, and the sink behind it that knows when a step was said."""

    name = "watch"
    mode = Mode.LIVE

    def __init__(self, source: BleSource) -> None:
        self._source = source
        self._last = b""
        self._closed = asyncio.Event()
        self.sensors = source.sensors
        self.said: list[tuple[bytes, float]] = []
        self.health: LinkHealth | None = None

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        async for arrival in self._source:
            if isinstance(arrival, Notification):
                self._last = arrival.data
            yield arrival

    def put(self, item: Said) -> None:
        if isinstance(item, Step):
            self.said.append((self._last, time.monotonic()))
        elif isinstance(item, LinkHealth):
            self.health = item

    async def room(self) -> None:
        return

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def measure(watch: Watch, duration_s: float) -> None:
    """Run a session without a recorder for so long."""
    info = SessionInfo("bench", "runner", Mode.LIVE, "2025-01-01T00:00:00Z", 0, watch.sensors)
    session = Session(info, watch, Settings())
    session.add(watch)
    asyncio.get_running_loop().call_later(duration_s, session.stop)
    await session.run()


async def until_connected(arrivals: AsyncIterator[Arrival]) -> None:
    async for arrival in arrivals:
        if isinstance(arrival, LinkState) and arrival.state == "connected":
            return


def in_ms(values_s: list[float]) -> str:
    p50_ms, p99_ms = (1e3 * percentile(values_s, share) for share in (0.5, 0.99))
    return f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"


async def run(folder: Path, daemon: str) -> None:
    sensors = [Spec(), Spec("RIMU run", "C0:FF:EE:00:00:10", runs=True)]
    sensors += [Spec(f"RIMU {number}", f"C0:FF:EE:00:00:2{number}", runs=True, seed=number) for number in range(CROWD)]
    async with Bluetooth(folder, daemon, *sensors) as bluetooth:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bluetooth.address
        for rate_hz, duration_s in PACES.items():
            await bare(rate_hz, duration_s)
            await storm(bluetooth, rate_hz, duration_s)
        await steps(bluetooth)
        await crowd()


def main() -> None:
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        table(("radio path", "not measured: dbus-daemon is not installed"))
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), daemon))


if __name__ == "__main__":
    main()
