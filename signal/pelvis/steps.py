"""From anchors to steps: the gate, the mount, the events, the side, and what became of the stride."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pelvis.activity import (
    FALL_LEAN_RAD,
    LEANING_FALL_RATIO,
    LONGEST_PAUSE_S,
    Cycle,
    RunningGate,
    alternation,
    drive_ratio,
    likeness,
)
from pelvis.align import GRID_PERIOD_S
from pelvis.coefficients import SHIPPED
from pelvis.contacts import (
    PHASES,
    RISE_AFTER_SAMPLES,
    RISE_BEFORE_SAMPLES,
    Anchor,
    Events,
    Moments,
    SideVote,
    event_features,
    find_events,
    rise_foot,
)
from pelvis.data import (
    STANDARD_GRAVITY_MPS2,
    Activity,
    ActivityState,
    Array,
    ContactWithdrawn,
    CoreOutput,
    Evidence,
    Notice,
    ProvisionalContact,
    Side,
    Speed,
    Step,
    StepInputs,
)
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.looks import DECIDE_AFTER_SAMPLES, EVENT_POINTS, ROLL_WINDOW, Look, look_at
from pelvis.metrics import STEP_NAMES, measure_step
from pelvis.models import EventModels
from pelvis.mounting import (
    angle_between_rad,
    unit,
)
from pelvis.personal import ANYBODY, CONTACT_SHARE, ContactCalibrator, Personal
from pelvis.placement import Placement
from pelvis.quality import SAID_LATE, judge
from pelvis.speed import ESTIMATE, Speedometer, speed_error_ratio
from pelvis.strides import CutStride, Told, WholeStride
from pelvis.uncertainty import FILLED_FAST, FILLED_LATELY, FILLED_STRIDE, StandardErrors, product_error, terms
from pelvis.windows import (
    CLIPPED,
    FILLED,
    LEVEL_TAPS,
    LOOK_BACK_ROWS,
    SMOOTH_TAPS,
    Past,
    StepView,
    StrideSpan,
    stance_obliquity,
    stance_velocity,
)

# 120 rows = 0.6 s: no loading followed, the touch was none
TOUCH_EXPIRES_SAMPLES = 120
# 60 ms: a touch and the anchor it belongs to
TOUCH_MATCH_SAMPLES = 14
# 80 ms: sprinters stand longer; 1.2 steps: the slowest joggers leave the ground about when the other foot comes down
SHORTEST_CONTACT_SAMPLES, LONGEST_CONTACT_RATIO = 16, 1.2
# a row that never comes
NEVER = 2**62
# 0.2 a step: about 2 s, as long as the attitude remembers acceleration that was made up
FILLED_MEMORY = 0.2
_JUDGED_NAMES = ("initial_contact_s", "toe_off_s", *STEP_NAMES)
_CONTACT_TIME, _CADENCE, _SPEED, _LENGTH = (
    _JUDGED_NAMES.index(name) for name in ("contact_time_s", "cadence_spm", "speed_mps", "step_length_m")
)


def _turn(signals: Array, forward: complex) -> Array:
    """Return vertical force, fore-aft force, pitch rate, roll rate (n, 4) of earth-frame signals (n, 6)."""
    turn = np.zeros((6, 4))
    turn[2, 0] = 1.0
    turn[0, 1] = turn[4, 2] = turn[3, 3] = forward.real
    turn[1, 1] = turn[4, 3] = forward.imag
    turn[3, 2] = -forward.imag
    turned: Array = signals @ turn
    return turned


@dataclass(slots=True)
class _Touch:
    contact_id: int
    rise: float
    row: int


@dataclass(slots=True)
class _Loading:
    """A loading and what is needed to make a step of it, now or once the gate opens.

    ``signals`` (48, 6) hold the event model's points and early stance; ``mean`` the mean row over the last two steps,
    ``heading`` the direction of the mount's reference axis in them, ``run_steps`` how many steps had been learned from;
    ``forward`` is the direction of running as it is known when the step is said.
    """

    anchor: Anchor
    period: float
    signals: Array
    running: bool
    mean: Array | None = None
    heading: complex = 1 + 0j
    forward: complex = 1 + 0j
    run_steps: int = 1


class _Made(NamedTuple):
    """A step already reported, waiting for its stride."""

    step_index: int
    initial_contact: float
    initial_contact_s: float
    toe_off_s: float
    side: Side
    speed_mps: float
    speed_source: str
    run: int
    terms: tuple[float, ...]
    calibrated: float


class StepTracker:
    """Turns anchors into steps and strides; knows the mount."""

    def __init__(
        self,
        past: Past,
        models: EventModels = SHIPPED,
        personal: Personal = ANYBODY,
        *,
        tells_inputs: bool = False,
    ) -> None:
        self._past = past
        self._models = models
        self._reference = personal.contact_time_reference
        self._contact = ContactCalibrator(personal)
        self._speedometer = Speedometer(personal)
        self._errors = StandardErrors({name: ERROR_MODELS[name] for name in _JUDGED_NAMES})
        self._run = 0
        self._filled_before = 0.0
        self._filled_lately = 0.0
        self._tells_inputs = tells_inputs
        self.origin_s = 0.0
        self.placement = Placement()
        self.gate = RunningGate()
        self.has_gyroscope = False
        self.stride_samples = self.two_strides_samples = 0
        self._speed_mps = 0.0
        self._side = SideVote()
        self._anchors: deque[Anchor] = deque(maxlen=3)
        self._step_before: Array | None = None
        self._looked: dict[tuple[Anchor, Anchor, Anchor], Look] = {}
        self._upright: Array | None = None
        self._waiting: deque[_Loading] = deque()
        self._strides: deque[int] = deque(maxlen=3)
        self._made: deque[_Made] = deque()
        self._touch: _Touch | None = None
        self._touch_offset = 0.0
        self._touches = 0
        self._steps = 0
        self._run_steps = 0
        self._last_side_up = -1e9
        self._typical_period = 0.0
        self._told: set[str] = set()

    # -- what the pipeline tells -------------------------------------------------

    def touch(self, row: int, rise: float) -> Iterator[CoreOutput]:
        """Say a contact provisionally where the runner is running."""
        if not self.gate.open or not self._anchors:
            return
        since = rise - self._anchors[-1].up
        if self._touch is not None or since < 0.6 * self._typical_period:
            return
        self._touches += 1
        self._touch = _Touch(self._touches, rise, row)
        side = self._made[-1].side.other if self._made else Side.UNKNOWN
        contact = rise + self._touch_offset
        yield ProvisionalContact(self._touches, self._time_s(contact), side, self._past.known_s(row))

    def expire(self, row: int) -> Iterator[Told]:
        """Close what nothing followed on: a stale touch, a run that has paused."""
        if self._touch is not None and row - self._touch.row >= TOUCH_EXPIRES_SAMPLES:
            yield from self._withdraw(self._past.known_s(row))
        if self.gate.open and self._anchors and (row - self._anchors[-1].down) * GRID_PERIOD_S > LONGEST_PAUSE_S:
            yield from self._stop(self._past.known_s(row))
            self._break_off()

    @property
    def next_expiry(self) -> int:
        """The row at which `expire` has something to do, if nothing happens before."""
        row = NEVER if self._touch is None else self._touch.row + TOUCH_EXPIRES_SAMPLES
        if self.gate.open and self._anchors:
            row = min(row, int(self._anchors[-1].down + LONGEST_PAUSE_S / GRID_PERIOD_S) + 1)
        return row

    def take_speed(self, speed: Speed) -> None:
        """Remember what a source of speed says."""
        self._speedometer.take(speed)

    def swap_sides(self) -> None:
        """Exchange left and right: the runner says so."""
        self._side.swapped = not self._side.swapped

    def restart(self, known_s: float) -> Iterator[Told]:
        """After a hole seen at ``known_s`` the run is broken: find side and forward again; the mount stays."""
        if self.gate.open:
            yield from self._stop(known_s)
        self._break_off()

    def finish(self, known_s: float) -> Iterator[Told]:
        """Say what is known of the strides that will not be completed any more, and take back the last touch."""
        if self._touch is not None:
            yield from self._withdraw(known_s)
        yield from self._close_strides(known_s)

    # -- one step ----------------------------------------------------------------

    def decide(self, anchor: Anchor, row: int) -> Iterator[Told]:
        """Take in a loading whose window is complete at ``row``; yield its step if it is one of running.

        The loading that opens the gate is said together with those that led to it.
        """
        self._anchors.append(anchor)
        if len(self._anchors) < 2:
            return
        period = anchor.up - self._anchors[-2].up
        if period * GRID_PERIOD_S > LONGEST_PAUSE_S:
            if self.gate.open:
                yield from self._stop(self._past.known_s(row))
            self._break_off()
            self._anchors.append(anchor)
            return
        was_open = self.gate.open
        look = self._look(anchor)
        signals = look.signals
        running = self.gate.pass_cycle(self._cycle(anchor, period, signals), self._time_s(anchor.up))
        if was_open and not self.gate.open:
            yield from self._stop(self._past.known_s(row))
            return
        loading = _Loading(anchor, period, signals[2 * PHASES :], running)
        self._wait(loading, row)
        if len(self._anchors) < 3 or not self.gate.promising:
            self._upright = None
            self._run_steps = 0
            self.stride_samples = self.two_strides_samples = 0
            return
        if self._run_steps == 0:
            self._begin()
        loading.mean = self._learn(anchor, look.moments)
        loading.heading = self.placement.mean_heading
        loading.run_steps = self._run_steps
        self._upright = loading.mean[6:9]
        if not self.gate.open:
            return
        if not was_open:
            yield Activity(self._time_s(self._waiting[0].anchor.up), ActivityState.RUNNING, self._past.known_s(row))
        yield from self._notices(row)
        yield from self._say(row)

    def _wait(self, loading: _Loading, row: int) -> None:
        """Keep a loading until it is said; forget those that led to nothing, or lie too far back."""
        self._waiting.append(loading)
        while len(self._waiting) > self.gate.cycles or (
            self._waiting and self._waiting[0].anchor.up < row - LOOK_BACK_ROWS
        ):
            self._waiting.popleft()

    def _break_off(self) -> None:
        """Forget the loadings so far: what comes next does not follow on them."""
        self.gate.close()
        self._anchors.clear()
        self._waiting.clear()
        self._step_before = None

    def _cycle(self, anchor: Anchor, period: float, signals: Array) -> Cycle:
        before = self._anchors[-2]
        first = int(before.down)
        level = self._past.level.view(first, int(anchor.down) + 1)[:, 0]
        up = int(anchor.up) + 1 - first
        loading = level[up:]
        impulse = (float(np.add.reduce(loading)) - len(loading)) * GRID_PERIOD_S * STANDARD_GRAVITY_MPS2
        lowest, highest = np.minimum.reduce(level[:up]), np.maximum.reduce(loading)
        alternates = drive = alike = math.nan
        if not self.gate.open and len(self._anchors) == 3:
            alternates, drive = alternation(signals[: 2 * PHASES]), drive_ratio(signals[: 2 * PHASES])
            if self._step_before is not None:
                alike = likeness(self._step_before, signals[PHASES : 2 * PHASES])
        self._step_before = signals[:PHASES] if len(self._anchors) == 3 else None
        made_up = leaning = False
        if self.gate.hardness(impulse) > LEANING_FALL_RATIO:
            made_up = self._is_filled(first, int(anchor.down))
            leaning = self._leans(int(anchor.up))
        return Cycle(
            period_s=period * GRID_PERIOD_S,
            impulse_mps=impulse,
            lowest_g=float(lowest),
            highest_g=float(highest),
            alternation=alternates,
            drive_ratio=drive,
            likeness=alike,
            made_up=made_up,
            leaning=leaning,
        )

    def _leans(self, row: int) -> bool:
        """Whether the vertical lies far from where it was in the two steps before."""
        if self._upright is None:
            return False
        up = self._past.rows.view(row, row + 1)[0, 6:9]
        return angle_between_rad(unit(up), unit(self._upright)) > FALL_LEAN_RAD

    def _is_filled(self, first: int, last: int) -> bool:
        """Whether samples were lost that the smoothed vertical force from ``first`` to ``last`` rests on."""
        reach = LEVEL_TAPS // 2
        return bool(self._past.rows.view(max(first - reach, self._past.rows.start), last + reach)[:, FILLED].any())

    def _begin(self) -> None:
        """Learn forward anew, unless it is settled: a run seems to begin."""
        self._run += 1
        self._filled_before = self._filled_lately = 0.0
        self.placement.begin()

    def look_ahead(self, coming: Sequence[Anchor]) -> None:
        """Look at several loadings at once that are about to be decided: one by one costs more."""
        anchors = [*self._anchors, *coming]
        first = max(0, len(self._anchors) - 2)
        # over a pause nothing is decided, and what lies before it may no longer be held
        triples = [
            three
            for three in zip(anchors[first:], anchors[first + 1 :], anchors[first + 2 :], strict=False)
            if max(three[1].up - three[0].up, three[2].up - three[1].up) * GRID_PERIOD_S <= LONGEST_PAUSE_S
        ]
        if len(triples) > 1:
            self._looked = dict(zip(triples, look_at(self._past, triples), strict=True))

    def _look(self, anchor: Anchor) -> Look:
        """Return what is seen of the last loadings; the first two, where there are no more, are looked at twice."""
        three = (self._anchors[0], self._anchors[-2], anchor)
        return self._looked.pop(three, None) or look_at(self._past, [three])[0]

    def _learn(self, anchor: Anchor, moments: Moments) -> Array:
        """Update level, axis and heading from the last two steps; return the mean row over them."""
        self._run_steps += 1
        if not self.stride_samples:
            self._strides.clear()
        self.stride_samples = round(anchor.up - self._anchors[0].up)
        self._strides.append(self.stride_samples)
        self.two_strides_samples = self.stride_samples + self._strides[0] if len(self._strides) == 3 else 0
        rows = self._past.rows.view(int(self._anchors[0].up), int(anchor.up) + 1)
        mean: Array = np.add.reduce(rows, axis=0) * (1.0 / len(rows))
        self.placement.learn(mean, moments, self._run_steps, self._speed_mps, watched=self.has_gyroscope)
        return mean

    def _notices(self, row: int) -> Iterator[CoreOutput]:
        placement = self.placement
        if placement.mount.from_standing:
            yield from self._tell("levelled", "Level taken from standing still.", row)
        elif self.gate.open:
            yield from self._tell(
                "level_from_running", "No standing still before the run: tilt and peak drop are not known.", row
            )
        if not self.has_gyroscope:
            yield from self._tell("no_gyroscope", "No gyroscope: side and pelvis angles are not known.", row)
        elif placement.forward_settled:
            yield from self._tell("heading_found", "Forward found from running; angles are settled.", row)
        if placement.take_slip():
            self._told.discard("sensor_slipped")
            yield from self._tell(
                "sensor_slipped", "The sensor has moved on the belt: its place is learned anew; clip it tighter.", row
            )

    def _tell(self, kind: str, text: str, row: int) -> Iterator[CoreOutput]:
        if kind not in self._told:
            self._told.add(kind)
            known_s = self._past.known_s(row)
            yield Notice(known_s, kind, text, known_s)

    def _say(self, row: int) -> Iterator[Told]:
        """Say the steps of the loadings that wait, forward and side as they are known now.

        In an open gate that is one; when it opens, all that led to it.
        """
        waiting = list(self._waiting)
        self._waiting.clear()
        if waiting[0].mean is None:
            # the first loading had no two steps before it
            waiting[0].mean, waiting[0].heading = waiting[1].mean, waiting[1].heading
        axis = self.placement.axis_direction
        for loading in waiting:
            loading.forward = axis * loading.heading
        turned = [_turn(loading.signals, loading.forward) for loading in waiting]
        sides = self._which_sides(waiting, turned)
        for loading, signals, (side, confidence) in zip(waiting, turned, sides, strict=True):
            if loading.running:
                yield from self._measure(loading, signals, side, confidence, row, late=loading is not waiting[-1])
            else:
                # a loading that does not count breaks the chain of contacts
                yield from self._close_strides(self._past.known_s(row))

    def _measure(
        self, loading: _Loading, turned: Array, side: Side, confidence: float, row: int, *, late: bool
    ) -> Iterator[Told]:
        anchor, period, mean = loading.anchor, loading.period, loading.mean
        assert mean is not None
        begin = anchor.up if self.has_gyroscope else self._rise_foot(anchor)
        features = event_features(anchor, period, turned[:EVENT_POINTS, :3], begin)
        found = find_events(features, self._models, with_gyroscope=self.has_gyroscope)
        if not SHORTEST_CONTACT_SAMPLES <= found.toe_off - found.initial_contact <= LONGEST_CONTACT_RATIO * period:
            # whatever this was, no foot did it
            yield from self._close_strides(self._past.known_s(row))
            return
        events, offset_s = self._calibrated(found)
        contact_s, toe_off_s = self._time_s(events.initial_contact), self._time_s(events.toe_off)
        stance = self._stance(events, row)
        filled = float(np.add.reduce(stance[:, FILLED])) / len(stance)
        self._filled_lately += FILLED_MEMORY * (float(mean[FILLED]) - self._filled_lately)
        evidence = Evidence(
            strangeness=events.strangeness,
            run_steps=loading.run_steps,
            period_ratio=period / self._typical_period if self._typical_period else 1.0,
            filled_ratio=float(mean[FILLED]),
            filled_stance=filled,
            filled_before=self._filled_before,
            filled_lately=self._filled_lately,
            clipped_ratio=float(mean[CLIPPED]),
            axis_confidence=self.placement.axis_confidence,
            disagrees=self.placement.in_doubt,
            yaw_radps=self.placement.turning_radps,
            has_gyroscope=self.has_gyroscope,
            from_standing=self.placement.mount.from_standing,
        )
        self._filled_before = filled
        self._typical_period = period if not self._typical_period else 0.8 * self._typical_period + 0.2 * period
        view = self._view(events, offset_s, side, loading.forward, mean, stance, row)
        metrics = measure_step(view)
        contact_time_s = toe_off_s - contact_s
        squares = terms(evidence, contact_time_s)
        values = (contact_time_s, contact_time_s, *metrics.values())
        calibrated = self._contact.remaining(contact_time_s - offset_s)
        errors, common = self._errors.judge(squares, values, self._steps, self._run, calibrated)
        known = speed_error_ratio(view.speed_source)
        errors[_SPEED] = common[_SPEED] = view.speed_mps * known if known else math.nan
        errors[_LENGTH], common[_LENGTH] = product_error(
            metrics["step_length_m"], known, errors[_CADENCE] / metrics["cadence_spm"]
        )
        quality, flags = judge(evidence, squares, errors[_CONTACT_TIME], calibrated)
        self._steps += 1
        contact_id = yield from self._settle_touch(anchor, events.initial_contact, row)
        known_s = self._past.known_s(row)
        if evidence.clipped_ratio:
            yield from self._tell(
                "clipped", "Shocks go beyond the sensor's range and are cut off: such steps are less certain.", row
            )
        yield Step(
            step_index=self._steps - 1,
            stride_index=(self._steps - 1) // 2,
            contact_id=contact_id,
            initial_contact_s=contact_s,
            toe_off_s=toe_off_s,
            side=side,
            side_confidence=confidence,
            metrics=metrics,
            errors=dict(zip(STEP_NAMES, errors[2:], strict=True)),
            common_errors=dict(zip(STEP_NAMES, common[2:], strict=True)),
            initial_contact_se_s=errors[0],
            toe_off_se_s=errors[1],
            quality=quality,
            flags=(*flags, SAID_LATE) if late else flags,
            reported_at_s=known_s,
            speed_source=view.speed_source,
            contact_time_reference=self._reference,
            contact_time_offset_s=offset_s,
        )
        if self._tells_inputs:
            yield StepInputs(
                self._steps - 1,
                self._time_s(features.contact_origin),
                self._time_s(features.toe_off_origin),
                period * GRID_PERIOD_S,
                features.values,
                evidence,
                squares,
            )
        self._made.append(
            _Made(
                self._steps - 1,
                events.initial_contact,
                contact_s,
                toe_off_s,
                side,
                math.nan if view.speed_source == ESTIMATE else view.speed_mps,
                view.speed_source,
                self._run,
                squares,
                calibrated,
            )
        )
        if len(self._made) == 3:
            yield self._complete(row)

    def _rise_foot(self, anchor: Anchor) -> float:
        up = int(anchor.up)
        stop = min(up + RISE_AFTER_SAMPLES, int(anchor.down) + DECIDE_AFTER_SAMPLES - SMOOTH_TAPS // 2 - 1)
        start = up - RISE_BEFORE_SAMPLES
        return rise_foot(self._past.smooth.view(start, stop + 1)[:, 2], start)

    def _calibrated(self, events: Events) -> tuple[Events, float]:
        """Return the events as the runner's calibration has them, and what it added to contact time."""
        offset_s = self._contact.tell((events.toe_off - events.initial_contact) * GRID_PERIOD_S)
        if offset_s == 0.0:
            return events, offset_s
        moved = offset_s / GRID_PERIOD_S
        return (
            Events(
                events.initial_contact - CONTACT_SHARE * moved,
                events.toe_off + (1.0 - CONTACT_SHARE) * moved,
                events.strangeness,
            ),
            offset_s,
        )

    def _which_sides(self, waiting: list[_Loading], turned: list[Array]) -> list[tuple[Side, float]]:
        """Return side and confidence of every loading; the votes of all of them count for each."""
        if not self.has_gyroscope:
            return [(Side.UNKNOWN, 0.0)] * len(waiting)
        confidence, lock, steps_apart = 0.0, 0.0, [0] * len(waiting)
        for k, (loading, signals) in enumerate(zip(waiting, turned, strict=True)):
            if loading.running:
                roll_radps = float(np.add.reduce(signals[EVENT_POINTS:, 3])) / len(ROLL_WINDOW)
                steps_apart[k] = round((loading.anchor.up - self._last_side_up) / loading.period)
                if self.placement.doubted:
                    lock, confidence = self._side.hold(steps_apart[k])
                else:
                    lock, confidence = self._side.vote(roll_radps, steps_apart[k])
                self._last_side_up = loading.anchor.up
        sides: list[tuple[Side, float]] = []
        for apart in reversed(steps_apart):
            is_right = (lock > 0.0) != self._side.swapped
            sides.append((Side.UNKNOWN if lock == 0.0 else Side.RIGHT if is_right else Side.LEFT, confidence))
            lock *= -1.0 if apart % 2 else 1.0
        return sides[::-1]

    def _stance(self, events: Events, row: int) -> Array:
        """Return the rows from initial contact to toe-off, as far as they are known at ``row``."""
        rows = self._past.rows
        start = max(int(events.initial_contact), rows.start)
        return rows.view(start, max(min(int(events.toe_off) + 1, row + 1), start + 2))

    def _view(
        self, events: Events, offset_s: float, side: Side, forward: complex, mean: Array, stance: Array, row: int
    ) -> StepView:
        contact, toe_off = events.initial_contact, events.toe_off
        start = max(int(contact), self._past.rows.start)
        c, s = forward.real, forward.imag
        # a steady runner's fore-aft force has no mean: what the last two steps have of it is tilt error
        steady = float(mean[9]) * c + float(mean[10]) * s
        slowest, last = stance_velocity(stance[:, 9:11] @ (c, s) - steady)
        obliquity = stance_obliquity(stance, start, contact, toe_off, self.placement.mount)
        contact_s, toe_off_s = self._time_s(contact), self._time_s(toe_off)
        previous_s = self._made[-1].initial_contact_s if self._made else math.nan
        speed_mps, speed_source = self._speedometer.tell(
            self._past.known_s(row),
            contact_s - previous_s,
            last - slowest,
            toe_off_s - contact_s - offset_s,
        )
        # an estimate is some 14 % off, and so is then what a bend leans by: a fraction of a degree
        self._speed_mps = 0.0 if math.isnan(speed_mps) else speed_mps
        return StepView(
            initial_contact_s=contact_s,
            toe_off_s=toe_off_s,
            previous_contact_s=previous_s,
            side=side,
            from_standing=self.placement.mount.from_standing,
            obliquity_rad=obliquity if self.has_gyroscope else obliquity[:0],
            slowest_mps=slowest,
            last_mps=last,
            speed_mps=speed_mps,
            speed_source=speed_source,
        )

    # -- contacts said before ------------------------------------------------------

    def _settle_touch(self, anchor: Anchor, contact: float, row: int) -> Generator[CoreOutput, None, int | None]:
        """Confirm or withdraw the touch that is open; return the id confirmed."""
        touch = self._touch
        if touch is None:
            return None
        if abs(touch.rise - anchor.up) > TOUCH_MATCH_SAMPLES:
            if touch.rise < anchor.up:
                yield from self._withdraw(self._past.known_s(row))
            return None
        self._touch = None
        share = 0.2 if self._touch_offset else 1.0
        self._touch_offset += share * (contact - touch.rise - self._touch_offset)
        return touch.contact_id

    def _withdraw(self, known_s: float) -> Iterator[CoreOutput]:
        assert self._touch is not None
        yield ContactWithdrawn(self._touch.contact_id, known_s)
        self._touch = None

    # -- strides -------------------------------------------------------------------

    def _complete(self, row: int) -> WholeStride:
        first, middle, last = self._made
        self._made.popleft()
        span = StrideSpan(
            contacts=(first.initial_contact, middle.initial_contact, last.initial_contact),
            times_s=(first.initial_contact_s, middle.initial_contact_s, last.initial_contact_s),
            toe_off_s=first.toe_off_s,
            speed_mps=first.speed_mps,
            axes=self.placement.mount.axes if self.has_gyroscope else None,
            from_standing=self.placement.mount.from_standing,
            yaw_radps=self.placement.yaw_radps,
        )
        rows = self._past.rows.view(int(first.initial_contact), int(last.initial_contact) + 1)
        filled = float(np.add.reduce(rows[:, FILLED])) / len(rows)
        squares = list(first.terms)
        squares[FILLED_STRIDE] = filled * filled
        squares[FILLED_LATELY], squares[FILLED_FAST] = last.terms[FILLED_LATELY], last.terms[FILLED_FAST]
        return WholeStride(
            first.step_index,
            first.side,
            span,
            first.run,
            tuple(squares),
            first.calibrated,
            first.speed_source,
            self._past.known_s(row),
        )

    def _close_strides(self, known_s: float) -> Iterator[CutStride]:
        """Tell the strides of which only the next contact is known."""
        while len(self._made) > 1:
            made = self._made.popleft()
            yield CutStride(
                made.step_index,
                made.initial_contact_s,
                made.toe_off_s,
                self._made[0].initial_contact_s,
                made.side,
                made.run,
                made.terms,
                made.calibrated,
                made.speed_source,
                known_s,
            )
        self._made.clear()

    def _stop(self, known_s: float) -> Iterator[Told]:
        """Close what is open: the runner stopped running."""
        self._waiting.clear()
        self._upright = None
        if self._touch is not None:
            yield from self._withdraw(known_s)
        yield from self._close_strides(known_s)
        yield Activity(known_s, ActivityState.OTHER, known_s)
        self._run_steps = 0
        self._typical_period = 0.0
        self.stride_samples = self.two_strides_samples = 0
        self._side.restart()
        self._speedometer.restart()
        self._contact.restart()

    def _time_s(self, index: float) -> float:
        return self.origin_s + index * GRID_PERIOD_S
