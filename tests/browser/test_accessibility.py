"""The telemetry page works on a phone, by keyboard, with a screen reader, and in dark mode."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import LINES, PHONE, OpenView, assert_fits
from tests.browser.telemetry_records import STAGED, TARGETS, board_of, sample
from tests.browser.telemetry_server import TelemetryServer

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ("board", "releases", "decisions", "metrics")
WIDTHS = (1440, 1024, 390)
FOCUSED = """(() => {
  const focused = document.activeElement, style = getComputedStyle(focused), text = focused.innerText;
  const name = text || focused.ariaLabel || focused.labels?.[0].innerText;
  return [focused === document.body, name, style.outlineStyle, parseFloat(style.outlineWidth)];
})()"""


def test_nothing_is_wider_than_a_phone(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*TARGETS)
    server.send(sample())
    page = visit(width=PHONE)
    assert_fits(page)
    page.locator(".push a").filter(has_text="careful-agent").click()
    expect(page.locator(".release h2")).to_be_focused()
    page.locator("button.fold").last.click()
    page.locator(".span button.label").last.click()
    page.locator(f"{LINES} .more").last.click()
    assert_fits(page)
    page.locator(".release .outcome .reason").click()
    expect(page.locator("dialog")).to_contain_text("What you can do")
    assert_fits(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All releases").click()
    expect(page.locator(".push").first).to_be_visible()
    for view in ("Board", "Decisions", "Metrics"):
        page.get_by_role("link", name=view).click()
        expect(page.get_by_role("region", name=view)).to_be_visible()
        assert_fits(page)


def test_everything_can_be_reached_by_keyboard_with_a_visible_focus(server: TelemetryServer, visit: OpenView) -> None:
    server.send(sample())
    page = visit()
    expect(page.locator(".push")).to_have_count(4)
    stops = tab_stops(page, 40)
    assert [stop.split(" ")[0] for stop in stops[:5]] == ["Skip", "Board", "Releases", "Decisions", "Metrics"]
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


def tab_stops(page: Page, most: int) -> list[str]:
    """Press Tab to the end of the page; each element must show that it has the focus."""
    stops: list[str] = []
    while len(stops) < most:
        page.keyboard.press("Tab")
        at_end, text, style, width = page.evaluate(FOCUSED)
        if at_end:
            break
        assert (style, width >= 2) != ("none", True), text
        assert width >= 2, text
        stops.append(text.replace("\n", " "))
    return stops


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(server: TelemetryServer, visit: OpenView, scheme: str, width: int) -> None:
    """Deque's axe checks contrast in both color schemes, names, roles and orders."""
    server.telemetry.board = board_of(*TARGETS)
    server.send(sample())
    page = visit(color_scheme=scheme, bypass_csp=True, width=width)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", dark)[:3])) < 60) == (scheme == "dark")
    for view in [*VIEWS, "releases/t2"]:
        page.goto(f"{server.url}/#/{view}")
        expect(page.locator(f"section#{view.split('/')[0]}")).to_be_visible()
        for button in page.locator("button.fold:visible, .line .more:visible").all()[:3]:
            button.click()
        assert_fits(page)
        audit(page, f"{scheme} {width} {view}")
    page.locator(".release .outcome .reason").click()
    expect(page.locator("dialog")).to_contain_text("What you can do")
    audit(page, f"{scheme} dialog")
    server.telemetry.board = board_of(*STAGED)
    page.goto(f"{server.url}/#/board")
    page.reload()
    expect(page.locator(".board.matrix")).to_be_visible()
    assert_fits(page)
    audit(page, f"{scheme} {width} stages")


def audit(page: Page, view: str) -> None:
    page.evaluate(AXE.read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    violations = [(rule["id"], [node["html"][:160] for node in rule["nodes"]][:3]) for rule in result["violations"]]
    assert violations == [], f"{view}: {json.dumps(violations, indent=1)}"
