"""MiniBlueZ: ``org.bluez`` on a private D-Bus, over bumble's host and whatever is in the `air`.

bleak's own BlueZ backend speaks real D-Bus to it. Scanning, connecting, MTU exchange, discovery of services, reads,
writes and notifications are real GATT over an emulated link. Objects, signals, their order and the names of errors are
bluetoothd's (doc/org.bluez.*.rst of BlueZ 5.66 and newer), as far as a GATT client meets them:

1. A device appears with its first advertisement during a discovery, and its RSSI changes with every other.
2. ``Connect`` is answered once the link stands; objects of its services follow, then ``ServicesResolved``. They stay
   when the link is gone, and are compared with what is found after the next connect.
3. Whoever called ``StartNotify`` is subscribed until it leaves the bus, drops and reconnects included: every
   subscription signals each value once more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from air import Air, AirController
from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Peer
from bumble.device import Device as Radio
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

SERVICE = "org.bluez"
ADAPTER = "/org/bluez/hci0"
ADAPTER_1 = "org.bluez.Adapter1"
DEVICE_1 = "org.bluez.Device1"
SERVICE_1 = "org.bluez.GattService1"
CHARACTERISTIC_1 = "org.bluez.GattCharacteristic1"
DESCRIPTOR_1 = "org.bluez.GattDescriptor1"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

HOST_ADDRESS = "F0:0F:00:00:00:00"

# what bluetoothd asks for
MTU = 517

# 20 s: the kernel's time-out for a connection that does not come about
CONNECT_S = 20.0

ABORTED = "le-connection-abort-by-local"

Properties = dict[str, Variant]

_log = logging.getLogger(__name__)


class BluezError(Exception):
    """An answer that is an error: ``name`` is the D-Bus error's."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(text)
        self.name = name if "." in name else f"org.bluez.Error.{name}"


@dataclass(eq=False)
class KnownDevice:
    """A device bluetoothd knows: seen once, connected or not."""

    address: str
    name: str = ""
    uuids: list[str] = field(default_factory=list)
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    rssi_dbm: int | None = None
    connection: Connection | None = None
    resolved: bool = False
    connecting: asyncio.Task[None] | None = None
    # answers to the next connects, one each: the text of org.bluez.Error.Failed
    refusals: list[str] = field(default_factory=list)
    characteristics: dict[str, KnownCharacteristic] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{ADAPTER}/dev_{self.address.replace(':', '_')}"

    def properties(self) -> Properties:
        said = {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "random"),
            "Alias": Variant("s", self.name or self.address.replace(":", "-")),
            "Adapter": Variant("o", ADAPTER),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", self.connection is not None),
            "ServicesResolved": Variant("b", self.resolved),
            "UUIDs": Variant("as", self.uuids),
        }
        if self.name:
            said["Name"] = Variant("s", self.name)
        if self.manufacturer_data:
            data = {company: Variant("ay", value) for company, value in self.manufacturer_data.items()}
            said["ManufacturerData"] = Variant("a{qv}", data)
        if self.rssi_dbm is not None:
            said["RSSI"] = Variant("n", self.rssi_dbm)
        return said


@dataclass(eq=False)
class KnownCharacteristic:
    """A characteristic as found, and who wants to be notified of it."""

    proxy: CharacteristicProxy[bytes] | None
    flags: list[str]
    # names on the bus, of those who called StartNotify
    notified: list[str] = field(default_factory=list)
    acquired: socket.socket | None = None
    lost: int = 0
    subscribing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Bluez:
    """bluetoothd's part."""

    def __init__(self, air: Air, *, roles: tuple[str, ...] = ("central", "peripheral")) -> None:
        self.air = air
        self.devices: dict[str, KnownDevice] = {}
        self._roles = roles
        self._powered = True
        self._plugged = True
        self._discoverers: set[str] = set()
        self._objects: dict[str, dict[str, Properties]] = {}
        self._bus: MessageBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()
        controller = AirController("host", link=air)
        self._radio = Radio.with_hci("host", Address(HOST_ADDRESS), controller, controller)
        self._radio.on("advertisement", self._on_advertisement)

    # ------------------------------------------------------------ life

    async def start(self, bus_address: str) -> None:
        """Come onto the bus, with nothing known but the adapter."""
        if not self._radio.powered_on:
            await self._radio.power_on()
        self._objects = {ADAPTER: {ADAPTER_1: self._adapter()}} if self._plugged else {}
        self._bus = await MessageBus(bus_address, BusType.SYSTEM, negotiate_unix_fd=True).connect()
        self._bus.add_message_handler(self._on_message)
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        await self._bus.call(Message(*DBUS, "AddMatch", signature="s", body=[rule]))
        await self._bus.request_name(SERVICE)
        self._spawn(self._watch(self._bus))

    async def _watch(self, bus: MessageBus) -> None:
        """Say it when the bus ends under a service that was not told to die."""
        try:
            await bus.wait_for_disconnect()
            why = "closed"
        except (EOFError, OSError) as error:
            why = repr(error)
        if bus is self._bus:
            _log.error("the bus ended: %s", why)

    async def die(self) -> None:
        """Leave the bus without a word, and forget; the links end with the process that held them."""
        for device in list(self.devices.values()):
            self.air.drop(device.address)
        self.devices.clear()
        self._discoverers.clear()
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()
            with suppress(EOFError, OSError):
                await bus.wait_for_disconnect()

    async def end(self) -> None:
        """End everything."""
        await self.die()

    async def power(self, *, on: bool) -> None:
        """Switch the adapter on or off."""
        self._powered = on
        if not on:
            self._hang_up()
        self._change(ADAPTER, ADAPTER_1, {"Powered": Variant("b", on), "Discovering": Variant("b", False)})

    async def plug(self, *, into: bool) -> None:
        """Plug the adapter in, or pull it out."""
        self._plugged = into
        if into:
            self._add(ADAPTER, {ADAPTER_1: self._adapter()})
            return
        self._hang_up()
        self.devices.clear()
        for path in sorted(self._objects, reverse=True):
            self._remove(path)

    async def connections(self) -> int:
        """Return how many connections to the bus there are."""
        assert self._bus is not None
        answer = await self._bus.call(Message(*DBUS, "ListNames"))
        assert answer is not None
        return sum(name.startswith(":") for name in answer.body[0])

    async def forget(self, address: str) -> None:
        """Remove a device that is not connected, as bluetoothd does half a minute after it was last heard."""
        device = self.devices.pop(address, None)
        if device is not None:
            for path in sorted((path for path in self._objects if path.startswith(device.path)), reverse=True):
                self._remove(path)

    def known(self, address: str) -> KnownDevice:
        """Return what is kept of a device, heard already or not."""
        return self.devices.setdefault(address, KnownDevice(address))

    def _hang_up(self) -> None:
        self._discoverers.clear()
        for device in self.devices.values():
            if device.connection is not None:
                self._spawn(_quietly(device.connection.disconnect()))

    def _adapter(self) -> Properties:
        return {
            "Address": Variant("s", HOST_ADDRESS),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", "minibluez"),
            "Alias": Variant("s", "minibluez"),
            "Powered": Variant("b", self._powered),
            "Discoverable": Variant("b", False),
            "Discovering": Variant("b", bool(self._discoverers)),
            "Roles": Variant("as", list(self._roles)),
            "UUIDs": Variant("as", []),
        }

    # ------------------------------------------------------------ calls

    def _on_message(self, message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL and message.destination in (SERVICE, self._name()):
            self._spawn(self._reply(message))
            return True
        if message.member == "NameOwnerChanged" and not message.body[2]:
            self._spawn(self._gone(message.body[0]))
        return False

    async def _reply(self, message: Message) -> None:
        bus = self._bus
        try:
            signature, body, fds = await self._do(message)
            answer = Message.new_method_return(message, signature, body, fds)
        except BluezError as error:
            answer = Message.new_error(message, error.name, str(error))
            fds = []
        if bus is not None and bus.connected:
            await bus.send(answer)
        for fd in fds:
            os.close(fd)

    async def _do(self, message: Message) -> tuple[str, list[Any], list[int]]:
        """Do what a call asks; return its answer: signature, body, file descriptors."""
        path, sender, member = message.path or "", message.sender or "", message.member
        if member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [self._objects], []
        if path not in self._objects:
            raise BluezError("org.freedesktop.DBus.Error.UnknownObject", f"no such object: {path}")
        if message.interface == PROPERTIES:
            return self._do_properties(path, member, message.body)
        if not self._powered:
            raise BluezError("NotReady", "Resource Not Ready")
        if path == ADAPTER:
            return await self._do_adapter(member, sender, message.body)
        device = next(each for each in self.devices.values() if path.startswith(each.path))
        if path == device.path:
            return await self._do_device(device, member)
        if path in device.characteristics:
            return await self._do_characteristic(device, path, member, sender, message.body)
        raise BluezError("org.freedesktop.DBus.Error.UnknownMethod", f"{member} on {path}")

    def _do_properties(self, path: str, member: str | None, body: list[Any]) -> tuple[str, list[Any], list[int]]:
        properties = self._objects[path].get(body[0], {})
        if member == "GetAll":
            return "a{sv}", [properties], []
        if member == "Get" and body[1] in properties:
            return "v", [properties[body[1]]], []
        raise BluezError("org.freedesktop.DBus.Error.InvalidArgs", f"{member} {body[1:]}")

    async def _do_adapter(self, member: str | None, sender: str, body: list[Any]) -> tuple[str, list[Any], list[int]]:
        match member:
            case "SetDiscoveryFilter":
                pass
            case "StartDiscovery":
                if sender in self._discoverers:
                    raise BluezError("InProgress", "Operation already in progress")
                self._discoverers.add(sender)
                await self._scan()
            case "StopDiscovery":
                if sender not in self._discoverers:
                    raise BluezError("Failed", "No discovery started")
                self._discoverers.discard(sender)
                await self._scan()
            case "RemoveDevice":
                device = next((each for each in self.devices.values() if each.path == body[0]), None)
                if device is None:
                    raise BluezError("DoesNotExist", "Does Not Exist")
                await self._disconnect(device)
                await self.forget(device.address)
            case _:
                raise BluezError("org.freedesktop.DBus.Error.UnknownMethod", str(member))
        return "", [], []

    async def _do_device(self, device: KnownDevice, member: str | None) -> tuple[str, list[Any], list[int]]:
        match member:
            case "Connect":
                await self._connect(device)
            case "Disconnect":
                await self._disconnect(device)
            case _:
                raise BluezError("org.freedesktop.DBus.Error.UnknownMethod", str(member))
        return "", [], []

    # ------------------------------------------------------------ discovery

    async def _scan(self) -> None:
        if self._discoverers and not self._radio.is_scanning:
            await self._radio.start_scanning(filter_duplicates=False)
        elif not self._discoverers and self._radio.is_scanning:
            await self._radio.stop_scanning()
            for device in self.devices.values():
                if device.rssi_dbm is not None:
                    device.rssi_dbm = None
                    self._objects.get(device.path, {}).get(DEVICE_1, {}).pop("RSSI", None)
                    self._signal(device.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [DEVICE_1, {}, ["RSSI"]])
        self._change(ADAPTER, ADAPTER_1, {"Discovering": Variant("b", bool(self._discoverers))})

    def _on_advertisement(self, said: Advertisement) -> None:
        if not (self._discoverers and self._plugged and self._powered):
            return
        address = said.address.to_string(with_type_qualifier=False)
        device = self.known(address)
        device.rssi_dbm = self.air.rssi_dbm.get(address, -70)
        for kind in _UUID_LISTS:
            for uuids in said.data.get_all(kind):
                device.uuids += [_long(uuid) for uuid in uuids if _long(uuid) not in device.uuids]
        names = said.data.get_all(AdvertisingData.COMPLETE_LOCAL_NAME)
        device.name = names[0] if names else device.name
        device.manufacturer_data.update(said.data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA))
        if device.path in self._objects:
            changed = device.properties()
            kept = ("RSSI", "UUIDs", "ManufacturerData")
            self._change(device.path, DEVICE_1, {key: changed[key] for key in kept if key in changed})
        else:
            self._add(device.path, {DEVICE_1: device.properties()})

    # ------------------------------------------------------------ connections

    async def _connect(self, device: KnownDevice) -> None:
        if device.connecting is not None:
            raise BluezError("InProgress", "Operation already in progress")
        if device.connection is not None:
            return
        if device.refusals:
            text = device.refusals.pop(0)
            if text == ABORTED:
                # the link stood for a moment, and its end is told behind the answer
                self._change(device.path, DEVICE_1, {"Connected": Variant("b", True)})
                gone = {"Connected": Variant("b", False)}
                asyncio.get_running_loop().call_later(0.05, self._change, device.path, DEVICE_1, gone)
            raise BluezError("Failed", text)
        device.connecting = asyncio.ensure_future(self._link(device))
        try:
            await device.connecting
        except (asyncio.CancelledError, TimeoutError, BaseBumbleError):
            raise BluezError("Failed", ABORTED) from None
        finally:
            device.connecting = None
        assert device.connection is not None
        self._change(device.path, DEVICE_1, {"Connected": Variant("b", True)})
        self._spawn(self._discover(device, device.connection))

    async def _link(self, device: KnownDevice) -> None:
        async with asyncio.timeout(CONNECT_S):
            while device.connection is None:
                while not self.air.advertising(device.address):
                    await asyncio.sleep(0.01)
                async with self._connecting:
                    with suppress(BaseBumbleError):
                        connection = await self._radio.connect(Address(device.address), timeout=1.0)
                        connection.on("disconnection", partial(self._on_disconnection, device))
                        device.connection = connection

    def _on_disconnection(self, device: KnownDevice, _: int) -> None:
        device.connection = None
        device.resolved = False
        for known in device.characteristics.values():
            known.proxy = None
            if known.acquired is not None:
                known.acquired.close()
                known.acquired = None
        gone = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
        self._change(device.path, DEVICE_1, gone)

    async def _disconnect(self, device: KnownDevice) -> None:
        if device.connecting is not None:
            device.connecting.cancel()
        elif device.connection is not None:
            await _quietly(device.connection.disconnect())
        else:
            raise BluezError("NotConnected", "Not Connected")

    async def _discover(self, device: KnownDevice, connection: Connection) -> None:
        """Exchange MTUs, find all there is, show it, and subscribe anew for whoever was subscribed."""
        found: dict[str, dict[str, Properties]] = {}
        characteristics: dict[str, KnownCharacteristic] = {}
        try:
            peer = Peer(connection)
            await peer.request_mtu(MTU)
            for service in await peer.discover_services():
                service_path = f"{device.path}/service{service.handle:04x}"
                facts = {"UUID": Variant("s", _long(service.uuid)), "Primary": Variant("b", True)}
                found[service_path] = {SERVICE_1: facts | {"Device": Variant("o", device.path)}}
                for proxy in await peer.discover_characteristics(service=service):
                    path = f"{service_path}/char{proxy.handle - 1:04x}"
                    known = KnownCharacteristic(proxy, _flags(proxy))
                    known.notified = device.characteristics[path].notified if path in device.characteristics else []
                    characteristics[path] = known
                    found[path] = {CHARACTERISTIC_1: self._characteristic(service_path, known, connection.att_mtu)}
                    for descriptor in await proxy.discover_descriptors():
                        facts = {"UUID": Variant("s", _long(descriptor.type)), "Characteristic": Variant("o", path)}
                        found[f"{path}/desc{descriptor.handle:04x}"] = {DESCRIPTOR_1: facts}
        except (asyncio.CancelledError, BaseBumbleError):
            return  # the link did not live to see it; its end is told elsewhere
        before = {path for path in self._objects if path.startswith(f"{device.path}/")}
        for path in sorted(before, reverse=True):
            if path not in found:
                self._remove(path)
        device.characteristics = characteristics
        for path, interfaces in found.items():
            if path not in before:
                self._add(path, interfaces)
            elif CHARACTERISTIC_1 in interfaces:
                self._change(path, CHARACTERISTIC_1, {"MTU": interfaces[CHARACTERISTIC_1]["MTU"]})
        device.uuids = [facts[SERVICE_1]["UUID"].value for facts in found.values() if SERVICE_1 in facts]
        device.resolved = True
        resolved = {"ServicesResolved": Variant("b", True), "UUIDs": Variant("as", device.uuids)}
        self._change(device.path, DEVICE_1, resolved)
        for path, known in characteristics.items():
            if known.notified:
                with suppress(BluezError):
                    await self._subscribe(device, path, known)

    def _characteristic(self, service_path: str, known: KnownCharacteristic, mtu: int) -> Properties:
        assert known.proxy is not None
        said = {
            "UUID": Variant("s", _long(known.proxy.uuid)),
            "Service": Variant("o", service_path),
            "Flags": Variant("as", known.flags),
            "Value": Variant("ay", b""),
            "MTU": Variant("q", mtu),
        }
        if {"notify", "indicate"} & set(known.flags):
            said["Notifying"] = Variant("b", bool(known.notified))
            said["NotifyAcquired"] = Variant("b", False)
        if "write-without-response" in known.flags:
            said["WriteAcquired"] = Variant("b", False)
        return said

    # ------------------------------------------------------------ characteristics

    async def _do_characteristic(
        self, device: KnownDevice, path: str, member: str | None, sender: str, body: list[Any]
    ) -> tuple[str, list[Any], list[int]]:
        known = device.characteristics[path]
        if known.proxy is None:
            raise BluezError("Failed", "Not connected")
        match member:
            case "ReadValue":
                value = await self._att(device, known.proxy.read_value())
                self._change(path, CHARACTERISTIC_1, {"Value": Variant("ay", bytes(value))})
                return "ay", [bytes(value)], []
            case "WriteValue":
                await self._write(device, known, body[0], body[1])
            case "StartNotify":
                if sender in known.notified:
                    raise BluezError("Failed", "Already notifying")
                if known.acquired is not None:
                    raise BluezError("NotPermitted", "Notify acquired")
                await self._subscribe(device, path, known)
                known.notified.append(sender)
                self._change(path, CHARACTERISTIC_1, {"Notifying": Variant("b", True)})
            case "StopNotify":
                if sender not in known.notified:
                    raise BluezError("Failed", "No notify session started")
                known.notified.remove(sender)
                await self._unsubscribe(device, path, known)
            case "AcquireNotify":
                if known.acquired is not None or known.notified:
                    raise BluezError("NotPermitted", "Notify acquired")
                await self._subscribe(device, path, known)
                known.acquired, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                known.acquired.setblocking(False)
                self._change(path, CHARACTERISTIC_1, {"NotifyAcquired": Variant("b", True)})
                assert device.connection is not None
                return "hq", [0, device.connection.att_mtu], [theirs.detach()]
            case _:
                raise BluezError("org.freedesktop.DBus.Error.UnknownMethod", str(member))
        return "", [], []

    async def _write(
        self, device: KnownDevice, known: KnownCharacteristic, data: bytes, options: dict[str, Variant]
    ) -> None:
        kind = options["type"].value if "type" in options else ""
        with_response = kind == "request" or (not kind and "write" in known.flags)
        if ("write" if with_response else "write-without-response") not in known.flags:
            raise BluezError("NotSupported", "Operation is not supported")
        assert known.proxy is not None
        await self._att(device, known.proxy.write_value(bytes(data), with_response=with_response))

    async def _subscribe(self, device: KnownDevice, path: str, known: KnownCharacteristic) -> None:
        if not {"notify", "indicate"} & set(known.flags):
            raise BluezError("NotSupported", "Operation is not supported")
        assert known.proxy is not None
        async with known.subscribing:
            if not known.proxy.subscribers:
                await self._att(device, known.proxy.subscribe(self._notifier(path, known)))

    async def _unsubscribe(self, device: KnownDevice, path: str, known: KnownCharacteristic) -> None:
        if known.notified or known.proxy is None:
            return
        for subscriber in list(known.proxy.subscribers):
            with suppress(BluezError):
                await self._att(device, known.proxy.unsubscribe(subscriber, force=True))
        self._change(path, CHARACTERISTIC_1, {"Notifying": Variant("b", False)})

    def _notifier(self, path: str, known: KnownCharacteristic) -> Callable[[bytes], None]:
        def on_value(value: bytes) -> None:
            if known.acquired is not None:
                try:
                    known.acquired.send(value)
                except OSError:
                    known.lost += 1
                return
            for _ in known.notified:
                self._change(path, CHARACTERISTIC_1, {"Value": Variant("ay", bytes(value))})

        return on_value

    async def _att(self, device: KnownDevice, operation: Coroutine[Any, Any, Any]) -> Any:
        """Return what an ATT operation gives, its refusals told as bluetoothd tells them."""
        try:
            return await operation
        except ATT_Error as error:
            raise BluezError(*_ATT_ERRORS.get(error.error_code, _other_att_error(error.error_code))) from error
        except (asyncio.CancelledError, BaseBumbleError):
            if device.connection is not None:
                raise
            raise BluezError(*_other_att_error(0x0E)) from None  # the link ended under it

    async def _gone(self, name: str) -> None:
        """Take that a client left the bus: what it had asked for is over."""
        if name in self._discoverers:
            self._discoverers.discard(name)
            await self._scan()
        for device in self.devices.values():
            for path, known in device.characteristics.items():
                if name in known.notified:
                    known.notified.remove(name)
                    await self._unsubscribe(device, path, known)

    # ------------------------------------------------------------ objects and signals

    def _add(self, path: str, interfaces: dict[str, Properties]) -> None:
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _remove(self, path: str) -> None:
        interfaces = list(self._objects.pop(path))
        self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, interfaces])

    def _change(self, path: str, interface: str, changed: Properties) -> None:
        if path in self._objects:
            self._objects[path][interface].update(changed)
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None and self._bus.connected:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _name(self) -> str | None:
        return self._bus.unique_name if self._bus is not None else None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_UUID_LISTS = (
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)

# by the codes of the Core Specification, 3.F.3.4.1.1
_ATT_ERRORS = {
    0x02: ("NotPermitted", "Read not permitted"),
    0x03: ("NotPermitted", "Write not permitted"),
    0x05: ("NotPermitted", "Not paired"),
    0x06: ("NotSupported", "Operation is not supported"),
    0x07: ("InvalidArguments", "Invalid offset"),
    0x08: ("NotAuthorized", "Operation Not Authorized"),
    0x0C: ("NotPermitted", "Not paired"),
    0x0D: ("InvalidArguments", "Invalid Length"),
    0x0F: ("NotPermitted", "Not paired"),
    0xFD: ("ImproperlyConfigured", "CCCD Improperly Configured"),
}


def _other_att_error(code: int) -> tuple[str, str]:
    return "Failed", f"Operation failed with ATT error: 0x{code:02x}"


def _flags(proxy: CharacteristicProxy[bytes]) -> list[str]:
    return [one.name.lower().replace("_", "-") for one in proxy.properties if one.name]


def _long(uuid: UUID) -> str:
    return uuid.to_hex_str("-").lower() if len(uuid.uuid_bytes) == 16 else f"0000{uuid.to_hex_str().lower()}{_BASE}"


_BASE = "-0000-1000-8000-00805f9b34fb"


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(BaseBumbleError, asyncio.CancelledError):
        await work
