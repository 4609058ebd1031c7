"""What fuzzing found, each under the name of what went wrong."""

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
from tests.fuzz.foundry import AGENT, FOUNDRY, LINE, VERSION
from tests.fuzz.gateways import SETTINGS, world
from tests.fuzz.records import AT
from tests.fuzz.wire import Answer
from tests.support.builders import push_data, push_event

GZIP = (("Content-Encoding", "gzip"),)
ASK = Probe(ask="ping", expect="pong")


def told(body: Any, *headers: tuple[str, str], status: int = 200) -> Answer:
    return Answer(status, headers, json.dumps(body).encode())


async def foundry(*answers: Answer) -> None:
    LINE.answers = list(answers)


async def test_half_a_character_in_a_tag_was_an_event_that_came_again_until_it_was_poison() -> None:
    gateways = world()
    await handle_event(json.dumps(push_event(data=push_data(tag="v\ud800"))), AGENTS, SETTINGS, gateways)
    noted = (await gateways.state_store.get_desired("pushed")).push
    assert noted is not None
    assert noted.tag == "v?"


async def test_half_a_character_in_a_message_kept_it_from_being_told() -> None:
    gateways = world()
    await handle_message('{"target": "\\ud800"}', AGENTS, SETTINGS, gateways)
    assert isinstance(gateways.journal, InMemoryJournal)
    assert gateways.journal.reasons() == ["AGENT_UNKNOWN"]


async def test_an_agent_that_calls_its_answer_gzip_stopped_the_release_with_an_error_of_zlib() -> None:
    await foundry(Answer(200, GZIP, b"pong"))
    judged = judge_answer(ASK, await FOUNDRY.ask("a", ASK, None, 5.0), "3")
    assert judged.verdict is Verdict.NOT_YET


async def test_half_a_character_in_an_agents_answer_stopped_the_release_with_an_error_of_re2() -> None:
    await foundry(told({"output": [{"type": "message", "content": [{"text": "a\udfffb"}]}]}))
    judged = judge_answer(ASK, await FOUNDRY.ask("a", ASK, None, 5.0), "3")
    assert judged.verdict is Verdict.WRONG


@pytest.mark.parametrize("body", [b"pong", json.dumps(AGENT).encode()])
async def test_an_answer_of_foundry_that_calls_itself_gzip_left_as_an_error_of_zlib(body: bytes) -> None:
    await foundry(Answer(200, GZIP, body))
    with pytest.raises(TransientError):
        await FOUNDRY.get_agent("a")


@pytest.mark.parametrize("number", [None, "abc", "", "٣", "9" * 5_000, {}, -1])
async def test_a_version_without_a_number_broke_the_comparison_of_two(number: Any) -> None:
    await foundry(told(VERSION | {"version": number}))
    with pytest.raises(TransientError, match="not readable"):
        await FOUNDRY.get_version("a", "3")


async def test_a_newest_version_without_a_number_broke_the_next_create() -> None:
    await foundry(told(AGENT | {"versions": {"latest": VERSION | {"version": "draft"}}}))
    found = await FOUNDRY.get_agent("a")
    assert isinstance(found, Agent)
    assert found.latest is None


async def test_a_version_of_the_year_thirty_million_left_as_an_overflow() -> None:
    await foundry(told(VERSION | {"created_at": 1e15}))
    found = await FOUNDRY.get_version("a", "3")
    assert found is not None
    assert found.created_at == UNKNOWN_TIME


@pytest.mark.parametrize(
    "made", [{}, {"version": None}, {"version": "1", "metadata": ["x"]}, {"version": "1", "tools": [3]}]
)
async def test_a_toolbox_version_that_is_none_left_as_a_key_error(made: Any) -> None:
    await foundry(told({"data": [], "has_more": False}), told(made))
    with pytest.raises(TransientError):
        await FOUNDRY.ensure_toolbox("a-tools", [{"type": "code_interpreter"}])


@pytest.mark.parametrize("attributes", [True, {"exp": "soon"}])
async def test_a_secret_whose_dates_are_text_broke_the_comparison_with_now(attributes: Any) -> None:
    services.LINE.answers = [services.CHALLENGE, told(services.SECRET | {"attributes": attributes})]
    with pytest.raises(TransientError):
        await services.ReachedVault().get_secret("hello-key", None)


async def test_a_torn_line_hid_every_other_line_of_its_day() -> None:
    data = b'{"reason": "LIVE"}\n{"reason": "PRO\n7\n{"reason": "PRUNED"}\n'
    gone = Answer(404, (("x-ms-error-code", "BlobNotFound"),))
    services.LINE.answers = [services.as_blob(Answer(200, (), data)), gone]
    assert await services.JOURNAL.read_day(AT) == [
        {"reason": "LIVE"}, {"unreadable": '{"reason": "PRO'}, {"unreadable": "7"}, {"reason": "PRUNED"},
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"at": 3}'])
async def test_a_marker_that_a_person_broke_stopped_the_timer_for_ever(data: bytes) -> None:
    services.LINE.answers = [services.as_blob(Answer(200, (), data))]
    assert await services.LEDGER.read_marker("catch-up") == "", "what cannot be read is as good as never written"


@pytest.mark.parametrize("body", [b"{}", b"<html>", b""])
async def test_an_answer_of_the_queue_that_is_no_xml_left_as_a_parse_error(body: bytes) -> None:
    services.LINE.answers = [Answer(201, (("Content-Type", "application/xml"),), body)]
    with pytest.raises(TransientError):
        await services.QUEUE.enqueue("a")


@pytest.mark.parametrize("generation", ["", "x", "3.5"])
async def test_metadata_that_a_person_wrote_stopped_the_listing_of_unfinished_work(generation: str) -> None:
    listed = services.LISTING.format(generation, "3", "ended")
    services.LINE.answers = [Answer(200, (("Content-Type", "application/xml"),), listed.encode())] * 2
    assert await services.LEDGER.list_agents(frozenset({"open"})) == ["a"], "it is looked at"


class Throttled(InMemoryFoundry):
    """Foundry that asks to be left alone."""

    wish = 0.0

    async def get_agent(self, name: str) -> Agent | None:
        raise TransientError("Foundry", "429", "too many requests", retry_after=self.wish)


async def test_a_wish_to_come_back_in_an_hour_was_slept_out_under_the_lease_until_the_host_killed_everything() -> None:
    gateways = world()
    throttled = Throttled(gateways.clock)
    throttled.wish = 3600.0
    gateways = replace(gateways, foundry=throttled)
    await handle_event(json.dumps(push_event()), AGENTS, SETTINGS, gateways)
    began = gateways.clock.monotonic()
    reason = await reconcile(AGENTS.agents["pushed"], SETTINGS, gateways)
    assert reason == "SERVICE_UNAVAILABLE"
    assert gateways.clock.monotonic() - began < 60, "the lease is given back at once"
    assert isinstance(gateways.release_queue, InMemoryReleaseQueue)
    assert gateways.release_queue.sent[-1] == ("pushed", 3600.0), "and the queue waits"


@pytest.mark.parametrize("wish", ["9" * 400, "99999999999"])
async def test_a_wish_of_years_was_believed(wish: str) -> None:
    await foundry(Answer(429, (("Retry-After", wish),), b"{}"))
    with pytest.raises(TransientError) as failed:
        await FOUNDRY.get_agent("a")
    assert failed.value.retry_after == MAX_RETRY_AFTER_SECONDS


async def test_a_throttled_read_was_slept_out_inside_the_sdk_where_nobody_renews_the_lease() -> None:
    before = LINE.requests
    await foundry(Answer(429, (("Retry-After", "3600"),), b"{}"), told(AGENT))
    with pytest.raises(TransientError):
        await FOUNDRY.get_agent("a")
    assert LINE.requests == before + 1


@pytest.mark.parametrize(("status", "left_as"), [(500, TransientError), (416, PermanentError)])
async def test_a_code_of_the_vault_that_is_a_number_left_as_a_type_error_once_a_secret_was_known(
    status: int, left_as: type[GatewayError]
) -> None:
    register_secret("a secret that is looked for in every code")
    with pytest.raises(left_as, match="Key Vault: 1"):
        await services._vault(("read", [told({"error": {"code": 1}}, status=status)]))
