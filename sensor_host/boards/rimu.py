"""RIMU v1, the project's own profile: decoder and encoder. Byte by byte in hardware/rimu-v1.md.

How it works
------------
1. A data notification is an 8-byte header and n samples of 12 bytes; n follows from the length.
2. An info record describes the stream: scales, ranges, rate. The host reads it once and hands it on as a notification
   of its own before the first data, so that a recording describes itself. What follows is read by it.
3. Anything else is a `DecodeError` with a kind: truncated, foreign or version. It is counted and the stream goes on.
4. Decoding works on many notifications at once and element by element: how they are grouped changes no bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import radians
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
from sensor_host.boards.rimu_profile import (
    ACC_CLIP,
    ATT_BYTES,
    ATT_OUT_OF_RANGE,
    ATT_UNKNOWN_COMMAND,
    ATT_WRONG_LENGTH,
    CHARACTERISTICS,
    CONTROL_UUID,
    DATA_TYPE,
    DATA_UUID,
    DEFAULT_ACC_RANGE_G,
    DEFAULT_ACC_SCALE_NG,
    DEFAULT_CHIP,
    DEFAULT_GYR_RANGE_DPS,
    DEFAULT_GYR_SCALE_NDPS,
    DEFAULT_RATE_DHZ,
    DEFAULT_SAMPLES_PER_PACKET,
    DEVICE_US_OFFSET,
    DEVICE_WRAP_US,
    FIRST_PACKET,
    GYR_CLIP,
    HEADER_BYTES,
    HEADER_FIELDS,
    HEADER_FORMAT,
    IDENTIFY,
    IDENTIFY_BYTES,
    INDEX_WRAP,
    INFO_BYTES,
    INFO_FORMAT,
    INFO_TYPE,
    INFO_UUID,
    MTU,
    NAME_PREFIX,
    OVERRUN,
    SAMPLE_BYTES,
    SAMPLES_MOST,
    SERVICE_UUID,
    START,
    START_BYTES,
    START_FORMAT,
    STOP,
    STOP_BYTES,
    STREAM_SHIFT,
    STREAM_WRAP,
)
from sensor_host.errors import DecodeError

Integers: TypeAlias = NDArray[np.int64]

RAW_LIMIT: Final = 32767

# ATT's own, beside the three of the profile: the characteristic has no such property
NOT_PERMITTED: Final = 0x03

_COMMAND_BYTES: Final = {START: START_BYTES, STOP: STOP_BYTES, IDENTIFY: IDENTIFY_BYTES}

_HEADER = struct.Struct(HEADER_FORMAT)
_INFO = struct.Struct(INFO_FORMAT)
_HEADER_DTYPE = np.dtype(HEADER_FIELDS)


@dataclass(frozen=True, slots=True)
class Info:
    """What a device says of itself. Scales are whole nano-units per least significant bit, so that they stay exact."""

    rate_hz: float = DEFAULT_RATE_DHZ / 10.0
    acc_scale_ng: int = DEFAULT_ACC_SCALE_NG
    gyr_scale_ndps: int = DEFAULT_GYR_SCALE_NDPS
    acc_range_g: int = DEFAULT_ACC_RANGE_G
    gyr_range_dps: int = DEFAULT_GYR_RANGE_DPS
    samples_per_packet: int = DEFAULT_SAMPLES_PER_PACKET
    firmware: tuple[int, int] = (1, 0)
    chip: int = DEFAULT_CHIP
    stream: int = 0

    @property
    def acc_scale_mps2(self) -> float:
        return self.acc_scale_ng * 1e-9 * STANDARD_GRAVITY_MPS2

    @property
    def gyr_scale_radps(self) -> float:
        return radians(self.gyr_scale_ndps * 1e-9)


def encode_info(info: Info) -> bytes:
    """Return the 20 bytes of the info record."""
    return _INFO.pack(
        INFO_TYPE,
        0,
        round(info.rate_hz * 10),
        info.acc_scale_ng,
        info.gyr_scale_ndps,
        info.acc_range_g,
        info.samples_per_packet,
        info.gyr_range_dps,
        *info.firmware,
        info.chip,
        info.stream,
    )


def decode_info(data: bytes) -> Info:
    """Read an info record. Bytes behind the twentieth belong to later versions and are passed over.

    Raises
    ------
    DecodeError
        When it is none, too short, or says what cannot be.
    """
    if not data or data[0] != INFO_TYPE:
        raise DecodeError("no info record", kind="foreign")
    if len(data) < INFO_BYTES:
        raise DecodeError(f"an info record of {len(data)} bytes, {INFO_BYTES} expected", kind="truncated")
    _, _, rate, acc_scale, gyr_scale, acc_range, per_packet, gyr_range, major, minor, chip, stream = _INFO.unpack_from(
        data
    )
    if not (rate and acc_scale and gyr_scale):
        raise DecodeError("an info record without rate or scale", kind="foreign")
    return Info(
        rate / 10.0, acc_scale, gyr_scale, acc_range, gyr_range, per_packet, (major, minor), chip, stream % STREAM_WRAP
    )


def device_time_us(data: bytes) -> int | None:
    """Return the device's clock at the first sample of a data packet, None for anything else."""
    if len(data) < HEADER_BYTES or data[0] != DATA_TYPE:
        return None
    return int.from_bytes(data[DEVICE_US_OFFSET : DEVICE_US_OFFSET + 4], "little")


# ---------------------------------------------------------------- decoder


class RimuDecoder:
    """Turns notifications into packets, by the last info record that was among them."""

    def __init__(self, info: Info | None = None) -> None:
        self._info = info or Info()

    @property
    def info(self) -> Info:
        return self._info

    def decode_one(self, data: bytes) -> Packet | None:
        """Decode one data packet as `decode` does, in as few steps as there are facts in it; None for anything else."""
        if len(data) <= HEADER_BYTES or data[0] != DATA_TYPE or (len(data) - HEADER_BYTES) % SAMPLE_BYTES:
            return None
        _, flags, index, device_us = _HEADER.unpack_from(data)
        raw = np.frombuffer(data, "<i2", offset=HEADER_BYTES)
        wide = raw.astype(np.float64).reshape(-1, 6)
        return Packet(
            stream=flags >> STREAM_SHIFT,
            index=index,
            device_us=device_us,
            samples=len(wide),
            overrun=flags & OVERRUN != 0,
            first=flags & FIRST_PACKET != 0,
            clipped=bool(flags & (ACC_CLIP | GYR_CLIP) or raw.max() >= RAW_LIMIT or raw.min() <= -RAW_LIMIT),
            acc_mps2=wide[:, 0:3] * self._info.acc_scale_mps2,
            gyr_radps=wide[:, 3:6] * self._info.gyr_scale_radps,
        )

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        """Decode notifications in the order they came; never raises for what is in them."""
        lengths = np.fromiter(map(len, notifications), np.int64, len(notifications))
        kinds = np.fromiter((data[0] if data else -1 for data in notifications), np.int64, len(notifications))
        good = (kinds == DATA_TYPE) & (lengths > HEADER_BYTES) & ((lengths - HEADER_BYTES) % SAMPLE_BYTES == 0)
        position = np.flatnonzero(good)
        everything = len(position) == len(notifications)
        if not everything:
            kept = [notifications[i] for i in position.tolist()]
            header, raw, samples = _unpack(kept, lengths[position])
        else:
            header, raw, samples = _unpack(notifications, lengths)
        bad: list[tuple[int, DecodeError]] = []
        acc_scale = np.full((1, 1), self._info.acc_scale_mps2)
        gyr_scale = np.full((1, 1), self._info.gyr_scale_radps)
        rates: list[tuple[int, float]] = []
        if not everything:
            # where the info changes, the scales change with it: one pair of scales per stretch between info records
            starts = [0]
            infos = [self._info]
            for i in np.flatnonzero(~good).tolist():
                try:
                    self._info = _read_odd(notifications[i])
                except DecodeError as error:
                    bad.append((i, error))
                    continue
                row = int(np.searchsorted(position, i))
                starts.append(int(samples[:row].sum()))
                infos.append(self._info)
                rates.append((row, self._info.rate_hz))
            if rates:
                stretch = np.diff(np.array([*starts, len(raw)]))
                acc_scale = np.repeat(np.array([info.acc_scale_mps2 for info in infos]), stretch)[:, None]
                gyr_scale = np.repeat(np.array([info.gyr_scale_radps for info in infos]), stretch)[:, None]
        flags = header["flags"].astype(np.int64)
        # int16 is widened before it is scaled: int16 times int16 would overflow in silence
        wide = raw.astype(np.float64)
        clipped = (flags & (ACC_CLIP | GYR_CLIP)) != 0
        return Packets(
            position=position,
            stream=flags >> STREAM_SHIFT,
            index=header["index"].astype(np.int64),
            device_us=header["device_us"].astype(np.int64),
            samples=samples,
            overrun=(flags & OVERRUN) != 0,
            first=(flags & FIRST_PACKET) != 0,
            clipped=clipped | _saturated(raw, samples),
            acc_mps2=wide[:, 0:3] * acc_scale,
            gyr_radps=wide[:, 3:6] * gyr_scale,
            bad=tuple(bad),
            rates=tuple(rates),
        )


def _unpack(notifications: Sequence[bytes], lengths: Integers) -> tuple[NDArray[np.void], NDArray[np.int16], Integers]:
    """Return headers (p,), raw samples (n, 6) and samples per packet (p,) of well-formed data packets."""
    samples = (lengths - HEADER_BYTES) // SAMPLE_BYTES
    count = len(notifications)
    if count and (lengths == lengths[0]).all():
        packets = np.frombuffer(b"".join(notifications), np.uint8).reshape(count, -1)
        header = np.ascontiguousarray(packets[:, :HEADER_BYTES]).view(_HEADER_DTYPE)[:, 0]
        raw = np.ascontiguousarray(packets[:, HEADER_BYTES:]).view("<i2").reshape(-1, 6)
        return header, raw, samples
    header = np.zeros(count, _HEADER_DTYPE)
    raw = np.empty((int(samples.sum()), 6), "<i2")
    starts = np.cumsum(samples) - samples
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        part_header, part_raw, _ = _unpack([notifications[i] for i in rows.tolist()], lengths[rows])
        header[rows] = part_header
        n = (length - HEADER_BYTES) // SAMPLE_BYTES
        target: Integers = starts[rows][:, None] + np.arange(n, dtype=np.int64)
        raw[target.reshape(-1)] = part_raw
    return header, raw, samples


def _read_odd(data: bytes) -> Info:
    """Read what is no data packet: an info record, or say what is wrong with it."""
    if not data:
        raise DecodeError("an empty notification", kind="truncated")
    if data[0] == INFO_TYPE:
        return decode_info(data)
    if data[0] == DATA_TYPE:
        raise DecodeError(f"a data packet of {len(data)} bytes ends inside a sample", kind="truncated")
    if data[0] & 0x0F in (DATA_TYPE & 0x0F, INFO_TYPE & 0x0F) and data[0] >> 4 > DATA_TYPE >> 4:
        raise DecodeError(f"profile version {data[0] >> 4}; update hipdrive", kind="version")
    raise DecodeError(f"a notification that starts with 0x{data[0]:02x} is not RIMU", kind="foreign")


def _saturated(raw: NDArray[np.int16], samples: Integers) -> NDArray[np.bool_]:
    """Return which packets hold a raw value at either end of int16, whatever their flags say."""
    ends = (raw >= RAW_LIMIT) | (raw <= -RAW_LIMIT)
    if not ends.any():
        return np.zeros(len(samples), np.bool_)
    packet = np.repeat(np.arange(len(samples)), samples)
    result = np.zeros(len(samples), np.bool_)
    result[packet[ends.any(axis=1)]] = True
    return result


# ---------------------------------------------------------------- encoder


def samples_at_mtu(mtu: int) -> int:
    """Return how many samples fit into one notification; 23 gives 1, 247 gives 19."""
    return (mtu - ATT_BYTES - HEADER_BYTES) // SAMPLE_BYTES


def quantise(values: Array, scale: float) -> tuple[NDArray[np.int16], bool]:
    """Return the nearest raw counts, held at the ends of int16, and whether any was held.

    A value that is not a number cannot be measured; it becomes 0.
    """
    counts = np.nan_to_num(np.rint(values / scale), nan=0.0, posinf=np.inf, neginf=-np.inf)
    held = np.clip(counts, -RAW_LIMIT - 1, RAW_LIMIT)
    return held.astype(np.int16), bool((np.abs(counts) >= RAW_LIMIT).any())


def encode_packet(raw: NDArray[np.int16], *, index: int, device_us: int, flags: int = 0, stream: int = 0) -> bytes:
    """Return one data notification; ``raw`` (n, 6) counts, ``index`` and ``device_us`` wrap as on the device."""
    head = _HEADER.pack(
        DATA_TYPE, flags | stream % STREAM_WRAP << STREAM_SHIFT, index % INDEX_WRAP, device_us % DEVICE_WRAP_US
    )
    return head + raw.astype("<i2").tobytes()


class RimuEncoder:
    """The device's side of the profile: quantises, counts, stamps and packs a stream of samples.

    Parameters
    ----------
    info
        Scales, rate and samples per packet of the device that is played.
    stream
        How often the device was started before, modulo 16.
    boot_us
        What the device's clock shows at time 0 of the samples.
    first_index
        Counter of the first sample; 0 on a device, anything in a test of the wrap.
    """

    def __init__(
        self, info: Info | None = None, *, stream: int = 0, boot_us: int = 1_000_000, first_index: int = 0
    ) -> None:
        self._info = info or Info()
        self._stream = stream
        self._boot_us = boot_us
        self._index = first_index
        self._first = True
        self._t_s: Array = np.empty(0)
        self._acc: Array = np.empty((0, 3))
        self._gyr: Array = np.empty((0, 3))

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        """Take samples and return the packets that became full.

        Parameters
        ----------
        t_s
            (n,) the device's time of each sample.
        acc_mps2, gyr_radps
            (n, 3) in the sensor frame.
        """
        self._t_s = np.concatenate([self._t_s, t_s])
        self._acc = np.concatenate([self._acc, acc_mps2])
        self._gyr = np.concatenate([self._gyr, gyr_radps])
        size = self._info.samples_per_packet
        full = len(self._t_s) // size * size
        packets = [self._pack(start, start + size) for start in range(0, full, size)]
        self._t_s, self._acc, self._gyr = self._t_s[full:], self._acc[full:], self._gyr[full:]
        return packets

    def flush(self) -> list[EncodedPacket]:
        """Return what is left as a last, shorter packet."""
        packets = [self._pack(0, len(self._t_s))] if len(self._t_s) else []
        self._t_s, self._acc, self._gyr = self._t_s[:0], self._acc[:0], self._gyr[:0]
        return packets

    def _pack(self, start: int, end: int) -> EncodedPacket:
        acc, acc_clipped = quantise(self._acc[start:end], self._info.acc_scale_mps2)
        gyr, gyr_clipped = quantise(self._gyr[start:end], self._info.gyr_scale_radps)
        t_first_s = float(self._t_s[start])
        flags = (
            (ACC_CLIP if acc_clipped else 0) | (GYR_CLIP if gyr_clipped else 0) | (FIRST_PACKET if self._first else 0)
        )
        data = encode_packet(
            np.hstack([acc, gyr]),
            index=self._index,
            device_us=self._boot_us + round(t_first_s * 1e6),
            flags=flags,
            stream=self._stream,
        )
        self._first = False
        self._index += end - start
        return EncodedPacket(data, t_first_s, float(self._t_s[end - 1]))


# ---------------------------------------------------------------- the board


def start_command(samples_per_packet: int = 0, rate_hz: float = 0.0) -> bytes:
    """Return the write that starts the stream; 0 leaves the choice to the device."""
    return struct.pack(START_FORMAT, START, samples_per_packet, round(rate_hz * 10))


def set_up(samples_per_packet: int = 0) -> SetUp:
    """Read what the device says of itself, subscribe, start."""
    data = yield Read(INFO_UUID, keep=True)
    yield Subscribe(DATA_UUID)
    yield Write(CONTROL_UUID, start_command(samples_per_packet))
    try:
        major, minor = decode_info(data).firmware
    except DecodeError:
        return ""  # counted where it is decoded
    return f"{major}.{minor}"


class RimuDevice:
    """The device's side: starts, stops and refuses as the profile says, and sends by `RimuEncoder`."""

    def __init__(self, info: Info | None = None, *, boot_us: int = 1_000_000) -> None:
        self.mtu = RIMU.gatt.mtu
        self._info = info or Info()
        self._boot_us = boot_us
        self._encoder: RimuEncoder | None = None

    @property
    def streaming(self) -> bool:
        return self._encoder is not None

    def read(self, uuid: str) -> bytes:
        if uuid != INFO_UUID:
            raise AttError(NOT_PERMITTED)
        return encode_info(self._info)

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != CONTROL_UUID:
            raise AttError(NOT_PERMITTED)
        command = data[0] if data else -1
        if command not in _COMMAND_BYTES:
            raise AttError(ATT_UNKNOWN_COMMAND if data else ATT_WRONG_LENGTH)
        if len(data) != _COMMAND_BYTES[command]:
            raise AttError(ATT_WRONG_LENGTH)
        if command == START:
            if data[1] > SAMPLES_MOST:
                raise AttError(ATT_OUT_OF_RANGE)
            self._start(data[1] or Info().samples_per_packet)
        elif command == STOP:
            self._encoder = None
        return ()

    def disconnected(self) -> None:
        self._encoder = None

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        return self._encoder.encode(t_s, acc_mps2, gyr_radps) if self._encoder else []

    def flush(self) -> list[EncodedPacket]:
        return self._encoder.flush() if self._encoder else []

    def _start(self, samples_per_packet: int) -> None:
        # the sensor has one rate; asked for another, it keeps the nearest it has
        self._info = replace(
            self._info,
            samples_per_packet=min(samples_per_packet, samples_at_mtu(self.mtu)),
            stream=(self._info.stream + 1) % STREAM_WRAP,
        )
        self._encoder = RimuEncoder(self._info, stream=self._info.stream, boot_us=self._boot_us)


RIMU = Board(
    key="rimu",
    title="RIMU v1 (Seeed XIAO nRF52840 Sense with the project's firmware)",
    kind="motion",
    advertised=(SERVICE_UUID,),
    name_prefixes=(NAME_PREFIX,),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=DATA_UUID,
        characteristics=tuple(Characteristic(uuid, properties) for uuid, properties in CHARACTERISTICS),
        mtu=MTU,
    ),
    set_up=set_up,
    dense_set_up=partial(set_up, 1),
    stop=(Write(CONTROL_UUID, bytes([STOP])),),
    motion=Motion(
        rate_hz=Info().rate_hz,
        acc_range_mps2=Info().acc_range_g * STANDARD_GRAVITY_MPS2,
        gyr_range_radps=radians(Info().gyr_range_dps),
        acc_step_mps2=Info().acc_scale_mps2,
        gyr_step_radps=Info().gyr_scale_radps,
        samples_per_notification=Info().samples_per_packet,
        time_base=TimeBase.COUNTED,
        index_wrap=INDEX_WRAP,
        device_wrap_us=DEVICE_WRAP_US,
        new_decoder=RimuDecoder,
        new_device=lambda rate_hz: RimuDevice(Info(rate_hz=rate_hz)),
        device_time_us=device_time_us,
    ),
)
