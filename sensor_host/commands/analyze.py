"""``hipdrive analyze``: steps and samples of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sensor_host.commands.options import BELT_SPEED, NO_CALIBRATION, Belt, check_belts, known_profile


@click.command(short_help="Measure the steps of a recording or a CSV file.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--steps", type=click.Path(path_type=Path), help="Write a table with one row per step here (CSV).")
@click.option("--samples", type=click.Path(path_type=Path), help="Write the pelvis' angles at 200 Hz here (CSV).")
@click.option("--summary", type=click.Path(path_type=Path), help="Write the summary here (JSON).")
@click.option(
    "--speed",
    "belts",
    type=BELT_SPEED,
    multiple=True,
    help="The treadmill's speed in m/s; with seconds of the session as 3.0@60-120. May be given several times.",
)
@click.option("--runner", metavar="NAME", help="Use the calibrations of this runner as they are now.")
@NO_CALIBRATION
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    *,
    source: Path,
    steps: Path | None,
    samples: Path | None,
    summary: Path | None,
    belts: Sequence[Belt],
    runner: str | None,
    no_calibration: bool,
    as_json: bool,
) -> None:
    """Measure the steps of a recording or a CSV file.

    INPUT is a recording (.mcap) or a CSV file whose header names the units:
    t_s, then acc_x_g or acc_x_mps2 and gyr_x_dps or gyr_x_radps, for x, y and z.
    Any mounting will do, and any rate from 50 to 500 Hz. Times in the tables
    are those of the input.

    A recording is measured with the runner's calibrations as they were then,
    a CSV file without any; --runner takes those of today.
    """
    from sensor_host.analysis import analyze, open_input
    from sensor_host.commands.output import print_summary, write_summary

    ordered = check_belts(belts)
    opened = open_input(source)
    if runner is not None:
        opened.profile = known_profile(runner)
    tally = analyze(opened, steps=steps, samples=samples, calibrated=not no_calibration, belts=ordered)
    facts: dict[str, object] = {"input": str(source), **opened.facts()}
    if summary is not None:
        write_summary(summary, facts, tally)
    print_summary(facts, tally, as_json=as_json)
