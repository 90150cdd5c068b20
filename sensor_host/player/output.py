"""Where sound goes: the first way out of this machine that works.

1. PortAudio through the package sounddevice: one stream into which every event is mixed, one for the metronome.
2. pacat, PulseAudio's and PipeWire's own program: one process per sound, one for the metronome.
3. aplay, ALSA's own program: the same.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any, Protocol, cast

import numpy as np

from sensor_host.player.beats import Metronome
from sensor_host.player.children import NO_WINDOW, ask
from sensor_host.player.tones import RATE_HZ, Sound

# 2 s: asking a sound server that answers takes 10 ms; one that hangs must not hold the player up
PROBE_TIMEOUT_S = 2.0

# 35 ms: a tick is heard within 50 ms of its contact being said, with 40 ms within 60; a busy machine needs the rest
LATENCY_MS = 35

# 200 ms: the metronome knows its beats ahead, so that a machine that stalls for a while does not make it stumble
BEATS_LATENCY_MS = 200

# 20 ms: what a program that plays the metronome is given at a time
BEATS_BLOCK_FRAMES = RATE_HZ // 50

# 20 ms: gone at once, without a click
FADE_S = 0.02

# 10 ms: from starting pacat or aplay for an event until it is in the server's stream (2 to 18 ms measured)
PROGRAM_START_S = 0.01

# 0.2 s: pacat says how far ahead it is every 0.05 s; a program that has not said so by then never will
TELLS_WITHIN_BLOCKS = 10

# 2 s: no device is as late; a time further ahead is none
LATEST_S = 2.0

# 5 s: a running stream costs 3 % of a core, starting one 1 ms; ticks keep it running, cues wake it
REST_AFTER_S = 5.0


class NoOutputError(Exception):
    """Nothing here can play; ``advice`` says what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class Output(Protocol):
    """A way out. Nothing here waits; ``alive`` is False once what was opened is gone."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def event_latency_s(self) -> float:
        """How long what `play` is given takes, as far as that can be known here."""
        ...

    def play(self, stereo: Sound) -> None: ...

    def hush(self) -> None:
        """Let what is played, but for the metronome, fade out at once."""
        ...

    def beat(self, metronome: Metronome) -> None:
        """Let a metronome be heard that has begun to beat."""
        ...

    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Filler(Protocol):
    """What a stream asks for its next frames.

    ``fill`` is told when the first of them will be heard, by the monotonic clock, and returns False to let the stream
    rest.
    """

    def fill(self, block: Sound, heard_s: float | None) -> bool: ...

    def end(self) -> None: ...


class Mixer:
    """Adds up what sounds at the same time. Any thread may ``add``; one thread, the sound card's, calls ``fill``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: list[Sound] = []
        self._sounding: list[tuple[Sound, int]] = []
        self._beats: Metronome | None = None
        self._silent_frames = 0
        self._resting = False
        self._hushing = False
        self._ending = False

    def add(self, stereo: Sound) -> bool:
        """Take a sound; return True where the stream rests and must be started."""
        with self._lock:
            self._arrived.append(stereo)
            return self._wake()

    def hush(self) -> None:
        """Let all that was added fade out within `FADE_S`."""
        with self._lock:
            self._arrived.clear()
            self._hushing = True

    def carry(self, metronome: Metronome) -> bool:
        """Let a metronome be heard among the sounds; return True where the stream rests and must be started."""
        with self._lock:
            self._beats = metronome
            return self._wake()

    def _wake(self) -> bool:
        woken, self._resting = self._resting, False
        return woken

    def end(self) -> None:
        """Fade out within the next block and stay silent."""
        self._ending = True

    @property
    def resting(self) -> bool:
        return self._resting

    def fill(self, block: Sound, heard_s: float | None = None) -> bool:
        """Write the next ``len(block)`` frames into ``block`` (n, 2); return False to let the stream rest."""
        block.fill(0)
        with self._lock:
            if self._hushing:
                self._sounding = [(_faded(sound[position:]), 0) for sound, position in self._sounding]
                self._hushing = False
            self._sounding += [(sound, 0) for sound in self._arrived]
            self._arrived.clear()
            beating = self._beats is not None and self._beats.fill(block, heard_s)
            self._silent_frames = 0 if self._sounding or beating else self._silent_frames + len(block)
            if self._silent_frames > REST_AFTER_S * RATE_HZ:
                self._silent_frames = 0
                self._resting = True
                return False
        left: list[tuple[Sound, int]] = []
        for sound, position in self._sounding:
            part = sound[position : position + len(block)]
            block[: len(part)] += part
            if position + len(part) < len(sound):
                left.append((sound, position + len(part)))
        self._sounding = left
        np.clip(block, -1.0, 1.0, out=block)
        if self._ending:
            block *= np.linspace(1.0, 0.0, len(block), dtype=np.float32)[:, np.newaxis]
            self._sounding = []
        return True


def _faded(sound: Sound) -> Sound:
    n = min(len(sound), round(FADE_S * RATE_HZ))
    return np.multiply(sound[:n], np.linspace(1.0, 0.0, n, dtype=np.float32)[:, np.newaxis], dtype=np.float32)


class Stream:
    """One PortAudio stream that runs while its filler has something to say.

    A stream that ends otherwise is lost: its device is gone, or the sound server is.

    Attributes
    ----------
    latency_s
        How long what is added now takes to be heard, as far as PortAudio and the sound server know.
    """

    def __init__(
        self, portaudio: Any, index: int | None, latency_ms: float, filler: Filler, on_loss: Callable[[], None]
    ) -> None:
        self._filler = filler
        self._on_loss = on_loss
        self._error: type[Exception] = portaudio.PortAudioError
        self._resting = True
        self._lost = False
        self.latency_s = latency_ms / 1000

        def fill(block: Sound, frames: int, times: Any, _status: object) -> None:
            now_s = time.monotonic()
            ahead_s: float = times.outputBufferDacTime - times.currentTime
            # Some of the systems' interfaces tell no time: what PortAudio asked for is then the best that is known.
            if times.outputBufferDacTime <= 0 or not 0 <= ahead_s < LATEST_S:
                ahead_s = self._stream.latency
            # What is to be played waits for half a block until it is asked for.
            self.latency_s = ahead_s + frames / (2 * RATE_HZ)
            if not filler.fill(block, now_s + ahead_s):
                self._resting = True
                raise portaudio.CallbackStop

        self._stream = portaudio.OutputStream(
            samplerate=RATE_HZ,
            channels=2,
            dtype="float32",
            device=index,
            latency=latency_ms / 1000,
            callback=fill,
            finished_callback=self._ended,
        )

    def start(self) -> None:
        try:
            self._resting = True  # what ends by being stopped is not lost
            self._stream.stop()
            self._resting = False
            self._stream.start()
        except self._error:
            self._lost = True

    def alive(self) -> bool:
        return not self._lost and (self._resting or bool(self._stream.active))

    def close(self) -> None:
        self._filler.end()
        self._resting = True
        self._stream.close()

    def _ended(self) -> None:
        if not self._resting:
            self._lost = True
            self._on_loss()


class DeviceOutput:
    """PortAudio: a stream for events with little reserve, and one with much for the metronome, opened when it beats.

    Raises the error of ``portaudio`` where the device cannot be opened, or refuses to play.
    """

    def __init__(self, portaudio: Any, index: int | None, device: str, on_loss: Callable[[], None]) -> None:
        self._open = partial(Stream, portaudio, index, on_loss=on_loss)
        self._error: type[Exception] = portaudio.PortAudioError
        self._mixer = Mixer()
        self._events: Stream = self._open(LATENCY_MS, self._mixer)
        self._beats: Stream | None = None
        self.name = "PortAudio"
        self.device = device
        self._events.start()
        if not self._events.alive():
            raise self._error

    @property
    def event_latency_s(self) -> float:
        return self._events.latency_s

    def play(self, stereo: Sound) -> None:
        if self._mixer.add(stereo):
            self._events.start()

    def hush(self) -> None:
        self._mixer.hush()

    def beat(self, metronome: Metronome) -> None:
        try:
            if self._beats is None:
                self._beats = self._open(BEATS_LATENCY_MS, metronome)
            self._beats.start()
        except self._error:
            # A device that takes one stream alone: the beats go with the events.
            if self._mixer.carry(metronome):
                self._events.start()

    def alive(self) -> bool:
        return self._events.alive() and (self._beats is None or self._beats.alive())

    def close(self) -> None:
        self._events.close()
        if self._beats is not None:
            self._beats.close()


class ProgramOutput:
    """A program that is given raw samples, started anew for every sound.

    ``beats_options`` let it have more reserve for the metronome and, where it can, tell on its standard error how far
    ahead it is (``Latency: 123 usec``, as pacat does): without that the metronome's beats begin anywhere.
    """

    event_latency_s = PROGRAM_START_S

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        device: str,
        on_loss: Callable[[], None],
        beats_options: Sequence[str] = (),
    ) -> None:
        self._command = list(command)
        self._beats_command = [*command, *beats_options]
        self._on_loss = on_loss
        self._failed = False
        self._playing: list[subprocess.Popen[bytes]] = []
        self._beating: list[subprocess.Popen[bytes]] = []
        self.name = name
        self.device = device

    def play(self, stereo: Sound) -> None:
        self._start(self._command, self._playing, self._hand_over, _pcm(stereo), subprocess.DEVNULL)

    def hush(self) -> None:
        for child in self._playing:
            child.terminate()

    def beat(self, metronome: Metronome) -> None:
        self._start(self._beats_command, self._beating, self._hand_beats_over, metronome, subprocess.PIPE)

    def _start(
        self,
        command: list[str],
        running: list[subprocess.Popen[bytes]],
        give: Callable[[subprocess.Popen[bytes], Any], None],
        what: object,
        complaints: int,
    ) -> None:
        running[:] = [child for child in running if child.poll() is None]
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env=os.environ | {"LC_ALL": "C.UTF-8"},
                creationflags=NO_WINDOW,
                pipesize=4096,  # 21 ms of sound: a new tempo is not to wait behind what a larger pipe would hold
            )
        except OSError:
            self._lose()
            return
        running.append(child)
        # A program reads no faster than it plays: a thread of its own waits for it.
        threading.Thread(target=give, args=(child, what), daemon=True).start()

    def _hand_over(self, child: subprocess.Popen[bytes], pcm: bytes) -> None:
        child.communicate(pcm)
        if child.returncode > 0:  # below zero: ended by `close` or `hush`
            self._lose()

    def _hand_beats_over(self, child: subprocess.Popen[bytes], metronome: Metronome) -> None:
        assert child.stdin is not None
        assert child.stderr is not None
        ahead = _Ahead(child.stderr)
        block = np.zeros((BEATS_BLOCK_FRAMES, 2), np.float32)
        with contextlib.suppress(OSError), child.stdin:
            for _ in range(TELLS_WITHIN_BLOCKS):
                if ahead.told_s is None:
                    child.stdin.write(_pcm(block))
                    child.stdin.flush()
            while metronome.fill(block, ahead.heard_s()):
                child.stdin.write(_pcm(block))
                child.stdin.flush()
        if child.wait() > 0:
            self._lose()

    def _lose(self) -> None:
        self._failed = True
        self._on_loss()

    def alive(self) -> bool:
        return not self._failed

    def close(self) -> None:
        for child in (*self._playing, *self._beating):
            child.terminate()


class _Ahead:
    """What a program tells on its standard error of how far ahead of what is heard it is."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.told_s: float | None = None
        threading.Thread(target=self._listen, args=(pipe,), daemon=True).start()

    def heard_s(self) -> float | None:
        """Return when the next block will be heard: one more is in the pipe."""
        if self.told_s is None:
            return None
        return time.monotonic() + BEATS_BLOCK_FRAMES / RATE_HZ + self.told_s

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            # It writes over its line: what ends is a carriage return away.
            while text := os.read(pipe.fileno(), 4096):
                if told := re.findall(rb"Latency: (\d+) usec", text):
                    self.told_s = 1e-6 * int(told[-1])


def _pcm(stereo: Sound) -> bytes:
    return (np.clip(stereo, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def open_output(device: str, on_loss: Callable[[], None]) -> Output:
    """Return the first way out that works.

    Parameters
    ----------
    device
        Part of a device's name, or empty for the system's default.
    on_loss
        Is called, in any thread, when what was opened is gone.

    Raises
    ------
    NoOutputError
        Nothing here can play.
    """
    reasons: list[NoOutputError] = []
    for open_one in (_open_portaudio, _open_pacat, _open_aplay):
        try:
            return open_one(device, on_loss)
        except NoOutputError as error:
            reasons.append(error)
    # Where every way fails, the one that came furthest (there, but no device) explains it best.
    raise next((error for error in reasons if error.reason.startswith(NO_DEVICE)), reasons[0])


NO_DEVICE = "no sound device"

# What PulseAudio and PipeWire make up when they have no device; it swallows everything.
DUMMY_SINK = "auto_null"

_PLUG_IN = "connect headphones or a loudspeaker, and see that the sound server runs for this user"


def _open_portaudio(device: str, on_loss: Callable[[], None]) -> Output:
    try:
        # An optional extra, and without types: it is found by name, not by an import statement.
        portaudio = cast("Any", importlib.import_module("sounddevice"))
    except ImportError as error:
        reason = "the package sounddevice is not installed"
        raise NoOutputError(reason, 'run: pip install "hipdrive[sound]"') from error
    except OSError as error:
        reason = "the library PortAudio is not installed"
        raise NoOutputError(reason, "run: sudo apt-get install libportaudio2") from error
    # PortAudio looks for devices only when it starts: begin anew, so that headphones connected later are found.
    portaudio._terminate()  # noqa: SLF001
    portaudio._initialize()  # noqa: SLF001
    outputs = [
        (index, str(found["name"]))
        for index, found in enumerate(portaudio.query_devices())
        if found["max_output_channels"] >= 2
    ]
    ask = shutil.which("pactl")
    if not outputs or (ask is not None and _server_sinks(ask) == [DUMMY_SINK]):
        raise NoOutputError(NO_DEVICE, _PLUG_IN)
    named = [pair for pair in outputs if device.lower() in pair[1].lower()] if device else []
    if device and not named:
        names = ", ".join(name for _, name in outputs)
        raise NoOutputError(f"no sound device named {device!r}", f"set sound.device to part of one of: {names}")
    index, shown = named[0] if named else (None, "default")
    try:
        return DeviceOutput(portaudio, index, shown, on_loss)
    except portaudio.PortAudioError as error:
        raise NoOutputError(NO_DEVICE, _PLUG_IN) from error


def _open_pacat(device: str, on_loss: Callable[[], None]) -> Output:
    play, ask = shutil.which("pacat"), shutil.which("pactl")
    if play is None or ask is None:
        reason = "the program pacat is not installed"
        raise NoOutputError(reason, "run: sudo apt-get install pulseaudio-utils")
    real = [name for name in _server_sinks(ask) if name != DUMMY_SINK]
    if not real:
        raise NoOutputError(NO_DEVICE, _PLUG_IN)
    named = [name for name in real if device.lower() in name.lower()] if device else []
    if device and not named:
        reason = f"no sound device named {device!r}"
        raise NoOutputError(reason, f"set sound.device to part of one of: {', '.join(real)}")
    command = [play, "--playback", "--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=2"]
    command += [f"--latency-msec={LATENCY_MS}", "--client-name=hipdrive"]
    command += [f"--device={named[0]}"] if named else []
    return ProgramOutput(
        command, "pacat", named[0] if named else "default", on_loss, [f"--latency-msec={BEATS_LATENCY_MS}", "--verbose"]
    )


def _open_aplay(device: str, on_loss: Callable[[], None]) -> Output:
    play = shutil.which("aplay")
    if play is None:
        reason = "the program aplay is not installed"
        raise NoOutputError(reason, "run: sudo apt-get install alsa-utils")
    if not any(line.startswith("card ") for line in _lines([play, "-l"])):
        raise NoOutputError(NO_DEVICE, _PLUG_IN)
    command = [play, "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE_HZ), "-c", "2"]
    command += ["-D", device] if device else []
    return ProgramOutput([*command, "-"], "aplay", device or "default", on_loss)


def _server_sinks(ask: str) -> list[str]:
    rows = [line.split("\t") for line in _lines([ask, "list", "short", "sinks"])]
    return [row[1] for row in rows if len(row) > 1]


def _lines(command: list[str]) -> list[str]:
    try:
        done = ask(command, PROBE_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []


Opener = Callable[[str, Callable[[], None]], Output]
