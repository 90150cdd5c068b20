"""``hipdrive simulate``: a recording of a runner whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import config_options, resolve

if TYPE_CHECKING:
    from sensor_host.config import Config
    from sensor_host.sources.simulated import SimulatedSource


@click.command(short_help="Write a recording of a simulated runner.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The recording to write (.mcap).")
@click.option("--minutes", type=click.FloatRange(0.1, 600), required=True, help="How long it is.")
@click.option("--speed-mps", type=float, help="How fast the runner runs.")
@click.option("--seed", type=int, help="Another seed is another runner on another day; the same gives the same.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write the true values of every contact here (CSV).")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the samples here too (CSV).")
@config_options
def command(
    *,
    output: Path | None,
    minutes: float,
    speed_mps: float | None,
    seed: int | None,
    truth: Path | None,
    table: Path | None,
    config_file: Path | None,
    runner: str | None,
    settings: Sequence[str],
) -> None:
    """Write a recording of a simulated runner.

    The runner stands, then runs; the sensor is biased, noisy and crooked like
    a real one. The bytes are those the sensor would send, and their order and
    times are the same for the same seed, whenever and wherever it is run.
    """
    if output is None and table is None:
        raise click.UsageError("nothing to write: give -o OUT.mcap, --csv OUT.csv or both")
    from collections import deque
    from contextlib import ExitStack
    from dataclasses import astuple, fields

    from pelvis.simulate import Scenario, SimulatedBlock, TrueContact
    from sensor_host.sources.simulated import SimulatedSource
    from sensor_host.tables import WholeFile, format_samples, samples_header, write_rows

    config = resolve(
        config_file,
        runner,
        settings,
        ("--speed-mps", "simulation.speed_mps", speed_mps),
        ("--seed", "simulation.seed", seed),
    ).config
    scenario = Scenario(
        speed_mps=config.simulation.speed_mps,
        standing_s=config.simulation.standing_s,
        duration_s=60.0 * minutes,
    )
    rows: list[TrueContact] = []
    with ExitStack() as stack:
        samples = stack.enter_context(WholeFile(table)) if table is not None else None
        if samples is not None:
            samples.write(samples_header())

        def note(block: SimulatedBlock) -> None:
            rows.extend(block.contacts)
            if samples is not None:
                samples.write(format_samples(block.t_s, block.acc_mps2, block.gyr_radps))

        source = SimulatedSource(scenario, config.simulation.seed, paced=False, on_block=note)
        if output is not None:
            _record(output, source, config)
        else:
            deque(source.arrivals(), maxlen=0)
    if truth is not None:
        write_rows(truth, [field.name for field in fields(TrueContact)], [astuple(contact) for contact in rows])
    for path in (output, truth, table):
        if path is not None:
            click.echo(path)


def _record(path: Path, source: SimulatedSource, config: Config) -> None:
    from datetime import UTC, datetime

    from sensor_host.ports import SessionInfo
    from sensor_host.recording.writer import RecordingWriter
    from sensor_host.runners import Profile
    from sensor_host.runners import encode as encode_profile
    from sensor_host.settings import encode

    session = SessionInfo(
        session_id=f"simulated-{config.simulation.speed_mps:g}mps-seed{config.simulation.seed}",
        runner=config.runner.name,
        mode=source.mode,
        start_utc=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z",
        utc_offset_s=0,
        sensors=source.sensors,
    )
    writer = RecordingWriter(
        path,
        session,
        encode(config),
        encode_profile(Profile(runner=config.runner.name)),
        config_type="application/json",
        profile_type="application/json",
    )
    with writer:
        for arrival in source.arrivals():
            writer.write(arrival)
