"""Hear which sensors are in radio reach, and say in one line why none can be heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensor_host.boards import board_of
from sensor_host.errors import LinkError

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

# 1 s: sensors advertise every 20-200 ms, so a second one in reach is heard within it
LISTEN_S = 1.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A device that was heard: ``board`` is the key of BOARDS that recognises it, empty where it is none of ours.

    ``device`` is what bleak connects to. On macOS ``address`` is a UUID that only this computer knows.
    """

    name: str
    address: str
    rssi_dbm: int
    board: str
    device: BLEDevice


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which device to look for: by address, else by name, else any of that board. Case does not matter."""

    board: str
    name: str = ""
    address: str = ""

    def fits(self, sighting: Sighting) -> bool:
        """Tell whether this is the one."""
        if self.address:
            return sighting.address.lower() == self.address.lower()
        if self.name:
            return sighting.name.lower() == self.name.lower()
        return sighting.board == self.board

    def __str__(self) -> str:
        if self.address:
            return f"a sensor with the address {self.address}"
        return f"a sensor named {self.name}" if self.name else "a sensor"


async def scan(duration_s: float) -> list[Sighting]:
    """Listen for a while and return every device that was heard, the nearest first.

    Raises
    ------
    LinkError
        When there is no usable Bluetooth; says what to do.
    """
    heard: dict[str, Sighting] = {}
    await _listen(duration_s, lambda sighting: heard.update({sighting.address: sighting}))
    return sorted(heard.values(), key=lambda sighting: -sighting.rssi_dbm)


async def find(wanted: Wanted, timeout_s: float) -> tuple[Sighting, int]:
    """Return the nearest device that fits, and how many others fitted as well.

    Whoever gave a name or an address has it as soon as it is heard; else a moment is given to a second one in reach.

    Raises
    ------
    LinkError
        When there is no usable Bluetooth, or nothing that fits was heard in time.
    """
    fitting: dict[str, Sighting] = {}
    heard: set[str] = set()
    found = asyncio.Event()

    def consider(sighting: Sighting) -> None:
        heard.add(sighting.address)
        if wanted.fits(sighting):
            fitting[sighting.address] = sighting
            found.set()

    await _listen(timeout_s, consider, found, 0.0 if wanted.name or wanted.address else LISTEN_S)
    if not fitting:
        count = len(heard)
        others = f"{count} other device{'s were' if count > 1 else ' was'}" if count else "nor was anything else"
        raise LinkError(
            f"{wanted} was not heard within {timeout_s:g} s ({others}): switch it on, charge it, bring it near and "
            "close the app that holds it; 'hipdrive scan' lists what can be heard"
        )
    nearest = max(fitting.values(), key=lambda sighting: sighting.rssi_dbm)
    return nearest, len(fitting) - 1


async def _listen(
    duration_s: float,
    consider: Callable[[Sighting], None],
    found: asyncio.Event | None = None,
    linger_s: float = 0.0,
) -> None:
    """Hand every advertisement to ``consider`` for so long, or until ``found`` is set and ``linger_s`` has passed."""
    from bleak import BleakScanner

    def on_advertisement(device: BLEDevice, said: AdvertisementData) -> None:
        services = [uuid.lower() for uuid in said.service_uuids]
        name = said.local_name or device.name or ""
        consider(Sighting(name, device.address, said.rssi, board_of(name, services), device))

    try:
        async with BleakScanner(on_advertisement):
            try:
                async with asyncio.timeout(duration_s):
                    await (found or asyncio.Event()).wait()
            except TimeoutError:
                return
            await asyncio.sleep(linger_s)
    except radio_errors() as error:
        raise explain(error) from error


# ---------------------------------------------------------------- what can be wrong with the radio


def radio_errors() -> tuple[type[Exception], ...]:
    """Return what bleak and the D-Bus below it raise when the radio, the bus or the device lets them down."""
    from bleak.exc import BleakError

    # OSError: the bus is not there; EOFError: it went away; TimeoutError: it does not answer
    return (BleakError, OSError, EOFError, TimeoutError, *_bus_errors())


def _bus_errors() -> tuple[type[Exception], ...]:
    try:
        from dbus_fast.errors import AuthError, DBusError, InvalidAddressError
    except ImportError:  # not Linux
        return ()
    return (AuthError, DBusError, InvalidAddressError)


def explain(error: Exception) -> LinkError:
    """Turn what bleak raised into one line that says what to do about it."""
    from bleak.exc import (
        BleakBluetoothNotAvailableError,
        BleakDBusError,
        BleakDeviceNotFoundError,
        BleakError,
        BleakGATTProtocolError,
    )

    error = _told_by_bleak(error)
    if isinstance(error, BleakBluetoothNotAvailableError):
        said = " ".join(str(error.args[0]).split())
        return LinkError(_UNAVAILABLE.get(error.reason.name, f"Bluetooth cannot be used: {said}"))
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, BleakDBusError):
        text = _saying(_BUS_SAYS, f"{error.dbus_error} {error.dbus_error_details or ''}")
        return LinkError(text or f"the Bluetooth service refused: {said}")
    if isinstance(error, BleakGATTProtocolError):
        return LinkError(_UNPAIRED if error.code.value in _WANTS_PAIRING else _refused(error.code.value, error.args[1]))
    if isinstance(error, BleakDeviceNotFoundError):
        return LinkError(_GONE)
    if isinstance(error, BleakError):
        return LinkError(_saying(_BLEAK_SAYS, said) or f"Bluetooth failed: {said}")
    if isinstance(error, PermissionError):
        return LinkError(_UNAVAILABLE["DENIED_BY_SYSTEM"])
    if isinstance(error, (FileNotFoundError, ConnectionError, EOFError, *_bus_errors())):
        return LinkError(
            "there is no system D-Bus, over which Bluetooth is spoken to: install and start it "
            "(Debian, Ubuntu: 'sudo apt install dbus bluez'; in a container, mount /run/dbus)"
        )
    if isinstance(error, TimeoutError):
        return LinkError(_NO_ANSWER)
    return LinkError(f"Bluetooth failed: {said}")


def _told_by_bleak(error: Exception) -> Exception:
    """Return what bleak itself raised: bleak-retry-connector wraps it in advice for other programs."""
    from bleak_retry_connector import (
        BleakAbortedError,
        BleakConnectionError,
        BleakNotFoundError,
        BleakOutOfConnectionSlotsError,
    )

    wrappers = (BleakAbortedError, BleakConnectionError, BleakNotFoundError, BleakOutOfConnectionSlotsError)
    while isinstance(error, wrappers) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _saying(table: dict[str, str], said: str) -> str:
    """Return the text for the first word of the table that was said, else nothing."""
    return next((text for word, text in table.items() if word in said), "")


def _refused(code: int, said: str) -> str:
    said = said.removeprefix("GATT Protocol Error: ")
    return (
        f"the sensor refuses what it is asked for (ATT error 0x{code:02x}, {said}): switch it off and on again; "
        "if it still does, its firmware does not know the command"
    )


_NO_ADAPTER = (
    "no Bluetooth adapter was found: plug one in that knows Bluetooth Low Energy (4.2 or newer); "
    "'hipdrive demo' and 'hipdrive replay' need none"
)

# by the names of bleak's BleakBluetoothNotAvailableReason
_UNAVAILABLE = {
    "NO_BLUETOOTH": _NO_ADAPTER,
    "NO_BLE_CENTRAL_ROLE": _NO_ADAPTER.replace("no Bluetooth adapter was found", "the Bluetooth adapter is too old"),
    "POWERED_OFF": "Bluetooth is switched off: switch it on "
    "(Linux: 'rfkill unblock bluetooth' and 'bluetoothctl power on')",
    "DENIED_BY_USER": "Bluetooth is not allowed to this program: "
    "allow it to your terminal in the system's privacy settings",
    "DENIED_BY_SYSTEM": "the system denies access to Bluetooth: ask its administrator "
    "(Linux: join the group bluetooth with 'sudo usermod -aG bluetooth $USER' and log in again)",
}

_NO_SERVICE = (
    "the Bluetooth service does not run: install and start it "
    "(Debian, Ubuntu: 'sudo apt install bluez' and 'sudo systemctl enable --now bluetooth')"
)
_NO_ANSWER = (
    "the sensor was heard but does not answer: bring it near and close the app that holds it; "
    "if it still does not, switch it and Bluetooth off and on again"
)
_GONE = "the sensor is out of reach or was switched off: bring it near and wake it"
_DROPPED = "the connection dropped while it was made: bring the sensor nearer"
_TAKEN = "another program on this computer holds the sensor's data: end it"
_UNPAIRED = (
    "the sensor wants to be paired first: pair it in the system's Bluetooth settings (Linux: 'bluetoothctl pair')"
)

# ATT errors of the Core Specification, 3.F.3.4.1.1: insufficient authentication, authorization, key size, encryption
_WANTS_PAIRING = (0x05, 0x08, 0x0C, 0x0F)

# by a word in the name of the D-Bus error or in what it says; the first that fits. docs/bluez.md has the situations.
_BUS_SAYS = {
    "Notify acquired": _TAKEN,
    "ServiceUnknown": _NO_SERVICE,
    "NameHasNoOwner": _NO_SERVICE,
    # who is asked to start the service cannot: systemd where it is disabled, the bus itself where there is no systemd
    "systemd1.": _NO_SERVICE,
    "Error.Spawn.": _NO_SERVICE,
    # systemd does not start the service where there is no adapter, and nobody tells the bus
    "Error.TimedOut": _NO_ADAPTER + "; if there is one, see 'systemctl status bluetooth'",
    "AccessDenied": _UNAVAILABLE["DENIED_BY_SYSTEM"],
    "NotAuthorized": _UNAVAILABLE["DENIED_BY_SYSTEM"],
    "NotReady": _UNAVAILABLE["POWERED_OFF"],
    "InProgress": "another program is using the Bluetooth adapter just now: wait a moment and try again",
    "UnknownObject": _GONE,
    "NotConnected": _DROPPED,
    "Not connected": _DROPPED,
    "le-connection-": _DROPPED,
    "Software caused connection abort": _DROPPED,
}

# by a word in what bleak says where it has no kind of error of its own
_BLEAK_SAYS = {
    "' not found": _GONE,
    "failed to discover services": _DROPPED,
    "Service Discovery has not been performed": _DROPPED,
    "Not connected": _DROPPED,
}
