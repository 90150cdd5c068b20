"""Options that several commands share: where the configuration comes from, and how long a run lasts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
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
) -> Resolved:
    """Return the configuration; ``flags`` are (flag, dotted path, value), left out where the value is None.

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
    return load(flags=given, file=config_file, recorded=recorded)


def session_options(command: Command) -> Command:
    """Add what every command has that runs a session: where it is heard, shown, published and kept."""
    for option in reversed(
        [
            click.option(
                "--broker",
                metavar="URL",
                help="MQTT broker: embedded (the default), off, or mqtt(s)://[user@]host[:port].",
            ),
            click.option("--no-sound", is_flag=True, help="Play nothing."),
            click.option("--no-console", is_flag=True, help="Show no live table."),
            click.option("--summary", type=click.Path(path_type=Path), help="Write the summary here (JSON)."),
            click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and no live table."),
        ]
    ):
        command = option(command)
    return config_options(command)
