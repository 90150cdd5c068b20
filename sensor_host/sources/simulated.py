"""A simulated runner behind the reference board's encoder: the same bytes as from the radio."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np

from pelvis.simulate import Scenario, SimulatedBlock, SimulatedRunner
from sensor_host.boards import BOARDS
from sensor_host.boards.board import Device, EncodedPacket, converse
from sensor_host.ports import Arrival, LinkState, Mode, Notification, Role, SensorInfo

# unpaced, the loop's other tasks get their turn this often
ARRIVALS_A_TURN = 32

# a link as it is usual: an event every 15 ms, every 50th packet a second try, a little of the host's own
CONNECTION_INTERVAL_S = 0.015
RETRY_RATIO = 0.02
HOST_DELAY_S = 0.0005

# a second of runner is made at a time: a few milliseconds of work
BLOCK_S = 1.0


class SimulatedSource:
    """Gives what the radio would give if that runner wore the board.

    Parameters
    ----------
    scenario
        Who runs how, with which sensor.
    seed
        The same seed gives the same bytes; unpaced, the same receipt times too.
    paced
        In real time; otherwise as fast as it goes, with receipt times as they would be in real time.
    connection_interval_s
        How often the radio link delivers.
    duration_s
        When to end, in the device's time; None leaves it to the scenario, which may be endless.
    loss_ratio
        Share of the packets that are lost on the way, 0 to 1.
    on_block
        Called with every block before its packets come: for the truth.
    """

    mode = Mode.SIMULATED

    def __init__(
        self,
        scenario: Scenario | None = None,
        seed: int = 1,
        *,
        paced: bool = True,
        duration_s: float | None = None,
        placement: str = "sacrum",
        board: str = "rimu",
        loss_ratio: float = 0.0,
        connection_interval_s: float = CONNECTION_INTERVAL_S,
        on_block: Callable[[SimulatedBlock], None] | None = None,
    ) -> None:
        scenario = scenario or Scenario()
        self._scenario = scenario if duration_s is None else replace(scenario, duration_s=duration_s)
        self._seed = seed
        self._paced = paced
        self._loss_ratio = loss_ratio
        self._connection_interval_s = connection_interval_s
        self._on_block = on_block
        self._board = BOARDS[board]
        self._info = SensorInfo(
            role=Role.PELVIS,
            board=board,
            placement=placement,
            name="simulated runner",
            rate_hz=self._scenario.sensor.rate_hz,
        )

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        return (self._info,)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        if not self._paced:
            for number, arrival in enumerate(self.arrivals()):
                if number % ARRIVALS_A_TURN == 0:
                    await asyncio.sleep(0)
                yield arrival
            return
        link = self._link()
        begin_s = t_host_s = time.monotonic()
        yield LinkState(self._info.role, "connected", begin_s)
        for packet in self._packets():
            # from the beginning, not from the packet before: errors do not add up
            await asyncio.sleep(max(0.0, begin_s + link.receive(packet.complete_s) - time.monotonic()))
            t_host_s = time.monotonic()
            yield Notification(self._info.role, packet.data, t_host_s)
        yield LinkState(self._info.role, "closed", t_host_s)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what an unpaced iteration yields, without an event loop."""
        link = self._link()
        t_host_s = 0.0
        yield LinkState(self._info.role, "connected", t_host_s)
        for packet in self._packets():
            t_host_s = link.receive(packet.complete_s)
            yield Notification(self._info.role, packet.data, t_host_s)
        yield LinkState(self._info.role, "closed", t_host_s)

    def _link(self) -> _UsualLink:
        return _UsualLink(self._connection_interval_s, np.random.default_rng([self._seed, 11]))

    def _packets(self) -> Iterator[_Packet]:
        """Yield what reaches the host, in order."""
        motion = self._board.motion
        assert motion is not None
        sensor = self._scenario.sensor
        device = motion.new_device(sensor.rate_hz)
        luck = np.random.default_rng([self._seed, 12])
        for opening in converse(self._board, device):
            yield _Packet(opening, 0.0)
        for encoded in self._encode(device):
            if self._loss_ratio and luck.random() < self._loss_ratio:
                continue
            # a simulated second is one of the physical world, of which the device's clock has its own idea
            yield _Packet(encoded.data, float(sensor.true_s(np.array([encoded.t_last_s]))[0]))

    def _encode(self, device: Device) -> Iterator[EncodedPacket]:
        for block in SimulatedRunner(self._scenario, self._seed).blocks(BLOCK_S):
            if self._on_block is not None:
                self._on_block(block)
            yield from device.encode(block.t_s, block.acc_mps2, block.gyr_radps)
        yield from device.flush()


@dataclass(frozen=True, slots=True)
class _Packet:
    """Bytes that the device has ready ``complete_s`` seconds after the beginning."""

    data: bytes
    complete_s: float


class _UsualLink:
    """When a packet of an undisturbed link reaches the host; never before the one before it."""

    def __init__(self, interval_s: float, luck: np.random.Generator) -> None:
        self._interval_s = interval_s
        self._luck = luck
        self._last_s = 0.0

    def receive(self, complete_s: float) -> float:
        event = math.ceil(complete_s / self._interval_s)
        if self._luck.random() < RETRY_RATIO:
            event += 1
        received_s = event * self._interval_s + float(self._luck.exponential(HOST_DELAY_S))
        self._last_s = max(self._last_s, received_s)
        return self._last_s
