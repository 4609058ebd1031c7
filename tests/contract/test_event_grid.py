"""Outcome events: one suite in memory and against the stand-in, and the errors of a topic that fails."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.eventgrid.aio import EventGridPublisherClient

from core.events import SecretChanged
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
    "Slipway.Secret.Changed": outcome_events.secret_event(
        "hello-agent", SecretChanged("demo-vault", "hello-key", "0" * 32, "event-2")
    ),
    "Slipway.Versions.Pruned": outcome_events.prune_event("hello-agent", ["1", "2"], "2026-11-24"),
}


class LocalPublisher(EventGridPublisher):
    """The gateway with a client for the stand-in."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        super().__init__(endpoint, SOURCE, AsyncLocalCredential())

        class Client(EventGridPublisherClient):
            async def send(self, *events: Any, **options: Any) -> None:
                await super().send(*events, connection_verify=str(ca), **options)

        self._client.instance = Client(
            endpoint,
            AsyncLocalCredential(),
            retry_total=1,
            retry_backoff_factor=0.01,
            connection_timeout=1,
            read_timeout=1,
        )


@dataclass
class Topic:
    publisher: OutcomePublisher
    received: Callable[[], list[str]]
    url: str = ""
    events: EventGrid | None = None


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Topic]:
    authority, events = Authority(tmp_path), EventGrid(tmp_path / "dead")
    await events.start()
    url = await events.start(tls=authority.server())
    publisher = LocalPublisher(f"{url}/api/events", authority.ca)
    yield Topic(publisher, lambda: list(dict.fromkeys(event["id"] for event in events.outcomes)), url, events)
    await publisher.close()
    await events.stop()


@pytest.fixture(params=["in-memory", "stand-in"])
def topic(request: pytest.FixtureRequest) -> Topic:
    if request.param == "in-memory":
        in_memory = InMemoryOutcomePublisher()
        return Topic(in_memory, lambda: list(in_memory.published))
    found: Topic = request.getfixturevalue("real")
    return found


async def test_events_arrive_in_order(topic: Topic) -> None:
    await topic.publisher.publish(list(KINDS.values()))
    assert topic.received() == [event.id for event in KINDS.values()]


async def test_an_event_that_is_published_again_has_the_same_id(topic: Topic) -> None:
    for _ in range(2):
        await topic.publisher.publish([KINDS["Slipway.Release.Live"]])
    assert topic.received() == ["hello-agent/3/2/LIVE"]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_event_matches_its_schema(real: Topic, kind: str) -> None:
    await real.publisher.publish([KINDS[kind]])
    assert real.events is not None
    (event,) = real.events.outcomes
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    assert list(schema_errors(event, schema, "event")) == []
    assert event["source"] == SOURCE


def test_every_event_type_has_a_schema_and_a_row() -> None:
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")} == set(KINDS)
    assert set(re.findall(r"^\| `([\w.]+)`", (SCHEMAS / "README.md").read_text(), re.MULTILINE)) == set(KINDS)


@pytest.mark.parametrize("reason", [Reason.ALREADY_LIVE, Reason.SUPERSEDED, Reason.HELD])
def test_an_outcome_that_changes_nothing_is_not_published(reason: Reason) -> None:
    assert outcome_events.release_event("hello-agent", reason, RECORD, "") is None


async def test_an_event_carries_the_trace_of_its_push(real: Topic) -> None:
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    await real.publisher.publish([OutcomeEvent("n", "Slipway.Release.Live", "agents/a", {"agent": "a"}, traceparent)])
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
async def test_a_fault_of_the_topic_raises_a_gateway_error(
    real: Topic, fault: dict[str, Any], expected: type[GatewayError]
) -> None:
    assert real.events is not None
    await plan_faults(real.events.url, {"path": "/api/events", **fault})
    with pytest.raises(expected) as caught:
        await real.publisher.publish([KINDS["Slipway.Release.Live"]])
    assert "Slipway.Release.Live" in str(caught.value)


async def test_a_topic_that_cannot_be_reached_raises_a_transient_error(tmp_path: Path) -> None:
    publisher = LocalPublisher("https://127.0.0.1:9/api/events", Authority(tmp_path).ca)
    with pytest.raises(TransientError):
        await publisher.publish([KINDS["Slipway.Release.Live"]])
    await publisher.close()


def schema_errors(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """The mismatches between a value and a schema, for the part of JSON Schema that our schemas use."""
    if value != schema.get("const", value):
        yield f"{path} is {value!r}"
    kind: Any = {"object": dict, "array": list, "string": str}.get(schema.get("type", ""), object)
    if not isinstance(value, kind):
        yield f"{path} is not of type {schema['type']}"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path} is {value!r}"
    elif isinstance(value, dict):
        yield from _object_errors(value, schema, path)
    elif isinstance(value, list):
        yield from (error for item in value for error in schema_errors(item, schema.get("items", {}), f"{path}[]"))


def _object_errors(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{path}.{key} is missing" for key in schema.get("required", []) if key not in value)
    if schema.get("additionalProperties") is False:
        yield from (f"{path}.{key} is not in the schema" for key in value.keys() - known.keys())
    for key in value.keys() & known.keys():
        yield from schema_errors(value[key], known[key], f"{path}.{key}")
