"""``hipdrive scan``: which sensors can be heard."""

from __future__ import annotations

import asyncio

import click

from sensor_host.commands.options import DURATION


@click.command(short_help="List the sensors in radio range.")
@click.option("--for", "for_s", type=DURATION, default="5s", show_default=True, help="How long to listen.")
@click.option("--all", "everything", is_flag=True, help="Also list devices that are none of ours.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, for_s: float, everything: bool, as_json: bool) -> None:
    """List the sensors in radio range, the nearest first.

    Wake the sensor before: most sleep until they are moved.
    """
    from sensor_host.commands.output import print_json
    from sensor_host.scan import scan

    heard = asyncio.run(scan(for_s))
    shown = [sighting for sighting in heard if sighting.board or everything]
    if as_json:
        print_json(
            [
                {"name": one.name, "address": one.address, "rssi_dbm": one.rssi_dbm, "board": one.board or None}
                for one in shown
            ]
        )
        return
    for one in shown:
        click.echo(f"{one.address:18} {one.rssi_dbm:4d} dBm  {one.board or '-':10} {one.name}")
    if not shown:
        others = f"; {len(heard)} other devices were (list them with --all)" if heard and not everything else ""
        click.echo(f"no sensor was heard within {for_s:g} s{others}: switch it on, move it, bring it near")
