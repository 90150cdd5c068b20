"""What was measured of sound devices: how late what they play is heard. One JSON file in the user's data folder."""

from __future__ import annotations

import shutil
import subprocess
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sensor_host import kept_file, places
from sensor_host.config import SoundConfig
from sensor_host.player.children import ask
from sensor_host.player.output import PROBE_TIMEOUT_S

SOUND_SCHEMA = 1

# what the player calls the device it was not told the name of
DEFAULT = "default"


class DeviceLatency(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How late one device is heard, with its standard error; ``device`` by its own name."""

    device: str
    latency_ms: float
    error_ms: float
    measured_utc: str


class DeviceLatencies(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that was measured."""

    schema: Annotated[int, Meta(ge=1)] = SOUND_SCHEMA
    devices: tuple[DeviceLatency, ...] = ()

    def of(self, device: str) -> DeviceLatency | None:
        """Return what was measured of a device."""
        return next((one for one in self.devices if one.device == device), None)

    def measured(self, latency: DeviceLatency) -> DeviceLatencies:
        """Return this with a measurement, in place of an earlier one of the same device."""
        rest = tuple(one for one in self.devices if one.device != latency.device)
        return msgspec.structs.replace(self, devices=(*rest, latency))


def name_of(device: str) -> str:
    """Return which device is meant by "default" now, where PulseAudio or PipeWire tells; any other as it is."""
    ask_server = shutil.which("pactl") if device == DEFAULT else None
    if ask_server is None:
        return device
    try:
        done = ask([ask_server, "get-default-sink"], PROBE_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return device
    name = done.stdout.decode(errors="replace").strip()
    return name if done.returncode == 0 and name else device


def latency_s(config: SoundConfig, device: str) -> float:
    """Return how late the device, as the player names it, is heard: as configured, else as measured, else 0 (unknown).

    Raises
    ------
    InputError
        What was measured cannot be read.
    """
    if config.latency_ms > 0:
        return config.latency_ms / 1000.0
    found = load().of(name_of(device))
    return found.latency_ms / 1000.0 if found is not None else 0.0


def load() -> DeviceLatencies:
    """Return what was measured; nothing where there is no file.

    Raises
    ------
    InputError
        When the file is damaged, newer than this program, or cannot be read.
    """
    return kept_file.load(places.sound_path(), DeviceLatencies, SOUND_SCHEMA, "delete it and measure again")


def save(latencies: DeviceLatencies) -> None:
    """Write down what was measured.

    Raises
    ------
    OutputError
        When the folder is read-only or the disk full; the old file is then untouched.
    """
    kept_file.save(places.sound_path(), latencies)
