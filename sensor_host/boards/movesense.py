"""Movesense sensors by the GATT SensorData Protocol (GSP) of the default firmware: decoder, set-up and device's side.

After Movesense's "GATT SensorData Protocol specification" (movesense.com/docs/esw/gatt_sensordata_protocol) and the
public sources of its gatt_sensordata_app.

How it works
------------
1. A command is ``[command][reference][data]``, a notification ``[type][reference][data]``. HELLO is answered by what
   the sensor is, SUBSCRIBE by a status as of HTTP.
2. ``/Meas/IMU6/{rate}`` gives milliseconds of the first sample (u32), n accelerations in m/s2 and n angular rates in
   degrees per second (float32). n follows from the length.
3. The firmware cuts that at 150 bytes: DATA, DATA_PART2, DATA_PART3. A packet is whole when its length fits whole
   samples, which 150, 300 and 450 bytes never do. A part without its forerunner and a packet without its end are
   dropped. Parts carry no number of their packet: where the end of one and the beginning of the next are lost
   together, the halves left over cannot be told from one packet. A link layer that repeats until it is heard does not
   do that; a host that drops notifications could.
4. The host's reference is the rate in hertz. Every data notification repeats it, so a recording describes itself.
5. The answer to HELLO begins a new stream.
6. GSP cannot set ranges: the accelerometer stays at its default +-8 g, which running exceeds at times. A packet with a
   sample at the end of a range counts as clipped.

The rate of 208 Hz and its packets of 16 samples follow from those published for 52 Hz (4) and 104 Hz (8); no sensor was
at hand. A sensor that refuses 208 Hz is asked for 104 Hz.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
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
    gathered,
    widened,
)
from sensor_host.errors import DecodeError, LinkError

HELLO, SUBSCRIBE, UNSUBSCRIBE = 0, 1, 2
RESULT, DATA, DATA_PART2, DATA_PART3 = 1, 2, 3, 4

HEADER_BYTES: Final = 2
TIME_BYTES: Final = 4
SAMPLE_BYTES: Final = 24
PART_BYTES: Final = 150  # of data, behind the header
PARTS: Final = 3

# what is asked for, best first; each also is the reference of its subscription and so fits into a byte
RATES_HZ: Final = (208, 104)
HELLO_REFERENCE: Final = 1

ACC_RANGE_G: Final = 8.0
GYR_RANGE_DPS: Final = 2000.0

# the chip's full scale is 32767 x 0.244 mg = 7.995 g where its range is called 8 g
END_OF_RANGE: Final = 0.999

# four times the default range, the widest it has twice over: no sensor measures that
IMPOSSIBLE: Final = 4.0

DEVICE_WRAP_US: Final = (1 << 32) * 1000
SUBSCRIPTIONS: Final = 4

_ATT_BYTES: Final = 3
_ACC_RANGE_MPS2 = ACC_RANGE_G * STANDARD_GRAVITY_MPS2


def path_of(rate_hz: int) -> bytes:
    """Return the resource that gives acceleration and angular rate."""
    return b"/Meas/IMU6/%d" % rate_hz


def device_time_us(data: bytes) -> int | None:
    """Return the device's clock at the first sample where a packet begins, None for anything else."""
    if len(data) < HEADER_BYTES + TIME_BYTES or data[0] != DATA:
        return None
    return int.from_bytes(data[2:6], "little") * 1000


# ---------------------------------------------------------------- decoder


class MovesenseDecoder:
    """Puts the parts of packets together and reads them."""

    def __init__(self) -> None:
        self._stream = 0
        self._first = False
        self._rate_hz = 0
        self._reference = 0
        self._parts = 0  # of the packet that is not whole yet; 0 when there is none
        self._payload = b""

    def decode_one(self, data: bytes) -> Packet | None:  # noqa: ARG002
        """Leave everything to `decode`: hardly ever is a packet whole in one notification."""
        return None

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        """Decode notifications in the order they came; never raises for what is in them."""
        rows: list[tuple[int, Packet]] = []
        bad: list[tuple[int, DecodeError]] = []
        rates: list[tuple[int, float]] = []
        for position, data in enumerate(notifications):
            try:
                self._join(data)
            except DecodeError as error:
                bad.append((position, error))
            # an error may tell of the packet before, that broke off: the notification itself may be good
            try:
                packet = self._whole()
            except DecodeError as error:
                bad.append((position, error))
                continue
            if packet is None:
                continue
            if self._reference != self._rate_hz:
                self._rate_hz = self._reference
                rates.append((len(rows), float(self._rate_hz)))
            rows.append((position, packet))
        return gathered(rows, bad, rates)

    def _join(self, data: bytes) -> None:
        """Take a notification: begin a stream, a packet, or add to one."""
        if len(data) < HEADER_BYTES:
            raise DecodeError(f"a notification of {len(data)} bytes is no GSP", kind="truncated")
        kind, reference = data[0], data[1]
        if kind == RESULT:
            if reference == HELLO_REFERENCE:
                self._stream += 1
                self._first = True
                self._parts = 0
            return
        part = kind - DATA + 1
        if not 1 <= part <= PARTS or reference not in RATES_HZ:
            raise DecodeError(f"type {kind} with reference {reference} was not asked for", kind="foreign")
        unfinished, self._parts = self._parts, 0
        if part == 1:
            self._parts, self._reference, self._payload = 1, reference, data[HEADER_BYTES:]
            if unfinished:
                raise DecodeError("the end of a packet is missing", kind="truncated")
        elif part == unfinished + 1 and reference == self._reference:
            self._parts = part
            self._payload += data[HEADER_BYTES:]
        else:
            raise DecodeError(f"part {part} of a packet without the part before it", kind="truncated")

    def _whole(self) -> Packet | None:
        """Return the packet the parts make up; None while it is not whole.

        Raises
        ------
        DecodeError
            When its end was due, or it holds what cannot be.
        """
        if not self._parts:
            return None
        size = len(self._payload) - TIME_BYTES
        if size < SAMPLE_BYTES or size % SAMPLE_BYTES:
            if self._parts == PARTS:
                self._parts = 0
                raise DecodeError(f"{len(self._payload)} bytes are no whole samples", kind="truncated")
            return None
        payload, self._parts, self._payload = self._payload, 0, b""
        values = widened(np.frombuffer(payload, "<f4", offset=TIME_BYTES)).reshape(2, -1, 3)
        acc_mps2, gyr_dps = values[0], values[1]
        acc_most, gyr_most = float(np.abs(acc_mps2).max()), float(np.abs(gyr_dps).max())
        if not (acc_most <= IMPOSSIBLE * _ACC_RANGE_MPS2 and gyr_most <= IMPOSSIBLE * GYR_RANGE_DPS):
            raise DecodeError("accelerations or angular rates that no sensor measures", kind="foreign")
        first, self._first = self._first, False
        return Packet(
            stream=self._stream,
            index=0,
            device_us=int.from_bytes(payload[:TIME_BYTES], "little") * 1000,
            samples=len(acc_mps2),
            overrun=False,
            first=first,
            clipped=acc_most >= END_OF_RANGE * _ACC_RANGE_MPS2 or gyr_most >= END_OF_RANGE * GYR_RANGE_DPS,
            acc_mps2=acc_mps2,
            gyr_radps=np.radians(gyr_dps),
        )


# ---------------------------------------------------------------- set-up

_BUSY = "it is busy: stop its data logger and close the app that holds it"
_STATUS = {
    400: "it does not understand the request",
    403: "it forbids it",
    404: "its firmware has no IMU6",
    409: _BUSY,
    423: _BUSY,
    501: "its firmware has no IMU6",
    503: _BUSY,
    507: "all its subscriptions are in use: take it off its strap for a minute, so that it starts anew",
}


def set_up() -> SetUp:
    """Greet, then subscribe to the highest rate the sensor gives."""
    yield Subscribe(DATA_UUID)
    hello = yield Write(COMMAND_UUID, bytes([HELLO, HELLO_REFERENCE]), answered=_answers(HELLO_REFERENCE))
    status = 0
    for rate_hz in RATES_HZ:
        command = bytes([SUBSCRIBE, rate_hz]) + path_of(rate_hz)
        answer = yield Write(COMMAND_UUID, command, answered=_answers(rate_hz))
        status = status_of(answer)
        if 200 <= status < 300:
            return _version(hello)
    said = _STATUS.get(status, "it does not say why")
    raise LinkError(
        f"the Movesense sensor refuses acceleration and angular rate (status {status}): {said}; "
        "or update its firmware with the Movesense Showcase app (2.3 or newer)"
    )


def status_of(answer: bytes) -> int:
    """Return the status that answers SUBSCRIBE; data says 200 of itself, nothing 0."""
    if len(answer) < HEADER_BYTES + 2:
        return 0
    if answer[0] != RESULT:
        return 200  # firmware built from the sample app starts to send without a word
    status = int.from_bytes(answer[2:4], "little")
    # the sample app writes its 507 the other way round
    return status if status < 600 else int.from_bytes(answer[2:4], "big")


def _answers(reference: int) -> Callable[[bytes], bool]:
    return lambda data: len(data) >= HEADER_BYTES and data[0] in (RESULT, DATA) and data[1] == reference


def _version(hello: bytes) -> str:
    """Return the firmware's version: protocol version; serial, product, address, app, its version, all NUL-ended."""
    if len(hello) <= HEADER_BYTES or hello[HEADER_BYTES] != 1:
        return ""
    words = hello[HEADER_BYTES + 1 :].split(b"\0")
    return words[4].decode("ascii", "replace") if len(words) > 4 else ""


# ---------------------------------------------------------------- the device's side


class MovesenseDevice:
    """The device's side: answers as the default firmware does and sends IMU6 in parts.

    Parameters
    ----------
    rate_hz
        The rate its samples come at. It gives no other.
    boot_ms
        What its clock shows at time 0 of the samples.
    """

    def __init__(self, rate_hz: float = RATES_HZ[0], *, boot_ms: int = 172_460) -> None:
        self.mtu = MOVESENSE.gatt.mtu
        self._path = path_of(round(rate_hz))
        # 13 packets a second, as published for 52 and 104 Hz
        self._most = max(1, round(rate_hz) // 13)
        self._boot_ms = boot_ms
        self._subscribed: dict[int, bytes] = {}
        self._rows: list[tuple[float, Array, Array]] = []

    @property
    def streaming(self) -> bool:
        return self._path in self._subscribed.values()

    def read(self, uuid: str) -> bytes:  # noqa: ARG002
        raise AttError(0x02)  # read not permitted

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != COMMAND_UUID:
            raise AttError(0x03)  # write not permitted
        if len(data) < HEADER_BYTES:
            raise AttError(0x0D)  # invalid attribute value length
        command, reference, rest = data[0], data[1], data[2:]
        head = bytes([RESULT, reference])
        if command == HELLO:
            words = (b"210330000123", b"Movesense", b"0C:8C:DC:00:00:01", b"Default", b"2.3.1")
            return [(DATA_UUID, head + b"\x01" + b"".join(word + b"\0" for word in words))]
        if command == SUBSCRIBE:
            return [(DATA_UUID, head + struct.pack("<H", self._subscribe(reference, rest)))]
        if command == UNSUBSCRIBE:
            known = self._subscribed.pop(reference, None) is not None
            self._rows = []
            return [(DATA_UUID, head + struct.pack("<H", 200 if known else 404))]
        return [(DATA_UUID, head + struct.pack("<H", 501))]

    def disconnected(self) -> None:
        self._subscribed = {}
        self._rows = []

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        packets: list[EncodedPacket] = []
        if not self.streaming:
            return packets
        part = self._part_bytes
        size = max(1, min(self._most, (PARTS * part - TIME_BYTES) // SAMPLE_BYTES))
        for row in zip(t_s.tolist(), acc_mps2, gyr_radps, strict=True):
            self._rows.append(row)
            if len(self._rows) >= size:
                packets += self._packet()
        return packets

    def flush(self) -> list[EncodedPacket]:
        return self._packet() if self._rows and self.streaming else []

    @property
    def _part_bytes(self) -> int:
        return min(PART_BYTES, self.mtu - _ATT_BYTES - HEADER_BYTES)

    def _subscribe(self, reference: int, path: bytes) -> int:
        if not reference:
            return 400
        if path.rstrip(b"\0") != self._path:
            return 404
        if len(self._subscribed) >= SUBSCRIPTIONS:
            return 507
        self._subscribed[reference] = self._path
        self._rows = []
        return 200

    def _packet(self) -> list[EncodedPacket]:
        """Return the rows so far as one packet in its parts."""
        (first_s, _, _), (last_s, _, _) = self._rows[0], self._rows[-1]
        acc = np.array([row[1] for row in self._rows])
        gyr_dps = np.degrees(np.array([row[2] for row in self._rows]))
        self._rows = []
        time_ms = (self._boot_ms + round(first_s * 1000)) % (1 << 32)
        payload = struct.pack("<I", time_ms)
        for values, most in ((acc, _ACC_RANGE_MPS2), (gyr_dps, GYR_RANGE_DPS)):
            # a value that is not a number cannot be measured; it becomes 0
            payload += (
                np.clip(np.nan_to_num(values, nan=0.0, posinf=most, neginf=-most), -most, most).astype("<f4").tobytes()
            )
        size = self._part_bytes
        reference = next(key for key, path in self._subscribed.items() if path == self._path)
        return [
            EncodedPacket(bytes([DATA + part, reference]) + payload[start : start + size], first_s, last_s)
            for part, start in enumerate(range(0, len(payload), size))
        ]


# ---------------------------------------------------------------- the board

_BASE = "3480{:04x}-7185-4d5d-b431-630e7050e8f0"
SERVICE_UUID, COMMAND_UUID, DATA_UUID = (_BASE.format(number) for number in (0x2252, 1, 2))

MOVESENSE = Board(
    key="movesense",
    title="Movesense (default firmware 2.3 or newer)",
    kind="motion",
    # it advertises 0xFDF3, which is the maker's and stands on its watches too: the name tells
    advertised=(SERVICE_UUID,),
    name_prefixes=("Movesense ",),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=DATA_UUID,
        characteristics=(Characteristic(COMMAND_UUID, ("write",)), Characteristic(DATA_UUID, ("notify",))),
        mtu=161,
    ),
    set_up=set_up,
    stop=tuple(Write(COMMAND_UUID, bytes([UNSUBSCRIBE, rate_hz])) for rate_hz in RATES_HZ),
    motion=Motion(
        rate_hz=float(RATES_HZ[0]),
        acc_range_mps2=_ACC_RANGE_MPS2,
        gyr_range_radps=radians(GYR_RANGE_DPS),
        # float32 has 24 bits, one of them the sign's
        acc_step_mps2=float(np.spacing(np.float32(_ACC_RANGE_MPS2))),
        gyr_step_radps=radians(float(np.spacing(np.float32(GYR_RANGE_DPS)))),
        samples_per_notification=RATES_HZ[0] // 13,
        time_base=TimeBase.STAMPED,
        index_wrap=0,
        device_wrap_us=DEVICE_WRAP_US,
        device_step_us=1000,
        new_decoder=MovesenseDecoder,
        new_device=MovesenseDevice,
        device_time_us=device_time_us,
    ),
    missing="its firmware lacks the GATT SensorData Protocol; update it with the Movesense Showcase app (2.3 or newer)",
)
