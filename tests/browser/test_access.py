"""Usable on a telephone, by keyboard, by a screen reader, in the dark."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import LINES, PHONE, Open, fits
from tests.browser.served import Served
from tests.browser.telemetry_records import everything

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ("releases", "decisions", "metrics")
FOCUSED = """(() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return [one === document.body, one.innerText || one.ariaLabel, style.outlineStyle, parseFloat(style.outlineWidth)];
})()"""


def test_at_a_phone_s_width_nothing_moves_sideways(served: Served, at: Open) -> None:
    served.send(everything())
    page = at(width=PHONE)
    fits(page)
    page.locator(".push a").filter(has_text="careful-agent").click()
    expect(page.locator(".release h2")).to_be_focused()
    page.locator("button.fold").last.click()
    page.locator(".span button.label").last.click()
    page.locator(f"{LINES} .more").last.click()
    fits(page)
    page.locator(".release .outcome .reason").click()
    expect(page.locator("dialog")).to_contain_text("What you can do")
    fits(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All releases").click()
    expect(page.locator(".push").first).to_be_visible()
    for view in ("Decisions", "Metrics"):
        page.get_by_role("link", name=view).click()
        expect(page.get_by_role("region", name=view)).to_be_visible()
        fits(page)


def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(served: Served, at: Open) -> None:
    served.send(everything())
    page = at()
    expect(page.locator(".push")).to_have_count(4)
    met = walk(page, 40)
    assert [one.split(" ")[0] for one in met[:5]] == ["Skip", "Releases", "Decisions", "Metrics", "no"]
    page.locator(".push a").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".release h2")).to_have_text("billing-agent")
    page.keyboard.press("End")
    expect(page.locator(".release h2")).to_have_text("hello-agent")
    page.locator("button.fold").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".span.call")).to_have_count(1)
    page.locator(f"{LINES} .reason").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="LIVE")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(f"{LINES} .reason").last).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Words")).to_be_focused()
    page.keyboard.type("create")
    expect(page.locator(LINES)).to_have_count(3)


def walk(page: Page, most: int) -> list[str]:
    """Tab through to the end; each stop must show where one is."""
    met: list[str] = []
    while len(met) < most:
        page.keyboard.press("Tab")
        over, says, style, width = page.evaluate(FOCUSED)
        if over:
            break
        assert (style, width >= 2) != ("none", True), says
        assert width >= 2, says
        met.append(says.replace("\n", " "))
    return met


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: npm ci")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_auditor_of_accessibility_finds_nothing(served: Served, at: Open, scheme: str) -> None:
    """Contrast in both schemes, names, roles and orders, by Deque's axe."""
    served.send(everything())
    page = at(color_scheme=scheme, bypass_csp=True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", dark)[:3])) < 60) == (scheme == "dark")
    for view in [*VIEWS, "releases/t2"]:
        page.goto(f"{served.url}/#/{view}")
        expect(page.locator(f"section#{view.split('/')[0]}")).to_be_visible()
        for button in page.locator("button.fold:visible, .line .more:visible").all()[:3]:
            button.click()
        audit(page, f"{scheme} {view}")
    page.locator(".release .outcome .reason").click()
    expect(page.locator("dialog")).to_contain_text("What you can do")
    audit(page, f"{scheme} dialog")


def audit(page: Page, where: str) -> None:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    wrong = [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found["violations"]]
    assert wrong == [], f"{where}: {json.dumps(wrong, indent=1)}"
