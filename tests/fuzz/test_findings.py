"""Bugs that fuzzing found, one test each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.agents_file.spec import Probe
from core.model import UNKNOWN_TIME, Agent
from core.release.gates.answers import Verdict, judge_answer
from handlers.events.event_queued import handle_event
from handlers.gateways.azure_http import MAX_RETRY_AFTER_SECONDS
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.redaction import register_secret
from handlers.release_agent.reconcile import handle_message, reconcile
from tests.fuzz import services
from tests.fuzz.events import AGENTS
from tests.fuzz.foundry import AGENT, FOUNDRY, HTTP, VERSION
from tests.fuzz.gateways import SETTINGS, in_memory_gateways
from tests.fuzz.records import AT
from tests.fuzz.wire import Answer
from tests.support.builders import push_data, push_event

GZIP = (("Content-Encoding", "gzip"),)
ASK = Probe(ask="ping", expect="pong")


def json_answer(body: Any, *headers: tuple[str, str], status: int = 200) -> Answer:
    return Answer(status, headers, json.dumps(body).encode())


def answer_with(*answers: Answer) -> None:
    HTTP.answers = list(answers)


async def test_an_event_with_a_lone_surrogate_in_its_tag_is_handled() -> None:
    gateways = in_memory_gateways()
    await handle_event(json.dumps(push_event(data=push_data(tag="v\ud800"))), AGENTS, SETTINGS, gateways)
    assert (await gateways.state_store.get_desired("pushed")).push is None
    assert isinstance(gateways.journal, InMemoryJournal)
    assert gateways.journal.reasons() == ["MALFORMED_EVENT"]  # no registry has such a tag


async def test_a_message_with_a_lone_surrogate_is_reported() -> None:
    gateways = in_memory_gateways()
    await handle_message('{"target": "\\ud800"}', AGENTS, SETTINGS, gateways)
    assert isinstance(gateways.journal, InMemoryJournal)
    assert gateways.journal.reasons() == ["AGENT_UNKNOWN"]


async def test_an_agents_answer_that_is_wrongly_marked_as_gzip_is_not_an_error() -> None:
    answer_with(Answer(200, GZIP, b"pong"))
    judgement = judge_answer(ASK, await FOUNDRY.ask("a", ASK, None, 5.0), "3")
    assert judgement.verdict is Verdict.NOT_YET


async def test_an_agents_answer_with_a_lone_surrogate_is_wrong() -> None:
    answer_with(json_answer({"output": [{"type": "message", "content": [{"text": "a\udfffb"}]}]}))
    judgement = judge_answer(ASK, await FOUNDRY.ask("a", ASK, None, 5.0), "3")
    assert judgement.verdict is Verdict.WRONG


@pytest.mark.parametrize("body", [b"pong", json.dumps(AGENT).encode()])
async def test_an_answer_of_foundry_that_is_wrongly_marked_as_gzip_is_transient(body: bytes) -> None:
    answer_with(Answer(200, GZIP, body))
    with pytest.raises(TransientError):
        await FOUNDRY.get_agent("a")


@pytest.mark.parametrize("number", [None, "abc", "", "٣", "9" * 5_000, {}, -1])
async def test_a_version_without_a_number_is_not_readable(number: Any) -> None:
    answer_with(json_answer(VERSION | {"version": number}))
    with pytest.raises(TransientError, match="not readable"):
        await FOUNDRY.get_version("a", "3")


async def test_a_latest_version_without_a_number_is_ignored() -> None:
    answer_with(json_answer(AGENT | {"versions": {"latest": VERSION | {"version": "draft"}}}))
    found = await FOUNDRY.get_agent("a")
    assert isinstance(found, Agent)
    assert found.latest is None


async def test_a_version_created_in_the_year_thirty_million_has_an_unknown_time() -> None:
    answer_with(json_answer(VERSION | {"created_at": 1e15}))
    found = await FOUNDRY.get_version("a", "3")
    assert found is not None
    assert found.created_at == UNKNOWN_TIME


@pytest.mark.parametrize(
    "version", [{}, {"version": None}, {"version": "1", "metadata": ["x"]}, {"version": "1", "tools": [3]}]
)
async def test_a_malformed_toolbox_version_is_transient(version: Any) -> None:
    answer_with(json_answer({"data": [], "has_more": False}), json_answer(version))
    with pytest.raises(TransientError):
        await FOUNDRY.ensure_toolbox("a-tools", [{"type": "code_interpreter"}])


@pytest.mark.parametrize("attributes", [True, {"exp": "soon"}])
async def test_a_secret_with_malformed_dates_is_transient(attributes: Any) -> None:
    services.HTTP.answers = [services.VAULT_CHALLENGE, json_answer(services.SECRET | {"attributes": attributes})]
    with pytest.raises(TransientError):
        await services.ScriptedKeyVault().get_secret("hello-key", None)


async def test_a_torn_journal_line_hides_no_other_line() -> None:
    data = b'{"reason": "LIVE"}\n{"reason": "PRO\n7\n{"reason": "PRUNED"}\n'
    services.HTTP.answers = [services.journal_listing(), services.as_blob(Answer(200, (), data))]
    assert await services.JOURNAL.read_day(AT) == [
        {"reason": "LIVE"}, {"unreadable": '{"reason": "PRO'}, {"unreadable": "7"}, {"reason": "PRUNED"},
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"at": 3}'])
async def test_an_unreadable_marker_is_empty(data: bytes) -> None:
    services.HTTP.answers = [services.as_blob(Answer(200, (), data))]
    assert await services.STATE_STORE.read_marker("missed-pushes") == "", "as if it was never written"


@pytest.mark.parametrize("body", [b"{}", b"<html>", b""])
async def test_an_answer_of_the_queue_that_is_not_xml_is_transient(body: bytes) -> None:
    services.HTTP.answers = [Answer(201, (("Content-Type", "application/xml"),), body)]
    with pytest.raises(TransientError):
        await services.QUEUE.enqueue("a")


@pytest.mark.parametrize("generation", ["", "x", "3.5"])
async def test_an_agent_with_malformed_metadata_is_listed_as_unfinished(generation: str) -> None:
    listed = services.LISTING.format(generation, "3", "ended")
    services.HTTP.answers = [Answer(200, (("Content-Type", "application/xml"),), listed.encode())] * 2
    assert await services.STATE_STORE.list_agents(unfinished=True) == ["a"]


class Throttled(InMemoryFoundry):
    """Foundry that answers with 429."""

    retry_after = 0.0

    async def get_agent(self, name: str) -> Agent | None:
        raise TransientError("Foundry", "429", "too many requests", retry_after=self.retry_after)


async def test_a_retry_after_of_an_hour_requeues_the_release_without_waiting_under_the_lease() -> None:
    gateways = in_memory_gateways()
    throttled = Throttled(gateways.clock)
    throttled.retry_after = 3600.0
    gateways = replace(gateways, foundry=throttled)
    await handle_event(json.dumps(push_event()), AGENTS, SETTINGS, gateways)
    began = gateways.clock.monotonic()
    reason = await reconcile(AGENTS.agents["pushed"], SETTINGS, gateways)
    assert reason == "SERVICE_UNAVAILABLE"
    assert gateways.clock.monotonic() - began < 60, "the lease is released at once"
    assert isinstance(gateways.release_queue, InMemoryReleaseQueue)
    assert gateways.release_queue.sent[-1] == ("pushed", 3600.0), "the queue waits"


@pytest.mark.parametrize("retry_after", ["9" * 400, "99999999999"])
async def test_a_retry_after_of_years_is_limited(retry_after: str) -> None:
    answer_with(Answer(429, (("Retry-After", retry_after),), b"{}"))
    with pytest.raises(TransientError) as failed:
        await FOUNDRY.get_agent("a")
    assert failed.value.retry_after == MAX_RETRY_AFTER_SECONDS


@pytest.mark.parametrize("retry_after", ["-5", "0.5", "soon", "1e9", "nan", " ", "Wed, 02 Dec 2026 07:28:00 GMT"])
async def test_a_retry_after_that_is_not_a_number_of_seconds_is_as_none(retry_after: str) -> None:
    answer_with(Answer(429, (("Retry-After", retry_after),), b"{}"))
    with pytest.raises(TransientError) as failed:
        await FOUNDRY.get_agent("a")
    assert (failed.value.throttled, failed.value.retry_after) == (True, None)


async def test_the_sdk_does_not_wait_for_a_retry_after() -> None:
    before = HTTP.requests
    answer_with(Answer(429, (("Retry-After", "3600"),), b"{}"), json_answer(AGENT))
    with pytest.raises(TransientError):
        await FOUNDRY.get_agent("a")
    assert HTTP.requests == before + 1


@pytest.mark.parametrize(("status", "expected"), [(500, TransientError), (416, PermanentError)])
async def test_an_error_code_of_the_vault_may_be_a_number(status: int, expected: type[GatewayError]) -> None:
    register_secret("a secret that redaction looks for in every code")
    with pytest.raises(expected, match="Key Vault: 1"):
        await services._vault(("read", [json_answer({"error": {"code": 1}}, status=status)]))
