"""Single keys during a run: what they do, and that the terminal is left as it was."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pelvis.data import Command, Marker
from sensor_host.keyboard import WindowsKeyboard, open_keyboard
from sensor_host.keys import KEYS, keys_in, press
from sensor_host.ports import Injected
from sensor_host.recording.reader import read

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios

LONG_S = 60.0


class Asked:
    """What keys asked of a session."""

    def __init__(self, *, muted: bool = False) -> None:
        self.muted = muted
        self.items: list[Marker | Command] = []
        self.stopped = False

    def now_s(self) -> float:
        return 12.5

    def inject(self, item: Marker | Command) -> None:
        self.items.append(item)

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    ("sign", "muted", "item"),
    [
        ("n", False, Marker(12.5, "", "note")),
        ("l", False, Marker(12.5, "", "lap")),
        ("L", False, Marker(12.5, "", "lap")),
        ("m", False, Command(12.5, "mute")),
        ("m", True, Command(12.5, "unmute")),
        ("s", False, Command(12.5, "swap_sides")),
    ],
)
def test_a_key_gives_the_session_what_a_listener_would_command(sign: str, muted: bool, item: object) -> None:
    asked = Asked(muted=muted)
    assert press(sign, asked)
    assert asked.items == [item]
    assert not asked.stopped


def test_one_key_ends_the_run_and_all_that_are_shown_do_something() -> None:
    asked = Asked()
    assert press("q", asked)
    assert asked.stopped
    assert not asked.items
    assert all(press(key.sign, Asked()) for key in KEYS)
    assert not press("x", Asked())


@pytest.mark.parametrize("sent", ["\x1b[A", "\x1bOP", "\x1b[200~quit\x1b[201~", "slqm" * 16])
def test_arrows_function_keys_and_what_is_pasted_are_no_keys(sent: str) -> None:
    assert keys_in(sent) == ""


def test_where_standard_input_is_no_terminal_there_is_no_keyboard() -> None:
    assert open_keyboard(lambda _: None, io.StringIO("q")) is None
    closed = io.StringIO()
    closed.close()
    assert open_keyboard(lambda _: None, closed) is None


async def test_on_windows_keys_are_read_one_by_one_and_function_keys_are_not_taken_for_letters() -> None:
    class Console:
        waiting = ["m", "\xe0", "s", "q"]  # noqa: RUF012 - \xe0 s is a function key

        def kbhit(self) -> bool:
            return bool(self.waiting)

        def getwch(self) -> str:
            return self.waiting.pop(0)

    pressed: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(LONG_S):
        with WindowsKeyboard(pressed.put_nowait, Console()):
            assert [await pressed.get(), await pressed.get()] == ["m", "q"]
    assert pressed.empty()


# ---------------------------------------------------------------- a run in a terminal

IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from sensor_host.cli import main
main()
"""


class Run:
    """A demonstration in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.modes = self.modes_now()
        self._text = ""
        self._news = threading.Condition()
        options = ["--set", "mqtt.broker=off", "--no-sound", "--set", f"recording.directory={folder}"]
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-c", IN_A_TERMINAL, "demo", *options],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "LINES": "40"},
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                with self._news:
                    self._text += data.decode(errors="replace")
                    self._news.notify_all()

    def shows(self, words: str) -> None:
        """Wait until the words are shown after whatever was waited for before."""
        with self._news:
            assert self._news.wait_for(lambda: words in self._text, LONG_S), self._text[-3000:]
            self._text = self._text.partition(words)[2]

    def types(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def modes_now(self) -> list[object]:
        return list(termios.tcgetattr(self._slave))

    def set_modes(self, modes: list[object]) -> None:
        termios.tcsetattr(self._slave, termios.TCSANOW, modes)  # type: ignore[arg-type]

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self._slave)
        self._thread.join()
        os.close(self._master)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Run]:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals that Python can open")
    run = Run(tmp_path)
    yield run
    run.close()


def injected(folder: Path) -> list[object]:
    recording = next(folder.glob("*.mcap"))
    items = [arrival.item for arrival in read(recording).arrivals() if isinstance(arrival, Injected)]
    return [(item.kind, item.text) if isinstance(item, Marker) else getattr(item, "name", item) for item in items]


def test_keys_reach_the_recording_and_the_last_one_ends_the_run(demo: Run, tmp_path: Path) -> None:
    demo.shows("swap sides")
    assert demo.modes_now() != demo.modes  # else a key would come only with its line
    for keys, shown in (("l", "lap at 0:00:"), ("m", "speak again"), ("m", "mute"), ("n", "note at 0:00:")):
        demo.types(keys)
        demo.shows(shown)
    demo.types("s")
    demo.types("q")
    demo.shows("steps")
    assert demo.child.wait(LONG_S) == 0
    assert demo.modes_now() == demo.modes
    assert injected(tmp_path) == [("lap", ""), "mute", "unmute", ("note", ""), "swap_sides"]


def test_a_run_that_is_killed_leaves_the_terminal_as_it_was(demo: Run) -> None:
    demo.shows("swap sides")
    assert demo.modes_now() != demo.modes
    demo.child.send_signal(signal.SIGTERM)
    assert demo.child.wait(LONG_S) == 0
    assert demo.modes_now() == demo.modes


def test_a_run_that_was_stopped_and_goes_on_hears_its_keys_again(demo: Run) -> None:
    demo.shows("swap sides")
    reading = demo.modes_now()
    demo.child.send_signal(signal.SIGSTOP)
    os.waitpid(demo.child.pid, os.WUNTRACED)
    demo.set_modes(demo.modes)  # as a shell does
    demo.child.send_signal(signal.SIGCONT)
    demo.types("l")  # comes with the line at the latest; without a line only where keys are read one by one
    demo.shows("lap at 0:00:")
    assert demo.modes_now() == reading
    demo.types("q")
    assert demo.child.wait(LONG_S) == 0
