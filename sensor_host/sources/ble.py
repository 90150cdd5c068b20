"""A sensor over Bluetooth Low Energy: find it, hand on what it says, come back after every drop.

How it works
------------
1. Entering looks for the sensor and raises `LinkError` when there is no radio or no sensor, before anything
   is recorded. An optional sensor is looked for later and never raises.
2. Iterating connects and hands on what the sensor says of itself, then every notification as it came. It never ends by
   itself: a sensor out of reach may come back, and so may the adapter.
3. A link that is silent for ``watchdog_s`` is as good as lost.
4. Each attempt to come back listens first: what was heard just now can be connected to, and an address that the
   Bluetooth service has forgotten cannot. Who is not heard is listened for without a pause, so that it is found
   within a second of being back. Attempts that fail otherwise are apart by a pause that doubles from
   ``reconnect_min_s`` to ``reconnect_max_s`` and starts anew once data flowed.
5. What keeps the sensor away is said once, not at every attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeAlias

from sensor_host.boards import AUTO, BOARDS
from sensor_host.boards.board import Board
from sensor_host.config import SensorConfig
from sensor_host.connection import Connection, Facts, LinkLostError
from sensor_host.errors import ConfigError, LinkError
from sensor_host.ports import Arrival, LinkState, Mode, Notification, Role, SensorInfo
from sensor_host.scan import Found, NotHeardError, Wanted, find

# 3 turns of the event loop: the bus' bytes are read in the first, taken apart and handed on by the next
LOOK_AGAIN_TURNS = 3

Arrivals: TypeAlias = "asyncio.Queue[Notification | LinkState | None]"


class BleSource:
    """One sensor over the radio.

    Parameters
    ----------
    config
        Which sensor, and how patient to be with it.
    role
        What the sensor is for.
    optional
        The run does well without it: entering does not wait for it, nothing it does raises.
    last
        Address of the sensor used last: taken where several are in reach.
    first
        Set while the sensor that goes first is connected; this one is searched for and connected only then.
    dense
        Have it send as many packets as it can, where the board knows how.
    looking, tell
        While entering: the one is called when it begins to listen, the other is told which sensor was found.
    remember
        Is told, in a thread of its own, which sensor was connected and set up for the first time.

    Raises
    ------
    ConfigError
        When the board is none that can play the role.
    """

    mode = Mode.LIVE

    def __init__(
        self,
        config: SensorConfig,
        role: str = Role.PELVIS,
        *,
        optional: bool = False,
        last: str = "",
        first: asyncio.Event | None = None,
        looking: Callable[[], None] = lambda: None,
        tell: Callable[[Found], None] = lambda _: None,
        dense: bool = False,
        remember: Callable[[Found], None] = lambda _: None,
    ) -> None:
        kind = "heart_rate" if role == Role.HEART_RATE else "motion"
        known = [key for key, board in BOARDS.items() if board.kind == kind]
        if config.board not in (AUTO, *known):
            raise ConfigError(
                f'sensor.board: "{config.board}" is not known; there are: {", ".join((AUTO, *known))}',
                path="sensor.board",
            )
        self._config = config
        self._role = role
        self._optional = optional
        self._first = first
        self._looking = looking
        self._tell = tell
        self._dense = dense
        self._remember = remember
        self._wanted = Wanted(kind, config.board, config.which, last)
        self._board = known[0] if config.board == AUTO else config.board
        self._found: Found | None = None
        self._connection: Connection | None = None
        self._heard_data = False
        self._rssi_dbm: int | None = None
        self._pause_s = config.reconnect_min_s
        self._told = ""
        self._met = self._tried = False

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        """The sensor; its board, name and address are known once the source was entered, unless it is optional."""
        board, found = BOARDS[self._board], self._found
        return (
            SensorInfo(
                role=self._role,
                board=self._board,
                placement=self._config.placement if self._role == Role.PELVIS else "",
                name=found.sighting.name if found else "",
                address=found.sighting.address if found else "",
                rate_hz=board.motion.rate_hz if board.motion else 0.0,
            ),
        )

    async def __aenter__(self) -> Self:
        if not self._optional:
            found = await find(self._wanted, self._config.scan_timeout_s, self._looking)
            self._choose(found)
            self._tell(found)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._let_go()

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        found, quiet = self._found, False
        while True:
            if found is None and not quiet:
                yield self._state("searching")
            while found is None:
                found, words = await self._look()
                if words and words != self._told:
                    self._told = words
                    yield self._state("lost" if self._met else "searching", words)
            self._choose(found)
            if not quiet:
                yield self._state("connecting", self._introduced(found))
            arrivals: Arrivals = asyncio.Queue()
            connection = Connection(self._board_of(found), found.sighting, self._role, arrivals.put_nowait)
            self._connection = connection
            self._tried = quiet = True
            try:
                firmware = await connection.open()
                answers = arrivals.qsize()
                quiet, self._told = False, ""
                yield self._state("connected", firmware=firmware)
                if not self._met:
                    self._met = True
                    await asyncio.to_thread(self._remember, found)
                yield _described(self._state("connected", firmware=firmware), await connection.facts())
                while (arrival := await self._next(arrivals)) is not None:
                    # what came before the set-up was over may be its answers, which prove nothing
                    answers -= 1
                    if answers < 0 and isinstance(arrival, Notification):
                        self._heard_data = True
                        self._pause_s = self._config.reconnect_min_s
                    yield arrival
                words = "the connection dropped"
            except _Silence:
                words = f"no data for {self._config.watchdog_s:g} s"
            except LinkLostError as error:
                words = str(error)
            except LinkError as error:
                # after data has flowed, what seems final is a device that answered badly once
                if not (self._heard_data or self._optional):
                    raise
                words = str(error)
            finally:
                await self._let_go()
            if words != self._told:
                self._told = words
                yield self._state("lost", words)
            found = None
            # a device that was let go just now refuses; one that fails again and again has to be spared
            await self._pause()

    # ------------------------------------------------------------ one search, one connection

    async def _look(self) -> tuple[Found | None, str]:
        """Listen once, when it is this sensor's turn; return what was found, else why nothing was."""
        if self._first is not None:
            await self._first.wait()
        try:
            return await find(self._wanted, self._config.scan_timeout_s, connected_too=not self._tried), ""
        except LinkError as error:
            # listening costs the radio time, which belongs to the sensor that the run is about
            if self._optional or not isinstance(error, NotHeardError):
                await self._pause()
            return None, str(error)

    async def _pause(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, self._config.reconnect_max_s)

    async def _next(self, arrivals: Arrivals) -> Notification | LinkState | None:
        """Return what was heard next, None when the link is gone."""
        if not arrivals.empty():
            return arrivals.get_nowait()
        try:
            async with asyncio.timeout(self._config.watchdog_s):
                return await arrivals.get()
        except TimeoutError:
            # a loop that itself stood still finds the deadline passed before it has read what waits for it
            for _ in range(LOOK_AGAIN_TURNS):
                await asyncio.sleep(0)
                if not arrivals.empty():
                    return arrivals.get_nowait()
            raise _Silence from None

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # ------------------------------------------------------------ which one

    def _choose(self, found: Found) -> None:
        """Take this sensor and stay with it: another runner's may come nearer."""
        self._found, self._board, self._rssi_dbm = found, found.board, found.sighting.rssi_dbm
        self._wanted = Wanted(self._wanted.kind, found.board, found.sighting.address)

    def _introduced(self, found: Found) -> str:
        """Return why it is this one; of an optional sensor also which, for nothing else in a recording says it."""
        if not self._optional:
            return found.why
        who = f"{found.sighting.label} ({found.sighting.address})"
        return f"{who}, {found.why}" if found.why else who

    def _board_of(self, found: Found) -> Board:
        board = BOARDS[found.board]
        return replace(board, set_up=board.dense_set_up) if self._dense and board.dense_set_up else board

    def _state(self, state: str, detail: str = "", firmware: str = "") -> LinkState:
        return LinkState(self._role, state, time.monotonic(), rssi_dbm=self._rssi_dbm, detail=detail, firmware=firmware)


def _described(state: LinkState, facts: Facts) -> LinkState:
    """Return a state with what the sensor says of itself; its set-up knows its firmware better."""
    return replace(
        state, battery_ratio=facts.battery_ratio, firmware=state.firmware or facts.firmware, model=facts.model
    )


class _Silence(Exception):  # noqa: N818 - it is no error of the program's user and never leaves this file
    """Nothing was heard for too long."""
