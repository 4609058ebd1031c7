"""How an event is sent: as azure-eventgrid's models write it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.event_files import parse_text
from cli.event_sender import to_cloud_event, to_json, to_model
from cli.exit_codes import UsageError
from tests.support.builders import cloud_event, push_event

PUSH = push_event()


@pytest.mark.parametrize(
    "event", [PUSH, cloud_event(traceparent=f"00-{'a' * 32}-{'b' * 16}-01")], ids=["grid", "cloud"]
)
def test_an_event_is_sent_as_the_models_of_azure_eventgrid_write_it(event: dict[str, Any]) -> None:
    (found,) = parse_text(json.dumps(event), "f")
    sent = to_json(to_model(found))
    without_time = {key: value for key, value in sent.items() if key not in ("eventTime", "time")}
    assert without_time == {key: value for key, value in event.items() if key not in ("eventTime", "time")}


def test_a_custom_topic_gets_a_cloud_event_with_the_registry_as_its_source() -> None:
    (found,) = parse_text(json.dumps(PUSH), "f")
    sent = to_cloud_event(to_model(found))  # type: ignore[arg-type]
    assert (sent.source, sent.type, sent.id, sent.data) == (PUSH["topic"], PUSH["eventType"], "event-1", PUSH["data"])


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (push_event(eventTime="019-03-12T"), "Invalid datetime string: 019-03-12T"),
        ({"specversion": "1.0", "type": "x", "id": "1"}, "does not conform to the cloud event spec"),
    ],
)
def test_an_event_that_the_models_refuse_is_a_usage_error(event: dict[str, Any], why: str) -> None:
    (found,) = parse_text(json.dumps(event), "letters.json")
    with pytest.raises(UsageError, match=f"letters.json is not an event that can be sent: .*{why}"):
        to_model(found)
