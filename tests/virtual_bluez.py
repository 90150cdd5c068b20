"""A stand-in for BlueZ on a private D-Bus: bleak's own BlueZ backend speaks real D-Bus to it, no radio needed.

It serves the part of ``org.bluez`` that a client of one adapter uses: objects and their signals, discovery, connect,
services, read, write, notify. What the peripherals do (advertise, notify, drop, fall silent) the test decides.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER = "/org/bluez/hci0"
ADAPTER_1 = "org.bluez.Adapter1"
DEVICE_1 = "org.bluez.Device1"
SERVICE_1 = "org.bluez.GattService1"
CHARACTERISTIC_1 = "org.bluez.GattCharacteristic1"
PROPERTIES = "org.freedesktop.DBus.Properties"
PING = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Peer", "Ping")
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"


@dataclass
class Characteristic:
    uuid: str
    flags: list[str]
    value: bytes = b""
    written: list[bytes] = field(default_factory=list)
    notifying: bool = False


@dataclass
class Peripheral:
    """One device in reach; ``services`` maps a service's UUID to its characteristics."""

    name: str
    address: str
    services: dict[str, list[Characteristic]]
    rssi_dbm: int = -60
    in_reach: bool = True
    connected: bool = False
    connects: int = 0
    # errors to answer the next connects with, one each
    refusals: list[str] = field(default_factory=list)
    on_write: Callable[[Characteristic, bytes], None] = lambda characteristic, data: None
    # set at every change of connection or subscription, for a test to wait on
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        return f"{ADAPTER}/dev_{self.address.replace(':', '_')}"

    def characteristic(self, uuid: str) -> Characteristic:
        return next(c for group in self.services.values() for c in group if c.uuid == uuid)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()


class VirtualBluez:
    """``async with VirtualBluez(folder) as bluez``: point DBUS_SYSTEM_BUS_ADDRESS at ``bluez.address``."""

    def __init__(
        self, folder: Path, dbus_daemon: str, *peripherals: Peripheral, powered: bool = True, adapter: bool = True
    ) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self.peripherals = list(peripherals)
        self._powered = powered
        self._adapter = adapter
        self._dbus_daemon = dbus_daemon
        self._discovering = False
        self._known: set[str] = set()

    async def __aenter__(self) -> Self:
        arguments = ("--session", "--nofork", "--nopidfile", "--print-address=1", f"--address={self.address}")
        self._daemon = subprocess.Popen([self._dbus_daemon, *arguments], stdout=subprocess.PIPE)
        assert self._daemon.stdout is not None
        await asyncio.to_thread(self._daemon.stdout.readline)  # it listens once it has said where
        self._bus = await MessageBus(self.address, BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name("org.bluez")
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            self._bus.disconnect()
            await self._bus.wait_for_disconnect()
        finally:
            self._daemon.terminate()
            await asyncio.to_thread(self._daemon.wait)
            assert self._daemon.stdout is not None
            self._daemon.stdout.close()

    # ------------------------------------------------------------ what a test makes happen

    async def notify(self, peripheral: Peripheral, uuid: str, data: bytes) -> None:
        """Send a notification, if somebody subscribed to it on a standing connection."""
        for path, characteristic in self._characteristics(peripheral):
            if characteristic.uuid == uuid and characteristic.notifying and peripheral.connected:
                self._signal_change(path, CHARACTERISTIC_1, {"Value": Variant("ay", data)})
                await self._bus.call(
                    Message(*PING)
                )  # once it is answered the daemon has taken the signal: no burst jams the bus

    async def connections(self) -> int:
        """Return how many connections to the bus there are at the moment."""
        bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames")
        answer = await self._bus.call(Message(*bus))
        assert answer is not None
        return sum(name.startswith(":") for name in answer.body[0])

    def drop(self, peripheral: Peripheral) -> None:
        """Lose the connection, as out of range."""
        if not peripheral.connected:
            return
        peripheral.connected = False
        for path, characteristic in self._characteristics(peripheral):
            characteristic.notifying = False
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, [CHARACTERISTIC_1]])
        for number, _ in enumerate(peripheral.services):
            path = f"{peripheral.path}/service{number:04x}"
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, [SERVICE_1]])
        gone = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
        self._signal_change(peripheral.path, DEVICE_1, gone)
        peripheral.changed.set()

    def advertise(self, peripheral: Peripheral) -> None:
        """Be in reach (again)."""
        peripheral.in_reach = True
        if not self._discovering:
            return
        if peripheral.path in self._known:
            self._signal_change(peripheral.path, DEVICE_1, {"RSSI": Variant("n", peripheral.rssi_dbm)})
        else:
            self._known.add(peripheral.path)
            self._add(peripheral.path, DEVICE_1, self._device(peripheral))

    # ------------------------------------------------------------ what BlueZ answers

    def _answer(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or not (message.path or "").startswith("/"):
            return False
        member, path = message.member or "", message.path or ""
        if member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        if path == ADAPTER:
            self._discovering = {"StartDiscovery": True, "StopDiscovery": False}.get(member, self._discovering)
            if member == "StartDiscovery":
                self._after(lambda: [self.advertise(p) for p in self.peripherals if p.in_reach])
            return Message.new_method_return(message)
        for peripheral in self.peripherals:
            if path == peripheral.path:
                return self._device_call(message, peripheral)
            for characteristic_path, characteristic in self._characteristics(peripheral):
                if path == characteristic_path:
                    return self._characteristic_call(message, peripheral, characteristic)
        return False

    def _device_call(self, message: Message, peripheral: Peripheral) -> Message:
        if message.member == "Connect":
            if peripheral.refusals:
                return Message.new_error(message, "org.bluez.Error.Failed", peripheral.refusals.pop(0))
            # as BlueZ does: whoever hears the answer can have seen the property before
            self._signal_change(peripheral.path, DEVICE_1, {"Connected": Variant("b", True)})
            self._after(lambda: self._connected(peripheral))
        elif message.member == "Disconnect":
            self._after(lambda: self.drop(peripheral))
        return Message.new_method_return(message)

    def _connected(self, peripheral: Peripheral) -> None:
        peripheral.connected = True
        peripheral.connects += 1
        for path, interfaces in self._gatt(peripheral).items():
            for interface, properties in interfaces.items():
                self._add(path, interface, properties)
        self._signal_change(peripheral.path, DEVICE_1, {"ServicesResolved": Variant("b", True)})
        peripheral.changed.set()

    def _characteristic_call(self, message: Message, peripheral: Peripheral, characteristic: Characteristic) -> Message:
        if message.member == "ReadValue":
            return Message.new_method_return(message, "ay", [characteristic.value])
        if message.member == "WriteValue":
            data = bytes(message.body[0])
            characteristic.written.append(data)
            self._after(lambda: peripheral.on_write(characteristic, data))
        elif message.member in ("StartNotify", "StopNotify"):
            characteristic.notifying = message.member == "StartNotify"
        peripheral.changed.set()
        return Message.new_method_return(message)

    # ------------------------------------------------------------ objects and signals

    def _objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        if not self._adapter:
            return {}
        objects = {
            ADAPTER: {
                ADAPTER_1: {
                    "Address": Variant("s", "00:00:00:00:00:01"),
                    "Powered": Variant("b", self._powered),
                    "Discovering": Variant("b", self._discovering),
                    "Roles": Variant("as", ["central", "peripheral"]),
                }
            }
        }
        for peripheral in self.peripherals:
            if peripheral.path in self._known:
                objects[peripheral.path] = {DEVICE_1: self._device(peripheral)}
                if peripheral.connected:
                    objects |= self._gatt(peripheral)
        return objects

    def _device(self, peripheral: Peripheral) -> dict[str, Variant]:
        return {
            "Address": Variant("s", peripheral.address),
            "AddressType": Variant("s", "random"),
            "Name": Variant("s", peripheral.name),
            "Alias": Variant("s", peripheral.name),
            "Adapter": Variant("o", ADAPTER),
            "Paired": Variant("b", False),
            "Connected": Variant("b", peripheral.connected),
            "ServicesResolved": Variant("b", peripheral.connected),
            "UUIDs": Variant("as", list(peripheral.services)),
            "RSSI": Variant("n", peripheral.rssi_dbm),
        }

    def _characteristics(self, peripheral: Peripheral) -> list[tuple[str, Characteristic]]:
        return [
            (f"{peripheral.path}/service{number:04x}/char{16 * number + place:04x}", characteristic)
            for number, group in enumerate(peripheral.services.values())
            for place, characteristic in enumerate(group)
        ]

    def _gatt(self, peripheral: Peripheral) -> dict[str, dict[str, dict[str, Variant]]]:
        objects: dict[str, dict[str, dict[str, Variant]]] = {}
        for number, uuid in enumerate(peripheral.services):
            objects[f"{peripheral.path}/service{number:04x}"] = {
                SERVICE_1: {
                    "UUID": Variant("s", uuid),
                    "Primary": Variant("b", True),
                    "Device": Variant("o", peripheral.path),
                }
            }
        for path, characteristic in self._characteristics(peripheral):
            objects[path] = {
                CHARACTERISTIC_1: {
                    "UUID": Variant("s", characteristic.uuid),
                    "Service": Variant("o", path.rsplit("/", 1)[0]),
                    "Flags": Variant("as", characteristic.flags),
                    "Notifying": Variant("b", characteristic.notifying),
                    "MTU": Variant("q", 247),
                }
            }
        return objects

    def _add(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, {interface: properties}])

    def _signal_change(self, path: str, interface: str, changed: dict[str, Variant]) -> None:
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _after(self, happen: Callable[[], object]) -> None:
        """Let something happen once the answer to the present call has been sent."""
        asyncio.get_running_loop().call_soon(happen)
