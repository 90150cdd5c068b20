"""A JSON file in the user's data folder that says by which schema it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from sensor_host import places
from sensor_host.errors import InputError

Kept = TypeVar("Kept", bound=Struct)


class _Head(Struct):
    schema: int


def load(path: Path, kind: type[Kept], newest: int, if_damaged: str) -> Kept:
    """Return what was kept; what ``kind`` is without arguments where there is no file.

    Raises
    ------
    InputError
        When the file is damaged (with what to do then), newer than this program, or cannot be read.
    """
    data = read(path)
    if data is None:
        return kind()
    try:
        schema_of(data, newest, str(path))
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is damaged ({error}): {if_damaged}", path=str(path)) from error


def read(path: Path) -> bytes | None:
    """Return what stands in the file, None where there is none; raises `InputError` when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


def schema_of(data: bytes, newest: int, origin: str) -> int:
    """Return by which schema it was written.

    Raises
    ------
    InputError
        When that is newer than the ``newest`` this program knows; ``origin`` names the file.
    msgspec.MsgspecError
        When it is no JSON, or does not say.
    """
    schema = msgspec.json.decode(data, type=_Head).schema
    if schema > newest:
        text = f"{origin} has schema {schema}; this hipdrive reads up to {newest}: update hipdrive"
        raise InputError(text, path=origin)
    return schema


def save(path: Path, kept: Struct) -> None:
    """Keep it in place of what was kept before.

    Raises
    ------
    OutputError
        When the folder is read-only or the disk full; the old file is then untouched.
    """
    places.replace_file(path, encode(kept))


def encode(kept: Struct) -> bytes:
    """Return it as it stands in a file."""
    return msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n"
