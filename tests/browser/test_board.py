"""The board shows what runs where; every view has the same filter, and a release has a row of its own."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.chromium import LINES, PHONE, OpenView, assert_fits
from tests.browser.telemetry_records import (
    LONG_NAME,
    STAGED,
    TARGETS,
    Item,
    board_of,
    decision,
    push,
    sample,
    span,
    target,
)
from tests.browser.telemetry_server import TelemetryServer

ROWS = ".board tbody tr"


def test_the_board_is_the_first_view_and_shows_each_target(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*TARGETS)
    page = visit("")
    expect(page.locator("nav a[aria-current]")).to_contain_text("Board")
    expect(page.locator(ROWS)).to_have_count(len(TARGETS))
    failed = page.locator(ROWS).filter(has_text="careful-agent")
    for text in ("v1", "version 1", "CHECK_FAILED", "v2", "answered wrongly", "Fix it.", "ago"):
        expect(failed).to_contain_text(text)
    expect(page.locator(ROWS).filter(has_text="new-agent")).to_contain_text("nothing")
    expect(page.locator(ROWS).filter(has_text="paused-agent")).to_contain_text("paused by ann: an incident")
    expect(page.locator(ROWS).filter(has_text="billing-agent")).to_contain_text("desired v2")
    page.get_by_role("link", name="1 failed").click()
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_role("link", name="1 failed").click()
    expect(page.locator(ROWS)).to_have_count(len(TARGETS))


def test_the_board_names_the_signer_and_the_project(server: TelemetryServer, visit: OpenView) -> None:
    signed = target("signed-agent", live_signer="key signing/release.pub")
    server.telemetry.board = board_of(target("hello-agent"), signed, target("hello-agent", project="prod-eu"))
    page = visit("board")
    expect(page.locator(ROWS).filter(has_text="signed-agent")).to_contain_text("version 1, signed")
    expect(page.get_by_title("signed by key signing/release.pub")).to_be_visible()
    expect(page.locator(ROWS).filter(has_text="hello-agent").locator("th")).to_have_text(
        ["hello-agent", "hello-agent @prod-eu"]
    )
    expect(page.locator(".board thead th").nth(1)).to_have_text("Live")


def test_a_command_can_be_copied_with_the_option_of_the_local_stack(server: TelemetryServer, visit: OpenView) -> None:
    advice = "Fix the image; or run slipway release a --image agents/a:v1.2. Else run slipway retry a to repeat it."
    server.telemetry.board = board_of(target("a", "CHECK_FAILED", severity="error", next=advice))
    page = visit("board", permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(".board .command code")).to_have_text(
        ["slipway release a --image agents/a:v1.2 --local", "slipway retry a --local"]
    )
    page.get_by_role("button", name="Copy slipway retry a --local").click()
    expect(page.locator(".copy").last).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == "slipway retry a --local"


def test_the_board_is_shown_before_the_records_have_arrived(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*TARGETS)
    server.send(push("t1", "hello-agent"))
    page = visit("board")
    page.route("**/_local/stream", lambda route: None)  # the records never arrive
    page.reload(wait_until="commit")
    expect(page.locator(ROWS)).to_have_count(len(TARGETS))
    expect(page.locator(".masthead .state")).to_have_text("Connecting …")


def test_agents_stand_down_and_their_stages_across(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*STAGED)
    server.send([*push("t1", "greeter@prod-eu"), *push("t2", "greeter@staging", 5), *push("t3", "hello-agent", 9)])
    page = visit("board")
    expect(page.locator(".board thead th")).to_have_text(["Agent", "Stage 1", "Stage 2", "Stage 3"])
    expect(page.locator(ROWS)).to_have_count(4)
    cells = page.locator(ROWS).filter(has_text="greeter").locator("td")
    for index, texts in enumerate((("staging", "v2", "LIVE"), ("prod-eu", "v1", "STAGE_WAITING", "v2 waits for"))):
        for text in texts:
            expect(cells.nth(index)).to_contain_text(text)
    expect(cells.nth(2).locator(".project")).to_have_text(["prod-us", "prod-asia"])
    expect(cells.nth(2)).to_contain_text("answered wrongly")
    unstaged = page.locator(ROWS).filter(has_text="hello-agent")
    expect(unstaged.locator("td")).to_have_text(re.compile("^v1 version 1.*LIVE"))
    expect(unstaged.locator(".project")).to_have_count(0)
    expect(page.locator(ROWS).filter(has_text="billing-agent").locator("td")).to_have_count(3)
    cells.nth(1).get_by_role("link", name="prod-eu").click()
    expect(page.locator(".push")).to_have_count(1)
    page.get_by_label("Agent", exact=True).select_option("greeter")
    expect(page.locator(".push")).to_have_count(2)
    page.get_by_role("link", name="Board").click()
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_label("State").select_option("bad")
    expect(page.locator(".board .project")).to_have_text(["prod-asia"])
    expect(page.locator(".board thead th")).to_have_text(["Agent", "Stage 1", "Stage 2", "Stage 3"])


def test_the_board_follows_the_decisions(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(target("hello-agent", "NO_PUSH_YET"))
    page = visit("board")
    expect(page.locator(ROWS)).to_contain_text("NO_PUSH_YET")
    server.telemetry.board = board_of(target("hello-agent"))
    server.send(push("t1", "hello-agent"))
    expect(page.locator(ROWS)).to_contain_text("LIVE")


def test_a_filter_goes_along_to_every_view(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*TARGETS)
    server.send(sample())
    page = visit("board")
    page.get_by_label("Agent", exact=True).select_option("careful-agent")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(".found")).to_have_text(f"1 of {len(TARGETS)}")
    page.get_by_role("link", name="Releases").click()
    expect(page.locator(".push")).to_have_count(1)
    page.get_by_label("State").select_option("good")
    expect(page.get_by_text("No release matches the filter.")).to_be_visible()
    page.get_by_label("State").select_option("bad")
    expect(page.locator(".push")).to_have_count(1)
    page.get_by_label("Reason").select_option("CHECK_FAILED")
    page.get_by_role("link", name="Decisions").click()
    expect(page.locator(LINES)).to_have_count(1)
    page.get_by_role("link", name="Metrics").click()
    expect(page.get_by_label("Reason")).to_be_hidden()
    expect(page.get_by_role("row", name="hello-agent")).to_have_count(0)


def test_views_without_rows_say_so(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(target("hello-agent", "NO_PUSH_YET"))
    page = visit("board")
    for view, text in (
        ("Releases", "No release yet"),
        ("Decisions", "No decision yet"),
        ("Metrics", "No metrics have"),
    ):
        page.get_by_role("link", name=view).click()
        expect(page.get_by_role("region", name=view)).to_contain_text(text)
    page.get_by_role("link", name="Releases").click()
    expect(page.locator(".release")).to_be_hidden()


def test_a_rollback_an_hour_later_is_a_release_of_its_own(server: TelemetryServer, visit: OpenView) -> None:
    hour = 3600.0
    rollback: Item = {"agent": "hello-agent", "generation": "2", "repository": "agents/hello-agent", "tag": "v0"}
    server.send([
        *push("t1", "hello-agent"),
        decision("BEGIN", after=hour + 1, parent="r2", **rollback),
        decision("LIVE", after=hour + 2, parent="r2", to_version="7", **rollback),
        span("release", "r2", parent="t1-push", after=hour + 1, took=1.5, agent="hello-agent"),
    ])  # fmt: skip
    page = visit("releases")
    expect(page.locator(".push")).to_have_count(2)
    expect(page.locator(".push .low > span:last-child")).to_have_text(["1.50 s", "2.00 s"])
    expect(page.locator(".push .mid")).to_contain_text(["v0", "v1"])
    page.locator(".push a").last.click()
    expect(page.locator(".release .line")).to_have_count(3)
    expect(page.locator(".spans .span:not(.pause)")).to_have_count(3)


def test_long_names_stay_whole(server: TelemetryServer, visit: OpenView) -> None:
    tag = "release-2026-11-29-build-" + "4711" * 20
    about: Item = {"agent": LONG_NAME, "repository": "a-long-repository/with/parts", "tag": tag}
    server.telemetry.board = board_of(*TARGETS)
    server.send([decision("SECRET_NOT_YET_VALID", severity="warning", **about)])
    for width in (1440, 1024, PHONE):
        page = visit("releases", width=width)
        badge = page.locator(".push .reason")
        box = badge.bounding_box()
        assert box is not None
        assert box["height"] < 30, "the badge is on a single line"
        expect(page.locator(".push code")).to_contain_text(tag)
        assert_fits(page)
        page.goto(f"{server.url}/#/board")
        expect(page.locator(ROWS)).to_have_count(len(TARGETS))
        assert_fits(page)


def test_long_names_stay_whole_in_stages(server: TelemetryServer, visit: OpenView) -> None:
    server.telemetry.board = board_of(*STAGED)
    for width in (1440, 1024, PHONE):
        page = visit("board", width=width)
        expect(page.locator(ROWS)).to_have_count(4)
        assert_fits(page)


def test_a_thousand_releases_stay_usable(server: TelemetryServer, visit: OpenView) -> None:
    server.send(item for n in range(1000) for item in push(f"t{n}", f"agent-{n % 50}", n))
    server.telemetry.board = board_of(*(target(f"agent-{n}") for n in range(50)))
    page = visit("releases")
    expect(page.locator(".found")).to_have_text("1,000 of 1,000")
    expect(page.locator(".push")).to_have_count(100)
    page.get_by_label("Agent", exact=True).select_option("agent-7")
    expect(page.locator(".push")).to_have_count(20)
    took = page.evaluate("""async () => {
      const start = performance.now();
      location.hash = "#/board";
      await new Promise((done) => { const look = () => document.querySelector(".board tbody tr") && !document.getElementById("board").hidden ? done() : requestAnimationFrame(look); look(); });
      return performance.now() - start;
    }""")  # noqa: E501
    assert took < 5_000


def test_a_release_that_continues_in_the_trace_of_a_later_push_is_one_row(
    server: TelemetryServer, visit: OpenView
) -> None:
    first: Item = {"agent": "hello-agent", "generation": "1", "repository": "agents/hello", "tag": "v1"}
    second = first | {"generation": "2", "tag": "v2"}
    server.send([
        decision("BEGIN", trace="t1", **first),
        decision("ACCEPTED", trace="t2", after=5, **second),
        decision("SUPERSEDED", trace="t2", after=6, **first),
        decision("LIVE", trace="t2", after=9, **second),
    ])  # fmt: skip
    page = visit("releases")
    expect(page.locator(".push .reason")).to_contain_text(["LIVE", "SUPERSEDED"])
    expect(page.locator(".push .low > span:last-child")).to_have_text(["4.00 s", "6.00 s"])
