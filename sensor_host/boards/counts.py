"""Packets of int16 counts whose number and time no device tells: what the boards of that kind share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array
from sensor_host.boards.board import Packet, Packets
from sensor_host.errors import DecodeError


@dataclass(slots=True)
class Found:
    """A packet that was found: the counts of its samples and what they are worth.

    ``position`` is the notification that made it complete; ``index`` counts the sample slots of its stream, those known
    to be lost included; ``acc`` and ``gyr`` are little-endian int16, x y z of each sample.
    """

    position: int
    stream: int
    index: int
    first: bool
    acc: bytes
    gyr: bytes
    acc_scale_mps2: float
    gyr_scale_radps: float


@dataclass(frozen=True, slots=True)
class Ends:
    """From which count on, to either side, a sensor has reached the end of its range."""

    acc: int = 32767
    gyr: int = 32767


def gather(
    found: Sequence[Found],
    ends: Ends,
    bad: Sequence[tuple[int, DecodeError]] = (),
    rates: Sequence[tuple[int, float]] = (),
) -> Packets:
    """Return the packets as one; element by element, so that their grouping changes no bit."""
    samples = np.fromiter((len(packet.acc) // 6 for packet in found), np.int64, len(found))
    acc = np.frombuffer(b"".join([packet.acc for packet in found]), "<i2").reshape(-1, 3)
    gyr = np.frombuffer(b"".join([packet.gyr for packet in found]), "<i2").reshape(-1, 3)
    return Packets(
        position=np.array([packet.position for packet in found], np.int64),
        stream=np.array([packet.stream for packet in found], np.int64),
        index=np.array([packet.index for packet in found], np.int64),
        device_us=np.zeros(len(found), np.int64),
        samples=samples,
        overrun=np.zeros(len(found), np.bool_),
        first=np.array([packet.first for packet in found], np.bool_),
        clipped=_any_per_packet(_at_end(acc, ends.acc) | _at_end(gyr, ends.gyr), samples),
        acc_mps2=_scaled(acc, [packet.acc_scale_mps2 for packet in found], samples),
        gyr_radps=_scaled(gyr, [packet.gyr_scale_radps for packet in found], samples),
        bad=tuple(bad),
        rates=tuple(rates),
    )


def alone(found: Found, ends: Ends) -> Packet:
    """Return one packet as `gather` would."""
    packets = gather([found], ends)
    return Packet(
        stream=found.stream,
        index=found.index,
        device_us=0,
        samples=len(packets.acc_mps2),
        overrun=False,
        first=found.first,
        clipped=bool(packets.clipped[0]),
        acc_mps2=packets.acc_mps2,
        gyr_radps=packets.gyr_radps,
    )


def _scaled(counts: NDArray[np.int16], scales: list[float], samples: NDArray[np.int64]) -> Array:
    # int16 is widened before it is scaled: int16 times int16 would overflow in silence
    return counts.astype(np.float64) * np.repeat(np.array(scales, np.float64), samples)[:, None]


def _at_end(counts: NDArray[np.int16], end: int) -> NDArray[np.bool_]:
    return np.asarray(((counts >= end) | (counts <= -end)).any(axis=1), np.bool_)


def _any_per_packet(which: NDArray[np.bool_], samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    result = np.zeros(len(samples), np.bool_)
    result[np.repeat(np.arange(len(samples)), samples)[which]] = True
    return result
