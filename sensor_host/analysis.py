"""From a file to its steps: the short way, without a session.

The same chain of decoder, clock and pipeline as in a live run, called in a plain loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pelvis.data import CoreInput, CoreOutput, Gap, Motion, Samples, Step, Stride
from pelvis.pipeline import Pipeline
from sensor_host.config import Config
from sensor_host.errors import InputError
from sensor_host.routing import Router
from sensor_host.runners import Profile
from sensor_host.settings import core_settings
from sensor_host.summary import Tally
from sensor_host.tables import CsvSamples, SampleTable, StepTable

if TYPE_CHECKING:
    from sensor_host.recording.reader import Recording

MCAP_MAGIC = b"\x89MCAP0\r\n"


class CsvInput:
    """A CSV file as input of the core. Nothing is known of its runner."""

    config = Config()
    profile = Profile()

    def __init__(self, path: Path) -> None:
        self._table = CsvSamples(path)

    def facts(self) -> dict[str, object]:
        return {"rate_hz": self._table.rate_hz}

    def items(self, tally: Tally) -> Iterator[CoreInput]:
        """Yield the samples; what is odd about them goes to the tally's warnings."""
        yield from self._table
        tally.warnings += self._table.warnings


class RecordingInput:
    """A recording as input of the core, with the configuration and the profile that it holds."""

    def __init__(self, recording: Recording) -> None:
        from sensor_host.runners import decode
        from sensor_host.settings import recorded_config

        self._recording = recording
        self.config = recorded_config(recording.config) if recording.config else Config()
        self.profile = decode(recording.profile, f"the profile in {recording.path}") if recording.profile else Profile()

    def facts(self) -> dict[str, object]:
        session = self._recording.session
        return {"session": session.session_id, "runner": session.runner, "start_utc": session.start_utc}

    def items(self, tally: Tally) -> Iterator[CoreInput]:
        """Yield what arrived; how the links did goes to the tally."""
        from sensor_host.recording.reader import Batch

        router = Router(self._recording.session.sensors)
        for item in self._recording.batches():
            if isinstance(item, Batch):
                yield from router.take_batch(item.role, item.data, item.t_host_s)
            else:
                yield from router.take(item)
        if self._recording.cut:
            tally.warnings.append("the recording ends in the middle: its last second may be missing")
        for chain in router.chains.values():
            tally.take(chain.health(tally.last_s))


def open_input(path: Path) -> CsvInput | RecordingInput:
    """Return a file as input of the core, judging by its first bytes what it is.

    Raises
    ------
    InputError
        When it is missing, unreadable, empty, damaged or neither a recording nor a CSV file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(MCAP_MAGIC))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", path=str(path)) from error
    if not head:
        raise InputError(f"{path}: is empty", path=str(path))
    if head == MCAP_MAGIC or path.suffix.lower() == ".mcap":
        from sensor_host.recording.reader import read

        return RecordingInput(read(path))
    return CsvInput(path)


def analyze(source: CsvInput | RecordingInput, *, steps: Path | None = None, samples: Path | None = None) -> Tally:
    """Measure a recording or a CSV file and write the asked-for tables.

    Parameters
    ----------
    source
        What `open_input` gave.
    steps, samples
        Where STEPS.csv and SAMPLES.csv go; None: not written.

    Returns
    -------
    Tally
        What was found, counted.

    Raises
    ------
    InputError
        When the file turns out to be unusable.
    OutputError
        When a table cannot be written.
    """
    tally = Tally()
    # measuring is one thing, coaching another: what the coach says is heard in `run` and `replay`
    pipeline = Pipeline(core_settings(source.config, source.profile, motion=samples is not None, coached=False))
    step_table = StepTable()
    with ExitStack() as stack:
        sample_table = stack.enter_context(SampleTable(samples)) if samples is not None else None
        for item in source.items(tally):
            if isinstance(item, Samples):
                tally.span(item)
            elif isinstance(item, Gap):
                tally.take(item)
            for said in pipeline.feed(item):
                _file(said, tally, step_table, sample_table)
        for said in pipeline.finish():
            _file(said, tally, step_table, sample_table)
        tally.finish()
        if steps is not None:
            step_table.write(steps)
    return tally


def _file(said: CoreOutput, tally: Tally, steps: StepTable, samples: SampleTable | None) -> None:
    if isinstance(said, Motion):
        if samples is not None:
            samples.take(said)
        return
    tally.take(said)
    if isinstance(said, Step | Stride):
        steps.take(said)
