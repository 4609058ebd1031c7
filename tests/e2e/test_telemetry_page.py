"""A release that really happened, as the page shows it: the spans that arrived, in their tree, with their times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.stack_client import StackClient, eventually, stack
from local.telemetry.records import to_record
from tests.browser.chromium import LINES, open_page

pytestmark = pytest.mark.timeout(180)

AGENTS = """
agents:
  checked-agent:
    repository: agents/checked
    release:
      verify: {ask: ping, expect: pong}
      check: {ask: ping, expect: pong}
"""
STEPS = ["event_queued", "push", "in the queue", "release", "release.look", "release.create", "release.wait",
         "release.confirm", "release.verify", "release.promote", "release.check"]  # fmt: skip
DECISIONS = ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM", "VERIFY", "TRAFFIC_MOVED", "LIVE"]
Spans = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.4})
        push(up, "v1")
        eventually(lambda: "release" in spans(up), "the release arrived")
        yield up


def push(running: StackClient, tag: str) -> str:
    """Push an image from a thread: the browser's event loop has this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(running.push, "agents/checked", tag, tag).result()


def spans(running: StackClient) -> Spans:
    """Name -> what arrived of it, as the page is told it."""
    found = [to_record(item) for item in running.get("telemetry", "/_local/items")]
    pushes = {one["trace"] for one in found if one["kind"] == "span" and one["name"] == "push"}
    return {one["name"]: one for one in found if one["kind"] == "span" and one["trace"] in pushes}


@pytest.fixture
def page(chromium: Browser, running: StackClient) -> Iterator[Page]:
    with open_page(chromium, running.endpoints["telemetry"]) as one:
        yield one


def test_a_push_is_a_waterfall_of_what_arrived(page: Page, running: StackClient) -> None:
    rows = page.locator(".spans .span")
    expect(rows).to_have_count(len(STEPS))
    assert [" ".join(one.split()) for one in page.locator(".spans .label").all_inner_texts()] == STEPS
    told = spans(running)
    begun = min(one["at"] for one in told.values())
    scale = {name: box(page, name) for name in STEPS if name != "in the queue"}
    track = page.locator(".spans .track").nth(1).bounding_box()
    assert track is not None
    whole = max(one["at"] + one["took"] for one in told.values() if one["name"] in scale) - begun
    for name, (left, width) in scale.items():
        assert left == pytest.approx((told[name]["at"] - begun) / whole, abs=0.03), name
        assert width == pytest.approx(max(told[name]["took"] / whole, 0.004), abs=0.03), name


def box(page: Page, name: str) -> tuple[float, float]:
    """Where a step's bar begins and how long it is, as shares of the line."""
    row = page.locator(".spans .span").filter(has=page.get_by_title(name, exact=True))
    track, bar = row.locator(".track").bounding_box(), row.locator(".bar").bounding_box()
    assert track is not None
    assert bar is not None
    return (bar["x"] - track["x"]) / track["width"], bar["width"] / track["width"]


def test_steps_tell_their_times_and_what_they_called(page: Page, running: StackClient) -> None:
    told = spans(running)["release.create"]
    row = page.locator(".spans .span").filter(has=page.get_by_title("release.create", exact=True))
    expect(row.locator(".took")).to_have_text(re.compile(rf"^{round(told['took'])} ms$"))
    row.get_by_role("button", name=re.compile(r"calls in release\.create")).click()
    expect(page.locator(".span.call").filter(has_text="create_version")).to_have_count(1)
    row.get_by_title("release.create", exact=True).click()
    expect(row.locator(".rest")).to_contain_text("agents/checked")


def test_what_was_decided_stands_below_with_the_time_since_the_push(page: Page) -> None:
    expect(page.locator(".release .line")).to_have_count(len(DECISIONS))
    reasons = page.locator(".release .line .reason").all_inner_texts()
    assert [one.split("\n")[-1].lstrip("→✓·!✕ ") for one in reasons] == DECISIONS
    times = [one.get_attribute("datetime") or "" for one in page.locator(".release .line time").all()]
    assert times == sorted(times)
    expect(page.locator(".release .facts").first).to_contain_text("agents/checked:v1")


def test_a_release_that_goes_on_shows_itself_without_being_asked(page: Page, running: StackClient) -> None:
    expect(page.locator(".push")).to_have_count(1)
    digest = push(running, "v2")
    expect(page.locator(".push").first).to_contain_text("agents/checked:v2", timeout=20_000)
    expect(page.locator(".push").first).to_contain_text("LIVE", timeout=20_000)
    expect(page.locator(".release")).to_contain_text(digest)
    page.goto(f"{page.url.split('#')[0]}#/decisions?words={digest}")
    expect(page.locator(LINES)).to_have_count(len(DECISIONS))
