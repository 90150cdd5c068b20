"""The host's end of the player: start it, hand it orders without ever waiting, hear its reports."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from sensor_host.player.children import NO_WINDOW, ask
from sensor_host.player.orders import Order, Report, Setup, read_report, write_line

# -P: nothing that lies in the user's current folder is imported.
PLAYER_COMMAND = (sys.executable, "-P", "-m", "sensor_host.player")

# 64 orders: twenty seconds of ticks; a player that is further behind would only drop them as stale
ORDERS_WAITING = 64

# 2 s: the player needs a few milliseconds to end once its standard input is closed
END_TIMEOUT_S = 2.0

# 15 s: a cold start with a slow sound server and a slow voice
PROBE_TIMEOUT_S = 15.0


class PlayerProcess:
    """A running player.

    Plain threads at plain pipes, because the event loop that MQTT needs on Windows knows no subprocesses.

    Parameters
    ----------
    on_report
        Is called with each report, by a thread.
    on_end
        Is called once when the player has ended, by a thread, with its exit code and the last line it complained with.
    """

    def __init__(
        self,
        on_report: Callable[[Report], None],
        on_end: Callable[[int, str], None],
        command: Sequence[str] = PLAYER_COMMAND,
    ) -> None:
        self._on_report = on_report
        self._on_end = on_end
        self._orders: queue.Queue[bytes | None] = queue.Queue(ORDERS_WAITING)
        self._complaints: deque[str] = deque(maxlen=20)
        self._child = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=NO_WINDOW,
        )
        self.pid = self._child.pid
        assert self._child.stdin
        assert self._child.stdout
        assert self._child.stderr
        self._threads = [
            threading.Thread(target=self._write, args=(self._child.stdin,), daemon=True),
            threading.Thread(target=self._listen, args=(self._child.stderr,), daemon=True),
        ]
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        for thread in (*self._threads, self._reader):
            thread.start()

    def send(self, order: Order) -> bool:
        """Hand an order over; return False where the player is too far behind to take it."""
        try:
            self._orders.put_nowait(write_line(order))
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End the player and wait until it is gone; blocks for `END_TIMEOUT_S` at most, then ends it by force."""
        self._release_writer()
        try:
            self._child.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(END_TIMEOUT_S)

    def _release_writer(self) -> None:
        """Let the writing thread close the pipe; what still waits is not worth waiting for."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._orders.get_nowait()
        with contextlib.suppress(queue.Full):
            self._orders.put_nowait(None)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with pipe:
                while (line := self._orders.get()) is not None:
                    pipe.write(line)
                    pipe.flush()
        except OSError:
            pass  # the player is gone; `on_end` says so

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._complaints.append(line.decode(errors="replace").strip())

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                try:
                    report = read_report(line)
                except msgspec.DecodeError:
                    continue  # a library that prints to standard output
                self._on_report(report)
        code = self._child.wait()
        self._release_writer()
        for thread in self._threads:
            thread.join(END_TIMEOUT_S)
        self._on_end(code, self._complaints[-1] if self._complaints else "")


def probe(setup: Setup, timeout_s: float = PROBE_TIMEOUT_S, command: Sequence[str] = PLAYER_COMMAND) -> Report | None:
    """Start a player, return what it says about its device and voice, and end it; None where it says nothing."""
    try:
        done = ask(command, timeout_s, write_line(setup))
    except (OSError, subprocess.SubprocessError):
        return None
    for line in done.stdout.splitlines():
        try:
            return read_report(line)
        except msgspec.DecodeError:
            continue
    return None
