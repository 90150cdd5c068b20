"""The topic tree and every message on it, declared once: docs/mqtt.md and docs/asyncapi.json derive from here.

1. A topic is ``<root>/v1/<runner>/<level>``. The version stands in the path and as ``v`` in every JSON payload. It is
   raised when a field goes or changes its meaning; new fields do not raise it, so readers ignore what they do not know.
2. ``n`` counts the messages of a topic from 0. It is given before anything can be dropped: a hole in ``n`` is a loss.
3. Step and stride carry nothing of the run that measured them (no wall clock, no mode, no session): a replay publishes
   the very bytes that the live run published.
4. Unknown numbers are null. Units stand in the names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from math import nan
from numbers import Integral
from typing import Annotated, Final, Literal, TypeAlias, cast, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from pelvis.align import GRID_PERIOD_S
from pelvis.data import (
    Activity,
    ActivityState,
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
    Speed,
    Step,
    Stride,
)
from pelvis.metrics import METRICS, STEP_METRICS, STRIDE_METRICS, Metric
from sensor_host import __version__
from sensor_host.errors import DecodeError
from sensor_host.phrases import words_for, words_of
from sensor_host.ports import LinkHealth, Mode, Said, SensorInfo, SessionInfo, SessionState, SinkState
from sensor_host.schemas import MQTT_SCHEMA

# ---------------------------------------------------------------- what only MQTT says


@dataclass(frozen=True, slots=True)
class RecentFigures:
    """Means over the last ``window_s`` of session time, said once a second."""

    t_s: float
    window_s: float
    activity: ActivityState
    steps: int
    quality: float
    metrics: Mapping[str, float]
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """Counts and means over the session so far."""

    t_s: float
    duration_s: float
    steps: int
    good_steps: int
    left_steps: int
    right_steps: int
    cues: int
    quality: float
    contact_time_balance_ratio: float
    contact_time_balance_se_ratio: float
    metrics: Mapping[str, float]
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command; a long answer comes in ``parts`` messages."""

    id: str
    name: str
    ok: bool
    error: str = ""
    part: int = 1
    parts: int = 1
    steps: tuple[bytes, ...] = ()
    strides: tuple[bytes, ...] = ()


Published: TypeAlias = Said | RecentFigures | SessionFigures | Answer

# ---------------------------------------------------------------- what a field means

NOTES: Final[Mapping[str, str]] = {
    "v": "Version of this schema; the same number stands in the topic.",
    "n": "Counts the messages of this topic from 0; a hole is a loss.",
    "event": "Which of the topic's messages this is.",
    "t_s": "Session time: seconds of the sensor's own time base.",
    "step_index": "Counts the steps of the session; joins `step` and `stride`.",
    "stride_index": "Counts the strides of the session.",
    "contact_id": "Joins `contact` and `step`; null where no contact was said before the step.",
    "initial_contact_s": "Session time of initial contact.",
    "toe_off_s": "Session time of toe-off of the same foot.",
    "initial_contact_se_s": "Standard error of initial contact.",
    "toe_off_se_s": "Standard error of toe-off.",
    "side": "The foot in contact.",
    "side_confidence": "How sure the side is.",
    "quality": "0 (do not use) to 1.",
    "flags": "What lowered the quality; said_late: said when it was clear that the runner runs, with all steps before.",
    "speed_source": "Where speed comes from: a source's name, model (the runner's), estimate (about 14 %), or empty.",
    "contact_time_offset_s": "What the runner's calibration added to contact time.",
    "contact_time_reference": "What the runner's contact time is calibrated to; empty: not calibrated.",
    "reported_at_s": "Session time of the last sample that had a say in this message.",
    "completed_at_s": "Session time of the last sample that had a say in this message.",
    "decided_at_s": "Session time of the last sample that had a say in this message.",
    "cue_id": "Counts the coach's cues of the session from 1, those of the guide down from -1.",
    "rule": "Name of the rule that spoke.",
    "kind": "A stable word for what this is.",
    "phrase": "Id of what to say or show; its words differ from language to language.",
    "parameters": "What the words or the sound need beside the phrase.",
    "words": "The phrase in the configured language.",
    "priority": "0 to 9.",
    "expires_s": "Seconds after it was decided until the cue is stale: drop it then, never say it late.",
    "why": "Metric, value, baseline, z and seconds behind the cue.",
    "metric": "Name of the metric.",
    "value_before": "The metric when the cue was said.",
    "value_after": "The metric a minute later.",
    "z_before": "Its change against the baseline when the cue was said, in standard deviations.",
    "z_after": "The same a minute later.",
    "corrected": "Whether the fault had gone a minute later.",
    "block": "Counts the blocks of the run from 0.",
    "held_ratio": "Share of the counted time without any fault.",
    "counted_s": "Seconds of running that counted.",
    "median": "Median of the metric over single steps of this run.",
    "sd": "Spread of the same; a standard deviation.",
    "references": "What is usual, by metric: mean and sd of single steps, and of how many runs (0: of this one).",
    "left_out_steps": "Steps that were left out because of a fault.",
    "baseline_source": "What the coach compared with: profile, learning (this run), or empty: nothing yet.",
    "baseline_runs": "Of how many runs of the profile that was made.",
    "mode": "Where the session's data come from.",
    "state": "How it stands now.",
    "text": "The same in a sentence.",
    "detail": "More about the state, for people.",
    "duration_s": "Length in seconds.",
    "reason": "Why the stream is broken.",
    "speed_mps": "Running speed.",
    "source": "Who measured it.",
    "heart_rate_bpm": "Heart rate.",
    "rr_s": "Beat intervals the notification carried.",
    "role": "What the sensor is for.",
    "notifications": "Radio notifications since the start.",
    "samples": "Samples since the start.",
    "lost_samples": "Samples that are missing; an estimate where `loss_known_by` is arrival.",
    "loss_known_by": "What loss is known by: counter (exact), device clock, arrival (estimated); null: nothing tells.",
    "restarts": "How often the stream began anew.",
    "reboots": "How often the device itself began anew: its clock did.",
    "warning": "What is wrong and can be helped, in a sentence; else empty.",
    "duplicates": "Samples that came twice.",
    "bad_notifications": "Notifications that made no sense.",
    "drift_ppm": "The sensor's clock against the host's.",
    "rssi_dbm": "Signal strength.",
    "battery_ratio": "Battery charge, 0 to 1.",
    "contact_age_p50_s": "Median of how old contacts were when the notification that told of them was received.",
    "contact_age_p95_s": "The same, its 95th percentile.",
    "firmware": "Version of the sensor's firmware, as it says; empty where it does not.",
    "model": "The sensor's model, as it says; empty where it does not.",
    "sink": "Which of the host's sinks.",
    "dropped": "Items its outbox let go since the start.",
    "window_s": "Length of session time behind the means.",
    "steps": "Number of steps.",
    "good_steps": "Steps whose quality lets them into the means.",
    "left_steps": "Steps of the left foot.",
    "right_steps": "Steps of the right foot.",
    "cues": "Number of cues said.",
    "contact_time_balance_ratio": "The left foot's share of contact time; null before 123 steps of each foot.",
    "contact_time_balance_se_ratio": "Standard error of the balance.",
    "activity": "What the runner is doing.",
    "muted": "Whether the runner wants to hear nothing; `state` is said anew when that changes.",
    "session_id": "Identifies the session and its recording.",
    "runner": "Who runs; the same as in the topic.",
    "start_utc": "When the session began, ISO 8601.",
    "utc_offset_s": "Local time minus UTC at the start.",
    "replay_of": "Id of the session that is replayed, else empty.",
    "sensors": "The sensors of the session.",
    "host_version": "Version of hipdrive.",
    "id": "Chosen by whoever commands; comes back in the answer.",
    "name": "The command.",
    "value": "For `focus`: what to attend to. For `say`: the id of a phrase. For `speed`: who measured it (empty: "
    "the treadmill).",
    "rate_spm": "For `metronome`: beats a minute in the host's ear; 0 ends it.",
    "lease_s": "For `samples`: for how long; 0 ends it. Ask again before it runs out.",
    "ok": "Whether the command was carried out.",
    "error": "Why not.",
    "part": "Number of this message of the answer, from 1.",
    "parts": "How many messages the answer has.",
}

# ---------------------------------------------------------------- payloads, derived

_Field: TypeAlias = tuple[str, object]

# Unknown where the input ends in mid-stance, and in means over no steps.
_NULLABLE: Final = frozenset(
    {
        "toe_off_s",
        "toe_off_se_s",
        "quality",
        "contact_time_balance_ratio",
        "contact_time_balance_se_ratio",
        "value_after",
        "z_after",
    }
)
# what is written metric by metric, under names of its own, or not at all
_BY_METRIC: Final = frozenset({"metrics", "errors", "common_errors"})
# four digits: a standard error is not known any better
_ERROR_DIGITS: Final = ".4g"


def _field(name: str, kind: object) -> _Field:
    if get_origin(kind) is Mapping:
        kind = dict[str, float | str]
    if name in _NULLABLE:
        kind = float | None
    return name, Annotated[kind, Meta(description=NOTES[name])]


def _metric_field(metric: Metric) -> _Field:
    unit = metric.unit or "a ratio"
    return metric.name, Annotated[float | None, Meta(description=f"{metric.definition} In {unit}.")]


def _error_field(metric: Metric, *, mean: bool) -> _Field:
    text = f"Standard error of `{metric.name}`."
    if mean:
        text = f"Standard error of the mean of `{metric.name}`, which needs {metric.steps_needed} steps."
    return metric.error_name, Annotated[float | None, Meta(description=text)]


def _struct(name: str, note: str, first: Sequence[_Field]) -> type[Struct]:
    counted = (_field("v", Literal[1]), ("n", Annotated[int, Meta(ge=0, description=NOTES["n"])]))
    made = msgspec.defstruct(name, [*counted, *first], frozen=True, kw_only=True)
    made.__doc__ = note
    return made


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of item is written: on which topic level, and what its payload takes from where.

    ``event`` tells the forms of a topic apart that has more than one. ``own`` are the item's own fields, ``metrics``
    the names taken out of its ``metrics`` and the names under which their ``errors`` go, ``session`` the fields of
    the session and what is configured.
    """

    level: str
    payload: type[Struct]
    own: tuple[str, ...]
    metrics: tuple[tuple[str, str], ...] = ()
    session: tuple[str, ...] = ()
    event: str = ""


FORMS: Final[dict[type, Form]] = {}
"""How each kind of item is written, by its type."""


def _form(
    item: type,
    level: str,
    name: str,
    *,
    metrics: Sequence[Metric] = (),
    session: Mapping[str, object] | None = None,
    event: str = "",
) -> type[Struct]:
    """Derive a payload from what is said, and remember how to fill it."""
    hints = get_type_hints(item)
    own = tuple(field.name for field in fields(item) if field.name not in _BY_METRIC)
    session = session or {}
    payload = _struct(
        name,
        (item.__doc__ or "").partition("\n")[0],
        [
            *([_field("event", Literal[event])] if event else []),
            *(_field(field, hints[field]) for field in own),
            *(_field(field, kind) for field, kind in session.items()),
            *(_metric_field(metric) for metric in metrics),
            *(_error_field(metric, mean=item in (RecentFigures, SessionFigures)) for metric in metrics),
        ],
    )
    names = tuple((metric.name, metric.error_name) for metric in metrics)
    FORMS[item] = Form(level, payload, own, names, tuple(session), event)
    return payload


ContactPayload = _form(ProvisionalContact, "contact", "ContactPayload", event="provisional")
ContactWithdrawnPayload = _form(ContactWithdrawn, "contact", "ContactWithdrawnPayload", event="withdrawn")
StepPayload = _form(Step, "step", "StepPayload", metrics=STEP_METRICS)
StridePayload = _form(Stride, "stride", "StridePayload", metrics=STRIDE_METRICS)
RecentPayload = _form(RecentFigures, "metrics", "MetricsPayload", metrics=tuple(METRICS.values()))
SummaryPayload = _form(SessionFigures, "summary", "SummaryPayload", metrics=tuple(METRICS.values()))
CuePayload = _form(Cue, "cue", "CuePayload", session={"mode": Mode, "words": str})
CueOutcomePayload = _form(CueOutcome, "cue-outcome", "CueOutcomePayload")
RetentionPayload = _form(Retention, "retention", "RetentionPayload")
ReferencesPayload = _form(References, "references", "ReferencesPayload")
BaselinePayload = _form(RunBaseline, "baseline", "BaselinePayload")
ActivityPayload = _form(Activity, "activity", "ActivityPayload")
NoticePayload = _form(Notice, "notice", "NoticePayload")
StatePayload = _form(
    SessionState,
    "state",
    "StatePayload",
    session={
        "mode": Mode,
        "session_id": str,
        "runner": str,
        "start_utc": str,
        "utc_offset_s": int,
        "replay_of": str,
        "sensors": tuple[SensorInfo, ...],
        "host_version": str,
    },
)
LinkPayload = _form(LinkHealth, "link", "LinkPayload")
SinkPayload = _form(SinkState, "sink", "SinkPayload")
MarkerPayload = _form(Marker, "marker", "MarkerPayload")
GapPayload = _form(Gap, "gap", "GapPayload")
SpeedPayload = _form(Speed, "speed", "SpeedPayload")
ObeyedPayload = _form(Command, "obeyed", "ObeyedPayload")
HeartRatePayload = _form(HeartRate, "heart-rate", "HeartRatePayload")


# ---------------------------------------------------------------- commands

CommandName: TypeAlias = Literal[
    "mark", "mute", "unmute", "focus", "say", "swap_sides", "speed", "metronome", "samples", "history"
]


class CommandPayload(Struct, frozen=True, kw_only=True):
    """An order to the host."""

    id: Annotated[str, Meta(min_length=1, max_length=64, description=NOTES["id"])]
    name: Annotated[CommandName, Meta(description=NOTES["name"])]
    v: Annotated[Literal[1], Meta(description=NOTES["v"])] = 1
    text: Annotated[str, Meta(max_length=500, description="For `mark`: the remark.")] = ""
    kind: Annotated[str, Meta(max_length=32, description="For `mark`: a word such as lap or note.")] = "note"
    value: Annotated[str, Meta(max_length=64, description=NOTES["value"])] = ""
    speed_mps: Annotated[float, Meta(ge=0, le=13, description="For `speed`: how fast; 0 takes an entry back.")] = 0.0
    rate_spm: Annotated[float, Meta(ge=0, le=300, description=NOTES["rate_spm"])] = 0.0
    lease_s: Annotated[float, Meta(ge=0, le=3600, description=NOTES["lease_s"])] = 60.0


class AnswerPayload(Struct, frozen=True, kw_only=True):
    """What became of a command; `history` brings the payloads of `step` and `stride` as they were published."""

    v: Annotated[Literal[1], Meta(description=NOTES["v"])]
    n: Annotated[int, Meta(ge=0, description=NOTES["n"])]
    id: Annotated[str, Meta(description=NOTES["id"])]
    name: Annotated[str, Meta(description=NOTES["name"])]
    ok: Annotated[bool, Meta(description=NOTES["ok"])]
    error: Annotated[str, Meta(description=NOTES["error"])]
    part: Annotated[int, Meta(ge=1, description=NOTES["part"])]
    parts: Annotated[int, Meta(ge=1, description=NOTES["parts"])]
    steps: Annotated[tuple[StepPayload, ...], Meta(description="As published on `step`.")]  # type: ignore[valid-type]
    strides: Annotated[tuple[StridePayload, ...], Meta(description="As published on `stride`.")]  # type: ignore[valid-type]


FORMS[Answer] = Form("resp", AnswerPayload, ("id", "name", "ok", "error", "part", "parts"))


def read_command(payload: bytes) -> CommandPayload:
    """Read a message of `cmd`.

    Raises
    ------
    msgspec.MsgspecError
        It is no JSON or not a command; the text says where.
    """
    return _command_decoder.decode(payload)


def read_command_id(payload: bytes) -> str:
    """Return the id of a command that is otherwise wrong, or an empty string."""
    try:
        return _id_decoder.decode(payload).id
    except msgspec.MsgspecError:
        return ""


class _OnlyId(Struct):
    id: str = ""


_command_decoder = msgspec.json.Decoder(CommandPayload)
_id_decoder = msgspec.json.Decoder(_OnlyId)


# ---------------------------------------------------------------- samples, packed

SAMPLES_LAYOUT: Final = 1
SAMPLES_HEADER: Final = struct.Struct("<BBHIdd")
SAMPLES_COLUMNS: Final = ("acc_forward_g", "acc_left_g", "acc_up_g", "obliquity_deg", "tilt_deg", "rotation_deg")
# 1 s: a replay at full speed hands minutes over at once, and a packet should stay far below a broker's limits
SAMPLES_MAX_ROWS: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class SamplesPacket:
    """A message of `samples`, read: row ``i`` of ``values`` (n, 6) belongs to ``t0_s + i * period_s``."""

    n: int
    t0_s: float
    period_s: float
    values: NDArray[np.float32]


def cut_motion(motion: Motion) -> Iterator[Motion]:
    """Cut motion into what fits a packet each: no hole inside, at most `SAMPLES_MAX_ROWS` rows."""
    t_s = motion.t_s
    holes = np.flatnonzero(np.diff(t_s) > 1.5 * GRID_PERIOD_S) + 1
    if not len(holes) and len(t_s) <= SAMPLES_MAX_ROWS:
        if len(t_s):
            yield motion
        return
    bounds = [0, *holes.tolist(), len(t_s)]
    for begin, end in pairwise(bounds):
        for first in range(begin, end, SAMPLES_MAX_ROWS):
            rows = slice(first, min(end, first + SAMPLES_MAX_ROWS))
            yield Motion(
                t_s[rows],
                motion.acc_g[rows],
                motion.obliquity_deg[rows],
                motion.tilt_deg[rows],
                motion.rotation_deg[rows],
                motion.activity[rows],
            )


def pack_samples(motion: Motion, n: int) -> bytes:
    """Return the payload of `samples` for motion without a hole (see `cut_motion`).

    Little-endian. Byte 0 layout (1), byte 1 columns (6), bytes 2-3 rows (uint16), bytes 4-7 ``n`` (uint32, modulo
    2**32), bytes 8-15 ``t0_s`` (float64), bytes 16-23 ``period_s`` (float64), from byte 24 the rows, each of six
    float32 in the order of `SAMPLES_COLUMNS`; not a number where unknown.
    """
    rows = len(motion.t_s)
    values = np.empty((rows, len(SAMPLES_COLUMNS)), dtype="<f4")
    values[:, 0:3] = motion.acc_g
    values[:, 3] = motion.obliquity_deg
    values[:, 4] = motion.tilt_deg
    values[:, 5] = motion.rotation_deg
    header = SAMPLES_HEADER.pack(
        SAMPLES_LAYOUT, len(SAMPLES_COLUMNS), rows, n & 0xFFFFFFFF, float(motion.t_s[0]), GRID_PERIOD_S
    )
    return header + values.tobytes()


def unpack_samples(payload: bytes) -> SamplesPacket:
    """Read a message of `samples`.

    Raises
    ------
    DecodeError
        It is of another layout or cut off.
    """
    if len(payload) < SAMPLES_HEADER.size:
        raise DecodeError(f"a samples message of {len(payload)} bytes is too short", kind="truncated")
    layout, columns, rows, n, t0_s, period_s = SAMPLES_HEADER.unpack_from(payload)
    if layout != SAMPLES_LAYOUT or columns != len(SAMPLES_COLUMNS):
        raise DecodeError(f"a samples message of layout {layout} with {columns} columns is not known", kind="foreign")
    if len(payload) != SAMPLES_HEADER.size + 4 * rows * columns:
        raise DecodeError(f"a samples message of {rows} rows has {len(payload)} bytes", kind="truncated")
    values = np.frombuffer(payload, "<f4", offset=SAMPLES_HEADER.size).reshape(rows, columns)
    return SamplesPacket(n, t0_s, period_s, values)


# ---------------------------------------------------------------- the tree


@dataclass(frozen=True, slots=True)
class Topic:
    """One level of the tree; ``payloads`` is empty where the payload is binary."""

    level: str
    text: str
    payloads: tuple[type[Struct], ...]
    qos: int = 0
    retain: bool = False
    inbound: bool = False


TOPICS: Final[Mapping[str, Topic]] = {
    topic.level: topic
    for topic in (
        Topic(
            "state",
            "Online, offline or lost (the last will), which session this is, and whether it is muted.",
            (StatePayload,),
            qos=1,
            retain=True,
        ),
        Topic(
            "contact",
            "A foot has touched down, at most 80 ms ago; and the few that are taken back.",
            (ContactPayload, ContactWithdrawnPayload),
        ),
        Topic("step", "One ground contact, measured, when its foot has left the ground.", (StepPayload,)),
        Topic("stride", "What became known about a step when its stride was complete.", (StridePayload,)),
        Topic("metrics", "Means over the last ten seconds, once a second.", (RecentPayload,), retain=True),
        Topic("summary", "Counts and means over the session, every ten seconds.", (SummaryPayload,), retain=True),
        Topic("cue", "Something worth saying to the runner, and why.", (CuePayload,)),
        Topic("cue-outcome", "What had become of a fault a minute after it was told.", (CueOutcomePayload,)),
        Topic("retention", "How form held in the silent part of a block.", (RetentionPayload,)),
        Topic(
            "references",
            "What the coach compares with from now on.",
            (ReferencesPayload,),
            retain=True,
        ),
        Topic("baseline", "What was usual in this run, for the runner's profile; at its end.", (BaselinePayload,)),
        Topic(
            "activity", "The runner stands, walks, runs or does something else now.", (ActivityPayload,), retain=True
        ),
        Topic("notice", "Something to know about the measurement itself.", (NoticePayload,)),
        Topic("link", "Link figures of each sensor, once a second.", (LinkPayload,)),
        Topic("sink", "How the host's sinks stand, and what they dropped.", (SinkPayload,)),
        Topic("marker", "A note of the runner or coach.", (MarkerPayload,)),
        Topic("gap", "The stream is known to be broken.", (GapPayload,)),
        Topic("speed", "Running speed from a source that measures it.", (SpeedPayload,)),
        Topic("obeyed", "A command that changes what is said was obeyed, whoever gave it.", (ObeyedPayload,)),
        Topic("heart-rate", "Heart rate and beat intervals.", (HeartRatePayload,)),
        Topic("samples", "Pelvis motion at 200 Hz, packed; while somebody holds a lease.", ()),
        Topic("cmd", "Commands to the host.", (CommandPayload,), qos=1, inbound=True),
        Topic("resp", "Answers to commands, with the command's id.", (AnswerPayload,), qos=1),
    )
}

# ---------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Address:
    """Where a session's messages go, whose they are, and the words of every phrase by its id."""

    root: str
    session: SessionInfo
    words: Mapping[str, str] = field(default_factory=words_of)

    @property
    def top(self) -> str:
        """What all topics begin with, whoever runs."""
        return f"{self.root}/v{MQTT_SCHEMA}"

    def topic(self, level: str) -> str:
        return f"{self.top}/{self.session.runner}/{level}"


@dataclass(frozen=True, slots=True)
class Message:
    """A message, ready to go."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    level: str


def level_of(item: Published) -> str:
    """Return the topic level an item is published on."""
    return "samples" if isinstance(item, Motion) else FORMS[type(item)].level


def encode(item: Published, n: int, address: Address) -> Message:
    """Return an item as the ``n``-th message of its topic. Pure."""
    if isinstance(item, Motion):
        level, payload = "samples", pack_samples(item, n)
    else:
        form = FORMS[type(item)]
        level, payload = form.level, _encode_json(_body(item, form, n, address))
    topic = TOPICS[level]
    return Message(address.topic(level), payload, topic.qos, topic.retain, level)


def _body(item: Published, form: Form, n: int, address: Address) -> dict[str, object]:
    body: dict[str, object] = {"v": MQTT_SCHEMA, "n": n}
    if form.event:
        body["event"] = form.event
    for name in form.own:
        body[name] = getattr(item, name)
    for name in form.session:
        if isinstance(item, Cue) and name == "words":
            body[name] = words_for(item, address.words)
        else:
            body[name] = __version__ if name == "host_version" else getattr(address.session, name)
    if form.metrics:
        metrics: Mapping[str, float] = getattr(item, "metrics")  # noqa: B009
        errors: Mapping[str, float] = getattr(item, "errors")  # noqa: B009
        for name, error_name in form.metrics:
            body[name] = metrics.get(name)
            body[error_name] = float(format(errors.get(name, nan), _ERROR_DIGITS))
    if isinstance(item, Answer):
        body["steps"] = [msgspec.Raw(step) for step in item.steps]
        body["strides"] = [msgspec.Raw(stride) for stride in item.strides]
    return body


def _plain(value: object) -> object:
    """Return numpy's numbers and read-only mappings as what JSON knows."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise NotImplementedError


_encode_json: Final[Callable[[object], bytes]] = msgspec.json.Encoder(enc_hook=_plain).encode
