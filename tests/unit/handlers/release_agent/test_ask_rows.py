"""The rows of a dataset are asked several at once, in sessions of the version, within a time for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from core.agents_file.dataset import EvaluationRow
from core.agents_file.spec import Probe
from core.evaluation import AskedRows
from core.model import Answer, Definition
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.redaction import foreign_answer
from handlers.release_agent.ask_rows import TIME_IS_UP, RowAsker
from handlers.release_agent.session_closer import SessionCloser
from tests.simulation.virtual_time import VirtualClock, in_virtual_time

DEFINITION = Definition("demo.azurecr.io/agents/hello@sha256:" + "a" * 64, "1", "2Gi", (("responses", "2.0.0"),), {})
QUOTA = Answer(429, code="QuotaExceeded", origin="service")
WRONG = Answer(400, code="invalid_request_error", origin="agent")
Behaviour = Callable[[Probe], "str | Answer | None"]


class SlowFoundry(InMemoryFoundry):
    """Answers after a second, and counts what happens at once."""

    def __init__(self, behaviour: Behaviour = lambda probe: f"answer to {probe.ask}", sessions: int = 20) -> None:
        super().__init__(VirtualClock(), provisioning=0)
        self.behaviour, self.sessions = behaviour, sessions
        self.seconds = 1.0
        self.opened = self.ended = self.asked = self.at_once = self.most_at_once = 0

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        if self.opened >= self.sessions:
            return foreign_answer(QUOTA)
        self.opened += 1
        return await super().open_session(agent, version, within)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        assert session is not None
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(min(self.seconds, within))
        finally:
            self.at_once -= 1
        answer = self.behaviour(probe)
        if answer is None:
            raise TransientError("Foundry", "no answer", "ask")
        version = self.agents[agent].probe_sessions[session]
        return foreign_answer(answer if isinstance(answer, Answer) else Answer(200, answer, version=version))

    async def end_session(self, agent: str, session: str) -> None:
        self.ended += 1
        await super().end_session(agent, session)


def questions(count: int) -> list[EvaluationRow]:
    return [EvaluationRow(number, f"question {number}") for number in range(count)]


async def asked(
    foundry: SlowFoundry, rows: list[EvaluationRow], rows_at_once: int = 4, within: float = 600
) -> AskedRows:
    """The result; every session must have ended."""
    await foundry.create_version("hello", DEFINITION, {})
    async with SessionCloser(foundry) as closer:
        found = await RowAsker("hello", "1", rows, foundry, foundry.clock, closer, within).ask_all(rows_at_once)
    assert foundry.ended == foundry.opened
    assert not foundry.agents["hello"].probe_sessions
    return found


@in_virtual_time
async def test_a_hundred_rows_at_four_at_once_take_a_quarter_of_their_time() -> None:
    foundry, rows = SlowFoundry(), questions(100)
    began = foundry.clock.monotonic()
    found = await asked(foundry, rows)
    assert foundry.clock.monotonic() - began <= 25 * 1.1
    assert [answer.text for answer in found.answers] == [f"answer to {row.ask}" for row in rows]
    assert {answer.seconds for answer in found.answers} == {1.0}
    assert (foundry.most_at_once, foundry.opened, foundry.asked) == (4, 4, 100)


@in_virtual_time
async def test_there_are_no_more_sessions_than_rows() -> None:
    foundry = SlowFoundry()
    assert len((await asked(foundry, questions(2), rows_at_once=20)).answers) == 2
    assert foundry.opened == 2


@in_virtual_time
async def test_a_session_that_the_quota_refuses_leaves_its_rows_to_the_others() -> None:
    foundry = SlowFoundry(sessions=2)
    assert len((await asked(foundry, questions(8))).answers) == 8
    assert foundry.most_at_once == 2


@in_virtual_time
async def test_without_any_session_nothing_is_known() -> None:
    foundry = SlowFoundry(sessions=0)
    found = await asked(foundry, questions(8))
    assert (found.answers, found.inconclusive) == ((), "answered 429 QuotaExceeded without a session")


@in_virtual_time
async def test_both_protocols_are_asked_and_an_empty_answer_to_a_question_is_none() -> None:
    foundry = SlowFoundry(lambda probe: f"{probe.post}" if probe.post else "")
    found = await asked(foundry, [EvaluationRow(1, post={"q": 1}), EvaluationRow(2, "ping")])
    assert [answer.text for answer in found.answers] == ["{'q': 1}", None]


@in_virtual_time
async def test_a_wrong_answer_is_one_row_without_an_answer() -> None:
    foundry = SlowFoundry(lambda probe: WRONG if probe.ask == "question 1" else "fine")
    found = await asked(foundry, questions(3))
    assert [answer.text for answer in found.answers] == ["fine", None, "fine"]
    assert found.answers[1].detail == "answered 400 invalid_request_error"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (QUOTA, "row 2: answered 429 QuotaExceeded"),
        (Answer(403, origin="service"), "row 2: answered 403"),
        (Answer(409, code="AgentDisabled"), "row 2: answered 409 AgentDisabled"),
        (None, "row 2: no answer: ask"),
    ],
)
def test_a_row_of_which_nothing_is_known_ends_the_others(answer: Answer | None, detail: str) -> None:
    @in_virtual_time
    async def check() -> None:
        foundry = SlowFoundry(lambda probe: answer if probe.ask == "question 1" else "fine")
        found = await asked(foundry, questions(1_000))
        assert found == AskedRows(inconclusive=detail)
        assert foundry.asked < 500

    check()


@in_virtual_time
async def test_a_quota_that_comes_back_costs_a_row_no_time() -> None:
    refusals = [QUOTA, QUOTA]
    foundry = SlowFoundry(lambda probe: refusals.pop() if refusals else "fine")
    found = await asked(foundry, questions(1))
    assert [(answer.text, answer.seconds) for answer in found.answers] == [("fine", 1.0)]


@in_virtual_time
async def test_rows_beyond_the_time_for_all_of_them_say_nothing_about_the_version() -> None:
    foundry = SlowFoundry()
    assert await asked(foundry, questions(100), within=10) == AskedRows(inconclusive=TIME_IS_UP)
    assert foundry.asked <= 44


@in_virtual_time
async def test_sessions_end_where_the_work_is_cancelled() -> None:
    foundry = SlowFoundry()
    work = asyncio.ensure_future(asked(foundry, questions(100)))
    await asyncio.sleep(3.5)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (foundry.opened, foundry.ended) == (4, 4)


@in_virtual_time
async def test_no_answer_stands_in_the_representation_of_the_result() -> None:
    assert "answer to" not in f"{await asked(SlowFoundry(), questions(2))}"
