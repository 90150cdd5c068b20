"""``hipdrive run``: a run with the sensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sensor_host.commands.options import DURATION, raw, resolve, session_options


@click.command(short_help="Measure a run with the sensor.")
@click.option("--for", "for_s", type=DURATION, help="End after this time, as in 45m; without it, end with Ctrl-C.")
@click.option("--name", help="Take the sensor of this name.")
@click.option("--address", help="Take the sensor with this address; hipdrive scan lists them.")
@click.option("--force", is_flag=True, help="Use the sensor even if it cannot measure running.")
@click.option("--no-record", is_flag=True, help="Keep nothing of this run.")
@session_options
def command(
    *,
    for_s: float | None,
    name: str | None,
    address: str | None,
    force: bool,
    no_record: bool,
    broker: str | None,
    no_sound: bool,
    no_console: bool,
    no_calibration: bool,
    summary: Path | None,
    as_json: bool,
    config_file: Path | None,
    runner: str | None,
    settings: Sequence[str],
) -> None:
    """Measure a run with the sensor at the back of the waistband.

    Switch the sensor on, start this, stand still for five seconds, then run.
    Ctrl-C ends the run with a summary and the path of its recording.
    """
    from sensor_host.commands.running import Plan, conduct
    from sensor_host.runners import load
    from sensor_host.sources.ble import BleSource

    config = resolve(
        config_file,
        runner,
        settings,
        ("--broker", "mqtt.broker", broker),
        ("--name", "sensor.name", name),
        ("--address", "sensor.address", address),
        ("--force", "sensor.force", "true" if force else None),
        raw(no_calibration),
    ).config
    conduct(
        BleSource(config.sensor),
        Plan(
            config=config,
            profile=load(config.runner.name),
            record=config.recording.enabled and not no_record,
            sound=not no_sound,
            console=not no_console and not as_json,
            for_s=for_s,
            summary=summary,
            as_json=as_json,
        ),
    )
