"""The queue ``releases`` of a simulation: messages come back until they were handled, and five times at most."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field

from tests.simulation.virtual_time import VirtualClock

TRIES = 5
INSTANT = 1e-6
"""Seconds below which a loop does not tell times apart."""


@dataclass
class SimulatedQueue:
    """See the Queue protocol; workers take from it."""

    clock: VirtualClock
    waiting: list[tuple[float, int]] = field(default_factory=list)
    """When each message is due, and how often it was tried."""
    poisoned: int = 0
    idle: list[asyncio.Future[None]] = field(default_factory=list)

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        self._put(delay, 0)

    async def count_messages(self, queue: str) -> int:
        return len(self.waiting)

    async def take(self) -> int:
        """The tries of the next message, once it is due."""
        while True:
            now = self.clock.monotonic()
            if self.waiting and self.waiting[0][0] <= now + INSTANT:
                return heapq.heappop(self.waiting)[1] + 1
            loop = asyncio.get_running_loop()
            something = loop.create_future()
            self.idle.append(something)
            due = loop.call_at(self.waiting[0][0], self._wake) if self.waiting else None
            await something
            if due is not None:
                due.cancel()

    def back(self, tries: int, delay: float) -> None:
        """What failed comes again, or is poison."""
        if tries >= TRIES:
            self.poisoned += 1
        else:
            self._put(delay, tries)

    def _put(self, delay: float, tries: int) -> None:
        heapq.heappush(self.waiting, (self.clock.monotonic() + delay, tries))
        self._wake()

    def _wake(self) -> None:
        woken, self.idle = self.idle, []
        for one in woken:
            if not one.done():
                one.set_result(None)
