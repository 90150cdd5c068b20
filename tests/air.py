"""The radio between emulated controllers: who is in reach, how slow a link is, what becomes of its notifications.

bumble's controllers and its `LocalLink` play the link layer; here is what makes it a radio, and the boards that are
heard in it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bluetooth import Spec
from bumble import hci, ll
from bumble.att import Opcode
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.device import Device as Radio
from bumble.l2cap import L2CAP_PDU
from bumble.link import LocalLink

from pelvis.simulate import Scenario
from sensor_host.boards import BOARDS
from sensor_host.boards.board import AttError, Board
from sensor_host.virtual_board import VirtualBoard

ATT_CHANNEL = 4

# what a sensor out of reach is lost with, on both sides
SUPERVISION_TIMEOUT = 0x08


@dataclass
class Path:
    """How what one sensor and its host send each other comes through.

    With ``interval_s`` packets come at connection events, at most ``per_event`` of them (0: all that wait), and
    ``delay_s`` later. ``tamper`` gets the value of a notification and returns what is received in its place.
    """

    interval_s: float = 0.0
    per_event: int = 0
    delay_s: float = 0.0
    tamper: Callable[[bytes], bytes] | None = None
    # what is on its way, the moment of the event that takes the last of it, and how many go with it
    _flying: deque[Callable[[], None]] = field(default_factory=deque)
    _event_s: float = 0.0
    _in_event: int = 0

    def carry(self, deliver: Callable[[], None]) -> None:
        """Hand over now, or at the connection event whose turn it is; the order stays."""
        loop = asyncio.get_running_loop()
        if not self.interval_s and not self._flying:
            loop.call_soon(deliver)
            return
        interval_s = self.interval_s or 0.001
        event_s = max(self._event_s, math.ceil((loop.time() + self.delay_s) / interval_s) * interval_s)
        if event_s == self._event_s and self.per_event and self._in_event >= self.per_event:
            event_s += interval_s
        self._in_event = self._in_event + 1 if event_s == self._event_s else 1
        self._event_s = event_s
        self._flying.append(deliver)
        loop.call_at(event_s, self._arrive)

    def lose(self) -> None:
        """Lose what is on its way."""
        self._flying.clear()
        self._event_s = 0.0

    def _arrive(self) -> None:
        # timers of the same moment come in any order; what they carry does not
        if self._flying:
            self._flying.popleft()()


class Air(LocalLink):
    """Everything within reach of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[str, Path] = {}
        self.silent: set[str] = set()
        self.rssi_dbm: dict[str, int] = {}
        self._listening: dict[str, list[tuple[float, bytes]]] = {}

    def listen(self, address: str) -> list[tuple[float, bytes]]:
        """Return a list that grows by every notification the sensor sends: when, and its value."""
        return self._listening.setdefault(address, [])

    def advertising(self, address: str) -> bool:
        """Tell whether a sensor can be connected to at this moment."""
        return address not in self.silent and any(
            advertiser.enabled and _text(advertiser.address) == address
            for controller in self.controllers
            for advertiser in (controller.le_legacy_advertiser, *controller.advertising_sets.values())
        )

    def drop(self, address: str) -> None:
        """Let both sides of a connection find that they no longer hear each other."""
        if address in self.paths:
            self.paths[address].lose()
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                if address in (_text(connection.self_address), _text(connection.peer_address)):
                    controller.on_le_disconnected(connection, SUPERVISION_TIMEOUT)

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        if isinstance(packet, ll.AdvInd | ll.AdvExtInd):
            if _text(packet.advertiser_address) in self.silent:
                return
            # bumble's controllers answer no scan request: what they would answer is heard at once
            answers = [sender_controller.le_legacy_advertiser, *sender_controller.advertising_sets.values()]
            packet = replace(packet, data=packet.data + b"".join(bytes(each.scan_response_data) for each in answers))
            loop = asyncio.get_running_loop()
            for controller in self.controllers:
                if controller.le_scan_enable or controller.pending_le_connection:
                    loop.call_soon(controller.on_ll_advertising_pdu, packet)
            return
        super().send_advertising_pdu(sender_controller, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        receiver = self.find_le_controller(destination_address)
        if receiver is None:
            return
        source = sender_controller.random_address
        path = self.paths.get(_text(source))
        if path is not None:
            data = self._notice(_text(source), path, data)
        else:
            path = self.paths.setdefault(_text(destination_address), Path())
        path.carry(lambda: receiver.on_link_acl_data(source, transport, data))

    def _notice(self, address: str, path: Path, data: bytes) -> bytes:
        """Note a notification and let it be tampered with; return what is carried."""
        if (notes := self._listening.get(address)) is None and path.tamper is None:
            return data
        pdu = L2CAP_PDU.from_bytes(data)
        if pdu.cid != ATT_CHANNEL or pdu.payload[0] != Opcode.ATT_HANDLE_VALUE_NOTIFICATION:
            return data
        value = bytes(pdu.payload[3:])
        if notes is not None:
            notes.append((time.monotonic(), value))
        if path.tamper is None:
            return data
        return bytes(L2CAP_PDU(ATT_CHANNEL, bytes(pdu.payload[:3]) + path.tamper(value)))


class AirController(Controller):
    """bumble's controller, with data packets as long as real ones have them, and connects that can be cancelled."""

    le_acl_data_packet_length = 251

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            self.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                    connection_handle=0,
                    role=hci.Role.CENTRAL,
                    peer_address_type=pending.peer_address_type,
                    peer_address=pending.peer_address,
                    connection_interval=0,
                    peripheral_latency=0,
                    supervision_timeout=0,
                    central_clock_accuracy=0,
                )
            )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


# ---------------------------------------------------------------- what is in the air


class PlayedSensor:
    """A virtual board in the air, and what a test makes of it."""

    def __init__(self, air: Air, spec: Spec) -> None:
        self.spec = spec
        self.connects = 0
        self.path = air.paths.setdefault(spec.address, Path())
        air.rssi_dbm[spec.address] = spec.rssi_dbm
        board = BOARDS[spec.board]
        scenario = Scenario(standing_s=spec.standing_s)
        rate_hz = spec.rate_hz or (board.motion.rate_hz if board.motion else scenario.sensor.rate_hz)
        controller = AirController(spec.name, link=air)
        self.virtual = VirtualBoard(
            _without(board, spec.lacks),
            controller,
            controller,
            name=spec.name,
            address=spec.address,
            scenario=replace(scenario, sensor=replace(scenario.sensor, rate_hz=rate_hz)) if spec.runs else None,
            seed=spec.seed,
            mtu=spec.mtu,
            said=self._note,
        )
        # what was written, and which notifications were wanted by then
        self.written: list[tuple[str, bytes, frozenset[str]]] = []
        # codes to refuse the next writes with, one each
        self.refusals: list[int] = []
        self._take = self.virtual.device.write
        self.virtual.device.write = self._write  # type: ignore[method-assign]

    async def until(self, what: str) -> None:
        """Wait until it is "connected", "disconnected", "subscribed" or "streaming"."""
        stands: dict[str, Callable[[], object]] = {
            "connected": lambda: self.virtual.connected,
            "disconnected": lambda: not self.virtual.connected,
            "subscribed": lambda: self.virtual.board.gatt.notify_uuid in self.virtual.subscribed,
            "streaming": lambda: self.virtual.streaming,
        }
        while not stands[what]():
            await asyncio.sleep(0.002)

    async def storm(self, rate_hz: float, count: int, length: int) -> None:
        """Send notifications that say when they were sent (u64, ns of the monotonic clock) and their number (u32)."""
        uuid = self.virtual.board.gatt.notify_uuid
        begin_s = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, begin_s + number / rate_hz - time.monotonic()))
            said = time.monotonic_ns().to_bytes(8, "little") + number.to_bytes(4, "little")
            await self.virtual.notify(uuid, said.ljust(length, b"\0"))

    def _write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if self.refusals:
            raise AttError(self.refusals.pop(0))
        self.written.append((uuid, data, self.virtual.subscribed))
        return self._take(uuid, data)

    def _note(self, said: str) -> None:
        self.connects += said.startswith("connected")


class SomeDevice:
    """A watch, a lamp: something that advertises and is no sensor of ours."""

    def __init__(self, air: Air, spec: Spec) -> None:
        from bumble.core import UUID, AdvertisingData

        self.spec = spec
        air.rssi_dbm[spec.address] = spec.rssi_dbm
        controller = AirController(spec.name, link=air)
        self._radio = Radio.with_hci(spec.name, hci.Address(spec.address), controller, controller)
        services = (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, UUID("180A").uuid_bytes)
        maker = (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, b"\xff\xff\x01\x02")
        name = (AdvertisingData.COMPLETE_LOCAL_NAME, spec.name.encode())
        self._radio.advertising_data = bytes(AdvertisingData([services, maker, name]))

    async def run(self) -> None:
        await self._radio.power_on()
        await self._radio.start_advertising(auto_restart=True, advertising_interval_min=100)
        await asyncio.Event().wait()


class Rival:
    """Another host that takes a sensor first; as long as it holds it, the sensor does not advertise."""

    ADDRESS = "F0:0F:00:00:00:01"

    def __init__(self, air: Air) -> None:
        controller = AirController("rival", link=air)
        self._radio = Radio.with_hci("rival", hci.Address(self.ADDRESS), controller, controller)
        self._connections: dict[str, Any] = {}

    async def take(self, address: str) -> None:
        if not self._radio.powered_on:
            await self._radio.power_on()
        self._connections[address] = await self._radio.connect(hci.Address(address))

    async def give_back(self, address: str) -> None:
        await self._connections.pop(address).disconnect()


def _without(board: Board, lacks: Sequence[str]) -> Board:
    kept = tuple(each for each in board.gatt.characteristics if each.uuid not in lacks)
    return replace(board, gatt=replace(board.gatt, characteristics=kept))


def _text(address: hci.Address | None) -> str:
    return address.to_string(with_type_qualifier=False) if address else ""
