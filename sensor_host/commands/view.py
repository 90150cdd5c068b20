"""``hipdrive view``: the plot window."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import resolve

if TYPE_CHECKING:
    from sensor_host.config import MqttConfig
    from sensor_host.view.wire import Find


@click.command(short_help="Show runs in a window, live or from a recording.")
@click.argument("recordings", metavar="[RECORDING [RECORDING]]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--broker", metavar="URL", help="Listen there: mqtt(s)://[user@]host[:port]; else on this computer.")
@click.option("--runner", metavar="NAME", help="Show this runner only; else everybody who runs.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Use this settings file (TOML) in place of your own.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one option, as in --set mqtt.topic_root=club."
)
def command(
    *,
    recordings: Sequence[Path],
    broker: str | None,
    runner: str | None,
    config_file: Path | None,
    settings: Sequence[str],
) -> None:
    """Show runs in a window while they happen: waveforms, contacts, figures.

    The window listens to MQTT, as anybody may: it disturbs no run, it may be
    opened late, closed early, and on another machine. Without --broker it
    waits for a run on this computer. The key ? shows what the keys do.

    With a recording (or a CSV file, as for analyze) it shows that one: to move
    along, play, repeat, and compare sections; with two, one with the other.
    """
    if recordings:
        if broker is not None or runner is not None:
            raise click.UsageError("--broker and --runner are for runs that happen now, not for recordings")
        if len(recordings) > 2:
            raise click.UsageError("at most two recordings can be shown")
        _replay(recordings)
        return
    from sensor_host.config import words_in_use
    from sensor_host.view.display import check_display

    config = resolve(config_file, runner, settings, ("--broker", "mqtt.broker", broker)).config
    find = _where(config.mqtt)
    check_display()

    from sensor_host.view.app import show_live

    show_live(
        find,
        password_env=config.mqtt.password_env,
        runner=config.runner.name if runner is not None else "",
        words=words_in_use(config),
    )


def _replay(recordings: Sequence[Path]) -> None:
    from sensor_host.view.display import check_display
    from sensor_host.view.loading import Loading

    with ExitStack() as opened:
        # they are read while Qt is: both take as long
        loadings = [opened.enter_context(Loading(path)) for path in recordings]
        check_display()

        from sensor_host.view.app import show_replay

        show_replay(loadings)


def _where(mqtt: MqttConfig) -> Find:
    """Return how the broker is found.

    Raises
    ------
    ConfigError
        The configured one is none.
    """
    from sensor_host.broker_client import BrokerAddress
    from sensor_host.errors import ConfigError
    from sensor_host.runtime import find_broker
    from sensor_host.view.wire import Place

    if mqtt.broker == "off":
        raise ConfigError("the window listens to MQTT, which is off (mqtt.broker): name a broker with --broker")
    if mqtt.broker != "embedded":
        place = Place(BrokerAddress.parse(mqtt.broker), mqtt.topic_root)
        return lambda: place

    def embedded() -> Place | None:
        record = find_broker()
        return None if record is None else Place(BrokerAddress.parse(record.url), record.topic_root)

    return embedded
