"""Polar: published and captured bytes, frames of two sensors made one stream, and what a device may answer."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS, board_of
from sensor_host.boards.board import Packets, converse
from sensor_host.boards.polar import (
    ACC,
    CONTROL_UUID,
    GYR,
    HOLD_SAMPLES,
    PolarDecoder,
    PolarDevice,
    best_of,
    compressed_frame,
    raw_frame,
    read_deltas,
    read_samples,
    settings_bytes,
    settings_of,
)
from sensor_host.errors import DecodeError, LinkError

POLAR = BOARDS["polar"]
Floats = NDArray[np.float64]

START_NS = 599_616_000_000_000_000
PERIOD_NS = 1e9 / 416


# ---------------------------------------------------------------- published and captured


def test_the_published_deltas_are_read_as_published() -> None:
    gyr = bytes.fromhex("EAFF08000D000301DF00")
    assert read_deltas(gyr).tolist() == [[-22, 8, 13], [-23, 11, 16]]
    acc = bytes.fromhex("F1FF1400F00306017B0F08")
    assert read_deltas(acc).tolist() == [[-15, 20, 1008], [-20, 17, 1008]]


def test_the_published_deltas_are_written_as_published() -> None:
    # the vectors allow a block more bits than it needs; as many as it needs are the least
    frame = compressed_frame(GYR, 1, np.array([[-22, 8, 13], [-23, 11, 16]]))
    assert frame[:18].hex() == "05" + "0100000000000000" + "80" + "eaff08000d000301"
    assert frame[18:].hex() == "df00"


def test_acceleration_of_type_1_is_in_mg() -> None:
    content = bytes.fromhex("F1FF1400F00306017B0F08")
    packets = streamed([bytes([ACC]) + struct.pack("<Q", START_NS + 10_000_000) + b"\x81" + content])
    np.testing.assert_allclose(packets.acc_mps2[-1] / STANDARD_GRAVITY_MPS2, [-0.020, 0.017, 1.008], rtol=1e-12)


# a whole frame of a device at 8 g, published in github.com/polarofficial/polar-ble-sdk/issues/186
CAPTURED = bytes.fromhex(
    "02965b065deeab7f09808ef1b9fb34fb081d2a1a1d2beee5eddbf19902fba7f0d7eb0bd70419d70638e73412105b0c3624072f22e757def3"
    "1bf21f07e405f4f4f4e7fc11fa0ffcf31a12042ffd1425e81b15173c01f432baff1306faf6dbfae4acf8c0aefebca0e1e00a0aebe3df3ef4"
    "edcb2080fdfa3300810732e4ffbe12da079148fcee4762c00a3fc4af42fefea300080aec1d06e72afee720c3e322ffd00fe92bf4010d1701"
    "d00834e7fa53caba010a0dbd270041ebeabf6f77f7b45facfbe7e133df7c09ed5f3f0bfc1be462bf02472400021336d84f0110d713f102ee"
    "3f88e03e"
)


def test_the_captured_frame_of_a_device_hardly_moved_holds_gravity() -> None:
    assert len(CAPTURED) == 228
    counts = read_samples(ACC, CAPTURED[9], CAPTURED[10:])
    # the header of each block: 1 reference, then 29, 10, 10 and 13 deltas
    assert counts.shape == (63, 3)
    assert counts[0].tolist() == [-3698.0, -1095.0, -1228.0]
    gravity_g = np.linalg.norm(counts * 8 / 32768, axis=1)
    assert gravity_g.mean() == pytest.approx(1.0, abs=0.05)
    assert np.abs(gravity_g - 1.0).max() < 0.25
    # its clock: seconds since 2000 of a day in 2021
    assert int.from_bytes(CAPTURED[1:9], "little") / (365.25 * 86400e9) == pytest.approx(21.7, abs=0.1)


def test_the_factor_of_the_start_s_answer_scales_what_follows() -> None:
    factor = struct.pack("<f", 8 / 32768)
    answers = [bytes.fromhex("f00202000005") + b"\x01" + factor]
    stamp_ns = int.from_bytes(CAPTURED[1:9], "little")
    still = compressed_frame(GYR, stamp_ns + 1000, np.zeros((90, 3), np.int64))
    packets = PolarDecoder().decode([*answers, CAPTURED, still])
    assert len(packets.acc_mps2) == 63
    assert packets.acc_mps2[0].tolist() == pytest.approx(
        [count * 8 / 32768 * STANDARD_GRAVITY_MPS2 for count in (-3698, -1095, -1228)]
    )


def test_settings_are_laid_out_as_documented() -> None:
    # SDK mode's offer for acceleration: 26 to 416 Hz, 16 bits, 2 to 16 g, 3 channels
    data = bytes.fromhex("00051a0034006800d000a00101011000020402000400080010000401" + "03")
    offers = {0: (26, 52, 104, 208, 416), 1: (16,), 2: (2, 4, 8, 16), 4: (3,)}
    assert settings_of(data) == offers
    assert settings_bytes(offers) == data
    assert best_of(offers) == {0: 416, 1: 16, 2: 16, 4: 3}


@pytest.mark.parametrize("data", ["00", "0002", "000134", "0902ffff", "0501000080"])
def test_settings_that_break_off_are_told(data: str) -> None:
    with pytest.raises(DecodeError):
        settings_of(bytes.fromhex(data))


@pytest.mark.parametrize(("form", "low", "high"), [(0, -128, 127), (1, -32768, 32767), (2, -(1 << 23), (1 << 23) - 1)])
def test_raw_acceleration_is_read_at_every_width(form: int, low: int, high: int) -> None:
    samples = np.array([[low, high, 0], [-1, 1, -2]])
    frame = raw_frame(ACC, 5, samples, form)
    assert len(frame) == 10 + 6 * (form + 1)
    assert read_samples(ACC, frame[9], frame[10:]).tolist() == samples.tolist()


def test_angular_rate_of_type_1_is_float32() -> None:
    values = np.array([[0.5, -1.25, 100.0], [0.25, 3.5, -1e-3], [-2000.0, 0.0, 7.75]], "<f4")
    bits = values.view("<u4").astype(np.int64)
    signed = np.where(bits >> 31, bits - (1 << 32), bits)
    frame = compressed_frame(GYR, 5, signed, form=1, bits=32)
    assert read_samples(GYR, frame[9], frame[10:]).tolist() == values.astype(np.float64).tolist()


@pytest.mark.parametrize("width", range(1, 18))
def test_deltas_of_every_width_come_back(width: int) -> None:
    edge = 1 << (width - 1)
    # up by the largest step and down by the lowest, around zero
    samples = np.array([[-edge // 2, edge // 2, 0], [edge - 1 - edge // 2 - (edge > 1), -edge + edge // 2, 0]])
    samples = np.clip(samples, -32768, 32767)
    frame = compressed_frame(ACC, 5, samples)
    assert read_deltas(frame[10:]).tolist() == samples.tolist()


# ---------------------------------------------------------------- two sensors, one stream


def frame(kind: int, first: float, values: Floats, *, period_ns: float = PERIOD_NS) -> bytes:
    """A frame of samples (n, 3) in g or degrees per second whose first one is that many periods after the start."""
    scale = 16 / 32768 if kind == ACC else 2000 / 32768
    stamp_ns = START_NS + round((first + len(values) - 1) * period_ns)
    return compressed_frame(kind, stamp_ns, np.rint(values / scale).astype(np.int64))


def streamed(acc_frames: Sequence[bytes], turning: float = 0.0) -> Packets:
    """Decode frames of acceleration within a second of steady turning."""
    gyr = frame(GYR, 0.0, np.full((416, 3), turning))
    early = frame(GYR, -416.0, np.full((416, 3), turning))
    return PolarDecoder().decode([early, gyr, *acc_frames])


def starts(packets: Packets) -> list[float]:
    """The first sample of each packet, in periods since the start."""
    return [(at_us * 1000 - START_NS) / PERIOD_NS for at_us in packets.device_us.tolist()]


def test_a_frame_s_stamp_is_its_last_sample_s() -> None:
    stamp_ns = START_NS + round(9 * PERIOD_NS)
    packets = streamed([compressed_frame(ACC, stamp_ns, np.zeros((10, 3), np.int64))])
    # 10 samples, the last at 9 periods: the first at the start
    assert starts(packets) == pytest.approx([0.0], abs=1e-3)
    assert packets.samples.tolist() == [10]


def test_rotation_is_interpolated_to_the_instants_of_the_accelerations() -> None:
    def wave(at: Floats) -> Floats:
        """500 degrees per second at 5 Hz."""
        return np.repeat(500 * np.sin(2 * np.pi * 5 * at[:, None] / 416), 3, axis=1)

    shift = 0.4
    notifications = []
    for k in range(10):
        at = np.arange(40 * k, 40 * (k + 1), dtype=np.float64)
        notifications += [frame(GYR, 40 * k + shift, wave(at + shift)), frame(ACC, 40 * k, np.zeros((40, 3)))]
    packets = PolarDecoder().decode(notifications)
    got = np.degrees(packets.gyr_radps[:, 0])
    first = starts(packets)[0]
    # linear interpolation is off by at most (2 pi f / rate)^2 / 8 of the size; then there is half a count
    limit = 500 * (2 * np.pi * 5 / 416) ** 2 / 8 + 2000 / 32768
    assert np.abs(got - wave(first + np.arange(len(got)))[:, 0]).max() < limit
    # all but the first, which no rotation precedes, and those after the last rotation
    assert first == pytest.approx(1.0, abs=1e-3)
    assert len(got) == 399


def test_the_order_in_which_the_two_sensors_frames_come_changes_no_sample() -> None:
    rng = np.random.default_rng(2)
    acc = [frame(ACC, 30.0 * k, rng.normal(0, 3, (30, 3))) for k in range(8)]
    gyr = [frame(GYR, 24.0 * k, rng.normal(0, 300, (24, 3))) for k in range(10)]
    one, other = PolarDecoder().decode([*acc, *gyr]), PolarDecoder().decode([*gyr, *acc])
    assert one.acc_mps2.tobytes() == other.acc_mps2.tobytes()
    # time is counted from whichever came first
    np.testing.assert_allclose(one.gyr_radps, other.gyr_radps, atol=1e-9)
    assert len(one.acc_mps2) == 240


ORDERS = {
    "as measured": lambda told: (told[1], told[0]),
    "accelerations first": lambda told: (told[0] != ACC, told[1]),
    "rotations first": lambda told: (told[0] != GYR, told[1]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [ACC, GYR])
def test_nothing_is_made_up_over_a_hole_in_either_sensor(kind: int, order: str) -> None:
    # frames of one sensor lie across those of the other
    frames = [
        (which, first, count)
        for which in (ACC, GYR)
        for count in (10 if which == kind else 40,)
        for first in range(0, 240, count)
        if not (which == kind and first == 90)
    ]
    told = sorted(frames, key=ORDERS[order])
    packets = PolarDecoder().decode([frame(which, float(first), np.zeros((count, 3))) for which, first, count in told])
    # samples 90 to 99 are missing, and nothing else
    ends = [first + count for first, count in zip(starts(packets), packets.samples.tolist(), strict=True)]
    given = np.concatenate(
        [np.arange(round(first), round(end)) for first, end in zip(starts(packets), ends, strict=True)]
    )
    assert given.tolist() == [*range(90), *range(100, 240)]


@pytest.mark.parametrize("off", [-0.09, 0.03, 0.09])
def test_a_sensor_off_its_nominal_rate_is_spread_by_its_own_stamps(off: float) -> None:
    period_ns = PERIOD_NS / (1 + off)
    notifications = [
        frame(kind, 40.0 * k, np.zeros((40, 3)), period_ns=period_ns) for k in range(20) for kind in (GYR, ACC)
    ]
    packets = PolarDecoder().decode(notifications)
    assert len(packets.acc_mps2) >= 799  # a first frame is spread by the nominal rate
    since_us = np.diff(packets.device_us[2:])
    np.testing.assert_allclose(since_us, packets.samples[2:-1] * period_ns / 1000, atol=1.0)


def test_one_odd_stamp_makes_no_holes_of_all_that_follows() -> None:
    notifications: list[bytes] = []
    for kind, shift in ((GYR, 0.4), (ACC, 0.0)):
        # one sample by itself, stamped most of a period late, then many frames as they should be
        notifications += [frame(kind, 40 * k + shift, np.zeros((40, 3))) for k in range(3)]
        notifications.append(frame(kind, 120.7 + shift, np.zeros((1, 3))))
        notifications += [frame(kind, 121 + 40 * k + shift, np.zeros((40, 3))) for k in range(20)]
    packets = PolarDecoder().decode(sorted(notifications, key=lambda data: data[1:9][::-1]))
    # the first acceleration precedes all rotations; round the odd stamp three more may lack a neighbour
    assert packets.samples.sum() >= 921 - 4


def test_clipped_samples_make_packets_of_their_own() -> None:
    acc = np.zeros((30, 3))
    acc[10:13, 2] = [15.9, 15.995, -17.0]
    packets = streamed([frame(ACC, 0.0, np.clip(acc, -16, 32767 * 16 / 32768))])
    assert packets.samples.tolist() == [11, 2, 17]
    assert packets.clipped.tolist() == [False, True, False]


def test_a_count_at_the_end_of_16_bits_is_clipped_whatever_the_factor_makes_of_it() -> None:
    # 0.48 mg: 32767 counts are 15.7 g
    answer = bytes.fromhex("f002020000" + "0501") + struct.pack("<f", 0.00048)
    counts = np.zeros((3, 3), np.int64)
    counts[1, 2] = -32767
    acc = compressed_frame(ACC, START_NS + round(2 * PERIOD_NS), counts)
    packets = PolarDecoder().decode([answer, acc, frame(GYR, 0.0, np.zeros((3, 3)))])
    assert packets.samples.tolist() == [1, 1, 1]
    assert packets.clipped.tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [ACC, GYR])
def test_a_frame_that_comes_twice_is_passed_over(kind: int) -> None:
    notifications: list[bytes] = []
    for k in range(3):
        for which, shift in ((ACC, 0.0), (GYR, 0.4)):
            notifications += [frame(which, 30 * k + shift, np.zeros((30, 3)))] * (2 if which == kind else 1)
    # the first acceleration precedes all rotations; no other is without one before and one behind it
    assert len(PolarDecoder().decode(notifications).acc_mps2) == 89


def test_a_clock_that_was_set_back_begins_a_new_stream() -> None:
    now = [frame(kind, 40.0 * k, np.zeros((40, 3))) for k in range(3) for kind in (GYR, ACC)]
    then = [frame(kind, 40.0 * k - 1e6, np.zeros((40, 3))) for k in range(3) for kind in (GYR, ACC)]
    packets = PolarDecoder().decode([*now, *then])
    assert len(packets.acc_mps2) == 240
    assert sorted(set(packets.stream.tolist())) == [0, 1]
    assert packets.first.sum() == 1


def test_what_one_sensor_waits_for_the_other_is_bounded() -> None:
    decoder = PolarDecoder()
    samples = np.zeros((100, 3))
    for k in range(100):
        assert not len(decoder.decode([frame(ACC, 100.0 * k, samples)]).position)
    packets = decoder.decode([frame(GYR, 100.0 * k, samples) for k in range(101)])
    assert len(packets.acc_mps2) <= HOLD_SAMPLES
    assert starts(packets)[0] >= 10_000 - HOLD_SAMPLES - 1


def test_the_device_s_word_that_it_stopped_is_no_frame() -> None:
    assert PolarDecoder().decode([b"\x01\x02\x05"]).bad == ()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("", "truncated"),
        ("02", "truncated"),
        ("f002", "truncated"),
        ("02" + 8 * "01" + "80", "truncated"),  # no samples
        ("02" + 8 * "01" + "80" + "0000", "truncated"),  # no whole reference
        ("02" + 8 * "01" + "80" + "000000000000" + "08", "truncated"),  # no whole block
        ("02" + 8 * "01" + "80" + "000000000000" + "0804ff", "truncated"),
        ("02" + 8 * "01" + "80" + "000000000000" + "0004", "foreign"),  # deltas of no bits
        ("02" + 8 * "01" + "80" + "000000000000" + "2001" + 12 * "00", "foreign"),  # of 32 bits
        ("02" + 8 * "01" + "83" + "000000000000", "foreign"),
        ("02" + 8 * "01" + "03" + "000000000000", "foreign"),
        ("05" + 8 * "01" + "00" + "000000000000", "foreign"),  # raw angular rate
        ("05" + 8 * "01" + "81" + "0100807f" * 3, "foreign"),  # a signalling not-a-number
        ("05" + 8 * "01" + "81" + "0000807f" * 3, "foreign"),  # infinity
        ("02" + 8 * "01" + "02" + "ffff7f" * 3, "foreign"),  # 8388 g
        ("06" + 8 * "01" + "80" + "000000000000", "foreign"),  # the magnetometer
    ],
)
def test_what_makes_no_sense_is_told(data: str, kind: str) -> None:
    bad = PolarDecoder().decode([bytes.fromhex(data)]).bad
    assert [(position, error.kind) for position, error in bad] == [(0, kind)]


# ---------------------------------------------------------------- what a device may answer


class Answering(PolarDevice):
    """A device that answers one command with an error, or offers something else."""

    def __init__(self, command: bytes = b"", error: int = 0, features: str = "0f2402", offer: bytes = b"") -> None:
        super().__init__()
        self._command, self._error, self._features, self._offer = command, error, features, offer
        self.asked: list[bytes] = []

    def read(self, uuid: str) -> bytes:
        return bytes.fromhex(self._features)

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        self.asked.append(data)
        if self._command and data.startswith(self._command):
            return [
                (
                    CONTROL_UUID,
                    b"\xf0" + data[:2] + bytes([self._error]) + (b"\0" + self._offer if self._offer else b""),
                )
            ]
        return super().write(uuid, data)


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("0209", 3, "Polar Flow"),
        ("0209", 12, "sensor mode"),
        ("0102", 2, "Polar Flow"),
        ("0202", 6, "another app"),
        ("0205", 8, "rate"),
        ("0205", 9, "range"),
        ("0202", 10, "adapter"),
        ("0202", 13, "charger"),
        ("0202", 200, "error 200"),
    ],
)
def test_a_refused_command_is_said_with_what_to_do(command: str, error: int, words: str) -> None:
    with pytest.raises(LinkError, match=words):
        converse(POLAR, Answering(bytes.fromhex(command), error))


@pytest.mark.parametrize(("features", "words"), [("0f0500", "gyroscope"), ("0f2400", "SDK mode"), ("", "gyroscope")])
def test_a_device_without_gyroscope_or_sdk_mode_is_refused(features: str, words: str) -> None:
    with pytest.raises(LinkError, match=words):
        converse(POLAR, Answering(features=features))


def test_a_device_that_only_offers_52_hz_is_refused() -> None:
    with pytest.raises(LinkError, match="52 times a second"):
        converse(POLAR, Answering(b"\x01\x05", offer=bytes.fromhex("00013400")))


def test_a_device_that_does_not_answer_is_told() -> None:
    class Mute(PolarDevice):
        def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
            return []

    with pytest.raises(LinkError, match="does not answer"):
        converse(POLAR, Mute())


def test_a_device_that_streams_to_an_earlier_connection_is_started_anew() -> None:
    device = PolarDevice()
    converse(POLAR, device)
    answers = converse(POLAR, device)
    assert device.streaming
    # stopping the two, then SDK mode, which is on already
    assert [answer[:4].hex() for answer in answers[:3]] == ["f0030500", "f0030200", "f0020906"]


def test_it_starts_both_sensors_at_416_hz_16_g_and_2000_dps() -> None:
    device = Answering()
    converse(POLAR, device)
    assert device.asked[-2:] == [
        bytes.fromhex("0205" + "0001a001" + "01011000" + "0201d007" + "040103"),
        bytes.fromhex("0202" + "0001a001" + "01011000" + "02011000" + "040103"),
    ]


def test_its_side_refuses_what_the_service_refuses() -> None:
    device = PolarDevice()

    def error(command: str) -> int:
        (answer,) = device.write(CONTROL_UUID, bytes.fromhex(command))
        return answer[1][3]

    fast = "0001a001" + "01011000" + "02011000" + "040103"
    assert error("0202" + fast) == 8  # without SDK mode 52 Hz alone
    assert error("0209") == 0
    assert error("0209") == 6
    assert error("0202" + fast) == 0
    assert error("0202" + fast) == 6
    assert error("0205" + fast) == 9  # 16 is no range of a gyroscope
    assert error("0302") == 0
    assert error("0302") == 12
    assert error("0302") == 12
    assert error("0701") == 1
    assert error("0201") == 2


def test_frames_fill_the_link_s_packets() -> None:
    device = PolarDevice()
    converse(POLAR, device)
    rng = np.random.default_rng(1)
    t_s = np.arange(832) / 416
    sent = device.encode(t_s, rng.normal(0, 20, (832, 3)), rng.normal(0, 3, (832, 3)))
    lengths = [len(packet.data) for packet in sent]
    # one more sample of at most 17 bits and the head of a block would not fit
    assert min(lengths) > 229 - 7 - 2
    assert max(lengths) <= 229
    stamps = [int.from_bytes(packet.data[1:9], "little") for packet in sent if packet.data[0] == ACC]
    assert all(b > a for a, b in pairwise(stamps))


def test_it_is_recognised_by_its_name_although_it_advertises_a_heart_rate() -> None:
    heart_rate, polar = (f"0000{short}-0000-1000-8000-00805f9b34fb" for short in ("180d", "feee"))
    assert board_of("Polar Sense B5E5C221", [heart_rate, polar]) == "polar"
    assert board_of("Polar H10 12345678", [heart_rate, polar]) == "heart_rate"
