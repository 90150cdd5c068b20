"""Messages read back into what was said, for those who listen over MQTT: the inverse of `sensor_host.messages`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import nan
from types import MappingProxyType
from typing import Any, Final, get_type_hints

import msgspec

from sensor_host.errors import DecodeError
from sensor_host.messages import FORMS, AnswerPayload, Form, Published, SamplesPacket, unpack_samples

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that was read.

    ``item`` is what was said; motion as its packet, an answer as its payload. ``n`` counts the messages of its topic.
    ``session`` holds what the message says beside the item: of a cue its ``words`` and ``mode``, of a state what
    identifies the session.
    """

    item: Published | SamplesPacket | AnswerPayload
    n: int
    session: Mapping[str, Any]


def read(level: str, payload: bytes) -> Heard:
    """Read a message of a topic's level.

    Metrics that are null are NaN. What is not published is empty: ``common_errors`` of steps and strides.

    Raises
    ------
    DecodeError
        It is of another version, cut off or otherwise none of that topic.
    """
    if level == "samples":
        packet = unpack_samples(payload)
        return Heard(packet, packet.n, _NOTHING)
    try:
        event = _event.decode(payload).event
        reading = _reading(level, event)
        body = reading.decoder.decode(payload)
    except KeyError:
        raise DecodeError(f"a message of {level} is none that is known", kind="foreign") from None
    except msgspec.MsgspecError as error:
        raise DecodeError(f"a message of {level} makes no sense: {error}", kind="malformed") from error
    if isinstance(body, AnswerPayload):
        return Heard(body, body.n, _NOTHING)
    return _heard(reading, body)


def read_history(answer: AnswerPayload) -> Iterator[Heard]:
    """Yield the steps of an answer to `history`, then their strides, as if each had just been heard."""
    for level in ("step", "stride"):
        reading = _reading(level, "")
        # their types are derived from METRICS: no checker knows them
        bodies: tuple[Any, ...] = getattr(answer, f"{level}s")
        for body in bodies:
            yield _heard(reading, body)


def _heard(reading: _Reading, body: Any) -> Heard:
    """Return what the payload ``body`` says."""
    form = reading.form
    said = {name: _known(getattr(body, name), number=name in reading.numbers) for name in form.own}
    if form.metrics:
        said["metrics"] = {name: _known(getattr(body, name), number=True) for name, _ in form.metrics}
        said["errors"] = {name: _known(getattr(body, error), number=True) for name, error in form.metrics}
    if reading.has_common_errors:
        said["common_errors"] = _NOTHING
    return Heard(reading.item(**said), body.n, {name: getattr(body, name) for name in form.session})


class _Event(msgspec.Struct):
    """What tells the messages of one level apart."""

    event: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How an item is made of its message; ``numbers`` are the fields in which null stands for an unknown number."""

    item: type[Any]
    form: Form
    decoder: msgspec.json.Decoder[Any]
    numbers: frozenset[str]
    has_common_errors: bool


@cache
def _reading(level: str, event: str) -> _Reading:
    """Return how a message is read; KeyError where there is no such message."""
    for item, form in FORMS.items():
        if (form.level, form.event) == (level, event):
            hints = get_type_hints(item)
            numbers = frozenset(name for name, kind in hints.items() if kind is float)
            return _Reading(item, form, msgspec.json.Decoder(form.payload), numbers, "common_errors" in hints)
    raise KeyError(level)


def _known(value: Any, *, number: bool) -> Any:
    return nan if value is None and number else value


_event: Final = msgspec.json.Decoder(_Event)
