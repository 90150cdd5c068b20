"""MCAP at the level of records: walking a file, opening a chunk, finding the way again behind damage.

The format: https://mcap.dev/spec. A record is an opcode (u8), a length (u64) and a body.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Attachment, Metadata

from sensor_host.recording.layout import unseal

MAGIC: Final = b"\x89MCAP0\r\n"

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 1, 2, 3, 4, 5, 6
FOOTER_BYTES = 20
ATTACHMENT, METADATA, DATA_END = 9, 12, 15
LAST_OPCODE: Final = 15

RECORD_HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK_HEAD = struct.Struct("<QQQII")

# a chunk of ours holds seconds; one of foreign timed blocks at 1 kHz stays below this too
LARGEST_CHUNK_BYTES: Final = 256 << 20

# how a chunk begins behind its five numbers: the name of its compression
_CHUNK_MARK: Final = b"\x04\x00\x00\x00zstd"
_MARK_OFFSET: Final = RECORD_HEAD.size + _CHUNK_HEAD.size - 4


class DamageError(Exception):
    """What stands at ``offset`` cannot be."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Record:
    """Where a record lies: ``offset`` and ``length`` are those of its body."""

    opcode: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def walk(data: memoryview, start: int = len(MAGIC)) -> Iterator[Record]:
    """Yield the records of a file from ``start`` to the end of its data section or to the footer.

    Raises
    ------
    DamageError
        Where no record can begin, or one does not fit into the file.
    """
    offset = start
    while offset < len(data):
        if offset + RECORD_HEAD.size > len(data):
            raise DamageError("a record that ends too early", offset)
        opcode, length = RECORD_HEAD.unpack_from(data, offset)
        body = offset + RECORD_HEAD.size
        if not 0 < opcode <= LAST_OPCODE or body + length > len(data):
            raise DamageError("no record", offset)
        # a schema is one bit away from a footer, behind which nothing is looked for
        if opcode == FOOTER and length != FOOTER_BYTES:
            raise DamageError("no footer", offset)
        yield Record(opcode, body, length)
        if opcode == FOOTER:
            return
        offset = body + length
    raise DamageError("no footer", offset)


def find_chunk(data: memoryview | bytes, start: int) -> int:
    """Return where the next chunk record seems to begin at or behind ``start``, -1 where none does."""
    whole = data.obj if isinstance(data, memoryview) else data
    assert isinstance(whole, bytes)
    at = whole.find(_CHUNK_MARK, start + _MARK_OFFSET)
    while at >= 0:
        offset = at - _MARK_OFFSET
        if whole[offset] == CHUNK:
            return offset
        at = whole.find(_CHUNK_MARK, at + 1)
    return -1


def chunk_times_ns(data: memoryview, record: Record) -> tuple[int, int]:
    """Return the first and last log time of a chunk."""
    start_ns, end_ns, _, _, _ = _CHUNK_HEAD.unpack_from(data, record.offset)
    return start_ns, end_ns


def open_chunk(data: memoryview, record: Record) -> bytes:
    """Return the records inside a chunk, decompressed and checked.

    Raises
    ------
    DamageError
        When it is damaged.
    """
    try:
        _, _, size, crc, name_length = _CHUNK_HEAD.unpack_from(data, record.offset)
        at = record.offset + _CHUNK_HEAD.size
        compression = bytes(data[at : at + name_length])
        at += name_length
        length: int = struct.unpack_from("<Q", data, at)[0]
        at += 8
        if at + length != record.end or size > LARGEST_CHUNK_BYTES:
            raise DamageError("a chunk whose lengths do not fit", record.offset)
        body = data[at : at + length]
        if compression == b"zstd":
            # the frame names its own size too: believe neither alone before memory is taken for it
            if zstandard.frame_content_size(body) != size:
                raise DamageError("a chunk whose sizes disagree", record.offset)
            inside = zstandard.ZstdDecompressor().decompress(body)
        elif compression == b"":
            inside = bytes(body)
        else:
            raise DamageError(f"a chunk compressed by {compression!r}", record.offset)
    except (struct.error, zstandard.ZstdError) as error:
        raise DamageError("a chunk that cannot be decompressed", record.offset) from error
    if len(inside) != size or (crc and zlib.crc32(inside) != crc):
        raise DamageError("a chunk whose checksum is wrong", record.offset)
    return inside


def record_at(inside: bytes, offset: int) -> Record:
    """Return the record that begins there inside a chunk.

    Raises
    ------
    DamageError
        When it does not fit.
    """
    opcode, length = RECORD_HEAD.unpack_from(inside, offset)
    record = Record(opcode, offset + RECORD_HEAD.size, length)
    if record.end > len(inside):
        raise DamageError("a record that ends too early", offset)
    return record


def records_inside(inside: bytes) -> Iterator[Record]:
    """Yield the records of an opened chunk.

    Raises
    ------
    DamageError
        When one does not fit.
    """
    offset = 0
    while offset < len(inside):
        record = record_at(inside, offset)
        yield record
        offset = record.end


def stream_of(data: memoryview | bytes, record: Record) -> ReadDataStream:
    """Return a record's body for the ``read`` functions of `mcap.records`."""
    return ReadDataStream(BytesIO(bytes(data[record.offset : record.end])))


def read_metadata(data: memoryview, record: Record) -> Metadata:
    """Return a metadata record.

    Raises
    ------
    ValueError
        When its checksum, where it has one, is wrong.
    """
    metadata = Metadata.read(stream_of(data, record))
    return Metadata(metadata.name, unseal(metadata.name, metadata.metadata))


def read_attachment(data: memoryview, record: Record) -> Attachment:
    """Return an attachment.

    Raises
    ------
    DamageError
        When its checksum, over everything before it, is wrong.
    """
    (crc,) = struct.unpack_from("<I", data, record.end - 4)
    if zlib.crc32(data[record.offset : record.end - 4]) != crc:
        raise DamageError("an attachment whose checksum is wrong", record.offset)
    attachment: Attachment = Attachment.read(stream_of(data, record))
    return attachment


# what parsing a damaged body may raise
PARSE_ERRORS: Final = (struct.error, UnicodeDecodeError, McapError, ValueError, LookupError)
