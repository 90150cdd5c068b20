"""The standard heart-rate measurement, by the Bluetooth SIG's layout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_host.boards.board import AttError, HeartRateReading, converse
from sensor_host.boards.heart_rate import HEART_RATE, MEASUREMENT_UUID, StrapDevice, decode, encode
from sensor_host.errors import DecodeError


def read(data: bytes) -> HeartRateReading:
    reading = decode(data)
    assert reading is not None
    return reading


def test_one_byte_heart_rate_without_intervals() -> None:
    reading = read(bytes([0x00, 72]))
    assert reading.heart_rate_bpm == 72.0
    assert reading.rr_s == ()


def test_two_byte_heart_rate_with_energy_and_two_intervals() -> None:
    """Flags 0x19: u16 rate, energy, intervals; 0x0100 bpm, 2 kJ, 1024/1024 s and 512/1024 s."""
    reading = read(bytes.fromhex("19" + "0001" + "0200" + "0004" + "0002"))
    assert reading.heart_rate_bpm == 256.0
    assert reading.rr_s == (1.0, 0.5)


@pytest.mark.parametrize(("contact", "worn"), [(0b00, True), (0b01, True), (0b10, False), (0b11, True)])
def test_a_strap_that_says_it_has_no_skin_contact_gives_no_heart_rate(contact: int, worn: bool) -> None:
    """Bit 2 of the flags: it can tell; bit 1: it has contact, which says nothing where it cannot tell."""
    reading = decode(bytes([0x10 | contact << 1, 72]) + bytes.fromhex("0004"))
    assert (reading is not None) is worn
    if reading is not None:
        assert reading.rr_s == (1.0,)


def test_a_heart_rate_of_zero_is_none() -> None:
    assert decode(b"\x00\x00") is None


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
def test_any_bytes_give_a_reading_nothing_or_a_decode_error(data: bytes) -> None:
    try:
        reading = decode(data)
    except DecodeError:
        return
    assert reading is None or 1 <= reading.heart_rate_bpm <= 65535


@given(
    st.integers(1, 65535),
    st.lists(st.floats(0.2, 3.0), max_size=8),
    st.none() | st.integers(0, 100_000),
    st.sampled_from([None, True]),
)
def test_what_is_encoded_comes_back(
    bpm: int, intervals: list[float], energy_kj: int | None, contact: bool | None
) -> None:
    reading = read(encode(bpm, intervals, energy_kj=energy_kj, contact=contact))
    assert reading.heart_rate_bpm == bpm
    assert reading.rr_s == pytest.approx(intervals, abs=0.5 / 1024)


# ---------------------------------------------------------------- a strap


def test_a_strap_sends_what_the_service_says() -> None:
    """Flags 0x1e: contact can be told and is there, energy, intervals; 150 bpm, 18 kJ, 0.4 s = 410/1024."""
    strap = StrapDevice()
    assert converse(HEART_RATE, strap) == []
    assert strap.streaming
    assert strap.encode(150.4, [0.4], energy_kj=18) == [bytes.fromhex("1e" + "96" + "1200" + "9a01")]
    assert strap.encode(0.0) == [bytes.fromhex("04" + "00")]
    assert decode(strap.encode(0.0)[0]) is None


@pytest.mark.parametrize(("mtu", "parts"), [(23, [9, 9, 2]), (247, [20])])
def test_intervals_that_do_not_fit_into_one_notification_come_in_several(mtu: int, parts: list[int]) -> None:
    strap = StrapDevice()
    strap.mtu = mtu
    sent = strap.encode(180.0, [1 / 3] * 20)
    assert all(len(data) <= mtu - 3 for data in sent)
    assert [len(read(data).rr_s) for data in sent] == parts


def test_a_strap_has_nothing_to_read_or_write() -> None:
    strap = StrapDevice()
    with pytest.raises(AttError):
        strap.read(MEASUREMENT_UUID)
    with pytest.raises(AttError):
        strap.write(MEASUREMENT_UUID, b"\x01")
