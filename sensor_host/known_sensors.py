"""What is remembered of sensors beyond one run: nicknames, and which one a runner used last.

One JSON file in the user's data folder. A sensor is known by its address; on macOS that is a UUID which only this
computer has for it.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sensor_host import kept_file, places
from sensor_host.errors import ConfigError

SENSORS_SCHEMA = 1

_ADDRESS = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# words that stand for something else where a sensor is chosen
_RESERVED = ("any", "off", "auto")


class KnownSensor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One sensor; ``name`` is what it advertises, ``last_used_utc`` empty if it was only named."""

    address: str
    name: str = ""
    nickname: str = ""
    board: str = ""
    last_used_utc: str = ""


class KnownSensors(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is remembered; ``last`` holds, by runner and role, the address of the sensor used last."""

    schema: Annotated[int, Meta(ge=1)] = SENSORS_SCHEMA
    sensors: tuple[KnownSensor, ...] = ()
    last: dict[str, dict[str, str]] = {}

    def at(self, address: str) -> KnownSensor | None:
        """Return the sensor with this address."""
        return next((sensor for sensor in self.sensors if sensor.address.lower() == address.lower()), None)

    def find(self, which: str) -> KnownSensor | None:
        """Return the sensor with this nickname, address or name; case does not matter."""
        word = which.lower()
        for key in ("nickname", "address", "name"):
            for sensor in self.sensors:
                if word and str(getattr(sensor, key)).lower() == word:
                    return sensor
        return None

    def resolve(self, which: str) -> str:
        """Return the address behind a nickname; names and addresses as they are."""
        named = next((one for one in self.sensors if one.nickname and one.nickname.lower() == which.lower()), None)
        return named.address if named is not None else which

    def last_of(self, runner: str, role: str) -> str:
        """Return the address of the sensor the runner used last in this role, empty if there is none."""
        return self.last.get(runner, {}).get(role, "")

    # ------------------------------------------------------------ what changes

    def used(self, runner: str, role: str, *, address: str, name: str, board: str, when_utc: str) -> KnownSensors:
        """Return this with a sensor that was used."""
        before = self.at(address) or KnownSensor(address=address)
        after = msgspec.structs.replace(before, name=name or before.name, board=board, last_used_utc=when_utc)
        last = {**self.last, runner: {**self.last.get(runner, {}), role: after.address}}
        return msgspec.structs.replace(self._with(after), last=last)

    def named(self, which: str, nickname: str) -> KnownSensors:
        """Return this with a nickname for a sensor that is known, or for an address.

        Raises
        ------
        ConfigError
            When the nickname cannot be one or is another sensor's, or nothing is known by ``which``.
        """
        nickname = " ".join(nickname.split())
        if not nickname or len(nickname) > 32 or not nickname.isprintable():
            raise ConfigError("a nickname has 1 to 32 signs")
        if nickname.lower() in _RESERVED or _ADDRESS.fullmatch(nickname):
            raise ConfigError(f'"{nickname}" would be taken for something else; choose another nickname')
        sensor = self.find(which)
        if sensor is None:
            if not _ADDRESS.fullmatch(which):
                raise ConfigError(f'no sensor is known as "{which}"; give its address (hipdrive scan lists it)')
            sensor = KnownSensor(address=which.upper() if ":" in which else which)
        other = self.find(nickname)
        if other is not None and other.address != sensor.address and other.nickname.lower() == nickname.lower():
            raise ConfigError(f'"{nickname}" is the nickname of {other.address}; forget that first, or choose another')
        return self._with(msgspec.structs.replace(sensor, nickname=nickname))

    def without(self, which: str) -> KnownSensors:
        """Return this without a sensor.

        Raises
        ------
        ConfigError
            When nothing is known by ``which``.
        """
        sensor = self.find(which)
        if sensor is None:
            raise ConfigError(f'no sensor is known as "{which}"; hipdrive sensors lists them')
        last = {
            runner: {role: address for role, address in roles.items() if address != sensor.address}
            for runner, roles in self.last.items()
        }
        rest = tuple(one for one in self.sensors if one.address != sensor.address)
        return msgspec.structs.replace(
            self, sensors=rest, last={runner: roles for runner, roles in last.items() if roles}
        )

    def _with(self, sensor: KnownSensor) -> KnownSensors:
        rest = tuple(one for one in self.sensors if one.address.lower() != sensor.address.lower())
        return msgspec.structs.replace(self, sensors=(*rest, sensor))


def load() -> KnownSensors:
    """Return what is remembered; nothing where there is no file.

    Raises
    ------
    InputError
        When the file is damaged, newer than this program, or cannot be read.
    """
    return kept_file.load(places.sensors_path(), KnownSensors, SENSORS_SCHEMA, "delete it to forget all sensors")


def save(known: KnownSensors) -> None:
    """Write down what is remembered.

    Raises
    ------
    OutputError
        When the folder is read-only or the disk full; the old file is then untouched.
    """
    kept_file.save(places.sensors_path(), known)
