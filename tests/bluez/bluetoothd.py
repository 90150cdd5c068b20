"""The real bluetoothd in the place of `minibluez`: a virtual adapter of the kernel, and in it the `air` of the tests.

Runs as root in a kernel of its own, never on a machine that somebody uses (see `run`). It has what `minibluez.Bluez`
has, so that every test written for that one says the same of this one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from air import Air, AirController
from bumble import hci, ll
from bumble.transport import open_transport
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

STATE = Path("/var/lib/bluetooth")
LOG = Path("/run/bluetoothd.log")
ENDED = "ended by itself"
ADAPTER_1 = "org.bluez.Adapter1"
DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

# an advertisement and the answer to a scan request hold so many bytes each
ADVERTISEMENT_BYTES = 31

# 0.2 s: as systemd restarts a service that crashed, a little later
RESTART_S = 0.2


class Bluez:
    """bluetoothd, and the adapter it has. What it answers cannot be chosen: there is no ``known``."""

    def __init__(self, air: Air, *, roles: tuple[str, ...] = ()) -> None:
        del roles  # the kernel's adapter has its own
        self.air = air
        self._adapter: _Adapter | None = None
        self._plugged = True
        self._powered = True
        self._bus: MessageBus | None = None
        self._bus_address = ""
        self._running: asyncio.Task[None] | None = None
        # what was learned of sensors in another test
        shutil.rmtree(STATE)
        STATE.mkdir()

    # ------------------------------------------------------------ life

    async def start(self, bus_address: str) -> None:
        """Start bluetoothd on that bus and wait until it serves the adapter, if there is one."""
        self._bus_address = bus_address
        if self._bus is None or not self._bus.connected:
            self._bus = await MessageBus(bus_address, BusType.SYSTEM).connect()
        self._running = asyncio.ensure_future(self._keep_running())
        await self._settled(new=True)

    async def die(self) -> None:
        """End bluetoothd without a word."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    async def end(self) -> None:
        """End everything."""
        await self.die()
        await self.plug(into=False)
        if self._bus is not None:
            self._bus.disconnect()

    async def _keep_running(self) -> None:
        """Start bluetoothd again whenever it ends by itself, as systemd would."""
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self._bus_address}
        while True:
            with LOG.open("ab") as log:
                child = await asyncio.create_subprocess_exec(
                    os.environ["BLUETOOTHD"], "-n", stdout=log, stderr=log, env=environment
                )
            try:
                code = await child.wait()
            except asyncio.CancelledError:
                child.kill()
                await child.wait()
                raise
            with LOG.open("a") as log:
                print(f"bluetoothd {ENDED} with {code} and is started again", file=log)
            await asyncio.sleep(RESTART_S)

    # ------------------------------------------------------------ the adapter

    async def power(self, *, on: bool) -> None:
        """Switch the adapter on or off."""
        self._powered = on
        await self._settled()

    async def plug(self, *, into: bool) -> None:
        """Plug the adapter in, or pull it out."""
        self._plugged = into
        if into and self._running is not None:
            await self._settled()
        elif not into and self._adapter is not None:
            adapter, self._adapter = self._adapter, None
            await adapter.close()
            await self._settled()

    async def _settled(self, *, new: bool = False) -> None:
        """Bring about what is wanted of the adapter and wait until bluetoothd says so."""
        if self._running is None:
            return
        if self._plugged and self._adapter is None:
            self._adapter = await _Adapter.open(self.air)
            new = True
        # bluetoothd switches on whatever adapter is new to it; only then can it be switched off for good
        seen_on = not new
        while True:
            adapters = await self._adapters()
            if adapters is not None and bool(adapters) == self._plugged:
                if not adapters:
                    return
                (path, powered), *_ = adapters.items()
                seen_on = seen_on or powered
                if seen_on and powered == self._powered:
                    return
                if seen_on:
                    await self._set_powered(path)
            await asyncio.sleep(0.02)

    async def _adapters(self) -> dict[str, bool] | None:
        """Return the adapters' paths and whether they are on; None as long as nobody answers."""
        assert self._bus is not None
        answer = await self._bus.call(
            Message("org.bluez", "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        )
        if answer is None or answer.message_type is MessageType.ERROR:
            return None
        return {
            path: bool(interfaces[ADAPTER_1]["Powered"].value)
            for path, interfaces in answer.body[0].items()
            if ADAPTER_1 in interfaces
        }

    async def _set_powered(self, path: str) -> None:
        await self._call(
            path, "org.freedesktop.DBus.Properties", "Set", "ssv", [ADAPTER_1, "Powered", Variant("b", self._powered)]
        )

    # ------------------------------------------------------------ what it knows

    async def connections(self) -> int:
        """Return how many connections to the bus there are."""
        assert self._bus is not None
        answer = await self._bus.call(Message(*DBUS, "ListNames"))
        assert answer is not None
        return sum(name.startswith(":") for name in answer.body[0])

    async def forget(self, address: str) -> None:
        """Remove a device that is not connected."""
        for path in await self._adapters() or {}:
            device = f"{path}/dev_{address.replace(':', '_')}"
            await self._call(path, ADAPTER_1, "RemoveDevice", "o", [device])

    async def _call(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        assert self._bus is not None
        await self._bus.call(Message("org.bluez", path, interface, member, signature=signature, body=body))


class _Adapter:
    """A virtual adapter of the kernel and the controller behind it."""

    def __init__(self, transport: Any, controller: _HostController) -> None:
        self.controller = controller
        self._transport = transport

    @classmethod
    async def open(cls, air: Air) -> _Adapter:
        transport = await open_transport("vhci")
        controller = _HostController("host", host_source=transport.source, host_sink=transport.sink, link=air)
        return cls(transport, controller)

    async def close(self) -> None:
        air = self.controller.air
        for connection in list(self.controller.le_connections.values()):
            air.drop(connection.peer_address.to_string(with_type_qualifier=False))
        air.remove_controller(self.controller)
        await self._transport.close()


class _HostController(AirController):
    """What the kernel takes for its adapter."""

    # Without them the kernel keeps to the commands that bumble's controller answers as a real one does.
    le_features = AirController.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY
        | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(self, name: str, *, link: Air, **transport: Any) -> None:
        super().__init__(name, link=link, **transport)
        self.air = link

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Tell of an advertisement as loud as it is, what does not fit into it as the answer to a scan."""
        kinds = hci.HCI_LE_Advertising_Report_Event.EventType
        address = pdu.advertiser_address.to_string(with_type_qualifier=False)
        if self.le_scan_enable:
            for kind, data in zip((kinds.ADV_IND, kinds.SCAN_RSP), _portions(pdu.data), strict=False):
                report = hci.HCI_LE_Advertising_Report_Event.Report(
                    event_type=kind,
                    address_type=pdu.advertiser_address.address_type,
                    address=pdu.advertiser_address,
                    data=data,
                    rssi=self.air.rssi_dbm.get(address, -50),
                )
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
        if (pending := self.pending_le_connection) and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)


def _portions(data: bytes) -> Iterator[bytes]:
    """Cut advertising data between its structures into portions of at most 31 bytes; at least two, as a scan gives."""
    portion, start, count = b"", 0, 0
    while start < len(data):
        end = start + 1 + data[start]
        if portion and len(portion) + end - start > ADVERTISEMENT_BYTES:
            yield portion
            portion, count = b"", count + 1
        portion += data[start:end]
        start = end
    yield portion
    if count == 0:
        yield b""
