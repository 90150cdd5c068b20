"""The console sink: a live screen on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Mapping

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from sensor_host.config import ConsoleConfig
from sensor_host.ports import Said, SessionInfo, SinkState
from sensor_host.screen import Frame, Readings, event_line, frame, status_line

# 10 s of session time between two lines where there is no screen
LINE_EVERY_S = 10.0

# 1 s: a terminal that was stopped (Ctrl-S) must not keep the run from ending
END_TIMEOUT_S = 1.0

# 200 lines: what a pipe that nobody reads may hold back
LINES_WAITING = 200


class ConsoleSink:
    """Shows what the session says.

    Everything said is folded into the readings at once, so nothing queues up and nothing is held back. Writing
    happens in a thread of its own: a terminal that takes no characters never stops the run.

    Parameters
    ----------
    config
        How often the screen is drawn, at most.
    session
        Stands in the header.
    words
        Those of every phrase by its id; without: English.
    console
        Where to; by default standard output.
    keys
        Whether single keys do something: then the screen names them.
    """

    name = "console"

    def __init__(
        self,
        config: ConsoleConfig,
        session: SessionInfo,
        *,
        words: Mapping[str, str] | None = None,
        console: Console | None = None,
        keys: bool = False,
    ) -> None:
        self._console = console if console is not None else Console(highlight=False)
        self._period_s = 1.0 / config.refresh_hz
        self._readings = Readings(session, words)
        self._readings.keys = keys
        self._live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._painter = _Painter(self._console, live=self._live)
        self._next_line_s = LINE_EVERY_S
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def state(self) -> SinkState:
        return SinkState(self.name, "failed" if self._painter.broken else "ready", dropped=self._painter.dropped)

    def put(self, item: Said) -> None:
        if not self._live and (line := event_line(self._readings, item)):
            self._painter.write(line)
        self._readings.take(item)
        if self._readings.changed:
            self._readings.changed = False
            self._changed.set()

    async def room(self) -> None:
        """Return at once: a screen never holds anything back."""

    async def run(self) -> None:
        self._painter.start()
        try:
            while not self._closing.is_set():
                await self._changed.wait()
                self._changed.clear()
                self._show()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._period_s):
                        await self._closing.wait()
            self._show(last=True)
        finally:
            await asyncio.to_thread(self._painter.close)

    def close(self) -> None:
        self._closing.set()
        self._changed.set()

    def _show(self, *, last: bool = False) -> None:
        if self._live:
            size = _size_of(self._console)
            unicode = self._console.encoding.startswith("utf")
            # One line stays free, so that the terminal never scrolls.
            self._painter.show(frame(self._readings, size.width, size.height - 1, unicode=unicode), size)
        elif last or self._readings.t_s >= self._next_line_s:
            self._painter.write(status_line(self._readings))
            self._next_line_s = self._readings.t_s - self._readings.t_s % LINE_EVERY_S + LINE_EVERY_S


def _size_of(console: Console) -> ConsoleDimensions:
    """Return the size the terminal has now; rich remembers that of the first moment where COLUMNS is set."""
    try:
        return ConsoleDimensions(*os.get_terminal_size(console.file.fileno()))
    except (OSError, ValueError):
        return console.size


class _Painter:
    """A thread that writes: always the newest frame, every line."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self.dropped = 0
        self.broken = False
        self._console = console
        self._wake = threading.Condition()
        self._frame: tuple[Frame, ConsoleDimensions] | None = None
        self._lines: deque[str] = deque()
        self._closing = False
        # A daemon: a terminal that never takes another character must not keep the process alive.
        self._thread = threading.Thread(target=self._paint if live else self._print, name="console", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def show(self, picture: Frame, size: ConsoleDimensions) -> None:
        with self._wake:
            self._frame = (picture, size)
            self._wake.notify()

    def write(self, line: str) -> None:
        with self._wake:
            if len(self._lines) >= LINES_WAITING:
                self._lines.popleft()
                self.dropped += 1
            self._lines.append(line)
            self._wake.notify()

    def close(self) -> None:
        """Write what is left; give up after `END_TIMEOUT_S`."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(END_TIMEOUT_S)

    def _paint(self) -> None:
        try:
            live, drawn_size = self._started(), None
            while (shown := self._next_frame()) is not None:
                picture, size = shown
                self._console.size = size
                if drawn_size not in (None, size):
                    # What the terminal wrapped or cut cannot be drawn over: begin with an empty one.
                    live.stop()
                    self._console.clear()
                    live = self._started()
                drawn_size = size
                live.update(picture, refresh=True)
            live.stop()
        except (OSError, ValueError):
            self.broken = True

    def _started(self) -> Live:
        live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        live.start()
        return live

    def _next_frame(self) -> tuple[Frame, ConsoleDimensions] | None:
        with self._wake:
            while self._frame is None and not self._closing:
                self._wake.wait()
            shown, self._frame = self._frame, None
            return shown

    def _print(self) -> None:
        try:
            while (line := self._next_line()) is not None:
                # Not through rich, which ends the process when a reader has gone away.
                print(line, file=self._console.file, flush=True)
        except (OSError, ValueError):
            self.broken = True

    def _next_line(self) -> str | None:
        with self._wake:
            while not self._lines and not self._closing:
                self._wake.wait()
            return self._lines.popleft() if self._lines else None
