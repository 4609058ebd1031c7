"""``slipway replay``: which events it finds."""

from __future__ import annotations

import json

import pytest

from cli.commands.replay import EventSource, show_and_send
from cli.exit_codes import UsageError
from handlers.poison import handle_poison_message
from tests.support.app import AGENT, App
from tests.support.builders import push_event
from tests.unit.cli.support import DRY_RUN, context_of


async def test_poisoned_messages_are_read_from_the_journal(app: App) -> None:
    await handle_poison_message("events", json.dumps(push_event()), app.gateways)
    await handle_poison_message("events", "rubbish", app.gateways)
    await handle_poison_message("releases", '{"target": "hello-agent", "traceparent": null}', app.gateways)
    result = await show_and_send(context_of(app), EventSource.parse(None, "1d"), DRY_RUN)
    assert [(row["kind"], row["id"]) for row in result.data] == [("push", "event-1"), ("release", AGENT)]
    assert "skipped: the message of 2026-11-24T12:00:00+00:00, line 1 is not JSON" in result.text


async def test_a_poisoned_status_of_a_commit_starts_no_release(app: App) -> None:
    await handle_poison_message("commit-statuses", '{"target": "hello-agent", "statuses": 7}', app.gateways)
    result = await show_and_send(context_of(app), EventSource.parse(None, "1d"), DRY_RUN)
    assert result.data == []
    assert "is a status of a commit, not an event" in result.text


def test_exactly_one_source_is_required() -> None:
    with pytest.raises(UsageError, match="name files of events"):
        EventSource.parse(None, None)
    with pytest.raises(UsageError, match="name files of events"):
        EventSource.parse(["f"], "1d")
