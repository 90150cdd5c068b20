"""From a file to its steps: the short way, without a session.

The same decoder, clock and pipeline as in a live run, called in a plain loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from pelvis.data import CoreInput, Motion, Samples, Step, Stride
from pelvis.pipeline import Pipeline, Settings
from sensor_host.errors import InputError
from sensor_host.summary import Tally
from sensor_host.tables import CsvSamples, SampleTable, StepTable

_MCAP_MAGIC = b"\x89MCAP0\r\n"


def analyze(source: Path, *, steps: Path | None = None, samples: Path | None = None) -> Tally:
    """Measure a recording or a CSV file and write the asked-for tables.

    Parameters
    ----------
    source
        A recording, or a CSV file whose header carries units (`sensor_host.tables`).
    steps, samples
        Where STEPS.csv and SAMPLES.csv go; None: not written.

    Returns
    -------
    Tally
        What was found, counted.

    Raises
    ------
    InputError
        When the file cannot be used.
    OutputError
        When a table cannot be written.
    """
    tally = Tally()
    inputs = open_inputs(source, tally)
    pipeline = Pipeline(Settings(motion=samples is not None))
    step_table = StepTable()
    with ExitStack() as stack:
        sample_table = stack.enter_context(SampleTable(samples)) if samples is not None else None
        for item in inputs:
            if isinstance(item, Samples) and len(item.t_s):
                tally.at(float(item.t_s[0]))
                tally.at(float(item.t_s[-1]))
            for said in pipeline.feed(item):
                _file(said, tally, step_table, sample_table)
        for said in pipeline.finish():
            _file(said, tally, step_table, sample_table)
        tally.finish()
        if steps is not None:
            step_table.write(steps)
    return tally


def open_inputs(source: Path, tally: Tally) -> Iterator[CoreInput]:
    """Return the core inputs of a file, judging by its first bytes what it is.

    Raises
    ------
    InputError
        When it is missing, unreadable, empty or neither a recording nor a CSV file.
    """
    try:
        with source.open("rb") as file:
            head = file.read(len(_MCAP_MAGIC))
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}", path=str(source)) from error
    if not head:
        raise InputError(f"{source}: is empty", path=str(source))
    if head == _MCAP_MAGIC or source.suffix.lower() == ".mcap":
        return _recording_inputs(source, tally)
    return _csv_inputs(CsvSamples(source), tally)


def _csv_inputs(table: CsvSamples, tally: Tally) -> Iterator[CoreInput]:
    yield from table
    tally.warnings += table.warnings


def _recording_inputs(source: Path, tally: Tally) -> Iterator[CoreInput]:  # noqa: ARG001
    raise InputError(f"{source}: recordings cannot be read yet", path=str(source))


def _file(said: object, tally: Tally, steps: StepTable, samples: SampleTable | None) -> None:
    if isinstance(said, Motion):
        if samples is not None:
            samples.take(said)
        return
    tally.take(said)  # type: ignore[arg-type]
    if isinstance(said, Step | Stride):
        steps.take(said)
