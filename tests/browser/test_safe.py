"""What strangers wrote is shown as what it is, and the page can do nothing that it was not written to do."""

from __future__ import annotations

import string
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import LINES, PHONE, Open, fits
from tests.browser.served import Served
from tests.browser.telemetry_records import Item, decision, envelope, metric, push, span

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
"""Every character that an agent's name may have, as many as it may have."""


def test_nothing_that_is_told_becomes_markup(served: Served, at: Open) -> None:
    for number, text in enumerate(HOSTILE):
        names = ("agent", "repository", "tag", "detail", "help", "digest", "version", "secret", text)
        about: Item = dict.fromkeys(names, text)
        strange: Item = {text: text}
        served.send([
            decision(text, trace=f"{text}{number}", severity="error", **about),
            span(text, f"{text}s", trace=f"{text}{number}", good=False, **strange),
            envelope("Exception", {"exceptions": [{"typeName": text, "message": text}]}, trace=f"{text}{number}"),
            metric(f"slipway.{text}", 1, agent=text, outcome=text),
        ])  # fmt: skip
    page = at()
    for link in page.locator(".push a").all():
        link.click()
        for button in page.locator("main button:visible").all():
            if not button.get_attribute("data-reason"):
                button.click()
    page.locator(".release .reason").first.click()
    expect(page.locator("dialog .page")).to_contain_text("No reason has this name")
    page.keyboard.press("Escape")
    for view in ("decisions", "metrics", "releases/%E0%A4%A"):
        page.goto(f"{served.url}/#/{view}")
        expect(page.locator(f"#{view.split('/')[0]}")).to_be_visible()
    page.goto(f"{served.url}/#/decisions")
    expect(page.locator("#decisions .detail").filter(has_text="onerror")).to_have_text(HOSTILE[0])
    expect(page.locator("#decisions .who").filter(has_text="evil")).to_contain_text("\ufffdevil")
    assert page.evaluate("window.pwned") is None
    assert "\u202e" not in page.evaluate("document.body.textContent")
    assert page.locator("img").count() == 1, "the page's own"


def test_an_agent_s_name_may_have_every_character(served: Served, at: Open) -> None:
    served.send(push("t1", NAME))
    page = at("decisions", width=PHONE)
    page.get_by_label("Agent", exact=True).select_option(NAME)
    expect(page.locator(".who").first).to_have_text(NAME)
    assert "agent=" in page.url
    page.reload()
    expect(page.locator(LINES)).to_have_count(3)
    fits(page)


def test_the_page_says_what_it_may_do(served: Served, at: Open) -> None:
    for path in ("/", "/page/main.js", "/reasons/LIVE", "/_local/stream"):
        with urllib.request.urlopen(served.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = at("metrics", meant="TrustedHTML")
    refused = page.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }")
    assert refused == "TypeError"


@pytest.mark.parametrize("path", ["/page/..%2Fserver.py", "/page/%2e%2e%2frecords.py", "/page/nothing.js",
                                  "/reasons/..%2FREADME", "/reasons/NO_SUCH"])  # fmt: skip
def test_no_other_file_is_served(served: Served, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(served.url + path)
