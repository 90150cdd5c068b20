"""Reading a recording: exactly what arrived, in the order in which the session saw it.

A file that was cut off (a killed program, a full disk) is read to its end. A damaged one is refused: `recover` saves
what can be saved.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mcap import records as mcap_records

from sensor_host.boards import BOARDS, TIMED
from sensor_host.errors import InputError
from sensor_host.ports import Arrival, Injected, LinkState, Notification, SessionInfo, TimedBlock
from sensor_host.recording import layout
from sensor_host.recording.cdr import HEADER as CDR_HEADER
from sensor_host.recording.records import (
    ATTACHMENT,
    CHANNEL,
    CHUNK,
    FOOTER,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    METADATA,
    PARSE_ERRORS,
    DamageError,
    Record,
    chunk_times_ns,
    find_chunk,
    open_chunk,
    read_attachment,
    read_metadata,
    record_at,
    records_inside,
    stream_of,
    walk,
)
from sensor_host.schemas import RECORDING_SCHEMA

# a message record up to the bytes of the notification in it
_RAW_MESSAGE = struct.Struct("<BQHIQQ4sdI")


@dataclass(frozen=True, slots=True)
class Batch:
    """Notifications of one sensor that came one after the other, nothing else between them."""

    role: str
    data: list[bytes]
    t_host_s: list[float]


Item: TypeAlias = Batch | LinkState | Injected | TimedBlock


class Recording:
    """A recording that was opened by `read`.

    Attributes
    ----------
    session, config, profile, versions
        What stands in its head; ``config`` and ``profile`` are the attached bytes, empty where there were none.
    metadata
        All metadata records, in order.
    cut
        Whether the file ends in the middle: its last second may be missing.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.size_bytes = len(data)
        self._data = memoryview(data)
        self._chunks: list[Record] = []
        self._topics: dict[int, str] = {}
        self.metadata: list[tuple[str, dict[str, str]]] = []
        self.attachments: dict[str, bytes] = {}
        self.cut = False
        self._ours = False
        self._scan()
        try:
            session = layout.session_from_metadata(self.metadata)
        except ValueError as error:
            raise self._damaged(str(error)) from error
        names = {name for name, _ in self.metadata}
        if self._ours and not {layout.SESSION, layout.VERSIONS} <= names:
            raise self._damaged("its head is not complete")
        if session is None:
            raise InputError(f"{path}: is an MCAP file, but no recording of hipdrive", path=str(path))
        self.session: SessionInfo = session
        self.versions: dict[str, str] = {}
        for name, values in self.metadata:
            if name == layout.VERSIONS:
                self.versions.update(values)
        schema = self.versions.get("recording_schema", "")
        if schema != RECORDING_SCHEMA:
            raise InputError(
                f"{path}: has recording schema {schema or 'unknown'}, this hipdrive reads {RECORDING_SCHEMA}; "
                "update hipdrive",
                path=str(path),
            )
        unknown = [s.board for s in session.sensors if s.board not in BOARDS and s.board != TIMED]
        if unknown:
            raise InputError(
                f'{path}: was recorded with a board this hipdrive does not know ("{unknown[0]}"); update hipdrive',
                path=str(path),
            )
        # what was recovered may have holes; anything else counts its arrivals without one
        self._holes = layout.RECOVERY in names
        self.config = self.attachments.get(layout.CONFIG, b"")
        self.profile = self.attachments.get(layout.PROFILE, b"")

    # ---------------------------------------------------------------- contents

    def arrivals(self, start_s: float | None = None, end_s: float | None = None) -> Iterator[Arrival]:
        """Yield what arrived, one by one; ``start_s`` and ``end_s`` in seconds since the first data.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        for item in self.batches(start_s, end_s):
            if isinstance(item, Batch):
                for data, t_host_s in zip(item.data, item.t_host_s, strict=True):
                    yield Notification(item.role, data, t_host_s)
            else:
                yield item

    def batches(self, start_s: float | None = None, end_s: float | None = None) -> Iterator[Item]:
        """Yield what arrived, neighbouring notifications of a sensor together: for those who are in a hurry.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        if start_s is None and end_s is None:
            yield from self._items(self._chunks)
            return
        first_host_s = self.first_host_s
        if first_host_s is None:
            return
        from_s = -math.inf if start_s is None else first_host_s + start_s
        until_s = math.inf if end_s is None else first_host_s + end_s
        for item in self._items(self._chunks_from(start_s)):
            if not isinstance(item, Batch):
                if from_s <= item.t_host_s < until_s:
                    yield item
                elif item.t_host_s >= until_s:
                    return
                continue
            keep = [i for i, at_s in enumerate(item.t_host_s) if from_s <= at_s < until_s]
            if len(keep) == len(item.data):
                yield item
            elif keep:
                yield Batch(item.role, [item.data[i] for i in keep], [item.t_host_s[i] for i in keep])
            if item.t_host_s[-1] >= until_s:
                return

    @property
    def first_host_s(self) -> float | None:
        """The host's clock at the first data; None when there is none."""
        for item in self._items(self._chunks):
            if isinstance(item, Batch):
                return item.t_host_s[0]
            if isinstance(item, TimedBlock):
                return item.t_host_s
        return None

    def openings(self) -> tuple[Notification, ...]:
        """Return the head of each sensor's stream: all up to its first packet of samples.

        A replay from later on needs them to know the scales and where session time began.
        """
        boards = ((sensor.role, BOARDS.get(sensor.board)) for sensor in self.session.sensors)
        waiting = {role: board.motion.new_decoder() for role, board in boards if board and board.motion}
        found: list[Notification] = []
        for item in self._items(self._chunks):
            if not waiting:
                break
            if not isinstance(item, Batch) or item.role not in waiting:
                continue
            for data, t_host_s in zip(item.data, item.t_host_s, strict=True):
                found.append(Notification(item.role, data, t_host_s))
                if len(waiting[item.role].decode([data]).position):
                    del waiting[item.role]
                    break
        return tuple(found)

    def clock(self) -> list[tuple[float, int]]:
        """Return pairs of the host's clock in seconds and the wall clock in nanoseconds since 1970."""
        pairs: list[tuple[float, int]] = []
        for chunk in self._chunks:
            for topic, message in self._messages(self._open(chunk)):
                if topic == "/clock":
                    t_host_s, utc_ns = layout.CLOCK.decode(message)
                    assert isinstance(t_host_s, float)
                    assert isinstance(utc_ns, int)
                    pairs.append((t_host_s, utc_ns))
        return pairs

    # ---------------------------------------------------------------- file

    def _scan(self) -> None:
        """Go once along the records outside the chunks."""
        try:
            for record in walk(self._data):
                if record.opcode == CHUNK:
                    self._chunks.append(record)
                else:
                    self._note(record)
                if record.opcode == FOOTER:
                    self.cut = bytes(self._data[record.end :]) != MAGIC
        except DamageError as damage:
            if find_chunk(self._data, damage.offset + 1) >= 0:
                raise self._damaged(f"{damage} at byte {damage.offset}") from damage
            self.cut = True
        except PARSE_ERRORS as error:
            raise self._damaged(str(error)) from error

    def _note(self, record: Record) -> None:
        if record.opcode == HEADER:
            self._ours = mcap_records.Header.read(stream_of(self._data, record)).profile == "hipdrive"
        elif record.opcode == CHANNEL:
            channel = mcap_records.Channel.read(stream_of(self._data, record))
            self._topics.setdefault(channel.id, channel.topic)
        elif record.opcode == METADATA:
            metadata = read_metadata(self._data, record)
            self.metadata.append((metadata.name, metadata.metadata))
        elif record.opcode == ATTACHMENT:
            attachment = read_attachment(self._data, record)
            self.attachments[attachment.name] = attachment.data

    def _note_channel(self, inside: bytes, record: Record) -> None:
        """Take a channel out of a chunk: unlike one beside the chunks, it had a checksum."""
        channel = mcap_records.Channel.read(stream_of(inside, record))
        self._topics[channel.id] = channel.topic

    def _chunks_from(self, start_s: float | None) -> list[Record]:
        """Return the chunks that may hold something from ``start_s`` on."""
        if start_s is None or not self._chunks:
            return self._chunks
        begin_ns, _ = chunk_times_ns(self._data, self._chunks[0])
        # a second of margin: data may begin later than the first chunk's first message, and it is the host's clock
        from_ns = begin_ns + int((start_s - 1.0) * 1e9)
        return [chunk for chunk in self._chunks if chunk_times_ns(self._data, chunk)[1] >= from_ns]

    def _open(self, chunk: Record) -> bytes:
        try:
            return open_chunk(self._data, chunk)
        except DamageError as damage:
            if self.cut and chunk is self._chunks[-1]:
                return b""  # the last chunk of a file that was cut off by a power failure
            raise self._damaged(f"{damage} at byte {damage.offset}") from damage

    def _damaged(self, what: str) -> InputError:
        return InputError(
            f"{self.path}: is damaged ({what}); save the rest with: hipdrive record recover {self.path}",
            path=str(self.path),
        )

    # ---------------------------------------------------------------- messages

    def _items(self, chunks: list[Record]) -> Iterator[Item]:
        # a part that begins later has a first number of its own
        last_number: int | None = -1 if chunks is self._chunks else None
        for chunk in chunks:
            inside = self._open(chunk)
            try:
                items, last_number = self._read_chunk(inside, last_number)
            except DamageError as damage:
                raise self._damaged(str(damage)) from damage
            except PARSE_ERRORS as error:
                raise self._damaged(f"{error} at byte {chunk.offset}") from error
            yield from items

    def _read_chunk(self, inside: bytes, last_number: int | None) -> tuple[list[Item], int | None]:
        items: list[Item] = []
        role = ""
        data: list[bytes] = []
        t_host_s: list[float] = []
        raw = self._raw_roles()
        unpack, head_bytes = _RAW_MESSAGE.unpack_from, _RAW_MESSAGE.size
        offset = 0
        size = len(inside)
        while offset < size:
            # the fast way, for what nearly every message is
            if inside[offset] == MESSAGE and offset + head_bytes <= size:
                _, length, channel, number, _, _, cdr, at_s, count = unpack(inside, offset)
                if channel in raw:
                    self._check_order(number, last_number, offset)
                    begin = offset + head_bytes
                    end = offset + 9 + length
                    if cdr != CDR_HEADER or begin + count != end or end > size or not math.isfinite(at_s):
                        raise DamageError("a notification that makes no sense", offset)
                    if raw[channel] != role:
                        role, data, t_host_s = raw[channel], [], []
                        items.append(Batch(role, data, t_host_s))
                    data.append(inside[begin:end])
                    t_host_s.append(at_s)
                    last_number = number
                    offset = end
                    continue
            record = record_at(inside, offset)
            offset = record.end
            if record.opcode == CHANNEL:
                self._note_channel(inside, record)
                raw = self._raw_roles()
            elif record.opcode == MESSAGE:
                channel, number, _, _ = MESSAGE_HEAD.unpack_from(inside, record.offset)
                topic = self._topics[channel]
                arrival = layout.decode(topic, inside[record.offset + MESSAGE_HEAD.size : record.end])
                if arrival is None:
                    continue
                self._check_order(number, last_number, offset)
                last_number = number
                assert not isinstance(arrival, Notification)
                items.append(arrival)
                role = ""
        return items, last_number

    def _check_order(self, number: int, last_number: int | None, offset: int) -> None:
        if last_number is None or number == last_number + 1:
            return
        if number <= last_number:
            raise DamageError("its messages are not in the order in which they came", offset)
        if not self._holes:
            raise DamageError(f"{number - last_number - 1} arrivals are missing", offset)

    def _raw_roles(self) -> dict[int, str]:
        suffix = layout.RAW_SUFFIX
        return {key: topic[1 : -len(suffix)] for key, topic in self._topics.items() if topic.endswith(suffix)}

    def _messages(self, inside: bytes) -> Iterator[tuple[str, bytes]]:
        for record in records_inside(inside):
            if record.opcode == CHANNEL:
                self._note_channel(inside, record)
            elif record.opcode == MESSAGE:
                channel, _, _, _ = MESSAGE_HEAD.unpack_from(inside, record.offset)
                yield self._topics.get(channel, ""), inside[record.offset + MESSAGE_HEAD.size : record.end]


def read(path: Path) -> Recording:
    """Open a recording.

    Raises
    ------
    InputError
        When the file is missing, empty, foreign, damaged or of another schema.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
    if not data:
        raise InputError(f"{path}: is empty", path=str(path))
    if not data.startswith(MAGIC):
        raise InputError(f"{path}: is no recording (not an MCAP file)", path=str(path))
    return Recording(path, data)
