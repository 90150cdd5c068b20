"""WitMotion's stream of frames: captured bytes, cuts anywhere, losses, and the dialogue that sets the rate."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS, board_of
from sensor_host.boards.board import AttError, Packets, Read, Subscribe, Write, converse
from sensor_host.boards.witmotion import (
    ACC_SCALE_MPS2,
    CONTROL_UUID,
    DATA_UUID,
    GYR_SCALE_RADPS,
    WITMOTION,
    WitMotionDecoder,
    WitMotionDevice,
    command,
    set_up,
)
from sensor_host.errors import LinkError

# captured; the last four bytes, two of the angles, were not kept
STILL = bytes.fromhex("556135ff59ff0a08000000000000b9fc00000000")
TURNING = bytes.fromhex("5561e403ebf43f007c0202ff330052fe00000000")

AT_200_HZ = bytes.fromhex("55710300" + "0b00" + "00" * 14)
AT_10_HZ = bytes.fromhex("55710300" + "0600" + "00" * 14)
VERSION = bytes.fromhex("55712e00" + "102d" + "00" * 14)
OPENING = [AT_200_HZ, VERSION]


def frame(number: int) -> bytes:
    """Return a frame whose counts tell it from others, and their places; none of its bytes could begin one."""
    return b"\x55\x61" + bytes(byte for place in range(9) for byte in (number, 0x60 + place))


def numbers(packets: Packets) -> list[int]:
    """Return which frames these are; a frame made of two is none."""
    acc = np.rint(packets.acc_mps2 / ACC_SCALE_MPS2).astype("<i2")
    gyr = np.rint(packets.gyr_radps / GYR_SCALE_RADPS).astype("<i2")
    seen = [b"\x55\x61" + row.tobytes() for row in np.hstack([acc, gyr])]
    for one in seen:
        assert one == frame(one[2])[:14]
    return [one[2] for one in seen]


# ---------------------------------------------------------------- captured bytes


def test_the_captured_frames_are_read_as_captured() -> None:
    packets = WitMotionDecoder().decode([*OPENING, STILL, TURNING])
    acc_g = packets.acc_mps2 / STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(acc_g, [[-0.0991, -0.0815, 1.0049], [0.4863, -1.3853, 0.0308]], atol=0.00005)
    np.testing.assert_allclose(np.degrees(packets.gyr_radps), [[0, 0, 0], [38.818, -15.503, 3.113]], atol=0.0005)
    assert packets.position.tolist() == [2, 3]
    assert packets.index.tolist() == [0, 1]
    assert packets.rates == ((0, 200.0),)
    assert packets.bad == ()


def test_the_ends_of_int16_are_16_g_and_2000_dps_and_clipped() -> None:
    loud = b"\x55\x61" + np.array([32767, -32768, 0, -32768, 32767, 0, 0, 0, 0], "<i2").tobytes()
    packets = WitMotionDecoder().decode([*OPENING, STILL, loud])
    assert packets.acc_mps2[1, 1] == pytest.approx(-16.0 * STANDARD_GRAVITY_MPS2)
    assert np.degrees(packets.gyr_radps[1, 0]) == pytest.approx(-2000.0)
    assert packets.clipped.tolist() == [False, True]


def test_it_is_recognised_by_its_service_and_by_its_name() -> None:
    assert BOARDS["witmotion"] is WITMOTION
    assert board_of("", ("0000ffe5-0000-1000-8000-00805f9a34fb",)) == "witmotion"
    assert board_of("WT901BLE68", ()) == "witmotion"
    # the same number on the standard base is another maker's
    assert board_of("", ("0000ffe5-0000-1000-8000-00805f9b34fb",)) == ""


# ---------------------------------------------------------------- set-up


def dialogue(device: WitMotionDevice) -> tuple[list[str], str]:
    """Return what the set-up writes, and what it tells the firmware's version to be."""
    wrote: list[str] = []
    run = set_up()
    got: bytes | None = None
    try:
        while True:
            action = next(run) if got is None else run.send(got)
            got = b""
            match action:
                case Subscribe():
                    assert action.uuid == DATA_UUID
                case Write():
                    assert (action.uuid, action.response) == (CONTROL_UUID, False)
                    wrote.append(action.data.hex())
                    answers = [data for _, data in device.write(action.uuid, action.data)]
                    if action.answered is not None:
                        got = next(filter(action.answered, answers))
                case Read():
                    raise AssertionError
    except StopIteration as end:
        return wrote, end.value


READ_RATE, READ_BANDWIDTH, READ_VERSION = "ffaa270300", "ffaa271f00", "ffaa272e00"


def test_a_sensor_as_shipped_is_unlocked_set_saved_and_read_back() -> None:
    device = WitMotionDevice()
    wrote, version = dialogue(device)
    set_it = ["ffaa6988b5", "ffaa030b00", "ffaa1f0200", "ffaa000000"]
    paced = [write for setting in set_it for write in (setting, READ_RATE)]
    assert wrote == [READ_RATE, READ_BANDWIDTH, *paced, READ_VERSION]
    assert version == "11536"
    device.switch_off_and_on()
    wrote, _ = dialogue(device)
    assert wrote == [READ_RATE, READ_BANDWIDTH, READ_VERSION], "what was saved need not be set again"


def test_a_version_of_the_new_form_has_three_parts() -> None:
    device = WitMotionDevice()
    device.write(CONTROL_UUID, command(0x69, 0xB588))
    # top bit, 16 bits of 901, 6 bits of which the lower five are 2, a bit, 7 bits of 35
    word = 1 << 31 | 901 << 14 | 2 << 8 | 35
    device.write(CONTROL_UUID, command(0x2E, word & 0xFFFF))
    device.write(CONTROL_UUID, command(0x2F, word >> 16))
    assert dialogue(device)[1] == "901.2.35"


def test_a_locked_sensor_takes_no_setting() -> None:
    device = WitMotionDevice()
    device.write(CONTROL_UUID, command(0x03, 0x0B))
    ((_, answer),) = device.write(CONTROL_UUID, command(0x27, 0x03))
    assert answer == AT_10_HZ
    with pytest.raises(AttError):
        device.write(DATA_UUID, command(0x27, 0x03))


def test_a_sensor_that_keeps_its_rate_is_refused_in_a_line() -> None:
    class Stubborn(WitMotionDevice):
        def write(self, uuid: str, data: bytes) -> tuple[tuple[str, bytes], ...]:
            return tuple(super().write(uuid, data)) if data[2] != 0x69 else ()

    with pytest.raises(LinkError, match="keeps a rate of 10 Hz: set 200 Hz in the vendor's app"):
        converse(WITMOTION, Stubborn())


def test_an_answer_is_found_wherever_notifications_cut_it() -> None:
    run = set_up()
    next(run)
    ask = run.send(b"")
    assert isinstance(ask, Write)
    assert ask.answered is not None
    stream = STILL[7:] + frame(1) + AT_200_HZ + frame(2)
    heard = [ask.answered(stream[start : start + 6]) for start in range(0, len(stream), 6)]
    assert heard.count(True) == 1
    assert heard.index(True) == (len(STILL[7:]) + 40 + 2 - 1) // 6, "two bytes of the next frame confirm it"


def test_what_the_device_measures_comes_back_to_half_a_count() -> None:
    device = WitMotionDevice()
    luck = np.random.default_rng(1)
    t_s = np.arange(50) / 200.0
    force, rate = luck.normal(0.0, 30.0, (50, 3)), luck.normal(0.0, 8.0, (50, 3))
    assert device.encode(t_s, force, rate) == []
    said = converse(WITMOTION, device)
    sent = [packet.data for packet in device.encode(t_s, force, rate)]
    assert all(len(data) <= device.mtu - 3 for data in sent)
    packets = WitMotionDecoder().decode([*said, *sent])
    np.testing.assert_allclose(packets.acc_mps2, force, atol=0.501 * ACC_SCALE_MPS2)
    np.testing.assert_allclose(packets.gyr_radps, rate, atol=0.501 * GYR_SCALE_RADPS)
    device.disconnected()
    assert not device.streaming


# ---------------------------------------------------------------- streams


def test_nothing_counts_before_the_rate_is_known() -> None:
    decoder = WitMotionDecoder()
    packets = decoder.decode([frame(1), AT_10_HZ, frame(2), b"\x01\x02", AT_200_HZ, frame(3), VERSION, frame(4)])
    assert numbers(packets) == [4]
    assert packets.bad == ()


def test_every_connection_is_a_stream_of_its_own() -> None:
    decoder = WitMotionDecoder()
    decoder.decode([*OPENING, frame(1), frame(2), frame(3)[:9]])
    packets = decoder.decode([AT_200_HZ, frame(4), VERSION, frame(5), frame(6)])
    assert numbers(packets) == [5, 6]
    assert packets.stream.tolist() == [2, 2]
    assert packets.index.tolist() == [0, 1]
    assert packets.first.tolist() == [True, False]


@given(st.lists(st.integers(0, 400), max_size=60))
def test_frames_are_the_same_wherever_notifications_cut_them(cuts: list[int]) -> None:
    stream = b"".join([*map(frame, range(10)), VERSION, VERSION, *map(frame, range(10, 18))])
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    packets = WitMotionDecoder().decode([*OPENING, *pieces])
    heard = numbers(packets)
    # the last one may still wait for what confirms it
    assert heard == list(range(18))[: len(heard)]
    assert len(heard) >= 17
    assert packets.bad == ()
    ends = [20 * number + 20 for number in (*range(10), *range(12, 20))]
    for position, end in zip(packets.position.tolist(), ends, strict=False):
        last = int(np.searchsorted(edges, end)) - 1
        whole = edges[last] <= end - 20
        assert position == 2 + (last if whole else int(np.searchsorted(edges, end + 2)) - 1)


@pytest.mark.parametrize("size", [1, 7, 13, 17, 20, 23, 33, 40, 57])
def test_a_lost_notification_costs_the_frames_it_touched_and_no_other(size: int) -> None:
    stream = b"".join(map(frame, range(30)))
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    for lost in range(len(pieces)):
        packets = WitMotionDecoder().decode([*OPENING, *pieces[:lost], *pieces[lost + 1 :]])
        touched = set(range(lost * size // 20, ((lost + 1) * size - 1) // 20 + 1))
        heard = numbers(packets)
        missing = set(range(29)) - set(heard)
        assert touched & set(range(29)) <= missing
        # the frame before waits for the bytes behind it, if notifications cut it: with them it is lost too
        assert missing - touched <= ({min(touched) - 1} if lost * size % 20 < 2 and (20 % size or size == 1) else set())
        if max(touched) >= heard[-1]:
            continue
        if size % 20:
            assert len(heard) - 1 < packets.index[-1] <= heard[-1], (
                "some of the loss is seen, never more than there was"
            )
            assert {error.kind for _, error in packets.bad} == {"foreign"}
        else:
            assert packets.index[-1] == len(heard) - 1


def test_a_notification_that_begins_a_frame_ends_what_came_before() -> None:
    packets = WitMotionDecoder().decode([*OPENING, frame(1), frame(2)[:19], frame(3), frame(4)])
    assert numbers(packets) == [1, 3, 4]
    assert packets.index.tolist() == [0, 2, 3]
    assert [(position, error.kind) for position, error in packets.bad] == [(4, "foreign")]


def test_two_bytes_that_look_like_a_frame_in_the_middle_of_one_mislead_nobody() -> None:
    tricky = b"\x55\x61" + bytes.fromhex("5561") * 9
    stream = frame(1) + tricky + frame(2) + tricky + frame(3)
    whole = WitMotionDecoder().decode([*OPENING, stream])
    assert len(whole.position) == 5
    assert whole.bad == ()
    behind_a_hole = WitMotionDecoder().decode([*OPENING, frame(1)[5:] + frame(2) + frame(3), frame(4)])
    assert numbers(behind_a_hole) == [2, 3, 4]


@given(
    st.lists(st.one_of(st.binary(max_size=45), st.sampled_from([*OPENING, STILL, TURNING, STILL[:11]])), max_size=30),
    st.data(),
)
def test_whatever_comes_is_no_error_and_its_grouping_changes_no_bit(
    notifications: list[bytes], data: st.DataObject
) -> None:
    whole = WitMotionDecoder().decode([*OPENING, *notifications])
    decoder = WitMotionDecoder()
    decoder.decode(OPENING)
    rows: list[tuple[int, int, bool, bool, bytes, bytes]] = []
    start = 0
    while start < len(notifications):
        one = decoder.decode_one(notifications[start]) if data.draw(st.booleans()) else None
        if one is not None:
            rows.append(
                (one.stream, one.index, one.first, one.clipped, one.acc_mps2.tobytes(), one.gyr_radps.tobytes())
            )
            start += 1
            continue
        end = data.draw(st.integers(start + 1, len(notifications)))
        some = decoder.decode(notifications[start:end])
        for row in range(len(some.position)):
            facts = (some.stream[row], some.index[row], some.first[row], some.clipped[row])
            rows.append((*facts, some.acc_mps2[row].tobytes(), some.gyr_radps[row].tobytes()))
        start = end
    assert [row[:4] for row in rows] == list(zip(whole.stream, whole.index, whole.first, whole.clipped, strict=True))
    assert b"".join(row[4] for row in rows) == whole.acc_mps2.tobytes()
    assert b"".join(row[5] for row in rows) == whole.gyr_radps.tobytes()
