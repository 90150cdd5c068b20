"""Nordic Thingy:52 with its stock firmware, the motion service.

Source: github.com/NordicSemiconductor/Nordic-Thingy52-FW (ble_tms.c, m_motion.c, drv_motion.c, inv_mpu.c).

What a notification of raw data is: nine int16, little-endian: acceleration x y z (1/1024 g), angular rate (1/32 dps),
magnetic field (1/16 uT). Neither a number nor a time: a lost one leaves no trace.

How it works
------------
1. The chip is set to +-2 g, and nothing over the radio changes that. Running reaches 6 g: such a run is refused unless
   the user insists.
2. The configuration is read, and written back with 200 Hz where it has another rate: a field out of range rejects the
   whole write, and every write wears the flash. What is read in the end opens the stream, in a recording too.
3. The firmware turns the accelerometer's axes round so that it reads +1 g along an axis that points down; angular rate
   is left as the chip has it. Here acceleration is turned back: at rest it is +1 g upward, as everywhere in hipdrive.
4. A sensor that is not ready is sent as zeros. Three accelerations of zero at once are not measured in this world: such
   a sample is left out and its place counted as lost. Angular rates of zero are: a sensor at rest has them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
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
    Read,
    SetUp,
    Subscribe,
    TimeBase,
    Write,
)
from sensor_host.boards.counts import Ends, Found, alone, gather
from sensor_host.errors import DecodeError, LinkError

RATE_HZ: Final = 200
ACC_RANGE_G: Final = 2.0
GYR_RANGE_DPS: Final = 1023.0  # 11 bits before the point, sign included
ACC_SCALE_MPS2: Final = STANDARD_GRAVITY_MPS2 / 1024.0
GYR_SCALE_RADPS: Final = radians(1.0 / 32.0)

SHORTEST_MS, LONGEST_MS = 100, 5000
DATA_BYTES: Final = 18
CONFIG_BYTES: Final = 9

# 1966 counts: 2 g less 80 mg, the largest offset of an MPU-9250, which the firmware's motion library may have taken off
_ENDS: Final = Ends(acc=1966, gyr=0x7FE0)

_CONFIG = struct.Struct("<HHHHB")  # pedometer ms, temperature ms, compass ms, motion Hz, wake on motion
_NOT_READY = bytes(6)

_BASE = "ef68{:04x}-9b35-4933-9b10-52ffa9740042"
ADVERTISED_UUID, SERVICE_UUID, CONFIG_UUID, RAW_UUID = (_BASE.format(number) for number in (0x100, 0x400, 0x401, 0x406))

NOT_PERMITTED: Final = 0x03


def set_up() -> SetUp:
    """Set the rate where it is another, read back, subscribe."""
    config = yield Read(CONFIG_UUID)
    if len(config) != CONFIG_BYTES:
        raise LinkError(f"the Thingy's motion configuration has {len(config)} bytes, {CONFIG_BYTES} expected")
    *intervals, rate_hz, wake = _CONFIG.unpack(config)
    if rate_hz != RATE_HZ:
        # what no firmware should have would reject the whole write
        intervals = [min(max(interval, SHORTEST_MS), LONGEST_MS) for interval in intervals]
        yield Write(CONFIG_UUID, _CONFIG.pack(*intervals, RATE_HZ, min(wake, 1)))
    config = yield Read(CONFIG_UUID, keep=True)
    if len(config) != CONFIG_BYTES or _CONFIG.unpack(config)[3] != RATE_HZ:
        raise LinkError(f"the Thingy does not take {RATE_HZ} Hz: reset it and try again")
    yield Subscribe(RAW_UUID)
    return ""


class ThingyDecoder:
    """Turns raw notifications into packets of one sample; a configuration that was read begins a stream."""

    def __init__(self) -> None:
        self._stream = 1
        self._slot = 0
        self._empty = True

    def decode_one(self, data: bytes) -> Packet | None:
        if len(data) != DATA_BYTES or not _ready(data):
            return None
        return alone(self._take(0, data), _ENDS)

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        found: list[Found] = []
        bad: list[tuple[int, DecodeError]] = []
        rates: list[tuple[int, float]] = []
        for position, data in enumerate(notifications):
            if len(data) == DATA_BYTES:
                if _ready(data):
                    found.append(self._take(position, data))
                else:
                    self._slot += 1
            elif len(data) == CONFIG_BYTES:
                self._begin()
                if rate_hz := _CONFIG.unpack(data)[3]:
                    rates.append((len(found), float(rate_hz)))
            else:
                bad.append((position, DecodeError(f"{len(data)} bytes, {DATA_BYTES} expected", kind="truncated")))
        return gather(found, _ENDS, bad, rates)

    def _take(self, position: int, data: bytes) -> Found:
        first, self._empty = self._empty, False
        self._slot += 1
        acc, gyr = data[0:6], data[6:12]
        return Found(position, self._stream, self._slot - 1, first, acc, gyr, -ACC_SCALE_MPS2, GYR_SCALE_RADPS)

    def _begin(self) -> None:
        if not self._empty:
            self._stream += 1
        self._slot = 0
        self._empty = True


def _ready(data: bytes) -> bool:
    return data[0:6] != _NOT_READY


class ThingyDevice:
    """The device's side. It plays one rate: until it is set to that, it sends nothing; a disconnect restarts it."""

    def __init__(self) -> None:
        self.mtu = THINGY52.gatt.mtu
        self._config = _CONFIG.pack(1000, 1000, 500, 10, 1)
        self._asked = False

    @property
    def streaming(self) -> bool:
        return self._asked and _CONFIG.unpack(self._config)[3] == RATE_HZ

    def read(self, uuid: str) -> bytes:
        if uuid != CONFIG_UUID:
            raise AttError(NOT_PERMITTED)
        self._asked = True
        return self._config

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != CONFIG_UUID or len(data) != CONFIG_BYTES:
            raise AttError(NOT_PERMITTED)
        *intervals, rate_hz, wake = _CONFIG.unpack(data)
        if not all(SHORTEST_MS <= interval <= LONGEST_MS for interval in intervals):
            raise AttError(NOT_PERMITTED)
        if not (1 <= rate_hz <= RATE_HZ and wake <= 1):
            raise AttError(NOT_PERMITTED)
        self._config = data
        return ()

    def disconnected(self) -> None:
        self._asked = False

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        if not self.streaming:
            return []
        acc_g = np.clip(np.nan_to_num(acc_mps2) / STANDARD_GRAVITY_MPS2, -ACC_RANGE_G, ACC_RANGE_G - 1.0 / 16384.0)
        dps = np.clip(np.degrees(np.nan_to_num(gyr_radps)), -GYR_RANGE_DPS - 1.0, GYR_RANGE_DPS)
        # the firmware shifts right, which rounds downward
        counts = np.hstack([np.floor(-acc_g * 1024.0), np.floor(dps * 32.0), np.zeros_like(dps)]).astype("<i2")
        return [EncodedPacket(row.tobytes(), at_s, at_s) for row, at_s in zip(counts, t_s.tolist(), strict=True)]

    def flush(self) -> list[EncodedPacket]:
        return []


THINGY52 = Board(
    key="thingy52",
    title="Nordic Thingy:52",
    kind="motion",
    advertised=(ADVERTISED_UUID,),
    name_prefixes=(),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=RAW_UUID,
        characteristics=(Characteristic(CONFIG_UUID, ("read", "write")), Characteristic(RAW_UUID, ("notify",))),
        mtu=23,
    ),
    set_up=set_up,
    motion=Motion(
        rate_hz=float(RATE_HZ),
        acc_range_mps2=ACC_RANGE_G * STANDARD_GRAVITY_MPS2,
        gyr_range_radps=radians(GYR_RANGE_DPS),
        acc_step_mps2=ACC_SCALE_MPS2,
        gyr_step_radps=GYR_SCALE_RADPS,
        samples_per_notification=1,
        time_base=TimeBase.ARRIVAL,
        index_wrap=0,
        device_wrap_us=0,
        new_decoder=ThingyDecoder,
        new_device=lambda _: ThingyDevice(),
        device_time_us=lambda _: None,
    ),
    refusal="its accelerometer ends at 2 g, running reaches 6 g and more",
)
