"""``hipdrive record``: look into recordings, rescue damaged ones."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(short_help="Look into a recording or rescue a damaged one.")
def command() -> None:
    """Look into a recording or rescue a damaged one."""


@command.command(short_help="Say what is in a recording.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(*, recording: Path, as_json: bool) -> None:
    """Say what is in a recording: who, when, which sensors, how much was lost."""
    from dataclasses import asdict

    from sensor_host.commands.output import print_json
    from sensor_host.recording.overview import info as read_info
    from sensor_host.summary import clock

    found = read_info(recording)
    if as_json:
        print_json({**asdict(found), "path": str(found.path)})
        return
    session = found.session
    click.echo(f"{found.path}: {found.size_bytes / 1e6:.1f} MB, {clock(found.duration_s)}")
    click.echo(f"session {session.session_id}, runner {session.runner}, {session.mode}, {session.start_utc}")
    if session.replay_of:
        click.echo(f"replay of {session.replay_of}")
    for sensor in found.sensors:
        health = sensor.health
        click.echo(
            f"{health.role} ({sensor.board}): {health.samples} samples in {health.notifications} notifications, "
            f"{health.lost_text} lost, {health.duplicates} double, {health.bad_notifications} bad, "
            f"{sensor.breaks} breaks{f' up to {clock(sensor.longest_break_s)}' if sensor.breaks else ''}"
        )
        if health.model or health.firmware:
            click.echo(f"  {health.model or 'model unknown'}, firmware {health.firmware or 'unknown'}")
    for marker in found.markers:
        click.echo(f"{clock(marker.t_s)} {marker.kind}: {marker.text}")
    click.echo(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    if found.cut:
        click.echo("it ends in the middle: its last second may be missing (hipdrive record recover makes it whole)")


@command.command(short_help="Save what can be saved of a damaged recording.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The clean recording.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recover(*, recording: Path, output: Path, as_json: bool) -> None:
    """Save what can be saved of a recording that was cut off or damaged.

    The damaged file is left as it is.
    """
    from dataclasses import asdict

    from sensor_host.commands.output import print_json
    from sensor_host.recording.salvage import recover as save

    saved = save(recording, output)
    if as_json:
        print_json({**asdict(saved), "path": str(output)})
        return
    click.echo(f"{output}: {saved.messages} messages saved")
    if saved.damaged_places or saved.missing_arrivals:
        click.echo(
            f"{saved.damaged_places} damaged places, {saved.skipped_bytes} bytes passed over, "
            f"{saved.missing_arrivals} arrivals missing"
        )
    for note in saved.notes:
        click.echo(note)
