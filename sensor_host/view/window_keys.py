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
    _letter("number", "b", "one big number; ← → for another one"),
    _letter("strides", "v", "mean curves over the stride, or waves"),
    WindowKey("wider", "+ -", ("+", "="), "more or fewer seconds of waves"),
    WindowKey("narrower", "", ("-",), ""),
    _letter("theme", "t", "for the sun, or for the dark"),
    _letter("picture", "p", "save a picture of the window"),
    WindowKey("full_screen", "f", ("F", "F11"), "full screen, or back"),
    WindowKey("focus", "1-9", tuple(str(i) for i in range(1, 10)), "look at one of several runners"),
    WindowKey("back", "esc", ("Esc",), "back: from the big number, from full screen, to all runners"),
    WindowKey("help", "?", ("?", "F1"), "these keys"),
    WindowKey("close", "ctrl-q", ("Ctrl+Q", "Ctrl+W"), "close the window; a run goes on"),
)
"""All keys, in the order of the help; those without ``sign`` share the line before."""

REPLAY_KEYS: Final = (
    WindowKey("play", "space", ("Space",), "play, or stand still"),
    WindowKey("back_a_bit", "← →", ("Left",), "two seconds back or on"),
    WindowKey("on_a_bit", "", ("Right",), ""),
    WindowKey("step_back", ", .", (",",), "one step back or on, to its contact"),
    WindowKey("step_on", "", (".",), ""),
    WindowKey("cue_on", "c C", ("C",), "next or previous cue"),
    WindowKey("cue_back", "", ("Shift+C",), ""),
    WindowKey("lap_on", "l L", ("L",), "next or previous lap"),
    WindowKey("lap_back", "", ("Shift+L",), ""),
    WindowKey("begin", "home end", ("Home",), "to the begin or the end"),
    WindowKey("end", "", ("End",), ""),
    WindowKey("slower", "[ ]", ("[",), "slower or faster, 0.25 to 16 times"),
    WindowKey("faster", "", ("]",), ""),
    WindowKey("section_begin", "i o", ("I",), "a section begins, or ends here; it is repeated"),
    WindowKey("section_end", "", ("O",), ""),
    _letter("section_none", "u", "no section"),
    _letter("compare", "r", "compare with this section, or with the last minute"),
    _letter("compare_none", "x", "compare with nothing"),
    _letter("norm", "n", "strides beside what is usual at their speed, or not"),
    _letter("feet", "b", "compare the steps of both feet, the left one, the right one"),
    _letter("swap", "s", "the other of two recordings"),
    WindowKey("page", "1 2 3 4", ("1", "2", "3", "4"), "waves, strides, comparison, every step of the last minutes"),
    *(key for key in KEYS if key.name in ("wider", "narrower", "theme", "picture", "full_screen")),
    WindowKey("back", "esc", ("Esc",), "back from full screen"),
    WindowKey("help", "?", ("?", "F1"), "these keys"),
    WindowKey("close", "ctrl-q", ("Ctrl+Q", "Ctrl+W"), "close the window"),
)
"""All keys while a recording is shown, as `KEYS`."""
