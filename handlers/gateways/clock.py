"""The real time."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as a gateway, so that tests need not wait for it."""

    def now(self) -> datetime:
        """The time in UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back or forward."""

    async def sleep(self, seconds: float) -> None:
        """Wait without holding a thread."""

    def jitter(self) -> float:
        """A random number from 0 to 1 by which a pause is shortened."""


class SystemClock:
    """The machine's clock; see the Clock protocol."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - it spreads retries, it hides nothing
