"""The player's order of play: ticks at once, cues one after the other, nothing stale."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import Executor, Future

from sensor_host.player import tones
from sensor_host.player.orders import Dropped, Play, Played, Ready, Report, Setup, Silent
from sensor_host.player.output import NoOutputError, Opener, Output
from sensor_host.player.speech import Engine

# 10 s: how soon a missing device is looked for again, and only when there is something to play
LOOK_AGAIN_S = 10.0

# 0.15 s: a breath between the earcon and the words, and after a cue
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
        Is called, in any thread, when words were rendered and `work` should look again.
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
        self._busy_until_s = 0.0
        self._look_again_s = 0.0
        self._silent: Silent | None = None

    def set_up(self, setup: Setup, now_s: float) -> None:
        """Open the device and the voice, say how it went, and render the phrases ahead."""
        self._setup = setup
        self._engine = self._find_engine(setup.voice)
        self._spoken.clear()
        self._open(now_s)
        for words in setup.phrases:
            self._render(words)

    def take(self, order: Play, now_s: float) -> None:
        """Accept an order; what is not a cue sounds at once."""
        if order.sound == "cue":
            self._render(order.words)
            self._taken += 1
            heapq.heappush(self._waiting, (-order.priority, self._taken, now_s, order))
        elif now_s > order.deadline_host_s:
            self._report(Dropped(order.order_id, order.sound, "stale"))
        else:
            self._play(order, tones.tick(order.pan) if order.sound == "tick" else tones.chime(), now_s, spoken=False)

    def work(self, now_s: float) -> float | None:
        """Play the cue whose turn it is; return when to call again, None where nothing waits."""
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
        return None

    def close(self) -> None:
        """Stop playing and let the device go."""
        if self._output is not None:
            self._output.close()

    def _words_are_awaited(self, order: Play, taken_s: float, now_s: float) -> bool:
        words = self._spoken.get(order.words)
        return words is not None and not words.done() and now_s < taken_s + WORDS_WAIT_S

    def _play_cue(self, order: Play, now_s: float) -> None:
        words = self._spoken.get(order.words)
        spoken = words.result() if words is not None and words.done() and words.exception() is None else None
        sound = tones.earcon()
        if order.words:
            said = tones.pattern(order.words) if spoken is None else spoken
            sound = tones.in_turn(sound, tones.silence(BREATH_S), said)
        if self._play(order, sound, now_s, spoken=spoken is not None):
            self._busy_until_s = now_s + len(sound) / tones.RATE_HZ + BREATH_S

    def _play(self, order: Play, mono: tones.Sound, now_s: float, *, spoken: bool) -> bool:
        if self._output is not None and not self._output.alive():
            self._output.close()
            self._output = None
        if self._output is None and now_s >= self._look_again_s:
            self._open(now_s)
        if self._output is None:
            self._report(Dropped(order.order_id, order.sound, "silent"))
            return False
        self._output.play(tones.to_stereo(mono, order.pan, self._setup.volume))
        self._report(Played(order.order_id, order.sound, now_s, len(mono) / tones.RATE_HZ, spoken))
        return True

    def _open(self, now_s: float) -> None:
        self._look_again_s = now_s + LOOK_AGAIN_S
        try:
            self._output = self._open_output(self._setup.device)
        except NoOutputError as error:
            silent = Silent(error.reason, error.advice)
            if silent != self._silent:
                self._report(silent)
            self._silent = silent
            return
        self._silent = None
        voice, advice = ("", NO_VOICE.format(self._setup.voice)) if self._engine is None else (self._engine.name, "")
        self._report(Ready(self._output.name, self._output.device, voice, advice))

    def _render(self, words: str) -> None:
        if self._engine is None or not words or words in self._spoken:
            return
        spoken = self._renderer.submit(self._engine.speak, words)
        self._spoken[words] = spoken
        spoken.add_done_callback(lambda _: self._wake())


NO_VOICE = 'nothing here speaks {!r}, so tones stand for words; install espeak-ng or pip install "hipdrive[voice]"'
