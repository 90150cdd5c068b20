"""From files, environment and flags to one checked `Config`, and where each value came from.

Later layers win: defaults < user's file < runner's file < environment < flags. Each value is
judged on its own, so that an error names its dotted path, its origin and what would be valid.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, cast, get_args, get_origin

import msgspec

from sensor_host import places
from sensor_host.coaching import coaching
from sensor_host.config import Config, Section, words_in_use
from sensor_host.errors import ConfigError
from sensor_host.phrases import MAX_WORDS
from sensor_host.runners import Profile

if TYPE_CHECKING:
    from pelvis.pipeline import Settings as CoreSettings

ENVIRONMENT_PREFIX = "HIPDRIVE_"
DEFAULT = "default"

# what a recording decides about its replay: who ran with which sensor and what the coach was told;
# where the replay is heard, shown and published is decided by the one who replays
RECORDED_SECTIONS = ("runner", "sensor", "simulation", "cues")

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"
Table: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings of one origin, or of the origin that ``names`` gives for a path.

    ``text`` says that every value is text still to be read (environment, flags).
    """

    origin: str
    table: Table
    text: bool = False
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def origin_of(self, path: str) -> str:
        return self.names.get(path, self.origin)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The configuration in force, and for every dotted path the origin of its value."""

    config: Config
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting given on the command line: ``--broker`` sets ``mqtt.broker``."""

    flag: str
    path: str
    value: str


def load(
    *,
    flags: Sequence[Flag] = (),
    file: Path | None = None,
    recorded: bytes | None = None,
    coach: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Resolved:
    """Resolve the configuration.

    Parameters
    ----------
    flags
        What the command line says; the last one wins.
    file
        A file to use in place of the user's own; it must exist.
    recorded
        The configuration of a recording (JSON) that is replayed. Its `RECORDED_SECTIONS` win over
        all but ``file`` and ``flags``.
    coach
        A file that holds what stands in ``[cues]`` elsewhere, its tables as ``[[rules]]``; it wins over everything.
    environment
        In place of the process's own.

    Raises
    ------
    ConfigError
        At the first value that is wrong; its text names path, origin and the nearest valid one.
    """
    layers = list(_layers(flags, file, recorded, os.environ if environment is None else environment))
    if coach is not None:
        layers.append(Layer(str(coach), {"cues": _from_file(coach).table}))
    first = next(problems(layers), None)
    if first is not None:
        raise first
    return _resolve(layers)


def recorded_config(recorded: bytes) -> Config:
    """Return the configuration of a recording: what it decides over the defaults, nothing of the user's own.

    Raises
    ------
    ConfigError
        When it cannot be read or holds what is not valid any more.
    """
    layers = [_from_recording(recorded)]
    first = next(problems(layers), None)
    if first is not None:
        raise first
    return _resolve(layers).config


def core_settings(config: Config, profile: Profile, *, motion: bool, coached: bool = True) -> CoreSettings:
    """Return what the core is told; ``motion`` asks for continuous motion as well, ``coached`` for cues."""
    from pelvis.pipeline import Settings
    from sensor_host.baselines import baselines_of
    from sensor_host.calibration import moved, personal_of
    from sensor_host.shown import SHOWN

    personal = personal_of(profile, calibrated=config.runner.calibrated)
    if not coached or not config.cues.enabled:
        return Settings(motion=motion, personal=personal)
    cues, rules = coaching(config.cues)
    # baselines are kept without calibration; what is measured now is with it
    known = moved(personal, baselines_of(profile))
    plan_run = profile.coached_runs + 1 if config.cues.plan else 0
    cues = replace(cues, baselines=known, plan_run=plan_run, watched=tuple(metric.name for metric in SHOWN))
    return Settings(motion=motion, personal=personal, cues=cues, rules=rules)


def check(*, file: Path | None = None, environment: Mapping[str, str] | None = None) -> list[ConfigError]:
    """Return everything that is wrong with the files and the environment; empty when nothing is.

    Raises
    ------
    ConfigError
        When a file cannot be read at all.
    """
    layers = list(_layers((), file, None, os.environ if environment is None else environment))
    return list(problems(layers))


def values(config: Config) -> dict[str, object]:
    """Return every setting by its dotted path, in the order of the configuration."""
    found: dict[str, object] = {}
    for section in msgspec.structs.fields(Config):
        table: Section = getattr(config, section.name)
        for setting in msgspec.structs.fields(table):
            found[f"{section.name}.{setting.name}"] = getattr(table, setting.name)
    return found


def encode(config: Config) -> bytes:
    """Return the configuration as JSON, as it is kept in a recording."""
    return msgspec.json.encode(config)


# ---------------------------------------------------------------- layers


def _layers(
    flags: Sequence[Flag], file: Path | None, recorded: bytes | None, environment: Mapping[str, str]
) -> Iterator[Layer]:
    """Yield the layers from the weakest to the strongest."""
    given = [_from_flags(flags)]
    if file is not None and recorded is not None:
        given.insert(0, _from_file(file))
    base: list[Layer] = []
    if file is not None and recorded is None:
        base.append(_from_file(file))
    elif places.user_config_path().exists():
        base.append(_from_file(places.user_config_path()))
    from_environment = _from_environment(environment)
    recording = [_from_recording(recorded)] if recorded is not None else []
    runner = _runner_name([*base, from_environment, *recording, *given])
    yield from base
    path = places.runner_config_path(runner)
    if path.exists():
        yield _from_file(path)
    yield from_environment
    yield from recording
    yield from given


def _from_file(path: Path) -> Layer:
    try:
        with path.open("rb") as file:
            return Layer(str(path), tomllib.load(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", path=str(path)) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


def _from_recording(recorded: bytes) -> Layer:
    """Return what a recording decides; what this version does not know is left out, so that old files stay usable."""
    try:
        table = cast("dict[str, dict[str, Value]]", msgspec.json.decode(recorded, type=dict[str, dict[str, object]]))
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the recording's configuration cannot be read: {error}") from error
    kept: dict[str, Value] = {}
    known = values(Config())
    for section in RECORDED_SECTIONS:
        if section in table:
            kept[section] = {key: value for key, value in table[section].items() if f"{section}.{key}" in known}
    return Layer("recording", kept)


def _from_environment(environment: Mapping[str, str]) -> Layer:
    table: dict[str, dict[str, Value]] = {}
    names: dict[str, str] = {}
    for name in sorted(environment):
        # one underscore: another variable of ours (a password); two: a setting
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            section, _, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            table.setdefault(section, {})[key] = environment[name]
            names[f"{section}.{key}"] = name
    return Layer("environment", table, text=True, names=names)


def _from_flags(flags: Sequence[Flag]) -> Layer:
    table: dict[str, dict[str, Value]] = {}
    names: dict[str, str] = {}
    for flag in flags:
        section, dot, key = flag.path.partition(".")
        if not dot:
            raise ConfigError(f"{flag.flag} {flag.path}: a setting is named section.key, as in mqtt.port")
        table.setdefault(section, {})[key] = flag.value
        names[flag.path] = flag.flag
    return Layer("flag", table, text=True, names=names)


def _runner_name(layers: Sequence[Layer]) -> str:
    """Return the runner's name before anything is checked, for it decides which file is read."""
    name: Value = Config().runner.name
    for layer in layers:
        section = layer.table.get("runner")
        if isinstance(section, Mapping):
            name = section.get("name", name)
    # a name that is no name names no file; it is refused when the layers are checked
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) else Config().runner.name


# ---------------------------------------------------------------- judging


def problems(layers: Sequence[Layer]) -> Iterator[ConfigError]:
    """Yield everything that is wrong with the layers, from the weakest on, then what does not fit together."""
    sound = True
    for layer in layers:
        for problem in _judge_table(Config, layer, layer.table, ""):
            sound = False
            yield problem
    if sound:
        yield from _judge_whole(_resolve(layers))


def _judge_table(section: type[Section], layer: Layer, table: Table, path: str) -> Iterator[ConfigError]:
    fields = {setting.name: setting for setting in msgspec.structs.fields(section)}
    for key, value in table.items():
        name = f"{path}{key}"
        if key not in fields:
            yield _unknown(name, path, key, list(fields), layer)
            continue
        inner = _section_type(fields[key].type)
        if inner is None:
            yield from _judge_value(fields[key].type, layer, value, name)
        elif isinstance(value, Mapping):
            yield from _judge_table(inner, layer, value, f"{name}.")
        else:
            yield ConfigError(f"{name} must be a table [{name}] ({layer.origin_of(name)})", path=name)
    if path.count("[") and not layer.text:
        missing = [key for key, setting in fields.items() if setting.required and key not in table]
        if missing:
            yield ConfigError(f"{path}{missing[0]} is missing ({layer.origin_of(path)})", path=f"{path}{missing[0]}")


def _judge_value(kind: object, layer: Layer, value: Value, name: str) -> Iterator[ConfigError]:
    row = _row_type(kind)
    if row is not None and isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            if isinstance(item, Mapping):
                yield from _judge_table(row, layer, item, f"{name}[{number}].")
            else:
                yield ConfigError(f"{name}[{number}] must be a table [[{name}]] ({layer.origin_of(name)})", path=name)
        return
    try:
        _read(kind, value, text=layer.text)
    except ValueError:  # msgspec's ValidationError is one
        must, near = _allowed(kind, value)
        shown = msgspec.json.encode(value).decode() if isinstance(value, str | int | float | bool) else "this"
        suggestion = f"; nearest: {near}" if near else ""
        yield ConfigError(
            f"{name} = {shown} ({layer.origin_of(name)}): it must be {must}{suggestion}", path=name, suggestion=near
        )


def _judge_whole(resolved: Resolved) -> Iterator[ConfigError]:
    config, origins = resolved.config, resolved.origins
    for section, link in (("sensor", config.sensor), ("heart_rate", config.heart_rate)):
        if link.reconnect_min_s > link.reconnect_max_s:
            path = f"{section}.reconnect_min_s"
            yield ConfigError(
                f"{path} = {link.reconnect_min_s:g} ({origins[path]}): "
                f"it must not exceed {section}.reconnect_max_s = {link.reconnect_max_s:g}",
                path=path,
                suggestion=f"{link.reconnect_max_s:g}",
            )
    if config.sensor.board != Config().sensor.board:
        from sensor_host.boards import AUTO, keys_of  # boards are heavy; most leave it at auto

        known = [AUTO, *keys_of("motion")]
        if config.sensor.board not in known:
            near = _nearest(config.sensor.board, known)
            yield ConfigError(
                f'sensor.board = "{config.sensor.board}" ({origins["sensor.board"]}): it must be one of '
                f"{', '.join(known)}{f'; nearest: {near}' if near else ''}",
                path="sensor.board",
                suggestion=near,
            )
    yield from _judge_cues(config, origins)


def _judge_cues(config: Config, origins: Mapping[str, str]) -> Iterator[ConfigError]:
    if config.cues.exit_z > config.cues.enter_z:
        yield ConfigError(
            f"cues.exit_z = {config.cues.exit_z:g} ({origins['cues.exit_z']}): "
            f"it must not exceed cues.enter_z = {config.cues.enter_z:g}",
            path="cues.exit_z",
            suggestion=f"{config.cues.enter_z:g}",
        )
    for phrase, words in config.cues.phrases.items():
        if not 1 <= len(words.split()) <= MAX_WORDS:
            path = f"cues.phrases.{phrase}"
            yield ConfigError(
                f'{path} = "{words}" ({origins["cues.phrases"]}): a phrase has one to {MAX_WORDS} words, '
                f"more are not heard while running",
                path=path,
            )
    if config.sound.sonify:
        from sensor_host.sonification import can_be_sonified

        if config.sound.sonify not in can_be_sonified():
            near = _nearest(config.sound.sonify, list(can_be_sonified()))
            hint = f"; did you mean {near}?" if near else "."
            yield ConfigError(
                f'sound.sonify = "{config.sound.sonify}" ({origins["sound.sonify"]}) is neither "contacts" nor a '
                f"metric{hint} See docs/metrics.md",
                path="sound.sonify",
                suggestion=near,
            )
    for number, rule in enumerate(config.cues.rules):
        from pelvis.cues import DERIVED  # the core is heavy; most have no rules of their own
        from pelvis.metrics import METRICS

        known_phrases = list(words_in_use(config))
        for key, phrase in (("phrase", rule.phrase), ("alternate", rule.alternate)):
            if phrase and phrase not in known_phrases:
                path = f"cues.rules[{number}].{key}"
                near = _nearest(phrase, known_phrases)
                hint = f"; did you mean {near}?" if near else "."
                yield ConfigError(
                    f'{path} = "{phrase}" ({origins["cues.rules"]}) is no phrase{hint} '
                    f'One of your own is given words in [cues.phrases]: {phrase} = "..."',
                    path=path,
                    suggestion=near,
                )
        if not (rule.phrase or rule.metronome_s):
            path = f"cues.rules[{number}].phrase"
            yield ConfigError(f"{path} is missing ({origins['cues.rules']}): a rule says something", path=path)
        if not rule.when:
            path = f"cues.rules[{number}].when"
            yield ConfigError(f"{path} is empty ({origins['cues.rules']}): a rule is of some metric", path=path)
        for place, term in enumerate(rule.when):
            if term.metric not in METRICS and term.metric not in DERIVED:
                path = f"cues.rules[{number}].when[{place}].metric"
                near = _nearest(term.metric, [*METRICS, *DERIVED])
                hint = f"; did you mean {near}?" if near else ""
                yield ConfigError(
                    f'{path} = "{term.metric}" ({origins["cues.rules"]}) is no metric{hint}', path=path, suggestion=near
                )


def _unknown(name: str, path: str, key: str, known: Sequence[str], layer: Layer) -> ConfigError:
    near = _nearest(key, known)
    if near:
        hint = f"did you mean {path}{near}?"
    elif path:
        hint = f"{path.rstrip('.')} has {', '.join(known)}"
    else:
        hint = f"there are {', '.join(known)}"
    return ConfigError(
        f"{name} is no setting ({layer.origin_of(name)}); {hint}", path=name, suggestion=f"{path}{near}" if near else ""
    )


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return near[0] if near else ""


# ---------------------------------------------------------------- types


def _section_type(kind: object) -> type[Section] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _row_type(kind: object) -> type[Section] | None:
    """Return the section of an array of tables, None for anything else."""
    return _section_type(get_args(kind)[0]) if get_origin(kind) is tuple else None


def _read(kind: object, value: Value, *, text: bool) -> object:
    """Return the value in its type; ValueError when it is none."""
    if text and isinstance(value, str):
        if get_origin(kind) in (tuple, dict):
            return msgspec.json.decode(value, type=kind)
        word = value.strip().lower()
        if kind is bool and word in {"on", "yes", "off", "no"}:
            return word in {"on", "yes"}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    read = msgspec.convert(value, kind, strict=not text)
    if isinstance(read, float) and not math.isfinite(read):
        raise ValueError(value)
    return read


def _allowed(kind: object, value: Value) -> tuple[str, str]:
    """Return what the type allows, in words, and the valid value nearest to ``value`` ("" when there is none)."""
    metas: list[msgspec.Meta] = []
    if get_origin(kind) is Annotated:
        kind, *rest = get_args(kind)
        metas = [meta for meta in rest if isinstance(meta, msgspec.Meta)]
    if get_origin(kind) is Literal:
        words = [str(word) for word in get_args(kind)]
        return f"one of {', '.join(words)}", _nearest(str(value), words)
    if kind is bool:
        return "true or false", ""
    if kind is int or kind is float:
        return _allowed_number(kind, metas[0] if metas else msgspec.Meta(), value)
    if kind is str and any(meta.pattern for meta in metas):
        near = re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")[:64]
        return "lower-case letters, digits and dashes", near
    if get_origin(kind) is dict:
        return "a table of texts", ""
    return "text" if kind is str else "a list of tables", ""


def _allowed_number(kind: type, meta: msgspec.Meta, value: Value) -> tuple[str, str]:
    noun = "a whole number" if kind is int else "a number"
    low, high = (meta.ge if meta.ge is not None else meta.gt), (meta.le if meta.le is not None else meta.lt)
    above = "above " if meta.gt is not None else "from "
    if low is not None and high is not None:
        must = f"{noun} {above}{low:g} to {high:g}"
    elif low is not None:
        must = f"{noun} {above}{low:g} on"
    else:
        must = noun
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return must, ""
    if math.isnan(number):
        return must, ""
    if high is not None and number > high:
        return must, f"{high:g}"
    if meta.ge is not None and number < meta.ge:
        return must, f"{meta.ge:g}"
    # an open lower end has no nearest value; a whole number has one
    return must, str(round(number)) if kind is int and math.isfinite(number) else ""


# ---------------------------------------------------------------- resolving


def _resolve(layers: Sequence[Layer]) -> Resolved:
    merged: dict[str, dict[str, object]] = {}
    origins = dict.fromkeys(values(Config()), DEFAULT)
    for section in msgspec.structs.fields(Config):
        kinds = {setting.name: setting.type for setting in msgspec.structs.fields(section.type)}
        for layer in layers:
            table = layer.table.get(section.name, {})
            assert isinstance(table, Mapping)
            for key, value in table.items():
                merged.setdefault(section.name, {})[key] = _read(kinds[key], value, text=layer.text)
                origins[f"{section.name}.{key}"] = layer.origin_of(f"{section.name}.{key}")
    return Resolved(msgspec.convert(merged, Config, from_attributes=True), origins)


def toml_value(value: object) -> str:
    """Return a setting as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Section):
        table = msgspec.structs.asdict(value)
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in table.items()) + " }"
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return "{ " + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in entries.items()) + " }"
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return "[" + ", ".join(toml_value(item) for item in items) + "]"
    # a JSON string is a TOML basic string, a JSON number a TOML number
    return msgspec.json.encode(value).decode()
