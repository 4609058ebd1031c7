"""Hostile text in telemetry is shown as text, and the page's security policy blocks everything else."""

from __future__ import annotations

import string
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import LINES, PHONE, OpenView, assert_fits
from tests.browser.telemetry_records import Item, decision, envelope, metric, push, span
from tests.browser.telemetry_server import TelemetryServer

HOSTILE = [
    "<img src=x onerror=\"window.pwned='img'\">",
    "<script>window.pwned='script'</script>",
    "\"'><svg onload=window.pwned='svg'>",
    "javascript:window.pwned='url'",
    "{{constructor.constructor('window.pwned=1')()}}",
    "\u202eevil \u0000 \ud83d\ude80 &amp;",
    "__proto__",
]
NAME = string.ascii_letters + "-" + string.digits
"""An agent's name of the maximum length, with every allowed character."""


def test_text_in_telemetry_never_becomes_markup(server: TelemetryServer, visit: OpenView) -> None:
    for number, text in enumerate(HOSTILE):
        names = ("agent", "repository", "tag", "detail", "help", "digest", "version", "secret", text)
        about: Item = dict.fromkeys(names, text)
        attribute: Item = {text: text}
        server.send([
            decision(text, trace=f"{text}{number}", severity="error", **about),
            span(text, f"{text}s", trace=f"{text}{number}", good=False, **attribute),
            envelope("Exception", {"exceptions": [{"typeName": text, "message": text}]}, trace=f"{text}{number}"),
            metric(f"slipway.{text}", 1, agent=text, outcome=text),
        ])  # fmt: skip
    page = visit()
    for link in page.locator(".push a").all():
        link.click()
        for button in page.locator("main button:visible").all():
            if not button.get_attribute("data-reason"):
                button.click()
    page.locator(".release .reason").first.click()
    expect(page.locator("dialog .page")).to_contain_text("No reason has this name")
    page.keyboard.press("Escape")
    for view in ("decisions", "metrics", "releases/%E0%A4%A"):
        page.goto(f"{server.url}/#/{view}")
        expect(page.locator(f"#{view.split('/')[0]}")).to_be_visible()
    page.goto(f"{server.url}/#/decisions")
    expect(page.locator("#decisions .detail").filter(has_text="onerror")).to_have_text(HOSTILE[0])
    expect(page.locator("#decisions .who").filter(has_text="evil")).to_contain_text("\\u202eevil \\x00")
    assert page.evaluate("window.pwned") is None
    assert "\u202e" not in page.evaluate("document.body.textContent")
    assert page.locator("img").count() == 1, "the page's own"


def test_the_agent_filter_works_with_every_allowed_character(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", NAME))
    page = visit("decisions", width=PHONE)
    page.get_by_label("Agent", exact=True).select_option(NAME)
    expect(page.locator(".who").first).to_have_text(NAME)
    assert "agent=" in page.url
    page.reload()
    expect(page.locator(LINES)).to_have_count(3)
    assert_fits(page)


def test_every_answer_has_a_strict_content_security_policy(server: TelemetryServer, visit: OpenView) -> None:
    for path in ("/", "/page/main.js", "/reasons/LIVE", "/_local/stream"):
        with urllib.request.urlopen(server.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = visit("metrics", expected="TrustedHTML")
    result = page.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'allowed' } catch (error) { error.name }")
    assert result == "TypeError"


@pytest.mark.parametrize("path", ["/page/..%2Fserver.py", "/page/%2e%2e%2frecords.py", "/page/nothing.js",
                                  "/reasons/..%2FREADME", "/reasons/NO_SUCH"])  # fmt: skip
def test_no_other_file_is_served(server: TelemetryServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url + path)
