"""Polls are paced from start to start, however long a read takes."""

from __future__ import annotations

from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.lease_keeper import LeaseKeeper
from handlers.release_agent.polling import Poller


async def polled_at(read_seconds: float, count: int, *, refused: bool = False) -> list[float]:
    """When each of ``count`` polls starts if a read takes ``read_seconds``."""
    clock, limiter = ManualClock(), FoundryRateLimiter()
    lease = await InMemoryStateStore(clock).acquire_lease("hello")
    assert lease is not None
    poller, starts = Poller(clock, LeaseKeeper(clock, lease), 2.0, limiter), list[float]()
    if refused:
        limiter.record_refusal(0.0)
    for _ in range(count):
        clock.passed += read_seconds
        await poller.wait()
        starts.append(clock.passed)
    return starts


async def test_the_time_that_a_read_takes_does_not_delay_the_next_poll() -> None:
    assert await polled_at(0.5, 4) == [2.0, 4.0, 6.0, 8.0]


async def test_after_a_slow_read_the_next_poll_waits_for_half_of_the_pause() -> None:
    assert await polled_at(5.0, 3) == [6.0, 12.0, 18.0]


async def test_waiting_for_a_read_after_a_429_does_not_shorten_the_pause() -> None:
    assert await polled_at(1.5, 3, refused=True) == [3.5, 7.0, 10.5]
