"""``hipdrive bench-link``: how much this host and sensor really get across, how late, with a verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import DURATION, SENSOR, config_options, resolve

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sensor_host.config import Config
    from sensor_host.link_bench import Figures, Judged, LinkBench

_COLOURS = {"good": "green", "usable": "yellow", "poor": "bold red", "": ""}


@click.command(short_help="Measure how well a sensor's radio link works.")
@click.argument("recording", required=False, type=click.Path(path_type=Path))
@click.option("--for", "for_s", type=DURATION, default="60s", show_default=True, help="How long to listen.")
@SENSOR
@click.option("--dense", is_flag=True, help="Have it send single samples: many times the packets, where it can.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    recording: Path | None,
    for_s: float,
    which: str | None,
    dense: bool,
    as_json: bool,
    config_file: Path | None,
    runner: str | None,
    settings: Sequence[str],
) -> None:
    """Measure how well a sensor's radio link works: packets, loss, delay.

    Wear sensor and host as in a run and move about. With a RECORDING, its
    link is judged instead. --dense shows how much room there is: the reference
    board then sends 208 packets a second. The exit code is 1 when the verdict
    is poor.
    """
    from sensor_host.link_bench import as_dict, judge, worst

    if recording is not None:
        bench = _of_recording(recording)
    else:
        config = resolve(config_file, runner, settings, ("--sensor", "sensor.which", which)).config
        bench = asyncio.run(_live(config, for_s, dense=dense))
    figures = bench.figures()
    judged = judge(figures)
    if as_json:
        from sensor_host.commands.output import print_json

        print_json(as_dict(figures, judged))
    else:
        from rich.console import Console

        Console().print(_render(bench, figures, judged))
    if worst(judged) == "poor":
        ctx.exit(1)


def _of_recording(path: Path) -> LinkBench:
    from sensor_host.boards import TIMED
    from sensor_host.errors import InputError
    from sensor_host.link_bench import LinkBench
    from sensor_host.ports import Role
    from sensor_host.recording.reader import read

    recording = read(path)
    sensor = next((sensor for sensor in recording.session.sensors if sensor.role == Role.PELVIS), None)
    if sensor is None or sensor.board == TIMED:
        raise InputError(f"{path} has no radio link to judge: its samples came from a file", path=str(path))
    bench = LinkBench(sensor)
    for arrival in recording.arrivals():
        bench.take(arrival)
    return bench


async def _live(config: Config, for_s: float, *, dense: bool) -> LinkBench:
    from sensor_host.boards import BOARDS
    from sensor_host.commands.radio import open_sensor, recall
    from sensor_host.errors import LinkError
    from sensor_host.link_bench import LinkBench
    from sensor_host.ports import LinkState, Notification

    loop = asyncio.get_running_loop()
    async with open_sensor(config, recall(), dense=dense) as source:
        if dense and BOARDS[source.sensors[0].board].dense_set_up is None:
            click.echo("this sensor cannot send more packets than it does: --dense changes nothing", err=True)
        bench = LinkBench(source.sensors[0])
        heard = False
        try:
            # a sensor that was found and then never sends is given as long as it was given to be found
            async with asyncio.timeout(config.sensor.scan_timeout_s) as limit:
                async for arrival in source:
                    bench.take(arrival, time.monotonic())
                    if isinstance(arrival, LinkState) and arrival.state in ("connecting", "lost"):
                        click.echo(f"{arrival.state} {source.sensors[0].name} {arrival.detail}".rstrip(), err=True)
                    if isinstance(arrival, Notification) and not heard:
                        heard = True
                        limit.reschedule(loop.time() + for_s)
                        click.echo(f"listening for {for_s:g} s", err=True)
        except TimeoutError:
            pass
        if not heard:
            raise LinkError(f"{source.sensors[0].name} sent nothing: switch it off and on, and charge it")
        return bench


def _render(bench: LinkBench, figures: Figures, judged: list[Judged]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sensor_host.boards import BOARDS
    from sensor_host.link_bench import MEANING, lines, worst

    sensor = bench.sensor
    # what stands in parentheses is for those who choose a board
    head = f"{sensor.name or sensor.role}, {BOARDS[sensor.board].title.partition(' (')[0]}"
    if figures.rssi_dbm is not None:
        head += f", {figures.rssi_dbm} dBm"
    table = Table.grid(padding=(0, 2))
    for mark, title, told in lines(figures, judged):
        table.add_row(Text(mark, style=_COLOURS[mark]), title, told)
    verdict = worst(judged)
    said = [Text.assemble((verdict, _COLOURS[verdict]), f": {MEANING[verdict]}")]
    said += [Text(f"→ {one.limit.title}: {one.limit.advice}") for one in judged if one.mark != "good"]
    return Group(Text(head, style="bold"), table, *said)
