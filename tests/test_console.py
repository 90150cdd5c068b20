from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pelvis.clock import TimeBase
from pelvis.data import Activity, ActivityState, ContactWithdrawn, Cue, Notice, Side, Step, Stride
from pelvis.metrics import METRICS
from sensor_host.config import ConsoleConfig
from sensor_host.ports import LinkHealth, Mode, Said, SensorInfo, SessionInfo, SessionState, SinkState
from sensor_host.screen import Readings, clock_text, event_line, frame, median, status_line
from sensor_host.shown import SHOWN
from sensor_host.sinks import console as console_module
from sensor_host.sinks.console import ConsoleSink

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios

SESSION = SessionInfo("s-42", "anna", Mode.SIMULATED, "2025-01-02T03:04:05Z", 0, (SensorInfo("pelvis", "rimu"),))

STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def step(index: int, side: Side = Side.LEFT, quality: float = 0.9, **metrics: float) -> Step:
    t_s = 0.35 * index
    errors, common = dict.fromkeys(metrics, 0.01), dict.fromkeys(metrics, 0.008)
    return Step(
        index, index // 2, index, t_s, t_s + 0.24, side, 1.0, metrics, errors, common, 0.006, 0.007, quality, (),
        t_s + 0.3,
    )  # fmt: skip


def stride(index: int, side: Side = Side.LEFT, **metrics: float) -> Stride:
    errors, common = dict.fromkeys(metrics, 0.01), dict.fromkeys(metrics, 0.008)
    return Stride(index, index // 2, 0.35 * index, side, metrics, errors, common, 0.35 * index + 0.7)


def cue(t_s: float = 5.0, phrase: str = "drop", side: Side = Side.RIGHT) -> Cue:
    return Cue(1, phrase, "phrase", phrase, side, 5, t_s, 4.0)


def health(t_s: float = 6.0, state: str = "connected", lost: int = 0) -> LinkHealth:
    return LinkHealth("pelvis", state, t_s, 1234, 9872, lost, 0, 0, 3.0, -61, 0.87)


def text_of(readings: Readings, width: int = 100, height: int = 40) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(frame(readings, width, height))
    return out.getvalue()


def row(text: str, title: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(title))


def filled(*items: Said) -> Readings:
    readings = Readings(SESSION)
    for item in items:
        readings.take(item)
    return readings


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("metric", SHOWN, ids=lambda metric: metric.name)
def test_each_row_has_the_title_unit_and_decimals_of_the_metrics_table(metric: object) -> None:
    declared = METRICS[metric.name]  # type: ignore[attr-defined]
    said = step(1, **{declared.name: 1.23456}) if declared.group == "step" else stride(1, **{declared.name: 1.23456})
    shown = row(text_of(filled(said)), declared.title)
    assert re.search(rf" {1.23456:.{declared.decimals}f} +{re.escape(declared.unit)}\b", shown)


def test_the_median_is_that_of_the_last_twenty_steps_and_the_last_is_the_last() -> None:
    # The first forty would pull the median away; of the last twenty it is (190.5 + 191.5) / 2.
    early = [step(i, cadence_spm=100.0) for i in range(40)]
    late = [step(40 + i, cadence_spm=181.5 + i) for i in range(20)]
    shown = row(text_of(filled(*early, *late)), "cadence").split()
    assert shown[1] == "191.0"
    assert shown[4] == "200.5"


def test_left_and_right_stand_apart() -> None:
    steps = [step(i, Side.LEFT if i % 2 else Side.RIGHT, pelvic_drop_deg=4.0 if i % 2 else 6.0) for i in range(20)]
    shown = row(text_of(filled(*steps)), "pelvic drop").split()
    assert shown[2:6] == ["5.0", "4.0", "6.0", "4.0"]


def test_what_is_unknown_is_a_dash_and_never_counted() -> None:
    readings = filled(step(1, cadence_spm=math.nan), step(2, cadence_spm=170.0), step(3, cadence_spm=math.nan))
    text = text_of(readings)
    assert row(text, "cadence").split()[1] == "170.0"
    assert "–" in row(text, "pelvis sway")
    assert "nan" not in text.lower()


def test_the_header_says_who_what_and_that_it_is_no_live_run() -> None:
    text = text_of(filled(Activity(3.0, ActivityState.RUNNING, 3725.0)))
    assert "SIMULATED" in text
    assert "anna" in text
    assert "s-42" in text
    assert "running" in text
    assert "1:02:05" in text
    replayed = Readings(replace(SESSION, mode=Mode.REPLAY, replay_of="s-1"))
    assert "replay of s-1" in text_of(replayed)


def test_the_link_its_losses_and_the_battery_are_shown() -> None:
    shown = row(text_of(filled(health(lost=128))), "pelvis  ")
    for part in ("connected", "1 234 notifications", "128 lost (1.3%)", "−61 dBm", "battery 87 %"):
        assert part in shown


def test_an_estimated_loss_says_that_it_is_one() -> None:
    guessed = replace(health(lost=1280), loss_known_by=TimeBase.ARRIVAL)
    assert "about 1 280 lost" in row(text_of(filled(guessed)), "pelvis  ")
    assert "about 1 280 samples lost" in status_line(filled(guessed))
    assert "about" not in text_of(filled(replace(health(lost=1280), loss_known_by=TimeBase.STAMPED)))
    assert "about" not in text_of(filled(replace(guessed, lost_samples=0)))


def test_a_links_warning_stands_below_it_and_is_a_line_of_its_own_once() -> None:
    warned = replace(health(), warning="every notification comes twice")
    assert "every notification comes twice" in text_of(filled(warned))
    assert event_line(filled(health()), warned).endswith("pelvis: every notification comes twice")
    assert event_line(filled(warned), warned) == ""


def test_each_sink_is_shown_with_what_it_dropped() -> None:
    text = text_of(filled(SinkState("mqtt", "ready", "mqtt://127.0.0.1:18833", 17), SinkState("sound", "waiting", "x")))
    assert "mqtt://127.0.0.1:18833" in row(text, "mqtt")
    assert "17 dropped" in row(text, "mqtt")
    assert "waiting" in row(text, "sound")


def test_the_last_cue_is_shown_with_its_side_and_age() -> None:
    shown = row(text_of(filled(cue(5.0), health(17.0))), "cue")
    assert "Belt level" in shown
    assert "right" in shown
    assert "12 s ago" in shown


def test_the_screen_shows_that_nothing_is_to_be_heard() -> None:
    readings = filled(cue(5.0), SessionState("online", muted=True))
    assert "muted" in row(text_of(readings), "cue")
    readings.take(SessionState("online"))
    assert "muted" not in text_of(readings)


def test_brackets_survive_and_nothing_said_can_steer_the_terminal() -> None:
    readings = filled(
        Notice(1.0, "note", "wants [spm] and [bold]\x1b[2J\x07\nmore", 1.0),
        SinkState("mqtt", "failed", "[red]\x1b]0;x"),
    )
    text = text_of(readings)
    assert "wants [spm] and [bold] [2J  more" in text
    assert "[red] ]0;x" in text
    assert "\x1b]" not in text
    assert "\x07" not in text


@given(width=st.integers(1, 200), height=st.integers(1, 60))
def test_a_screen_of_any_size_is_filled_without_overflow(width: int, height: int) -> None:
    readings = filled(
        step(1, cadence_spm=170.0), stride(1, pelvis_sway_m=0.04), cue(), health(), SinkState("mqtt", "ready")
    )
    lines = frame(readings, width, height).lines
    assert 1 <= len(lines) <= height
    assert any("cadence" in part.text for line in lines for part in line) or height < 4


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (100, ("left", "right", "last", "2 min"), ()),
        (80, ("left", "right", "last"), ("2 min",)),
        (44, ("median",), ("left",)),
    ],
)
def test_a_narrow_terminal_loses_columns_and_never_the_median(
    width: int, there: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    text = text_of(filled(step(1, cadence_spm=170.0)), width)
    assert all(word in text for word in there)
    assert not any(word in text for word in gone)
    table = text.splitlines()[:11]
    assert max(len(line.rstrip()) for line in table) <= width
    assert "170.0" in row(text, "cadence")


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    picture = frame(filled(step(1, cadence_spm=170.0), cue(), health()), 90, 40, unicode=False)
    assert "".join(part.text for line in picture.lines for part in line).isascii()


def test_a_drift_shows_in_the_trend_and_steadiness_does_not() -> None:
    drifting = [step(i, cadence_spm=160.0 + i / 10, contact_time_s=0.24) for i in range(400)]
    text = text_of(filled(*drifting))
    assert row(text, "cadence").rstrip().endswith("█")
    assert "▁" in row(text, "cadence")
    assert len(set(row(text, "contact time").split()[-1])) == 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_the_median_has_as_many_values_below_as_above(values: list[float]) -> None:
    middle = median(values)
    if values:
        assert sum(value < middle for value in values) <= len(values) / 2
        assert sum(value > middle for value in values) <= len(values) / 2
    else:
        assert math.isnan(middle)


def test_time_is_told_in_hours_minutes_and_seconds() -> None:
    assert [clock_text(t_s) for t_s in (0.0, 59.99, 61.0, 3600.0, -1.0)] == [
        "0:00:00", "0:00:59", "0:01:01", "1:00:00", "0:00:00",
    ]  # fmt: skip


# ---------------------------------------------------------------- lines where there is no terminal


async def run_piped(*items: Said) -> list[str]:
    out = io.StringIO()
    sink = ConsoleSink(ConsoleConfig(), SESSION, console=Console(file=out, width=60, highlight=False))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        for item in items:
            sink.put(item)
            await asyncio.sleep(0)
        sink.close()
    return out.getvalue().splitlines()


async def test_a_pipe_gets_each_cue_as_a_line_of_its_own() -> None:
    lines = await run_piped(cue(5.0), cue(6.0, "tilt", Side.UNKNOWN))
    assert [line for line in lines if "cue" in line] == ["0:00:00  cue: Belt level (right)", "0:00:05  cue: Run tall"]


async def test_a_pipe_gets_a_line_with_everything_at_the_end_and_no_steering() -> None:
    lines = await run_piped(step(1, cadence_spm=171.23), stride(1, pelvis_sway_m=0.041), health())
    assert lines[-1].startswith("0:00:06")
    assert "cadence 171.2 spm  pelvis sway 0.041 m  quality 0.90" in lines[-1]
    assert "\x1b" not in "".join(lines)


async def test_a_pipe_gets_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    sink = ConsoleSink(ConsoleConfig(refresh_hz=30), SESSION, console=Console(file=out, width=60))
    written: list[str] = []
    monkeypatch.setattr(console_module, "status_line", lambda readings: clock_text(readings.t_s))
    monkeypatch.setattr(sink._painter, "write", written.append)
    for second in range(61):
        sink._readings.take(health(float(second)))
        sink._show()
    assert written == [clock_text(t_s) for t_s in range(10, 61, 10)]


async def test_a_pipe_is_told_of_changes_once() -> None:
    waiting = SinkState("sound", "waiting", "no sound device: connect one")
    lines = await run_piped(SessionState("online"), waiting, waiting, health(1), health(2), health(3, "lost"))
    assert sum("no sound device" in line for line in lines) == 1
    assert sum(line.endswith("pelvis: connected") for line in lines) == 1
    assert sum(line.endswith("pelvis: lost") for line in lines) == 1
    assert any("session s-42: online" in line for line in lines)


def test_most_of_what_is_said_is_worth_no_line() -> None:
    assert event_line(Readings(SESSION), step(1)) == ""
    assert event_line(Readings(SESSION), ContactWithdrawn(1, 1.0)) == ""
    assert status_line(Readings(SESSION)) == "0:00:00  other"


async def test_a_reader_that_went_away_does_not_end_the_run() -> None:
    read, write = os.pipe()
    os.close(read)
    with contextlib.suppress(BrokenPipeError), os.fdopen(write, "w", buffering=1) as pipe:
        sink = ConsoleSink(ConsoleConfig(), SESSION, console=Console(file=pipe, width=60))
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(sink.run())
            sink.put(cue())
            await asyncio.sleep(0)
            sink.put(cue())
            sink.close()
        assert sink.state.state == "failed"


# ---------------------------------------------------------------- a real terminal


class Terminal:
    """A terminal whose characters are read, or left unread."""

    def __init__(self, *, columns: int = 100, lines: int = 30) -> None:
        self._master, slave = pty.openpty()
        self._file = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(columns, lines)
        self._written = b""
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        # rich believes the environment before it asks the terminal
        self.console = Console(
            file=self._file, force_terminal=True, highlight=False, _environ={"TERM": "xterm-256color"}
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read_on(self) -> None:
        def read() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(self._master, 65536):
                    with self._news:
                        self._written += data
                        self._news.notify_all()

        self._thread = threading.Thread(target=read)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._written.decode(errors="replace")

    async def shows(self, words: str, after: int = 0) -> int:
        """Wait until it shows ``words``; return how much was written by then."""

        def wait() -> int:
            with self._news:
                assert self._news.wait_for(lambda: words in self._written.decode(errors="replace")[after:], 10), (
                    self.text
                )
                return len(self._written.decode(errors="replace"))

        return await asyncio.to_thread(wait)

    def close(self) -> None:
        self._file.close()
        if self._thread is not None:
            self._thread.join()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals that Python can open")
    made = Terminal()
    yield made
    made.close()


async def test_a_terminal_shows_the_run_and_is_left_tidy(terminal: Terminal) -> None:
    terminal.read_on()
    sink = ConsoleSink(ConsoleConfig(), SESSION, console=terminal.console)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        sink.put(step(1, cadence_spm=171.23))
        await terminal.shows("171.2")
        sink.put(cue())
        await terminal.shows("Belt level")
        drawn = len(terminal.text)
        sink.put(step(2, cadence_spm=188.88))
        sink.close()
    await terminal.shows("180.1", drawn)  # the median of both: the last picture is complete
    await terminal.shows("\x1b[?25h", drawn)
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")  # the cursor is back
    assert STEERING.sub("", terminal.text).endswith("\r\n")


async def test_nothing_is_drawn_while_nothing_changes(terminal: Terminal) -> None:
    terminal.read_on()
    sink = ConsoleSink(ConsoleConfig(refresh_hz=30), SESSION, console=terminal.console)
    drawn = 0
    show = sink._show

    def counted(*, last: bool = False) -> None:
        nonlocal drawn
        drawn += 1
        show(last=last)

    sink._show = counted  # type: ignore[method-assign]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        sink.put(step(1, cadence_spm=171.23))
        await terminal.shows("171.2")
        for _ in range(9):  # nine periods in which nothing is said that the screen shows
            sink.put(ContactWithdrawn(1, 1.0))
            await asyncio.sleep(0.033)
        assert drawn == 1
        sink.close()


async def test_it_is_never_drawn_more_often_than_asked(terminal: Terminal) -> None:
    terminal.read_on()
    sink = ConsoleSink(ConsoleConfig(refresh_hz=10), SESSION, console=terminal.console)
    loop = asyncio.get_running_loop()
    drawn: list[float] = []
    sink._show = lambda *, last=False: drawn.append(loop.time())  # type: ignore[method-assign]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        while len(drawn) < 5:
            sink.put(step(1, cadence_spm=171.23))
            await asyncio.sleep(0.001)
        sink.close()
    assert all(later - earlier > 0.095 for earlier, later in pairwise(drawn[:4]))


async def test_a_resized_terminal_is_drawn_anew_at_its_new_width(terminal: Terminal) -> None:
    terminal.read_on()
    sink = ConsoleSink(ConsoleConfig(refresh_hz=30), SESSION, console=terminal.console)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        sink.put(step(1, cadence_spm=171.23))
        drawn = await terminal.shows("171.2")
        terminal.resize(44, 20)
        sink.put(step(2, cadence_spm=188.88))
        await terminal.shows("180.1", drawn)
        narrow = terminal.text[drawn:]
        sink.close()
    assert "\x1b[2J" in narrow
    lines = STEERING.sub("", narrow[narrow.index("\x1b[2J") :]).replace("\r", "").split("\n")
    assert max(len(line) for line in lines) <= 44


async def test_a_terminal_that_takes_nothing_never_holds_the_run_up(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "END_TIMEOUT_S", 0.1)
    # Nobody reads: after some kilobytes every write blocks for good.
    sink = ConsoleSink(ConsoleConfig(refresh_hz=30), SESSION, console=terminal.console)
    loop = asyncio.get_running_loop()
    longest_s = 0.0
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        for i in range(100):
            before_s = loop.time()
            sink.put(step(i, cadence_spm=170.0 + i))
            await sink.room()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, loop.time() - before_s)
        assert sink._painter._thread.is_alive()
        sink.close()
    assert longest_s < 0.3
    terminal.read_on()  # lets the thread go
    await asyncio.to_thread(sink._painter._thread.join, 10)
    assert not sink._painter._thread.is_alive()
