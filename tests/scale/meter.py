"""Services that count their requests and take time, and a Foundry with a rate limit."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.model import Version
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock

READS = frozenset({"get_agent", "get_version", "list_versions"})
"""Calls that wait for the rate limiter in the real gateway."""
BURST = 5.0
"""Requests that Foundry accepts at once where it accepts fewer a second."""
PAGE = 100
"""Versions that one request lists."""


class SlowFoundry(InMemoryFoundry):
    """A Foundry in which each image takes its own time to become active."""

    def __init__(self, clock: VirtualClock, quickest: float, slowest: float) -> None:
        super().__init__(clock)
        self.quickest, self.slowest = quickest, slowest

    def provisioning_of(self, version: Version) -> float:
        share = int(version.image.rpartition("sha256:")[2][:8], 16) / 0xFFFFFFFF
        return self.quickest + (self.slowest - self.quickest) * share


class RateLimit:
    """A token bucket of one second's requests; None: no limit."""

    def __init__(self, clock: VirtualClock, requests_per_second: float | None) -> None:
        self._clock = clock
        self._rate = requests_per_second
        self._tokens, self._filled_at = requests_per_second or 0.0, 0.0

    def take(self) -> float:
        """Take a token and return 0, or return the seconds to wait for one."""
        if self._rate is None:
            return 0.0
        now = self._clock.monotonic()
        self._tokens = min(max(BURST, self._rate), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class MeteredGateway:
    """A gateway whose calls are counted, take time, and may be refused; like the real one it reports each 429."""

    def __init__(
        self,
        target: object,
        counts: Counter[str],
        seconds: float,
        rate_limit: RateLimit | None = None,
        rate_limiter: FoundryRateLimiter | None = None,
    ) -> None:
        self._target = target
        self._counts = counts
        self._seconds = seconds
        self._rate_limit = rate_limit
        self._rate_limiter, self._clock = rate_limiter, VirtualClock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method
        call = self._call(name, method)
        setattr(self, name, call)  # used often
        return call

    def _call(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            for _ in range(self._requests(name, args)):
                await self._request(name)
            return await method(*args, **kwargs)

        return call

    async def _request(self, name: str) -> None:
        if self._rate_limiter and name in READS:
            await self._rate_limiter.wait_for_read(self._clock)
        self._counts[name] += 1
        await asyncio.sleep(self._seconds)
        wait = self._rate_limit.take() if self._rate_limit else 0.0
        if wait:
            self._counts["429"] += 1
            if self._rate_limiter:
                self._rate_limiter.record_refusal(self._clock.monotonic(), math.ceil(wait))
            raise TransientError("Foundry", "429", name, retry_after=math.ceil(wait), throttled=True)

    def _requests(self, name: str, args: Sequence[Any]) -> int:
        """Return how many requests the real gateway sends for a call: a list has one per page."""
        if name != "list_versions" or not isinstance(self._target, InMemoryFoundry):
            return 1
        agent = self._target.agents.get(args[0])
        return max(1, math.ceil(len(agent.versions) / PAGE)) if agent else 1
