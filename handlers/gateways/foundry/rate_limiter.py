"""What this process knows of all its waits for versions; what is lost with it is learnt again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.foundry_rate import THROTTLED_SECONDS, LoadSnapshot, may_start_release, rate_after_refusal, recovered_rate

if TYPE_CHECKING:
    from handlers.gateways.clock import Clock

REMEMBERED = 20
"""Versions whose time is remembered."""
KNOWN = 5
"""Versions that must have been seen before their time says anything of the next."""
ONE_REFUSAL = 2.0
"""Seconds in which several refusals count as one: they are of the same moment."""


class FoundryRateLimiter:
    """One per process, shared by all lease holders; ``a_second`` is the budget of all, and inf is none."""

    def __init__(self, a_second: float = 5.0) -> None:
        self._most = self._a_second = a_second
        self._refused_at = float("-inf")
        self._looking = self._in_hand = 0
        self._next = 0.0
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Somebody waits for the next look."""
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    def load(self, now: float) -> LoadSnapshot:
        """Everybody who waits, whoever asks among them; ``now`` in seconds of a clock that nobody sets."""
        calm = now - self._refused_at
        soonest = min(self._took) if len(self._took) >= KNOWN else 0.0
        a_second = recovered_rate(self._a_second, calm, self._most)
        throttled = calm < THROTTLED_SECONDS and self._most < float("inf")
        return LoadSnapshot(self._looking + 1, a_second, soonest, throttled)

    def is_calm(self, now: float) -> bool:
        """True where nothing was refused lately and nobody needs to queue."""
        return not self.load(now).throttled

    async def wait_for_read(self, clock: Clock) -> None:
        """Before a read of Foundry's: at once while it takes what comes, else one after another."""
        now = clock.monotonic()
        crowd = self.load(now)
        if crowd.throttled:
            at = max(now, self._next)
            self._next = at + 1 / crowd.reads_per_second
            await clock.sleep(at - now)

    def try_start_release(self, now: float) -> bool:
        """Take a release in hand, where there is room; who got True gives it back with ``done``."""
        queue = self._next - now
        free = may_start_release(self._in_hand, queue, self.load(now))
        self._in_hand += free
        return free

    def end_release(self) -> None:
        """A release is out of hand."""
        self._in_hand -= 1

    def record_activation(self, seconds: float) -> None:
        """A version took so long, at least."""
        self._took.append(seconds)

    def record_refusal(self, now: float) -> None:
        """Foundry answered 429."""
        calm = now - self._refused_at
        if calm >= ONE_REFUSAL:
            self._a_second = rate_after_refusal(recovered_rate(self._a_second, calm, self._most))
            self._refused_at = now
