"""What Application Insights gets of one push: one tree with every step, few envelopes, no secret, and nothing waits."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from local.event_grid import cloud_event
from local.stack_client import StackClient, eventually, stack

pytestmark = pytest.mark.timeout(300)

AGENT, REPOSITORY = "support-agent", "agents/support"
LONGEST_NAME = string.ascii_letters + "-" + string.digits
"""Every character that there may be, and as many as there may be: 63."""
CANARY = "canary+7d1f/not for anybody's=eyes"
TAG_CANARY = "canary-4711-in-a-tag"
AGENTS = f"""
agents:
  {AGENT}:
    repository: {REPOSITORY}
    env:
      SEARCH_KEY: {{secret: support-search-key}}
      OTHER_KEY: {{secret: support-other-key}}
    tools: [{{type: code_interpreter}}]
    release:
      verify: {{ask: ping, expect: pong}}
      check: {{ask: ping, expect: pong}}
  {LONGEST_NAME}:
    repository: agents/other
"""
STEPS = ["read", "create", "wait", "confirm", "verify", "move_traffic", "check"]
ENVELOPES = 60
STANDING = ("slipway.holds", "slipway.approval.waiting")
"""What the timer measures, whether or not there is a release."""
Item = dict[str, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("vault", "/_local/secrets/support-search-key", {"value": CANARY})
        up.put("vault", "/_local/secrets/support-other-key", {"value": TAG_CANARY})
        up.put("foundry", "/_local/provisioning", {"seconds": 2})
        yield up


def items(running: StackClient) -> list[Item]:
    found: list[Item] = running.get("telemetry", "/_local/items")
    return found


def told(item: Item) -> dict[str, str]:
    properties: dict[str, str] = item["data"]["baseData"].get("properties") or {}
    return properties


def trace_of(running: StackClient, digest: str) -> list[Item]:
    """Everything in the one trace that the digest's push began; the timer, too, may have looked at it meanwhile."""
    found = items(running)
    lines = [item for item in found if told(item).get("slipway.digest") == digest and "slipway.step" in told(item)]
    (trace,) = {item["tags"]["ai.operation.id"] for item in lines}
    return without_the_timer([item for item in found if item["tags"].get("ai.operation.id") == trace])


def without_the_timer(trace: list[Item]) -> list[Item]:
    """Where the timer asked for the release once more meanwhile, its message found the lease taken: left aside."""
    dropped = {key for key, item in spans(trace).items() if name(item) == "release" and
               told(item).get("slipway.reason") is None}  # fmt: skip
    while below := {key for key, item in spans(trace).items() if parent(item) in dropped} - dropped:
        dropped |= below
    return [item for item in trace if not {parent(item), item["data"]["baseData"].get("id")} & dropped]


def parent(item: Item) -> str | None:
    found: str | None = item["tags"].get("ai.operation.parentId")
    return found


def spans(trace: list[Item]) -> dict[str, Item]:
    """Span id -> envelope."""
    kinds = ("RequestData", "RemoteDependencyData")
    return {item["data"]["baseData"]["id"]: item for item in trace if item["data"]["baseType"] in kinds}


def name(item: Item) -> str:
    return str(item["data"]["baseData"]["name"])


def begun(item: Item) -> datetime:
    return datetime.fromisoformat(item["time"])


def lasted(item: Item) -> timedelta:
    days, rest = item["data"]["baseData"]["duration"].split(".", 1)
    hours, minutes, seconds = rest.split(":")
    return timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))


@pytest.fixture(scope="module")
def trace(running: StackClient) -> list[Item]:
    digest = running.push(REPOSITORY, "1.0.0", "one")

    def arrived() -> list[Item] | None:
        ended = [one for one in running.journal("LIVE") if one["slipway.digest"] == digest]
        found = trace_of(running, digest) if ended else []
        return found if any(name(item) == "release" for item in spans(found).values()) else None

    return eventually(arrived, "the whole trace arrived")


def test_every_step_is_in_one_tree_from_the_event_to_live(trace: list[Item]) -> None:
    by_id = spans(trace)
    (root,) = [item for item in by_id.values() if item["tags"].get("ai.operation.parentId") not in by_id]
    assert name(root) == "event_queued"
    (push,) = [item for item in by_id.values() if name(item) == "push"]
    (release,) = [item for item in by_id.values() if name(item) == "release"]
    assert push["tags"]["ai.operation.parentId"] == root["data"]["baseData"]["id"]
    assert release["tags"]["ai.operation.parentId"] == push["data"]["baseData"]["id"]
    below = [item for item in by_id.values() if name(item).startswith("release.")]
    assert [name(item).removeprefix("release.") for item in sorted(below, key=begun)] == STEPS
    assert {item["tags"]["ai.operation.parentId"] for item in below} == {release["data"]["baseData"]["id"]}


def test_the_release_says_what_it_is_about(trace: list[Item]) -> None:
    (release,) = [item for item in spans(trace).values() if name(item) == "release"]
    about = told(release)
    assert about["slipway.agent"] == AGENT
    assert (about["slipway.version"], about["slipway.reason"]) == ("1", "LIVE")
    assert (about["slipway.repository"], about["slipway.tag"]) == (REPOSITORY, "1.0.0")
    assert about["slipway.digest"].startswith("sha256:")
    assert "_MS.links" in about, "the host's own span is one click away"


def test_the_times_add_up(trace: list[Item]) -> None:
    by_id = spans(trace)
    (release,) = [item for item in by_id.values() if name(item) == "release"]
    below = sorted((item for item in by_id.values() if name(item).startswith("release.")), key=begun)
    slack = timedelta(milliseconds=2)  # the exporter writes milliseconds
    for earlier, later in pairwise(below):
        assert begun(earlier) + lasted(earlier) <= begun(later) + slack
    assert begun(release) <= begun(below[0]) + slack
    assert begun(below[-1]) + lasted(below[-1]) <= begun(release) + lasted(release) + slack
    covered = sum((lasted(item) for item in below), timedelta())
    assert 0.9 * lasted(release) <= covered <= lasted(release) + slack * len(below)


def test_each_decision_is_one_line_at_its_step(trace: list[Item]) -> None:
    by_id = spans(trace)
    lines = [item for item in trace if item["data"]["baseType"] == "MessageData"]
    reasons = [told(item)["slipway.reason"] for item in sorted(lines, key=begun)]
    assert reasons == ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "VERIFY_PASSED", "TRAFFIC_MOVED", "LIVE"]
    for line in lines:
        assert line["data"]["baseData"]["message"] == "slipway.decision"
        assert line["tags"]["ai.operation.parentId"] in by_id
        assert {"slipway.agent", "slipway.cause", "slipway.step", "slipway.help", "slipway.at"} <= set(told(line))
    live = told(max(lines, key=begun))
    assert live["slipway.to_version"] == "1"
    assert float(live["slipway.since_push_s"]) >= float(live["slipway.since_start_s"]) > 2.0


def measured(running: StackClient, agent: str) -> dict[str, list[Item]]:
    """Metric -> envelopes of an agent."""
    found: dict[str, list[Item]] = {}
    for item in items(running):
        if item["data"]["baseType"] == "MetricData" and told(item).get("slipway.agent") == agent:
            found.setdefault(item["data"]["baseData"]["metrics"][0]["name"], []).append(item)
    return found


def test_a_release_is_at_most_sixty_envelopes(running: StackClient, trace: list[Item]) -> None:
    """With its metrics and the host's own request, and on a cold instance, which fetches its tokens."""

    def arrived() -> dict[str, list[Item]] | None:
        found = measured(running, AGENT)
        return found if "slipway.releases" in found else None

    metrics = eventually(arrived, "the release's metrics")
    about_the_release = [item for name, sent in metrics.items() if name not in STANDING for item in sent]
    assert len(trace) + len(["release_agent"]) + len(about_the_release) <= ENVELOPES
    assert not [item for item in trace if "get_version" in json.dumps(item["data"])], "polls are not traced"


def test_a_release_is_measured(running: StackClient, trace: list[Item]) -> None:
    metrics = measured(running, AGENT)
    (released,) = metrics["slipway.releases"]
    assert released["data"]["baseData"]["metrics"][0]["value"] == 1
    assert told(released)["slipway.outcome"] == "live"
    (lead,) = metrics["slipway.release.lead_time"]
    live = next(told(item) for item in trace if told(item).get("slipway.reason") == "LIVE" and "message" in
                item["data"]["baseData"])  # fmt: skip
    assert lead["data"]["baseData"]["metrics"][0]["value"] == pytest.approx(
        float(live["slipway.since_push_s"]), abs=0.5
    )
    assert {"slipway.version.activation.duration", "slipway.version.verify.duration"} <= metrics.keys()


def test_an_event_that_brings_its_trace_keeps_it(running: StackClient) -> None:
    trace_id, digest = "ab" * 16, running.push(REPOSITORY, None, "traced")
    event = {
        "id": "traced",
        "topic": "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/demo",
        "subject": f"{REPOSITORY}:1.1.0",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": datetime.now().astimezone().isoformat(),
        "dataVersion": "1.0",
        "data": {"target": {"repository": REPOSITORY, "digest": digest, "tag": "1.1.0"}},
    }
    brought = cloud_event(event) | {"traceparent": f"00-{trace_id}-{'cd' * 8}-01"}
    running.post("functions", "/runtime/webhooks/EventGrid?functionName=image_pushed", [brought])
    live = eventually(lambda: [one for one in items(running) if told(one).get("slipway.digest") == digest
                               and told(one).get("slipway.reason") == "LIVE"], "live")  # fmt: skip
    assert {one["tags"]["ai.operation.id"] for one in live} == {trace_id}


def test_an_agent_may_have_every_character_and_the_longest_name_there_is(running: StackClient) -> None:
    running.push("agents/other", "v1", "other")
    live = eventually(lambda: [one for one in running.journal("LIVE") if one["slipway.agent"] == LONGEST_NAME], "live")
    assert live[0]["slipway.version"] == "1"


def test_outcomes_are_told_to_the_topic(running: StackClient) -> None:
    def live() -> list[Item] | None:
        published = running.get("eventgrid", "/_local/published")
        return [one for one in published if one["type"] == "Slipway.Release.Live"] or None

    (first, *_) = eventually(live, "the outcome was published")
    assert first["subject"] == f"agents/{AGENT}"
    assert first["traceparent"].startswith("00-")
    assert (first["data"]["version"], first["data"]["tag"]) == ("1", "1.0.0")


def test_no_secret_that_was_read_leaves_the_process(running: StackClient) -> None:
    """Planted in an event's tag and id, in a service's error, in a failed version and in an agent's answer."""
    digest = running.push(REPOSITORY, TAG_CANARY, "tagged")
    eventually(lambda: [one for one in running.journal("LIVE") if one["slipway.digest"] == digest], "live")
    fault = {"path": f"/agents/{AGENT}/versions", "method": "POST", "status": 400, "times": 1}
    body = {"error": {"code": "invalid_request", "message": f"the value {CANARY} is not allowed"}}
    running.put("foundry", "/_local/faults", [{**fault, "body": body}])
    running.push(REPOSITORY, "1.2.0", "refused")
    eventually(lambda: running.journal("CREATE_REFUSED"), "the refusal was told")
    running.put("foundry", "/_local/provisioning", {"seconds": 1, "answer": {"1.3.0": f"my key is {CANARY}"}})
    running.push(REPOSITORY, "1.3.0", "talks")
    eventually(lambda: running.journal("VERIFY_FAILED"), "the answer was wrong")
    why = {"code": "ImageError", "message": f"exit 1: {CANARY}"}
    running.put("foundry", "/_local/provisioning", {"seconds": 1, "fail": {"1.4.0": why}})
    running.push(REPOSITORY, "1.4.0", "dies")
    eventually(lambda: running.journal("IMAGE_ERROR"), "the failure was told")
    eventually(lambda: len(running.get("eventgrid", "/_local/published")) >= 4 or None, "the outcomes were told")
    time.sleep(6)  # what was measured meanwhile is exported
    _search(running)


def _search(running: StackClient) -> None:
    stored = b"".join(path.read_bytes() for path in (running.folder / "storage").iterdir())
    metadata = [one.metadata for one in running.versions(AGENT)]
    left = {
        "ledger, journal and queues": stored.decode(errors="replace"),
        "the log of the host": (running.folder / "functions.log").read_text(),
        "telemetry": json.dumps(items(running)),
        "outcomes": json.dumps(running.get("eventgrid", "/_local/published")),
        "metadata": str(metadata),
    }
    found = [(where, canary) for where, text in left.items() for canary in (CANARY, TAG_CANARY)
             if canary in text or json.dumps(canary)[1:-1] in text]  # fmt: skip
    assert found == []


INGESTION: list[Any] = [
    pytest.param({"status": 429, "headers": {"Retry-After": "2"}}, id="429"),
    pytest.param({"status": 500}, id="500"),
    pytest.param({"delay_s": 20.0}, id="slow"),
    pytest.param({"drop": True}, id="down"),
]


@pytest.fixture(scope="module")
def usual(running: StackClient) -> float:
    """Seconds of a release while ingestion is well; the shorter of two, since the first may still warm up."""
    running.put("foundry", "/_local/provisioning", {"seconds": 4})
    return min(_release(running, f"3.{number}.0") for number in range(2))


@pytest.mark.parametrize("fault", INGESTION)
def test_ingestion_that_is_not_well_holds_nothing_up(
    running: StackClient, usual: float, fault: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    running.put("telemetry", "/_local/faults", [{"path": "/track", **fault}])
    took = _release(running, f"4.{INGESTION_ORDER.index(request.node.callspec.id)}.0")
    running.put("telemetry", "/_local/faults", [])
    assert took < usual + WAITED_FOR, f"{took:.3f} s, usually {usual:.3f} s"


WAITED_FOR = 3.0
"""Seconds: less than the exporter's tries cost whoever waits for them (500: 4.9 s, 429: 6 s, slow: 20 s), more than a
busy machine does; ``make bench`` has the ratio."""
INGESTION_ORDER = ["429", "500", "slow", "down"]


def _release(running: StackClient, tag: str) -> float:
    """Seconds that ``release_agent`` took, as the ledger and the host's own log say, not telemetry."""
    before = running.logs().count("release_agent ended after")
    running.push(REPOSITORY, tag, tag)
    eventually(lambda: running.logs().count("release_agent ended after") > before or None, "released")
    lines = [line for line in running.logs().splitlines() if "release_agent ended after" in line]
    return float(lines[before].split(" after ")[1].split()[0])
