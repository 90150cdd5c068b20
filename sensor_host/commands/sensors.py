"""``hipdrive sensors``: the sensors that were used, and their nicknames."""

from __future__ import annotations

import click


@click.group(short_help="List the sensors used so far, give them nicknames.", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the sensors used so far; give them nicknames or forget them.

    A nickname stands wherever a sensor is chosen: hipdrive run --sensor red.
    On macOS a sensor has an address, and so a nickname, on this computer only.
    """
    if ctx.invoked_subcommand is not None:
        return
    from sensor_host import known_sensors
    from sensor_host.commands.output import print_json

    known = known_sensors.load()
    rows = [
        {
            "nickname": sensor.nickname,
            "name": sensor.name,
            "address": sensor.address,
            "board": sensor.board,
            "last_used_utc": sensor.last_used_utc,
            "last_of": sorted(runner for runner, roles in known.last.items() if sensor.address in roles.values()),
        }
        for sensor in sorted(known.sensors, key=lambda sensor: sensor.last_used_utc, reverse=True)
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("none yet: a sensor is remembered when it is used; 'hipdrive scan' lists those in reach")
        return
    widths = [max(len(str(row[key])) for row in rows) for key in ("nickname", "name", "address", "board")]
    for row in rows:
        cells = [str(row[key]) or "-" for key in ("nickname", "name", "address", "board")]
        used = str(row["last_used_utc"]).replace("T", " ").removesuffix(":00Z").removesuffix("Z")
        runners = row["last_of"]
        assert isinstance(runners, list)
        last = f"  last of {', '.join(runners)}" if runners else ""
        line = "  ".join(cell.ljust(max(width, 1)) for cell, width in zip(cells, widths, strict=True))
        click.echo(f"{line}  {f'{used} UTC' if used else 'never used'}{last}")


@command.command("name", short_help="Give a sensor a nickname.")
@click.argument("which")
@click.argument("nickname")
def name_it(*, which: str, nickname: str) -> None:
    """Give the sensor WHICH (its address, name or old nickname) a NICKNAME."""
    from sensor_host import known_sensors

    known = known_sensors.load().named(which, nickname)
    known_sensors.save(known)
    sensor = known.find(nickname)
    assert sensor is not None
    click.echo(f"{sensor.address} is {sensor.nickname} from now on: hipdrive run --sensor '{sensor.nickname}'")


@command.command(short_help="Forget a sensor.")
@click.argument("which")
def forget(*, which: str) -> None:
    """Forget the sensor WHICH (its nickname, address or name): it is preferred no more."""
    from sensor_host import known_sensors

    known = known_sensors.load()
    sensor = known.find(which)
    known_sensors.save(known.without(which))
    assert sensor is not None
    click.echo(f"{sensor.nickname or sensor.name or sensor.address} is forgotten")
