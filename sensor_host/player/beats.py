"""The metronome: beats counted in samples, so that nothing but the sound card's clock moves them."""

from __future__ import annotations

import math
import threading

import numpy as np

from sensor_host.player import tones

# 12 dB softer while somebody speaks: the beat is still felt, and every word understood
DUCKED = 0.25


class Metronome:
    """Writes beats into the blocks a sound card asks for. Any thread may set it; one, the card's, calls ``fill``.

    1. Beat k + 1 begins one period after beat k began, rounded to a sample; rounding never adds up.
    2. A new tempo counts from the last beat on: no beat is cut, and none comes twice.
    3. A beat is as loud throughout as it was decided when it began: louder and softer make no click.
    4. Beats that are not heard are counted on, so that the metronome comes back in step with itself.
    """

    def __init__(self, volume: float) -> None:
        self._lock = threading.Lock()
        self._beat = tones.to_stereo(tones.beat(), 0.0, volume)
        self._period_frames = math.inf
        self._gain = 1.0
        self._frame = 0
        self._last_frame = -math.inf
        self._sounding: tones.Sound = self._beat[:0]
        self._resting = True
        self._ending = False

    @property
    def resting(self) -> bool:
        return self._resting

    def set(self, rate_spm: float) -> bool:
        """Beat at this rate, 0 for not at all; return True where the stream rests and must be started."""
        with self._lock:
            self._period_frames = 60.0 * tones.RATE_HZ / rate_spm if rate_spm > 0 else math.inf
            woken = self._resting and rate_spm > 0
            if woken:
                self._resting = False
                self._last_frame = -math.inf
        return woken

    def be(self, gain: float) -> None:
        """Let beats from the next on be this loud: 0 for unheard, 1 for the volume set."""
        self._gain = gain

    def end(self) -> None:
        """Fade out within the next block and stay silent."""
        self._ending = True

    def fill(self, block: tones.Sound) -> bool:
        """Write the next ``len(block)`` frames into ``block`` (n, 2); return False to let the stream rest."""
        block.fill(0)
        with self._lock:
            period_frames, last_frame = self._period_frames, self._last_frame
            if math.isinf(period_frames) and not len(self._sounding):
                self._resting = True
                return False
            begin, end = self._frame, self._frame + len(block)
            head = self._sounding[: len(block)]
            block[: len(head)] += head
            self._sounding = self._sounding[len(head) :]
            while (next_frame := self._next(last_frame, period_frames, begin)) + 0.5 < end:
                at = max(math.floor(next_frame + 0.5) - begin, 0)
                beat = np.multiply(self._beat, self._gain, dtype=np.float32)
                part = beat[: len(block) - at]
                block[at : at + len(part)] += part
                self._sounding = beat[len(part) :]
                last_frame = next_frame
            self._last_frame = last_frame
            self._frame = end
        if self._ending:
            block *= np.linspace(1.0, 0.0, len(block), dtype=np.float32)[:, np.newaxis]
            self._beat = self._beat * np.float32(0)
            self._sounding = self._sounding[:0]
        return True

    @staticmethod
    def _next(last_frame: float, period_frames: float, begin: int) -> float:
        """Return where the next beat begins: never in what has been written already."""
        if math.isinf(last_frame) and not math.isinf(period_frames):
            return float(begin)
        return max(last_frame + period_frames, begin - 0.5)
