"""Take the pictures of docs/view.md: ``python docs/view_pictures.py``. Takes a minute; needs Xvfb where there is no display.

Three simulated runners publish to one broker, the first two minutes as fast as it goes, then in real time; windows of
several sizes and both looks listen to it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from pelvis.pipeline import Settings
from pelvis.simulate import Drift, Scenario
from sensor_host.broker import EmbeddedBroker
from sensor_host.broker_client import BrokerAddress
from sensor_host.coaching import coaching
from sensor_host.config import CuesConfig, MqttConfig
from sensor_host.outbox import Policy
from sensor_host.ports import Arrival, Mode, Notification, SessionInfo
from sensor_host.session import Session
from sensor_host.sinks.mqtt import MqttSink
from sensor_host.sources.simulated import SimulatedSource
from sensor_host.view.roster import Roster
from sensor_host.view.theme import THEMES
from sensor_host.view.window import Window
from sensor_host.view.wire import Place, Wire

IMG = Path(__file__).resolve().parent / "img"
RUNNERS = {"anna": 3.0, "ben": 3.4, "chiara": 3.8}
# name, width, height, theme, whom to show, how the window is turned
PICTURES = (
    ("view-dark", 1280, 720, "dark", "anna", ""),
    ("view-sun", 1920, 1080, "sun", "anna", ""),
    ("view-runners", 1280, 720, "dark", "", ""),
    ("view-strides", 1280, 720, "sun", "anna", "strides"),
    ("view-number", 640, 400, "dark", "anna", "number"),
)
# the left drop grows from 90 s on and is told at 117 s; at 120 s it stands in the picture with what led to it
FAST_S, PICTURE_S, END_S = 112.0, 120.0, 140.0


class Hurried(SimulatedSource):
    """A simulated runner whose first minutes pass as fast as they can, and the rest as they would."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        super().__init__(scenario, seed, paced=False, duration_s=END_S)

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        loop = asyncio.get_running_loop()
        begin_s = None
        async for arrival in super().__aiter__():
            if isinstance(arrival, Notification) and arrival.t_host_s > FAST_S:
                begin_s = loop.time() if begin_s is None else begin_s
                await asyncio.sleep(max(0.0, begin_s + arrival.t_host_s - FAST_S - loop.time()))
            yield arrival


async def run(name: str, speed_mps: float, seed: int, url: str, ending: asyncio.Event) -> None:
    """Let one runner run until it is enough."""
    drift = Drift(start_s=90.0, end_s=100.0, drop_left_deg=3.5)
    source = Hurried(Scenario(speed_mps=speed_mps, standing_s=5.0, drifts=(drift,)), seed)
    info = SessionInfo(f"2026-{name}", name, Mode.SIMULATED, "2026-05-09T07:30:00Z", 7200, source.sensors)
    cues, rules = coaching(CuesConfig(warm_up_s=0.0, learn_s=30.0, dwell_ratio=0.3))
    async with source:
        session = Session(info, source, Settings(motion=True, cues=cues, rules=rules))
        session.add(MqttSink(MqttConfig(), info, inject=session.inject, policy=Policy.WAIT, url=url), motion=True)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(session.run())
            await ending.wait()
            session.stop()
            await running


async def run_all(url: str, enough: threading.Event) -> None:
    """Let all of them run until it is enough."""
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for seed, (name, speed_mps) in enumerate(RUNNERS.items(), start=1):
            group.create_task(run(name, speed_mps, seed, url, ending))
        await asyncio.to_thread(enough.wait)
        ending.set()


@contextmanager
def display() -> Iterator[None]:
    """Open a display that nobody sees where there is none."""
    if os.environ.get("DISPLAY") or sys.platform != "linux":
        yield
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1920x1080x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        os.environ["DISPLAY"] = f":{told.readline().strip()}"
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def take(app: QApplication, broker: BrokerAddress) -> None:
    """Show all windows at once, and save what is in them when the first cue has been said."""
    place = Place(broker, MqttConfig().topic_root)
    windows: list[Window] = []
    with ExitStack() as wires:
        for _, width, height, theme, runner, turned in PICTURES:
            wire = Wire(lambda: place, password_env="", runner=runner)
            wire.start()
            wires.callback(wire.close)
            window = Window(wire, Roster(), runner)
            window.set_theme(THEMES[theme])
            window.resize(width, height)
            window.show()
            if turned == "strides":
                window.focus_page.turn()
            if turned == "number":
                window.enlarge("cadence_spm")
            windows.append(window)

        def look() -> None:
            known = [window.roster.get("anna") for window in windows]
            if not all(anna is not None and anna.timeline.end_s > PICTURE_S for anna in known):
                return
            for window, (name, *_) in zip(windows, PICTURES, strict=True):
                window.grab().save(str(IMG / f"{name}.png"))
            app.quit()

        watch = QTimer()
        watch.timeout.connect(look)
        watch.start(100)
        # when all of them listen
        enough = threading.Event()
        runs = threading.Thread(target=lambda: asyncio.run(run_all(str(broker), enough)))
        QTimer.singleShot(2000, runs.start)
        app.exec()
        enough.set()
        runs.join()


async def main() -> None:
    """Take them all."""
    async with EmbeddedBroker(MqttConfig()) as broker:
        with display():
            take(QApplication(["hipdrive"]), BrokerAddress.parse(broker.url))


if __name__ == "__main__":
    if not shutil.which("Xvfb") and not os.environ.get("DISPLAY") and sys.platform == "linux":
        sys.exit("there is no display, and no Xvfb")
    with tempfile.TemporaryDirectory() as home:
        # the windows are to look as they do the first time
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = home
        asyncio.run(main())
