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
from typing import TYPE_CHECKING, Self

from sensor_host.boards import BOARDS
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
        self._wanted = Wanted(self._board.gatt.service_uuid, config.name, config.address)
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
        wanted = Wanted(self._wanted.service_uuid, address=sighting.address)
        pause_s = self._config.reconnect_min_s
        while True:
            yield self._state("connecting", sighting, detail)
            arrivals: asyncio.Queue[Notification | LinkState | None] = asyncio.Queue()
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

    async def _connect(self, sighting: Sighting, arrivals: asyncio.Queue[Notification | LinkState | None]) -> None:
        """Connect, subscribe, start; what is heard from now on goes into ``arrivals``, None when the link is gone."""
        from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

        gatt = self._board.gatt
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
        if gatt.info_uuid:
            info = bytes(await client.read_gatt_char(gatt.info_uuid))
            arrivals.put_nowait(Notification(self._role, info, time.monotonic()))
        await client.start_notify(gatt.notify_uuid, self._stamp_into(arrivals))
        if gatt.control_uuid and gatt.start:
            await client.write_gatt_char(gatt.control_uuid, gatt.start, response=True)
        await self._watch_battery(client, arrivals)

    def _stamp_into(
        self, arrivals: asyncio.Queue[Notification | LinkState | None]
    ) -> Callable[[BleakGATTCharacteristic, bytearray], None]:
        role, monotonic, put = self._role, time.monotonic, arrivals.put_nowait

        def on_notification(_: BleakGATTCharacteristic, data: bytearray) -> None:
            t_host_s = monotonic()
            put(Notification(role, bytes(data), t_host_s))

        return on_notification

    async def _watch_battery(
        self, client: BleakClient, arrivals: asyncio.Queue[Notification | LinkState | None]
    ) -> None:
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

    async def _next(self, arrivals: asyncio.Queue[Notification | LinkState | None]) -> Notification | LinkState | None:
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
        gatt = self._board.gatt
        with suppress(*radio_errors()):
            async with asyncio.timeout(DISCONNECT_S):
                if client.is_connected and gatt.control_uuid and gatt.stop:
                    await client.write_gatt_char(gatt.control_uuid, gatt.stop, response=True)
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
            raise LinkError(
                f"{name or 'the sensor'} is no {self._board.title}: it lacks {error.char_specifier}; "
                f"set sensor.board (known: {', '.join(BOARDS)}) or choose another sensor with --name"
            ) from error


class _Silence(Exception):  # noqa: N818 - it is no error of the program's user and never leaves this file
    """Nothing was heard for too long."""
