"""The sensors of a live run: which ones, put together as one source, remembered afterwards."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from sensor_host import known_sensors
from sensor_host.boards import unfit
from sensor_host.config import Config, HeartRateConfig, SensorConfig
from sensor_host.errors import HipdriveError
from sensor_host.known_sensors import KnownSensors
from sensor_host.ports import Role, Source
from sensor_host.scan import Ear, Found
from sensor_host.sources.ble import BleSource
from sensor_host.sources.together import Together

OFF, ANY = "off", "any"


@dataclass(frozen=True, slots=True)
class Radio:
    """What a live run listens to: ``source`` gives the arrivals, ``sensors`` are its parts by role."""

    source: Source
    sensors: dict[str, BleSource]


def open_radio(config: Config, known: KnownSensors) -> Radio:
    """Return the sensors that the configuration asks for.

    Raises
    ------
    ConfigError
        When the board is none.
    """
    ear, connected, runner = Ear(), asyncio.Event(), config.runner.name
    clip = open_sensor(config, known, ear)
    if config.heart_rate.which.lower() == OFF:
        return Radio(clip, {Role.PELVIS: clip})
    strap = BleSource(
        _strap(config.heart_rate, known, runner),
        Role.HEART_RATE,
        optional=True,
        ear=ear,
        first=connected,
    )
    return Radio(Together(clip, strap, connected=connected), {Role.PELVIS: clip, Role.HEART_RATE: strap})


def open_sensor(config: Config, known: KnownSensors, ear: Ear | None = None, *, dense: bool = False) -> BleSource:
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
        ear=ear,
        looking=lambda: _say(looking),
        tell=lambda found: _say(_found(found, known)),
        dense=dense,
    )


def recall() -> KnownSensors:
    """Return what is remembered of sensors; a file that cannot be read is worth a warning, no more."""
    try:
        return known_sensors.load()
    except HipdriveError as error:
        print(f"hipdrive: warning: no sensor is remembered: {error}", file=sys.stderr)
        return KnownSensors()


def remember(runner: str, radio: Radio) -> None:
    """Write down which sensors the run had; that it fails is worth a warning, no more.

    One that cannot measure running is taken when the user asks for it, not because it was taken before.
    """
    met = {role: found for role, sensor in radio.sensors.items() if (found := sensor.met) and not unfit([found.board])}
    if not met:
        return
    try:
        known = known_sensors.load()
        for role, found in met.items():
            known = known.used(
                runner,
                role,
                address=found.sighting.address,
                name=found.sighting.name,
                board=found.board,
                when_utc=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            )
        known_sensors.save(known)
    except HipdriveError as error:
        print(f"hipdrive: warning: the sensor is not remembered: {error}", file=sys.stderr)


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
    return f"found {name}, {found.board}, {sighting.rssi_dbm} dBm{why}"


def _say(line: str) -> None:
    # on stderr: nothing but results goes to stdout
    print(f"hipdrive: {line}", file=sys.stderr)
