"""A new MCAP file that stays readable whatever happens to the writer, the disk or the program."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from mcap.data_stream import RecordBuilder
from mcap.records import Channel, Schema
from mcap.writer import Writer

from sensor_host.errors import OutputError


class OutputFile:
    """What `mcap.writer.Writer` writes to: collects, and hands whole records to the operating system on `flush`.

    After a failed write the file is cut back to what was whole before, and every further call fails in the same words.

    Raises
    ------
    OutputError
        When the file cannot be made or written, or is there already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[bytes] = []
        self._offset = 0
        self._written = 0
        self._error: OutputError | None = None
        try:
            if path.exists():
                raise OutputError(f"{path}: is there already; move it away or choose another name", path=str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}", path=str(path)) from error

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; nothing is written before `flush`."""
        if len(data):
            self._pending.append(bytes(data))
            self._offset += len(data)
        return len(data)

    def tell(self) -> int:
        return self._offset

    def flush(self) -> None:
        """Write what is pending."""
        self.check()
        if not self._pending:
            return
        data = memoryview(b"".join(self._pending))
        self._pending.clear()
        try:
            done = 0
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        except OSError as error:
            self._fail(error)
        self._written += len(data)

    def sync(self) -> None:
        """Write what is pending and have the disk keep it."""
        self.flush()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self._fail(error)

    def check(self) -> None:
        """Raise what went wrong before."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Let go of the file; what is pending and was not flushed is dropped."""
        self._pending.clear()
        try:
            self._file.close()
        except OSError as error:  # some file systems report a full disk only here
            if self._error is None:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._error = OutputError(
            f"{self.path}: cannot be written any more: {error.strerror}; what was recorded before is kept",
            path=str(self.path),
        )
        with suppress(OSError):  # the end is then ragged, which readers cope with
            self._file.truncate(self._written)
        raise self._error from error


def start_mcap(output: OutputFile) -> Writer:
    """Return a started MCAP writer on ``output`` that ends a chunk only when it is told to."""
    writer = Writer(cast("IO[bytes]", output), chunk_size=1 << 30)
    writer.start(profile="hipdrive", library="hipdrive")
    return writer


def register_channel(
    writer: Writer, output: OutputFile, topic: str, encoding: str, schema: Schema | None, metadata: dict[str, str]
) -> int:
    """Register a channel, and write it beside the chunks as well: a damaged first chunk must not take it along.

    ``schema`` comes from `register_schema`.
    """
    channel_id = writer.register_channel(topic, encoding, schema.id if schema else 0, metadata)
    builder = RecordBuilder()
    if schema is not None:
        schema.write(builder)
    Channel(channel_id, topic, encoding, metadata, schema.id if schema else 0).write(builder)
    output.write(builder.end())
    return channel_id


def register_schema(writer: Writer, name: str, encoding: str, data: bytes) -> Schema:
    """Register a schema."""
    return Schema(id=writer.register_schema(name, encoding, data), data=data, encoding=encoding, name=name)
