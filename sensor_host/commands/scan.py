"""``hipdrive scan``: which sensors can be heard, and what they say of themselves."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import DURATION

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from sensor_host.known_sensors import KnownSensors
    from sensor_host.scan import Sighting

# dBm from which on one, two, three, four bars: -60 is across a room; below -90 most receivers lose the link
_BARS_FROM_DBM = (-90, -80, -70, -60)

# what is piped is not cut: as wide as the longest line is likely to be
_PIPED_WIDTH = 200


@dataclass(slots=True)
class Row:
    """One device of the list: ``problem`` says why it cannot be used; the details are those it was asked for."""

    sighting: Sighting
    nickname: str
    kind: str
    problem: str
    asked: bool = False
    battery_ratio: float | None = None
    firmware: str = ""
    model: str = ""


@click.command(short_help="List the sensors in radio range.")
@click.option("--for", "for_s", type=DURATION, default="5s", show_default=True, help="How long to listen.")
@click.option("--details", is_flag=True, help="Connect to each: battery, firmware, model, and whether it works.")
@click.option("--all", "everything", is_flag=True, help="Also list devices that are none of ours.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, for_s: float, details: bool, everything: bool, as_json: bool) -> None:
    """List the sensors in radio range, the nearest first.

    Wake the sensor before: most sleep until they are moved. One that another
    host holds (an app, a watch) is not heard. The exit code is 5 when none is.
    """
    from sensor_host.commands.output import print_json
    from sensor_host.commands.radio import recall
    from sensor_host.errors import LinkError

    heard, rows = asyncio.run(_hear(for_s, recall(), everything=everything, details=details))
    if as_json:
        print_json([_facts(row, details=details) for row in rows])
    elif rows:
        _print(rows)
    if not rows:
        others = f" ({heard} other devices were; --all lists them)" if heard else " (nor was anything else)"
        raise LinkError(
            f"no sensor was heard within {for_s:g} s{others}: switch it on, move it to wake it, bring it near, "
            "and close the app that holds it"
        )


async def _hear(for_s: float, known: KnownSensors, *, everything: bool, details: bool) -> tuple[int, list[Row]]:
    """Return how many devices were heard, and those to be listed."""
    from sensor_host.scan import scan

    heard = await scan(for_s, lambda: print(f"hipdrive: listening for {for_s:g} s", file=sys.stderr))
    rows = [_row(sighting, known) for sighting in heard if sighting.board or everything]
    if details:
        for row in rows:
            # asking ends with letting go, and this one is somebody's
            if row.sighting.board and row.sighting.rssi_dbm is not None:
                print(f"hipdrive: asking {row.sighting.label}", file=sys.stderr)
                await _ask(row)
    return len(heard), rows


def _row(sighting: Sighting, known: KnownSensors) -> Row:
    from sensor_host.boards import BOARDS

    sensor = known.at(sighting.address)
    board = BOARDS.get(sighting.board)
    problem = board.refusal if board is not None else "none of ours"
    if sighting.rssi_dbm is None:
        problem = (
            "connected to this computer already: another program holds it, or one that was killed has left it; "
            f"hipdrive run --sensor {sighting.address} takes it"
        )
    return Row(
        sighting, sensor.nickname if sensor is not None else "", board.kind if board is not None else "", problem
    )


async def _ask(row: Row) -> None:
    """Connect to a sensor, set it up as for a run, and let go of it again."""
    from sensor_host.boards import BOARDS
    from sensor_host.connection import Connection
    from sensor_host.errors import HipdriveError

    connection = Connection(BOARDS[row.sighting.board], row.sighting, row.kind, lambda _: None)
    try:
        firmware = await connection.open()
        facts = await connection.facts()
        row.asked = True
        row.firmware, row.model, row.battery_ratio = firmware or facts.firmware, facts.model, facts.battery_ratio
    except HipdriveError as error:
        row.problem = str(error)
    finally:
        await connection.close()


# ---------------------------------------------------------------- how it is shown


def _facts(row: Row, *, details: bool) -> dict[str, object]:
    one = row.sighting
    facts: dict[str, object] = {
        "nickname": row.nickname,
        "name": one.name,
        "address": one.address,
        "rssi_dbm": one.rssi_dbm,
        "board": one.board or None,
        "kind": row.kind or None,
        "supported": not row.problem,
        "problem": row.problem,
    }
    if details:
        facts |= {"battery_ratio": row.battery_ratio, "firmware": row.firmware, "model": row.model}
    return facts


def _print(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPED_WIDTH)
    unicode = console.encoding.startswith("utf")
    console.print(_table(rows, unicode=unicode))
    if any(row.asked or (row.problem and row.sighting.board) for row in rows):
        console.print()
    sign = "→" if unicode else "->"
    for row in rows:
        label = row.nickname or row.sighting.label
        if row.asked:
            console.print(Text(f"{label}: {_details(row)}"))
        if row.problem and row.sighting.board:
            console.print(Text(f"{sign} {label}: {row.problem}", style="yellow"))


def _table(rows: list[Row], *, unicode: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    named = any(row.nickname for row in rows)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("", *(("nickname",) if named else ()), "name", "address", "signal", "board"):
        table.add_column(title, no_wrap=title in ("", "signal"), overflow="fold")
    for row in rows:
        one = row.sighting
        good, style = (("✓" if unicode else "ok"), "green") if not row.problem else (("✗" if unicode else "no"), "red")
        mark = Text(good, style=style) if one.board else Text("")
        table.add_row(
            mark,
            *((Text(row.nickname, style="bold"),) if named else ()),
            Text(_clean(one.name) or "-", style="" if one.board else "dim"),
            Text(one.address, style="dim"),
            _signal(one.rssi_dbm, unicode=unicode),
            Text("heart rate" if row.kind == "heart_rate" else one.board or "-", style="" if one.board else "dim"),
        )
    return table


def _signal(rssi_dbm: int | None, *, unicode: bool) -> Text:
    from rich.text import Text

    if rssi_dbm is None:
        return Text("connected", style="yellow")
    count = sum(rssi_dbm >= limit for limit in _BARS_FROM_DBM)
    style = ("bold red", "red", "yellow", "green", "green")[count]
    full = "▂▄▆█" if unicode else "####"
    return Text.assemble((full[:count].ljust(len(full)), style), f" {rssi_dbm:4d} dBm")


def _details(row: Row) -> str:
    parts = [row.model] if row.model else []
    parts.append(f"firmware {row.firmware or 'unknown'}")
    battery = "unknown" if row.battery_ratio is None else f"{row.battery_ratio:.0%}".replace("%", " %")
    return ", ".join([*parts, f"battery {battery}"])


def _clean(text: str) -> str:
    """Return a device's name without what could steer a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
