"""Several sensors as one source: the first decides, the others never get in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

import pytest

from sensor_host.errors import LinkError
from sensor_host.ports import Arrival, LinkState, Mode, Notification, SensorInfo
from sensor_host.sources.together import Together


class Scripted:
    """A source that gives what a test puts in; an exception is raised, None ends it."""

    mode = Mode.LIVE

    def __init__(self, role: str, *script: Arrival | Exception | None) -> None:
        self.sensors = (SensorInfo(role, "timed"),)
        self.role = role
        self.script: asyncio.Queue[Arrival | Exception | None] = asyncio.Queue()
        for item in script:
            self.script.put_nowait(item)
        self.events: list[str] = []

    async def __aenter__(self) -> Self:
        self.events.append("entered")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.append("left")

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        try:
            while (item := await self.script.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.events.append("ended")


def data(role: str, number: int) -> Notification:
    return Notification(role, bytes([number]), float(number))


async def everything(source: Together) -> list[Arrival]:
    async with source:
        return [arrival async for arrival in source]


async def test_arrivals_of_all_come_in_the_order_in_which_they_came() -> None:
    first, other = Scripted("pelvis"), Scripted("heart_rate")
    given = [data("pelvis", 0), data("heart_rate", 1), data("pelvis", 2), data("pelvis", 3), data("heart_rate", 4)]
    got: list[Arrival] = []
    async with Together(first, other) as source, aclosing(aiter(source)) as arrivals:
        for item in given:
            (first if item.role == "pelvis" else other).script.put_nowait(item)
            got.append(await anext(arrivals))
    assert got == given
    assert [sensor.role for sensor in source.sensors] == ["pelvis", "heart_rate"]


async def test_it_ends_with_the_first_and_everything_is_closed_innermost_first() -> None:
    first, other = Scripted("pelvis", data("pelvis", 1), None), Scripted("heart_rate")
    assert await everything(Together(first, other)) == [data("pelvis", 1)]
    assert first.events == other.events == ["entered", "ended", "left"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("error", "says"), [(LinkError("no strap"), "no strap"), (ZeroDivisionError("oops"), "ZeroDivisionError: oops")]
)
async def test_another_that_fails_is_said_to_be_closed_and_the_first_goes_on(error: Exception, says: str) -> None:
    first, other = Scripted("pelvis"), Scripted("heart_rate", error)
    async with Together(first, other) as source, aclosing(aiter(source)) as arrivals:
        closed = await anext(arrivals)
        first.script.put_nowait(data("pelvis", 1))
        assert await anext(arrivals) == data("pelvis", 1)
    assert isinstance(closed, LinkState)
    assert (closed.role, closed.state, closed.detail) == ("heart_rate", "closed", says)


async def test_another_that_is_exhausted_ends_nothing() -> None:
    first, other = Scripted("pelvis", data("pelvis", 1)), Scripted("heart_rate", None)
    async with Together(first, other) as source, aclosing(aiter(source)) as arrivals:
        assert await anext(arrivals) == data("pelvis", 1)
        first.script.put_nowait(None)
        assert [arrival async for arrival in arrivals] == []


async def test_the_error_of_the_first_is_raised_behind_what_it_gave() -> None:
    first, other = Scripted("pelvis", data("pelvis", 1), LinkError("unsupported firmware")), Scripted("heart_rate")
    async with Together(first, other) as source, aclosing(aiter(source)) as arrivals:
        assert await anext(arrivals) == data("pelvis", 1)
        with pytest.raises(LinkError, match="unsupported firmware"):
            await anext(arrivals)
    assert other.events == ["entered", "ended", "left"]


async def test_one_that_cannot_be_entered_leaves_none_open() -> None:
    class Absent(Scripted):
        async def __aenter__(self) -> Self:
            raise LinkError("no sensor")

    first = Scripted("pelvis")
    with pytest.raises(LinkError, match="no sensor"):
        async with Together(first, Absent("heart_rate")):
            pass
    assert first.events == ["entered", "left"]


async def test_the_others_are_told_whether_the_first_is_connected() -> None:
    connected = asyncio.Event()
    first = Scripted("pelvis")
    async with Together(first, connected=connected) as source, aclosing(aiter(source)) as arrivals:
        for state, is_set in (("connecting", False), ("connected", True), ("lost", False), ("connected", True)):
            first.script.put_nowait(LinkState("pelvis", state, 0.0))
            await anext(arrivals)
            assert connected.is_set() is is_set


async def test_leaving_in_the_middle_of_an_iteration_stops_them_all() -> None:
    first, other = Scripted("pelvis", data("pelvis", 1)), Scripted("heart_rate")
    async with asyncio.timeout(10):
        async with Together(first, other) as source:
            arrivals = aiter(source)
            await anext(arrivals)
    assert first.events == other.events == ["entered", "ended", "left"]


async def test_a_run_that_is_stopped_stops_them_all() -> None:
    first, other = Scripted("pelvis"), Scripted("heart_rate")
    began = asyncio.Event()

    async def run() -> None:
        async with Together(first, other) as source:
            began.set()
            async for _ in source:
                pass

    task = asyncio.ensure_future(run())
    await began.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert first.events[-1] == other.events[-1] == "left"
