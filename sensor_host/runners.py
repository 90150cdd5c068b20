"""What is known about a runner beyond one session: body, calibrations, baselines.

One JSON file per runner in the user's data folder. Its ``version`` rises with every save; the
version a session used is copied into the recording, so that a replay knows what the run knew.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from sensor_host import places
from sensor_host.errors import InputError

PROFILE_SCHEMA = 1

Text: TypeAlias = Annotated[str, Meta(max_length=200)]


class Calibration(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something measured once to be used later; ``values`` carry units in their names.

    ``contact_time`` holds what contact time lacked to agree with ``reference``; ``speed`` how the runner ran at a known
    speed; ``cadence_check`` what was counted and found, which corrects nothing. ``detail`` says more of the reference,
    such as its file. ``steps`` of ``session`` went into it, found by the event models of version ``models``: with
    others it does not hold.
    """

    kind: Literal["contact_time", "speed", "cadence_check"]
    measured_utc: Text
    values: dict[str, float]
    reference: Text = ""
    detail: Text = ""
    session: Text = ""
    models: Text = ""
    steps: Annotated[int, Meta(ge=0)] = 0


class Baseline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a metric is in this runner at this speed when nothing is wrong; without any calibration of contact time."""

    metric: Text
    speed_mps: Annotated[float, Meta(ge=0, le=15)]
    mean: float
    sd: Annotated[float, Meta(ge=0)]
    steps: Annotated[int, Meta(ge=0)]
    runs: Annotated[int, Meta(ge=0)]


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A runner. ``schema`` is that of the file, ``version`` counts its saves (0: never saved).

    ``coached_runs`` of the plan whose cues fade are done.
    """

    schema: int = PROFILE_SCHEMA
    version: Annotated[int, Meta(ge=0)] = 0
    runner: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)] = "runner"
    mass_kg: Annotated[float, Meta(ge=20, le=250)] | None = None
    height_m: Annotated[float, Meta(ge=1.0, le=2.5)] | None = None
    calibrations: tuple[Calibration, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    coached_runs: Annotated[int, Meta(ge=0)] = 0


def encode(profile: Profile) -> bytes:
    """Return the profile as it stands in its file and in recordings."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n"


def decode(data: bytes, origin: str) -> Profile:
    """Return the profile in ``data``.

    Raises
    ------
    InputError
        When it is damaged, out of range or written by a newer program; ``origin`` names it.
    """
    try:
        if (schema := msgspec.json.decode(data, type=_Head).schema) > PROFILE_SCHEMA:
            raise InputError(
                f"{origin} has schema {schema}; this hipdrive reads up to {PROFILE_SCHEMA}: update hipdrive",
                path=origin,
            )
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError as error:
        raise InputError(f"{origin} is no runner's profile: {error}", path=origin) from error


class _Head(Struct):
    schema: int


def load(runner: str) -> Profile:
    """Return the runner's profile; a new one where none was saved.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    path = places.profile_path(runner)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Profile(runner=runner)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    profile = decode(data, str(path))
    if profile.runner != runner:
        raise InputError(f"{path} is the profile of {profile.runner}, not of {runner}", path=str(path))
    return profile


def save(profile: Profile) -> Profile:
    """Write the profile as its next version and return that; a reader sees the old file or the new one, never a part.

    Raises
    ------
    OutputError
        When the folder is read-only or the disk full; the old file is then untouched.
    """
    following = msgspec.structs.replace(profile, schema=PROFILE_SCHEMA, version=profile.version + 1)
    places.replace_file(places.profile_path(profile.runner), encode(following))
    return following
