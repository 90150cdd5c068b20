"""A sound server of its own whose only loudspeaker can be recorded: PulseAudio with a null sink."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class NoEarError(Exception):
    """The sound server does not start."""


class Recording:
    """What a private sound server plays, recorded from the moment this was made."""

    rate_hz = 48_000
    # -46 dB: softer than any sound of ours, louder than what a server adds
    audible = 0.005

    def __init__(self, parec: str) -> None:
        command = [parec, "--raw", "--format=float32le", f"--rate={self.rate_hz}", "--channels=2"]
        self._child = subprocess.Popen([*command, "--device=ear.monitor", "--latency-msec=10"], stdout=subprocess.PIPE)
        self._blocks: list[bytes] = []
        self._arrived: list[tuple[int, float]] = []
        self._bytes = 0
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as pipe:
            while block := pipe.read(1920):
                arrived_s = time.monotonic()
                with self._news:
                    self._blocks.append(block)
                    self._bytes += len(block)
                    self._arrived.append((self._bytes // 8, arrived_s))
                    self._news.notify_all()

    def _heard(self) -> np.ndarray:
        data = b"".join(self._blocks)
        return np.frombuffer(data, np.float32, count=len(data) // 8 * 2).reshape(-1, 2)

    def _loud(self) -> np.ndarray:
        return np.flatnonzero(np.abs(self._heard()).max(axis=1, initial=0) > self.audible)

    def wait_until_it_runs(self) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self._blocks, 15), "the sound server gives nothing to record"

    def sound(self, duration_s: float) -> np.ndarray:
        """Wait for a sound of at most this length and return it (n, 2), from the first audible sample to the last."""

        def over() -> bool:
            loud = self._loud()
            return len(loud) > 0 and len(self._heard()) > loud[0] + (duration_s + 0.3) * self.rate_hz

        with self._news:
            assert self._news.wait_for(over, 15), "nothing was heard"
            loud = self._loud()
            return self._heard()[loud[0] : loud[-1] + 1]

    def next(self, duration_s: float) -> np.ndarray:
        """Wait for the next so many seconds, sound or silence, and return them (n, 2)."""
        n = round(duration_s * self.rate_hz)
        with self._news:
            begin = len(self._heard())
            assert self._news.wait_for(lambda: len(self._heard()) >= begin + n, duration_s + 15), "nothing is recorded"
            return self._heard()[begin : begin + n]

    def everything(self) -> np.ndarray:
        """Return all that was recorded so far (n, 2)."""
        with self._news:
            return self._heard()

    def heard_at_s(self, frames: np.ndarray) -> np.ndarray:
        """Return when samples were there, by the monotonic clock: never too early, up to the recorder's 10 ms late."""
        with self._news:
            ends, arrived_s = np.array(self._arrived).T
        blocks = np.searchsorted(ends, frames, side="right")
        return arrived_s[blocks] - (ends[blocks] - frames) / self.rate_hz

    def heard_nothing(self) -> bool:
        with self._news:
            return len(self._loud()) == 0

    def close(self) -> None:
        self._child.terminate()
        self._child.wait()
        self._thread.join()


class Ear:
    """A sound server of its own whose only loudspeaker can be recorded."""

    def __init__(self, address: str, parec: str, pactl: str) -> None:
        self.address = address
        self._parec = parec
        self._pactl = pactl

    def unplug(self) -> None:
        """Take the loudspeaker away, and with it every stream that plays to it."""
        self._order("unload-module", "module-null-sink")

    def plug_in(self) -> None:
        """Bring it back."""
        if "ear" not in self._order("list", "short", "sinks"):
            self._order("load-module", "module-null-sink", "sink_name=ear", "rate=48000", "channels=2")

    def _order(self, *words: str) -> str:
        order = [self._pactl, f"--server={self.address}", *words]
        return subprocess.run(order, capture_output=True, check=True, text=True, timeout=15).stdout

    @contextlib.contextmanager
    def listening(self) -> Iterator[Recording]:
        recording = Recording(self._parec)
        try:
            recording.wait_until_it_runs()
            yield recording
        finally:
            recording.close()


@contextlib.contextmanager
def open_ear(folder: Path, pulseaudio: str, parec: str, pactl: str, path: str) -> Iterator[Ear]:
    """Run a sound server in ``folder``; ``path`` is where it finds programs. Raises `NoEarError`."""
    folder.chmod(0o700)
    own = {name: str(folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH")}
    own |= {"PULSE_STATE_PATH": str(folder), "LC_ALL": "C", "PATH": path}
    command = [pulseaudio, "-n", "--system=false", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += ["--log-target=stderr", "--log-level=info"]
    command += [f"--load=module-native-protocol-unix socket={folder / 'native'} auth-anonymous=1"]
    command += ["--load=module-null-sink sink_name=ear rate=48000 channels=2"]
    server = subprocess.Popen(command, env=own, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    said: list[str] = []
    for line in server.stderr:
        said.append(line)
        if "startup complete" in line:
            break
    else:
        raise NoEarError(f"pulseaudio does not start: {''.join(said[-3:])}")
    drain = threading.Thread(target=server.stderr.read)
    drain.start()
    try:
        yield Ear(f"unix:{folder / 'native'}", parec, pactl)
    finally:
        server.terminate()
        server.wait()
        drain.join()
        server.stderr.close()
