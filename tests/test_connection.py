"""Setting a sensor up, and what is said when it will not; against real GATT."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from bluetooth import OpenBluetooth, Spec

from sensor_host import connection
from sensor_host.boards import BOARDS
from sensor_host.boards.board import Read, SetUp, Write
from sensor_host.boards.rimu import CONTROL_UUID, DATA_TYPE, INFO_UUID, Info, start_command
from sensor_host.chain import SensorChain
from sensor_host.config import SensorConfig
from sensor_host.errors import ConfigError, LinkError
from sensor_host.ports import Arrival, LinkState, Notification
from sensor_host.scan import Found, find
from sensor_host.sources import ble
from sensor_host.sources.ble import BleSource

SENSOR = SensorConfig(scan_timeout_s=5.0, watchdog_s=2.0, reconnect_min_s=0.01, reconnect_max_s=0.05)
SHORT = msgspec.structs.replace(SENSOR, scan_timeout_s=0.3)
CLIP = Spec(runs=True)


async def states(source: BleSource, until: str, count: int = 1) -> list[LinkState]:
    """Return what is said of the link up to the ``count``-th time that it stands so."""
    said: list[LinkState] = []
    async with aclosing(aiter(source)) as arrivals:
        async for arrival in arrivals:
            if isinstance(arrival, LinkState):
                said.append(arrival)
                count -= arrival.state == until
                if not count:
                    break
    return said


async def until(arrivals: AsyncIterator[Arrival], state: str) -> LinkState:
    async for arrival in arrivals:
        if isinstance(arrival, LinkState) and arrival.state == state:
            return arrival
    raise AssertionError(f"the source ended before it was {state}")


def set_up_by(monkeypatch: pytest.MonkeyPatch, set_up: object) -> None:
    monkeypatch.setitem(BOARDS, "rimu", replace(BOARDS["rimu"], set_up=set_up))


# ---------------------------------------------------------------- what a sensor says of itself


async def test_firmware_model_and_battery_are_told_and_stay_with_the_links_figures(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(CLIP), BleSource(SENSOR) as source:
        said = await states(source, "connected", 2)
        chain = SensorChain(source.sensors[0])
    major, minor = Info().firmware
    assert said[-1].firmware == f"{major}.{minor}"
    assert said[-1].model
    assert said[-1].battery_ratio == 1.0
    for state in (*said, LinkState("pelvis", "lost", 9.0, detail="the connection dropped")):
        chain.take_link(state)
    health = chain.health(9.0)
    assert (health.firmware, health.model, health.detail) == (
        f"{major}.{minor}",
        said[-1].model,
        "the connection dropped",
    )


# ---------------------------------------------------------------- a set-up that does not succeed


async def test_a_refused_write_is_told_and_tried_again(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(CLIP) as bluetooth, BleSource(SENSOR) as source:
        await bluetooth.refuse_writes(0, 0x80, 0x80)
        said = await states(source, "connected")
    # the second refusal says nothing new
    assert [state.state for state in said] == ["connecting", "lost", "connected"]
    assert "refuses what it is asked for (ATT error 0x80" in said[1].detail


async def test_an_answer_that_never_comes_is_told_with_what_to_do(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_up() -> SetUp:
        yield Write(CONTROL_UUID, start_command(), answered=lambda _: True)
        return ""

    set_up_by(monkeypatch, set_up)
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    async with open_bluetooth(CLIP), BleSource(SENSOR) as source:
        lost = (await states(source, "lost"))[-1]
    assert lost.detail == "RIMU 7A did not answer within 0.2 s: switch it off and on"


async def test_a_drop_ends_the_wait_for_an_answer_at_once(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_up() -> SetUp:
        yield Write(CONTROL_UUID, start_command(), answered=lambda _: True)
        return ""

    set_up_by(monkeypatch, set_up)
    monkeypatch.setattr(connection, "ANSWER_S", 100.0)
    async with open_bluetooth(CLIP) as bluetooth, BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
        await until(arrivals, "connecting")
        task = asyncio.ensure_future(anext(arrivals))
        while not await bluetooth.written(0):
            await asyncio.sleep(0.01)
        await bluetooth.drop(0)
        lost = await task
    assert isinstance(lost, LinkState)
    assert lost.detail == "the connection dropped while RIMU 7A was set up"


async def test_a_firmware_that_cannot_do_it_ends_the_search_in_the_boards_own_words(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_up() -> SetUp:
        if (yield Read(INFO_UUID)):
            raise LinkError("firmware 1.9 cannot stream: update it to 2.3")
        return ""

    set_up_by(monkeypatch, set_up)
    async with open_bluetooth(CLIP) as bluetooth, BleSource(SENSOR) as source:
        with pytest.raises(LinkError, match=r"update it to 2\.3"):
            # the real service may drop a connection before anything is asked over it
            await states(source, "lost", count=5)
        await bluetooth.until(0, "disconnected")


async def test_another_board_than_the_one_set_is_told_which_it_is(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    rimu = BOARDS["rimu"]
    service, data = "34802252-7185-4d5d-b431-630e7050e8f0", "34800002-7185-4d5d-b431-630e7050e8f0"
    gatt = replace(rimu.gatt, service_uuid=service, notify_uuid=data)
    other = replace(rimu, key="other", title="Other", advertised=(service,), name_prefixes=(), gatt=gatt)
    monkeypatch.setitem(BOARDS, "other", other)
    wrong = msgspec.structs.replace(SENSOR, board="other", which="RIMU 7A")
    async with open_bluetooth(CLIP), BleSource(wrong) as source:
        with pytest.raises(LinkError, match=r'RIMU 7A is no Other: it is a RIMU v1.*set sensor\.board to "rimu"'):
            await states(source, "lost")
    # where none was asked for by name, it is not even tried
    wanted = msgspec.structs.replace(SHORT, board="other")
    async with open_bluetooth(CLIP):
        with pytest.raises(LinkError, match=r"no other was heard.*but RIMU 7A, board rimu, was: leave sensor.board"):
            async with BleSource(wanted):
                pass


async def test_a_board_nobody_knows_is_refused_before_anything_is_looked_for() -> None:
    with pytest.raises(ConfigError, match="there are: auto, rimu") as caught:
        BleSource(msgspec.structs.replace(SENSOR, board="rimuu"))
    assert caught.value.path == "sensor.board"


# ---------------------------------------------------------------- who else holds it, which one it is


async def test_a_sensor_that_another_host_holds_is_told_as_not_heard_with_what_to_do(
    open_bluetooth: OpenBluetooth,
) -> None:
    async with open_bluetooth(CLIP) as bluetooth:
        await bluetooth.rival(0, holds=True)
        with pytest.raises(LinkError, match="close the app that holds it"):
            async with BleSource(SHORT):
                pass
        await bluetooth.rival(0, holds=False)
        async with BleSource(SENSOR) as source:
            assert source.sensors[0].name == "RIMU 7A"


async def test_the_sensor_used_last_is_preferred_to_a_nearer_one_and_that_is_said(
    open_bluetooth: OpenBluetooth,
) -> None:
    near = Spec("RIMU 02", "C0:FF:EE:00:00:02", rssi_dbm=-30)
    told: list[str] = []
    async with open_bluetooth(CLIP, near):
        async with BleSource(SENSOR, last=CLIP.address, tell=lambda found: told.append(found.why)) as source:
            assert source.sensors[0].name == "RIMU 7A"
        async with BleSource(SENSOR, last="C0:FF:EE:00:00:99") as source:
            assert source.sensors[0].name == "RIMU 02"
    assert told[0].startswith("the one used last")


async def test_a_sensor_of_a_preferred_board_goes_before_one_whose_figures_are_refused(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = replace(BOARDS["rimu"], key="toy", advertised=(), name_prefixes=("TOY",), refusal="it measures 2 g only")
    monkeypatch.setitem(BOARDS, "toy", toy)
    near = Spec("TOY 1", "F1:00:00:00:00:01", board="", rssi_dbm=-20)
    async with open_bluetooth(CLIP, near), BleSource(SENSOR) as source:
        assert source.sensors[0].board == "rimu"


async def test_what_was_asked_for_and_is_something_else_is_named(open_bluetooth: OpenBluetooth) -> None:
    strap = Spec("H10 1", "C0:FF:EE:00:00:80", board="heart_rate")
    watch = Spec("some watch", "F1:22:33:44:55:66", board="")
    async with open_bluetooth(strap, watch):
        for which, says in (
            ("H10 1", "H10 1 was heard, but it is no sensor: Bluetooth heart-rate strap"),
            ("some watch", "some watch was heard, but does not say which board it is: set sensor.board"),
        ):
            with pytest.raises(LinkError, match=says):
                async with BleSource(msgspec.structs.replace(SHORT, which=which)):
                    pass


# ---------------------------------------------------------------- the radio goes and comes back in mid-run


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("pulled out", "no Bluetooth adapter was found"),
        ("switched off", "Bluetooth is switched off"),
        ("ended", "the Bluetooth service does not run"),
    ],
)
async def test_a_radio_that_goes_is_told_once_and_the_run_goes_on_when_it_is_back(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch, gone: str, says: str
) -> None:
    searches: asyncio.Queue[None] = asyncio.Queue()

    async def counted(*search: Any, **how: Any) -> Found:
        searches.put_nowait(None)
        return await find(*search, **how)

    async with open_bluetooth(CLIP) as bluetooth:
        take = {
            "pulled out": lambda: bluetooth.plug(into=False),
            "switched off": lambda: bluetooth.power(on=False),
            "ended": bluetooth.kill_service,
        }
        give_back = {
            "pulled out": lambda: bluetooth.plug(into=True),
            "switched off": lambda: bluetooth.power(on=True),
            "ended": bluetooth.start_service,
        }
        async with BleSource(SENSOR) as source, aclosing(aiter(source)) as arrivals:
            await until(arrivals, "connected")
            monkeypatch.setattr(ble, "find", counted)
            said: list[str] = []

            async def connected_again() -> None:
                async for arrival in arrivals:
                    if isinstance(arrival, LinkState):
                        said.append(arrival.detail)
                        if arrival.state == "connected" and any(says in detail for detail in said):
                            return

            coming = asyncio.ensure_future(connected_again())
            await take[gone]()
            for _ in range(4):
                await searches.get()
            await give_back[gone]()
            await coming
    assert sum(says in detail for detail in said) == 1


async def test_a_sensor_that_was_out_of_reach_is_found_by_the_search_under_way(
    open_bluetooth: OpenBluetooth, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = msgspec.structs.replace(SENSOR, scan_timeout_s=100.0)
    async with open_bluetooth(CLIP) as bluetooth, BleSource(patient) as source, aclosing(aiter(source)) as arrivals:
        await until(arrivals, "connected")
        await bluetooth.reach(0, within=False)
        await until(arrivals, "searching")
        coming = asyncio.ensure_future(until(arrivals, "connected"))
        await bluetooth.reach(0, within=True)
        await coming


async def test_a_host_that_stands_still_for_longer_than_the_watchdog_loses_nothing(
    open_bluetooth: OpenBluetooth,
) -> None:
    impatient = msgspec.structs.replace(SENSOR, watchdog_s=0.5)
    async with open_bluetooth(CLIP), BleSource(impatient) as source, aclosing(aiter(source)) as arrivals:
        await until(arrivals, "connected")
        indices: list[int] = []
        said: list[str] = []
        for number in range(100):
            if number == 20:
                # in the middle of waiting for the next one
                asyncio.get_running_loop().call_soon(time.sleep, 1.5)
            arrival = await anext(arrivals)
            if isinstance(arrival, Notification) and arrival.data[0] == DATA_TYPE:
                indices.append(int.from_bytes(arrival.data[2:4], "little"))
            elif isinstance(arrival, LinkState):
                said.append(arrival.state)
    assert "lost" not in said
    assert {after - before for before, after in pairwise(indices)} == {8}


async def test_two_sources_that_listen_at_the_same_time_find_both_their_sensors(open_bluetooth: OpenBluetooth) -> None:
    other = Spec("RIMU 02", "C0:FF:EE:00:00:02")
    sources = [BleSource(msgspec.structs.replace(SENSOR, which=which)) for which in ("RIMU 7A", "RIMU 02")]
    async with open_bluetooth(CLIP, other):
        await asyncio.gather(*(source.__aenter__() for source in sources))
        assert [source.sensors[0].name for source in sources] == ["RIMU 7A", "RIMU 02"]
