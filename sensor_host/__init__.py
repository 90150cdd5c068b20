"""Everything of hipdrive that touches the world: radio, files, broker, sound, console.

For notebooks and scripts: `load_session` (docs/python.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensor_host.loaded import LoadedSession as LoadedSession
    from sensor_host.loaded import load_session as load_session

__version__ = "0.1.0"

_PLACES = {"LoadedSession": "loaded", "load_session": "loaded"}


def __getattr__(name: str) -> object:
    # on first use: `hipdrive --help` waits for none of it
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
