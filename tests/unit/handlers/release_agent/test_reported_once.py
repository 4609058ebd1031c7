"""Each decision is recorded once for a change, and a change that is known to wait does not wait for the timer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.agents_file.spec import Agents
from core.model import Push, Routing
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers import user_commands
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import OutcomeEvent
from handlers.prune_versions.run import prune_versions
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with, live_app, push_and_release


@in_virtual_time
async def test_a_change_that_the_end_of_a_release_leaves_is_enqueued_at_once() -> None:
    app = app_with("check: {ask: ping, expect: pong}")
    await app.pushed("v1", "a")
    app.gateways = replace(app.gateways, foundry=PushedDuringPromotion(app))
    app.release_queue.sent.clear()
    assert await app.released() == "LIVE"
    assert app.release_queue.sent == [(AGENT, 0.0)]
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


@in_virtual_time
async def test_a_push_that_finds_its_agent_deleted_begins_anew_in_the_same_run() -> None:
    app = await live_app()
    del app.foundry.agents[AGENT]
    await app.pushed("v2", "b")
    app.release_queue.sent.clear()
    assert await app.released() == "LIVE"
    assert app.release_queue.sent == []
    assert app.journal.reasons().count("AGENT_DELETED") == 1
    assert (await app.live(), app.foundry.create_count) == ("1", 2)


@in_virtual_time
async def test_a_routing_that_stays_changed_enqueues_nothing_and_is_recorded_once() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    app.foundry.before_answer = lambda: _rotate_and_route(app)
    app.release_queue.sent.clear()
    await app.released()
    assert app.release_queue.sent == [(AGENT, 0.0)]
    for _ in range(3):
        await app.released()
    assert len(app.release_queue.sent) == 1
    assert app.journal.reasons().count("ROUTING_CHANGED") == 1


@in_virtual_time
async def test_a_message_that_a_prune_turned_away_is_sent_again() -> None:
    app = app_with("mode: manual")
    spec = app.agents.agents[AGENT]
    keeps_none = spec.model_copy(update={"keep": spec.keep.model_copy(update={"newest": 0})})
    app.agents = Agents(agents={AGENT: keeps_none})
    await push_and_release(app, "v1", "a")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    for tag, letter in (("v2", "b"), ("v3", "c")):
        await push_and_release(app, tag, letter)
        await app.clock.sleep(40 * 24 * 3600)
    app.gateways = replace(app.gateways, foundry=ApprovedDuringDeletion(app))
    app.release_queue.sent.clear()
    await prune_versions(app.agents, app.settings, app.gateways)
    assert app.journal.reasons().count("PRUNED_STALE") == 1
    assert len(app.release_queue.sent) == 2, "the approval's message found the lease taken, so another one follows"


@in_virtual_time
async def test_a_change_that_is_not_due_is_recorded_once() -> None:
    app = app_with("min_push_age: 10m")
    await app.pushed("v1", "a")
    await app.released()
    await app.released()
    assert app.journal.reasons().count("NOT_DUE") == 1


@in_virtual_time
async def test_an_approval_that_is_waited_for_is_recorded_once_whatever_happens_meanwhile() -> None:
    app = app_with("mode: manual")
    events = _published(app)
    await push_and_release(app, "v1", "a")
    await user_commands.pause((AGENT,), "freeze", "ann", app.gateways)
    await app.released()
    await user_commands.unpause((AGENT,), "ann", app.gateways)
    await app.released()
    assert app.journal.reasons().count("APPROVAL_WAITING") == 1
    assert events == ["Slipway.Release.AwaitingApproval"]


@in_virtual_time
async def test_a_process_that_stood_still_between_its_first_reads_announces_nothing_again() -> None:
    app = app_with("mode: manual")
    events = _published(app)
    await push_and_release(app, "v1", "a")
    old = await app.state_store.get_desired(AGENT)
    await push_and_release(app, "v2", "b")
    app.gateways = replace(app.gateways, state_store=StaleOnce(app, old))
    await app.released()
    assert events == ["Slipway.Release.AwaitingApproval"] * 2


@in_virtual_time
async def test_a_process_that_stood_still_since_an_earlier_pause_reports_a_pause_once() -> None:
    app = await live_app()
    await user_commands.pause((AGENT,), "wait", "ann", app.gateways)
    await app.pushed("v2", "b")
    old = await app.state_store.get_desired(AGENT)
    await app.pushed("v3", "c")
    await app.released()
    current, app.gateways = app.gateways, replace(app.gateways, state_store=StaleOnce(app, old))
    await app.released()
    app.gateways = current
    await app.released()
    paused = [line["generation"] for line in app.journal.lines if line["reason"] == "PAUSED" and "tag" in line]
    assert paused == [(await app.state_store.get_desired(AGENT)).generation]


@in_virtual_time
async def test_a_failed_check_is_recorded_once() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = ("pong", "oops")
    app.gateways = replace(app.gateways, foundry=FailsToRead(app, "1"))
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED"
    assert app.journal.reasons().count("CHECK_FAILED") == 1


@in_virtual_time
async def test_a_holder_that_loses_its_lease_does_not_record_what_it_never_stored() -> None:
    app = app_with("mode: manual")
    await push_and_release(app, "v1", "a")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    await push_and_release(app, "v2", "b")
    await app.pushed("v3", "c")
    app.gateways = replace(app.gateways, state_store=LosesTheLease(app))
    await app.released()
    assert app.journal.reasons()[-1] == "LEASE_LOST"
    assert "SUPERSEDED" not in app.journal.reasons()
    await app.released()
    assert app.journal.reasons().count("SUPERSEDED") == 1


def _push_behind(app: App, tag: str, letter: str) -> None:
    """A push whose message comes while the lease is held."""
    before = app.state_store.desired[AGENT]
    assert before.push is not None
    push = Push("agents/hello", f"sha256:{letter * 64}", tag, app.clock.now(), tag)
    app.registry.push(push.repository, tag, push.digest, push.pushed_at)
    generation = before.generation + 1
    app.state_store.desired[AGENT] = replace(
        before, push=push, generation=generation, user_generation=generation, updated_at=app.clock.now()
    )


def _rotate_and_route(app: App) -> None:
    before = app.state_store.desired[AGENT]
    app.state_store.desired[AGENT] = replace(before, generation=before.generation + 1)
    app.foundry.agents[AGENT].routing = Routing()
    app.foundry.before_answer = lambda: None


def _published(app: App) -> list[str]:
    """The type of every published event, duplicates too."""
    kinds: list[str] = []

    class Publisher:
        async def publish(self, events: Sequence[OutcomeEvent]) -> None:
            kinds.extend(event.type for event in events)

    app.gateways = replace(app.gateways, outcome_publisher=Publisher())
    return kinds


class PushedDuringPromotion:
    """A newer push comes in the moment in which the traffic moves to the first one."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app.foundry, name)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        if to == Routing.to("1"):
            _push_behind(self._app, "v2", "b")
        return await self._app.foundry.set_routing(agent, to)


class ApprovedDuringDeletion:
    """The waiting version is approved while a prune holds the lease; the message finds it taken."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app.foundry, name)

    async def delete_version(self, agent: str, number: str) -> Any:
        await user_commands.approve(AGENT, "ann", self._app.gateways)
        await self._app.released()
        return await self._app.foundry.delete_version(agent, number)


class StaleOnce:
    """The first read of the desired state is of an earlier time."""

    def __init__(self, app: App, old: DesiredState) -> None:
        self._store, self._old = app.state_store, [old]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get_desired(self, agent: str) -> DesiredState:
        return self._old.pop() if self._old else await self._store.get_desired(agent)


class FailsToRead:
    """The first read of one version fails."""

    def __init__(self, app: App, number: str) -> None:
        self._foundry, self._number = app.foundry, [number]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._foundry, name)

    async def get_version(self, agent: str, number: str) -> Any:
        if number in self._number and self._foundry.agents[agent].routing == Routing.to("2"):
            self._number.clear()
            raise TransientError("Foundry", "500", "no answer")
        return await self._foundry.get_version(agent, number)


class LosesTheLease:
    """The first lease is lost before a state of a newer change is stored."""

    def __init__(self, app: App) -> None:
        self._store, self._left = app.state_store, [True]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def acquire_lease(self, agent: str) -> Any:
        lease = await self._store.acquire_lease(agent)
        if self._left.pop() if self._left else False:
            lease.write = _refused  # type: ignore[union-attr, method-assign]
        return lease


async def _refused(_: ReleaseState) -> bool:
    return False
