"""The phone page in a real browser: Chromium, the real server, the real broker, a replay of a reference recording."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
from conftest import skip_or_fail
from test_page_texts import PLACE

from pelvis.data import Command, Motion
from sensor_host.config import PageConfig
from sensor_host.messages import pack_samples
from sensor_host.page.link import make_link
from sensor_host.page.orders import Serving
from sensor_host.page.server import WEB
from sensor_host.page.texts import texts_of
from sensor_host.phrases import words_of
from sensor_host.ports import Injected, Notification
from sensor_host.recording.reader import read
from sensor_host.runtime import records

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Needs = Callable[[str], str]
ROOT = Path(__file__).resolve().parent.parent
RECORDING = ROOT / "recordings" / "easy.mcap"

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

# What the browser is asked to say and sound is written down, what comes out is listened to; headless Chromium has no
# voice. The pitch of a sound is that of its first note, by the times at which it crosses zero.
EARS = """
globalThis.said = [];
globalThis.sounded = [];
globalThis.locks = [];
globalThis.contexts = [];
SpeechSynthesis.prototype.speak = (one) => {
    said.push({words: one.text, lang: one.lang, volume: one.volume});
    setTimeout(() => { one.onstart?.({}); one.onend?.({}); });
};
WakeLock.prototype.request = async (what) => { locks.push(what); return {released: false}; };
globalThis.AudioContext = class extends AudioContext {
    constructor(...setting) {
        super(...setting);
        contexts.push(this);
        this.heard = new AnalyserNode(this, {fftSize: 32768, smoothingTimeConstant: 0});
    }
};
const lead = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) lead.call(this, to.context.heard);
    return lead.call(this, to, ...more);
};
const pitch = (samples, rate) => {
    const crossings = [];
    for (let i = 1; i < 0.024 * rate; i++)
        if (samples[i - 1] < 0 !== samples[i] < 0) crossings.push(i - samples[i] / (samples[i] - samples[i - 1]));
    return 10 * Math.round(rate * (crossings.length - 1) / 20 / (crossings.at(-1) - crossings[0]));
};
const begin = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
    const hz = pitch(this.buffer.getChannelData(0), this.buffer.sampleRate);
    sounded.push({hz, at_s: when[0] ?? this.context.currentTime});
    begin.apply(this, when);
};
// the loudest of the last 0.7 s
globalThis.loudest = () => {
    const samples = new Float32Array(32768);
    contexts[0].heard.getFloatTimeDomainData(samples);
    return samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
};
"""


# ---------------------------------------------------------------- the host and the phone


class Host:
    """`hipdrive ... --page`, a process of its own."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sensor_host.cli", *command, "--page", "--no-sound"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        before: list[str] = []
        for line in self.process.stdout:
            before.append(line)
            if "page: ready " in line:
                break
        else:
            pytest.fail("".join(before))
        self.link = before[-1].rpartition(" ")[2].strip()
        assert f"page: {self.link}\n" in before, "the link is not shown"

    def close(self) -> str:
        self.process.send_signal(signal.SIGINT)
        told, _ = self.process.communicate(timeout=60)
        return told


@pytest.fixture
def host() -> Iterator[Host]:
    started = Host("replay", str(RECORDING), "--speed", "2", "--from", "5s")
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    chromium = needs("chromium")
    with sync_playwright() as playwright:
        # playwright gives it a folder of its own and takes that away again
        opened = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield opened
        opened.close()


class Phone:
    """A browser with one page, and everything that went wrong in it."""

    def __init__(self, context: BrowserContext, link: str) -> None:
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        self.page: Page = context.new_page()
        self.page.add_init_script(EARS)
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        context.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))
        self.page.goto(link)

    def text(self, place: str) -> str:
        return self.page.inner_text(place)

    def until(self, condition: str, argument: object = None) -> None:
        self.page.wait_for_function(f"(given) => {condition}", arg=argument, timeout=60_000)

    def until_text(self, place: str, pattern: str) -> None:
        self.until("new RegExp(given[1]).test(document.querySelector(given[0])?.textContent ?? '')", [place, pattern])


Open = Callable[..., Phone]


class Broker:
    """Says things in the name of runners of the test's own, at the broker of the host."""

    def __init__(self, publish: str) -> None:
        self._publish = publish

    def say(self, level: str, message: bytes | dict[str, object], *, runner: str = "eve", retain: bool = False) -> None:
        ((_, record),) = records()
        topic = f"hipdrive/v1/{runner}/{level}"
        command = [self._publish, "-p", str(urlsplit(record.url).port), "-t", topic, "-s", *(["-r"] if retain else [])]
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        subprocess.run(command, input=payload, check=True, timeout=20)


@pytest.fixture
def eve(host: Host, phone: Open, needs: Needs) -> tuple[Phone, Broker]:
    """Return the page of a runner of whom nobody but the test speaks."""
    seen, broker = phone(f"{host.link}?runner=eve"), Broker(needs("mosquitto_pub"))
    seen.until_text("#state", "Waiting for a run")
    # the subscription stands once something is heard
    while not seen.page.evaluate("() => document.getElementById('state').textContent.startsWith('Waiting') ? 0 : 1"):
        broker.say("state", {"state": "online", "mode": "live"})
        seen.page.wait_for_timeout(50)
    return seen, broker


@pytest.fixture
def phone(browser: Browser) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def open_it(link: str, **setting: Any) -> Phone:
            context = browser.new_context(**{"viewport": {"width": 390, "height": 844}} | setting)
            stack.callback(context.close)
            return Phone(context, link)

        yield open_it


# ---------------------------------------------------------------- what it shows


def true_mean(column: str) -> float:
    with RECORDING.with_suffix(".csv").open(encoding="utf-8") as file:
        return statistics.fmean(float(row[column]) for row in csv.DictReader(file) if row[column])


def test_a_run_is_seen_in_big_numbers_that_are_those_of_the_broker(host: Host, phone: Open, needs: Needs) -> None:
    seen = phone(host.link)
    seen.page.evaluate(
        """() => {
            globalThis.seen = [];
            const text = (id) => document.getElementById(id).textContent;
            new MutationObserver(() => seen.push(["cadence", "contact", "sway", "oscillation"].map(text).join(" ")))
                .observe(document.getElementById("clock"), {childList: true});
        }"""
    )
    seen.until_text("#state", "Replay: Running")
    for place in ("#cadence", "#contact", "#sway", "#oscillation", "#drop-left", "#drop-right"):
        seen.until_text(place, "[0-9]")
    ((_, record),) = records()
    port = str(urlsplit(record.url).port)
    told = subprocess.run(
        [needs("mosquitto_sub"), "-p", port, "-t", "hipdrive/v1/runner/metrics", "-C", "5"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    heard = {
        f"{body['cadence_spm']:.0f} {1000 * body['contact_time_s']:.0f} {1000 * body['pelvis_sway_m']:.0f} "
        f"{1000 * body['vertical_oscillation_m']:.0f}"
        for body in map(json.loads, told)
    }
    seen.until("given.every((line) => seen.includes(line))", sorted(heard))
    # the simulated runner varies from step to step; ten of his steps are this close to his mean
    assert float(seen.text("#cadence")) == pytest.approx(true_mean("cadence_spm"), abs=3)
    both = (float(seen.text("#drop-left")) + float(seen.text("#drop-right"))) / 2
    assert both == pytest.approx(true_mean("pelvic_drop_deg"), abs=1)
    assert seen.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight"), "it has to be scrolled"
    assert seen.wrong == []
    # a blob: is of the page itself
    assert seen.asked - {""} == {urlsplit(host.link).netloc}


def test_the_belt_tilts_and_the_feet_touch_down(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    for side in ("left", "right"):
        seen.until("document.getElementById(`foot-${given}`).dataset.down === 'yes'", side)
    for turn in (r"rotate\(-[1-9]", r"rotate\([1-9]"):
        seen.until(
            "new RegExp(given).test(document.getElementById('tilt').getAttribute('transform') ?? '')",
            turn,
        )


def test_a_run_that_has_ended_is_said(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    told = host.close()
    seen.until_text("#state", "The run has ended|No connection")
    assert "page" not in told.partition("warning")[2]


# ---------------------------------------------------------------- for the thumb


def test_a_mark_is_recorded_as_a_marker_and_the_coach_is_muted(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    assert seen.page.is_hidden("#mark")
    seen.page.click("#start")
    assert seen.page.is_hidden("#start")
    assert seen.page.evaluate("() => sounded.length") > 0
    assert seen.page.evaluate("() => locks") == ["screen"]
    seen.page.click("#mark")
    seen.until_text("#answer", "^Marked$")
    seen.page.click("#mute")
    seen.until_text("#mute", "^Unmute coach$")
    assert seen.text("#answer") == "Muted"
    assert seen.text("#quiet") == "Coach is muted"


def test_the_theme_for_the_sun_is_remembered(host: Host, phone: Open) -> None:
    seen = phone(host.link, color_scheme="dark")
    seen.until("document.documentElement.dataset.theme === 'dark'")
    seen.page.click("#theme")
    seen.page.reload()
    seen.until("document.documentElement.dataset.theme === 'sun'")


# ---------------------------------------------------------------- cues


def command(name: str, **more: object) -> None:
    """Command the host's runner as another program would."""
    ((_, record),) = records()
    topic, message = "hipdrive/v1/runner/cmd", json.dumps({"id": "x", "name": name, **more})
    said = ["mosquitto_pub", "-p", str(urlsplit(record.url).port), "-q", "1", "-t", topic, "-m", message]
    subprocess.run(said, check=True, timeout=20)


def test_whoever_mutes_every_page_knows_and_a_page_that_comes_later_too(host: Host, phone: Open, needs: Needs) -> None:
    needs("mosquitto_pub")
    seen, view = phone(host.link), phone(f"{host.link}?coach")
    seen.until_text("#state", "Replay: Running")
    view.until_text(".card .does button:first-child", "^Mute coach$")
    command("mute")
    seen.until_text("#mute", "^Unmute coach$")
    view.until_text(".card .does button:first-child", "^Unmute coach$")
    seen.page.reload()
    seen.until_text("#mute", "^Unmute coach$")
    assert seen.text("#quiet") == "Coach is muted"
    view.page.click(".card .does button:first-child")
    seen.until_text("#mute", "^Mute coach$")
    view.until_text(".card .does button:first-child", "^Mute coach$")


def test_a_muted_page_says_what_a_person_sends_and_nothing_else(host: Host, phone: Open, needs: Needs) -> None:
    with served(runner="eve", through_mute=("say",), ticks=True) as link:
        seen, broker = phone(link), Broker(needs("mosquitto_pub"))
        seen.page.click("#start")
        seen.page.evaluate("() => { sounded.length = said.length = 0; }")
        # retained, as the host says it: the subscription may not stand yet
        broker.say("state", {"state": "online", "mode": "live", "muted": True}, retain=True)
        seen.until_text("#quiet", "^Coach is muted$")
        broker.say("contact", {"event": "provisional", "side": "left"})
        broker.say("cue", spoken_cue("Coach", 1.0) | {"rule": "drop"})
        broker.say("cue", spoken_cue("Beat", 1.0) | BEAT)
        seen.until_text("#words", "^Coach$")
        broker.say("cue", spoken_cue("Person", 1.0) | {"rule": "say"})
        seen.until_text("#words", "^Person$")
        assert seen.page.evaluate("() => said.map((one) => one.words)") == ["Person"]
        assert seen.page.evaluate("() => [...new Set(sounded.map((one) => one.hz))]") == [BEAT_HZ, EARCON_HZ]
        # the beats are laid, and not heard
        seen.until("loudest() < 0.001")
        broker.say("state", {"state": "online", "mode": "live", "muted": False})
        seen.until("loudest() > 0.1")


def send(view: Phone, phrase: str) -> None:
    """Send a cue from the coach's view to the only runner."""
    view.page.get_by_role("button", name="Send a cue").click()
    view.page.get_by_role("button", name=phrase, exact=True).click()
    view.until_text("#answer", f"^Sent to runner: {phrase}$")


def test_a_coachs_cue_is_seen_and_heard_by_the_runner_and_recorded(home: Path, phone: Open) -> None:
    # without the guide, which would have a say
    host = Host("demo", "--set", "guide.enabled=false")
    try:
        seen, view = phone(host.link), phone(f"{host.link}?coach")
        seen.page.click("#start")
        seen.until_text("#state", "Simulated: ")
        view.until_text(".card h2", "^runner$")
        assert seen.page.get_attribute("#cue", "data-on") == "no"
        send(view, "Run on rails")
        seen.until("document.getElementById('words').textContent === 'Run on rails'")
        assert seen.page.get_attribute("#cue", "data-on") == "yes"
        spoken = seen.page.evaluate("() => said.filter((one) => one.volume > 0)")
        assert spoken == [{"words": "Run on rails", "lang": "en", "volume": 1}]
        view.until_text(".card .last", "^Heard: Run on rails$")
        # words that have been read make room again
        seen.until("document.getElementById('cue').dataset.on === 'no'")
        assert seen.wrong == view.wrong == []
        assert view.page.evaluate("() => said.length") == 0
    finally:
        told = host.close()
    (recording,) = (home / "data" / "hipdrive" / "sessions").glob("*.mcap")
    injected = [arrival.item for arrival in read(recording).arrivals() if isinstance(arrival, Injected)]
    assert [(item.name, item.value) for item in injected if isinstance(item, Command)] == [("say", "sway")]
    assert "Run on rails" in told


def test_before_the_tap_a_cue_is_shown_and_nothing_is_heard(host: Host, phone: Open) -> None:
    seen, view = phone(host.link), phone(f"{host.link}?coach")
    seen.until_text("#state", "Replay: Running")
    send(view, "Belt level")
    seen.until_text("#words", "^Belt level$")
    assert seen.page.evaluate("() => [said.length, sounded.length]") == [0, 0]


# docs/sound.md, to ten
BEAT_HZ, EARCON_HZ, LEFT_HZ, RIGHT_HZ = 1320, 740, 880, 1110
BEAT = {"kind": "metronome", "parameters": {"target_spm": 180, "seconds": 30}}


@pytest.mark.parametrize(("side", "hz"), [("left", LEFT_HZ), ("right", RIGHT_HZ)])
def test_a_contact_ticks_where_that_is_wanted(eve: tuple[Phone, Broker], side: str, hz: float) -> None:
    seen, broker = eve
    seen.page.click("#start")
    broker.say("contact", {"event": "provisional", "side": side})
    seen.until("document.getElementById(`foot-${given}`).dataset.down === 'yes'", side)
    assert hz not in seen.page.evaluate("() => sounded.map((one) => one.hz)")
    seen.page.click("#show-ear")
    seen.page.click("#ticks")
    assert seen.page.get_attribute("#ticks", "aria-pressed") == "true"
    broker.say("contact", {"event": "provisional", "side": side})
    seen.until("sounded.at(-1).hz === given", hz)
    seen.until("loudest() > 0.05")
    # remembered
    seen.page.reload()
    seen.page.click("#show-ear")
    assert seen.page.get_attribute("#ticks", "aria-pressed") == "true"


def steps(broker: Broker, cadence_spm: float, begin_s: float) -> None:
    for k in range(12):
        at_s = begin_s + 60 * k / cadence_spm
        broker.say("step", {"side": "left", "quality": 1, "reported_at_s": at_s, "initial_contact_s": at_s})


def test_the_metronome_beats_by_the_sound_cards_clock_and_rests_while_the_runner_is_in_step(
    eve: tuple[Phone, Broker],
) -> None:
    seen, broker = eve
    seen.page.click("#start")
    seen.page.evaluate("() => { sounded.length = 0; }")
    broker.say("cue", spoken_cue("Step with the beat", 1.0) | BEAT)
    seen.until_text("#words", "^Step with the beat$")
    seen.until("sounded.length > 9")
    assert seen.page.evaluate("() => said.filter((one) => one.volume > 0)") == []
    sounded = seen.page.evaluate("() => sounded")
    assert {one["hz"] for one in sounded} == {BEAT_HZ}
    assert np.diff([one["at_s"] for one in sounded]) == pytest.approx(60 / 180, abs=1e-9)
    seen.until("loudest() > 0.1")
    # 1 % off: in step. 4 % off: not
    steps(broker, 181.8, 10.0)
    seen.until("loudest() < 0.001")
    steps(broker, 187.2, 20.0)
    seen.until("loudest() > 0.1")
    # what the coach ends is silent, but for the lasting one
    broker.say("obeyed", {"name": "metronome", "value": "150"})
    broker.say("cue", spoken_cue("", 1.0) | {"kind": "metronome", "parameters": {"target_spm": 0, "seconds": 0}})
    seen.until("sounded.length > 2 && Math.abs(sounded.at(-1).at_s - sounded.at(-2).at_s - 60 / 150) < 1e-9")
    broker.say("obeyed", {"name": "metronome", "value": "0"})
    seen.until("loudest() < 0.001")


def test_how_late_the_ear_is_stands_in_the_dialog_and_adds_up(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    seen.page.click("#start")
    seen.page.click("#show-ear")
    seen.until_text("#late", "[0-9]")
    # drawn once more: from then on all four are of one moment
    seen.page.click("#ticks")
    shown = seen.page.evaluate(
        "() => ['late-host', 'late-way', 'late-phone', 'late'].map((id) =>"
        " Number(document.getElementById(id).textContent))"
    )
    *parts, whole = shown
    assert whole == pytest.approx(sum(parts), abs=2)
    # no sensor tells of a contact sooner than its decision, 40 ms; a card plays nothing before the next 128 samples
    assert parts[0] > 40
    assert parts[2] >= 2
    assert seen.wrong == []


def test_cues_are_spoken_one_after_the_other_and_the_weightier_first(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    seen.page.click("#start")
    # a voice that speaks until it is told that it is done
    seen.page.evaluate(
        """() => {
            said.length = 0;
            SpeechSynthesis.prototype.speak = (one) => { said.push(one.text); globalThis.done = () => one.onend({}); };
            SpeechSynthesis.prototype.cancel = () => said.push("-");
        }"""
    )
    for words, priority in (("first", 5), ("light", 1), ("second", 5)):
        broker.say("cue", spoken_cue(words, 1.0) | {"priority": priority})
        seen.until_text("#words", f"^{words}$")
    assert seen.page.evaluate("() => said") == ["first"]
    seen.page.evaluate("() => done()")
    assert seen.page.evaluate("() => said") == ["first", "second"]
    broker.say("cue", spoken_cue("at once", 1.0) | {"priority": 9})
    seen.until_text("#words", "^at once$")
    assert seen.page.evaluate("() => said") == ["first", "second", "-", "at once"]


def test_sound_that_was_taken_away_wants_a_tap_anew(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.page.click("#start")
    seen.page.evaluate("() => contexts[0].suspend()")
    seen.page.wait_for_selector("#start:visible")
    seen.page.click("#start")
    seen.page.wait_for_selector("#start", state="hidden")
    seen.until("contexts[0].state === 'running'")
    assert seen.page.evaluate("() => contexts.length") == 1


def spoken_cue(words: str, decided_at_s: float) -> dict[str, object]:
    return {"kind": "phrase", "words": words, "side": "left", "decided_at_s": decided_at_s, "expires_s": 4}


def test_a_cue_that_comes_too_late_is_dropped(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    broker.say("cue", spoken_cue("In time", 100.0))
    seen.until_text("#words", "^In time$")
    # decided a minute before, as far as what came in time can tell
    broker.say("cue", spoken_cue("Too late", 40.0))
    broker.say("metrics", {"t_s": 3723})
    seen.until_text("#clock", "^1:02:03$")
    assert seen.text("#words") == "In time"
    broker.say("cue", spoken_cue("In time again", 101.0))
    seen.until_text("#words", "^In time again$")


def test_the_belt_is_drawn_as_seen_from_behind(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    for obliquity_deg, higher in ((2.5, "right"), (-2.5, "left")):
        rows = np.full(8, obliquity_deg)
        motion = Motion(np.arange(8) / 200, np.zeros((8, 3)), rows, 9 + 0 * rows, 0 * rows, np.zeros(8, np.int8))
        broker.say("samples", pack_samples(motion, 0))
        broker.say("metrics", {"t_s": 1})
        seen.until_text("#level", f"^The {higher} side is up by [23] degrees$")
        # the belt is drawn with the next frame
        seen.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        # a smaller y is higher on a screen
        left, right = (
            seen.page.evaluate(f"() => document.querySelector('.hip.{side}').getBoundingClientRect().y")
            for side in ("left", "right")
        )
        assert (right < left) == (higher == "right")
        # fourfold: 264 units lie between the two ends
        scale = seen.page.evaluate("() => document.querySelector('#belt svg').getScreenCTM().a")
        assert abs(left - right) == pytest.approx(264 * scale * np.sin(np.radians(4 * 2.5)), rel=0.02)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_foot_that_touches_down_lights_up(eve: tuple[Phone, Broker], side: str) -> None:
    seen, broker = eve
    broker.say("contact", {"event": "provisional", "side": side})
    seen.until("document.getElementById(`foot-${given}`).dataset.down === 'yes'", side)
    other = "right" if side == "left" else "left"
    assert seen.page.get_attribute(f"#foot-{other}", "data-down") == "no"
    for drop_deg in (3.0, 5.0):
        step = {"side": side, "pelvic_drop_deg": drop_deg, "quality": 1, "reported_at_s": 1}
        broker.say("step", step)
    seen.until_text(f"#drop-{side}", "^4[.]0$")
    assert seen.page.get_attribute(f"#foot-{side}", "data-down") == "no"
    assert seen.text(f"#drop-{other}") == "–"


def longest_word(words: str) -> int:
    return max(map(len, words.split()))


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (320, 568)])
def test_the_longest_words_of_every_language_fit(eve: tuple[Phone, Broker], width: int, height: int) -> None:
    seen, broker = eve
    seen.page.set_viewport_size({"width": width, "height": height})
    longest = [max(words_of(language).values(), key=size) for language in ("en", "de") for size in (len, longest_word)]
    for number, words in enumerate(longest):
        broker.say("cue", spoken_cue(words, float(number)))
        seen.until("document.getElementById('words').textContent === given", words)
        assert (
            seen.page.evaluate(
                """() => {
                const [box, words] = ["cue", "words"].map((id) => document.getElementById(id).getBoundingClientRect());
                const whole = document.getElementById("words");
                return [words.left >= box.left, words.right <= box.right, words.top >= box.top,
                    words.bottom <= box.bottom, whole.scrollWidth <= whole.clientWidth];
            }"""
            )
            == [True] * 5
        )
        assert seen.page.evaluate("() => parseFloat(getComputedStyle(document.getElementById('words')).fontSize)") > 20


# ---------------------------------------------------------------- in the runner's language


def test_the_page_is_in_the_language_of_the_cues(phone: Open) -> None:
    host = Host("replay", str(RECORDING), "--speed", "2", "--from", "5s", "--set", "cues.language=de")
    try:
        seen, view = phone(host.link), phone(f"{host.link}?coach")
        assert seen.page.get_attribute("html", "lang") == "de"
        seen.until_text("#state", "^Wiedergabe: Läuft$")
        # a voice for each of two languages, neither the browser's own
        seen.page.evaluate(
            """() => { speechSynthesis.getVoices = () =>
                [["en-GB", true], ["de-AT", false], ["de-DE", true]]
                    .map(([lang, localService]) => ({lang, localService}));
                Object.defineProperty(SpeechSynthesisUtterance.prototype, "voice", {set(one) { this.by = one?.lang; }});
                SpeechSynthesis.prototype.speak = (one) => said.push([one.text, one.lang, one.by, one.volume]);
            }"""
        )
        assert seen.text("#start") == "Tippen für Ton"
        seen.page.click("#start")
        view.page.get_by_role("button", name="Ansagen").click()
        view.page.get_by_role("button", name="Gürtel waagerecht", exact=True).click()
        seen.until_text("#words", "^Gürtel waagerecht$")
        assert seen.page.evaluate("() => said.at(-1)") == ["Gürtel waagerecht", "de", "de-DE", 1]
        assert seen.wrong == view.wrong == []
    finally:
        host.close()


@contextlib.contextmanager
def served(**serving: Any) -> Iterator[str]:
    """Serve the page of a runner of the host's broker once more, otherwise told; yield its link."""
    ((_, record),) = records()
    port = make_link(PageConfig(serve="local")).port
    order = Serving(bind="127.0.0.1", port=port, token="of-this-test", broker_port=urlsplit(record.url).port, **serving)
    child = subprocess.Popen([sys.executable, "-m", "sensor_host.page"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode(order) + b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}/of-this-test/"


# Everything that is read or read out, with what the catalogue says between brackets taken out.
LEFT_OVER = r"""() => {
    const found = [];
    for (const place of document.body.querySelectorAll("*")) {
        if (place.matches("script, noscript")) continue;
        for (const name of ["aria-label", "title", "alt", "placeholder", "data-done"])
            found.push(place.getAttribute(name) ?? "");
        for (const node of place.childNodes) if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
    }
    return found.map((one) => one.replace(/\[.*?\]/gs, "").trim()).filter((one) => /\p{L}/u.test(one));
}"""


def test_no_text_of_the_page_stands_outside_the_catalogue(host: Host, phone: Open) -> None:
    texts = {
        name: "[" + "".join(f"{{{place}}}" for place in PLACE.findall(text)) + "]" for name, text in texts_of().items()
    }
    not_the_pages = {"runner", "ms", "mm", *words_of().values()}
    with served(texts=texts, phrases={"drop": "33"}) as link:
        seen, view = phone(link), phone(f"{link}?coach")
        seen.until("document.getElementById('run').dataset.fresh === 'yes'")
        seen.page.click("#start")
        for button in ("#mute", "#mark"):
            seen.page.click(button)
            seen.until("document.querySelector(given).dataset.done === '[]'", button)
            assert set(seen.page.evaluate(LEFT_OVER)) <= not_the_pages
        view.until_text(".card .how", r"^\[\]$")
        view.page.click(".card button:last-child")
        view.page.click("#phrases button")
        view.until_text("#answer", r"^\[runner33\]$")
        assert set(view.page.evaluate(LEFT_OVER)) <= not_the_pages
        host.close()
        for page in (seen, view):
            page.until("document.getElementById('state').dataset.state === 'waiting'")
            assert set(page.page.evaluate(LEFT_OVER)) <= not_the_pages


# ---------------------------------------------------------------- on every screen

SCREENS = [(320, 568), (360, 640), (390, 844), (640, 360), (844, 390), (768, 1024), (1024, 768)]

# What is cut off, lies over another thing, or is too small for a thumb; `note` may be cut, it says so with dots.
FAULTS = """() => {
    const found = [];
    const boxes = [];
    const scrolls = document.documentElement.scrollHeight > innerHeight;
    for (const place of document.querySelectorAll("body *")) {
        if (place.closest("dialog:not([open])") || place.id === "answer" || !place.checkVisibility()) continue;
        const box = place.getBoundingClientRect();
        const name = place.id || place.className?.baseVal || place.className || place.tagName;
        if (box.left < -0.5 || box.right > innerWidth + 0.5) found.push(`${name} is beside the screen`);
        if (place.matches("button") && Math.min(box.width, box.height) < 44) found.push(`${name} is small`);
        if (place.matches("button, dt, b, i, p:not(.feet), span:not(.note), h1, h2, dd")
            && getComputedStyle(place).display !== "inline" && place.scrollWidth > place.clientWidth + 1)
            found.push(`${name} is cut`);
        if (place.matches("#run dt, #run b, #run .foot, .card h2, .card dt, .card dd, button"))
            boxes.push([name, place]);
    }
    // the box of a number is taller than its digits: a tenth on either side is air
    const ink = (place) => {
        const {left, right, top, bottom, height} = place.getBoundingClientRect();
        const air = place.matches("b") ? height / 8 : 0;
        return {left, right, top: top + air, bottom: bottom - air};
    };
    boxes.forEach(([name, one], i) => boxes.slice(i + 1).forEach(([other, two]) => {
        const [a, b] = [ink(one), ink(two)];
        // buttons that stay where they are may lie over what can be scrolled
        if (scrolls && (one.matches("button") || two.matches("button"))) return;
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
            found.push(`${name} lies over ${other}`);
    }));
    return found;
}"""


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_cut_off_or_covered_on_any_screen(host: Host, phone: Open, needs: Needs, language: str) -> None:
    broker = Broker(needs("mosquitto_pub"))
    phrases = dict(words_of(language))
    with served(runner="eve", language=language, texts=dict(texts_of(language)), phrases=phrases) as link:
        seen, view = phone(link), phone(f"{link}?coach")
        seen.page.click("#start")
        broker.say("state", {"state": "online", "mode": "simulated"}, retain=True)
        broker.say("activity", {"state": "running"}, retain=True)
        for side in ("left", "right"):
            broker.say("step", {"side": side, "pelvic_drop_deg": 12.3, "quality": 1})
        figures = {"t_s": 35999, "cadence_spm": 188, "contact_time_s": 0.288, "pelvis_sway_m": 0.088}
        broker.say("metrics", figures | {"vertical_oscillation_m": 0.188}, retain=True)
        seen.until_text("#oscillation", "^188$")
        seen.until_text("#drop-right", "^12[.]3$")
        view.until_text(".card[data-runner=eve] dd", "^188$")
        faults: dict[tuple[str, tuple[int, int], str], list[str]] = {}
        for letters in ("100%", "200%"):
            for page in (seen.page, view.page):
                page.evaluate("(given) => { document.documentElement.style.fontSize = given; }", letters)
            for size in SCREENS:
                for name, page in (("run", seen.page), ("coach", view.page)):
                    page.set_viewport_size({"width": size[0], "height": size[1]})
                    faults[letters, size, name] = page.evaluate(FAULTS)
                # with letters twice as large it may have to be scrolled; the buttons stay
                if letters == "100%":
                    assert seen.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight"), size
                assert (
                    seen.page.evaluate("() => document.getElementById('mark').getBoundingClientRect().bottom")
                    <= size[1]
                )
    assert {where: found for where, found in faults.items() if found} == {}


# ---------------------------------------------------------------- when something dies


def page_server(host: Host, needs: Needs) -> int:
    find = [needs("pgrep"), "-P", str(host.process.pid), "-f", "sensor_host.page"]
    return int(subprocess.run(find, capture_output=True, check=True, timeout=20).stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
@pytest.mark.parametrize("victim", ["broker", "page"])
def test_a_broker_or_server_that_dies_is_survived_by_page_and_run(
    host: Host, phone: Open, needs: Needs, victim: str
) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    seen.page.evaluate(
        """() => {
            globalThis.states = [];
            const state = document.getElementById("state");
            const figures = document.getElementById("run");
            new MutationObserver(() => states.push([state.textContent, figures.dataset.fresh]))
                .observe(state, {childList: true, characterData: true, subtree: true});
        }"""
    )
    ((_, record),) = records()
    os.kill(record.broker.pid if victim == "broker" else page_server(host, needs), signal.SIGKILL)
    seen.until("states.some(([text, fresh]) => text.startsWith('No connection') && fresh === 'no')")
    seen.until_text("#state", "Replay: Running")
    before = seen.text("#clock")
    seen.until("document.getElementById('clock').textContent !== given", before)
    assert host.process.poll() is None
    assert seen.page.get_attribute("#run", "data-fresh") == "yes"


@pytest.mark.skipif(sys.platform == "win32", reason="stops processes by signal")
def test_a_phone_that_wakes_up_finds_out_that_its_socket_is_dead(host: Host, phone: Open, needs: Needs) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    server = page_server(host, needs)
    # a socket that is open and from which nothing comes, as after a sleep
    os.kill(server, signal.SIGSTOP)
    try:
        begun_s = seen.page.evaluate(
            "() => { document.dispatchEvent(new Event('visibilitychange')); return Date.now(); }"
        )
        seen.until_text("#state", "No connection")
        # MQTT itself would have noticed after five to eight
        assert seen.page.evaluate("() => Date.now()") - begun_s < 4500
    finally:
        os.kill(server, signal.SIGCONT)
    seen.until_text("#state", "Replay: Running")


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
def test_a_page_that_dies_again_and_again_harms_neither_run_nor_recording(
    home: Path, phone: Open, needs: Needs
) -> None:
    host = Host("demo", "--for", "6s")
    seen = phone(host.link)
    seen.until_text("#state", "Simulated: ")
    for _ in range(2):
        os.kill(page_server(host, needs), signal.SIGKILL)
        seen.until_text("#state", "No connection")
        seen.until_text("#state", "Simulated: ")
    told, _ = host.process.communicate(timeout=60)
    assert host.process.returncode == 0
    assert "warning" not in told
    (recording,) = (home / "data" / "hipdrive" / "sessions").glob("*.mcap")
    arrivals = list(read(recording).arrivals())
    # 40 ms a notification, none missing
    gaps_s = np.diff([one.t_host_s for one in arrivals if isinstance(one, Notification)])
    assert len(gaps_s) > 100
    assert max(gaps_s) < 1


# ---------------------------------------------------------------- what others say at the broker


def test_what_the_broker_kept_of_a_run_long_gone_is_no_news(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    figures = {"t_s": 60, "cadence_spm": 171}
    broker.say("state", {"state": "online", "mode": "live"}, retain=True)
    broker.say("activity", {"state": "running"}, retain=True)
    broker.say("metrics", figures, retain=True)
    seen.until("document.getElementById('run').dataset.fresh === 'yes'")
    seen.page.reload()
    seen.until_text("#cadence", "^171$")
    assert seen.page.get_attribute("#run", "data-fresh") == "no"
    seen.until_text("#state", "^No data$")
    broker.say("metrics", figures)
    seen.until_text("#state", "^Running$")
    assert seen.page.get_attribute("#run", "data-fresh") == "yes"


def test_a_new_run_is_not_late_because_the_last_one_began_earlier(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    broker.say("state", {"state": "online", "mode": "live", "session_id": "first"})
    broker.say("step", {"side": "left", "quality": 1, "pelvic_drop_deg": 5, "reported_at_s": 3600})
    seen.until_text("#drop-left", "^5[.]0$")
    broker.say("state", {"state": "offline", "mode": "live", "session_id": "first"})
    broker.say("state", {"state": "online", "mode": "live", "session_id": "second"})
    broker.say("cue", spoken_cue("Second run", 10.0))
    seen.until_text("#words", "^Second run$")
    broker.say("step", {"side": "left", "quality": 1, "pelvic_drop_deg": 3, "reported_at_s": 11})
    seen.until_text("#drop-left", "^3[.]0$")


def test_contacts_that_waited_do_not_tick_late(eve: tuple[Phone, Broker]) -> None:
    seen, broker = eve
    seen.page.click("#start")
    seen.page.click("#show-ear")
    seen.page.click("#ticks")
    contact = {"event": "provisional", "side": "left"}
    broker.say("contact", contact | {"decided_at_s": 100.0})
    seen.until("sounded.at(-1).hz === given", LEFT_HZ)
    # decided a second before, as far as what came in time can tell
    broker.say("contact", contact | {"side": "right", "decided_at_s": 99.0})
    seen.until("document.getElementById('foot-right').dataset.down === 'yes'")
    assert seen.page.evaluate("() => sounded.at(-1).hz") == LEFT_HZ


@pytest.mark.parametrize("name", ["<b>", "%23", "a/b", "+"])
def test_a_name_that_nobody_can_have_is_said(host: Host, phone: Open, name: str) -> None:
    seen = phone(f"{host.link}?runner={name}")
    seen.until_text("#state", "^No such runner$")
    assert seen.wrong == []


def test_the_coach_sees_four_runners_whatever_others_say_at_the_broker(host: Host, phone: Open, needs: Needs) -> None:
    broker = Broker(needs("mosquitto_pub"))
    view = phone(f"{host.link}?coach")
    odd = "Zoë <img src=x onerror=alert(1)>"
    for runner in ("dora", "chiara", "ben", odd):
        broker.say("state", {"state": "online", "mode": "live"}, runner=runner, retain=True)
        broker.say("activity", {"state": "running"}, runner=runner, retain=True)
    for junk in (b"no JSON", b"null", b"[1]", b"\xff\xfe", b"3"):
        for level in ("metrics", "step", "cue", "state"):
            broker.say(level, junk, runner="dora")
    broker.say("metrics", {"cadence_spm": 181}, runner="dora")
    view.until_text(".card[data-runner=dora] dd", "^181$")
    names = view.page.evaluate("() => [...document.querySelectorAll('.card h2')].map((one) => one.textContent)")
    assert names == [odd, "ben", "chiara", "dora", "runner"]
    # a command to a name that no host can have would cost the page its connection
    assert view.page.evaluate(
        "() => [...document.querySelectorAll('.card')].map((card) =>"
        " [...card.querySelectorAll('button')].filter((one) => one.checkVisibility()).length)"
    ) == [0, 2, 2, 2, 2]
    assert view.text("#state") == "Connected"
    assert view.wrong == []


# ---------------------------------------------------------------- for everybody


@pytest.mark.parametrize("view", ["", "#ear", "?coach", "?coach&say"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_is_accessible_in_both_themes(host: Host, phone: Open, view: str, scheme: str) -> None:
    axe = WEB / "vendor" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        skip_or_fail("axe-core is not installed: make page")
    seen = phone(host.link + view, color_scheme=scheme, bypass_csp=True)
    seen.until_text("#state", "Connected" if "coach" in view else "Running")
    if view == "#ear":
        seen.page.click("#show-ear")
    elif view:
        seen.page.get_by_role("button", name="Send a cue").wait_for()
    if view == "?coach&say":
        seen.page.get_by_role("button", name="Send a cue").click()
    seen.page.add_script_tag(content=axe.read_text(encoding="utf-8"))
    # AA in the dark; AAA in the sun, where contrast is all there is
    found = cast(
        "list[dict[str, Any]]",
        seen.page.evaluate(
            """async (bright) => (await axe.run({
                runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
                rules: {"color-contrast-enhanced": {enabled: bright}},
            })).violations.map((one) => ({id: one.id, nodes: one.nodes.map((node) => node.html)}))""",
            scheme == "light",
        ),
    )
    assert found == []


def test_who_wants_no_motion_gets_a_belt_that_moves_once_a_second(host: Host, phone: Open) -> None:
    seen = phone(host.link, reduced_motion="reduce")
    seen.until_text("#state", "Replay: Running")
    moves = seen.page.evaluate(
        """() => new Promise((done) => {
            let moves = 0, ticks = 0;
            const watch = (id, what) => new MutationObserver(what).observe(document.getElementById(id),
                {attributes: true, childList: true, characterData: true, subtree: true});
            watch("tilt", () => moves++);
            watch("clock", () => { if (++ticks === 4) done(moves); });
        })"""
    )
    assert 1 <= moves <= 5


def test_cues_are_announced_and_buttons_have_names_and_room_for_a_thumb(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.page.click("#start")
    assert seen.page.get_attribute("#words", "role") == "alert"
    buttons = seen.page.query_selector_all("footer button:visible")
    assert [button.inner_text() for button in buttons] == ["Mute coach", "Mark"]
    for button in buttons:
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 60
        assert box["y"] > 844 / 2


def test_the_screen_stays_on_again_after_the_phone_was_locked(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    # the browser lets a lock go when the page is hidden
    seen.page.evaluate(
        "() => { WakeLock.prototype.request = async () => { locks.push(1); return {released: true}; }; }"
    )
    seen.page.click("#start")
    seen.until("locks.length === 1")
    seen.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    seen.until("locks.length === 2")


def test_the_browser_lets_the_page_ask_and_run_nothing_from_elsewhere(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    held_back = seen.page.evaluate(
        """async () => {
            const held = [];
            document.addEventListener("securitypolicyviolation", (event) => held.push(event.effectiveDirective));
            await fetch("http://127.0.0.1:9/").catch(() => {});
            const script = document.createElement("script");
            script.textContent = "globalThis.ran = true";
            document.body.append(script);
            document.body.append(Object.assign(new Image(), {src: "http://127.0.0.1:9/x.png"}));
            document.body.setAttribute("onclick", "globalThis.ran = true");
            document.body.click();
            await new Promise((done) => setTimeout(done, 100));
            return [globalThis.ran ?? false, ...held.sort()];
        }"""
    )
    assert held_back == [False, "connect-src", "img-src", "script-src-attr", "script-src-elem"]


def test_the_page_can_be_installed(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    manifest = json.loads(seen.page.evaluate("async () => await (await fetch('page.webmanifest')).text()"))
    assert manifest["start_url"] == "./"
    assert manifest["lang"] == "en"
    drawn = [entry for entry in manifest["icons"] if entry["type"] == "image/png"]
    assert {(entry["sizes"], entry["purpose"]) for entry in drawn} == {
        ("192x192", "any"),
        ("512x512", "any"),
        ("512x512", "maskable"),
    }
    for entry in drawn:
        icon = (WEB / entry["src"]).read_bytes()
        assert "x".join(str(int.from_bytes(icon[at : at + 4], "big")) for at in (16, 20)) == entry["sizes"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,}", urlsplit(host.link).path.strip("/"))
