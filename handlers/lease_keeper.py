"""Keeps a lease while its holder waits or works."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import Lease
from handlers.retry import Backoff

T = TypeVar("T")

RENEW_BELOW_SECONDS = 40.0
"""A lease of 60 s is renewed every 20 s."""
MAX_SLEEP_SECONDS = 20.0
FAULTS = Backoff(first=1.0, longest=32.0)
MAX_FAULTS_IN_A_ROW = 6
"""Then the message goes back to the queue."""
MAX_WAIT_SECONDS = 120.0
"""A longer ``Retry-After`` is waited for in the queue, where it costs nothing."""


class LeaseLostError(Exception):
    """Another instance may hold the lease now: this one must not write any more."""


class LeaseKeeper:
    """Renews one lease in time; every method that waits may raise LeaseLostError."""

    def __init__(self, clock: Clock, lease: Lease) -> None:
        self._clock = clock
        self._lease = lease
        self._faults = 0

    async def keep(self) -> None:
        """Renew the lease where a third of it has passed."""
        if self._lease.remaining_seconds < RENEW_BELOW_SECONDS and not await self._lease.renew():
            raise LeaseLostError

    async def sleep(self, seconds: float) -> None:
        """Wait under the lease."""
        while seconds > 0:
            await self.keep()
            await self._clock.sleep(min(seconds, MAX_SLEEP_SECONDS))
            seconds -= MAX_SLEEP_SECONDS

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work that takes long; it is cancelled when the lease is lost."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await self.keep()
                await self._wait_for(task, MAX_SLEEP_SECONDS)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def back_off(self, error: TransientError) -> bool:
        """Wait a fault out; False after six in a row, or where the service asks for a longer wait."""
        self._faults += 1
        seconds = FAULTS.seconds(self._faults, self._clock, error.retry_after)
        if self._faults > MAX_FAULTS_IN_A_ROW or seconds > MAX_WAIT_SECONDS:
            return False
        await self.sleep(seconds)
        return True

    @property
    def has_given_up(self) -> bool:
        """True once more faults came in a row than are waited out."""
        return self._faults > MAX_FAULTS_IN_A_ROW

    def reset_faults(self) -> None:
        """The service answered: the next fault is the first one again."""
        self._faults = 0

    async def _wait_for(self, task: asyncio.Future[Any], seconds: float) -> None:
        """Until the task has ended or the time has passed."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({task, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        await asyncio.wait({sleeping})
