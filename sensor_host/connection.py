"""One connection to a sensor: connect, set it up, hand on what it says, let go.

1. Each connection has a client of its own, which is disconnected and thrown away however it ends: one that lives on
   after a drop keeps its subscription, and every notification would come twice after the next connect.
2. The notification callback is a plain function that takes the time and hands on. It never waits and decodes nothing.
3. Whatever the sensor owes (a value, an answer) has a deadline, and a drop ends the wait for it at once.
4. `LinkLostError` says that another attempt may succeed, `LinkError` that none will.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sensor_host.boards import BOARDS
from sensor_host.boards.board import Action, Board, Read, Subscribe, Write
from sensor_host.errors import DecodeError, HipdriveError, LinkError
from sensor_host.ports import LinkState, Notification
from sensor_host.scan import Sighting, explain, radio_errors

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
# of the Device Information service
MODEL_NUMBER = "00002a24-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION = "00002a26-0000-1000-8000-00805f9b34fb"

# 2 attempts: the first one often fails by interference; more are better spent after another scan
CONNECT_ATTEMPTS = 2

# 45 s: two attempts of bleak's 20 s each; the last resort where a backend does not keep its own time
CONNECT_S = 45.0

# 5 s: a sensor that answers at all does so within a second
ANSWER_S = 5.0

# 3 s for all that is good to know and not needed: four values take half a second on a slow link
FACTS_S = 3.0

# 5 s: longer than the supervision time-out of a link, after which the other side counts as gone anyway
DISCONNECT_S = 5.0

HandOn: TypeAlias = Callable[[Notification | LinkState | None], None]


class LinkLostError(HipdriveError):
    """An attempt or a connection is over, another one may succeed; the text says why and what helps."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sensor says of itself; empty or None where it does not."""

    firmware: str = ""
    model: str = ""
    battery_ratio: float | None = None


class Connection:
    """A connection to one sensor.

    Parameters
    ----------
    board
        What the sensor is taken for.
    sighting
        The device, as it was heard.
    role
        What its notifications are handed on as.
    hand_on
        Is given every notification and change of the battery as it comes, and None once when the link is gone.
    """

    def __init__(self, board: Board, sighting: Sighting, role: str, hand_on: HandOn) -> None:
        self._board = board
        self._sighting = sighting
        self._role = role
        self._hand_on = hand_on
        self._client: BleakClient | None = None
        self._waiting: tuple[Callable[[bytes], bool], asyncio.Future[bytes]] | None = None

    async def open(self) -> str:
        """Connect and do what the board's set-up asks for; return the firmware's version, empty if unknown.

        Raises
        ------
        LinkLostError
            When it did not succeed this time.
        LinkError
            When it never will: another kind of device, a firmware that cannot do it.
        """
        from bleak.exc import BleakCharacteristicNotFoundError

        client = self._client = await self._connect()
        try:
            if client.services.get_characteristic(self._board.gatt.notify_uuid) is None:
                raise self._another_board(client, self._board.gatt.notify_uuid)
            return await self._set_up(client)
        except BleakCharacteristicNotFoundError as error:
            raise self._another_board(client, str(error.char_specifier)) from error
        except DecodeError as error:
            raise LinkLostError(f"{self._name} gave an answer that makes no sense: {error}") from error
        except radio_errors() as error:
            raise LinkLostError(str(explain(error))) from error

    async def facts(self) -> Facts:
        """Return what the sensor says of itself, and hand on the state of its battery from now on.

        A sensor that says nothing is no worse for running.
        """
        client = self._client
        if client is None:
            return Facts()
        found: dict[str, bytes] = {}
        with suppress(*radio_errors()):
            async with asyncio.timeout(FACTS_S):
                for uuid in (FIRMWARE_REVISION, MODEL_NUMBER, BATTERY_LEVEL):
                    characteristic = client.services.get_characteristic(uuid)
                    if characteristic is None:
                        continue
                    with suppress(*radio_errors()):
                        found[uuid] = bytes(await client.read_gatt_char(characteristic))
                    if uuid == BATTERY_LEVEL and "notify" in characteristic.properties:
                        await client.start_notify(characteristic, self._on_battery, bluez={"use_start_notify": True})
        return Facts(
            _text(found.get(FIRMWARE_REVISION, b"")),
            _text(found.get(MODEL_NUMBER, b"")),
            _ratio(found.get(BATTERY_LEVEL, b"")),
        )

    async def close(self) -> None:
        """Stop the sensor, if it still hears, and disconnect; whatever state the link is in."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(*radio_errors()):
            async with asyncio.timeout(DISCONNECT_S):
                for stop in self._board.stop if client.is_connected else ():
                    await client.write_gatt_char(stop.uuid, stop.data, response=stop.response)
        with suppress(*radio_errors()):
            async with asyncio.timeout(DISCONNECT_S):
                await client.disconnect()

    # ------------------------------------------------------------ connecting

    async def _connect(self) -> BleakClient:
        from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

        try:
            async with asyncio.timeout(CONNECT_S):
                client = await establish_connection(
                    BleakClientWithServiceCache,
                    self._sighting.device,
                    self._name,
                    disconnected_callback=self._on_disconnected,
                    max_attempts=CONNECT_ATTEMPTS,
                    # the firmware may have been exchanged between two runs
                    use_services_cache=False,
                )
        except radio_errors() as error:
            raise LinkLostError(str(explain(error))) from error
        return client

    def _on_disconnected(self, client: BleakClient) -> None:
        # what comes earlier belongs to an attempt that failed and is followed by another
        if client is self._client:
            self._hand_on(None)
            if self._waiting is not None and not self._waiting[1].done():
                self._waiting[1].set_exception(LinkLostError(f"the connection dropped while {self._name} was set up"))

    # ------------------------------------------------------------ the set-up

    async def _set_up(self, client: BleakClient) -> str:
        dialogue = self._board.set_up()
        try:
            action = next(dialogue)
            while True:
                try:
                    async with asyncio.timeout(ANSWER_S):
                        got = await self._do(client, action)
                except TimeoutError:
                    raise LinkLostError(
                        f"{self._name} did not answer within {ANSWER_S:g} s: switch it off and on"
                    ) from None
                action = dialogue.send(got)
        except StopIteration as end:
            return str(end.value)

    async def _do(self, client: BleakClient, action: Action) -> bytes:
        match action:
            case Read():
                value = bytes(await client.read_gatt_char(action.uuid))
                if action.keep:
                    self._hand_on(Notification(self._role, value, time.monotonic()))
                return value
            case Subscribe():
                # BlueZ' other way, AcquireNotify, loses what comes while the event loop is busy
                await client.start_notify(action.uuid, self._on_notification, bluez={"use_start_notify": True})
                return b""
            case Write():
                return await self._write(client, action)

    async def _write(self, client: BleakClient, action: Write) -> bytes:
        if action.answered is None:
            await client.write_gatt_char(action.uuid, action.data, response=action.response)
            return b""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting = action.answered, answer
        try:
            await client.write_gatt_char(action.uuid, action.data, response=action.response)
            return await answer
        finally:
            self._waiting = None
            answer.cancel()

    # ------------------------------------------------------------ what is heard

    def _on_notification(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        t_host_s = time.monotonic()
        notification = Notification(self._role, bytes(data), t_host_s)
        self._hand_on(notification)
        if self._waiting is not None:
            answers, answer = self._waiting
            if not answer.done() and answers(notification.data):
                answer.set_result(notification.data)

    def _on_battery(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self._hand_on(LinkState(self._role, "connected", time.monotonic(), battery_ratio=_ratio(bytes(data))))

    # ------------------------------------------------------------ what went wrong, in words

    @property
    def _name(self) -> str:
        return self._sighting.label

    def _another_board(self, client: BleakClient, uuid: str) -> LinkError:
        """Return the error of a device that is not the board it was taken for, and name the right one."""
        has = {service.uuid.lower() for service in client.services}
        same = (board for board in BOARDS.values() if board.kind == self._board.kind and board is not self._board)
        right = next((board for board in same if board.gatt.service_uuid in has), None)
        if right is not None:
            advice = f'it is a {right.title}: set sensor.board to "{right.key}", or to "auto"'
        elif self._board.missing:
            return LinkError(f"{self._name}: {self._board.missing}")
        else:
            advice = f"it lacks {uuid}; choose another sensor with --sensor ('hipdrive scan' lists them)"
        return LinkError(f"{self._name} is no {self._board.title}: {advice}")


def _text(value: bytes) -> str:
    """Return a text of the Device Information service without what could steer a terminal."""
    text = value.decode("utf-8", "replace").partition("\0")[0]
    return "".join(sign for sign in text if sign.isprintable()).strip()[:64]


def _ratio(value: bytes) -> float | None:
    return min(value[0], 100) / 100.0 if value else None
