"""The telemetry of a push: one trace with every step, few envelopes, no secrets, and no release waits for it."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from local.event_grid import cloud_event
from local.stack_client import StackClient, eventually, stack
from tests.support.builders import REGISTRY

pytestmark = pytest.mark.timeout(300)

AGENT, REPOSITORY = "support-agent", "agents/support"
MAX_LENGTH_NAME = string.ascii_letters + "-" + string.digits
"""An agent's name of the maximum length, 63, with every allowed character."""
CANARY = "canary+7d1f/it's a=secret value"
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
  {MAX_LENGTH_NAME}:
    repository: agents/other
  traced-agent:
    repository: agents/traced
    inspect: never  # the registry lists no tag of an event that a test wrote
"""
STEPS = ["read", "create", "wait", "confirm", "verify", "move_traffic", "check"]
DECISIONS = {
    "ACCEPTED": "push",
    "BEGIN": "release",
    "CREATE": "release.create",
    "CONFIRM_PASSED": "release.confirm",
    "VERIFY_PASSED": "release.verify",
    "TRAFFIC_MOVED": "release.move_traffic",
    "LIVE": "release.check",
}
"""The span of each decision of a release, in the order of the decisions."""
PROVISIONING_SECONDS = 2.0
SLACK = timedelta(milliseconds=2)
"""The exporter writes milliseconds."""
MAX_ENVELOPES = 60
TIMER_METRICS = ("slipway.holds", "slipway.approval.waiting")
"""Metrics of the timer, with or without a release."""
Item = dict[str, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as client:
        client.put("vault", "/_local/secrets/support-search-key", {"value": CANARY})
        client.put("vault", "/_local/secrets/support-other-key", {"value": TAG_CANARY})
        client.put("foundry", "/_local/provisioning", {"seconds": PROVISIONING_SECONDS})
        yield client


def items(running: StackClient) -> list[Item]:
    found: list[Item] = running.get("telemetry", "/_local/items")
    return found


def attributes(item: Item) -> dict[str, str]:
    properties: dict[str, str] = item["data"]["baseData"].get("properties") or {}
    return properties


def trace_of(running: StackClient, digest: str) -> list[Item]:
    """All telemetry in the trace of the digest's push, without a release that the timer requested meanwhile."""
    found = items(running)
    lines = [
        item
        for item in found
        if attributes(item).get("slipway.digest") == digest and "slipway.step" in attributes(item)
    ]
    (trace,) = {item["tags"]["ai.operation.id"] for item in lines}
    return without_idle_releases([item for item in found if item["tags"].get("ai.operation.id") == trace])


def without_idle_releases(trace: list[Item]) -> list[Item]:
    """Leave out messages that found the lease taken: the timer sent them."""
    dropped = {key for key, item in spans(trace).items() if name(item) == "lease_taken"}
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


def started_at(item: Item) -> datetime:
    return datetime.fromisoformat(item["time"])


def ended_at(item: Item) -> datetime:
    return started_at(item) + duration(item)


def duration(item: Item) -> timedelta:
    days, rest = item["data"]["baseData"]["duration"].split(".", 1)
    hours, minutes, seconds = rest.split(":")
    return timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))


@pytest.fixture(scope="module")
def trace(running: StackClient) -> list[Item]:
    digest = running.push(REPOSITORY, "1.0.0", "one")

    def arrived() -> list[Item] | None:
        ended = [line for line in running.journal("LIVE") if line["slipway.digest"] == digest]
        found = trace_of(running, digest) if ended else []
        return found if any(name(item) == "release" for item in spans(found).values()) else None

    return eventually(arrived, "the whole trace arrived")


def test_requests_to_the_services_are_dependencies_in_the_trace(trace: list[Item], running: StackClient) -> None:
    found = [item["data"]["baseData"] for item in spans(trace).values()]
    for service in ("foundry", "vault"):
        address = running.endpoints[service]
        assert [span for span in found if str(span.get("data", "")).startswith(address)], service


def test_every_step_is_in_one_tree_from_the_event_to_live(trace: list[Item]) -> None:
    by_id = spans(trace)
    (root,) = [item for item in by_id.values() if item["tags"].get("ai.operation.parentId") not in by_id]
    assert name(root) == "event_queued"
    (push,) = [item for item in by_id.values() if name(item) == "push"]
    (release,) = [item for item in by_id.values() if name(item) == "release"]
    assert push["tags"]["ai.operation.parentId"] == root["data"]["baseData"]["id"]
    assert release["tags"]["ai.operation.parentId"] == push["data"]["baseData"]["id"]
    below = [item for item in by_id.values() if name(item).startswith("release.")]
    assert [name(item).removeprefix("release.") for item in sorted(below, key=started_at)] == STEPS
    assert {item["tags"]["ai.operation.parentId"] for item in below} == {release["data"]["baseData"]["id"]}


def test_the_release_span_has_its_attributes(trace: list[Item]) -> None:
    (release,) = [item for item in spans(trace).values() if name(item) == "release"]
    about = attributes(release)
    assert about["slipway.agent"] == AGENT
    assert (about["slipway.version"], about["slipway.reason"]) == ("1", "LIVE")
    assert (about["slipway.repository"], about["slipway.tag"]) == (REPOSITORY, "1.0.0")
    assert about["slipway.digest"].startswith("sha256:")
    assert "_MS.links" in about, "a link to the host's own span"


def test_the_steps_follow_each_other_within_the_release(trace: list[Item]) -> None:
    by_id = spans(trace)
    (release,) = [item for item in by_id.values() if name(item) == "release"]
    below = sorted((item for item in by_id.values() if name(item).startswith("release.")), key=started_at)
    for earlier, later in pairwise(below):
        assert ended_at(earlier) <= started_at(later) + SLACK
    assert started_at(release) <= started_at(below[0]) + SLACK
    assert ended_at(below[-1]) <= ended_at(release) + SLACK
    step = dict(zip(STEPS, below, strict=True))
    active = started_at(step["create"]) + timedelta(seconds=PROVISIONING_SECONDS)
    assert ended_at(step["wait"]) >= active - SLACK, "the wait ends when a poll finds the version active"


def test_a_release_calls_services_in_its_steps_and_publishes_its_outcome_after_them(trace: list[Item]) -> None:
    """So that the time between two steps is Slipway's own: a busy machine makes it longer, a service does not."""
    by_id = spans(trace)
    ((key, _),) = [(key, item) for key, item in by_id.items() if name(item) == "release"]
    below = [item for item in by_id.values() if parent(item) == key]
    steps = [item for item in below if name(item).startswith("release.")]
    (published,) = [item for item in below if item not in steps]
    assert "EventGrid" in name(published)
    assert started_at(published) >= max(map(ended_at, steps)) - SLACK


def test_each_decision_is_logged_once_in_its_step(trace: list[Item]) -> None:
    by_id = spans(trace)
    lines = [item for item in trace if item["data"]["baseType"] == "MessageData"]
    found = [
        (attributes(line)["slipway.reason"], name(by_id[line["tags"]["ai.operation.parentId"]]))
        for line in sorted(lines, key=started_at)
    ]
    assert found == list(DECISIONS.items())
    for line in lines:
        assert line["data"]["baseData"]["message"] == "slipway.decision"
        assert {"slipway.agent", "slipway.cause", "slipway.step", "slipway.help", "slipway.at"} <= set(attributes(line))
    live = attributes(max(lines, key=started_at))
    assert live["slipway.to_version"] == "1"
    assert float(live["slipway.since_push_s"]) >= float(live["slipway.since_start_s"]) > PROVISIONING_SECONDS


def metrics_of(running: StackClient, agent: str) -> dict[str, list[Item]]:
    """Metric name -> envelopes of an agent."""
    found: dict[str, list[Item]] = {}
    for item in items(running):
        if item["data"]["baseType"] == "MetricData" and attributes(item).get("slipway.agent") == agent:
            found.setdefault(item["data"]["baseData"]["metrics"][0]["name"], []).append(item)
    return found


def test_a_release_sends_at_most_sixty_envelopes(running: StackClient, trace: list[Item]) -> None:
    """Including metrics and the host's own request, on a cold instance that fetches its tokens."""

    def arrived() -> dict[str, list[Item]] | None:
        found = metrics_of(running, AGENT)
        return found if "slipway.releases" in found else None

    metrics = eventually(arrived, "the release's metrics")
    release_metrics = [item for name, sent in metrics.items() if name not in TIMER_METRICS for item in sent]
    assert len(trace) + len(["release_agent"]) + len(release_metrics) <= MAX_ENVELOPES
    assert not [item for item in trace if "get_version" in json.dumps(item["data"])], "polls are not traced"


def test_a_release_has_metrics(running: StackClient, trace: list[Item]) -> None:
    metrics = metrics_of(running, AGENT)
    (released,) = metrics["slipway.releases"]
    assert released["data"]["baseData"]["metrics"][0]["value"] == 1
    assert attributes(released)["slipway.outcome"] == "live"
    (lead,) = metrics["slipway.release.lead_time"]
    live = next(attributes(item) for item in trace if attributes(item).get("slipway.reason") == "LIVE" and "message" in
                item["data"]["baseData"])  # fmt: skip
    assert lead["data"]["baseData"]["metrics"][0]["value"] == pytest.approx(
        float(live["slipway.since_push_s"]), abs=0.5
    )
    assert {"slipway.version.activation.duration", "slipway.version.verify.duration"} <= metrics.keys()


def test_the_trace_of_an_event_is_continued(running: StackClient) -> None:
    trace_id, digest = "ab" * 16, running.push("agents/traced", None, "traced")
    event = {
        "id": "traced",
        "topic": REGISTRY,
        "subject": "agents/traced:1.1.0",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": datetime.now().astimezone().isoformat(),
        "dataVersion": "1.0",
        "data": {"target": {"repository": "agents/traced", "digest": digest, "tag": "1.1.0"}},
    }
    traced = cloud_event(event) | {"traceparent": f"00-{trace_id}-{'cd' * 8}-01"}
    running.post("functions", "/runtime/webhooks/EventGrid?functionName=image_pushed", [traced])
    live = eventually(lambda: [item for item in items(running) if attributes(item).get("slipway.digest") == digest
                               and attributes(item).get("slipway.reason") == "LIVE"], "live")  # fmt: skip
    assert {item["tags"]["ai.operation.id"] for item in live} == {trace_id}


def test_an_agent_name_may_have_every_allowed_character_and_the_maximum_length(running: StackClient) -> None:
    running.push("agents/other", "v1", "other")
    live = eventually(
        lambda: [line for line in running.journal("LIVE") if line["slipway.agent"] == MAX_LENGTH_NAME], "live"
    )
    assert live[0]["slipway.version"] == "1"


def outcomes(running: StackClient, kind: str) -> list[Item]:
    """The events of this kind about the agent, oldest first."""
    published = running.get("eventgrid", "/_local/published")
    return [event for event in published if (event["type"], event["subject"]) == (kind, f"agents/{AGENT}")]


@pytest.mark.usefixtures("trace")
def test_outcomes_are_published_to_the_topic(running: StackClient) -> None:
    first, *_ = eventually(lambda: outcomes(running, "Slipway.Release.Live"), "the outcome was published")
    assert first["traceparent"].startswith("00-")
    assert (first["data"]["version"], first["data"]["tag"]) == ("1", "1.0.0")


def test_no_secret_that_was_read_leaves_the_process(running: StackClient) -> None:
    """The secret is in an event's tag and id, a service's error, a failed version and an agent's answer."""
    digest = running.push(REPOSITORY, TAG_CANARY, "tagged")
    eventually(lambda: [line for line in running.journal("LIVE") if line["slipway.digest"] == digest], "live")
    fault = {"path": f"/agents/{AGENT}/versions", "method": "POST", "status": 400, "times": 1}
    body = {"error": {"code": "invalid_request", "message": f"the value {CANARY} is not allowed"}}
    running.put("foundry", "/_local/faults", [{**fault, "body": body}])
    running.push(REPOSITORY, "1.2.0", "refused")
    eventually(lambda: running.journal("CREATE_REFUSED"), "the rejection was reported")
    running.put("foundry", "/_local/provisioning", {"seconds": 1, "answer": {"1.3.0": f"my key is {CANARY}"}})
    running.push(REPOSITORY, "1.3.0", "talks")
    eventually(lambda: running.journal("VERIFY_FAILED"), "the answer was wrong")
    error = {"code": "ImageError", "message": f"exit 1: {CANARY}"}
    running.put("foundry", "/_local/provisioning", {"seconds": 1, "fail": {"1.4.0": error}})
    running.push(REPOSITORY, "1.4.0", "crashes")
    eventually(lambda: running.journal("IMAGE_ERROR"), "the failure was reported")
    eventually(lambda: len(outcomes(running, "Slipway.Release.Failed")) == 3, "the outcomes were published")
    eventually(lambda: failed_releases(running) == 3, "the metrics of this time arrived")
    _assert_no_canary(running)


def failed_releases(running: StackClient) -> float:
    """The agent's failed releases, as the metric that arrived counts them."""
    sent = metrics_of(running, AGENT).get("slipway.releases", [])
    failed = [item for item in sent if attributes(item)["slipway.outcome"] == "failed"]
    return sum(float(item["data"]["baseData"]["metrics"][0]["value"]) for item in failed)


def _assert_no_canary(running: StackClient) -> None:
    """State store and metadata hold tags as they came, since releases and pruning decide on them (SECURITY.md)."""
    stored = b"".join(path.read_bytes() for path in (running.folder / "storage").iterdir())
    metadata = [version.metadata for version in running.versions(AGENT)]
    texts = {
        "state store, journal and queues": stored.decode(errors="replace"),
        "the log of the host": (running.folder / "functions.log").read_text(),
        "telemetry": json.dumps(items(running)),
        "outcomes": json.dumps(running.get("eventgrid", "/_local/published")),
        "metadata": str(metadata),
    }
    found = [(place, canary) for place, text in texts.items() for canary in (CANARY, TAG_CANARY)
             if canary in text or json.dumps(canary)[1:-1] in text]  # fmt: skip
    assert found == [("state store, journal and queues", TAG_CANARY), ("metadata", TAG_CANARY)]
    lines = [
        line for line in stored.decode(errors="replace").splitlines() if '"reason"' in line and '"severity"' in line
    ]
    assert lines, "the journal is stored"
    assert not [line for line in lines if TAG_CANARY in line]


INGESTION: list[Any] = [
    pytest.param({"status": 429, "headers": {"Retry-After": "2"}}, id="429"),
    pytest.param({"status": 500}, id="500"),
    pytest.param({"delay_s": 20.0}, id="slow"),
    pytest.param({"drop": True}, id="down"),
]
MAX_DELAY_SECONDS = 3.0
"""Less than the exporter's retries take (500: 4.9 s, 429: 6 s, slow: 20 s), and more than a busy machine adds;
``make bench`` measures the ratio."""


@pytest.fixture(scope="module")
def usual(running: StackClient) -> float:
    """Seconds of a release while ingestion works; the shorter of two, since the first may still warm up."""
    running.put("foundry", "/_local/provisioning", {"seconds": 4, "fail": {}, "answer": {}})
    return min(_release(running), _release(running))


@pytest.mark.parametrize("fault", INGESTION)
def test_a_fault_of_ingestion_does_not_delay_a_release(
    running: StackClient, usual: float, fault: dict[str, Any]
) -> None:
    running.put("telemetry", "/_local/faults", [{"path": "/track", **fault}])
    took = _release(running)
    running.put("telemetry", "/_local/faults", [])
    assert took < usual + MAX_DELAY_SECONDS, f"{took:.3f} s, usually {usual:.3f} s"


def _release(running: StackClient) -> float:
    """Seconds of ``release_agent`` for the next push, from the host's own log instead of telemetry."""
    before = running.logs().count("release_agent ended after")
    tag = f"3.{before}.0"
    running.push(REPOSITORY, tag, tag)
    eventually(lambda: running.logs().count("release_agent ended after") > before or None, "released")
    lines = [line for line in running.logs().splitlines() if "release_agent ended after" in line]
    return float(lines[before].split(" after ")[1].split()[0])
