"""What both windows have around their pages: ground, last line, keys, pictures, and what is remembered of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtGui import QColor, QKeySequence, QPalette, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QWidget

from sensor_host import places
from sensor_host.view.focus import Focus
from sensor_host.view.line import Line
from sensor_host.view.remembered import Remembered, remember
from sensor_host.view.theme import Theme
from sensor_host.view.waves import SPANS_S, Waves
from sensor_host.view.window_keys import WindowKey

FRAME_S: Final = 1 / 30
# 6 s: time to look down and read a line
TOLD_S: Final = 6.0
# 640 x 400: half of what it is made for; what is smaller cannot be read
LEAST_SIZE: Final = (640, 400)
FIRST_SIZE: Final = (1280, 720)
LINE_PX: Final = 15
WORDS_PX: Final = 22
GAP_PX: Final = 6


def place(window: QWidget, remembered: Remembered) -> None:
    """Put a window where it was when it was closed last."""
    window.resize(*FIRST_SIZE)
    try:
        geometry = b64decode(remembered.geometry, validate=True)
    except Base64Error:
        return
    # Qt looks for itself whether the screen of then is still there
    window.restoreGeometry(QByteArray(geometry))


def keep(window: QWidget, theme: Theme, run: Focus) -> None:
    """Remember how a window is as it is closed."""
    geometry = b64encode(window.saveGeometry().data()).decode()
    remember(Remembered(theme=theme.name, span_s=run.waves.span_s, geometry=geometry, sizes=dict(run.sizes)))


def span_near(span_s: float) -> float:
    """Return the span of the waves that is nearest to a remembered one."""
    return min(SPANS_S, key=lambda known_s: abs(known_s - span_s))


def change_span(waves: Waves, by: int) -> None:
    """Let the waves show more, or less with a negative number."""
    at = SPANS_S.index(waves.span_s) + by
    waves.set_span(SPANS_S[min(max(at, 0), len(SPANS_S) - 1)])


def paint_ground(window: QWidget, theme: Theme) -> None:
    """Give a window the ground of a theme."""
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(theme.ground))
    palette.setColor(QPalette.ColorRole.WindowText, QColor(theme.text))
    window.setPalette(palette)
    window.setAutoFillBackground(True)


def last_line(state: Line, hint: Line) -> QHBoxLayout:
    """Return the line below the pages: what is the matter, and where help is."""
    line = QHBoxLayout()
    line.addWidget(state, 1)
    line.addWidget(hint)
    return line


def bind(
    window: QWidget,
    keys: Iterable[WindowKey],
    does: Mapping[str, Callable[[], object]],
    numbered: Mapping[str, Callable[[int], object]],
) -> None:
    """Bind keys to what they do; those of ``numbered`` are told which of a key's sequences it was."""
    for key in keys:
        for number, sequence in enumerate(key.sequences):
            action = partial(numbered[key.name], number) if key.name in numbered else does[key.name]
            QShortcut(QKeySequence(sequence), window).activated.connect(action)


def turn_full_screen(window: QWidget) -> None:
    """Fill the screen, or no longer."""
    if window.isFullScreen():
        window.showNormal()
    else:
        window.showFullScreen()


def save_picture(window: QWidget, of: str) -> str:
    """Save what is seen and return in words where, or that it cannot be."""
    path = places.pictures_dir() / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}-{of}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = window.grab().save(str(path))
    except OSError:
        saved = False
    return f"picture: {path}" if saved else f"no picture: {path} cannot be written"


def ticking(window: QWidget, tick: Callable[[], object]) -> QTimer:
    """Return a timer that runs: ``tick`` is called once a frame."""
    timer = QTimer(window)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(round(1000 * FRAME_S))
    return timer
