"""How soon the local telemetry page shows what runs where, and what was released, in Chromium."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from aiohttp import ClientSession
from playwright.async_api import Browser, async_playwright

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from local.telemetry.server import Telemetry

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
COUNT, MAX_SECONDS = 1000, 2.5
STARTED_AT = datetime.now(UTC) - timedelta(days=1)
PAINTED = """([rows, count]) => new Promise(painted => {
  const wait = () => document.body.dataset.state === "live" && document.querySelectorAll(rows).length >= count
    ? requestAnimationFrame(() => requestAnimationFrame(() => painted(performance.now() / 1000)))
    : requestAnimationFrame(wait);
  wait();
})"""
"""Seconds from the start of the navigation until the frame after the one in which the last row was there."""
VIEWS = {"board": (".board tbody tr", COUNT), "releases": ("section:not([hidden]) .push", 100)}
"""View -> the selector of its rows, and how many it shows at once."""
Item = dict[str, Any]


def rows(effort: Effort) -> Iterator[Row]:
    """One row a view; the bound is the page of a stack to which nothing happened."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise NotMeasuredError("Chromium is not installed: apt-get install chromium")
    repeats = effort.choose(11, 3)
    full, empty = asyncio.run(_measure(chromium, repeats))
    for view, seconds in full.items():
        yield Row(
            name=f"page, {view} of {COUNT:,}",
            description=f"navigation to the local page → its {view} painted, with {COUNT:,} targets and releases",
            unit="s",
            value=median(seconds),
            target=MAX_SECONDS,
            bound=median(empty[view]),
            bound_description="the same page of a stack to which nothing happened",
            method=f"Medians of {repeats} loads each in Chromium, without its cache",
            details={"slowest, s": max(seconds)},
        )


async def _measure(chromium: str, repeats: int) -> tuple[Mapping[str, Sequence[float]], Mapping[str, Sequence[float]]]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            return await _load_views(browser, repeats, COUNT), await _load_views(browser, repeats, 0)
        finally:
            await browser.close()


async def _load_views(browser: Browser, repeats: int, count: int) -> Mapping[str, Sequence[float]]:
    """Seconds of each load of each view, of a server with so many targets and releases."""
    telemetry = Telemetry()
    url = await telemetry.start()
    try:
        targets = [_target(number) for number in range(count)]

        async def board() -> list[Item]:
            return targets

        telemetry.board = board
        async with ClientSession() as session:
            for number in range(count):
                async with session.post(f"{url}/v2.1/track", data=json.dumps(_release(number))) as answer:
                    answer.raise_for_status()
        return {
            view: [await _load(browser, f"{url}/#/{view}", selector, min(shown, count)) for _ in range(repeats)]
            for view, (selector, shown) in VIEWS.items()
        }
    finally:
        await telemetry.stop()


async def _load(browser: Browser, url: str, selector: str, shown: int) -> float:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = await context.new_page()
        await page.goto(url, wait_until="commit")
        await page.wait_for_selector("body")
        return float(await page.evaluate(PAINTED, [selector, shown]))
    finally:
        await context.close()


def _target(number: int) -> Item:
    """A row of the board; every tenth release failed."""
    agent, failed = f"agent-{number}", number % 10 == 0
    state = {"state": "VERIFY_FAILED", "severity": "error", "detail": "answered wrongly"} if failed else {}
    return {
        "target": agent,
        "agent": agent,
        "project": "default",
        "stage": 1,
        "repository": f"agents/{agent}",
        "live": "1",
        "live_tag": "v1",
        "desired_tag": "v1",
        "state": "LIVE",
        "state_tag": "v1",
        "notes": [],
        "severity": "info",
        "is_open": False,
        "since": STARTED_AT.timestamp() * 1000,
        "detail": "",
        "next": f"Run slipway retry {agent}." if failed else None,
        **state,
    }


def _release(number: int) -> list[Item]:
    """The telemetry of a push and its release."""
    trace, since = f"{number:032x}", STARTED_AT + timedelta(minutes=number)
    reasons = ("ACCEPTED", "CREATE", "TRAFFIC_MOVED", "VERIFY_FAILED" if number % 10 == 0 else "LIVE")
    decisions = [_decision(number, reason, since + timedelta(seconds=at)) for at, reason in enumerate(reasons)]
    push, release = (_span(name, f"{trace[:15]}{digit}", since) for digit, name in enumerate(("push", "release")))
    return [_envelope(kind, data, trace, since) for kind, data in (*decisions, push, release)]


def _decision(number: int, reason: str, at: datetime) -> tuple[str, Item]:
    about = {"agent": f"agent-{number}", "repository": f"agents/agent-{number}", "tag": "v1", "trace": f"{number:032x}"}
    fields = {"at": at.isoformat(), "reason": reason, "severity": "info", "help": "Nothing to do.", **about}
    properties = {f"slipway.{key}": value for key, value in fields.items()}
    return "Message", {"message": "slipway.decision", "severityLevel": 1, "properties": properties}


def _span(name: str, span_id: str, at: datetime) -> tuple[str, Item]:
    data = {"name": name, "id": span_id, "duration": "0.00:00:03.000", "success": True, "type": "InProc"}
    return "RemoteDependency", data | {"properties": {"slipway.at": at.isoformat()}}


def _envelope(kind: str, data: Item, trace: str, at: datetime) -> Item:
    name = f"Microsoft.ApplicationInsights.{kind}"
    tags = {"ai.operation.id": trace, "ai.cloud.role": "slipway"}
    body = {"baseType": f"{kind}Data", "baseData": data}
    return {"name": name, "time": at.isoformat(), "tags": tags, "data": body}
