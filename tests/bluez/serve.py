"""For commands by hand: bluetoothd on the system bus, and a second adapter beside it, until it is ended."""

from __future__ import annotations

import asyncio
import os

from bluetooth_world import World


async def main() -> None:
    """Begin, print the name of the second adapter, go on."""
    world = World()
    address = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    await world.begin({"address": address, "sensors": [], "powered": True, "adapter": True, "roles": []})
    print(await world.adapter(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
