"""Somebody meddles before each single call of a release: it ends with a reason, and the next push goes live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.model import Failure, Routing, TrafficRule
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, app_with, push_and_release

LIVE, CANDIDATE = "2", "3"
SPLIT = Routing((TrafficRule("1", 50), TrafficRule("2", 50)))
LONGEST = 60
"""Calls that a release may take here."""
ACTS = ("create_version", "set_routing", "delete_version")


class Meddled:
    """Foundry, where something happens before its call number ``at``; each call takes a second."""

    def __init__(self, target: InMemoryFoundry, clock: VirtualClock) -> None:
        self.target, self._clock = target, clock
        self.calls: list[str] = []
        self.at, self.before = -1, dict[str, Callable[[], None]]()
        self.meddle: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **given: Any) -> Any:
            if len(self.calls) == self.at:
                self.meddle()
            self.calls.append(name)
            await self._clock.sleep(1)
            self.before.get(name, lambda: None)()
            return await getattr(self.target, name)(*args, **given)

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


MEDDLING: Mapping[str, Callable[[InMemoryFoundry], None]] = {
    "the agent is deleted": delete_agent,
    "the agent is disabled": disable_agent,
    "the candidate is deleted": delete_candidate,
    "the live version fails": fail_live,
    "a person splits the traffic": split,
}


async def live_at_two(answers: str) -> tuple[App, Meddled]:
    """Versions 1 and 2 are there, 2 is live, and what comes next answers as given."""
    app = app_with()
    for tag, letter in (("v1", "a"), ("v2", "b")):
        assert await push_and_release(app, tag, letter) == "LIVE"
        await app.clock.sleep(3600)
    if answers == "wrongly with traffic":
        app.foundry.answers["c" * 64] = ("pong", "oops")
    meddled = Meddled(app.foundry, app.clock)
    app.gateways = replace(app.gateways, foundry=meddled)
    return app, meddled


async def to_its_end(app: App) -> ReleaseState:
    """Hand the message over as often as the queue does."""
    for _ in range(6):
        await app.released()
        release = await app.state_store.get_release(AGENT)
        if not release.is_open and release.observed_generation == (await app.state_store.get_desired(AGENT)).generation:
            return release
        await app.clock.sleep(80)
    raise AssertionError(f"the release never ends: {app.journal.reasons()[-6:]}")


@pytest.mark.parametrize("answers", ["well", "wrongly with traffic"])
@pytest.mark.parametrize("what", MEDDLING)
@in_virtual_time
async def test_a_release_that_somebody_meddles_with_ends_with_a_reason(what: str, answers: str) -> None:
    for at in range(LONGEST):
        app, meddled = await live_at_two(answers)
        seen: list[ReleaseState] = []

        def meddle(app: App = app, seen: list[ReleaseState] = seen) -> None:
            seen.append(app.state_store.releases[AGENT].state)
            MEDDLING[what](app.foundry)

        meddled.at, meddled.meddle = at, meddle
        await app.pushed("v3", "c")
        release = await to_its_end(app)
        assert release.reason in Reason.__members__
        if not seen:
            assert at > 10, "the release has calls to meddle with"
            return
        judge(what, app, meddled.calls[at], seen[0])
        await goes_on(app)
    raise AssertionError(f"a release takes {LONGEST} calls")


def judge(what: str, app: App, call: str, seen: ReleaseState) -> None:
    """No traffic on what was never proven, and a person's hand stays where nobody was in the middle of an act."""
    agent = app.foundry.agents.get(AGENT)
    if agent is None:
        return
    if agent.routing.routes_to(CANDIDATE):
        assert (AGENT, CANDIDATE, True) in app.foundry.probes
    if what == "a person splits the traffic" and seen.push and seen.push.tag == "v3" and call not in ACTS:
        assert agent.routing == SPLIT


async def goes_on(app: App) -> None:
    """What was meddled with is put right, and the next push goes live."""
    await app.clock.sleep(3600)
    if AGENT in app.foundry.agents:
        app.foundry.agents[AGENT].enabled = True
    await app.pushed("v4", "d")
    assert (await to_its_end(app)).reason == "LIVE"


@in_virtual_time
async def test_a_failed_check_is_taken_back_within_two_round_trips_of_the_answer() -> None:
    app, meddled = await live_at_two("wrongly with traffic")
    answered: list[float] = []
    app.foundry.before_answer = lambda: answered.append(app.clock.monotonic())
    moved: list[float] = []
    meddled.before["set_routing"] = lambda: moved.append(app.clock.monotonic())
    await app.pushed("v3", "c")
    assert (await to_its_end(app)).reason == "CHECK_FAILED"
    assert await app.live() == LIVE
    assert moved[-1] - answered[-1] <= 2.0


@in_virtual_time
async def test_what_is_not_configured_adds_no_call() -> None:
    app = app_with("mode: auto")
    meddled = Meddled(app.foundry, app.clock)
    app.gateways = replace(app.gateways, foundry=meddled)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert not {"ask", "open_session", "end_session"} & set(meddled.calls)
    app.agents = app_with().agents
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert {"ask", "open_session", "end_session"} <= set(meddled.calls)
