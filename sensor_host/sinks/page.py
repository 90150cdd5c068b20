"""The page sink: keeps the phone page's server alive. What the page shows it hears from the broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

import msgspec

from sensor_host.page.orders import Serving
from sensor_host.player.children import NO_WINDOW
from sensor_host.ports import Said, SinkState

# -P: nothing that lies in the user's current folder is imported.
PAGE_COMMAND: Final = (sys.executable, "-P", "-m", "sensor_host.page")

# A server that died is started again after 0.5, 1, 2 ... 30 s: at once would load a machine that is in trouble.
RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
# 60 s: a server that lived this long had no trouble starting
STEADY_S: Final = 60.0
# 2 s: it ends a few milliseconds after its standard input was closed
END_TIMEOUT_S: Final = 2.0


class PageSink:
    """Runs the page's server beside the session; a server that dies is said and started again.

    Parameters
    ----------
    serving
        What the server is told.
    link
        The page's address, for its state.
    report
        Called in the event loop with this sink's state whenever it changes.
    command
        How to start the server.
    restart_min_s
        The first pause before a dead server is started again.
    """

    name = "page"

    def __init__(
        self,
        serving: Serving,
        link: str,
        *,
        report: Callable[[SinkState], None] | None = None,
        command: Sequence[str] = PAGE_COMMAND,
        restart_min_s: float = RESTART_MIN_S,
    ) -> None:
        self._order = msgspec.json.encode(serving) + b"\n"
        self._link = link
        self._report = report
        self._command = list(command)
        self._restart_min_s = restart_min_s
        self._closing = asyncio.Event()
        self._state = SinkState(self.name, "waiting", "starting")
        self.pid = 0

    @property
    def state(self) -> SinkState:
        return self._state

    def put(self, item: Said) -> None:
        """Take nothing: the page listens to the broker."""

    async def room(self) -> None:
        """Return at once."""

    def close(self) -> None:
        self._closing.set()

    async def run(self) -> None:
        pause_s = self._restart_min_s
        while True:
            started_s = time.monotonic()
            reason = await self._serve()
            if self._closing.is_set():
                break
            if time.monotonic() - started_s > STEADY_S:
                pause_s = self._restart_min_s
            self._say("waiting", f"the page's server ended ({reason}); it starts again in {pause_s:g} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            if self._closing.is_set():
                break
            pause_s = min(2 * pause_s, RESTART_MAX_S)
        self._say("closed", "")

    async def _serve(self) -> str:
        """Run one server until it or the session ends; return why it ended."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        said: list[str] = []

        def ready() -> None:
            self._say("ready", self._link)

        # Plain threads at plain pipes, because the event loop that MQTT needs on Windows knows no subprocesses.
        def listen(pipe: IO[bytes]) -> None:
            with pipe, suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
                for line in pipe:
                    said.append(line.decode(errors="replace").strip())
                    if line.startswith(b"ready"):
                        loop.call_soon_threadsafe(ready)
                loop.call_soon_threadsafe(ended.set)

        try:
            child = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond, and works on every event loop
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                creationflags=NO_WINDOW,
                # Ctrl-C goes to every process of the terminal: the page shows the run's end.
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        assert child.stdin is not None
        assert child.stdout is not None
        self.pid = child.pid
        listener = threading.Thread(target=listen, args=(child.stdout,), daemon=True)
        listener.start()
        with suppress(OSError):
            child.stdin.write(self._order)
            child.stdin.flush()
        try:
            closing = asyncio.ensure_future(self._closing.wait())
            dying = asyncio.ensure_future(ended.wait())
            await asyncio.wait([closing, dying], return_when=asyncio.FIRST_COMPLETED)
            closing.cancel()
            dying.cancel()
        finally:
            self.pid = 0
            await asyncio.to_thread(_end, child, listener)
        return said[-1] if said and not said[-1].startswith("ready") else f"exit code {child.returncode}"

    def _say(self, state: str, detail: str) -> None:
        self._state = SinkState(self.name, state, detail)
        if self._report is not None:
            self._report(self._state)


def _end(child: subprocess.Popen[bytes], listener: threading.Thread) -> None:
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    listener.join(END_TIMEOUT_S)
