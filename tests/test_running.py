"""Ending a run: once in order, twice at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import pytest

from sensor_host.commands.running import EndRequest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_wish_to_end_is_passed_on_and_the_second_aborts(number: signal.Signals) -> None:
    heard: list[str] = []

    async def run(end: EndRequest) -> None:
        ended = asyncio.Event()

        def stop() -> None:
            heard.append("stop")
            ended.set()

        end.call(stop)
        signal.raise_signal(number)
        await ended.wait()
        heard.append("summary")
        signal.raise_signal(number)
        heard.append("never")

    before = signal.getsignal(number)
    with EndRequest() as end, pytest.raises(KeyboardInterrupt):
        asyncio.run(run(end))
    assert heard == ["stop", "summary"]
    assert signal.getsignal(number) == before


def test_before_anything_runs_the_first_wish_aborts() -> None:
    def ask() -> None:
        signal.raise_signal(signal.SIGINT)

    with EndRequest():
        raises(ask)


def raises(call: Callable[[], None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        call()
