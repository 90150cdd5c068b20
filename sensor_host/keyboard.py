"""Where single keys come from: a terminal, read key by key.

1. Keys are read only where standard input is a terminal and this process stands in its foreground.
2. The terminal is left as it was found: in the end, on an error, when the run is ended by a signal.
3. Nothing waits for a key: the event loop is told when there is one (POSIX), or a thread looks (Windows).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO, TypeAlias

from sensor_host.keys import MOST_AT_ONCE, keys_in

CTRL_C = "\x03"

# 5 ms: how often Windows is asked for a key; taps are timed by it
LOOK_EVERY_S = 0.005

Press: TypeAlias = Callable[[str], object]


class Keyboard(Protocol):
    """Calls for each key while it is open; opened with ``with`` in a running event loop."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_keyboard(press: Press, stream: TextIO | None = None) -> Keyboard | None:
    """Return the keyboard behind ``stream`` (by default standard input), or None where it is no terminal."""
    stream = stream or sys.stdin
    if stream is None:  # pythonw has none
        return None
    try:
        if not stream.isatty():
            return None
        fd = stream.fileno()
    except (OSError, ValueError):  # closed
        return None
    return WindowsKeyboard(press) if sys.platform == "win32" else TerminalKeyboard(press, fd)


class TerminalKeyboard:
    """A POSIX terminal, read key by key and without echo. Ctrl-C and Ctrl-Z stay what they are.

    Parameters
    ----------
    press
        Called in the event loop with each key.
    fd
        The terminal.
    """

    def __init__(self, press: Press, fd: int) -> None:
        self._press = press
        self._fd = fd
        self._before: list[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # a job that was stopped finds the terminal as the shell left it
        self._loop.add_signal_handler(signal.SIGCONT, self._begin)
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        assert self._loop is not None
        self._loop.remove_signal_handler(signal.SIGCONT)
        self._loop.remove_reader(self._fd)
        # From the background the system would stop us for it; and the terminal is the shell's then, as it wants it.
        if self._before is not None and self._in_front():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _begin(self) -> None:
        import termios
        import tty

        if not self._in_front():
            return
        assert self._loop is not None
        try:
            if self._before is None:
                self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSADRAIN)
            self._loop.add_reader(self._fd, self._read)
        except (termios.error, OSError):
            self._loop.remove_reader(self._fd)

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def _read(self) -> None:
        assert self._loop is not None
        if not self._in_front():
            # what is typed belongs to another program now; SIGCONT tells when it is ours again
            self._loop.remove_reader(self._fd)
            return
        try:
            read = os.read(self._fd, MOST_AT_ONCE)
        except OSError:
            read = b""
        if not read:  # the terminal is gone
            self._loop.remove_reader(self._fd)
        for sign in keys_in(read.decode(errors="replace")):
            self._press(sign)


class WindowsKeyboard:
    """The console of Windows: a thread looks for keys, the event loop hears of them."""

    def __init__(self, press: Press, console: Any = None) -> None:
        self._press = press
        self._console = console
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._console is None:
            import msvcrt

            self._console = msvcrt
        self._thread = threading.Thread(
            target=self._look, args=(asyncio.get_running_loop(),), name="keyboard", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            while self._console.kbhit():
                sign = str(self._console.getwch())
                if sign in ("\x00", "\xe0"):  # an arrow or function key: its code follows
                    self._console.getwch()
                elif sign == CTRL_C:  # read as a key when it comes at the moment of looking
                    signal.raise_signal(signal.SIGINT)
                else:
                    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to obey
                        loop.call_soon_threadsafe(self._press, sign)
