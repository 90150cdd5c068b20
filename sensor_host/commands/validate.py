"""``hipdrive validate``: accuracy against ground truth, of public data or of one's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console

    from sensor_host.validation.measured import Measured
    from sensor_host.validation.pairs import Pair
    from sensor_host.validation.table import Table

# a table in a file or a pipe is as wide as it is
_UNFOLDED = 250


@click.command(short_help="Measure the accuracy against ground truth.")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path, exists=True))
@click.option("--only", metavar="NAMES", help="Make only these tables, as in --only found,steps.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the page with all tables here, plots beside it.")
@click.option("--fit", is_flag=True, help="Fit the event models from scratch and compare them with the shipped ones.")
@click.option(
    "--write-coefficients",
    type=click.Path(path_type=Path),
    help="Write the fitted models here, as the core's coefficients.py.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="DATA is a recording, and this the truth (CSV).",
)
@click.option("--offset", type=float, metavar="S", help="Seconds to add to true times; else found by matching.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
@click.option("--fit-errors", is_flag=True, help="Fit the standard errors likewise, and show how well they hold.")
@click.option(
    "--write-errors", type=click.Path(path_type=Path), help="Write them here, as the core's error_coefficients.py."
)
@click.option(
    "--write-shares", type=click.Path(path_type=Path), help="Put the table of how well they hold on this page."
)
def command(
    *,
    data: Path,
    only: str | None,
    write: Path | None,
    fit: bool,
    write_coefficients: Path | None,
    truth: Path | None,
    offset: float | None,
    as_json: bool,
    fit_errors: bool,
    write_errors: Path | None,
    write_shares: Path | None,
) -> int:
    """Measure the accuracy against ground truth.

    DATA is the folder of the public data sets (rbds/, alcantara/, sisfall/,
    walking/): every table of docs/accuracy.md is made anew from them.

    Or DATA is a recording or a CSV file, and --truth names the contacts of a
    force plate or a pressure insole: a CSV table with initial_contact_s and
    toe_off_s, and what else is known by the names of the step table. A folder
    with NAME.mcap and NAME.truth.csv is compared pair by pair.
    """
    fitting = fit or write_coefficients is not None
    erring = fit_errors or write_errors is not None or write_shares is not None
    _exclude(
        {
            "--fit": fitting,
            "--fit-errors": erring,
            "--truth": truth is not None,
            "--only": only is not None,
            "--write": write is not None,
        }
    )
    if truth is not None or (
        data.is_dir() and not (fitting or erring) and only is None and write is None and _pairs(data)
    ):
        _compare([(data, truth)] if truth is not None else _pairs(data), offset, as_json=as_json)
        return 0
    if offset is not None:
        raise click.UsageError("--offset belongs to a recording with --truth")
    if not data.is_dir():
        raise click.UsageError(f"{data} is a file: give its truth with --truth, or the folder of the data sets")
    from sensor_host.validation.extra import need

    need("scipy") if fitting or erring or write is None else need("scipy", "matplotlib")
    with _telling() as tell:
        from sensor_host.validation.measured import Measured

        measured = Measured(data, tell)
        if erring:
            return _fit_errors(measured, write_errors, write_shares, as_json=as_json)
        if fitting:
            return _fit(measured, write_coefficients, as_json=as_json)
        _tabulate(measured, only, write, as_json=as_json)
    return 0


def _exclude(given: dict[str, bool]) -> None:
    together = [option for option, is_given in given.items() if is_given]
    if len(together) > 1:
        raise click.UsageError(f"{' and '.join(together)} do not go together")


@contextmanager
def _telling() -> Generator[Callable[[str], None]]:
    """Show on stderr what is being measured, where somebody looks."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:
        yield status.update


def _screen() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _UNFOLDED)


# ---------------------------------------------------------------- the data sets


def _tabulate(measured: Measured, only: str | None, write: Path | None, *, as_json: bool) -> None:
    from sensor_host.validation.sources import SETS
    from sensor_host.validation.tables import SECTIONS, makeable

    names = makeable(measured)
    if only is not None:
        names = _chosen(only, names)
    for absent in sorted(set(SETS) - set(measured.sets)):
        print(f"hipdrive: warning: {measured.folder} has no {absent}/: its tables are left out", file=sys.stderr)
    tables: dict[str, Table] = {}
    screen = _screen()
    for name in names:
        tables[name] = SECTIONS[name].make(measured)
        if not as_json and write is None:
            screen.print(tables[name].as_rich(f"{SECTIONS[name].title} ({name})"))
    if write is not None:
        from sensor_host.validation.page import write_page

        for path in write_page(write, measured, tables):
            print(path, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        from sensor_host.commands.output import print_json

        print_json({name: table.as_dicts() for name, table in tables.items()})


def _chosen(only: str, names: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    from sensor_host.validation.tables import SECTIONS

    chosen = [name.strip() for name in only.split(",") if name.strip()]
    for name in chosen:
        if name not in SECTIONS:
            near = get_close_matches(name, SECTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SECTIONS)}"
            raise click.UsageError(f"--only: there is no table {name!r}; {hint}")
        if name not in names:
            raise click.UsageError(f"--only: for {name} the folder lacks {' and '.join(SECTIONS[name].sets)}")
    return chosen


def _fit(measured: Measured, target: Path | None, *, as_json: bool) -> int:
    from pelvis.coefficients import SHIPPED
    from sensor_host.validation.coefficients import differences, source_of

    fitted = measured.fitted
    what = f"{fitted.version}: fitted on {len(measured.training.weight)} steps of {len(measured.trials)} runs"
    return _say_fit(what, source_of(fitted), differences(fitted, SHIPPED), target, as_json=as_json)


def _fit_errors(measured: Measured, target: Path | None, page: Path | None, *, as_json: bool) -> int:
    from pelvis.coefficients import SHIPPED
    from pelvis.error_coefficients import ERROR_MODELS, SIDES_SE_S
    from sensor_host.validation import fit_errors as fit
    from sensor_host.validation.coefficients import differences

    errors = fit.take_down_errors(measured.trials, measured.models)
    fitted, sides_s = fit.fit_errors(errors), fit.sides_error_s(errors)
    table = fit.shares_table(errors, fitted)
    if not as_json:
        click.echo("Per cent of the errors within one standard error, runners left out of the event models:")
        click.echo(table)
    if page is not None:
        fit.put_on_page(page, table)
        click.echo(page, err=as_json)
    found = differences(fitted | {"sides": sides_s}, ERROR_MODELS | {"sides": SIDES_SE_S}, digits=fit.DIGITS)
    what = f"fitted on {len(errors.runner)} steps of {len(measured.trials)} runs behind {len(fit.DEVICES)} devices"
    return _say_fit(what, fit.source_of(fitted, sides_s, SHIPPED.version), found, target, as_json=as_json)


def _say_fit(what: str, source: str, differences: Sequence[str], target: Path | None, *, as_json: bool) -> int:
    """Write what was fitted, say whether it is what is shipped; return the exit code."""
    from sensor_host.tables import WholeFile

    if target is not None:
        with WholeFile(target) as file:
            file.write(source.encode())
    if as_json:
        from sensor_host.commands.output import print_json

        print_json({"fitted": what, "differences": differences})
    else:
        click.echo(what)
        if target is not None:
            click.echo(target)
        same = not differences
        click.echo("the same as what is shipped" if same else f"{len(differences)} numbers are not the shipped ones:")
        for line in differences:
            click.echo(f"  {line}")
    return 1 if differences and target is None else 0


# ---------------------------------------------------------------- one's own truth


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    from sensor_host.validation.pairs import pairs_in

    return pairs_in(folder)


def _compare(pairs: Sequence[tuple[Path, Path]], offset_s: float | None, *, as_json: bool) -> None:
    from sensor_host.validation.pairs import as_document, compare, errors_table, found_table
    from sensor_host.validation.score import Score

    with _telling() as tell:
        compared: list[Pair] = []
        for recording, truth in pairs:
            tell(recording.name)
            compared.append(compare(recording, truth, offset_s))
    if as_json:
        from sensor_host.commands.output import print_json

        print_json(as_document(compared))
    else:
        screen = _screen()
        screen.print(found_table(compared).as_rich("Recordings"))
        screen.print(errors_table(Score(tuple(pair.score for pair in compared))).as_rich("Errors"))
        if any(pair.found for pair in compared):
            click.echo("Clock offsets are found by matching: a common bias of all events cannot be told from them.")
    for pair in compared:
        for warning in pair.warnings():
            print(f"hipdrive: warning: {warning}", file=sys.stderr)
