"""``python -m sensor_host.page``: reads one line from standard input, serves, and ends when standard input closes."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading

from sensor_host.page.orders import read_serving
from sensor_host.page.server import run


def _until_stdin_closes() -> None:
    # past Python's own buffer, whose lock a thread that waits would hold while the interpreter ends
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve the page."""
    # a page that hangs up in the middle of a handshake is no news
    logging.basicConfig(level=logging.CRITICAL)
    serving = read_serving(sys.stdin.buffer.readline())
    threading.Thread(target=_until_stdin_closes, daemon=True).start()
    try:
        asyncio.run(run(serving))
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
