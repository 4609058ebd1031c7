"""Outcomes: one suite for the fake and the stand-in, and what a topic that misbehaves comes to."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.eventgrid.aio import EventGridPublisherClient

from core.model import Routing
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers import outcome_events
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.event_grid import EventGridPublisher
from handlers.gateways.in_memory.outcomes import InMemoryOutcomePublisher
from handlers.gateways.interfaces import OutcomeEvent, OutcomePublisher
from local.event_grid import EventGrid
from local.tls import Authority
from tests.contract.test_state_store import PUSH
from tests.support.local_clients import AsyncLocalCredential, plan_faults

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "events"
SOURCE = "https://demo.services.ai.azure.com/api/projects/demo"
RECORD = ReleaseState(
    observed_generation=3, push=PUSH, fingerprint="f" * 64, candidate="2", routing_at_start=Routing.to("1")
)
KINDS: dict[str, Any] = {
    "Slipway.Release.Live": outcome_events.release_event("hello-agent", Reason.LIVE, RECORD, ""),
    "Slipway.Release.Failed": outcome_events.release_event("hello-agent", Reason.IMAGE_ERROR, RECORD, "exit 1"),
    "Slipway.Release.RolledBack": outcome_events.release_event("hello-agent", Reason.CHECK_FAILED, RECORD, "wrong"),
    "Slipway.Release.AwaitingApproval": outcome_events.release_event(
        "hello-agent", Reason.APPROVAL_WAITING, RECORD, ""
    ),
    "Slipway.Versions.Pruned": outcome_events.prune_event("hello-agent", ["1", "2"], "2026-11-24"),
}


class TrustingOutcomes(EventGridPublisher):
    """The gateway with a client that trusts the throw-away authority; a process would set SSL_CERT_FILE instead."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        super().__init__(endpoint, SOURCE, AsyncLocalCredential())

        class Client(EventGridPublisherClient):
            async def send(self, *events: Any, **options: Any) -> None:
                await super().send(*events, connection_verify=str(ca), **options)

        self._made = Client(
            endpoint,
            AsyncLocalCredential(),
            retry_total=1,
            retry_backoff_factor=0.01,
            connection_timeout=1,
            read_timeout=1,
        )


@dataclass
class Topic:
    outcomes: OutcomePublisher
    told: Callable[[], list[str]]
    url: str = ""
    events: EventGrid | None = None


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Topic]:
    authority, events = Authority(tmp_path), EventGrid(tmp_path / "dead")
    await events.start()
    url = await events.start(tls=authority.server())
    topic = TrustingOutcomes(f"{url}/api/events", authority.ca)
    yield Topic(topic, lambda: list(dict.fromkeys(one["id"] for one in events.outcomes)), url, events)
    await topic.close()
    await events.stop()


@pytest.fixture(params=["fake", "stand-in"])
def topic(request: pytest.FixtureRequest) -> Topic:
    if request.param == "fake":
        fake = InMemoryOutcomePublisher()
        return Topic(fake, lambda: list(fake.published))
    found: Topic = request.getfixturevalue("real")
    return found


async def test_what_is_told_arrives_in_order(topic: Topic) -> None:
    await topic.outcomes.publish(list(KINDS.values()))
    assert topic.told() == [event.id for event in KINDS.values()]


async def test_what_is_told_again_has_the_same_name(topic: Topic) -> None:
    for _ in range(2):
        await topic.outcomes.publish([KINDS["Slipway.Release.Live"]])
    assert topic.told() == ["hello-agent/3/2/LIVE"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_arrives_is_what_the_schema_says(real: Topic, kind: str) -> None:
    await real.outcomes.publish([KINDS[kind]])
    assert real.events is not None
    (event,) = real.events.outcomes
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    assert list(faults(event, schema, "event")) == []
    assert event["source"] == SOURCE


def test_every_type_has_a_schema_and_a_row() -> None:
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")} == set(KINDS)
    assert set(re.findall(r"^\| `([\w.]+)`", (SCHEMAS / "README.md").read_text(), re.MULTILINE)) == set(KINDS)


@pytest.mark.parametrize("reason", [Reason.ALREADY_LIVE, Reason.SUPERSEDED, Reason.HELD])
def test_what_is_nobody_elses_business_is_not_told(reason: Reason) -> None:
    assert outcome_events.release_event("hello-agent", reason, RECORD, "") is None


async def test_the_pushs_trace_goes_with_the_event(real: Topic) -> None:
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    await real.outcomes.publish([OutcomeEvent("n", "Slipway.Release.Live", "agents/a", {"agent": "a"}, traceparent)])
    assert real.events is not None
    assert real.events.outcomes[0]["traceparent"] == traceparent


FAULTS: list[Any] = [
    pytest.param({"status": 401}, PermanentError, id="401"),
    pytest.param({"status": 403}, PermanentError, id="403"),
    pytest.param({"status": 404}, PermanentError, id="404"),
    pytest.param({"status": 413}, PermanentError, id="413"),
    pytest.param({"status": 429}, TransientError, id="429"),
    pytest.param({"status": 500}, TransientError, id="500"),
    pytest.param({"status": 503}, TransientError, id="503"),
    pytest.param({"delay_s": 3.0}, TransientError, id="slow"),
    pytest.param({"drop": True}, TransientError, id="a closed connection"),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
async def test_a_topic_that_misbehaves_is_one_of_our_two_errors(
    real: Topic, fault: dict[str, Any], expected: type[GatewayError]
) -> None:
    assert real.events is not None
    await plan_faults(real.events.url, {"path": "/api/events", **fault})
    with pytest.raises(expected) as caught:
        await real.outcomes.publish([KINDS["Slipway.Release.Live"]])
    assert "Slipway.Release.Live" in str(caught.value)


async def test_a_topic_that_does_not_exist_is_asked_again_later(tmp_path: Path) -> None:
    topic = TrustingOutcomes("https://127.0.0.1:9/api/events", Authority(tmp_path).ca)
    with pytest.raises(TransientError):
        await topic.publish([KINDS["Slipway.Release.Live"]])
    await topic.close()


def faults(value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    """Where a value is not what a schema says: as much of JSON Schema as ours uses."""
    if value != schema.get("const", value):
        yield f"{place} is {value!r}"
    kind: Any = {"object": dict, "array": list, "string": str}.get(schema.get("type", ""), object)
    if not isinstance(value, kind):
        yield f"{place} is no {schema['type']}"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{place} is {value!r}"
    elif isinstance(value, dict):
        yield from _in_object(value, schema, place)
    elif isinstance(value, list):
        yield from (fault for one in value for fault in faults(one, schema.get("items", {}), f"{place}[]"))


def _in_object(value: dict[str, Any], schema: dict[str, Any], place: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{place}.{key} is missing" for key in schema.get("required", []) if key not in value)
    if schema.get("additionalProperties") is False:
        yield from (f"{place}.{key} is not in the schema" for key in value.keys() - known.keys())
    for key in value.keys() & known.keys():
        yield from faults(value[key], known[key], f"{place}.{key}")
