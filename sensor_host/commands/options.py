"""Options that several commands share: where the configuration comes from, and how long a run lasts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sensor_host.runners import Profile
    from sensor_host.settings import Resolved

Command = TypeVar("Command", bound=Callable[..., Any])

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time span in seconds: 90, 90s, 1m30s, 5m, 1h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smh]?)", text)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
            self.fail(f"{value!r} is no time span; write 90, 90s, 5m or 1h", param, ctx)
        return seconds


DURATION = Duration()

SENSOR = click.option(
    "--sensor", "which", metavar="WHICH", help="Take this one: a nickname, a name or an address (hipdrive scan)."
)

NO_CALIBRATION = click.option(
    "--no-calibration", is_flag=True, help="Measure as for anybody: leave the runner's calibrations aside."
)


@dataclass(frozen=True, slots=True)
class Belt:
    """A treadmill's speed: all the time, or from ``start_s`` to ``end_s`` of the session."""

    speed_mps: float
    start_s: float = 0.0
    end_s: float = math.inf


class BeltSpeed(click.ParamType[Belt]):
    """A treadmill's speed in m/s: 3.2, or with seconds of the session 3.2@60-120."""

    name = "m/s"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Belt:
        if isinstance(value, Belt):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:@(\d+(?:\.\d+)?)s?-(\d+(?:\.\d+)?)s?)?", str(value).strip())
        if found is None:
            self.fail(f"{value!r}: write m/s as in 3.2, or with seconds of the session as in 3.2@60-120", param, ctx)
        speed_mps = float(found[1])
        # a brisk walk to a sprint; 12 is a speed in km/h
        if not 1.0 <= speed_mps <= 10.0:
            self.fail(f"{value!r}: {speed_mps:g} m/s is no running speed; 12 km/h are 3.33 m/s", param, ctx)
        if found[2] is None:
            return Belt(speed_mps)
        start_s, end_s = float(found[2]), float(found[3])
        if end_s <= start_s:
            self.fail(f"{value!r}: the end must lie behind the beginning", param, ctx)
        return Belt(speed_mps, start_s, end_s)


BELT_SPEED = BeltSpeed()


def check_belts(belts: Sequence[Belt]) -> list[Belt]:
    """Return the belts in the order of time.

    Raises
    ------
    click.UsageError
        When two of them speak of the same time.
    """
    ordered = sorted(belts, key=lambda belt: belt.start_s)
    for before, after in pairwise(ordered):
        if after.start_s < before.end_s:
            raise click.UsageError(
                f"--speed {before.speed_mps:g} and {after.speed_mps:g} speak of the same time; "
                "say which is when, as in 3.0@60-120"
            )
    return ordered


def config_options(command: Command) -> Command:
    """Add the options by which a command's configuration is told: --config, --runner, --set."""
    for option in reversed(
        [
            click.option(
                "--config",
                "config_file",
                type=click.Path(path_type=Path),
                help="Use this settings file (TOML) in place of your own.",
            ),
            click.option("--runner", metavar="NAME", help="Who runs: the profile and settings of that name are used."),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help="Set one option, as in --set mqtt.port=1883. May be given several times.",
            ),
        ]
    ):
        command = option(command)
    return command


def resolve(
    config_file: Path | None,
    runner: str | None,
    settings: Sequence[str],
    *flags: tuple[str, str, object],
    recorded: bytes | None = None,
    coach: Path | None = None,
) -> Resolved:
    """Return the configuration; ``flags`` are (flag, dotted path, value), left out where the value is None.

    ``recorded`` and ``coach`` as in `sensor_host.settings.load`.

    Raises
    ------
    ConfigError
        When a value is wrong.
    """
    from sensor_host.settings import Flag, load

    given: list[Flag] = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set {setting}: write KEY=VALUE, as in --set mqtt.port=1883")
        given.append(Flag("--set", path.strip(), text))
    for flag, path, value in (("--runner", "runner.name", runner), *flags):
        if value is not None:
            given.append(Flag(flag, path, str(value)))
    return load(flags=given, file=config_file, recorded=recorded, coach=coach)


def known_profile(runner: str) -> Profile:
    """Return the profile of a runner who has one.

    Raises
    ------
    ConfigError
        When the name is none, or there is no such runner.
    """
    from sensor_host.errors import ConfigError
    from sensor_host.runners import load

    profile = load(resolve(None, runner, ()).config.runner.name)
    if profile.version == 0:
        raise ConfigError(
            f"there is no runner {runner} yet: a run makes one, and so do hipdrive calibrate and hipdrive runner learn"
        )
    return profile


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What every command is told that runs a session: where it is heard, shown, published and kept."""

    broker: str | None = None
    no_sound: bool = False
    no_console: bool = False
    page: bool = False
    page_lan: bool = False
    view: bool = False
    no_calibration: bool = False
    summary: Path | None = None
    as_json: bool = False
    config_file: Path | None = None
    runner: str | None = None
    settings: tuple[str, ...] = ()

    def resolve(
        self, *flags: tuple[str, str, object], recorded: bytes | None = None, coach: Path | None = None
    ) -> Resolved:
        """Return the configuration as `resolve` does, with these options and the command's own ``flags``."""
        page = ("--page-lan", "lan") if self.page_lan else ("--page", "local" if self.page else None)
        return resolve(
            self.config_file,
            self.runner,
            self.settings,
            ("--broker", "mqtt.broker", self.broker),
            ("--no-calibration", "runner.calibrated", "false" if self.no_calibration else None),
            (page[0], "page.serve", page[1]),
            *flags,
            recorded=recorded,
            coach=coach,
        )


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that runs a session; it gets them as ``shared``, a `SessionOptions`."""
    names = [field.name for field in fields(SessionOptions)]

    @wraps(command)
    def gathered(**given: Any) -> None:
        command(shared=SessionOptions(**{name: given.pop(name) for name in names}), **given)

    wrapped = gathered
    for option in reversed(
        [
            click.option(
                "--broker",
                metavar="URL",
                help="MQTT broker: embedded (the default), off, or mqtt(s)://[user@]host[:port].",
            ),
            click.option("--no-sound", is_flag=True, help="Play nothing."),
            click.option("--no-console", is_flag=True, help="Show no live table."),
            click.option("--page", is_flag=True, help="Serve the page for a browser of this computer."),
            click.option("--page-lan", is_flag=True, help="Serve the page for phones in this network, too."),
            click.option("--view", is_flag=True, help="Open the plot window; it stays when the run ends."),
            NO_CALIBRATION,
            click.option("--summary", type=click.Path(path_type=Path), help="Write the summary here (JSON)."),
            click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and no live table."),
        ]
    ):
        wrapped = option(wrapped)
    return config_options(wrapped)
