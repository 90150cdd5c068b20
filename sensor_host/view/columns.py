"""Arrays that grow at their end and forget their beginning: memory stays flat, and any part is one slice."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Columns(Generic[Scalar]):
    """Rows of ``width`` values of one type, the last ``keep`` of them at least; all of them with None.

    There is room for twice as many as are kept. When it is full the kept ones are moved to the front, so that the rows
    always lie in one piece and a row costs the same on average, however long the session.
    """

    def __init__(self, width: int, dtype: type[Scalar], keep: int | None = None, first: int = 1024) -> None:
        self._keep = keep
        self._rows: NDArray[Scalar] = np.empty((first if keep is None else 2 * keep, width), dtype)
        self._end = 0
        self.dropped = 0
        """How many rows have been forgotten: row ``i`` of `rows` is the ``dropped + i``-th that was ever added."""

    def __len__(self) -> int:
        return self._end

    @property
    def rows(self) -> NDArray[Scalar]:
        """All rows that are kept (n, width), oldest first; a view, good until the next `extend`."""
        return self._rows[: self._end]

    def extend(self, rows: NDArray[Scalar]) -> None:
        """Add rows (n, width) at the end."""
        if self._keep is not None and len(rows) > self._keep:
            surplus = len(rows) - self._keep
            self.dropped += self._end + surplus
            self._end = 0
            rows = rows[surplus:]
        end = self._end + len(rows)
        if end > len(self._rows):
            self._make_room(len(rows))
            end = self._end + len(rows)
        self._rows[self._end : end] = rows
        self._end = end

    def _make_room(self, coming: int) -> None:
        if self._keep is None:
            grown = np.empty((max(2 * len(self._rows), self._end + coming), self._rows.shape[1]), self._rows.dtype)
            grown[: self._end] = self.rows
            self._rows = grown
            return
        kept = min(self._end, self._keep)
        self._rows[:kept] = self._rows[self._end - kept : self._end].copy()
        self.dropped += self._end - kept
        self._end = kept
