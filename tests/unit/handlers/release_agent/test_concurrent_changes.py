"""The agent changes before any call of a release: the release ends with a reason, and the next push goes live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from core.model import Agent, Failure, Routing, TrafficRule
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, app_with, push_and_release

LIVE, CANDIDATE = "2", "3"
SPLIT = Routing((TrafficRule("1", 50), TrafficRule("2", 50)))
MAX_CALLS = 60
"""No release here makes as many calls of Foundry."""
WRITES = ("create_version", "set_routing", "delete_version")


class ChangingFoundry:
    """A Foundry that changes before its call number ``at``; each call takes a second."""

    def __init__(self, target: InMemoryFoundry, clock: VirtualClock) -> None:
        self.target, self._clock = target, clock
        self.calls: list[str] = []
        self.at, self.before = -1, dict[str, Callable[[], None]]()
        self.change: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if len(self.calls) == self.at:
                self.change()
            self.calls.append(name)
            await self._clock.sleep(1)
            self.before.get(name, lambda: None)()
            return await getattr(self.target, name)(*args, **kwargs)

        return call


def delete_agent(foundry: InMemoryFoundry) -> None:
    foundry.agents.pop(AGENT, None)


def disable_agent(foundry: InMemoryFoundry) -> None:
    foundry.agents[AGENT].enabled = False


def delete_candidate(foundry: InMemoryFoundry) -> None:
    foundry.agents[AGENT].remove(CANDIDATE)


def fail_live(foundry: InMemoryFoundry) -> None:
    versions = foundry.agents[AGENT].versions
    versions[LIVE] = replace(versions[LIVE], failure=Failure("ProvisioningError", "gone bad"))


def split(foundry: InMemoryFoundry) -> None:
    foundry.agents[AGENT].routing = SPLIT


CHANGES: Mapping[str, Callable[[InMemoryFoundry], None]] = {
    "the agent is deleted": delete_agent,
    "the agent is disabled": disable_agent,
    "the candidate is deleted": delete_candidate,
    "the live version fails": fail_live,
    "a person splits the traffic": split,
}


async def live_at_two(answers: str) -> tuple[App, ChangingFoundry]:
    """Versions 1 and 2 exist, 2 is live, and the next version gives ``answers``."""
    app = app_with()
    for tag, letter in (("v1", "a"), ("v2", "b")):
        assert await push_and_release(app, tag, letter) == "LIVE"
        await app.clock.sleep(3600)
    if answers == "wrongly with traffic":
        app.foundry.answers["c" * 64] = ("pong", "oops")
    foundry = ChangingFoundry(app.foundry, app.clock)
    app.gateways = replace(app.gateways, foundry=foundry)
    return app, foundry


async def until_ended(app: App) -> ReleaseState:
    """Deliver the message as often as the queue does."""
    for _ in range(6):
        await app.released()
        release = await app.state_store.get_release(AGENT)
        if not release.is_open and release.observed_generation == (await app.state_store.get_desired(AGENT)).generation:
            return release
        await app.clock.sleep(80)
    raise AssertionError(f"the release never ends: {app.journal.reasons()[-6:]}")


@pytest.mark.parametrize("answers", ["well", "wrongly with traffic"])
@pytest.mark.parametrize("change", CHANGES)
@in_virtual_time
async def test_a_release_ends_with_a_reason_whatever_changes_during_it(change: str, answers: str) -> None:
    for at in range(MAX_CALLS):
        app, foundry = await live_at_two(answers)
        before: list[ReleaseState] = []

        def apply(app: App = app, before: list[ReleaseState] = before) -> None:
            before.append(app.state_store.releases[AGENT].state)
            CHANGES[change](app.foundry)

        foundry.at, foundry.change = at, apply
        await app.pushed("v3", "c")
        release = await until_ended(app)
        assert release.reason in Reason.__members__
        if not before:
            assert at > 10, "the release makes more than ten calls"
            return
        assert_safe(change, app, foundry.calls[at], before[0])
        await assert_next_push_goes_live(app)
    raise AssertionError(f"a release makes {MAX_CALLS} calls")


def assert_safe(change: str, app: App, call: str, before: ReleaseState) -> None:
    """A version that was not verified has no traffic, and a person's split stays unless the release was writing."""
    agent = app.foundry.agents.get(AGENT)
    if agent is None:
        return
    if agent.routing.routes_to(CANDIDATE):
        assert (AGENT, CANDIDATE, True) in app.foundry.probes
    if change == "a person splits the traffic" and before.push and before.push.tag == "v3" and call not in WRITES:
        assert agent.routing == SPLIT


async def assert_next_push_goes_live(app: App) -> None:
    """The agent is enabled again, and the next push goes live."""
    await app.clock.sleep(3600)
    if AGENT in app.foundry.agents:
        app.foundry.agents[AGENT].enabled = True
    await app.pushed("v4", "d")
    assert (await until_ended(app)).reason == "LIVE"


class UnansweredRouting:
    """A Foundry whose first change of the routing is applied without an answer; a person moves the traffic later."""

    def __init__(self, target: InMemoryFoundry, clock: VirtualClock, back: Routing, after: float) -> None:
        self._target, self._clock, self._back, self._after = target, clock, back, after
        self.written: list[Routing] = []
        self._due: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        self.written.append(to)
        routing = await self._target.set_routing(agent, to)
        if len(self.written) > 1:
            return routing
        self._due = self._clock.monotonic() + self._after
        raise TransientError("Foundry", "timeout", "no answer", unclear=True)

    async def get_agent(self, agent: str) -> Agent | None:
        if self._due is not None and self._clock.monotonic() >= self._due:
            self._due = None
            self._target.agents[agent].routing = self._back
        return await self._target.get_agent(agent)


@pytest.mark.parametrize("back", [Routing.to(LIVE), Routing.to("1"), SPLIT], ids=["back", "to an earlier one", "split"])
@pytest.mark.parametrize("restarts", [False, True])
@in_virtual_time
async def test_a_move_without_an_answer_that_a_person_undoes_is_not_sent_again(restarts: bool, back: Routing) -> None:
    app, _ = await live_at_two("well")
    foundry = UnansweredRouting(app.foundry, app.clock, back, after=30.0)
    app.gateways = replace(app.gateways, foundry=foundry)
    await app.pushed("v3", "c")
    if restarts:  # the process that read the move is gone before the person acts
        with suppress(TimeoutError):
            await asyncio.wait_for(app.released(), 25.0)
        assert (await app.state_store.get_release(AGENT)).pending_write is not None
        await app.clock.sleep(60)
    release = await until_ended(app)
    assert release.reason == "ROUTING_CHANGED"
    assert foundry.written == [Routing.to(CANDIDATE)]
    assert app.foundry.agents[AGENT].routing == back
    app.gateways = replace(app.gateways, foundry=app.foundry)
    await assert_next_push_goes_live(app)


@in_virtual_time
async def test_a_failed_check_is_rolled_back_within_two_round_trips_of_the_answer() -> None:
    app, foundry = await live_at_two("wrongly with traffic")
    answered: list[float] = []
    app.foundry.before_answer = lambda: answered.append(app.clock.monotonic())
    moved: list[float] = []
    foundry.before["set_routing"] = lambda: moved.append(app.clock.monotonic())
    await app.pushed("v3", "c")
    assert (await until_ended(app)).reason == "CHECK_FAILED"
    assert await app.live() == LIVE
    assert moved[-1] - answered[-1] <= 2.0


@in_virtual_time
async def test_a_gate_that_is_not_configured_adds_no_call() -> None:
    app = app_with("mode: auto")
    foundry = ChangingFoundry(app.foundry, app.clock)
    app.gateways = replace(app.gateways, foundry=foundry)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert not {"ask", "open_session", "end_session"} & set(foundry.calls)
    app.agents = app_with().agents
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert {"ask", "open_session", "end_session"} <= set(foundry.calls)
