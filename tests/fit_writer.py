"""A FIT file as a watch writes it, from the published layout: header, one file_id, a record a second, checksums."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

# seconds from 1970 to FIT's own beginning, 31 December 1989
FIT_EPOCH_S = 631065600

# name: (number of the field in a record, base type, struct code, scale)
FIELDS = {
    "timestamp": (253, 0x86, "I", 1),
    "heart_rate": (3, 0x02, "B", 1),
    "cadence": (4, 0x02, "B", 1),
    "speed": (6, 0x84, "H", 1000),
    "vertical_oscillation": (39, 0x84, "H", 10),
    "stance_time": (41, 0x84, "H", 10),
    "fractional_cadence": (53, 0x02, "B", 128),
    "enhanced_speed": (73, 0x86, "I", 1000),
    "step_length": (85, 0x84, "H", 10),
}
INVALID = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF}

_CRC = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
)  # fmt: skip


def checksum(data: bytes) -> int:
    crc = 0
    for byte in data:
        for half in (byte & 0xF, byte >> 4):
            crc = (crc >> 4) ^ _CRC[crc & 0xF] ^ _CRC[half]
    return crc


def definition(local: int, message: int, fields: Sequence[tuple[int, int, str]]) -> bytes:
    head = struct.pack("<BBBHB", 0x40 | local, 0, 0, message, len(fields))
    return head + b"".join(bytes((number, struct.calcsize(code), base)) for number, base, code in fields)


def fit_file(records: Sequence[Mapping[str, float | None]], *, manufacturer: int = 1, product: int = 3589) -> bytes:
    """Return a FIT file; ``timestamp`` of a record in seconds since 1970, None where it says nothing."""
    body = definition(0, 0, [(0, 0x00, "B"), (1, 0x84, "H"), (2, 0x84, "H"), (4, 0x86, "I")])
    created = int(float(records[0]["timestamp"] or 0)) - FIT_EPOCH_S if records else 0
    body += struct.pack("<BBHHI", 0, 4, manufacturer, product, created)
    if records:
        names = [name for name in FIELDS if name in records[0]]
        layout = [FIELDS[name] for name in names]
        body += definition(1, 20, [(number, base, code) for number, base, code, _ in layout])
        for record in records:
            body += b"\x01"
            for name, (_, _, code, scale) in zip(names, layout, strict=True):
                value = record[name]
                if value is None:
                    body += struct.pack(f"<{code}", INVALID[code])
                else:
                    offset = FIT_EPOCH_S if name == "timestamp" else 0
                    body += struct.pack(f"<{code}", round(value * scale) - offset)
    head = struct.pack("<BBHI4s", 14, 0x20, 2141, len(body), b".FIT")
    head += struct.pack("<H", checksum(head))
    return head + body + struct.pack("<H", checksum(head + body))
