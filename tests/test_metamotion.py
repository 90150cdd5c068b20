"""MetaMotion's bytes: the vendor's published vectors, the dialogue with both kinds, and pairing whatever is lost."""

from __future__ import annotations

from itertools import pairwise
from math import radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS, board_of
from sensor_host.boards.board import FIRMWARE_REVISION, Packets, Read, Subscribe, Write, converse
from sensor_host.boards.metamotion import (
    COMMAND_UUID,
    METAMOTION,
    NOTIFY_UUID,
    SERVICE_UUID,
    MetaMotionDecoder,
    MetaMotionDevice,
    set_up,
)
from sensor_host.errors import LinkError

# the vendor's own tests: what modules of a MetaMotion S and R say of themselves
S_ACC, S_GYR = bytes.fromhex("03800400"), bytes.fromhex("13800100")
R_ACC, R_GYR = bytes.fromhex("03800101"), bytes.fromhex("13800001")

ACC_VECTOR = bytes.fromhex("030562b7530de9fd16d04d0e57028affa1050a01")
R_ACC_VECTOR = bytes.fromhex("031c62b7530de9fd16d04d0e57028affa1050a01")
GYR_VECTOR = bytes.fromhex("13070915ad2608de8a1a0d2665e48d20ac2773ec")
ACC_G = [[-4.539, 0.833, -0.131], [-2.995, 0.894, 0.146], [-0.029, 0.352, 0.065]]  # at 8 g
GYR_DPS = [[164.177, 301.860, -265.122], [207.134, 296.982, -215.457], [254.055, 309.634, -152.591]]  # at 1000 dps

VERSION = b"1.7.2"


def accelerometer(instant: int) -> bytes:
    """Return the accelerometer's packet of an instant, which its counts tell."""
    return b"\x03\x05" + np.full(9, instant, "<i2").tobytes()


def gyroscope(instant: int) -> bytes:
    return b"\x13\x05" + np.full(9, instant, "<i2").tobytes()


def instants(packets: Packets) -> tuple[list[int], list[int]]:
    """Return from which instants acceleration and angular rate of each packet are."""
    acc = np.rint(packets.acc_mps2[::3, 0] / STANDARD_GRAVITY_MPS2 * 2048.0).astype(int)
    gyr = np.rint(np.degrees(packets.gyr_radps[::3, 0]) * 16.4).astype(int)
    return acc.tolist(), gyr.tolist()


def alternating(first: int, last: int) -> list[bytes]:
    """Return what the sensors send of these instants."""
    return [packet(instant) for instant in range(first, last + 1) for packet in (gyroscope, accelerometer)]


# ---------------------------------------------------------------- published bytes


@pytest.mark.parametrize(
    ("information", "config", "vector"),
    [(S_ACC, "0383a902", ACC_VECTOR), (R_ACC, "03832908", R_ACC_VECTOR)],
)
def test_the_published_packets_are_read_as_published(information: bytes, config: str, vector: bytes) -> None:
    said = [VERSION, information, bytes.fromhex(config), bytes.fromhex("13832901")]
    packets = MetaMotionDecoder().decode([*said, GYR_VECTOR, vector])
    assert packets.bad == ()
    assert packets.position.tolist() == [5]
    assert packets.samples.tolist() == [3]
    assert (packets.index[0], packets.first[0], packets.clipped[0]) == (0, True, False)
    np.testing.assert_allclose(packets.acc_mps2 / STANDARD_GRAVITY_MPS2, ACC_G, atol=0.0005)
    np.testing.assert_allclose(np.degrees(packets.gyr_radps), GYR_DPS, atol=0.0005)


def test_without_a_word_of_the_range_it_is_the_one_that_is_set() -> None:
    packets = MetaMotionDecoder().decode([GYR_VECTOR, ACC_VECTOR])
    np.testing.assert_allclose(packets.acc_mps2 / STANDARD_GRAVITY_MPS2, 2.0 * np.array(ACC_G), atol=0.001)
    np.testing.assert_allclose(np.degrees(packets.gyr_radps), 2.0 * np.array(GYR_DPS), atol=0.001)


def test_it_is_recognised_by_its_service_and_by_its_name() -> None:
    assert BOARDS["metamotion"] is METAMOTION
    assert board_of("", (SERVICE_UUID,)) == "metamotion"
    assert board_of("MetaWear", ()) == "metamotion"


# ---------------------------------------------------------------- set-up


def dialogue(device: MetaMotionDevice) -> list[str]:
    """Return what the set-up does, in words and hexadecimal."""
    did: list[str] = []
    run = set_up()
    got: bytes | None = None
    try:
        while True:
            action = next(run) if got is None else run.send(got)
            got = b""
            match action:
                case Read():
                    assert action.uuid == FIRMWARE_REVISION
                    did.append("read")
                    got = device.read(action.uuid)
                case Subscribe():
                    assert action.uuid == NOTIFY_UUID
                    did.append("subscribe")
                case Write():
                    assert (action.uuid, action.response) == (COMMAND_UUID, False)
                    did.append(action.data.hex())
                    answers = [data for _, data in device.write(action.uuid, action.data)]
                    if action.answered is not None:
                        got = next(filter(action.answered, answers))
    except StopIteration as end:
        return [*did, f"version {end.value}"]


BEFORE = ["read", "subscribe", "030100", "130100", "03020001", "13020001", "0380", "1380", "110906000c0000005802"]


def test_a_metamotion_s_is_set_to_200_hz_16_g_and_2000_dps() -> None:
    gyr = ["13032900", "1383", "130501", "13020100", "130101"]
    acc = ["0303a903", "0383", "030501", "03020100", "030101"]
    assert dialogue(MetaMotionDevice()) == [*BEFORE, *gyr, *acc, "version 1.7.2"]


def test_a_metamotion_r_is_set_to_the_same_by_other_bytes() -> None:
    gyr = ["13032900", "1383", "130701", "13020100", "130101"]
    acc = ["0303290c", "0383", "031c01", "03020100", "030101"]
    device = MetaMotionDevice(R_ACC[2:], R_GYR[2:], firmware=b"1.5.0")
    assert dialogue(device) == [*BEFORE, *gyr, *acc, "version 1.5.0"]


@pytest.mark.parametrize(
    ("acc", "gyr", "says"),
    [
        (b"", b"\x01\x00", "no accelerometer that hipdrive knows"),
        (b"\x03\x01", b"\x01\x00", "no accelerometer that hipdrive knows"),  # BMA255: a board without gyroscope
        (b"\x04\x00", b"", "no gyroscope that hipdrive knows"),
        (b"\x01\x00", b"\x00\x01", "firmware is too old for its accelerometer"),
        (b"\x01\x01", b"\x00\x00", "firmware is too old for its gyroscope"),
    ],
)
def test_a_board_that_cannot_do_it_is_refused_in_a_line(acc: bytes, gyr: bytes, says: str) -> None:
    with pytest.raises(LinkError, match=says):
        converse(METAMOTION, MetaMotionDevice(acc, gyr))


def test_settings_that_are_not_taken_are_refused() -> None:
    class Stubborn(MetaMotionDevice):
        def write(self, uuid: str, data: bytes) -> tuple[tuple[str, bytes], ...]:
            return tuple(super().write(uuid, b"\x03\x03\xa9\x02" if data[:2] == b"\x03\x03" else data))

    with pytest.raises(LinkError, match="does not take the settings for its BMI270"):
        converse(METAMOTION, Stubborn())


@pytest.mark.parametrize(("acc", "gyr"), [(S_ACC, S_GYR), (R_ACC, R_GYR)])
def test_what_the_device_measures_comes_back_to_half_a_count(acc: bytes, gyr: bytes) -> None:
    device = MetaMotionDevice(acc[2:], gyr[2:])
    luck = np.random.default_rng(1)
    t_s = np.arange(200) / 200.0
    force, rate = luck.normal(0.0, 30.0, (200, 3)), luck.normal(0.0, 8.0, (200, 3))
    assert device.encode(t_s, force, rate) == []
    said = converse(METAMOTION, device)
    sent = [
        packet
        for start in range(0, 200, 7)
        for packet in device.encode(*(x[start : start + 7] for x in (t_s, force, rate)))
    ]
    assert all(len(packet.data) <= device.mtu - 3 for packet in sent)
    assert [packet.t_last_s for packet in sent[:4]] == pytest.approx([0.01, 0.01, 0.025, 0.025])
    packets = MetaMotionDecoder().decode([*said, *(packet.data for packet in sent)])
    assert packets.index.tolist() == list(range(0, 198, 3))
    np.testing.assert_allclose(packets.acc_mps2, force[:198], atol=0.501 * STANDARD_GRAVITY_MPS2 / 2048.0)
    np.testing.assert_allclose(packets.gyr_radps, rate[:198], atol=0.501 * radians(1.0 / 16.4))


def test_what_is_stopped_or_disconnected_sends_nothing() -> None:
    device = MetaMotionDevice()
    still = np.zeros((3, 3))
    for stop in (device.disconnected, lambda: [device.write(write.uuid, write.data) for write in METAMOTION.stop]):
        converse(METAMOTION, device)
        assert device.streaming
        stop()
        assert not device.streaming
        assert device.encode(np.arange(3.0), still, still) == []


# ---------------------------------------------------------------- pairs


def test_any_single_loss_costs_its_pair_and_is_counted() -> None:
    sent = alternating(1, 10)
    for lost in range(len(sent)):
        packets = MetaMotionDecoder().decode([VERSION, *sent[:lost], *sent[lost + 1 :]])
        acc, gyr = instants(packets)
        assert acc == gyr == [instant for instant in range(1, 11) if instant != lost // 2 + 1]
        # a stream is counted from its first pair on
        assert packets.index.tolist() == [3 * (instant - acc[0]) for instant in acc]


@pytest.mark.parametrize("count", [3, 5, 7])
def test_any_odd_number_lost_in_a_row_pairs_nothing_wrongly(count: int) -> None:
    sent = alternating(1, 14)
    for lost in range(2, len(sent) - count - 2):
        packets = MetaMotionDecoder().decode([VERSION, *sent[:lost], *sent[lost + count :]])
        acc, gyr = instants(packets)
        assert acc == gyr
        # the pair whose half remained is known to be lost; of the whole pairs beside it no byte tells
        assert packets.index[-1] == 3 * len(acc)


@pytest.mark.parametrize("count", [2, 4])
def test_an_even_number_lost_in_a_row_costs_at_most_one_wrong_pair(count: int) -> None:
    sent = alternating(1, 14)
    for lost in range(len(sent) - count - 2):
        acc, gyr = instants(MetaMotionDecoder().decode([VERSION, *sent[:lost], *sent[lost + count :]]))
        wrong = [one - other for one, other in zip(acc, gyr, strict=True) if one != other]
        # whole pairs are gone, or the two halves around the hole look like one
        assert wrong == [count // 2] * (lost % 2)


def test_until_both_run_there_is_nothing_to_pair_and_nothing_lost() -> None:
    turning = [gyroscope(instant) for instant in range(-6, 1)]
    for before in ([], turning, [accelerometer(0)], [accelerometer(-7), *turning]):
        packets = MetaMotionDecoder().decode([VERSION, *before, *alternating(1, 4)])
        assert instants(packets) == ([1, 2, 3, 4], [1, 2, 3, 4])
        assert packets.index.tolist() == [0, 3, 6, 9]
        assert packets.first.tolist() == [True, False, False, False]


@pytest.mark.parametrize("opening", [VERSION, S_ACC])
def test_a_new_connection_forgets_the_half_that_waits(opening: bytes) -> None:
    decoder = MetaMotionDecoder()
    before = decoder.decode([VERSION, *alternating(1, 3), gyroscope(4)])
    after = decoder.decode([opening, accelerometer(8), *alternating(9, 12)])
    assert instants(after) == ([9, 10, 11, 12], [9, 10, 11, 12])
    assert set(before.stream.tolist()) == {1}
    assert set(after.stream.tolist()) == {2}
    assert after.index.tolist() == [0, 3, 6, 9]
    assert after.first.tolist() == [True, False, False, False]


def test_a_sample_at_the_end_of_the_range_is_clipped() -> None:
    loud = [gyroscope(2), accelerometer(-32768)]
    packets = MetaMotionDecoder().decode([*alternating(1, 1), *loud, *alternating(3, 3)])
    assert packets.clipped.tolist() == [False, True, False]
    assert packets.acc_mps2[3, 0] == pytest.approx(-16.0 * STANDARD_GRAVITY_MPS2)


# ---------------------------------------------------------------- whatever comes


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "truncated"),
        (ACC_VECTOR[:-1], "truncated"),
        (ACC_VECTOR + b"\x00", "truncated"),
        (b"\x55\x61" * 10, "foreign"),
    ],
)
def test_what_makes_no_sense_is_named_and_costs_no_neighbour(data: bytes, kind: str) -> None:
    packets = MetaMotionDecoder().decode([gyroscope(1), data, accelerometer(1)])
    assert [(position, error.kind) for position, error in packets.bad] == [(1, kind)]
    assert packets.position.tolist() == [2]


ANYTHING = st.one_of(
    st.builds(accelerometer, st.integers(-32768, 32767)),
    st.builds(gyroscope, st.integers(-32768, 32767)),
    st.sampled_from([VERSION, S_ACC, S_GYR, R_ACC, R_GYR, ACC_VECTOR, GYR_VECTOR, bytes.fromhex("0383a902")]),
    st.binary(max_size=24),
)


@given(st.lists(ANYTHING, max_size=40), st.lists(st.integers(0, 40)))
def test_how_notifications_are_grouped_changes_no_bit(notifications: list[bytes], cuts: list[int]) -> None:
    whole = MetaMotionDecoder().decode(notifications)
    decoder = MetaMotionDecoder()
    edges = sorted({0, len(notifications), *(cut for cut in cuts if cut < len(notifications))})
    parts = [decoder.decode(notifications[start:end]) for start, end in pairwise(edges)]
    for name in ("stream", "index", "samples", "first", "clipped", "acc_mps2", "gyr_radps"):
        together = [getattr(part, name).tobytes() for part in parts]
        assert b"".join(together) == getattr(whole, name).tobytes()
    assert sum(len(part.bad) for part in parts) == len(whole.bad)


@given(st.lists(ANYTHING, max_size=40))
def test_one_packet_is_decoded_as_many_are(notifications: list[bytes]) -> None:
    singly, together = MetaMotionDecoder(), MetaMotionDecoder()
    whole = together.decode(notifications)
    rows: list[tuple[int, int, bool, bytes, bytes]] = []
    for data in notifications:
        one = singly.decode_one(data)
        if one is not None:
            rows.append((one.stream, one.index, one.clipped, one.acc_mps2.tobytes(), one.gyr_radps.tobytes()))
            continue
        some = singly.decode([data])
        rows += [
            (
                int(some.stream[0]),
                int(some.index[0]),
                bool(some.clipped[0]),
                some.acc_mps2.tobytes(),
                some.gyr_radps.tobytes(),
            )
            for _ in some.position
        ]
    assert [row[:3] for row in rows] == list(
        zip(whole.stream.tolist(), whole.index.tolist(), whole.clipped.tolist(), strict=True)
    )
    assert b"".join(row[3] for row in rows) == whole.acc_mps2.tobytes()
    assert b"".join(row[4] for row in rows) == whole.gyr_radps.tobytes()
