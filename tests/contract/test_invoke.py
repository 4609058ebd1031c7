"""Probes of an agent: how the gateway reads every answer that a container may give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.agents_file.spec import Probe
from core.model import Answer
from core.release.gates.answers import Verdict, judge_answer
from handlers.gateways.errors import TransientError
from tests.contract.test_foundry import DEFINITION, FoundryUnderTest, InMemoryUnderTest, StandInUnderTest, real, tested
from tests.support.local_clients import plan_faults

__all__ = ["real", "tested"]

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
