"""How commands say their results: a screen for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sensor_host.summary import Tally


def print_json(value: object) -> None:
    """Print ``value`` as indented JSON."""
    click.echo(_encode(value).decode(), nl=False)


def write_summary(path: Path, facts: Mapping[str, object], tally: Tally) -> None:
    """Write the summary of a session or a file as JSON.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from sensor_host.tables import WholeFile

    with WholeFile(path) as file:
        file.write(_encode(_document(facts, tally)))


def print_summary(facts: Mapping[str, object], tally: Tally, *, as_json: bool) -> None:
    """Print the summary; warnings also go to stderr when it is JSON."""
    if as_json:
        print_json(_document(facts, tally))
        for warning in tally.warnings:
            print(f"hipdrive: warning: {warning}", file=sys.stderr)
        return
    from sensor_host.summary import versions

    for name, value in facts.items():
        click.echo(f"{name}: {value}")
    for line in tally.lines():
        click.echo(line)
    click.echo(", ".join(f"{name} {version}" for name, version in versions().items()))


def _document(facts: Mapping[str, object], tally: Tally) -> dict[str, object]:
    from sensor_host.summary import versions

    return {**facts, "versions": versions(), **tally.as_dict()}


def _encode(value: object) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
