"""Several sensors of one run as one source: the one that the run is about, and others that may be there or not.

1. The first source decides: without it nothing begins, it ends the iteration, its errors are the run's.
2. The others never delay it and never end the run. One that fails is said to be closed, with the reason.
3. Arrivals come in the order in which the sources gave them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeAlias

from sensor_host.errors import HipdriveError
from sensor_host.ports import Arrival, LinkState, SensorInfo, Source

_log = logging.getLogger(__name__)

# None: the first source is exhausted; an exception: it gave up
_Item: TypeAlias = "Arrival | Exception | None"


class Together:
    """Merges sources into one.

    Parameters
    ----------
    first
        The source that the run is about.
    others
        Sources of sensors that are optional; each has one sensor, of another role than the rest.
    connected
        Is set while a sensor of ``first`` is connected, for those of the others that wait for it.
    """

    def __init__(self, first: Source, *others: Source, connected: asyncio.Event | None = None) -> None:
        self.mode = first.mode
        self._first = first
        self._others = others
        self._connected = connected or asyncio.Event()
        self._stack = AsyncExitStack()
        self._pumps: list[asyncio.Task[None]] = []

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        """The sensors of all sources, those of the first one first."""
        return tuple(sensor for source in (self._first, *self._others) for sensor in source.sensors)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for source in (self._first, *self._others):
                await stack.enter_async_context(source)
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # whatever ended the run is not the business of the pumps: they are stopped, not failed
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        arrivals: asyncio.Queue[_Item] = asyncio.Queue()
        self._pumps = [
            self._group.create_task(self._pump_first(arrivals), name="first sensor"),
            *(self._group.create_task(self._pump(other, arrivals), name="other sensor") for other in self._others),
        ]
        try:
            while (item := await arrivals.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._stop()

    def _stop(self) -> None:
        for pump in self._pumps:
            pump.cancel()

    async def _pump_first(self, arrivals: asyncio.Queue[_Item]) -> None:
        try:
            async for arrival in self._first:
                if isinstance(arrival, LinkState):
                    (self._connected.set if arrival.state == "connected" else self._connected.clear)()
                arrivals.put_nowait(arrival)
        except Exception as error:  # noqa: BLE001 - it is raised where the source is iterated
            arrivals.put_nowait(error)
        else:
            arrivals.put_nowait(None)

    async def _pump(self, source: Source, arrivals: asyncio.Queue[_Item]) -> None:
        try:
            async for arrival in source:
                arrivals.put_nowait(arrival)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the run
            role = source.sensors[0].role
            if not isinstance(error, HipdriveError):
                _log.error("%s failed, the run goes on", role, exc_info=error)
            detail = str(error) if isinstance(error, HipdriveError) else f"{type(error).__name__}: {error}"
            arrivals.put_nowait(LinkState(role, "closed", time.monotonic(), detail=detail))
