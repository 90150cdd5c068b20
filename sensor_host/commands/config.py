"""``hipdrive config``: what is in force, where it comes from, and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sensor_host.commands.options import config_options, resolve


@click.group(short_help="Show or check the configuration.")
def command() -> None:
    """Show or check the configuration.

    Later wins: built-in values, your config.toml, the runner's own file,
    environment variables (HIPDRIVE_MQTT__PORT=1883), options of the command.
    """


@command.command(short_help="Show every setting in force.")
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_options
def show(*, origin: bool, as_json: bool, config_file: Path | None, runner: str | None, settings: Sequence[str]) -> None:
    """Show every setting in force, as TOML that can be saved and edited."""
    from sensor_host.commands.output import print_json
    from sensor_host.settings import toml_value, values

    resolved = resolve(config_file, runner, settings)
    found = values(resolved.config)
    if as_json:
        if origin:
            print_json({path: {"value": value, "origin": resolved.origins[path]} for path, value in found.items()})
        else:
            print_json(resolved.config)
        return
    section = ""
    for path, value in found.items():
        if not path.startswith(f"{section}."):
            if section:
                click.echo()
            section = path.partition(".")[0]
            click.echo(f"[{section}]")
        line = f"{path.partition('.')[2]} = {toml_value(value)}"
        click.echo(f"{line:40} # {resolved.origins[path]}" if origin else line)


@command.command(short_help="Say whether the settings are right.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, *, file: Path | None, as_json: bool) -> None:
    """Say whether FILE, or without it your own settings and the environment, are right.

    Every fault is named with its path, where it stands and the nearest valid
    value. The exit code is 2 when there is one.
    """
    from sensor_host import places
    from sensor_host.commands.output import print_json
    from sensor_host.errors import ConfigError
    from sensor_host.settings import check as find_faults

    faults = find_faults(file=file)
    if as_json:
        print_json([{"path": fault.path, "text": str(fault), "suggestion": fault.suggestion} for fault in faults])
    else:
        for fault in faults:
            click.echo(f"hipdrive: error: {fault}", err=True)
    if faults:
        ctx.exit(ConfigError.exit_code)
    if not as_json:
        path = file or places.user_config_path()
        click.echo(f"{path}: {'fine' if path.exists() else 'not there; the built-in values hold'}")
