"""A sensor over Bluetooth Low Energy: find it, subscribe, stamp what comes, come back after every drop.

How it works
------------
1. Entering looks for the sensor and raises `LinkError` when there is no radio or no sensor, before anything
   is recorded.
2. Iterating connects and hands on what the sensor says of itself, then every notification as it came. It never ends by
   itself: a sensor out of reach may come back.
3. The notification callback is a plain function that takes the time and appends. It never waits and decodes nothing.
4. A link that is silent for ``watchdog_s`` is as good as lost.
5. However a connection ends, its client is disconnected and thrown away: a client that lives on after a drop keeps its
   subscription, and every notification would come twice after the next connect.
6. Each attempt to come back scans first: what was heard just now can be connected to, and an address that the Bluetooth
   service has forgotten cannot. Attempts are apart by a pause that doubles from ``reconnect_min_s`` to
   ``reconnect_max_s`` and starts anew once data flowed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from sensor_host.boards import BOARDS
from sensor_host.boards.board import Read, Subscribe, Write
from sensor_host.config import SensorConfig
from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Mode, Notification, Role, SensorInfo
from sensor_host.scan import Sighting, Wanted, explain, find, radio_errors

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"

# 2 attempts: the first one often fails by interference; more are better spent after another scan
CONNECT_ATTEMPTS = 2

# 5 s: longer than the supervision time-out of a link, after which the other side counts as gone anyway
DISCONNECT_S = 5.0


# 5 s: a sensor that answers at all does so within a second
ANSWER_S = 5.0

Arrivals: TypeAlias = "asyncio.Queue[Notification | LinkState | None]"


class BleSource:
    """One sensor over the radio.

    Parameters
    ----------
    config
        Which sensor, and how patient to be with it.
    role
        What the sensor is for.
    """

    mode = Mode.LIVE

    def __init__(self, config: SensorConfig, role: str = Role.PELVIS) -> None:
        self._config = config
        self._role = role
        self._board = BOARDS[config.board]
        self._wanted = Wanted(self._board.key, config.name, config.address)
        self._sighting: Sighting | None = None
        self._others = 0
        self._client: BleakClient | None = None
        self._heard_data = False

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        """The sensor; its name and address are known once the source was entered."""
        return (
            SensorInfo(
                role=self._role,
                board=self._board.key,
                placement=self._config.placement,
                name=self._sighting.name if self._sighting else self._config.name,
                address=self._sighting.address if self._sighting else self._config.address,
                rate_hz=self._board.motion.rate_hz if self._board.motion else 0.0,
            ),
        )

    async def __aenter__(self) -> Self:
        self._sighting, self._others = await find(self._wanted, self._config.scan_timeout_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._let_go()

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        assert self._sighting is not None, "enter the source first"
        sighting, detail = self._sighting, ""
        if self._others:
            detail = f"the nearest of {self._others + 1} sensors in reach; choose with --name or --address"
        # whoever was chosen stays chosen: another runner's sensor may come nearer
        wanted = Wanted(self._wanted.board, address=sighting.address)
        pause_s = self._config.reconnect_min_s
        while True:
            yield self._state("connecting", sighting, detail)
            arrivals: Arrivals = asyncio.Queue()
            try:
                await self._connect(sighting, arrivals)
                yield self._state("connected", sighting)
                while (arrival := await self._next(arrivals)) is not None:
                    if isinstance(arrival, Notification):
                        self._heard_data = True
                        pause_s = self._config.reconnect_min_s
                    yield arrival
                detail = "the connection dropped"
            except _Silence:
                detail = f"no data for {self._config.watchdog_s:g} s"
            except radio_errors() as error:
                self._refuse_what_no_retry_mends(error)
                detail = str(explain(error))
            finally:
                await self._let_go()
            yield self._state("lost", sighting, detail)
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._config.reconnect_max_s)
                yield self._state("searching", sighting)
                try:
                    sighting, _ = await find(wanted, self._config.scan_timeout_s)
                    break
                except LinkError as error:
                    yield self._state("lost", sighting, str(error))
            detail = ""

    # ------------------------------------------------------------ one connection

    async def _connect(self, sighting: Sighting, arrivals: Arrivals) -> None:
        """Connect, subscribe, start; what is heard from now on goes into ``arrivals``, None when the link is gone."""
        from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

        client = await establish_connection(
            BleakClientWithServiceCache,
            sighting.device,
            sighting.name or sighting.address,
            disconnected_callback=lambda _: arrivals.put_nowait(None),
            max_attempts=CONNECT_ATTEMPTS,
            # the firmware may have been exchanged between two runs
            use_services_cache=False,
        )
        self._client = client
        await self._set_up(client, arrivals)
        await self._watch_battery(client, arrivals)

    async def _set_up(self, client: BleakClient, arrivals: Arrivals) -> None:
        """Do what the board's set-up asks for, answer by answer."""
        set_up = self._board.set_up()
        heard = _Answers(self._role, arrivals)
        got = b""
        with suppress(StopIteration):
            action = next(set_up)
            while True:
                match action:
                    case Read():
                        got = bytes(await client.read_gatt_char(action.uuid))
                        if action.keep:
                            arrivals.put_nowait(Notification(self._role, got, time.monotonic()))
                    case Subscribe():
                        got = b""
                        await client.start_notify(action.uuid, heard.on_notification)
                    case Write():
                        got = await heard.write(client, action)
                action = set_up.send(got)

    async def _watch_battery(self, client: BleakClient, arrivals: Arrivals) -> None:
        """Hear of the battery where the sensor tells it. A sensor that does not is no worse for running."""
        characteristic = client.services.get_characteristic(BATTERY_LEVEL)
        if characteristic is None:
            return

        def on_level(_: BleakGATTCharacteristic, data: bytearray) -> None:
            if data:
                ratio = min(data[0], 100) / 100.0
                arrivals.put_nowait(LinkState(self._role, "connected", time.monotonic(), battery_ratio=ratio))

        with suppress(*radio_errors()):
            on_level(characteristic, await client.read_gatt_char(characteristic))
            if "notify" in characteristic.properties:
                await client.start_notify(characteristic, on_level)

    async def _next(self, arrivals: Arrivals) -> Notification | LinkState | None:
        """Return what was heard next, None when the link is gone."""
        if not arrivals.empty():
            return arrivals.get_nowait()
        try:
            async with asyncio.timeout(self._config.watchdog_s):
                return await arrivals.get()
        except TimeoutError:
            raise _Silence from None

    async def _let_go(self) -> None:
        """Disconnect the client, whatever state its link is in."""
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

    # ------------------------------------------------------------ what is said about it

    def _state(self, state: str, sighting: Sighting, detail: str = "") -> LinkState:
        return LinkState(self._role, state, time.monotonic(), rssi_dbm=sighting.rssi_dbm, detail=detail)

    def _refuse_what_no_retry_mends(self, error: Exception) -> None:
        """Raise `LinkError` for a device that is not the board it was taken for."""
        from bleak.exc import BleakCharacteristicNotFoundError

        # After data has flowed a missing characteristic is a service list that came incomplete; that mends itself.
        if isinstance(error, BleakCharacteristicNotFoundError) and not self._heard_data:
            name = self._sighting.name if self._sighting else ""
            if self._board.missing:
                raise LinkError(f"{name or 'the sensor'}: {self._board.missing}") from error
            raise LinkError(
                f"{name or 'the sensor'} is no {self._board.title}: it lacks {error.char_specifier}; "
                f"set sensor.board (known: {', '.join(BOARDS)}) or choose another sensor with --name"
            ) from error


class _Answers:
    """Hands on what a connection notifies, and tells a write of the set-up what it was answered."""

    def __init__(self, role: str, arrivals: Arrivals) -> None:
        self._role = role
        self._put = arrivals.put_nowait
        self._waiting: tuple[Callable[[bytes], bool], asyncio.Future[bytes]] | None = None

    def on_notification(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        t_host_s = time.monotonic()
        notification = Notification(self._role, bytes(data), t_host_s)
        self._put(notification)
        if self._waiting is not None:
            answers, answer = self._waiting
            if not answer.done() and answers(notification.data):
                answer.set_result(notification.data)

    async def write(self, client: BleakClient, action: Write) -> bytes:
        """Write, and return the answer where one is due."""
        if action.answered is None:
            await client.write_gatt_char(action.uuid, action.data, response=action.response)
            return b""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting = action.answered, answer
        try:
            async with asyncio.timeout(ANSWER_S):
                await client.write_gatt_char(action.uuid, action.data, response=action.response)
                return await answer
        finally:
            self._waiting = None


class _Silence(Exception):  # noqa: N818 - it is no error of the program's user and never leaves this file
    """Nothing was heard for too long."""
