"""A broker in pure Python for machines without Mosquitto: loopback only, MQTT 3.1.1, a process of its own.

``python -m sensor_host.broker_amqtt PORT``; ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading

# What a phone, a plot window, a player and a few scripts need, many times over.
MAX_CONNECTIONS = 64


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until the process ends."""
    from amqtt.broker import Broker  # type: ignore[import-untyped]  # it carries no types

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": MAX_CONNECTIONS}},
            # Without a list of its own it would load plug-ins found on the system.
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    print("running", flush=True)
    await asyncio.Event().wait()


def _until_stdin_closes() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Run the broker on the port in the first argument."""
    logging.basicConfig(level=logging.ERROR)
    threading.Thread(target=_until_stdin_closes, daemon=True).start()
    asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
