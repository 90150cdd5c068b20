"""Which metronome is in force, and whether it is to be heard."""

from __future__ import annotations

import math

from sensor_host.player.beats import Footfalls
from sensor_host.player.orders import Beat, Cadence

# 3 s: whoever took no step for so long is not in step with anything
CADENCE_LASTS_S = 3.0

# 1.5: a runner at the edge of "near enough" does not switch the beats on and off
LEAVING_RATIO = 1.5


class Tempo:
    """The rate in force out of lasting and passing orders, and whether the runner needs to hear it. Reads no clock."""

    def __init__(self) -> None:
        self._lasting = Beat(0.0)
        self._passing: Beat | None = None
        self._passes_at_s = math.inf
        self._cadence_spm = 0.0
        self._contact_host_s: float | None = None
        self._cadence_ends_s = -math.inf
        self._near = False

    def take(self, order: Beat, now_s: float) -> None:
        """Let an order be in force from now on."""
        if order.duration_s > 0:
            self._passing, self._passes_at_s = order, now_s + order.duration_s
        else:
            self._lasting, self._passing, self._passes_at_s = order, None, math.inf
        self._near = False

    def hear(self, cadence: Cadence, now_s: float) -> None:
        """Know how fast the runner steps, and when."""
        self._cadence_spm, self._cadence_ends_s = cadence.cadence_spm, now_s + CADENCE_LASTS_S
        self._contact_host_s = cadence.contact_host_s

    def footfalls(self, now_s: float) -> Footfalls | None:
        """Return when the runner's feet are expected to touch down, None where he is not known to run."""
        if self._contact_host_s is None or now_s >= self._cadence_ends_s:
            return None
        return Footfalls(self._contact_host_s, 60.0 / self._cadence_spm)

    def now(self, now_s: float) -> float:
        """Return the rate (steps per minute) to be heard now, 0 for none."""
        if now_s >= self._passes_at_s:
            self._passing, self._passes_at_s, self._near = None, math.inf, False
        order = self._passing or self._lasting
        if order.rate_spm <= 0:
            return 0.0
        known = now_s < self._cadence_ends_s
        allowed = order.silent_within_ratio * (LEAVING_RATIO if self._near else 1.0)
        self._near = known and abs(self._cadence_spm / order.rate_spm - 1.0) <= allowed and allowed > 0
        return 0.0 if self._near else order.rate_spm

    def changes_at_s(self, now_s: float) -> float:
        """Return when `now` may say something else by itself."""
        return min((at_s for at_s in (self._passes_at_s, self._cadence_ends_s) if at_s > now_s), default=math.inf)
