"""What the window remembers from one time to the next: its look, its place, how it was divided."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sensor_host import places
from sensor_host.errors import OutputError


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """How the window was left. ``geometry`` is Qt's own, base64; ``sizes`` are those of its parts, by splitter."""

    theme: Literal["sun", "dark"] = "dark"
    span_s: Annotated[float, Meta(ge=1, le=600)] = 10.0
    geometry: Annotated[str, Meta(max_length=2000)] = ""
    sizes: dict[str, tuple[Annotated[int, Meta(ge=0, le=100_000)], ...]] = {}


def recall() -> Remembered:
    """Return how the window was left; the defaults where nothing is known, or the file is damaged."""
    try:
        return msgspec.json.decode(places.window_path().read_bytes(), type=Remembered)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Remembered()


def remember(remembered: Remembered) -> None:
    """Keep how the window is left; where it cannot be kept, the next one looks like the first."""
    with suppress(OutputError):
        places.replace_file(places.window_path(), msgspec.json.format(msgspec.json.encode(remembered)) + b"\n")
