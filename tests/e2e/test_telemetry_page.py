"""The telemetry page of a real release: it shows the received spans as a tree, with their times."""

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
STEPS = ["event_queued", "push", "in the queue", "release", "release.read", "release.create", "release.wait",
         "release.confirm", "release.verify", "release.move_traffic", "release.check"]  # fmt: skip
DECISIONS = ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "VERIFY_PASSED", "TRAFFIC_MOVED", "LIVE"]
LEASE_TAKEN = re.compile("lease_taken", re.IGNORECASE)
"""What a busy machine adds: the timer sends a message for a release that is still under way."""
Spans = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as client:
        client.put("foundry", "/_local/provisioning", {"seconds": 0.4})
        push(client, "v1")
        eventually(lambda: "release" in spans(client), "the release arrived")
        yield client


def push(running: StackClient, tag: str) -> str:
    """Push an image from another thread; this thread runs the browser's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(running.push, "agents/checked", tag, tag).result()


def spans(running: StackClient) -> Spans:
    """Span name -> the record that the page gets."""
    records = [to_record(item) for item in running.get("telemetry", "/_local/items")]
    pushes = {record["trace"] for record in records if record["kind"] == "span" and record["name"] == "push"}
    return {record["name"]: record for record in records if record["kind"] == "span" and record["trace"] in pushes}


@pytest.fixture
def page(chromium: Browser, running: StackClient) -> Iterator[Page]:
    with open_page(chromium, f"{running.endpoints['telemetry']}/#/releases") as telemetry_page:
        yield telemetry_page


def test_a_push_is_shown_as_a_waterfall_of_its_spans(page: Page, running: StackClient) -> None:
    rows = page.locator(".spans .span").filter(has_not_text=LEASE_TAKEN)
    expect(rows).to_have_count(len(STEPS))
    assert [" ".join(label.split()) for label in rows.locator(".label").all_inner_texts()] == STEPS
    records = spans(running)
    start = min(record["at"] for record in records.values())
    bars = {name: bar_position(page, name) for name in STEPS if name != "in the queue"}
    track = page.locator(".spans .track").nth(1).bounding_box()
    assert track is not None
    total = max(record["at"] + record["took"] for record in records.values() if record["name"] in bars) - start
    for name, (left, width) in bars.items():
        assert left == pytest.approx((records[name]["at"] - start) / total, abs=0.03), name
        assert width == pytest.approx(max(records[name]["took"] / total, 0.004), abs=0.03), name


def bar_position(page: Page, name: str) -> tuple[float, float]:
    """Start and length of a span's bar, as fractions of the track."""
    row = page.locator(".spans .span").filter(has=page.get_by_title(name, exact=True))
    track, bar = row.locator(".track").bounding_box(), row.locator(".bar").bounding_box()
    assert track is not None
    assert bar is not None
    return (bar["x"] - track["x"]) / track["width"], bar["width"] / track["width"]


def test_a_span_shows_its_duration_and_its_calls(page: Page, running: StackClient) -> None:
    record = spans(running)["release.create"]
    row = page.locator(".spans .span").filter(has=page.get_by_title("release.create", exact=True))
    expect(row.locator(".took")).to_have_text(re.compile(rf"^{round(record['took'])} ms$"))
    row.get_by_role("button", name=re.compile(r"calls in release\.create")).click()
    expect(page.locator(".span.call").filter(has_text="create_version")).to_have_count(1)
    row.get_by_title("release.create", exact=True).click()
    expect(row.locator(".rest")).to_contain_text("agents/checked")


def test_the_decisions_are_listed_with_the_time_since_the_push(page: Page) -> None:
    lines = page.locator(".release .line").filter(has_not_text=LEASE_TAKEN)
    expect(lines).to_have_count(len(DECISIONS))
    reasons = lines.locator(".reason").all_inner_texts()
    assert [reason.split("\n")[-1].lstrip("→✓·!✕ ") for reason in reasons] == DECISIONS
    times = [time.get_attribute("datetime") or "" for time in lines.locator("time").all()]
    assert times == sorted(times)
    expect(page.locator(".release .facts").first).to_contain_text("agents/checked:v1")


def test_a_running_release_appears_without_a_reload(page: Page, running: StackClient) -> None:
    expect(page.locator(".push")).to_have_count(1)
    digest = push(running, "v2")
    expect(page.locator(".push").first).to_contain_text("agents/checked:v2", timeout=20_000)
    expect(page.locator(".push").first).to_contain_text("LIVE", timeout=20_000)
    expect(page.locator(".release")).to_contain_text(digest)
    page.goto(f"{page.url.split('#')[0]}#/decisions?words={digest}")
    expect(page.locator(LINES).filter(has_not_text=LEASE_TAKEN)).to_have_count(len(DECISIONS))
