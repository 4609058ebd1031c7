"""What an agent's answer proves, and how long it is asked."""

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
    pytest.param(ASK, Answer(200, "pong"), Verdict.PASSED, id="what is expected"),
    pytest.param(ASK, Answer(200, "pong", version="2"), Verdict.PASSED, id="by the version itself"),
    pytest.param(ASK, Answer(200, "pong", version="1"), Verdict.NOT_YET, id="by another version"),
    pytest.param(ASK, Answer(200, "no idea"), Verdict.WRONG, id="something else"),
    pytest.param(ASK, Answer(200), Verdict.WRONG, id="nothing"),
    pytest.param(ASK, Answer(200, problem="which is not UTF-8 text"), Verdict.WRONG, id="unreadable"),
    pytest.param(ASK, Answer(307), Verdict.WRONG, id="a redirect"),
    pytest.param(ASK, Answer(400, code="invalid_request"), Verdict.WRONG, id="400"),
    pytest.param(ASK, Answer(400, code="AgentVersionNotReady"), Verdict.NOT_YET, id="still being provisioned"),
    *(pytest.param(ASK, Answer(one), Verdict.NOT_YET, id=str(one)) for one in (404, 408, 409, 424, 500, 502, 503, 504)),
    pytest.param(ASK, Answer(401), Verdict.FORBIDDEN, id="401"),
    pytest.param(ASK, Answer(403), Verdict.FORBIDDEN, id="403"),
    pytest.param(ASK, Answer(403, code="AgentDisabled"), Verdict.DISABLED, id="disabled"),
    pytest.param(ASK, Answer(429), Verdict.NOT_ASKED, id="429"),
    pytest.param(ASK, Answer(403 + 26, code="QuotaExceeded"), Verdict.NOT_ASKED, id="quota"),
    pytest.param(POST, Answer(201, "pong"), Verdict.PASSED, id="post: what is expected"),
    pytest.param(POST, Answer(200, "pong"), Verdict.WRONG, id="post: another status"),
    pytest.param(POST, Answer(503), Verdict.NOT_YET, id="post: not up yet"),
    pytest.param(Probe(post={}, status=404), Answer(404), Verdict.PASSED, id="post: an error that is expected"),
    pytest.param(
        Probe(post={}, status=404), Answer(404, code="SandboxNotFound"), Verdict.NOT_YET, id="post: the service's"
    ),
]


@pytest.mark.parametrize(("probe", "answer", "verdict"), ANSWERS)
def test_an_answer_and_what_it_means(probe: Probe, answer: Answer, verdict: Verdict) -> None:
    judged = judge_answer(probe, answer, "2")
    assert judged.verdict is verdict
    assert bool(judged.detail) == (verdict is not Verdict.PASSED)


def test_no_word_of_an_answer_is_told() -> None:
    assert "canary" not in judge_answer(ASK, Answer(200, "canary-9f"), "2").detail
    assert judge_answer(ASK, Answer(200, "canary-9f"), "2") == Judgement(
        Verdict.WRONG, "answered 9 characters that do not match ^pong$"
    )


class Script(InMemoryFoundry):
    """A Foundry that answers what it was told to, one after the other; the last answer stays."""

    def __init__(self, clock: ManualClock, said: list[Answer | str], opened: list[str | Answer | None]) -> None:
        super().__init__(clock)
        self.said, self.opened = said, opened
        self.ended: list[str] = []

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        told = self.opened.pop(0) if len(self.opened) > 1 else self.opened[0]
        if told is None:
            raise TransientError("Foundry", "unreachable", "open a session")
        return told

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        told = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(told, str):
            await self.clock.sleep(min(5.0, within))
            raise TransientError("Foundry", told, "ask", retry_after=2.0)
        return told

    async def end_session(self, agent: str, session: str) -> None:
        self.ended.append(session)
        raise TransientError("Foundry", "unreachable", "delete a session")


PONG, WRONG, DOWN = Answer(200, "pong"), Answer(200, "no"), Answer(503)
FORBIDDEN, BUSY = Answer(403), Answer(429, code="QuotaExceeded")
PROOFS = [
    pytest.param([PONG], ["s"], ProbeOutcome.PASSED, 0, id="at once"),
    pytest.param([DOWN, DOWN, PONG], ["s"], ProbeOutcome.PASSED, 1.5, id="the third time"),
    pytest.param([WRONG], ["s"], ProbeOutcome.FAILED, 0, id="a wrong answer is not asked again"),
    pytest.param([DOWN], ["s"], ProbeOutcome.FAILED, 60, id="never up"),
    pytest.param([BUSY], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="no quota"),
    pytest.param(["no answer"], ["s"], ProbeOutcome.INCONCLUSIVE, 60, id="no network"),
    pytest.param(["no answer", PONG], ["s"], ProbeOutcome.PASSED, 7, id="the network came back"),
    pytest.param([FORBIDDEN], ["s"], ProbeOutcome.FORBIDDEN, 0, id="not allowed to ask"),
    pytest.param([PONG], [FORBIDDEN], ProbeOutcome.FORBIDDEN, 0, id="not allowed to open a session"),
    pytest.param([PONG], [BUSY], ProbeOutcome.INCONCLUSIVE, 60, id="no session left"),
    pytest.param([PONG], [None], ProbeOutcome.INCONCLUSIVE, 60, id="no network for a session"),
    pytest.param([PONG], [Answer(424)], ProbeOutcome.FAILED, 60, id="a session that never comes up"),
    pytest.param([PONG], [Answer(200)], ProbeOutcome.FAILED, 60, id="a session without a name"),
    pytest.param([PONG], [Answer(409), "s"], ProbeOutcome.PASSED, 0.5, id="a session the second time"),
]


@pytest.mark.parametrize(("said", "opened", "outcome", "took"), PROOFS)
async def test_a_version_is_asked_until_it_answers_or_its_time_is_up(
    said: list[Answer | str], opened: list[str | Answer | None], outcome: ProbeOutcome, took: float
) -> None:
    clock = ManualClock()
    foundry = Script(clock, list(said), list(opened))
    proof = await Prober("hello", "2", foundry, clock).verify((ASK,))
    assert proof.outcome is outcome
    assert clock.passed == pytest.approx(took, abs=0.01)
    assert foundry.ended == (["s"] if "s" in opened else [])


class Hanging(ManualClock):
    """A clock of a process that stands still for a while in its second sleep."""

    sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await super().sleep(seconds + (90 if self.sleeps == 2 else 0))


async def test_an_agent_is_given_its_time_anew_where_it_was_we_who_stood_still() -> None:
    clock = Hanging()
    foundry = Script(clock, [DOWN, DOWN, DOWN, PONG], ["s"])
    assert (await Prober("hello", "2", foundry, clock).verify((ASK,))).outcome is ProbeOutcome.PASSED
    silent = await Prober("hello", "2", Script(Hanging(), [DOWN], ["s"]), Hanging()).verify((ASK,))
    assert silent.outcome is ProbeOutcome.FAILED


async def test_every_question_must_be_answered_and_the_one_that_is_not_is_named() -> None:
    clock = ManualClock()
    foundry = Script(clock, [PONG, WRONG], ["s"])
    proof = await Prober("hello", "2", foundry, clock).verify((ASK, ASK))
    assert proof == ProbeReport(ProbeOutcome.FAILED, "question 2 of 2: answered 2 characters that do not match ^pong$")


async def test_a_check_opens_no_session() -> None:
    clock = ManualClock()
    foundry = Script(clock, [PONG], [None])
    assert await Prober("hello", "2", foundry, clock).check((ASK,)) == ProbeReport(ProbeOutcome.PASSED)
