"""What the plot window takes of the computer, and how smooth it is, offscreen and under Xvfb (`apt install xvfb`).

Every figure comes from a process of its own that counts the frames that were painted and its own processor time: what
others do on the machine at the same time slows the frames down, but is not counted as the window's.

    python benchmarks/view.py                     everything, a few minutes
    python benchmarks/view.py waves naive         some of it: waves, naive, live, hour, memory
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import hour, table

from pelvis.align import GRID_PERIOD_S
from pelvis.data import Step
from pelvis.pipeline import Settings
from pelvis.simulate import Scenario, SimulatedRunner
from sensor_host.broker import EmbeddedBroker
from sensor_host.config import MqttConfig
from sensor_host.outbox import Policy
from sensor_host.ports import SessionInfo
from sensor_host.session import Session
from sensor_host.sinks.mqtt import MqttSink
from sensor_host.sources.simulated import SimulatedSource

if TYPE_CHECKING:
    from PySide6.QtCore import QEvent, QObject
    from PySide6.QtWidgets import QApplication, QWidget

    from sensor_host.view.timeline import Timeline

Figures = dict[str, float]

SIZE = (1280, 720)
# 2 s: fonts, caches and the first layout are not what an hour costs
SETTLE_S = 2.0
MEASURE_S = 6.0
RUNS = 3
SEEKS = 300
# 1 ms: who waits must let others work
IDLE_S = 0.001
# 80 ms of motion at a time, as the core says it
PORTION_ROWS = 16
# 60 s of running, told again and again: what is drawn does not repeat within a picture
PIECE_S = 60.0


# ---------------------------------------------------------------- what is shown


@dataclass(frozen=True, slots=True)
class Piece:
    """A minute of a simulated run: rows (n, 6) with `MOTION_COLUMNS`, and steps, all from 0 s on."""

    rows: np.ndarray[Any, np.dtype[np.float32]]
    steps: tuple[Step, ...]

    @classmethod
    def make(cls) -> Piece:
        import pelvis

        # what comes before he runs steadily is left out
        begin_s = 15.0
        (block,) = SimulatedRunner(Scenario(duration_s=begin_s + PIECE_S + 5.0), 3).blocks(1000.0)
        run = pelvis.analyze(block.t_s, block.acc_mps2, block.gyr_radps)
        motion = run.motion
        angles = np.column_stack((motion.obliquity_deg, motion.tilt_deg, motion.rotation_deg))
        first = int(np.searchsorted(motion.t_s, begin_s))
        rows = np.column_stack((motion.acc_g, angles))[first : first + round(PIECE_S / GRID_PERIOD_S)]
        steps = tuple(
            later(step, -begin_s)
            for step in run.said
            if isinstance(step, Step) and begin_s <= step.initial_contact_s < begin_s + PIECE_S
        )
        return cls(rows.astype(np.float32), steps)


def later(step: Step, by_s: float) -> Step:
    return replace(
        step,
        initial_contact_s=step.initial_contact_s + by_s,
        toe_off_s=step.toe_off_s + by_s,
        reported_at_s=step.reported_at_s + by_s,
    )


class Feed:
    """Tells timelines of a run without end, in the portions in which the core tells of one."""

    def __init__(self, *timelines: Timeline) -> None:
        self._piece = Piece.make()
        self._timelines = timelines
        self._row = 0
        self._step = 0

    def until(self, now_s: float) -> None:
        """Tell all that happened before ``now_s``."""
        piece = self._piece
        while (self._row + PORTION_ROWS) * GRID_PERIOD_S <= now_s:
            at = np.arange(self._row, self._row + PORTION_ROWS)
            for timeline in self._timelines:
                timeline.take_motion(at * GRID_PERIOD_S, piece.rows[at % len(piece.rows)])
            self._row += PORTION_ROWS
        while True:
            lap, place = divmod(self._step, len(piece.steps))
            step = later(piece.steps[place], lap * PIECE_S)
            if step.reported_at_s > now_s:
                return
            for timeline in self._timelines:
                timeline.take(replace(step, step_index=self._step))
            self._step += 1


# ---------------------------------------------------------------- frames


def frame_counter(painted: QWidget) -> Any:
    """Return what counts, in ``frames``, how often a widget is painted."""
    from PySide6.QtCore import QEvent, QObject

    class Counter(QObject):
        frames = 0

        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
            self.frames += event.type() == QEvent.Type.Paint
            return False

    counter = Counter(painted)
    painted.installEventFilter(counter)
    return counter


def watch(app: QApplication, painted: QWidget, tick: Callable[[], None] | None, fps: float = 0.0) -> Figures:
    """Call ``tick`` ``fps`` times a second (None: something else draws), and count what comes of it."""
    from PySide6.QtCore import Qt, QTimer

    counter = frame_counter(painted)
    if tick is not None:
        timer = QTimer(app)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(tick)
        timer.start(round(1000.0 / fps))
    before: list[float] = []

    def begin() -> None:
        before[:] = [counter.frames, time.process_time(), time.perf_counter()]

    QTimer.singleShot(round(1000 * SETTLE_S), begin)
    QTimer.singleShot(round(1000 * (SETTLE_S + MEASURE_S)), app.quit)
    app.exec()
    frames, cpu_s, wall_s = counter.frames - before[0], time.process_time() - before[1], time.perf_counter() - before[2]
    return {"fps": frames / wall_s, "cores": cpu_s / wall_s, "cost_ms": 1000.0 * cpu_s / max(1, frames)}


# ---------------------------------------------------------------- the parts, each in a process of its own


def waves(theme: str, fps: str) -> Figures:
    """Six traces of 10 s at 200 Hz with the contacts of both feet."""
    from sensor_host.view.theme import THEMES
    from sensor_host.view.timeline import Timeline
    from sensor_host.view.waves import TRACES, Trace, Waves
    from sensor_host.view.window import application

    app = application()
    six = (
        *TRACES,
        Trace("acc_left_g", "Sideways acceleration, left +", "g", ((-1, 1), (-2, 2), (-4, 4))),
        Trace("tilt_deg", "Tilt, anterior +", "deg", ((-12, 12), (-24, 24))),
    )
    assert len(six) == 6
    panel = Waves(six)
    panel.set_theme(THEMES[theme])
    panel.set_span(10.0)
    panel.resize(*SIZE)
    panel.show()
    timeline = Timeline(600.0)
    feed = Feed(timeline)
    begin_s = time.perf_counter() - 20.0

    def tick() -> None:
        now_s = time.perf_counter() - begin_s
        feed.until(now_s)
        panel.show_at(timeline, now_s)

    tick()
    return watch(app, drawn_plots(panel)[0], tick, float(fps))


def naive(fps: str) -> Figures:
    """The same the way one writes it first: rolled arrays, ranges found anew each time, a line object per step."""
    import pyqtgraph as pg  # type: ignore[import-untyped]

    from sensor_host.view.timeline import Timeline
    from sensor_host.view.window import application

    app = application()
    pg.setConfigOptions(background="w", foreground="k")
    view = pg.GraphicsLayoutWidget()
    view.resize(*SIZE)
    plots = [view.addPlot(row=row, col=0) for row in range(6)]
    curves = [plot.plot(pen="k") for plot in plots]
    lines: list[list[Any]] = [[] for _ in plots]
    timeline = Timeline(600.0)
    feed = Feed(timeline)
    count = round(10.0 / GRID_PERIOD_S)
    held = np.zeros((6, count))
    begin_s = time.perf_counter() - 20.0
    shown_s = [0.0]

    def tick() -> None:
        now_s = time.perf_counter() - begin_s
        feed.until(now_s)
        t_s, values = timeline.motion(max(shown_s[0], now_s - 10.0), now_s)
        steps = timeline.steps_between(now_s - 10.0, now_s)
        for row, (plot, curve) in enumerate(zip(plots, curves, strict=True)):
            held[row] = np.roll(held[row], -len(t_s))
            if len(t_s):
                held[row, -len(t_s) :] = values[:, row]
            curve.setData(np.arange(-count, 0) * GRID_PERIOD_S, held[row])
            for line in lines[row]:
                plot.removeItem(line)
            lines[row] = [
                pg.InfiniteLine(contact_s - now_s, pen="b" if side < 0 else "r")
                for contact_s, side in zip(
                    timeline.column("initial_contact_s", steps), timeline.column("side", steps), strict=True
                )
            ]
            for line in lines[row]:
                plot.addItem(line)
        if len(t_s):
            shown_s[0] = float(t_s[-1]) + GRID_PERIOD_S / 2

    tick()
    view.show()
    return watch(app, view.viewport(), tick, float(fps))


def live(url: str, runners: str) -> Figures:
    """The whole window with so many runners, over a broker."""
    from sensor_host.broker_client import BrokerAddress
    from sensor_host.view.roster import Roster
    from sensor_host.view.window import Window, application
    from sensor_host.view.wire import Place, Wire

    app = application()
    place = Place(BrokerAddress.parse(url), "hipdrive")
    wire = Wire(lambda: place, password_env="HIPDRIVE_MQTT_PASSWORD")
    wire.start()
    window = Window(wire, Roster())
    window.resize(*SIZE)
    window.show()
    try:
        give_up_s = time.perf_counter() + 30.0
        while len(window.roster.here) < int(runners) or not drawn_plots(window):
            app.processEvents()
            time.sleep(IDLE_S)
            if time.perf_counter() > give_up_s:
                sys.exit(f"only {len(window.roster.here)} of {runners} runners were heard")
        figures = watch(app, drawn_plots(window)[-1], None)
        for runner in window.roster.here:
            end_s = runner.timeline.end_s
            assert len(runner.timeline.motion(end_s - MEASURE_S, end_s)[0]) > 0.9 * MEASURE_S / GRID_PERIOD_S
        return figures
    finally:
        window.close()
        wire.close()


def publish(url: str, runners: str) -> Figures:
    """Simulated runners at their real pace over MQTT, until somebody ends this process."""

    async def run(name: str, seed: int) -> None:
        source = SimulatedSource(Scenario(standing_s=2.0), seed)
        info = SessionInfo(f"20250601T070000Z-{name}", name, source.mode, "2025-06-01T07:00:00Z", 0, source.sensors)
        async with source:
            session = Session(info, source, Settings(motion=True))
            session.add(
                MqttSink(MqttConfig(), info, inject=session.inject, policy=Policy.DROP_OLDEST, url=url), motion=True
            )
            await session.run()

    async def run_all() -> None:
        async with asyncio.TaskGroup() as group:
            for seed in range(1, int(runners) + 1):
                group.create_task(run(f"runner{seed}", seed))

    asyncio.run(run_all())
    return {}


def replay(path: str, begun_s: str) -> Figures:
    """A recording in the window: seconds from the start to a picture, and how fast its pages are scrubbed."""
    from sensor_host.view.loading import Loading

    # in the order of the command: the recording is read while Qt is
    with Loading(Path(path)) as loading:
        from sensor_host.view.comparison_view import Chosen
        from sensor_host.view.replay_window import COMPARISON, RUN, STRIDES, ReplayWindow
        from sensor_host.view.transport import Section
        from sensor_host.view.window import application

        app = application()
        clock_s = 0.0
        loading.wait_opened()
        window = ReplayWindow([loading], lambda: clock_s)
        window.resize(*SIZE)
        window.show()
        timeline, transport = window.session.timeline, window.session.transport
        while timeline.end_s - timeline.begin_s <= 0.0 or not timeline.steps.size:
            window.tick()
            time.sleep(IDLE_S)
        window.tick()
        app.processEvents()
        figures = {"pictured_s": time.monotonic() - float(begun_s)}
        while loading.state != "complete":
            window.tick()
            app.processEvents()
            time.sleep(IDLE_S)
        figures["complete_s"] = time.monotonic() - float(begun_s)
        whole = Section(transport.begin_s, transport.end_s)
        times_s = np.random.default_rng(1).uniform(whole.from_s, whole.to_s, SEEKS)
        for page, name in ((RUN, "run"), (STRIDES, "strides"), (COMPARISON, "comparison")):
            window.turn_to(page)
            if page == COMPARISON:
                before_s = time.process_time()
                window.choose(Chosen("all of it", timeline, whole))
                window.tick()
                app.processEvents()
                figures["compared_s"] = time.process_time() - before_s
            counter = frame_counter(drawn_plots(window)[0])
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for t_s in times_s.tolist():
                # every panel's turn comes each time
                clock_s += 1.0
                transport.seek(t_s, clock_s)
                window.tick()
                app.processEvents()
            figures[f"{name}_fps"] = counter.frames / (time.perf_counter() - wall_s)
            figures[f"{name}_ms"] = 1000.0 * (time.process_time() - cpu_s) / counter.frames
        window.close()
    return figures


def memory() -> Figures:
    """An hour of a runner through the window, a picture every second of it: megabytes after a third, and at the end."""
    from sensor_host.heard import Heard
    from sensor_host.messages import SamplesPacket
    from sensor_host.view.roster import Roster
    from sensor_host.view.window import Window, application
    from sensor_host.view.wire import Item, Received, WireState

    class Told:
        """Stands where the wire stands, and says what it is given."""

        def __init__(self) -> None:
            self.items: list[Item] = [WireState("connected", "connected")]

        def take(self) -> list[Item]:
            items, self.items = self.items, []
            return items

        def watch(self, _runners: object) -> None: ...

        def command(self, *_: object, **__: object) -> None: ...

    app = application()
    # an hour in two minutes: the window's clock is that of the session
    clock = SimpleNamespace(monotonic=lambda: begin_s + second)
    import sensor_host.view.window as module

    module.time = clock  # type: ignore[assignment]
    begin_s, second = 1000.0, 0
    wire = Told()
    window = Window(wire, Roster())  # type: ignore[arg-type]
    window.resize(*SIZE)
    window.show()
    piece = Piece.make()
    megabytes: list[float] = []
    tick_ms: list[float] = []
    steps = said = 0
    for second in range(3600):
        for row in range(200 * second, 200 * (second + 1), PORTION_ROWS):
            at = np.arange(row, row + PORTION_ROWS) % len(piece.rows)
            packet = SamplesPacket(n=said, t0_s=row * GRID_PERIOD_S, period_s=GRID_PERIOD_S, values=piece.rows[at])
            wire.items.append(Received("ada", Heard(packet, said, {}), begin_s + row * GRID_PERIOD_S))
            said += 1
        while True:
            lap, place = divmod(steps, len(piece.steps))
            step = replace(later(piece.steps[place], lap * PIECE_S), step_index=steps)
            if step.reported_at_s > second:
                break
            wire.items.append(Received("ada", Heard(step, steps, {}), begin_s + step.reported_at_s))
            steps += 1
        cpu_s = time.process_time()
        window.tick()
        app.processEvents()
        tick_ms.append(1000.0 * (time.process_time() - cpu_s))
        if second % 60 == 59:
            megabytes.append(resident_mb())
    window.close()
    third = len(megabytes) // 3
    return {
        "third_mb": megabytes[third],
        "last_mb": megabytes[-1],
        # the second to the sixth minute, when all panels have something to show, and the last five
        "early_ms": statistics.median(tick_ms[60:360]),
        "late_ms": statistics.median(tick_ms[-300:]),
    }


def drawn_plots(window: QWidget) -> list[QWidget]:
    """Return what is painted when the plots that are seen are."""
    from PySide6.QtWidgets import QGraphicsView

    return [view.viewport() for view in window.findChildren(QGraphicsView) if view.isVisible()]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# ---------------------------------------------------------------- who starts them, and what is asked of them


PARTS: Mapping[str, Callable[..., Figures]] = {
    part.__name__: part for part in (waves, naive, live, publish, replay, memory)
}
OFFSCREEN: Mapping[str, str] = {"QT_QPA_PLATFORM": "offscreen"}


@contextmanager
def xvfb() -> Iterator[Mapping[str, str]]:
    """A screen of its own, as large as a laptop's."""
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1920x1080x24", "-nolisten", "tcp", "-noreset"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield {"QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{server.stdout.readline().strip()}"}
    finally:
        server.terminate()
        server.wait()


def start(part: str, platform: Mapping[str, str], home: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a part whose window remembers nothing but what is in ``home``."""
    return subprocess.Popen(
        [sys.executable, __file__, "--part", part, *map(str, arguments)],
        env=os.environ | {"XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home} | platform,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def measured(part: str, platform: Mapping[str, str], *arguments: object, home: str = "") -> Figures:
    """Return what a part says of itself."""
    with tempfile.TemporaryDirectory() as own:
        child = start(part, platform, home or own, *arguments)
        output, errors = child.communicate()
    if child.returncode:
        sys.exit(f"{part}: {errors}")
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def median_of(part: str, platform: Mapping[str, str], *arguments: object) -> Figures:
    """Return the median of each figure over several runs."""
    runs = [measured(part, platform, *arguments) for _ in range(RUNS)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def verdict(bound: str, *, kept: bool) -> str:
    return f"; bound {bound}: {'kept' if kept else '**missed**'}"


def frames_of(figures: Figures) -> str:
    return (
        f"{figures['fps']:.0f} fps at {100 * figures['cores']:.0f} % of one core ({figures['cost_ms']:.1f} ms a frame)"
    )


def compare_waves(name: str, platform: Mapping[str, str]) -> None:
    for theme in ("sun", "dark"):
        calm = median_of("waves", platform, theme, 30)
        # of frames that came late because others kept the machine busy, thirty would have cost as much each
        share = 30 * calm["cost_ms"] / 1000
        table((f"six traces, {theme}, {name}", frames_of(calm) + verdict("30 % at 30 fps", kept=share <= 0.30)))
    quick = median_of("waves", platform, "sun", 60)
    table(
        (f"six traces, sun, as fast as 60 fps, {name}", frames_of(quick) + verdict("55 fps", kept=quick["fps"] >= 55))
    )


def compare_naive(name: str, platform: Mapping[str, str]) -> None:
    table((f"the same written naively, {name}", frames_of(median_of("naive", platform, 30))))


def watch_live(name: str, platform: Mapping[str, str]) -> None:
    asyncio.run(_watch_live(name, platform))


async def _watch_live(name: str, platform: Mapping[str, str]) -> None:
    async with EmbeddedBroker(MqttConfig()) as broker:
        for runners, what in ((1, "the window, one runner"), (4, "the window, four runners")):
            with tempfile.TemporaryDirectory() as home:
                publisher = start("publish", {}, home, broker.url, runners)
                try:
                    figures = await asyncio.to_thread(measured, "live", platform, broker.url, runners)
                finally:
                    publisher.terminate()
                    publisher.communicate()
            bound = 20 if runners > 1 else 28
            table((f"{what}, {name}", frames_of(figures) + verdict(f"{bound} fps", kept=figures["fps"] >= bound)))


def open_hour(name: str, platform: Mapping[str, str]) -> None:
    recording = hour()
    with tempfile.TemporaryDirectory() as home:
        for what in ("for the first time", "again"):
            figures = measured("replay", platform, recording, time.monotonic(), home=home)
            pictured_s, complete_s = figures["pictured_s"], figures["complete_s"]
            said = f"{pictured_s:.2f} s to the first picture, {complete_s:.2f} s to the whole hour"
            table((f"an hour opened {what}, {name}", said + verdict("1.5 s", kept=pictured_s <= 1.5)))
    for page, what in (
        ("run", "scrubbed"),
        ("strides", "its strides scrubbed"),
        ("comparison", "compared with all of it"),
    ):
        fps, cost_ms = figures[f"{page}_fps"], figures[f"{page}_ms"]
        # pages of means are drawn twice a second only
        asked = verdict("20 fps", kept=fps >= 20) if page == "run" else ""
        table((f"the hour {what}, {name}", f"{fps:.0f} fps ({cost_ms:.1f} ms a picture){asked}"))
    table((f"means of the whole hour, {name}", f"{1000 * figures['compared_s']:.0f} ms"))


def watch_memory(name: str, platform: Mapping[str, str]) -> None:
    figures = measured("memory", platform)
    grown_mb = figures["last_mb"] - figures["third_mb"]
    said = f"{figures['third_mb']:.0f} MB after 20 minutes, {figures['last_mb']:.0f} MB at the end"
    # what is kept of an hour: 3 MB of steps, twice that for the room they grow into
    table((f"an hour live, {name}", said + verdict("10 MB more", kept=grown_mb <= 10.0)))
    table(
        (
            f"a picture in the first minutes and the last, {name}",
            f"{figures['early_ms']:.1f} and {figures['late_ms']:.1f} ms",
        )
    )


WHAT: Mapping[str, Callable[[str, Mapping[str, str]], None]] = {
    "waves": compare_waves,
    "naive": compare_naive,
    "live": watch_live,
    "hour": open_hour,
    "memory": watch_memory,
}


def main() -> None:
    if sys.argv[1:2] == ["--part"]:
        print(json.dumps(PARTS[sys.argv[2]](*sys.argv[3:])))
        return
    chosen = sys.argv[1:] or list(WHAT)
    for what in chosen:
        WHAT[what]("offscreen", OFFSCREEN)
    if shutil.which("Xvfb") is None:
        table(("under Xvfb", "not measured: Xvfb is not installed"))
        return
    with xvfb() as screen:
        for what in chosen:
            if what != "memory":
                WHAT[what]("Xvfb", screen)


if __name__ == "__main__":
    main()
