"""Whether a window can be opened here, asked before Qt is: without a display Qt would abort the process.

What is missing is told in one line that says what to do.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sensor_host.errors import ConfigError

_EXTRA = 'the plot window needs its extra: pip install "hipdrive[view]"'
_NO_DISPLAY = (
    "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set): open the window on another machine"
)


def check_display() -> None:
    """Return if a window can be opened.

    Raises
    ------
    ConfigError
        The extra is not installed, a library of the system is missing, or there is no display that answers.
    """
    if find_spec("PySide6") is None or find_spec("pyqtgraph") is None:
        raise ConfigError(_EXTRA)
    try:
        import_module("PySide6.QtWidgets")
    except ImportError as error:
        raise ConfigError(_missing(str(error))) from None
    if sys.platform == "linux" and not os.environ.get("QT_QPA_PLATFORM"):
        _check_linux()


def _check_linux() -> None:
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    if not wayland and not x11:
        raise ConfigError(f"{_NO_DISPLAY}, with --broker mqtt://THIS-MACHINE")
    if wayland and _answers(wayland):
        return
    if not x11:
        raise ConfigError(f"no display answers at WAYLAND_DISPLAY={wayland}")
    _check_x11(x11)


def _answers(wayland: str) -> bool:
    """Return whether a Wayland compositor listens."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / wayland))
        return True
    return False


def _check_x11(display: str) -> None:
    import PySide6

    (folder,) = PySide6.__path__
    try:
        # Qt's own way to X, with all it leans on
        ctypes.CDLL(str(Path(folder, "Qt", "plugins", "platforms", "libqxcb.so")))
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise ConfigError(_missing(str(error))) from None
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = (ctypes.c_void_p,)
    connection = xcb.xcb_connect(None, None)
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if refused:
        raise ConfigError(f"no display answers at DISPLAY={display}: is it the right one, and may you use it?")


# what Debian and Ubuntu call the packages of the libraries Qt leans on
_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}


def _missing(text: str) -> str:
    """Return what to do about a library that cannot be loaded, from the loader's words."""
    library = text.partition(":")[0].strip()
    package = _PACKAGES.get(library)
    if package is not None:
        return f"the plot window needs {library}: sudo apt-get install {package}"
    return f"the plot window cannot be opened: {text}"
