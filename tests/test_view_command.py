"""``hipdrive view`` and ``--view``: whatever is missing is one clear line; run and window outlive each other."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor_host.config import MqttConfig
from sensor_host.errors import ConfigError
from sensor_host.messages import SamplesPacket
from sensor_host.ports import SinkState
from sensor_host.sinks.window import WindowSink
from sensor_host.view import display
from sensor_host.view.wire import Item, Received
from tests.view_run import Broker, Host, listening, open_broker, says

Needs = Callable[[str], str]
ROOT = Path(__file__).resolve().parent.parent
CLI = (sys.executable, "-m", "sensor_host.cli")


def view(*options: str, without: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command where no display is but what ``environment`` names, ``without`` a package."""
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    code = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    code += "from sensor_host.cli import main; main(['view', *__import__('sys').argv[1:]])"
    return subprocess.run(
        [sys.executable, "-c", code, *options],
        env=env | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_one_line(ended: subprocess.CompletedProcess[str], code: int, *words: str) -> bool:
    assert ended.returncode == code, ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert all(word in ended.stderr for word in words), ended.stderr
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a display")
def test_no_display_is_one_line() -> None:
    assert is_one_line(view(), 2, "no display here", "--broker")


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_a_display_that_does_not_answer_is_one_line() -> None:
    assert is_one_line(view(DISPLAY=":987"), 2, "no display answers", ":987")


@pytest.mark.skipif(sys.platform != "linux", reason="Wayland")
def test_a_compositor_that_does_not_answer_is_one_line() -> None:
    assert is_one_line(view(WAYLAND_DISPLAY="wayland-987"), 2, "no display answers", "wayland-987")


@pytest.mark.parametrize("package", ["PySide6", "pyqtgraph"])
def test_without_the_extra_it_is_one_line(package: str) -> None:
    ended = view(without=package, QT_QPA_PLATFORM="offscreen")
    assert is_one_line(ended, 2, 'pip install "hipdrive[view]"')


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("libxcb-cursor.so.0", "apt-get install libxcb-cursor0"),
        ("libEGL.so.1", "apt-get install libegl1"),
        ("libnew.so.7", "libnew.so.7: cannot open shared object file"),
    ],
)
def test_a_missing_library_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, library: str, advice: str
) -> None:
    def refuse(_: str) -> Any:
        raise OSError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=advice):
        display.check_display()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--broker", "http://x"), ("mqtt://",)),
        (("--broker", "off"), ("mqtt.broker",)),
        (("--set", "mqtt.port=many"), ("mqtt.port",)),
    ],
)
def test_a_broker_that_is_none_is_one_line(options: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert is_one_line(view(*options, QT_QPA_PLATFORM="offscreen"), 2, *words)


@pytest.fixture
def broker(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> Iterator[Broker]:
    with open_broker(needs, tmp_path, unused_tcp_port) as opened:
        yield opened


def test_a_broker_that_refuses_is_one_line(needs: Needs, tmp_path: Path, unused_tcp_port: int) -> None:
    with open_broker(needs, tmp_path, unused_tcp_port, anonymous=False) as broker:
        ended = view("--broker", broker.url, QT_QPA_PLATFORM="offscreen")
    assert is_one_line(ended, 6, "wants a user", "--broker mqtt://USER@")


# ---------------------------------------------------------------- run and window


@contextlib.contextmanager
def demo(broker: Broker, *options: str, for_s: int = 60) -> Iterator[subprocess.Popen[str]]:
    run = subprocess.Popen(
        [*CLI, "demo", "--broker", broker.url, "--for", str(for_s), "--no-sound", "--no-record", *options],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield run
    finally:
        run.kill()
        run.communicate()


def test_a_run_that_is_killed_is_said_to_be_lost(broker: Broker) -> None:
    with listening(broker) as (_, ear), demo(broker, "--no-console") as run:
        ear.until(lambda item: isinstance(item, Received))
        run.send_signal(signal.SIGKILL)
        ear.until(says("lost"))


@pytest.mark.skipif(sys.platform != "linux", reason="its children are found in /proc")
def test_a_window_that_is_killed_is_told_of_and_the_run_goes_on(broker: Broker) -> None:
    def is_sink(state: str) -> Callable[[Item], bool]:
        return lambda item: (
            isinstance(item, Received)
            and isinstance(item.heard.item, SinkState)
            and (item.heard.item.sink, item.heard.item.state) == ("window", state)
        )

    def is_motion(item: Item) -> bool:
        return isinstance(item, Received) and isinstance(item.heard.item, SamplesPacket)

    with listening(broker) as (_, ear), demo(broker, "--no-console", "--view") as run:
        ear.until(is_sink("ready"))
        windows = [
            pid for pid in children(run.pid) if b"view" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]
        os.kill(windows[0], signal.SIGKILL)
        ear.until(is_sink("failed"))
        # motion that was made after that
        ear.until(is_motion)
        assert run.poll() is None


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


async def test_a_window_outlives_its_run_and_ends_when_it_is_asked_to(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    states: asyncio.Queue[SinkState] = asyncio.Queue()
    sink = WindowSink(MqttConfig(), broker.url, "ada", report=states.put_nowait)
    async with asyncio.timeout(30):
        running = asyncio.create_task(sink.run())
        assert (await states.get()).state == "ready"
        sink.close()
        await running
    try:
        assert os.waitpid(sink.pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(sink.pid, signal.SIGKILL)


async def test_a_window_that_cannot_be_opened_says_why_and_the_run_goes_on() -> None:
    states: asyncio.Queue[SinkState] = asyncio.Queue()
    refusing = (sys.executable, "-c", "import sys; sys.exit('hipdrive: error: there is no display here')")
    sink = WindowSink(MqttConfig(), "mqtt://127.0.0.1", "ada", report=states.put_nowait, command=refusing)
    async with asyncio.timeout(30):
        await sink.run()
    told = [states.get_nowait() for _ in range(states.qsize())]
    assert [(state.state, state.detail) for state in told] == [
        ("ready", "open"),
        ("failed", "there is no display here"),
    ]


def test_a_real_window_shows_and_ends_with_a_signal(needs: Needs, broker: Broker) -> None:
    with screen(needs) as display_name:
        window = subprocess.Popen(
            [*CLI, "view", "--broker", broker.url],
            env={k: v for k, v in os.environ.items() if k not in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY")}
            | {"DISPLAY": display_name},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with Host(broker.url) as host:
                # the window asks for the history as soon as it has heard of somebody
                assert host.asked.wait(30)
            # a broker that goes is said in the window, not in the terminal
            broker.kill()
            window.send_signal(signal.SIGTERM)
            _, told = window.communicate(timeout=30)
        finally:
            window.kill()
            window.wait()
    assert (window.returncode, told) == (0, "")


@contextlib.contextmanager
def screen(needs: Needs) -> Iterator[str]:
    """Open a display that nobody sees."""
    read, write = os.pipe()
    server = subprocess.Popen(
        [needs("Xvfb"), "-displayfd", str(write), "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()
