"""Many agents, many pushes and several instances of the app, with the real handlers, in virtual time."""

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
from handlers.events.image_pushed import handle_push
from handlers.gateways.errors import GatewayError
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import reconcile
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from handlers.telemetry.decision_log import DecisionLog
from tests.scale.meter import Limit, Metered, Slow
from tests.simulation.release_queue import WaitingQueue
from tests.simulation.scene import ENVIRONMENT
from tests.simulation.virtual_time import START, VirtualClock

SETTINGS = Settings.from_env(ENVIRONMENT)
QUEUES = json.loads((Path(__file__).resolve().parents[2] / "host.json").read_text())["extensions"]["queues"]
AT_ONCE = QUEUES["newBatchThreshold"] + QUEUES["batchSize"] // 2
"""Releases that one instance has in hand where many wait: more and fewer by half a batch, as batches are taken."""
FOUNDRY_SECONDS, STORAGE_SECONDS = 0.1, 0.02
BACK_AFTER = 60.0
"""Seconds until a message that failed comes again (host.json)."""
RESUME_EVERY = 300.0


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    agents: int
    pushes_a_minute: float
    instances: int
    versions: int = 5
    """That each agent has already."""
    minutes: float = 20.0
    a_second: float | None = 5.0
    """Requests that Foundry takes; None: as many as come."""
    looks: float = float("inf")
    """FOUNDRY_READS_PER_SECOND; without end it is the poll of before."""
    quickest: float = 40.0
    slowest: float = 120.0
    """Seconds that versions take."""


@dataclass
class Seen:
    """What came of it."""

    pushes: int = 0
    leads: list[float] = field(default_factory=list)
    """Seconds from each push that went live to its traffic."""
    lives: int = 0
    foundry: Counter[str] = field(default_factory=Counter)
    storage: Counter[str] = field(default_factory=Counter)
    busy: float = 0.0
    """Seconds of all instances in which anything ran."""
    waits: list[float] = field(default_factory=list)
    """Seconds from a version's becoming active to its traffic."""


class Fleet:
    """The app's instances and their world."""

    def __init__(self, size: Size, seed: int = 1) -> None:
        self.size, self.random, self.clock, self.seen = size, Random(seed), VirtualClock(), Seen()
        self.agents: Agents = _agents(size.agents)
        self.foundry = Slow(self.clock, size.quickest, size.slowest)
        self.queue, self.pushed = WaitingQueue(self.clock), dict[str, Push]()
        self._limit = Limit(self.clock, size.a_second)
        self._ledger, self._journal = InMemoryStateStore(self.clock), InMemoryJournal()
        self.instances = [self._instance() for _ in range(size.instances)]
        self._running = [0] * size.instances
        self._since = [0.0] * size.instances

    def _instance(self) -> Gateways:
        def storage(target: object) -> Any:
            return Metered(target, self.seen.storage, STORAGE_SECONDS)

        looks = FoundryRateLimiter(self.size.looks)

        async def turn() -> None:
            await looks.wait_for_read(self.clock)

        metered = Metered(self.foundry, self.seen.foundry, FOUNDRY_SECONDS, self._limit, turn)
        routed: Any = Routed(metered, self)
        return Gateways(
            foundry=routed,
            key_vault=InMemoryKeyVault(),
            state_store=storage(self._ledger),
            journal=storage(self._journal),
            release_queue=storage(self.queue),
            clock=self.clock,
            registry=InMemoryRegistry(),
            rate_limiter=looks,
        )

    async def run(self) -> Seen:
        """Live through the minutes."""
        await self._before()
        tasks = [
            asyncio.ensure_future(self._work(number)) for number in range(self.size.instances) for _ in range(AT_ONCE)
        ]
        tasks.append(asyncio.ensure_future(self._resume()))
        deliveries = [asyncio.ensure_future(one) for one in [self._push()]]
        await asyncio.sleep(self.size.minutes * 60)
        for task in (*tasks, *deliveries):
            task.cancel()
        ended = await asyncio.gather(*tasks, *deliveries, return_exceptions=True)
        broken = [one for one in ended if isinstance(one, Exception)]
        if broken:
            raise broken[0]
        for number in range(self.size.instances):
            self._count(number, 0)
        return self.seen

    async def _before(self) -> None:
        """Each agent has its versions and serves the newest of them; nothing of it is counted."""
        for name in self.agents.agents:
            for number in range(self.size.versions):
                definition = Definition(f"demo.azurecr.io/{name}@{_digest(f'{name} {number}')}", "1", "2Gi", (), {})
                await self.foundry.create_version(name, definition, {})
            if self.size.versions:
                await self.foundry.set_routing(name, Routing.to(str(self.size.versions)))
        old = START - timedelta(days=30)
        for found in self.foundry.agents.values():
            found.versions = {
                key: replace(one, created_at=old, status=Status.ACTIVE) for key, one in found.versions.items()
            }

    async def _push(self) -> None:
        names = list(self.agents.agents)
        for number in itertools.count():
            await asyncio.sleep(self.random.expovariate(self.size.pushes_a_minute / 60))
            name = self.random.choice(names)
            push = Push(f"agents/{name}", _digest(f"push {number}"), f"v{number}", self.clock.now(), f"event-{number}")
            self.pushed[push.digest] = push
            self.seen.pushes += 1
            gateways = self.instances[0]
            await handle_push(ImagePushed(push), self.agents, DecisionLog(gateways.journal, self.clock, {}), gateways)

    async def _work(self, number: int) -> None:
        gateways = self.instances[number]
        while True:
            message = await self.queue.receive()
            self._count(number, 1)
            try:
                await reconcile(self.agents.agents[message.agent], SETTINGS, gateways)
            except GatewayError:
                self.queue.retry(message, BACK_AFTER)
            finally:
                self._count(number, -1)

    async def _resume(self) -> None:
        while True:
            await asyncio.sleep(RESUME_EVERY)
            await resume_releases(self.agents, self.instances[0])

    def _count(self, number: int, change: int) -> None:
        """An instance costs while anything runs on it."""
        now = self.clock.monotonic()
        if self._running[number]:
            self.seen.busy += now - self._since[number]
        self._running[number] += change
        self._since[number] = now

    def went_live(self, version: Version) -> None:
        """The traffic of an agent moved."""
        now, push = self.clock.now(), self.pushed.get(version.image.rpartition("@")[2])
        self.seen.lives += 1
        if push is not None:
            self.seen.leads.append((now - push.pushed_at).total_seconds())
            active = version.created_at + timedelta(seconds=self.foundry.takes(version.image))
            self.seen.waits.append(max(0.0, (now - active).total_seconds()))


class Routed:
    """Sees traffic that moved to another version."""

    def __init__(self, target: Any, fleet: Fleet) -> None:
        self._target = target
        self._fleet = fleet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Move it, and tell."""
        found = self._fleet.foundry.agents[agent]
        before = found.routing
        told: Routing = await self._target.set_routing(agent, to)
        if to != before and to.pinned:
            self._fleet.went_live(found.versions[to.pinned])
        return told


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _agents(count: int) -> Agents:
    rules = "\n".join(
        f"  agent-{number}: {{repository: agents/agent-{number}, keep: {{limit: 1000}}}}" for number in range(count)
    )
    return load_agents(f"agents:\n{rules}\n".encode())
