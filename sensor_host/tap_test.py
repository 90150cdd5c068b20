"""The tap test: clicks are played, somebody taps the space bar on each, and both are timed by one clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from sensor_host.config import SoundConfig
from sensor_host.errors import HipdriveError
from sensor_host.keyboard import open_keyboard
from sensor_host.player.orders import Dropped, Play, Played, Ready, Report, Setup, Silent
from sensor_host.player.process import PLAYER_COMMAND, PROBE_TIMEOUT_S, PlayerProcess
from sensor_host.tapping import BEATS, PERIOD_S, Latency, TappingError, latency_of

TAP = " "

# 1.5 s until the first click: a headset wakes up, and the hand finds the space bar
LEAD_S = 1.5
# 1 s: a tap on the last click may come half a second after it was played
LAST_TAP_S = 1.0
# 0.2 s: a click that is later than this is not played; the beat would limp
CLICK_EXPIRES_S = 0.2


class SilentError(HipdriveError):
    """Nothing can be heard; the text says what to do."""


async def tap_test(
    config: SoundConfig, tell: Callable[[str], None], command: Sequence[str] = PLAYER_COMMAND
) -> tuple[str, Latency]:
    """Return the sound device and how late it is heard.

    Parameters
    ----------
    tell
        Called with what the user is to do.
    command
        How to start the player.

    Raises
    ------
    SilentError
        There is no terminal to tap at, or nothing to hear.
    TappingError
        The taps tell nothing.
    """
    loop = asyncio.get_running_loop()
    reports: asyncio.Queue[Report | str] = asyncio.Queue()
    taps_s: list[float] = []
    enough = asyncio.Event()

    def pressed(sign: str) -> None:
        taps_s.append(time.monotonic())
        if sign != TAP:
            enough.set()

    keyboard = open_keyboard(pressed)
    if keyboard is None:
        raise SilentError("there is no terminal to tap at: run hipdrive doctor --audio in one, not through a pipe")

    def hear(report: Report | str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            loop.call_soon_threadsafe(reports.put_nowait, report)

    player = PlayerProcess(hear, lambda _code, complaint: hear(complaint or "without a word"), command)
    try:
        player.send(Setup(config.volume, config.voice or "en", config.device))
        device = await _device(reports)
        with keyboard:
            tell(f"{device}: {BEATS} clicks come. Tap the space bar along with them; any other key ends it.")
            await _play(player, enough)
    finally:
        await asyncio.to_thread(player.close)
    played_s = _played(reports)
    return device, latency_of(played_s, taps_s)


async def _device(reports: asyncio.Queue[Report | str]) -> str:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            report = await reports.get()
    except TimeoutError:
        raise SilentError("the sound player does not start: hipdrive doctor says more") from None
    if isinstance(report, Ready):
        return report.device
    if isinstance(report, Silent):
        raise SilentError(f"{report.reason}: {report.advice}")
    raise SilentError(f"the sound player ended ({report}): hipdrive doctor says more")


async def _play(player: PlayerProcess, enough: asyncio.Event) -> None:
    """Order the clicks, each in time from the first one, and wait for the last tap."""
    due_s = first_s = time.monotonic() + LEAD_S
    for number in range(BEATS):
        due_s = first_s + number * PERIOD_S
        await _until(due_s, enough)
        player.send(Play("tick", due_s + CLICK_EXPIRES_S, order_id=number + 1))
    await _until(due_s + LAST_TAP_S, enough)


async def _until(due_s: float, enough: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, due_s - time.monotonic())):
            await enough.wait()
            raise TappingError("ended before the last click: nothing was measured")


def _played(reports: asyncio.Queue[Report | str]) -> list[float]:
    played_s: list[float] = []
    while not reports.empty():
        report = reports.get_nowait()
        if isinstance(report, Played):
            played_s.append(report.started_host_s)
        elif isinstance(report, Dropped) and report.reason == "silent":
            raise SilentError("the sound device went away meanwhile: connect it and try again")
    return played_s
