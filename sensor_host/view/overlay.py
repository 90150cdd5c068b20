"""What lies over the window for a moment: all keys and what they do."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QLabel, QWidget

from sensor_host.view.theme import LEAST_PX, Theme, font
from sensor_host.view.window_keys import KEYS, WindowKey

TEXT_PX = 16
MARGIN_PX = 18


class Help(QLabel):
    """All keys of the window: ``keys``, in their order."""

    def __init__(self, window: QWidget, keys: Sequence[WindowKey] = KEYS) -> None:
        super().__init__(window)
        self._window = window
        rows = "".join(
            f"<tr><td><b>{key.sign}</b>&nbsp;&nbsp;&nbsp;</td><td>{key.does}</td></tr>" for key in keys if key.sign
        )
        self.setText(f"<table cellpadding=3>{rows}</table>")
        self.setMargin(MARGIN_PX)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self.setStyleSheet(f"background: {theme.panel}; color: {theme.text}; border: 2px solid {theme.line};")

    def toggle(self) -> None:
        """Appear in the middle, or go."""
        if self.isVisible():
            self.hide()
            return
        # as large as it fits
        for px in range(TEXT_PX, LEAST_PX - 1, -1):
            self.setFont(font(px))
            self.adjustSize()
            if self.height() <= self._window.height() and self.width() <= self._window.width():
                break
        room = self._window.size() - self.size()
        self.move(room.width() // 2, room.height() // 2)
        self.show()
        self.raise_()
