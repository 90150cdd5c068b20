"""How soon a contact is on the phone page: published, through broker, page server and WebSocket, to eye and ear.

A real broker, the page's server as a process of its own, headless Chromium on the same machine (no radio network in
between). The page notes when its document changed and when the next frame was due; its ticks are recorded from a sound
server of its own (tests/ear.py) and compared with what the page itself claims. All clocks are the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import numpy as np
from measure import ROOT, percentile, table
from playwright.async_api import async_playwright

from sensor_host.broker import EmbeddedBroker
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig, PageConfig
from sensor_host.page.link import make_link
from sensor_host.page.orders import Serving
from sensor_host.sinks.page import PageSink

sys.path.append(str(ROOT / "tests"))

from ear import Ear, open_ear

CONTACTS = 300
# faster than anybody runs, and out of step with the screen
PERIOD_S = 0.107

WATCH = """() => {
    globalThis.seen = [];
    const now = () => performance.timeOrigin + performance.now();
    const foot = document.getElementById("foot-left");
    new MutationObserver(() => {
        const one = [now(), 0];
        seen.push(one);
        requestAnimationFrame(() => one[1] = now());
    }).observe(foot, {attributes: true});
}"""


@contextlib.contextmanager
def any_ear() -> Iterator[Ear | None]:
    """Open a sound server where there is one."""
    programs = [shutil.which(name) for name in ("pulseaudio", "parec", "pactl")]
    if None in programs:
        print("| contact to the page's tick | not measured: pulseaudio is not installed |")
        yield None
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        open_ear(Path(folder), *map(str, programs), os.environ["PATH"]) as ear,
    ):
        os.environ["PULSE_SERVER"] = ear.address
        yield ear


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("| contact to phone page | not measured: chromium is not installed |")
        return
    with any_ear() as ear:
        asyncio.run(measure(chromium, ear))


async def measure(chromium: str, ear: Ear | None) -> None:
    async with EmbeddedBroker(MqttConfig()) as broker, async_playwright() as playwright, asyncio.TaskGroup() as group:
        link, address = make_link(PageConfig(serve="local")), BrokerAddress.parse(broker.url)
        ready = asyncio.Event()
        sink = PageSink(
            Serving(bind=link.bind, port=link.port, token=link.token, broker_port=address.port, ticks=True),
            str(link),
            report=lambda state: ready.set() if state.state == "ready" else None,
        )
        group.create_task(sink.run())
        await ready.wait()
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], ignore_default_args=["--mute-audio"]
        )
        page = await browser.new_page()
        await page.goto(str(link))
        await page.wait_for_function("() => document.getElementById('state').textContent === 'Waiting for a run'")
        await page.click("#start")
        await page.evaluate(WATCH)
        sent_s: list[float] = []
        async with aiomqtt.Client(address.host, address.port) as client:
            # the subscription stands once the first one is seen
            side = "left"
            while not await page.evaluate("() => seen.length"):
                await client.publish("hipdrive/v1/runner/contact", contact(side))
                await asyncio.sleep(0.2)
            # the pair of notes after the tap has rung out
            await asyncio.sleep(2)
            await page.evaluate("() => { seen.length = 0 }")
            with ear.listening() if ear is not None else contextlib.nullcontext() as recording:
                for _ in range(CONTACTS):
                    side = "right" if side == "left" else "left"
                    sent_s.append(time.time())
                    await client.publish("hipdrive/v1/runner/contact", contact(side))
                    await asyncio.sleep(PERIOD_S)
        await page.wait_for_function("(count) => seen.filter((one) => one[1]).length >= count", arg=CONTACTS)
        seen: list[tuple[float, float]] = await page.evaluate("() => seen")
        await page.click("#show-ear")
        claimed_ms = float(await page.inner_text("#late-phone"))
        await browser.close()
        sink.close()
    assert len(seen) == CONTACTS
    for what, column in (("document", 0), ("next frame", 1)):
        late_ms = [one[column] - 1000 * sent for one, sent in zip(seen, sent_s, strict=True)]
        p50, p95, worst = (percentile(late_ms, share) for share in (0.5, 0.95, 1.0))
        table(
            (
                f"a contact, published to shown on the phone page: {what}",
                f"{p50:.0f} ms p50, {p95:.0f} ms p95, {worst:.0f} ms at most",
            )
        )

    if recording is None:
        return
    loud = np.flatnonzero(np.abs(recording.everything()).max(axis=1) > recording.audible)
    begun = loud[np.diff(loud, prepend=-recording.rate_hz) > 0.05 * recording.rate_hz]
    heard_s = recording.heard_at_s(begun) + (time.time() - time.monotonic())
    for what, begins_s in (
        ("published to heard", np.array(sent_s)),
        (f"in the page to heard (the page claims {claimed_ms:.0f} ms)", np.array([one[0] for one in seen]) / 1000),
    ):
        after = np.searchsorted(heard_s, begins_s)
        late_ms = 1000 * (np.append(heard_s, np.inf)[after] - begins_s)
        # one that a busy machine swallowed would be taken for the next contact's
        late_ms = [float(late) for late in late_ms if late < 1000 * PERIOD_S]
        p50, p95 = percentile(late_ms, 0.5), percentile(late_ms, 0.95)
        table(
            (
                f"a contact, {what}, as the page's tick",
                f"{p50:.0f} ms p50, {p95:.0f} ms p95 ({len(late_ms)} of {CONTACTS})",
            )
        )


def contact(side: str) -> str:
    return json.dumps({"v": 1, "n": 0, "event": "provisional", "side": side})


if __name__ == "__main__":
    main()
