"""The radio source against a virtual BlueZ on a real, private D-Bus; and against machines that have no radio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from virtual_bluez import Characteristic, Peripheral, VirtualBluez

from sensor_host.boards import BOARDS
from sensor_host.boards.rimu import CONTROL_UUID, INFO_UUID, Info, RimuEncoder, encode_info, start_command
from sensor_host.config import SensorConfig
from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Mode, Notification
from sensor_host.scan import scan
from sensor_host.sources.ble import BATTERY_LEVEL, BleSource

GATT = BOARDS["rimu"].gatt
BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"

# quick enough to test, with every mechanism in place
SENSOR = SensorConfig(name="RIMU 7A", scan_timeout_s=5.0, watchdog_s=2.0, reconnect_min_s=0.01, reconnect_max_s=0.05)
ANY_SENSOR = msgspec.structs.replace(SENSOR, name="")

Air = Callable[..., AbstractAsyncContextManager[VirtualBluez]]


def rimu(name: str = "RIMU 7A", address: str = "C0:FF:EE:00:00:7A", rssi_dbm: int = -60) -> Peripheral:
    services = {
        GATT.service_uuid: [
            Characteristic(GATT.notify_uuid, ["notify"]),
            Characteristic(CONTROL_UUID, ["write"]),
            Characteristic(INFO_UUID, ["read"], encode_info(Info())),
        ],
        BATTERY_SERVICE: [Characteristic(BATTERY_LEVEL, ["read", "notify"], bytes([87]))],
    }
    return Peripheral(name, address, services, rssi_dbm)


def packets(count: int) -> list[bytes]:
    """Return what a device lying still would send."""
    t_s = np.arange(count * 8) / 208.0
    upright = np.tile([0.0, 0.0, 9.80665], (len(t_s), 1))
    return [packet.data for packet in RimuEncoder().encode(t_s, upright, np.zeros_like(upright))]


@pytest.fixture
def air(needs: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Air:
    """Return what opens a virtual BlueZ with these peripherals in reach."""
    daemon = needs("dbus-daemon")

    @asynccontextmanager
    async def open_air(*peripherals: Peripheral, **options: Any) -> AsyncIterator[VirtualBluez]:
        async with VirtualBluez(tmp_path, daemon, *peripherals, **options) as bluez:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluez.address)
            yield bluez

    return open_air


async def until_state(arrivals: AsyncIterator[Arrival], state: str) -> LinkState:
    async for arrival in arrivals:
        if isinstance(arrival, LinkState) and arrival.state == state:
            return arrival
    raise AssertionError(f"the source ended before it was {state}")


async def next_data(arrivals: AsyncIterator[Arrival], count: int) -> list[Notification]:
    found: list[Notification] = []
    while len(found) < count:
        arrival = await anext(arrivals)
        if isinstance(arrival, Notification):
            found.append(arrival)
    return found


# ---------------------------------------------------------------- the way it should go


async def test_every_notification_arrives_once_verbatim_and_in_order_behind_the_info_record(air: Air) -> None:
    device = rimu()
    async with air(device) as bluez, BleSource(SENSOR) as source:
        sent = packets(300)
        async with aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")
            for data in sent:
                await bluez.notify(device, GATT.notify_uuid, data)
            heard = await next_data(arrivals, 1 + len(sent))
    assert heard[0].data == encode_info(Info())
    assert [notification.data for notification in heard[1:]] == sent
    times = [notification.t_host_s for notification in heard]
    assert times == sorted(times)
    assert {notification.role for notification in heard} == {"pelvis"}


async def test_the_sensor_is_started_after_the_subscription_and_stopped_before_leaving(air: Air) -> None:
    device = rimu()
    notifying_at_start: list[bool] = []
    device.on_write = lambda _, data: notifying_at_start.append(device.characteristic(GATT.notify_uuid).notifying)
    async with air(device), BleSource(SENSOR) as source:
        async with aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")
        assert not device.connected
    assert device.characteristic(CONTROL_UUID).written == [start_command(), b"\x02"]
    assert notifying_at_start[0]


async def test_once_entered_the_source_knows_which_sensor_it_has(air: Air) -> None:
    async with air(rimu()), BleSource(ANY_SENSOR) as source:
        (sensor,) = source.sensors
    assert (sensor.name, sensor.address, sensor.board) == ("RIMU 7A", "C0:FF:EE:00:00:7A", "rimu")
    assert sensor.rate_hz == 208.0
    assert source.mode is Mode.LIVE


async def test_the_charge_of_the_battery_is_told(air: Air) -> None:
    device = rimu()
    async with air(device) as bluez, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        charges: list[float] = []
        async for arrival in arrivals:
            if isinstance(arrival, LinkState) and arrival.battery_ratio is not None:
                charges.append(arrival.battery_ratio)
                await bluez.notify(device, BATTERY_LEVEL, bytes([42]))
            if len(charges) == 2:
                break
    assert charges == [0.87, 0.42]


# ---------------------------------------------------------------- drops and silence


async def test_after_three_drops_every_notification_still_arrives_once(air: Air) -> None:
    device = rimu()
    sent = packets(20)
    async with air(device) as bluez, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        for _ in range(4):
            await until_state(arrivals, "connected")
            for data in sent:
                await bluez.notify(device, GATT.notify_uuid, data)
            heard = await next_data(arrivals, 1 + len(sent))
            assert [notification.data for notification in heard[1:]] == sent
            bluez.drop(device)
            lost = await until_state(arrivals, "lost")
            assert lost.detail == "the connection dropped"
    assert device.connects == 4


async def test_a_connection_that_dropped_leaves_nothing_open_on_the_bus(air: Air) -> None:
    # What stays open keeps its subscription: on a real bus every notification then comes 2, 3, 4 times.
    device = rimu()
    async with air(device) as bluez, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        open_now: list[int] = []
        for _ in range(4):
            await until_state(arrivals, "connected")
            open_now.append(await bluez.connections())
            bluez.drop(device)
            await until_state(arrivals, "lost")
    assert len(set(open_now)) == 1


async def test_what_was_heard_before_a_drop_is_handed_on_before_the_loss_is_told(air: Air) -> None:
    device = rimu()
    sent = packets(5)
    async with air(device) as bluez, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        for data in sent:
            await bluez.notify(device, GATT.notify_uuid, data)
        bluez.drop(device)
        seen: list[bytes] = []
        async for arrival in arrivals:
            if isinstance(arrival, Notification):
                seen.append(arrival.data)
            elif arrival.state == "lost":
                break
    assert seen[1:] == sent


async def test_a_silent_link_is_given_up_and_made_anew(air: Air) -> None:
    device = rimu()
    impatient = msgspec.structs.replace(SENSOR, watchdog_s=0.2)
    async with air(device), BleSource(impatient) as source, aclosing(aiter(source)) as arrivals:
        lost = await until_state(arrivals, "lost")
        await until_state(arrivals, "connected")
    assert lost.detail == "no data for 0.2 s"
    assert device.connects == 2


async def test_a_sensor_out_of_reach_is_searched_for_until_it_comes_back(air: Air) -> None:
    device = rimu()
    short = msgspec.structs.replace(SENSOR, scan_timeout_s=0.5)
    async with air(device) as bluez, BleSource(short) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        device.in_reach = False
        bluez.drop(device)
        await until_state(arrivals, "lost")
        await until_state(arrivals, "searching")
        again = await until_state(arrivals, "lost")
        assert "C0:FF:EE:00:00:7A was not heard within 0.5 s" in again.detail
        device.in_reach = True
        await until_state(arrivals, "connected")
    assert device.connects == 2


async def test_a_connection_refused_by_interference_is_tried_again(air: Air) -> None:
    device = rimu()
    device.refusals = ["br-connection-canceled", "Software caused connection abort"]
    async with air(device), BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
    assert device.connects == 1


# ---------------------------------------------------------------- which one


async def test_of_two_sensors_the_nearest_is_taken_and_the_other_mentioned(air: Air) -> None:
    far, near = rimu("RIMU 01", "C0:FF:EE:00:00:01", -88), rimu("RIMU 02", "C0:FF:EE:00:00:02", -51)
    async with air(far, near), BleSource(ANY_SENSOR) as source, aclosing(aiter(source)) as arrivals:
        connecting = await anext(arrivals)
        assert source.sensors[0].name == "RIMU 02"
    assert isinstance(connecting, LinkState)
    assert connecting.rssi_dbm == -51
    assert "2 sensors in reach" in connecting.detail


@pytest.mark.parametrize("choice", [{"name": "rimu 01"}, {"address": "c0:ff:ee:00:00:01"}])
async def test_a_name_or_an_address_chooses_whatever_is_nearer(air: Air, choice: dict[str, str]) -> None:
    far, near = rimu("RIMU 01", "C0:FF:EE:00:00:01", -88), rimu("RIMU 02", "C0:FF:EE:00:00:02", -51)
    wanted = msgspec.structs.replace(ANY_SENSOR, **choice)
    async with air(far, near), BleSource(wanted) as source:
        assert source.sensors[0].address == "C0:FF:EE:00:00:01"


async def test_a_scan_lists_what_is_heard_nearest_first_and_names_the_boards(air: Air) -> None:
    watch = Peripheral("some watch", "11:22:33:44:55:66", {"0000180a-0000-1000-8000-00805f9b34fb": []}, -40)
    async with air(rimu(), watch):
        heard = await scan(0.3)
    assert [(sighting.name, sighting.board) for sighting in heard] == [("some watch", ""), ("RIMU 7A", "rimu")]


# ---------------------------------------------------------------- what goes wrong, in one line


async def test_without_a_system_bus_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nothing-here'}")
    with pytest.raises(LinkError, match=r"no system D-Bus.*apt install dbus bluez"):
        async with BleSource(SENSOR):
            pass


async def test_without_an_adapter_the_line_says_so(air: Air) -> None:
    async with air(adapter=False):
        with pytest.raises(LinkError, match="no Bluetooth adapter was found: plug one in"):
            async with BleSource(SENSOR):
                pass


async def test_bluetooth_that_is_switched_off_is_named_as_that(air: Air) -> None:
    async with air(powered=False):
        with pytest.raises(LinkError, match="switched off: switch it on"):
            async with BleSource(SENSOR):
                pass


async def test_a_sensor_that_is_not_heard_is_told_with_what_else_was(air: Air) -> None:
    other = Peripheral("some watch", "11:22:33:44:55:66", {"0000180a-0000-1000-8000-00805f9b34fb": []})
    quick = msgspec.structs.replace(SENSOR, scan_timeout_s=0.2)
    async with air(other):
        with pytest.raises(LinkError, match=r"not heard within 0\.2 s \(1 other device was\)") as caught:
            async with BleSource(quick):
                pass
    assert caught.value.exit_code == 5


async def test_a_device_of_another_kind_is_refused_by_what_it_lacks(air: Air) -> None:
    impostor = rimu()
    impostor.services[GATT.service_uuid].pop(0)
    async with air(impostor), BleSource(SENSOR) as source:
        with pytest.raises(LinkError, match=rf"is no RIMU v1.*lacks {GATT.notify_uuid}"):
            await until_state(aiter(source), "lost")
