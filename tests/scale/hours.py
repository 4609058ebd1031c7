"""What an hour of many live agents costs, at rest and with pushes: the real handlers in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from dataclasses import dataclass

from core.events import ImagePushed
from core.model import Push
from handlers.events.image_pushed import handle_push
from handlers.telemetry.decision_log import DecisionLog
from tests.scale.fleet import MAX_CONCURRENT_RELEASES, digest_of
from tests.scale.timers import TimerFleet
from tests.simulation.virtual_time import run

HOUR = 3600.0
HOUR_HEADINGS = ("agents", "pushes/h", "storage/h", "÷ agents", "Foundry/h", "registry/h", "decisions/h", "live")


@dataclass(frozen=True)
class HourRow:
    """The requests of one hour."""

    agents: int
    pushes: int
    storage: int
    foundry: int
    registry: int
    decisions: int
    """Lines of the journal; telemetry has each of them too."""
    live: int
    """Pushes whose release ended well within the hour."""

    def cells(self) -> list[str]:
        """Return the cells in the order of the headings."""
        return [
            f"{self.agents:,}", f"{self.pushes:,}", f"{self.storage:,}", f"{self.storage / self.agents:.0f}",
            f"{self.foundry:,}", f"{self.registry:,}", f"{self.decisions:,}", f"{self.live:,}",
        ]  # fmt: skip


class HourFleet(TimerFleet):
    """A fleet that gets pushes at a steady pace."""

    async def push_for_ever(self, each: float) -> None:
        """Push to an agent by chance, whose event arrives."""
        for number in itertools.count(1):
            await asyncio.sleep(each)
            name = self.random.choice(list(self.agents.agents))
            digest, now = digest_of(f"push {number}"), self.clock.now()
            push = Push(f"agents/{name}", digest, f"v{number + 1}", now, f"event-{number}")
            self.registry.push(push.repository, push.tag, digest, now)
            self.pushes[digest] = push
            self.measured.pushes += 1
            decisions = DecisionLog(self.gateways.journal, self.clock, {})
            await handle_push(ImagePushed(push), self.agents, decisions, self.gateways)
            await decisions.flush()

    async def hour(self, pushes: int) -> HourRow:
        """Run for an hour with the timer of releases, and return what it cost."""
        for counts in (self.measured.foundry, self.measured.storage, self.registry_requests):
            counts.clear()
        works = [self.resume_for_ever(), *(self._work(0) for _ in range(MAX_CONCURRENT_RELEASES))]
        works += [self.push_for_ever(HOUR / pushes)] if pushes else []
        tasks = [asyncio.ensure_future(work) for work in works]
        await asyncio.sleep(HOUR)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [result for result in results if isinstance(result, Exception)]
        if errors:
            raise errors[0]
        foundry = Counter(self.measured.foundry)
        del foundry["429"]
        return HourRow(
            self.load.agents,
            pushes,
            self.measured.storage.total(),
            foundry.total(),
            self.registry_requests.total(),
            len(self.journal.lines),
            len(self.measured.lead_times),
        )


def measure_hour(size: tuple[int, int]) -> HourRow:
    """Run an hour of so many agents and pushes, without logging."""

    async def run_hour() -> HourRow:
        fleet = HourFleet(agents, foundry_limit=5.0)
        await fleet.settle()
        await asyncio.sleep(HOUR)
        return await fleet.hour(pushes)

    agents, pushes = size
    logging.disable(logging.CRITICAL)
    try:
        return run(run_hour())
    finally:
        logging.disable(logging.NOTSET)
