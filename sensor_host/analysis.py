"""From a file to its steps: the short way, without a session.

The same chain of decoder, clock and pipeline as in a live run, called in a plain loop.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from pelvis.data import CoreInput, CoreOutput, Motion, Samples, Speed, Step, Stride
from pelvis.pipeline import Pipeline, Settings
from pelvis.speed import TREADMILL
from pelvis.step_table import StepRows
from sensor_host.boards import unfit
from sensor_host.calibration import calibrations_in_use
from sensor_host.config import Config, words_in_use
from sensor_host.errors import InputError
from sensor_host.routing import Router
from sensor_host.runners import Profile
from sensor_host.settings import core_settings
from sensor_host.summary import Tally
from sensor_host.tables import CsvSamples, SampleTable, WholeFile

if TYPE_CHECKING:
    from sensor_host.ports import LinkHealth, SessionInfo
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

    def health(self, t_s: float) -> list[LinkHealth]:  # noqa: ARG002 - a file has no link
        """Return nothing: samples in a file came over no link."""
        return []


class RecordingInput:
    """A recording as input of the core, with the configuration and the profile that it holds."""

    def __init__(self, recording: Recording) -> None:
        from sensor_host.runners import decode
        from sensor_host.settings import recorded_config

        self.recording = recording
        self._router = Router(recording.session.sensors)
        self.config = recorded_config(recording.config) if recording.config else Config()
        self.profile = decode(recording.profile, f"the profile in {recording.path}") if recording.profile else Profile()

    @property
    def session(self) -> SessionInfo:
        return self.recording.session

    def facts(self) -> dict[str, object]:
        session = self.recording.session
        return {"session": session.session_id, "runner": session.runner, "start_utc": session.start_utc}

    def items(self, tally: Tally) -> Iterator[CoreInput]:
        """Yield what arrived; how the links did goes to the tally."""
        from sensor_host.recording.reader import Batch

        self._router = router = Router(self.recording.session.sensors)
        for item in self.recording.batches():
            if isinstance(item, Batch):
                yield from router.take_batch(item.role, item.data, item.t_host_s)
            else:
                yield from router.take(item)
        tally.warnings += unfit(sensor.board for sensor in self.recording.session.sensors)
        if self.recording.cut:
            tally.warnings.append("the recording ends in the middle: its last second may be missing")
        for health in self.health(tally.last_s):
            tally.take(health)

    def health(self, t_s: float) -> list[LinkHealth]:
        """Return the links' figures up to what `items` yielded last, as of session time ``t_s``."""
        return [chain.health(t_s) for chain in self._router.chains.values()]


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


class Belt(Protocol):
    """A treadmill's speed from ``start_s`` to ``end_s`` after the first sample."""

    @property
    def speed_mps(self) -> float: ...

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


def prepare(
    source: CsvInput | RecordingInput, *, motion: bool, calibrated: bool, coached: bool
) -> tuple[Settings, Tally]:
    """Return what the core is told before it measures a file, and the tally that says so.

    ``motion`` asks for continuous motion, ``calibrated`` for the calibrations in the source's profile, ``coached`` for
    the cues of its coach.
    """
    calibrated = calibrated and source.config.runner.calibrated
    config = replace(source.config, runner=replace(source.config.runner, calibrated=calibrated))
    tally = Tally(words=words_in_use(config), calibrations=calibrations_in_use(source.profile, calibrated=calibrated))
    return core_settings(config, source.profile, motion=motion, coached=coached), tally


def measure(
    source: CsvInput | RecordingInput, settings: Settings, tally: Tally, belts: Sequence[Belt] = ()
) -> Iterator[CoreInput | CoreOutput]:
    """Yield all that a file holds, and after each piece what the core says of it; with ``belts`` as the only speeds.

    The ``tally`` is told how far the input came, and how the links did; what else it counts, the caller gives it.

    Raises
    ------
    InputError
        When the file turns out to be unusable.
    """
    pipeline = Pipeline(settings)
    untold = bool(belts)
    for item in source.items(tally):
        if isinstance(item, Samples):
            tally.span(item)
            if untold and len(item.t_s):
                untold = False
                for speed in _entries(belts, float(item.t_s[0])):
                    yield speed
                    yield from pipeline.feed(speed)
        elif isinstance(item, Speed) and belts:
            continue
        yield item
        yield from pipeline.feed(item)
    yield from pipeline.finish()
    tally.finish()


def _entries(belts: Sequence[Belt], first_s: float) -> Iterator[Speed]:
    for number, belt in enumerate(belts, start=1):
        yield Speed(first_s + belt.start_s, belt.speed_mps, TREADMILL)
        if belt.end_s < (belts[number].start_s if number < len(belts) else math.inf):
            yield Speed(first_s + belt.end_s, 0.0, TREADMILL)


def analyze(
    source: CsvInput | RecordingInput,
    *,
    steps: Path | None = None,
    samples: Path | None = None,
    calibrated: bool = True,
    belts: Sequence[Belt] = (),
) -> Tally:
    """Measure a recording or a CSV file and write the asked-for tables.

    Parameters
    ----------
    source
        What `open_input` gave.
    steps, samples
        Where STEPS.csv and SAMPLES.csv go; None: not written.
    calibrated
        Whether the calibrations in the source's profile are used.
    belts
        Speeds of a treadmill, in the order of time; they replace those in the source.

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
    # measuring is one thing, coaching another: what the coach says is heard in `run` and `replay`
    settings, tally = prepare(source, motion=samples is not None, calibrated=calibrated, coached=False)
    rows = StepRows()
    with ExitStack() as stack:
        sample_table = stack.enter_context(SampleTable(samples)) if samples is not None else None
        stack.enter_context(uncollected())
        for item in measure(source, settings, tally, belts):
            if isinstance(item, Motion):
                if sample_table is not None:
                    sample_table.take(item)
            elif not isinstance(item, Samples):
                tally.take(item)
                if isinstance(item, Step | Stride):
                    rows.take(item)
        if steps is not None:
            with WholeFile(steps) as file:
                file.write(rows.table().to_csv().encode())
    return tally


@contextmanager
def uncollected() -> Generator[None]:
    """Look for no circles of garbage: the core leaves none, and the search costs a twentieth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
