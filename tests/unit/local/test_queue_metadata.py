"""The metadata that a queue trigger hands over with a message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.functions_host.queue_listener import metadata
from local.functions_host.queue_storage import Message

TIMES = [datetime(2026, 11, day, tzinfo=UTC) for day in (24, 30, 25)]
MESSAGE = Message("id", "eA==", "receipt", 2, *TIMES)
SEVEN = {
    "Id": "id",
    "DequeueCount": 2,
    "PopReceipt": "receipt",
    "InsertionTime": "2026-11-24T00:00:00+00:00",
    "ExpirationTime": "2026-11-30T00:00:00+00:00",
    "NextVisibleTime": "2026-11-25T00:00:00+00:00",
}


@pytest.mark.parametrize(
    ("text", "properties"),
    [("x", {}), ("[1]", {}), ("[" * 40_000, {}), ('{"a": 1, "b": {"c": 2}, "Id": "other"}', {"a": 1, "b": {"c": 2}})],
)
def test_a_message_has_seven_fields_and_the_properties_of_its_json(text: str, properties: dict[str, object]) -> None:
    assert metadata(MESSAGE, text) == SEVEN | properties | {"QueueTrigger": text}
