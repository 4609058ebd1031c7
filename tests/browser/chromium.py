"""Chromium; a page in it fails its test if it sends a request to another server or logs an error to the console."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.telemetry_server import TelemetryServer, running_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OpenView = Callable[..., Page]
expect.set_options(timeout=15_000)  # milliseconds, for a busy machine
PHONE = 375
"""Width of a small phone in pixels."""
LINES = "section:not([hidden]) .line"
TOO_WIDE = """document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => `${element.tagName} ${element.className}`)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser per module: it gives the thread an event loop, and tests of other modules create their own."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server() -> Iterator[TelemetryServer]:
    with running_server() as telemetry_server:
        yield telemetry_server


@contextmanager
def open_page(browser: Browser, url: str, width: int = 1280, expected: str = "", **options: Any) -> Iterator[Page]:
    """Open the page and wait for its data; a request to another server or an error in the console fails the test.

    ``expected`` is a part of the error that the test causes on purpose.
    """
    context = browser.new_context(viewport={"width": width, "height": 800}, timezone_id="UTC", **options)
    page, problems = context.new_page(), list[str]()
    base = url.split("#", maxsplit=1)[0].rstrip("/")
    page.on("request", lambda sent: None if sent.url.startswith(f"{base}/") else problems.append(f"request {sent.url}"))
    page.on("pageerror", lambda error: problems.append(f"error {error}"))
    page.on("console", lambda message: problems.append(f"console {message.text}") if _is_problem(message) else None)
    page.goto(url)
    page.wait_for_selector("body[data-state=live]")
    yield page
    context.close()
    assert [problem for problem in problems if not expected or expected not in problem] == []


def _is_problem(message: ConsoleMessage) -> bool:
    """Whether a console message is a problem; the browser always logs a server that is down."""
    return message.type in ("error", "warning") and "ERR_CONNECTION_REFUSED" not in message.text


@pytest.fixture
def visit(chromium: Browser, server: TelemetryServer) -> Iterator[OpenView]:
    """Open a view of the telemetry page, on the test's own server."""
    pages: list[Any] = []

    def open_view(view: str = "releases", **options: Any) -> Page:
        manager = open_page(chromium, f"{server.url}/#/{view}", **options)
        pages.append(manager)
        page: Page = manager.__enter__()
        return page

    yield open_view
    for manager in reversed(pages):
        manager.__exit__(None, None, None)


def assert_fits(page: Page) -> None:
    """Check that no element is wider than the window."""
    assert page.evaluate(TOO_WIDE) == []
