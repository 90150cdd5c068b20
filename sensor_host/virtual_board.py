"""A board without a board: its GATT services, answers and notifications over any Bluetooth controller.

How it works
------------
1. A controller is reached over HCI by bumble (the extra ``virtual``): an adapter, a socket, or a controller that is
   itself played in software.
2. The services are those of the board's `Gatt`, besides Battery and Device Information. What is read and written goes
   to the board's `Device`, with its refusals.
3. A simulated runner wears the board from `VirtualBoard.run` on, in real time. What nobody has started or subscribed to
   is gone, as in a device.
4. The board advertises again after every connection. A lost link stops what a disconnect stops.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from pelvis.data import Array
from pelvis.simulate import Scenario, SimulatedRunner
from sensor_host import __version__
from sensor_host.boards.board import FIRMWARE_REVISION, AttError, Board, Peripheral
from sensor_host.errors import LinkError

if TYPE_CHECKING:
    from bumble.device import Connection
    from bumble.device import Device as Radio
    from bumble.gatt import Characteristic, Service
    from bumble.transport.common import TransportSink, TransportSource

BATTERY_SERVICE, BATTERY_LEVEL = "180F", "2A19"
DEVICE_INFORMATION, MANUFACTURER, MODEL = "180A", "2A29", "2A24"

# 100 ms: heard within a second by any host, and no burden to a shared adapter
ADVERTISING_INTERVAL_MS = 100

# 7.5 to 15 ms, 4 s: what hardware/rimu-v1.md has a peripheral ask for; hosts choose 30 to 50 ms by themselves
CONNECTION_INTERVAL_MS = (7.5, 15.0)
SUPERVISION_MS = 4000.0

# 31 bytes of an advertisement, flags (3 bytes) and headers (2 bytes each) included
ADVERTISEMENT_BYTES = 31

# 10 s: an adapter that works at all is reset within one
POWER_ON_S = 10.0

# a second of runner is made at a time: a few milliseconds of work
BLOCK_S = 1.0

# a heart at work: up and down within a minute, so that a screen shows that it is alive
HEART_BPM, HEART_SWING_BPM, HEART_SWING_S = 150.0, 10.0, 60.0

# ATT errors of the Core Specification, 3.F.3.4.1.1
READ_NOT_PERMITTED, WRITE_NOT_PERMITTED = 0x02, 0x03


def address_of(name: str) -> str:
    """Return the random static address of the virtual board of that name: the same at every start."""
    octets = bytearray(hashlib.sha256(name.encode()).digest()[:6])
    octets[0] |= 0xC0  # the two highest bits make it a static one
    return ":".join(f"{octet:02X}" for octet in octets)


class VirtualBoard:
    """One board over one controller.

    Parameters
    ----------
    board
        Which.
    source, sink
        The controller's HCI: packets from it and to it.
    name, address
        What it advertises.
    scenario
        Who wears it, with the sensor's rate; None: a board that measures nothing.
    seed
        The same seed gives the same runner.
    mtu
        The largest ATT MTU it agrees to; 0: the board's.
    said
        Told in a word or two whenever something changes.

    Attributes
    ----------
    notified
        How many notifications of what is measured were sent.
    """

    def __init__(
        self,
        board: Board,
        source: TransportSource,
        sink: TransportSink,
        *,
        name: str,
        address: str = "",
        scenario: Scenario | None = None,
        seed: int = 1,
        mtu: int = 0,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        from bumble.device import Device as Radio
        from bumble.hci import Address

        self.board = board
        self.name = name
        self.address = address or address_of(name)
        self.notified = 0
        self._piece = board.motion.samples_per_notification if board.motion else 0
        rate_hz = scenario.sensor.rate_hz if scenario else 0.0
        self._motion = board.motion.new_device(rate_hz or board.motion.rate_hz) if board.motion else None
        self._heart = board.heart_rate.new_device() if board.heart_rate else None
        self._runner = _Runner(scenario, seed) if scenario else None
        self._said = said
        self._radio: Radio = Radio.with_hci(name, Address(self.address), source, sink)
        self._connection: Connection | None = None
        self._subscribed: set[str] = set()
        self._battery_ratio = 1.0
        self._characteristics: dict[str, Characteristic[bytes]] = {}
        # set whenever the stream may have to begin or end
        self._changed = asyncio.Event()
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._arrived: asyncio.Queue[Connection] = asyncio.Queue()
        self._radio.gatt_server.max_mtu = mtu or board.gatt.mtu
        self._radio.add_services(self._services())
        self._radio.on("connection", self._on_connection)

    # ------------------------------------------------------------ what it does

    async def run(self) -> None:
        """Switch on, advertise, and stream while a host wants it; never ends by itself.

        Raises
        ------
        LinkError
            When the controller does not answer, or refuses.
        """
        from bumble.core import BaseBumbleError

        try:
            try:
                async with asyncio.timeout(POWER_ON_S):
                    await self._radio.power_on()
                    await self._advertise()
            except TimeoutError:
                raise LinkError("the Bluetooth adapter does not answer: unplug it and plug it in again") from None
            except BaseBumbleError as error:
                raise LinkError(f"the Bluetooth adapter refuses to be a sensor: {error}") from error
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stream())
                group.create_task(self._answer())
                group.create_task(self._ask_for_speed())
        finally:
            await self._switch_off()

    @property
    def device(self) -> Peripheral:
        """The board's own side."""
        device = self._motion or self._heart
        assert device is not None, "a board measures motion or heart rate"
        return device

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def subscribed(self) -> frozenset[str]:
        """The characteristics whose notifications the host wants."""
        return frozenset(self._subscribed)

    @property
    def streaming(self) -> bool:
        """Whether samples are sent: started, and subscribed to."""
        return self.connected and self.device.streaming and self.board.gatt.notify_uuid in self._subscribed

    async def notify(self, uuid: str, data: bytes) -> None:
        """Send a notification or indication, if a connected host subscribed to it."""
        connection, characteristic = self._connection, self._characteristics[uuid]
        if connection is None or uuid not in self._subscribed:
            return
        server = self._radio.gatt_server
        if characteristic.properties & characteristic.Properties.NOTIFY:
            await server.notify_subscriber(connection, characteristic, data)
        else:
            await server.indicate_subscriber(connection, characteristic, data)

    async def discharge(self, ratio: float) -> None:
        """Set the battery's charge, 0 to 1, and tell it."""
        self._battery_ratio = ratio
        await self.notify(BATTERY_LEVEL, self._battery())

    # ------------------------------------------------------------ the stream

    async def _stream(self) -> None:
        """Send what is measured when it is complete, for as long as it is wanted."""
        powered_on_s = asyncio.get_running_loop().time()
        while True:
            await self._until(math.inf, wanted=False)
            self._said("started")
            for ready_s, data in self._measured(asyncio.get_running_loop().time() - powered_on_s):
                await self._until(powered_on_s + ready_s, wanted=True)
                if not self.streaming:
                    break
                await self.notify(self.board.gatt.notify_uuid, data)
                self.notified += 1
            await self._until(math.inf, wanted=True)
            self._said("stopped")

    def _measured(self, from_s: float) -> Iterator[tuple[float, bytes]]:
        """Yield the notifications of what is measured from then on, each with the second in which it is complete."""
        runner, motion, heart = self._runner, self._motion, self._heart
        if runner is None:
            return
        if motion is not None:
            runner.pass_over(from_s)
            while samples := runner.measure(self._piece):
                for packet in motion.encode(*samples):
                    yield runner.true_s(packet.t_last_s), packet.data
        elif heart is not None:
            for second in count(math.ceil(from_s)):
                bpm = HEART_BPM + HEART_SWING_BPM * math.sin(math.tau * second / HEART_SWING_S)
                for data in heart.encode(bpm, (60.0 / bpm,)):
                    yield float(second), data

    async def _until(self, t_s: float, *, wanted: bool) -> None:
        """Wait for a moment, at most as long as the stream is wanted, or not wanted."""
        try:
            async with asyncio.timeout_at(None if t_s == math.inf else t_s):
                while self.streaming is wanted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _answer(self) -> None:
        """Send what the device answers to a write, behind the write's own response."""
        while True:
            await self.notify(*await self._answers.get())

    # ------------------------------------------------------------ the link

    async def _advertise(self) -> None:
        from bumble.core import AdvertisingData

        flags = (AdvertisingData.FLAGS, b"\x06")  # generally discoverable, no BR/EDR
        services = [_advertised(uuid) for uuid in self.board.advertised]
        name = (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode())
        data = bytes(AdvertisingData([flags, *services, name]))
        answer = b""
        if len(data) > ADVERTISEMENT_BYTES:
            data, answer = bytes(AdvertisingData([flags, *services])), bytes(AdvertisingData([name]))
        await self._radio.start_advertising(
            auto_restart=True,
            advertising_data=data,
            scan_response_data=answer,
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )
        self._said(f"advertising as {self.name}")

    async def _ask_for_speed(self) -> None:
        """Ask every host for a short connection interval; one that does not grant it is heard all the same."""
        from bumble.core import BaseBumbleError

        shortest_ms, longest_ms = CONNECTION_INTERVAL_MS
        while True:
            connection = await self._arrived.get()
            with suppress(BaseBumbleError, TimeoutError):
                async with asyncio.timeout(SUPERVISION_MS / 1000.0):
                    await connection.update_parameters(shortest_ms, longest_ms, 0, SUPERVISION_MS, use_l2cap=True)

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self._arrived.put_nowait(connection)
        self.device.mtu = connection.att_mtu
        connection.on("connection_att_mtu_update", lambda: setattr(self.device, "mtu", connection.att_mtu))
        connection.on("disconnection", self._on_disconnection)
        self._said(f"connected to {connection.peer_address.to_string(with_type_qualifier=False)}")

    def _on_disconnection(self, _: int) -> None:
        self._connection = None
        self._subscribed.clear()
        self.device.disconnected()
        self._changed.set()
        self._said("disconnected")

    async def _switch_off(self) -> None:
        """Leave the air; a controller that is gone need not be told."""
        try:
            async with asyncio.timeout(1.0):
                if self._connection is not None:
                    await self._connection.disconnect()
                await self._radio.stop_advertising()
                await self._radio.power_off()
        except Exception:  # noqa: BLE001, S110 - whatever it is, it is over
            pass

    # ------------------------------------------------------------ services

    def _services(self) -> Iterator[Service]:
        from bumble.gatt import Service

        yield Service(
            _shortest(self.board.gatt.service_uuid),
            [
                self._characteristic(
                    characteristic.uuid,
                    characteristic.properties,
                    partial(self._read, characteristic.uuid),
                    partial(self._take_write, characteristic.uuid),
                )
                for characteristic in self.board.gatt.characteristics
            ],
        )
        for uuid in self.board.advertised:
            if uuid != self.board.gatt.service_uuid:
                # BlueZ recognises a device it has connected to by the services it has, not by those it advertises
                yield Service(_shortest(uuid), [])
        yield Service(BATTERY_SERVICE, [self._characteristic(BATTERY_LEVEL, ("read", "notify"), self._battery)])
        facts = {MANUFACTURER: "hipdrive", MODEL: f"virtual {self.board.key}"}
        characteristics = [self._characteristic(uuid, ("read",), fact.encode) for uuid, fact in facts.items()]
        characteristics.append(self._characteristic(FIRMWARE_REVISION, ("read",), self._firmware))
        yield Service(DEVICE_INFORMATION, characteristics)

    def _characteristic(
        self,
        uuid: str,
        properties: tuple[str, ...],
        read: Callable[[], bytes],
        write: Callable[[bytes], None] = lambda _: None,
    ) -> Characteristic[bytes]:
        from bumble.att import ATT_Error, Attribute
        from bumble.gatt import Characteristic, CharacteristicValue

        def answer_read(_: Connection) -> bytes:
            if "read" not in properties:
                raise ATT_Error(READ_NOT_PERMITTED)
            try:
                return read()
            except AttError as error:
                raise ATT_Error(error.code) from error

        def answer_write(_: Connection, data: bytes) -> None:
            if not {"write", "write-without-response"} & set(properties):
                raise ATT_Error(WRITE_NOT_PERMITTED)
            try:
                write(bytes(data))
            except AttError as error:
                raise ATT_Error(error.code) from error

        names = ",".join(name.upper().replace("-", "_") for name in properties)
        characteristic: Characteristic[bytes] = Characteristic(
            _shortest(uuid),
            Characteristic.Properties.from_string(names),
            Attribute.READABLE | Attribute.WRITEABLE,
            CharacteristicValue(read=answer_read, write=answer_write),
        )
        characteristic.on(characteristic.EVENT_SUBSCRIPTION, partial(self._take_subscription, uuid))
        self._characteristics[uuid] = characteristic
        return characteristic

    def _read(self, uuid: str) -> bytes:
        return self.device.read(uuid)

    def _firmware(self) -> bytes:
        try:
            return self.device.read(FIRMWARE_REVISION)
        except AttError:
            return __version__.encode()  # a board that says it elsewhere

    def _take_write(self, uuid: str, data: bytes) -> None:
        for answer in self.device.write(uuid, data):
            self._answers.put_nowait(answer)
        self._changed.set()

    def _take_subscription(self, uuid: str, _: object, notify: bool, indicate: bool) -> None:  # noqa: FBT001 - bumble's call
        (self._subscribed.add if notify or indicate else self._subscribed.discard)(uuid)
        self._changed.set()

    def _battery(self) -> bytes:
        return bytes([round(100 * self._battery_ratio)])


class _Runner:
    """What the sensor measures, sample by sample; what was passed over is gone."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._sensor = scenario.sensor
        self._blocks = SimulatedRunner(scenario, seed).blocks(BLOCK_S)
        self._left: tuple[Array, Array, Array] = (np.empty(0), np.empty((0, 3)), np.empty((0, 3)))

    def true_s(self, t_s: float) -> float:
        """Return the time of the world at a time of the device."""
        return float(self._sensor.true_s(np.array([t_s]))[0])

    def pass_over(self, until_s: float) -> None:
        """Let go of what was measured before a time of the world."""
        while self._fill():
            gone = int(np.searchsorted(self._sensor.true_s(self._left[0]), until_s))
            self._take(gone)
            if len(self._left[0]):
                return

    def measure(self, count: int) -> tuple[Array, Array, Array] | None:
        """Return times, acceleration and angular rate of the next samples, at most ``count``; None behind the end."""
        return self._take(count) if self._fill() else None

    def _fill(self) -> bool:
        if not len(self._left[0]) and (block := next(self._blocks, None)) is not None:
            self._left = (block.t_s, block.acc_mps2, block.gyr_radps)
        return len(self._left[0]) > 0

    def _take(self, count: int) -> tuple[Array, Array, Array]:
        t_s, acc_mps2, gyr_radps = self._left
        self._left = (t_s[count:], acc_mps2[count:], gyr_radps[count:])
        return t_s[:count], acc_mps2[:count], gyr_radps[:count]


def _shortest(uuid: str) -> str:
    """Return the 16 bits of an assigned number in their short form, as devices say them."""
    return uuid[4:8] if uuid.startswith("0000") and uuid.endswith("-0000-1000-8000-00805f9b34fb") else uuid


def _advertised(uuid: str) -> tuple[int, bytes]:
    from bumble.core import UUID, AdvertisingData

    data = UUID(_shortest(uuid)).uuid_bytes
    lists = {
        2: AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
        16: AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    }
    return lists[len(data)], data
