"""Services that count what they are asked, and a Foundry that refuses what is asked too often."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.model import Version
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock

READS = frozenset({"get_agent", "get_version", "list_versions"})
"""Calls that wait for their turn in the real gateway."""
PAGE = 100
"""Versions that one request lists."""


class Slow(InMemoryFoundry):
    """Foundry whose every image takes its own time to become active, the same whenever it is asked."""

    def __init__(self, clock: VirtualClock, quickest: float, slowest: float) -> None:
        super().__init__(clock)
        self.quickest, self.slowest = quickest, slowest

    def takes(self, image: str) -> float:
        """Seconds, spread evenly between the two."""
        share = int(image.rpartition("sha256:")[2][:8], 16) / 0xFFFFFFFF
        return self.quickest + (self.slowest - self.quickest) * share

    def provisioning_of(self, version: Version) -> float:
        return self.takes(version.image)


class Limit:
    """A bucket of one second's requests that fills steadily; None: no limit."""

    def __init__(self, clock: VirtualClock, a_second: float | None) -> None:
        self._clock = clock
        self._a_second = a_second
        self._left, self._at = a_second or 0.0, 0.0

    def take(self) -> float:
        """0 where a request may pass, else the seconds to wait."""
        if self._a_second is None:
            return 0.0
        now = self._clock.monotonic()
        self._left = min(self._a_second, self._left + (now - self._at) * self._a_second)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._a_second


class Metered:
    """A gateway whose calls are counted, take their time, and may be refused."""

    def __init__(
        self,
        target: object,
        counts: Counter[str],
        seconds: float,
        limit: Limit | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._before = before
        self._target = target
        self._counts = counts
        self._seconds = seconds
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method
        call = self._call(name, method)
        setattr(self, name, call)  # asked for many times
        return call

    def _call(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            for _ in range(self._requests(name, args)):
                await self._request(name)
            return await method(*args, **kwargs)

        return call

    async def _request(self, name: str) -> None:
        if self._before and name in READS:
            await self._before()
        self._counts[name] += 1
        await asyncio.sleep(self._seconds)
        wait = self._limit.take() if self._limit else 0.0
        if wait:
            self._counts["429"] += 1
            raise TransientError("Foundry", "429", name, retry_after=math.ceil(wait), throttled=True)

    def _requests(self, name: str, args: Sequence[Any]) -> int:
        """Requests that the real gateway makes for a call: a list of many versions is several pages."""
        if name != "list_versions" or not isinstance(self._target, InMemoryFoundry):
            return 1
        found = self._target.agents.get(args[0])
        return max(1, math.ceil(len(found.versions) / PAGE)) if found else 1
