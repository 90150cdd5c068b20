"""Single keys of the plot window: what each does. The window, its help and docs/view.md derive from here.

What commands a run has the letter it has in the run's own console (`sensor_host.keys`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sensor_host.keys import LAP, MARK, MUTE


@dataclass(frozen=True, slots=True)
class WindowKey:
    """One key: ``sign`` as help shows it, ``sequences`` as Qt names it, ``name`` of what the window does."""

    name: str
    sign: str
    sequences: tuple[str, ...]
    does: str


def _letter(name: str, letter: str, does: str) -> WindowKey:
    return WindowKey(name, letter, (letter.upper(),), does)


KEYS: Final = (
    WindowKey("freeze", "space", ("Space",), "freeze the picture, or go on"),
    WindowKey("earlier", "← →", ("Left",), "frozen: a little earlier or later"),
    WindowKey("later", "", ("Right",), ""),
    _letter("lap", LAP.sign, LAP.does),
    _letter("mark", MARK.sign, MARK.does),
    _letter("mute", MUTE.sign, "mute, or speak again"),
    WindowKey("wider", "+ -", ("+", "="), "more or fewer seconds of waves"),
    WindowKey("narrower", "", ("-",), ""),
    _letter("theme", "t", "for the sun, or for the dark"),
    _letter("picture", "p", "save a picture of the window"),
    WindowKey("full_screen", "f", ("F", "F11"), "full screen, or back"),
    WindowKey("focus", "1-9", tuple(str(i) for i in range(1, 10)), "look at one of several runners"),
    WindowKey("back", "esc", ("Esc",), "back: to all runners, from full screen"),
    WindowKey("help", "?", ("?", "F1"), "these keys"),
    WindowKey("close", "ctrl-q", ("Ctrl+Q", "Ctrl+W"), "close the window; a run goes on"),
)
"""All keys, in the order of the help; those without ``sign`` share the line before."""
