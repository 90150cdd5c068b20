"""Messages read back: what a listener makes of a message is what was said."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest

from pelvis.data import Cue, Motion, Step, StepInputs, StrideInputs
from sensor_host.errors import DecodeError
from sensor_host.heard import read, read_history
from sensor_host.messages import TOPICS, Address, Answer, AnswerPayload, SamplesPacket, encode, level_of
from sensor_host.ports import Said, SessionState
from tests.said_examples import cue, everything, motion, session, step, stride

ADDRESS = Address("hipdrive", session())
PUBLISHED = [item for item in everything() if not isinstance(item, StepInputs | StrideInputs)]


def same(a: object, b: object) -> bool:
    """Whether two values are equal, where an unknown number equals another one, and errors have four digits."""
    if isinstance(a, float) and isinstance(b, float):
        return (isnan(a) and isnan(b)) or a == b
    return a == b


def is_as_said(read_back: Any, said: Any) -> bool:
    for field in fields(said):
        ours, theirs = getattr(read_back, field.name), getattr(said, field.name)
        if field.name == "common_errors":
            continue
        if field.name in ("metrics", "errors"):
            for name, value in theirs.items():
                expected = float(f"{value:.4g}") if field.name == "errors" else value
                assert same(ours[name], expected), name
        else:
            assert same(ours, theirs), field.name
    return True


@pytest.mark.parametrize("item", [i for i in PUBLISHED if not isinstance(i, Motion)], ids=lambda i: type(i).__name__)
def test_what_is_read_back_is_what_was_said(item: Said) -> None:
    assert is_dataclass(item)
    heard = read(level_of(item), encode(item, 41, ADDRESS).payload)
    assert heard.n == 41
    assert type(heard.item) is type(item)
    assert is_as_said(heard.item, item)


def test_motion_is_read_back_as_its_packet() -> None:
    said = motion()
    heard = read("samples", encode(said, 3, ADDRESS).payload)
    assert isinstance(heard.item, SamplesPacket)
    assert heard.n == 3
    np.testing.assert_array_equal(heard.item.values[:, 3], said.obliquity_deg.astype(np.float32))


def test_what_is_null_is_an_unknown_number() -> None:
    unknown = replace(step(), toe_off_s=nan, metrics=dict.fromkeys(step().metrics, nan))
    heard = read("step", encode(unknown, 0, ADDRESS).payload).item
    assert isinstance(heard, Step)
    assert isnan(heard.toe_off_s)
    assert all(isnan(value) for value in heard.metrics.values())


def test_a_cue_brings_its_words_and_a_state_the_session() -> None:
    said = read("cue", encode(cue(), 0, Address("hipdrive", session(), {cue().phrase: "Level"})).payload)
    assert isinstance(said.item, Cue)
    assert said.session["words"] == "Level"
    state = read("state", encode(SessionState("online"), 0, ADDRESS).payload)
    assert state.session["session_id"] == session().session_id
    assert state.session["sensors"] == session().sensors


@pytest.mark.parametrize("level", sorted(set(TOPICS) - {"cmd"}))
@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b'{"v": 2, "n": 0}', b'{"event": "x"}', b"\xff" * 40])
def test_a_message_that_makes_no_sense_is_refused_in_words(level: str, payload: bytes) -> None:
    with pytest.raises(DecodeError, match=level):
        read(level, payload)


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(DecodeError, match="weather"):
        read("weather", b"{}")


def test_a_history_is_read_as_if_each_of_its_messages_had_just_come() -> None:
    steps = tuple(encode(step(i), i, ADDRESS).payload for i in range(3))
    strides = tuple(encode(stride(i), i, ADDRESS).payload for i in range(2))
    answer = read(
        "resp", encode(Answer("1", "history", ok=True, steps=steps, strides=strides), 0, ADDRESS).payload
    ).item
    assert isinstance(answer, AnswerPayload)
    once = [read("step", payload) for payload in steps] + [read("stride", payload) for payload in strides]
    assert list(read_history(answer)) == once
