"""One cursor for all plots: what it points at in one is read off in every other."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from pelvis.data import Side


@dataclass(frozen=True, slots=True)
class Pointed:
    """A moment of the session, of a stride, or both: ``percent`` of the stride of ``side`` that holds ``t_s``."""

    t_s: float | None = None
    percent: float | None = None
    side: Side = Side.UNKNOWN


NOWHERE = Pointed()


class Cursor(QObject):
    """What is pointed at. Plots connect to ``moved``, and call `point` when the mouse is over them."""

    moved = Signal(object)
    """The new `Pointed`; never the same twice in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.at = NOWHERE

    def point(self, at: Pointed) -> None:
        """Point somewhere; `NOWHERE` when the mouse leaves."""
        if at != self.at:
            self.at = at
            self.moved.emit(at)
