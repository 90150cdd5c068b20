"""The MQTT interface, written down: docs/asyncapi.json and the tables of docs/mqtt.md, from `sensor_host.messages`.

Called by generate.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from sensor_host.broker import DEFAULT_PORT
from sensor_host.config import MqttConfig
from sensor_host.messages import (
    SAMPLES_COLUMNS,
    SAMPLES_HEADER,
    TOPICS,
    CommandPayload,
    Topic,
    pack_samples,
)
from sensor_host.schemas import MQTT_SCHEMA

BINDING: Final = "0.2.0"
REF: Final = "#/components/schemas/{name}"

PAGE: Final = Path(__file__).resolve().with_name("mqtt.md")


def document() -> dict[str, object]:
    """Return the AsyncAPI 3.0 document, seen from the host: it sends all topics and receives `cmd`."""
    payloads = [payload for topic in TOPICS.values() for payload in topic.payloads]
    _, schemas = msgspec.json.schema_components(payloads, ref_template=REF)
    root = MqttConfig().topic_root
    will = TOPICS["state"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "hipdrive",
            "version": f"{MQTT_SCHEMA}.0.0",
            "description": "What a running session says over MQTT, step by step, and what it can be told.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "embedded": {
                "host": f"127.0.0.1:{DEFAULT_PORT}",
                "protocol": "mqtt",
                "description": "The host's own broker; where it really is stands in the runtime file broker.json.",
                "bindings": {
                    "mqtt": {
                        "cleanSession": True,
                        "keepAlive": 5,
                        "lastWill": {
                            "topic": f"{root}/v{MQTT_SCHEMA}/{{runner}}/state",
                            "qos": will.qos,
                            "retain": will.retain,
                            "message": "The payload of state, with state lost.",
                        },
                        "bindingVersion": BINDING,
                    }
                },
            }
        },
        "channels": {_key(topic): _channel(topic) for topic in TOPICS.values()},
        "operations": {_operation_key(topic): _operation(topic) for topic in TOPICS.values()},
        "components": {"schemas": schemas},
    }


def _key(topic: Topic) -> str:
    """Return a topic's name without hyphens: heartRate."""
    return re.sub(r"-(.)", lambda match: match[1].upper(), topic.level)


def _operation_key(topic: Topic) -> str:
    return f"{'receive' if topic.inbound else 'send'}{_key(topic)[0].upper()}{_key(topic)[1:]}"


def _message_keys(topic: Topic) -> list[str]:
    return [payload.__name__.removesuffix("Payload") for payload in topic.payloads] or ["Samples"]


def _channel(topic: Topic) -> dict[str, object]:
    parameters = {
        "root": {"description": "First level of all topics (mqtt.topic_root).", "default": MqttConfig().topic_root},
        "runner": {"description": "Name of the runner (runner.name)."},
    }
    return {
        "address": f"{{root}}/v{MQTT_SCHEMA}/{{runner}}/{topic.level}",
        "description": topic.text,
        "parameters": parameters,
        "messages": {key: _message(topic, i) for i, key in enumerate(_message_keys(topic))},
    }


def _message(topic: Topic, i: int) -> dict[str, object]:
    if not topic.payloads:
        return {
            "contentType": "application/octet-stream",
            "summary": topic.text,
            "payload": {"type": "string", "format": "binary", "description": _samples_layout()},
        }
    payload = topic.payloads[i]
    message: dict[str, object] = {
        "contentType": "application/json",
        "summary": (payload.__doc__ or topic.text).partition("\n")[0],
        "payload": {"$ref": REF.format(name=payload.__name__)},
        "bindings": {"mqtt": {"bindingVersion": BINDING}},
    }
    if topic.level in ("cmd", "resp"):
        message["correlationId"] = {"location": "$message.payload#/id"}
    return message


def _samples_layout() -> str:
    text = (pack_samples.__doc__ or "").split("\n\n", 1)[1]
    return " ".join(text.replace("`", "").split()) + f" Columns: {', '.join(SAMPLES_COLUMNS)}."


def _operation(topic: Topic) -> dict[str, object]:
    channel = f"#/channels/{_key(topic)}"
    operation: dict[str, object] = {
        "action": "receive" if topic.inbound else "send",
        "channel": {"$ref": channel},
        "summary": topic.text,
        "messages": [{"$ref": f"{channel}/messages/{key}"} for key in _message_keys(topic)],
        "bindings": {"mqtt": {"qos": topic.qos, "retain": topic.retain, "bindingVersion": BINDING}},
    }
    if topic.payloads == (CommandPayload,):
        operation["reply"] = {
            "channel": {"$ref": "#/channels/resp"},
            "messages": [{"$ref": f"#/channels/resp/messages/{key}"} for key in _message_keys(TOPICS["resp"])],
        }
    return operation


# ---------------------------------------------------------------- tables for people


def topics_table() -> str:
    """Return the table of topics."""
    rows = [
        f"| `{topic.level}` | {topic.qos} | {'yes' if topic.retain else 'no'} | "
        f"{'to the host' if topic.inbound else 'from the host'} | {topic.text} |"
        for topic in TOPICS.values()
    ]
    return "\n".join(("| topic | QoS | retained | direction | what it says |", "|---|---|---|---|---|", *rows))


def payload_tables() -> str:
    """Return one table of fields for each JSON payload."""
    blocks: list[str] = []
    for topic in TOPICS.values():
        for payload in topic.payloads:
            schema = msgspec.json.schema_components([payload])[1][payload.__name__]
            blocks += [f"### {topic.level}: {payload.__name__}", "", "| field | type | meaning |", "|---|---|---|"]
            blocks += [
                f"| `{name}` | {_type_name(field)} | {field.get('description', '')} |"
                for name, field in schema["properties"].items()
            ]
            blocks.append("")
    return "\n".join(blocks).strip()


def _type_name(schema: dict[str, object]) -> str:
    """Return what stands in a field, in a few words."""
    if "enum" in schema:
        values = schema["enum"]
        assert isinstance(values, list)
        return " or ".join(f"`{value}`" for value in values)  # pyright: ignore[reportUnknownVariableType]
    if "anyOf" in schema:
        kinds = schema["anyOf"]
        assert isinstance(kinds, list)
        return " or ".join(_type_name(kind) for kind in kinds)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return str(schema.get("type", "any"))


def samples_table() -> str:
    """Return the bytes of a `samples` message."""
    first = SAMPLES_HEADER.size
    rows = [
        "| 0 | uint8 | layout, 1 |",
        f"| 1 | uint8 | columns, {len(SAMPLES_COLUMNS)} |",
        "| 2 | uint16 | rows |",
        "| 4 | uint32 | `n`, counts the messages, modulo 2**32 |",
        "| 8 | float64 | `t0_s`, session time of the first row |",
        "| 16 | float64 | `period_s`, from row to row |",
    ]
    rows += [
        f"| {first + 4 * i} + {4 * len(SAMPLES_COLUMNS)} r | float32 | `{name}` of row r |"
        for i, name in enumerate(SAMPLES_COLUMNS)
    ]
    return "\n".join(("| byte | type | what |", "|---|---|---|", *rows))


TABLES: Final[dict[str, Callable[[], str]]] = {
    "topics": topics_table,
    "payloads": payload_tables,
    "samples": samples_table,
}


def page() -> str:
    """Return docs/mqtt.md with what stands between ``<!-- name -->`` and ``<!-- end -->`` made anew."""

    def table(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n\n{TABLES[match[1]]()}\n\n<!-- end -->"

    return re.sub(
        rf"<!-- ({'|'.join(TABLES)}) -->.*?<!-- end -->", table, PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )


def document_text() -> str:
    """Return docs/asyncapi.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
