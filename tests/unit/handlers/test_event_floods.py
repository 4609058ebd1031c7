"""One delivery with thousands of events that mean nothing: the first are recorded, the others counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.events.delivery_log import MAX_LINES
from handlers.events.event_queued import handle_event
from tests.support.app import App
from tests.support.builders import push_data, push_event, secret_event

NOT_FOLLOWED = push_event(data=push_data(repository="agents/unknown"))
NOT_USED = secret_event(data={"Id": "https://demo-vault.vault.azure.net/secrets/unused/0123456789abcdef"})


@pytest.mark.parametrize(
    "event", [{}, {"eventType": "x"}, NOT_FOLLOWED, NOT_USED], ids=["{}", "type", "push", "secret"]
)
async def test_the_first_events_of_a_flood_are_recorded_and_the_others_counted(event: dict[str, Any]) -> None:
    app = App()
    await handle_event(json.dumps([event] * 300), app.agents, app.settings, app.gateways)
    assert len(app.journal.lines) == MAX_LINES + 1
    assert app.journal.lines[-1]["detail"] == f"{300 - MAX_LINES} more events of this delivery"
    assert app.journal.lines[-1]["count"] == 300 - MAX_LINES


async def test_a_flood_hides_no_push() -> None:
    app = App()
    flood: list[Any] = [{}] * 5_000
    await handle_event(json.dumps([*flood, push_event(), *flood]), app.agents, app.settings, app.gateways)
    assert app.journal.reasons().count("ACCEPTED") == 2, "one for each agent that follows the repository"
