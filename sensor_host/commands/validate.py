"""``hipdrive validate``: accuracy against public data with ground truth."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Measure the accuracy against ground truth.")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path, exists=True))
@click.option("--fit", is_flag=True, help="Fit the event models from scratch and compare them with the shipped ones.")
@click.option(
    "--write-coefficients",
    type=click.Path(path_type=Path),
    help="Write the fitted models here, as the core's coefficients.py.",
)
def command(*, data: Path, fit: bool, write_coefficients: Path | None) -> int:
    """Measure the accuracy against ground truth.

    DATA is the folder of the public data sets (rbds/, alcantara/, sisfall/,
    walking/).
    """
    from sensor_host.validation.extra import need

    need("scipy")
    if not fit and write_coefficients is None:
        raise click.UsageError("say --fit")
    return _fit(data, write_coefficients)


def _fit(data: Path, target: Path | None) -> int:
    from pelvis.coefficients import SHIPPED
    from sensor_host.errors import ConfigError
    from sensor_host.tables import WholeFile
    from sensor_host.validation.coefficients import differences, source_of
    from sensor_host.validation.fit import DRAWS, fit_models, take_down
    from sensor_host.validation.sources import FUKUCHI, fukuchi

    trials = fukuchi(data)
    if not trials:
        raise ConfigError(f"{data} has no runs in {FUKUCHI}/; the models are fitted on these")
    training = take_down(trials)
    fitted = fit_models(training)
    click.echo(f"fitted on {len(training.weight)} steps of {len(trials)} runs behind {len(DRAWS)} devices each")
    if target is not None:
        with WholeFile(target) as file:
            file.write(source_of(fitted).encode())
        click.echo(target)
    found = differences(fitted, SHIPPED)
    if not found:
        click.echo(f"the same as the shipped models, {SHIPPED.version}")
        return 0
    click.echo(f"{len(found)} numbers differ from the shipped models, {SHIPPED.version}:")
    for line in found:
        click.echo(f"  {line}")
    return 0 if target is not None else 1
