from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as dsp

from sensor_host.player import output, process, speech, tones
from sensor_host.player.beats import DUCKED, SETTLES_S, Footfalls, Metronome
from sensor_host.player.desk import LOOK_AGAIN_MAX_S, WORDS_WAIT_S, Desk
from sensor_host.player.orders import (
    Beat,
    Cadence,
    Dropped,
    Late,
    Mute,
    Play,
    Played,
    Ready,
    Report,
    Setup,
    Silent,
    read_report,
    write_line,
)
from sensor_host.player.output import Mixer, NoOutputError, ProgramOutput, open_output
from sensor_host.player.process import PlayerProcess, probe
from sensor_host.player.tempo import Tempo

E5_HZ = 440 * 2 ** (7 / 12)
B5_HZ = 440 * 2 ** (14 / 12)

LONG_S = 15.0


# ---------------------------------------------------------------- tones


def steepest_of_sine(frequency_hz: float) -> float:
    return tones.TONE_PEAK * 2 * math.pi * frequency_hz / tones.RATE_HZ


@pytest.mark.parametrize(
    "sound",
    [tones.tick(-1), tones.tick(1), tones.chime(), tones.earcon(), tones.earcon(long=True), tones.pattern("Run tall")],
)
def test_no_sound_begins_ends_or_changes_faster_than_its_highest_note(sound: tones.Sound) -> None:
    steps = np.abs(np.diff(np.concatenate([[0.0], sound, [0.0]])))
    assert steps.max() < steepest_of_sine(1200)
    assert abs(sound[0]) < 1e-3
    assert abs(sound[-1]) < 1e-3


def test_a_sound_panned_anywhere_has_the_same_power() -> None:
    mono = tones.chime()
    powers = [float(np.sum(tones.to_stereo(mono, pan, 0.5) ** 2)) for pan in np.linspace(-1, 1, 9)]
    assert np.allclose(powers, powers[0], rtol=1e-5)


def test_the_left_pan_is_the_first_channel() -> None:
    stereo = tones.to_stereo(tones.chime(), -1, 1)
    assert np.abs(stereo[:, 0]).max() > 0.3
    assert np.abs(stereo[:, 1]).max() < 1e-6


def test_the_same_words_always_have_the_same_melody_and_others_another() -> None:
    assert np.array_equal(tones.pattern("Belt level"), tones.pattern("Belt level"))
    assert not np.array_equal(tones.pattern("Belt level"), tones.pattern("Run tall"))


# ---------------------------------------------------------------- speech


def test_speech_is_resampled_without_changing_its_pitch() -> None:
    t_s = np.arange(22_050) / 22_050
    said = speech.levelled(0.5 * np.sin(2 * math.pi * 440 * t_s), 22_050)
    assert len(said) == pytest.approx(tones.RATE_HZ, abs=5)
    assert pitch_hz(said[4800:-4800]) == pytest.approx(440, abs=0.1)


def test_silence_around_speech_is_cut_off() -> None:
    t_s = np.arange(22_050) / 22_050
    padded = np.concatenate([np.zeros(22_050), 0.5 * np.sin(2 * math.pi * 440 * t_s), np.zeros(44_100)])
    assert len(speech.levelled(padded, 22_050)) / tones.RATE_HZ == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("answer", [b"", b"no wave file at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_an_engine_that_answers_nonsense_is_told_by_name(answer: bytes) -> None:
    with pytest.raises(speech.SpeechError):
        speech.from_wav(answer)


def test_a_voice_that_nobody_has_leaves_no_engine(needs: Callable[[str], str]) -> None:
    needs("espeak-ng")
    assert speech.find_engine("xx-nobody") is None


def test_words_that_look_like_an_option_are_spoken(needs: Callable[[str], str]) -> None:
    needs("espeak-ng")
    engine = speech.find_engine("en")
    assert engine is not None
    assert len(engine.speak("--version")) > 0.3 * tones.RATE_HZ


# ---------------------------------------------------------------- mixing


@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=12),
    st.lists(st.integers(1, 500), min_size=1, max_size=3),
)
def test_the_blocks_a_sound_card_asks_for_change_nothing(blocks: list[int], lengths: list[int]) -> None:
    rng = np.random.default_rng(1)
    sounds = [rng.uniform(-0.3, 0.3, (n, 2)).astype(np.float32) for n in lengths]
    mixer = Mixer()
    for sound in sounds:
        mixer.add(sound)
    heard = np.concatenate([filled(mixer, n) for n in blocks])
    expected = np.zeros((max(len(heard), *lengths), 2), np.float32)
    for sound in sounds:
        expected[: len(sound)] += sound
    assert np.allclose(heard, np.clip(expected[: len(heard)], -1, 1), atol=1e-6)


def test_the_stream_rests_in_silence_and_the_next_sound_wakes_it() -> None:
    mixer = Mixer()
    assert not mixer.add(np.ones((10, 2), np.float32))
    block = np.zeros((4800, 2), np.float32)
    calls = 0
    while mixer.fill(block):
        calls += 1
    assert calls == pytest.approx(output.REST_AFTER_S * 10, abs=2)
    assert mixer.resting
    assert mixer.add(np.ones((10, 2), np.float32))
    assert not mixer.add(np.ones((10, 2), np.float32))


def test_ending_fades_out_within_one_block() -> None:
    mixer = Mixer()
    mixer.add(np.ones((10_000, 2), np.float32))
    assert filled(mixer, 480)[-1, 0] == 1
    mixer.end()
    fading = filled(mixer, 480)
    assert fading[0, 0] == pytest.approx(1, abs=0.01)
    assert fading[-1, 0] == 0
    assert not filled(mixer, 480).any()


def test_a_hushed_sound_fades_within_20_ms_and_what_comes_after_is_whole() -> None:
    mixer = Mixer()
    mixer.add(np.full((tones.RATE_HZ, 2), 0.5, np.float32))
    assert filled(mixer, 480)[-1, 0] == 0.5
    mixer.add(np.full((tones.RATE_HZ, 2), 0.5, np.float32))
    mixer.hush()
    fading = filled(mixer, 4800)[:, 0]
    assert np.abs(np.diff(fading, prepend=0.5)).max() < 0.01
    assert not fading[960:].any()
    mixer.add(np.full((100, 2), 0.5, np.float32))
    assert np.all(filled(mixer, 100) == 0.5)


def filled(mixer: Mixer | Metronome, n: int) -> tones.Sound:
    block = np.empty((n, 2), np.float32)
    mixer.fill(block)
    return block


# ---------------------------------------------------------------- the order of play


class Shelf:
    """A device that keeps what it is given; can be pulled out."""

    name = "shelf"
    device = "test"
    event_latency_s = 0.05

    def __init__(self) -> None:
        self.sounds: list[tones.Sound] = []
        self.metronome = None
        self.hushed = 0
        self.plugged = True

    def play(self, stereo: tones.Sound) -> None:
        if self.plugged:
            self.sounds.append(stereo)

    def hush(self) -> None:
        self.hushed += 1

    def beat(self, metronome: Metronome) -> None:
        self.metronome: Metronome | None = metronome

    def alive(self) -> bool:
        return self.plugged

    def close(self) -> None:
        pass


class Now(Executor):
    """Renders at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except speech.SpeechError as error:
            future.set_exception(error)
        return future


class Never(Executor):
    """Never gets round to it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


class Voice:
    name = "voice"

    def speak(self, words: str) -> tones.Sound:
        if words == "unspeakable":
            raise speech.SpeechError(words)
        return np.full(tones.RATE_HZ, 0.5, np.float32)


class Bench:
    """A desk with everything around it."""

    def __init__(self, *, renderer: Executor | None = None, voice: Voice | None = None, there: bool = True) -> None:
        self.shelf = Shelf()
        self.there = there
        self.opened = 0
        self.reports: list[Report] = []
        self.desk = Desk(self.open, lambda _: voice, renderer or Now(), self.reports.append, lambda: None)
        self.desk.set_up(Setup(1.0), 0.0)

    def open(self, _device: str, _on_loss: Callable[[], None]) -> Shelf:
        self.opened += 1
        if not self.there:
            raise NoOutputError("no sound device", "plug one in")
        self.shelf.plugged = True
        return self.shelf

    def tick(self, now_s: float, order_id: int = 0) -> None:
        self.desk.take(Play("tick", now_s + 1, order_id=order_id), now_s)

    def states(self) -> list[str]:
        return [type(report).__name__ for report in self.reports if isinstance(report, Ready | Silent)]

    @property
    def played(self) -> list[int]:
        return [report.order_id for report in self.reports if isinstance(report, Played)]

    @property
    def dropped(self) -> list[tuple[int, str]]:
        return [(report.order_id, report.reason) for report in self.reports if isinstance(report, Dropped)]


def cue(order_id: int, *, deadline_s: float = 100.0, priority: int = 5, words: str = "Run tall") -> Play:
    return Play("cue", deadline_s, words=words, priority=priority, order_id=order_id)


def test_mute_ends_what_sounds_and_drops_what_waits_and_what_comes() -> None:
    bench = Bench(voice=Voice())
    for order_id in (1, 2):
        bench.desk.take(cue(order_id), 0.0)
    bench.desk.work(0.0)
    bench.desk.take(Mute(muted=True), 0.5)
    bench.tick(0.6, order_id=3)
    bench.desk.take(cue(4), 0.6)
    bench.desk.work(5.0)
    assert bench.played == [1]
    assert bench.shelf.hushed == 1
    assert bench.dropped == [(2, "muted"), (3, "muted"), (4, "muted")]
    bench.desk.take(Mute(muted=False), 6.0)
    bench.tick(6.0, order_id=5)
    assert bench.played == [1, 5]


def test_what_goes_through_mute_is_heard_to_its_end() -> None:
    bench = Bench(voice=Voice())
    bench.desk.take(msgspec.structs.replace(cue(1), through_mute=True), 0.0)
    bench.desk.work(0.0)
    bench.desk.take(msgspec.structs.replace(cue(2), through_mute=True), 0.1)
    bench.desk.take(Mute(muted=True), 0.2)
    bench.desk.work(5.0)
    assert bench.shelf.hushed == 0
    assert bench.played == [1, 2]
    assert bench.dropped == []


def test_a_muted_metronome_lets_its_stream_rest() -> None:
    bench = Bench()
    bench.desk.take(Beat(180.0), 0.0)
    bench.desk.work(0.0)
    metronome = bench.shelf.metronome
    assert metronome is not None
    assert filled(metronome, tones.RATE_HZ).any()
    bench.desk.take(Mute(muted=True), 1.0)
    bench.desk.work(1.0)
    filled(metronome, tones.RATE_HZ)
    assert not filled(metronome, 480).any()
    assert metronome.resting
    bench.desk.take(Mute(muted=False), 2.0)
    bench.desk.work(2.0)
    assert filled(metronome, tones.RATE_HZ).any()


def test_cues_follow_one_another_and_never_overlap() -> None:
    bench = Bench(voice=Voice())
    bench.desk.take(cue(1), 0.0)
    again_s = bench.desk.work(0.0)
    bench.desk.take(cue(2), 0.1)
    assert bench.desk.work(0.1) is not None
    assert bench.played == [1]
    assert again_s is None
    again_s = bench.desk.work(0.1)
    assert again_s == pytest.approx(len(bench.shelf.sounds[0]) / tones.RATE_HZ, abs=0.2)
    assert bench.desk.work(again_s - 0.01) == again_s
    assert bench.desk.work(again_s) is None
    assert bench.played == [1, 2]


def test_the_more_important_cue_goes_first() -> None:
    bench = Bench()
    for order in (cue(1), cue(2, priority=1), cue(3, priority=9), cue(4, priority=9)):
        bench.desk.take(order, 0.0)
    now_s: float | None = 0.0
    while now_s is not None:
        now_s = bench.desk.work(now_s)
    assert bench.played == [3, 4, 1, 2]


def test_what_is_stale_when_its_turn_comes_is_dropped() -> None:
    bench = Bench()
    bench.desk.take(cue(1, deadline_s=4.0), 0.0)
    bench.desk.take(cue(2, deadline_s=0.3), 0.0)
    bench.desk.take(cue(3, deadline_s=4.0), 0.0)
    now_s: float | None = 0.0
    while now_s is not None:
        now_s = bench.desk.work(now_s)
    assert bench.played == [1, 3]
    assert bench.dropped == [(2, "stale")]


def test_a_tick_sounds_at_once_while_a_cue_is_playing() -> None:
    bench = Bench()
    bench.desk.take(cue(1), 0.0)
    bench.desk.work(0.0)
    bench.desk.take(Play("tick", 0.3, pan=-0.7, order_id=2), 0.2)
    assert bench.played == [1, 2]


def test_a_late_tick_is_dropped() -> None:
    bench = Bench()
    bench.desk.take(Play("tick", 0.3, order_id=1), 0.31)
    assert bench.dropped == [(1, "stale")]


def test_words_that_are_not_rendered_in_time_are_replaced_by_their_melody() -> None:
    bench = Bench(renderer=Never(), voice=Voice())
    bench.desk.take(cue(1), 0.0)
    assert bench.desk.work(0.0) == WORDS_WAIT_S
    assert bench.played == []
    bench.desk.work(WORDS_WAIT_S)
    last = bench.reports[-1]
    assert isinstance(last, Played)
    assert not last.spoken
    melody = len(tones.pattern("Run tall"))
    assert np.allclose(bench.shelf.sounds[0][-melody:], tones.to_stereo(tones.pattern("Run tall"), 0, 1))


def test_words_an_engine_fails_at_are_replaced_by_their_melody() -> None:
    bench = Bench(voice=Voice())
    bench.desk.take(cue(1, words="unspeakable"), 0.0)
    bench.desk.work(0.0)
    assert [report.spoken for report in bench.reports if isinstance(report, Played)] == [False]


def test_a_missing_device_is_told_once_and_looked_for_less_and_less_often_until_it_is_there() -> None:
    bench = Bench(there=False)
    assert bench.states() == ["Silent"]
    looked_s = []
    now_s = bench.desk.work(0.0)
    for _ in range(6):
        assert now_s is not None
        looked_s.append(now_s)
        now_s = bench.desk.work(now_s)
    assert np.diff(looked_s).tolist() == [2, 4, 8, LOOK_AGAIN_MAX_S, LOOK_AGAIN_MAX_S]
    bench.tick(now_s or 0.0, 7)
    assert bench.dropped == [(7, "silent")]
    bench.there = True
    assert bench.desk.work(now_s or 0.0) is None
    assert bench.states() == ["Silent", "Ready"]


def test_a_headset_that_comes_back_is_played_to_again_with_the_metronome() -> None:
    bench = Bench()
    bench.desk.take(Beat(180), 0.0)
    bench.desk.work(0.0)
    first = bench.shelf.metronome
    bench.shelf.plugged = bench.there = False
    again_s = bench.desk.work(100.0)
    assert bench.states() == ["Ready", "Silent"]
    assert again_s == 101.0
    bench.there = True
    bench.desk.work(101.0)
    assert bench.states() == ["Ready", "Silent", "Ready"]
    assert first is not None
    assert bench.shelf.metronome is not first
    assert not bench.shelf.metronome.resting
    bench.tick(102.0, 3)
    assert bench.played == [3]


def test_a_device_that_went_while_it_rested_costs_no_sound() -> None:
    bench = Bench()
    bench.shelf.plugged = False
    bench.tick(100.0, 1)
    assert len(bench.shelf.sounds) == 1
    assert bench.played == [1]


def test_a_device_that_goes_again_and_again_is_not_opened_in_a_rush() -> None:
    bench = Bench()
    for now_s in np.arange(0.0, 60.0, 0.1):
        bench.shelf.plugged = False
        bench.desk.work(float(now_s))
    assert bench.opened < 12


def test_everything_is_softer_while_a_cue_is_spoken() -> None:
    bench = Bench(voice=Voice())
    bench.desk.take(Beat(180), 0.0)
    bench.desk.work(0.0)
    metronome = bench.shelf.metronome
    assert metronome is not None
    peaks = []
    for now_s in (0.5, 1.0, 1.5, 3.0):
        if now_s == 1.0:
            bench.desk.take(cue(1), now_s)
        bench.desk.work(now_s)
        bench.tick(now_s)
        peaks.append((np.abs(bench.shelf.sounds[-1]).max(), np.abs(filled(metronome, 32_000)).max()))
    # the cue lasts 1.22 s
    assert np.array(peaks) / peaks[0] == pytest.approx(np.array([[1], [DUCKED], [DUCKED], [1]]).repeat(2, 1), rel=1e-3)


# ---------------------------------------------------------------- the metronome


def onsets_of(stereo: np.ndarray, silence_s: float = 0.1) -> np.ndarray:
    """Return the samples at which something begins to sound after a silence."""
    loud = np.flatnonzero(np.abs(stereo).max(axis=1) > 0.005)
    begins = np.diff(loud, prepend=-tones.RATE_HZ) > silence_s * tones.RATE_HZ
    return loud[begins]


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40), st.floats(60, 300))
def test_beats_come_at_their_sample_whatever_blocks_the_card_asks_for(blocks: list[int], rate_spm: float) -> None:
    metronome = Metronome(1.0)
    assert metronome.set(rate_spm)
    heard = np.concatenate([filled(metronome, n) for n in blocks])
    whole = Metronome(1.0)
    whole.set(rate_spm)
    assert np.array_equal(heard, filled(whole, len(heard)))
    onsets = onsets_of(heard)
    period = 60 * tones.RATE_HZ / rate_spm
    assert np.all(np.abs(onsets - onsets[:1] - np.arange(len(onsets)) * period) <= 1)


def test_an_hour_of_beats_is_right_to_the_sample() -> None:
    metronome = Metronome(1.0)
    metronome.set(173.0)
    onsets: list[int] = []
    margin = round(0.1 * tones.RATE_HZ)
    before = np.zeros((margin, 2), np.float32)
    for second in range(3600):
        heard = np.concatenate([before, filled(metronome, tones.RATE_HZ)])
        before = heard[-margin:]
        onsets += [second * tones.RATE_HZ + int(at) - margin for at in onsets_of(heard) if at >= margin]
    expected = onsets[0] + np.arange(3600 * 173 // 60) * 60 * tones.RATE_HZ / 173.0
    assert len(onsets) == len(expected)
    assert np.abs(np.array(onsets) - expected).max() <= 1


@pytest.mark.parametrize("block", [64, 480, 7200])
def test_a_new_tempo_counts_from_the_last_beat_and_never_clicks(block: int) -> None:
    metronome = Metronome(1.0)
    parts = []
    for i, rate_spm in enumerate([180.0, 160.0, 300.0, 172.5] * 5):
        metronome.set(rate_spm)
        metronome.be(1.0 if i % 2 else DUCKED)
        parts += [filled(metronome, block) for _ in range(tones.RATE_HZ // block)]
    heard = np.concatenate(parts)
    assert np.abs(np.diff(heard[:, 0])).max() < steepest_of_sine(1400)
    between_s = np.diff(onsets_of(heard)) / tones.RATE_HZ
    assert between_s.min() >= 60 / 300 - 0.001
    assert between_s.max() <= 60 / 160 + 0.001


def in_ear_s(metronome: Metronome, block: int, seconds: float, late_s: float = 0.0, begin_s: float = 1e3) -> np.ndarray:
    """Return when beats are in the ear if the stream says it begins at ``begin_s`` and all comes ``late_s`` later."""
    blocks = []
    for first in range(0, round(seconds * tones.RATE_HZ), block):
        blocks.append(np.empty((block, 2), np.float32))
        metronome.fill(blocks[-1], begin_s + first / tones.RATE_HZ)
    return begin_s + onsets_of(np.concatenate(blocks)) / tones.RATE_HZ + late_s


@pytest.mark.parametrize("block", [31, 2400, 48_000])
@pytest.mark.parametrize("late_s", [0.0, 0.18, 1.0])
def test_the_first_beat_is_in_the_ear_as_a_foot_touches_down_and_the_next_come_at_their_own_rate(
    block: int, late_s: float
) -> None:
    metronome = Metronome(1.0)
    metronome.follow(Footfalls(997.123, 60 / 170), late_s)
    metronome.set(178.5)
    heard_s = in_ear_s(metronome, block, 2.0, late_s)
    # The stream has settled, and no foot touches down before that is known.
    assert heard_s[0] >= 1000.25 + late_s
    assert heard_s[0] <= 1000.25 + late_s + 60 / 170 + 0.001
    assert (heard_s[0] - 997.123 + 0.001) % (60 / 170) == pytest.approx(0.001, abs=0.0005)
    assert np.diff(heard_s) == pytest.approx(60 / 178.5, abs=2 / tones.RATE_HZ)


def test_the_first_beat_waits_for_no_step_where_none_is_known_or_the_stream_tells_no_time() -> None:
    unknown, untold = Metronome(1.0), Metronome(1.0)
    untold.follow(Footfalls(997.123, 0.35), 0.0)
    for metronome in (unknown, untold):
        metronome.set(180.0)
    assert in_ear_s(unknown, 480, 0.4)[0] == pytest.approx(1000.25, abs=0.002)
    assert onsets_of(filled(untold, tones.RATE_HZ))[0] == pytest.approx(12_000, abs=100)


def test_beats_find_the_step_again_after_a_rest_and_on_another_device() -> None:
    bench = Bench()
    footfall_s = 999.9
    bench.desk.take(Beat(180.0, silent_within_ratio=0.02), 1000.0)
    for now_s, orders in {
        1000.0: [Cadence(170.0, footfall_s)],
        1001.0: [Cadence(180.0, footfall_s)],
        1002.0: [Cadence(171.0, footfall_s)],
        1003.0: [Mute(muted=True)],
        1003.5: [Mute(muted=False)],
        1004.0: [Late(0.2)],
    }.items():
        for order in orders:
            bench.desk.take(order, now_s)
        bench.desk.work(now_s)
        metronome = bench.shelf.metronome
        assert metronome is not None
        # Of 0.2 s the test device's own events take 0.05.
        heard_s = in_ear_s(metronome, 480, 0.45, 0.15 if now_s == 1004.0 else 0.0, now_s)
        if now_s in (1001.0, 1003.0):
            assert metronome.resting
            assert len(heard_s) == 0
        else:
            steps = (heard_s[-1] - footfall_s) / (60 / (170 if now_s < 1002 else 171))
            assert steps == pytest.approx(round(steps), abs=0.01), now_s


def test_a_metronome_that_is_ended_lets_its_stream_rest_after_the_last_beat() -> None:
    metronome = Metronome(1.0)
    metronome.set(180.0)
    filled(metronome, round(SETTLES_S * tones.RATE_HZ) + 100)
    assert not metronome.set(0.0)
    block = np.ones((4800, 2), np.float32)
    assert metronome.fill(block)
    assert block.any()
    assert not metronome.fill(block)
    assert not block.any()
    assert metronome.resting
    assert metronome.set(180.0)


def test_a_device_with_a_single_stream_plays_beats_among_the_sounds() -> None:
    metronome = Metronome(1.0)
    metronome.set(150.0)
    mixer = Mixer()
    mixer.carry(metronome)
    sound = np.full((4000, 2), 0.1, np.float32)
    mixer.add(sound)
    alone = Metronome(1.0)
    alone.set(150.0)
    expected = filled(alone, 60_000)
    expected[:4000] += sound
    assert np.allclose(np.concatenate([filled(mixer, 480) for _ in range(125)]), expected, atol=1e-6)


def test_the_coachs_tempo_passes_and_the_lasting_one_goes_on() -> None:
    tempo = Tempo()
    tempo.take(Beat(170.0), 0.0)
    tempo.take(Beat(178.0, duration_s=30.0), 10.0)
    assert tempo.now(39.9) == 178.0
    assert tempo.changes_at_s(39.9) == 40.0
    assert tempo.now(40.0) == 170.0
    assert tempo.changes_at_s(40.0) == math.inf


def test_it_is_silent_while_the_runner_keeps_the_beat() -> None:
    tempo = Tempo()
    tempo.take(Beat(180.0, silent_within_ratio=0.02), 0.0)
    heard = []
    for second, cadence_spm in enumerate([170.0, 176.3, 176.5, 176.3, 174.7, 174.5, 176.3]):
        tempo.hear(Cadence(cadence_spm), float(second))
        heard.append(tempo.now(float(second)) > 0)
    # 2 % of 180 are 3.6, 3 % are 5.4: it comes back a little later than it went
    assert heard == [True, True, False, False, False, True, True]
    tempo.hear(Cadence(180.0), 10.0)
    assert tempo.now(10.0) == 0.0
    assert tempo.now(tempo.changes_at_s(10.0)) == 180.0


def test_without_being_told_to_be_silent_it_is_heard_at_the_very_cadence() -> None:
    tempo = Tempo()
    tempo.take(Beat(180.0), 0.0)
    tempo.hear(Cadence(180.0), 0.0)
    assert tempo.now(0.1) == 180.0


# ---------------------------------------------------------------- steps made audible


def test_the_scale_of_notes_is_an_octave_up_and_down() -> None:
    edge = round(0.01 * tones.RATE_HZ)
    pitches = [pitch_hz(tones.note(height)[edge:-edge]) for height in (-1, 0, 1, 5)]
    assert pitches == pytest.approx([330, 660, 1320, 1320], abs=1)


def test_a_rustle_is_as_bright_as_it_is_high() -> None:
    centres = []
    for height in (-1, -0.5, 0, 0.5, 1):
        power = np.abs(np.fft.rfft(tones.rustle(height))) ** 2
        centres.append(np.sum(power * np.fft.rfftfreq(round(0.09 * tones.RATE_HZ), 1 / tones.RATE_HZ)) / np.sum(power))
    assert np.log2(np.array(centres) / 2640) == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=0.1)


# ---------------------------------------------------------------- the process


def test_reports_survive_the_pipe() -> None:
    report = Silent("no sound device", "plug one in")
    assert read_report(write_line(report).strip()) == report


def test_the_player_ends_when_its_input_closes_and_skips_what_is_no_order() -> None:
    order = write_line(Setup(0.5, voice="xx-nobody"))
    done = subprocess.run(
        process.PLAYER_COMMAND, input=b"nonsense\n{}\n" + order, capture_output=True, timeout=LONG_S, check=True
    )
    assert isinstance(read_report(done.stdout.splitlines()[0]), Ready | Silent)
    assert b"not an order" in done.stderr


def test_a_machine_without_a_device_says_so_once_with_advice(no_sound: None) -> None:
    report = probe(Setup(0.5))
    assert isinstance(report, Silent)
    assert report.reason
    assert report.advice


def test_a_player_that_says_nothing_in_time_is_given_up() -> None:
    assert probe(Setup(0.5), 0.1, (sys.executable, "-c", "import time; time.sleep(60)")) is None


def test_a_player_that_reads_nothing_never_holds_the_host_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "END_TIMEOUT_S", 0.2)
    ended = threading.Event()
    player = PlayerProcess(
        lambda _: None, lambda _code, _text: ended.set(), (sys.executable, "-c", "import time; time.sleep(60)")
    )
    big = Setup(0.5, phrases=("Push the ground away" * 50,) * 100)
    began_s = time.monotonic()
    taken = [player.send(big) for _ in range(500)]
    player.close()
    assert not all(taken)
    assert time.monotonic() - began_s < 3
    assert ended.wait(5)


def test_a_crash_is_told_with_its_exit_code_and_last_words() -> None:
    said: list[tuple[int, str]] = []
    ended = threading.Event()

    def on_end(code: int, text: str) -> None:
        said.append((code, text))
        ended.set()

    player = PlayerProcess(lambda _: None, on_end, (sys.executable, "-c", "import sys; sys.exit('no luck today')"))
    assert ended.wait(LONG_S)
    player.close()
    assert said == [(1, "no luck today")]


# ---------------------------------------------------------------- heard by a real sound server


class Heard:
    """A player at a private sound server, and what it reports."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.news = threading.Condition()
        self.player = PlayerProcess(self._take, lambda _code, _text: None)

    def _take(self, report: Report) -> None:
        with self.news:
            self.reports.append(report)
            self.news.notify_all()

    def wait_for(self, kind: type[Report], count: int = 1) -> Any:
        with self.news:
            assert self.news.wait_for(
                lambda: sum(isinstance(report, kind) for report in self.reports) >= count, LONG_S
            ), self.reports
            return [report for report in self.reports if isinstance(report, kind)][-1]


def pitch_hz(wave: np.ndarray) -> float:
    """Frequency of one damped sine, by linear prediction (Prony): exact whatever its decay."""
    x = np.asarray(wave, float)
    (a, b), *_ = np.linalg.lstsq(np.stack([x[1:-1], x[:-2]], axis=1), x[2:], rcond=None)
    return float(abs(np.angle(np.roots([1, -a, -b])[0]))) * tones.RATE_HZ / (2 * math.pi)


def play_and_record(ear: Any, order: Play, setup: Setup) -> tuple[np.ndarray, Played]:
    heard = Heard()
    try:
        heard.player.send(setup)
        ready = heard.wait_for(Ready)
        assert ready.output
        with ear.listening() as recording:
            heard.player.send(order)
            played = heard.wait_for(Played)
            sound = recording.sound(played.duration_s)
    finally:
        heard.player.close()
    return sound, played


def deadline_s() -> float:
    return time.monotonic() + LONG_S


def test_the_chime_is_heard_at_its_two_pitches_within_one_hertz(ear: Any) -> None:
    sound, played = play_and_record(ear, Play("chime", deadline_s()), Setup(0.8))
    mono = sound.sum(axis=1)
    n = round(0.14 * tones.RATE_HZ)
    edge = round(0.01 * tones.RATE_HZ)
    assert pitch_hz(mono[edge : n - 2 * edge]) == pytest.approx(E5_HZ, abs=1)
    assert pitch_hz(mono[n + edge : n + 10 * edge]) == pytest.approx(B5_HZ, abs=1)
    assert len(sound) / tones.RATE_HZ == pytest.approx(played.duration_s, abs=0.08)


@pytest.mark.parametrize(("pan", "frequency_hz"), [(-0.7, 880.0), (0.7, 440 * 2 ** (16 / 12))])
def test_a_tick_is_heard_on_its_side_and_still_in_the_other_ear(ear: Any, pan: float, frequency_hz: float) -> None:
    sound, _ = play_and_record(ear, Play("tick", deadline_s(), pan=pan), Setup(1.0))
    left, right = np.sqrt(np.mean(sound**2, axis=0))
    louder, softer = (left, right) if pan < 0 else (right, left)
    assert 20 * math.log10(louder / softer) == pytest.approx(12.4, abs=1)
    edge = round(0.008 * tones.RATE_HZ)
    assert pitch_hz(sound.sum(axis=1)[edge : 3 * edge]) == pytest.approx(frequency_hz, abs=1)


def test_half_the_volume_is_half_the_amplitude(ear: Any) -> None:
    peaks = []
    for volume in (0.8, 0.4):
        sound, _ = play_and_record(ear, Play("chime", deadline_s()), Setup(volume))
        peaks.append(np.abs(sound).max())
    assert peaks[0] / peaks[1] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("language", "words"), [("en", "Push the ground away"), ("de", "Drück den Boden weg")])
def test_a_cue_is_an_earcon_and_then_the_very_words(
    ear: Any, needs: Callable[[str], str], language: str, words: str
) -> None:
    voice = subprocess.run(
        [needs("espeak-ng"), "-v", language, "-s", "165", "--stdout", words], capture_output=True, check=True
    ).stdout
    said = np.frombuffer(voice[44:], "<i2").astype(float)  # 44: the header of a WAV file
    said = dsp.resample_poly(said, 320, 147)
    setup = Setup(0.6, language, phrases=(words,))
    sound, played = play_and_record(ear, Play("cue", deadline_s(), words=words, pan=0.7), setup)
    assert played.spoken
    edge = round(0.01 * tones.RATE_HZ)
    assert pitch_hz(sound.sum(axis=1)[edge : 2 * edge]) == pytest.approx(740.0, abs=1)
    # A busy machine may tear the stream once: the pieces are what was said, in their order, at their time.
    quiet = np.zeros(round(0.3 * tones.RATE_HZ))
    after_earcon = sound[round(0.07 * tones.RATE_HZ) :, 1]
    heard = np.concatenate([quiet, after_earcon, quiet])
    lags, matches = zip(*(found(piece, heard) for piece in pieces(said)), strict=True)
    assert sorted(matches)[1] > 0.95
    # The engine's own silence before the words is cut off, and all of it comes after the earcon.
    assert 0.2 < np.median(lags) <= 0.3


def pieces(said: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Cut speech into parts of 0.2 s, with where each begins, without the silent ones."""
    n = round(0.2 * tones.RATE_HZ)
    cut = [(start, said[start : start + n]) for start in range(0, len(said) - n, n)]
    return [(start, piece) for start, piece in cut if np.sqrt(np.mean(piece**2)) > 300]


def found(piece: tuple[int, np.ndarray], heard: np.ndarray) -> tuple[float, float]:
    """Return how much later (s) a piece is heard than it was said, and how alike it is."""
    start, said = piece
    cross = dsp.correlate(heard, said, mode="valid", method="fft")
    power = dsp.correlate(heard**2, np.ones(len(said)), mode="valid", method="fft")
    alike = cross / np.sqrt(np.maximum(power, 1e-3) * np.sum(said**2))
    best = int(np.argmax(alike))
    return (best - start) / tones.RATE_HZ, float(alike[best])


@contextlib.contextmanager
def a_player(setup: Setup) -> Iterator[Heard]:
    heard = Heard()
    try:
        heard.player.send(setup)
        heard.wait_for(Ready)
        yield heard
    finally:
        heard.player.close()


def whole_beats(recorded: np.ndarray) -> np.ndarray:
    """Return where beats begin in what was cut out of a recording, without those the cut may have hit."""
    onsets = onsets_of(recorded)
    margin = round(0.1 * tones.RATE_HZ)
    return onsets[(onsets >= margin) & (onsets < len(recorded) - margin)]


def test_beats_are_heard_regularly_and_a_new_tempo_comes_without_a_hitch(ear: Any) -> None:
    with a_player(Setup(0.6)) as heard, ear.listening() as recording:
        heard.player.send(Beat(200.0))
        recording.sound(0.1)
        steady = whole_beats(recording.next(6.0))
        heard.player.send(Beat(240.0))
        changing = whole_beats(recording.next(3.0))
    # A busy machine may tear the stream once: all beats but one are in time.
    off_s = np.sort(np.abs(np.diff(steady) / tones.RATE_HZ - 0.3))[:-1]
    assert len(off_s) >= 17
    assert off_s.std() < 0.002
    assert off_s.max() < 0.002
    changed_s = np.diff(changing) / tones.RATE_HZ
    off_s = np.sort(np.minimum(np.abs(changed_s - 0.3), np.abs(changed_s - 0.25)))[:-1]
    assert off_s.max() < 0.002
    assert np.median(changed_s[-5:]) == pytest.approx(0.25, abs=0.002)


def test_beats_are_a_quarter_as_loud_while_a_cue_is_spoken(ear: Any) -> None:
    words = "Push the ground away"
    with a_player(Setup(0.6, phrases=(words,))) as heard, ear.listening() as recording:
        heard.player.send(Beat(150.0))
        recording.sound(0.1)
        # the words are in the right ear alone: the left one hears the beats
        heard.player.send(Play("cue", deadline_s(), words=words, pan=1.0))
        left = recording.next(4.0)[:, 0]
    peaks = np.array([np.abs(left[at : at + 1500]).max() for at in whole_beats(left[:, np.newaxis])])
    loud = peaks.max()
    ducked = peaks[peaks < 0.5 * loud]
    assert len(ducked) >= 2
    assert 20 * np.log10(ducked / loud) == pytest.approx(20 * math.log10(DUCKED), abs=0.5)
    assert peaks[-2:] == pytest.approx(loud, rel=0.05)


def test_a_loudspeaker_that_goes_and_comes_back_is_played_to_again(ear: Any) -> None:
    with a_player(Setup(0.6)) as heard:
        heard.player.send(Beat(200.0))
        heard.player.send(Play("chime", deadline_s()))
        heard.wait_for(Played)
        ear.unplug()
        assert heard.wait_for(Silent).advice
        heard.player.send(Play("chime", deadline_s(), order_id=1))
        heard.wait_for(Dropped)
        ear.plug_in()
        heard.wait_for(Ready, 2)
        with ear.listening() as recording:
            beats = whole_beats(recording.next(2.0))
            heard.player.send(Play("chime", deadline_s(), order_id=2))
            heard.wait_for(Played, 2)
    assert len(beats) >= 5
    assert [type(report) for report in heard.reports if isinstance(report, Ready | Silent)] == [Ready, Silent, Ready]


def test_without_an_engine_the_melody_of_the_words_is_heard(ear: Any) -> None:
    sound, played = play_and_record(ear, Play("cue", deadline_s(), words="Run tall"), Setup(0.6, voice="xx-nobody"))
    assert not played.spoken
    assert len(sound) / tones.RATE_HZ == pytest.approx(played.duration_s, abs=0.08)


def test_pacat_plays_where_portaudio_is_missing(ear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    way_out = open_output("", lambda: None)
    assert isinstance(way_out, ProgramOutput)
    with ear.listening() as recording:
        way_out.play(tones.to_stereo(tones.chime(), 0.0, 0.8))
        sound = recording.sound(0.64)
    assert way_out.alive()
    n, edge = round(0.14 * tones.RATE_HZ), round(0.01 * tones.RATE_HZ)
    assert pitch_hz(sound.sum(axis=1)[edge : n - 2 * edge]) == pytest.approx(E5_HZ, abs=1)


def test_pacat_beats_where_portaudio_is_missing(ear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    lost = threading.Event()
    way_out = open_output("", lost.set)
    metronome = Metronome(0.6)
    contact_s = time.monotonic()
    metronome.follow(Footfalls(contact_s, 1.0), 0.0)
    metronome.set(200.0)
    with ear.listening() as recording:
        way_out.beat(metronome)
        recording.sound(0.1)
        first_s = float(recording.heard_at_s(onsets_of(recording.everything())[:1])[0])
        # 50 ms: pacat tells where it stands to 20 ms, the recorder is late by up to 10, and a busy machine stumbles.
        assert (first_s - contact_s + 0.5) % 1.0 - 0.5 == pytest.approx(0.0, abs=0.05)
        between_s = np.diff(whole_beats(recording.next(2.0))) / tones.RATE_HZ
    # A busy machine may tear the stream once.
    assert np.sort(np.abs(between_s - 0.3))[:-1].max() < 0.002
    ear.unplug()
    assert lost.wait(LONG_S)
    assert not way_out.alive()
    way_out.close()


def test_a_device_nobody_has_is_told_with_those_there_are(ear: Any) -> None:
    report = probe(Setup(0.5, device="no such headset"))
    assert isinstance(report, Silent)
    assert "no such headset" in report.reason
    assert "default" in report.advice or "ear" in report.advice
