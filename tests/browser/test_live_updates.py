"""The page while telemetry arrives: the reader keeps the place, large amounts work, and a stopped stack is shown."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.chromium import LINES, OpenView
from tests.browser.telemetry_records import decision, push, sample, span
from tests.browser.telemetry_server import TelemetryServer

TOPMOST = """[...document.querySelectorAll("#decisions .line")]
  .find((line) => line.getBoundingClientRect().top > 100).innerText"""


def test_an_empty_page_says_what_to_do(server: TelemetryServer, visit: OpenView) -> None:
    page = visit()
    expect(page.get_by_role("heading", name="Nothing has arrived yet")).to_be_visible()
    expect(page.locator("#empty code").last).to_contain_text("python -m local push")
    server.send(push("t1", "hello-agent"))
    expect(page.locator(".push")).to_have_count(1)
    expect(page.locator("#empty")).to_be_hidden()


def test_the_page_reports_that_the_stack_stopped_and_reconnects(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", "hello-agent"))
    page = visit()
    expect(page.get_by_role("alert")).to_be_hidden()
    server.stop()
    expect(page.get_by_role("alert")).to_contain_text("The stack has stopped")
    expect(page.get_by_role("alert")).to_contain_text("make up")
    expect(page.locator(".push")).to_have_count(1)
    server.restart_empty()
    server.send(push("t9", "another-agent"))
    expect(page.get_by_role("alert")).to_be_hidden(timeout=15_000)
    expect(page.locator(".push strong")).to_have_text(["another-agent"])


def test_the_decisions_of_a_new_stack_replace_those_of_the_old_one(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", "hello-agent"))
    page = visit("decisions")
    expect(page.locator(f"{LINES} .who")).to_have_text(["hello-agent"] * 3)
    server.stop()
    server.restart_empty()
    server.send(push("t9", "another-agent"))
    expect(page.locator(f"{LINES} .who")).to_have_text(["another-agent"] * 3)


def test_a_lost_connection_loses_and_repeats_nothing(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", "hello-agent"))
    page = visit("decisions")
    expect(page.locator(LINES)).to_have_count(3)
    server.end_streams()
    server.send(push("t2", "hello-agent", 4))
    server.allow_streams()
    expect(page.locator(LINES)).to_have_count(6)


def test_ten_thousand_decisions_can_be_searched_and_few_are_drawn(server: TelemetryServer, visit: OpenView) -> None:
    many = [decision("NOT_NEWER", after=n * 0.001, trace=f"t{n % 500}", agent=f"agent-{n % 500 % 7}", tag=f"v{n}")
            for n in range(10_000)]  # fmt: skip
    server.send(many)
    page = visit("decisions")
    expect(page.locator(".found")).to_have_text("10,000 of 10,000")
    assert page.locator(LINES).count() <= 500
    page.get_by_label("Words").fill("v4711")
    expect(page.locator(LINES)).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    drawn = page.locator(LINES).count()
    page.locator("#decisions > .plain").scroll_into_view_if_needed()
    expect(page.locator(LINES).nth(drawn + 10)).to_be_attached()
    page.goto(f"{server.url}/#/releases")
    expect(page.locator(".push")).to_have_count(100)
    server.send([span("prune.delete", f"d{n}", after=n, took=0.5) for n in range(700)])
    page.goto(f"{server.url}/#/releases/t1")
    expect(page.locator(".release .note")).to_have_text("200 more steps are not shown.")


def test_new_decisions_do_not_move_the_list_while_it_is_scrolled(server: TelemetryServer, visit: OpenView) -> None:
    server.send([decision("NOT_NEWER", after=n, trace=f"t{n}", agent="hello-agent", tag=f"v{n}") for n in range(80)])
    page = visit("decisions")
    expect(page.locator(LINES)).to_have_count(80)
    page.mouse.wheel(0, 900)
    page.wait_for_function("() => scrollY > 500")
    place = page.evaluate(TOPMOST)
    server.send([decision("LIVE", after=100 + n, trace=f"n{n}", agent="hello-agent") for n in range(3)])
    show_newer = page.get_by_role("button", name="Show 3 newer")
    expect(show_newer).to_be_visible()
    assert page.evaluate(TOPMOST) == place
    show_newer.click()
    expect(page.locator(f"{LINES} .reason").first).to_contain_text("LIVE")
    assert page.evaluate("scrollY") == 0


def test_open_details_and_the_focus_survive_an_update(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", "hello-agent"))
    page = visit()
    page.locator(".span button.label").filter(has_text="create").click()
    expect(page.locator(".span .rest")).to_contain_text("began")
    page.locator(".release .more").first.click()
    expect(page.locator(".release .line .rest").first).to_contain_text("step")
    expect(page.locator(".release .line time").first).to_have_text("+10 ms")
    focused = page.evaluate("document.activeElement.dataset.focus")
    server.send([span("release.wait", "later", parent="t1-release", after=1, took=0.5), *push("t2", "other-agent", 60)])
    expect(page.locator(".push")).to_have_count(2)
    expect(page.locator(".release h2")).to_have_text("hello-agent")
    expect(page.locator(".span").filter(has_text="release.wait")).to_be_visible()
    expect(page.locator(".span .rest")).to_contain_text("began")
    server.send([span("event_queued", "root", after=-1, took=1.2)])
    expect(page.locator(".release .line time").first).to_have_text("+1.01 s")
    expect(page.locator(".release .line .rest").first).to_contain_text("step")
    assert page.evaluate("document.activeElement.dataset.focus") == focused


def test_a_filter_is_kept_in_the_address(server: TelemetryServer, visit: OpenView) -> None:
    server.send(sample())
    page = visit("decisions")
    page.get_by_label("Agent", exact=True).select_option("careful-agent")
    expect(page.locator(LINES)).to_have_count(3)
    page.get_by_label("Reason").select_option("CHECK_FAILED")
    expect(page.locator(LINES)).to_have_count(1)
    page.reload()
    expect(page.locator(f"{LINES} .reason")).to_have_text(["✕CHECK_FAILED"])
    page.locator(f"{LINES} .trace").click()
    expect(page.locator(".release h2")).to_have_text("careful-agent")
    page.go_back()
    expect(page.locator(LINES)).to_have_count(1)
    page.get_by_label("Words").fill("no such words")
    expect(page.get_by_text("No decision matches")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(LINES)).to_have_count(10)
