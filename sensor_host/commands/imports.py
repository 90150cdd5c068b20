"""``hipdrive import``: samples of another logger as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pelvis.data import Samples, Speed

# one block a second: small enough to be replayed at the pace of a run, large enough to be read quickly
BLOCK_S = 1.0


@click.command("import", short_help="Turn a CSV file into a recording.")
@click.argument("source", metavar="FILE.csv", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The recording to write (.mcap).")
@click.option("--runner", default="runner", show_default=True, help="Who ran.")
@click.option("--placement", default="sacrum", show_default=True, help="Where the sensor sat.")
def command(*, source: Path, output: Path, runner: str, placement: str) -> None:
    """Turn a CSV file into a recording, which can then be replayed.

    The header must name the units, as for hipdrive analyze. Times stay those
    of the file.
    """
    from datetime import UTC, datetime
    from itertools import chain

    from sensor_host.boards import TIMED
    from sensor_host.commands.options import resolve
    from sensor_host.ports import Injected, Mode, Role, SensorInfo, SessionInfo, TimedBlock
    from sensor_host.recording.writer import RecordingWriter
    from sensor_host.runners import encode as encode_profile
    from sensor_host.runners import load
    from sensor_host.settings import encode
    from sensor_host.summary import clock
    from sensor_host.tables import CsvSamples

    config = resolve(None, runner, (), ("--placement", "sensor.placement", placement)).config
    table = CsvSamples(source)
    blocks = _cut(table)
    speeds, first = next(blocks)
    written = datetime.fromtimestamp(source.stat().st_mtime, UTC)
    session = SessionInfo(
        session_id=f"{written:%Y%m%dT%H%M%SZ}-{runner}-import",
        runner=runner,
        mode=Mode.LIVE,
        start_utc=f"{written:%Y-%m-%dT%H:%M:%S}Z",
        utc_offset_s=0,
        sensors=(SensorInfo(Role.PELVIS, TIMED, placement, name=source.name, rate_hz=table.rate_hz),),
    )
    begin_s = float(first.t_s[0])
    end_s = begin_s
    writer = RecordingWriter(
        output,
        session,
        encode(config),
        encode_profile(load(runner)),
        config_type="application/json",
        profile_type="application/json",
    )
    try:
        with writer:
            for said, block in chain(((speeds, first),), blocks):
                for speed in said:
                    writer.write(Injected(speed, max(0.0, speed.t_s - begin_s)))
                end_s = float(block.t_s[-1])
                writer.write(TimedBlock(Role.PELVIS, block, end_s - begin_s))
    except BaseException:
        output.unlink(missing_ok=True)
        raise
    for warning in table.warnings:
        click.echo(f"hipdrive: warning: {warning}", err=True)
    click.echo(f"{output}: {clock(end_s - begin_s)}, {table.rows - table.lost} samples at {table.rate_hz:g} Hz")


def _cut(items: Iterable[Samples | Speed]) -> Iterator[tuple[list[Speed], Samples]]:
    """Yield the samples in portions of at most `BLOCK_S`, each with the speeds up to its end."""
    from dataclasses import replace

    from pelvis.data import Speed

    coming: list[Speed] = []
    for item in items:
        if isinstance(item, Speed):
            coming.append(item)
            continue
        size = max(1, round(BLOCK_S * item.rate_hz))
        for start in range(0, len(item.t_s), size):
            part = slice(start, start + size)
            cut = replace(item, t_s=item.t_s[part], acc_mps2=item.acc_mps2[part], gyr_radps=item.gyr_radps[part])
            due = [speed for speed in coming if speed.t_s <= cut.t_s[-1]]
            coming = coming[len(due) :]
            yield due, cut
