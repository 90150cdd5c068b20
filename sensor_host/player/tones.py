"""Tones with soft edges, made once and kept. Mono is (n,), what is played is stereo (n, 2), both float32 at RATE_HZ."""

from __future__ import annotations

import math
import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Sound: TypeAlias = NDArray[np.float32]

RATE_HZ = 48_000

# 0.5: two sounds at once still stay inside the range
TONE_PEAK = 0.5

# 5 ms: a raised cosine of this length has no audible click and is far below the 20 ms in which a tone must speak
EDGE_S = 0.005

# The foot is told by pitch as well as by side, so that it is heard with one earphone too.
TICK_LEFT_HZ = 880.0
TICK_RIGHT_HZ = 1108.73
TICK_MIDDLE_HZ = 987.77

# Above both feet's ticks: it is told from them by ear.
BEAT_HZ = 1318.51

# An octave up and an octave down around this for three standard deviations: a twentieth of that is heard.
NOTE_MIDDLE_HZ = 660.0

CHIME_HZ = (659.26, 987.77)
EARCON_HZ = (740.0, 987.77)

# A pentatonic scale: any order of its notes sounds intended.
_SCALE_HZ = (523.25, 587.33, 659.26, 783.99, 880.0)


def tone(frequency_hz: float, duration_s: float, decay_s: float = math.inf) -> Sound:
    """Return a sine of ``TONE_PEAK`` that begins and ends softly and falls to 1/e in ``decay_s``."""
    t_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    wave = TONE_PEAK * np.sin(2 * math.pi * frequency_hz * t_s) * np.exp(-t_s / decay_s)
    return soft_edges(wave.astype(np.float32))


def soft_edges(mono: Sound, edge_s: float = EDGE_S) -> Sound:
    """Return the sound faded in and out over ``edge_s`` with raised cosines."""
    n = min(round(edge_s * RATE_HZ), len(mono) // 2)
    ramp = (0.5 - 0.5 * np.cos(math.pi * (np.arange(n) + 0.5) / max(n, 1))).astype(np.float32)
    edged = mono.copy()
    edged[:n] *= ramp
    edged[len(edged) - n :] *= ramp[::-1]
    return edged


def silence(duration_s: float) -> Sound:
    """Return nothing to hear."""
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


def in_turn(*sounds: Sound) -> Sound:
    """Return the sounds one after the other."""
    return np.concatenate(sounds)


def tick(pan: float) -> Sound:
    """Return the tick of a ground contact: 30 ms, lower for the left foot than for the right."""
    frequency_hz = TICK_MIDDLE_HZ if pan == 0 else TICK_LEFT_HZ if pan < 0 else TICK_RIGHT_HZ
    return tone(frequency_hz, 0.03, decay_s=0.012)


def beat() -> Sound:
    """Return the metronome's beat: 25 ms, shorter than any two steps are apart."""
    return tone(BEAT_HZ, 0.025, decay_s=0.01)


def note(height: float) -> Sound:
    """Return a note of 90 ms, an octave above the middle for ``height`` 1, an octave below it for -1."""
    return tone(_note_hz(height), 0.09, decay_s=0.05)


def rustle(height: float) -> Sound:
    """Return 90 ms of noise, half an octave wide, that is bright for ``height`` 1 and dull for -1."""
    n = round(0.09 * RATE_HZ)
    frequency_hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    # 4: two octaves above the notes, where a rustle is told from breath and wind
    middle_hz = 4 * _note_hz(height)
    with np.errstate(divide="ignore"):
        octaves = np.log2(frequency_hz / middle_hz)
    phase = np.random.default_rng(1).uniform(0, 2 * math.pi, len(frequency_hz))  # 1: always the same rustle
    wave = np.fft.irfft(np.exp(-0.5 * (octaves / 0.25) ** 2 + 1j * phase), n)
    return soft_edges((TONE_PEAK * wave / np.max(np.abs(wave))).astype(np.float32))


def _note_hz(height: float) -> float:
    return NOTE_MIDDLE_HZ * math.pow(2.0, min(max(height, -1.0), 1.0))


def chime() -> Sound:
    """Return the chime that says "good again": two rising notes that ring out."""
    low, high = CHIME_HZ
    return in_turn(tone(low, 0.14, decay_s=0.12), tone(high, 0.5, decay_s=0.16))


def earcon(*, long: bool = False) -> Sound:
    """Return the two notes that come before words, so that the runner listens.

    The short ones leave the words their place within 150 ms of the decision; the long ones, with a breath, give a
    wireless headset that went to sleep the time to wake up.
    """
    low, high = EARCON_HZ
    if long:
        return in_turn(tone(low, 0.09), silence(0.02), tone(high, 0.11), silence(0.15))
    return in_turn(tone(low, 0.03), tone(high, 0.03), silence(0.01))


def pattern(words: str) -> Sound:
    """Return the melody that stands for words where nothing can speak: always the same one for the same words."""
    code = zlib.crc32(words.encode())
    notes: list[Sound] = []
    for _ in range(max(2, min(len(words.split()), 5))):
        code, note = divmod(code, len(_SCALE_HZ))
        notes += [tone(_SCALE_HZ[note], 0.16, decay_s=0.2), silence(0.04)]
    return in_turn(*notes)


def to_stereo(mono: Sound, pan: float, volume: float) -> Sound:
    """Return (n, 2) with equal power at every ``pan`` from -1 (left) to 1 (right)."""
    angle_rad = (min(max(pan, -1.0), 1.0) + 1.0) * math.pi / 4
    gain = np.array([volume * math.cos(angle_rad), volume * math.sin(angle_rad)], np.float32)
    return np.multiply(mono[:, np.newaxis], gain, dtype=np.float32)
