"""Secrets that were read do not leave: whatever writes them, wherever they are planted."""

from __future__ import annotations

import base64
import html
import json
import traceback
from urllib.parse import quote

import pytest

from core.model import Answer, Failure
from handlers.events.event_queued import handle_event
from handlers.gateways.errors import PermanentError, TransientError
from handlers.redaction import (
    HIDDEN,
    MAX_SECRETS,
    HiddenError,
    RedactedErrors,
    redact,
    redact_and_truncate,
    register_secret,
)
from tests.simulation.virtual_time import in_virtual_time
from tests.support.builders import push_data, push_event
from tests.unit.handlers.release_agent.test_gates_and_rollback import again, house_with
from tests.unit.handlers.test_handlers import House

CANARY = 'canary "8f3a" <and> more/of=it'
IN_A_TAG = "canary-in-a-tag-8f3a"

WAYS = [
    CANARY,
    json.dumps({"value": CANARY}),
    json.dumps(CANARY + "ü", ensure_ascii=False),
    html.escape(CANARY),
    quote(CANARY),
    base64.b64encode(CANARY.encode()).decode(),
]


@pytest.mark.parametrize("text", WAYS)
def test_a_value_is_found_however_it_is_written(text: str) -> None:
    register_secret(CANARY)
    assert "8f3a" not in redact(text)
    assert HIDDEN in redact(text)


def test_a_short_value_is_not_looked_for() -> None:
    register_secret("true")
    assert redact("this is true") == "this is true"


def test_half_a_value_is_never_left_at_a_cut() -> None:
    register_secret(CANARY)
    text = "x" * 90 + CANARY
    assert all("cana" not in redact_and_truncate(text, longest) for longest in range(60, 130))


def test_the_oldest_value_is_forgotten_in_the_end() -> None:
    for number in range(MAX_SECRETS + 1):
        register_secret(f"a value that was rotated {number:04}")
    assert redact("a value that was rotated 0000") == "a value that was rotated 0000"
    assert redact("a value that was rotated 0001") == HIDDEN


def test_an_error_whose_cause_holds_a_secret_leaves_without_it() -> None:
    register_secret(CANARY)

    def fails() -> None:
        with RedactedErrors():
            try:
                int(CANARY)
            except ValueError as error:
                raise TransientError("storage", "500", "write the ledger") from error

    with pytest.raises(HiddenError) as caught:
        fails()
    printed = "".join(traceback.format_exception(caught.value))
    assert CANARY not in printed
    assert "TransientError: storage: 500: write the ledger" in printed


def test_an_error_in_a_group_or_a_note_is_found_too() -> None:
    register_secret(CANARY)
    noted = ValueError("plain")
    noted.add_note(f"by the way, {CANARY}")
    for error in (noted, ExceptionGroup("several", [KeyError(CANARY)])):
        with pytest.raises(HiddenError), RedactedErrors():
            raise error


def test_any_other_error_leaves_as_it_is() -> None:
    with pytest.raises(KeyError), RedactedErrors():
        raise KeyError("nothing to hide")


def test_a_gateways_error_says_no_secret() -> None:
    register_secret(CANARY)
    error = PermanentError("Foundry", CANARY, f"the value {CANARY} is wrong")
    assert CANARY not in str(error) + error.code + error.message


def left(house: House) -> str:
    """Everything that a house keeps, tells or hands on."""
    metadata = [version.metadata for agent in house.foundry.agents.values() for version in agent.versions.values()]
    return repr((house.journal.lines, house.ledger.desired, house.ledger.releases, metadata, house.outcomes.published))


@in_virtual_time
async def test_a_secret_in_an_events_tag_and_id_is_kept_nowhere() -> None:
    register_secret(IN_A_TAG)
    house = house_with()
    at = house.clock.now().isoformat()
    data = push_data(tag=IN_A_TAG, digest=f"sha256:{'a' * 64}")
    await house.event(push_event(id=IN_A_TAG, eventTime=at, data=data))
    assert await house.released() == "LIVE"
    assert IN_A_TAG not in left(house)


@in_virtual_time
async def test_a_secret_in_an_event_that_is_not_for_us_is_told_nowhere() -> None:
    register_secret(IN_A_TAG)
    house = house_with()
    await house.event(push_event(topic="x", id=IN_A_TAG), push_event(eventType="a" * 45 + IN_A_TAG))
    await handle_event(json.dumps(IN_A_TAG), house.agents, house.settings, house.outside)
    assert house.journal.reasons() == ["OTHER_REGISTRY", "OTHER_EVENT_TYPE", "MALFORMED_EVENT"]
    assert "canary" not in left(house)


@in_virtual_time
async def test_a_secret_that_a_service_or_an_agent_repeats_is_kept_nowhere() -> None:
    house = house_with()
    house.vault.put("hello-key", IN_A_TAG)
    house.foundry.answers["a" * 64] = (Answer(400, IN_A_TAG, code="bad"), "pong")
    assert await again(house, "v1", "a") == "VERIFY_FAILED"
    house.foundry.failures["b" * 64] = Failure("ImageError", redact(f"exit 1: {IN_A_TAG}"))
    await house.clock.sleep(60)
    assert await again(house, "v2", "b") == "IMAGE_ERROR"
    assert IN_A_TAG not in left(house)


@in_virtual_time
async def test_a_topic_that_refuses_fails_no_release_and_is_told() -> None:
    house = house_with()
    house.outcomes.error = PermanentError("Event Grid", "403", "publish", status=403)
    assert await again(house, "v1", "a") == "LIVE"
    assert house.journal.reasons()[-1] == "OUTCOME_NOT_PUBLISHED"
    assert await house.live() == "1"


@in_virtual_time
async def test_outcomes_are_told_once_each() -> None:
    house = house_with()
    await again(house, "v1", "a")
    await house.clock.sleep(60)
    house.foundry.answers["b" * 64] = ("pong", "oops")
    await again(house, "v2", "b")
    await house.clock.sleep(60)
    await again(house, "v2-again", "b")
    assert house.outcomes.kinds() == ["Slipway.Release.Live", "Slipway.Release.RolledBack"]


@in_virtual_time
async def test_who_must_approve_is_told_once() -> None:
    house = house_with("mode: manual")
    await again(house, "v1", "a")
    await house.released()
    assert house.outcomes.kinds() == ["Slipway.Release.AwaitingApproval"]
