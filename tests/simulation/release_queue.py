"""The queue ``releases`` in virtual time: workers wait for its messages."""

from __future__ import annotations

import asyncio

from handlers.gateways.clock import Clock
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue, Message


class WaitingQueue(InMemoryReleaseQueue):
    """The queue as the Functions host polls it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._idle: list[asyncio.Future[None]] = []

    async def receive(self) -> Message:
        """Wait for the next message that is due, and take it."""
        while (message := self.take()) is None:
            loop = asyncio.get_running_loop()
            changed = loop.create_future()
            self._idle.append(changed)
            due = loop.call_at(self.waiting[0].due, self._wake) if self.waiting else None
            await changed
            if due is not None:
                due.cancel()
        return message

    def _put(self, agent: str, delay: float, tries: int) -> None:
        super()._put(agent, delay, tries)
        self._wake()

    def _wake(self) -> None:
        woken, self._idle = self._idle, []
        for changed in woken:
            if not changed.done():
                changed.set_result(None)
