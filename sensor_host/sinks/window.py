"""The window sink: opens the plot window of a run. What the window shows it hears from the broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

from sensor_host.config import MqttConfig
from sensor_host.player.children import NO_WINDOW
from sensor_host.ports import Said, SinkState

# -P: nothing that lies in the user's current folder is imported.
WINDOW_COMMAND: Final = (sys.executable, "-P", "-m", "sensor_host.cli", "view")


class WindowSink:
    """Opens the plot window when the session begins. Each goes on when the other ends.

    Parameters
    ----------
    config
        Where the topics are and what holds the password.
    url, runner
        The broker to listen to, and whom to show.
    report
        Called in the event loop with this sink's state whenever it changes.
    command
        How to open the window.
    """

    name = "window"

    def __init__(
        self,
        config: MqttConfig,
        url: str,
        runner: str,
        *,
        report: Callable[[SinkState], None],
        command: Sequence[str] = WINDOW_COMMAND,
    ) -> None:
        settings = (f"mqtt.topic_root={config.topic_root}", f"mqtt.password_env={config.password_env}")
        self._command = [*command, "--broker", url, "--runner", runner]
        self._command += [part for setting in settings for part in ("--set", setting)]
        self._report = report
        self._closing = asyncio.Event()
        self.pid = 0

    def put(self, item: Said) -> None:
        """Take nothing: the window listens to the broker."""

    async def room(self) -> None:
        """Return at once."""

    def close(self) -> None:
        self._closing.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        said: list[str] = []
        ended = asyncio.Event()
        try:
            window = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond, and works on every event loop
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                creationflags=NO_WINDOW,
                # Ctrl-C ends the run, and not the window
                start_new_session=True,
            )
        except OSError as error:
            self._say("failed", str(error))
            return
        self.pid = window.pid
        self._say("ready", "open")
        assert window.stderr is not None

        def listen(pipe: IO[bytes]) -> None:
            with pipe:
                said.extend(line.decode(errors="replace").strip() for line in pipe)
            window.wait()
            with suppress(RuntimeError):  # the run has ended before: nobody is left to hear it
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=listen, args=(window.stderr,), daemon=True, name="window").start()
        closing, dying = (asyncio.ensure_future(event.wait()) for event in (self._closing, ended))
        await asyncio.wait([closing, dying], return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        dying.cancel()
        if ended.is_set():
            self.pid = 0
            why = said[-1].removeprefix("hipdrive: error: ") if said else f"it ended with code {window.returncode}"
            self._say("closed" if window.returncode == 0 else "failed", "" if window.returncode == 0 else why)

    def _say(self, state: str, detail: str) -> None:
        self._report(SinkState(self.name, state, detail))
