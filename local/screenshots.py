"""Makes the README's pictures of the telemetry page from a run of the demo, in Chromium; the font Inter suits it.

python -m local.screenshots docs/images
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

from aiohttp import ClientSession
from playwright.async_api import Browser, async_playwright
from rich.console import Console

from local.demo.output import Screen
from local.demo.run import AGENTS, story
from local.demo.stack_driver import World
from local.stack import Options, Stack

SIZE = {"width": 1280, "height": 830}
PICKED = "CHECK_FAILED"
"""The release that is shown: it went live, failed with traffic, and was taken back."""
LAST = "slipway.versions.pruned"
"""What arrives last of the demo."""


async def take(folder: Path, chromium: str) -> None:
    """Run the demo and write one picture for light and one for dark."""
    with tempfile.TemporaryDirectory(prefix="slipway-demo-") as kept:
        stack = Stack(Options(Path(kept), AGENTS, free_ports=True), say=lambda _: None)
        try:
            await stack.up()
            world = World(stack.endpoints)
            try:
                await story(world, Screen(Console(file=io.StringIO(), width=100)))
            finally:
                await world.close()
            await _arrived(stack.endpoints["telemetry"])
            await _pictures(stack.endpoints["telemetry"], folder, chromium)
        finally:
            await stack.down()


async def _arrived(telemetry: str) -> None:
    async with ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(f"{telemetry}/_local/items?type=MetricData") as answer:
                if LAST in json.dumps(await answer.json()):
                    return
            await asyncio.sleep(0.5)


async def _pictures(telemetry: str, folder: Path, chromium: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await _picture(browser, telemetry, folder / "telemetry.png", dark=False)
        await _picture(browser, telemetry, folder / "telemetry-dark.png", dark=True)
        await browser.close()


async def _picture(browser: Browser, telemetry: str, path: Path, *, dark: bool) -> None:
    context = await browser.new_context(
        viewport={"width": SIZE["width"], "height": SIZE["height"]},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1.5,
    )
    page = await context.new_page()
    await page.goto(telemetry)
    await page.locator(".push a").filter(has_text=PICKED).click()
    await page.locator(".fold").nth(1).wait_for()
    await page.mouse.move(0, 0)
    await page.screenshot(path=path)
    await context.close()


def main(folder: str = "docs/images") -> int:
    """The pictures from the command line."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is missing; on Debian: sudo apt-get install -y chromium fonts-inter", file=sys.stderr)
        return 1
    asyncio.run(take(Path(folder), chromium))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
