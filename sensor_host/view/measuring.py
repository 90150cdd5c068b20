"""Measure a file for the window, in a process of its own: ``python -m sensor_host.view.measuring FILE [CACHE]``.

1. All that arrived is read, decoded and stamped first: a file that cannot be used is known before anything is shown,
   and how long the session is, its laps and an outline of what was done are known within half a second.
2. Then it is measured by the core, with motion and with the coach that the recording's own configuration describes, so
   that its cues are those that were said. What is measured is handed over every half minute of session time.
3. Parcels go to standard output (`sensor_host.view.parcels`), and into the cache when there is one. The process ends
   when its standard input closes: with the window, however that ends.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import numpy as np

from pelvis.data import (
    STANDARD_GRAVITY_MPS2,
    Array,
    ContactWithdrawn,
    CoreInput,
    CoreOutput,
    Motion,
    ProvisionalContact,
    Samples,
    Step,
    Stride,
)
from pelvis.pipeline import Pipeline
from sensor_host import messages
from sensor_host.analysis import CsvInput, RecordingInput, open_input
from sensor_host.config import words_in_use
from sensor_host.errors import ConfigError, InputError
from sensor_host.ports import Mode, Said, SessionInfo
from sensor_host.settings import core_settings
from sensor_host.summary import Tally
from sensor_host.view import parcels
from sensor_host.view.timeline import MOTION_COLUMNS, SIDE_CODES, STEP_COLUMNS

# 30 s: a recording of an hour then comes in 120 parts, one every 25 ms
HANDED_OVER_S: Final = 30.0
# 10 s: what a finished recording holds in one piece, so nothing finer is known
HEALTH_PERIOD_S: Final = 10.0
PARTIAL: Final = ".partial"

# 100: a stride is complete two steps after its first; far more than any that could still be out
_KEPT_STEPS: Final = 100

_COLUMN: Final[Mapping[str, int]] = {name: i for i, name in enumerate(STEP_COLUMNS)}
_FIRST_METRIC: Final = _COLUMN["quality"] + 1
Hand: TypeAlias = Callable[[parcels.Parcel], None]


def measure_file(path: Path, hand: Hand) -> None:
    """Hand over all that there is to know about a recording or a CSV file.

    Raises
    ------
    InputError
        It cannot be used.
    ConfigError
        The configuration in the recording cannot be.
    """
    source = open_input(path)
    # who ran, and what he was coached by, stands in a recording alone
    coached = isinstance(source, RecordingInput)
    settings = core_settings(source.config, source.profile, motion=True, coached=coached)
    facts = source.facts()
    address = messages.Address(
        "",
        SessionInfo(
            session_id=str(facts.get("session", "")),
            runner=str(facts.get("runner", "")),
            mode=Mode.REPLAY,
            start_utc=str(facts.get("start_utc", "")),
            utc_offset_s=0,
            sensors=(),
        ),
        words_in_use(source.config),
    )
    inputs, said = _survey(path, source, address.session, hand)
    hand(_items_of(said, address))
    _measure(Pipeline(settings), inputs, address, hand)


# ---------------------------------------------------------------- what the input alone tells


def _survey(
    path: Path, source: CsvInput | RecordingInput, session: SessionInfo, hand: Hand
) -> tuple[deque[CoreInput], list[Said]]:
    """Read all that arrived; return it, and what of it is said as it is."""
    tally = Tally()
    inputs: deque[CoreInput] = deque()
    said: list[Said] = []
    next_health_s = -math.inf
    for item in source.items(tally):
        inputs.append(item)
        if isinstance(item, Samples):
            tally.span(item)
            if tally.last_s >= next_health_s:
                next_health_s = tally.last_s + HEALTH_PERIOD_S
                said += source.health(tally.last_s)
        else:
            said.append(item)
    if math.isnan(tally.first_s):
        raise InputError(f"{path}: holds no samples of a pelvis sensor", path=str(path))
    said += source.health(tally.last_s)
    hand(
        parcels.Survey(
            source=path.name,
            session_id=session.session_id,
            runner=session.runner,
            start_utc=session.start_utc,
            begin_s=tally.first_s,
            end_s=tally.last_s,
            shaking_g=_shaking_g(inputs, tally.first_s, tally.last_s),
            warnings=tally.warnings,
        )
    )
    return inputs, said


def _shaking_g(inputs: Iterable[CoreInput], begin_s: float, end_s: float) -> list[float | None]:
    """Return the standard deviation of the acceleration's size in every second."""
    seconds = int(end_s - begin_s) + 1
    count, total, squares = np.zeros(seconds), np.zeros(seconds), np.zeros(seconds)
    for item in inputs:
        if isinstance(item, Samples) and len(item.t_s):
            size_g = np.sqrt(np.einsum("ij,ij->i", item.acc_mps2, item.acc_mps2)) / STANDARD_GRAVITY_MPS2
            second = np.clip((item.t_s - begin_s).astype(np.intp), 0, seconds - 1)
            first = int(second[0])
            part = second - first
            for sums, values in ((count, None), (total, size_g), (squares, size_g * size_g)):
                found = np.bincount(part, values)
                sums[first : first + len(found)] += found
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0))
    return [None if math.isnan(value) else round(value, 4) for value in spread.tolist()]


# ---------------------------------------------------------------- what is measured


class _StepRows:
    """Steps as rows of `STEP_COLUMNS`; what has changed since it was last asked for."""

    def __init__(self) -> None:
        self._rows: dict[int, list[float]] = {}
        self._changed_from: int | None = None

    def take(self, item: Step | Stride) -> None:
        if isinstance(item, Step):
            row = [math.nan] * len(STEP_COLUMNS)
            row[:_FIRST_METRIC] = (
                item.step_index,
                item.initial_contact_s,
                item.toe_off_s,
                SIDE_CODES[item.side],
                item.quality,
            )
            self._rows[item.step_index] = row
        else:
            known = self._rows.get(item.step_index)
            if known is None:
                return
            row = known
        for name, value in item.metrics.items():
            row[_COLUMN[name]] = value
        if self._changed_from is None or item.step_index < self._changed_from:
            self._changed_from = item.step_index

    def changed(self) -> Array | None:
        """Return every step from the first on that is new or has changed."""
        first = self._changed_from
        if first is None:
            return None
        self._changed_from = None
        for index in [index for index in self._rows if index < first - _KEPT_STEPS]:
            del self._rows[index]
        return np.array([row for index, row in self._rows.items() if index >= first])


def _measure(pipeline: Pipeline, inputs: deque[CoreInput], address: messages.Address, hand: Hand) -> None:
    """Measure, and hand over what that gave."""
    steps = _StepRows()
    motion: list[Motion] = []
    said: list[Said] = []

    def hand_over() -> None:
        if motion:
            values = np.empty((sum(len(part.t_s) for part in motion), len(MOTION_COLUMNS)), np.float32)
            values[:, :3] = np.concatenate([part.acc_g for part in motion])
            for column, name in enumerate(MOTION_COLUMNS[3:], start=3):
                values[:, column] = np.concatenate([getattr(part, name) for part in motion])
            hand(parcels.Motion(np.concatenate([part.t_s for part in motion]), values))
            motion.clear()
        rows = steps.changed()
        if rows is not None:
            hand(parcels.Steps(rows))
        if said:
            hand(_items_of(said, address))
            said.clear()

    def take(items: Iterable[CoreOutput]) -> None:
        for item in items:
            if isinstance(item, Motion):
                motion.append(item)
            elif isinstance(item, Step | Stride):
                steps.take(item)
            elif not isinstance(item, ProvisionalContact | ContactWithdrawn):
                # what a step has not confirmed by the end was none
                said.append(item)

    next_s = -math.inf
    while inputs:
        item = inputs.popleft()
        take(pipeline.feed(item))
        if isinstance(item, Samples) and len(item.t_s) and item.t_s[-1] >= next_s:
            next_s = float(item.t_s[-1]) + HANDED_OVER_S
            hand_over()
    take(pipeline.finish())
    hand_over()


def _items_of(said: Iterable[Said], address: messages.Address) -> parcels.Items:
    made = (messages.encode(item, 0, address) for item in said)
    return parcels.Items([(message.level, message.payload) for message in made])


# ---------------------------------------------------------------- the process


class _Cache:
    """A file that appears under its name when it is complete, and not at all where that cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._partial = Path()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=path.name, suffix=PARTIAL, dir=path.parent)
            self._file, self._partial = os.fdopen(handle, "wb"), Path(name)

    def write(self, packed: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(packed)
            except OSError:
                self.drop()

    def keep(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
                self._partial.replace(self._path)
            except OSError:
                self.drop()
            self._file = None

    def drop(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)
            self._file = None


def _write(path: Path, cache: _Cache | None, output: BinaryIO) -> None:
    """Measure a file, and write parcels from the first to the last."""
    checksum = 0

    def hand(parcel: parcels.Parcel) -> None:
        nonlocal checksum
        packed = parcels.pack(parcel)
        checksum = parcels.checksum_of(packed, checksum)
        output.write(packed)
        output.flush()
        if cache is not None:
            cache.write(packed)

    try:
        measure_file(path, hand)
    except (InputError, ConfigError) as error:
        if cache is not None:
            cache.drop()
        hand(parcels.Failure(text=str(error), path=error.path, exit_code=error.exit_code))
        return
    end = parcels.pack(parcels.End(checksum=checksum))
    if cache is not None:
        # first: who reads the end closes this process' input
        cache.write(end)
        cache.keep()
    output.write(end)
    output.flush()


def _end_with_input(cache: _Cache | None) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # whatever is being computed: nobody waits for it any more
    if cache is not None:
        cache.drop()
    os._exit(0)


def main() -> None:
    """Measure the file that is named, as long as standard input is open."""
    # Ctrl-C reaches the whole process group; the window decides when this ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cache = _Cache(Path(sys.argv[2])) if len(sys.argv) > 2 else None
    threading.Thread(target=_end_with_input, args=(cache,), daemon=True).start()
    # the core leaves no circles of garbage, and the search for them costs a twentieth of the time
    gc.disable()
    with contextlib.suppress(BrokenPipeError):
        _write(Path(sys.argv[1]), cache, sys.stdout.buffer)
    # without waiting for the thread that still reads
    os._exit(0)


if __name__ == "__main__":
    main()
