"""What follows once an agent, or its last version, is deleted: nothing that a person did not ask for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from core.model import Failure
from core.timing import CONSISTENCY_LAG
from handlers import user_commands
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with, live_app, push_and_release, rotate


class VanishingFoundry(InMemoryFoundry):
    """An agent without versions does not exist."""

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        result = await super().delete_version(agent, number)
        if agent in self.agents and not self.agents[agent].versions:
            del self.agents[agent]
        return result


@in_virtual_time
async def test_no_rotation_creates_a_deleted_agent_again() -> None:
    app = await live_app()
    del app.foundry.agents[AGENT]
    for value in ("second", "third", "fourth"):
        await rotate(app, value)
        assert await app.released() == "AGENT_DELETED"
        await app.clock.sleep(300)
    assert AGENT not in app.foundry.agents
    assert await push_and_release(app, "v2", "b") == "LIVE"


@in_virtual_time
async def test_no_rotation_creates_an_agent_again_that_was_deleted_during_a_release() -> None:
    app = app_with("mode: manual")
    await push_and_release(app, "v1", "a")
    await app.clock.sleep(600)
    del app.foundry.agents[AGENT]
    for value in ("second", "third"):
        await rotate(app, value)
        assert await app.released() == "AGENT_DELETED"
    assert AGENT not in app.foundry.agents


@in_virtual_time
async def test_the_only_version_failed_and_its_image_works_now() -> None:
    app = await _failed_first_version()
    app.foundry.failures.clear()
    assert await push_and_release(app, "v2", "a") == "LIVE"
    assert app.foundry.create_count == 3, "the failed version, the same again as a duplicate, and a new one"


@in_virtual_time
async def test_the_answer_of_the_deletion_of_the_only_version_is_lost() -> None:
    app = await _failed_first_version()
    app.foundry.failures.clear()
    app.gateways = replace(app.gateways, foundry=LostDeletion(app.foundry))
    assert await push_and_release(app, "v2", "a") == "LIVE"


@in_virtual_time
async def test_a_deletion_that_takes_effect_late_does_not_hit_the_next_version_of_that_number() -> None:
    app = await _failed_first_version()
    app.foundry.failures.clear()
    late = LateDeletion(app)
    app.gateways = replace(app.gateways, foundry=late)
    released = await push_and_release(app, "v2", "a")
    await late.sent[0]
    assert released == "LIVE"
    assert AGENT in app.foundry.agents
    assert len(late.sent) == 1, "nothing is deleted again before the first request may be late"


@in_virtual_time
async def test_a_deletion_that_was_refused_is_sent_again_at_once() -> None:
    app = await _failed_first_version()
    app.foundry.failures.clear()
    app.gateways = replace(app.gateways, foundry=RefusedDeletion(app.foundry))
    began = app.clock.now()
    assert await push_and_release(app, "v2", "a") == "LIVE"
    assert app.clock.now() - began < CONSISTENCY_LAG


@in_virtual_time
async def test_a_failed_version_with_sessions_is_not_deleted_for_ever() -> None:
    app = await _failed_first_version()
    app.foundry.agents[AGENT].versions_in_use.add("1")
    assert await push_and_release(app, "v2", "a") == "IMAGE_ERROR"
    assert app.foundry.create_count == 3


@in_virtual_time
async def test_an_approval_is_void_for_the_same_number_of_a_recreated_agent() -> None:
    app = app_with("mode: manual")
    await push_and_release(app, "v1", "a")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    await app.clock.sleep(600)
    del app.foundry.agents[AGENT]
    await push_and_release(app, "v2", "a")
    await app.released()
    state = await app.state_store.get_release(AGENT)
    assert (state.candidate, app.journal.reasons()[-1]) == ("1", "APPROVAL_WAITING")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_a_rollback_is_void_for_the_same_number_of_a_recreated_agent() -> None:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    await user_commands.pause((AGENT,), "freeze", "ann", app.gateways)
    await app.clock.sleep(600)
    update = await user_commands.request_rollback(AGENT, "bad", "ann", app.gateways)
    assert update.desired.rollback is not None
    record = app.foundry.agents[AGENT]
    record.versions["1"] = replace(record.versions["1"], created_at=app.clock.now())
    assert await app.released() == "CANDIDATE_GONE"
    assert await app.live() == "2"


async def _failed_first_version() -> App:
    app = app_with()
    app.foundry = VanishingFoundry(app.clock)
    app.gateways = replace(app.gateways, foundry=app.foundry)
    app.foundry.failures["a" * 64] = Failure("ImageError", "AcrPull is missing")
    assert await push_and_release(app, "v1", "a") == "IMAGE_ERROR"
    await app.clock.sleep(300)
    return app


class LateDeletion:
    """The first deletion takes effect when its caller has given up."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.sent: list[asyncio.Future[object]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app.foundry, name)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        self.sent.append(asyncio.ensure_future(self._delete_late(agent, number)))
        raise TransientError("Foundry", "timeout", "no answer", unclear=True)

    async def _delete_late(self, agent: str, number: str) -> None:
        await self._app.clock.sleep(30)
        await self._app.foundry.delete_version(agent, number)


class RefusedDeletion:
    """The first deletion is refused."""

    def __init__(self, target: InMemoryFoundry) -> None:
        self._target, self._left = target, [True]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        if self._left:
            self._left.clear()
            raise TransientError("Foundry", "429", "too many requests", retry_after=1.0)
        return await self._target.delete_version(agent, number)


class LostDeletion:
    """The first deletion takes effect, and its answer is lost."""

    def __init__(self, target: InMemoryFoundry) -> None:
        self._target = target
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        result = await self._target.delete_version(agent, number)
        if not self._lost:
            self._lost = True
            raise TransientError("Foundry", "timeout", "no answer", unclear=True)
        return result
