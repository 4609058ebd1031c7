"""How long a lease holder waits between looks, and that its lease outlasts the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.release.poll_schedule import seconds_to_next_poll
from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.interfaces import Lease

T = TypeVar("T")

RENEW_BELOW_SECONDS = 40.0
"""Seconds left of a 60 s lease: it is renewed every 20 s."""
MAX_SLEEP_SECONDS = 20.0
MAX_BACK_OFF_SECONDS = 120.0
"""Seconds that a fault is waited out under the lease: a longer wish is waited for in the queue, where it is free."""
SLOT_RETRY_SECONDS, MAX_SLOT_WAIT_SECONDS = 2.0, 300.0
"""Seconds between two tries to get a turn at Foundry, and until others of the queue get a try."""
MAX_FAULTS_IN_A_ROW = 6
"""Faults in a row, 63 s of waiting in all, before the message goes back to the queue."""


class LeaseLostError(Exception):
    """Somebody else may hold the lease now: this holder must not write or act again."""


class LeaseKeeper:
    """The waits of one lease holder; every method but the counters may raise LeaseLostError."""

    def __init__(self, clock: Clock, lease: Lease, first_poll: float, looks: FoundryRateLimiter) -> None:
        self._clock = clock
        self._lease = lease
        self._first_poll = first_poll
        self._looks = looks
        self._waits_since = self._looks_since = clock.monotonic()
        self._not_yet = 0.0
        self._faults = 0

    def acted(self) -> None:
        """Something happened: look often again."""
        self._waits_since = self._looks_since = self._clock.monotonic()
        self._not_yet = 0.0

    def became_active(self) -> None:
        """What was waited for is there: it took at least until the look before this one."""
        if self._not_yet:
            self._looks.record_activation(self._not_yet)

    def answered(self) -> None:
        """A turn met no fault."""
        self._faults = 0

    async def keep_lease(self) -> None:
        """Renew the lease where a third of it is gone."""
        if self._lease.remaining_seconds < RENEW_BELOW_SECONDS and not await self._lease.renew():
            raise LeaseLostError

    async def wait_for_slot(self) -> bool:
        """Wait under the lease until Foundry has room for one more release; False: not within five minutes.

        Whoever asks for the same agent meanwhile finds the lease taken, and goes: what is wanted is read afterwards.
        """
        ends = self._clock.monotonic() + MAX_SLOT_WAIT_SECONDS
        while not self._looks.try_start_release(self._clock.monotonic()):
            if self._clock.monotonic() >= ends:
                return False
            await self._sleep(SLOT_RETRY_SECONDS)
        return True

    async def poll(self) -> None:
        """Wait for the next look: ``POLL_SECONDS``, growing with the time that was waited and with the crowd.

        From the begin of one look to that of the next while Foundry takes what comes, and half of it at least.
        """
        now = self._clock.monotonic()
        self._not_yet = now - self._waits_since
        crowd = self._looks.load(now)
        spent = 0.0 if crowd.throttled else now - self._looks_since
        seconds = seconds_to_next_poll(self._not_yet, self._first_poll, crowd)
        with self._looks.polling():
            await self._sleep(max(seconds - spent, seconds / 2))
        self._looks_since = self._clock.monotonic()

    async def back_off(self, error: TransientError) -> bool:
        """Wait a fault out: 1 s, then twice as long each time, or what the service asks for; False: out of patience."""
        self._faults += 1
        if error.throttled:
            self._looks.record_refusal(self._clock.monotonic())
        seconds = max(error.retry_after or 0.0, 2.0 ** (self._faults - 1))
        if self._faults > MAX_FAULTS_IN_A_ROW or seconds > MAX_BACK_OFF_SECONDS:
            return False
        await self._sleep(seconds)
        return True

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something that takes its time; the lease is kept meanwhile, and what loses it is stopped."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await self.keep_lease()
                await self._either(task, MAX_SLEEP_SECONDS)
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
            await self._clock.sleep(min(seconds, MAX_SLEEP_SECONDS))
            seconds -= MAX_SLEEP_SECONDS
