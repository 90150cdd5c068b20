"""A Bluetooth world for tests: a private D-Bus, `minibluez` on it, sensors in its `air`; all of it beside the test.

The world is a process of its own: it goes on when the test's event loop stands still, and takes none of its time. A
test steers it by calls; each is a line of JSON there and a line back (`bluetooth_world`). The world ends when its
input does.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

WORLD = Path(__file__).with_name("bluetooth_world.py")


@dataclass(frozen=True)
class Spec:
    """A sensor to be played. Without ``board`` it is some device that is none of ours.

    ``runs``: a simulated runner wears it, standing for ``standing_s`` first; else it sends only what a test has it
    send. ``rate_hz`` and ``mtu`` 0 are the board's. ``lacks`` names characteristics that are missing.
    """

    name: str = "RIMU 7A"
    address: str = "C0:FF:EE:00:00:7A"
    board: str = "rimu"
    rssi_dbm: int = -60
    runs: bool = False
    standing_s: float = 0.0
    rate_hz: float = 0.0
    seed: int = 1
    mtu: int = 0
    lacks: Sequence[str] = ()


class Bluetooth:
    """``async with Bluetooth(folder, daemon, Spec(...), ...)``: point DBUS_SYSTEM_BUS_ADDRESS at ``address``.

    Sensors are named by their place among the specs. ``roles`` are the adapter's.
    """

    def __init__(
        self,
        folder: Path,
        dbus_daemon: str,
        *sensors: Spec,
        powered: bool = True,
        adapter: bool = True,
        roles: Sequence[str] = ("central", "peripheral"),
    ) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self._dbus_daemon = dbus_daemon
        self._setting = {
            "address": self.address,
            "sensors": [asdict(spec) for spec in sensors],
            "powered": powered,
            "adapter": adapter,
            "roles": list(roles),
        }
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._calls = 0

    async def __aenter__(self) -> Self:
        await self.start_bus()
        self._world = await asyncio.create_subprocess_exec(
            sys.executable,
            WORLD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            limit=1 << 26,
        )
        self._reading = asyncio.ensure_future(self._read())
        try:
            await self.ask("begin", self._setting)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._world.stdin is not None
        self._world.stdin.close()
        await self._reading
        await self._world.wait()
        await self.stop_bus()

    async def ask(self, what: str, *arguments: Any) -> Any:
        """Have the world do something and return its answer when it is done."""
        self._calls += 1
        answer = self._answers[self._calls] = asyncio.get_running_loop().create_future()
        assert self._world.stdin is not None
        self._world.stdin.write(json.dumps([self._calls, what, arguments]).encode() + b"\n")
        return await answer

    async def _read(self) -> None:
        assert self._world.stdout is not None
        async for line in self._world.stdout:
            number, answer, error = json.loads(line)
            future = self._answers.pop(number)
            if future.cancelled():
                continue
            if error:
                future.set_exception(AssertionError(f"in the Bluetooth world: {error}"))
            else:
                future.set_result(answer)
        for future in self._answers.values():
            if not future.done():
                future.set_exception(AssertionError("the Bluetooth world has ended"))

    # ------------------------------------------------------------ the bus

    async def start_bus(self) -> None:
        self._daemon = subprocess.Popen([self._dbus_daemon, *self.bus_arguments()], stdout=subprocess.PIPE)
        assert self._daemon.stdout is not None
        await asyncio.to_thread(self._daemon.stdout.readline)  # it listens once it has said where

    def bus_arguments(self) -> tuple[str, ...]:
        """Return how dbus-daemon is started."""
        return ("--session", "--nofork", "--nopidfile", "--print-address=1", f"--address={self.address}")

    async def stop_bus(self) -> None:
        self._daemon.terminate()
        await asyncio.to_thread(self._daemon.wait)
        assert self._daemon.stdout is not None
        self._daemon.stdout.close()

    # ------------------------------------------------------------ the sensors

    async def notify(self, sensor: int, uuid: str, *values: bytes) -> None:
        """Send notifications, if somebody subscribed to them on a standing connection."""
        await self.ask("notify", sensor, uuid, [value.hex() for value in values])

    async def storm(self, sensor: int, rate_hz: float, count: int, length: int = 104) -> None:
        """Send ``count`` notifications of data at a rate; see `PlayedSensor.storm` for what is in them."""
        await self.ask("storm", sensor, rate_hz, count, length)

    async def until(self, sensor: int, what: str) -> None:
        """Wait until a sensor is "connected", "disconnected", "subscribed" or "streaming"."""
        await self.ask("until", sensor, what)

    async def until_sent(self, sensor: int, count: int) -> None:
        """Wait until a sensor has sent so many notifications of what it measures."""
        await self.ask("until_sent", sensor, count)

    async def connects(self, sensor: int) -> int:
        """Return how often a sensor was connected to."""
        count: int = await self.ask("connects", sensor)
        return count

    async def sent(self, sensor: int) -> list[tuple[float, bytes]]:
        """Return the notifications a sensor sent since this was asked for the first time: when, and the value."""
        return [(t_s, bytes.fromhex(value)) for t_s, value in await self.ask("sent", sensor)]

    async def written(self, sensor: int) -> list[tuple[str, bytes, frozenset[str]]]:
        """Return what was written to a sensor: where, what, and which notifications were wanted by then."""
        lines = await self.ask("written", sensor)
        return [(uuid, bytes.fromhex(data), frozenset(wanted)) for uuid, data, wanted in lines]

    async def refuse_writes(self, sensor: int, *codes: int) -> None:
        """Have a sensor refuse the next writes, each with its ATT error."""
        await self.ask("refuse_writes", sensor, codes)

    async def discharge(self, sensor: int, ratio: float) -> None:
        await self.ask("discharge", sensor, ratio)

    # ------------------------------------------------------------ the radio

    async def drop(self, sensor: int) -> None:
        """Lose a connection, as out of range for a moment."""
        await self.ask("drop", sensor)

    async def reach(self, sensor: int, *, within: bool) -> None:
        """Take a sensor out of range, connection included, or bring it back."""
        await self.ask("reach", sensor, within)

    async def rival(self, sensor: int, *, holds: bool) -> None:
        """Let another host connect to a sensor, or let go of it."""
        await self.ask("rival", sensor, holds)

    async def slow(self, sensor: int, interval_s: float, per_event: int = 0, delay_s: float = 0.0) -> None:
        """Let a sensor's packets come at connection events only; see `air.Path`."""
        await self.ask("slow", sensor, interval_s, per_event, delay_s)

    async def tamper(self, sensor: int, how: str, every: int = 1) -> None:
        """Have some notifications "cut", "emptied" or "flipped" (their first byte) on their way; "" for none."""
        await self.ask("tamper", sensor, how, every)

    async def adapter(self) -> str:
        """Put a controller into the air that another program may use, and return its name for `open_controller`."""
        name: str = await self.ask("adapter")
        return name

    async def pull_adapters(self) -> None:
        """Pull out the controllers that other programs use."""
        await self.ask("pull_adapters")

    # ------------------------------------------------------------ the Bluetooth service

    async def refuse_connects(self, sensor: int, *texts: str) -> None:
        """Have the service answer the next connects with org.bluez.Error.Failed and these texts."""
        await self.ask("refuse_connects", sensor, texts)

    async def forget(self, sensor: int) -> None:
        await self.ask("forget", sensor)

    async def power(self, *, on: bool) -> None:
        await self.ask("power", on)

    async def plug(self, *, into: bool) -> None:
        await self.ask("plug", into)

    async def kill_service(self) -> None:
        """End the Bluetooth service without a word; the bus stays."""
        await self.ask("kill_service")

    async def start_service(self) -> None:
        await self.ask("start_service")

    async def clients(self) -> int:
        """Return how many connections to the bus there are."""
        count: int = await self.ask("clients")
        return count


# what the fixture `open_bluetooth` gives: called with specs and the adapter's setting
OpenBluetooth: TypeAlias = Callable[..., AbstractAsyncContextManager[Bluetooth]]
