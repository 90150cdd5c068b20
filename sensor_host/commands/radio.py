"""The sensors of a live run: which ones, put together as one source, remembered afterwards."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from sensor_host import known_sensors
from sensor_host.boards import unfit
from sensor_host.config import Config, HeartRateConfig, SensorConfig
from sensor_host.errors import HipdriveError
from sensor_host.known_sensors import KnownSensors
from sensor_host.ports import Role, Source
from sensor_host.scan import Found
from sensor_host.sources.ble import BleSource
from sensor_host.sources.together import Together

OFF, ANY = "off", "any"


class Radio:
    """The sensors of a live run.

    Parameters
    ----------
    config
        Which ones, and how patient to be with them.
    known
        What is remembered of sensors.

    Attributes
    ----------
    source
        Gives their arrivals.
    warnings
        What did not work out, to be said when the run is over.

    Raises
    ------
    ConfigError
        When the board is none.
    """

    def __init__(self, config: Config, known: KnownSensors) -> None:
        self.warnings: list[str] = []
        self._runner = config.runner.name
        # two sensors may be remembered at the same time, each in a thread of its own
        self._saving = threading.Lock()
        connected = asyncio.Event()
        clip = open_sensor(config, known, remember=partial(self.remember, Role.PELVIS))
        self.source: Source = clip
        if config.heart_rate.which.lower() != OFF:
            strap = BleSource(
                _strap(config.heart_rate, known, self._runner),
                Role.HEART_RATE,
                optional=True,
                first=connected,
                remember=partial(self.remember, Role.HEART_RATE),
            )
            self.source = Together(clip, strap, connected=connected)

    def remember(self, role: str, found: Found) -> None:
        """Write down that the runner uses this sensor; one that cannot measure running is taken on request only."""
        if unfit([found.board]):
            return
        try:
            with self._saving:
                known = known_sensors.load().used(
                    self._runner,
                    role,
                    address=found.sighting.address,
                    name=found.sighting.name,
                    board=found.board,
                    when_utc=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                )
                known_sensors.save(known)
        except HipdriveError as error:
            self.warnings.append(f"{found.sighting.label} is not remembered: {error}")


def open_sensor(
    config: Config,
    known: KnownSensors,
    *,
    remember: Callable[[Found], None] = lambda _: None,
    dense: bool = False,
) -> BleSource:
    """Return the sensor at the pelvis; while it is looked for, the user is told so. ``dense`` as of `BleSource`.

    Raises
    ------
    ConfigError
        When the board is none.
    """
    wanted = replace(config.sensor, which=known.resolve(config.sensor.which))
    named = config.sensor.which or "the sensor"
    looking = f"looking for {named}, up to {wanted.scan_timeout_s:g} s: switch it on, bring it near"
    return BleSource(
        wanted,
        last=known.last_of(config.runner.name, Role.PELVIS),
        looking=lambda: _say(looking),
        tell=lambda found: _say(_found(found, known)),
        dense=dense,
        remember=remember,
    )


def recall() -> KnownSensors:
    """Return what is remembered of sensors; a file that cannot be read is worth a warning, no more."""
    try:
        return known_sensors.load()
    except HipdriveError as error:
        print(f"hipdrive: warning: no sensor is remembered: {error}", file=sys.stderr)
        return KnownSensors()


def _strap(config: HeartRateConfig, known: KnownSensors, runner: str) -> SensorConfig:
    """Return how the strap is looked for. Once one was used, any other may be another runner's."""
    which = known.last_of(runner, Role.HEART_RATE) if config.which.lower() == ANY else known.resolve(config.which)
    return SensorConfig(
        which=which,
        scan_timeout_s=config.scan_timeout_s,
        watchdog_s=config.watchdog_s,
        reconnect_min_s=config.reconnect_min_s,
        reconnect_max_s=config.reconnect_max_s,
    )


def _found(found: Found, known: KnownSensors) -> str:
    sighting = found.sighting
    sensor = known.at(sighting.address)
    name = f"{sensor.nickname} ({sighting.label})" if sensor is not None and sensor.nickname else sighting.label
    why = f"; {found.why}" if found.why else ""
    signal = "still connected" if sighting.rssi_dbm is None else f"{sighting.rssi_dbm} dBm"
    return f"found {name}, {found.board}, {signal}{why}"


def _say(line: str) -> None:
    # on stderr: nothing but results goes to stdout
    print(f"hipdrive: {line}", file=sys.stderr)
