"""A secret that many agents use is rotated: each desired state is written once, and no push waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.agents_file.loader import load_agents
from core.state.desired import DesiredState
from handlers.gateways.clock import Clock
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import App, rotate

AGENTS = [f"agent-{number:03}" for number in range(200)]
SPEC = "{repository: agents/hello, env: {KEY: {secret: hello-key}}, release: {debounce: 30s}}"


class CountingStateStore(InMemoryStateStore):
    """Notes the agents whose desired state is written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.written = list[str]()

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        before = await self.get_desired(agent)
        after = await super().update_desired(agent, change)
        self.written += [agent] if after != before else []
        return after


@in_virtual_time
async def test_a_rotation_of_a_secret_of_200_agents_is_one_wave_of_writes() -> None:
    lines = ["agents:", *(f"  {agent}: {SPEC}" for agent in AGENTS)]
    app = App(clock=VirtualClock(), agents=load_agents("\n".join(lines).encode()))
    store = CountingStateStore(app.clock)
    app.state_store, app.gateways = store, replace(app.gateways, state_store=store)
    await app.pushed("v1", "a")
    assert await app.released(AGENTS[0]) == "LIVE"
    await app.clock.sleep(3600)
    store.written.clear()
    app.release_queue.sent.clear()
    await rotate(app, "canary-new")
    assert sorted(store.written) == AGENTS
    assert sorted(app.release_queue.sent) == [(agent, 30.0) for agent in AGENTS]
    await app.pushed("v2", "b")
    assert app.release_queue.sent[-1] == (AGENTS[-1], 0.0), "a push does not wait for the rotation"
    assert await app.released(AGENTS[0]) == "LIVE"
    assert app.foundry.environment(AGENTS[0], "2") == {"KEY": "canary-new"}
