"""What the host knows about a kind of sensor: how it is recognised, set up, and how its bytes are read.

A board's file holds both sides. The host's side is a decoder and a set-up without input or output: a generator that
yields what to do over the radio and is sent what came back. The device's side is what the sensor itself would answer
and send; the simulated runner, the virtual board and the tests play it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pelvis.clock import TimeBase as TimeBase  # noqa: PLC0414 - boards have it from here
from pelvis.data import Array
from sensor_host.errors import DecodeError


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """What a run of notifications held: one row per good packet, the samples of all packets one after the other.

    ``position`` (p,) which notification made the packet complete; ``stream`` (p,) the device's count of starts, or the
    decoder's where the device has none; ``index`` (p,) counter of the first sample and ``device_us`` (p,) the device's
    clock at it, both wrapping, as the `TimeBase` has them, else 0; ``samples`` (p,) how many samples each packet
    holds; ``overrun``, ``first`` (since its start) and ``clipped`` (p,) what the device said, or the samples showed, of
    it; ``acc_mps2`` and ``gyr_radps`` (n, 3) in the
    sensor frame. ``bad`` names the positions that made no sense, and why. ``rates`` says from which packet on the
    device announced a nominal rate.
    """

    position: NDArray[np.int64]
    stream: NDArray[np.int64]
    index: NDArray[np.int64]
    device_us: NDArray[np.int64]
    samples: NDArray[np.int64]
    overrun: NDArray[np.bool_]
    first: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    acc_mps2: Array
    gyr_radps: Array
    bad: tuple[tuple[int, DecodeError], ...]
    rates: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True, eq=False)
class Packet:
    """What one good packet held: a row of `Packets`, and its samples."""

    stream: int
    index: int
    device_us: int
    samples: int
    overrun: bool
    first: bool
    clipped: bool
    acc_mps2: Array
    gyr_radps: Array


def gathered(
    rows: Sequence[tuple[int, Packet]],
    bad: Sequence[tuple[int, DecodeError]] = (),
    rates: Sequence[tuple[int, float]] = (),
) -> Packets:
    """Return packets that were decoded one by one as `Packets`: ``rows`` are position and packet."""
    none = [np.empty((0, 3))]
    packets = [packet for _, packet in rows]
    return Packets(
        position=np.array([position for position, _ in rows], np.int64),
        stream=np.array([packet.stream for packet in packets], np.int64),
        index=np.array([packet.index for packet in packets], np.int64),
        device_us=np.array([packet.device_us for packet in packets], np.int64),
        samples=np.array([packet.samples for packet in packets], np.int64),
        overrun=np.array([packet.overrun for packet in packets], np.bool_),
        first=np.array([packet.first for packet in packets], np.bool_),
        clipped=np.array([packet.clipped for packet in packets], np.bool_),
        acc_mps2=np.concatenate([packet.acc_mps2 for packet in packets] or none),
        gyr_radps=np.concatenate([packet.gyr_radps for packet in packets] or none),
        bad=tuple(bad),
        rates=tuple(rates),
    )


def widened(values: NDArray[np.float32]) -> Array:
    """Return float32 values as a device sent them in float64.

    Raises
    ------
    DecodeError
        When one is no number or infinite: then the bytes are no measurement.
    """
    if not np.isfinite(values).all():
        raise DecodeError("values that are no numbers", kind="foreign")
    return values.astype(np.float64)


class MotionDecoder(Protocol):
    """Turns notifications into packets; remembers what the device said of itself (its scales, its rate)."""

    def decode_one(self, data: bytes) -> Packet | None:
        """Decode a live run's usual portion as `decode` does, or return None and leave it to `decode`, untouched."""
        ...

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        """Decode a run of notifications; never raises for what is in them."""
        ...


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """A notification as the device sends it, complete at ``t_last_s``, the time of its last sample on the device."""

    data: bytes
    t_first_s: float
    t_last_s: float


class AttError(Exception):
    """A device refuses a read or a write; ``code`` is the ATT protocol's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ATT error 0x{code:02x}")
        self.code = code


class Peripheral(Protocol):
    """The device's side of any board: what it answers.

    Attributes
    ----------
    mtu
        ATT MTU of the standing connection; bounds the length of a notification to ``mtu - 3`` bytes.
    streaming
        Whether it was started: only then it sends what it measures.
    """

    mtu: int

    @property
    def streaming(self) -> bool: ...

    def read(self, uuid: str) -> bytes:
        """Return a characteristic's value.

        Raises
        ------
        AttError
            When it cannot be read.
        """
        ...

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        """Take a write and return the notifications it answers with: characteristic and bytes.

        Raises
        ------
        AttError
            When it refuses.
        """
        ...

    def disconnected(self) -> None:
        """Take that the link is gone: whatever a disconnect stops is stopped."""
        ...


class Device(Peripheral, Protocol):
    """The device's side of an inertial sensor: what it answers, and its encoder."""

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        """Take samples in the sensor frame at the device's times ``t_s`` and return the packets that became full."""
        ...

    def flush(self) -> list[EncodedPacket]:
        """Return what is left as a last, shorter packet, where the board knows such."""
        ...


class HeartRateDevice(Peripheral, Protocol):
    """The device's side of a heart-rate sensor: what it answers, and its encoder."""

    def encode(self, heart_rate_bpm: float, rr_s: Sequence[float] = (), energy_kj: int | None = None) -> list[bytes]:
        """Return the notifications of one measurement; a heart rate of 0 is a sensor without skin contact."""
        ...


@dataclass(frozen=True, slots=True)
class HeartRateReading:
    """One heart-rate measurement; ``rr_s`` the beat intervals it carried."""

    heart_rate_bpm: float
    rr_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Motion:
    """The codec of an inertial sensor.

    ``acc_step_mps2`` and ``gyr_step_radps`` are the finest difference its bytes can tell at any value in range.
    ``index_wrap`` and ``device_wrap_us`` are where its counters start again; 0 where it has none; ``device_step_us`` is
    how finely the device's clock counts. ``device_time_us`` reads it out of a packet, None where there is none.
    ``new_device`` takes the nominal rate.
    """

    rate_hz: float
    acc_range_mps2: float
    gyr_range_radps: float
    acc_step_mps2: float
    gyr_step_radps: float
    samples_per_notification: int
    time_base: TimeBase
    index_wrap: int
    device_wrap_us: int
    new_decoder: Callable[[], MotionDecoder]
    new_device: Callable[[float], Device]
    device_time_us: Callable[[bytes], int | None]
    device_step_us: int = 1


@dataclass(frozen=True, slots=True)
class HeartRateCodec:
    """The codec of a heart-rate sensor.

    ``decode`` raises `DecodeError` and returns None where the sensor says that it measures nothing.
    """

    decode: Callable[[bytes], HeartRateReading | None]
    new_device: Callable[[], HeartRateDevice]


# ---------------------------------------------------------------- over the radio

# of the Device Information service, which any board may have beside its own; no board's `Gatt` lists it
FIRMWARE_REVISION = "00002a26-0000-1000-8000-00805f9b34fb"


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A GATT characteristic; ``properties`` of read, write, write-without-response, notify, indicate."""

    uuid: str
    properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gatt:
    """Where a sensor's data is found over the radio; ``notify_uuid`` is the characteristic that carries it."""

    service_uuid: str
    notify_uuid: str
    characteristics: tuple[Characteristic, ...]
    mtu: int = 247


@dataclass(frozen=True, slots=True)
class Read:
    """Read a characteristic. With ``keep`` the value is handed on as a notification, so that a recording has it."""

    uuid: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Have a characteristic's notifications or indications from now on; each is handed on as it came."""

    uuid: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write a characteristic and, where ``answered`` is given, wait for the notification for which it is true."""

    uuid: str
    data: bytes
    response: bool = True
    answered: Callable[[bytes], bool] | None = None


Action: TypeAlias = Read | Subscribe | Write

SetUp: TypeAlias = Generator[Action, bytes, str]
"""Yields what to do; is sent the value read, the answer, or no bytes; returns the firmware's version, "" if unknown.

Raises `LinkError` for what no other attempt mends, such as a firmware that cannot do it.
"""


@dataclass(frozen=True, slots=True)
class Board:
    """One kind of sensor: what users call it, how it is reached, how its bytes are read.

    It is recognised by any of the services in ``advertised`` or by a name that begins with one of ``name_prefixes``.
    ``stop`` is written before leaving. ``refusal`` says why its figures of a run could not be trusted; such a board is
    used only when the user insists. ``missing`` says what to do where a sensor of its name lacks its characteristics.
    ``dense_set_up`` asks for as few samples a packet as can be, to measure a link.
    """

    key: str
    title: str
    kind: Literal["motion", "heart_rate"]
    advertised: tuple[str, ...]
    name_prefixes: tuple[str, ...]
    gatt: Gatt
    set_up: Callable[[], SetUp]
    stop: tuple[Write, ...] = ()
    motion: Motion | None = None
    heart_rate: HeartRateCodec | None = None
    refusal: str = ""
    missing: str = ""
    dense_set_up: Callable[[], SetUp] | None = None

    def recognises(self, name: str, services: Sequence[str]) -> bool:
        """Tell whether a device that advertises this name and these services (lower case) is one."""
        return any(uuid in services for uuid in self.advertised) or any(map(name.startswith, self.name_prefixes))


def converse(board: Board, device: Peripheral) -> list[bytes]:
    """Set a device up without a radio and return what a recording would have of it.

    Raises
    ------
    AttError
        When the device refuses what the set-up asks.
    LinkError
        When the set-up gives up.
    """
    handed_on: list[bytes] = []
    set_up = board.set_up()
    try:
        action = next(set_up)
        while True:
            got = b""
            match action:
                case Read():
                    got = device.read(action.uuid)
                    handed_on += [got] if action.keep else []
                case Write():
                    answers = [data for _, data in device.write(action.uuid, action.data)]
                    handed_on += answers
                    if action.answered is not None:
                        got = next(filter(action.answered, answers), b"")
                case Subscribe():
                    pass
            action = set_up.send(got)
    except StopIteration:
        return handed_on
