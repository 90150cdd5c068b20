"""``hipdrive doctor``: what this computer has, what it lacks, and what to do about it."""

from __future__ import annotations

import click


@click.command(short_help="Check this computer and say what to do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Check this computer: Python, Bluetooth, D-Bus, broker, sound, folders.

    What is missing comes with what to do about it. The exit code is 0 when
    everything is there, 1 when something is missing.
    """
    from dataclasses import asdict

    from rich.console import Console

    from sensor_host.commands.output import print_json
    from sensor_host.doctor import examine, render

    checks = examine()
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        Console().print(render(checks))
    if not all(check.ok for check in checks):
        ctx.exit(1)
