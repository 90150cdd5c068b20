"""Notifications that come more than once, of boards that do not number them.

A subscription that an earlier connection left behind brings every notification again. Equal bytes alone prove nothing:
a sensor at rest, or one that rounds, repeats itself. But that many different notifications on end each come twice, or
each thrice, does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import gcd

# 0.5 s: copies come in the same turn of the loop; a stalled one may take its time
TOGETHER_S = 0.5
# 50 different ones: if chance made each count even or odd, it would take 2^50 tries; a quarter of a second at 200 Hz
PROOF = 50


class Repeats:
    """Finds out whether everything comes several times, and then passes each notification once.

    Attributes
    ----------
    times
        How often each comes; 1 as long as nothing is proved.
    dropped
        How many were held back.
    """

    def __init__(self) -> None:
        self.times = 1
        self.dropped = 0
        self._seen: dict[bytes, int] = {}
        self._order: deque[tuple[float, bytes]] = deque()
        self._common = 0
        self._several: set[bytes] = set()
        self._singles = 0

    def keep(self, data: Sequence[bytes], t_host_s: Sequence[float]) -> list[int]:
        """Return which of these notifications are to be used; they come in the order of their receipt."""
        return [number for number, at in enumerate(zip(data, t_host_s, strict=True)) if self._is_new(*at)]

    def _is_new(self, data: bytes, t_host_s: float) -> bool:
        while self._order and self._order[0][0] < t_host_s - TOGETHER_S:
            _, earlier = self._order.popleft()
            self._judge(earlier, self._seen.pop(earlier))
        count = self._seen.get(data, 0)
        self._seen[data] = count + 1
        if not count:
            self._order.append((t_host_s, data))
        if count % self.times:
            self.dropped += 1
            return False
        return True

    def _judge(self, data: bytes, count: int) -> None:
        """Take how often one notification came."""
        common = gcd(self._common, count)
        if count == 1:
            self._singles += 1
            self._common = 0
            self._several.clear()
        elif common == 1:
            self._common = count
            self._several = {data}
        else:
            self._common = common
            self._several.add(data)
            self._singles = 0
        if len(self._several) >= PROOF:
            self.times = self._common
        elif self._singles >= PROOF:
            self.times = 1
