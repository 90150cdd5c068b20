"""The radio source against real GATT behind a BlueZ on a real, private D-Bus; and against machines without a radio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bluetooth import OpenBluetooth, Spec

from sensor_host.boards import BOARDS
from sensor_host.boards.rimu import CONTROL_UUID, Info, RimuEncoder, encode_info, start_command
from sensor_host.config import SensorConfig
from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Mode, Notification
from sensor_host.scan import scan
from sensor_host.sources.ble import BleSource

GATT = BOARDS["rimu"].gatt
WATCH = Spec("some watch", "F1:22:33:44:55:66", board="", rssi_dbm=-40)

# quick enough to test, with every mechanism in place
SENSOR = SensorConfig(which="RIMU 7A", scan_timeout_s=5.0, watchdog_s=2.0, reconnect_min_s=0.01, reconnect_max_s=0.05)
ANY_SENSOR = msgspec.structs.replace(SENSOR, which="")


def rimu(name: str = "RIMU 7A", address: str = "C0:FF:EE:00:00:7A", rssi_dbm: int = -60, **more: Any) -> Spec:
    return Spec(name, address, rssi_dbm=rssi_dbm, **more)


def packets(count: int) -> list[bytes]:
    """Return what a device lying still would send."""
    t_s = np.arange(count * 8) / 208.0
    upright = np.tile([0.0, 0.0, 9.80665], (len(t_s), 1))
    return [packet.data for packet in RimuEncoder().encode(t_s, upright, np.zeros_like(upright))]


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


async def test_every_notification_arrives_once_verbatim_and_in_order_behind_the_info_record(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source:
        sent = packets(300)
        async with aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")
            await bluetooth.notify(0, GATT.notify_uuid, *sent)
            heard = await next_data(arrivals, 1 + len(sent))
    assert heard[0].data == encode_info(Info())
    assert [notification.data for notification in heard[1:]] == sent
    times = [notification.t_host_s for notification in heard]
    assert times == sorted(times)
    assert {notification.role for notification in heard} == {"pelvis"}


async def test_the_sensor_is_started_after_the_subscription_and_stopped_before_leaving(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(rimu()) as bluetooth:
        async with BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
            await until_state(arrivals, "connected")
        await bluetooth.until(0, "disconnected")
        written = await bluetooth.written(0)
    assert [(uuid, data) for uuid, data, _ in written] == [(CONTROL_UUID, start_command()), (CONTROL_UUID, b"\x02")]
    assert GATT.notify_uuid in written[0][2]


async def test_once_entered_the_source_knows_which_sensor_it_has(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(rimu()), BleSource(ANY_SENSOR) as source:
        (sensor,) = source.sensors
    assert (sensor.name, sensor.address, sensor.board) == ("RIMU 7A", "C0:FF:EE:00:00:7A", "rimu")
    assert sensor.rate_hz == 208.0
    assert source.mode is Mode.LIVE


async def test_the_charge_of_the_battery_is_told(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.discharge(0, 0.87)
        charges: list[float] = []
        async for arrival in arrivals:
            if isinstance(arrival, LinkState) and arrival.battery_ratio is not None:
                charges.append(arrival.battery_ratio)
                await bluetooth.discharge(0, 0.42)
            if len(charges) == 2:
                break
    assert charges == [0.87, 0.42]


# ---------------------------------------------------------------- drops and silence


async def test_after_three_drops_every_notification_still_arrives_once(open_bluetooth: OpenBluetooth) -> None:
    sent = packets(20)
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        for _ in range(4):
            await until_state(arrivals, "connected")
            await bluetooth.notify(0, GATT.notify_uuid, *sent)
            heard = await next_data(arrivals, 1 + len(sent))
            assert [notification.data for notification in heard[1:]] == sent
            await bluetooth.drop(0)
            lost = await until_state(arrivals, "lost")
            assert lost.detail == "the connection dropped"
        assert await bluetooth.connects(0) == 4


async def test_a_connection_that_dropped_leaves_nothing_open_on_the_bus(open_bluetooth: OpenBluetooth) -> None:
    # What stays open keeps its subscription: on a real bus every notification then comes 2, 3, 4 times.
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        open_now: list[int] = []
        for _ in range(4):
            await until_state(arrivals, "connected")
            open_now.append(await bluetooth.clients())
            await bluetooth.drop(0)
            await until_state(arrivals, "lost")
    assert len(set(open_now)) == 1


async def test_what_was_heard_before_a_drop_is_handed_on_before_the_loss_is_told(open_bluetooth: OpenBluetooth) -> None:
    sent = packets(5)
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        await bluetooth.notify(0, GATT.notify_uuid, *sent)
        await bluetooth.drop(0)
        seen: list[bytes] = []
        async for arrival in arrivals:
            if isinstance(arrival, Notification):
                seen.append(arrival.data)
            elif arrival.state == "lost":
                break
    assert seen[1:] == sent


async def test_a_silent_link_is_given_up_and_made_anew(open_bluetooth: OpenBluetooth) -> None:
    impatient = msgspec.structs.replace(SENSOR, watchdog_s=0.2)
    async with open_bluetooth(rimu()) as bluetooth, BleSource(impatient) as source, aclosing(aiter(source)) as arrivals:
        lost = await until_state(arrivals, "lost")
        await until_state(arrivals, "connected")
        assert await bluetooth.connects(0) >= 2  # a stack may need another try
    assert lost.detail == "no data for 0.2 s"


async def test_a_sensor_out_of_reach_is_searched_for_until_it_comes_back(open_bluetooth: OpenBluetooth) -> None:
    short = msgspec.structs.replace(SENSOR, scan_timeout_s=0.5)
    async with open_bluetooth(rimu()) as bluetooth, BleSource(short) as source, aclosing(aiter(source)) as arrivals:
        await until_state(arrivals, "connected")
        await bluetooth.reach(0, within=False)
        await until_state(arrivals, "lost")
        await until_state(arrivals, "searching")
        again = await until_state(arrivals, "lost")
        assert "C0:FF:EE:00:00:7A was not heard within 0.5 s" in again.detail
        await bluetooth.reach(0, within=True)
        await until_state(arrivals, "connected")
        assert await bluetooth.connects(0) == 2


async def test_a_connection_refused_by_interference_is_tried_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(rimu()) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await bluetooth.refuse_connects(0, "br-connection-canceled", "Software caused connection abort")
        await until_state(arrivals, "connected")
        assert await bluetooth.connects(0) == 1


# ---------------------------------------------------------------- which one


async def test_of_two_sensors_the_nearest_is_taken_and_the_other_mentioned(open_bluetooth: OpenBluetooth) -> None:
    far, near = rimu("RIMU 01", "C0:FF:EE:00:00:01", -88), rimu("RIMU 02", "C0:FF:EE:00:00:02", -51)
    async with open_bluetooth(far, near), BleSource(ANY_SENSOR) as source, aclosing(aiter(source)) as arrivals:
        connecting = await anext(arrivals)
        assert source.sensors[0].name == "RIMU 02"
    assert isinstance(connecting, LinkState)
    assert connecting.rssi_dbm == -51
    assert "2 sensors in reach" in connecting.detail


@pytest.mark.parametrize("choice", ["rimu 01", "c0:ff:ee:00:00:01"])
async def test_a_name_or_an_address_chooses_whatever_is_nearer(open_bluetooth: OpenBluetooth, choice: str) -> None:
    far, near = rimu("RIMU 01", "C0:FF:EE:00:00:01", -88), rimu("RIMU 02", "C0:FF:EE:00:00:02", -51)
    wanted = msgspec.structs.replace(ANY_SENSOR, which=choice)
    async with open_bluetooth(far, near), BleSource(wanted) as source:
        assert source.sensors[0].address == "C0:FF:EE:00:00:01"


async def test_a_scan_lists_what_is_heard_nearest_first_and_names_the_boards(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(rimu(), WATCH):
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


async def test_without_an_adapter_the_line_says_so(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(adapter=False):
        with pytest.raises(LinkError, match="no Bluetooth adapter was found: plug one in"):
            async with BleSource(SENSOR):
                pass


async def test_bluetooth_that_is_switched_off_is_named_as_that(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(powered=False):
        with pytest.raises(LinkError, match="switched off: switch it on"):
            async with BleSource(SENSOR):
                pass


async def test_a_sensor_that_is_not_heard_is_told_with_what_else_was(open_bluetooth: OpenBluetooth) -> None:
    quick = msgspec.structs.replace(SENSOR, scan_timeout_s=0.2)
    async with open_bluetooth(WATCH):
        with pytest.raises(LinkError, match=r"not heard within 0\.2 s \(1 other device was\)") as caught:
            async with BleSource(quick):
                pass
    assert caught.value.exit_code == 5


async def test_a_device_of_another_kind_is_refused_by_what_it_lacks(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(rimu(lacks=[GATT.notify_uuid])), BleSource(SENSOR) as source:
        with pytest.raises(LinkError, match=rf"is no RIMU v1.*lacks {GATT.notify_uuid}"):
            await until_state(aiter(source), "lost")


@pytest.mark.parametrize(("key", "app"), [("movesense", "Movesense Showcase"), ("polar", "Polar Flow")])
async def test_a_sensor_whose_firmware_is_too_old_is_told_where_to_get_a_newer_one(
    open_bluetooth: OpenBluetooth, key: str, app: str
) -> None:
    board = BOARDS[key]
    name = f"{board.name_prefixes[0]}1234"
    old = Spec(name, board=key, lacks=[each.uuid for each in board.gatt.characteristics])
    config = msgspec.structs.replace(SENSOR, board=key, which=name)
    async with open_bluetooth(old), BleSource(config) as source:
        with pytest.raises(LinkError, match=f"{name}: its firmware lacks .*{app}"):
            await until_state(aiter(source), "lost")
