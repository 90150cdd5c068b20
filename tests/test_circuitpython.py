"""The CircuitPython firmware, run by CPython: rimu.py against a model of the sensor, code.py against stand-ins."""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from lsm6ds3trc import WORDS, Lsm6ds3trc

from pelvis.clock import ClockSettings, SensorClock
from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards.rimu import (
    ACC_CLIP,
    FIRST_PACKET,
    GYR_CLIP,
    OVERRUN,
    Info,
    RimuDecoder,
    decode_info,
    encode_info,
    encode_packet,
    samples_at_mtu,
    start_command,
)

FIRMWARE = Path(__file__).resolve().parent.parent / "hardware" / "circuitpython"
MTU_BYTES = 244  # of a notification at MTU 247
NOMINAL_US = 1e6 / 208.0


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rimu = load("rimu_of_circuitpython", FIRMWARE / "rimu.py")


@dataclass
class Bench:
    """A device, its sensor and the time. ``period_us`` is the sensor's own; ``sent`` is what came out."""

    period_us: float = NOMINAL_US
    boot_us: int = 0
    chip: Lsm6ds3trc = field(default_factory=Lsm6ds3trc)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    t_us: float = 0.0

    def __post_init__(self) -> None:
        self.device = rimu.Device(
            self.chip,
            lambda packet: self.sent.append(packet.tobytes()),
            lambda: int(self.boot_us + self.t_us),
            self.wait,
        )

    def wait(self, duration_s: float) -> None:
        """Nobody moves while the firmware waits."""

    def start(self, samples: int = 0, packet_bytes: int = MTU_BYTES) -> None:
        self.device.command(start_command(samples), packet_bytes)
        # what the firmware throws away, being the first after the FIFO was switched on
        self.chip.measure([111] * 3, [222] * 3)
        self.t_us += self.period_us

    def measure(self, rows: np.ndarray) -> None:
        """Let the sensor measure rows of (acc, gyr) without anyone reading."""
        for row in rows.tolist():
            self.chip.measure(row[:3], row[3:])
            self.rows.append(tuple(row))
            self.t_us += self.period_us

    def run(self, rows: np.ndarray) -> None:
        """Let the sensor measure; the firmware serves as soon as the pin rises."""
        for row in rows.tolist():
            self.chip.measure(row[:3], row[3:])
            self.rows.append(tuple(row))
            if self.chip.int1():
                self.device.serve()
            self.t_us += self.period_us


def random_rows(count: int, seed: int = 1, most: int = 30_000) -> np.ndarray:
    return np.random.default_rng(seed).integers(-most, most + 1, (count, 6)).astype(np.int16)


def unpack(packet: bytes) -> tuple[int, int, int, int, list[tuple[int, ...]]]:
    kind, flags, index, device_us = struct.unpack_from("<BBHI", packet)
    return kind, flags, index, device_us, list(struct.iter_unpack("<6h", packet[8:]))


# ---------------------------------------------------------------- bytes


def test_the_profiles_own_packet_is_sent() -> None:
    """The vector of rimu-v1.md: 1 000 000 us at the first of three samples."""
    bench = Bench(boot_us=1_000_000)
    # the profile's vector counts as stream 0: the sixteenth start since boot
    for _ in range(15):
        bench.start(3)
    bench.start(3)
    bench.t_us = 0.0
    bench.run(np.array([[100 + k, -200, 2049, 1, -2, 32767] for k in range(3)], np.int16))
    assert bench.sent[0].hex() == (
        "100c000040420f00640038ff01080100feffff7f650038ff01080100feffff7f660038ff01080100feffff7f"
    )


def test_the_halves_of_a_sample_are_swapped() -> None:
    """In the FIFO: 4 5 6 (angular rate) 1 2 3 (acceleration); in the packet: 1 2 3 4 5 6."""
    bench = Bench()
    bench.start(1)
    bench.run(np.array([[1, 2, 3, 4, 5, 6]], np.int16))
    assert bench.sent[0][8:].hex(" ", 2) == "0100 0200 0300 0400 0500 0600"


def test_the_bytes_are_those_of_the_hosts_encoder_over_ten_minutes_and_a_wrap_of_the_index() -> None:
    rows = random_rows(128_000, most=32_767)
    rows[::1000, 1] = 32_767
    rows[500::1000, 4] = -32_768
    bench = Bench(boot_us=(1 << 32) - 100_000_000)  # the clock wraps after 100 s
    bench.start()
    begun_us = bench.boot_us + bench.t_us
    bench.run(rows)
    assert len(bench.sent) == 16_000
    for k, packet in enumerate(bench.sent):
        part = rows[8 * k : 8 * k + 8]
        at_end = np.abs(part.astype(int)) >= 32_767
        flags = (
            (FIRST_PACKET if k == 0 else 0)
            | (ACC_CLIP if at_end[:, :3].any() else 0)
            | (GYR_CLIP if at_end[:, 3:].any() else 0)
        )
        device_us = struct.unpack_from("<I", packet, 4)[0]
        assert packet == encode_packet(part, index=8 * k, device_us=device_us, flags=flags, stream=1)
        late_us = (device_us - (begun_us + 8 * k * NOMINAL_US) + (1 << 31)) % (1 << 32) - (1 << 31)
        assert abs(late_us) < 20


@pytest.mark.parametrize("samples", [1, 2, 5, 8, 12, 19])
def test_every_length_of_packet_carries_the_same_samples(samples: int) -> None:
    rows = random_rows(samples * 300)
    bench = Bench()
    bench.start(samples)
    bench.run(rows)
    packets = RimuDecoder().decode(bench.sent)
    assert not packets.bad
    assert set(packets.samples.tolist()) == {samples}
    raw = np.hstack([packets.acc_mps2 / (0.488e-3 * STANDARD_GRAVITY_MPS2), np.degrees(packets.gyr_radps) / 70e-3])
    assert (np.rint(raw) == rows).all()


@pytest.mark.parametrize("mtu", range(23, 248))
def test_no_notification_is_longer_than_the_mtu_and_none_is_shorter_than_need_be(mtu: int) -> None:
    bench = Bench()
    bench.start(19, mtu - 3)
    bench.run(random_rows(19))
    assert len(bench.sent[0]) <= mtu - 3
    assert len(bench.sent[0]) == 8 + 12 * samples_at_mtu(mtu)
    assert decode_info(bench.device.info()).samples_per_packet == samples_at_mtu(mtu)


def test_a_larger_mtu_than_the_profile_wants_changes_nothing() -> None:
    assert rimu.samples_at(512 - 3) == 19


@pytest.mark.parametrize(
    ("column", "value", "flag"),
    [(0, 32_767, ACC_CLIP), (2, -32_768, ACC_CLIP), (3, -32_767, GYR_CLIP), (5, 32_767, GYR_CLIP), (1, 32_766, 0)],
)
def test_a_value_at_the_end_of_its_range_is_told_apart_by_sensor(column: int, value: int, flag: int) -> None:
    rows = np.zeros((24, 6), np.int16)
    rows[12, column] = value
    bench = Bench()
    bench.start()
    bench.run(rows)
    assert [unpack(packet)[1] & (ACC_CLIP | GYR_CLIP) for packet in bench.sent] == [0, flag, 0]


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("off", [-0.08, -0.03, 0.03, 0.08])
def test_a_sensor_that_is_fast_or_slow_is_stamped_by_its_own_rate(off: float) -> None:
    bench = Bench(period_us=NOMINAL_US * (1 + off))
    bench.start()
    begun_us = bench.t_us
    bench.run(random_rows(4000))
    errors = [
        unpack(packet)[3] - (begun_us + 8 * k * bench.period_us) for k, packet in enumerate(bench.sent) if k > 100
    ]
    assert max(map(abs, errors)) < 50


def test_what_waited_in_the_sensor_is_stamped_with_when_it_was_measured() -> None:
    bench = Bench(period_us=NOMINAL_US * 1.05)
    bench.start()
    begun_us = bench.t_us
    bench.run(random_rows(4000))
    bench.measure(random_rows(300))  # nobody reads for 1.5 s
    bench.t_us -= bench.period_us  # the last sample is just there
    bench.device.serve()
    assert len(bench.sent) == 4300 // 8
    errors = [unpack(packet)[3] - (begun_us + 8 * k * bench.period_us) for k, packet in enumerate(bench.sent)][-30:]
    # 300 samples back, a thousandth of the period makes 1.5 ms
    assert max(map(abs, errors)) < 1500


def test_one_late_look_hardly_bends_the_rate_that_was_learned() -> None:
    bench = Bench()
    bench.start()
    bench.run(random_rows(800))
    bench.measure(random_rows(8))
    bench.t_us += 3000 - bench.period_us
    bench.device.serve()
    bench.t_us -= 3000 - bench.period_us
    bench.run(random_rows(80))
    stamps = [unpack(packet)[3] for packet in bench.sent]
    assert abs(stamps[-1] - stamps[-2] - 8 * NOMINAL_US) < 200


# ---------------------------------------------------------------- starts and commands


def test_a_start_begins_a_new_stream_and_leaves_the_clock_alone() -> None:
    bench = Bench(boot_us=5_000_000)
    seen = []
    for _ in range(18):
        bench.start()
        del bench.sent[:]
        bench.run(random_rows(17))
        seen += [(flags >> 4, flags & 0x0F, index) for _, flags, index, *_ in map(unpack, bench.sent)]
    assert seen == [row for k in range(1, 19) for row in ((k % 16, FIRST_PACKET, 0), (k % 16, 0, 8))]
    assert unpack(bench.sent[-1])[3] > 5_000_000 + 18 * 16 * NOMINAL_US


def test_nothing_is_sent_before_a_start_nor_after_a_stop() -> None:
    bench = Bench()
    bench.run(random_rows(50))
    assert bench.sent == []
    bench.start()
    bench.run(random_rows(16))
    bench.device.command(b"\x02", MTU_BYTES)
    bench.run(random_rows(50))
    assert len(bench.sent) == 2
    assert bench.chip.rate_hz() == 0.0


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (b"", 0x0D),
        (b"\x00", 0x80),
        (b"\x04", 0x80),
        (b"\xff\x01\x02", 0x80),
        (b"\x01", 0x0D),
        (b"\x01\x08\x20", 0x0D),
        (b"\x01\x08\x20\x08\x00", 0x0D),
        (b"\x02\x00", 0x0D),
        (b"\x03\x00", 0x0D),
        (b"\x01\x14\x00\x00", 0x81),  # 20 samples fit no notification
    ],
)
def test_what_cannot_be_obeyed_has_the_profiles_code_and_changes_nothing(written: bytes, code: int) -> None:
    bench = Bench()
    bench.start()
    before = bench.device.info()
    with pytest.raises(rimu.CommandError) as caught:
        bench.device.command(written, MTU_BYTES)
    assert caught.value.code == code
    assert bench.device.info() == before
    bench.run(random_rows(8))
    assert len(bench.sent) == 1


@pytest.mark.parametrize(
    ("asked_hz", "given_hz"),
    [(0.0, 208.0), (208.0, 208.0), (100.0, 104.0), (200.0, 208.0), (1.0, 104.0), (6500.0, 416.0)],
)
def test_the_nearest_rate_is_chosen_set_and_said(asked_hz: float, given_hz: float) -> None:
    bench = Bench()
    bench.device.command(start_command(8, asked_hz), MTU_BYTES)
    assert decode_info(bench.device.info()).rate_hz == given_hz
    assert bench.chip.rate_hz() == given_hz


def test_the_info_record_is_the_profiles_and_tells_the_sensors_scales() -> None:
    bench = Bench()
    assert bench.device.info() == encode_info(Info(stream=0))
    bench.start()
    bench.start(5)
    assert bench.device.info() == encode_info(Info(stream=2, samples_per_packet=5))
    assert bench.chip.ranges() == (16, 2000)


# ---------------------------------------------------------------- what goes wrong


def holes(bench: Bench, first_row: int = 0) -> list[tuple[int, bool]]:
    """Return (rows missing before each packet, whether it said so); a packet's rows must be the sensor's, in order."""
    position, expected_index, result = first_row, 0, []
    where = {row: k for k, row in enumerate(bench.rows)}
    for packet in bench.sent:
        _, flags, index, _, rows = unpack(packet)
        start = where[rows[0]]
        assert rows == bench.rows[start : start + len(rows)]
        assert index == expected_index
        expected_index = (expected_index + len(rows)) % 65_536
        assert start >= position
        result.append((start - position, bool(flags & OVERRUN)))
        position = start + len(rows)
    return result


def test_a_fifo_that_ran_over_is_said_and_costs_no_more_than_what_was_overwritten() -> None:
    bench = Bench()
    bench.start()
    bench.run(random_rows(80))
    bench.measure(random_rows(500, seed=2))  # 2.4 s; 341 samples fit
    bench.device.serve()
    bench.run(random_rows(80, seed=3))
    found = holes(bench)
    assert [hole for hole, _ in found if hole] == [500 - WORDS // 6]
    assert [said for hole, said in found] == [hole > 0 for hole, _ in found]


def test_a_fifo_filled_to_the_last_word_is_read_although_its_count_shows_none() -> None:
    bench = Bench()
    bench.start()
    bench.measure(random_rows(341))  # the one that is thrown away makes 342: two words of 2048 are left for it
    bench.device.serve()
    assert len(bench.sent) == 341 // 8
    bench.run(random_rows(80, seed=2))
    assert sum(hole for hole, _ in holes(bench)) == 0


def test_a_transfer_that_breaks_off_anywhere_garbles_nothing_and_every_hole_is_said() -> None:
    """Each in turn at another byte: of the status, of the packet's samples, of the words that are skipped."""
    bench = Bench()
    bench.start()
    rows = random_rows(40 * 260)
    for k in range(260):
        bench.run(rows[40 * k : 40 * k + 8])
        bench.chip.fail_in = k
        bench.run(rows[40 * k + 8 : 40 * k + 40])
    found = holes(bench)
    assert all(said for hole, said in found if hole)
    assert sum(hole for hole, _ in found) + 8 * len(found) > len(rows) - 16
    assert 100 <= sum(hole > 0 for hole, _ in found) <= 260
    assert max(hole for hole, _ in found) <= 8


def test_a_pattern_misread_once_garbles_nothing_and_loses_nothing() -> None:
    bench = Bench()
    bench.start()
    rows = random_rows(800)
    for k in range(0, 800, 80):
        bench.chip.glitches = 1
        bench.run(rows[k : k + 80])
    assert holes(bench) == [(0, False)] * 100


def test_a_sensor_that_lost_its_settings_is_set_up_anew() -> None:
    bench = Bench()
    bench.start()
    bench.run(random_rows(80))
    bench.chip.reset()
    bench.device.revive()
    bench.chip.measure([0] * 3, [0] * 3)
    bench.run(random_rows(80, seed=2))
    found = holes(bench)
    assert len(found) == 20
    assert [said for _, said in found] == [k == 10 for k in range(20)]
    assert bench.chip.ranges() == (16, 2000)


def test_a_sensor_that_never_answers_is_asked_again_and_again_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.start()
    bench.run(random_rows(8))

    def silent(*_: Any) -> None:
        raise OSError(19, "no such device")

    with monkeypatch.context() as unplugged:
        unplugged.setattr(bench.chip, "read", silent)
        unplugged.setattr(bench.chip, "write", silent)
        for _ in range(100):
            assert bench.device.serve() == 0
        bench.device.stop()
    bench.device.revive()
    assert bench.device.errors > 100


def test_another_sensor_is_not_taken_for_the_right_one() -> None:
    bench = Bench()
    bench.chip.registers[0x0F] = 0x69
    with pytest.raises(OSError, match="LSM6DS3TR-C"):
        bench.device.command(start_command(), MTU_BYTES)
    assert not bench.device.streaming


def test_a_running_stream_takes_no_more_and_no_more_memory() -> None:
    bench = Bench()
    bench.start()
    rows = random_rows(8)
    sent: list[int] = []
    bench.device._send = lambda packet: sent.append(1) if not sent else None
    bench.run(np.tile(rows, (10, 1)))
    bench.rows.clear()
    values = [(row[:3], row[3:]) for row in rows.tolist()]
    bench.device.serve()
    before = 0
    for _ in range(2):  # the first round warms the interpreter's own caches
        before = sys.getallocatedblocks()
        for _ in range(500):
            for acc, gyr in values:
                bench.chip.measure(acc, gyr)
            bench.t_us += 8 * bench.period_us
            bench.device.serve()
    assert sys.getallocatedblocks() - before < 20


# ---------------------------------------------------------------- code.py, in a world of stand-ins


class Unplugged(BaseException):
    """The end of a scene."""


# what a few lines of Python take on the board, each time they lead to a transfer or to sleep
INTERPRETER_US = 150.0


class World:
    """Time, the sensor and a host. ``script`` says what happens when; time passes where the firmware sleeps and
    while the bus is busy: nine bits a byte at 400 kHz.
    """

    BOOT_US = 3_000_000

    def __init__(self, script: list[tuple[float, str, Any]], end_s: float, packet_bytes: int = MTU_BYTES) -> None:
        self.t_us = 0.0
        self.chip = Lsm6ds3trc()
        self.rows: list[tuple[int, ...]] = []
        self.script = sorted(script, key=lambda entry: entry[0])
        self.end_us = end_s * 1e6
        self.next_sample_us = 0.0
        self.pins: dict[str, FakePin] = {}
        self.log: list[tuple[float, str, bool]] = []
        self.services: dict[Any, FakeService] = {}
        self.adapter = FakeAdapter(self, packet_bytes)
        self.dice = np.random.default_rng(7)
        self.measured_us: list[float] = []
        self.sensor_ratio = 1.0  # how much faster the sensor's clock runs than it should
        self.stall_us = 0.0
        self.interval_refused = False
        self.reloads_on_error = False

    def sleep(self, duration_s: float) -> None:
        self.pass_us(duration_s * 1e6 + INTERPRETER_US)

    def pass_us(self, duration_us: float) -> None:
        end_us = self.t_us + duration_us
        while True:
            script_us = self.script[0][0] * 1e6 if self.script else np.inf
            next_us = min(self.next_sample_us, script_us, self.end_us)
            if next_us > end_us:
                break
            self.t_us = max(self.t_us, next_us)
            if next_us == self.end_us:
                raise Unplugged
            if next_us == script_us:
                _, what, value = self.script.pop(0)
                getattr(self, what)(value)
            else:
                self.sample()
        self.t_us = end_us

    def sample(self) -> None:
        rate_hz = self.chip.rate_hz()
        self.next_sample_us += 1e6 / (rate_hz or 208.0) / self.sensor_ratio
        if rate_hz:
            self.measured_us.append(self.t_us)
            row = tuple(self.dice.integers(-30_000, 30_000, 6).tolist())
            self.chip.measure(list(row[:3]), list(row[3:]))
            self.rows.append(row)

    def monotonic_ns(self) -> int:
        return int((self.BOOT_US + self.t_us) * 1000)

    # what the host does
    def connect(self, _: Any) -> None:
        assert self.adapter.advertising, "nothing is advertised"
        self.adapter.advertising = False
        self.adapter.connections = (FakeConnection(self, self.adapter.packet_bytes),)

    def subscribe(self, on: Any) -> None:
        assert self.data().can_be_subscribed
        self.data().subscribed = on

    def write(self, data: bytes) -> None:
        control = self.services["28340001-4db0-4b10-a76c-1ec017a824ae"].found["28340003-4db0-4b10-a76c-1ec017a824ae"]
        assert len(data) <= control.max_length, "answered by the stack with 0x0D"
        control.written.append(data)

    def disconnect(self, _: Any) -> None:
        self.adapter.connections[0].connected = False
        self.adapter.connections = ()
        self.data().subscribed = False

    def lose_link(self, _: Any) -> None:
        """The link breaks while a notification is being sent."""
        self.data().broken = True

    def break_battery(self, _: Any) -> None:
        """The next value of the battery is refused; the link stays."""
        self.services[0x180F].found[0x2A19].refused = True

    def refuse_interval(self, _: Any) -> None:
        self.interval_refused = True

    def stall_radio(self, duration_s: float) -> None:
        """The next notification finds the radio's queue full for so long."""
        self.stall_us = duration_s * 1e6

    def reset_sensor(self, _: Any) -> None:
        self.chip.reset()

    def data(self) -> Any:
        return self.services["28340001-4db0-4b10-a76c-1ec017a824ae"].found["28340002-4db0-4b10-a76c-1ec017a824ae"]

    def info(self) -> bytes:
        found = self.services["28340001-4db0-4b10-a76c-1ec017a824ae"].found
        return bytes(found["28340004-4db0-4b10-a76c-1ec017a824ae"].kept)

    def modules(self) -> dict[str, ModuleType]:
        """What CircuitPython has built in, and rimu.py beside it."""
        world = self

        def module(name: str, **entries: Any) -> ModuleType:
            made = ModuleType(name)
            vars(made).update(entries)
            return made

        class Pins(ModuleType):
            def __getattr__(self, name: str) -> str:
                return name

        return {
            "time": module("time", sleep=self.sleep, monotonic_ns=self.monotonic_ns),
            "board": Pins("board"),
            "digitalio": module("digitalio", DigitalInOut=lambda name: FakePin(world, name)),
            "analogio": module("analogio", AnalogIn=FakeVoltage),
            "busio": module("busio", I2C=lambda scl, sda, frequency: FakeI2C(world, scl, sda, frequency)),
            "_bleio": module(
                "_bleio",
                adapter=self.adapter,
                UUID=FakeUuid,
                Service=lambda uuid: FakeService(world, uuid),
                Characteristic=FakeCharacteristic,
                PacketBuffer=FakePacketBuffer,
                Attribute=type("Attribute", (), {"NO_ACCESS": 0, "OPEN": 1}),
                BluetoothError=type("BluetoothError", (Exception,), {}),
            ),
            "supervisor": module(
                "supervisor",
                runtime=type("Runtime", (), {"usb_connected": False}),
                set_next_code_file=lambda _, *, reload_on_error: setattr(self, "reloads_on_error", reload_on_error),
            ),
            "rimu": rimu,
        }

    def play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run code.py until the scene ends."""
        with monkeypatch.context() as patch:
            for name, stand_in in self.modules().items():
                patch.setitem(sys.modules, name, stand_in)
            with pytest.raises(Unplugged):
                load("code_of_circuitpython", FIRMWARE / "code.py")


class FakePin:
    def __init__(self, world: World, name: str) -> None:
        self._world, self._name, self._value = world, name, False
        world.pins[name] = self

    def switch_to_output(self, *, value: bool) -> None:
        self.value = value

    def switch_to_input(self) -> None:
        assert self._name == "IMU_INT1"

    @property
    def value(self) -> bool:
        return self._world.chip.int1() if self._name == "IMU_INT1" else self._value

    @value.setter
    def value(self, value: bool) -> None:
        self._value = value
        self._world.log.append((self._world.t_us, self._name, value))


class FakeVoltage:
    reference_voltage = 3.3
    value = round(3.8 * 510 / 1510 / 3.3 * 65535)

    def __init__(self, name: str) -> None:
        assert name == "VBATT"


class FakeI2C:
    def __init__(self, world: World, scl: str, sda: str, frequency: int) -> None:
        assert (scl, sda, frequency) == ("IMU_SCL", "IMU_SDA", 400_000)
        assert world.pins["IMU_PWR"].value, "the sensor has no power"
        self._chip, self._locked, self._pass_us = world.chip, False, world.pass_us

    def try_lock(self) -> bool:
        self._locked = True
        return True

    def writeto(self, address: int, data: bytearray) -> None:
        assert (address, len(data), self._locked) == (0x6A, 2, True)
        self._chip.write(data[0], data[1])
        self._pass_us(3 * 9 / 0.4 + INTERPRETER_US)

    def writeto_then_readfrom(self, address: int, out: bytearray, into: Any) -> None:
        assert (address, len(out), self._locked) == (0x6A, 1, True)
        self._chip.read(out[0], into)
        self._pass_us((3 + len(memoryview(into).tobytes())) * 9 / 0.4 + INTERPRETER_US)


class FakeUuid:
    def __init__(self, value: int | str) -> None:
        self.value = value

    def pack_into(self, buffer: bytearray) -> None:
        assert isinstance(self.value, str)
        buffer[:] = bytes.fromhex(self.value.replace("-", ""))[::-1]


class FakeService:
    def __init__(self, world: World, uuid: FakeUuid) -> None:
        self.world = world
        self.found: dict[Any, FakeCharacteristic] = {}
        world.services[uuid.value] = self


class FakeCharacteristic:
    READ, NOTIFY, WRITE = 2, 16, 8

    @classmethod
    def add_to_service(cls, service: FakeService, uuid: FakeUuid, **kept: Any) -> FakeCharacteristic:
        made = cls()
        made.world = service.world
        made.properties, made.max_length = kept["properties"], kept["max_length"]
        made.fixed = kept.get("fixed_length", False)
        # CircuitPython gives the descriptor that subscribes the permission to read
        made.can_be_subscribed = kept.get("read_perm", 1) == 1
        made.kept = kept.get("initial_value", b"")
        made.sent, made.written = [], []
        made.subscribed = made.broken = made.refused = False
        service.found[uuid.value] = made
        return made

    @property
    def value(self) -> bytearray:
        return bytearray(self.kept)

    @value.setter
    def value(self, value: Any) -> None:
        data = memoryview(value).tobytes()
        assert len(data) == self.max_length if self.fixed else len(data) <= self.max_length
        if self.broken:
            self.broken = False
            self.world.disconnect(None)
            raise ConnectionError("not connected")
        if self.refused:
            self.refused = False
            raise OSError("refused")
        self.kept = data
        if self.subscribed:
            assert self.properties & self.NOTIFY
            stall_us, self.world.stall_us = self.world.stall_us, 0.0
            self.world.pass_us(stall_us)
            self.sent.append((self.world.t_us, data))


class FakePacketBuffer:
    def __init__(self, characteristic: FakeCharacteristic, *, buffer_size: int) -> None:
        assert buffer_size >= 1
        self._characteristic = characteristic

    def readinto(self, buffer: bytearray) -> int:
        if not self._characteristic.written:
            return 0
        data = self._characteristic.written.pop(0)
        buffer[: len(data)] = data
        return len(data)


class FakeConnection:
    def __init__(self, world: World, packet_bytes: int) -> None:
        self._world = world
        self.connected = True
        self.max_packet_length = packet_bytes
        self._interval_ms = 50.0

    @property
    def connection_interval(self) -> float:
        return self._interval_ms

    @connection_interval.setter
    def connection_interval(self, interval_ms: float) -> None:
        if self._world.interval_refused:
            raise ConnectionError("invalid state")
        self._interval_ms = interval_ms

    def disconnect(self) -> None:
        self._world.disconnect(None)


class FakeAdapter:
    name = "CIRCUITPY1234"
    address = type("Address", (), {"address_bytes": bytes.fromhex("a1b2c3d4e5f6")})()

    def __init__(self, world: World, packet_bytes: int) -> None:
        self._world, self.packet_bytes = world, packet_bytes
        self.advertising = False
        self.connections: tuple[FakeConnection, ...] = ()
        self.advertised: list[tuple[bytes, bytes]] = []

    def start_advertising(self, data: bytes, *, scan_response: bytes, interval: float) -> None:
        assert not self.advertising
        assert not self.connections
        assert len(data) <= 31
        assert len(scan_response) <= 31
        assert 0.02 <= interval <= 10.24
        self.advertising = True
        self.advertised.append((data, scan_response))


def host(t_s: float, command: bytes = b"\x01\x00\x00\x00") -> list[tuple[float, str, Any]]:
    return [(t_s, "connect", None), (t_s + 0.6, "subscribe", True), (t_s + 0.7, "write", command)]


def test_it_is_found_by_service_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([], end_s=2.0)
    world.play(monkeypatch)
    ((advertisement, response),) = world.adapter.advertised
    assert advertisement.hex() == "020106" + "1107" + "ae24a817c01e6ca7104bb04d01003428"
    assert response == b"\x0a\x09RIMU B2A1"
    assert world.adapter.name == "RIMU B2A1"


def test_it_offers_what_the_profile_names(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([], end_s=0.5)
    world.play(monkeypatch)
    offered = {
        str(uuid): {str(number): (entry.properties, entry.max_length) for number, entry in service.found.items()}
        for uuid, service in world.services.items()
    }
    assert offered["28340001-4db0-4b10-a76c-1ec017a824ae"] == {
        "28340002-4db0-4b10-a76c-1ec017a824ae": (16, 236),
        "28340003-4db0-4b10-a76c-1ec017a824ae": (8, 4),
        "28340004-4db0-4b10-a76c-1ec017a824ae": (2, 20),
    }
    assert set(offered) == {"28340001-4db0-4b10-a76c-1ec017a824ae", str(0x180F), str(0x180A)}
    assert world.info() == encode_info(Info(stream=0))
    # 3.8 V: about half full
    assert 46 <= world.services[0x180F].found[0x2A19].kept[0] <= 50


@pytest.mark.parametrize(("packet_bytes", "samples"), [(244, 8), (20, 1)])
def test_a_started_stream_arrives_whole_and_in_time(
    monkeypatch: pytest.MonkeyPatch, packet_bytes: int, samples: int
) -> None:
    world = World(host(1.0), end_s=31.5, packet_bytes=packet_bytes)
    world.play(monkeypatch)
    sent = world.data().sent
    packets = RimuDecoder().decode([data for _, data in sent])
    assert not packets.bad
    assert not packets.overrun.any()
    assert packets.first.tolist() == [True] + [False] * (len(sent) - 1)
    assert set(packets.samples.tolist()) == {samples}
    # the first sample is thrown away; what is under way is less than two packets
    got = [row for _, data in sent for row in unpack(data)[4]]
    assert got == world.rows[1 : 1 + len(got)]
    assert len(world.rows) - len(got) < 3 * samples + 5
    # on average a packet leaves within 2 ms of its last sample; the host smooths what one stamp is off
    stamp_s = packets.device_us / 1e6
    spacing = np.polyfit(packets.index[: len(stamp_s)].astype(float), stamp_s, 1)
    assert spacing[0] == pytest.approx(1 / 208, rel=1e-4)
    assert np.std(stamp_s - np.polyval(spacing, packets.index)) < 1e-3
    assert world.info() == encode_info(Info(stream=1, samples_per_packet=samples))
    assert world.adapter.connections[0].connection_interval == 15.0


@pytest.mark.parametrize("sensor_ratio", [0.95, 1.0, 1.05])
def test_the_host_places_every_sample_where_it_was_measured(
    monkeypatch: pytest.MonkeyPatch, sensor_ratio: float
) -> None:
    """But for a constant delay; from 5 s after the start on, within a tenth of a millisecond, one sigma."""
    world = World(host(1.0), end_s=62.0)
    world.sensor_ratio = sensor_ratio
    world.play(monkeypatch)
    packets = RimuDecoder().decode([data for _, data in world.data().sent])
    clock = SensorClock(ClockSettings(208.0))
    stamps = clock.stamp(
        packets.stream.tolist(),
        packets.index.tolist(),
        packets.device_us.tolist(),
        packets.samples.tolist(),
        packets.overrun.tolist(),
        packets.first.tolist(),
        [t_us / 1e6 + 0.02 for t_us, _ in world.data().sent],
    )
    placed_s = (stamps.t_s[:, None] + stamps.period_s[:, None] * np.arange(8)).reshape(-1)
    true_s = np.array(world.measured_us[1 : 1 + len(placed_s)]) / 1e6
    delay_s = (placed_s - true_s)[1040:]
    assert clock.rate_hz == pytest.approx(208.0 * sensor_ratio, rel=1e-3)
    assert delay_s.std() < 1e-4
    assert np.ptp(delay_s) < 1e-3


def test_a_radio_that_stands_still_for_a_second_and_a_half_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (5.0, "stall_radio", 1.5)], end_s=9.0)
    world.play(monkeypatch)
    got = [row for _, data in world.data().sent for row in unpack(data)[4]]
    assert got == world.rows[1 : 1 + len(got)]
    assert len(world.rows) - len(got) < 24
    assert np.diff([t_us for t_us, _ in world.data().sent]).max() > 1.4e6


def test_a_radio_that_stands_still_for_longer_says_that_samples_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (5.0, "stall_radio", 2.5)], end_s=9.0)
    world.play(monkeypatch)
    packets = RimuDecoder().decode([data for _, data in world.data().sent])
    assert packets.overrun.sum() == 1
    assert (np.diff(packets.index) % 65_536 == 8).all()
    # 2.5 s came, 1.64 s fit
    assert len(world.rows) - int(packets.samples.sum()) == pytest.approx(208 * (2.5 - 1.64), abs=16)


def test_a_stop_ends_the_stream_and_another_start_begins_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (5.0, "write", b"\x02"), (7.0, "write", b"\x01\x04\x10\x04")], end_s=9.0)
    world.play(monkeypatch)
    times = [t_us for t_us, _ in world.data().sent]
    assert not [t for t in times if 5.1e6 < t < 7.0e6]
    first, second = ([data for t, data in world.data().sent if (t < 6e6) is early] for early in (True, False))
    assert {unpack(data)[1] >> 4 for data in first} == {1}
    assert {unpack(data)[1] >> 4 for data in second} == {2}
    assert unpack(second[0])[2] == 0
    assert world.info() == encode_info(Info(stream=2, samples_per_packet=4, rate_hz=104.0))


@pytest.mark.parametrize("end", ["disconnect", "lose_link"])
def test_a_host_that_leaves_stops_the_stream_and_the_next_one_finds_it_again(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    world = World([*host(1.0), (4.0, end, None), *host(6.0)], end_s=9.0)
    world.play(monkeypatch)
    assert len(world.adapter.advertised) == 2
    # nobody listens for two seconds, less than half a second of it until it is noticed
    assert len(world.rows) < 208 * (9.0 - 2.0 - 2 * 0.7 + 0.5)
    streams = [unpack(data)[1] >> 4 for _, data in world.data().sent]
    assert sorted(set(streams)) == [1, 2]
    assert streams == sorted(streams)


def test_a_host_that_refuses_the_interval_is_served_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([(0.5, "refuse_interval", None), *host(1.0)], end_s=6.0)
    world.play(monkeypatch)
    assert world.data().sent[-1][0] > 5.9e6
    assert len(world.adapter.advertised) == 1


def test_what_the_radio_refuses_in_mid_run_ends_in_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The battery is told once a minute, at the start for the first time."""
    world = World([*host(1.0), (30.0, "break_battery", None), *host(65.0)], end_s=70.0)
    world.play(monkeypatch)
    streams = [(t_us, unpack(data)[1] >> 4) for t_us, data in world.data().sent]
    assert 61e6 < max(t_us for t_us, stream in streams if stream == 1) < 63e6
    assert max(streams) == (streams[-1][0], 2)
    assert streams[-1][0] > 69.9e6


def test_on_battery_an_error_that_nobody_foresaw_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([], end_s=0.5)
    world.play(monkeypatch)
    assert world.reloads_on_error


def test_what_a_host_wrote_as_it_left_is_not_obeyed_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    leaving = [(4.0, "write", b"\x01\x00\x00\x00"), (4.0, "disconnect", None), (6.0, "connect", None)]
    world = World([*host(1.0), *leaving, (6.1, "subscribe", True)], end_s=9.0)
    world.play(monkeypatch)
    assert {unpack(data)[1] >> 4 for _, data in world.data().sent} == {1}
    assert max(t_us for t_us, _ in world.data().sent) < 4.1e6


def test_identify_blinks_for_three_seconds_and_costs_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (4.0, "write", b"\x03")], end_s=12.0)
    world.play(monkeypatch)
    shining = [t_us / 1e6 for t_us, name, value in world.log if name == "LED_BLUE" and not value and t_us > 3e6]
    dark = [t_us / 1e6 for t_us, name, value in world.log if name == "LED_BLUE" and value and t_us > 3e6]
    assert 4.0 <= shining[0] < 4.4
    assert 6.5 < max(shining) < max(dark) < 7.1
    got = [row for _, data in world.data().sent for row in unpack(data)[4]]
    assert got == world.rows[1 : 1 + len(got)]


def test_what_cannot_be_obeyed_blinks_red_and_the_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (4.0, "write", b"\x77"), (4.0, "write", b"\x02\x02")], end_s=6.0)
    world.play(monkeypatch)
    assert [name for t_us, name, value in world.log if not value and name == "LED_RED"] == ["LED_RED"] * 2
    assert unpack(world.data().sent[-1][1])[1] >> 4 == 1
    assert world.data().sent[-1][0] > 5.9e6


def test_a_sensor_that_fell_silent_is_revived_and_the_hole_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([*host(1.0), (4.0, "reset_sensor", None)], end_s=12.0)
    world.play(monkeypatch)
    packets = RimuDecoder().decode([data for _, data in world.data().sent])
    assert packets.overrun.sum() == 1
    assert world.data().sent[-1][0] > 11.9e6
    silent_us = np.diff([t_us for t_us, _ in world.data().sent]).max()
    assert 1.6e6 < silent_us < 4e6


def test_the_divider_of_the_battery_is_never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(host(1.0), end_s=5.0)
    world.play(monkeypatch)
    assert {value for _, name, value in world.log if name == "READ_BATT_ENABLE"} == {False}


@pytest.mark.parametrize(
    ("millivolt", "percent"), [(2500, 0), (3300, 0), (3600, 8), (3750, 35), (3800, 48), (4180, 100), (4300, 100)]
)
def test_a_cells_voltage_becomes_a_percentage(millivolt: int, percent: int) -> None:
    assert rimu.battery_percent(millivolt) == percent


# ---------------------------------------------------------------- the board as its makers describe it


def test_types_and_pins_are_those_of_circuitpythons_own_stubs(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install 'hipdrive[dev]'")
    definitions = importlib.util.find_spec("board_definitions")
    if definitions is None or not definitions.submodule_search_locations:
        pytest.skip("circuitpython-stubs are not installed: pip install 'hipdrive[dev]'")
    pins = Path(next(iter(definitions.submodule_search_locations))) / "Seeed_XIAO_nRF52840_Sense" / "__init__.pyi"
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "board.pyi").write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
    # under its own name it would hide the standard library's module code
    (tmp_path / "firmware.py").write_text((FIRMWARE / "code.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "rimu.py").write_text((FIRMWARE / "rimu.py").read_text(encoding="utf-8"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental", "firmware.py", "rimu.py"],
        cwd=tmp_path,
        env=environment | {"MYPYPATH": str(tmp_path / "stubs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- on the parent of CircuitPython's interpreter

# run by MicroPython and by CPython; the sources of both files are put in front
ON_MICROPYTHON = """
import gc
rimu, model = {"__name__": "rimu"}, {"__name__": "model"}
exec(RIMU, rimu)
exec(MODEL, model)
chip, clock, digest, packets = model["Lsm6ds3trc"](), [1000000], [0], [0]
def send(packet):
    packets[0] += 1
    for word in packet:
        digest[0] = (digest[0] * 31 + (word & 0xFFFF)) % 999983
device = rimu["Device"](chip, send, lambda: clock[0], lambda s: None)
device.command(b"\\x01\\x00\\x00\\x00", 244)
x = 12345
for k in range(4000):
    row = []
    for _ in range(6):
        x = (x * 1103 + 12345) % 65536
        row.append(x - 32768)
    chip.measure(row[:3], row[3:])
    clock[0] += 4808
    if k in (1000, 2000, 3000):
        chip.fail_in = 7 + k // 100
    if chip.int1() and k // 500 != 3:
        device.serve()
try:
    device.command(b"\\x09", 244)
except rimu["CommandError"] as error:
    print("refused", error.code)
print(packets[0], digest[0], device.errors, device.info(), round(device.rest_s() * 1e6))

class Quiet:
    def read(self, register, into):
        if register == rimu["FIFO_STATUS1"]:
            into[0], into[1] = 48, 0x80
        elif register == rimu["WHO_AM_I"]:
            into[0] = 0x6A
    def write(self, register, value):
        pass
clock[0] = 5
device = rimu["Device"](Quiet(), lambda packet: None, lambda: clock[0], lambda s: None)
device.command(b"\\x01\\x00\\x00\\x00", 244)
device.serve()
clock[0] = (1 << 32) + 7
device.serve()
gc.collect()
if hasattr(gc, "mem_alloc"):
    before = gc.mem_alloc()
    for _ in range(100):
        device.serve()
    print("bytes", (gc.mem_alloc() - before) // 100)
compile(CODE, "code.py", "exec")
"""


def test_micropython_sends_the_same_bytes_and_needs_little_memory(needs: Callable[[str], str], tmp_path: Path) -> None:
    sources = {
        "RIMU": FIRMWARE / "rimu.py",
        "CODE": FIRMWARE / "code.py",
        "MODEL": Path(__file__).with_name("lsm6ds3trc.py"),
    }
    texts = [f"{name} = {path.read_text(encoding='utf-8')!r}\n" for name, path in sources.items()]
    script = tmp_path / "both.py"
    script.write_text("".join(texts) + ON_MICROPYTHON, encoding="utf-8")

    def output(*command: str) -> list[str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
        return done.stdout.splitlines()

    *told, memory = output(needs("micropython"), "-X", "heapsize=1m", str(script))
    assert told == output(sys.executable, str(script))
    assert told[0] == "refused 128"
    # the clock's integers are over 30 bits here; a list or a buffer a packet would be more
    assert int(memory.removeprefix("bytes ")) <= 160
