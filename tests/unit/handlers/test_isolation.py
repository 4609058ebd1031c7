"""One agent's oddity, whatever it is, stops no other agent: in events, rotations and the timer's sweep."""

from __future__ import annotations

from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.image_manifest import RegistryTag
from core.state.desired import DesiredState
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.resume_releases.run import resume_releases
from tests.support.app import App
from tests.support.builders import push_event, secret_event

AGENTS = b"""
defaults: {env: {KEY: {secret: hello-key}}}
agents:
  a-agent: {repository: agents/hello}
  b-agent: {repository: agents/hello}
  c-agent: {repository: agents/other}
"""


class OddStateStore(InMemoryStateStore):
    """The state of one agent cannot be read; ``error`` says how."""

    error: Exception = PermanentError("storage", "UNREADABLE", "read desired/a-agent.json")

    async def get_desired(self, agent: str) -> DesiredState:
        if agent == "a-agent":
            raise self.error
        return await super().get_desired(agent)

    async def update_desired(self, agent: str, change: Any) -> DesiredState:
        if agent == "a-agent":
            raise self.error
        return await super().update_desired(agent, change)


@pytest.fixture(params=[PermanentError("storage", "UNREADABLE", "read"), TypeError("odd")], ids=["error", "bug"])
def app(request: pytest.FixtureRequest) -> App:
    app = App(agents=load_agents(AGENTS))
    app.state_store = OddStateStore(app.clock)
    app.state_store.error = request.param
    app.gateways = app.gateways.__class__(
        app.foundry,
        app.key_vault,
        app.state_store,
        app.journal,
        app.release_queue,
        app.clock,
        app.registry,
        app.outcome_publisher,
    )
    return app


async def test_a_push_reaches_the_other_followers(app: App) -> None:
    with pytest.raises((PermanentError, TypeError)):
        await app.event(push_event())
    assert (await app.state_store.get_desired("b-agent")).push is not None


async def test_a_rotation_reaches_the_other_agents(app: App) -> None:
    with pytest.raises((PermanentError, TypeError)):
        await app.event(push_event())
    with pytest.raises((PermanentError, TypeError)):
        await app.event(secret_event())
    assert (await app.state_store.get_desired("b-agent")).generation == 2


async def test_a_sweep_reaches_the_other_agents_and_takes_every_step(app: App) -> None:
    digest = f"sha256:{'c' * 64}"
    app.registry.tags = {
        name: [RegistryTag("v1", digest, app.clock.now())] for name in ("agents/hello", "agents/other")
    }
    with pytest.raises((PermanentError, TypeError)):
        await resume_releases(app.agents, app.gateways)
    for agent in ("b-agent", "c-agent"):
        assert (await app.state_store.get_desired(agent)).push is not None
    assert "MISSED_PUSH_FOUND" in app.journal.reasons()


async def test_a_tag_without_a_time_stops_no_other_agent() -> None:
    app, digest, odd = App(agents=load_agents(AGENTS)), f"sha256:{'c' * 64}", dict[str, Any](pushed_at=None)
    tags = [RegistryTag("v1", digest, app.clock.now()), RegistryTag("v2", f"sha256:{'d' * 64}", app.clock.now())]
    app.registry.tags = {"agents/hello": [RegistryTag("v0", digest, **odd), *tags], "agents/other": tags}
    with pytest.raises((TypeError, AttributeError)):
        await resume_releases(app.agents, app.gateways)
    assert (await app.state_store.get_desired("c-agent")).push is not None
