"""What passes through the player's pipes: orders in, reports out, one JSON object per line.

Times are the machine's monotonic clock (`time.monotonic`), which all its processes share.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

SoundName: TypeAlias = Literal["tick", "note", "rustle", "chime", "cue"]


class Setup(msgspec.Struct, frozen=True, tag="setup", omit_defaults=True):
    """The first order: how loud (0 to 1), which voice and device (empty: the system's), what to render ahead.

    ``earcon`` is how long the two notes before words are: `tones.earcon`.
    """

    volume: float
    voice: str = "en"
    device: str = ""
    phrases: tuple[str, ...] = ()
    earcon: Literal["short", "long"] = "short"


class Play(msgspec.Struct, frozen=True, tag="play", omit_defaults=True):
    """Play a sound unless ``deadline_host_s`` has passed; a cue is an earcon and then its ``words``.

    ``pan`` is -1 for the left ear to 1 for the right; ``height`` -1 to 1 is that of a note or rustle. Cues follow one
    another, the higher ``priority`` first; all else sounds at once, over whatever is playing, and softer where that is
    a cue. ``through_mute``: it is heard by who is muted, too. ``order_id`` comes back in the report.
    """

    sound: SoundName
    deadline_host_s: float
    words: str = ""
    pan: float = 0.0
    height: float = 0.0
    priority: int = 0
    through_mute: bool = False
    order_id: int = 0


class Beat(msgspec.Struct, frozen=True, tag="beat", omit_defaults=True):
    """Let the metronome beat ``rate_spm`` times a minute, 0 for not at all.

    With ``duration_s`` it lasts so long, then what was ordered without one goes on; with 0 it lasts until the next
    order. It rests while the runner's cadence is within ``silent_within_ratio`` of the rate.
    """

    rate_spm: float
    duration_s: float = 0.0
    silent_within_ratio: float = 0.0


class Cadence(msgspec.Struct, frozen=True, tag="cadence"):
    """How fast the runner steps now, and when a foot of his touched down; counts for `tempo.CADENCE_LASTS_S`."""

    cadence_spm: Annotated[float, msgspec.Meta(gt=0)]
    contact_host_s: float | None = None


class Late(msgspec.Struct, frozen=True, tag="late"):
    """How late what the player plays is in the ear, from the moment it hands it over; 0 where that is not known."""

    latency_s: float


class Mute(msgspec.Struct, frozen=True, tag="mute"):
    """Be silent from now on, or no longer: what sounds fades out, what waits is dropped, the metronome rests."""

    muted: bool


Order: TypeAlias = Setup | Play | Beat | Cadence | Mute | Late


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Sound can be heard: through which program and device, and who speaks (empty: tones stand for words)."""

    output: str
    device: str
    voice: str
    advice: str = ""


class Silent(msgspec.Struct, frozen=True, tag="silent"):
    """Nothing can be heard, why, and what to do about it. Said once until it changes."""

    reason: str
    advice: str


class Played(msgspec.Struct, frozen=True, tag="played"):
    """An order's sound was started; ``spoken`` is False where tones stood for the words."""

    order_id: int
    sound: SoundName
    started_host_s: float
    duration_s: float
    spoken: bool = False


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """An order was not played: it came too late, nothing can be heard, or nothing is to be."""

    order_id: int
    sound: SoundName
    reason: Literal["stale", "silent", "muted"]


Report: TypeAlias = Ready | Silent | Played | Dropped

_order_decoder: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_report_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_encoder = msgspec.json.Encoder()


def write_line(message: Order | Report) -> bytes:
    """Encode one message as a line."""
    return _encoder.encode(message) + b"\n"


def read_order(line: bytes) -> Order:
    """Decode one order; raises `msgspec.DecodeError` for anything else."""
    return _order_decoder.decode(line)


def read_report(line: bytes) -> Report:
    """Decode one report; raises `msgspec.DecodeError` for anything else."""
    return _report_decoder.decode(line)
