"""Hear which sensors are in radio reach, and say in one line why none can be heard."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias
from weakref import WeakKeyDictionary

from sensor_host.boards import AUTO, BOARDS, boards_of, keys_of, preference
from sensor_host.errors import LinkError

if TYPE_CHECKING:
    from bleak import BleakScanner
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

# 1 s: sensors advertise every 20-200 ms, so a second one in reach is heard within it
LISTEN_S = 1.0

# below what any receiver hears
_WEAKEST_DBM = -127


@dataclass(frozen=True, slots=True)
class Sighting:
    """A device that was heard: ``boards`` are the keys of BOARDS that recognise it, the preferred first.

    ``device`` is what bleak connects to. On macOS ``address`` is a UUID that only this computer knows. One that is
    connected to this computer already is not heard; its ``rssi_dbm`` is not known then.
    """

    name: str
    address: str
    rssi_dbm: int | None
    boards: tuple[str, ...]
    device: BLEDevice

    @property
    def board(self) -> str:
        """The board it is first of all; empty where it is none of ours."""
        return self.boards[0] if self.boards else ""

    @property
    def strength_dbm(self) -> int:
        """Its signal for comparisons: where unknown, weaker than any."""
        return _WEAKEST_DBM if self.rssi_dbm is None else self.rssi_dbm

    @property
    def label(self) -> str:
        """What to call it: its name, else its address."""
        return self.name or self.address


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which device to look for.

    Any of that ``kind`` (of `Board`), of that ``board`` unless it is "auto", and only the one whose name or address is
    ``which`` unless it is empty. Where several fit, the one with the address ``last`` is taken. Case does not matter.
    """

    kind: str = "motion"
    board: str = AUTO
    which: str = ""
    last: str = ""

    def names(self, sighting: Sighting) -> bool:
        """Tell whether it is the one that was asked for, or whether any will do."""
        return not self.which or self.which.lower() in (sighting.name.lower(), sighting.address.lower())

    def board_of(self, sighting: Sighting) -> str:
        """Return as which board it would be taken, empty where it would not."""
        if not self.names(sighting):
            return ""
        if self.which and self.board != AUTO:
            return self.board  # whoever says both knows it better than its advertisement
        fitting = (key for key in sighting.boards if BOARDS[key].kind == self.kind and self.board in (AUTO, key))
        return next(fitting, "")

    @property
    def noun(self) -> str:
        """The kind, in words."""
        return "heart-rate strap" if self.kind == "heart_rate" else "sensor"

    @property
    def option(self) -> str:
        """By which option of ``hipdrive run`` another one is chosen."""
        return "--heart-rate" if self.kind == "heart_rate" else "--sensor"

    def __str__(self) -> str:
        if not self.which:
            return f"a {self.noun}"
        # on macOS addresses are UUIDs
        address = self.which.count(":") == 5 or self.which.count("-") == 4
        return f"a {self.noun} {'with the address' if address else 'named'} {self.which}"


@dataclass(frozen=True, slots=True)
class Found:
    """The device that was chosen, as which board, and ``why`` this one where several fitted."""

    sighting: Sighting
    board: str
    why: str = ""


class NotHeardError(LinkError):
    """There is a radio, but nothing that fits was heard."""


Consider: TypeAlias = Callable[[Sighting], None]


class Ear:
    """One scanner for all who listen at the same time: the Bluetooth service has no second one for the same program.

    `of_this_loop` is the one to use: bleak has one connection to the service for each event loop.
    Whoever begins to listen starts the scanner anew, for one whose adapter was pulled out stays silent for ever.
    """

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Ear]] = WeakKeyDictionary()

    @classmethod
    def of_this_loop(cls) -> Ear:
        """Return the ear of the running event loop."""
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    def __init__(self) -> None:
        self._listeners: list[Consider] = []
        self._scanner: BleakScanner | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def listening(self, consider: Consider) -> AsyncGenerator[None]:
        """Hand every advertisement to ``consider`` for as long as this is open.

        Raises
        ------
        LinkError
            When there is no usable Bluetooth; says what to do.
        """
        self._listeners.append(consider)
        try:
            async with self._turn:
                await self._stop()
                await self._start()
            yield
        finally:
            self._listeners.remove(consider)
            async with self._turn:
                if not self._listeners:
                    await self._stop()

    async def _start(self) -> None:
        from bleak import BleakScanner

        try:
            scanner = BleakScanner(self._on_advertisement)
            await scanner.start()
        except radio_errors() as error:
            raise await _why_deaf(error) from error
        self._scanner = scanner

    async def _stop(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            with suppress(*radio_errors()):
                await scanner.stop()

    def _on_advertisement(self, device: BLEDevice, said: AdvertisementData) -> None:
        services = [uuid.lower() for uuid in said.service_uuids]
        name = said.local_name or device.name or ""
        sighting = Sighting(name, device.address, said.rssi, boards_of(name, services), device)
        for consider in tuple(self._listeners):
            consider(sighting)


async def scan(duration_s: float, began: Callable[[], None] = lambda: None) -> list[Sighting]:
    """Listen for a while and return every device that was heard, the nearest first, and sensors connected already.

    ``began`` is called once there is listening.

    Raises
    ------
    LinkError
        When there is no usable Bluetooth; says what to do.
    """
    heard: dict[str, Sighting] = {}
    async with Ear.of_this_loop().listening(lambda sighting: heard.update({sighting.address: sighting})):
        began()
        await asyncio.sleep(duration_s)
        for kind in ("motion", "heart_rate"):
            for sighting in await _connected_here(kind):
                heard.setdefault(sighting.address, sighting)
    return sorted(heard.values(), key=lambda sighting: -sighting.strength_dbm)


async def find(
    wanted: Wanted, timeout_s: float, began: Callable[[], None] = lambda: None, *, connected_too: bool = True
) -> Found:
    """Return the device that fits best: the one used last, else of the preferred board, else the nearest.

    One that was asked for by name or address, or was used last, is returned as soon as it is heard; else a moment is
    given to a second one in reach. ``began`` is called once there is listening. One that is connected to this computer
    already is taken with ``connected_too``; not after a connection of one's own, which may be seen while it ends.

    Raises
    ------
    NotHeardError
        When nothing that fits was heard in time; says what was.
    LinkError
        When there is no usable Bluetooth; says what to do.
    """
    heard: dict[str, Sighting] = {}
    fitting: dict[str, Sighting] = {}
    some, enough = asyncio.Event(), asyncio.Event()

    def consider(sighting: Sighting) -> None:
        heard[sighting.address] = sighting
        if wanted.board_of(sighting):
            fitting[sighting.address] = sighting
            some.set()
            if wanted.which or sighting.address == wanted.last:
                enough.set()

    async with Ear.of_this_loop().listening(consider):
        began()
        connected = await _connected_here(wanted.kind) if connected_too else []
        for sighting in connected:
            # whoever has it connected may be a run that was killed: the system keeps its connection
            if wanted.which or sighting.address == wanted.last:
                consider(sighting)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await some.wait()
        if fitting:
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_S):
                    await enough.wait()
    if not fitting:
        raise NotHeardError(_not_heard(wanted, timeout_s, list(heard.values()), connected))

    def rank(sighting: Sighting) -> tuple[bool, tuple[bool, int], int]:
        return sighting.address != wanted.last, preference(wanted.board_of(sighting)), -sighting.strength_dbm

    chosen = min(fitting.values(), key=rank)
    return Found(chosen, wanted.board_of(chosen), _why(wanted, chosen, list(fitting.values())))


def _why(wanted: Wanted, chosen: Sighting, fitting: list[Sighting]) -> str:
    last = chosen.address == wanted.last
    if len(fitting) == 1:
        return "the one used last" if last else ""
    count = f"{len(fitting)} {wanted.noun}s in reach; choose with {wanted.option}"
    if last:
        return f"the one used last, of {count}"
    nearest = chosen.strength_dbm == max(sighting.strength_dbm for sighting in fitting)
    return f"the {'nearest' if nearest else wanted.board_of(chosen)} of {count}"


async def _connected_here(kind: str) -> list[Sighting]:
    """Return the sensors of a kind that this computer has connected already, which is why they do not advertise.

    Windows ends the connections of a program that ends; elsewhere one that was killed leaves them standing.
    """
    if sys.platform == "win32":
        return []
    from bleak import BleakAdapter

    found: dict[str, Sighting] = {}
    with suppress(NotImplementedError, *radio_errors()):
        adapter = await BleakAdapter.get()
        for key in keys_of(kind):
            for device in await adapter.get_connected_devices([BOARDS[key].gatt.service_uuid]):
                before = found.get(device.address)
                boards = (*(before.boards if before else ()), key)
                found[device.address] = Sighting(device.name or "", device.address, None, boards, device)
    return list(found.values())


def _not_heard(wanted: Wanted, timeout_s: float, heard: list[Sighting], connected: list[Sighting]) -> str:
    """Say what was not heard, what was instead, and what to do."""
    asked_for = next((sighting for sighting in heard if wanted.which and wanted.names(sighting)), None)
    if asked_for is not None:
        # here it is, but it does not advertise what it is wanted for
        if asked_for.boards:
            what = BOARDS[asked_for.board].title
            return f"{asked_for.label} was heard, but it is no {wanted.noun}: {what}"
        return (
            f"{asked_for.label} was heard, but does not say which board it is: set sensor.board "
            f"(hipdrive scan --all lists what is in reach)"
        )
    ours = [s for s in heard if any(BOARDS[key].kind == wanted.kind for key in s.boards)]
    advice = (
        "switch it on, charge it, bring it near and close the app that holds it; "
        "'hipdrive scan' lists what can be heard"
    )
    if connected:
        return (
            f"{wanted} was not heard within {timeout_s:g} s, but {connected[0].label} is connected to this computer "
            f"already: end the program that holds it, or take it with {wanted.option} {connected[0].address}"
        )
    if ours and wanted.which:
        others = f"heard instead: {', '.join(s.label for s in ours[:3])}; choose with {wanted.option}"
    elif ours:
        others = ", ".join(f"{s.label}, board {s.board}," for s in ours[:2])
        return f"no {wanted.board} was heard within {timeout_s:g} s, but {others} was: leave sensor.board at auto"
    elif heard:
        others = f"{len(heard)} other device{'s were' if len(heard) > 1 else ' was'}"
    else:
        others = "nor was anything else"
    return f"{wanted} was not heard within {timeout_s:g} s ({others}): {advice}"


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


async def _why_deaf(error: Exception) -> LinkError:
    """Return why there is no listening."""
    from bleak.exc import BleakBluetoothNotAvailableError

    if "microsoft" in platform.release().lower():
        return LinkError(_WSL)
    if sys.platform == "linux" and isinstance(error, BleakBluetoothNotAvailableError):
        with suppress(*radio_errors()):
            if not await _service_runs():
                return LinkError(_NO_SERVICE)
    if isinstance(error, TimeoutError):
        return LinkError("Bluetooth does not answer: switch it off and on again")
    return explain(error)


async def _service_runs() -> bool:
    """Tell whether Linux' Bluetooth service is there; bleak cannot tell its absence from that of an adapter."""
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        owner = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="NameHasOwner",
                signature="s",
                body=["org.bluez"],
            )
        )
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    return owner.body != [False]


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

_WSL = (
    "WSL has no Bluetooth: install and run hipdrive on Windows itself; "
    "'hipdrive demo' and 'hipdrive replay' work here too"
)
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
    # the second attempt met the connection of the first, which was just ending
    "already connected": _DROPPED,
    "' not found": _GONE,
    "failed to discover services": _DROPPED,
    "Service Discovery has not been performed": _DROPPED,
    "Client is already connected": _DROPPED,
    "Not connected": _DROPPED,
}
