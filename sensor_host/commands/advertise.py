"""``hipdrive simulate --ble``: a simulated runner wears a board that any host in radio reach can connect to."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from typing import Any

import click

from pelvis.data import STANDARD_GRAVITY_MPS2
from pelvis.simulate import Scenario, SensorModel
from sensor_host.boards import BOARDS
from sensor_host.commands.running import EndRequest
from sensor_host.config import SimulationConfig
from sensor_host.errors import LinkError
from sensor_host.hci import open_controller
from sensor_host.virtual_board import VirtualBoard

# often enough to see that it goes on, seldom enough to read what else happens
RATE_EVERY_S = 10.0


def advertise(controller: str, board: str, name: str, simulation: SimulationConfig, duration_s: float | None) -> None:
    """Play a board over a controller until time is up or the user ends it, and say what happens to it.

    Raises
    ------
    ConfigError
        When bumble is missing, or the controller's name is none.
    LinkError
        When the controller cannot be used, or no more.
    """
    with EndRequest() as end, asyncio.Runner() as runner:
        runner.run(_advertise(controller, board, name, simulation, duration_s, end))


async def _advertise(
    controller: str, board: str, name: str, simulation: SimulationConfig, duration_s: float | None, end: EndRequest
) -> None:
    ended = asyncio.Event()
    end.call(ended.set)
    async with open_controller(controller) as transport:
        virtual = VirtualBoard(
            BOARDS[board],
            transport.source,
            transport.sink,
            name=name or default_name(board),
            scenario=scenario(board, simulation),
            seed=simulation.seed,
            said=click.echo,
        )
        playing = asyncio.ensure_future(virtual.run())
        unplugged = asyncio.ensure_future(transport.source.terminated)
        tasks: list[asyncio.Future[Any]] = [
            playing,
            unplugged,
            asyncio.ensure_future(_tell_rate(virtual)),
            asyncio.ensure_future(ended.wait()),
        ]
        try:
            await asyncio.wait(tasks, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not unplugged.cancelled():
            raise LinkError(f"the adapter {controller} is gone: plug it in and start again")
        if not playing.cancelled() and (error := playing.exception()) is not None:
            raise error


async def _tell_rate(virtual: VirtualBoard) -> None:
    """Say now and then how many notifications a second are sent."""
    while True:
        begin_s, before = time.monotonic(), virtual.notified
        await asyncio.sleep(RATE_EVERY_S)
        if virtual.notified > before:
            click.echo(f"{(virtual.notified - before) / (time.monotonic() - begin_s):.0f} notifications/s")


def check_board(key: str) -> None:
    """Raise click.UsageError where there is no such board."""
    if key not in BOARDS:
        raise click.UsageError(f"--board {key}: there are {', '.join(BOARDS)}")


def default_name(board: str) -> str:
    """Return a name by which hosts take it for that board."""
    prefixes = BOARDS[board].name_prefixes
    return f"{prefixes[0] if prefixes else 'hipdrive'} sim"


def scenario(board: str, simulation: SimulationConfig) -> Scenario:
    """Return the simulated runner with that board's sensor."""
    motion = BOARDS[board].motion
    runner = Scenario(speed_mps=simulation.speed_mps, standing_s=simulation.standing_s)
    if motion is None:
        return runner
    sensor = SensorModel(
        rate_hz=motion.rate_hz,
        acc_range_g=motion.acc_range_mps2 / STANDARD_GRAVITY_MPS2,
        gyro_range_dps=math.degrees(motion.gyr_range_radps),
    )
    return replace(runner, sensor=sensor)
