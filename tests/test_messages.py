from __future__ import annotations

import gzip
import importlib.util
import json
import math
import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import jsonschema
import msgspec
import numpy as np
import pytest

from pelvis.data import Motion, Side, Step, StepInputs, StrideInputs
from pelvis.metrics import STEP_METRICS, STRIDE_METRICS
from sensor_host.errors import DecodeError
from sensor_host.messages import (
    FORMS,
    NOTES,
    SAMPLES_MAX_ROWS,
    TOPICS,
    Address,
    Answer,
    cut_motion,
    encode,
    level_of,
    pack_samples,
    read_command,
    read_command_id,
    unpack_samples,
)
from sensor_host.ports import Mode, Said, SessionState
from tests.said_examples import cue, everything, motion, session, step, stride

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = Address("hipdrive", session())


def docs_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    return document


def official_schema() -> jsonschema.Draft7Validator:
    packed = (ROOT / "tests" / "asyncapi" / "3.0.0.json.gz").read_bytes()
    return jsonschema.Draft7Validator(json.loads(gzip.decompress(packed)))


def body(payload: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(payload)
    return read


# ---------------------------------------------------------------- what is written down


def test_the_committed_asyncapi_document_and_page_are_what_the_messages_say() -> None:
    pages = docs_module("mqtt_pages")
    assert (ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8") == pages.document_text(), "run make docs"
    assert (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8") == pages.page(), "run make docs"


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    official_schema().validate(asyncapi())


@pytest.mark.parametrize("breakage", ["action", "qos", "address", "reference"])
def test_the_official_schema_would_notice_a_wrong_document(breakage: str) -> None:
    document = asyncapi()
    if breakage == "action":
        document["operations"]["sendStep"]["action"] = "shout"
    elif breakage == "qos":
        document["operations"]["sendStep"]["bindings"]["mqtt"]["qos"] = 3
    elif breakage == "address":
        document["channels"]["step"]["address"] = 5
    else:
        document["operations"]["sendStep"]["channel"] = "step"
    with pytest.raises(jsonschema.ValidationError):
        official_schema().validate(document)


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        return [*([node["$ref"]] if "$ref" in node else []), *(r for value in node.values() for r in references(value))]
    if isinstance(node, list):
        return [r for value in node for r in references(value)]
    return []


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    assert references(document)
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_channel_has_an_operation_with_the_quality_of_service_of_the_table() -> None:
    document = asyncapi()
    used = {operation["channel"]["$ref"].rpartition("/")[2] for operation in document["operations"].values()}
    assert used == set(document["channels"])
    state = document["operations"]["sendState"]["bindings"]["mqtt"]
    assert (state["qos"], state["retain"]) == (1, True)
    assert document["operations"]["receiveCmd"]["reply"]["channel"]["$ref"] == "#/channels/resp"


def test_every_field_says_what_it_means_and_every_note_is_used() -> None:
    schemas = asyncapi()["components"]["schemas"]
    used: set[str] = set()
    for name, schema in schemas.items():
        if name.endswith("Payload"):
            used |= set(schema["properties"])
            for field, described in schema["properties"].items():
                assert described.get("description"), f"{name}.{field}"
    assert set(NOTES) <= used


def test_topic_levels_are_lower_case_words() -> None:
    for level in TOPICS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", level)


# ---------------------------------------------------------------- JSON


def test_everything_that_can_be_said_has_a_topic_and_validates_against_the_document() -> None:
    document = asyncapi()
    # what models are fitted on is said to fitting code alone
    assert {type(item) for item in everything()} == set(get_args(Said)) - {StepInputs, StrideInputs}
    for item in everything():
        message = encode(item, 7, ADDRESS)
        assert message.topic == f"hipdrive/v1/ada/{level_of(item)}"
        if isinstance(item, Motion):
            continue
        schema = {"components": document["components"], "anyOf": payload_references(document, message.topic)}
        jsonschema.Draft202012Validator(schema).validate(body(message.payload))
        assert body(message.payload)["n"] == 7
        assert body(message.payload)["v"] == 1


def payload_references(document: Mapping[str, Any], topic: str) -> list[dict[str, str]]:
    level = topic.rpartition("/")[2]
    (channel,) = [c for c in document["channels"].values() if c["address"].endswith(f"/{level}")]
    return [message["payload"] for message in channel["messages"].values()]


def test_a_standard_error_is_written_with_four_digits() -> None:
    item = replace(step(), errors={m.name: 0.0123456789 for m in STEP_METRICS})
    read = body(encode(item, 0, ADDRESS).payload)
    assert read["contact_time_se_s"] == read["cadence_se_spm"] == 0.01235


def test_a_step_carries_its_own_fields_and_every_metric_of_its_group_with_its_error() -> None:
    own = {field.name for field in fields(Step)} - {"metrics", "errors", "common_errors"}
    said = {m.name for m in STEP_METRICS} | {m.error_name for m in STEP_METRICS}
    assert set(body(encode(step(), 0, ADDRESS).payload)) == {"v", "n"} | own | said
    assert {name for m in STRIDE_METRICS for name in (m.name, m.error_name)} <= set(
        body(encode(stride(), 0, ADDRESS).payload)
    )
    read = body(encode(step(1), 0, ADDRESS).payload)
    assert read["side"] == "right"
    assert read["initial_contact_s"] == 10.35
    assert read[STEP_METRICS[1].name] == 2.25


@pytest.mark.parametrize("item", [step(4), stride(4)])
def test_a_replay_publishes_the_very_bytes_of_the_live_run(item: Said) -> None:
    replayed = Address("hipdrive", session(Mode.REPLAY, session_id="20250602-093000-ffff"))
    assert encode(item, 4, ADDRESS).payload == encode(item, 4, replayed).payload


def test_state_and_cue_say_where_the_data_come_from() -> None:
    replayed = Address("hipdrive", session(Mode.REPLAY))
    state = body(encode(SessionState("online"), 0, replayed).payload)
    assert (state["mode"], state["state"], state["runner"]) == ("replay", "online", "ada")
    assert body(encode(cue(), 0, replayed).payload)["mode"] == "replay"


def test_only_state_and_figures_are_retained_and_only_what_must_arrive_is_acknowledged() -> None:
    assert {level for level, topic in TOPICS.items() if topic.retain} == {
        *("state", "metrics", "summary", "activity", "references")
    }
    assert {level for level, topic in TOPICS.items() if topic.qos == 1} == {"state", "cmd", "resp"}


def test_what_is_unknown_is_null() -> None:
    unknown = {metric.name: math.nan for metric in STEP_METRICS}
    item = Step(0, 0, None, 1.0, math.nan, Side.UNKNOWN, 0.0, unknown, unknown, unknown, 0.006, math.nan, 0.0, (), 1.3)
    read = body(encode(item, 0, ADDRESS).payload)
    assert read["toe_off_s"] is None
    assert read["contact_id"] is None
    assert read["toe_off_se_s"] is None
    assert all(read[metric.name] is None and read[metric.error_name] is None for metric in STEP_METRICS)


def test_numbers_straight_out_of_numpy_are_written_like_any_other() -> None:
    plain, numpy = step(), step()
    numpy = Step(
        **{
            **{field.name: getattr(numpy, field.name) for field in fields(Step)},
            "step_index": np.int64(plain.step_index),
            "initial_contact_s": np.float64(plain.initial_contact_s),
            "metrics": {name: np.float64(value) for name, value in plain.metrics.items()},
        }
    )
    assert encode(numpy, 0, ADDRESS).payload == encode(plain, 0, ADDRESS).payload


def test_an_answer_hands_steps_on_as_they_were_published() -> None:
    published = [encode(step(i), i, ADDRESS).payload for i in range(3)]
    answer = encode(Answer("x", "history", ok=True, steps=tuple(published)), 0, ADDRESS)
    assert b"[" + b",".join(published) + b"]" in answer.payload
    schema = {"components": asyncapi()["components"], "$ref": "#/components/schemas/AnswerPayload"}
    jsonschema.Draft202012Validator(schema).validate(body(answer.payload))


# ---------------------------------------------------------------- commands


def test_a_command_is_read_and_what_it_does_not_know_is_ignored() -> None:
    command = read_command(b'{"id": "a", "name": "speed", "speed_mps": 3.5, "later": true}')
    assert (command.id, command.name, command.speed_mps) == ("a", "speed", 3.5)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "truncated"),
        (b"\xff\x00", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"name": "mute"}', "`id`"),
        (b'{"id": "1", "name": "explode"}', r"'explode' - at `\$.name`"),
        (b'{"id": "1", "name": "speed", "speed_mps": 99}', "speed_mps"),
        (b'{"id": "1", "name": "samples", "lease_s": -1}', "lease_s"),
    ],
)
def test_a_wrong_command_says_where_it_is_wrong(payload: bytes, says: str) -> None:
    with pytest.raises(msgspec.MsgspecError, match=says):
        read_command(payload)


def test_the_id_of_a_wrong_command_is_found_where_there_is_one() -> None:
    assert read_command_id(b'{"id": "17", "name": "explode"}') == "17"
    assert read_command_id(b'{"id": 17}') == ""
    assert read_command_id(b"nonsense") == ""


# ---------------------------------------------------------------- samples


def test_samples_lie_byte_by_byte_as_documented() -> None:
    two = motion(2, first_s=10.0)
    expected = bytes([1, 6, 2, 0]) + bytes([0x04, 0x03, 0x02, 0x01]) + struct.pack("<dd", 10.0, 0.005)
    expected += struct.pack("<6f", 0.1, 0.2, 0.3, 0.4, 0.5, math.nan)
    expected += struct.pack("<6f", 1.1, 1.2, 1.3, 1.4, 1.5, math.nan)
    assert pack_samples(two, 0x01020304) == expected


def test_samples_are_read_back() -> None:
    packet = unpack_samples(pack_samples(motion(8), 2**32 + 5))
    assert (packet.n, packet.t0_s, packet.period_s) == (5, 10.0, 0.005)
    assert packet.values.shape == (8, 6)
    np.testing.assert_array_equal(packet.values[:, 3], np.float32(0.4 + np.arange(8)))


@pytest.mark.parametrize("cut", [0, 10, 24, 100])
def test_a_cut_off_or_foreign_samples_message_is_refused(cut: int) -> None:
    whole = pack_samples(motion(8), 0)
    with pytest.raises(DecodeError):
        unpack_samples(whole[:cut])
    with pytest.raises(DecodeError, match="layout 9"):
        unpack_samples(b"\x09" + whole[1:])


def test_motion_is_cut_at_holes_and_into_packets_of_at_most_a_second() -> None:
    whole = motion(500)
    holed = Motion(
        np.concatenate((whole.t_s[:30], whole.t_s[30:] + 0.1)),
        whole.acc_g,
        whole.obliquity_deg,
        whole.tilt_deg,
        whole.rotation_deg,
        whole.activity,
    )
    parts = list(cut_motion(holed))
    assert [len(part.t_s) for part in parts] == [30, SAMPLES_MAX_ROWS, SAMPLES_MAX_ROWS, 70]
    for part in parts:
        np.testing.assert_allclose(np.diff(part.t_s), 0.005)
    np.testing.assert_array_equal(np.concatenate([part.t_s for part in parts]), holed.t_s)
    np.testing.assert_array_equal(np.concatenate([part.acc_g for part in parts]), holed.acc_g)


def test_no_motion_makes_no_packet() -> None:
    assert list(cut_motion(motion(0))) == []


def test_metric_names_never_hide_a_field_of_the_message() -> None:
    for form in FORMS.values():
        assert not set(form.metrics) & {*form.own, *form.session}
