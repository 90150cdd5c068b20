"""Take the pictures of a replay in docs/view.md: ``python docs/replay_pictures.py``. Nothing is seen meanwhile.

A simulated runner is recorded whose left drop grows for a while, with two laps; the window shows the recording.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from pelvis.data import Marker
from pelvis.simulate import Drift, Scenario
from sensor_host.config import Config, CuesConfig, RunnerConfig
from sensor_host.outbox import Policy
from sensor_host.ports import Arrival, Injected, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.runners import Profile
from sensor_host.session import Session
from sensor_host.settings import core_settings, encode
from sensor_host.sinks.recorder import Recorder
from sensor_host.sources.simulated import SimulatedSource

IMG = Path(__file__).resolve().parent / "img"
CONFIG = Config(runner=RunnerConfig(name="anna"), cues=CuesConfig(warm_up_s=0.0, learn_s=30.0, dwell_ratio=0.3))
SCENARIO = Scenario(
    duration_s=240.0, drifts=(Drift(90.0, 100.0, drop_left_deg=3.0), Drift(170.0, 180.0, drop_left_deg=-3.0))
)
LAPS_S = (80.0, 160.0)
FRESH, FALLEN, LOOKED_AT_S = (20.0, 80.0), (105.0, 165.0), 125.0


class WithLaps(SimulatedSource):
    """A simulated runner with laps."""

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        laps = list(LAPS_S)
        async for arrival in super().__aiter__():
            if laps and arrival.t_host_s > laps[0]:
                yield Injected(Marker(laps.pop(0), "", "lap"), arrival.t_host_s)
            yield arrival


async def record(path: Path) -> None:
    """Record the run."""
    source = WithLaps(SCENARIO, 1, paced=False)
    info = SessionInfo("2026-anna", "anna", source.mode, "2026-05-09T07:30:00Z", 7200, source.sensors)
    writer = RecordingWriter(path, info, encode(CONFIG), config_type="application/json")
    settings = core_settings(CONFIG, Profile(runner="anna"), motion=True)
    async with source:
        await Session(info, source, settings, Recorder(writer, policy=Policy.WAIT)).run()


def take(path: Path) -> None:
    """Show the recording, and save what is seen."""
    from sensor_host.view.comparison_view import Chosen
    from sensor_host.view.loading import Loading
    from sensor_host.view.replay_window import COMPARISON, RUN, STRIDES, ReplayWindow
    from sensor_host.view.theme import THEMES
    from sensor_host.view.transport import Section
    from sensor_host.view.window import application

    app = application()
    with Loading(path) as loading:
        loading.wait_opened()
        loading.wait_ended()
        # the clock stands: so does the playhead
        window = ReplayWindow([loading], lambda: 100.0)
        window.resize(1280, 720)
        window.show()
        while loading.state == "measuring" or loading.state == "opening":
            window.tick()
        session = window.session
        session.transport.seek(LOOKED_AT_S, 100.0)
        for name, page, theme in (
            ("view-replay", RUN, "dark"),
            ("view-norm", STRIDES, "sun"),
            ("view-comparison", COMPARISON, "dark"),
        ):
            window.set_theme(THEMES[theme])  # type: ignore[index]
            window.turn_to(page)
            if page == STRIDES:
                window.show_norm()
            if page == COMPARISON:
                session.transport.set_section(*FALLEN, 100.0)
                window.take_section()
                window.choose(Chosen("fresh", session.timeline, Section(*FRESH)))
            window.tick()
            app.processEvents()
            window.grab().save(str(IMG / f"{name}.png"))
        window.close()


if __name__ == "__main__":
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory() as home:
        # as it looks the first time
        for kind in ("DATA", "CONFIG", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = home
        asyncio.run(record(Path(home, "morning.mcap")))
        take(Path(home, "morning.mcap"))
