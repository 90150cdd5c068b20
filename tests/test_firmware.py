"""The firmware's core on a PC and on an emulated Cortex-M4: the profile's bytes, whatever sensor and radio do."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from conftest import Needs
from firmware_world import (
    Counts,
    Expected,
    Play,
    Scenario,
    build_for_cortex_m4,
    build_for_host,
    build_sketch,
    records,
    run,
)

from sensor_host.boards.board import AttError
from sensor_host.boards.rimu import Info, RimuDecoder, RimuDevice, decode_info, encode_info, encode_packet
from sensor_host.boards.rimu_profile import CONTROL_UUID, NAME_PREFIX, SERVICE_UUID

# compiling with sanitisers, and a million samples on an emulated processor
pytestmark = pytest.mark.timeout(300)

PERIOD_US = 1e6 / 208
SETTLING = 21  # samples in a tenth of a second at 208 Hz

ALWAYS = 1 << 31

Command = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def command(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return what runs the driver on a machine; each is built once."""
    built: dict[str, list[str]] = {}

    def find(machine: str) -> list[str]:
        if machine not in built:
            folder = tmp_path_factory.mktemp(machine)
            if machine == "cortex-m4":
                built[machine] = build_for_cortex_m4(needs("arm-none-eabi-gcc"), needs("qemu-system-arm"), folder)
            elif machine == "xiao":
                built[machine] = build_sketch(needs("gcc"), needs("g++"), folder)
            else:
                built[machine] = build_for_host(needs("gcc"), folder)
        return built[machine]

    return find


@pytest.fixture(params=["pc", "cortex-m4"])
def play(request: pytest.FixtureRequest, command: Command, tmp_path: Path) -> Play:
    """Play a scenario on this machine and return what the device said."""
    return lambda scenario: list(records(run(command(request.param), scenario, tmp_path)))


# the whole sketch too, not the core alone
everywhere = pytest.mark.parametrize("play", ["pc", "cortex-m4", "xiao"], indirect=True)


def data_of(said: list[tuple[str, bytes]]) -> list[bytes]:
    return [data for what, data in said if what == "D"]


def answers(said: list[tuple[str, bytes]]) -> list[int]:
    return [data[0] for what, data in said if what == "A"]


def noise(count: int, seed: int = 1) -> Counts:
    """Return samples (n, 6) in the sensor's range, now and then at either end of it."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(-30000, 30000, (count, 6))
    ends = rng.random((count, 6)) < 0.01
    raw[ends] = rng.choice([-32768, -32767, 32767, 32766, -32766], ends.sum())
    return raw.astype(np.int16)


def every(period_us: float, count: int, start_us: int) -> np.ndarray:
    """Return when samples are made."""
    return start_us + np.rint(period_us * np.arange(count)).astype(np.int64)


def streaming(
    raw: Counts, *, start_us: int = 1_000_000, period_us: float = PERIOD_US, samples: int = 8
) -> tuple[Scenario, np.ndarray]:
    """Return a scenario in which a stream runs and these samples, behind those of settling, are yet to come.

    Interrupts come 40 us after the line.
    """
    scenario = Scenario(start_us)
    scenario.op("G", "HH", 0, 40)
    scenario.connect()
    scenario.start(samples)
    at_us = every(period_us, len(raw) + SETTLING, start_us + 5000)
    scenario.samples(at_us, np.vstack([np.zeros((SETTLING, 6), np.int16), raw]))
    scenario.until(int(at_us[SETTLING - 1]))
    scenario.op("V")
    return scenario, at_us[SETTLING:]


def poll(scenario: Scenario, at_us: int) -> None:
    scenario.until(int(at_us))
    scenario.op("V")


def unstamped(packets: list[bytes]) -> list[bytes]:
    """Return the packets without their times."""
    return [data[:4] + bytes(4) + data[8:] for data in packets]


def index_of(data: bytes) -> int:
    return int.from_bytes(data[2:4], "little")


def raw_of(packets: list[bytes]) -> np.ndarray:
    return np.concatenate([np.frombuffer(data, "<i2", offset=8).reshape(-1, 6) for data in packets])


# ---------------------------------------------------------------- published and hand-made bytes


def test_the_core_sends_the_published_packet(play: Play) -> None:
    scenario = Scenario()
    for _ in range(16):  # the count of starts, modulo 16, is 0 again
        scenario.op("p", "B", 3)
    raw = np.array([[100 + k, -200, 2049, 1, -2, 32767] for k in range(3)], np.int16)
    scenario.samples(np.array([1_000_000, 1_004_808, 1_009_615]), raw, letter="s")
    assert [data.hex() for data in data_of(play(scenario.bytes()))] == [
        "100c000040420f00640038ff01080100feffff7f650038ff01080100feffff7f660038ff01080100feffff7f"
    ]


def test_what_lies_in_the_fifo_by_the_data_sheet_is_sent_by_the_profile(play: Play) -> None:
    """Words: angular rate 1, -2, 32767, then acceleration 100, -200, 2049, as the chip lays them down."""
    scenario = Scenario(7_000)
    scenario.connect(23)
    scenario.start()
    words = [0x0001, 0xFFFE, 0x7FFF, 0x0064, 0xFF38, 0x0801]
    for _ in range(SETTLING + 1):
        scenario.op("P", "H6H", 6, *words)
    scenario.op("V")
    (data,) = data_of(play(scenario.bytes()))
    assert data[:4].hex() == "101c0000"  # stream 1, first packet, angular rate clipped, index 0
    assert data[8:].hex() == "640038ff01080100feffff7f"


@everywhere
def test_the_registers_hold_what_the_data_sheet_asks_for(play: Play) -> None:
    scenario = Scenario()
    scenario.connect()
    scenario.start()
    scenario.op("Q")
    scenario.start(19, 4160)
    scenario.op("Q")
    scenario.control(b"\x02")
    scenario.op("Q")
    running, fast, asleep = (data for what, data in play(scenario.bytes()) if what == "Q")
    # FIFO_CTRL1..5: watermark 8 x 6 words, no decimation, 208 Hz continuous; INT1: watermark
    assert running[0x06:0x0B].hex() == "300009002e"
    assert running[0x0D] == 0x08
    # CTRL1_XL 208 Hz 16 g, CTRL2_G 208 Hz 2000 dps, CTRL3_C block data update and counting addresses
    assert running[0x10:0x13].hex() == "545c44"
    # 19 x 6 = 114 words, rate code 6 = 416 Hz
    assert fast[0x06:0x0B].hex() == "7200090036"
    assert fast[0x10:0x12].hex() == "646c"
    assert (asleep[0x0A], asleep[0x10], asleep[0x11]) == (0, 0, 0)


@everywhere
def test_the_info_record_says_what_is_in_use(play: Play) -> None:
    scenario = Scenario()
    scenario.op("I")
    scenario.connect()
    scenario.start(16, 1100)
    scenario.op("I")
    scenario.op("M", "H", 100)
    scenario.op("I")
    fresh, chosen, narrow = (data for what, data in play(scenario.bytes()) if what == "I")
    assert fresh.hex() == "1f002008" + "40720700" + "801d2c04" + "1001d007" + "01006a00"  # 1 sample: MTU 23
    # 104 Hz is the nearest to 110 Hz; first stream
    assert decode_info(chosen) == Info(rate_hz=104.0, samples_per_packet=16, stream=1)
    assert encode_info(decode_info(chosen)) == chosen
    assert decode_info(narrow).samples_per_packet == 7  # 97 bytes hold a header and 7 samples


# ---------------------------------------------------------------- control


@everywhere
def test_commands_are_answered_as_the_host_expects_of_the_profile(play: Play) -> None:
    """Against the device that plays the firmware in every other test, and a few of them by hand."""
    rng = np.random.default_rng(4)
    commands = [b"", b"\x04", b"\x01\x08", b"\x02\x00", b"\x03\x00", b"\x01\x14\x00\x00", b"\x01\x13\x00\x00", b"\x03"]
    by_hand = [0x0D, 0x80, 0x0D, 0x0D, 0x0D, 0x81, 0, 0]
    commands += [bytes([rng.integers(0, 5), *rng.integers(0, 24, rng.integers(0, 6))]) for _ in range(300)]
    scenario = Scenario()
    scenario.connect()
    for data in commands:
        scenario.control(data)
    got = answers(play(scenario.bytes()))
    device = RimuDevice()
    expected = []
    for data in commands:
        try:
            device.write(CONTROL_UUID, data)
            expected.append(0)
        except AttError as error:
            expected.append(error.code)
    assert got[:8] == by_hand
    assert got == expected


@everywhere
def test_a_sensor_that_does_not_answer_refuses_the_start_and_may_come_back(play: Play) -> None:
    scenario = Scenario()
    scenario.connect()
    scenario.op("F", "II", 0, 1)
    scenario.start()
    scenario.start()
    scenario.op("I")
    said = play(scenario.bytes())
    assert answers(said) == [0x0E, 0]
    assert [decode_info(data).stream for what, data in said if what == "I"] == [1]  # the first was none


def test_another_chip_is_not_taken_for_the_sensor(play: Play) -> None:
    scenario = Scenario()
    scenario.op("H", "B", 0x6C)  # an LSM6DSO, whose FIFO is another
    scenario.op("B")
    scenario.connect()
    scenario.start()
    said = play(scenario.bytes())
    assert [data[0] for what, data in said if what == "B"] == [1, 0]
    assert answers(said) == [0x0E]


def test_a_sensor_that_came_late_is_named_in_the_info_record(play: Play) -> None:
    scenario = Scenario()
    scenario.op("F", "II", 0, 1)
    scenario.op("B")
    scenario.op("I")
    scenario.connect()
    scenario.start()
    scenario.op("I")
    assert [decode_info(data).chip for what, data in play(scenario.bytes()) if what == "I"] == [0, 0x6A]


def test_identify_blinks_for_three_seconds_even_across_the_clocks_wrap(play: Play) -> None:
    scenario = Scenario((1 << 32) - 1_000_000)
    scenario.control(b"\x03")
    for after_us in (0, 2_999_999, 3_000_000, 10_000_000):
        scenario.until((1 << 32) - 1_000_000 + after_us)
        scenario.op("O")
    assert [data[0] for what, data in play(scenario.bytes()) if what == "O"] == [1, 1, 0, 0]


@everywhere
@pytest.mark.parametrize("end", ["stop", "disconnect"])
def test_nothing_is_sent_after_the_end_and_a_new_start_begins_anew(play: Play, end: str) -> None:
    raw = noise(100)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[19])  # 20 samples: two packets and an open one
    if end == "stop":
        scenario.control(b"\x02")
    else:
        scenario.op("D")
        scenario.connect()
    poll(scenario, at_us[40])
    scenario.start()
    poll(scenario, at_us[99])
    packets = data_of(play(scenario.bytes()))
    assert [(data[1] >> 4, index_of(data)) for data in packets] == [(1, 0), (1, 8), (2, 0), (2, 8), (2, 16), (2, 24)]
    assert [data[1] & 8 for data in packets] == [8, 0, 8, 0, 0, 0]
    np.testing.assert_array_equal(raw_of(packets[2:]), raw[41 + SETTLING :][:32])


@everywhere
def test_who_comes_back_has_to_subscribe_again(play: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.op("D")
    scenario.op("C", "H", 247)
    scenario.start()
    poll(scenario, at_us[63])
    assert data_of(play(scenario.bytes())) == []


def test_a_greater_mtu_makes_longer_packets_at_once_and_a_smaller_one_shorter(play: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.op("M", "H", 23)
    poll(scenario, at_us[2])
    scenario.op("M", "H", 247)
    poll(scenario, at_us[15])  # a packet of 8 and 5 open samples
    scenario.op("M", "H", 47)
    poll(scenario, at_us[18])
    lengths = [(len(data) - 8) // 12 for data in data_of(play(scenario.bytes()))]
    assert lengths == [1, 1, 1, 8, 5, 3]


@everywhere
def test_samples_made_while_nobody_listens_are_counted(play: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[9])
    scenario.op("S", "B", 0)
    poll(scenario, at_us[29])
    scenario.op("S", "B", 1)
    poll(scenario, at_us[45])
    packets = data_of(play(scenario.bytes()))
    assert [index_of(data) for data in packets] == [0, 30, 38]
    np.testing.assert_array_equal(raw_of(packets), raw[[*range(8), *range(30, 46)]])


# ---------------------------------------------------------------- a slow radio


@everywhere
def test_when_the_radio_is_slow_the_newest_are_kept_in_order_and_the_index_counts_the_rest(play: Play) -> None:
    raw = noise(2000)
    scenario, at_us = streaming(raw)
    scenario.op("R", "I", 3)
    for k in range(7, 1600, 8):
        poll(scenario, at_us[k])
    scenario.op("R", "I", 1 << 31)
    poll(scenario, at_us[1607])
    packets = data_of(play(scenario.bytes()))
    # 16384 bytes hold 156 packets of 8 + 96 bytes and their length; the radio is asked when the last has come in
    index = [index_of(data) for data in packets]
    assert index == [0, 8, 16, *range(1608 - 156 * 8, 1608, 8)]
    np.testing.assert_array_equal(raw_of(packets[3:]), raw[1608 - 156 * 8 : 1608])
    assert not any(data[1] & 1 for data in packets)  # no overrun: the index has counted them all


# ---------------------------------------------------------------- what the sensor does


@everywhere
def test_an_overrun_is_flagged_and_costs_no_more_than_was_overwritten(play: Play) -> None:
    """2048 words hold 341 samples and the last third of another, which is of no use."""
    raw = noise(700)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[11])
    poll(scenario, at_us[11 + 500])
    poll(scenario, at_us[11 + 504])
    packets = data_of(play(scenario.bytes()))
    assert [len(data) for data in packets[:3]] == [104, 8 + 4 * 12, 104]  # the open packet goes before the hole
    assert [data[1] & 1 for data in packets[:4]] == [0, 0, 1, 0]
    assert [index_of(data) for data in packets[:4]] == [0, 8, 12, 20]  # the index does not count what was overwritten
    kept = [*range(12), *range(512 - 341, 700)]  # on a real bus samples come while others are read
    np.testing.assert_array_equal(raw_of(packets), raw[kept][: len(raw_of(packets))])
    assert len(raw_of(packets)) > 345


def test_an_exactly_full_fifo_is_not_taken_for_an_empty_one(play: Play) -> None:
    """Its count of words has 11 bits, and 2048 needs 12."""
    raw = noise(400)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[341])  # 342 samples: 4 words too many
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[1 : 1 + len(packets) * 8])
    assert len(packets) == 42
    assert packets[0][1] == 0x19 | (packets[0][1] & 6)  # stream 1, first packet, overrun


@everywhere
@pytest.mark.parametrize("words", [1, 3, 5])
def test_a_fifo_out_of_step_is_brought_back_to_the_beginning_of_a_sample(play: Play, words: int) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[7])
    scenario.until(int(at_us[15]))
    scenario.op("X", "H", words)
    scenario.op("V")
    poll(scenario, at_us[24])
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[[*range(8), *range(9, 25)]])
    assert [data[1] & 1 for data in packets] == [0, 1, 0]
    assert [index_of(data) for data in packets] == [0, 8, 16]
    stamp_us = int.from_bytes(packets[1][4:8], "little")
    assert abs(stamp_us - at_us[9]) < 0.55 * PERIOD_US  # the edge counted a sample that is gone


@pytest.mark.parametrize("pattern", [3, 9])
def test_a_pattern_that_is_told_falsely_once_costs_nothing(play: Play, pattern: int) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[7])
    scenario.until(int(at_us[15]))
    scenario.op("Y", "HI", pattern, 1)
    scenario.op("V")
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[:16])
    assert not any(data[1] & 1 for data in packets)


def test_an_overrun_is_told_even_where_the_pattern_says_that_nothing_is_missing(play: Play) -> None:
    raw = noise(600)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[7])
    scenario.until(int(at_us[508]))
    scenario.op("Y", "HI", 0, ALWAYS)
    scenario.op("V")
    packets = data_of(play(scenario.bytes()))
    assert [data[1] & 1 for data in packets[:3]] == [0, 1, 0]
    stamp_us = int.from_bytes(packets[1][4:8], "little")
    assert abs(stamp_us - at_us[508 - 340]) < 0.55 * PERIOD_US


@pytest.mark.parametrize("pattern", [6, 0x103])
def test_a_pattern_that_cannot_be_empties_the_fifo(play: Play, pattern: int) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[7])
    scenario.until(int(at_us[15]))
    scenario.op("Y", "HI", pattern, ALWAYS)
    scenario.op("V")
    poll(scenario, at_us[31])
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[[*range(8), *range(16, 32)]])
    assert [data[1] & 1 for data in packets] == [0, 1, 0]


@everywhere
def test_a_bus_that_fails_before_the_fifo_is_read_costs_nothing(play: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.op("F", "II", 0, 3)
    for k in (7, 15, 23, 31):
        poll(scenario, at_us[k])
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[:32])
    assert not any(data[1] & 1 for data in packets)


@everywhere
def test_a_burst_that_fails_half_way_is_flagged_and_the_next_sample_is_whole(play: Play) -> None:
    """A burst of five samples breaks after 30 of 60 bytes: 15 words, two samples and a half."""
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.until(int(at_us[15]))
    scenario.op("F", "II", 2, 1)  # the look and one burst are good
    scenario.op("V")
    scenario.op("V")
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[[*range(5), *range(8, 16)]])
    assert [(index_of(data), data[1] & 1) for data in packets] == [(0, 0), (5, 1)]


def test_a_burst_that_fails_between_two_samples_is_flagged_too(play: Play) -> None:
    """A burst of two breaks after 12 of 24 bytes, a whole sample: nothing else tells that it is missing."""
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.until(int(at_us[6]))
    scenario.op("F", "II", 2, 1)
    scenario.op("V")
    poll(scenario, at_us[13])
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[[*range(5), *range(6, 14)]])
    assert [(index_of(data), data[1] & 1) for data in packets] == [(0, 0), (5, 1)]


def test_a_sensor_that_lost_its_settings_is_set_up_again_within_the_stream(play: Play) -> None:
    raw = noise(400)
    scenario, at_us = streaming(raw)
    poll(scenario, at_us[7])
    scenario.op("U")
    for k in range(15, 400, 8):
        poll(scenario, at_us[k])
    packets = data_of(play(scenario.bytes()))
    assert [data[1] & 0xF9 for data in packets[:3]] == [0x18, 0x11, 0x10]  # the same stream, an overrun
    assert [index_of(data) for data in packets] == list(range(0, len(packets) * 8, 8))
    # it is missed after half a second of silence at the earliest and 50 ms later at the latest
    restarted = int(np.flatnonzero((raw == raw_of(packets)[8]).all(axis=1))[0]) - SETTLING
    assert 0.5 < (at_us[restarted] - at_us[7]) * 1e-6 < 0.55
    np.testing.assert_array_equal(raw_of(packets[1:]), raw[restarted + SETTLING :][: 8 * len(packets[1:])])


def test_a_bus_that_stays_dead_sets_the_sensor_up_again(play: Play) -> None:
    raw = noise(200)
    scenario, at_us = streaming(raw)
    scenario.op("F", "II", 0, 8)
    for k in range(7, 200, 8):
        poll(scenario, at_us[k])
    packets = data_of(play(scenario.bytes()))
    # the eighth failure, at sample 63, sets it up; what comes behind settling is sent
    np.testing.assert_array_equal(raw_of(packets), raw[64 + SETTLING :][: len(raw_of(packets))])
    assert packets[0][1] & 0xF9 == 0x19
    assert len(packets) > 10


@everywhere
def test_a_bus_that_fails_now_and_then_loses_nothing(play: Play) -> None:
    raw = noise(200)
    scenario, at_us = streaming(raw)
    for k in range(7, 192, 8):
        if k in (7, 71):
            scenario.op("F", "II", 0, 7)
        poll(scenario, at_us[k])
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[:192])


def test_a_loss_belongs_to_its_stream_alone(play: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.until(int(at_us[4]))
    scenario.op("X", "H", 30)
    scenario.op("Y", "HI", 6, ALWAYS)
    scenario.op("V")  # everything is lost, and nothing comes that could say so
    scenario.start()
    poll(scenario, at_us[63])
    assert [data[1] & 0xF9 for data in data_of(play(scenario.bytes()))][:2] == [0x28, 0x20]


# ---------------------------------------------------------------- time


def stamp_errors_us(packets: list[bytes], at_us: np.ndarray) -> np.ndarray:
    """Return by how much the time of each packet's first sample is wrong; indices are unwrapped."""
    index = np.unwrap([index_of(data) for data in packets], period=1 << 16).astype(np.int64)
    stamps = np.array([int.from_bytes(data[4:8], "little") for data in packets])
    return (stamps - at_us[index] + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("rate_error", [-0.03, 0.0, 0.03])
def test_with_the_watermark_line_stamps_are_right_to_the_interrupts_delay(play: Play, rate_error: float) -> None:
    """The sensor is off by 3 %, the interrupt comes 40 us late, the bus takes its time, the task comes when it can."""
    raw = noise(3000)
    period_us = PERIOD_US / (1 + rate_error)
    scenario, at_us = streaming(raw, period_us=period_us, start_us=(1 << 32) - 3_000_000)  # the clock wraps within
    scenario.op("G", "HH", 25, 40)
    rng = np.random.default_rng(2)
    for k in range(7, 2990, 8):
        poll(scenario, at_us[k] + int(rng.integers(50, 4750)))
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[: 8 * len(packets)])
    errors = stamp_errors_us(packets, at_us)
    assert np.abs(errors[8:] - 40).max() <= 5
    # the sensor's period is known to 1/8 after every pair of edges: from 3 % of seven samples on
    assert np.abs(errors).max() < 1100


@pytest.mark.parametrize("slower", [0.98, 1.02])
def test_without_the_line_stamps_are_within_a_period_and_never_run_back(play: Play, slower: float) -> None:
    raw = noise(3000)
    scenario = Scenario(5_000_000)
    scenario.op("E", "B", 0)
    scenario.op("B")
    scenario.connect()
    scenario.start()
    at_us = every(PERIOD_US * slower, len(raw), 5_010_000)
    scenario.samples(at_us, raw)
    rng = np.random.default_rng(2)
    for k in range(7, 2990, 8):
        poll(scenario, at_us[k] + int(rng.integers(0, 4800)))
    packets = data_of(play(scenario.bytes()))
    errors = stamp_errors_us(packets, at_us[SETTLING:])
    assert np.abs(errors).max() < PERIOD_US
    stamps = np.array([int.from_bytes(data[4:8], "little") for data in packets])
    assert np.diff(stamps).min() > 0
    assert len(packets) > 360


def test_a_busy_board_that_looks_late_stamps_no_worse(play: Play) -> None:
    """Looked at every 8 to 200 samples: the edge still belongs to the eighth of them."""
    raw = noise(8000)
    scenario, at_us = streaming(raw)
    scenario.op("G", "HH", 25, 40)
    rng = np.random.default_rng(5)
    k = 7
    while k < 7700:
        poll(scenario, at_us[k] + int(rng.integers(50, 4000)))
        k += int(rng.integers(8, 200))
    packets = data_of(play(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[: 8 * len(packets)])
    # a microsecond that the first two edges, 21 samples apart, are rounded by is ten over 200 samples
    assert np.abs(stamp_errors_us(packets, at_us) - 40).max() < 30


def test_an_edge_that_means_nothing_changes_no_stamp(play: Play) -> None:
    raw = noise(400)
    scenario, at_us = streaming(raw)
    for k in range(7, 390, 8):
        scenario.until(int(at_us[k - 6]) + 100)
        scenario.op("e")
        scenario.op("V")
        poll(scenario, at_us[k] + 1000)
    packets = data_of(play(scenario.bytes()))
    assert np.abs(stamp_errors_us(packets, at_us)).max() < 60


def test_a_false_edge_at_the_very_start_is_no_period(play: Play) -> None:
    """It says that three samples take four periods; the board is busy over the next forty."""
    scenario = Scenario(1_000_000)
    scenario.connect(23)
    scenario.op("G", "HH", 0, 40)
    scenario.start()
    at_us = every(PERIOD_US, 60, 1_005_000)
    scenario.samples(at_us, noise(60))
    scenario.until(int(at_us[2]) + 100)
    scenario.op("e")
    scenario.op("V")
    poll(scenario, at_us[6] + 60)
    poll(scenario, at_us[46] + 60)
    errors = stamp_errors_us(data_of(play(scenario.bytes())), at_us[SETTLING:])
    assert np.abs(errors).max() < 60


def test_an_edge_that_rises_while_words_are_read_is_not_taken_for_the_next(play: Play) -> None:
    """A ninth sample comes while the first of eight is read: seven and a new one raise the line once more."""
    scenario, at_us = streaming(noise(64))
    poll(scenario, at_us[7] + 100)
    scenario.op("G", "HH", 25, 40)
    poll(scenario, at_us[16] - 375)  # 150 us to look, 50 to address, 25 a byte: within the first sample
    poll(scenario, at_us[22] + 100)
    poll(scenario, at_us[31] + 100)
    packets = data_of(play(scenario.bytes()))
    assert len(packets) == 4
    assert np.abs(stamp_errors_us(packets, at_us) - 40).max() < 10


def test_jitter_of_the_interrupt_is_smoothed_out_of_the_period(play: Play) -> None:
    """Interrupts up to 0.2 ms late; now and then the board is busy over 300 samples, whose stamps hang on one edge."""
    raw = noise(8000)
    scenario, at_us = streaming(raw)
    rng = np.random.default_rng(9)
    k = 7
    for step in [*[8] * 40, 300] * 12:
        scenario.op("G", "HH", 0, int(rng.integers(0, 200)))
        poll(scenario, at_us[k] + 400)
        k += step
    errors = stamp_errors_us(data_of(play(scenario.bytes())), at_us)
    # two edges 8 samples apart alone would be up to 0.2 ms / 8 off, or 7 ms over 300 samples
    assert np.abs(errors).max() < 2500
    assert np.quantile(np.abs(errors), 0.9) < 900


def test_the_low_power_clock_counts_microseconds_across_its_wrap(play: Play) -> None:
    """32,768 ticks are a second, 24 bits are 512 s."""
    counters = [0, 1, 32768, 0xFFFFFF, 0, 32768, 32767]
    seconds = [0, 1 / 32768, 1, 512 - 1 / 32768, 512, 513, 1025 - 1 / 32768]
    scenario = Scenario()
    scenario.op("K", f"H{len(counters)}I", len(counters), *counters)
    got = [struct.unpack("<I", data)[0] for what, data in play(scenario.bytes()) if what == "K"]
    assert got == [int(s * 1_000_000) for s in seconds]


# ---------------------------------------------------------------- the sketch around the core


@pytest.fixture
def play_sketch(command: Command, tmp_path: Path) -> Play:
    """Play a scenario against the whole sketch, on stand-ins for its board package."""
    return lambda scenario: list(records(run(command("xiao"), scenario, tmp_path)))


def told(said: list[tuple[str, bytes]]) -> list[bytes]:
    """Return what the sketch told its board and its radio."""
    return [data for what, data in said if what == "J"]


def test_the_sketch_is_found_as_the_profile_says_and_asks_for_a_fast_link(play_sketch: Play) -> None:
    scenario = Scenario()
    scenario.connect()
    said = told(play_sketch(scenario.bytes()))
    assert bytes.fromhex(SERVICE_UUID.replace("-", ""))[::-1] in said
    assert next(data for data in said if data.startswith(NAME_PREFIX.encode())) == b"RIMU-1A2B"  # of its address
    # 7.5 and 15 ms in units of 1.25 ms
    assert {b"interval from 6", b"interval to 12", b"phy 2", b"mtu 247", b"advertises"} <= set(said)


def test_the_sketch_stamps_samples_to_a_tick_of_its_clock(play_sketch: Play) -> None:
    raw = noise(3000)
    scenario, at_us = streaming(raw)
    for k in range(7, 2990, 8):
        poll(scenario, at_us[k] + 700)
    packets = data_of(play_sketch(scenario.bytes()))
    np.testing.assert_array_equal(raw_of(packets), raw[: 8 * len(packets)])
    # 32,768 Hz: 31 us, and as much again for the period that is measured with it
    assert np.abs(stamp_errors_us(packets, at_us)).max() < 100


def test_the_sketch_is_woken_by_the_sensor_and_by_room_in_the_radio(play_sketch: Play) -> None:
    raw = noise(100)
    scenario, at_us = streaming(raw)
    for k in (6, 8):  # seven samples wake nobody, nine do
        scenario.until(int(at_us[k]))
        scenario.op("v")
    scenario.op("R", "I", 0)
    poll(scenario, at_us[20])
    scenario.op("R", "I", 9)
    scenario.op("v")
    scenario.op("I")
    scenario.op("H")
    scenario.op("v")
    said = [what for what, _ in play_sketch(scenario.bytes()) if what in "DI"]
    assert said == ["D", "I", "D"]


def test_the_sketch_sleeps_long_when_idle_and_feeds_its_watchdog(play_sketch: Play) -> None:
    scenario = Scenario()
    scenario.op("V")
    scenario.op("Z")
    scenario.op("Z")
    scenario.connect()
    scenario.start()
    scenario.op("V")
    scenario.op("Z")
    scenario.op("D")
    scenario.op("Q")
    said = play_sketch(scenario.bytes())
    slept = [struct.unpack("<II", data) for what, data in said if what == "Z"]
    fed = 0x6E524635  # nRF52840 product specification, WDT
    assert slept == [(5120, fed), (5120, 0), (51, fed)]  # ticks of 1/1024 s
    (registers,) = (data for what, data in said if what == "Q")
    assert (registers[0x10], registers[0x11]) == (0, 0)  # the sensor sleeps when the host is gone


def test_the_sketch_blinks_when_asked_to(play_sketch: Play) -> None:
    scenario = Scenario(1_000_000)
    scenario.connect()
    scenario.control(b"\x03")
    for ms in range(0, 4000, 50):
        poll(scenario, 1_000_000 + ms * 1000)
        scenario.op("O")
    lit = [data[0] for what, data in play_sketch(scenario.bytes()) if what == "O"]
    assert set(lit[:59]) == {0, 1}
    assert not any(lit[61:])


@pytest.mark.parametrize(("mv", "percent"), [(3000, 0), (3750, 35), (4000, 80), (4200, 100)])
def test_the_sketch_tells_how_full_the_cell_is_every_minute(play_sketch: Play, mv: int, percent: int) -> None:
    scenario = Scenario()
    scenario.connect()
    scenario.op("b", "H", mv)
    poll(scenario, 59_000_000)
    poll(scenario, 61_000_000)
    poll(scenario, 62_000_000)
    levels = [int(data.split()[1]) for data in told(play_sketch(scenario.bytes())) if data.startswith(b"battery")]
    assert len(levels) == 2
    assert levels[1] == pytest.approx(percent, abs=1)


def test_the_sketch_refuses_long_writes_by_the_att_protocol(play_sketch: Play) -> None:
    scenario = Scenario()
    scenario.connect()
    scenario.op("w", "B4s", 4, b"\x01\x08\x00\x00")  # type: ignore[arg-type]
    assert answers(play_sketch(scenario.bytes())) == [0x06]


def test_the_sketch_sends_to_a_bonded_host_whose_subscription_came_back(play_sketch: Play) -> None:
    raw = noise(64)
    scenario, at_us = streaming(raw)
    scenario.op("D")
    scenario.op("C", "H", 247)
    scenario.op("s")
    scenario.start()
    poll(scenario, at_us[63])
    assert len(data_of(play_sketch(scenario.bytes()))) == (64 - SETTLING) // 8


# ---------------------------------------------------------------- a million samples


def packetised(count: int) -> tuple[bytes, list[bytes]]:
    """Return a scenario for the packetiser alone, and the packets it must send: the Python encoder's."""
    rng = np.random.default_rng(11)
    scenario = Scenario()
    expected: list[bytes] = []
    stream = done = 0
    while done < count:
        size, length = int(rng.integers(1, 20)), int(rng.integers(1, 30_000))
        raw = noise(length, seed=done)
        at_us = every(PERIOD_US, length, int(rng.integers(0, 1 << 32)))
        stream = (stream + 1) % 16
        scenario.op("p", "B", size)
        passed = int(rng.choice([0, 65_530, 131_072 - length // 2]))  # the index wraps at the start, or in the middle
        scenario.op("k", "I", passed)
        cut = int(rng.integers(0, length + 1))
        scenario.samples(at_us[:cut], raw[:cut], letter="s")
        scenario.op("l")
        scenario.samples(at_us[cut:], raw[cut:], letter="s")
        for start, end in ((0, cut), (cut, length)):
            for k in range(start, end, size):
                part = raw[k : min(k + size, end)]
                if len(part) == size or end == cut:  # what is open when the next stream starts is gone
                    flags = (8 if not expected or k == 0 else 0) | (1 if k == cut else 0)
                    ends = np.abs(part.astype(int)) >= 32767
                    flags |= 2 * bool(ends[:, :3].any()) | 4 * bool(ends[:, 3:].any())
                    expected.append(
                        encode_packet(part, index=passed + k, device_us=int(at_us[k]), flags=flags, stream=stream)
                    )
        done += length
    return scenario.bytes(), expected


def first_difference(got: list[bytes], expected: list[bytes]) -> str:
    for k, (one, other) in enumerate(zip(got, expected, strict=False)):
        if one != other:
            return f"packet {k}: {one.hex()} instead of {other.hex()}"
    return f"{len(got)} packets instead of {len(expected)}"


def test_a_million_samples_are_packed_into_the_very_bytes_of_the_python_encoder(play: Play) -> None:
    scenario, expected = packetised(1_000_000)
    got = data_of(play(scenario))
    assert got == expected, first_difference(got, expected)
    packets = RimuDecoder().decode(got)
    assert not packets.bad
    assert len(packets.acc_mps2) > 990_000


SESSIONS = [  # MTU, samples asked for, rate in 0.1 Hz asked for, the rate there is, true rate / nominal, samples
    (247, 0, 0, 2080, 1.00, 200_000),  # the index wraps three times
    (23, 8, 2080, 2080, 1.03, 100_000),
    (247, 5, 2080, 2080, 1.0, 100_000),
    (247, 19, 2080, 2080, 0.97, 50_000),
    (517, 19, 4000, 4160, 1.01, 50_000),
    (185, 16, 1040, 1040, 0.99, 50_000),
    (131, 10, 0, 2080, 1.02, 50_000),
    (100, 19, 1, 1040, 0.98, 50_000),
    (64, 4, 65535, 4160, 1.00, 50_000),
    (47, 3, 2080, 2080, 1.00, 50_000),
    (35, 2, 2080, 2080, 1.01, 50_000),
    (247, 7, 1560, 1040, 1.00, 50_000),
    (247, 1, 2080, 2080, 0.99, 50_000),
    (158, 12, 2080, 2080, 1.00, 50_000),
    (247, 17, 3121, 4160, 1.00, 50_000),
]


def played(sessions: list[tuple[int, int, int, int, float, int]]) -> tuple[bytes, list[bytes], np.ndarray, np.ndarray]:
    """Return a scenario for the whole device and the packets that must come, without times.

    With them, per packet, the true time of its first sample, and whether the device can know it: the watermark line has
    risen since it last lost count, and ever twice in a row. Every few hundred looks one comes too late: an overrun.
    """
    rng = np.random.default_rng(7)
    scenario = Scenario((1 << 32) - 200_000_000)
    expected: list[bytes] = []
    times: list[np.ndarray] = []
    known: list[np.ndarray] = []
    for number, (mtu, asked, rate, nearest, true, count) in enumerate(sessions):
        size = min(asked or 8, (min(mtu, 247) - 11) // 12)
        watermark = max(size, 4)
        period_us = 1e7 / nearest / true
        settling = ceil(nearest / 100)
        raw = noise(count, seed=number)
        scenario.until(scenario.now_us + 1_000_000)
        scenario.connect(mtu)
        scenario.op("G", "HH", 0, 30)
        scenario.start(asked, rate)
        at_us = every(period_us, count, scenario.now_us + 3000)
        blocks = rng.choice([watermark, 1, 13, 40, 345], count // 4, p=[0.86, 0.05, 0.05, 0.038, 0.002])
        blocks[:60] = 1
        ends = np.cumsum(blocks)
        ends = ends[ends <= count]
        kept: list[np.ndarray] = []
        lost: list[bool] = []
        knows = np.zeros(count, np.bool_)
        start = edges = pairs = 0
        for end in ends.tolist():
            scenario.samples(at_us[start:end], raw[start:end])
            poll(scenario, at_us[end - 1] + int(rng.integers(0, int(0.8 * period_us))))
            lost.append(end - start > 341)
            kept.append(np.arange(max(start, end - 341), end))
            edges = 0 if lost[-1] else edges + int(end - start >= watermark)
            pairs += int(edges > 1)
            knows[start:end] = edges > 0 and pairs > 0
            start = end
        source = np.concatenate(kept)[settling:]
        stream = Expected(raw[source], size, (number + 1) % 16)
        left = settling
        for part, broken in zip(kept, lost, strict=True):
            if broken:
                stream.lose()
            skipped = min(left, len(part))
            left -= skipped
            stream.add(len(part) - skipped)
            stream.send()
        expected += [data for _, data in stream.sent]
        firsts = source[[index for index, _ in stream.sent]]
        times.append(at_us[firsts])
        known.append(knows[firsts])
        scenario.op("D")
    return scenario.bytes(), expected, np.concatenate(times), np.concatenate(known)


def test_a_million_samples_through_the_sensors_fifo_come_out_whole_and_in_time(play: Play) -> None:
    scenario, expected, true_us, known = played(SESSIONS)
    got = data_of(play(scenario))
    assert unstamped(got) == expected, first_difference(unstamped(got), expected)
    assert sum((len(data) - 8) // 12 for data in got) > 990_000
    assert sum(data[1] & 1 for data in got) > 100  # overruns there were
    stamps = np.array([int.from_bytes(data[4:8], "little") for data in got])
    errors = (stamps - true_us + (1 << 31)) % (1 << 32) - (1 << 31)
    assert np.abs(errors[known] - 30).max() < 60
    assert known.mean() > 0.8
    assert np.abs(errors).max() < 1e7 / 1040  # a period of the slowest rate
    overrun = np.array([data[1] & 1 for data in got], np.bool_)
    assert np.abs(errors[overrun]).max() < 0.55 * 1e7 / 1040
    assert not RimuDecoder().decode(got).bad


def test_a_cortex_m4_sends_the_same_bytes_as_a_pc(command: Command, tmp_path: Path) -> None:
    """Times included, over the run in which everything happens."""
    scenario, *_ = played(SESSIONS)
    pc, m4 = (data_of(list(records(run(command(machine), scenario, tmp_path)))) for machine in ("pc", "cortex-m4"))
    assert pc == m4, first_difference(m4, pc)
