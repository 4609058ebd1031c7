"""How long a command waits for services that are busy, and what it reads meanwhile."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from cli.concurrency import MAX_CONCURRENT_READS, MAX_WAIT, MIN_WAIT_SECONDS, try_to_read_agents
from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import App
from tests.unit.cli.support import context_of

PROJECTS = [f"hello-agent@p{number:02}" for number in range(2 * MAX_CONCURRENT_READS)]
LAST = PROJECTS[-1]
HANGS_SECONDS = 3600.0


async def read(clock: Clock, agent: str, *, answers: str = "", hangs: bool = False) -> str:
    """One agent answers; a read of another one is refused, or hangs."""
    if agent == answers:
        return agent
    await clock.sleep(HANGS_SECONDS if hangs else 0.0)
    raise TransientError("Foundry", "429", f"get agent {agent}", throttled=True, retry_after=1.0)


@pytest.mark.parametrize("hangs", [False, True])
def test_all_projects_together_are_waited_for_once_and_none_that_answers_is_left_out(hangs: bool) -> None:
    @in_virtual_time
    async def check() -> None:
        app = App(clock=VirtualClock())
        began = app.clock.now()
        ask = partial(read, app.clock, answers=LAST, hangs=hangs)
        reads = await try_to_read_agents(context_of(app), PROJECTS, ask, MAX_WAIT)
        assert app.clock.now() - began <= MAX_WAIT + timedelta(seconds=MIN_WAIT_SECONDS)
        assert (list(reads.found), len(reads.unread)) == ([LAST], len(PROJECTS) - 1)

    check()


@in_virtual_time
async def test_of_a_project_that_does_not_answer_no_other_agent_is_asked() -> None:
    app, asked = App(clock=VirtualClock()), list[str]()
    names = [f"agent-{number}" for number in range(4 * MAX_CONCURRENT_READS)]

    async def ask(agent: str) -> str:
        asked.append(agent)
        return await read(app.clock, agent, hangs=True)

    reads = await try_to_read_agents(context_of(app), names, ask, MAX_WAIT)
    assert (len(reads.unread), asked) == (len(names), names[:MAX_CONCURRENT_READS])


@in_virtual_time
async def test_agents_that_are_read_one_by_one_are_waited_for() -> None:
    """The wait is over once nothing is read for so long: not while a busy service still answers one after another."""
    app, slow = App(clock=VirtualClock()), MAX_WAIT.total_seconds() * 0.75

    async def ask(agent: str) -> str:
        await app.clock.sleep(slow)
        return agent

    reads = await try_to_read_agents(context_of(app), PROJECTS, ask, MAX_WAIT)
    assert list(reads.found) == PROJECTS
