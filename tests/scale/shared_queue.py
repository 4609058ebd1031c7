"""The queue ``releases`` that several instances poll: any of those that have room takes the next message."""

from __future__ import annotations

import asyncio
from random import Random

from handlers.gateways.clock import Clock
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue, Message


class SharedQueue(InMemoryReleaseQueue):
    """Each worker of an instance waits for a message of its own."""

    def __init__(self, clock: Clock, instances: int, random: Random) -> None:
        super().__init__(clock)
        self._random = random
        self._idle: list[list[asyncio.Future[Message]]] = [[] for _ in range(instances)]

    async def receive(self, instance: int) -> Message:
        """Wait for the next message that is due, and take it."""
        message: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._idle[instance].append(message)
        self._hand_out()
        return await message

    def _put(self, agent: str, delay: float, tries: int) -> None:
        super()._put(agent, delay, tries)
        asyncio.get_running_loop().call_later(delay, self._hand_out)

    def _hand_out(self) -> None:
        while polling := [idle for idle in self._idle if idle]:
            message = self.take()
            if message is None:
                return
            self._random.choice(polling).pop(0).set_result(message)
