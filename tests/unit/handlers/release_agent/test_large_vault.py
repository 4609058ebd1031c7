"""A vault whose list of secrets takes longer than a lease lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from core.agents_file.loader import load_agents
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App


class LargeVault(InMemoryKeyVault):
    """Takes its time to list all secrets."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.lists = seconds, 0
        self.listed: list[Callable[[], Awaitable[None]]] = []

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        self.lists += 1
        await asyncio.sleep(self.seconds)
        for call in self.listed:
            await call()
        return await super().tagged_secrets(agent)


@pytest.mark.parametrize(("seconds", "lists"), [(30, 1), (100, 2), (280, 2)])
def test_a_release_waits_under_its_lease_for_a_long_list(seconds: float, lists: int) -> None:
    @in_virtual_time
    async def run() -> None:
        agents = load_agents(f"agents: {{{AGENT}: {{repository: {REPOSITORY}, env_from_vault: true}}}}".encode())
        vault = LargeVault(seconds)
        app = App(clock=VirtualClock(), key_vault=vault, agents=agents)
        vault.put("one", "canary-1", tags={"agent": AGENT, "env": "ONE"})

        async def assert_leased() -> None:
            assert await app.state_store.acquire_lease(AGENT) is None

        vault.listed.append(assert_leased)
        await app.pushed()
        assert await app.released() == "LIVE"
        assert app.foundry.environment(AGENT, "1") == {"ONE": "canary-1"}
        assert vault.lists == lists, "the list that was begun beside the lease is given up before the lease ends"

    run()
