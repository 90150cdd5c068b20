"""What stands where in a recording: channels, message types, metadata. In words: docs/recording.md."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from math import isnan
from typing import cast

import numpy as np

from pelvis.data import Array, Command, HeartRate, Marker, Samples, Speed
from sensor_host.ports import Arrival, Injected, LinkState, Mode, Notification, SensorInfo, SessionInfo, TimedBlock
from sensor_host.recording.cdr import HEADER, MessageType, Value
from sensor_host.schemas import RECORDING_SCHEMA

# names of metadata records and attachments
SESSION, DEVICE, PLACEMENT, VERSIONS, RECOVERY = "session", "device", "placement", "versions", "recovery"
CONFIG, PROFILE = "config", "profile"

RAW_SUFFIX, TIMED_SUFFIX = "/raw", "/timed"

NOTIFICATION = MessageType(
    "hipdrive/msg/Notification",
    "float64 t_host_s  # receipt, host's monotonic clock\nuint8[] data  # the notification, verbatim\n",
)
TIMED = MessageType(
    "hipdrive/msg/TimedBlock",
    "float64 t_host_s\nfloat64 rate_hz\nfloat64[] t_s\nfloat64[] acc_mps2  # x y z of each sample\n"
    "float64[] gyr_radps  # x y z of each sample\nbool clipped\n",
)
LINK = MessageType(
    "hipdrive/msg/LinkState",
    "float64 t_host_s\nfloat64 rssi_dbm  # NaN: unknown\nfloat64 battery_ratio  # NaN: unknown\n"
    "string role\nstring state\nstring detail\n"
    "string firmware  # as the sensor says; empty: unknown\nstring model  # as the sensor says; empty: unknown\n",
)
MARKER = MessageType("hipdrive/msg/Marker", "float64 t_host_s\nfloat64 t_s\nstring text\nstring kind\n")
COMMAND = MessageType("hipdrive/msg/Command", "float64 t_host_s\nfloat64 t_s\nstring name\nstring value\n")
SPEED = MessageType("hipdrive/msg/Speed", "float64 t_host_s\nfloat64 t_s\nfloat64 speed_mps\nstring source\n")
HEART_RATE = MessageType(
    "hipdrive/msg/HeartRate", "float64 t_host_s\nfloat64 t_s\nfloat64 heart_rate_bpm\nfloat64[] rr_s\n"
)
CLOCK = MessageType(
    "hipdrive/msg/Clock", "float64 t_host_s  # host's monotonic clock\nint64 utc_ns  # wall clock at that moment\n"
)

CHANNELS: dict[str, MessageType] = {
    "/clock": CLOCK,
    "/link": LINK,
    "/markers": MARKER,
    "/commands": COMMAND,
    "/speed": SPEED,
    "/heart_rate": HEART_RATE,
}

# encapsulation header, t_host_s, length: what stands before the bytes of a notification
_NOTIFICATION_HEAD = struct.Struct("<4sdI")


def encode_notification(t_host_s: float, data: bytes) -> bytes:
    """Return the message of a notification; the same bytes as ``NOTIFICATION.encode``, sooner."""
    return _NOTIFICATION_HEAD.pack(HEADER, t_host_s, len(data)) + data


def channel_types(session: SessionInfo) -> dict[str, MessageType]:
    """Return every channel a session's recording has, by topic."""
    roles = dict.fromkeys(sensor.role for sensor in session.sensors)
    raw = {f"/{role}{RAW_SUFFIX}": NOTIFICATION for role in roles}
    timed = {f"/{role}{TIMED_SUFFIX}": TIMED for role in roles}
    return {**CHANNELS, **raw, **timed}


def type_of(topic: str) -> MessageType:
    """Return the message type of a topic."""
    if topic.endswith(RAW_SUFFIX):
        return NOTIFICATION
    return TIMED if topic.endswith(TIMED_SUFFIX) else CHANNELS[topic]


def is_ours(topic: str) -> bool:
    """Tell whether a topic is one that recordings have."""
    return topic in CHANNELS or topic.endswith((RAW_SUFFIX, TIMED_SUFFIX))


def encode(arrival: Arrival) -> tuple[str, bytes]:
    """Return topic and message of an arrival."""
    match arrival:
        case Notification(role, data, t_host_s):
            return f"/{role}{RAW_SUFFIX}", encode_notification(t_host_s, data)
        case TimedBlock(role, block, t_host_s):
            return f"/{role}{TIMED_SUFFIX}", TIMED.encode(
                t_host_s, block.rate_hz, block.t_s, block.acc_mps2, block.gyr_radps, block.clipped
            )
        case LinkState(role, state, t_host_s, rssi, battery, detail, firmware, model):
            rssi_dbm = float("nan") if rssi is None else float(rssi)
            battery_ratio = float("nan") if battery is None else battery
            return "/link", LINK.encode(t_host_s, rssi_dbm, battery_ratio, role, state, detail, firmware, model)
        case Injected(Marker(t_s, text, kind), t_host_s):
            return "/markers", MARKER.encode(t_host_s, t_s, text, kind)
        case Injected(Command(t_s, name, value), t_host_s):
            return "/commands", COMMAND.encode(t_host_s, t_s, name, value)
        case Injected(Speed(t_s, speed_mps, source), t_host_s):
            return "/speed", SPEED.encode(t_host_s, t_s, speed_mps, source)
        case Injected(item, t_host_s):
            assert isinstance(item, HeartRate)
            t_s, bpm, rr_s = item.t_s, item.heart_rate_bpm, item.rr_s
            return "/heart_rate", HEART_RATE.encode(t_host_s, t_s, bpm, rr_s)


def decode(topic: str, data: bytes) -> Arrival | None:
    """Return the arrival that a message holds; None for topics that hold none.

    Raises
    ------
    ValueError
        When the message is not what its topic promises.
    """
    role, _, kind = topic[1:].rpartition("/")
    if kind == RAW_SUFFIX[1:] and role:
        values = NOTIFICATION.decode(data)
        return Notification(role, cast("bytes", values[1]), _number(values[0]))
    if kind == TIMED_SUFFIX[1:] and role:
        return _timed_block(role, TIMED.decode(data))
    if topic == "/clock" or topic not in CHANNELS:
        return None
    values = CHANNELS[topic].decode(data)
    t_host_s = _number(values[0])
    if topic == "/link":
        rssi, battery = _number(values[1]), _number(values[2])
        return LinkState(
            role=str(values[3]),
            state=str(values[4]),
            t_host_s=t_host_s,
            rssi_dbm=None if isnan(rssi) else round(rssi),
            battery_ratio=None if isnan(battery) else battery,
            detail=str(values[5]),
            firmware=str(values[6]),
            model=str(values[7]),
        )
    t_s = _number(values[1])
    if topic == "/markers":
        return Injected(Marker(t_s, str(values[2]), str(values[3])), t_host_s)
    if topic == "/commands":
        return Injected(Command(t_s, str(values[2]), str(values[3])), t_host_s)
    if topic == "/speed":
        return Injected(Speed(t_s, _number(values[2]), str(values[3])), t_host_s)
    rr_s = tuple(float(rr) for rr in cast("Array", values[3]))
    return Injected(HeartRate(t_s, _number(values[2]), rr_s), t_host_s)


def _timed_block(role: str, values: list[Value]) -> TimedBlock:
    t_s, acc, gyr = (cast("Array", values[i]) for i in (2, 3, 4))
    if not len(acc) == len(gyr) == 3 * len(t_s):
        raise ValueError("a timed block whose arrays do not fit together")
    samples = Samples(t_s, acc.reshape(-1, 3), gyr.reshape(-1, 3), _number(values[1]), bool(values[5]))
    return TimedBlock(role, samples, _number(values[0]))


def _number(value: Value) -> float:
    assert isinstance(value, float)
    return value


# ---------------------------------------------------------------- metadata

_SEAL = "crc32"


def seal(values: Mapping[str, str]) -> dict[str, str]:
    """Return metadata with a checksum of its own: MCAP has none for it."""
    return {**values, _SEAL: _checksum(values)}


def unseal(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return metadata without its checksum.

    Raises
    ------
    ValueError
        When the checksum is wrong or missing. What another tool has added may do without.
    """
    bare = {key: value for key, value in values.items() if key != _SEAL}
    ours = name in {SESSION, DEVICE, PLACEMENT, VERSIONS, RECOVERY}
    if values.get(_SEAL, "" if ours else _checksum(bare)) != _checksum(bare):
        raise ValueError("metadata whose checksum is wrong")
    return bare


def _checksum(values: Mapping[str, str]) -> str:
    text = "\n".join(f"{key}={value}" for key, value in values.items())
    return f"{zlib.crc32(text.encode()):08x}"


def session_metadata(session: SessionInfo) -> list[tuple[str, dict[str, str]]]:
    """Return the metadata records that describe a session, its sensors and what wrote them down."""
    from pelvis.pipeline import ALGORITHM_VERSION
    from sensor_host import __version__

    records = [
        (
            SESSION,
            {
                "session_id": session.session_id,
                "runner": session.runner,
                "mode": str(session.mode),
                "start_utc": session.start_utc,
                "utc_offset_s": str(session.utc_offset_s),
                "replay_of": session.replay_of,
            },
        ),
        (
            VERSIONS,
            {
                "recording_schema": RECORDING_SCHEMA,
                "hipdrive": __version__,
                "algorithm": ALGORITHM_VERSION,
                "numpy": np.__version__,
            },
        ),
    ]
    for sensor in session.sensors:
        records.append((DEVICE, device_metadata(sensor)))
        records.append((PLACEMENT, {"role": sensor.role, "placement": sensor.placement}))
    return records


def device_metadata(sensor: SensorInfo) -> dict[str, str]:
    """Return what is said of a sensor but where it sits."""
    return {
        "role": sensor.role,
        "board": sensor.board,
        "name": sensor.name,
        "address": sensor.address,
        "rate_hz": repr(sensor.rate_hz),
    }


def session_from_metadata(records: list[tuple[str, dict[str, str]]]) -> SessionInfo | None:
    """Return the session that metadata records describe; None when they describe none.

    Raises
    ------
    ValueError
        When a value in them makes no sense.
    """
    sessions = [values for name, values in records if name == SESSION]
    if not sessions:
        return None
    placements = {
        values.get("role"): values.get("placement", "sacrum") for name, values in records if name == PLACEMENT
    }
    sensors = {
        values.get("role", ""): SensorInfo(
            role=values.get("role", ""),
            board=values.get("board", ""),
            placement=placements.get(values.get("role"), "sacrum"),
            name=values.get("name", ""),
            address=values.get("address", ""),
            rate_hz=float(values.get("rate_hz", "0")),
        )
        for name, values in records
        if name == DEVICE
    }
    session = sessions[-1]
    return SessionInfo(
        session_id=session.get("session_id", ""),
        runner=session.get("runner", ""),
        mode=Mode(session.get("mode", "")),
        start_utc=session.get("start_utc", ""),
        utc_offset_s=int(session.get("utc_offset_s", "0")),
        sensors=tuple(sensors.values()),
        replay_of=session.get("replay_of", ""),
    )
