"""Movesense: a captured packet, the cut into parts, the clock's wrap, and what a sensor may answer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS, board_of
from sensor_host.boards.board import Packets, converse
from sensor_host.boards.movesense import COMMAND_UUID, DATA_UUID, MovesenseDecoder, MovesenseDevice
from sensor_host.errors import LinkError

MOVESENSE = BOARDS["movesense"]

# captured from /Meas/IMU6/52, header removed: milliseconds, 4 accelerations, 4 angular rates
CAPTURED = bytes.fromhex(
    "aca1020094b578bf399b8840cdb20d4155ff7cbf6a60884092c70c4182627cbfa2e988405da00c418bf871bf71248940c38c0c4148e17abf713d"
    "aabf3333b3bec3f568bf713daabf3e0ad7beae4721bff628bcbf3e0ad7beae4721bf3333b3bf3e0ad7be"
)


def packet(samples: int, *, t_ms: int = 1000, reference: int = 208, loud_g: float = 1.0) -> list[bytes]:
    """The notifications of a packet of a sensor at rest, cut as the firmware cuts them."""
    acc = np.tile(np.array([0, 0, loud_g * STANDARD_GRAVITY_MPS2], "<f4"), samples)
    payload = struct.pack("<I", t_ms) + acc.tobytes() + np.zeros(3 * samples, "<f4").tobytes()
    return [bytes([2 + k, reference]) + payload[150 * k : 150 * (k + 1)] for k in range(-(-len(payload) // 150))]


def decode(*notifications: bytes) -> Packets:
    return MovesenseDecoder().decode(notifications)


def test_a_captured_packet_is_read_as_published() -> None:
    packets = decode(b"\x02\x68" + CAPTURED)
    assert packets.device_us.tolist() == [172_460_000]
    assert packets.samples.tolist() == [4]
    np.testing.assert_allclose(packets.acc_mps2[0], [-0.9715207, 4.2689481, 8.8561525], rtol=1e-7)
    np.testing.assert_allclose(np.degrees(packets.gyr_radps[0]), [-0.98, -1.33, -0.35], rtol=1e-6)
    assert packets.acc_mps2[3, 2] == pytest.approx(8.7843657, rel=1e-7)
    # a sensor at rest
    np.testing.assert_allclose(np.linalg.norm(packets.acc_mps2, axis=1), STANDARD_GRAVITY_MPS2, rtol=0.01)
    assert not packets.clipped.any()


def test_the_device_s_side_sends_the_captured_packet() -> None:
    device = MovesenseDevice(104.0, boot_ms=172_460)
    converse(MOVESENSE, device)
    values = np.frombuffer(CAPTURED, "<f4", offset=4).astype(np.float64).reshape(2, 4, 3)
    assert device.encode(np.arange(4) / 52.0, values[0], np.radians(values[1])) == []
    (sent,) = device.flush()
    assert sent.data == b"\x02\x68" + CAPTURED


def test_commands_are_laid_out_as_documented() -> None:
    written: list[bytes] = []

    class Listening(MovesenseDevice):
        def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
            assert uuid == COMMAND_UUID
            written.append(data)
            return super().write(uuid, data)

    converse(MOVESENSE, Listening(104.0))
    assert written == [b"\x00\x01", b"\x01\xd0/Meas/IMU6/208", b"\x01\x68/Meas/IMU6/104"]


@pytest.mark.parametrize(("rate_hz", "lengths"), [(104.0, [152, 48]), (208.0, [152, 152, 90])])
def test_packets_are_cut_at_150_bytes(rate_hz: float, lengths: list[int]) -> None:
    # 8 samples of 24 bytes and 4 bytes of time at 104 Hz, twice as many samples at 208 Hz
    device = MovesenseDevice(rate_hz)
    converse(MOVESENSE, device)
    count = round(rate_hz / 13)
    sent = device.encode(np.arange(count) / rate_hz, np.zeros((count, 3)), np.zeros((count, 3)))
    assert [len(part.data) for part in sent] == lengths
    assert [part.data[0] for part in sent] == [2, 3, 4][: len(sent)]


@pytest.mark.parametrize("samples", [1, 6, 7, 8, 12, 13, 16, 18])
def test_parts_are_put_together(samples: int) -> None:
    packets = decode(*packet(samples), *packet(samples, t_ms=1077))
    assert packets.samples.tolist() == [samples, samples]
    assert packets.device_us.tolist() == [1_000_000, 1_077_000]
    np.testing.assert_allclose(packets.acc_mps2, np.tile([0, 0, STANDARD_GRAVITY_MPS2], (2 * samples, 1)), rtol=1e-6)
    assert not packets.bad


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ([0, 1, 3, 4, 5], [(2, "truncated")]),  # the last part is missing
        ([0, 2, 3, 4, 5], [(1, "truncated")]),  # the middle one
        ([1, 2, 3, 4, 5], [(0, "truncated"), (1, "truncated")]),  # the first one
        ([0, 3, 4, 5], [(1, "truncated")]),
        ([2, 3, 4, 5], [(0, "truncated")]),
        ([0, 1, 1, 2, 3, 4, 5], [(2, "truncated"), (3, "truncated")]),  # one comes twice
    ],
)
def test_a_packet_that_lacks_a_part_is_dropped_and_the_next_is_whole(
    kept: list[int], told: list[tuple[int, str]]
) -> None:
    parts = [*packet(16), *packet(16, t_ms=1077)]
    packets = decode(*(parts[k] for k in kept))
    assert packets.device_us.tolist() == [1_077_000]
    assert packets.samples.tolist() == [16]
    assert [(position, error.kind) for position, error in packets.bad] == told


def test_a_third_part_that_makes_no_whole_samples_ends_the_packet() -> None:
    cut = packet(16)
    packets = decode(*cut[:2], cut[2][:-1], *packet(16, t_ms=1077))
    assert packets.device_us.tolist() == [1_077_000]
    assert [(position, error.kind) for position, error in packets.bad] == [(2, "truncated")]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "truncated"),
        (b"\x02", "truncated"),
        (b"\x07\xd0abc", "foreign"),
        (b"\x02\x63" + CAPTURED, "foreign"),  # another app's subscription
        (b"\x02\xd0" + CAPTURED[:4] + b"\x00\x00\x80\x7f" * 6, "foreign"),  # infinity
        (b"\x02\xd0" + CAPTURED[:4] + b"\x01\x00\x80\x7f" * 6, "foreign"),  # a signalling not-a-number
        (b"\x02\xd0" + CAPTURED[:4] + b"\xff\xff\x7f\x7f" * 6, "foreign"),  # the largest float
    ],
)
def test_what_makes_no_sense_is_told_and_the_stream_goes_on(data: bytes, kind: str) -> None:
    packets = decode(*packet(4), data, *packet(4, t_ms=1019))
    assert [(position, error.kind) for position, error in packets.bad] == [(1, kind)]
    assert packets.position.tolist() == [0, 2]


def test_the_clock_wraps_after_49_days_where_the_board_says_so() -> None:
    packets = decode(*packet(4, t_ms=0xFFFFFFFF), *packet(4, t_ms=18))
    assert np.diff(packets.device_us) % BOARDS["movesense"].motion.device_wrap_us == 19_000  # type: ignore[union-attr]


@pytest.mark.parametrize(("loud_g", "clipped"), [(7.9, False), (7.995, True), (8.0, True), (-8.0, True)])
def test_a_sample_that_reaches_8_g_is_flagged(loud_g: float, clipped: bool) -> None:
    # 7.995 g = 32767 counts of 0.244 mg, the full scale of the chip's 8 g range
    assert decode(*packet(4, loud_g=loud_g)).clipped.tolist() == [clipped]


# ---------------------------------------------------------------- what a sensor may answer


class Answering(MovesenseDevice):
    """A sensor with answers of its own."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        super().__init__(208.0)
        self._answer = answer

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        answer = self._answer(data)
        return super().write(uuid, data) if answer is None else [(DATA_UUID, answer)]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (b"\x94\x01", "no IMU6"),  # 404
        (b"\xfb\x01", "subscriptions are in use"),  # 507
        (b"\x01\xfb", "subscriptions are in use"),  # 507 as the sample app writes it
        (b"\x99\x01", "busy"),  # 409
        (b"\xf4\x01", "status 500"),
        (b"", "status 0"),
    ],
)
def test_a_refused_subscription_is_said_with_what_to_do(status: bytes, words: str) -> None:
    device = Answering(lambda data: b"\x01" + data[1:2] + status if data[0] == 1 else None)
    with pytest.raises(LinkError, match=words) as refused:
        converse(MOVESENSE, device)
    assert "Movesense Showcase" in str(refused.value)


def test_a_sensor_that_has_only_104_hz_is_taken_at_that() -> None:
    device = MovesenseDevice(104.0)
    opening = converse(MOVESENSE, device)
    sent = device.encode(np.arange(16) / 104.0, np.zeros((16, 3)), np.zeros((16, 3)))
    packets = decode(*opening, *(part.data for part in sent))
    assert packets.rates == ((0, 104.0),)
    assert packets.samples.tolist() == [8, 8]


def test_firmware_that_starts_to_send_without_a_word_is_taken_too() -> None:
    # the sample app says Hello and answers SUBSCRIBE by data alone
    said = {0: b"\x01\x01Hello", 1: packet(16)[0]}
    opening = converse(MOVESENSE, Answering(lambda data: said[data[0]]))
    assert opening == [said[0], said[1]]


@pytest.mark.parametrize(
    ("hello", "version"),
    [
        (b"\x01\x01\x01210330000123\0Movesense\x000C:8C:DC:00:00:01\0Default\x002.3.1\0", "2.3.1"),
        (b"\x01\x01Hello", ""),
        (b"\x01\x01", ""),
        (b"\x01\x01\x01210330000123\0", ""),
    ],
)
def test_the_firmware_s_version_is_read_where_it_is_told(hello: bytes, version: str) -> None:
    set_up = MOVESENSE.set_up()
    next(set_up)
    set_up.send(b"")
    set_up.send(hello)
    with pytest.raises(StopIteration) as end:
        set_up.send(b"\x01\xd0\xc8\x00")
    assert end.value.value == version


def test_it_is_recognised_by_its_name_and_a_watch_of_the_same_maker_is_not() -> None:
    assert board_of("Movesense 210330000123", ["0000fdf3-0000-1000-8000-00805f9b34fb"]) == "movesense"
    assert board_of("Suunto 9", ["0000fdf3-0000-1000-8000-00805f9b34fb"]) == ""
