"""A radio link and boards of every time base, for tests that know the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pelvis.clock import TimeBase
from sensor_host.boards.board import Board, Packet, Packets
from sensor_host.boards.rimu import RIMU, RimuDecoder

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """When packets reach the host: at connection events, a few at a time, in order, and never before they are ready.

    ``retry_ratio`` of the tries fail and end their event. During ``stalls`` (from, to) no event happens. A device that
    holds ``buffer`` packets already loses what comes.
    """

    interval_s: float = 0.030
    packets_per_event: int = 20
    retry_ratio: float = 0.02
    host_delay_s: float = 0.0005
    stalls: tuple[tuple[float, float], ...] = ()
    buffer: int = 1_000_000
    seed: int = 1

    def receive(self, ready_s: Times) -> Times:
        """Return receipt times, NaN where a packet was lost."""
        luck = np.random.default_rng(self.seed)
        received_s = np.full(len(ready_s), np.nan)
        waiting: list[int] = []
        coming = 0
        last_s = 0.0
        event_s = float(ready_s[0]) + self.interval_s * luck.random()
        while coming < len(ready_s) or waiting:
            while coming < len(ready_s) and ready_s[coming] <= event_s:
                if len(waiting) < self.buffer:
                    waiting.append(coming)
                coming += 1
            if not any(begin_s <= event_s < end_s for begin_s, end_s in self.stalls):
                sent = 0
                while sent < min(len(waiting), self.packets_per_event) and luck.random() >= self.retry_ratio:
                    last_s = max(last_s, event_s + luck.exponential(self.host_delay_s))
                    received_s[waiting[sent]] = last_s
                    sent += 1
                del waiting[:sent]
            event_s += self.interval_s
        return received_s


class _Forgetful:
    """RIMU's decoder, keeping to itself what a board of the time base does not send."""

    def __init__(self, time_base: TimeBase) -> None:
        self._decoder = RimuDecoder()
        self._time_base = time_base
        self._index = 0
        self._stream = -1

    def decode_one(self, data: bytes) -> Packet | None:
        packets = self.decode([data])
        if len(packets.position) != 1 or packets.rates:
            return None
        return Packet(
            int(packets.stream[0]),
            int(packets.index[0]),
            int(packets.device_us[0]),
            int(packets.samples[0]),
            overrun=False,
            first=bool(packets.first[0]),
            clipped=bool(packets.clipped[0]),
            acc_mps2=packets.acc_mps2,
            gyr_radps=packets.gyr_radps,
        )

    def decode(self, notifications: Sequence[bytes]) -> Packets:
        packets = self._decoder.decode(notifications)
        none = np.zeros(len(packets.index), np.int64)
        if self._time_base is TimeBase.STAMPED:
            return replace(packets, index=none)
        index = none.copy()
        for row, (stream, samples) in enumerate(zip(packets.stream, packets.samples, strict=True)):
            if stream != self._stream:
                self._stream, self._index = stream, 0
            index[row] = self._index
            self._index += samples
        return replace(packets, index=index, device_us=none)


def board_of(time_base: TimeBase) -> Board:
    """Return a board with RIMU's bytes of which only as much is heard as the time base has."""
    assert RIMU.motion is not None
    if time_base is TimeBase.COUNTED:
        return RIMU
    motion = replace(
        RIMU.motion,
        time_base=time_base,
        index_wrap=0,
        device_wrap_us=RIMU.motion.device_wrap_us if time_base is TimeBase.STAMPED else 0,
        new_decoder=lambda: _Forgetful(time_base),
    )
    return replace(RIMU, key=time_base.name.lower(), motion=motion)
