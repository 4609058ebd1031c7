"""A real Chromium, and pages in it that fail a test which asked elsewhere or left an error in the console."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.served import Served, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
Open = Callable[..., Page]
expect.set_options(timeout=15_000)  # milliseconds: patience for a busy machine, not a pause
PHONE = 375
"""Pixels of a small telephone."""
LINES = "section:not([hidden]) .line"
WIDE = """document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => `${one.tagName} ${one.className}`)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module, not the session: while it runs, this thread has an event loop, and other tests bring their own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as one:
        yield one


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, meant: str = "", **options: Any) -> Iterator[Page]:
    """The page, once it has everything; whatever it asks of anybody else, or complains of, fails the test.

    ``meant`` is in the one complaint that the test is about.
    """
    context = browser.new_context(viewport={"width": width, "height": 800}, timezone_id="UTC", **options)
    page, wrong = context.new_page(), list[str]()
    base = url.split("#", maxsplit=1)[0].rstrip("/")
    page.on("request", lambda one: None if one.url.startswith(f"{base}/") else wrong.append(f"asked {one.url}"))
    page.on("pageerror", lambda error: wrong.append(f"error {error}"))
    page.on("console", lambda message: wrong.append(f"console {message.text}") if _matters(message) else None)
    page.goto(url)
    page.wait_for_selector("body[data-state=live]")
    yield page
    context.close()
    assert [one for one in wrong if not meant or meant not in one] == []


def _matters(message: ConsoleMessage) -> bool:
    """A server that is down is in the console whatever the page does."""
    return message.type in ("error", "warning") and "ERR_CONNECTION_REFUSED" not in message.text


@pytest.fixture
def at(chromium: Browser, served: Served) -> Iterator[Open]:
    """Open a view of what the test's own stand-in was sent."""
    opening: list[Any] = []

    def visit(view: str = "releases", **options: Any) -> Page:
        manager = opened(chromium, f"{served.url}/#/{view}", **options)
        opening.append(manager)
        page: Page = manager.__enter__()
        return page

    yield visit
    for manager in reversed(opening):
        manager.__exit__(None, None, None)


def fits(page: Page) -> None:
    """Nothing has to be moved sideways; what is too wide is named."""
    assert page.evaluate(WIDE) == []
