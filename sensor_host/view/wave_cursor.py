"""The shared cursor over the waves: where the mouse is, and where other plots point."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPointF
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from pelvis.data import Side
from sensor_host.view.cursor import NOWHERE, Cursor, Pointed
from sensor_host.view.curves import time_of_phase
from sensor_host.view.theme import DARK, Theme
from sensor_host.view.timeline import Timeline
from sensor_host.view.waves import Waves


class WaveCursor(QWidget):
    """Lies over the waves and leaves clicks to them.

    Where only a place in the stride is pointed at, it stands there in the last whole stride of the right foot.
    """

    def __init__(self, waves: Waves, cursor: Cursor, now_s: Callable[[], float]) -> None:
        super().__init__(waves)
        self._waves, self._pointer, self._now_s = waves, cursor, now_s
        self._theme: Theme = DARK
        self._timeline: Timeline | None = None
        self.setMouseTracking(True)
        self.setGeometry(waves.rect())
        waves.installEventFilter(self)
        cursor.moved.connect(self.update)

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme

    def set_timeline(self, timeline: Timeline) -> None:
        """Point at moments of this session."""
        self._timeline = timeline

    @property
    def t_s(self) -> float | None:
        """The session time that is pointed at, where it is on the waves."""
        at, now_s = self._pointer.at, self._now_s()
        t_s = at.t_s
        if t_s is None and at.percent is not None and self._timeline is not None:
            side = at.side if at.side is not Side.UNKNOWN else Side.RIGHT
            t_s = time_of_phase(self._timeline, now_s, side, at.percent)
        return t_s if t_s is not None and now_s - self._waves.span_s <= t_s <= now_s else None

    def x_of(self, t_s: float) -> float:
        """Return where a time lies, in pixels from the left."""
        plotted = self._waves.plotted
        return plotted.right() - plotted.width() * (self._now_s() - t_s) / self._waves.span_s

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        plotted = self._waves.plotted
        x = event.position().x()
        if plotted.width() <= 0.0 or not plotted.left() <= x <= plotted.right():
            self._pointer.point(NOWHERE)
            return
        before_s = self._waves.span_s * (plotted.right() - x) / plotted.width()
        self._pointer.point(Pointed(t_s=self._now_s() - before_s))

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer.point(NOWHERE)
        super().leaveEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Resize:
            self.setGeometry(self._waves.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        t_s = self.t_s
        if t_s is None:
            return
        painter = QPainter(self)
        painter.setPen(QPen(QColor(self._theme.other), self._theme.mean_width_px))
        plotted, x = self._waves.plotted, self.x_of(t_s)
        painter.drawLine(QPointF(x, plotted.top()), QPointF(x, plotted.bottom()))
        painter.end()
