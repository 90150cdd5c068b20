"""The standard Heart Rate service (0x180D): a strap beside the clip.

Heart Rate Measurement, 0x2A37, as the Bluetooth SIG's Heart Rate Service 1.0 lays it out: flags, heart rate (u8 or
u16), energy expended (u16, if flagged), beat intervals (u16 each, 1/1024 s, if flagged).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sensor_host.boards.board import Board, Characteristic, Gatt, HeartRateCodec, HeartRateReading, SetUp, Subscribe
from sensor_host.errors import DecodeError

_WIDE, _ENERGY, _INTERVALS = 0x01, 0x08, 0x10
_INTERVALS_PER_S = 1024.0


def decode(data: bytes) -> HeartRateReading:
    """Read one measurement.

    Raises
    ------
    DecodeError
        When it ends too early or does not end where it should.
    """
    try:
        flags = data[0]
        offset = 3 if flags & _WIDE else 2
        bpm: int = struct.unpack_from("<H", data, 1)[0] if flags & _WIDE else data[1]
    except (IndexError, struct.error):
        raise DecodeError(f"heart rate: {len(data)} bytes are too few", kind="truncated") from None
    offset += 2 if flags & _ENERGY else 0
    rest = len(data) - offset
    if rest < 0 or rest % 2:
        raise DecodeError(f"heart rate: {len(data)} bytes end inside a field", kind="truncated")
    if rest and not flags & _INTERVALS:
        raise DecodeError(f"heart rate: {rest} bytes more than its flags announce", kind="foreign")
    intervals: tuple[int, ...] = struct.unpack_from(f"<{rest // 2}H", data, offset)
    return HeartRateReading(float(bpm), tuple(interval / _INTERVALS_PER_S for interval in intervals))


def encode(heart_rate_bpm: int, rr_s: Sequence[float] = ()) -> bytes:
    """Return the notification a strap would send."""
    flags = (_WIDE if heart_rate_bpm > 0xFF else 0) | (_INTERVALS if rr_s else 0)
    head = struct.pack("<BH" if flags & _WIDE else "<BB", flags, heart_rate_bpm)
    return head + b"".join(struct.pack("<H", min(0xFFFF, round(rr * _INTERVALS_PER_S))) for rr in rr_s)


SERVICE_UUID = "0000180d-0000-1000-8000-00805f9b34fb"
MEASUREMENT_UUID = "00002a37-0000-1000-8000-00805f9b34fb"


def set_up() -> SetUp:
    """Subscribe: a strap that is worn measures and sends by itself."""
    yield Subscribe(MEASUREMENT_UUID)
    return ""


HEART_RATE = Board(
    key="heart_rate",
    title="Bluetooth heart-rate strap (0x180D)",
    kind="heart_rate",
    advertised=(SERVICE_UUID,),
    name_prefixes=(),
    gatt=Gatt(SERVICE_UUID, MEASUREMENT_UUID, (Characteristic(MEASUREMENT_UUID, ("notify",)),)),
    set_up=set_up,
    heart_rate=HeartRateCodec(decode),
)
