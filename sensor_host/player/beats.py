"""The metronome: beats counted in samples, so that nothing but the sound card's clock moves them."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

from sensor_host.player import tones

# 12 dB softer while somebody speaks: the beat is still felt, and every word understood
DUCKED = 0.25

# 0.25 s: until its reserve of 200 ms is full, a stream just started does not know how far ahead it is written, and the
# sound server still moves it by some milliseconds
SETTLES_S = 0.25


@dataclass(frozen=True, slots=True)
class Footfalls:
    """When the runner's feet are expected to touch down: at ``contact_host_s`` and every ``step_s`` from there."""

    contact_host_s: float
    step_s: float


class Metronome:
    """Writes beats into the blocks a sound card asks for. Any thread may set it; one, the card's, calls ``fill``.

    1. The first beat is heard when a foot is expected to touch down, where that is known; else it comes as soon as the
       stream has settled.
    2. Beat k + 1 begins one period after beat k began, rounded to a sample; rounding never adds up. So beats of
       another rate than the runner's drift through his steps: what he is to follow is the rate.
    3. A new tempo counts from the last beat on: no beat is cut, and none comes twice.
    4. A beat is as loud throughout as it was decided when it began: louder and softer make no click.
    """

    def __init__(self, volume: float) -> None:
        self._lock = threading.Lock()
        self._beat = tones.to_stereo(tones.beat(), 0.0, volume)
        self._period_frames = math.inf
        self._gain = 1.0
        self._frame = 0
        self._settled_frame = 0.0
        self._last_frame = -math.inf
        self._footfalls: Footfalls | None = None
        self._late_s = 0.0
        self._sounding: tones.Sound = self._beat[:0]
        self._resting = True
        self._ending = False

    @property
    def resting(self) -> bool:
        return self._resting

    def set(self, rate_spm: float) -> bool:
        """Beat at this rate, 0 for not at all; return True where the stream rests and must be started."""
        with self._lock:
            if rate_spm > 0 and math.isinf(self._period_frames):
                self._last_frame = -math.inf
            self._period_frames = 60.0 * tones.RATE_HZ / rate_spm if rate_spm > 0 else math.inf
            woken = self._resting and rate_spm > 0
            if woken:
                self._resting = False
                self._settled_frame = self._frame + SETTLES_S * tones.RATE_HZ
        return woken

    def follow(self, footfalls: Footfalls | None, late_s: float) -> None:
        """Know when the runner's feet touch down, and how much later a beat is in the ear than its stream knows of."""
        with self._lock:
            self._footfalls, self._late_s = footfalls, late_s

    def begin_anew(self) -> None:
        """Let the next beat be a first one."""
        with self._lock:
            self._last_frame = -math.inf

    def be(self, gain: float) -> None:
        """Let beats from the next on be this loud: 1 is the volume set."""
        self._gain = gain

    def end(self) -> None:
        """Fade out within the next block and stay silent."""
        self._ending = True

    def fill(self, block: tones.Sound, heard_s: float | None = None) -> bool:
        """Write the next ``len(block)`` frames into ``block`` (n, 2); return False to let the stream rest.

        ``heard_s`` is when the first of them will be heard, by the monotonic clock; None where the stream cannot tell.
        """
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
            while (next_frame := self._next(last_frame, period_frames, begin, heard_s)) + 0.5 < end:
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

    def _next(self, last_frame: float, period_frames: float, begin: int, heard_s: float | None) -> float:
        """Return where the next beat begins: never in what has been written already."""
        if math.isinf(last_frame) and not math.isinf(period_frames):
            return self._first(begin, heard_s)
        return max(last_frame + period_frames, begin - 0.5)

    def _first(self, begin: int, heard_s: float | None) -> float:
        """Return where the first beat begins; told anew with every block until it is there."""
        earliest_frame = max(float(begin), self._settled_frame)
        falls = self._footfalls
        if falls is None or heard_s is None:
            return earliest_frame
        in_ear_s = heard_s + self._late_s + (earliest_frame - begin) / tones.RATE_HZ
        steps = math.ceil((in_ear_s - falls.contact_host_s) / falls.step_s)
        return earliest_frame + (falls.contact_host_s + steps * falls.step_s - in_ear_s) * tones.RATE_HZ
