"""A session as arrays and tables, for notebooks and scripts: docs/python.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from pelvis.batch import joined_motion, joined_samples
from pelvis.data import (
    Activity,
    Array,
    Command,
    ContactWithdrawn,
    Cue,
    CueOutcome,
    Gap,
    HeartRate,
    Marker,
    Motion,
    Notice,
    ProvisionalContact,
    References,
    Retention,
    RunBaseline,
    Samples,
    Side,
    Speed,
    Step,
    StepInputs,
    Stride,
    StrideInputs,
)
from pelvis.step_table import StepTable, table_of
from sensor_host.analysis import RecordingInput, measure, open_input, prepare, uncollected
from sensor_host.boards import TIMED
from sensor_host.errors import HipdriveError
from sensor_host.phrases import words_for
from sensor_host.ports import LinkHealth, Role, SensorInfo, SessionInfo
from sensor_host.summary import Tally
from sensor_host.tables import WholeFile

Item: TypeAlias = (
    Activity
    | Command
    | ContactWithdrawn
    | Cue
    | CueOutcome
    | Gap
    | HeartRate
    | Marker
    | Notice
    | ProvisionalContact
    | References
    | Retention
    | RunBaseline
    | Speed
    | Step
    | Stride
)
Kind = TypeVar("Kind", bound=Item)


@dataclass(frozen=True, slots=True)
class SaidCue:
    """A cue of the coach at session time ``t_s``.

    ``kind`` is phrase, debrief, chime or metronome; ``why`` carries metric, value, baseline, z and seconds. ``outcome``
    is what had become of it a minute later, None where that was not judged.
    """

    t_s: float
    rule: str
    kind: str
    words: str
    side: Side
    why: Mapping[str, float | str]
    outcome: CueOutcome | None


@dataclass(frozen=True, eq=False, repr=False)
class LoadedSession:
    """A session, or a stretch of one, as arrays and tables. Times are session time in seconds.

    Attributes
    ----------
    path
        The file.
    info
        Who ran, when, with which sensors; None for a CSV file, which does not tell.
    sensors
        The sensors of the session.
    begin_s, end_s
        From when to when there is something.
    samples
        What the sensor said, stamped, in its own axes: ``samples.t_s`` (n,), ``samples.acc_mps2`` and
        ``samples.gyr_radps`` (n, 3).
    motion
        The pelvis on the core's 200 Hz grid: ``motion.t_s``, ``motion.acc_g`` (n, 3) forward, left, up,
        ``motion.obliquity_deg``, ``motion.tilt_deg``, ``motion.rotation_deg``, ``motion.activity`` (n,). NaN until
        known; where ``t_s`` makes a leap, there is a hole.
    said
        All else that came and was said, in that order: see `all`.
    links
        How the link to each sensor did, by role, over the whole session; empty for a stretch.
    """

    path: Path
    info: SessionInfo | None
    sensors: tuple[SensorInfo, ...]
    begin_s: float
    end_s: float
    samples: Samples
    motion: Motion
    said: tuple[Item, ...]
    links: Mapping[str, LinkHealth]
    _tally: Tally

    def __repr__(self) -> str:
        runner = f"of {self.info.runner} " if self.info is not None else ""
        return (
            f"<session {runner}in {self.path.name}, {self.begin_s:.1f} to {self.end_s:.1f} s: {len(self.steps)} steps, "
            f"{len(self.cues)} cues, {len(self.markers)} markers>"
        )

    # ------------------------------------------------------------ tables and lists

    @cached_property
    def steps(self) -> StepTable:
        """One row per ground contact: ``session.steps["contact_time_s"]``."""
        return table_of(self.said)

    @cached_property
    def cues(self) -> tuple[SaidCue, ...]:
        """What the coach said, or would have said where nobody was coached; none of the guide's words at the start."""
        outcomes = {outcome.cue_id: outcome for outcome in self.all(CueOutcome)}
        return tuple(
            SaidCue(
                cue.decided_at_s,
                cue.rule,
                cue.kind,
                words_for(cue, self._tally.words),
                cue.side,
                cue.why,
                outcomes.get(cue.cue_id),
            )
            for cue in self.all(Cue)
        )

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Laps (kind "lap") and notes of runner and coach."""
        return self.all(Marker)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where samples are missing."""
        return self.all(Gap)

    @property
    def heart_rates(self) -> tuple[HeartRate, ...]:
        """What a heart-rate strap said."""
        return self.all(HeartRate)

    def all(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """Return all of one kind that came or was said, in order, as ``session.all(Notice)``; see `pelvis.data`."""
        return tuple(item for item in self.said if isinstance(item, kind))

    @cached_property
    def summary(self) -> Mapping[str, object]:
        """What it amounts to, as ``hipdrive analyze --json`` prints it: means with their errors, cues, activity."""
        return self._tally.as_dict()

    # ------------------------------------------------------------ stretches

    @cached_property
    def laps(self) -> tuple[LoadedSession, ...]:
        """The session cut at its lap marks; without any it is one lap."""
        marks = [marker.t_s for marker in self.markers if marker.kind == "lap"]
        edges = [-math.inf, *(t_s for t_s in marks if self.begin_s < t_s < self.end_s), math.inf]
        return tuple(self.between(from_s, to_s) for from_s, to_s in pairwise(edges))

    def between(self, from_s: float, to_s: float) -> LoadedSession:
        """Return the stretch with from_s <= t_s < to_s: its steps, motion, samples, and a summary of its own."""
        begin_s, end_s = max(from_s, self.begin_s), min(to_s, self.end_s)
        inside = [item for item in self.said if from_s <= _time_of(item) < to_s]
        cues = {item.cue_id for item in inside if isinstance(item, Cue)}
        # what became of a cue belongs to it, whenever it was known
        said: list[Item] = [item for item in inside if not isinstance(item, CueOutcome)]
        said += [item for item in self.said if isinstance(item, CueOutcome) and item.cue_id in cues]
        before = [item for item in self.said if isinstance(item, Activity) and item.t_s < from_s]
        if before:
            said.insert(0, replace(before[-1], t_s=begin_s, decided_at_s=begin_s))
        tally = Tally(words=self._tally.words, calibrations=self._tally.calibrations, first_s=begin_s, last_s=end_s)
        for item in said:
            tally.take(item)
        tally.finish()
        samples, motion = _rows(self.samples.t_s, from_s, to_s), _rows(self.motion.t_s, from_s, to_s)
        return replace(
            self,
            begin_s=begin_s,
            end_s=end_s,
            samples=replace(
                self.samples,
                t_s=self.samples.t_s[samples],
                acc_mps2=self.samples.acc_mps2[samples],
                gyr_radps=self.samples.gyr_radps[samples],
            ),
            motion=Motion(
                self.motion.t_s[motion],
                self.motion.acc_g[motion],
                self.motion.obliquity_deg[motion],
                self.motion.tilt_deg[motion],
                self.motion.rotation_deg[motion],
                self.motion.activity[motion],
            ),
            said=tuple(said),
            links={},
            _tally=tally,
        )

    # ------------------------------------------------------------ files

    def write_steps(self, path: str | PathLike[str]) -> None:
        """Write the steps as CSV, as ``hipdrive analyze --steps`` does.

        Raises
        ------
        OutputError
            When the file cannot be written.
        """
        with WholeFile(Path(path)) as file:
            file.write(self.steps.to_csv().encode())


def load_session(path: str | PathLike[str], *, calibrated: bool = True, coached: bool = True) -> LoadedSession:
    """Measure a recording or a CSV file, through the very code of a live run, and return all of it.

    Parameters
    ----------
    path
        A recording (.mcap), or a CSV file whose header names the units (``t_s``, ``acc_x_g`` or ``acc_x_mps2``, ...).
    calibrated
        Whether the calibrations of the runner's profile in the recording are used.
    coached
        Whether the coach's cues are wanted: in a recording its own coach's, for a CSV file those of the default one.
        What a person had said in the ear is among the cues in any case.

    Returns
    -------
    LoadedSession
        An hour takes about 3 s and 250 MB.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged, or neither a recording nor such a CSV file; one line says which.
    """
    try:
        return _load(Path(path), calibrated=calibrated, coached=coached)
    except HipdriveError as error:
        # its line says it all; how a parser came to it would only hide it
        raise error.with_traceback(None) from None


def _load(path: Path, *, calibrated: bool, coached: bool) -> LoadedSession:
    source = open_input(path)
    settings, tally = prepare(source, motion=True, calibrated=calibrated, coached=coached)
    samples: list[Samples] = []
    motion: list[Motion] = []
    said: list[Item] = []
    with uncollected():
        for item in measure(source, settings, tally):
            if isinstance(item, Samples):
                samples.append(item)
            elif isinstance(item, Motion):
                motion.append(item)
            elif not isinstance(item, StepInputs | StrideInputs):  # the fit's, not asked for
                said.append(item)
                tally.take(item)
    joined = joined_samples(samples)
    info = source.session if isinstance(source, RecordingInput) else None
    sensors = info.sensors if info is not None else (SensorInfo(Role.PELVIS, TIMED, rate_hz=joined.rate_hz),)
    return LoadedSession(
        path=path,
        info=info,
        sensors=sensors,
        begin_s=tally.first_s,
        end_s=tally.last_s,
        samples=joined,
        motion=joined_motion(motion),
        said=tuple(said),
        links=tally.links,
        _tally=tally,
    )


def _rows(t_s: Array, from_s: float, to_s: float) -> slice:
    return slice(int(np.searchsorted(t_s, from_s)), int(np.searchsorted(t_s, to_s)))


def _time_of(item: Item) -> float:
    """Return the moment that something is about; of what the coach says it is that at which he says it."""
    match item:
        case Step() | Stride() | ProvisionalContact():
            return item.initial_contact_s
        case Cue() | CueOutcome() | References() | Retention() | RunBaseline() | ContactWithdrawn():
            return item.decided_at_s
        case _:
            return item.t_s
