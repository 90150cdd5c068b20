"""Who speaks: the first speech engine of this machine that works, all of them local.

Each engine turns words into mono samples at `tones.RATE_HZ`; none of them plays anything.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from sensor_host.player.children import ask
from sensor_host.player.tones import RATE_HZ, Sound, soft_edges

# 165 words a minute: a little slower than espeak's 175, clearer over breath and wind
WORDS_PER_MINUTE = 165

# 10 s: the slowest engine (PowerShell, cold) needs about two seconds for a phrase
ENGINE_TIMEOUT_S = 10.0

# -18 dB below full scale while speaking, about as loud as the tones
SPEECH_RMS = 0.126
SPEECH_PEAK = 0.9

# -50 dB: quieter than any speech sound, louder than an engine's noise floor
SILENCE_LEVEL = 0.003


class SpeechError(Exception):
    """The engine is there and does not speak."""


class Engine(Protocol):
    """Speaks words into samples; ``name`` is what the user is shown."""

    @property
    def name(self) -> str: ...

    def speak(self, words: str) -> Sound: ...


class EspeakProgram:
    """The program espeak-ng (or espeak)."""

    def __init__(self, path: str, voice: str) -> None:
        self._command = [path, "-v", voice, "-s", str(WORDS_PER_MINUTE), "--stdin", "--stdout"]
        self.name = f"{Path(path).stem} ({voice})"

    def speak(self, words: str) -> Sound:
        return from_wav(_output_of(self._command, words.encode()))


class EspeakLibrary:
    """The espeak-ng library out of the package espeakng-loader, for machines without the program."""

    _RETRIEVAL, _RATE_PARAMETER, _UTF8 = 1, 1, 1

    def __init__(self, voice: str) -> None:
        # An optional extra, and without types: it is found by name, not by an import statement.
        loader = cast("Any", importlib.import_module("espeakng_loader"))
        data_path = str(loader.get_data_path())
        self._library = ctypes.CDLL(str(loader.get_library_path()))
        self._rate_hz = int(self._library.espeak_Initialize(self._RETRIEVAL, 0, os.fsencode(data_path), 0))
        if self._rate_hz <= 0:
            raise SpeechError("the espeak-ng library does not start")
        self._chunks: list[bytes] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)  # kept: the library calls it as long as it lives
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(self._RATE_PARAMETER, WORDS_PER_MINUTE, 0)
        self.name = f"espeakng-loader ({voice})"

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, words: str) -> Sound:
        self._chunks.clear()
        text = words.encode() + b"\0"
        failed = self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, self._UTF8, None, None)
        if failed or self._library.espeak_Synchronize() or not self._chunks:
            raise SpeechError("the espeak-ng library said nothing")
        return levelled(np.frombuffer(b"".join(self._chunks), "<i2").astype(np.float64) / 32768, self._rate_hz)


class SayProgram:
    """The voice of macOS."""

    def __init__(self, path: str, voice: str) -> None:
        # A bare language code is no name of a voice here; the system's own voice then speaks.
        self._named = ["-v", voice] if len(voice) > 3 else []
        self._path = path
        self.name = "say"

    def speak(self, words: str) -> Sound:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "phrase.wav"
            command = [self._path, *self._named, "-r", str(WORDS_PER_MINUTE), "-o", str(path)]
            _output_of([*command, "--file-format=WAVE", "--data-format=LEI16@22050", "-f", "-"], words.encode())
            return from_wav(path.read_bytes())


class SapiProgram:
    """The voice of Windows, asked through PowerShell."""

    # Words and path travel in the environment: nothing of them is ever read as a command.
    _SCRIPT = (
        "Add-Type -AssemblyName System.Speech;"
        "$voice = New-Object System.Speech.Synthesis.SpeechSynthesizer;"
        "$voice.SetOutputToWaveFile($env:HIPDRIVE_SPEECH_PATH);"
        "$voice.Speak($env:HIPDRIVE_SPEECH_WORDS);"
        "$voice.Dispose()"
    )

    def __init__(self, path: str) -> None:
        self._command = [path, "-NoProfile", "-NonInteractive", "-Command", self._SCRIPT]
        self.name = "Windows voice"

    def speak(self, words: str) -> Sound:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "phrase.wav"
            env = {"HIPDRIVE_SPEECH_PATH": str(path), "HIPDRIVE_SPEECH_WORDS": words}
            _output_of(self._command, b"", env)
            return from_wav(path.read_bytes())


def find_engine(voice: str) -> Engine | None:
    """Return the first engine that really speaks, None where there is none."""
    for make in _candidates(voice):
        try:
            engine = make()
            engine.speak("one")
        except (SpeechError, OSError, ImportError, AttributeError, subprocess.SubprocessError):
            continue
        return engine
    return None


def _candidates(voice: str) -> list[Callable[[], Engine]]:
    found: list[Callable[[], Engine]] = []
    if path := shutil.which("espeak-ng") or shutil.which("espeak"):
        found.append(partial(EspeakProgram, path, voice))
    found.append(partial(EspeakLibrary, voice))
    if sys.platform == "darwin" and (path := shutil.which("say")):
        found.append(partial(SayProgram, path, voice))
    if sys.platform == "win32" and (path := shutil.which("powershell")):
        found.append(partial(SapiProgram, path))
    return found


def _output_of(command: list[str], text: bytes, env: dict[str, str] | None = None) -> bytes:
    done = ask(command, ENGINE_TIMEOUT_S, text, env)
    if done.returncode:
        raise SpeechError(done.stderr.decode(errors="replace").strip() or f"{command[0]} failed")
    return done.stdout


def from_wav(data: bytes) -> Sound:
    """Return the speech in a 16-bit WAV file; raises `SpeechError` for anything else or silence."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width_bytes, rate_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            # A program that writes to a pipe cannot know the length: take what is there, not what the header says.
            frames = file.readframes(len(data))
    except (wave.Error, EOFError) as error:
        raise SpeechError("the speech engine gave no WAV file") from error
    if width_bytes != 2:
        raise SpeechError(f"the speech engine gave {8 * width_bytes}-bit samples")
    whole = len(frames) // (2 * channels) * channels
    samples = np.frombuffer(frames, "<i2", count=whole).reshape(-1, channels).mean(axis=1) / 32768
    return levelled(samples, rate_hz)


def levelled(samples: np.ndarray[tuple[int], np.dtype[np.float64]], rate_hz: int) -> Sound:
    """Return speech at `RATE_HZ`, without silence at its ends, as loud as the tones; `SpeechError` for silence."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE_LEVEL)
    if not len(loud):
        raise SpeechError("the speech engine said nothing")
    margin = rate_hz // 50
    heard = samples[max(loud[0] - margin, 0) : loud[-1] + margin]
    # Resampling by zero-padding the spectrum: exact for what the engine said, and it begins and ends in silence.
    n = round(len(heard) * RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(heard)
    full = np.zeros(n // 2 + 1, complex)
    kept = min(len(spectrum), len(full))
    full[:kept] = spectrum[:kept]
    speech = np.fft.irfft(full, n) * (n / len(heard))
    spoken = speech[np.abs(speech) > SILENCE_LEVEL]
    gain = min(SPEECH_RMS / float(np.sqrt(np.mean(spoken**2))), SPEECH_PEAK / float(np.max(np.abs(speech))))
    return soft_edges((speech * gain).astype(np.float32))
