"""Polar Verity Sense by the Polar Measurement Data service (PMD) in SDK mode: decoder, set-up and device's side.

After Polar's BLE SDK and its documents (github.com/polarofficial/polar-ble-sdk: SdkModeExplained, TimeSystemExplained,
PolarVeritySense).

How it works
------------
1. Set-up: the features say what the device measures; old streams are stopped, for SDK mode is refused while any runs;
   SDK mode is switched on, which alone gives 416 Hz, +-16 g and +-2000 degrees per second and silences the device's
   own heart rate; then the offers of both sensors are read, and both are started at the best of them.
2. An answer is ``F0, command, type, error, more, parameters``; parameters are ``type, count, values``. What was chosen
   follows from the offers by `best_of` alone, so the answers tell the decoder everything: a recording describes itself.
   The answer to starting SDK mode begins a new stream.
3. A frame is the sensor, nanoseconds since 2000 of its LAST sample, a frame type and the samples: raw, or a reference
   and blocks of deltas of as many bits as the largest needs. Acceleration comes as counts of ``factor`` g (type 0) or
   as mg (type 1), angular rate as counts of ``factor`` degrees per second (type 0) or as float32 (type 1).
4. The samples of a frame are spread evenly back to the last one of the frame before. Where frames are missing, or none
   came yet, they are a period apart: the nominal one at first, then the one last seen. A frame is missing where the
   time between two stamps is not what the samples take: give or take a sample, and 15 % while only the nominal rate is
   known, else 2 %.
5. Pairing: acceleration and angular rate come in frames and at instants of their own. The angular rate is interpolated
   linearly to the instants of the accelerations. A sample is given as soon as frames of both sensors cover its instant;
   so it waits for its own frame to fill, and at most as long again for the other's. With the simulated runner at
   416 Hz, whose frames hold about 65 samples, that is 0.1 s on average and 0.2 s at most; at half the rate it would be
   twice as long. Where either sensor has a hole, no sample is given; nothing is ever interpolated over a hole.
6. Of either sensor at most `HOLD_SAMPLES` wait for the other; older ones are let go.
7. A packet is a stretch without a hole in which all samples, or none, reach the end of a range. Its stamp is its first
   sample's. A frame from before the last one means that the device's clock was set back: a new stream begins.

No device was at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, radians
from operator import itemgetter
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pelvis.data import STANDARD_GRAVITY_MPS2, Array
from sensor_host.boards.board import (
    Action,
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
    gathered,
    widened,
)
from sensor_host.errors import DecodeError, LinkError

ACC, GYR, SDK_MODE = 2, 5, 9
TYPE_MASK: Final = 0x3F
GET_SETTINGS, START, STOP = 1, 2, 3
ANSWER, FEATURES, STOPPED_BY_DEVICE = 0xF0, 0x0F, 0x01

SAMPLE_RATE, RESOLUTION, RANGE, RANGE_MILLI, CHANNELS, FACTOR = range(6)
_VALUE_BYTES = {SAMPLE_RATE: 2, RESOLUTION: 2, RANGE: 2, RANGE_MILLI: 4, CHANNELS: 1, FACTOR: 4}

SUCCESS: Final = 0
ALREADY_IN_STATE: Final = 6

HEADER_BYTES: Final = 10
COMPRESSED: Final = 0x80
AXES: Final = 3
BITS: Final = 16
_REFERENCE_BYTES: Final = AXES * BITS // 8

# 416 Hz: the highest it offers; the faster a frame fills, the less a sample waits in it
RATE_HZ: Final = 416
# what running needs at the least
LEAST_RATE_HZ: Final = 100
RANGES: Final = {ACC: 16, GYR: 2000}  # g, degrees per second
_UNITS = {ACC: STANDARD_GRAVITY_MPS2, GYR: radians(1.0)}

# the chip's full scale is 32767 x 0.488 mg = 15.99 g where its range is called 16 g
END_OF_RANGE: Final = 0.999
RAW_LIMIT: Final = 32767

# twice the widest range: no sensor measures that
IMPOSSIBLE: Final = 2.0

# a frame follows the one before when the time between them holds its samples, give or take this many and this share:
# sensors' rates are off by up to 10 % of nominal, and steady once known
SLACK_SAMPLES: Final = 0.75
SLACK_RATIO_EARLY: Final = 0.15
SLACK_RATIO: Final = 0.02

# of fewer samples than this, a stamp that is off by half a period bends the period by more than its tolerance
TELLING_SAMPLES: Final = 8

# 1 us: spreading the samples of a frame by whole nanoseconds rounds less than that, and a runner turns nothing in it
SAME_NS: Final = 1000.0

# 10 s at 416 Hz: far more than the frames of two sensors can be apart
HOLD_SAMPLES: Final = 4096

DEVICE_WRAP_US: Final = (1 << 64) // 1000

_ATT_BYTES: Final = 3

Integers: TypeAlias = NDArray[np.int64]


# ---------------------------------------------------------------- control point


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the control point, put together from its parts."""

    command: int
    measures: int
    error: int
    parameters: bytes


class Answers:
    """Puts the answers of the control point together; ``last`` is the last whole one."""

    def __init__(self) -> None:
        self.last: Answer | None = None
        self._begun: tuple[bytes, bytes] = (b"", b"")

    def take(self, data: bytes) -> Answer | None:
        """Return the answer that ``data`` makes whole; None when more of it is to come.

        Raises
        ------
        DecodeError
            When it ends too early.
        """
        if len(data) < 4:
            raise DecodeError(f"an answer of {len(data)} bytes", kind="truncated")
        (to, begun), self._begun = self._begun, (b"", b"")
        parameters = (begun if to == data[1:3] else b"") + data[5:]
        more = data[3] == SUCCESS and len(data) > 4 and data[4] != 0
        if more and len(parameters) <= 1024:  # some ten times what a device can have to say
            self._begun = (data[1:3], parameters)
            return None
        self.last = Answer(data[1], data[2] & TYPE_MASK, data[3], parameters)
        return self.last


def settings_of(parameters: bytes) -> dict[int, tuple[int, ...]]:
    """Read ``type, count, values``; the factor's as the bits of its float32.

    Raises
    ------
    DecodeError
        When they end inside a value, or are of a type whose length is not known.
    """
    found: dict[int, tuple[int, ...]] = {}
    offset = 0
    while offset < len(parameters):
        size = _VALUE_BYTES.get(parameters[offset])
        if size is None:
            raise DecodeError(f"a setting of type {parameters[offset]} is not known", kind="foreign")
        end = offset + 2 + size * (parameters[offset + 1] if offset + 1 < len(parameters) else 1)
        if end > len(parameters):
            raise DecodeError("settings end inside a value", kind="truncated")
        values = parameters[offset + 2 : end]
        found[parameters[offset]] = tuple(
            int.from_bytes(values[i : i + size], "little") for i in range(0, len(values), size)
        )
        offset = end
    return found


def best_of(offers: dict[int, tuple[int, ...]]) -> dict[int, int]:
    """Return what is chosen of a sensor's offers: the most of each, of the rates not above `RATE_HZ`."""
    chosen = {kind: max(values) for kind, values in offers.items() if values}
    rates = [rate for rate in offers.get(SAMPLE_RATE, ()) if rate <= RATE_HZ]
    if rates:
        chosen[SAMPLE_RATE] = max(rates)
    return chosen


def settings_bytes(settings: dict[int, tuple[int, ...]]) -> bytes:
    """Return settings as the control point has them."""
    return b"".join(
        bytes([kind, len(values)]) + b"".join(value.to_bytes(_VALUE_BYTES[kind], "little") for value in values)
        for kind, values in sorted(settings.items())
    )


# ---------------------------------------------------------------- frames


def device_time_us(data: bytes) -> int | None:
    """Return the device's clock at the last sample of a frame, None for anything else."""
    if len(data) < HEADER_BYTES or data[0] & TYPE_MASK not in RANGES:
        return None
    return int.from_bytes(data[1:9], "little") // 1000


def read_samples(kind: int, frame_type: int, content: bytes) -> Array:
    """Return the samples (n, 3) of a frame: counts, mg of acceleration, or float32 degrees per second.

    Raises
    ------
    DecodeError
        When they end too early or are in no known form.
    """
    form = frame_type & ~COMPRESSED
    if not frame_type & COMPRESSED:
        size = form + 1  # bytes a value
        if kind != ACC or form > 2:
            raise DecodeError(f"raw frame type {form} of sensor {kind} is not known", kind="foreign")
        if not content or len(content) % (AXES * size):
            raise DecodeError(f"{len(content)} bytes end inside a sample", kind="truncated")
        return _signed(content, size).reshape(-1, AXES).astype(np.float64)
    if form > 1:
        raise DecodeError(f"compressed frame type {form} is not known", kind="foreign")
    bits = 32 if kind == GYR and form == 1 else BITS
    counts = read_deltas(content, bits)
    if bits == BITS:
        if max(abs(int(counts.min())), abs(int(counts.max()))) > RAW_LIMIT + 1:
            raise DecodeError("deltas that lead beyond 16 bits", kind="foreign")
        return counts.astype(np.float64)
    return widened((counts & 0xFFFFFFFF).astype("<u4").view("<f4"))


def _signed(data: bytes, size: int) -> Integers:
    raw = np.frombuffer(data, np.uint8).reshape(-1, size).astype(np.int64)
    values: Integers = (raw << (8 * np.arange(size, dtype=np.int64))).sum(axis=1)
    return values - ((values >> (8 * size - 1)) << (8 * size))


def read_deltas(content: bytes, bits: int = BITS) -> Integers:
    """Return the samples (n, 3) of a reference and its blocks of deltas.

    Raises
    ------
    DecodeError
        When they end too early, or a block's width is none.
    """
    start = AXES * bits // 8
    if len(content) < start:
        raise DecodeError(f"{len(content)} bytes are no reference sample", kind="truncated")
    steps: list[Integers] = [_signed(content[:start], bits // 8).reshape(1, AXES)]
    while start < len(content):
        if start + 2 > len(content):
            raise DecodeError("a block of deltas without its length", kind="truncated")
        width, count = content[start], content[start + 1]
        size = -(-width * count * AXES // 8)
        start += 2
        if not 1 <= width <= bits + 1:
            raise DecodeError(f"deltas of {width} bits", kind="foreign")
        if start + size > len(content):
            raise DecodeError("a block of deltas that breaks off", kind="truncated")
        block = np.frombuffer(content, np.uint8, size, start)
        packed = np.unpackbits(block, count=width * count * AXES, bitorder="little").reshape(-1, width)
        values = (packed.astype(np.int64) << np.arange(width, dtype=np.int64)).sum(axis=1)
        steps.append((values - ((values >> (width - 1)) << width)).reshape(count, AXES))
        start += size
    return np.cumsum(np.concatenate(steps), axis=0)


# ---------------------------------------------------------------- decoder


@dataclass(slots=True)
class _Sensor:
    """One of the two sensors: what it said of itself, and its samples that wait for the other's."""

    kind: int
    unit: float
    rate_hz: float = float(RATE_HZ)
    range: float = 0.0
    factor: float = 0.0
    last_ns: int | None = None  # stamp of the last frame
    end_ns: float = -inf  # the same since the stream's origin
    period_ns: float = 0.0
    steady: bool = False  # whether the period was seen, not only announced
    piece: int = 0  # counts stretches without a hole
    t_ns: Array = field(default_factory=lambda: np.empty(0))  # since the stream's origin
    values: Array = field(default_factory=lambda: np.empty((0, AXES)))
    pieces: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    clipped: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def __post_init__(self) -> None:
        self.announce(self.rate_hz, float(RANGES[self.kind]))

    def announce(self, rate_hz: float, limit: float) -> None:
        """Take nominal rate and range; until a factor is told, it follows from range and resolution."""
        self.rate_hz, self.range = rate_hz, limit
        self.factor = limit / (RAW_LIMIT + 1)
        self.period_ns = 1e9 / rate_hz
        self.steady = False

    def restart(self) -> None:
        """Forget all samples: what comes next follows nothing."""
        self.last_ns = None
        self.end_ns = -inf
        self.steady = False
        self.period_ns = 1e9 / self.rate_hz
        self.drop_until(len(self.t_ns))

    def drop_until(self, count: int) -> None:
        self.t_ns, self.values = self.t_ns[count:], self.values[count:]
        self.pieces, self.clipped = self.pieces[count:], self.clipped[count:]

    def physical(self, frame_type: int, content: bytes) -> tuple[Array, NDArray[np.bool_]]:
        """Return a frame's samples (n, 3) in g or degrees per second, and which reach the end of the range.

        Raises
        ------
        DecodeError
            When they cannot be read, or hold what cannot be.
        """
        samples = read_samples(self.kind, frame_type, content)
        form = frame_type & ~COMPRESSED
        counts = form == 0 and frame_type & COMPRESSED
        scale = self.factor if counts else 1e-3 if self.kind == ACC else 1.0
        values = samples * scale
        most = np.abs(values).max(axis=1)
        if not (most <= IMPOSSIBLE * RANGES[self.kind]).all():
            raise DecodeError("samples that no sensor measures", kind="foreign")
        clipped = most >= END_OF_RANGE * self.range
        if counts:
            clipped |= np.abs(samples).max(axis=1) >= RAW_LIMIT
        return values, clipped

    def add(self, stamp_ns: int, origin_ns: int, values: Array, clipped: NDArray[np.bool_]) -> None:
        """Place a frame's samples in time, the last one at its stamp."""
        count = len(values)
        spacing_ns = self.period_ns
        if self.last_ns is not None:
            nominal_ns = 1e9 / self.rate_hz
            elapsed_ns = float(stamp_ns - self.last_ns)
            expected_ns = count * (self.period_ns if self.steady else nominal_ns)
            slack_ns = SLACK_SAMPLES * nominal_ns + expected_ns * (SLACK_RATIO if self.steady else SLACK_RATIO_EARLY)
            # what does not fit shakes what was known: one odd stamp must not make holes of all that follows
            self.steady = abs(elapsed_ns - expected_ns) <= slack_ns
            if self.steady:
                spacing_ns = elapsed_ns / count
                self.period_ns = spacing_ns if count >= TELLING_SAMPLES else self.period_ns
            else:
                self.piece += 1
        self.last_ns = stamp_ns
        t_ns = float(stamp_ns - origin_ns) - np.arange(count - 1, -1, -1, dtype=np.float64) * spacing_ns
        # a frame too early for its samples has its last ones right: its stamp is theirs
        late = int(np.searchsorted(t_ns, self.end_ns, side="right"))
        self.end_ns = float(t_ns[-1])
        self.t_ns = np.concatenate([self.t_ns, t_ns[late:]])
        self.values = np.concatenate([self.values, values[late:]])
        self.pieces = np.concatenate([self.pieces, np.full(count - late, self.piece, np.int64)])
        self.clipped = np.concatenate([self.clipped, clipped[late:]])
        self.drop_until(max(0, len(self.t_ns) - HOLD_SAMPLES))


class PolarDecoder:
    """Reads frames and pairs the two sensors' samples; remembers what the device said of itself."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._acc = _Sensor(ACC, _UNITS[ACC])
        self._gyr = _Sensor(GYR, _UNITS[GYR])
        self._stream = 0
        self._first = False
        self._origin_ns: int | None = None

    def decode_one(self, data: bytes) -> Packet | None:  # noqa: ARG002
        """Leave everything to `decode`: a frame holds one sensor's samples and makes any number of packets."""
        return None

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        """Decode notifications in the order they came; never raises for what is in them."""
        rows: list[tuple[int, Packet]] = []
        bad: list[tuple[int, DecodeError]] = []
        rates: list[tuple[int, float]] = []
        for position, data in enumerate(notifications):
            try:
                if data[:1] == bytes([ANSWER]):
                    rates += [(len(rows), rate_hz) for rate_hz in self._hear(data)]
                elif not (data and data[0] == STOPPED_BY_DEVICE):
                    rows += [(position, packet) for packet in self._take(data)]
            except DecodeError as error:
                bad.append((position, error))
        return gathered(rows, bad, rates)

    # ------------------------------------------------------------ what it says of itself

    def _hear(self, data: bytes) -> Iterator[float]:
        """Take an answer of the control point; yield the rate it announces."""
        answer = self._answers.take(data)
        if answer is None:
            return
        if answer.measures == SDK_MODE:
            if answer.command == START and answer.error in (SUCCESS, ALREADY_IN_STATE):
                self._begin()
            return
        sensor = {ACC: self._acc, GYR: self._gyr}.get(answer.measures)
        if sensor is None or answer.error != SUCCESS:
            return
        settings = settings_of(answer.parameters)
        if answer.command == GET_SETTINGS:
            chosen = best_of(settings)
            rate_hz, limit = float(chosen.get(SAMPLE_RATE, 0)), float(chosen.get(RANGE, 0))
            if not (rate_hz and 0 < limit <= RANGES[sensor.kind]):
                raise DecodeError("settings without a rate, or of no such range", kind="foreign")
            sensor.announce(rate_hz, limit)
            if sensor is self._acc:
                yield rate_hz
        elif answer.command == START and settings.get(FACTOR):
            factor: float = struct.unpack("<f", settings[FACTOR][0].to_bytes(4, "little"))[0]
            if not (isfinite(factor) and 0.0 < factor * RAW_LIMIT <= IMPOSSIBLE * sensor.range):
                raise DecodeError(f"a factor of {factor:g}", kind="foreign")
            sensor.factor = factor

    def _begin(self) -> None:
        self._stream += 1
        self._first = True
        self._origin_ns = None
        self._acc.restart()
        self._gyr.restart()

    # ------------------------------------------------------------ frames

    def _take(self, data: bytes) -> Iterator[Packet]:
        if len(data) <= HEADER_BYTES:
            raise DecodeError(f"a notification of {len(data)} bytes is no frame", kind="truncated")
        sensor = {ACC: self._acc, GYR: self._gyr}.get(data[0] & TYPE_MASK)
        if sensor is None:
            raise DecodeError(f"a frame of sensor {data[0] & TYPE_MASK}, which was not asked for", kind="foreign")
        stamp_ns = int.from_bytes(data[1:9], "little")
        values, clipped = sensor.physical(data[9], data[HEADER_BYTES:])
        if stamp_ns == sensor.last_ns:
            return  # the same frame again
        if sensor.last_ns is not None and stamp_ns < sensor.last_ns:
            self._begin()
        if self._origin_ns is None:
            self._origin_ns = stamp_ns
        sensor.add(stamp_ns, self._origin_ns, values, clipped)
        yield from self._pair(self._origin_ns)

    def _pair(self, origin_ns: int) -> Iterator[Packet]:
        """Yield what both sensors cover by now, stretch by stretch."""
        acc, gyr = self._acc, self._gyr
        if not len(gyr.t_ns):
            return
        covered = int(np.searchsorted(acc.t_ns, float(gyr.t_ns[-1]) + SAME_NS, side="right"))
        if not covered:
            return
        t_ns = acc.t_ns[:covered]
        # the neighbours before (or at) and behind each instant; before the first there is none
        after = np.searchsorted(gyr.t_ns, t_ns - SAME_NS, side="left")
        exact = gyr.t_ns[after] - t_ns <= SAME_NS
        before = np.where(exact, after, after - 1)
        inside = (before >= 0) & (gyr.pieces[before] == gyr.pieces[after])
        span_ns = gyr.t_ns[after] - gyr.t_ns[before]
        share = np.where(exact, 0.0, (t_ns - gyr.t_ns[before]) / np.where(exact | (before < 0), 1.0, span_ns))
        rotation = gyr.values[before] + share[:, None] * (gyr.values[after] - gyr.values[before])
        clipped = acc.clipped[:covered] | gyr.clipped[before] | gyr.clipped[after]
        # a packet ends where a sample is missing, and where clipping begins or ends
        piece, rows = acc.pieces[:covered], np.flatnonzero(inside)
        if len(rows):
            broken = (np.diff(rows) > 1) | (np.diff(piece[rows]) != 0) | (np.diff(clipped[rows]) != 0)
            for start, end in pairwise([0, *(np.flatnonzero(broken) + 1).tolist(), len(rows)]):
                part = slice(int(rows[start]), int(rows[end - 1]) + 1)
                first, self._first = self._first, False
                yield Packet(
                    stream=self._stream,
                    index=0,
                    device_us=(origin_ns + round(float(t_ns[part.start]))) // 1000,
                    samples=end - start,
                    overrun=False,
                    first=first,
                    clipped=bool(clipped[part.start]),
                    acc_mps2=acc.values[part] * acc.unit,
                    gyr_radps=rotation[part] * gyr.unit,
                )
        acc.drop_until(covered)
        gyr.drop_until(max(0, int(before[-1])))


# ---------------------------------------------------------------- set-up

_NOT_READY = (
    "it is not ready: end recordings and other apps' streams, and switch it to sensor mode (the light at the heart)"
)
_NOT_KNOWN = "it cannot do that; update its firmware with Polar Flow"
_ERRORS = {
    1: _NOT_KNOWN,
    2: _NOT_KNOWN,
    3: _NOT_KNOWN,
    ALREADY_IN_STATE: "another app has started it already: close that app, or switch the sensor off and on",
    8: "it does not offer that rate; update its firmware with Polar Flow",
    9: "it does not offer that range; update its firmware with Polar Flow",
    10: "the link's packets are too small for it: take another Bluetooth adapter",
    12: _NOT_READY,
    13: "it is in the charger: take it out",
}
_NAMES = {ACC: "acceleration", GYR: "angular rate", SDK_MODE: "SDK mode"}


def set_up() -> SetUp:
    """Switch SDK mode on and start both sensors at the best they offer."""
    features = yield Read(CONTROL_UUID)
    _check_features(features)
    yield Subscribe(CONTROL_UUID)
    yield Subscribe(DATA_UUID)
    for kind in (GYR, ACC):
        yield from _ask(bytes([STOP, kind]))  # refused where none runs
    _check(SDK_MODE, (yield from _ask(bytes([START, SDK_MODE]))), SUCCESS, ALREADY_IN_STATE)
    chosen: dict[int, dict[int, int]] = {}
    for kind in (ACC, GYR):
        answer = yield from _ask(bytes([GET_SETTINGS, kind]))
        _check(kind, answer)
        chosen[kind] = _choose(kind, answer)
    for kind in (GYR, ACC):
        settings = settings_bytes({key: (value,) for key, value in chosen[kind].items() if key != FACTOR})
        _check(kind, (yield from _ask(bytes([START, kind]) + settings)))
    return ""


def _ask(command: bytes) -> Generator[Action, bytes, Answer]:
    """Write a command and return what it is answered."""
    answers = Answers()

    def whole(data: bytes) -> bool:
        if data[:3] != bytes([ANSWER]) + command[:2]:
            return False
        try:
            return answers.take(data) is not None
        except DecodeError:
            return False

    yield Write(CONTROL_UUID, command, answered=whole)
    if answers.last is None:
        raise LinkError(f"the Polar sensor does not answer when asked for {_NAMES[command[1]]}: switch it off and on")
    return answers.last


def _check_features(features: bytes) -> None:
    measures = int.from_bytes(features[1:], "little") if features[:1] == bytes([FEATURES]) else 0
    if not (measures >> ACC & 1 and measures >> GYR & 1):
        raise LinkError("this Polar sensor has no gyroscope to stream: take a Verity Sense")
    if not measures >> SDK_MODE & 1:
        raise LinkError("the Polar sensor has no SDK mode: update its firmware with Polar Flow (1.1.5 or newer)")


def _check(kind: int, answer: Answer, *fine: int) -> None:
    if answer.error not in (fine or (SUCCESS,)):
        said = _ERRORS.get(answer.error, "switch it off and on")
        raise LinkError(f"the Polar sensor refuses {_NAMES[kind]} (error {answer.error}): {said}")


def _choose(kind: int, answer: Answer) -> dict[int, int]:
    try:
        chosen = best_of(settings_of(answer.parameters))
    except DecodeError as error:
        raise LinkError(
            f"the Polar sensor's offer of {_NAMES[kind]} makes no sense ({error}): update hipdrive"
        ) from None
    if chosen.get(SAMPLE_RATE, 0) < LEAST_RATE_HZ:
        raise LinkError(
            f"the Polar sensor gives {_NAMES[kind]} {chosen.get(SAMPLE_RATE, 0)} times a second, running needs "
            f"{LEAST_RATE_HZ}: update its firmware with Polar Flow (1.1.5 or newer)"
        )
    return chosen


# ---------------------------------------------------------------- encoder


def raw_frame(kind: int, stamp_ns: int, samples: Integers, form: int = 1) -> bytes:
    """Return a raw frame of samples (n, 3) in ``form + 1`` bytes a value; of acceleration form 1 holds mg."""
    size = form + 1
    flat = samples.reshape(-1) & ((1 << 8 * size) - 1)
    return _head(kind, stamp_ns, form) + b"".join(int(value).to_bytes(size, "little") for value in flat)


def compressed_frame(kind: int, stamp_ns: int, samples: Integers, form: int = 0, bits: int = BITS) -> bytes:
    """Return a compressed frame of samples (n, 3) in blocks as `FrameEncoder` cuts them."""
    deltas = np.diff(samples, axis=0)
    mask = (1 << bits) - 1
    content = b"".join(int(value & mask).to_bytes(bits // 8, "little") for value in samples[0])
    for start in range(0, len(deltas), BLOCK_SAMPLES):
        block = deltas[start : start + BLOCK_SAMPLES]
        width = int(_widths(block).max())
        places = (block.reshape(-1, 1) >> np.arange(width)) & 1
        packed = np.packbits(places.astype(np.uint8).reshape(-1), bitorder="little")
        content += bytes([width, len(block)]) + packed.tobytes()
    return _head(kind, stamp_ns, COMPRESSED | form) + content


# deltas to a block: short enough that one hard impact does not widen all the others
BLOCK_SAMPLES: Final = 16


def _head(kind: int, stamp_ns: int, frame_type: int) -> bytes:
    return bytes([kind]) + (stamp_ns % (1 << 64)).to_bytes(8, "little") + bytes([frame_type])


def _widths(deltas: Integers) -> Integers:
    """Return how many bits each signed value needs."""
    size = np.where(deltas < 0, ~deltas, deltas)
    return np.floor(np.log2(np.maximum(size, 0.5))).astype(np.int64) + 2


class FrameEncoder:
    """Fills one sensor's frames: as many samples as a notification holds."""

    def __init__(self, kind: int, factor: float, boot_ns: int) -> None:
        self._kind = kind
        self._factor = factor
        self._boot_ns = boot_ns
        self._rows: list[tuple[float, Integers]] = []
        self._bytes = 0  # of the frame, without its last block
        self._width = 0  # of the last block
        self._deltas = 0  # in the last block

    def add(self, t_s: Array, values: Array, most_bytes: int) -> list[tuple[float, EncodedPacket]]:
        """Take samples (n, 3) in g or degrees per second; return the frames that became full.

        Each goes with the time of the sample that it had no room for.
        """
        # a value that is not a number cannot be measured; it becomes 0
        counts = np.nan_to_num(np.rint(values / self._factor), nan=0.0, posinf=np.inf, neginf=-np.inf)
        rows = np.clip(counts, -RAW_LIMIT - 1, RAW_LIMIT).astype(np.int64)
        before = self._rows[-1][1] if self._rows else np.zeros(AXES, np.int64)
        widths: list[int] = _widths(np.diff(np.vstack([before, rows]), axis=0)).max(axis=1, initial=1).tolist()
        frames: list[tuple[float, EncodedPacket]] = []
        for at_s, row, needed in zip(t_s.tolist(), rows, widths, strict=True):
            width = max(self._width, needed)
            size = self._bytes + 2 + -(-width * (self._deltas + 1) * AXES // 8)
            if not self._rows or size > most_bytes:
                frames += [(at_s, frame) for frame in self.flush()]
                self._rows = [(at_s, row)]
                self._bytes, self._width, self._deltas = HEADER_BYTES + _REFERENCE_BYTES, 0, 0
                continue
            self._rows.append((at_s, row))
            self._width, self._deltas = width, self._deltas + 1
            if self._deltas == BLOCK_SAMPLES:
                self._bytes, self._width, self._deltas = size, 0, 0
        return frames

    def flush(self) -> list[EncodedPacket]:
        """Return what is there as a frame."""
        if not self._rows:
            return []
        first_s, last_s = self._rows[0][0], self._rows[-1][0]
        samples = np.array([row for _, row in self._rows])
        self._rows = []
        stamp_ns = self._boot_ns + round(last_s * 1e9)
        return [EncodedPacket(compressed_frame(self._kind, stamp_ns, samples), first_s, last_s)]


# ---------------------------------------------------------------- the device's side


class PolarDevice:
    """The device's side: answers as the service says and sends compressed frames of counts.

    Parameters
    ----------
    rate_hz
        The rate its samples come at, the highest it offers in SDK mode.
    boot_ns
        What its clock shows at time 0 of the samples; a Polar device without a set clock begins at 2019.
    """

    def __init__(self, rate_hz: float = RATE_HZ, *, boot_ns: int = 599_616_000_000_000_000) -> None:
        self.mtu = POLAR.gatt.mtu
        self._rate_hz = round(rate_hz)
        self._boot_ns = boot_ns
        self._sdk_mode = False
        self._encoders: dict[int, FrameEncoder] = {}

    @property
    def streaming(self) -> bool:
        return set(self._encoders) == set(RANGES)

    def read(self, uuid: str) -> bytes:
        if uuid != CONTROL_UUID:
            raise AttError(0x02)  # read not permitted
        return bytes([FEATURES]) + (1 << ACC | 1 << GYR | 1 << SDK_MODE).to_bytes(2, "little")

    def write(self, uuid: str, data: bytes) -> Sequence[tuple[str, bytes]]:
        if uuid != CONTROL_UUID:
            raise AttError(0x03)  # write not permitted
        if len(data) < 2:
            raise AttError(0x0D)  # invalid attribute value length
        error, parameters = self._obey(data[0], data[1] & TYPE_MASK, data[2:])
        head = bytes([ANSWER, data[0], data[1], error])
        if error:
            return [(CONTROL_UUID, head)]
        size = self.mtu - _ATT_BYTES - len(head) - 1
        parts = [parameters[start : start + size] for start in range(0, len(parameters), size)] or [b""]
        return [
            (CONTROL_UUID, head + bytes([number < len(parts)]) + part) for number, part in enumerate(parts, start=1)
        ]

    def disconnected(self) -> None:
        self._encoders = {}
        self._sdk_mode = False

    def encode(self, t_s: Array, acc_mps2: Array, gyr_radps: Array) -> list[EncodedPacket]:
        frames: list[tuple[float, EncodedPacket]] = []
        for kind, values in ((GYR, gyr_radps), (ACC, acc_mps2)):
            if kind in self._encoders:
                frames += self._encoders[kind].add(t_s, values / _UNITS[kind], self.mtu - _ATT_BYTES)
        # in the order in which they became full, the gyroscope's first
        return [frame for _, frame in sorted(frames, key=itemgetter(0))]

    def flush(self) -> list[EncodedPacket]:
        return [frame for encoder in self._encoders.values() for frame in encoder.flush()]

    def _obey(self, command: int, kind: int, parameters: bytes) -> tuple[int, bytes]:
        """Return the error, and what else there is to say."""
        if command not in (GET_SETTINGS, START, STOP):
            return 1, b""
        if kind not in (ACC, GYR, SDK_MODE):
            return 2, b""
        if command == GET_SETTINGS:
            return (3, b"") if kind == SDK_MODE else (SUCCESS, settings_bytes(self._offers(kind)))
        if command == START:
            return self._start(kind, parameters)
        running = self._sdk_mode if kind == SDK_MODE else kind in self._encoders
        if kind == SDK_MODE:
            self._sdk_mode = False
            self._encoders = {}
        self._encoders.pop(kind, None)
        return (SUCCESS if running else 12), b""

    def _offers(self, kind: int) -> dict[int, tuple[int, ...]]:
        offers: dict[int, tuple[int, ...]] = {RESOLUTION: (BITS,), CHANNELS: (AXES,)}
        if not self._sdk_mode:
            return offers | {SAMPLE_RATE: (52,), RANGE: (8 if kind == ACC else 2000,)}
        rates = (*(rate for rate in (26, 52, 104, 208) if rate < self._rate_hz), self._rate_hz)
        return offers | {SAMPLE_RATE: rates, RANGE: (2, 4, 8, 16) if kind == ACC else (250, 500, 1000, 2000)}

    def _start(self, kind: int, parameters: bytes) -> tuple[int, bytes]:
        if kind == SDK_MODE:
            if self._sdk_mode:
                return ALREADY_IN_STATE, b""
            if self._encoders:
                return 12, b""
            self._sdk_mode = True
            return SUCCESS, b""
        if kind in self._encoders:
            return ALREADY_IN_STATE, b""
        try:
            asked = settings_of(parameters)
        except DecodeError:
            return 5, b""
        offers = self._offers(kind)
        for key, error in ((RESOLUTION, 7), (SAMPLE_RATE, 8), (RANGE, 9), (CHANNELS, 11)):
            if len(asked.get(key, ())) != 1 or asked[key][0] not in offers[key]:
                return error, b""
        told = struct.pack("<f", asked[RANGE][0] / (RAW_LIMIT + 1))
        self._encoders[kind] = FrameEncoder(kind, struct.unpack("<f", told)[0], self._boot_ns)
        return SUCCESS, settings_bytes({FACTOR: (int.from_bytes(told, "little"),)})


# ---------------------------------------------------------------- the board

_BASE = "fb005c{:02x}-02e7-f387-1cad-8acd2d8df0c8"
SERVICE_UUID, CONTROL_UUID, DATA_UUID = (_BASE.format(number) for number in (0x80, 0x81, 0x82))

POLAR = Board(
    key="polar",
    title="Polar Verity Sense (firmware 1.1.5 or newer)",
    kind="motion",
    # it advertises the heart-rate service, as straps do, and 0xFEEE, as all of the maker's do: the name tells
    advertised=(),
    name_prefixes=("Polar Sense ",),
    gatt=Gatt(
        service_uuid=SERVICE_UUID,
        notify_uuid=DATA_UUID,
        characteristics=(
            Characteristic(CONTROL_UUID, ("read", "write", "indicate")),
            Characteristic(DATA_UUID, ("notify",)),
        ),
        mtu=232,
    ),
    set_up=set_up,
    # without SDK mode it is the heart-rate sensor again that it was
    stop=tuple(Write(CONTROL_UUID, bytes([STOP, kind])) for kind in (ACC, GYR, SDK_MODE)),
    motion=Motion(
        rate_hz=float(RATE_HZ),
        acc_range_mps2=RANGES[ACC] * _UNITS[ACC],
        gyr_range_radps=RANGES[GYR] * _UNITS[GYR],
        acc_step_mps2=RANGES[ACC] / (RAW_LIMIT + 1) * _UNITS[ACC],
        gyr_step_radps=RANGES[GYR] / (RAW_LIMIT + 1) * _UNITS[GYR],
        samples_per_notification=65,  # of running, in 229 bytes
        time_base=TimeBase.STAMPED,
        index_wrap=0,
        device_wrap_us=DEVICE_WRAP_US,
        new_decoder=PolarDecoder,
        new_device=PolarDevice,
        device_time_us=device_time_us,
    ),
    missing="its firmware lacks the Polar Measurement Data service; update it with Polar Flow (1.1.5 or newer)",
)
