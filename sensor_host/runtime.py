"""The runtime files: by them other programs find the embedded broker, and a later start finds what a killed one left.

Only the standard library and platformdirs: the small process that watches the broker imports this file too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD_NAME = "broker.json"


@dataclass(frozen=True, slots=True)
class Process:
    """A process: ``mark`` is its start as the system tells it, so that a number given anew is not taken for it."""

    pid: int
    mark: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _mark(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a system that cannot tell says yes."""
        return not self.mark or _mark(self.pid) == self.mark

    def kill(self) -> None:
        """End it at once if it is certain that it is the one that was written down."""
        if self.mark and self.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class BrokerRecord:
    """What a runtime file says about an embedded broker. ``url`` is all that a client needs."""

    url: str
    program: str
    topic_root: str
    host: Process
    watcher: Process
    broker: Process
    folder: str = ""

    def write(self, path: Path) -> None:
        """Write the record so that a reader sees all of it or nothing."""
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(self.to_json() + "\n", encoding="utf-8")
        partial.replace(path)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, path: Path) -> BrokerRecord | None:
        """Read a record; None where there is none or it is not one."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @classmethod
    def from_json(cls, text: str) -> BrokerRecord:
        """Read a record from its JSON.

        Raises
        ------
        ValueError, TypeError, KeyError
            It is none.
        """
        told = json.loads(text)
        return cls(
            url=str(told["url"]),
            program=str(told["program"]),
            topic_root=str(told["topic_root"]),
            host=Process(**told["host"]),
            watcher=Process(**told["watcher"]),
            broker=Process(**told["broker"]),
            folder=str(told["folder"]),
        )


def runtime_dir() -> Path:
    """Return the user's own folder for what lives as long as a process; made if need be, closed to others."""
    import warnings

    import platformdirs

    with warnings.catch_warnings():
        # It says which folder it takes when the first choice is open to others: all the same to us.
        warnings.simplefilter("ignore")
        path = platformdirs.user_runtime_path("hipdrive", appauthor=False)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def records() -> Iterator[tuple[Path, BrokerRecord]]:
    """Yield the runtime files of embedded brokers, the one with the plain name first."""
    paths = sorted(runtime_dir().glob("broker*.json"), key=lambda path: (path.name != RECORD_NAME, path.name))
    for path in paths:
        record = BrokerRecord.read(path)
        if record is not None:
            yield path, record


def find_broker() -> BrokerRecord | None:
    """Return the embedded broker of a running hipdrive of this user, or None."""
    return next((record for _, record in records() if record.host.alive), None)


def end_orphans() -> int:
    """End the brokers whose host is gone and clear away what they left; return how many there were."""
    ended = 0
    for path, record in list(records()):
        if not record.host.alive:
            # The watcher first: it would start the broker anew.
            record.watcher.kill()
            record.broker.kill()
            forget(path, record.folder)
            ended += 1
    return ended


def forget(path: Path, folder: str) -> None:
    """Remove a runtime file and the broker's own folder."""
    with suppress(OSError):
        path.unlink()
    if folder and Path(folder).parent == path.parent:
        shutil.rmtree(folder, ignore_errors=True)


def _mark(pid: int) -> str:
    """Return when a process started, in the system's own words; empty where there is none or nobody can tell."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        # The name in parentheses may hold anything; behind it the state is field 3 and the start field 22.
        behind = stat.rpartition(")")[2].split()
        return "" if behind[0] in "ZX" else behind[19]
    if sys.platform == "win32":
        return ""
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()
