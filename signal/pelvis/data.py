"""Everything that flows into the core and out of it: one frozen record per thing said.

Frames: sensor frame = the axes of the device as it is clipped on; pelvis frame =
x forward, y left, z up. Times named ``t_s`` are session time: seconds of the sensor's
own uniform time base. At rest an accelerometer reads +1 g upward (specific force).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

FORWARD, LEFT, UP = 0, 1, 2

STANDARD_GRAVITY_MPS2 = 9.80665


class Side(StrEnum):
    """The foot in contact."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"

    @property
    def other(self) -> Side:
        if self is Side.UNKNOWN:
            return self
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


class ActivityState(StrEnum):
    """What the runner is doing, as far as the gate can tell."""

    OTHER = "other"
    STANDING = "standing"
    WALKING = "walking"
    RUNNING = "running"


# ---------------------------------------------------------------- into the core


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A run of samples of one sensor, in time order.

    ``t_s`` (n,) strictly rising session time; ``acc_mps2`` (n, 3) specific force and
    ``gyr_radps`` (n, 3) angular rate in the sensor frame; ``rate_hz`` the sensor's
    nominal rate. A hole in ``t_s`` is a loss: the core sees it by itself.
    ``clipped`` says that a sample of this run reached the end of its range.
    """

    t_s: Array
    acc_mps2: Array
    gyr_radps: Array
    rate_hz: float
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """The stream is known to be broken between two session times."""

    t_s: float
    duration_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Speed:
    """Running speed from a source that measures it (treadmill entry, foot pod, GPS).

    It counts from ``t_s`` on: an entry of "treadmill" until it is changed (0 takes it back), any other for 5 s.
    """

    t_s: float
    speed_mps: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class HeartRate:
    """One heart-rate notification; ``rr_s`` holds the beat intervals it carried."""

    t_s: float
    heart_rate_bpm: float
    rr_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Marker:
    """A note of the runner or coach: a lap, a remark."""

    t_s: float
    text: str
    kind: str = "note"


@dataclass(frozen=True, slots=True)
class Command:
    """An order of runner or coach: mute, unmute, focus, say, swap_sides to the core, metronome to the host's ear."""

    t_s: float
    name: str
    value: str = ""


CoreInput: TypeAlias = Samples | Gap | Speed | HeartRate | Marker | Command


# ---------------------------------------------------------------- out of the core


@dataclass(frozen=True, slots=True)
class ProvisionalContact:
    """A foot has just touched down, said before the step can be measured.

    A `Step` with the same ``contact_id`` confirms it, a `ContactWithdrawn` takes it back.
    """

    contact_id: int
    initial_contact_s: float
    side: Side
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class ContactWithdrawn:
    """The provisional contact was none."""

    contact_id: int
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One ground contact, measured; what needs later contacts follows in a `Stride`.

    ``contact_id`` is that of the provisional contact it confirms, None where none was said.
    ``metrics`` holds the values of every metric of group "step" in `pelvis.metrics.METRICS`,
    NaN where unknown. ``errors`` holds their standard errors by the same names, ``common_errors`` what of these
    averaging does not remove; ``initial_contact_se_s`` and ``toe_off_se_s`` are those of the two times.
    ``reported_at_s`` is the time of the last sample that had a say.
    ``quality`` is 0 (do not use) to 1; ``flags`` names what lowered it, and `pelvis.quality.SAID_LATE`.
    ``speed_source`` says where the speed comes from: the source's name, "model" (the runner's own), "estimate"
    (anybody's), empty where it is unknown. ``contact_time_reference`` names what the runner's contact time was
    calibrated to, empty where it was not, and ``contact_time_offset_s`` is what that added to it.
    """

    step_index: int
    stride_index: int
    contact_id: int | None
    initial_contact_s: float
    toe_off_s: float
    side: Side
    side_confidence: float
    metrics: Mapping[str, float]
    errors: Mapping[str, float]
    common_errors: Mapping[str, float]
    initial_contact_se_s: float
    toe_off_se_s: float
    quality: float
    flags: tuple[str, ...]
    reported_at_s: float
    speed_source: str = ""
    contact_time_reference: str = ""
    contact_time_offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about the making of one step.

    ``strangeness`` of `pelvis.contacts.Events`; ``run_steps`` since the run began; ``period_ratio`` step time
    against the usual one; shares of ``filled`` and ``clipped`` samples in the last two steps, and of filled ones in
    this stance (``filled_stance``), in the stance before (``filled_before``) and in the last seconds, which the
    attitude remembers (``filled_lately``); ``axis_confidence`` of forward against backward; ``disagrees``: the sensor
    seems to have moved on the belt, and its new place is not known yet; ``yaw_radps``: how fast the runner turns, 0 on
    the straight; ``from_standing``: the level is known from standing.
    """

    strangeness: float
    run_steps: int
    period_ratio: float
    filled_ratio: float
    filled_stance: float
    filled_before: float
    filled_lately: float
    clipped_ratio: float
    axis_confidence: float
    disagrees: bool
    yaw_radps: float
    has_gyroscope: bool
    from_standing: bool


@dataclass(frozen=True, slots=True)
class StepInputs:
    """What a step was made of, said after it where `Settings.inputs` asks for it: what models are fitted on.

    An event is its origin + ``period_s`` x (bias + weights . ``features``), see `pelvis.models`; ``terms`` are the
    squares of `pelvis.uncertainty.TERMS`.
    """

    step_index: int
    contact_origin_s: float
    toe_off_origin_s: float
    period_s: float
    features: tuple[float, ...]
    evidence: Evidence
    terms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StrideInputs:
    """What the standard errors of a stride rest on, said after it where `Settings.inputs` asks for it.

    ``terms`` are the squares of `pelvis.uncertainty.TERMS`.
    """

    step_index: int
    terms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stride:
    """What became known about a step when its stride was complete.

    ``metrics`` holds the values of group "stride", ``errors`` and ``common_errors`` as in `Step`.
    ``completed_at_s`` is the time of the last sample that had a say.
    """

    step_index: int
    stride_index: int
    initial_contact_s: float
    side: Side
    metrics: Mapping[str, float]
    errors: Mapping[str, float]
    common_errors: Mapping[str, float]
    completed_at_s: float


@dataclass(frozen=True, slots=True)
class Activity:
    """The runner changed to this state at ``t_s``, which for running lies some seconds before it was decided."""

    t_s: float
    state: ActivityState
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the listener must know about the measurement itself.

    ``kind`` is a stable word: levelled, level_from_running, heading_found, no_gyroscope, clipped, each said once;
    sensor_slipped, said once per slip: the sensor has moved on the belt, its place is learned anew; cue_given_up, said
    once per fault: nothing more is said about it. The host adds
    sensor_unfit: the sensor cannot measure running, and is used all the same.
    ``text`` says it in a sentence.
    """

    t_s: float
    kind: str
    text: str
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class Cue:
    """Something worth saying to the runner, and why.

    ``kind`` says what is to be done: phrase (speak), debrief (speak, of the repetition that has just ended), chime,
    metronome (``target_spm`` for ``seconds``). ``phrase`` is the id of its words, which the core does
    not know; ``parameters`` are what the words or the sound need beside it. ``side`` is the stance side it concerns
    (for panning). ``why`` carries metric, value, baseline, z and seconds. Stale after ``expires_s``.
    """

    cue_id: int
    rule: str
    kind: str
    phrase: str
    side: Side
    priority: int
    decided_at_s: float
    expires_s: float
    why: Mapping[str, float | str] = field(default_factory=dict[str, float | str])
    parameters: Mapping[str, float | str] = field(default_factory=dict[str, float | str])


@dataclass(frozen=True, slots=True)
class CueOutcome:
    """What had become of a fault a minute after it was told, or later where nothing was measured then.

    ``value_before`` and ``value_after`` are of ``metric``, z as in the cue's ``why``; NaN where it could not be judged
    any more. ``corrected`` says that the fault had gone.
    """

    cue_id: int
    rule: str
    metric: str
    value_before: float
    value_after: float
    z_before: float
    z_after: float
    corrected: bool
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class Retention:
    """How form held in the silent part of a block: the share of ``counted_s`` without any fault."""

    block: int
    held_ratio: float
    counted_s: float
    decided_at_s: float


@dataclass(frozen=True, slots=True)
class RunBaseline:
    """What a metric was in this run while nothing was wrong, said at the run's end: for the runner's profile.

    ``median`` and spread (``sd``) of single steps of one ``side`` (unknown: both together) at ``speed_mps`` (None:
    without a source of speed), without any calibration of contact time; NaN where there were none. ``steps`` made
    them, ``left_out_steps`` were left out because of a fault. The coach compared with ``baseline_source``: profile, of
    ``baseline_runs`` runs, learning (this run), or nothing yet.
    """

    metric: str
    side: Side
    speed_mps: float | None
    median: float
    sd: float
    steps: int
    left_out_steps: int = 0
    baseline_source: str = ""
    baseline_runs: int = 0
    decided_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What is usual for a metric in this runner: mean and spread of single steps.

    Of one stance ``side`` or of both (unknown); of ``runs`` earlier runs, 0 where it was learned in this one.
    """

    metric: str
    side: Side
    mean: float
    sd: float
    runs: int


@dataclass(frozen=True, slots=True)
class References:
    """What the coach compares with from now on: all of it, each time something of it changes.

    At ``speed_mps``, None where no source of speed is there.
    """

    references: tuple[Reference, ...]
    speed_mps: float | None
    decided_at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Continuous pelvis motion on the core's 200 Hz grid, from ``t_s[0]`` on.

    ``t_s`` (n,); ``acc_g`` (n, 3) specific force in the pelvis frame; ``obliquity_deg``
    (right side up > 0), ``tilt_deg`` (anterior > 0), ``rotation_deg`` (right side forward
    > 0) (n,), NaN until known; ``activity`` (n,) codes into `ACTIVITY_CODES`.
    """

    t_s: Array
    acc_g: Array
    obliquity_deg: Array
    tilt_deg: Array
    rotation_deg: Array
    activity: NDArray[np.int8]


ACTIVITY_CODES: tuple[ActivityState, ...] = (
    ActivityState.OTHER,
    ActivityState.STANDING,
    ActivityState.WALKING,
    ActivityState.RUNNING,
)

CoreOutput: TypeAlias = (
    ProvisionalContact
    | ContactWithdrawn
    | Step
    | StepInputs
    | Stride
    | StrideInputs
    | Activity
    | Notice
    | Cue
    | CueOutcome
    | Retention
    | RunBaseline
    | References
    | Motion
)
