"""How soon a contact is on the phone page: published, through broker, page server and WebSocket, into the document.

A real broker, the page's server as a process of its own, headless Chromium on the same machine (no radio network in
between). The page notes when its document changed and when the next frame was due; both clocks are the machine's.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time

import aiomqtt
from measure import percentile, table
from playwright.async_api import async_playwright

from sensor_host.broker import EmbeddedBroker
from sensor_host.broker_client import BrokerAddress
from sensor_host.config import MqttConfig, PageConfig
from sensor_host.page.link import make_link
from sensor_host.page.orders import Serving
from sensor_host.sinks.page import PageSink

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


async def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("| contact to phone page | not measured: chromium is not installed |")
        return
    async with EmbeddedBroker(MqttConfig()) as broker, async_playwright() as playwright, asyncio.TaskGroup() as group:
        link, address = make_link(PageConfig(serve="local")), BrokerAddress.parse(broker.url)
        ready = asyncio.Event()
        sink = PageSink(
            Serving(bind=link.bind, port=link.port, token=link.token, broker_port=address.port),
            str(link),
            report=lambda state: ready.set() if state.state == "ready" else None,
        )
        group.create_task(sink.run())
        await ready.wait()
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        await page.goto(str(link))
        await page.wait_for_function("() => document.getElementById('state').textContent === 'Waiting for a run'")
        await page.evaluate(WATCH)
        sent_s: list[float] = []
        async with aiomqtt.Client(address.host, address.port) as client:
            # the subscription stands once the first one is seen
            side = "left"
            while not await page.evaluate("() => seen.length"):
                await client.publish("hipdrive/v1/runner/contact", contact(side))
                await asyncio.sleep(0.2)
            await page.evaluate("() => { seen.length = 0 }")
            for _ in range(CONTACTS):
                side = "right" if side == "left" else "left"
                sent_s.append(time.time())
                await client.publish("hipdrive/v1/runner/contact", contact(side))
                await asyncio.sleep(PERIOD_S)
        await page.wait_for_function("(count) => seen.filter((one) => one[1]).length >= count", arg=CONTACTS)
        seen: list[tuple[float, float]] = await page.evaluate("() => seen")
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


def contact(side: str) -> str:
    return json.dumps({"v": 1, "n": 0, "event": "provisional", "side": side})


if __name__ == "__main__":
    asyncio.run(main())
