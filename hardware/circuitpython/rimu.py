"""RIMU v1 for CircuitPython: everything but the hardware. code.py beside it brings that in.

Not run on hardware here: tested under CPython against a model of the sensor's FIFO, by tests/test_circuitpython.py.

How it works
------------
1. The sensor (LSM6DS3TR-C) measures by its own clock and keeps up to 4 KB, 341 samples: 1.6 s at 208 Hz. Whatever holds
   Python up for less than that (garbage collection, a full radio queue) costs nothing.
2. Once a packet's worth is there, it raises a pin. `Device.serve` asks how much there is, reads a packet's worth in one
   transfer, swaps each sample's halves (the FIFO holds angular rate before acceleration, the profile wants it the other
   way round) by slices made beforehand, and hands the packet on; again, until less than a packet is left.
3. The device's clock is read right after the FIFO was asked: that is when the newest sample was there.
4. A FIFO that ran over and a transfer that failed leave an unknown part of a sample at the front. The sensor says which
   part comes next: the rest of that sample is skipped, and the next packet says that samples are missing.
5. From start to stop nothing is put on a list and no buffer is made. What a packet costs in memory are the few integers
   over 30 bits of the clock.

CPython and CircuitPython both run this file as it is.
"""

import struct
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Bus(Protocol):
        """What `Device` needs of the wires to the sensor. Both raise OSError when the sensor does not answer."""

        def read(self, register: int, into: "array[int] | bytearray") -> None: ...
        def write(self, register: int, value: int) -> None: ...


# The profile. Written by hardware/generate.py from hardware/rimu-v1.toml.
# rimu-v1.toml: constants
# what a host looks for
NAME_PREFIX = "RIMU"
SERVICE_UUID = "28340001-4db0-4b10-a76c-1ec017a824ae"
DATA_UUID = "28340002-4db0-4b10-a76c-1ec017a824ae"
CONTROL_UUID = "28340003-4db0-4b10-a76c-1ec017a824ae"
INFO_UUID = "28340004-4db0-4b10-a76c-1ec017a824ae"

# the link
MTU = 247
MTU_LEAST = 23
ATT_BYTES = 3
INTERVAL_LEAST_US = 7_500
INTERVAL_MOST_US = 15_000

# data record
DATA_TYPE = 0x10
HEADER_BYTES = 8
SAMPLE_BYTES = 12
SAMPLES_MOST = 19
OVERRUN = 0x01
ACC_CLIP = 0x02
GYR_CLIP = 0x04
FIRST_PACKET = 0x08
STREAM_SHIFT = 4
STREAM_WRAP = 16
INDEX_WRAP = 65_536
DEVICE_WRAP_US = 4_294_967_296

# info record
INFO_TYPE = 0x1F
INFO_BYTES = 20
DEFAULT_RATE_DHZ = 2_080
DEFAULT_ACC_SCALE_NG = 488_000
DEFAULT_GYR_SCALE_NDPS = 70_000_000
DEFAULT_ACC_RANGE_G = 16
DEFAULT_SAMPLES_PER_PACKET = 8
DEFAULT_GYR_RANGE_DPS = 2_000
DEFAULT_CHIP = 0x6A

# control
START = 0x01
STOP = 0x02
IDENTIFY = 0x03
START_BYTES = 4
STOP_BYTES = 1
IDENTIFY_BYTES = 1
IDENTIFY_S = 3
ATT_UNKNOWN_COMMAND = 0x80
ATT_OUT_OF_RANGE = 0x81
ATT_WRONG_LENGTH = 0x0D

# layouts, as the struct module writes them
HEADER_FORMAT = "<BBHI"
SAMPLE_FORMAT = "<6h"
INFO_FORMAT = "<BBHIIBBHBBBB"
START_FORMAT = "<BBH"
# rimu-v1.toml: end

FIRMWARE = (1, 0)

# the sensor: ST LSM6DS3TR-C, data sheet DocID030071 and application note AN5130
CHIP_ADDRESS = 0x6A
FIFO_CTRL1 = 0x06  # watermark in words of 16 bits, lower 8 bits
FIFO_CTRL2 = 0x07  # and upper 3
FIFO_CTRL3 = 0x08  # which sensors are kept, and every how manieth sample
FIFO_CTRL5 = 0x0A  # rate and mode
INT1_CTRL = 0x0D
WHO_AM_I = 0x0F
CTRL1_XL = 0x10  # acceleration: rate and range
CTRL2_G = 0x11  # angular rate: the same
CTRL3_C = 0x12
FIFO_STATUS1 = 0x3A  # four bytes: words unread (11 bits) and flags, which word of a sample comes next (10 bits)
FIFO_DATA_OUT = 0x3E  # two bytes a word; a longer read goes round between 0x3E and 0x3F

SOFT_RESET = 0x01
BLOCK_UPDATE_AND_INCREMENT = 0x44
RANGE_16_G = 0x04
RANGE_2000_DPS = 0x0C
EVERY_SAMPLE_OF_BOTH = 0x09
FIFO_CONTINUOUS = 0x06
FIFO_OFF = 0x00
INT1_WATERMARK = 0x08
STATUS_OVERRUN = 0x40
STATUS_EMPTY = 0x10

SAMPLE_WORDS = 6
FIFO_WORDS = 2048

# rate in 0.1 Hz -> what the sensor's registers call it. It has slower ones, too slow for running, and faster ones, too
# fast for this firmware.
RATES_DHZ = ((1040, 4), (2080, 5), (4160, 6))

# 100 ms: the gyroscope takes 70 ms to start, its filters some samples more
SETTLE_S = 0.1
# transfers that fail one after the other until the sensor is set up anew
FAILURES_MOST = 8
# the sensor's rate may be off by this much (data sheet: typically 3 %, over temperature more)
RATE_TOLERANCE_PERCENT = 15
# a share of the time between two packets in which none is due: the sensor may be 10 % fast, and serving takes time
REST_RATIO = 0.6

RAW_MOST = 32767


class _Slicer:
    def __getitem__(self, given: slice) -> slice:
        return given


# slicing by `view[ALL]` uses this one slice; `view[:]` makes one each time, in most versions. CircuitPython has no
# slice(None).
ALL = _Slicer()[:]


class CommandError(Exception):
    """A command that cannot be obeyed; ``code`` is the ATT error that the profile has for it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def samples_at(packet_bytes: int) -> int:
    """Return how many samples fit into one notification of so many bytes, one at least."""
    return max(1, min(SAMPLES_MOST, (packet_bytes - HEADER_BYTES) // SAMPLE_BYTES))


def nearest_rate(rate_dhz: int) -> "tuple[int, int]":
    """Return (rate in 0.1 Hz, the sensor's code) nearest to what was asked for; 0 leaves the choice to the device."""
    wanted = rate_dhz or DEFAULT_RATE_DHZ
    best = RATES_DHZ[0]
    for rate in RATES_DHZ:
        if abs(rate[0] - wanted) < abs(best[0] - wanted):
            best = rate
    return best


def battery_percent(millivolt: int) -> int:
    """Return roughly how full a lithium polymer cell is that lies at this voltage under a small load."""
    below_mv, below_percent = BATTERY_MV[0]
    for mv, percent in BATTERY_MV:
        if millivolt < mv:
            return below_percent + (percent - below_percent) * max(0, millivolt - below_mv) // max(1, mv - below_mv)
        below_mv, below_percent = mv, percent
    return 100


# the usual resting curve of such cells
BATTERY_MV = ((3300, 0), (3600, 8), (3700, 22), (3800, 48), (3900, 65), (4000, 80), (4180, 100))


def advertisement(service_uuid: bytes) -> bytes:
    """Return what is advertised: reachable at any time, no classic Bluetooth, the service. 21 of at most 31 bytes."""
    return bytes((2, 0x01, 0x06, 17, 0x07)) + service_uuid


def scan_response(name: str) -> bytes:
    """Return what is told to who asks: the complete name."""
    return bytes((len(name) + 1, 0x09)) + name.encode()


class Device:
    """The sensor, its stream and its commands.

    ``bus`` leads to the sensor. ``send`` is handed each packet, an array of 16-bit words that is used again for the
    next. ``now_us`` reads the device's clock, ``wait_s`` waits.
    """

    def __init__(
        self,
        bus: "Bus",
        send: "Callable[[array[int]], None]",
        now_us: "Callable[[], int]",
        wait_s: "Callable[[float], None]",
    ) -> None:
        self._bus = bus
        self._send = send
        self._now_us = now_us
        self._wait_s = wait_s
        self._status = bytearray(4)
        self._word = array("h", (0,))
        self._stream = 0
        self._rate_dhz, self._rate_code = nearest_rate(0)
        self._failures = 0
        self.streaming = False
        self.errors = 0
        self._make_buffers(DEFAULT_SAMPLES_PER_PACKET)
        self._begin()

    # ---------------------------------------------------------------- what the host reads and writes

    def info(self) -> bytes:
        """Return the info record."""
        return struct.pack(
            INFO_FORMAT,
            INFO_TYPE,
            0,
            self._rate_dhz,
            DEFAULT_ACC_SCALE_NG,
            DEFAULT_GYR_SCALE_NDPS,
            DEFAULT_ACC_RANGE_G,
            self._samples,
            DEFAULT_GYR_RANGE_DPS,
            FIRMWARE[0],
            FIRMWARE[1],
            DEFAULT_CHIP,
            self._stream,
        )

    def command(self, data: bytes, packet_bytes: int) -> int:
        """Obey what the host wrote and return which command it was; raise `CommandError` where it cannot be obeyed.

        ``packet_bytes`` is what one notification may hold. Raises OSError when the sensor does not answer.
        """
        if not data:
            raise CommandError(ATT_WRONG_LENGTH)
        what = data[0]
        if what == START:
            if len(data) != START_BYTES:
                raise CommandError(ATT_WRONG_LENGTH)
            _, samples, rate_dhz = struct.unpack(START_FORMAT, data)
            if samples > SAMPLES_MOST:
                raise CommandError(ATT_OUT_OF_RANGE)
            self.start(min(samples or DEFAULT_SAMPLES_PER_PACKET, samples_at(packet_bytes)), rate_dhz)
        elif what not in (STOP, IDENTIFY):
            raise CommandError(ATT_UNKNOWN_COMMAND)
        elif len(data) != 1:
            raise CommandError(ATT_WRONG_LENGTH)
        elif what == STOP:
            self.stop()
        return what

    # ---------------------------------------------------------------- the stream

    def start(self, samples: int, rate_dhz: int) -> None:
        """Begin a new stream. Raises OSError when the sensor does not answer."""
        self.streaming = False
        self._stream = (self._stream + 1) % STREAM_WRAP
        self._rate_dhz, self._rate_code = nearest_rate(rate_dhz)
        self._make_buffers(samples)
        self._begin()
        self.set_up()
        self.streaming = True

    def stop(self) -> None:
        """End the stream and let the sensor sleep."""
        self.streaming = False
        try:
            for register in (FIFO_CTRL5, CTRL1_XL, CTRL2_G):
                self._bus.write(register, 0)
        except OSError:
            self.errors += 1

    def set_up(self) -> None:
        """Reset the sensor and let it fill its FIFO. Raises OSError when it does not answer or is another one."""
        bus, rate = self._bus, self._rate_code
        found = bytearray(1)
        bus.read(WHO_AM_I, found)
        if found[0] != DEFAULT_CHIP:
            raise OSError("the sensor is no LSM6DS3TR-C")
        bus.write(CTRL3_C, SOFT_RESET)
        self._wait_s(0.01)  # takes 50 us
        words = self._samples * SAMPLE_WORDS
        bus.write(CTRL3_C, BLOCK_UPDATE_AND_INCREMENT)
        bus.write(INT1_CTRL, INT1_WATERMARK)
        bus.write(CTRL1_XL, rate << 4 | RANGE_16_G)
        bus.write(CTRL2_G, rate << 4 | RANGE_2000_DPS)
        self._wait_s(SETTLE_S)
        bus.write(FIFO_CTRL1, words & 0xFF)
        bus.write(FIFO_CTRL2, words >> 8)
        bus.write(FIFO_CTRL3, EVERY_SAMPLE_OF_BOTH)
        bus.write(FIFO_CTRL5, FIFO_OFF)
        bus.write(FIFO_CTRL5, rate << 3 | FIFO_CONTINUOUS)
        self._unfit = SAMPLE_WORDS
        self._failures = 0

    def serve(self) -> int:
        """Send every full packet that waits in the sensor and return how many there were.

        A transfer that fails ends this round; the next one goes on behind it. Where nothing but failures came, the
        sensor is set up anew.
        """
        if not self.streaming:
            return 0
        try:
            return self._drain()
        except OSError:
            self.errors += 1
            self._failures += 1
            self._missing = OVERRUN
            self._last_us = 0
        if self._failures >= FAILURES_MOST:
            self.revive()
        return 0

    def revive(self) -> None:
        """Set a sensor up anew that fell silent; the stream goes on, and says that samples are missing."""
        self._missing = OVERRUN
        self._last_us = 0
        try:
            self.set_up()
        except OSError:
            self.errors += 1
            self._failures = 0

    def rest_s(self) -> float:
        """Return how long, after serving, no packet can be due."""
        return REST_RATIO * self._samples * 10.0 / self._rate_dhz

    # ---------------------------------------------------------------- inside

    def _begin(self) -> None:
        self._index = 0
        self._first = FIRST_PACKET
        self._missing = 0
        self._unfit = 0
        # in 1/16 us, so that small corrections are not lost to whole numbers
        self._nominal_period = 160_000_000 // self._rate_dhz
        self._period = self._nominal_period
        self._last_us = 0
        self._since_last = 0

    def _make_buffers(self, samples: int) -> None:
        self._samples = samples
        self._fifo = array("h", bytes(samples * SAMPLE_BYTES))
        self._packet = array("h", bytes(HEADER_BYTES + samples * SAMPLE_BYTES))
        fifo, packet = memoryview(self._fifo), memoryview(self._packet)
        swaps = []
        acc, gyr = [], []
        for k in range(samples):
            source, target = k * SAMPLE_WORDS, HEADER_BYTES // 2 + k * SAMPLE_WORDS
            gyr.append(fifo[source : source + 3])
            acc.append(fifo[source + 3 : source + 6])
            swaps.append((packet[target : target + 3], acc[k]))
            swaps.append((packet[target + 3 : target + 6], gyr[k]))
        self._swaps = tuple(swaps)
        self._acc, self._gyr = tuple(acc), tuple(gyr)

    def _drain(self) -> int:
        status = self._status
        self._bus.read(FIFO_STATUS1, status)
        if status[2] and not self._missing and not status[1] & STATUS_OVERRUN:
            # inside a sample, and nothing went wrong? Users of sister chips saw this where a sample came just then
            self._bus.read(FIFO_STATUS1, status)
        now_us = self._now_us()
        words = status[0] | (status[1] & 0x07) << 8
        if status[1] & STATUS_OVERRUN:
            self._missing = OVERRUN
            self._last_us = 0
            self._unfit = 0  # long since overwritten
            if not words and not status[1] & STATUS_EMPTY:
                words = FIFO_WORDS  # full: a count of 11 bits shows 0
        # after an overrun or a failed transfer the FIFO may begin inside a sample
        skip = (SAMPLE_WORDS - (status[2] | (status[3] & 0x03) << 8)) % SAMPLE_WORDS
        if skip:
            self._missing = OVERRUN
        # the first sample after the FIFO was switched on is to be thrown away (data sheet)
        skip += self._unfit
        if words < skip:
            return 0
        for _ in range(skip):
            self._bus.read(FIFO_DATA_OUT, self._word)
        words -= skip
        self._unfit = 0
        waiting = words // SAMPLE_WORDS
        self._learn_period(now_us, waiting)
        packets = waiting // self._samples
        # the newest sample was there when the FIFO was asked
        first_us = now_us - ((waiting - 1) * self._period >> 4)
        span_us = self._samples * self._period >> 4
        for _ in range(packets):
            self._bus.read(FIFO_DATA_OUT, self._fifo)
            self._failures = 0
            self._pack(first_us)
            first_us += span_us
            self._send(self._packet)
        return packets

    def _learn_period(self, now_us: int, waiting: int) -> None:
        """Follow the sensor's own rate. What one reading is off by a late look is averaged over sixteen."""
        arrived = waiting - self._since_last
        self._since_last = waiting % self._samples
        if self._last_us and arrived > 0:
            wanted = ((now_us - self._last_us) << 4) // arrived
            off_most = self._nominal_period * RATE_TOLERANCE_PERCENT // 100
            if abs(wanted - self._nominal_period) <= off_most:
                self._period += (wanted - self._period) // 16
        self._last_us = now_us

    def _pack(self, first_us: int) -> None:
        for target, source in self._swaps:
            target[ALL] = source
        flags = self._first | self._missing | self._stream << STREAM_SHIFT
        # two calls for all values; which of the sensors it was is asked only when one of them was
        if max(self._fifo) >= RAW_MOST or min(self._fifo) <= -RAW_MOST:
            flags |= (ACC_CLIP if _at_end(self._acc) else 0) | (GYR_CLIP if _at_end(self._gyr) else 0)
        struct.pack_into(HEADER_FORMAT, self._packet, 0, DATA_TYPE, flags, self._index, first_us % DEVICE_WRAP_US)
        self._index = (self._index + self._samples) % INDEX_WRAP
        self._first = self._missing = 0


def _at_end(views: "tuple[memoryview[int], ...]") -> bool:
    return any(max(view) >= RAW_MOST or min(view) <= -RAW_MOST for view in views)
