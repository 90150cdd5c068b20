"""A virtual board, heard by the radio source over real GATT; and `hipdrive simulate --ble`, which plays one."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Self

import numpy as np
import pytest
from bleak import BleakClient
from bleak.exc import BleakGATTProtocolError
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection
from bluetooth import Bluetooth, OpenBluetooth, Spec
from msgspec.structs import replace

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS
from sensor_host.boards.board import Board, Packets
from sensor_host.boards.heart_rate import decode as decode_heart_rate
from sensor_host.boards.rimu import CONTROL_UUID, DATA_UUID, INFO_UUID, RIMU, RimuDecoder
from sensor_host.cli import call
from sensor_host.config import SensorConfig
from sensor_host.ports import Notification, Role
from sensor_host.scan import Sighting, scan
from sensor_host.sources.ble import BleSource
from sensor_host.virtual_board import address_of

SENSOR = SensorConfig(which="RIMU sim", scan_timeout_s=20.0, watchdog_s=5.0, reconnect_min_s=0.01, reconnect_max_s=0.05)


async def hear(count: int, sensor: SensorConfig = SENSOR, role: str = Role.PELVIS) -> list[Notification]:
    """Return the first notifications of a connection."""
    heard: list[Notification] = []
    async with BleSource(sensor, role) as source, aclosing(aiter(source)) as arrivals:
        async for arrival in arrivals:
            if isinstance(arrival, Notification):
                heard.append(arrival)
            if len(heard) == count:
                break
    return heard


@asynccontextmanager
async def client_of(sighting: Sighting) -> AsyncIterator[BleakClient]:
    """Connect as hipdrive does: a first attempt may fail where the real service has not let go of a link before."""
    client = await establish_connection(BleakClientWithServiceCache, sighting.device, sighting.name)
    try:
        yield client
    finally:
        await client.disconnect()


# ---------------------------------------------------------------- the board


async def test_it_streams_in_real_time_from_the_moment_it_is_started(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim", runs=True)) as bluetooth:
        await bluetooth.sent(0)
        heard = await hear(30)
        sent = await bluetooth.sent(0)
    packets = RimuDecoder().decode([notification.data for notification in heard])
    assert not packets.bad
    assert packets.index.tolist() == [8 * number for number in range(29)]
    assert packets.first.tolist() == [True] + 28 * [False]
    # nothing is sent before it was measured by the device's clock, and nothing of the time before the start
    spans_s = (packets.device_us - packets.device_us[0]) * 1e-6
    assert spans_s[-1] == pytest.approx(28 * 8 / 208, rel=1e-3)
    # what it is was read right before it was started
    asked_s = heard[0].t_host_s
    assert all(t_s - asked_s > span_s for (t_s, _), span_s in zip(sent[: len(spans_s)], spans_s, strict=True))


@pytest.mark.parametrize("board", [board for board in BOARDS.values() if board.motion], ids=lambda board: board.key)
async def test_every_board_is_set_up_and_heard_over_the_air(open_bluetooth: OpenBluetooth, board: Board) -> None:
    assert board.motion is not None
    name = f"{(board.name_prefixes or (board.title,))[0]} sim"
    decoder = board.motion.new_decoder()

    async def measure() -> Packets:
        """Return the packets with which a stream begins."""
        async with BleSource(replace(SENSOR, which=name)) as source, aclosing(aiter(source)) as heard:
            assert source.sensors[0].board == board.key
            async for arrival in heard:
                if isinstance(arrival, Notification):
                    packets = decoder.decode([arrival.data])
                    assert not packets.bad
                    if packets.first.any():
                        return packets
        raise AssertionError

    async with open_bluetooth(Spec(name, board=board.key, runs=True, standing_s=60.0)):
        (seen,) = await scan(0.5)
        first, second = await measure(), await measure()
    assert seen.board == board.key
    for number, packets in enumerate((first, second), start=1):
        assert (packets.stream[0], packets.first[0]) == (number, True)
        # a runner that stands still
        assert np.linalg.norm(packets.acc_mps2, axis=1) == pytest.approx(STANDARD_GRAVITY_MPS2, rel=0.05)


async def test_every_start_is_a_stream_of_its_own(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim", runs=True)):
        first, second = await hear(5), await hear(5)
    streams = [RimuDecoder().decode([n.data for n in heard]).stream[0] for heard in (first, second)]
    assert streams == [1, 2]


async def test_what_it_refuses_reaches_the_host_as_the_att_error_it_is(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim")), client_of(*await scan(0.3)) as client:
        with pytest.raises(BleakGATTProtocolError) as refused:
            await client.write_gatt_char(CONTROL_UUID, b"\x7f", response=True)
        assert refused.value.code == 0x80
        with pytest.raises(BleakGATTProtocolError, match="Read Not Permitted"):
            await client.read_gatt_char(CONTROL_UUID)
        assert len(await client.read_gatt_char(INFO_UUID)) == 20


async def test_where_the_mtu_is_small_it_sends_one_sample_a_notification(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim", runs=True, mtu=23)):
        heard = await hear(20)
    assert {len(notification.data) for notification in heard[1:]} == {20}
    assert RimuDecoder().decode([n.data for n in heard]).index.tolist() == list(range(19))


async def test_it_tells_the_host_what_it_is_and_how_much_charge_is_left(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim")) as bluetooth:
        await bluetooth.discharge(0, 0.5)
        async with client_of(*await scan(0.3)) as client:
            assert bytes(await client.read_gatt_char("2a24")) == b"virtual rimu"
            assert bytes(await client.read_gatt_char("2a19")) == b"\x32"
            data = client.services.get_characteristic(DATA_UUID)
            assert data is not None
            assert data.max_write_without_response_size == RIMU.gatt.mtu - 3


async def test_a_name_too_long_for_the_advertisement_is_heard_from_the_answer_to_a_scan(
    open_bluetooth: OpenBluetooth,
) -> None:
    name = "RIMU with a very long name"
    async with open_bluetooth(Spec(name)):
        (seen,) = await scan(0.5)
    assert (seen.name, seen.board) == (name, "rimu")


async def test_a_strap_is_played_too(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth(Spec("RIMU sim", board="heart_rate", runs=True)):
        heard = await hear(2, role=Role.HEART_RATE)
    readings = [decode_heart_rate(notification.data) for notification in heard]
    assert all(reading is not None and 140 <= reading.heart_rate_bpm <= 160 for reading in readings)


# ---------------------------------------------------------------- the command


class Played:
    """``hipdrive simulate --ble`` as a process of its own."""

    def __init__(self, bluetooth: Bluetooth) -> None:
        self._bluetooth = bluetooth

    async def __aenter__(self) -> Self:
        command = ("-m", "sensor_host.cli", "simulate", "--ble", await self._bluetooth.adapter())
        self.process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip()


async def test_the_command_is_a_sensor_until_ctrl_c_and_says_what_becomes_of_it(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth() as bluetooth, Played(bluetooth) as played:
        assert await played.line() == "advertising as RIMU sim"
        heard = await hear(5)
        assert [(await played.line()).split()[0] for _ in range(4)] == [
            "connected",
            "started",
            "stopped",
            "disconnected",
        ]
        played.process.send_signal(signal.SIGINT)
        rest, errors = await played.process.communicate()
    assert (played.process.returncode, rest, errors) == (0, b"", b"")
    assert not RimuDecoder().decode([n.data for n in heard]).bad


async def test_an_adapter_that_is_pulled_out_is_told_in_one_line(open_bluetooth: OpenBluetooth) -> None:
    async with open_bluetooth() as bluetooth, Played(bluetooth) as played:
        await played.line()
        await bluetooth.pull_adapters()
        _, errors = await played.process.communicate()
    assert played.process.returncode == 5
    assert errors.count(b"\n") == 1
    assert b"is gone" in errors


def test_the_same_name_has_the_same_address_and_it_is_a_random_static_one() -> None:
    assert address_of("RIMU sim") == address_of("RIMU sim") != address_of("RIMU 2")
    assert int(address_of("RIMU sim")[:2], 16) >= 0xC0


@pytest.mark.parametrize(
    ("adapter", "code", "says"),
    [
        ("nonsense:0", 2, "names no Bluetooth controller; write usb:0"),
        ("usb", 2, "names no Bluetooth controller; write usb:0"),
        ("tcp-client:127.0.0.1:9", 5, "no Bluetooth controller listens at tcp-client:127.0.0.1:9"),
        ("serial:/dev/there-is-none", 5, "no Bluetooth adapter serial:/dev/there-is-none"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_told_in_one_line(
    adapter: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bumble")
    assert call(["simulate", "--ble", adapter]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("[Errno 16] Device or resource busy", "in use by the system: free it with 'sudo systemctl stop bluetooth'"),
        ("[Errno 1] Operation not permitted", "run this command as root"),
        ("[Errno 19] No such device", "plug one in"),
    ],
)
def test_what_the_kernel_answers_is_told_with_what_to_do(
    number: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transport = pytest.importorskip("bumble.transport")

    async def refuse(_: str) -> None:
        raise OSError(int(number[7:9].strip("]")), number)

    monkeypatch.setattr(transport, "open_transport", refuse)
    assert call(["simulate", "--ble", "hci-socket:0"]) == 5
    assert says in capsys.readouterr().err


def test_without_bumble_the_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sensor_host import hci

    monkeypatch.setattr(hci, "find_spec", lambda _: None)
    assert call(["simulate", "--ble"]) == 2
    assert 'pip install "hipdrive[virtual]"' in capsys.readouterr().err


@pytest.mark.parametrize("more", [["-o", "x.mcap"], ["--csv", "x.csv"], ["--board", "none"]])
def test_what_does_not_go_with_it_is_refused(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["simulate", "--ble", "usb:0", *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1
