"""How an agent's answers are judged, and how long it is asked."""

from __future__ import annotations

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
ANSWERS = [
    pytest.param(ASK, Answer(200, "pong"), Verdict.PASSED, id="the expected text"),
    pytest.param(ASK, Answer(200, "pong", version="2"), Verdict.PASSED, id="from the version itself"),
    pytest.param(ASK, Answer(200, "pong", version="1"), Verdict.NOT_YET, id="from another version"),
    pytest.param(ASK, Answer(200, "no idea"), Verdict.WRONG, id="another text"),
    pytest.param(ASK, Answer(200), Verdict.WRONG, id="no text"),
    pytest.param(ASK, Answer(200, problem="which is not UTF-8 text"), Verdict.WRONG, id="unreadable"),
    pytest.param(ASK, Answer(307), Verdict.WRONG, id="a redirect"),
    pytest.param(ASK, Answer(400, code="invalid_request"), Verdict.WRONG, id="400"),
    pytest.param(ASK, Answer(400, code="AgentVersionNotReady"), Verdict.NOT_YET, id="provisioning"),
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


PONG, WRONG, DOWN = Answer(200, "pong"), Answer(200, "no"), Answer(503)
FORBIDDEN, BUSY = Answer(403), Answer(429, code="QuotaExceeded")
REPORTS = [
    pytest.param([PONG], ["s"], ProbeOutcome.PASSED, 0, id="the first answer passes"),
    pytest.param([DOWN, DOWN, PONG], ["s"], ProbeOutcome.PASSED, 1.5, id="the third answer passes"),
    pytest.param([WRONG], ["s"], ProbeOutcome.FAILED, 0, id="a wrong answer is not asked again"),
    pytest.param([DOWN], ["s"], ProbeOutcome.FAILED, 60, id="the version never comes up"),
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
