"""What every part of the window that draws has in common, and when its turn is."""

from __future__ import annotations

from typing import ClassVar, Protocol

from sensor_host.view.theme import Theme
from sensor_host.view.timeline import Timeline


class Panel(Protocol):
    """Draws a moment of a timeline, every ``period_s`` while it is seen, and only what has changed."""

    period_s: ClassVar[float]

    def set_theme(self, theme: Theme) -> None: ...

    def show_at(self, timeline: Timeline, now_s: float) -> None: ...

    def isVisible(self) -> bool: ...


class Turns:
    """Whose turn it is.

    Parameters
    ----------
    frame_s
        How often is asked; half of that too early is better than a whole one too late.
    """

    def __init__(self, frame_s: float) -> None:
        self._slack_s = frame_s / 2
        self._due_s: dict[int, float] = {}

    def come(self, panel: Panel, clock_s: float) -> bool:
        """Return whether a panel's turn has come; its next one is a period later."""
        if clock_s < self._due_s.get(id(panel), 0.0) - self._slack_s:
            return False
        self._due_s[id(panel)] = clock_s + panel.period_s
        return True

    def reset(self) -> None:
        """Let everybody's turn be now."""
        self._due_s.clear()
