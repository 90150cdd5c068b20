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


@click.command(short_help="Record a simulated runner, or play his sensor over Bluetooth.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The recording to write (.mcap).")
@click.option("--minutes", type=click.FloatRange(0.1, 600), help="How long it is; with --ble it may be left out.")
@click.option(
    "--ble",
    "controller",
    metavar="[ADAPTER]",
    is_flag=False,
    flag_value="usb:0",
    help="Be a sensor on a Bluetooth adapter instead: usb:0 (if none is named), hci-socket:0, tcp-client:HOST:PORT.",
)
@click.option("--board", help="Which board the sensor is, with --ble; rimu if none is named.")
@click.option("--name", help="The name under which it advertises, with --ble.")
@click.option("--speed-mps", type=float, help="How fast the runner runs.")
@click.option("--seed", type=int, help="Another seed is another runner on another day; the same gives the same.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write the true values of every contact here (CSV).")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the samples here too (CSV).")
@config_options
def command(
    *,
    output: Path | None,
    minutes: float | None,
    controller: str | None,
    board: str | None,
    name: str | None,
    speed_mps: float | None,
    seed: int | None,
    truth: Path | None,
    table: Path | None,
    config_file: Path | None,
    runner: str | None,
    settings: Sequence[str],
) -> None:
    """Write a recording of a simulated runner, or be the runner's sensor.

    The runner stands, then runs; the sensor is biased, noisy and crooked like
    a real one. The bytes are those the sensor would send, and their order and
    times are the same for the same seed, whenever and wherever it is run.

    With --ble nothing is written: over a Bluetooth adapter of its own this
    computer becomes the sensor, and any host can scan for it, connect and
    measure. Ctrl-C ends it.
    """
    config = resolve(
        config_file,
        runner,
        settings,
        ("--speed-mps", "simulation.speed_mps", speed_mps),
        ("--seed", "simulation.seed", seed),
    ).config
    if controller is not None:
        if output is not None or table is not None or truth is not None:
            raise click.UsageError("--ble writes no files: leave out -o, --csv and --truth")
        from sensor_host.commands.advertise import advertise, check_board

        check_board(board or "rimu")
        advertise(controller, board or "rimu", name or "", config.simulation, minutes and 60.0 * minutes)
        return
    if board is not None or name is not None:
        raise click.UsageError("--board and --name are for --ble; what is recorded is the reference board's")
    if output is None and table is None:
        raise click.UsageError("nothing to write: give -o OUT.mcap, --csv OUT.csv or both; or --ble to be a sensor")
    if minutes is None:
        raise click.UsageError("say how long it is: --minutes 5")
    from collections import deque
    from contextlib import ExitStack
    from dataclasses import astuple, fields

    from pelvis.simulate import Scenario, SimulatedBlock, TrueContact
    from sensor_host.sources.simulated import SimulatedSource
    from sensor_host.tables import WholeFile, format_samples, samples_header, write_rows

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
