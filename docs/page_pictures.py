"""Take the pictures of docs/page.md and draw the page's icons: ``python docs/page_pictures.py``. Needs Chromium; takes
about a minute.

Four simulated runners publish to one broker; the page is that of the first of them.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from playwright.async_api import Browser, async_playwright

from sensor_host.broker import EmbeddedBroker
from sensor_host.config import MqttConfig
from sensor_host.page.server import WEB

IMG = Path(__file__).resolve().parent / "img"
RUNNERS = {"anna": 3.0, "ben": 3.4, "chiara": 3.8, "dora": 2.8}
# name, width, height, theme, what follows the link, what to wait for
Picture: TypeAlias = tuple[str, int, int, str, str, str]
PICTURES: Sequence[Picture] = (
    ("page-dark", 390, 844, "dark", "", "#words:has-text('Belt level')"),
    ("page-wide", 844, 390, "light", "", "#words:has-text('Belt level')"),
    ("page-sun", 390, 844, "light", "", "#run[data-fresh=yes]"),
    ("page-coach", 1024, 640, "dark", "?coach", ".card:nth-child(3) .last:has-text('Belt level')"),
)
# alone, when the others are done: what it shows is how quick this computer is
EAR: Picture = ("page-ear", 390, 844, "dark", "#ear", "#run[data-fresh=yes]")
ICON_SIZES = (192, 512)


async def draw_icon(browser: Browser, size: int) -> None:
    """Draw the icon in one size, as home screens want it."""
    page = await browser.new_page(viewport={"width": size, "height": size})
    icon = (WEB / "icon.svg").read_text(encoding="utf-8")
    await page.set_content(f"<style>body {{margin: 0}} svg {{display: block; width: {size}px}}</style>{icon}")
    await page.screenshot(path=WEB / f"icon-{size}.png")


async def take(browser: Browser, link: str, picture: Picture) -> None:
    """Take one picture when there is something to see."""
    name, width, height, theme, view, place = picture
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=1.5,
    )
    page = await context.new_page()
    await page.goto(link + view)
    if "coach" not in view:
        await page.click("#start")
    await page.wait_for_selector(place, timeout=100_000)
    if "#ear" in view:
        await page.click("#show-ear")
    # the means of ten seconds, the next word of a card, a few answers of the host
    await asyncio.sleep(8 if picture is EAR else 3)
    await page.screenshot(path=IMG / f"{name}.png")
    await context.close()


async def main() -> None:
    """Take them all."""
    async with EmbeddedBroker(MqttConfig()) as broker, async_playwright() as playwright:
        runs = [
            subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
                [sys.executable, "-m", "sensor_host.cli", "demo", "--runner", name, "--speed-mps", str(speed_mps)]
                + ["--for", "120s", "--no-sound", "--no-record", "--broker", broker.url]
                + (["--page"] if name == "anna" else []),
                stdout=subprocess.PIPE,
                text=True,
            )
            for name, speed_mps in RUNNERS.items()
        ]
        assert runs[0].stdout is not None
        for line in runs[0].stdout:
            if found := re.search(r"page: ready (\S+)", line):
                break
        else:
            sys.exit("the demo shows no page")
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        await asyncio.gather(*(draw_icon(browser, size) for size in ICON_SIZES))
        await asyncio.gather(*(take(browser, found[1], picture) for picture in PICTURES))
        await take(browser, found[1], EAR)
        await browser.close()
        for run in runs:
            run.terminate()
            run.communicate()


if __name__ == "__main__":
    asyncio.run(main())
