"""The bounded outbox in front of each sink, which says beforehand what happens when it is full."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

from sensor_host.errors import HipdriveError

Item = TypeVar("Item")


class Policy(StrEnum):
    """What happens when an outbox is full.

    WAIT: ``room`` holds the session back (replay, batch). DROP_OLDEST: the oldest of what is least wanted goes and is
    counted (live screens, MQTT). FAIL: the taker is told, and with it the sink fails (the recorder).
    """

    WAIT = "wait"
    DROP_OLDEST = "drop_oldest"
    FAIL = "fail"


class OutboxFullError(HipdriveError):
    """An outbox of policy FAIL ran over; ``capacity`` items were waiting."""

    exit_code = 4

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(f"{name} fell behind by {capacity} items; is the disk too slow or full?")
        self.capacity = capacity


class Outbox(Generic[Item]):
    """What a session has handed to one sink and the sink has not yet taken. One event loop, no locks.

    Parameters
    ----------
    name
        The sink's name, for error texts.
    capacity
        How many items may wait.
    policy
        What happens at the next one. May be changed at any time; a waiting session notices.
    rank
        How much an item is wanted, 0 least. When something must go, it is the oldest of the lowest rank.
    """

    def __init__(self, name: str, capacity: int, policy: Policy, rank: Callable[[Item], int] | None = None) -> None:
        self.name = name
        self.capacity = capacity
        self.dropped = 0
        self._policy = policy
        self._rank = rank
        # One line per rank, each in order; the number puts them together again in the order of `put`.
        self._lines: list[deque[tuple[int, Item]]] = []
        self._count = 0
        self._number = 0
        self._overrun = False
        self._closed = False
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def __len__(self) -> int:
        return self._count

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def policy(self) -> Policy:
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        if policy is Policy.DROP_OLDEST:
            while self._count > self.capacity:
                self._drop_one()
        self._tell_room()

    def put(self, item: Item) -> None:
        """Hand an item over; never waits, never raises. What comes after `close` is dropped and counted."""
        if self._closed or self._overrun:
            self.dropped += 1
            return
        if self._count >= self.capacity and self._policy is Policy.FAIL:
            self._overrun = True
            self.dropped += 1
        else:
            self._append(item)
            if self._count > self.capacity and self._policy is Policy.DROP_OLDEST:
                self._drop_one()
        self._filled.set()
        if self._count >= self.capacity:
            self._tell_room()

    async def room(self) -> None:
        """Return at once, or, with policy WAIT, when there is room again or nobody takes any more."""
        if not self._roomy.is_set():
            await self._roomy.wait()

    async def take(self, at_most: int = 64) -> list[Item]:
        """Wait for items and take up to ``at_most`` of them, in the order of `put`; empty once closed and worked off.

        Raises
        ------
        OutboxFullError
            Policy FAIL and there was one item too many; what fitted has been taken before.
        """
        while not self._count:
            if self._overrun:
                raise OutboxFullError(self.name, self.capacity)
            if self._closed:
                return []
            self._filled.clear()
            await self._filled.wait()
        taken: list[Item] = []
        while self._count and len(taken) < at_most:
            line = min((line for line in self._lines if line), key=lambda line: line[0][0])
            taken.append(line.popleft()[1])
            self._count -= 1
        self._tell_room()
        return taken

    def close(self) -> None:
        """Say that nothing more will be put; `take` gives what is left and then empty lists."""
        self._closed = True
        self._filled.set()
        self._roomy.set()

    def discard(self) -> None:
        """Drop and count what still waits; nobody will take it."""
        self.dropped += self._count
        self._count = 0
        self._lines.clear()
        self._tell_room()

    def _append(self, item: Item) -> None:
        rank = 0 if self._rank is None else self._rank(item)
        while len(self._lines) <= rank:
            self._lines.append(deque())
        self._lines[rank].append((self._number, item))
        self._number += 1
        self._count += 1

    def _drop_one(self) -> None:
        next(line for line in self._lines if line).popleft()
        self._count -= 1
        self.dropped += 1

    def _tell_room(self) -> None:
        if self._policy is Policy.WAIT and self._count >= self.capacity and not self._closed:
            self._roomy.clear()
        else:
            self._roomy.set()
