"""Messages as ROS 2 writes them (CDR, little-endian), so that generic MCAP readers understand a recording.

A message type is its ros2msg text; its fields are encoded in that order. Primitive values are aligned to their size,
counted from behind the 4-byte encapsulation header (OMG CDR, plain encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pelvis.data import Array

Value: TypeAlias = "float | int | bool | str | bytes | Sequence[float] | Array"

HEADER = b"\x00\x01\x00\x00"

_FORMATS = {"float64": ("<d", 8), "int64": ("<q", 8), "bool": ("<?", 1)}


class MessageType:
    """One kind of message: its name and its ros2msg text, one ``type name`` a line, ``#`` comments allowed."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        self.fields = [(kind, field) for kind, field in (line for line in lines if line)]

    def encode(self, *values: Value) -> bytes:
        """Return the message; one value for each field, in order."""
        buffer = bytearray(HEADER)
        for (kind, _), value in zip(self.fields, values, strict=True):
            _append(buffer, kind, value)
        return bytes(buffer)

    def decode(self, data: bytes) -> list[Value]:
        """Return the values of the fields, in order; arrays of float64 as NumPy arrays of their own.

        Raises
        ------
        ValueError
            When the bytes are no such message.
        """
        if data[:4] != HEADER:
            raise ValueError(f"{self.name}: not little-endian CDR")
        offset = len(HEADER)
        values: list[Value] = []
        try:
            for kind, _ in self.fields:
                value, offset = _take(data, offset, kind)
                values.append(value)
        except struct.error as error:
            raise ValueError(f"{self.name}: ends too early") from error
        return values


def _aligned(offset: int, size: int) -> int:
    return offset + -(offset - len(HEADER)) % size


def _append(buffer: bytearray, kind: str, value: Value) -> None:
    if kind in _FORMATS:
        form, size = _FORMATS[kind]
        buffer.extend(bytes(_aligned(len(buffer), size) - len(buffer)))
        buffer += struct.pack(form, value)
        return
    buffer.extend(bytes(_aligned(len(buffer), 4) - len(buffer)))
    if kind == "string":
        assert isinstance(value, str)
        encoded = value.encode() + b"\0"
        buffer += struct.pack("<I", len(encoded)) + encoded
    elif kind == "uint8[]":
        assert isinstance(value, bytes)
        buffer += struct.pack("<I", len(value)) + value
    else:
        assert kind == "float64[]", kind
        numbers = np.asarray(value, np.float64).reshape(-1)
        buffer += struct.pack("<I", len(numbers))
        if len(numbers):
            buffer.extend(bytes(_aligned(len(buffer), 8) - len(buffer)))
            buffer += numbers.astype("<f8").tobytes()


def _take(data: bytes, offset: int, kind: str) -> tuple[Value, int]:
    if kind in _FORMATS:
        form, size = _FORMATS[kind]
        offset = _aligned(offset, size)
        return struct.unpack_from(form, data, offset)[0], offset + size
    offset = _aligned(offset, 4)
    count: int = struct.unpack_from("<I", data, offset)[0]
    offset += 4
    if kind == "float64[]":
        offset = _aligned(offset, 8) if count else offset
        end = offset + 8 * count
        if end > len(data):
            raise ValueError("an array ends too early")
        return np.frombuffer(data, "<f8", count, offset).astype(np.float64), end
    end = offset + count
    if end > len(data):
        raise ValueError("a string or array ends too early")
    if kind == "string":
        return data[offset : end - 1].decode(), end
    return data[offset:end], end
