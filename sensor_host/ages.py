"""How old things are when something is done about them: quantiles over a whole session in constant memory."""

from __future__ import annotations

# 1 ms: far below what an ear or a foot can tell
BIN_S = 0.001
# 2 s: what is older belongs to a hole in the radio link, whose length says nothing of latency
BINS = 2000


class Ages:
    """Ages, counted in bins of `BIN_S`; what is older than all bins is counted in the last."""

    def __init__(self) -> None:
        self.n = 0
        self._counts = [0] * BINS

    def take(self, age_s: float) -> None:
        """Count an age in; one below zero, as a clock that is still being learned may give, as zero."""
        self.n += 1
        self._counts[min(max(int(age_s / BIN_S), 0), BINS - 1)] += 1

    def quantile_s(self, share: float) -> float | None:
        """Return the age that this share of all stays below, to half a bin; None where there is none."""
        wanted, seen = share * self.n, 0
        for number, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return (number + 0.5) * BIN_S
        return None

    def as_dict(self) -> dict[str, object] | None:
        """Return count, median and 95th percentile, ready for JSON; None where nothing was counted."""
        if not self.n:
            return None
        return {"n": self.n, "p50_s": self.quantile_s(0.5), "p95_s": self.quantile_s(0.95)}
