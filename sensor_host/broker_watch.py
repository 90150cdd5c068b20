"""The watcher: runs the embedded broker, starts it anew when it dies, and ends with the host however that ends.

``python -m sensor_host.broker_watch RECORD_PATH RECORD COMMAND...``: the host holds the other end of standard input;
when that closes, after kill -9 too, the broker is ended and the runtime file removed. Says on standard output
``ready`` once, or ``failed`` and why.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType

from sensor_host.runtime import BrokerRecord, Process, forget

# Mosquitto (2.0 and later) and the child of ours both say it when they listen.
READY_WORD = "running"
# 0.2 s: longer than a broker needs to give its port free, short against a client's own back-off
RESTART_S = 0.2
PATIENCE_S = 2.0


class Watch:
    """One broker process at a time, until `stop`."""

    def __init__(self, record: BrokerRecord, record_path: Path, command: list[str]) -> None:
        self._record = record
        self._record_path = record_path
        self._command = command
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def run(self) -> int:
        """Run the broker until `stop`; give up at once if it never gets ready."""
        ready = False
        while (child := self._start()) is not None:
            last = ""
            assert child.stdout is not None
            for line in child.stdout:
                last = line.strip() or last
                if READY_WORD in line and not ready:
                    ready = True
                    print("ready", flush=True)
            code = child.wait()
            if not ready:
                print(f"failed {last or f'exit code {code}'}", flush=True)
                return 1
            self._stopping.wait(RESTART_S)
        return 0

    def stop(self) -> None:
        """End the broker and do not start it again."""
        with self._lock:
            self._stopping.set()
            child = self._child
        if child is not None:
            child.terminate()
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()

    def _start(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._child = child
        replace(self._record, broker=Process.of(child.pid)).write(self._record_path)
        return child


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Unlike SIG_IGN, a handler is not handed down to the broker."""


def main() -> int:
    """Watch over the broker whose record and command line stand in the arguments."""
    path = Path(sys.argv[1])
    me = Process.of(os.getpid())
    record = replace(BrokerRecord.from_json(sys.argv[2]), watcher=me)
    watch = Watch(record, path, sys.argv[3:])
    # A polite request is not for the watcher: it ends when the host has gone.
    signal.signal(signal.SIGTERM, _ignore)

    def until_the_host_is_gone() -> None:
        sys.stdin.buffer.read()
        watch.stop()

    threading.Thread(target=until_the_host_is_gone, daemon=True).start()
    try:
        return watch.run()
    finally:
        forget(path, record.folder)


if __name__ == "__main__":
    sys.exit(main())
