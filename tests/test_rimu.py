"""The reference board's bytes: the published vector, the profile's limits, and whatever else the air may bring."""

from __future__ import annotations

import struct
from math import radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS
from sensor_host.boards.board import AttError, converse
from sensor_host.boards.rimu import (
    ACC_CLIP,
    CONTROL_UUID,
    FIRST_PACKET,
    GYR_CLIP,
    INFO_UUID,
    OVERRUN,
    Info,
    RimuDecoder,
    RimuDevice,
    RimuEncoder,
    decode_info,
    encode_info,
    encode_packet,
    samples_at_mtu,
    start_command,
)
from sensor_host.errors import DecodeError

ACC_LSB_MPS2 = 0.488e-3 * STANDARD_GRAVITY_MPS2  # LSM6DS3TR-C data sheet, +-16 g
GYR_LSB_RADPS = radians(70e-3)  # the same, +-2000 dps

VECTOR = bytes.fromhex("100c000040420f00640038ff01080100feffff7f650038ff01080100feffff7f660038ff01080100feffff7f")


def test_the_published_packet_is_read_as_published() -> None:
    packets = RimuDecoder().decode([VECTOR])
    assert packets.index.tolist() == [0]
    assert packets.device_us.tolist() == [1_000_000]
    assert packets.samples.tolist() == [3]
    assert packets.stream.tolist() == [0]
    assert packets.overrun.tolist() == [False]
    assert packets.clipped.tolist() == [True]  # flags 0x0c: gyro clip, first packet
    raw_acc = np.array([[100, -200, 2049], [101, -200, 2049], [102, -200, 2049]])
    raw_gyr = np.array([[1, -2, 32767]] * 3)
    np.testing.assert_allclose(packets.acc_mps2, raw_acc * ACC_LSB_MPS2, rtol=1e-12)
    np.testing.assert_allclose(packets.gyr_radps, raw_gyr * GYR_LSB_RADPS, rtol=1e-12)
    assert not packets.bad


def test_the_encoder_sends_the_published_packet() -> None:
    raw = np.array([[100 + k, -200, 2049, 1, -2, 32767] for k in range(3)], np.int16)
    assert encode_packet(raw, index=0, device_us=1_000_000, flags=GYR_CLIP | FIRST_PACKET) == VECTOR


def test_upright_at_rest_is_one_g_upward() -> None:
    """2049 counts of 0.488 mg are 0.99991 g."""
    up = RimuDecoder().decode([VECTOR]).acc_mps2[0, 2]
    assert up == pytest.approx(STANDARD_GRAVITY_MPS2, rel=1e-3)


def test_the_ends_of_int16_do_not_overflow() -> None:
    raw = np.array([[32767, -32768, 0, -32768, 32767, 0]], np.int16)
    packets = RimuDecoder().decode([encode_packet(raw, index=0, device_us=0)])
    assert packets.acc_mps2[0, 0] == pytest.approx(32767 * ACC_LSB_MPS2)
    assert packets.acc_mps2[0, 1] == pytest.approx(-32768 * ACC_LSB_MPS2)
    assert packets.gyr_radps[0, 0] == pytest.approx(-32768 * GYR_LSB_RADPS)


def test_a_saturated_sample_is_clipped_whatever_the_flags_say() -> None:
    quiet = np.zeros((2, 6), np.int16)
    loud = np.array([[0] * 6, [0, -32768, 0, 0, 0, 0]], np.int16)
    packets = RimuDecoder().decode([encode_packet(raw, index=0, device_us=0, flags=0) for raw in (quiet, loud, quiet)])
    assert packets.clipped.tolist() == [False, True, False]


def test_flags_and_the_count_of_starts_share_a_byte() -> None:
    raw = np.zeros((1, 6), np.int16)
    data = encode_packet(raw, index=0, device_us=0, flags=OVERRUN, stream=13)
    assert data[1] == 0xD1
    packets = RimuDecoder().decode([data])
    assert packets.stream.tolist() == [13]
    assert packets.overrun.tolist() == [True]
    assert packets.clipped.tolist() == [False]


def test_counters_wrap_as_on_the_device() -> None:
    raw = np.zeros((1, 6), np.int16)
    data = encode_packet(raw, index=65536 + 5, device_us=(1 << 32) + 7)
    packets = RimuDecoder().decode([data])
    assert (packets.index[0], packets.device_us[0]) == (5, 7)


@pytest.mark.parametrize(("mtu", "samples"), [(23, 1), (247, 19)])
def test_as_many_samples_fit_as_the_profile_says(mtu: int, samples: int) -> None:
    assert samples_at_mtu(mtu) == samples
    assert len(encode_packet(np.zeros((samples, 6), np.int16), index=0, device_us=0)) <= mtu - 3


def test_eight_samples_are_104_bytes() -> None:
    encoder = RimuEncoder()
    (packet,) = encoder.encode(np.arange(8) / 208.0, np.zeros((8, 3)), np.zeros((8, 3)))
    assert len(packet.data) == 104
    assert packet.t_last_s == pytest.approx(7 / 208)


# ---------------------------------------------------------------- info record

INFO = bytes.fromhex("1f002008" + "40720700" + "801d2c04" + "1008d007" + "01006a03")


def test_the_info_record_is_laid_out_as_documented() -> None:
    """208.0 Hz = 2080, 488 000 ng, 70 000 000 ndps, 16 g, 8 samples, 2000 dps, firmware 1.0, chip 0x6a, 3 starts."""
    info = decode_info(INFO)
    assert info == Info(stream=3)
    assert encode_info(info) == INFO


def test_what_follows_an_info_record_is_read_by_it() -> None:
    raw = np.full((1, 6), 1000, np.int16)
    data = encode_packet(raw, index=0, device_us=0)
    fine = encode_info(Info(rate_hz=416.0, acc_scale_ng=244_000, gyr_scale_ndps=35_000_000))
    packets = RimuDecoder().decode([data, fine, data])
    assert packets.acc_mps2[:, 0] == pytest.approx([4.7856452, 2.3928226])
    assert packets.gyr_radps[:, 0] == pytest.approx([radians(70.0), radians(35.0)])
    assert packets.rates == ((1, 416.0),)
    assert packets.position.tolist() == [0, 2]


def test_an_info_record_of_a_later_minor_version_may_be_longer() -> None:
    assert decode_info(INFO + b"\x01\x02") == Info(stream=3)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "truncated"),
        (VECTOR[:8], "truncated"),
        (VECTOR[:-1], "truncated"),
        (b"\x10", "truncated"),
        (INFO[:19], "truncated"),
        (INFO[:4] + bytes(16), "foreign"),
        (bytes.fromhex("556135ff59ff0a08000000000000b9fc00000000"), "foreign"),  # another maker's sensor
        (b"\x20" + VECTOR[1:], "version"),
    ],
)
def test_what_makes_no_sense_is_named_and_costs_no_neighbour(data: bytes, kind: str) -> None:
    packets = RimuDecoder().decode([VECTOR, data, VECTOR])
    assert [(position, error.kind) for position, error in packets.bad] == [(1, kind)]
    assert packets.position.tolist() == [0, 2]
    assert len(packets.acc_mps2) == 6


def test_the_start_command_is_laid_out_as_documented() -> None:
    assert start_command(8, 208.0) == bytes.fromhex("01082008")
    assert start_command() == bytes.fromhex("01000000")


# ---------------------------------------------------------------- properties


notification = st.one_of(
    st.binary(max_size=64),
    st.binary(min_size=0, max_size=250).map(lambda tail: b"\x10" + tail),
    st.binary(min_size=18, max_size=24).map(lambda tail: b"\x1f" + tail),
    st.integers(1, 19)
    .flatmap(lambda n: st.binary(min_size=7 + 12 * n, max_size=7 + 12 * n))
    .map(lambda b: b"\x10" + b),
)


@given(st.lists(notification, max_size=20))
def test_any_bytes_give_samples_or_a_decode_error(notifications: list[bytes]) -> None:
    packets = RimuDecoder().decode(notifications)
    bad = [position for position, error in packets.bad]
    infos = [i for i, data in enumerate(notifications) if data[:1] == INFO[:1] and i not in bad]
    assert sorted([*packets.position.tolist(), *bad, *infos]) == list(range(len(notifications)))
    assert all(isinstance(error, DecodeError) and error.kind for _, error in packets.bad)
    assert len(packets.acc_mps2) == len(packets.gyr_radps) == packets.samples.sum()
    assert np.isfinite(packets.acc_mps2).all()
    assert np.isfinite(packets.gyr_radps).all()


@given(st.lists(notification, max_size=12), st.data())
def test_grouping_changes_no_bit_of_what_is_decoded(notifications: list[bytes], data: st.DataObject) -> None:
    whole = RimuDecoder().decode(notifications)
    decoder = RimuDecoder()
    acc, gyr, index = [], [], []
    start = 0
    while start < len(notifications):
        end = data.draw(st.integers(start + 1, len(notifications)))
        part = decoder.decode(notifications[start:end])
        acc.append(part.acc_mps2)
        gyr.append(part.gyr_radps)
        index.append(part.index)
        start = end
    if notifications:
        assert np.concatenate(acc).tobytes() == whole.acc_mps2.tobytes()
        assert np.concatenate(gyr).tobytes() == whole.gyr_radps.tobytes()
        assert np.concatenate(index).tolist() == whole.index.tolist()


@given(
    st.lists(st.tuples(*[st.floats(-170.0, 170.0)] * 3, *[st.floats(-45.0, 45.0)] * 3), min_size=1, max_size=40),
    st.integers(1, 19),
)
def test_what_is_encoded_comes_back_within_half_a_count(rows: list[tuple[float, ...]], size: int) -> None:
    values = np.array(rows)
    t_s = np.arange(len(values)) / 208.0
    encoder = RimuEncoder(Info(samples_per_packet=size))
    packets = encoder.encode(t_s, values[:, :3], values[:, 3:]) + encoder.flush()
    decoded = RimuDecoder().decode([packet.data for packet in packets])
    acc_limit, gyr_limit = 32767 * ACC_LSB_MPS2, 32767 * GYR_LSB_RADPS
    np.testing.assert_allclose(
        decoded.acc_mps2, np.clip(values[:, :3], -acc_limit, acc_limit), atol=1.001 * ACC_LSB_MPS2, rtol=0
    )
    np.testing.assert_allclose(
        decoded.gyr_radps, np.clip(values[:, 3:], -gyr_limit, gyr_limit), atol=1.001 * GYR_LSB_RADPS, rtol=0
    )
    assert decoded.index.tolist() == list(range(0, len(values), size))


def test_what_is_beyond_the_range_is_held_and_flagged() -> None:
    acc = np.array([[300.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    gyr = np.array([[0.0, 0.0, 0.0], [0.0, -100.0, 0.0]])
    encoder = RimuEncoder(Info(samples_per_packet=1))
    loud, turning = encoder.encode(np.array([0.0, 0.005]), acc, gyr)
    assert loud.data[1] & (ACC_CLIP | GYR_CLIP) == ACC_CLIP
    assert turning.data[1] & (ACC_CLIP | GYR_CLIP) == GYR_CLIP
    decoded = RimuDecoder().decode([loud.data, turning.data])
    assert decoded.acc_mps2[0, 0] == pytest.approx(32767 * ACC_LSB_MPS2)
    assert decoded.gyr_radps[1, 1] == pytest.approx(-32768 * GYR_LSB_RADPS)
    assert decoded.clipped.tolist() == [True, True]


def test_only_the_first_packet_of_a_stream_says_so() -> None:
    encoder = RimuEncoder(Info(samples_per_packet=2))
    packets = encoder.encode(np.arange(6) / 208.0, np.zeros((6, 3)), np.zeros((6, 3)))
    assert [bool(packet.data[1] & FIRST_PACKET) for packet in packets] == [True, False, False]


def test_how_samples_are_handed_to_the_encoder_changes_no_byte() -> None:
    rng = np.random.default_rng(3)
    t_s, acc, gyr = np.arange(50) / 208.0, rng.normal(size=(50, 3)) * 9, rng.normal(size=(50, 3))
    whole = RimuEncoder()
    expected = [packet.data for packet in whole.encode(t_s, acc, gyr) + whole.flush()]
    parts = RimuEncoder()
    got = [packet.data for k in range(50) for packet in parts.encode(t_s[k : k + 1], acc[k : k + 1], gyr[k : k + 1])]
    assert got + [packet.data for packet in parts.flush()] == expected


# ---------------------------------------------------------------- the device's side


def test_a_start_begins_a_new_stream_at_index_0() -> None:
    device = RimuDevice()
    t_s, still = np.arange(16) / 208.0, np.zeros((16, 3))
    assert device.encode(t_s, still, still) == []
    heads: list[tuple[int, int, int]] = []
    for _ in range(2):
        device.write(CONTROL_UUID, start_command(8))
        heads += [struct.unpack_from("<BBH", packet.data) for packet in device.encode(t_s, still, still)]
    # stream 1 then 2 in the upper four bits, first-packet flag in bit 3, index from 0
    assert heads == [(0x10, 0x18, 0), (0x10, 0x10, 8), (0x10, 0x28, 0), (0x10, 0x20, 8)]
    assert decode_info(device.read(INFO_UUID)).stream == 2


def test_a_small_mtu_makes_short_packets_and_the_info_record_says_so() -> None:
    device = RimuDevice()
    device.mtu = 23
    device.write(CONTROL_UUID, start_command(8))
    assert decode_info(device.read(INFO_UUID)).samples_per_packet == 1
    (packet,) = device.encode(np.zeros(1), np.zeros((1, 3)), np.zeros((1, 3)))
    assert len(packet.data) == 20


@pytest.mark.parametrize(
    ("data", "code"), [("", 0x0D), ("04", 0x80), ("0108", 0x0D), ("0200", 0x0D), ("01140000", 0x81)]
)
def test_a_command_that_is_none_is_refused_as_the_profile_says(data: str, code: int) -> None:
    with pytest.raises(AttError) as refused:
        RimuDevice().write(CONTROL_UUID, bytes.fromhex(data))
    assert refused.value.code == code


@pytest.mark.parametrize("end", ["stop", "disconnect"])
def test_a_stop_and_a_disconnect_end_the_stream(end: str) -> None:
    device = RimuDevice()
    device.write(CONTROL_UUID, start_command())
    assert device.streaming
    if end == "stop":
        device.write(CONTROL_UUID, b"\x02")
    else:
        device.disconnected()
    assert not device.streaming


def test_setting_up_without_a_radio_gives_what_a_recording_begins_with() -> None:
    device = RimuDevice()
    (opening,) = converse(BOARDS["rimu"], device)
    assert decode_info(opening).rate_hz == 208.0
    assert device.streaming
