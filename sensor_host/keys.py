"""Single keys during a run: what each does. No input, no output, no clock.

What a key asks for goes the same way as what a listener commands over MQTT: it is injected into the session, recorded
with it, and therefore in every replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pelvis.data import Command, Marker

ESCAPE = "\x1b"

# 64 characters: more at once was pasted, not pressed
MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what it does, as the screen says it."""

    sign: str
    does: str


MARK = Key("n", "mark")
LAP = Key("l", "lap")
MUTE = Key("m", "mute")
SWAP = Key("s", "swap sides")
QUIT = Key("q", "end")

KEYS: tuple[Key, ...] = (MARK, LAP, MUTE, SWAP, QUIT)


class Commanded(Protocol):
    """What the keys act on; a session is one."""

    @property
    def muted(self) -> bool: ...

    def now_s(self) -> float: ...

    def inject(self, item: Marker | Command) -> None: ...

    def stop(self) -> None: ...


def press(sign: str, session: Commanded) -> bool:
    """Do what a key asks for, in the session's event loop; return whether it asks for anything."""
    match sign.lower():
        case MARK.sign:
            session.inject(Marker(session.now_s(), "", "note"))
        case LAP.sign:
            session.inject(Marker(session.now_s(), "", "lap"))
        case MUTE.sign:
            session.inject(Command(session.now_s(), "unmute" if session.muted else "mute"))
        case SWAP.sign:
            session.inject(Command(session.now_s(), "swap_sides"))
        case QUIT.sign:
            session.stop()
        case _:
            return False
    return True


def keys_in(text: str) -> str:
    """Return the keys in what a terminal sent at once: none where it is an arrow or function key, or pasted."""
    return "" if ESCAPE in text or len(text) >= MOST_AT_ONCE else text
