"""Probes of an agent: how the gateway reads every answer that a container may give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.agents_file.spec import Probe
from core.model import Answer
from core.release.gates.answers import Verdict, judge_answer
from handlers.gateways.errors import TransientError
from handlers.redaction import open_words
from tests.contract.test_foundry import (
    DEFINITION,
    FoundryUnderTest,
    InMemoryUnderTest,
    StandInUnderTest,
    metadata_counts,
    real,
    tested,
)
from tests.support.local_clients import plan_faults

__all__ = ["metadata_counts", "real", "tested"]

ASK = Probe(ask="ping", expect="pong")
POST = Probe(post={"q": "ping"}, expect="pong")
WITHIN = 2.0


async def create_active_version(tested: FoundryUnderTest) -> None:
    await tested.foundry.create_version("hello", DEFINITION, {})
    tested.clock.passed += 21


async def open_session(tested: FoundryUnderTest) -> str:
    session = await tested.foundry.open_session("hello", "1", WITHIN)
    assert isinstance(session, str)
    return session


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
async def test_a_version_answers_in_a_session_and_with_traffic(tested: FoundryUnderTest, probe: Probe) -> None:
    await create_active_version(tested)
    session = await open_session(tested)
    for session_or_traffic in (session, None):
        answer = await tested.foundry.ask("hello", probe, session_or_traffic, WITHIN)
        assert (answer.status, answer.text, answer.problem) == (200, "pong", "")
        assert answer.version in (None, "1")
    await tested.foundry.end_session("hello", session)
    assert (await tested.foundry.ask("hello", probe, session, WITHIN)).status == 404
    await tested.foundry.end_session("hello", session)


async def test_a_version_that_is_missing_or_not_ready_is_reported_as_such(tested: FoundryUnderTest) -> None:
    assert await tested.foundry.open_session("hello", "1", WITHIN) == Answer(404, code="not_found")
    await tested.foundry.create_version("hello", DEFINITION, {})
    assert await tested.foundry.open_session("hello", "1", WITHIN) == Answer(400, code="agent_version_not_ready")
    answer = await tested.foundry.ask("hello", ASK, None, WITHIN)
    assert (answer.status, answer.code) == (400, "agent_version_not_ready")


@pytest.mark.parametrize("form", ["agent_version_not_ready", "bad_request", "header"])
async def test_a_version_that_is_still_provisioned_is_not_yet_wrong_in_any_form(
    real: StandInUnderTest, form: str
) -> None:
    real.stand_in.project.provisioning.not_ready = form
    await real.foundry.create_version("hello", DEFINITION, {})
    refused = await real.foundry.open_session("hello", "1", WITHIN)
    assert isinstance(refused, Answer)
    for answer in (refused, *[await real.foundry.ask("hello", probe, None, WITHIN) for probe in (ASK, POST)]):
        judgement = judge_answer(ASK, answer, "1")
        assert (judgement.verdict, judgement.still_starting) == (Verdict.NOT_YET, True)
    assert ("still being provisioned" in refused.message) == (form != "header")


INNER = {"code": "bad_request", "message": "no", "innererror": {"code": "AgentVersionNotReady"}}
IN_DETAILS = {"code": "bad_request", "message": "no", "details": [{"code": "x"}, {"code": "agent_version_not_ready"}]}


@pytest.mark.parametrize("error", [INNER, IN_DETAILS], ids=["inner error", "details"])
async def test_a_nested_code_counts(real: StandInUnderTest, error: dict[str, Any]) -> None:
    await create_active_version(real)
    await plan_faults(real.url, {"path": "/endpoint/", "status": 400, "body": {"error": error}})
    refused = await real.foundry.open_session("hello", "1", WITHIN)
    assert isinstance(refused, Answer)
    for answer in (refused, await real.foundry.ask("hello", ASK, None, WITHIN)):
        assert judge_answer(ASK, answer, "1").verdict is Verdict.NOT_YET


HEADERS = [
    pytest.param({}, {"code": "new"}, Verdict.NOT_ASKED, id="the service's code"),
    pytest.param({}, {"code": "invalid_request"}, Verdict.WRONG, id="a code of the server for agents"),
    pytest.param({}, {"code": "some words"}, Verdict.WRONG, id="no code, but words"),
    pytest.param({"x-platform-error-source": "platform"}, {}, Verdict.NOT_ASKED, id="the platform"),
    pytest.param({"x-platform-error-source": "upstream"}, {"code": "new"}, Verdict.WRONG, id="the agent"),
    pytest.param({"x-platform-error-source": "user"}, {"code": "new"}, Verdict.WRONG, id="the agent, of the question"),
    pytest.param({"x-platform-server": "core/2"}, {"code": "new"}, Verdict.WRONG, id="the server for agents"),
    pytest.param({"x-agent-version-resolved": "1"}, {"code": "new"}, Verdict.WRONG, id="the version itself"),
    pytest.param({"x-agent-version-resolved": "7"}, {"code": "new"}, Verdict.NOT_YET, id="another version"),
    pytest.param({"x-adc-response-details": "platform"}, {}, Verdict.NOT_ASKED, id="the gateway"),
    pytest.param({"x-adc-response-details": "upstream"}, {"code": "new"}, Verdict.WRONG, id="behind the gateway"),
    pytest.param({"x-adc-response-details": "QuotaExceeded"}, {}, Verdict.NOT_ASKED, id="a code in the header"),
]


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
@pytest.mark.parametrize(("headers", "error", "verdict"), HEADERS)
async def test_an_error_counts_against_the_agent_only_if_the_agent_gave_it(
    real: StandInUnderTest, probe: Probe, headers: dict[str, str], error: dict[str, str], verdict: Verdict
) -> None:
    await create_active_version(real)
    fault = {"path": "/endpoint/", "status": 422, "headers": headers, "body": {"error": error}}
    await plan_faults(real.url, fault)
    assert judge_answer(probe, await real.foundry.ask("hello", probe, None, WITHIN), "1").verdict is verdict


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
async def test_the_header_names_the_version_that_answered_over_both_protocols(
    real: StandInUnderTest, probe: Probe
) -> None:
    await create_active_version(real)
    body = {"output": [{"content": [{"text": "pong"}]}], "agent_reference": {"version": "1"}}
    for header, verdict in (("7", Verdict.NOT_YET), ("1", Verdict.PASSED)):
        headers = {"x-agent-version-resolved": header}
        await plan_faults(real.url, {"path": "/endpoint/", "status": 200, "headers": headers, "body": body})
        judgement = judge_answer(probe, await real.foundry.ask("hello", probe, None, WITHIN), "1")
        assert judgement.verdict is verdict
        assert judgement.detail in ("", "version 7 answered in place of 1")


async def test_a_body_that_names_a_version_is_known_as_such(real: StandInUnderTest) -> None:
    await create_active_version(real)
    body = {"output": [{"content": [{"text": "pong"}]}], "agent_reference": {"version": "9"}}
    await plan_faults(real.url, {"path": "/endpoint/", "status": 200, "body": body})
    answer = await real.foundry.ask("hello", ASK, None, WITHIN)
    assert (answer.version, answer.version_from_body) == ("9", True)


@pytest.mark.parametrize("status", [422, 500])
async def test_a_probe_may_expect_an_error_of_the_agent(real: StandInUnderTest, status: int) -> None:
    await create_active_version(real)
    error = {"message": "no", "type": "server_error", "code": "server_error", "param": None}
    for headers in (
        {},
        {"x-platform-server": "azure-ai-agentserver-core/2.2.0", "x-platform-error-source": "upstream"},
    ):
        fault = {"path": "/endpoint/", "status": status, "headers": headers, "body": {"error": error}}
        await plan_faults(real.url, fault)
        probe = Probe(post={"q": "ping"}, status=status)
        answer = await real.foundry.ask("hello", probe, None, WITHIN)
        assert judge_answer(probe, answer, "1").verdict is Verdict.PASSED


MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "pong"}]}
REASONING = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "pong"}]}
ECHO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "pong"}]}
REFUSAL = {"type": "message", "content": [{"type": "refusal", "refusal": "pong"}]}
CALL = {"type": "function_call", "name": "pong"}
RESPONSES: list[Any] = [
    pytest.param({}, Verdict.PASSED, "", id="completed"),
    pytest.param(
        {"status": "failed", "error": {"code": "server_error"}}, Verdict.NOT_YET, "(server_error)", id="failed"
    ),
    pytest.param(
        {"status": "Failed", "error": {"code": "my own words"}}, Verdict.NOT_YET, "failed", id="failed in words"
    ),
    pytest.param(
        {"status": None, "error": {"code": "x"}}, Verdict.NOT_YET, "failed (x)", id="an error without a status"
    ),
    pytest.param(
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        Verdict.WRONG,
        "incomplete (max_output_tokens)",
        id="incomplete",
    ),
    pytest.param({"status": "in_progress"}, Verdict.NOT_YET, "in_progress", id="in progress"),
    pytest.param({"status": "queued"}, Verdict.NOT_YET, "queued", id="queued"),
    pytest.param({"status": "cancelled"}, Verdict.WRONG, "cancelled", id="cancelled"),
    pytest.param({"status": 7}, Verdict.PASSED, "", id="a status that is none"),
    pytest.param({"output": [REFUSAL]}, Verdict.WRONG, "but with a refusal", id="a refusal"),
    pytest.param({"output": [CALL, CALL]}, Verdict.WRONG, "but with 2 function_call", id="function calls"),
    pytest.param(
        {"output": [REASONING, {"type": "pong"}]}, Verdict.WRONG, "1 other item and 1 reasoning", id="thoughts"
    ),
    pytest.param({"output": [ECHO]}, Verdict.WRONG, "with no text", id="the question again"),
    pytest.param({"output": [REASONING, CALL, MESSAGE]}, Verdict.PASSED, "", id="text beside others"),
    pytest.param({"agent_reference": {"version": "7"}}, Verdict.PASSED, "", id="the header names the version"),
]


@pytest.mark.parametrize(("members", "verdict", "detail"), RESPONSES)
async def test_a_response_is_judged_by_its_own_status_and_its_text(
    real: StandInUnderTest, members: dict[str, Any], verdict: Verdict, detail: str
) -> None:
    await create_active_version(real)
    answer_with(real, {"response": members})
    probe = Probe(ask="ping", expect=".*")
    answer = await real.foundry.ask("hello", probe, None, WITHIN)
    judgement = judge_answer(probe, open_words(answer), "1")
    assert judgement.verdict is verdict is judge_answer(probe, answer, "1").verdict
    assert detail in judgement.detail
    assert "own words" not in judgement.detail


async def test_a_question_stores_nothing(real: StandInUnderTest) -> None:
    await create_active_version(real)
    await real.foundry.ask("hello", ASK, None, WITHIN)
    assert real.stand_in.requests[-1]["body"] == {"input": "ping", "store": False}


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
async def test_an_answer_names_its_session_and_version(tested: FoundryUnderTest, probe: Probe) -> None:
    await create_active_version(tested)
    answer = await tested.foundry.ask("hello", probe, None, WITHIN)
    assert (answer.version, answer.origin, bool(answer.session)) == ("1", "agent", True)
    assert (await tested.foundry.delete_version("hello", "1")).value == "sessions_active"
    await tested.foundry.end_session("hello", answer.session)
    assert (await tested.foundry.delete_version("hello", "1")).value == "deleted"


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
@pytest.mark.parametrize("kind", [{"status": 500}, {"status": 424, "code": "session_not_ready"}])
async def test_a_failed_question_names_its_session(real: StandInUnderTest, probe: Probe, kind: dict[str, Any]) -> None:
    await create_active_version(real)
    answer_with(real, kind)
    answer = await real.foundry.ask("hello", probe, None, WITHIN)
    assert answer.status == kind["status"]
    assert list(real.stand_in.project.agents["hello"].sessions) == [answer.session]
    assert answer.request_id or probe is POST


def answer_with(real: StandInUnderTest, answer: Any) -> None:
    real.stand_in.project.provisioning.answer["a" * 64] = answer


BAD_ANSWERS = [
    pytest.param("huge", Verdict.WRONG, "more than 1,000,000 bytes", id="3 MB"),
    pytest.param("endless", Verdict.WRONG, "not to the end within 1 s", id="for ever"),
    pytest.param("half", Verdict.NOT_YET, "cut off", id="half"),
    pytest.param("binary", Verdict.WRONG, "not UTF-8", id="not text"),
    pytest.param("redirect", Verdict.WRONG, "307", id="a redirect"),
    pytest.param("empty", Verdict.WRONG, "", id="nothing"),
]


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
@pytest.mark.parametrize(("kind", "verdict", "detail"), BAD_ANSWERS)
async def test_a_malformed_answer_does_not_pass(
    real: StandInUnderTest, probe: Probe, kind: str, verdict: Verdict, detail: str
) -> None:
    await create_active_version(real)
    answer_with(real, {"odd": kind})
    judgement = judge_answer(probe, await real.foundry.ask("hello", probe, None, 1.0), "1")
    assert judgement.verdict is verdict
    assert detail in judgement.detail


REFUSED = [
    pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, Answer(429), id="429"),
    pytest.param({"status": 503}, Answer(503), id="503"),
    pytest.param({"status": 403, "body": {"error": {"code": "Forbidden"}}}, Answer(403, code="Forbidden"), id="403"),
    pytest.param({"status": 500, "body": "<html>"}, Answer(500), id="HTML"),
    pytest.param({"status": 500, "body": []}, Answer(500), id="a list"),
]


@pytest.mark.parametrize(("fault", "expected"), REFUSED)
async def test_an_error_status_is_an_answer_and_is_not_retried(
    real: StandInUnderTest, fault: dict[str, Any], expected: Answer
) -> None:
    await create_active_version(real)
    await plan_faults(real.url, {"path": "/endpoint/", **fault})
    answer = await real.foundry.ask("hello", ASK, None, WITHIN)
    assert replace(answer, text="") == expected
    assert await real.foundry.open_session("hello", "1", WITHIN) == expected
    assert len([request for request in real.stand_in.requests if "/endpoint/" in request["path"]]) == 2


async def test_an_answer_that_is_not_a_response_object_is_a_problem(real: StandInUnderTest) -> None:
    await create_active_version(real)
    bodies: tuple[object, ...] = ("<html>", [], "pong")
    for body in bodies:
        await plan_faults(real.url, {"path": "/responses", "status": 200, "body": body})
        answer = await real.foundry.ask("hello", ASK, None, WITHIN)
        assert answer.problem == "which is not a response object"
    await plan_faults(real.url, {"path": "/responses", "status": 200, "body": {"output": [{"content": ["x"]}, 7]}})
    assert await real.foundry.ask("hello", ASK, None, WITHIN) == Answer(200)


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"delay_s": 3.0, "status": 200}], ids=["a closed connection", "a late answer"]
)
async def test_no_answer_raises_a_transient_error(real: StandInUnderTest, fault: dict[str, Any]) -> None:
    await create_active_version(real)
    await plan_faults(real.url, {"path": "/endpoint/", **fault})
    with pytest.raises(TransientError):
        await real.foundry.ask("hello", ASK, None, 0.3)
    with pytest.raises(TransientError):
        await real.foundry.open_session("hello", "1", 0.3)


async def test_a_service_that_is_down_raises_a_transient_error(real: StandInUnderTest) -> None:
    await real.stand_in.stop()
    with pytest.raises(TransientError):
        await real.foundry.ask("hello", ASK, None, 0.3)
    with pytest.raises(TransientError):
        await real.foundry.open_session("hello", "1", 0.3)


async def test_a_version_with_an_open_session_is_not_deleted(tested: FoundryUnderTest) -> None:
    await create_active_version(tested)
    session = await open_session(tested)
    first = await tested.foundry.delete_version("hello", "1")
    await tested.foundry.end_session("hello", session)
    assert (first.value, (await tested.foundry.delete_version("hello", "1")).value) == ("sessions_active", "deleted")


async def test_the_foundry_in_memory_answers_differently_before_and_with_traffic(tested: FoundryUnderTest) -> None:
    if isinstance(tested, InMemoryUnderTest):
        await create_active_version(tested)
        tested.foundry.answers["a" * 64] = ("pong", "oops")
        session = await open_session(tested)
        assert (await tested.foundry.ask("hello", ASK, session, WITHIN)).text == "pong"
        assert (await tested.foundry.ask("hello", ASK, None, WITHIN)).text == "oops"
