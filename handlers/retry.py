"""The one backoff: pauses double, with full jitter, and are never shorter than the service asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from handlers.concurrency import gather_two
from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try; times in seconds."""

    first: float
    longest: float

    def seconds(self, failures: int, clock: Clock, retry_after: float | None = None) -> float:
        """The pause after so many failures: by chance up to ``first``, twice that, and so on up to ``longest``.

        Full jitter keeps instances that failed together from asking together again
        (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
        """
        most = min(self.longest, self.first * 2.0 ** (failures - 1))
        return max(retry_after or 0.0, most * clock.jitter())


READS = Backoff(first=1.0, longest=16.0)
MAX_TRIES = 4
USUAL_TIME = timedelta(minutes=5)


async def both_with_retries(
    clock: Clock,
    first: Callable[[], Awaitable[T]],
    second: Callable[[], Awaitable[U]],
    ends: datetime,
) -> tuple[T, U]:
    """Both results of reads that are repeated each by itself: a service may always refuse one of two."""
    return await gather_two(with_retries(clock, first, ends), with_retries(clock, second, ends))


async def with_retries(
    clock: Clock, read: Callable[[], Awaitable[T]], ends: datetime | None = None, max_tries: int = MAX_TRIES
) -> T:
    """The result of a read that no lease waits for; raises PermanentError at once.

    Raises TransientError where the next try would come after ``ends``, by default in five minutes, and after
    ``max_tries``; those that the service refused because of its rate do not count.
    """
    ends = ends or clock.now() + USUAL_TIME
    failures = tries = 0
    while True:
        try:
            return await read()
        except TransientError as error:
            failures, tries = failures + 1, tries + (not error.throttled)
            pause = READS.seconds(failures, clock, error.retry_after)
            if tries >= max_tries or clock.now() + timedelta(seconds=pause) > ends:
                raise
            await clock.sleep(pause)
