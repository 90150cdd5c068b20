"""What is known about a runner beyond one session: body, calibrations, what was usual in the last runs.

One JSON file per runner in the user's data folder. Its ``version`` rises with every save; the
version a session used is copied into the recording, so that a replay knows what the run knew.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from sensor_host import kept_file, places
from sensor_host.errors import InputError

# 2: runs, of which the coach's baselines are made; 1 had a place for the baselines themselves, which nothing wrote
PROFILE_SCHEMA = 2

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


class Usual(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a metric was in one run while nothing was wrong; without any calibration of contact time.

    Median and spread of single steps of one ``side`` (unknown: of both) at ``speed_mps``, None where no source of speed
    was there.
    """

    metric: Text
    side: Literal["left", "right", "unknown"] = "unknown"
    speed_mps: Annotated[float, Meta(ge=0, le=15)] | None = None
    median: float
    sd: Annotated[float, Meta(ge=0)]
    steps: Annotated[int, Meta(ge=1)]


class KnownRun(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run adds to the coach's baselines, measured with the event models of version ``models``."""

    session: Text
    start_utc: Text
    models: Text
    usual: tuple[Usual, ...]


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A runner. ``schema`` is that of the file, ``version`` counts its saves (0: never saved).

    ``runs`` in the order of time; ``coached_runs`` of the plan whose cues fade are done.
    """

    schema: int = PROFILE_SCHEMA
    version: Annotated[int, Meta(ge=0)] = 0
    runner: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)] = "runner"
    mass_kg: Annotated[float, Meta(ge=20, le=250)] | None = None
    height_m: Annotated[float, Meta(ge=1.0, le=2.5)] | None = None
    calibrations: tuple[Calibration, ...] = ()
    runs: tuple[KnownRun, ...] = ()
    coached_runs: Annotated[int, Meta(ge=0)] = 0


def encode(profile: Profile) -> bytes:
    """Return the profile as it stands in its file and in recordings."""
    return kept_file.encode(profile)


def decode(data: bytes, origin: str) -> Profile:
    """Return the profile in ``data``.

    Raises
    ------
    InputError
        When it is damaged, out of range or written by a newer program; ``origin`` names it.
    """
    try:
        if kept_file.schema_of(data, PROFILE_SCHEMA, origin) > 1:
            return msgspec.json.decode(data, type=Profile)
        table = msgspec.json.decode(data, type=dict[str, object])
        table.pop("baselines", None)
        return msgspec.convert({**table, "schema": PROFILE_SCHEMA}, Profile)
    except msgspec.MsgspecError as error:
        raise InputError(f"{origin} is no runner's profile: {error}", path=origin) from error


def load(runner: str) -> Profile:
    """Return the runner's profile; a new one where none was saved.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    path = places.profile_path(runner)
    data = kept_file.read(path)
    if data is None:
        return Profile(runner=runner)
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
