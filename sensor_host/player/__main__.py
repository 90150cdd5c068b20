"""Read orders, play them, report: ``python -m sensor_host.player``.

One thread reads standard input, one renders words, this one decides; all meet in one queue.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import msgspec

from sensor_host.player.desk import Desk
from sensor_host.player.orders import Order, Report, Setup, read_order, write_line
from sensor_host.player.output import open_output
from sensor_host.player.speech import find_engine

_WAKE, _END = "wake", "end"


def _read(orders: BinaryIO, inbox: queue.SimpleQueue[Order | str]) -> None:
    for line in orders:
        try:
            inbox.put(read_order(line))
        except msgspec.DecodeError as error:
            sys.stderr.write(f"not an order: {error}\n")
    inbox.put(_END)


def play(orders: BinaryIO, reports: BinaryIO) -> None:
    """Work until ``orders`` ends."""
    inbox: queue.SimpleQueue[Order | str] = queue.SimpleQueue()

    def report(message: Report) -> None:
        reports.write(write_line(message))
        reports.flush()

    renderer = ThreadPoolExecutor(1)
    desk = Desk(open_output, find_engine, renderer, report, lambda: inbox.put(_WAKE))
    threading.Thread(target=_read, args=(orders, inbox), daemon=True).start()
    again_s: float | None = None
    while True:
        try:
            item = inbox.get(timeout=None if again_s is None else max(0.0, again_s - time.monotonic()))
        except queue.Empty:
            item = _WAKE
        if item == _END:
            break
        if isinstance(item, Setup):
            desk.set_up(item, time.monotonic())
        elif not isinstance(item, str):
            desk.take(item, time.monotonic())
        again_s = desk.work(time.monotonic())
    desk.close()
    renderer.shutdown(wait=False, cancel_futures=True)


def main() -> None:
    """Play from standard input to its end."""
    # Ctrl-C reaches the whole process group; the host decides when the player ends, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):  # the host is gone, and nobody is left to tell
        play(sys.stdin.buffer, sys.stdout.buffer)
    sys.stderr.flush()
    # Leave without waiting for a speech engine that is still at work.
    os._exit(0)


if __name__ == "__main__":
    main()
