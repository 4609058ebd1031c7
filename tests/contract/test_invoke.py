"""Questions to an agent: what the real client makes of every answer that a container may give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.agents_file.spec import Probe
from core.model import Answer
from core.release.gates.answers import Verdict, judge_answer
from handlers.gateways.errors import TransientError
from tests.contract.test_foundry import DEFINITION, Arranged, Faked, Served, arranged, served
from tests.support.local_clients import plan_faults

__all__ = ["arranged", "served"]

ASK = Probe(ask="ping", expect="pong")
POST = Probe(post={"q": "ping"}, expect="pong")
WITHIN = 2.0


async def made(arranged: Arranged) -> None:
    await arranged.foundry.create_version("hello", DEFINITION, {})
    arranged.clock.passed += 21


async def opened(arranged: Arranged) -> str:
    session = await arranged.foundry.open_session("hello", "1", WITHIN)
    assert isinstance(session, str)
    return session


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
async def test_a_version_answers_in_a_session_and_with_traffic(arranged: Arranged, probe: Probe) -> None:
    await made(arranged)
    session = await opened(arranged)
    for asked_in in (session, None):
        answer = await arranged.foundry.ask("hello", probe, asked_in, WITHIN)
        assert (answer.status, answer.text, answer.problem) == (200, "pong", "")
        assert answer.version in (None, "1")
    await arranged.foundry.end_session("hello", session)
    assert (await arranged.foundry.ask("hello", probe, session, WITHIN)).status == 404
    await arranged.foundry.end_session("hello", session)


async def test_what_is_not_there_yet_says_so(arranged: Arranged) -> None:
    assert await arranged.foundry.open_session("hello", "1", WITHIN) == Answer(404, code="not_found")
    await arranged.foundry.create_version("hello", DEFINITION, {})
    assert await arranged.foundry.open_session("hello", "1", WITHIN) == Answer(400, code="AgentVersionNotReady")
    answer = await arranged.foundry.ask("hello", ASK, None, WITHIN)
    assert (answer.status, answer.code) == (400, "AgentVersionNotReady")


def answers(served: Served, told: Any) -> None:
    served.stand_in.project.provisioning.answer["a" * 64] = told


ODD = [
    pytest.param("huge", Verdict.WRONG, "more than 1,000,000 bytes", id="3 MB"),
    pytest.param("endless", Verdict.WRONG, "not to the end within 1 s", id="for ever"),
    pytest.param("half", Verdict.NOT_YET, "cut off", id="half"),
    pytest.param("binary", Verdict.WRONG, "not UTF-8", id="not text"),
    pytest.param("redirect", Verdict.WRONG, "307", id="a redirect"),
    pytest.param("empty", Verdict.WRONG, "", id="nothing"),
]


@pytest.mark.parametrize("probe", [ASK, POST], ids=["responses", "invocations"])
@pytest.mark.parametrize(("odd", "verdict", "told"), ODD)
async def test_an_odd_answer_is_one_that_proves_nothing_good(
    served: Served, probe: Probe, odd: str, verdict: Verdict, told: str
) -> None:
    await made(served)
    answers(served, {"odd": odd})
    judged = judge_answer(probe, await served.foundry.ask("hello", probe, None, 1.0), "1")
    assert judged.verdict is verdict
    assert told in judged.detail


REFUSED = [
    pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, Answer(429), id="429"),
    pytest.param({"status": 503}, Answer(503), id="503"),
    pytest.param({"status": 403, "body": {"error": {"code": "Forbidden"}}}, Answer(403, code="Forbidden"), id="403"),
    pytest.param({"status": 500, "body": "<html>"}, Answer(500), id="HTML"),
    pytest.param({"status": 500, "body": []}, Answer(500), id="a list"),
]


@pytest.mark.parametrize(("fault", "expected"), REFUSED)
async def test_a_refusal_is_an_answer_and_is_asked_once(
    served: Served, fault: dict[str, Any], expected: Answer
) -> None:
    await made(served)
    await plan_faults(served.url, {"path": "/endpoint/", **fault})
    answer = await served.foundry.ask("hello", ASK, None, WITHIN)
    assert replace(answer, text="") == expected
    assert await served.foundry.open_session("hello", "1", WITHIN) == expected
    assert len([one for one in served.stand_in.requests if "/endpoint/" in one["path"]]) == 2


async def test_an_answer_that_is_no_response_object_proves_nothing(served: Served) -> None:
    await made(served)
    bodies: tuple[object, ...] = ("<html>", [], "pong")
    for body in bodies:
        await plan_faults(served.url, {"path": "/responses", "status": 200, "body": body})
        answer = await served.foundry.ask("hello", ASK, None, WITHIN)
        assert answer.problem == "which is not a response object"
    await plan_faults(served.url, {"path": "/responses", "status": 200, "body": {"output": [{"content": ["x"]}, 7]}})
    assert await served.foundry.ask("hello", ASK, None, WITHIN) == Answer(200)


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"delay_s": 3.0, "status": 200}], ids=["a closed connection", "a late answer"]
)
async def test_no_answer_at_all_says_nothing_about_the_version(served: Served, fault: dict[str, Any]) -> None:
    await made(served)
    await plan_faults(served.url, {"path": "/endpoint/", **fault})
    with pytest.raises(TransientError):
        await served.foundry.ask("hello", ASK, None, 0.3)
    with pytest.raises(TransientError):
        await served.foundry.open_session("hello", "1", 0.3)


async def test_a_service_that_is_down_says_nothing_about_the_version(served: Served) -> None:
    await served.stand_in.stop()
    with pytest.raises(TransientError):
        await served.foundry.ask("hello", ASK, None, 0.3)
    with pytest.raises(TransientError):
        await served.foundry.open_session("hello", "1", 0.3)


async def test_an_open_session_keeps_its_version(arranged: Arranged) -> None:
    await made(arranged)
    session = await opened(arranged)
    kept = await arranged.foundry.delete_version("hello", "1")
    await arranged.foundry.end_session("hello", session)
    assert (kept.value, (await arranged.foundry.delete_version("hello", "1")).value) == ("sessions_active", "deleted")


async def test_a_fake_says_whether_it_was_asked_with_traffic(arranged: Arranged) -> None:
    if isinstance(arranged, Faked):
        await made(arranged)
        arranged.foundry.answers["a" * 64] = ("pong", "oops")
        session = await opened(arranged)
        assert (await arranged.foundry.ask("hello", ASK, session, WITHIN)).text == "pong"
        assert (await arranged.foundry.ask("hello", ASK, None, WITHIN)).text == "oops"
