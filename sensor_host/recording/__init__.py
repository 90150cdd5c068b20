"""Recordings: what arrived, as it came, in an MCAP file (docs/recording.md)."""

from __future__ import annotations

from sensor_host.recording.layout import RECORDING_SCHEMA
from sensor_host.recording.overview import RecordingInfo, info
from sensor_host.recording.reader import Batch, Recording, read
from sensor_host.recording.salvage import Recovery, recover
from sensor_host.recording.writer import RecordingWriter

__all__ = [
    "RECORDING_SCHEMA",
    "Batch",
    "Recording",
    "RecordingInfo",
    "RecordingWriter",
    "Recovery",
    "info",
    "read",
    "recover",
]
