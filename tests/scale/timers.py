"""The timers over many agents at rest, with a limited Foundry and lost events: the real handlers in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.intake.events import runtime_hash
from core.model import Push, Routing
from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import GoodVersion, ReleaseState
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.state_store import ReleaseRecord
from handlers.prune_versions import run as prune_versions_run
from handlers.prune_versions.run import prune_versions
from handlers.resume_releases.run import resume_releases
from tests.scale.fleet import RESUME_EVERY, SETTINGS, Fleet, Load, digest_of
from tests.scale.meter import MeteredGateway
from tests.simulation.virtual_time import START, run

REGISTRY_SECONDS = 0.1
MAX_RESUME_SECONDS = 60.0
MAX_PRUNE_SECONDS = prune_versions_run.MAX_RUN_TIME.total_seconds()
TIMER_HEADINGS = ("agents", "Foundry takes", "resume_releases", "÷ 60 s", "429", "drift unknown",
                  "left, said so", "prune_versions", "÷ 2 reads an agent", "not pruned, said so")  # fmt: skip


class TimerFleet(Fleet):
    """A fleet in which every agent is live, and nothing happens but what a test does."""

    def __init__(self, agents: int, foundry_limit: float | None, versions: int = 5) -> None:
        super().__init__(Load(agents, 0, 1, versions, foundry_limit=foundry_limit, read_budget=5.0))
        self.registry, self.registry_requests = InMemoryRegistry(), Counter[str]()
        metered: Any = MeteredGateway(self.registry, self.registry_requests, REGISTRY_SECONDS)
        self.gateways = self.instances[0] = replace(self.instances[0], registry=metered)

    async def settle(self) -> None:
        """Every agent runs its newest image, as Slipway left it, and the first run of the timer has been."""
        await self._create_versions()
        number, old = str(self.load.versions), START - timedelta(days=30)
        for name, spec in self.agents.agents.items():
            digest = digest_of(f"{name} {self.load.versions - 1}")
            push = Push(f"agents/{name}", digest, "v1", old, "event")
            self.registry.push(push.repository, push.tag, digest, old)
            self.state_store.desired[name] = DesiredState(1, 1, push, updated_at=old, runtime_hash=runtime_hash(spec))
            good = GoodVersion(push, "", number)
            released = ReleaseState(observed_generation=1, reason="LIVE", last_good=good)
            record = ReleaseRecord(replace(released, expected_routing=Routing.to(number)))
            self.state_store.releases[name] = record
        await resume_releases(self.agents, self.gateways)
        self.journal.lines.clear()

    async def resume(self) -> float:
        """Run the timer once; returns how many seconds it took."""
        return await self._timed(resume_releases(self.agents, self.gateways))

    async def prune(self) -> float:
        """Run the timer once; returns how many seconds it took."""
        return await self._timed(prune_versions(self.agents, SETTINGS, self.gateways))

    async def _timed(self, call: Coroutine[Any, Any, None]) -> float:
        began = self.clock.monotonic()
        await call
        return self.clock.monotonic() - began

    async def resume_for_ever(self) -> None:
        """As the host does: at each multiple of the schedule, and never beside itself."""
        while True:
            await asyncio.sleep(RESUME_EVERY - self.clock.monotonic() % RESUME_EVERY)
            await self.resume()

    def lose_push(self, agent: str) -> None:
        """Push an image whose event never comes."""
        self.registry.push(f"agents/{agent}", "v2", digest_of(f"lost by {agent}"), self.clock.now())

    def lines(self, reason: Reason) -> list[Mapping[str, object]]:
        """The lines of the journal with a reason."""
        return [line for line in self.journal.lines if line["reason"] == reason]

    def times(self, reason: Reason) -> dict[str, datetime]:
        """When each agent had its first line with a reason."""
        lines = reversed(self.lines(reason))
        return {str(line["agent"]): datetime.fromisoformat(str(line["at"])) for line in lines}


@dataclass(frozen=True)
class TimerRow:
    """A quiet run of ``resume_releases`` and a run of ``prune_versions``."""

    agents: int
    foundry_limit: float
    resume_seconds: float
    refused: int
    """Reads of the quiet run that Foundry refused."""
    unknown: int
    """Agents of which the quiet run could not read whether they drifted."""
    left: bool
    """Whether the quiet run reported that it left agents to the next one."""
    prune_seconds: float
    stopped: int
    """Agents that were not pruned, each with a line."""

    def cells(self) -> list[str]:
        """Return the cells in the order of the headings."""
        bound = min(2 * self.agents / self.foundry_limit, MAX_PRUNE_SECONDS)
        return [
            f"{self.agents:,}", f"{self.foundry_limit:g}/s",
            f"{self.resume_seconds:.0f} s", f"{self.resume_seconds / MAX_RESUME_SECONDS:.2f}",
            str(self.refused), str(self.unknown), "yes" if self.left else "none",
            f"{self.prune_seconds:.0f} s", f"{self.prune_seconds / bound:.2f}", str(self.stopped),
        ]  # fmt: skip


def measure_timers(size: tuple[int, float]) -> TimerRow:
    """Run both timers once, without logging."""

    async def run_timers() -> TimerRow:
        fleet = TimerFleet(agents, foundry_limit)
        await fleet.settle()
        await asyncio.sleep(RESUME_EVERY)
        before = fleet.measured.foundry["429"]
        resume_seconds = await fleet.resume()
        refused = fleet.measured.foundry["429"] - before
        await asyncio.sleep(RESUME_EVERY)
        prune_seconds = await fleet.prune()
        unread, stopped = fleet.lines(Reason.DRIFT_UNKNOWN), len(fleet.lines(Reason.PRUNE_STOPPED))
        unknown = len([line for line in unread if "agent" in line])
        left = len(unread) > unknown
        return TimerRow(agents, foundry_limit, resume_seconds, refused, unknown, left, prune_seconds, stopped)

    agents, foundry_limit = size
    logging.disable(logging.CRITICAL)
    try:
        return run(run_timers())
    finally:
        logging.disable(logging.NOTSET)
