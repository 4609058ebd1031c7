"""When a release polls again, under its lease."""

from __future__ import annotations

from core.release.poll_schedule import seconds_to_next_poll
from handlers.gateways.clock import Clock
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.lease_keeper import LeaseKeeper


class Poller:
    """The polls of one release; times in seconds of the monotonic clock."""

    def __init__(self, clock: Clock, keeper: LeaseKeeper, first_poll: float, rate_limiter: FoundryRateLimiter) -> None:
        self._clock = clock
        self._keeper = keeper
        self._first_poll = first_poll
        self._rate_limiter = rate_limiter
        self._began = self._waiting_since = self._polled_at = clock.monotonic()
        self._waited = 0.0

    def restart(self) -> None:
        """Something happened: poll often again."""
        self._waiting_since = self._polled_at = self._clock.monotonic()
        self._waited = 0.0

    def version_active(self) -> None:
        """The version is active: it took at least until the poll before this one."""
        if self._waited:
            self._rate_limiter.record_activation(self._waited)

    async def wait(self) -> None:
        """Wait until the next poll; raises LeaseLostError.

        The pause counts from the start of one poll to that of the next while Foundry is calm, and is half of that at
        least.
        """
        now = self._clock.monotonic()
        self._waited = now - self._waiting_since
        load = self._rate_limiter.load(now)
        spent = 0.0 if load.throttled else now - self._polled_at
        pause = seconds_to_next_poll(self._waited, self._first_poll, load)
        with self._rate_limiter.polling():
            await self._keeper.sleep(max(pause - spent, pause / 2))
            await self.wait_to_go_on()
        self._polled_at = self._clock.monotonic()

    async def wait_to_go_on(self) -> None:
        """After a 429, wait while older releases go on; raises LeaseLostError."""
        await self._rate_limiter.wait_to_go_on(self._began, self._clock, self._keeper.sleep)
