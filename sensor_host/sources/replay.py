"""A recording, played as if it happened now: exactly the arrivals the session saw, receipt times included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sensor_host.ports import Arrival, Mode, Notification, SensorInfo
from sensor_host.recording.reader import Recording, read

# unpaced, the loop's other tasks get their turn this often
ARRIVALS_A_TURN = 32


class ReplaySource:
    """Gives the arrivals of a recording.

    Parameters
    ----------
    path
        The recording.
    speed
        1 is real time, 2 twice as fast; None is as fast as it goes.
    start_s, end_s
        The part to play, in seconds since the first data.

    Raises
    ------
    InputError
        When the recording cannot be read.
    """

    mode = Mode.REPLAY

    def __init__(
        self, path: Path, speed: float | None = 1.0, start_s: float | None = None, end_s: float | None = None
    ) -> None:
        self.recording: Recording = read(path)
        self._speed = speed
        self._start_s = start_s
        self._end_s = end_s

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        return self.recording.session.sensors

    @property
    def openings(self) -> tuple[Notification, ...]:
        """The head of each sensor's stream when the replay begins behind it: for `SensorChain.start_behind`."""
        return self.recording.openings() if self._start_s else ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        first_host_s: float | None = None
        for number, arrival in enumerate(self.recording.arrivals(self._start_s, self._end_s)):
            if first_host_s is None:
                first_host_s = arrival.t_host_s
            if self._speed is None:
                if number % ARRIVALS_A_TURN == 0:
                    await asyncio.sleep(0)
            else:
                # from the beginning, not from the arrival before: errors do not add up
                due_s = begin_s + (arrival.t_host_s - first_host_s) / self._speed
                await asyncio.sleep(max(0.0, due_s - loop.time()))
            yield arrival
