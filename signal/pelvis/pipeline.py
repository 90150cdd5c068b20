"""The core in the order in which data runs through it; read it top to bottom.

align (200 Hz grid) -> track (attitude) -> smooth -> find (anchors, touches, stillness) ->
decide (gate, axis, events, side, measures) -> consider (cues). Everything is decided on a
row of the grid, in the order of rows, so that the portions in which samples arrive change
nothing and nothing rests on what came later.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pelvis.activity import WATCH_HOP_SAMPLES, WATCH_SAMPLES, classify_rest
from pelvis.align import GRID_PERIOD_S, Aligned, Aligner, Hole
from pelvis.attitude import PIECE_ROWS, ROW_CHANNELS, AttitudeTracker
from pelvis.coefficients import SHIPPED
from pelvis.contacts import Anchor, AnchorFinder, TouchFinder
from pelvis.cues import Coach, CueRule, CueSettings
from pelvis.data import (
    ACTIVITY_CODES,
    Activity,
    ActivityState,
    Array,
    Command,
    CoreInput,
    CoreOutput,
    HeartRate,
    Marker,
    Motion,
    Samples,
    Speed,
)
from pelvis.looks import DECIDE_AFTER_SAMPLES
from pelvis.models import EventModels
from pelvis.mounting import StillFinder
from pelvis.personal import ANYBODY, Personal
from pelvis.steps import NEVER, StepTracker
from pelvis.strides import StrideMeter, Told
from pelvis.windows import (
    CLIPPED,
    FILLED,
    KNOWN,
    LEVEL_TAPS,
    PAST_CHANNELS,
    TOUCH_TAPS,
    Past,
    pelvis_motion,
)

ALGORITHM_VERSION = f"1.{SHIPPED.version}"

# Motion is said in whole hops of 16 rows: the one look-ahead of everything continuous (80 ms)
MOTION_HOP_SAMPLES = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core can be told.

    ``motion`` asks for `Motion` blocks as well, ``inputs`` for `StepInputs`; ``cues`` for a coach with these settings
    and ``rules``. ``models`` find the contact events, ``personal`` is the runner's calibration.
    """

    motion: bool = False
    inputs: bool = False
    models: EventModels = SHIPPED
    personal: Personal = ANYBODY
    cues: CueSettings | None = None
    rules: tuple[CueRule, ...] = ()


class Pipeline:
    """Feed it inputs in the order they came; it yields what there is to say, in time order."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings = settings or Settings()
        # without rules it is silent, and still passes on what a person says
        self._coach = Coach(settings.cues, settings.rules if settings.cues is not None else ())
        self._aligner = Aligner()
        self._tracker = AttitudeTracker()
        self._past = Past()
        self._still = StillFinder()
        self._anchors = AnchorFinder()
        self._touches = TouchFinder()
        self._steps = StepTracker(self._past, settings.models, settings.personal, tells_inputs=settings.inputs)
        self._strides = StrideMeter(self._past, tells_inputs=settings.inputs)
        self._due: deque[tuple[int, Anchor]] = deque()
        self._activity = ActivityState.OTHER
        self._changed_s = -math.inf
        self._next_watch = WATCH_SAMPLES
        self._marks: list[tuple[int, complex, int]] = []
        self._marked = 0
        self._motion_axes: Array | None = None

    def feed(self, item: CoreInput) -> Iterator[CoreOutput]:
        """Yield what this input made known, in the order of the deciding rows. Consume it wholly."""
        if isinstance(item, Samples):
            for part in self._aligner.align(item):
                yield from self._coached(self._break(part) if isinstance(part, Hole) else self._advance(part))
                self._aligner.stride_samples = self._steps.stride_samples
                self._aligner.two_strides_samples = self._steps.two_strides_samples
            return
        if isinstance(item, Command) and item.name == "swap_sides":
            self._steps.swap_sides()
        if isinstance(item, Speed):
            self._steps.take_speed(item)
        if isinstance(item, Speed | Command | Marker | HeartRate):
            yield from self._coach.consider(item)

    def finish(self) -> Iterator[CoreOutput]:
        """Yield what is still open once the input has ended."""
        last = self._past.rows.end - 1
        t_s = self._past.known_s(last) if last >= self._past.rows.start else -math.inf
        if math.isfinite(t_s):
            yield from self._strides.measure(self._steps.finish(t_s))
        yield from self._coach.finish(t_s)

    def _coached(self, said: Iterator[CoreOutput]) -> Iterator[CoreOutput]:
        for item in said:
            yield item
            yield from self._coach.consider(item)

    def _advance(self, part: Aligned) -> Iterator[CoreOutput]:
        return self._strides.measure(self._tell(part))

    def _tell(self, part: Aligned) -> Iterator[Told]:
        first, n = part.index, len(part.motion)
        stills = list(self._still.find(first, part.motion))
        rows = np.empty((n, PAST_CHANNELS))
        rows[:, :ROW_CHANNELS] = self._tracker.track(part.motion, stills[0].index - first if stills else None)
        if part.made_up:
            self._tracker.doubt()
        rows[:, KNOWN] = part.known_s
        rows[:, FILLED] = part.filled
        rows[:, CLIPPED] = part.clipped
        touch_z, level_z = self._past.append(rows)
        self._steps.origin_s = self._aligner.origin_s
        # what the block holds, each on the row that decides it
        happenings: list[tuple[int, int, Callable[[], Iterator[CoreOutput] | None]]] = [
            (still.index, 0, partial(self._steps.placement.take_still, still)) for still in stills
        ]
        if not self._steps.has_gyroscope and part.motion[:, 3:].any():
            row = first + int(np.argmax(part.motion[:, 3:].any(axis=1)))
            happenings.append((row, -1, partial(self._feel_turning, row)))
        for centre, anchor in self._anchors.find(first - LEVEL_TAPS // 2, level_z):
            row = centre + LEVEL_TAPS // 2
            self._due.append((max(int(anchor.down) + DECIDE_AFTER_SAMPLES, row), anchor))
        for centre, rise in self._touches.find(first - TOUCH_TAPS // 2, touch_z):
            row = centre + TOUCH_TAPS // 2
            happenings.append((row, 2, partial(self._steps.touch, row, rise)))
        if len(self._due) > 1:
            self._steps.look_ahead([anchor for row, anchor in self._due if row < first + n])
        happenings.sort(key=lambda happening: happening[:2])
        for row, _, happen in happenings:
            yield from self._catch_up(row)
            yield from self._say(happen() or ())
        yield from self._catch_up(first + n - 1)
        if self._settings.motion:
            yield from self._mark(first + n)
            yield from self._move()

    def _feel_turning(self, row: int) -> Iterator[CoreOutput]:
        """Take note that there is a gyroscope: from this row on."""
        if self._settings.motion:
            yield from self._mark(row)
        self._steps.has_gyroscope = True

    def _catch_up(self, row: int) -> Iterator[Told]:
        """Do everything that falls due up to ``row``, in the order of rows."""
        while True:
            due = self._due[0][0] if self._due else NEVER
            expiry = self._steps.next_expiry
            now = min(due, expiry, self._next_watch)
            if now > row:
                return
            if self._settings.motion:
                yield from self._mark(now)
            if now == due:
                yield from self._say(self._steps.decide(self._due.popleft()[1], now))
            elif now == expiry:
                yield from self._say(self._steps.expire(now))
            else:
                yield from self._say(self._watch(now))

    def _say(self, items: Iterable[Told]) -> Iterator[Told]:
        for item in items:
            if isinstance(item, Activity):
                self._activity = item.state
                if item.t_s < self._changed_s:
                    # a run is known later than it began: what was said meanwhile stands
                    item = replace(item, t_s=self._changed_s)
                self._changed_s = item.t_s
            yield item

    def _watch(self, row: int) -> Iterator[CoreOutput]:
        """Say every half second without running whether the runner stands, walks or does something else."""
        self._next_watch = row + WATCH_HOP_SAMPLES
        if self._steps.gate.promising:
            return
        stop = row - LEVEL_TAPS // 2 + 1
        state = classify_rest(self._past.level.view(stop - WATCH_SAMPLES, stop)[:, 0])
        if state is not self._activity:
            known_s = self._past.known_s(row)
            yield Activity(known_s, state, known_s)

    def _mark(self, row: int) -> Iterator[CoreOutput]:
        """Note what holds for all whole hops before ``row``; a new mount first closes what the old one covers."""
        stop = row - row % MOTION_HOP_SAMPLES
        if stop <= self._marked:
            return
        axes = self._steps.placement.mount.axes if self._steps.has_gyroscope else None
        if axes is not self._motion_axes:
            yield from self._move()
            self._motion_axes = axes
        self._marks.append((stop - self._marked, self._steps.placement.ahead, ACTIVITY_CODES.index(self._activity)))
        self._marked = stop

    def _move(self) -> Iterator[CoreOutput]:
        """Say the continuous motion of all hops marked so far."""
        if not self._marks:
            return
        counts, heading, codes = zip(*self._marks, strict=True)
        ahead = np.repeat(np.array(heading), counts)
        activity = np.repeat(np.array(codes, dtype=np.int8), counts)
        first = self._marked - len(ahead)
        for low in range(0, len(ahead), PIECE_ROWS):
            piece = slice(low, low + PIECE_ROWS)
            start, stop = first + low, min(first + low + PIECE_ROWS, self._marked)
            force, obliquity, tilt, rotation = pelvis_motion(
                self._past.rows.view(start, stop), self._motion_axes, ahead[piece]
            )
            yield Motion(
                t_s=self._aligner.origin_s + np.arange(start, stop, dtype=np.float64) * GRID_PERIOD_S,
                acc_g=force,
                obliquity_deg=obliquity,
                tilt_deg=tilt,
                rotation_deg=rotation,
                activity=activity[piece],
            )
        self._marks.clear()

    def _break(self, hole: Hole) -> Iterator[CoreOutput]:
        """Close what is open before a hole too long to fill, and begin anew behind it."""
        self._due.clear()
        yield from self._strides.measure(self._say(self._steps.restart(hole.known_s)))
        self._tracker.restart()
        self._still.restart()
        self._anchors.restart(hole.next_index)
        self._touches.restart(hole.next_index)
        self._past.restart(hole.next_index)
        self._next_watch = hole.next_index + WATCH_SAMPLES
        self._marked = hole.next_index + -hole.next_index % MOTION_HOP_SAMPLES
