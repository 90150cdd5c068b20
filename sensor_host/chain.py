"""One sensor's way from notifications to core inputs: decode, stamp, count.

Live, replay and simulation all pass here. How notifications are grouped into calls changes no bit of what comes out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from pelvis.clock import DOUBLED, KEPT, ClockSettings, SensorClock, Stamps, TimeBase
from pelvis.data import Array, CoreInput, Gap, HeartRate, Samples
from sensor_host.boards import BOARDS, TIMED
from sensor_host.boards.board import Board, HeartRateCodec, Motion, Packet, Packets
from sensor_host.errors import ConfigError, DecodeError
from sensor_host.ports import LinkHealth, LinkState, Notification, SensorInfo, TimedBlock
from sensor_host.repeats import Repeats

_log = logging.getLogger(__name__)


class SensorChain:
    """Turns the notifications of one sensor into core inputs and keeps count of its link.

    Parameters
    ----------
    info
        The sensor. Board "timed" stands for foreign data that comes as `TimedBlock`.
    session_time
        How a sensor without a clock of its own (heart rate) finds session time: `session_from_host` of the pelvis'
        chain. Without it such a sensor counts from its own first notification.

    Raises
    ------
    ConfigError
        When the board is not known.
    """

    def __init__(self, info: SensorInfo, session_time: Callable[[float], float] | None = None) -> None:
        board = _find_board(info.board)
        motion = board.motion if board else None
        self.info = info
        self.bad: dict[str, int] = {}
        self._motion = motion
        self._heart_rate = board.heart_rate if board else None
        self._rate_hz = info.rate_hz or (motion.rate_hz if motion else 0.0)
        self.clock = _clock_for(motion, self._rate_hz)
        self._decoder = motion.new_decoder() if motion else None
        self._repeats = Repeats() if motion and motion.time_base is TimeBase.ARRIVAL else None
        self._session_time = session_time
        self._first_host_s: float | None = None
        self._notifications = 0
        self._samples = 0
        self._doubled = 0
        self._link = LinkState(info.role, "searching", 0.0)
        self._block_offset_s: float | None = None

    # ---------------------------------------------------------------- what arrives

    def feed(self, notifications: Sequence[Notification]) -> list[CoreInput]:
        """Return what these notifications say, in time order."""
        return self.feed_bytes([n.data for n in notifications], [n.t_host_s for n in notifications])

    def feed_bytes(self, data: Sequence[bytes], t_host_s: Sequence[float]) -> list[CoreInput]:
        """Do as `feed` with the notifications' bytes and receipt times."""
        self._notifications += len(data)
        if self._repeats is not None:
            kept = self._repeats.keep(data, t_host_s)
            data, t_host_s = [data[i] for i in kept], [t_host_s[i] for i in kept]
        if self._decoder is not None and self._motion is not None:
            # one packet, as nearly always in a live run
            packet = self._decoder.decode_one(data[0]) if len(data) == 1 else None
            if packet is not None:
                return self._stamp_one(packet, t_host_s[0])
            packets = self._decoder.decode(data)
            for _, error in packets.bad:
                self._note_bad(error)
            return self._stamp(packets, t_host_s)
        if self._heart_rate is not None:
            return self._read_heart_rate(self._heart_rate, data, t_host_s)
        for _ in data:
            self._note_bad(DecodeError("a notification for a sensor that has none", kind="foreign"))
        return []

    def feed_block(self, block: TimedBlock) -> list[CoreInput]:
        """Return foreign data, which is stamped already, and count it."""
        count = len(block.samples.t_s)
        self._samples += count
        if count:
            self._block_offset_s = block.t_host_s - float(block.samples.t_s[-1])
            self._rate_hz = block.samples.rate_hz
        return [block.samples]

    def take_link(self, link: LinkState) -> None:
        """Remember how the link stands; what the sensor says of itself, signal and battery stay as last heard."""
        self._link = LinkState(
            link.role,
            link.state,
            link.t_host_s,
            self._link.rssi_dbm if link.rssi_dbm is None else link.rssi_dbm,
            self._link.battery_ratio if link.battery_ratio is None else link.battery_ratio,
            link.detail,
            link.firmware or self._link.firmware,
            link.model or self._link.model,
        )

    def start_behind(self, openings: Sequence[Notification]) -> None:
        """Let session time begin at the first packet of ``openings``, the head of a recording replayed from later on.

        They are neither counted nor given out, and the hole behind them is no loss.
        """
        if self._decoder is None:
            return
        packets = self._decoder.decode([n.data for n in openings])
        self._stamp(packets, [n.t_host_s for n in openings])
        self._samples = 0
        if self.clock.started:
            self.clock.passed_over()

    # ---------------------------------------------------------------- what is known

    @property
    def rate_hz(self) -> float:
        """The nominal rate, as the device or the session says it."""
        return self._rate_hz

    @property
    def measured_rate_hz(self) -> float:
        """The rate by the sensor's own clock, as far as known."""
        return self.clock.rate_hz

    @property
    def last_s(self) -> float:
        """Session time of the last sample."""
        return self.clock.last_s

    def session_from_host(self, t_host_s: float) -> float:
        """Return the session time of a moment of the host's clock; 0 before the first sample."""
        if self._block_offset_s is not None:
            return t_host_s - self._block_offset_s
        return self.clock.session_from_host(t_host_s)

    def host_from_session(self, t_s: float) -> float:
        """Return when a sample of that session time reaches the host at the earliest."""
        if self._block_offset_s is not None:
            return t_s + self._block_offset_s
        return self.clock.host_from_session(t_s)

    def health(self, t_s: float) -> LinkHealth:
        """Return the link's figures since the start, as of session time ``t_s``."""
        return LinkHealth(
            role=self.info.role,
            state=self._link.state,
            t_s=t_s,
            notifications=self._notifications,
            samples=self._samples,
            lost_samples=self.clock.lost_samples,
            duplicates=self._doubled + (self._repeats.dropped if self._repeats else 0),
            bad_notifications=sum(self.bad.values()),
            drift_ppm=self.clock.drift_ppm,
            rssi_dbm=self._link.rssi_dbm,
            battery_ratio=self._link.battery_ratio,
            loss_known_by=self._motion.time_base if self._motion else None,
            restarts=self.clock.restarts,
            reboots=self.clock.reboots,
            warning=self._warning(),
            detail=self._link.detail,
            firmware=self._link.firmware,
            model=self._link.model,
        )

    def _warning(self) -> str:
        if self._repeats is not None and self._repeats.times > 1:
            return (
                f"every notification comes {self._repeats.times} times: a connection that was lost lives on beside "
                "this one; what repeats is dropped"
            )
        if self.clock.excess_ratio:
            return (
                f"{self.clock.excess_ratio:.1f} times as many samples come as the board's rate says: "
                "its times cannot be trusted"
            )
        return ""

    # ---------------------------------------------------------------- steps of the way

    def _stamp(self, packets: Packets, t_host_s: Sequence[float]) -> list[CoreInput]:
        """Place packets in time, in stretches between announced changes of rate."""
        if not packets.rates:
            return self._stamp_rows(packets, t_host_s, 0, len(packets.position))
        said: list[CoreInput] = []
        start = 0
        for row, rate_hz in packets.rates:
            said += self._stamp_rows(packets, t_host_s, start, row)
            self._rate_hz = rate_hz
            self.clock.expect(rate_hz)
            start = row
        return said + self._stamp_rows(packets, t_host_s, start, len(packets.position))

    def _stamp_one(self, packet: Packet, t_host_s: float) -> list[CoreInput]:
        verdict, at_s, period_s, gap = self.clock.place(
            packet.stream,
            packet.index,
            packet.device_us,
            packet.samples,
            packet.overrun,
            packet.first,
            t_host_s,
        )
        if verdict != KEPT:
            self._refuse(verdict)
            return []
        t_s: Array = at_s + np.arange(packet.samples, dtype=np.float64) * period_s
        self._samples += packet.samples
        samples = Samples(t_s, packet.acc_mps2, packet.gyr_radps, self._rate_hz, packet.clipped)
        return [samples] if gap is None else [gap, samples]

    def _stamp_rows(self, packets: Packets, t_host_s: Sequence[float], start: int, end: int) -> list[CoreInput]:
        if start == end:
            return []
        rows = slice(start, end)
        counts = packets.samples[rows]
        positions: list[int] = packets.position[rows].tolist()
        stamps = self.clock.stamp(
            packets.stream[rows].tolist(),
            packets.index[rows].tolist(),
            packets.device_us[rows].tolist(),
            counts.tolist(),
            packets.overrun[rows].tolist(),
            packets.first[rows].tolist(),
            [t_host_s[i] for i in positions],
        )
        first = int(packets.samples[:start].sum())
        total = int(counts.sum())
        acc_mps2 = packets.acc_mps2[first : first + total]
        gyr_radps = packets.gyr_radps[first : first + total]
        begins = np.cumsum(counts) - counts
        within = np.arange(total) - np.repeat(begins, counts)
        t_s = np.repeat(stamps.t_s, counts) + within * np.repeat(stamps.period_s, counts)
        clipped = packets.clipped[rows]
        gaps = dict(stamps.gaps)
        kept = stamps.verdict == KEPT
        if not kept.all():
            self._count_refused(stamps)
            keep = np.repeat(kept, counts)
            t_s, acc_mps2, gyr_radps = t_s[keep], acc_mps2[keep], gyr_radps[keep]
            gaps = {int(np.count_nonzero(kept[:position])): gap for position, gap in gaps.items()}
            counts, clipped = counts[kept], clipped[kept]
        self._samples += len(t_s)
        return self._cut(t_s, acc_mps2, gyr_radps, np.cumsum(counts).tolist(), clipped.tolist(), gaps)

    def _cut(
        self,
        t_s: Array,
        acc_mps2: Array,
        gyr_radps: Array,
        ends: list[int],
        clipped: list[bool],
        gaps: dict[int, Gap],
    ) -> list[CoreInput]:
        """Cut samples where there is a gap, and where ``clipped`` changes, so that it says the same for each sample."""
        said: list[CoreInput] = []
        count = len(ends)
        cuts = sorted({0, *gaps, *(i for i in range(1, count) if clipped[i] != clipped[i - 1]), count})
        for begin, end in pairwise(cuts):
            if begin in gaps:
                said.append(gaps[begin])
            span = slice(ends[begin - 1] if begin else 0, ends[end - 1])
            said.append(Samples(t_s[span], acc_mps2[span], gyr_radps[span], self._rate_hz, clipped[begin]))
        return said

    def _count_refused(self, stamps: Stamps) -> None:
        for verdict in stamps.verdict[stamps.verdict != KEPT].tolist():
            self._refuse(verdict)

    def _refuse(self, verdict: int) -> None:
        if verdict == DOUBLED:
            self._doubled += 1
        else:
            self._note_bad(DecodeError("a packet came after later ones", kind="late"))

    def _read_heart_rate(
        self, codec: HeartRateCodec, data: Sequence[bytes], t_host_s: Sequence[float]
    ) -> list[CoreInput]:
        said: list[CoreInput] = []
        for payload, at_host_s in zip(data, t_host_s, strict=True):
            try:
                reading = codec.decode(payload)
            except DecodeError as error:
                self._note_bad(error)
                continue
            if reading is None:
                continue
            self._samples += 1
            said.append(HeartRate(self._session_time_of(at_host_s), reading.heart_rate_bpm, reading.rr_s))
        return said

    def _session_time_of(self, t_host_s: float) -> float:
        if self._session_time is not None:
            return self._session_time(t_host_s)
        if self._first_host_s is None:
            self._first_host_s = t_host_s
        return t_host_s - self._first_host_s

    def _note_bad(self, error: DecodeError) -> None:
        seen = self.bad.get(error.kind, 0)
        self.bad[error.kind] = seen + 1
        if not seen:
            _log.warning("%s: bad notification (%s), said once: %s", self.info.role, error.kind, error)


def _find_board(key: str) -> Board | None:
    if key == TIMED:
        return None
    try:
        return BOARDS[key]
    except KeyError:
        known = ", ".join(sorted(BOARDS))
        raise ConfigError(f'sensor.board: "{key}" is not known; there are: {known}', path="sensor.board") from None


def _clock_for(motion: Motion | None, rate_hz: float) -> SensorClock:
    if motion is None:
        return SensorClock(ClockSettings(rate_hz or 1.0))
    return SensorClock(ClockSettings(rate_hz, motion.index_wrap, motion.device_wrap_us, motion.time_base))
