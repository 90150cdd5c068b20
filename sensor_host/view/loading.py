"""A recording or a CSV file into a `Timeline`, while the window is in use.

1. The measuring is done by a process of its own (`sensor_host.view.measuring`): an hour takes it about three seconds.
   Its standard input is a pipe that nobody writes into; it ends when that closes, with the window, however that ends.
2. What it hands over is read by a thread and put into the timeline by whoever calls `Loading.take`: the window, a few
   milliseconds at a time.
3. What was measured is kept in the user's cache folder, under the checksum of the file and of the code that measured
   it: the second time an hour is there at once. Nothing rests on the cache: it can be deleted at any time, is left
   alone where it cannot be written, and is made anew where it is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import pelvis
import sensor_host
from sensor_host import heard, places
from sensor_host.errors import HipdriveError, InputError
from sensor_host.view.measuring import PARTIAL
from sensor_host.view.parcels import (
    BrokenParcelsError,
    End,
    Failure,
    Items,
    Motion,
    Parcel,
    Steps,
    Survey,
    unpack,
)
from sensor_host.view.timeline import Timeline

# 23 MB an hour: the last twenty hours that were looked at
CACHE_MAX_BYTES: Final = 500_000_000
# 1 day: a measuring that was ended in the middle leaves a partial file; none takes so long
PARTIAL_MAX_AGE_S: Final = 86_400.0
# 8 ms: half of a frame at 60 a second
TURN_S: Final = 0.008
# 10 s: starting Python on a busy machine takes two; a file of ten hours is surveyed in five
OPENED_WITHIN_S: Final = 60.0

State: TypeAlias = Literal["opening", "measuring", "complete", "failed"]


class Loading:
    """One file on its way into a timeline.

    Parameters
    ----------
    path
        The recording or CSV file.
    cache
        The folder for what was measured; None: the user's own.

    Attributes
    ----------
    survey
        What the input alone tells; None until `wait_opened` has returned.
    state
        How it stands; as of the last `take` or `wait_opened`.
    measured_to_s
        Session time up to which the timeline is filled.
    error
        Why it failed.
    cached
        Whether it came out of the cache.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self.survey: Survey | None = None
        self.state: State = "opening"
        self.measured_to_s = float("-inf")
        self.error: HipdriveError | None = None
        self.cached = False
        self._cache = places.cache_dir() / "view" if cache is None else cache
        self._inbox: deque[Parcel] = deque()
        self._opened = threading.Event()
        self._ended = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._reader = threading.Thread(target=self._read, name=f"loading {path.name}", daemon=True)
        self._reader.start()

    def wait_opened(self, timeout_s: float = OPENED_WITHIN_S) -> Survey:
        """Wait until it is known that the file can be used, and what is in it.

        Raises
        ------
        InputError
            It cannot be used, or nothing came in time.
        ConfigError
            The configuration in the recording cannot be used.
        """
        if not self._opened.wait(timeout_s):
            raise InputError(f"{self.path}: could not be opened within {timeout_s:.0f} s", path=str(self.path))
        first = self._inbox[0]
        if isinstance(first, Survey):
            self.survey = first
            return first
        assert isinstance(first, Failure)
        self._fail(first)
        assert self.error is not None
        raise self.error

    def take(self, timeline: Timeline, turn_s: float | None = TURN_S) -> bool:
        """Put into the timeline what has come, for ``turn_s`` at most (None: all); return whether that was anything."""
        begin_s = time.perf_counter()
        any_came = False
        while self._inbox and (turn_s is None or time.perf_counter() - begin_s < turn_s):
            self._put(self._inbox.popleft(), timeline)
            any_came = True
        return any_came

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing more comes; `take` what has come after that."""
        return self._ended.wait(timeout_s)

    def close(self) -> None:
        """End the measuring, wherever it is."""
        with self._lock:
            self._closed = True
            child = self._child
        if child is not None and child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- into the timeline

    def _put(self, parcel: Parcel, timeline: Timeline) -> None:
        match parcel:
            case Motion():
                timeline.take_motion(parcel.t_s, parcel.values)
                if len(parcel.t_s):
                    self.measured_to_s = float(parcel.t_s[-1])
            case Steps():
                timeline.take_steps(parcel.rows)
            case Items():
                for level, payload in parcel.messages:
                    said = heard.read(level, payload)
                    timeline.take(said.item, said.session.get("words", ""))  # type: ignore[arg-type]
            case Survey():
                self.survey = parcel
                self.state = "measuring"
                timeline.reach(parcel.begin_s, parcel.end_s)
            case End():
                self.state = "complete"
                assert self.survey is not None
                self.measured_to_s = self.survey.end_s
            case Failure():
                self._fail(parcel)

    def _fail(self, failure: Failure) -> None:
        self.state = "failed"
        self.error = failure.error()

    # ---------------------------------------------------------------- the thread

    def _read(self) -> None:
        try:
            kept = self._kept()
            if kept is None or not self._read_kept(kept):
                self._read_child(kept)
        finally:
            self._hand(Failure(text=f"{self.path}: was not measured to its end", path=str(self.path), exit_code=3))

    def _hand(self, parcel: Parcel) -> None:
        if self._ended.is_set():
            return
        self._inbox.append(parcel)
        if isinstance(parcel, End | Failure):
            self._ended.set()
        self._opened.set()

    def _kept(self) -> Path | None:
        """Return where the file's measurement is kept, or would be; None where the file cannot be read."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None  # the child says what is wrong with it
        # what stands in its survey, too
        digest = hashlib.sha256(self.path.name.encode() + b"\0")
        digest.update(content)
        digest.update(_code())
        return self._cache / digest.hexdigest()

    def _read_kept(self, kept: Path) -> bool:
        try:
            packed = kept.read_bytes()
            parcels = list(unpack(io.BytesIO(packed)))
        except (OSError, BrokenParcelsError):
            return False
        with contextlib.suppress(OSError):
            os.utime(kept)  # looked at now: the last to be forgotten
        self.cached = True
        for parcel in parcels:
            self._hand(parcel)
        return True

    def _read_child(self, kept: Path | None) -> None:
        if kept is not None:
            _forget(self._cache)
        with self._lock:
            if self._closed:
                return
            command = [sys.executable, "-m", "sensor_host.view.measuring", str(self.path)]
            self._child = subprocess.Popen(
                [*command, str(kept)] if kept is not None else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        child = self._child
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            for parcel in unpack(child.stdout):
                self._hand(parcel)
        except BrokenParcelsError:
            pass  # it was ended; what has come stays
        finally:
            with contextlib.suppress(OSError):
                child.stdin.close()
            child.stdout.close()
            child.wait()


def _code() -> bytes:
    """Return a mark of the code that measures: another version, or a changed file, measures anew."""
    marks: list[str] = []
    for package in (pelvis, sensor_host):
        for folder in package.__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                status = path.stat()
                marks.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join([sensor_host.__version__, *marks]).encode()


def _forget(folder: Path) -> None:
    """Let go of what was not looked at for longest, until there is room for another."""
    found: list[tuple[float, int, Path]] = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    found.sort(reverse=True)
    total = 0
    now_s = time.time()
    for modified_s, size, path in found:
        total += size
        stale = path.name.endswith(PARTIAL) and now_s - modified_s > PARTIAL_MAX_AGE_S
        if stale or total > CACHE_MAX_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()
