"""How an agent's answers are judged, and how long it is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.agents_file.spec import Probe
from core.model import Answer
from core.release.gates.answers import Judgement, ProbeOutcome, ProbeReport, Verdict, judge_answer
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.release_agent.prober import Prober

ASK = Probe(ask="ping", expect="^pong$")
POST = Probe(post={"question": "ping"}, status=201, expect="pong")
ANYTHING = Probe(ask="ping", expect=".*")
ANSWERS = [
    pytest.param(ASK, Answer(200, "pong"), Verdict.PASSED, id="the expected text"),
    pytest.param(ASK, Answer(200, "pong", version="2"), Verdict.PASSED, id="from the version itself"),
    pytest.param(ASK, Answer(200, "pong", version="1"), Verdict.NOT_YET, id="from another version"),
    pytest.param(ASK, Answer(200, "no idea"), Verdict.WRONG, id="another text"),
    pytest.param(ASK, Answer(200), Verdict.WRONG, id="no text"),
    pytest.param(ASK, Answer(200, problem="which is not UTF-8 text"), Verdict.WRONG, id="unreadable"),
    pytest.param(ASK, Answer(307), Verdict.WRONG, id="a redirect"),
    pytest.param(ASK, Answer(400, code="invalid_request"), Verdict.WRONG, id="400"),
    *(
        pytest.param(ASK, Answer(400, code=code), Verdict.NOT_YET, id=code)
        for code in ("AgentVersionNotReady", "agent_version_not_ready", "session_not_ready", "AGENT-VERSION-NOT-READY")
    ),
    *(
        pytest.param(ASK, Answer(400, words, code="bad_request"), Verdict.NOT_YET, id=words)
        for words in (
            "Agent version is still being provisioned",
            "agent version IS BEING PROVISIONED [Request ID: 1]",
            "The active version is being swapped in.",
            "Version 7 of the agent is not yet ready",
        )
    ),
    pytest.param(ASK, Answer(400, "provisioning failed", code="bad_request"), Verdict.NOT_ASKED, id="other words"),
    *(
        pytest.param(ASK, Answer(status, code="unheard_of"), Verdict.NOT_ASKED, id=f"{status} with an unknown code")
        for status in (400, 402, 413, 422)
    ),
    pytest.param(ASK, Answer(403, code="preview_feature_required"), Verdict.NOT_ASKED, id="a preview feature"),
    pytest.param(ASK, Answer(422), Verdict.WRONG, id="422 without a code"),
    pytest.param(ASK, Answer(422, code="unheard_of", origin="agent"), Verdict.WRONG, id="422 of the agent"),
    pytest.param(ASK, Answer(403, code="no", origin="agent"), Verdict.WRONG, id="403 of the agent"),
    pytest.param(ASK, Answer(500, origin="service"), Verdict.NOT_ASKED, id="500 of the platform"),
    pytest.param(ASK, Answer(502, code="ReadinessTimeout", origin="service"), Verdict.NOT_YET, id="not up yet"),
    pytest.param(ASK, Answer(422, code="x", version="1"), Verdict.NOT_YET, id="422 from another version"),
    pytest.param(ASK, Answer(200, problem="too large", version="1"), Verdict.NOT_YET, id="noise from another version"),
    pytest.param(ASK, Answer(200, "pong", response_status="completed"), Verdict.PASSED, id="completed"),
    *(
        pytest.param(ASK, Answer(200, "pong", response_status=status), verdict, id=f"the text, but {status}")
        for status, verdict in (
            ("failed", Verdict.NOT_YET),
            ("in_progress", Verdict.NOT_YET),
            ("queued", Verdict.NOT_YET),
            ("incomplete", Verdict.WRONG),
            ("cancelled", Verdict.WRONG),
        )
    ),
    pytest.param(
        ASK,
        Answer(200, response_status="failed", code="rate_limit_exceeded"),
        Verdict.NOT_ASKED,
        id="failed by a quota",
    ),
    pytest.param(ANYTHING, Answer(200, other_output="a refusal"), Verdict.WRONG, id="a refusal"),
    pytest.param(ANYTHING, Answer(200), Verdict.WRONG, id="no text at all"),
    *(
        pytest.param(ASK, Answer(status), Verdict.NOT_YET, id=str(status))
        for status in (404, 408, 409, 424, 500, 502, 503, 504)
    ),
    pytest.param(ASK, Answer(401), Verdict.FORBIDDEN, id="401"),
    pytest.param(ASK, Answer(403), Verdict.FORBIDDEN, id="403"),
    pytest.param(ASK, Answer(403, code="AgentDisabled"), Verdict.DISABLED, id="disabled"),
    pytest.param(ASK, Answer(429), Verdict.NOT_ASKED, id="429"),
    pytest.param(ASK, Answer(403 + 26, code="QuotaExceeded"), Verdict.NOT_ASKED, id="quota"),
    pytest.param(POST, Answer(201, "pong"), Verdict.PASSED, id="post: the expected text"),
    pytest.param(POST, Answer(200, "pong"), Verdict.WRONG, id="post: another status"),
    pytest.param(POST, Answer(503), Verdict.NOT_YET, id="post: not up yet"),
    pytest.param(Probe(post={}, status=404), Answer(404), Verdict.PASSED, id="post: an expected error"),
    pytest.param(
        Probe(post={}, status=404), Answer(404, code="SandboxNotFound"), Verdict.NOT_YET, id="post: an error of Foundry"
    ),
    *(
        pytest.param(
            Probe(post={}, status=status), Answer(status, code="unheard_of"), Verdict.PASSED, id=f"post: {status}"
        )
        for status in (400, 422, 500)
    ),
    pytest.param(
        Probe(post={}, status=404), Answer(404, code="x", origin="agent"), Verdict.PASSED, id="post: 404 of the agent"
    ),
    pytest.param(Probe(post={}, status=403), Answer(403, code="x"), Verdict.FORBIDDEN, id="post: 403 of Foundry"),
    pytest.param(
        Probe(post={}, status=500), Answer(500, origin="service"), Verdict.NOT_ASKED, id="post: 500 of the platform"
    ),
    pytest.param(
        Probe(post={}, status=400),
        Answer(400, "version is still being provisioned", code="bad_request"),
        Verdict.NOT_YET,
        id="post: still starting",
    ),
    pytest.param(
        Probe(post={}, status=422), Answer(400, code="x", origin="agent"), Verdict.WRONG, id="post: other 4xx"
    ),
]


@pytest.mark.parametrize(("probe", "answer", "verdict"), ANSWERS)
def test_each_answer_has_one_verdict(probe: Probe, answer: Answer, verdict: Verdict) -> None:
    judgement = judge_answer(probe, answer, "2")
    assert judgement.verdict is verdict
    assert bool(judgement.detail) == (verdict is not Verdict.PASSED)


def test_a_judgement_does_not_quote_the_answer() -> None:
    assert "canary" not in judge_answer(ASK, Answer(200, "canary-9f"), "2").detail
    assert judge_answer(ASK, Answer(200, "canary-9f"), "2") == Judgement(
        Verdict.WRONG, "answered 9 characters that do not match ^pong$"
    )


DETAILS = [
    (Answer(200, "pong", response_status="failed", code="server_error"), "200 with status failed (server_error)"),
    (Answer(200, response_status="failed"), "answered 200 with status failed"),
    (
        Answer(200, "po", response_status="incomplete", incomplete_reason="max_output_tokens"),
        "answered 200 with status incomplete (max_output_tokens)",
    ),
    (Answer(200, response_status="cancelled"), "answered 200 with status cancelled"),
    (Answer(200, other_output="1 function_call"), "answered with no text, but with 1 function_call"),
    (Answer(500, code="server_error", request_id="3ad40610"), "answered 500 server_error (request 3ad40610)"),
]


@pytest.mark.parametrize(("answer", "detail"), DETAILS)
def test_the_detail_says_what_is_wrong_with_an_answer(answer: Answer, detail: str) -> None:
    assert judge_answer(ASK, answer, "2").detail.endswith(detail)


class ScriptedFoundry(InMemoryFoundry):
    """A Foundry that returns the given sessions and answers in order, and repeats the last of each."""

    def __init__(self, clock: ManualClock, script: list[Answer | str], sessions: list[str | Answer | None]) -> None:
        super().__init__(clock)
        self.script, self.sessions = script, sessions
        self.ended: list[str] = []

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        session = self.sessions.pop(0) if len(self.sessions) > 1 else self.sessions[0]
        if session is None:
            raise TransientError("Foundry", "unreachable", "open a session")
        return session

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, str):
            await self.clock.sleep(min(5.0, within))
            raise TransientError("Foundry", answer, "ask", retry_after=2.0)
        return answer

    async def end_session(self, agent: str, session: str) -> None:
        self.ended.append(session)
        raise TransientError("Foundry", "unreachable", "delete a session")


IN_S, IN_T = Answer(200, "pong", session="s"), Answer(200, "pong", session="t")
ELSEWHERE = [
    pytest.param(IN_S, Verdict.PASSED, "", id="in the session"),
    pytest.param(IN_T, Verdict.NOT_YET, "another session answered in place of that of version 2", id="in another one"),
    pytest.param(replace(IN_T, version="2"), Verdict.PASSED, "", id="another session of the version"),
    pytest.param(
        replace(IN_S, version="9", version_from_body=True),
        Verdict.PASSED,
        "",
        id="a body does not count in the session",
    ),
    pytest.param(
        replace(IN_S, version="9"), Verdict.NOT_YET, "version 9 answered in place of 2", id="a header counts more"
    ),
    pytest.param(
        replace(IN_T, version="9", version_from_body=True),
        Verdict.NOT_YET,
        "version 9 answered in place of 2",
        id="a body counts elsewhere",
    ),
]


@pytest.mark.parametrize(("answer", "verdict", "detail"), ELSEWHERE)
def test_a_session_proves_more_than_a_body_and_a_header_more_than_both(
    answer: Answer, verdict: Verdict, detail: str
) -> None:
    judgement = judge_answer(ASK, answer, "2", "s")
    assert (judgement.verdict, judgement.detail, judgement.unknown_at_timeout) == (verdict, detail, bool(detail))


PONG, WRONG, DOWN = Answer(200, "pong"), Answer(200, "no"), Answer(503)
STARTING = Answer(400, "Agent version is still being provisioned", code="bad_request")
UNKNOWN, OTHER_VERSION = Answer(400, code="unheard_of"), Answer(200, "pong", version="1")
FORBIDDEN, BUSY = Answer(403), Answer(429, code="QuotaExceeded")
REPORTS = [
    pytest.param([PONG], ["s"], ProbeOutcome.PASSED, 0, id="the first answer passes"),
    pytest.param([DOWN, DOWN, PONG], ["s"], ProbeOutcome.PASSED, 1.5, id="the third answer passes"),
    pytest.param([WRONG], ["s"], ProbeOutcome.FAILED, 0, id="a wrong answer is not asked again"),
    pytest.param([DOWN], ["s"], ProbeOutcome.FAILED, 60, id="the version never comes up"),
    pytest.param([STARTING, PONG], ["s"], ProbeOutcome.PASSED, 0.5, id="still starting, then up"),
    pytest.param([STARTING], ["s"], ProbeOutcome.FAILED, 60, id="still starting for ever"),
    pytest.param([PONG], [STARTING, "s"], ProbeOutcome.PASSED, 0.5, id="still starting for a session"),
    pytest.param([PONG], [UNKNOWN], ProbeOutcome.INCONCLUSIVE, 60, id="a session refused with an unknown code"),
    pytest.param([UNKNOWN], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="an unknown code of the service"),
    pytest.param([UNKNOWN, PONG], ["s"], ProbeOutcome.PASSED, 0.5, id="an unknown code of the service, once"),
    pytest.param([OTHER_VERSION], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="another version answers all the time"),
    pytest.param([Answer(404, code="SandboxNotFound")], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="the session is gone"),
    pytest.param([BUSY], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="no quota"),
    pytest.param(["no answer"], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="no network"),
    pytest.param(["no answer", PONG], ["s"], ProbeOutcome.PASSED, 7, id="the network comes back"),
    pytest.param([FORBIDDEN], ["s"], ProbeOutcome.FORBIDDEN, 0, id="no permission to ask"),
    pytest.param([PONG], [FORBIDDEN], ProbeOutcome.FORBIDDEN, 0, id="no permission to open a session"),
    pytest.param([PONG], [BUSY], ProbeOutcome.INCONCLUSIVE, 60, id="no quota for a session"),
    pytest.param([PONG], [None], ProbeOutcome.INCONCLUSIVE, 60, id="no network for a session"),
    pytest.param([PONG], [Answer(424)], ProbeOutcome.FAILED, 60, id="a session that never comes up"),
    pytest.param([PONG], [Answer(200)], ProbeOutcome.FAILED, 60, id="a session without a name"),
    pytest.param([PONG], [Answer(409), "s"], ProbeOutcome.PASSED, 0.5, id="the second attempt opens a session"),
]


@pytest.mark.parametrize(("script", "sessions", "outcome", "seconds"), REPORTS)
async def test_a_version_is_asked_until_it_answers_or_its_time_is_up(
    script: list[Answer | str], sessions: list[str | Answer | None], outcome: ProbeOutcome, seconds: float
) -> None:
    clock = ManualClock()
    foundry = ScriptedFoundry(clock, list(script), list(sessions))
    report = await Prober("hello", "2", foundry, clock).verify((ASK,))
    assert report.outcome is outcome
    assert clock.passed == pytest.approx(seconds, abs=0.01)
    assert foundry.ended == (["s"] if "s" in sessions else [])


class StalledClock(ManualClock):
    """The clock of a process that stands still for 90 seconds in its second sleep."""

    sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await super().sleep(seconds + (90 if self.sleeps == 2 else 0))


async def test_the_time_of_an_agent_starts_anew_if_the_process_stood_still() -> None:
    clock = StalledClock()
    foundry = ScriptedFoundry(clock, [DOWN, DOWN, DOWN, PONG], ["s"])
    assert (await Prober("hello", "2", foundry, clock).verify((ASK,))).outcome is ProbeOutcome.PASSED
    never_up = await Prober("hello", "2", ScriptedFoundry(StalledClock(), [DOWN], ["s"]), StalledClock()).verify((ASK,))
    assert never_up.outcome is ProbeOutcome.FAILED


async def test_all_questions_must_be_answered_and_the_report_names_the_failed_question() -> None:
    clock = ManualClock()
    foundry = ScriptedFoundry(clock, [PONG, WRONG], ["s"])
    report = await Prober("hello", "2", foundry, clock).verify((ASK, ASK))
    assert report == ProbeReport(ProbeOutcome.FAILED, "question 2 of 2: answered 2 characters that do not match ^pong$")


async def test_a_check_opens_no_session() -> None:
    clock = ManualClock()
    foundry = ScriptedFoundry(clock, [PONG], [None])
    assert await Prober("hello", "2", foundry, clock).check((ASK,)) == ProbeReport(ProbeOutcome.PASSED)


async def test_the_refusal_of_a_session_is_reported_with_the_words_of_the_service() -> None:
    refused = Answer(400, code="unheard_of", message="The region is full.", origin="service")
    report = await Prober("hello", "2", ScriptedFoundry(ManualClock(), [PONG], [refused]), ManualClock()).verify((ASK,))
    assert report.detail == "answered 400 unheard_of without a session: The region is full."


SESSIONS = [Answer(424, code="session_not_ready", session="a"), replace(DOWN, session="b"), replace(PONG, session="c")]


async def test_a_check_ends_the_session_of_every_question_whatever_came_of_it() -> None:
    foundry = ScriptedFoundry(ManualClock(), list(SESSIONS), [None])
    assert (await Prober("hello", "2", foundry, foundry.clock).check((ASK,))).outcome is ProbeOutcome.PASSED
    assert foundry.ended == ["a", "b", "c"]


async def test_a_pinned_session_is_ended_once() -> None:
    foundry = ScriptedFoundry(ManualClock(), [replace(DOWN, session="s"), replace(PONG, session="s")], ["s"])
    assert (await Prober("hello", "2", foundry, foundry.clock).verify((ASK,))).outcome is ProbeOutcome.PASSED
    assert foundry.ended == ["s"]


async def test_a_version_that_answered_a_question_is_not_failed_for_starting_again() -> None:
    foundry = ScriptedFoundry(ManualClock(), [PONG, STARTING], [None])
    report = await Prober("hello", "2", foundry, foundry.clock).check((ASK, ASK))
    assert report.outcome is ProbeOutcome.INCONCLUSIVE
    assert report.detail == "question 2 of 2: answered 400 bad_request"
