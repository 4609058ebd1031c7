"""Many agents, many pushes and several instances of the app: the real handlers in virtual time."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents
from core.events import ImagePushed
from core.model import Definition, Push, Routing, Status, Version
from core.release.message import ReleaseMessage
from handlers.events.image_pushed import handle_push
from handlers.gateways.errors import GatewayError
from handlers.gateways.foundry.app_share import Instances
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.instances import InMemoryInstances
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from handlers.telemetry.decision_log import DecisionLog
from tests.scale.meter import MeteredGateway, RateLimit, SlowFoundry
from tests.scale.shared_queue import SharedQueue
from tests.simulation.scene import ENVIRONMENT
from tests.simulation.virtual_time import START, VirtualClock

SETTINGS = Settings.from_env(ENVIRONMENT)
QUEUES = json.loads((Path(__file__).resolve().parents[2] / "host.json").read_text())["extensions"]["queues"]
MAX_CONCURRENT_RELEASES = QUEUES["newBatchThreshold"] + QUEUES["batchSize"] // 2
"""Of one instance under load, on average; the number swings by half a batch, as the host takes whole batches."""
FOUNDRY_SECONDS, STORAGE_SECONDS = 0.1, 0.02
RETRY_AFTER = 60.0
"""Seconds until a message that failed is visible again (host.json)."""
RESUME_EVERY = 300.0
REQUESTS_OF_A_RELEASE = 14
"""Those to Foundry, polls included."""


@dataclass(frozen=True)
class Load:
    """One run's agents, pushes and instances."""

    agents: int
    pushes_per_minute: float
    instances: int
    versions: int = 5
    """Versions that each agent has at the start."""
    minutes: float = 20.0
    foundry_limit: float | None = 5.0
    """Requests per second that Foundry accepts; None: no limit."""
    read_budget: float = float("inf")
    """FOUNDRY_READS_PER_SECOND."""
    quickest: float = 40.0
    slowest: float = 120.0
    """Seconds that versions take to become active."""

    @property
    def most_live(self) -> float:
        """How many releases the requests that Foundry accepts are enough for."""
        return (self.foundry_limit or float("inf")) * self.minutes * 60 / REQUESTS_OF_A_RELEASE


@dataclass
class Measured:
    """What one run measured."""

    pushes: int = 0
    lead_times: list[float] = field(default_factory=list)
    """Seconds from each push that went live to its traffic."""
    foundry: Counter[str] = field(default_factory=Counter)
    """Requests by method, and those refused as 429."""
    storage: Counter[str] = field(default_factory=Counter)
    busy_seconds: float = 0.0
    """Seconds in which anything ran, of all instances."""
    running_seconds: float = 0.0
    """Seconds that messages were in hand, of all messages."""

    @property
    def foundry_requests(self) -> int:
        """Those that were sent, the refused ones too."""
        return sum(count for name, count in self.foundry.items() if name != "429")


class Fleet:
    """The instances of the app and the services that they call."""

    def __init__(self, load: Load, seed: int = 1) -> None:
        self.load, self.random, self.clock, self.measured = (
            load,
            Random(seed),
            VirtualClock(Random(seed).random),
            Measured(),
        )
        self.agents: Agents = _agents(load.agents)
        self.foundry = SlowFoundry(self.clock, load.quickest, load.slowest)
        self.queue = SharedQueue(self.clock, load.instances, Random(seed))
        self.pushes = dict[str, Push]()
        self._rate_limit = self.rate_limit()
        self.state_store, self.journal = self.new_state_store(), InMemoryJournal()
        self.heartbeats = self.new_heartbeats()
        self.instances = [self._instance(f"{number:04}") for number in range(load.instances)]
        self._running = [0] * load.instances
        self._counted_at = [0.0] * load.instances

    def rate_limit(self) -> RateLimit:
        """What Foundry accepts."""
        return RateLimit(self.clock, self.load.foundry_limit)

    def new_state_store(self) -> InMemoryStateStore:
        """Where the states are."""
        return InMemoryStateStore(self.clock)

    def new_heartbeats(self) -> Instances:
        """How the instances know each other."""
        return InMemoryInstances(self.clock)

    def _instance(self, name: str) -> Gateways:
        def storage(target: object) -> Any:
            return MeteredGateway(target, self.measured.storage, STORAGE_SECONDS)

        limiter = FoundryRateLimiter(self.load.read_budget, storage(self.heartbeats), name)
        metered = MeteredGateway(self.foundry, self.measured.foundry, FOUNDRY_SECONDS, self._rate_limit, limiter)
        foundry: Any = ObservedFoundry(metered, self)
        return Gateways(
            foundry=foundry,
            key_vault=InMemoryKeyVault(),
            state_store=storage(self.state_store),
            journal=storage(self.journal),
            release_queue=storage(self.queue),
            clock=self.clock,
            registry=InMemoryRegistry(),
            rate_limiter=limiter,
        )

    async def run(self) -> Measured:
        """Run for the minutes of the load."""
        await self._create_versions()
        instances = range(self.load.instances)
        workers = [self._work(number) for _ in range(MAX_CONCURRENT_RELEASES) for number in instances]
        tasks = [asyncio.ensure_future(work) for work in (*workers, self._resume(), self._push())]
        await asyncio.sleep(self.load.minutes * 60)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [result for result in results if isinstance(result, Exception)]
        if errors:
            raise errors[0]
        for number in instances:
            self._count(number, 0)
        return self.measured

    async def _create_versions(self) -> None:
        """Give each agent old versions, the newest of them live; this is not measured."""
        for name in self.agents.agents:
            for number in range(self.load.versions):
                definition = Definition(f"demo.azurecr.io/{name}@{digest_of(f'{name} {number}')}", "1", "2Gi", (), {})
                await self.foundry.create_version(name, definition, {})
            if self.load.versions:
                await self.foundry.set_routing(name, Routing.to(str(self.load.versions)))
        old = START - timedelta(days=30)
        for agent in self.foundry.agents.values():
            agent.versions = {
                number: replace(version, created_at=old, status=Status.ACTIVE)
                for number, version in agent.versions.items()
            }

    async def _push(self) -> None:
        names = list(self.agents.agents)
        for number in itertools.count():
            await asyncio.sleep(self.random.expovariate(self.load.pushes_per_minute / 60))
            name = self.random.choice(names)
            push = Push(
                f"agents/{name}", digest_of(f"push {number}"), f"v{number}", self.clock.now(), f"event-{number}"
            )
            self.pushes[push.digest] = push
            self.measured.pushes += 1
            gateways = self.instances[0]
            await handle_push(ImagePushed(push), self.agents, DecisionLog(gateways.journal, self.clock, {}), gateways)

    async def _work(self, number: int) -> None:
        gateways = self.instances[number]
        while True:
            message = await self.queue.receive(number)
            self._count(number, 1)
            try:
                await handle_message(ReleaseMessage(message.agent).to_json(), self.agents, SETTINGS, gateways)
            except GatewayError:
                self.queue.retry(message, RETRY_AFTER)
            finally:
                self._count(number, -1)

    async def _resume(self) -> None:
        while True:
            await asyncio.sleep(RESUME_EVERY)
            await resume_releases(self.agents, self.instances[0])

    def _count(self, number: int, change: int) -> None:
        """An instance costs money while anything runs on it."""
        now = self.clock.monotonic()
        if self._running[number]:
            self.measured.busy_seconds += now - self._counted_at[number]
            self.measured.running_seconds += self._running[number] * (now - self._counted_at[number])
        self._running[number] += change
        self._counted_at[number] = now

    def went_live(self, version: Version) -> None:
        """Measure the lead time of a push."""
        push = self.pushes.get(version.image.rpartition("@")[2])
        if push is not None:
            self.measured.lead_times.append((self.clock.now() - push.pushed_at).total_seconds())


class ObservedFoundry:
    """A Foundry that reports when the traffic moves to another version."""

    def __init__(self, target: Any, fleet: Fleet) -> None:
        self._target = target
        self._fleet = fleet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        record = self._fleet.foundry.agents[agent]
        before = record.routing
        routing: Routing = await self._target.set_routing(agent, to)
        if to != before and to.pinned:
            self._fleet.went_live(record.versions[to.pinned])
        return routing


def digest_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _agents(count: int) -> Agents:
    specs = "\n".join(
        f"  agent-{number}: {{repository: agents/agent-{number}, keep: {{limit: 1000}}}}" for number in range(count)
    )
    return load_agents(f"agents:\n{specs}\n".encode())
