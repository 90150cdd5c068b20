"""Making a clean recording of one that was cut off or damaged, and longer chunks of one that is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mcap import records as mcap_records

from sensor_host.errors import InputError, OutputError
from sensor_host.ports import Mode, SessionInfo
from sensor_host.recording import layout
from sensor_host.recording.output import OutputFile, register_channel, register_schema, start_mcap
from sensor_host.recording.records import (
    ATTACHMENT,
    CHANNEL,
    CHUNK,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    METADATA,
    PARSE_ERRORS,
    RECORD_HEAD,
    SCHEMA,
    DamageError,
    Record,
    find_chunk,
    open_chunk,
    read_attachment,
    read_metadata,
    records_inside,
    stream_of,
    walk,
)
from sensor_host.schemas import RECORDING_SCHEMA

CHUNK_S = 10.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was saved: messages written, damaged places, bytes passed over, arrivals that are known to be missing."""

    messages: int
    damaged_places: int
    skipped_bytes: int
    missing_arrivals: int
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Saved:
    """Everything that could be read, without the order of the file's pieces."""

    schemas: dict[int, mcap_records.Schema] = field(default_factory=dict[int, mcap_records.Schema])
    channels: dict[int, mcap_records.Channel] = field(default_factory=dict[int, mcap_records.Channel])
    metadata: list[mcap_records.Metadata] = field(default_factory=list[mcap_records.Metadata])
    attachments: list[mcap_records.Attachment] = field(default_factory=list[mcap_records.Attachment])
    messages: list[mcap_records.Message] = field(default_factory=list[mcap_records.Message])
    damaged_places: int = 0
    skipped_bytes: int = 0


def recover(path: Path, out: Path) -> Recovery:
    """Write a clean recording of everything that can be read of ``path``, whatever happened to it.

    Raises
    ------
    InputError
        When nothing can be saved.
    OutputError
        When ``out`` is there already or cannot be written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
    saved = _salvage(data)
    if not any(layout.is_ours(channel.topic) for channel in saved.channels.values()):
        raise InputError(f"{path}: nothing of a recording can be found in it", path=str(path))
    notes = _mend(saved)
    numbers = {message.sequence for message in saved.messages if saved.channels[message.channel_id].topic != "/clock"}
    missing = max(numbers) + 1 - len(numbers) if numbers else 0
    facts = {"missing_arrivals": str(missing), "damaged_places": str(saved.damaged_places), "of": path.name}
    saved.metadata.append(mcap_records.Metadata(layout.RECOVERY, facts))
    _write(saved, saved.messages, out, CHUNK_S)
    return Recovery(len(saved.messages), saved.damaged_places, saved.skipped_bytes, missing, tuple(notes))


def rechunk(path: Path, chunk_s: float) -> None:
    """Put a finished recording into longer chunks, in place; where that fails, it stays as it is."""
    longer = path.with_name(f".{path.name}.part")
    try:
        longer.unlink(missing_ok=True)
        view = memoryview(path.read_bytes())
        head = _Saved()
        chunks: list[Record] = []
        for record in walk(view):
            if record.opcode == CHUNK:
                chunks.append(record)
            else:
                _take(view, record, head)
        _write(head, (message for chunk in chunks for message in _messages(open_chunk(view, chunk))), longer, chunk_s)
        os.replace(longer, path)  # noqa: PTH105
    except (OSError, OutputError, DamageError, *PARSE_ERRORS):
        with suppress(OSError):
            longer.unlink(missing_ok=True)


def _salvage(data: bytes) -> _Saved:
    """Read all records that are whole; behind damage go on at the next chunk."""
    saved = _Saved()
    view = memoryview(data)
    offset = len(MAGIC) if data.startswith(MAGIC) else find_chunk(data, 0)
    # a record whose length is wrong may have swallowed others: the search begins behind what is known to be right
    trusted = 0
    tried: set[int] = set()
    while 0 <= offset < len(data):
        try:
            for record in walk(view, offset):
                offset = record.offset - RECORD_HEAD.size
                tried.add(offset)
                _take(view, record, saved)
                offset = record.end
                if record.opcode == CHUNK:
                    trusted = offset
            break
        except (DamageError, *PARSE_ERRORS):
            tried.add(offset)
            behind = find_chunk(data, trusted)
            while behind in tried:
                behind = find_chunk(data, behind + 1)
            saved.damaged_places += behind >= 0
            saved.skipped_bytes += max(0, (behind if behind >= 0 else len(data)) - offset)
            offset = behind
    saved.messages = [message for message in saved.messages if message.channel_id in saved.channels]
    saved.messages.sort(key=lambda message: message.sequence)
    return saved


def _take(view: memoryview, record: Record, saved: _Saved) -> None:
    if record.opcode == SCHEMA:
        schema = mcap_records.Schema.read(stream_of(view, record))
        saved.schemas.setdefault(schema.id, schema)
    elif record.opcode == CHANNEL:
        channel = mcap_records.Channel.read(stream_of(view, record))
        saved.channels.setdefault(channel.id, channel)
    elif record.opcode == METADATA:
        saved.metadata.append(read_metadata(view, record))
    elif record.opcode == ATTACHMENT:
        saved.attachments.append(read_attachment(view, record))
    elif record.opcode == CHUNK:
        _take_chunk(open_chunk(view, record), saved)


def _take_chunk(inside: bytes, saved: _Saved) -> None:
    """Take what a chunk holds; its checksum was right, so what it says of channels counts for more."""
    for part in records_inside(inside):
        if part.opcode == SCHEMA:
            schema = mcap_records.Schema.read(stream_of(inside, part))
            saved.schemas[schema.id] = schema
        elif part.opcode == CHANNEL:
            channel = mcap_records.Channel.read(stream_of(inside, part))
            saved.channels[channel.id] = channel
    saved.messages += _messages(inside)


def _messages(inside: bytes) -> Iterator[mcap_records.Message]:
    for part in records_inside(inside):
        if part.opcode == MESSAGE:
            channel, number, log_ns, publish_ns = MESSAGE_HEAD.unpack_from(inside, part.offset)
            data = inside[part.offset + MESSAGE_HEAD.size : part.end]
            yield mcap_records.Message(channel, log_ns, data, publish_ns, number)


def _mend(saved: _Saved) -> list[str]:
    """Rebuild what the head said, from the channels, where the head itself is gone; say so."""
    names = {metadata.name for metadata in saved.metadata}
    notes: list[str] = []
    roles = {metadata.metadata.get("role") for metadata in saved.metadata if metadata.name == layout.DEVICE}
    for channel in saved.channels.values():
        device: dict[str, str] = {}
        with suppress(ValueError):
            device = layout.unseal(layout.DEVICE, channel.metadata)
        if device.get("role") and device["role"] not in roles:
            roles.add(device["role"])
            saved.metadata.append(mcap_records.Metadata(layout.DEVICE, device))
            notes.append(f"what is known of the sensor {device['role']} was taken from its channel")
    if layout.SESSION not in names:
        start_s = min((message.log_time for message in saved.messages), default=0) * 1e-9
        session = SessionInfo("recovered", "", Mode.LIVE, datetime.fromtimestamp(start_s, UTC).isoformat(), 0, ())
        for name, values in layout.session_metadata(session):
            saved.metadata.append(mcap_records.Metadata(name, values))
        notes.append("the session's head was lost: runner and configuration are unknown")
    elif layout.VERSIONS not in names:
        saved.metadata.append(mcap_records.Metadata(layout.VERSIONS, {"recording_schema": RECORDING_SCHEMA}))
        notes.append("the versions were lost")
    return notes


def _write(saved: _Saved, messages: Iterable[mcap_records.Message], path: Path, chunk_s: float) -> None:
    output = OutputFile(path)
    try:
        writer = start_mcap(output)
        schemas: dict[int, mcap_records.Schema] = {}
        channels: dict[int, int] = {}
        for channel in sorted(saved.channels.values(), key=lambda channel: channel.id):
            schema = saved.schemas.get(channel.schema_id)
            if schema is not None and schema.id not in schemas:
                schemas[schema.id] = register_schema(writer, schema.name, schema.encoding, schema.data)
            channels[channel.id] = register_channel(
                writer,
                output,
                channel.topic,
                channel.message_encoding,
                schemas.get(channel.schema_id),
                channel.metadata,
            )
        for metadata in saved.metadata:
            writer.add_metadata(metadata.name, layout.seal(metadata.metadata))
        for attachment in saved.attachments:
            writer.add_attachment(
                attachment.create_time, attachment.log_time, attachment.name, attachment.media_type, attachment.data
            )
        chunk_end_ns = 0
        for message in messages:
            if message.log_time >= chunk_end_ns:
                writer.flush()
                chunk_end_ns = message.log_time + round(chunk_s * 1e9)
            writer.add_message(
                channels[message.channel_id], message.log_time, message.data, message.publish_time, message.sequence
            )
        writer.finish()
        output.sync()
    finally:
        output.close()
