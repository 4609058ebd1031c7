"""Secrets that were read leave the process nowhere, however they are encoded."""

from __future__ import annotations

import base64
import html
import json
import traceback
from urllib.parse import quote

import pytest

from core.agents_file.loader import load_agents
from core.model import Answer, Failure
from core.release.gates.answers import Judgement, Verdict, judge_refusal
from handlers.events.event_queued import handle_event
from handlers.gateways.errors import PermanentError, TransientError
from handlers.redaction import (
    HIDDEN,
    MAX_SECRETS,
    HiddenError,
    RedactedErrors,
    ServiceCode,
    keep_names,
    redact,
    redact_and_truncate,
    redact_data,
    redact_fields,
    register_secret,
)
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, app_with, push_and_release
from tests.support.builders import push_data, push_event

CANARY = 'canary "8f3a" <and> more/of=it'
IN_A_TAG = "canary-in-a-tag-8f3a"

ENCODED = [
    CANARY,
    json.dumps({"value": CANARY}),
    json.dumps(CANARY + "ü", ensure_ascii=False),
    html.escape(CANARY),
    quote(CANARY),
    base64.b64encode(CANARY.encode()).decode(),
]


@pytest.mark.parametrize("text", ENCODED)
def test_a_secret_is_found_in_every_encoding(text: str) -> None:
    register_secret(CANARY)
    assert "8f3a" not in redact(text)
    assert HIDDEN in redact(text)


def test_a_short_value_is_not_a_secret() -> None:
    register_secret("true")
    assert redact("this is true") == "this is true"


def test_a_cut_leaves_no_part_of_a_secret() -> None:
    register_secret(CANARY)
    text = "x" * 90 + CANARY
    assert all("cana" not in redact_and_truncate(text, longest) for longest in range(60, 130))


def test_the_oldest_secret_is_forgotten_first() -> None:
    for number in range(MAX_SECRETS + 1):
        register_secret(f"a value that was rotated {number:04}")
    assert redact("a value that was rotated 0000") == "a value that was rotated 0000"
    assert redact("a value that was rotated 0001") == HIDDEN


def test_an_error_whose_cause_holds_a_secret_is_replaced() -> None:
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


def test_a_secret_in_an_error_group_or_a_note_is_found() -> None:
    register_secret(CANARY)
    noted = ValueError("plain")
    noted.add_note(f"by the way, {CANARY}")
    for error in (noted, ExceptionGroup("several", [KeyError(CANARY)])):
        with pytest.raises(HiddenError), RedactedErrors():
            raise error


def test_errors_without_a_secret_pass() -> None:
    with pytest.raises(KeyError), RedactedErrors():
        raise KeyError("nothing to hide")


def test_a_gateway_error_holds_no_secret() -> None:
    register_secret(CANARY)
    error = PermanentError("Foundry", CANARY, f"the value {CANARY} is wrong")
    assert CANARY not in str(error) + error.code + error.message


def test_a_code_is_compared_as_it_came_and_shown_without_secrets() -> None:
    register_secret("AgentVersionNotReady")
    error = PermanentError("Foundry", "AgentVersionNotReady", "open a session", status=400)
    assert error.code == "AgentVersionNotReady"
    assert error.code in ("404", "AgentVersionNotReady")
    assert frozenset({"404", "AgentVersionNotReady"}) >= {error.code}
    assert error.code != HIDDEN
    assert str(error) == f"Foundry: {error.code}: open a session" == "Foundry: ***: open a session"
    assert ServiceCode(error.code) == "AgentVersionNotReady"


def test_an_answer_is_judged_by_the_code_that_came() -> None:
    register_secret("AgentVersionNotReady")
    judgement = judge_refusal(Answer(400, code=ServiceCode("AgentVersionNotReady")))
    assert judgement == Judgement(Verdict.NOT_YET, "answered 400 ***")


WORDS = b"""
agents:
  hello-agent:
    repository: agents/hello
    tags: {ignore: ["^bluewhale-"], allow: ["^(bluewhale|seahorses)-", "^grasshopper"]}
"""


@in_virtual_time
async def test_a_tag_is_judged_as_it_came() -> None:
    for word in ("bluewhale", "seahorses", "grasshopper"):
        register_secret(word)
    app = App(clock=VirtualClock(), agents=load_agents(WORDS))
    await app.pushed("seahorses-2", "a")
    await app.pushed("bluewhale-3", "b")
    await app.pushed("grasshopper", "c")
    assert app.journal.reasons() == ["ACCEPTED", "TAG_IGNORED", "ACCEPTED"]
    assert [line["tag"] for line in app.journal.lines] == ["***-2", "***-3", "***"]
    desired = await app.state_store.get_desired("hello-agent")
    assert desired.push is not None
    assert desired.push.tag == "grasshopper"


@in_virtual_time
async def test_two_tags_that_differ_in_a_secret_are_two_pushes() -> None:
    register_secret("hummingbird")
    register_secret("nightjars-of")
    app = app_with()
    assert await push_and_release(app, "hummingbird-1", "a") == "LIVE"
    await app.clock.sleep(60)
    await app.pushed("nightjars-of-1", "b")
    assert app.journal.reasons().count("ACCEPTED") == 2


def test_names_of_ours_are_not_masked_where_they_are_compared() -> None:
    register_secret("accepted-here")
    register_secret("ab" * 8)
    register_secret("cd" * 32)
    register_secret("APPROVAL_WAITING")
    keep_names(["accepted-here"])
    fields = {
        "agent": "accepted-here",
        "reason": "APPROVAL_WAITING",
        "images": " ".join([f"demo.azurecr.io/accepted-here@sha256:{'ab' * 32}"] * 40),
        "digest": f"sha256:{'ab' * 32}",
        "fingerprint": "cd" * 32,
        "detail": "accepted-here",
    }
    assert redact_fields(fields, 100) == fields | {"fingerprint": HIDDEN, "detail": HIDDEN}
    assert redact_data([{"agent": "accepted-here"}, {"agent": "accepted-here-2", "reason": "accepted-here"}]) == [
        {"agent": "accepted-here"}, {"agent": "***-2", "reason": HIDDEN},
    ]  # fmt: skip


@in_virtual_time
async def test_an_unknown_target_is_recorded_without_a_secret() -> None:
    register_secret("kingfisher-1")
    app = app_with()
    await app.released("kingfisher-1")
    assert [line["agent"] for line in app.journal.lines] == [HIDDEN]


def outputs(app: App) -> str:
    """Everything that the app stores, records or sends."""
    metadata = [version.metadata for agent in app.foundry.agents.values() for version in agent.versions.values()]
    return repr(
        (
            app.journal.lines,
            app.state_store.desired,
            app.state_store.releases,
            metadata,
            app.outcome_publisher.published,
        )
    )


@in_virtual_time
async def test_a_secret_in_an_events_tag_and_id_is_recorded_nowhere() -> None:
    register_secret(IN_A_TAG)
    app = app_with()
    at = app.clock.now().isoformat()
    data = push_data(tag=IN_A_TAG, digest=f"sha256:{'a' * 64}")
    await app.event(push_event(id=IN_A_TAG, eventTime=at, data=data))
    assert await app.released() == "LIVE"
    assert IN_A_TAG not in repr((app.journal.lines, app.outcome_publisher.published))
    desired, (version,) = await app.state_store.get_desired(AGENT), app.foundry.agents[AGENT].versions.values()
    assert desired.push is not None
    assert (desired.push.tag, desired.push.event_id) == (IN_A_TAG, HIDDEN)
    assert (version.metadata["slipway.tag"], version.metadata["slipway.event"]) == (IN_A_TAG, HIDDEN)


@in_virtual_time
async def test_a_secret_in_an_ignored_event_is_recorded_nowhere() -> None:
    register_secret(IN_A_TAG)
    app = app_with()
    await app.event(push_event(topic="x", id=IN_A_TAG), push_event(eventType="a" * 45 + IN_A_TAG))
    await handle_event(json.dumps(IN_A_TAG), app.agents, app.settings, app.gateways)
    assert app.journal.reasons() == ["OTHER_REGISTRY", "OTHER_EVENT_TYPE", "MALFORMED_EVENT"]
    assert "canary" not in outputs(app)


@in_virtual_time
async def test_a_secret_that_a_service_or_an_agent_repeats_is_stored_nowhere() -> None:
    app = app_with()
    app.key_vault.put("hello-key", IN_A_TAG)
    app.foundry.answers["a" * 64] = (Answer(400, IN_A_TAG, code="bad"), "pong")
    assert await push_and_release(app, "v1", "a") == "VERIFY_FAILED"
    app.foundry.failures["b" * 64] = Failure("ImageError", redact(f"exit 1: {IN_A_TAG}"))
    await app.clock.sleep(60)
    assert await push_and_release(app, "v2", "b") == "IMAGE_ERROR"
    assert IN_A_TAG not in outputs(app)


@in_virtual_time
async def test_a_failing_topic_fails_no_release_and_is_recorded() -> None:
    app = app_with()
    app.outcome_publisher.error = PermanentError("Event Grid", "403", "publish", status=403)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert app.journal.reasons()[-1] == "OUTCOME_NOT_PUBLISHED"
    assert await app.live() == "1"


@in_virtual_time
async def test_each_outcome_is_published_once() -> None:
    app = app_with()
    await push_and_release(app, "v1", "a")
    await app.clock.sleep(60)
    app.foundry.answers["b" * 64] = ("pong", "oops")
    await push_and_release(app, "v2", "b")
    await app.clock.sleep(60)
    await push_and_release(app, "v2-again", "b")
    assert app.outcome_publisher.kinds() == ["Slipway.Release.Live", "Slipway.Release.RolledBack"]


@in_virtual_time
async def test_a_waiting_approval_is_published_once() -> None:
    app = app_with("mode: manual")
    await push_and_release(app, "v1", "a")
    await app.released()
    assert app.outcome_publisher.kinds() == ["Slipway.Release.AwaitingApproval"]
