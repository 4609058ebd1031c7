"""How long a lease holder waits between looks, and that its lease outlasts the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from handlers.gateways import Clock, Lease, TransientError

T = TypeVar("T")

LONGEST_POLL = 10.0
POLL_SHARE = 0.1
"""Of the time waited so far: a look that comes late delays a release by a tenth at most."""
RENEW_BELOW = 40.0
"""Seconds left of a 60 s lease: it is renewed every 20 s."""
LONGEST_SLEEP = 20.0
LONGEST_BACK_OFF = 60.0
"""Seconds that a fault is waited out under the lease: a longer wish is waited for in the queue, where it is free."""
PATIENCE = 6
"""Faults in a row, 63 s of waiting in all, before the message goes back to the queue."""


class LeaseLostError(Exception):
    """Somebody else may hold the lease now: this holder must not write or act again."""


class Pace:
    """The waits of one lease holder; every method but the counters may raise LeaseLostError."""

    def __init__(self, clock: Clock, lease: Lease, first_poll: float) -> None:
        self._clock = clock
        self._lease = lease
        self._first_poll = first_poll
        self._waits_since = clock.monotonic()
        self._faults = 0

    def acted(self) -> None:
        """Something happened: look often again."""
        self._waits_since = self._clock.monotonic()

    def answered(self) -> None:
        """A turn met no fault."""
        self._faults = 0

    async def keep_lease(self) -> None:
        """Renew the lease where a third of it is gone."""
        if self._lease.remaining < RENEW_BELOW and not await self._lease.renew():
            raise LeaseLostError

    async def poll(self) -> None:
        """Wait for the next look: ``POLL_SECONDS``, growing to 10 s with the time that was waited already."""
        longest = max(LONGEST_POLL, self._first_poll)
        waited = self._clock.monotonic() - self._waits_since
        await self._sleep(min(longest, max(self._first_poll, waited * POLL_SHARE)))

    async def back_off(self, error: TransientError) -> bool:
        """Wait a fault out: 1 s, then twice as long each time, or what the service asks for; False: out of patience."""
        self._faults += 1
        seconds = max(error.retry_after or 0.0, 2.0 ** (self._faults - 1))
        if self._faults > PATIENCE or seconds > LONGEST_BACK_OFF:
            return False
        await self._sleep(seconds)
        return True

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something that takes its time; the lease is kept meanwhile, and what loses it is stopped."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await self.keep_lease()
                await self._either(task, LONGEST_SLEEP)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _either(self, task: asyncio.Future[Any], seconds: float) -> None:
        """Until the task is done, or so much time has passed."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({task, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        await asyncio.wait({sleeping})

    async def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            await self.keep_lease()
            await self._clock.sleep(min(seconds, LONGEST_SLEEP))
            seconds -= LONGEST_SLEEP
