"""The standard heart-rate measurement, by the Bluetooth SIG's layout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_host.boards.heart_rate import decode, encode
from sensor_host.errors import DecodeError


def test_one_byte_heart_rate_without_intervals() -> None:
    reading = decode(bytes([0x00, 72]))
    assert reading.heart_rate_bpm == 72.0
    assert reading.rr_s == ()


def test_two_byte_heart_rate_with_energy_and_two_intervals() -> None:
    """Flags 0x19: u16 rate, energy, intervals; 0x0100 bpm, 2 kJ, 1024/1024 s and 512/1024 s."""
    reading = decode(bytes.fromhex("19" + "0001" + "0200" + "0004" + "0002"))
    assert reading.heart_rate_bpm == 256.0
    assert reading.rr_s == (1.0, 0.5)


def test_a_contact_bit_moves_nothing() -> None:
    assert decode(bytes.fromhex("16" + "48" + "0004")).rr_s == (1.0,)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "truncated"),
        (b"\x00", "truncated"),
        (b"\x01\x48", "truncated"),
        (b"\x08\x48\x01", "truncated"),
        (b"\x10\x48\x00", "truncated"),
        (b"\x00\x48\x00\x04", "foreign"),
    ],
)
def test_what_ends_too_early_or_too_late_is_refused(data: bytes, kind: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert caught.value.kind == kind


@given(st.binary(max_size=24))
def test_any_bytes_give_a_reading_or_a_decode_error(data: bytes) -> None:
    try:
        reading = decode(data)
    except DecodeError:
        return
    assert 0 <= reading.heart_rate_bpm <= 65535


@given(st.integers(0, 65535), st.lists(st.floats(0.2, 3.0), max_size=8))
def test_what_is_encoded_comes_back(bpm: int, intervals: list[float]) -> None:
    reading = decode(encode(bpm, intervals))
    assert reading.heart_rate_bpm == bpm
    assert reading.rr_s == pytest.approx(intervals, abs=0.5 / 1024)
