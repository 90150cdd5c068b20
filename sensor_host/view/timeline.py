"""All that one session has said, by session time: what every part of the window draws from, live or from a recording.

1. Live and replay fill the same timeline through the same door, `Timeline.take` and `Timeline.take_motion`; what draws
   asks for a stretch of session time and does not know which of the two it is.
2. Nothing here knows Qt, MQTT or files.
3. Times are session time. A new session is a new timeline.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from operator import attrgetter
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pelvis.align import GRID_PERIOD_S
from pelvis.data import (
    Activity,
    ActivityState,
    Array,
    Command,
    ContactWithdrawn,
    Cue,
    CueOutcome,
    Gap,
    HeartRate,
    Marker,
    Notice,
    ProvisionalContact,
    Reference,
    References,
    Side,
    Speed,
    Step,
    Stride,
)
from pelvis.metrics import METRICS
from pelvis.speed import SPEED_HOLDS_S, TREADMILL
from sensor_host.messages import SAMPLES_COLUMNS
from sensor_host.phrases import words_for, words_of
from sensor_host.ports import LinkHealth, Said, SessionState, SinkState
from sensor_host.view.columns import Columns

MOTION_COLUMNS: Final = SAMPLES_COLUMNS
"""What `Timeline.motion` returns column by column."""

STEP_COLUMNS: Final = ("step_index", "initial_contact_s", "toe_off_s", "side", "quality", *METRICS)
"""What a row of `Timeline.steps` holds; ``side`` is a code of `SIDE_CODES`, unknown is NaN."""

SIDE_CODES: Final[Mapping[Side, float]] = {Side.LEFT: -1.0, Side.UNKNOWN: 0.0, Side.RIGHT: 1.0}

_COLUMN: Final[Mapping[str, int]] = {name: i for i, name in enumerate(STEP_COLUMNS)}
_INDEX, _CONTACT = _COLUMN["step_index"], _COLUMN["initial_contact_s"]
_BY_METRIC: Final = slice(_COLUMN["quality"] + 1, None)

_time_of = attrgetter("t_s")

_Standing: TypeAlias = Activity | LinkHealth | HeartRate | Speed | Notice | References | Command


def _when(item: _Standing) -> float:
    return item.decided_at_s if isinstance(item, References) else item.t_s


MarkKind: TypeAlias = Literal["lap", "note", "cue", "chime", "notice", "gap"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one time, to be seen on the time axis; ``duration_s`` is that of a gap."""

    t_s: float
    kind: MarkKind
    text: str
    side: Side = Side.UNKNOWN
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Contact:
    """A provisional contact that no step has confirmed yet."""

    t_s: float
    side: Side


class Timeline:
    """One session of one runner.

    Parameters
    ----------
    keep_s
        Motion of so many seconds is kept at least; None: all of it. Steps and marks are always all kept (an hour of
        steps is 3 MB).
    words
        Those of every phrase by its id, for cues; without: English.
    """

    def __init__(self, keep_s: float | None = None, words: Mapping[str, str] | None = None) -> None:
        keep = None if keep_s is None else round(keep_s / GRID_PERIOD_S)
        self._words = words_of() if words is None else words
        self._times = Columns(1, np.float64, keep)
        self._motion = Columns(len(MOTION_COLUMNS), np.float32, keep)
        self._steps = Columns(len(STEP_COLUMNS), np.float64)
        self._open: dict[int, Contact] = {}
        # what stands where there is something to come back to: a live session only goes on
        self._stood: dict[str, list[_Standing]] | None = {} if keep_s is None else None
        self.marks: list[Mark] = []
        self.cues: list[Cue] = []
        self.outcomes: dict[int, CueOutcome] = {}
        self.links: dict[str, LinkHealth] = {}
        self.sinks: dict[str, SinkState] = {}
        self.references: dict[str, Reference] = {}
        """What is usual in this runner over both feet, by metric; empty as long as nothing is known."""
        self.activity = ActivityState.OTHER
        self.state = ""
        self.muted = False
        self.heart_rate: HeartRate | None = None
        self.speed: Speed | None = None
        self.notice: Notice | None = None
        self.begin_s = inf
        self.end_s = -inf
        self.version = 0
        """Rises with everything that was taken: who has drawn this version has nothing to do."""

    # ------------------------------------------------------------ what is drawn

    def motion(self, from_s: float, to_s: float) -> tuple[Array, NDArray[np.float32]]:
        """Return (t_s (n,), values (n, 6)) of the rows with from_s <= t_s < to_s; views, for reading at once.

        The columns are `MOTION_COLUMNS`. A row of NaN stands in every hole, so that no line is drawn across it.
        """
        t_s = self._times.rows[:, 0]
        rows = slice(int(np.searchsorted(t_s, from_s)), int(np.searchsorted(t_s, to_s)))
        return t_s[rows], self._motion.rows[rows]

    @property
    def steps(self) -> NDArray[np.float64]:
        """All steps, a row each in the order of their contacts, with the columns `STEP_COLUMNS`; NaN where unknown."""
        return self._steps.rows

    def steps_between(self, from_s: float, to_s: float) -> NDArray[np.float64]:
        """Return the rows of `steps` with from_s <= initial_contact_s < to_s; a view."""
        contacts = self._steps.rows[:, _CONTACT]
        return self._steps.rows[int(np.searchsorted(contacts, from_s)) : int(np.searchsorted(contacts, to_s))]

    def column(self, name: str, rows: NDArray[np.float64] | None = None) -> Array:
        """Return one of `STEP_COLUMNS` of ``rows`` (all steps without), (n,); a view."""
        return (self.steps if rows is None else rows)[:, _COLUMN[name]]

    @property
    def open_contacts(self) -> Sequence[Contact]:
        """The provisional contacts after the last step, oldest first."""
        return tuple(self._open.values())

    def marks_between(self, from_s: float, to_s: float) -> Sequence[Mark]:
        """Return the marks with from_s <= t_s < to_s in the order of time."""
        first, end = (bisect_left(self.marks, t_s, key=_time_of) for t_s in (from_s, to_s))
        return self.marks[first:end]

    def stand_at(self, t_s: float) -> None:
        """Let activity, links, heart rate, speed, mute and notice be what they were at ``t_s``, for a replay.

        Only where all is kept; what had not been said by then is as in a new timeline.
        """
        if self._stood is None:
            return
        self.activity, self.heart_rate, self.speed, self.notice, self.muted = (
            ActivityState.OTHER,
            None,
            None,
            None,
            False,
        )
        self.links.clear()
        self.references = {}
        for said in self._stood.values():
            last = bisect_right(said, t_s, key=_when) - 1
            if last >= 0:
                self._stand(said[last])

    def speed_at(self, t_s: float) -> Speed | None:
        """Return the speed that was measured last, if it still holds at a time; None where it does not."""
        speed = self.speed
        if speed is None or speed.speed_mps <= 0.0 or t_s < speed.t_s:
            return None
        return speed if speed.source == TREADMILL or t_s <= speed.t_s + SPEED_HOLDS_S else None

    # ------------------------------------------------------------ what comes in

    def take_motion(self, t_s: Array, values: NDArray[np.float32]) -> None:
        """Add motion: times (n,) strictly rising, values (n, 6) with the columns `MOTION_COLUMNS`."""
        last_s = float(self._times.rows[-1, 0]) if len(self._times) else nan
        fresh = int(np.searchsorted(t_s, last_s, side="right")) if last_s == last_s else 0
        t_s, values = t_s[fresh:], values[fresh:]
        if not len(t_s):
            return
        before = np.concatenate(([last_s], t_s[:-1]))
        holes = np.flatnonzero(t_s - before > 1.5 * GRID_PERIOD_S)
        if len(holes):
            t_s, values = np.insert(t_s, holes, t_s[holes] - GRID_PERIOD_S), np.insert(values, holes, nan, axis=0)
        self._times.extend(t_s[:, np.newaxis])
        self._motion.extend(values.astype(np.float32, copy=False))
        self.reach(float(t_s[0]), float(t_s[-1]))

    def take_steps(self, rows: Array) -> None:
        """Add steps (n, columns) with the columns `STEP_COLUMNS`, in their order.

        They hold every step from the first of them on: what is known of these already is replaced.
        """
        if not len(rows):
            return
        place = int(np.searchsorted(self._steps.rows[:, _INDEX], float(rows[0, _INDEX])))
        known = len(self._steps) - place
        self._steps.rows[place:] = rows[:known]
        self._steps.extend(rows[known:])
        contacts = rows[:, _CONTACT]
        self.reach(float(contacts[0]), float(contacts[-1]))

    def take(self, item: Said, words: str = "") -> None:
        """Remember what was said, a cue in ``words`` where they are known; what a window does not show is let pass."""
        match item:
            case Step():
                self._take_step(item)
            case Stride():
                self._take_stride(item)
            case ProvisionalContact():
                self._open[item.contact_id] = Contact(item.initial_contact_s, item.side)
                self.reach(item.initial_contact_s, item.decided_at_s)
            case ContactWithdrawn():
                self._open.pop(item.contact_id, None)
                self.reach(item.decided_at_s, item.decided_at_s)
            case Cue() | Marker() | Notice() | Gap():
                self._mark(item, words)
            case _:
                self._see(item)
        self.version += 1

    def _see(self, item: Said) -> None:
        """Remember how something stands now."""
        match item:
            case Activity() | LinkHealth() | HeartRate() | Speed() | References() | Command(name="mute" | "unmute"):
                self._stand(item)
                self._remember(item)
                if isinstance(item, LinkHealth):
                    self.reach(item.t_s, item.t_s)
            case SinkState():
                self.sinks[item.sink] = item
            case SessionState():
                self.state, self.muted = item.state, item.muted
            case CueOutcome():
                self.outcomes[item.cue_id] = item
            case _:
                pass

    def _stand(self, item: _Standing) -> None:
        match item:
            case Activity():
                self.activity = item.state
                if item.state is not ActivityState.RUNNING:
                    self._open.clear()
            case LinkHealth():
                self.links[item.role] = item
            case HeartRate():
                self.heart_rate = item
            case Speed():
                self.speed = item
            case References():
                self.references = {one.metric: one for one in item.references if one.side is Side.UNKNOWN}
            case Notice():
                self.notice = item
            case Command():
                self.muted = item.name == "mute"

    def _remember(self, item: _Standing) -> None:
        if self._stood is not None:
            kind = item.role if isinstance(item, LinkHealth) else ""
            insort(self._stood.setdefault(f"{type(item).__name__} {kind}", []), item, key=_when)

    def _mark(self, item: Cue | Marker | Notice | Gap, words: str) -> None:
        match item:
            case Cue():
                self.cues.append(item)
                kind: MarkKind = "chime" if item.kind == "chime" else "cue"
                words = words or words_for(item, self._words) or item.rule
                mark = Mark(item.decided_at_s, kind, words, item.side)
            case Marker():
                mark = Mark(item.t_s, "lap" if item.kind == "lap" else "note", item.text)
            case Notice():
                self._stand(item)
                self._remember(item)
                mark = Mark(item.t_s, "notice", item.text)
            case Gap():
                mark = Mark(item.t_s, "gap", item.reason, duration_s=item.duration_s)
        insort(self.marks, mark, key=_time_of)
        self.reach(mark.t_s, mark.t_s)

    def _take_step(self, step: Step) -> None:
        if step.contact_id is not None:
            # contacts are confirmed in their order: what is older and open was none
            for older in [contact_id for contact_id in self._open if contact_id <= step.contact_id]:
                del self._open[older]
        place = int(np.searchsorted(self._steps.rows[:, _INDEX], step.step_index))
        if place == len(self._steps) or self._steps.rows[place, _INDEX] != step.step_index:
            self._steps.extend(np.full((1, len(STEP_COLUMNS)), nan))
            rows = self._steps.rows
            # not at the end where a message came late
            rows[place + 1 :] = rows[place:-1].copy()
            rows[place, _BY_METRIC] = nan
        row = self._steps.rows[place]
        row[: _BY_METRIC.start] = (
            step.step_index,
            step.initial_contact_s,
            step.toe_off_s,
            SIDE_CODES[step.side],
            step.quality,
        )
        self._fill(row, step.metrics)
        self.reach(step.initial_contact_s, step.reported_at_s)

    def _take_stride(self, stride: Stride) -> None:
        place = int(np.searchsorted(self._steps.rows[:, _INDEX], stride.step_index))
        if place < len(self._steps) and self._steps.rows[place, _INDEX] == stride.step_index:
            self._fill(self._steps.rows[place], stride.metrics)
        self.reach(stride.initial_contact_s, stride.completed_at_s)

    @staticmethod
    def _fill(row: Array, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            row[_COLUMN[name]] = value

    def reach(self, from_s: float, to_s: float) -> None:
        """Note that the session has something to say about these times."""
        self.begin_s = min(self.begin_s, from_s)
        self.end_s = max(self.end_s, to_s)
        self.version += 1
