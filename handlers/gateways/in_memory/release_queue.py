"""The queue ``releases`` in memory."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError

MAX_TRIES = 5
"""Tries after which a message is moved to the poison queue: the default of the Functions host."""
INSTANT = 1e-6
"""Seconds by which a message may be early: rounding, which would delay it by a whole wait."""


@dataclass(order=True, frozen=True, slots=True)
class Message:
    """One message; the earliest sorts first."""

    due: float
    number: int
    agent: str = field(compare=False)
    tries: int = field(default=0, compare=False)
    """How often it failed."""


class InMemoryReleaseQueue:
    """See the ReleaseQueue protocol; `take` receives a message, `retry` puts back one that failed."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waiting: list[Message] = []
        """A heap."""
        self.poison: list[Message] = []
        self.sent: list[tuple[str, float]] = []
        """Agent and delay of everything that was ever enqueued."""
        self.traceparents: list[str | None] = []
        self.stuck: dict[str, int] = {}
        """By queue: messages that no function takes."""
        self.error: GatewayError | None = None
        """What every count raises."""
        self._numbers = itertools.count()

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        self.sent.append((agent, delay))
        self.traceparents.append(traceparent)
        self._put(agent, delay, 0)

    async def count_messages(self, queue: str) -> int:
        if self.error is not None:
            raise self.error
        messages = {"releases": self.waiting, "releases-poison": self.poison}.get(queue, ())
        return len(messages) + self.stuck.get(queue, 0)

    async def oldest_message(self, queue: str) -> datetime | None:
        if self.error is not None:
            raise self.error
        if queue != "releases" or not self.waiting:
            return None
        due = self.waiting[0].due - self.clock.monotonic()
        return self.clock.now() + timedelta(seconds=due) if due <= 0 else None

    def take(self) -> Message | None:
        """Remove and return the earliest message; None while none is due."""
        is_due = self.waiting and self.waiting[0].due <= self.clock.monotonic() + INSTANT
        return heapq.heappop(self.waiting) if is_due else None

    def retry(self, message: Message, delay: float) -> None:
        """Show a message again after a delay, or move it to the poison queue after the last try."""
        if message.tries + 1 >= MAX_TRIES:
            self.poison.append(message)
        else:
            self._put(message.agent, delay, message.tries + 1)

    def _put(self, agent: str, delay: float, tries: int) -> None:
        heapq.heappush(self.waiting, Message(self.clock.monotonic() + delay, next(self._numbers), agent, tries))
