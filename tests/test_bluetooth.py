"""The Bluetooth that tests are made with does what it is asked to, seen by bleak and by the radio source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import msgspec
import pytest
from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError
from bluetooth import Bluetooth, OpenBluetooth, Spec

from sensor_host.boards.rimu import CONTROL_UUID, DATA_UUID, start_command
from sensor_host.config import SensorConfig
from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Notification
from sensor_host.scan import Sighting, scan
from sensor_host.sources.ble import BleSource

SENSOR = SensorConfig(which="RIMU 7A", scan_timeout_s=20.0, watchdog_s=3.0, reconnect_min_s=0.01, reconnect_max_s=0.05)
HURRIED = msgspec.structs.replace(SENSOR, scan_timeout_s=0.5)


async def until_state(arrivals: AsyncIterator[Arrival], state: str) -> LinkState:
    async for arrival in arrivals:
        if isinstance(arrival, LinkState) and arrival.state == state:
            return arrival
    raise AssertionError(f"the source ended before it was {state}")


async def until_data(arrivals: AsyncIterator[Arrival]) -> None:
    async for arrival in arrivals:
        if isinstance(arrival, Notification) and arrival.data[0] == 0x10:
            return


async def seen() -> Sighting:
    (sighting,) = await scan(0.3)
    return sighting


async def off_and_on(bluetooth: Bluetooth, lost: Awaitable[object]) -> None:
    await bluetooth.power(on=False)
    await lost
    await bluetooth.power(on=True)


async def out_and_in(bluetooth: Bluetooth, lost: Awaitable[object]) -> None:
    await bluetooth.plug(into=False)
    await lost
    await bluetooth.plug(into=True)


async def killed_and_started(bluetooth: Bluetooth, lost: Awaitable[object]) -> None:
    await bluetooth.kill_service()
    await lost
    await bluetooth.start_service()


async def bus_down_and_up(bluetooth: Bluetooth, lost: Awaitable[object]) -> None:
    await bluetooth.stop_bus()
    await lost
    await bluetooth.start_bus()
    await bluetooth.kill_service()
    await bluetooth.start_service()


@pytest.mark.parametrize("trouble", [off_and_on, out_and_in, killed_and_started, bus_down_and_up])
async def test_whatever_happens_to_bluetooth_the_source_comes_back(
    open_bluetooth: OpenBluetooth, trouble: Callable[[Bluetooth, Awaitable[object]], Awaitable[None]]
) -> None:
    async with (
        open_bluetooth(Spec(runs=True)) as bluetooth,
        BleSource(HURRIED) as source,
        aclosing(aiter(source)) as arrivals,
    ):
        await until_data(arrivals)
        await trouble(bluetooth, until_state(arrivals, "lost"))
        await until_data(arrivals)
        assert await bluetooth.connects(0) == 2


async def test_a_sensor_that_another_host_holds_is_not_heard_until_it_is_given_back(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(Spec()) as bluetooth:
        await bluetooth.rival(0, holds=True)
        with pytest.raises(LinkError, match="not heard"):
            async with BleSource(HURRIED):
                pass
        await bluetooth.rival(0, holds=False)
        async with BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")


async def test_a_connection_that_is_aborted_at_once_is_made_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.refuse_connects(0, "le-connection-abort-by-local", "le-connection-abort-by-local")
        await until_state(arrivals, "connected")
        assert await bluetooth.connects(0) == 1


async def test_a_set_up_that_is_refused_is_tried_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec(runs=True)) as bluetooth, BleSource(SENSOR) as source:
        await bluetooth.refuse_writes(0, 0x0E)
        async with aclosing(aiter(source)) as arrivals:
            await until_data(arrivals)
        assert await bluetooth.connects(0) == 2


async def test_an_adapter_without_low_energy_is_named_as_that(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(roles=["peripheral"]):
        with pytest.raises(LinkError, match="too old"):
            async with BleSource(SENSOR):
                pass


async def test_a_device_that_was_forgotten_cannot_be_connected_to(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec()) as bluetooth:
        sighting = await seen()
        await bluetooth.forget(0)
        with pytest.raises(BleakError, match="not found"):
            await BleakClient(sighting.device).connect()


async def test_notifications_come_through_a_socket_too(open_bluetooth: OpenBluetooth) -> None:
    sent = [bytes([number]) * 20 for number in range(100)]
    heard: list[bytes] = []
    all_heard = asyncio.Event()

    def on_notification(_: object, data: bytearray) -> None:
        heard.append(bytes(data))
        if len(heard) == len(sent):
            all_heard.set()

    async with open_bluetooth(Spec()) as bluetooth, BleakClient((await seen()).device) as client:
        await client.start_notify(DATA_UUID, on_notification, bluez={"use_start_notify": False})
        await bluetooth.notify(0, DATA_UUID, *sent)
        async with asyncio.timeout(20):
            await all_heard.wait()
    assert heard == sent


async def test_a_client_that_is_not_let_go_after_a_drop_makes_notifications_come_twice(
    open_bluetooth: OpenBluetooth,
) -> None:
    # as bluetoothd does: it is why the source throws every client away
    heard: list[bytes] = []
    async with open_bluetooth(Spec()) as bluetooth:
        sighting = await seen()
        dropped = asyncio.Event()
        first = BleakClient(sighting.device, lambda _: dropped.set())
        await first.connect()
        await first.start_notify(DATA_UUID, lambda _, data: None)
        await bluetooth.drop(0)
        await dropped.wait()
        async with BleakClient(sighting.device) as second:
            await second.start_notify(DATA_UUID, lambda _, data: heard.append(bytes(data)))
            await bluetooth.notify(0, DATA_UUID, b"once")
            await second.read_gatt_char("2a19")  # answered behind what was notified before
        await first.disconnect()
    assert heard == [b"once", b"once"]


async def test_a_command_is_refused_where_the_sensor_takes_only_requests(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(Spec()) as bluetooth:
        async with BleakClient((await seen()).device) as client:
            await client.write_gatt_char(CONTROL_UUID, start_command(), response=True)
            with pytest.raises(BleakGATTProtocolError, match="Not Supported"):
                await client.write_gatt_char(CONTROL_UUID, b"\x02", response=False)
        written = await bluetooth.written(0)
    assert [data for _, data, _ in written] == [start_command()]
