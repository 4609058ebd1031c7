"""The page shows the right times, sums and texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from core.reasons import Reason
from tests.browser.chromium import OpenView
from tests.browser.telemetry_records import decision, metric, push, sample, span
from tests.browser.telemetry_server import TelemetryServer

ROOT = Path(__file__).resolve().parents[2]
TELEMETRY = (ROOT / "docs" / "reference" / "telemetry.md").read_text()
KNOWN_METRICS = "import('/page/metrics.js').then(({METRICS}) => METRICS.map(([name, , ...rest]) => [name, ...rest]))"
USED_REASONS = """Promise.all(["store", "tree", "trace"].map((name) => import(`/page/${name}.js`)))
  .then(([store, tree, trace]) => [...store.CONTINUES, ...store.SUCCEEDED, ...tree.WAIT_LABELS.keys(),
    ...trace.BEGINS_NOTHING])"""
REASON_TEXT = """async (code) => {
  const text = await (await fetch(`/reasons/${code}`)).text();
  const { renderMarkdown } = await import("/page/reasons.js");
  const div = document.createElement("div");
  div.append(...renderMarkdown(text));
  for (const code of div.querySelectorAll("code")) code.remove();
  return div.textContent;
}"""


def test_a_wait_of_a_day_is_shortened_so_that_the_steps_are_visible(server: TelemetryServer, visit: OpenView) -> None:
    day = 86_400.0
    resumed = span("release", "r2", parent="t1-push", after=day, took=1, agent="billing-agent")
    server.send([*push("t1", "billing-agent", reason="APPROVAL_WAITING"), resumed])
    page = visit()
    pause = page.locator(".pause").filter(has_text="waits for approval")
    expect(pause.locator(".took")).to_have_text("23 h 59 min")
    expect(pause.locator(".cut")).to_be_visible()
    create = page.locator(".span").filter(has_text="create").locator(".bar").bounding_box()
    assert create is not None
    assert create["width"] > 20


def test_a_message_that_found_the_lease_taken_is_no_release(server: TelemetryServer, visit: OpenView) -> None:
    server.send([
        *push("t1", "hello-agent"),
        decision("LEASE_TAKEN", after=1, parent="r2", agent="hello-agent"),
        span("release", "r2", parent="t1-push", after=1, took=0.1, agent="hello-agent"),
        decision("LEASE_TAKEN", after=3, trace="t2", agent="hello-agent"),
        decision("PRUNED_STALE", after=4, trace="t3", agent="hello-agent", step="prune", version="1"),
    ])  # fmt: skip
    page = visit("releases")
    expect(page.locator(".push .reason")).to_have_text(["✓LIVE"])
    expect(page.locator(".release .line .reason")).to_contain_text(["ACCEPTED", "CREATE", "LEASE_TAKEN", "LIVE"])
    page.get_by_role("link", name="Decisions").click()
    expect(page.locator("#decisions .line:has(.trace)")).to_have_count(4)
    expect(page.locator("#decisions .line")).to_have_count(6)


def test_a_decision_without_a_detail_says_what_its_reason_means(server: TelemetryServer, visit: OpenView) -> None:
    server.send(push("t1", "hello-agent"))
    page = visit("decisions")
    expect(page.locator(".line").filter(has_text="LIVE")).to_contain_text(Reason.LIVE.meaning)


def test_two_agents_of_one_push_have_separate_waits(server: TelemetryServer, visit: OpenView) -> None:
    """The second release starts while the first is running; its wait still starts at its push."""
    server.send([
        *push("t1", "first-agent"),
        span("push", "p2", after=0.02, took=0.02, agent="second-agent"),
        span("release", "r2", parent="p2", after=1.04, took=1, agent="second-agent"),
        decision("ACCEPTED", after=0.03, parent="p2", agent="second-agent"),
    ])  # fmt: skip
    page = visit("releases/t1~first-agent~")
    for agent, wait in (("first-agent", "280 ms"), ("second-agent", "1.00 s")):
        page.locator(".push a").filter(has_text=agent).click()
        expect(page.locator(".release h2")).to_have_text(agent)
        expect(page.locator(".pause .took")).to_have_text([wait])
        expect(page.locator(".pause .label")).to_have_text(["in the queue"])


def test_a_cycle_of_spans_is_shown_once(server: TelemetryServer, visit: OpenView) -> None:
    loop = [span("release", "a", parent="b"), span("release.read", "b", parent="a"), span("push", "c", parent="c")]
    server.send([decision("LIVE", agent="x", parent="a"), *loop])
    expect(visit().locator(".span")).to_have_count(3)


def test_the_page_knows_the_metrics_of_the_reference(server: TelemetryServer, visit: OpenView) -> None:
    page = visit("metrics")
    known = page.evaluate(KNOWN_METRICS)
    rows = re.findall(r"^\| `(slipway\.[\w.]+)` \| (counter|histogram|gauge) \| `([^`]+)`", TELEMETRY, re.MULTILINE)
    assert sorted(map(tuple, known)) == sorted(rows)


def test_every_reason_that_the_page_uses_exists(server: TelemetryServer, visit: OpenView) -> None:
    reasons = visit().evaluate(USED_REASONS)
    assert {"LIVE", "BEGIN", "APPROVAL_WAITING", "LEASE_TAKEN"} <= set(reasons) <= set(Reason.__members__)


def test_counters_are_added_up_and_histograms_averaged(server: TelemetryServer, visit: OpenView) -> None:
    server.send(sample())
    page = visit("metrics")
    expect(page.locator(".figures dd")).to_have_count(4)
    figures = dict(
        zip(page.locator(".figures dt").all_inner_texts(), page.locator(".figures dd").all_inner_texts(), strict=True)
    )
    assert figures["Lead time"].startswith("3.00 s")
    assert figures["Deployments"].startswith("2")
    assert figures["Change-fail rate"].startswith("33 %")
    card = page.get_by_role("region", name="Versions", exact=True)
    expect(card.get_by_role("row", name="hello-agent · active")).to_contain_text("4")
    assert card.locator("path.level").count() == 2
    server.send([metric("slipway.queue.depth", n, queue=f"queue-{n}") for n in range(9)])
    more = page.get_by_text("3 more")
    more.click()
    server.send([metric("slipway.queue.depth", 7, queue="queue-8", after=70)])
    expect(page.get_by_role("row", name="queue-8")).to_contain_text("7")
    expect(page.get_by_role("row", name="queue-0")).to_be_visible()
    assert "hello-agent · failed 1" in (card.get_by_role("img").get_attribute("aria-label") or "")


def scored(reason: str, version: str, scores: str, agent: str = "hello-agent") -> dict[str, Any]:
    """The decision about an evaluated version."""
    return decision(reason, after=float(version), agent=agent, version=version, scores=scores)


def test_the_scores_of_many_agents_do_not_bury_the_metrics(server: TelemetryServer, visit: OpenView) -> None:
    passed = json.dumps([{"criterion": "expect", "value": 1, "threshold": 0.9}])
    failed = json.dumps([{"criterion": "expect", "value": 0.5, "threshold": 0.9, "is_passed": False}])
    server.send([scored("EVALUATION_PASSED", "1", passed, f"agent-{number}") for number in range(15)])
    server.send([scored("EVALUATION_FAILED", "2", failed, "agent-9"), *sample()])
    page = visit("metrics?state=bad")
    expect(page.locator(".card.score")).to_have_count(12)
    expect(page.locator(".card.score").first).to_contain_text("agent-9")
    expect(page.get_by_text("only the agent applies here")).to_be_visible()
    page.get_by_role("button", name="Show the scores of all 15 criteria").click()
    expect(page.locator(".card.score")).to_have_count(15)


def test_scores_over_versions_stand_beside_their_threshold(server: TelemetryServer, visit: OpenView) -> None:
    expect_row = {"criterion": "expect", "threshold": 0.9}
    seconds = {"criterion": "latency_p95", "value": 2.5, "threshold": 2, "unit": " s", "is_passed": False}
    server.send([
        scored("EVALUATION_PASSED", "1", json.dumps([expect_row | {"value": 1}])),
        scored("EVALUATION_FAILED", "2", json.dumps([expect_row | {"value": 0.5, "is_passed": False}, seconds])),
        scored("EVALUATION_FAILED", "3", "written by another version"),
        scored("EVALUATION_PASSED", "1", json.dumps([expect_row | {"value": 1}]), "billing-agent"),
    ])  # fmt: skip
    page = visit("metrics")
    expect(page.locator(".card.score")).to_have_count(3)
    first = page.locator(".card.score").first
    expect(first).to_have_attribute("aria-label", "expect of hello-agent")
    card = page.get_by_role("region", name="expect of hello-agent", exact=True)
    expect(card.get_by_role("row")).to_have_text(["version 20.5 at least 0.9", "version 11 at least 0.9"])
    expect(card.locator("path.dot.good")).to_have_count(1)
    expect(card.locator("path.dot.bad")).to_have_count(1)
    expect(card.locator("path.threshold")).to_have_count(1)
    slow = page.get_by_role("region", name="latency_p95 of hello-agent", exact=True)
    expect(slow.get_by_role("row")).to_have_text(["version 22.5 s at most 2 s"])
    page = visit("metrics?agent=billing-agent")
    expect(page.locator(".card.score")).to_have_count(1)


def test_every_reason_page_is_shown_without_markup(server: TelemetryServer, visit: OpenView) -> None:
    server.send(sample())
    page = visit()
    for reason in Reason:
        shown = page.evaluate(REASON_TEXT, reason.value)
        assert "What you can do" in shown, reason
        assert not re.search(r"\]\(|```|\*\*|^#", shown, re.MULTILINE), reason
    page.locator(".release .outcome .reason").click()
    expect(page.locator("dialog h2")).to_have_text("NOT_FOLLOWED")
    expect(page.locator("dialog")).to_contain_text("What Slipway did")
