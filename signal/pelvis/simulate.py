"""A runner with known truth, seen by a sensor with known faults.

Physics comes first. The pelvis centre moves by closed formulas whose first and second derivatives are
formulas too, so that position, velocity, acceleration, attitude and angular rate agree to rounding:

1. A point mass carries the vertical motion: free fall from toe-off to initial contact, in contact a force
   A sin(pi s) + B sin(2 pi s) whose two sizes follow from the velocities before and after and from the
   height being the same at every contact's beginning and end. Mean force over steady steps is body weight.
2. Waveforms over stride phase (`pelvis.runner_shapes`) add what a pelvis does besides: obliquity, rotation,
   tilt, sway, fore-aft motion, and its vertical motion against the point mass. Stride phase is a
   twice differentiable function of time through each step's own initial contact and toe-off.
3. Sizes change from step to step, and only between toe-off and the next initial contact.
4. The sensor lies `CENTRE_FROM_SENSOR_M` behind the pelvis centre and turns with the pelvis. It feels
   R^T (acceleration + gravity) and the angular rate. Skin and strap add an impact transient and a
   wobble that are the sensor's alone: they are not in the truth.
5. `pelvis.sensor_model` makes of that what a device reports.

Steady steps begin and end where running is said to; a gait comes and goes over three steps (`_RAMP_STEPS`).
World axes: x forward, y left, z up; running goes straight on. All times are DEVICE time: what the sensor stamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pelvis import runner_shapes as shapes
from pelvis.data import ACTIVITY_CODES, STANDARD_GRAVITY_MPS2, ActivityState, Array, Side
from pelvis.sensor_model import SensorModel

CENTRE_FROM_SENSOR_M = (0.105, 0.0, -0.010)
"""From the sensor over the sacrum to the pelvis centre, in pelvis axes."""

_G = STANDARD_GRAVITY_MPS2
_CHUNK_SAMPLES = 2048  # the unit of computation whatever the block: the same samples for every block size
_RAMP_STEPS = 3
_IDLE_STEP_S = 0.35  # standing marks time in steps of no size
_MIN_CONTACT_S, _MIN_FLIGHT_S = 0.09, 0.02
_MAX_RUN_UP_MPS2 = 1.5
_TOE_OFF = shapes.TOE_OFF_PHASE


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of one activity. None: endless (``duration_s``), the scenario's or the speed's norm (the rest)."""

    activity: ActivityState
    duration_s: float | None = None
    speed_mps: float | None = None
    cadence_spm: float | None = None
    contact_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes that grow in a straight line from nothing at ``start_s`` to their full size at ``end_s`` and stay.

    Several add up: fatigue is one long drift, a fault that is put right a short one and its negative.
    """

    start_s: float
    end_s: float
    drop_left_deg: float = 0.0
    drop_right_deg: float = 0.0
    contact_time_s: float = 0.0
    cadence_spm: float = 0.0
    pelvis_sway_m: float = 0.0
    tilt_deg: float = 0.0
    rotation_range_deg: float = 0.0

    def share(self, t_s: float) -> float:
        """How much of the change has come at a time: 0 to 1."""
        if t_s >= self.end_s:
            return 1.0
        return max(0.0, (t_s - self.start_s) / (self.end_s - self.start_s))


@dataclass(frozen=True, slots=True)
class Variability:
    """Standard deviations from step to step; the defaults are those of the average treadmill runner."""

    step_time_s: float = 0.0065
    contact_time_s: float = 0.005
    drop_deg: float = 0.35
    tilt_deg: float = 0.25
    size_ratio: float = 0.06  # rotation, tilt range, sway, fore-aft
    impact_ratio: float = 0.15
    impact_delay_s: float = 0.003

    @classmethod
    def none(cls) -> Variability:
        """Every step the same."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who runs how, seen by which sensor. None means: the norm at the speed.

    Without ``phases`` the runner stands ``standing_s`` and then runs at ``speed_mps`` without end.
    ``drop_left_deg`` and ``drop_right_deg`` are contralateral drops from initial contact in left and right stance.
    ``tilt_deg`` is the mean while running minus standing. ``contact_asymmetry_ratio`` is (left - right) / mean of the contact times.
    ``fore_aft_ratio`` scales the fore-aft waveform and with it velocity loss and gain.
    ``impact_g`` is the transient the skin and strap pass on after each initial contact, ``wobble_g`` the damped
    oscillation that follows; 0 switches them off.
    """

    speed_mps: float = 3.2
    cadence_spm: float | None = None
    contact_time_s: float | None = None
    drop_left_deg: float | None = None
    drop_right_deg: float | None = None
    pelvis_sway_m: float | None = None
    tilt_deg: float | None = None
    tilt_range_deg: float | None = None
    rotation_range_deg: float | None = None
    contact_asymmetry_ratio: float = 0.0
    fore_aft_ratio: float = 1.0
    standing_tilt_deg: float = 9.0
    standing_obliquity_deg: float = 0.0
    postural_sway_deg: float = 0.15
    first_side: Side = Side.RIGHT
    standing_s: float = 5.0
    phases: tuple[Phase, ...] = ()
    drifts: tuple[Drift, ...] = ()
    variability: Variability = field(default_factory=Variability)
    impact_g: float = 0.5
    impact_delay_s: float = 0.032
    wobble_g: float = 0.12
    wobble_hz: float = 13.0
    wobble_decay_s: float = 0.04
    sensor: SensorModel = field(default_factory=SensorModel)
    duration_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody can run (ValueError)."""
        if not 1.5 <= self.speed_mps <= 7.0:
            raise ValueError(f"speed_mps {self.speed_mps:g} is not between 1.5 and 7")
        if self.first_side is Side.UNKNOWN:
            raise ValueError("first_side must be left or right")
        if any(p.duration_s is None for p in self.plan[:-1]):
            raise ValueError("only the last phase can be endless: give the others a duration_s")
        if any(p.duration_s is not None and p.duration_s < 0 for p in self.plan):
            raise ValueError("a phase cannot have a negative duration_s")
        if any(p.activity is ActivityState.OTHER for p in self.plan):
            raise ValueError("a phase can be standing, walking or running")
        if any(d.end_s <= d.start_s for d in self.drifts):
            raise ValueError("a drift must end after it starts")
        for phase in self.plan:
            if phase.activity is ActivityState.RUNNING:
                speed = self.speed_of(phase)
                step_s = 60.0 / self.cadence_of(phase, speed)
                contact_s = self.contact_time_of(phase, speed)
                if not _MIN_CONTACT_S <= contact_s <= step_s - _MIN_FLIGHT_S:
                    raise ValueError(
                        f"a contact of {contact_s:g} s does not fit a running step of {step_s:.3f} s: "
                        f"choose {_MIN_CONTACT_S:g} to {step_s - _MIN_FLIGHT_S:.3f} s"
                    )

    @property
    def plan(self) -> tuple[Phase, ...]:
        """The phases, with the default filled in."""
        if self.phases:
            return self.phases
        return (Phase(ActivityState.STANDING, self.standing_s), Phase(ActivityState.RUNNING))

    @property
    def end_s(self) -> float:
        """When it is over, in device time; infinity where it never is."""
        if self.duration_s is not None:
            return self.duration_s
        return sum((float("inf") if p.duration_s is None else p.duration_s for p in self.plan), 0.0)

    def speed_of(self, phase: Phase) -> float:
        """Speed of a phase."""
        if phase.activity is ActivityState.STANDING:
            return 0.0
        if phase.speed_mps is not None:
            return phase.speed_mps
        return 1.35 if phase.activity is ActivityState.WALKING else self.speed_mps

    def cadence_of(self, phase: Phase, speed_mps: float) -> float:
        """Cadence of a phase at a speed, before drift and variability."""
        if phase.cadence_spm is not None:
            return phase.cadence_spm
        if phase.activity is ActivityState.WALKING:
            return 110.0
        return shapes.typical_cadence_spm(speed_mps) if self.cadence_spm is None else self.cadence_spm

    def contact_time_of(self, phase: Phase, speed_mps: float) -> float:
        """Contact time of a running phase at a speed, before asymmetry, drift and variability."""
        if phase.contact_time_s is not None:
            return phase.contact_time_s
        return shapes.typical_contact_time_s(speed_mps) if self.contact_time_s is None else self.contact_time_s

    def clean(self) -> Scenario:
        """Give the same runner with a faultless sensor that neither skin nor strap disturbs."""
        return replace(self, impact_g=0.0, wobble_g=0.0, sensor=SensorModel.ideal(self.sensor.rate_hz))


@dataclass(frozen=True, slots=True)
class TrueContact:
    """One running contact as it was; fields are named and defined as in `pelvis.metrics`, NaN where undefined.

    Computed from the clean motion. What spans later contacts is NaN when running ends before.
    """

    initial_contact_s: float
    toe_off_s: float
    side: Side
    contact_time_s: float
    cadence_spm: float
    pelvic_drop_deg: float
    peak_drop_deg: float
    velocity_loss_mps: float
    velocity_gain_mps: float
    flight_time_s: float
    step_time_s: float
    vertical_oscillation_m: float
    sway_m: float
    pelvis_sway_m: float
    obliquity_range_deg: float
    tilt_deg: float
    tilt_range_deg: float
    rotation_range_deg: float
    speed_mps: float


@dataclass(frozen=True, slots=True, eq=False)
class TrueMotion:
    """The clean motion at the samples of a block.

    ``position_m`` (n, 3) of the sensor point and ``centre_m`` (n, 3) of the pelvis centre, world axes;
    attitude (n,) in degrees, signs as in `pelvis.data.Motion`, tilt and obliquity against the horizon;
    ``activity`` (n,) codes into `pelvis.data.ACTIVITY_CODES`.
    """

    position_m: Array
    centre_m: Array
    obliquity_deg: Array
    tilt_deg: Array
    rotation_deg: Array
    activity: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedBlock:
    """What the device measured in a stretch of time, and what was true.

    ``t_s`` (n,) device time; ``acc_mps2``, ``gyr_radps`` (n, 3) in sensor axes, not quantised. ``contacts``
    are those whose initial contact lies in the block.
    """

    t_s: Array
    acc_mps2: Array
    gyr_radps: Array
    rate_hz: float
    contacts: tuple[TrueContact, ...]
    truth: TrueMotion


class SimulatedRunner:
    """Runs a scenario; the same scenario and seed give the same samples whatever the block size."""

    def __init__(self, scenario: Scenario | None = None, seed: int = 1) -> None:
        self.scenario = scenario or Scenario()
        self.seed = seed

    def blocks(self, block_s: float = 1.0) -> Iterator[SimulatedBlock]:
        """Yield blocks of ``block_s`` from the start on; the last one may be shorter. Each call begins anew."""
        rate = self.scenario.sensor.rate_hz
        size = max(1, round(block_s * rate))
        waiting: deque[_Chunk] = deque()
        held = 0
        for chunk in self._chunks():
            waiting.append(chunk)
            held += len(chunk.t_s)
            while held >= size:
                yield _cut(waiting, size, rate)
                held -= size
        if held:
            yield _cut(waiting, held, rate)

    def _chunks(self) -> Iterator[_Chunk]:
        scenario, sensor = self.scenario, self.scenario.sensor
        steps = _StepWindow(scenario, np.random.default_rng([self.seed, 1]))
        noise = np.random.default_rng([self.seed, 2])
        end_s = scenario.end_s
        first = 0
        while True:
            t_s = np.arange(first, first + _CHUNK_SAMPLES) / sensor.rate_hz
            true_s = sensor.true_s(t_s)
            window = steps.cover(float(true_s[0]), float(true_s[-1]) + 1.0 / sensor.rate_hz)
            motion = _move(scenario, window, true_s)
            acc, gyr = _disturb(scenario, window, true_s, *_feel(motion))
            acc, gyr = sensor.measure(t_s, acc, gyr, noise)
            contacts = _contacts(scenario, window)
            keep = int(np.searchsorted(t_s, end_s)) if t_s[-1] >= end_s else _CHUNK_SAMPLES
            last_s = min(end_s, (first + _CHUNK_SAMPLES) / sensor.rate_hz)
            contacts = [c for c in contacts if first / sensor.rate_hz <= c.initial_contact_s and c.toe_off_s < end_s]
            contacts = [c for c in contacts if c.initial_contact_s < last_s]
            if keep:
                truth = TrueMotion(
                    motion.centre_m - _turn(motion, np.array(CENTRE_FROM_SENSOR_M)),
                    motion.centre_m,
                    np.degrees(motion.obliquity_rad[0]),
                    np.degrees(motion.tilt_rad[0]),
                    np.degrees(motion.rotation_rad[0]),
                    window.activity[motion.step],
                )
                yield _Chunk(t_s[:keep], acc[:keep], gyr[:keep], deque(contacts), truth, 0)
            if keep < _CHUNK_SAMPLES:
                return
            first += _CHUNK_SAMPLES


# ---------------------------------------------------------------- blocks from chunks


@dataclass(slots=True)
class _Chunk:
    t_s: Array
    acc_mps2: Array
    gyr_radps: Array
    contacts: deque[TrueContact]
    truth: TrueMotion
    taken: int


def _cut(waiting: deque[_Chunk], size: int, rate_hz: float) -> SimulatedBlock:
    """Take the first ``size`` samples off the waiting chunks."""
    pieces: list[tuple[_Chunk, slice]] = []
    while size:
        chunk = waiting[0]
        part = slice(chunk.taken, min(len(chunk.t_s), chunk.taken + size))
        pieces.append((chunk, part))
        size -= part.stop - part.start
        chunk.taken = part.stop
        if chunk.taken == len(chunk.t_s):
            waiting.popleft()
    end_s = float(pieces[-1][0].t_s[pieces[-1][1].stop - 1]) + 1.0 / rate_hz
    contacts: list[TrueContact] = []
    for chunk, part in pieces:
        rest = part.stop < len(chunk.t_s)
        while chunk.contacts and (not rest or chunk.contacts[0].initial_contact_s < chunk.t_s[part.stop]):
            contacts.append(chunk.contacts.popleft())
    assert all(c.initial_contact_s < end_s for c in contacts)
    return SimulatedBlock(
        np.concatenate([c.t_s[p] for c, p in pieces]),
        np.concatenate([c.acc_mps2[p] for c, p in pieces]),
        np.concatenate([c.gyr_radps[p] for c, p in pieces]),
        rate_hz,
        tuple(contacts),
        TrueMotion(
            np.concatenate([c.truth.position_m[p] for c, p in pieces]),
            np.concatenate([c.truth.centre_m[p] for c, p in pieces]),
            np.concatenate([c.truth.obliquity_deg[p] for c, p in pieces]),
            np.concatenate([c.truth.tilt_deg[p] for c, p in pieces]),
            np.concatenate([c.truth.rotation_deg[p] for c, p in pieces]),
            np.concatenate([c.truth.activity[p] for c, p in pieces]),
        ),
    )


# ---------------------------------------------------------------- steps, one after the other


# Columns of a step's sizes. Each but the last three multiplies one waveform of `_SERIES`.
_SERIES: tuple[tuple[shapes.Waveform, str, float], ...] = (
    (shapes.OBLIQUITY_DEG, "obliquity", np.pi / 180.0),
    (shapes.ROTATION_DEG, "rotation", np.pi / 180.0),
    (shapes.TILT_DEG, "tilt", np.pi / 180.0),
    (shapes.FORWARD_MM, "forward", 1e-3),
    (shapes.LATERAL_MM, "lateral", 1e-3),
    (shapes.VERTICAL_MM, "vertical", 1e-3),
)
_WALKING: tuple[shapes.Waveform, ...] = (
    shapes.WALKING_OBLIQUITY_DEG,
    shapes.WALKING_ROTATION_DEG,
    shapes.WALKING_TILT_DEG,
    shapes.WALKING_FORWARD_MM,
    shapes.WALKING_LATERAL_MM,
    shapes.WALKING_VERTICAL_MM,
)
_N = len(_SERIES)
_TILT_MEAN, _RUNNING, _STANDING = 3 * _N, 3 * _N + 1, 3 * _N + 2
_COLUMNS = 3 * _N + 3
_ORDERS = np.arange(1, 2 * shapes.HARMONICS + 1)


def _series_matrix() -> Array:
    """Coefficients (24, 3 x 18) from [cos, sin] of the orders to the waveforms and their two derivatives by phase."""
    columns = np.zeros((len(_ORDERS), 3 * _N), dtype=np.complex128)
    for k, (waveform, _, unit) in enumerate(_SERIES):
        rows = np.array(waveform.orders) - 1
        columns[rows, k] = np.array(waveform.at_3_5_mps) * unit
        columns[rows, _N + k] = np.array(waveform.per_mps) * unit
        walking = _WALKING[k]
        columns[np.array(walking.orders) - 1, 2 * _N + k] = np.array(walking.at_3_5_mps) * unit
    turn = 1j * np.pi * _ORDERS[:, None]
    every = np.hstack([columns, columns * turn, columns * turn**2])
    return np.ascontiguousarray(np.vstack([every.real, -every.imag]))


_MATRIX = _series_matrix()


class _Step(NamedTuple):
    """A step as planned; times in true seconds. ``number`` counts half strides: even ones are right."""

    number: int
    activity: int
    initial_contact_s: float
    toe_off_s: float
    end_s: float
    speed_mps: float
    start_m: float
    impact_g: float
    impact_delay_s: float
    sizes: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Neighbouring steps as arrays (m,), sizes (m, columns); the first and the last are there for their neighbours."""

    number: NDArray[np.int64]
    activity: NDArray[np.int8]
    initial_contact_s: Array
    toe_off_s: Array
    end_s: Array
    speed_mps: Array
    start_m: Array
    impact_g: Array
    impact_delay_s: Array
    sizes: Array


class _StepWindow:
    """Plans step after step and keeps those that are still needed."""

    def __init__(self, scenario: Scenario, chance: np.random.Generator) -> None:
        self._kept: deque[_Step] = deque()
        self._plan = _plan_steps(scenario, chance)

    def cover(self, start_s: float, end_s: float) -> _Window:
        """Give the steps from two before ``start_s`` to four beyond ``end_s``."""
        kept = self._kept
        while len(kept) < 6 or kept[-5].initial_contact_s <= end_s:
            kept.append(next(self._plan))
        while len(kept) > 3 and kept[2].end_s <= start_s:
            kept.popleft()
        number, activity, ic, to, end, speed, start, impact, delay, sizes = zip(*kept, strict=True)
        return _Window(
            np.array(number), np.array(activity, np.int8), np.array(ic), np.array(to), np.array(end), np.array(speed),
            np.array(start), np.array(impact), np.array(delay), np.array(sizes),
        )  # fmt: skip


def _plan_steps(scenario: Scenario, chance: np.random.Generator) -> Iterator[_Step]:
    """Yield steps without end, from a little before time 0."""
    slow = 1.0 + 1e-6 * scenario.sensor.clock_error_ppm  # the scenario is written in device time
    vary = scenario.variability
    parity = 0 if scenario.first_side is Side.RIGHT else 1
    number = parity - 3
    t_s, position_m, speed_now = -3 * _IDLE_STEP_S, 0.0, 0.0
    running = walking = 0.0
    shape_speed = scenario.speed_mps
    phases = _phase_ends(scenario)
    phase, phase_end_s = next(phases)
    first_moving = True
    while True:
        while t_s / slow >= phase_end_s - 1e-9:
            phase, phase_end_s = next(phases)
        activity = phase.activity
        speed = scenario.speed_of(phase)
        extra = _drifted(scenario, t_s / slow)
        luck = chance.standard_normal(10)
        moving = activity is not ActivityState.STANDING
        if activity is ActivityState.RUNNING:
            # a new speed shows in form and rhythm over a few steps
            shape_speed = speed if not running else shape_speed + float(np.clip(speed - shape_speed, -0.4, 0.4))
            step_s = 60.0 / (scenario.cadence_of(phase, shape_speed) + extra.cadence_spm) + vary.step_time_s * luck[0]
        elif activity is ActivityState.WALKING:
            step_s = 60.0 / scenario.cadence_of(phase, speed) + vary.step_time_s * luck[0]
        else:
            left_s = phase_end_s * slow - t_s
            step_s = left_s if left_s < 1.5 * _IDLE_STEP_S else _IDLE_STEP_S
        if moving and first_moving:
            # the side of the first step is the scenario's, however long the standing took
            number += (number + parity) % 2
            first_moving = False
        running = _towards(running, 1.0 if activity is ActivityState.RUNNING else 0.0)
        walking = _towards(walking, 1.0 if activity is ActivityState.WALKING else 0.0)
        left = number % 2 == 1
        if activity is ActivityState.RUNNING:
            lean = 0.5 * scenario.contact_asymmetry_ratio * (1.0 if left else -1.0)
            contact_s = (scenario.contact_time_of(phase, shape_speed) + extra.contact_time_s) * (1.0 + lean)
            contact_s = max(_MIN_CONTACT_S, min(contact_s + vary.contact_time_s * luck[1], step_s - _MIN_FLIGHT_S))
        else:
            contact_s = _TOE_OFF * step_s
        change = _MAX_RUN_UP_MPS2 * step_s
        next_speed = speed_now + min(max(speed - speed_now, -change), change)
        sizes = _sizes(scenario, extra, shape_speed, running, walking, luck, left=left)
        yield _Step(
            number,
            ACTIVITY_CODES.index(activity),
            t_s,
            t_s + contact_s,
            t_s + step_s,
            speed_now,
            position_m,
            scenario.impact_g * running * max(0.0, 1.0 + vary.impact_ratio * luck[2]),
            scenario.impact_delay_s + vary.impact_delay_s * luck[3],
            sizes,
        )
        position_m += 0.5 * (speed_now + next_speed) * step_s
        speed_now = next_speed
        t_s += step_s
        number += 1


def _phase_ends(scenario: Scenario) -> Iterator[tuple[Phase, float]]:
    end_s = 0.0
    for phase in scenario.plan:
        end_s = float("inf") if phase.duration_s is None else end_s + phase.duration_s
        yield phase, end_s
    yield Phase(ActivityState.STANDING), float("inf")


def _towards(value: float, target: float) -> float:
    change = 1.0 / _RAMP_STEPS
    return target if abs(target - value) <= change else value + (change if target > value else -change)


def _drifted(scenario: Scenario, t_s: float) -> Drift:
    """Sum of what all drifts have brought by a time."""
    total = dict.fromkeys(_DRIFTING, 0.0)
    for drift in scenario.drifts:
        share = drift.share(t_s)
        for name in _DRIFTING:
            total[name] += share * float(getattr(drift, name))
    return Drift(0.0, 1.0, **total)


_DRIFTING = (
    "drop_left_deg", "drop_right_deg", "contact_time_s", "cadence_spm", "pelvis_sway_m", "tilt_deg",
    "rotation_range_deg",
)  # fmt: skip


def _sizes(
    scenario: Scenario,
    extra: Drift,
    speed_mps: float,
    running: float,
    walking: float,
    luck: Array,
    *,
    left: bool,
) -> Array:
    """Sizes (columns,) of all waveforms in one step."""
    vary = scenario.variability
    drop = scenario.drop_left_deg if left else scenario.drop_right_deg
    drop = shapes.typical_drop_deg(speed_mps) if drop is None else drop
    drop += (extra.drop_left_deg if left else extra.drop_right_deg) + vary.drop_deg * float(luck[4])
    rotation = _or_norm(scenario.rotation_range_deg, shapes.typical_rotation_range_deg(speed_mps))
    tilt_range = _or_norm(scenario.tilt_range_deg, shapes.typical_tilt_range_deg(speed_mps))
    sway = _or_norm(scenario.pelvis_sway_m, shapes.typical_pelvis_sway_m(speed_mps))
    chance = 1.0 + vary.size_ratio * luck[5:9]
    ratio = (
        drop / shapes.drop_of_shape_deg(speed_mps),
        (rotation + extra.rotation_range_deg) / shapes.range_of_shape(shapes.ROTATION_DEG, speed_mps) * chance[0],
        tilt_range / shapes.range_of_shape(shapes.TILT_DEG, speed_mps) * chance[1],
        scenario.fore_aft_ratio * chance[2],
        1e3 * (sway + extra.pelvis_sway_m) / shapes.range_of_shape(shapes.LATERAL_MM, speed_mps) * chance[3],
        1.0,
    )
    slowest, fastest = shapes.SHAPE_SPEED_MPS
    faster = min(max(speed_mps, slowest), fastest) - 3.5
    sizes = np.zeros(_COLUMNS)
    sizes[:_N] = ratio
    sizes[:_N] *= running
    sizes[_N : 2 * _N] = faster * sizes[:_N]
    sizes[2 * _N : 3 * _N] = walking
    tilt = _or_norm(scenario.tilt_deg, shapes.typical_tilt_deg(speed_mps)) + extra.tilt_deg
    sizes[_TILT_MEAN] = np.radians(running * (tilt + vary.tilt_deg * luck[9]) + walking * 2.0)
    sizes[_RUNNING] = running
    sizes[_STANDING] = max(0.0, 1.0 - running - walking)
    return sizes


def _or_norm(value: float | None, norm: float) -> float:
    return norm if value is None else value


# ---------------------------------------------------------------- motion, continuous in time


class _Derived(NamedTuple):
    """A quantity (n,) and its first and second derivative by time."""

    value: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """Motion of the pelvis at times (n,): attitude and centre (n, 3) with derivatives, step index (n,)."""

    step: NDArray[np.intp]
    obliquity_rad: _Derived
    rotation_rad: _Derived
    tilt_rad: _Derived
    centre_m: Array
    centre_mps: Array
    centre_mps2: Array


def _move(scenario: Scenario, window: _Window, t_s: Array) -> _Motion:
    """Evaluate the clean motion at true times (n,) that the window covers."""
    step = np.searchsorted(window.initial_contact_s, t_s, side="right") - 1
    sizes = _sizes_at(window, step, t_s)
    phase = _phase_at(window, step, t_s)
    angle = np.pi * phase.value[:, None] * _ORDERS
    waves = np.hstack([np.cos(angle), np.sin(angle)]) @ _MATRIX
    by_phase, by_phase_twice = waves[:, 3 * _N : 6 * _N], waves[:, 6 * _N :]
    value = waves[:, : 3 * _N]
    first = by_phase * phase.first[:, None]
    second = by_phase_twice * (phase.first**2)[:, None] + by_phase * phase.second[:, None]
    scale, scale_1, scale_2 = (s[:, : 3 * _N] for s in sizes)
    series_value = scale * value
    series_first = scale_1 * value + scale * first
    series_second = scale_2 * value + 2.0 * scale_1 * first + scale * second

    def component(k: int) -> _Derived:
        return _Derived(
            series_value[:, k] + series_value[:, _N + k] + series_value[:, 2 * _N + k],
            series_first[:, k] + series_first[:, _N + k] + series_first[:, 2 * _N + k],
            series_second[:, k] + series_second[:, _N + k] + series_second[:, 2 * _N + k],
        )

    def column(k: int) -> _Derived:
        return _Derived(*(s[:, k] for s in sizes))

    standing = column(_STANDING)
    sway_rad = np.radians(scenario.postural_sway_deg)
    obliquity = _plus(component(0), _times(standing, _slow_wave(t_s, 0.5 * sway_rad, 0.23)))
    tilt = _plus(component(2), column(_TILT_MEAN), _times(standing, _slow_wave(t_s, sway_rad, 0.31)))
    obliquity = obliquity._replace(value=obliquity.value + np.radians(scenario.standing_obliquity_deg))
    tilt = tilt._replace(value=tilt.value + np.radians(scenario.standing_tilt_deg))
    forward = _plus(component(3), _travel(window, step, t_s))
    vertical = _plus(component(5), _times(column(_RUNNING), _point_mass(window, step, t_s)))
    lateral = component(4)
    return _Motion(
        step,
        obliquity,
        component(1),
        tilt,
        np.column_stack([forward.value, lateral.value, vertical.value]),
        np.column_stack([forward.first, lateral.first, vertical.first]),
        np.column_stack([forward.second, lateral.second, vertical.second]),
    )


def _plus(*terms: _Derived) -> _Derived:
    return _Derived(sum(t.value for t in terms[1:]) + terms[0].value, sum(t.first for t in terms[1:]) + terms[0].first,
                    sum(t.second for t in terms[1:]) + terms[0].second)  # fmt: skip


def _times(a: _Derived, b: _Derived) -> _Derived:
    return _Derived(
        a.value * b.value,
        a.first * b.value + a.value * b.first,
        a.second * b.value + 2.0 * a.first * b.first + a.value * b.second,
    )


def _slow_wave(t_s: Array, size: float, rate_hz: float) -> _Derived:
    w = 2.0 * np.pi * rate_hz
    return _Derived(size * np.sin(w * t_s), size * w * np.cos(w * t_s), -size * w * w * np.sin(w * t_s))


def _rise(x: Array) -> _Derived:
    """From 0 to 1 over x = 0..1, with two vanishing derivatives at both ends (by x)."""
    return _Derived(
        x**3 * (10.0 - 15.0 * x + 6.0 * x * x),
        30.0 * (x * (1.0 - x)) ** 2,
        60.0 * x * (1.0 - x) * (1.0 - 2.0 * x),
    )


def _sizes_at(window: _Window, step: NDArray[np.intp], t_s: Array) -> tuple[Array, Array, Array]:
    """Sizes (n, columns) and derivatives: constant in stance, going over to the next step's in flight."""
    gap_s = window.end_s[step] - window.toe_off_s[step]
    x = np.clip((t_s - window.toe_off_s[step]) / gap_s, 0.0, 1.0)
    rise = _rise(x)
    now = window.sizes[step]
    change = window.sizes[step + 1] - now
    return (
        now + change * rise.value[:, None],
        change * (rise.first / gap_s)[:, None],
        change * (rise.second / gap_s**2)[:, None],
    )


def _phase_at(window: _Window, step: NDArray[np.intp], t_s: Array) -> _Derived:
    """Stride phase: a quintic from event to event with no curvature at them, its slope there the mean of both sides."""
    stance_s = window.toe_off_s - window.initial_contact_s
    swing_s = window.end_s - window.toe_off_s
    stance_slope, swing_slope = _TOE_OFF / stance_s, (1.0 - _TOE_OFF) / swing_s
    at_toe_off = 0.5 * (stance_slope + swing_slope)
    at_contact = 0.5 * (stance_slope + np.concatenate([swing_slope[:1], swing_slope[:-1]]))
    in_swing = t_s >= window.toe_off_s[step]
    length_s = np.where(in_swing, swing_s[step], stance_s[step])
    x = (t_s - np.where(in_swing, window.toe_off_s[step], window.initial_contact_s[step])) / length_s
    height = np.where(in_swing, 1.0 - _TOE_OFF, _TOE_OFF)
    begin = np.where(in_swing, at_toe_off[step], at_contact[step]) * length_s
    end = np.where(in_swing, at_contact[step + 1], at_toe_off[step]) * length_s
    c3 = 10.0 * height - 6.0 * begin - 4.0 * end
    c4 = -15.0 * height + 8.0 * begin + 7.0 * end
    c5 = 6.0 * height - 3.0 * begin - 3.0 * end
    # whole strides are taken off: phase stays small and exact however long the run
    base = (window.number[step] % 2) + np.where(in_swing, _TOE_OFF, 0.0)
    return _Derived(
        base + x * (begin + x * x * (c3 + x * (c4 + x * c5))),
        (begin + x * x * (3.0 * c3 + x * (4.0 * c4 + x * 5.0 * c5))) / length_s,
        x * (6.0 * c3 + x * (12.0 * c4 + x * 20.0 * c5)) / length_s**2,
    )


def _travel(window: _Window, step: NDArray[np.intp], t_s: Array) -> _Derived:
    """Forward position of steady running: speed goes over from step to step without a corner."""
    length_s = (window.end_s - window.initial_contact_s)[step]
    x = (t_s - window.initial_contact_s[step]) / length_s
    speed = window.speed_mps[step]
    change = window.speed_mps[step + 1] - speed
    rise = _rise(x)
    covered = x**4 * (2.5 - 3.0 * x + x * x)
    return _Derived(
        window.start_m[step] + length_s * (speed * x + change * covered),
        speed + change * rise.value,
        change * rise.first / length_s,
    )


def _point_mass(window: _Window, step: NDArray[np.intp], t_s: Array) -> _Derived:
    """Height of a point mass that is at 0 at every initial contact and toe-off and falls freely between contacts."""
    contact_s = window.toe_off_s - window.initial_contact_s
    flight_s = window.end_s - window.toe_off_s
    leaving = 0.5 * _G * flight_s
    landing = -np.concatenate([leaving[:1], leaving[:-1]])
    mean_force = 0.5 * np.pi * ((leaving - landing) / contact_s + _G)
    skew_force = 2.0 * np.pi * (0.5 * _G - landing / contact_s) - 2.0 * mean_force
    in_flight = t_s >= window.toe_off_s[step]
    tau = t_s - np.where(in_flight, window.toe_off_s[step], window.initial_contact_s[step])
    speed = np.where(in_flight, leaving[step], landing[step])
    a = np.where(in_flight, 0.0, mean_force[step])
    b = np.where(in_flight, 0.0, skew_force[step])
    once = contact_s[step] / np.pi
    angle = tau / once
    sin_1, cos_1 = np.sin(angle), np.cos(angle)
    sin_2, cos_2 = 2.0 * sin_1 * cos_1, 2.0 * cos_1 * cos_1 - 1.0
    return _Derived(
        tau * (speed - 0.5 * _G * tau) + a * once * (tau - once * sin_1) + 0.5 * b * once * (tau - 0.5 * once * sin_2),
        speed - _G * tau + a * once * (1.0 - cos_1) + 0.5 * b * once * (1.0 - cos_2),
        a * sin_1 + b * sin_2 - _G,
    )


# ---------------------------------------------------------------- what a point of a turning body feels


def _angles(motion: _Motion) -> tuple[Array, Array, Array, Array, Array, Array]:
    yaw, roll, pitch = motion.rotation_rad.value, -motion.obliquity_rad.value, motion.tilt_rad.value
    return np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)


def _rows(motion: _Motion) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Elements of R = Rz(rotation) Rx(-obliquity) Ry(tilt), pelvis axes to world."""
    cy, sy, cr, sr, cp, sp = _angles(motion)
    return (
        (cy * cp - sy * sr * sp, -sy * cr, cy * sp + sy * sr * cp),
        (sy * cp + cy * sr * sp, cy * cr, sy * sp - cy * sr * cp),
        (-cr * sp, sr, cr * cp),
    )


def _turn(motion: _Motion, vector: Array) -> Array:
    """Rotate a vector (3,) or vectors (n, 3) from pelvis axes to world axes."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    return np.column_stack([r[0] * x + r[1] * y + r[2] * z for r in _rows(motion)])


def _turn_back(motion: _Motion, vectors: Array) -> Array:
    rows = _rows(motion)
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    return np.column_stack([rows[0][k] * x + rows[1][k] * y + rows[2][k] * z for k in range(3)])


def _rates(motion: _Motion) -> tuple[Array, Array]:
    """Angular rate and angular acceleration (n, 3) in pelvis axes."""
    _, _, cr, sr, cp, sp = _angles(motion)
    roll_1, roll_2 = -motion.obliquity_rad.first, -motion.obliquity_rad.second
    yaw_1, yaw_2 = motion.rotation_rad.first, motion.rotation_rad.second
    pitch_1, pitch_2 = motion.tilt_rad.first, motion.tilt_rad.second
    across, along = yaw_1 * sr, yaw_1 * cr
    across_1 = yaw_2 * sr + yaw_1 * roll_1 * cr
    along_1 = yaw_2 * cr - yaw_1 * roll_1 * sr
    x, z = cp * roll_1 - sp * along, sp * roll_1 + cp * along
    rate = np.column_stack([x, across + pitch_1, z])
    change = np.column_stack(
        [cp * roll_2 - sp * along_1 - pitch_1 * z, across_1 + pitch_2, sp * roll_2 + cp * along_1 + pitch_1 * x]
    )
    return rate, change


def _feel(motion: _Motion) -> tuple[Array, Array]:
    """Specific force and angular rate (n, 3) at the sensor point, pelvis axes."""
    rate, change = _rates(motion)
    lever = np.array(CENTRE_FROM_SENSOR_M)
    force = _turn_back(motion, motion.centre_mps2 + np.array([0.0, 0.0, _G]))
    return force - _cross(change, lever) - _cross(rate, _cross(rate, lever)), rate


def _cross(a: Array, b: Array) -> Array:
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    ax, ay, az = a[:, 0], a[:, 1], a[:, 2]
    return np.column_stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


# Directions of impact and wobble in pelvis axes; at the sacrum the transient points up and back.
_IMPACT_AXES = np.array([-0.6, 0.0, 1.0])
_WOBBLE_AXES = np.array([0.5, 0.35, 1.0])
_IMPACT_HZ = 16.0  # real sacral transients pass their peak in 30-40 ms
_WOBBLE_ARM_M = 0.10  # how far above the device's centre it seems to swing from


def _disturb(scenario: Scenario, window: _Window, t_s: Array, acc: Array, gyr: Array) -> tuple[Array, Array]:
    """Add what skin and strap do after this initial contact and the one before."""
    if not scenario.impact_g and not scenario.wobble_g:
        return acc, gyr
    current = np.searchsorted(window.initial_contact_s, t_s, side="right") - 1
    impact, wobble, swing = np.zeros_like(t_s), np.zeros_like(t_s), np.zeros_like(t_s)
    wobble_radps = 2.0 * np.pi * scenario.wobble_hz
    for step in (current, np.maximum(current - 1, 0)):
        after_s = t_s - window.initial_contact_s[step]
        # a Ricker pulse moves nothing for good: its first two integrals vanish
        power = (np.pi * _IMPACT_HZ * (after_s - window.impact_delay_s[step])) ** 2
        impact += window.impact_g[step] * (1.0 - 2.0 * power) * np.exp(-power)
        fade = window.sizes[step, _RUNNING] * scenario.wobble_g * np.exp(-after_s / scenario.wobble_decay_s)
        wobble += fade * np.sin(wobble_radps * after_s)
        swing += fade * (1.0 - np.cos(wobble_radps * after_s))
    acc = acc + _G * (impact[:, None] * _IMPACT_AXES + wobble[:, None] * _WOBBLE_AXES)
    gyr = gyr.copy()
    gyr[:, 1] += swing * _G / (_WOBBLE_ARM_M * wobble_radps)
    return acc, gyr


# ---------------------------------------------------------------- truth per contact

_STANCE_POINTS, _FLIGHT_POINTS = 65, 33


def _contacts(scenario: Scenario, window: _Window) -> list[TrueContact]:
    """Measure the running contacts of a window that has two more steps after them, from the clean motion."""
    running = ACTIVITY_CODES.index(ActivityState.RUNNING)
    full = window.sizes[:, _RUNNING] > 0.5
    is_contact = (window.activity == running) & full
    first, last = 1, len(window.number) - 3
    ic, to, end = (x[first : last + 2] for x in (window.initial_contact_s, window.toe_off_s, window.end_s))
    stance = np.linspace(0.0, 1.0, _STANCE_POINTS)
    flight = np.linspace(0.0, 1.0, _FLIGHT_POINTS)[1:]
    grid = np.hstack([ic[:, None] + (to - ic)[:, None] * stance, to[:, None] + (end - to)[:, None] * flight])
    points = grid.shape[1]
    # an end of a step is the next one's beginning: keep it on this side
    motion = _move(scenario, window, np.minimum(grid, np.nextafter(end, 0.0)[:, None]).ravel())
    lever = np.array(CENTRE_FROM_SENSOR_M)
    sensor_m = motion.centre_m - _turn(motion, lever)
    velocity = motion.centre_mps - _turn(motion, _cross(_rates(motion)[0], lever))

    def per_step(values: Array) -> Array:
        return values.reshape(-1, points)

    view = _TruthView(
        grid,
        per_step(velocity[:, 0]),
        per_step(sensor_m[:, 2]),
        per_step(sensor_m[:, 1]),
        per_step(motion.centre_m[:, 1]),
        np.degrees(per_step(motion.obliquity_rad.value)),
        np.degrees(per_step(motion.tilt_rad.value)),
        np.degrees(per_step(motion.rotation_rad.value)),
    )
    slow = 1.0 + 1e-6 * scenario.sensor.clock_error_ppm
    found: list[TrueContact] = []
    for row, k in enumerate(range(first, last + 1)):
        if is_contact[k]:
            found.append(_contact(scenario, window, view, row, k, is_contact, slow))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _TruthView:
    """Clean motion on a dense grid of every step: (steps, points), from initial contact to the next."""

    t_s: Array
    forward_mps: Array
    height_m: Array
    lateral_m: Array
    centre_lateral_m: Array
    obliquity_deg: Array
    tilt_deg: Array
    rotation_deg: Array


def _contact(
    scenario: Scenario, window: _Window, view: _TruthView, row: int, k: int, is_contact: NDArray[np.bool_], slow: float
) -> TrueContact:
    nan = float("nan")
    side = Side.LEFT if window.number[k] % 2 else Side.RIGHT
    ic, to, end = (float(x[k]) / slow for x in (window.initial_contact_s, window.toe_off_s, window.end_s))
    before = float(window.initial_contact_s[k - 1]) / slow
    stance = slice(0, _STANCE_POINTS)
    # obliquity with the sign that makes a fall of the swing side positive
    falling = view.obliquity_deg[row, stance] * (1.0 if side is Side.RIGHT else -1.0)
    standing = scenario.standing_obliquity_deg * (1.0 if side is Side.RIGHT else -1.0)
    forward = view.forward_mps[row, stance]
    step_known = bool(is_contact[k + 1])
    stride_known = step_known and bool(is_contact[k + 2])
    stride = slice(row, row + 2)
    times, tilt = view.t_s[stride].ravel(), view.tilt_deg[stride].ravel()
    mean_tilt = float(np.sum(0.5 * (tilt[1:] + tilt[:-1]) * np.diff(times)) / (times[-1] - times[0]))

    def over_stride(values: Array) -> float:
        return float(np.ptp(values[stride])) if stride_known else nan

    return TrueContact(
        initial_contact_s=ic,
        toe_off_s=to,
        side=side,
        contact_time_s=to - ic,
        cadence_spm=60.0 / (ic - before) if is_contact[k - 1] else nan,
        pelvic_drop_deg=float(np.max(falling) - falling[0]),
        peak_drop_deg=float(np.max(falling)) - standing,
        velocity_loss_mps=float(forward[0] - np.min(forward)),
        velocity_gain_mps=float(forward[-1] - np.min(forward)),
        flight_time_s=end - to if step_known else nan,
        step_time_s=end - ic if step_known else nan,
        vertical_oscillation_m=float(np.ptp(view.height_m[row])) if step_known else nan,
        sway_m=over_stride(view.lateral_m),
        pelvis_sway_m=over_stride(view.centre_lateral_m),
        obliquity_range_deg=over_stride(view.obliquity_deg),
        tilt_deg=mean_tilt - scenario.standing_tilt_deg if stride_known else nan,
        tilt_range_deg=over_stride(view.tilt_deg),
        rotation_range_deg=over_stride(view.rotation_deg),
        speed_mps=float(window.speed_mps[k]),
    )


def contacts_of(blocks: Iterator[SimulatedBlock], limit: int | None = None) -> list[TrueContact]:
    """Collect the contacts of blocks, at most ``limit`` of them."""
    return list(islice((c for b in blocks for c in b.contacts), limit))
