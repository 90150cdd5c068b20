"""The player's order of play: ticks at once, cues one after the other, nothing stale; the metronome under all of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from concurrent.futures import Executor, Future

from sensor_host.player import tones
from sensor_host.player.beats import DUCKED, Metronome
from sensor_host.player.orders import Beat, Cadence, Dropped, Late, Mute, Play, Played, Ready, Report, Setup, Silent
from sensor_host.player.output import NoOutputError, Opener, Output
from sensor_host.player.speech import Engine
from sensor_host.player.tempo import Tempo

# A device that is gone is looked for after 1, 2, 4 ... 10 s: a headset switched off and on again is back in seconds,
# one left at home costs nothing.
LOOK_AGAIN_MIN_S = 1.0
LOOK_AGAIN_MAX_S = 10.0

# 10 s: a device that lasted this long had no trouble; when it goes it is looked for at once
STEADY_S = 10.0

# 0.15 s: a breath after a cue
BREATH_S = 0.15

# 1 s: words that are still not rendered by then are replaced by their tone pattern
WORDS_WAIT_S = 1.0


class Desk:
    """Takes orders, and plays each when its time has come.

    It never reads a clock and never waits: every call is told the time, and `work` says when to call again.

    Parameters
    ----------
    open_output, find_engine
        How to open a device and a voice; both may take a while or fail.
    renderer
        Where words are rendered, so that speech in the making never holds up a tick.
    report
        Is called with what happened.
    wake
        Is called, in any thread, when words were rendered or a device is gone and `work` should look again.
    """

    def __init__(
        self,
        open_output: Opener,
        find_engine: Callable[[str], Engine | None],
        renderer: Executor,
        report: Callable[[Report], None],
        wake: Callable[[], None],
    ) -> None:
        self._open_output = open_output
        self._find_engine = find_engine
        self._renderer = renderer
        self._report = report
        self._wake = wake
        self._setup = Setup(volume=0.0)
        self._output: Output | None = None
        self._engine: Engine | None = None
        self._spoken: dict[str, Future[tones.Sound]] = {}
        self._waiting: list[tuple[int, int, float, Play]] = []
        self._taken = 0
        self._tempo = Tempo()
        self._metronome: Metronome | None = None
        self._latency_s = 0.0
        self._busy_until_s = -math.inf
        self._muted = False
        self._heard_anyway = False
        self._opened_s = -math.inf
        self._look_again_s = math.inf
        self._pause_s = LOOK_AGAIN_MIN_S
        self._silent = False

    def set_up(self, setup: Setup, now_s: float) -> None:
        """Open the device and the voice, say how it went, and render the phrases ahead."""
        self._setup = setup
        self._engine = self._find_engine(setup.voice)
        self._spoken.clear()
        self._open(now_s)
        for words in setup.phrases:
            self._render(words)

    def take(self, order: Play | Beat | Cadence | Mute | Late, now_s: float) -> None:
        """Accept an order; what is neither a cue nor the metronome's sounds at once."""
        match order:
            case Beat():
                self._tempo.take(order, now_s)
            case Cadence():
                self._tempo.hear(order, now_s)
            case Late():
                self._know_latency(order.latency_s, now_s)
            case Mute():
                self._mute(order, now_s)
            case Play(through_mute=False) if self._muted:
                self._report(Dropped(order.order_id, order.sound, "muted"))
            case Play(sound="cue"):
                self._render(order.words)
                self._taken += 1
                heapq.heappush(self._waiting, (-order.priority, self._taken, now_s, order))
            case _ if now_s > order.deadline_host_s:
                self._report(Dropped(order.order_id, order.sound, "stale"))
            case _:
                self._play(order, _event(order), now_s, gain=self._gain(now_s), spoken=False)

    def work(self, now_s: float) -> float | None:
        """Do what is due now; return when to call again, None where nothing is to come."""
        if self._output is not None and not self._output.alive():
            self._lose(now_s)
        if now_s >= self._look_again_s:
            self._open(now_s)
        again_s = min(self._play_cues(now_s), self._look_again_s)
        self._keep_time(now_s)
        again_s = min(again_s, self._tempo.changes_at_s(now_s))
        if self._metronome is not None and now_s < self._busy_until_s:
            again_s = min(again_s, self._busy_until_s)
        return again_s if again_s < math.inf else None

    def close(self) -> None:
        """Stop playing and let the device go."""
        if self._output is not None:
            self._output.close()

    # ------------------------------------------------------------ cues

    def _play_cues(self, now_s: float) -> float:
        while self._waiting:
            _, _, taken_s, order = self._waiting[0]
            if now_s > order.deadline_host_s:
                self._report(Dropped(order.order_id, "cue", "stale"))
            elif now_s < self._busy_until_s:
                return self._busy_until_s
            elif self._words_are_awaited(order, taken_s, now_s):
                return taken_s + WORDS_WAIT_S  # or sooner: `wake` is called when they are there
            else:
                self._play_cue(order, now_s)
            heapq.heappop(self._waiting)
        return math.inf

    def _words_are_awaited(self, order: Play, taken_s: float, now_s: float) -> bool:
        words = self._spoken.get(order.words)
        return words is not None and not words.done() and now_s < taken_s + WORDS_WAIT_S

    def _play_cue(self, order: Play, now_s: float) -> None:
        words = self._spoken.get(order.words)
        spoken = words.result() if words is not None and words.done() and words.exception() is None else None
        sound = tones.earcon(long=self._setup.earcon == "long")
        if order.words:
            sound = tones.in_turn(sound, tones.pattern(order.words) if spoken is None else spoken)
        if self._play(order, sound, now_s, spoken=spoken is not None):
            self._busy_until_s = now_s + len(sound) / tones.RATE_HZ + BREATH_S
            self._heard_anyway = order.through_mute

    def _mute(self, order: Mute, now_s: float) -> None:
        self._muted = order.muted
        if not self._muted:
            return
        for *_, waiting in self._waiting:
            if not waiting.through_mute:
                self._report(Dropped(waiting.order_id, waiting.sound, "muted"))
        self._waiting = [entry for entry in self._waiting if entry[-1].through_mute]
        heapq.heapify(self._waiting)
        if self._output is not None and not (self._heard_anyway and now_s < self._busy_until_s):
            self._output.hush()
            self._busy_until_s = now_s

    def _render(self, words: str) -> None:
        if self._engine is None or not words or words in self._spoken:
            return
        spoken = self._renderer.submit(self._engine.speak, words)
        self._spoken[words] = spoken
        spoken.add_done_callback(lambda _: self._wake())

    # ------------------------------------------------------------ the metronome

    def _keep_time(self, now_s: float) -> None:
        rate_spm = 0.0 if self._muted else self._tempo.now(now_s)
        if self._output is None or (self._metronome is None and rate_spm == 0):
            return
        if self._metronome is None:
            self._metronome = Metronome(self._setup.volume)
        self._metronome.be(self._gain(now_s))
        # The latency was measured on the stream of events. What that has a share in, the metronome's knows for itself.
        late_s = max(0.0, self._latency_s - self._output.event_latency_s) if self._latency_s > 0 else 0.0
        self._metronome.follow(self._tempo.footfalls(now_s), late_s)
        if self._metronome.set(rate_spm):
            self._output.beat(self._metronome)

    def _know_latency(self, latency_s: float, now_s: float) -> None:
        changed, self._latency_s = latency_s != self._latency_s, latency_s
        if changed and self._metronome is not None and self._tempo.footfalls(now_s) is not None:
            # It found its first beat for another device.
            self._metronome.begin_anew()

    def _gain(self, now_s: float) -> float:
        return DUCKED if now_s < self._busy_until_s else 1.0

    # ------------------------------------------------------------ the device

    def _play(self, order: Play, mono: tones.Sound, now_s: float, *, spoken: bool, gain: float = 1.0) -> bool:
        stereo = tones.to_stereo(mono, order.pan, gain * self._setup.volume)
        heard = self._send(stereo)
        if not heard and self._output is not None:
            # It went while it rested: what was to be heard now is heard where it can be.
            self._lose(now_s)
            if now_s >= self._look_again_s:
                self._open(now_s)
            heard = self._send(stereo)
        if not heard:
            self._report(Dropped(order.order_id, order.sound, "silent"))
            return False
        self._report(Played(order.order_id, order.sound, now_s, len(mono) / tones.RATE_HZ, spoken))
        return True

    def _send(self, stereo: tones.Sound) -> bool:
        if self._output is None:
            return False
        self._output.play(stereo)
        return self._output.alive()

    def _lose(self, now_s: float) -> None:
        assert self._output is not None
        self._output.close()
        self._output = self._metronome = None
        if now_s - self._opened_s >= STEADY_S:
            self._pause_s = LOOK_AGAIN_MIN_S
            self._look_again_s = now_s
        else:
            self._back_off(now_s)
            self._say_silent(Silent("the sound device is gone", "it is looked for until it is back"))

    def _open(self, now_s: float) -> None:
        try:
            self._output = self._open_output(self._setup.device, self._wake)
        except NoOutputError as error:
            self._back_off(now_s)
            self._say_silent(Silent(error.reason, error.advice))
            return
        self._silent = False
        self._opened_s = now_s
        self._look_again_s = math.inf
        voice, advice = ("", NO_VOICE.format(self._setup.voice)) if self._engine is None else (self._engine.name, "")
        self._report(Ready(self._output.name, self._output.device, voice, advice))

    def _back_off(self, now_s: float) -> None:
        self._look_again_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LOOK_AGAIN_MAX_S)

    def _say_silent(self, silent: Silent) -> None:
        if not self._silent:
            self._report(silent)
        self._silent = True


def _event(order: Play) -> tones.Sound:
    match order.sound:
        case "tick":
            return tones.tick(order.pan)
        case "note":
            return tones.note(order.height)
        case "rustle":
            return tones.rustle(order.height)
        case _:
            return tones.chime()


NO_VOICE = 'nothing here speaks {!r}, so tones stand for words; install espeak-ng or pip install "hipdrive[voice]"'
