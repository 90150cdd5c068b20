"""WitMotion's BLE 5.0 sensors: BWT901BLE5.0, WT901BLE and their kin.

Source: github.com/WITMOTION/WitBluetooth_BWT901BLE5_0 and WitMotion's description of the BLE 5.0 protocol.

What it sends is one stream of frames of 20 bytes, cut into notifications anywhere: ``55 61`` and nine int16,
little-endian: acceleration x y z (16 g / 32768), angular rate (2000 dps / 32768), angles; or the answer to a read,
``55 71``, the register's number (u16) and the values of eight registers from there on. Neither a number nor a time nor
a checksum.

How it works
------------
1. Within a notification nothing is lost: a frame in it is taken where it begins with its two bytes and what follows, as
   far as it is there, begins a frame too. One that notifications cut waits until what follows begins a frame.
2. Bytes that belong to no frame are skipped and reported; by their number at least so many samples are counted as lost.
   A whole frame that was lost leaves no trace.
3. The sensor streams from the moment of subscription, at the rate it was left with. The set-up reads rate and
   bandwidth (200 Hz and 94 Hz, just below half the rate; as shipped it is 21 Hz, which flattens every impact), sets
   them where they differ, saves them and reads the rate back. Settings need an unlock, which lasts 10 s. A register is
   read behind each write: the vendor's programs wait 100 ms.
4. The read of the firmware's version comes last and opens the stream, in a recording too. From a read of the rate until
   then frames are passed over: their rate is not known.

The vendor's files disagree about the bandwidth: code 2 is 94 Hz for most, 188 Hz in the Android example.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence
from math import radians
from typing import Final

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from sensor_host.boards.board import (
    AttError,
    Board,
    Characteristic,
    EncodedPacket,
    Gatt,
    Motion,
    Packet,
    Packets,
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
ACC_SCALE_MPS2: Final = ACC_RANGE_G * STANDARD_GRAVITY_MPS2 / 32768.0
GYR_SCALE_RADPS: Final = radians(GYR_RANGE_DPS) / 32768.0

FRAME_BYTES: Final = 20
DATA, ANSWER = b"\x55\x61", b"\x55\x71"
_HEADERS = (DATA, ANSWER)
_ENDS: Final = Ends()

SAVE, RATE, BANDWIDTH, READ, VERSION, KEY = 0x00, 0x03, 0x1F, 0x27, 0x2E, 0x69
UNLOCKED: Final = 0xB588
RATES_HZ: Final = {0x03: 1.0, 0x04: 2.0, 0x05: 5.0, 0x06: 10.0, 0x07: 20.0, 0x08: 50.0, 0x09: 100.0, 0x0B: RATE_HZ}
RATE_CODE: Final = 0x0B
BANDWIDTH_CODE: Final = 0x02

SERVICE_UUID, DATA_UUID, CONTROL_UUID = (
    f"0000{number}-0000-1000-8000-00805f9a34fb" for number in ("ffe5", "ffe4", "ffe9")
)

NOT_PERMITTED: Final = 0x03


def command(register: int, value: int) -> bytes:
    """Return the write that sets a register; ``READ`` with a register's number reads it."""
    return struct.pack("<BBBH", 0xFF, 0xAA, register, value)


class FrameReader:
    """Finds frames in notifications."""

    def __init__(self) -> None:
        self._rest = b""  # what may begin a frame, or be one that what follows has yet to confirm
        self._skipped = 0  # since the last frame

    @property
    def between_frames(self) -> bool:
        return not (self._rest or self._skipped)

    def read(self, data: bytes) -> tuple[list[tuple[int, bytes]], int]:
        """Return (bytes skipped since the frame before, frame) for each frame, and how many bytes were skipped now."""
        dropped = 0
        begins = len(self._rest)
        data = self._rest + data
        frames: list[tuple[int, bytes]] = []
        at = 0
        while at < len(data):
            end = at + FRAME_BYTES
            if _may_begin(data, at) and _may_begin(data, end):
                if end + (2 if at < begins else 0) > len(data):
                    break
                frames.append((self._skipped, data[at:end]))
                self._skipped = 0
                at = end
            else:
                self._skipped += 1
                dropped += 1
                at += 1
        self._rest = data[at:]
        return frames, dropped


def _may_begin(data: bytes, at: int) -> bool:
    """Tell whether a frame may begin here, as far as the bytes are there."""
    return any(header.startswith(data[at : at + 2]) for header in _HEADERS)


class _Answer:
    """Waits for the answer to a read, wherever notifications cut it; ``values`` are those of eight registers."""

    def __init__(self, register: int) -> None:
        self._register = register
        self._reader = FrameReader()
        self.values: tuple[int, ...] = (0,) * 8

    def __call__(self, data: bytes) -> bool:
        for _, frame in self._reader.read(data)[0]:
            if frame[:2] == ANSWER and frame[2] == self._register:
                self.values = struct.unpack_from("<8H", frame, 4)
                return True
        return False


def _ask(register: int) -> Generator[Write, bytes, tuple[int, ...]]:
    answer = _Answer(register)
    yield Write(CONTROL_UUID, command(READ, register), response=False, answered=answer)
    return answer.values


def set_up() -> SetUp:
    """Subscribe; set rate and bandwidth where they differ and save them; open the stream by the version's read."""
    yield Subscribe(DATA_UUID)
    rate = (yield from _ask(RATE))[0]
    bandwidth = (yield from _ask(BANDWIDTH))[0]
    if (rate, bandwidth) != (RATE_CODE, BANDWIDTH_CODE):
        for register, value in ((KEY, UNLOCKED), (RATE, RATE_CODE), (BANDWIDTH, BANDWIDTH_CODE), (SAVE, 0)):
            yield Write(CONTROL_UUID, command(register, value), response=False)
            rate = (yield from _ask(RATE))[0]
        if rate != RATE_CODE:
            raise LinkError(
                f"the WitMotion sensor keeps a rate of {RATES_HZ.get(rate, 0.0):g} Hz: "
                f"set {RATE_HZ:g} Hz in the vendor's app and try again"
            )
    low, high, *_ = yield from _ask(VERSION)
    version = high << 16 | low
    if version >> 31:
        return f"{version >> 14 & 0xFFFF}.{version >> 8 & 0x1F}.{version & 0x7F}"
    return str(low) if low else ""


class WitMotionDecoder:
    """Turns notifications into packets of one sample; the answer that tells the version begins a stream."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._stream = 1
        self._slot = 0
        self._empty = True
        self._open = False
        self._rate_hz = 0.0

    def decode_one(self, data: bytes) -> Packet | None:
        return alone(self._take(0, data), _ENDS) if self._is_plain(data) else None

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        found: list[Found] = []
        bad: list[tuple[int, DecodeError]] = []
        rates: list[tuple[int, float]] = []
        for position, data in enumerate(notifications):
            if self._is_plain(data):
                found.append(self._take(position, data))
                continue
            if not data:
                bad.append((position, DecodeError("an empty notification", kind="truncated")))
            frames, skipped = self._reader.read(data)
            if skipped and self._open:
                bad.append((position, DecodeError(f"{skipped} bytes that belong to no frame", kind="foreign")))
            for before, frame in frames:
                if self._open:
                    self._slot += -(-before // FRAME_BYTES)
                if frame[:2] == ANSWER:
                    self._hear(frame)
                    if self._open and self._empty and self._rate_hz:
                        rates.append((len(found), self._rate_hz))
                elif self._open:
                    found.append(self._take(position, frame))
        return gather(found, _ENDS, bad, rates)

    def _is_plain(self, data: bytes) -> bool:
        """Tell whether this is a frame and nothing else, as nearly always."""
        return self._open and len(data) == FRAME_BYTES and data[:2] == DATA and self._reader.between_frames

    def _take(self, position: int, frame: bytes) -> Found:
        first, self._empty = self._empty, False
        self._slot += 1
        acc, gyr = frame[2:8], frame[8:14]
        return Found(position, self._stream, self._slot - 1, first, acc, gyr, ACC_SCALE_MPS2, GYR_SCALE_RADPS)

    def _hear(self, answer: bytes) -> None:
        if answer[2] == RATE:
            self._open = False
            self._rate_hz = RATES_HZ.get(answer[4], 0.0)
        elif answer[2] == VERSION:
            if not self._empty:
                self._stream += 1
            self._slot = 0
            self._empty = self._open = True


class WitMotionDevice:
    """The device's side. It plays one rate: until it is set to that, it sends nothing but answers."""

    def __init__(self) -> None:
        self.mtu = WITMOTION.gatt.mtu
        self._registers = {RATE: 0x06, BANDWIDTH: 0x04, VERSION: 0x2D10, VERSION + 1: 0}
        self._saved = dict(self._registers)
        self._unlocked = False
        self._asked = False

    @property
    def streaming(self) -> bool:
        return self._asked and self._registers[RATE] == RATE_CODE

    def read(self, uuid: str) -> bytes:  # noqa: ARG002 - none of it can be read
        raise AttError(NOT_PERMITTED)

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != CONTROL_UUID:
            raise AttError(NOT_PERMITTED)
        if len(data) != 5 or data[:2] != b"\xff\xaa":
            return ()  # what it does not understand it passes over
        register = data[2]
        value = int.from_bytes(data[3:5], "little")
        if register == READ:
            self._asked = True
            values = [self._registers.get(value + offset, 0) for offset in range(8)]
            return ((DATA_UUID, ANSWER + struct.pack("<9H", value, *values)),)
        if register == KEY:
            self._unlocked = value == UNLOCKED
        elif register == SAVE and self._unlocked:
            self._saved = dict(self._registers)
        elif self._unlocked:
            self._registers[register] = value
        return ()

    def disconnected(self) -> None:
        self._asked = self._unlocked = False

    def switch_off_and_on(self) -> None:
        """Lose what was not saved."""
        self.disconnected()
        self._registers = dict(self._saved)

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        if not self.streaming:
            return []
        acc, _ = quantise(acc_mps2, ACC_SCALE_MPS2)
        gyr, _ = quantise(gyr_radps, GYR_SCALE_RADPS)
        rows = np.hstack([acc, gyr, np.zeros_like(gyr)]).astype("<i2")
        return [EncodedPacket(DATA + row.tobytes(), at_s, at_s) for row, at_s in zip(rows, t_s.tolist(), strict=True)]

    def flush(self) -> list[EncodedPacket]:
        return []


WITMOTION = Board(
    key="witmotion",
    title="WitMotion BLE 5.0 (BWT901BLE5.0, WT901BLE)",
    kind="motion",
    advertised=(SERVICE_UUID,),
    name_prefixes=("WT901BLE", "BWT901BLE"),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=DATA_UUID,
        characteristics=(
            Characteristic(DATA_UUID, ("notify",)),
            Characteristic(CONTROL_UUID, ("write", "write-without-response")),
        ),
        mtu=23,
    ),
    set_up=set_up,
    motion=Motion(
        rate_hz=RATE_HZ,
        acc_range_mps2=ACC_RANGE_G * STANDARD_GRAVITY_MPS2,
        gyr_range_radps=radians(GYR_RANGE_DPS),
        acc_step_mps2=ACC_SCALE_MPS2,
        gyr_step_radps=GYR_SCALE_RADPS,
        samples_per_notification=1,
        time_base=TimeBase.ARRIVAL,
        index_wrap=0,
        device_wrap_us=0,
        new_decoder=WitMotionDecoder,
        new_device=lambda _: WitMotionDevice(),
        device_time_us=lambda _: None,
    ),
)
