"""The process behind `bluetooth`: does line by line what a test asks for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from air import Air, AirController, PlayedSensor, Rival, SomeDevice
from bluetooth import Spec
from bumble.transport.common import StreamPacketSink, StreamPacketSource

# minibluez, or the real service where tests/bluez/run has one
Bluez = import_module(os.environ.get("BLUEZ_OF_TESTS", "minibluez")).Bluez


async def _pump(reader: asyncio.StreamReader, source: StreamPacketSource) -> None:
    while data := await reader.read(4096):
        source.data_received(data)


_log = logging.getLogger(__name__)


class World:
    """The other end of `bluetooth.Bluetooth`: every public method is one thing that can be asked for."""

    async def begin(self, setting: dict[str, Any]) -> None:
        self._bus_address = setting["address"]
        self._air = Air()
        self._bluez = Bluez(self._air, roles=tuple(setting["roles"]))
        self._rival = Rival(self._air)
        self._adapters: list[asyncio.StreamWriter] = []
        specs = [Spec(**each) for each in setting["sensors"]]
        self._sensors: list[Any] = [(PlayedSensor if spec.board else SomeDevice)(self._air, spec) for spec in specs]
        self._running = [
            asyncio.ensure_future(each.virtual.run() if isinstance(each, PlayedSensor) else each.run())
            for each in self._sensors
        ]
        await self._bluez.power(on=setting["powered"])
        await self._bluez.plug(into=setting["adapter"])
        while not all(self._air.advertising(spec.address) for spec in specs):
            await asyncio.sleep(0.002)
        await self._bluez.start(self._bus_address)

    async def adapter(self) -> str:
        controller = AirController("adapter", link=self._air, public_address="00:00:00:00:00:02")

        def attach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sink = StreamPacketSink(writer.transport)
            source = StreamPacketSource()
            source.set_packet_sink(controller)
            controller.host = sink
            self._adapters.append(writer)
            self._running.append(asyncio.ensure_future(_pump(reader, source)))

        server = await asyncio.start_server(attach, "127.0.0.1", 0)
        return f"tcp-client:127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def pull_adapters(self) -> None:
        for adapter in self._adapters:
            adapter.close()

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._bluez.end()

    async def notify(self, sensor: int, uuid: str, values: list[str]) -> None:
        for value in values:
            await self._sensors[sensor].virtual.notify(uuid, bytes.fromhex(value))
        await self._bluez.connections()  # once the bus has answered, all that was sent before is there

    async def storm(self, sensor: int, rate_hz: float, count: int, length: int) -> None:
        await self._sensors[sensor].storm(rate_hz, count, length)

    async def until(self, sensor: int, what: str) -> None:
        await self._sensors[sensor].until(what)

    async def until_sent(self, sensor: int, count: int) -> None:
        while self._sensors[sensor].virtual.notified < count:
            await asyncio.sleep(0.01)

    async def connects(self, sensor: int) -> int:
        return int(self._sensors[sensor].connects)

    async def sent(self, sensor: int) -> list[tuple[float, str]]:
        return [(t_s, value.hex()) for t_s, value in self._air.listen(self._address(sensor))]

    async def written(self, sensor: int) -> list[tuple[str, str, list[str]]]:
        return [(uuid, data.hex(), sorted(wanted)) for uuid, data, wanted in self._sensors[sensor].written]

    async def refuse_writes(self, sensor: int, codes: list[int]) -> None:
        self._sensors[sensor].refusals = codes

    async def discharge(self, sensor: int, ratio: float) -> None:
        await self._sensors[sensor].virtual.discharge(ratio)

    async def drop(self, sensor: int) -> None:
        self._air.drop(self._address(sensor))

    async def reach(self, sensor: int, within: bool) -> None:
        if within:
            self._air.silent.discard(self._address(sensor))
        else:
            self._air.silent.add(self._address(sensor))
            self._air.drop(self._address(sensor))

    async def rival(self, sensor: int, holds: bool) -> None:
        await (self._rival.take if holds else self._rival.give_back)(self._address(sensor))

    async def slow(self, sensor: int, interval_s: float, per_event: int, delay_s: float) -> None:
        path = self._sensors[sensor].path
        path.interval_s, path.per_event, path.delay_s = interval_s, per_event, delay_s

    async def tamper(self, sensor: int, how: str, every: int) -> None:
        count = 0

        def spoil(value: bytes) -> bytes:
            nonlocal count
            count += 1
            if count % every:
                return value
            return {
                "cut": value[: len(value) // 2 + 1],
                "emptied": b"",
                "flipped": bytes([value[0] ^ 0xFF]) + value[1:],
            }[how]

        self._sensors[sensor].path.tamper = spoil if how else None

    async def refuse_connects(self, sensor: int, texts: list[str]) -> None:
        self._bluez.known(self._address(sensor)).refusals = texts

    async def forget(self, sensor: int) -> None:
        await self._bluez.forget(self._address(sensor))

    async def power(self, on: bool) -> None:
        await self._bluez.power(on=on)

    async def plug(self, into: bool) -> None:
        await self._bluez.plug(into=into)

    async def kill_service(self) -> None:
        await self._bluez.die()

    async def start_service(self) -> None:
        await self._bluez.start(self._bus_address)

    async def clients(self) -> int:
        return await self._bluez.connections()

    def _address(self, sensor: int) -> str:
        return str(self._sensors[sensor].spec.address)


async def main() -> None:
    """Do what is asked for, line by line, each as soon as it is asked."""
    world = World()
    lines = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def do(number: int, what: str, arguments: list[Any]) -> None:
        answer, error = None, ""
        try:
            answer = await getattr(world, what)(*arguments)
        except Exception as caught:  # noqa: BLE001 - it is told to whoever asked
            _log.exception("%s", what)
            error = f"{what}: {type(caught).__name__}: {caught}"
        print(json.dumps([number, answer, error]), flush=True)

    doing: set[asyncio.Task[None]] = set()
    async for line in lines:
        task = asyncio.ensure_future(do(*json.loads(line)))
        doing.add(task)
        task.add_done_callback(doing.discard)
    for task in doing:
        task.cancel()
    await world.end()


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("MINIBLUEZ_LOG", "ERROR"))
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
