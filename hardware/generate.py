"""Write what derives from the profile's description, rimu-v1.toml, or tell what is out of date.

python hardware/generate.py           write it; docs/generate.py does so too
python hardware/generate.py --check   write nothing; exit code 1 when something is out of date

A file of one's own takes part by two lines, the second of which ends what is written between them:

    <!-- rimu-v1.toml: NAME -->   and   <!-- rimu-v1.toml: end -->   in rimu-v1.md, NAME being one of TABLES
    # rimu-v1.toml: constants     and   # rimu-v1.toml: end          in a file of hardware/circuitpython/
"""

from __future__ import annotations

import json
import re
import struct
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HARDWARE = Path(__file__).resolve().parent
ROOT = HARDWARE.parent

Table = dict[str, Any]

# profile's type -> (letter of the struct module, numpy's name, bytes)
TYPES = {"u8": ("B", "u1", 1), "u16": ("H", "<u2", 2), "i16": ("h", "<i2", 2), "u32": ("I", "<u4", 4)}


def load() -> Table:
    """Read rimu-v1.toml and see that its records have no hole."""
    profile = tomllib.loads((HARDWARE / "rimu-v1.toml").read_text(encoding="utf-8"))
    header_bytes = _check("data", profile["data"]["fields"])
    if profile["data"]["sample"]["offset"] != header_bytes:
        sys.exit(f"rimu-v1.toml: data.sample begins at {header_bytes}")
    _check("info", profile["info"]["fields"])
    for command in profile["commands"]:
        _check(command["name"], command.get("fields", []), start=1)
    return profile


def _check(name: str, fields: list[Table], start: int = 0) -> int:
    for field in fields:
        if field["offset"] != start:
            sys.exit(f"rimu-v1.toml: {name}.{field['name']} stands at {field['offset']}, not at {start}")
        start += TYPES[field["type"]][2]
    return start


# ---------------------------------------------------------------- what follows from it


def _size(fields: list[Table], start: int = 0) -> int:
    return start + sum(TYPES[field["type"]][2] for field in fields)


def _struct(fields: list[Table], before: str = "") -> str:
    text = "<" + before + "".join(TYPES[field["type"]][0] for field in fields)
    assert struct.calcsize(text) == _size(fields, len(before))
    return text


def uuid(profile: Table, nnnn: str) -> str:
    """Return a UUID of the profile's own."""
    return str(profile["profile"]["base_uuid"]).replace("NNNN", nnnn)


def _sample_bytes(profile: Table) -> int:
    sample = profile["data"]["sample"]
    return len(sample["values"]) * TYPES[sample["type"]][2]


def _samples_at(profile: Table, mtu: int) -> int:
    return (mtu - int(profile["link"]["att_bytes"]) - _size(profile["data"]["fields"])) // _sample_bytes(profile)


def _type(fields: list[Table], name: str) -> int:
    (found,) = [TYPES[field["type"]][2] for field in fields if field["name"] == name]
    return found


def constants(profile: Table) -> Iterator[tuple[str, list[tuple[str, int | str, str]]]]:
    """Yield title and (name, value, how an integer is shown: "d" or "x") of what every program needs."""
    link, data, info = profile["link"], profile["data"], profile["info"]
    yield (
        "what a host looks for",
        [
            ("NAME_PREFIX", profile["profile"]["name_prefix"], ""),
            *((f"{entry['name'].upper()}_UUID", uuid(profile, entry["nnnn"]), "") for entry in profile["gatt"]),
        ],
    )
    yield (
        "the link",
        [
            ("MTU", link["mtu"], "d"),
            ("MTU_LEAST", link["mtu_least"], "d"),
            ("ATT_BYTES", link["att_bytes"], "d"),
            ("INTERVAL_LEAST_US", link["interval_least_us"], "d"),
            ("INTERVAL_MOST_US", link["interval_most_us"], "d"),
        ],
    )
    yield (
        "data record",
        [
            ("DATA_TYPE", data["type"], "x"),
            ("HEADER_BYTES", _size(data["fields"]), "d"),
            ("SAMPLE_BYTES", _sample_bytes(profile), "d"),
            ("SAMPLES_MOST", _samples_at(profile, link["mtu"]), "d"),
            *((f"{flag['name'].upper()}", 1 << flag["bit"], "x") for flag in data["flags"]),
            ("STREAM_SHIFT", data["stream"]["bit"], "d"),
            ("STREAM_WRAP", 1 << data["stream"]["bits"], "d"),
            ("INDEX_WRAP", 1 << 8 * _type(data["fields"], "index"), "d"),
            ("DEVICE_WRAP_US", 1 << 8 * _type(data["fields"], "device_us"), "d"),
        ],
    )
    yield (
        "info record",
        [
            ("INFO_TYPE", info["type"], "x"),
            ("INFO_BYTES", _size(info["fields"]), "d"),
            *(
                (f"DEFAULT_{field['name'].upper()}", field["default"], "x" if field.get("hex") else "d")
                for field in info["fields"]
                if "default" in field
            ),
        ],
    )
    yield (
        "control",
        [
            *((command["name"].upper(), command["code"], "x") for command in profile["commands"]),
            *(
                (f"{command['name'].upper()}_BYTES", _size(command.get("fields", []), 1), "d")
                for command in profile["commands"]
            ),
            *(
                (f"{command['name'].upper()}_S", command["duration_s"], "d")
                for command in profile["commands"]
                if "duration_s" in command
            ),
            *((f"ATT_{error['name'].upper()}", error["code"], "x") for error in profile["att_errors"]),
        ],
    )


# ---------------------------------------------------------------- Python


def python_constants(profile: Table) -> str:
    """Return the constants as plain assignments, for CPython and CircuitPython alike."""
    parts = []
    for title, rows in constants(profile):
        parts.append("\n".join([f"# {title}", *(f"{name} = {_python(value, shown)}" for name, value, shown in rows)]))
    formats = [
        "# layouts, as the struct module writes them",
        f'HEADER_FORMAT = "{_struct(profile["data"]["fields"])}"',
        f'SAMPLE_FORMAT = "<{len(profile["data"]["sample"]["values"])}{TYPES[profile["data"]["sample"]["type"]][0]}"',
        f'INFO_FORMAT = "{_struct(profile["info"]["fields"])}"',
        *(
            f'{command["name"].upper()}_FORMAT = "{_struct(command["fields"], "B")}"'
            for command in profile["commands"]
            if "fields" in command
        ),
    ]
    return "\n\n".join([*parts, "\n".join(formats)])


def _python(value: int | str, shown: str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"0x{value:02X}" if shown == "x" else f"{value:_d}"


HOST_MODULE = '''\
"""Constants of RIMU v1, written by hardware/generate.py from hardware/rimu-v1.toml; `make docs`."""

{constants}

# what stands where, for numpy and bleak
HEADER_FIELDS = [{header_fields}]
DEVICE_US_OFFSET = {device_us_offset}
CHARACTERISTICS = (
{characteristics}
)
'''


def host_module(profile: Table) -> str:
    """Return sensor_host/boards/rimu_profile.py."""
    header = profile["data"]["fields"]
    return HOST_MODULE.format(
        constants=python_constants(profile),
        header_fields=", ".join(f'("{field["name"]}", "{TYPES[field["type"]][1]}")' for field in header),
        device_us_offset=_offset(header, "device_us"),
        characteristics="\n".join(
            f"    ({entry['name'].upper()}_UUID, ({json.dumps(entry['properties'])[1:-1]},)),"
            for entry in profile["gatt"]
            if "primary" not in entry["properties"]
        ),
    )


def _offset(fields: list[Table], name: str) -> int:
    (found,) = [field["offset"] for field in fields if field["name"] == name]
    return int(found)


# ---------------------------------------------------------------- C

HEADER = """\
/* Constants of RIMU v1, written by hardware/generate.py from hardware/rimu-v1.toml; `make docs`. */
#ifndef RIMU_PROFILE_H
#define RIMU_PROFILE_H

{constants}

/* UUIDs as the radio sends them: 16 bytes, the last of the text first */
{uuids}

/* standard services */
{standard}

/* where each field begins */
{offsets}

#endif
"""


def c_header(profile: Table) -> str:
    """Return hardware/firmware/core/rimu_profile.h."""
    parts = []
    for title, rows in constants(profile):
        lines = [f"#define RIMU_{name} {_c(value, shown)}" for name, value, shown in rows]
        parts.append("\n".join([f"/* {title} */", *lines]))
    offsets = [
        *(("DATA", field) for field in profile["data"]["fields"]),
        *(("INFO", field) for field in profile["info"]["fields"]),
        *((command["name"].upper(), field) for command in profile["commands"] for field in command.get("fields", [])),
    ]
    return HEADER.format(
        constants="\n\n".join(parts),
        uuids="\n".join(
            f"#define RIMU_{entry['name'].upper()}_UUID_BYTES \\\n    {{ {_uuid_bytes(profile, entry['nnnn'])} }}"
            for entry in profile["gatt"]
        ),
        standard="\n".join(
            f"#define RIMU_{name.upper()}_UUID16 0x{value:04X}u"
            for entry in profile["standard"]
            for name, value in ((f"{entry['name']}_service", entry["service"]), *entry["characteristics"].items())
        ),
        offsets="\n".join(
            f"#define RIMU_{record}_{field['name'].upper()}_OFFSET {field['offset']}u" for record, field in offsets
        ),
    )


def _c(value: int | str, shown: str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    text = f"0x{value:02X}" if shown == "x" else f"{value:d}"
    return text + ("ull" if value > 0xFFFFFFFF else "ul" if value > 0xFFFF else "u")


def _uuid_bytes(profile: Table, nnnn: str) -> str:
    return ", ".join(f"0x{byte:02x}" for byte in reversed(bytes.fromhex(uuid(profile, nnnn).replace("-", ""))))


# ---------------------------------------------------------------- the page


def _rows(head: str, rows: list[str]) -> str:
    return "\n".join([head, re.sub(r"[^|]+", "---", head), *rows])


def gatt_table(profile: Table) -> str:
    """Return the profile's own service and characteristics."""
    rows = [f"| `{row['nnnn']}` | {row['text']} | {', '.join(row['properties'])} |" for row in profile["gatt"]]
    return _rows("| NNNN | What | Properties |", rows)


def data_table(profile: Table) -> str:
    """Return the fields of a data record."""
    data = profile["data"]
    sample = data["sample"]
    rows = [f"| {field['offset']} | {field['type']} | {field['text']} |" for field in data["fields"]]
    repeated = f"{sample['offset']} + {_sample_bytes(profile)} k"
    rows.append(f"| {repeated} | {len(sample['values'])} × {sample['type']} | {sample['text']} |")
    return _rows("| Offset | Type | Meaning |", rows)


def flags_table(profile: Table) -> str:
    """Return the bits of the flags."""
    data = profile["data"]
    rows = [f"| {flag['bit']} | {flag['text']} |" for flag in data["flags"]]
    stream = data["stream"]
    rows.append(f"| {stream['bit']}–{stream['bit'] + stream['bits'] - 1} | {stream['text']} |")
    return _rows("| Bit of flags | Meaning |", rows)


def info_table(profile: Table) -> str:
    """Return the fields of an info record, with what holds for the reference board."""
    rows = []
    for field in profile["info"]["fields"]:
        default = field.get("default")
        shown = "" if default is None else f"`0x{default:02X}`" if field.get("hex") else _grouped(default)
        rows.append(f"| {field['offset']} | {field['type']} | {field['text']} | {shown}{' ' if shown else ''}|")
    return _rows("| Offset | Type | Meaning | LSM6DS3TR-C |", rows)


def _grouped(value: int) -> str:
    return f"{value:,d}" if value > 9999 else f"{value:d}"


def commands_table(profile: Table) -> str:
    """Return the writes to the control characteristic."""
    rows = []
    for command in profile["commands"]:
        written = " ".join([f"{command['code']:02x}", *(field["shown"] for field in command.get("fields", []))])
        rows.append(f"| `{written}` | {command['text']} |")
    return _rows("| Write | Meaning |", rows)


def errors_table(profile: Table) -> str:
    """Return the ATT errors that answer a write."""
    return _rows(
        "| ATT error | Meaning |", [f"| `0x{row['code']:02X}` | {row['text']} |" for row in profile["att_errors"]]
    )


TABLES: dict[str, Callable[[Table], str]] = {
    "gatt": gatt_table,
    "data": data_table,
    "flags": flags_table,
    "info": info_table,
    "commands": commands_table,
    "errors": errors_table,
}


def profile_page(profile: Table) -> str:
    """Return rimu-v1.md with its tables written anew."""
    text = (HARDWARE / "rimu-v1.md").read_text(encoding="utf-8")
    for name, table in TABLES.items():
        text = _between(text, f"<!-- rimu-v1.toml: {name} -->\n", "<!-- rimu-v1.toml: end -->", table(profile))
    return text


CIRCUITPYTHON_START, CIRCUITPYTHON_END = "# rimu-v1.toml: constants\n", "# rimu-v1.toml: end"


def _between(text: str, start: str, end: str, content: str) -> str:
    before, found, rest = text.partition(start)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        sys.exit(f"the lines {start.strip()!r} and {end.strip()!r} are missing")
    return f"{before}{start}{content}\n{end}{after}"


def pages() -> dict[Path, Callable[[], str]]:
    """Return what is written from the profile, and how."""
    profile = load()
    found: dict[Path, Callable[[], str]] = {
        HARDWARE / "rimu-v1.md": lambda: profile_page(profile),
        HARDWARE / "firmware" / "core" / "rimu_profile.h": lambda: c_header(profile),
        ROOT / "sensor_host" / "boards" / "rimu_profile.py": lambda: host_module(profile),
    }
    for path in sorted((HARDWARE / "circuitpython").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if CIRCUITPYTHON_START in text:
            block = _between(text, CIRCUITPYTHON_START, CIRCUITPYTHON_END, python_constants(profile))
            found[path] = lambda block=block: block  # type: ignore[misc]
    return found


PAGES = pages()


def main() -> None:
    """Write or check everything."""
    stale = [path for path, page in PAGES.items() if not path.exists() or path.read_text(encoding="utf-8") != page()]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(path.name for path in stale)}; write them anew with 'make docs'")
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGES[path](), encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
