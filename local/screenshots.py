"""Takes the README's screenshots of the telemetry page during a demo, in Chromium; install the font Inter for them.

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

from local.demo.output import Output
from local.demo.run import copy_agents, play
from local.demo.stack_driver import StackDriver
from local.stack import Options, Stack

SIZE = {"width": 1280, "height": 830}
RELEASE_REASON = "CHECK_FAILED"
"""Reason of the release to show: it went live, failed with traffic, and was rolled back."""
LAST_METRIC = "slipway.versions.pruned"
"""The metric that arrives last."""


async def take_screenshots(folder: Path, chromium: str) -> None:
    """Run the demo and write a light and a dark screenshot."""
    with tempfile.TemporaryDirectory(prefix="slipway-demo-") as stack_folder:
        stack = Stack(
            Options(Path(stack_folder), copy_agents(Path(stack_folder)), free_ports=True), report=lambda _: None
        )
        try:
            await stack.up()
            driver = StackDriver(stack.endpoints)
            try:
                await play(driver, Output(Console(file=io.StringIO(), width=100)))
            finally:
                await driver.close()
            await _wait_for_telemetry(stack.endpoints["telemetry"])
            await _screenshots(stack.endpoints["telemetry"], folder, chromium)
        finally:
            await stack.down()


async def _wait_for_telemetry(telemetry: str) -> None:
    async with ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(f"{telemetry}/_local/items?type=MetricData") as answer:
                if LAST_METRIC in json.dumps(await answer.json()):
                    return
            await asyncio.sleep(0.5)


async def _screenshots(telemetry: str, folder: Path, chromium: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await _screenshot(browser, telemetry, folder / "telemetry.png", dark=False)
        await _screenshot(browser, telemetry, folder / "telemetry-dark.png", dark=True)
        await browser.close()


async def _screenshot(browser: Browser, telemetry: str, path: Path, *, dark: bool) -> None:
    context = await browser.new_context(
        viewport={"width": SIZE["width"], "height": SIZE["height"]},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1.5,
    )
    page = await context.new_page()
    await page.goto(f"{telemetry}/#/releases")
    await page.locator(".push a").filter(has_text=RELEASE_REASON).click()
    await page.locator(".fold").nth(1).wait_for()
    await page.mouse.move(0, 0)
    await page.screenshot(path=path)
    await context.close()


def main(folder: str = "docs/images") -> int:
    """Take the screenshots from the command line."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is missing; on Debian: sudo apt-get install -y chromium fonts-inter", file=sys.stderr)
        return 1
    asyncio.run(take_screenshots(Path(folder), chromium))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
