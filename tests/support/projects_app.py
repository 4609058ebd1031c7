"""The app with three projects in memory: that of the settings, eu and us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from core.agents_file.loader import load_agents
from core.model import Agent, Secret, SecretUnavailable
from handlers.gateways.foundry.projects import FoundryProjects
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.project_vaults import ProjectVaults
from tests.support.app import App

PROJECTS = """
projects: {eu: {endpoint: "https://eu/api/projects/p"}, us: {endpoint: "https://us/api/projects/p"}}
"""
EU_VAULT = "https://eu-vault.vault.azure.net"
WITH_VAULT = f"""
projects:
  eu: {{endpoint: "https://eu/api/projects/p", vault: "{EU_VAULT}"}}
  us: {{endpoint: "https://us/api/projects/p"}}
"""


class ProjectFoundry(InMemoryFoundry):
    """One project; while ``down`` is set, every read fails with it."""

    down: Exception | None = None
    seconds_until_failure = 0.0
    closed = False

    async def close(self) -> None:
        self.closed = True

    async def get_agent(self, name: str) -> Agent | None:
        await self._fail()
        return await super().get_agent(name)

    async def list_agents(self) -> Sequence[str]:
        await self._fail()
        return await super().list_agents()

    async def _fail(self) -> None:
        if self.down:
            await self.clock.sleep(self.seconds_until_failure)
            raise self.down


class ProjectVault(InMemoryKeyVault):
    """The vault of one project; while ``down`` is set, every read fails with it."""

    down: Exception | None = None
    closed = False

    async def close(self) -> None:
        self.closed = True

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        if self.down:
            raise self.down
        return await super().get_secret(name, version)


class ProjectsApp(App):
    """The handlers' arguments; ``file`` is agents.yaml without the projects. ``vault`` is that of the project eu."""

    def __init__(self, file: str, projects: str = PROJECTS, clock: Any = None) -> None:
        agents = load_agents(f"{projects}{file}".encode())
        super().__init__(clock=clock or ManualClock(), agents=agents, key_vault=ProjectVault())
        self.vault = ProjectVault()
        self.foundries = {name: ProjectFoundry(self.clock) for name in ("default", *self.agents.projects)}
        router = FoundryProjects(
            self.foundries["default"], lambda: self.agents.projects, lambda name, _: self.foundries[name]
        )
        self.limiters = {name: FoundryRateLimiter() for name in self.foundries}
        vaults = ProjectVaults(cast("ProjectVault", self.key_vault), lambda: self.agents.vaults, lambda _: self.vault)
        self.gateways = replace(
            self.gateways, foundry=router, project_limiter=self.limiters.__getitem__, project_vault=vaults.of
        )

    async def live_in(self, project: str) -> str | None:
        """The version that serves."""
        agent = await self.foundries[project].get_agent("hello-agent")
        return agent.routing.pinned if agent else None

    async def images_in(self, project: str) -> list[str]:
        """The first letter of the digest of every version, oldest first."""
        versions = await self.foundries[project].list_versions("hello-agent")
        return [version.image.partition("sha256:")[2][:1] for version in versions]

    async def run_queue(self) -> None:
        """Handle every message that is due."""
        while message := self.release_queue.take():
            await self.released(message.agent)

    async def wait(self, seconds: float) -> None:
        """Let time pass, and handle what became due."""
        await self.clock.sleep(seconds)
        await self.run_queue()
