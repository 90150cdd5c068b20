"""Draw docs/img/console.svg: the live screen of two minutes of a simulated run, through the whole chain.

python docs/console_picture.py
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme

from pelvis.pipeline import Settings
from pelvis.simulate import Drift, Scenario
from sensor_host.coaching import coaching
from sensor_host.config import CuesConfig
from sensor_host.ports import Mode, Said, SessionInfo, SinkState
from sensor_host.screen import Frame, Readings, frame
from sensor_host.session import Session
from sensor_host.sources.simulated import SimulatedSource

PICTURE = Path(__file__).resolve().parent / "img" / "console.svg"
WIDTH, HEIGHT = 96, 28
DURATION_S = 130.0
PICTURE_S = 128.0

COLOURS = [(224, 108, 117), (152, 195, 121), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194)]
CALM = TerminalTheme(
    (24, 28, 34),
    (218, 222, 228),
    [(40, 44, 52), *COLOURS, (171, 178, 191)],
    [(92, 99, 112), *COLOURS, (255, 255, 255)],
)


class Onlooker:
    """A sink that only looks."""

    name = "picture"

    def __init__(self, session: SessionInfo) -> None:
        self.readings = Readings(session)
        self._closed = asyncio.Event()

    def put(self, item: Said) -> None:
        if self.readings.t_s < PICTURE_S:
            self.readings.take(item)

    async def room(self) -> None:
        pass

    async def run(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()


async def watched_run() -> Readings:
    """Run a runner whose left drop grows after a minute and a half, and return what the screen then knows."""
    drift = Drift(start_s=90.0, end_s=100.0, drop_left_deg=3.5)
    source = SimulatedSource(Scenario(standing_s=5.0, drifts=(drift,)), paced=False, duration_s=DURATION_S)
    start = "2026-05-09T07:30:00Z"
    session = SessionInfo("20260509T073000Z-anna-1f3a", "anna", Mode.SIMULATED, start, 7200, source.sensors)
    cues, rules = coaching(CuesConfig(warm_up_s=0.0, learn_s=30.0, dwell_ratio=0.3))
    onlooker = Onlooker(session)
    onlooker.put(SinkState("mqtt", "ready", "publishing to mqtt://127.0.0.1:18833"))
    onlooker.put(SinkState("sound", "ready", "PortAudio, default; espeak-ng (en)"))
    onlooker.put(SinkState("page", "ready", "http://192.168.1.23:18880/Rk3vP0sTq9aYw2dL/"))
    onlooker.readings.keys = True
    async with source:
        run = Session(session, source, Settings(cues=cues, rules=rules))
        run.add(onlooker)
        await run.run()
    return onlooker.readings


def indented(line: Sequence[Segment]) -> list[Segment]:
    """Set spaces before a word apart: some programs that draw SVG swallow them."""
    parts: list[Segment] = []
    for text, style, _ in line:
        word = text.lstrip()
        parts += [Segment(" " * (len(text) - len(word))), Segment(word, style)]
    return parts


def main() -> None:
    """Write the picture."""
    readings = asyncio.run(watched_run())
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Frame(tuple(indented(line) for line in frame(readings, WIDTH, HEIGHT).lines)))
    svg = console.export_svg(title="hipdrive run", theme=CALM, unique_id="console")
    # The fonts rich names lie on somebody's server; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
