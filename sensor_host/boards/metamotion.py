"""MetaMotion S (BMI270) and R (BMI160) of MbientLab, with their stock firmware.

Source: github.com/mbientlab/MetaWear-SDK-Cpp.

Everything is written to one characteristic and heard from another: ``[module][register][data]``; a read sets bit 7 of
the register. Samples come packed: three times x y z, int16, little-endian, of ONE sensor. Neither a number nor a time.

How it works
------------
1. What accelerometer and what gyroscope it is says the answer to a read of each module's information; registers and the
   bytes of the configuration hang on it. The configuration is read back: a recording holds what the counts are worth.
2. Both sensors run at the same rate from one clock, so their packets alternate. The gyroscope, which is started first,
   leads: a packet of its is paired with the accelerometer's next one.
3. Two of the gyroscope's in a row: the first is given up, its partner was lost. One of the accelerometer's that finds
   no partner waiting is given up likewise. Each counts as three lost samples. So any odd number of packets lost in a
   row is seen and pairs nothing wrongly.
4. What that rule cannot see: an even number lost in a row. From the gyroscope's on, whole pairs are missing, which only
   receipt times tell. From the accelerometer's on, the two that remain around the hole are taken for a pair: three
   samples whose angular rate is as much earlier as the hole is long. What follows is paired rightly again.
5. Packets of the two sensors need not begin with the same sample, for the sensors do not start at once: angular rate
   is up to two samples (10 ms) earlier than acceleration, the same in all of a stream. No byte tells.
6. The firmware's version is read before anything is subscribed to and opens the stream, in a recording too. So does the
   accelerometer's information, which is asked for once whatever ran before was stopped. Then what waits is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import radians
from typing import Final

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from sensor_host.boards.board import (
    FIRMWARE_REVISION,
    AttError,
    Board,
    Characteristic,
    EncodedPacket,
    Gatt,
    Motion,
    Packet,
    Packets,
    Read,
    SetUp,
    Subscribe,
    TimeBase,
    Write,
)
from sensor_host.boards.counts import Ends, Found, alone, gather
from sensor_host.boards.rimu import quantise
from sensor_host.errors import DecodeError, LinkError

RATE_HZ: Final = 200.0
ACC_RANGE_G: Final = 16
GYR_RANGE_DPS: Final = 2000
SAMPLES: Final = 3
PACKED_BYTES: Final = 20
_ENDS: Final = Ends()

ACCELEROMETER, SETTINGS, GYROSCOPE = 0x03, 0x11, 0x13
POWER, SAMPLING, CONFIG = 0x01, 0x02, 0x03
READ, INFORMATION = 0x80, 0x80
# modules are numbered from 1 on; 0xfe is the one for debugging
LAST_MODULE, DEBUG_MODULE = 0x19, 0xFE


@dataclass(frozen=True, slots=True)
class Chip:
    """What differs between the inertial sensors: numbers of registers, bytes of the configuration, ranges."""

    name: str
    packed: int
    config: bytes  # 200 Hz, the largest range
    per_unit: dict[int, float]  # by the range's code: counts per g or per dps
    needs_revision: int  # of the module, for packed samples


# by the implementation's number in the module's information
ACCELEROMETERS: Final = {
    0x01: Chip("BMI160", 0x1C, b"\x29\x0c", {0x3: 16384.0, 0x5: 8192.0, 0x8: 4096.0, 0xC: 2048.0}, 1),
    0x04: Chip("BMI270", 0x05, b"\xa9\x03", {0x0: 16384.0, 0x1: 8192.0, 0x2: 4096.0, 0x3: 2048.0}, 0),
}
_PER_DPS = {0x0: 16.4, 0x1: 32.8, 0x2: 65.6, 0x3: 131.2, 0x4: 262.4}
GYROSCOPES: Final = {
    0x00: Chip("BMI160", 0x07, b"\x29\x00", _PER_DPS, 1),
    0x01: Chip("BMI270", 0x05, b"\x29\x00", _PER_DPS, 0),
}
_PACKED: Final = {
    (module, chip.packed)
    for module, chips in ((ACCELEROMETER, ACCELEROMETERS), (GYROSCOPE, GYROSCOPES))
    for chip in chips.values()
}

_BASE = "326a{}-85cb-9195-d9dd-464cfbbae75a"
SERVICE_UUID, COMMAND_UUID, NOTIFY_UUID = (_BASE.format(number) for number in ("9000", "9001", "9006"))

NOT_PERMITTED: Final = 0x03

_VERSION = re.compile(rb"\d+\.\d+[\x20-\x7e]*")


# ---------------------------------------------------------------- set-up


def _command(*data: int) -> Write:
    return Write(COMMAND_UUID, bytes(data), response=False)


def _ask(module: int, register: int) -> Generator[Write, bytes, bytes]:
    """Read a register and return what follows its number in the answer."""
    question = bytes([module, register])
    is_answer: Callable[[bytes], bool] = lambda data: data[:2] == question  # noqa: E731
    answer = yield Write(COMMAND_UUID, question, response=False, answered=is_answer)
    return answer[2:]


def _chip(said: bytes, chips: dict[int, Chip], title: str) -> Chip:
    if len(said) < 2 or said[0] not in chips:
        what = f"the kind {said[0]}" if said else "none"
        raise LinkError(f"this MetaWear board has no {title} that hipdrive knows ({what}): use a MetaMotion S or R")
    chip = chips[said[0]]
    if said[1] < chip.needs_revision:
        raise LinkError(f"the MetaWear board's firmware is too old for its {title}: update it in the MetaBase app")
    return chip


def _rate_and_range(config: bytes) -> bytes:
    # the other bits choose filters, or are reserved
    return bytes(byte & 0x0F for byte in config[:2])


_STOP: Final = (
    _command(ACCELEROMETER, POWER, 0),
    _command(GYROSCOPE, POWER, 0),
    _command(ACCELEROMETER, SAMPLING, 0, 1),
    _command(GYROSCOPE, SAMPLING, 0, 1),
)


def set_up() -> SetUp:
    """Stop what runs, find out the chips, set them to 200 Hz and their largest ranges, start both."""
    version = yield Read(FIRMWARE_REVISION, keep=True)
    yield Subscribe(NOTIFY_UUID)
    for stop in _STOP:  # noqa: UP028 - a tuple cannot be sent what each is answered
        yield stop
    accelerometer = _chip((yield from _ask(ACCELEROMETER, INFORMATION)), ACCELEROMETERS, "accelerometer")
    gyroscope = _chip((yield from _ask(GYROSCOPE, INFORMATION)), GYROSCOPES, "gyroscope")
    # 7.5 to 15 ms between connection events, none left out, 6 s until the link counts as lost
    yield _command(SETTINGS, 0x09, 0x06, 0x00, 0x0C, 0x00, 0x00, 0x00, 0x58, 0x02)
    # the gyroscope first: it takes 80 ms to start
    for module, chip in ((GYROSCOPE, gyroscope), (ACCELEROMETER, accelerometer)):
        yield _command(module, CONFIG, *chip.config)
        if _rate_and_range((yield from _ask(module, READ | CONFIG))) != _rate_and_range(chip.config):
            raise LinkError(
                f"the MetaWear board does not take the settings for its {chip.name}: reset it and try again"
            )
        yield _command(module, chip.packed, 1)
        yield _command(module, SAMPLING, 1, 0)
        yield _command(module, POWER, 1)
    return version.decode("ascii", "replace")


# ---------------------------------------------------------------- decoder


class MetaMotionDecoder:
    """Pairs the packets of the two sensors; each pair is a packet of three samples."""

    def __init__(self) -> None:
        self._chip: Chip | None = None
        self._acc_scale = STANDARD_GRAVITY_MPS2 / ACCELEROMETERS[0x04].per_unit[0x3]
        self._gyr_scale = radians(1.0 / _PER_DPS[0x0])
        self._stream = 1
        self._slot = 0
        self._empty = True
        self._turning = b""  # the gyroscope's packet that waits for the accelerometer's

    def decode_one(self, data: bytes) -> Packet | None:
        # whatever completes no pair is left to `decode`, which is asked next
        if not self._turning or len(data) != PACKED_BYTES or not _is_packed(data) or data[0] != ACCELEROMETER:
            return None
        return alone(self._pair(0, data), _ENDS)

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        found: list[Found] = []
        bad: list[tuple[int, DecodeError]] = []
        for position, data in enumerate(notifications):
            if _is_packed(data) and len(data) == PACKED_BYTES:
                if self._turning and data[0] == ACCELEROMETER:
                    found.append(self._pair(position, data))
                else:
                    self._wait(data)
                continue
            try:
                self._hear(data)
            except DecodeError as error:
                bad.append((position, error))
        return gather(found, _ENDS, bad)

    def _wait(self, data: bytes) -> None:
        """Take a sensor's packet that completes no pair."""
        # before the first pair the sensors are starting: what finds no partner has none
        if not self._empty and (self._turning or data[0] == ACCELEROMETER):
            self._slot += SAMPLES
        if data[0] == GYROSCOPE:
            self._turning = data[2:]

    def _pair(self, position: int, data: bytes) -> Found:
        acc, gyr, self._turning = data[2:], self._turning, b""
        first, self._empty = self._empty, False
        self._slot += SAMPLES
        return Found(position, self._stream, self._slot - SAMPLES, first, acc, gyr, self._acc_scale, self._gyr_scale)

    def _hear(self, data: bytes) -> None:
        """Take what is no packet of samples: a version or an answer; raise for what makes no sense."""
        if not data:
            raise DecodeError("an empty notification", kind="truncated")
        if _VERSION.fullmatch(data):
            self._begin()
            return
        if not (1 <= data[0] <= LAST_MODULE or data[0] == DEBUG_MODULE):
            raise DecodeError(f"a notification that starts with 0x{data[0]:02x} is not MetaWear", kind="foreign")
        if _is_packed(data):
            raise DecodeError(f"a packet of {len(data)} bytes, {PACKED_BYTES} expected", kind="truncated")
        match (data[0], data[1] if len(data) > 1 else 0):
            case (0x03, 0x80):  # the accelerometer's information
                self._begin()
                self._chip = ACCELEROMETERS.get(data[2]) if len(data) > 2 else None
            case (0x03, 0x83) if self._chip and len(data) > 3:
                per_g = self._chip.per_unit.get(data[3] & 0x0F)
                self._acc_scale = STANDARD_GRAVITY_MPS2 / per_g if per_g else self._acc_scale
            case (0x13, 0x83) if len(data) > 3:
                per_dps = _PER_DPS.get(data[3] & 0x0F)
                self._gyr_scale = radians(1.0 / per_dps) if per_dps else self._gyr_scale
            case _:
                pass

    def _begin(self) -> None:
        if not self._empty:
            self._stream += 1
        self._slot = 0
        self._empty = True
        self._turning = b""


def _is_packed(data: bytes) -> bool:
    return len(data) > 1 and (data[0], data[1]) in _PACKED


# ---------------------------------------------------------------- the device's side


class MetaMotionDevice:
    """The device's side; ``accelerometer`` and ``gyroscope`` are what its modules' information says.

    It sends the gyroscope's packet before the accelerometer's, and both begin with the same sample.
    """

    def __init__(
        self,
        accelerometer: bytes = b"\x04\x00",
        gyroscope: bytes = b"\x01\x00",
        *,
        firmware: bytes = b"1.7.2",
    ) -> None:
        self.mtu = METAMOTION.gatt.mtu
        self._firmware = firmware
        self._information = {ACCELEROMETER: accelerometer, GYROSCOPE: gyroscope}
        self._config = {ACCELEROMETER: b"\x00\x00", GYROSCOPE: b"\x00\x00"}
        self._on: set[tuple[int, int]] = set()  # module and what of it is on: power, sampling, a subscription
        self._t_s: Array = np.empty(0)
        self._acc: Array = np.empty((0, 3))
        self._gyr: Array = np.empty((0, 3))

    @property
    def streaming(self) -> bool:
        wanted = {
            (module, register)
            for module, chip in ((ACCELEROMETER, self._accelerometer), (GYROSCOPE, self._gyroscope))
            for register in (POWER, SAMPLING, chip.packed if chip else 0)
        }
        return wanted <= self._on

    @property
    def _accelerometer(self) -> Chip | None:
        return ACCELEROMETERS.get((self._information[ACCELEROMETER] or b"\xff")[0])

    @property
    def _gyroscope(self) -> Chip | None:
        return GYROSCOPES.get((self._information[GYROSCOPE] or b"\xff")[0])

    def read(self, uuid: str) -> bytes:
        if uuid != FIRMWARE_REVISION:
            raise AttError(NOT_PERMITTED)
        return self._firmware

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != COMMAND_UUID:
            raise AttError(NOT_PERMITTED)
        if len(data) < 2:
            return ()  # what it does not understand it passes over
        module, register = data[0], data[1]
        if register == INFORMATION:
            return ((NOTIFY_UUID, data[:2] + self._information.get(module, b"")),)
        if module not in self._config:
            return ()
        if register == READ | CONFIG:
            return ((NOTIFY_UUID, data[:2] + self._config[module]),)
        if register == CONFIG and len(data) == 4:
            self._config[module] = data[2:]
        elif len(data) > 2:
            (self._on.add if data[2] else self._on.discard)((module, register))
            if not self.streaming:
                self._t_s, self._acc, self._gyr = self._t_s[:0], self._acc[:0], self._gyr[:0]
        return ()

    def disconnected(self) -> None:
        self._on.clear()
        self._t_s, self._acc, self._gyr = self._t_s[:0], self._acc[:0], self._gyr[:0]

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        if not self.streaming:
            return []
        self._t_s = np.concatenate([self._t_s, t_s])
        self._acc = np.concatenate([self._acc, acc_mps2])
        self._gyr = np.concatenate([self._gyr, gyr_radps])
        full = len(self._t_s) // SAMPLES * SAMPLES
        packets = [packet for start in range(0, full, SAMPLES) for packet in self._pack(start)]
        self._t_s, self._acc, self._gyr = self._t_s[full:], self._acc[full:], self._gyr[full:]
        return packets

    def flush(self) -> list[EncodedPacket]:
        return []

    def _pack(self, start: int) -> list[EncodedPacket]:
        acc_chip, gyr_chip = self._accelerometer, self._gyroscope
        assert acc_chip is not None
        assert gyr_chip is not None
        rows = slice(start, start + SAMPLES)
        per_g = acc_chip.per_unit[self._config[ACCELEROMETER][1]]
        per_dps = gyr_chip.per_unit[self._config[GYROSCOPE][1]]
        acc, _ = quantise(self._acc[rows], STANDARD_GRAVITY_MPS2 / per_g)
        gyr, _ = quantise(self._gyr[rows], radians(1.0 / per_dps))
        first_s, last_s = float(self._t_s[start]), float(self._t_s[start + SAMPLES - 1])
        return [
            EncodedPacket(bytes([module, chip.packed]) + counts.astype("<i2").tobytes(), first_s, last_s)
            for module, chip, counts in ((GYROSCOPE, gyr_chip, gyr), (ACCELEROMETER, acc_chip, acc))
        ]


METAMOTION = Board(
    key="metamotion",
    title="MbientLab MetaMotion S or R",
    kind="motion",
    advertised=(SERVICE_UUID,),
    name_prefixes=("MetaWear",),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=NOTIFY_UUID,
        characteristics=(
            Characteristic(COMMAND_UUID, ("write", "write-without-response")),
            Characteristic(NOTIFY_UUID, ("notify",)),
        ),
        mtu=23,
    ),
    set_up=set_up,
    stop=_STOP,
    motion=Motion(
        rate_hz=RATE_HZ,
        acc_range_mps2=ACC_RANGE_G * STANDARD_GRAVITY_MPS2,
        gyr_range_radps=radians(GYR_RANGE_DPS),
        acc_step_mps2=STANDARD_GRAVITY_MPS2 / 2048.0,
        gyr_step_radps=radians(1.0 / _PER_DPS[0x0]),
        samples_per_notification=SAMPLES,
        time_base=TimeBase.ARRIVAL,
        index_wrap=0,
        device_wrap_us=0,
        new_decoder=MetaMotionDecoder,
        new_device=lambda _: MetaMotionDevice(),
        device_time_us=lambda _: None,
    ),
)
