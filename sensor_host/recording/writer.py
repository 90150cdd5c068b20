"""Writing a recording: one chunk a second while it runs, ten seconds a chunk once it is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from mcap.records import Schema

from sensor_host.boards import BOARDS
from sensor_host.errors import OutputError
from sensor_host.ports import Arrival, Notification, SessionInfo
from sensor_host.recording import layout
from sensor_host.recording.cdr import MessageType
from sensor_host.recording.output import OutputFile, register_channel, register_schema, start_mcap

FLUSH_S = 1.0
FINISHED_CHUNK_S = 10.0

# re-chunking reads and writes the whole file: 3 hours take about 2 s, more is left as it is
RECHUNK_AT_MOST_BYTES = 40_000_000


class RecordingWriter:
    """Writes arrivals into a new file, in the order in which they are given.

    Parameters
    ----------
    path
        The file; its folder is made when it is not there. It must not exist yet.
    session
        Who and what; goes into the head of the file.
    config, profile
        The resolved configuration and the runner's profile as they are, attached verbatim; empty means none.
    flush_s
        How much time of the arrivals' own clock is held back at most; None leaves it to the caller to `flush`.
    anchor_host_s
        The host's clock at ``session.start_utc``; without it, the time of the first arrival.
    metadata
        More metadata records, by name.
    config_type, profile_type
        Media types of the attachments.

    Raises
    ------
    OutputError
        Here and from every method, when the file cannot be written. What was written before stays readable.
    """

    def __init__(
        self,
        path: Path,
        session: SessionInfo,
        config: bytes = b"",
        profile: bytes = b"",
        *,
        flush_s: float | None = FLUSH_S,
        anchor_host_s: float | None = None,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
        config_type: str = "application/toml",
        profile_type: str = "application/toml",
    ) -> None:
        self.path = path
        self._flush_s = flush_s
        self._flushed_host_s: float | None = None
        self._start_ns = _utc_ns(session.start_utc)
        self._anchor_host_s: float | None = None
        self._number = 0
        self._closed = False
        self._output = OutputFile(path)
        self._writer = start_mcap(self._output)
        self._schemas: dict[str, Schema] = {}
        self._channels: dict[str, int] = {}
        sensors = {sensor.role: sensor for sensor in session.sensors}
        for topic, kind in layout.channel_types(session).items():
            sensor = sensors.get(topic[1:].rpartition("/")[0])
            self._add_channel(topic, kind, layout.seal(layout.device_metadata(sensor)) if sensor else {})
        # by role: channel, and how to read the device's clock out of a notification
        self._raw = {
            role: (self._channels[f"/{role}{layout.RAW_SUFFIX}"], _device_clock(sensor.board))
            for role, sensor in sensors.items()
        }
        for name, values in [*layout.session_metadata(session), *(metadata or {}).items()]:
            self._writer.add_metadata(name, layout.seal(values))
        for name, media_type, data in ((layout.CONFIG, config_type, config), (layout.PROFILE, profile_type, profile)):
            if data:
                self._writer.add_attachment(self._start_ns, self._start_ns, name, media_type, data)
        if anchor_host_s is not None:
            self._set_anchor(anchor_host_s)
        try:
            self._writer.flush()
        except OutputError:
            self._output.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OutputError):
            self.abandon()
        else:
            self.close()

    def write(self, arrival: Arrival) -> None:
        """Add an arrival."""
        t_host_s = arrival.t_host_s
        if self._anchor_host_s is None:
            self._set_anchor(t_host_s)
        log_ns = publish_ns = self._log_ns(t_host_s)
        raw = self._raw.get(arrival.role) if isinstance(arrival, Notification) else None
        if raw is not None and isinstance(arrival, Notification):
            channel, device_clock = raw
            message = layout.encode_notification(t_host_s, arrival.data)
            device_us = device_clock(arrival.data) if device_clock else None
            if device_us is not None:
                publish_ns = device_us * 1000
        else:
            topic, message = layout.encode(arrival)
            if topic not in self._channels:
                self._add_channel(topic, layout.type_of(topic), {})
            channel = self._channels[topic]
        # the sequence is the arrival's number in the session: the order is kept whatever a later tool does to the file
        self._writer.add_message(channel, log_ns, message, publish_ns, self._number)
        self._number += 1
        if self._flushed_host_s is None:
            self._flushed_host_s = t_host_s
        elif self._flush_s is not None and t_host_s - self._flushed_host_s >= self._flush_s:
            self.flush()
            self._flushed_host_s = t_host_s

    def write_clock(self, t_host_s: float, utc_ns: int) -> None:
        """Note that the wall clock showed ``utc_ns`` when the host's clock showed ``t_host_s``."""
        log_ns = self._log_ns(t_host_s)
        message = layout.CLOCK.encode(t_host_s, utc_ns)
        self._writer.add_message(self._channels["/clock"], log_ns, message, log_ns, self._number)

    def flush(self) -> None:
        """Hand everything to the operating system: a killed process loses nothing of it."""
        self._output.check()
        self._writer.flush()

    def sync(self) -> None:
        """Do as `flush`, and have the disk keep it: a power cut loses nothing of it."""
        self.flush()
        self._output.sync()

    def close(self) -> None:
        """Finish the file with its index and, where that is quick, put it into longer chunks."""
        if self._closed:
            return
        self._closed = True
        try:
            self._output.check()
            self._writer.finish()
            self._output.sync()
        finally:
            self._output.close()
        short_chunks = self._flush_s is None or self._flush_s < FINISHED_CHUNK_S
        if short_chunks and self._output.tell() <= RECHUNK_AT_MOST_BYTES:
            from sensor_host.recording.salvage import rechunk

            rechunk(self.path, FINISHED_CHUNK_S)

    def abandon(self) -> None:
        """Leave the file as it is, unfinished but readable."""
        self._closed = True
        self._output.close()

    def _add_channel(self, topic: str, kind: MessageType, metadata: dict[str, str]) -> None:
        if kind.name not in self._schemas:
            self._schemas[kind.name] = register_schema(self._writer, kind.name, "ros2msg", kind.text.encode())
        self._channels[topic] = register_channel(
            self._writer, self._output, topic, "cdr", self._schemas[kind.name], metadata
        )

    def _set_anchor(self, t_host_s: float) -> None:
        self._anchor_host_s = t_host_s
        self.write_clock(t_host_s, self._start_ns)

    def _log_ns(self, t_host_s: float) -> int:
        since_s = t_host_s - self._anchor_host_s if self._anchor_host_s is not None else 0.0
        return max(0, self._start_ns + round(since_s * 1e9))


def _device_clock(board_key: str) -> Callable[[bytes], int | None] | None:
    board = BOARDS.get(board_key)
    return board.motion.device_time_us if board and board.motion else None


def _utc_ns(text: str) -> int:
    """Return nanoseconds since 1970 of an ISO 8601 time; a time without zone is UTC, an unreadable one 0."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
