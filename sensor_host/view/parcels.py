"""What measures a recording hands to the window, and how that is written: in a pipe, and in the cache the same bytes.

A parcel is a head (its kind, its length) and its bytes. `Survey` comes first, `End` or `Failure` last; between them, in
the order of session time, motion and steps as packed rows, and what else was said as the messages MQTT knows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, Literal, Protocol, TypeAlias, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array
from sensor_host.errors import ConfigError, HipdriveError, InputError
from sensor_host.view.timeline import MOTION_COLUMNS, STEP_COLUMNS

_HEAD: Final = struct.Struct("<c7xQ")


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What the input alone tells, before anything is measured.

    ``shaking_g`` is the standard deviation of the acceleration's size in each whole second from ``begin_s`` on: an
    outline of standing, walking and running. NaN where nothing was received.
    """

    source: str
    session_id: str
    runner: str
    start_utc: str
    begin_s: float
    end_s: float
    shaking_g: list[float | None]
    warnings: list[str]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """All has been measured; ``checksum`` is that of everything before."""

    checksum: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The input cannot be used, and why; ``path`` is that of the file, or of the setting."""

    text: str
    path: str
    exit_code: int

    def error(self) -> HipdriveError:
        """Return it as what it was."""
        if self.exit_code == ConfigError.exit_code:
            return ConfigError(self.text, path=self.path)
        return InputError(self.text, path=self.path)


Message: TypeAlias = tuple[str, bytes]
"""A topic's level and a message of it, for `sensor_host.heard.read`."""


class Motion(msgspec.Struct, frozen=True):
    """Rows for `Timeline.take_motion`."""

    t_s: Array
    values: NDArray[np.float32]


class Steps(msgspec.Struct, frozen=True):
    """Rows for `Timeline.take_steps`."""

    rows: Array


class Items(msgspec.Struct, frozen=True):
    """What else was said."""

    messages: list[Message]


Parcel: TypeAlias = Survey | Motion | Steps | Items | End | Failure
_Kind: TypeAlias = Literal[b"S", b"M", b"R", b"I", b"E", b"F"]

_survey: Final = msgspec.msgpack.Decoder(Survey)
_items: Final = msgspec.msgpack.Decoder(list[Message])
_end: Final = msgspec.msgpack.Decoder(End)
_failure: Final = msgspec.msgpack.Decoder(Failure)


class Readable(Protocol):
    """What parcels come out of: a pipe, a file."""

    def read(self, size: int, /) -> bytes: ...


class BrokenParcelsError(Exception):
    """The parcels end in the middle or are none."""


def pack(parcel: Parcel) -> bytes:
    """Return a parcel as bytes."""
    kind: _Kind
    match parcel:
        case Motion():
            kind, body = b"M", parcel.t_s.astype("<f8").tobytes() + parcel.values.astype("<f4").tobytes()
        case Steps():
            kind, body = b"R", parcel.rows.astype("<f8").tobytes()
        case Items():
            kind, body = b"I", msgspec.msgpack.encode(parcel.messages)
        case Survey():
            kind, body = b"S", msgspec.msgpack.encode(parcel)
        case End():
            kind, body = b"E", msgspec.msgpack.encode(parcel)
        case Failure():
            kind, body = b"F", msgspec.msgpack.encode(parcel)
    return _HEAD.pack(kind, len(body)) + body


def unpack(source: Readable) -> Iterator[Parcel]:
    """Yield parcels until the last.

    Raises
    ------
    BrokenParcelsError
        They end before their last, or are damaged.
    """
    checksum = 0
    while True:
        head = source.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise BrokenParcelsError("they end in the middle")
        kind, size = _HEAD.unpack(head)
        body = source.read(size)
        if len(body) < size:
            raise BrokenParcelsError("they end in the middle")
        try:
            parcel = _read(kind, body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise BrokenParcelsError(str(error)) from error
        if isinstance(parcel, End) and parcel.checksum != checksum:
            raise BrokenParcelsError("their checksum is wrong")
        yield parcel
        if isinstance(parcel, End | Failure):
            return
        checksum = zlib.crc32(body, zlib.crc32(head, checksum))


def checksum_of(packed: bytes, checksum: int = 0) -> int:
    """Return the checksum of a packed parcel that follows those with ``checksum``."""
    return zlib.crc32(packed, checksum)


def _read(kind: bytes, body: bytes) -> Parcel:
    match cast("_Kind", kind):
        case b"M":
            columns = len(MOTION_COLUMNS)
            count, rest = divmod(len(body), 8 + 4 * columns)
            if rest:
                raise ValueError("half a row of motion")
            values = np.frombuffer(body, "<f4", offset=8 * count).reshape(count, columns)
            return Motion(np.frombuffer(body, "<f8", count), values)
        case b"R":
            return Steps(np.frombuffer(body, "<f8").reshape(-1, len(STEP_COLUMNS)))
        case b"I":
            return Items(_items.decode(body))
        case b"S":
            return _survey.decode(body)
        case b"E":
            return _end.decode(body)
        case b"F":
            return _failure.decode(body)
    raise ValueError(f"no parcel is of kind {kind!r}")
