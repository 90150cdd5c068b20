"""The standard Heart Rate service (0x180D): a strap beside the clip.

Heart Rate Measurement, 0x2A37, as the Bluetooth SIG's Heart Rate Service 1.0 lays it out: flags, heart rate (u8 or
u16), energy expended (u16 in kJ, if flagged), beat intervals (u16 each, 1/1024 s, if flagged). Two of the flags say
whether the strap can tell skin contact, and whether it has it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sensor_host.boards.board import (
    AttError,
    Board,
    Characteristic,
    Gatt,
    HeartRateCodec,
    HeartRateReading,
    SetUp,
    Subscribe,
)
from sensor_host.errors import DecodeError

_WIDE, _CONTACT, _TELLS_CONTACT, _ENERGY, _INTERVALS = 0x01, 0x02, 0x04, 0x08, 0x10
_INTERVALS_PER_S = 1024.0


def decode(data: bytes) -> HeartRateReading | None:
    """Read one measurement; None where the strap says that it has no skin contact, or no heart rate.

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
    if not bpm or flags & (_TELLS_CONTACT | _CONTACT) == _TELLS_CONTACT:
        return None
    return HeartRateReading(float(bpm), tuple(interval / _INTERVALS_PER_S for interval in intervals))


def encode(
    heart_rate_bpm: int, rr_s: Sequence[float] = (), *, energy_kj: int | None = None, contact: bool | None = None
) -> bytes:
    """Return the notification a strap would send; ``contact`` None: it cannot tell."""
    flags = (_WIDE if heart_rate_bpm > 0xFF else 0) | (_INTERVALS if rr_s else 0)
    flags |= (_ENERGY if energy_kj is not None else 0) | (_TELLS_CONTACT if contact is not None else 0)
    flags |= _CONTACT if contact else 0
    head = struct.pack("<BH" if flags & _WIDE else "<BB", flags, heart_rate_bpm)
    # beyond its range the field stays at its end, as the service says
    energy = struct.pack("<H", min(0xFFFF, energy_kj)) if energy_kj is not None else b""
    return head + energy + b"".join(struct.pack("<H", min(0xFFFF, round(rr * _INTERVALS_PER_S))) for rr in rr_s)


SERVICE_UUID = "0000180d-0000-1000-8000-00805f9b34fb"
MEASUREMENT_UUID = "00002a37-0000-1000-8000-00805f9b34fb"

_NOT_PERMITTED = 0x03


def set_up() -> SetUp:
    """Subscribe: a strap that is worn measures and sends by itself."""
    yield Subscribe(MEASUREMENT_UUID)
    return ""


class StrapDevice:
    """The device's side of a strap that is always worn and can tell skin contact."""

    def __init__(self) -> None:
        self.mtu = HEART_RATE.gatt.mtu

    @property
    def streaming(self) -> bool:
        return True  # whoever subscribes has it

    def read(self, uuid: str) -> bytes:  # noqa: ARG002 - none of it can be read
        raise AttError(_NOT_PERMITTED)

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - nor be written
        raise AttError(_NOT_PERMITTED)

    def disconnected(self) -> None:
        return

    def encode(self, heart_rate_bpm: float, rr_s: Sequence[float] = (), energy_kj: int | None = None) -> list[bytes]:
        bpm = round(heart_rate_bpm)
        head = len(encode(bpm, energy_kj=energy_kj))
        # intervals that do not fit come with the same heart rate again
        fits = (self.mtu - 3 - head) // 2
        parts = [rr_s[start : start + fits] for start in range(0, len(rr_s), fits)] or [rr_s]
        return [encode(bpm, part, energy_kj=energy_kj, contact=bpm > 0) for part in parts]


HEART_RATE = Board(
    key="heart_rate",
    title="Bluetooth heart-rate strap (0x180D)",
    kind="heart_rate",
    advertised=(SERVICE_UUID,),
    name_prefixes=(),
    gatt=Gatt(SERVICE_UUID, MEASUREMENT_UUID, (Characteristic(MEASUREMENT_UUID, ("notify",)),)),
    set_up=set_up,
    heart_rate=HeartRateCodec(decode, StrapDevice),
)
