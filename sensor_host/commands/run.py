"""``hipdrive run``: a run with the sensor."""

from __future__ import annotations

import click

from sensor_host.commands.options import DURATION, SENSOR, SessionOptions, session_options


@click.command(short_help="Measure a run with the sensor.")
@click.option("--for", "for_s", type=DURATION, help="End after this time, as in 45m; without it, end with Ctrl-C.")
@SENSOR
@click.option(
    "--heart-rate",
    "strap",
    metavar="[WHICH]",
    is_flag=False,
    flag_value="any",
    help="Listen to a heart-rate strap as well: the one used last, or this one.",
)
@click.option("--force", is_flag=True, help="Use the sensor even if it cannot measure running.")
@click.option("--no-record", is_flag=True, help="Keep nothing of this run.")
@session_options
def command(
    *,
    for_s: float | None,
    which: str | None,
    strap: str | None,
    force: bool,
    no_record: bool,
    shared: SessionOptions,
) -> None:
    """Measure a run with the sensor at the back of the waistband.

    Switch the sensor on, start this, stand still for five seconds, then run.
    Ctrl-C ends the run with a summary and the path of its recording.

    Of several sensors in reach the one used last is taken, else the nearest;
    hipdrive scan lists them, hipdrive sensors gives them nicknames.
    """
    from sensor_host.commands.radio import Radio, recall
    from sensor_host.commands.running import Plan, conduct
    from sensor_host.runners import load

    config = shared.resolve(
        ("--sensor", "sensor.which", which),
        ("--force", "sensor.force", "true" if force else None),
        ("--heart-rate", "heart_rate.which", strap),
    ).config
    plan = Plan(
        config=config,
        profile=load(config.runner.name),
        shared=shared,
        record=config.recording.enabled and not no_record,
        for_s=for_s,
    )
    radio = Radio(config, recall())
    try:
        conduct(radio.source, plan)
    finally:
        for warning in radio.warnings:
            click.echo(f"hipdrive: warning: {warning}", err=True)
