"""What the host knows about a kind of sensor, and what its codec gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array
from sensor_host.errors import DecodeError


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """What a run of notifications held: one row per good packet, the samples of all packets one after the other.

    ``position`` (p,) which notification a packet was; ``stream`` (p,) the device's count of starts; ``index`` (p,)
    counter of the first sample as sent, wrapping; ``device_us`` (p,) the device's clock at the first sample as sent,
    wrapping; ``samples`` (p,) how many samples each packet holds; ``overrun``, ``first`` (since its start) and
    ``clipped`` (p,) what the device said, or the samples showed, of it; ``acc_mps2`` and ``gyr_radps`` (n, 3) in the
    sensor frame. ``bad`` names the positions that made no sense, and why. ``rates`` says from which packet on the
    device announced a nominal rate.
    """

    position: NDArray[np.int64]
    stream: NDArray[np.int64]
    index: NDArray[np.int64]
    device_us: NDArray[np.int64]
    samples: NDArray[np.int64]
    overrun: NDArray[np.bool_]
    first: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    acc_mps2: Array
    gyr_radps: Array
    bad: tuple[tuple[int, DecodeError], ...]
    rates: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True, eq=False)
class Packet:
    """What one good packet held: a row of `Packets`, and its samples."""

    stream: int
    index: int
    device_us: int
    samples: int
    overrun: bool
    first: bool
    clipped: bool
    acc_mps2: Array
    gyr_radps: Array


class MotionDecoder(Protocol):
    """Turns notifications into packets; remembers what the device said of itself (its scales, its rate)."""

    def decode_one(self, data: bytes) -> Packet | None:
        """Decode a live run's usual portion as `decode` does, or return None where it is no good packet."""
        ...

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        """Decode a run of notifications; never raises for what is in them."""
        ...


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """A notification as the device sends it, complete at ``t_last_s``, the time of its last sample on the device."""

    data: bytes
    t_first_s: float
    t_last_s: float


class MotionEncoder(Protocol):
    """Turns measured samples into the very bytes the device would send."""

    def opening(self) -> bytes:
        """Return what the device says of itself before the first packet; empty when it says nothing."""
        ...

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        """Take samples and return the packets that became full."""
        ...

    def flush(self) -> list[EncodedPacket]:
        """Return what is left as a last, shorter packet."""
        ...


@dataclass(frozen=True, slots=True)
class HeartRateReading:
    """One heart-rate measurement; ``rr_s`` the beat intervals it carried."""

    heart_rate_bpm: float
    rr_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Motion:
    """The codec of an inertial sensor.

    ``is_opening`` tells a notification that describes the stream from one that carries samples; a replay that starts
    in the middle needs it. ``device_time_us`` reads the device's clock out of a packet, None where there is none.
    ``new_encoder`` takes the nominal rate. ``index_wrap`` and ``device_wrap_us`` are where its counters start again.
    """

    rate_hz: float
    acc_range_mps2: float
    gyr_range_radps: float
    samples_per_notification: int
    index_wrap: int
    device_wrap_us: int
    new_decoder: Callable[[], MotionDecoder]
    new_encoder: Callable[[float], MotionEncoder]
    is_opening: Callable[[bytes], bool]
    device_time_us: Callable[[bytes], int | None]


@dataclass(frozen=True, slots=True)
class HeartRateCodec:
    """The codec of a heart-rate sensor. ``decode`` raises `DecodeError`."""

    decode: Callable[[bytes], HeartRateReading]


@dataclass(frozen=True, slots=True)
class Gatt:
    """Where a sensor's data is found over the radio, and what starts and stops it.

    ``info_uuid`` is read once after connecting and handed on as the first notification, so that the recording
    describes itself; ``start`` is written to ``control_uuid`` after subscribing, ``stop`` before leaving.
    Empty means: there is none.
    """

    service_uuid: str
    notify_uuid: str
    control_uuid: str = ""
    info_uuid: str = ""
    start: bytes = b""
    stop: bytes = b""
    mtu: int = 247


@dataclass(frozen=True, slots=True)
class Board:
    """One kind of sensor: what users call it, how it is reached, how its bytes are read."""

    key: str
    title: str
    kind: Literal["motion", "heart_rate"]
    name_prefix: str
    gatt: Gatt
    motion: Motion | None = None
    heart_rate: HeartRateCodec | None = None
