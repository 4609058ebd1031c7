"""The app on gateways in memory, for tests of the handlers and of the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents
from handlers.events.event_queued import handle_event
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.github import InMemoryCommitStatusQueue
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.outcomes import InMemoryOutcomePublisher
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import handle_message
from handlers.settings import Settings
from tests.simulation.scene import ENVIRONMENT
from tests.simulation.virtual_time import VirtualClock
from tests.support.builders import push_data, push_event, secret_event

AGENT, REPOSITORY = "hello-agent", "agents/hello"
AGENTS_YAML = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    tools: [{type: code_interpreter}]
    keep: {newest: 0, min_age: 1m}
  second-agent:
    repository: agents/hello
    env_from_vault: true
"""


@dataclass
class App:
    """The arguments of the handlers, with gateways in memory."""

    clock: Any = field(default_factory=ManualClock)
    kind: type[InMemoryFoundry] = InMemoryFoundry
    key_vault: InMemoryKeyVault = field(default_factory=InMemoryKeyVault)
    journal: InMemoryJournal = field(default_factory=InMemoryJournal)
    agents: Agents = field(default_factory=lambda: load_agents(AGENTS_YAML))
    settings: Settings = field(default_factory=lambda: Settings.from_env(ENVIRONMENT))

    def __post_init__(self) -> None:
        self.state_store, self.foundry = InMemoryStateStore(self.clock), self.kind(self.clock)
        self.key_vault.put("hello-key", "canary-3c2d")
        self.release_queue, self.registry = InMemoryReleaseQueue(self.clock), InMemoryRegistry()
        self.outcome_publisher = InMemoryOutcomePublisher()
        self.commit_statuses = InMemoryCommitStatusQueue()
        self.gateways = Gateways(
            self.foundry,
            self.key_vault,
            self.state_store,
            self.journal,
            self.release_queue,
            self.clock,
            self.registry,
            self.outcome_publisher,
            commit_statuses=self.commit_statuses,
        )

    async def event(self, *events: Any) -> None:
        await handle_event(json.dumps(list(events)), self.agents, self.settings, self.gateways)

    async def pushed(self, tag: str = "v1", letter: str = "a") -> None:
        """Push an image to the registry, which sends an event."""
        now, digest = self.clock.now(), f"sha256:{letter * 64}"
        self.registry.push(REPOSITORY, tag, digest, now)
        data = push_data(tag=tag, digest=digest)
        await self.event(push_event(id=f"event-{tag}", eventTime=now.isoformat(), data=data))

    async def released(self, agent: str = AGENT) -> str:
        """Reconcile the release; returns the reason of its state."""
        message = json.dumps({"target": agent, "traceparent": None})
        await handle_message(message, self.agents, self.settings, self.gateways)
        return (await self.state_store.get_release(agent)).reason

    async def live(self) -> str | None:
        agent = await self.foundry.get_agent(AGENT)
        return agent.routing.pinned if agent else None


WITH_RELEASE = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {debounce: 0s, %s}
"""
PROBES = "verify: {ask: ping, expect: pong}, check: {ask: ping, expect: pong}"


def app_with(release: str = PROBES, vault: InMemoryKeyVault | None = None) -> App:
    agents = load_agents((WITH_RELEASE % release).encode())
    return App(clock=VirtualClock(), key_vault=vault or InMemoryKeyVault(), agents=agents)


async def rotate(app: App, value: str, name: str = "hello-key") -> None:
    secret = app.key_vault.put(name, value)
    data = {"Id": f"https://demo-vault.vault.azure.net/secrets/{name}/{secret.version}"}
    await app.event(secret_event(id=f"rotated-{value}", data=data))


async def live_app(vault: InMemoryKeyVault | None = None) -> App:
    """An agent whose version 1 is live and good."""
    made = app_with(vault=vault)
    await made.pushed("v1", "a")
    assert await made.released() == "LIVE"
    await made.clock.sleep(3600)
    return made


async def push_and_release(app: App, tag: str, letter: str) -> str:
    await app.pushed(tag, letter)
    return await app.released()
