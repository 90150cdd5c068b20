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

import pytest
from conftest import skip_or_fail

from pelvis.data import Command
from sensor_host.page.server import WEB
from sensor_host.phrases import words_of
from sensor_host.ports import Injected
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

# What the browser is asked to say and sound is written down; headless Chromium has no voice.
EARS = """
globalThis.said = [];
globalThis.sounded = [];
SpeechSynthesis.prototype.speak = (one) => said.push({words: one.text, lang: one.lang, volume: one.volume});
const begin = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { sounded.push(this.frequency.value); begin.apply(this, when); };
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
    seen.page.click("#mark")
    seen.until_text("#answer", "^Marked$")
    seen.page.click("#mute")
    seen.until("document.getElementById('mute').ariaPressed === 'true'")
    assert "Marked" not in seen.text("#answer")


def test_the_theme_for_the_sun_is_remembered(host: Host, phone: Open) -> None:
    seen = phone(host.link, color_scheme="dark")
    seen.until("document.documentElement.dataset.theme === 'dark'")
    seen.page.click("#theme")
    seen.page.reload()
    seen.until("document.documentElement.dataset.theme === 'sun'")


# ---------------------------------------------------------------- cues


def send(view: Phone, phrase: str) -> None:
    """Send a cue from the coach's view to the only runner."""
    view.page.get_by_role("button", name="Send a cue").click()
    view.page.get_by_role("button", name=phrase, exact=True).click()
    view.until_text("#answer", f"^Sent to runner: {phrase}$")


def test_a_coachs_cue_is_seen_and_heard_by_the_runner_and_recorded(home: Path, phone: Open) -> None:
    host = Host("demo")
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


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (320, 568)])
def test_the_longest_words_of_every_language_fit(
    host: Host, phone: Open, needs: Needs, width: int, height: int
) -> None:
    seen = phone(host.link, viewport={"width": width, "height": height})
    seen.until_text("#state", "Replay: ")
    ((_, record),) = records()
    for words in (max(words_of(language).values(), key=len) for language in ("en", "de")):
        cue = {"kind": "phrase", "words": words, "side": "left", "decided_at_s": 0, "expires_s": 4}
        port = str(urlsplit(record.url).port)
        publish = [needs("mosquitto_pub"), "-p", port, "-t", "hipdrive/v1/runner/cue", "-m", json.dumps(cue)]
        subprocess.run(publish, check=True, timeout=20)
        seen.until("document.getElementById('words').textContent === given", words)
        assert (
            seen.page.evaluate(
                """() => {
                const [box, words] = ["cue", "words"].map((id) => document.getElementById(id).getBoundingClientRect());
                return [words.left >= box.left, words.right <= box.right, words.top >= box.top,
                    words.bottom <= box.bottom];
            }"""
            )
            == [True] * 4
        )
        assert seen.page.evaluate("() => parseFloat(getComputedStyle(document.getElementById('words')).fontSize)") > 20


# ---------------------------------------------------------------- when something dies


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
def test_a_broker_that_dies_is_survived_by_page_and_run(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    seen.until_text("#state", "Replay: Running")
    ((_, record),) = records()
    seen.page.evaluate(
        "() => { globalThis.states = []; new MutationObserver(() => states.push("
        "document.getElementById('state').textContent)).observe(document.getElementById('state'),"
        "{childList: true, characterData: true, subtree: true}) }"
    )
    os.kill(record.broker.pid, signal.SIGKILL)
    seen.until("states.some((text) => text.startsWith('No connection'))")
    seen.until_text("#state", "Replay: Running")
    before = seen.text("#clock")
    seen.until("document.getElementById('clock').textContent !== given", before)
    assert host.process.poll() is None
    assert seen.page.evaluate("() => document.getElementById('run').dataset.fresh") == "yes"


# ---------------------------------------------------------------- for everybody


@pytest.mark.parametrize("view", ["", "?coach", "?coach&say"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_is_accessible_in_both_themes(host: Host, phone: Open, view: str, scheme: str) -> None:
    axe = WEB / "vendor" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        skip_or_fail("axe-core is not installed: make page")
    seen = phone(host.link + view, color_scheme=scheme, bypass_csp=True)
    seen.until_text("#state", "Running" if not view else "Connected")
    if view:
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


def test_the_page_can_be_installed(host: Host, phone: Open) -> None:
    seen = phone(host.link)
    manifest = json.loads(seen.page.evaluate("async () => await (await fetch('page.webmanifest')).text()"))
    assert manifest["start_url"] == "./"
    icon = (WEB / "icon.png").read_bytes()
    assert {entry["src"] for entry in manifest["icons"]} == {"icon.svg", "icon.png"}
    assert [int.from_bytes(icon[at : at + 4], "big") for at in (16, 20)] == [512, 512]
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,}", urlsplit(host.link).path.strip("/"))
