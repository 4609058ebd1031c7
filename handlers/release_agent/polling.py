"""When a release polls again, under its lease."""

from __future__ import annotations

from collections.abc import Sequence

from core.release.poll_schedule import planned_pause, seconds_to_next_poll
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
        self._began = self._waiting_since = self._polled_at = self._active_at = clock.monotonic()
        self._waited = 0.0
        self._provisions = False
        self.provisioning_seconds: float | None = None
        """How long the version took that became active last; None where its creation or its wait was not seen."""

    def restart(self, *, provisions: bool = False) -> None:
        """Something happened: poll often again; with ``provisions``, a version is created now."""
        self._waiting_since = self._polled_at = self._clock.monotonic()
        self._waited, self._provisions = 0.0, provisions

    def version_active(self) -> None:
        """The version is active: it became so between the poll before this one and this one."""
        self.provisioning_seconds = None
        self._active_at = self._polled_at if self._waited else self._clock.monotonic()
        if not self._waited:
            return
        self._rate_limiter.record_activation(self._waited)
        if self._provisions:
            self.provisioning_seconds = (self._waited + self._polled_at - self._waiting_since) / 2

    def seconds_to_second_read(self, pause: float) -> float:
        """What is left of a pause since the start of the read that found the version active: half of it at least."""
        return max(pause - (self._clock.monotonic() - self._active_at), pause / 2)

    async def wait(self, known: Sequence[float] = ()) -> None:
        """Wait until the next poll; raises LeaseLostError. ``known``: how long earlier versions took.

        The pause counts from the start of one poll to that of the next while Foundry is calm, and is half of that at
        least.
        """
        now = self._clock.monotonic()
        self._waited = now - self._waiting_since
        load = self._rate_limiter.load(now)
        spent = 0.0 if load.throttled else now - self._polled_at
        times = known if self._provisions else ()
        pause = seconds_to_next_poll(self._waited, self._first_poll, load, times)
        with self._rate_limiter.polling(planned_pause(self._waited, self._first_poll, times)):
            await self._keeper.sleep(max(pause - spent, pause / 2))
            await self.wait_to_go_on()
        self._polled_at = self._clock.monotonic()

    async def wait_to_go_on(self) -> None:
        """After a 429, wait while older releases go on; raises LeaseLostError."""
        await self._rate_limiter.wait_to_go_on(self._began, self._clock, self._keeper.sleep)
