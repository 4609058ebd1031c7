"""Looks come at a pace that counts from begin to begin, however long looking takes."""

from __future__ import annotations

from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.lease_keeper import LeaseKeeper


async def looked(reading: float, count: int, *, refused: bool = False) -> list[float]:
    """When so many looks begin, each of which takes so many seconds."""
    clock, looks = ManualClock(), FoundryRateLimiter()
    lease = await InMemoryStateStore(clock).acquire_lease("hello")
    assert lease is not None
    pace, began = LeaseKeeper(clock, lease, 2.0, looks), list[float]()
    if refused:
        looks.record_refusal(0.0)
    for _ in range(count):
        clock.passed += reading
        await pace.poll()
        began.append(clock.passed)
    return began


async def test_what_a_look_takes_does_not_delay_the_next() -> None:
    assert await looked(0.5, 4) == [2.0, 4.0, 6.0, 8.0]


async def test_a_foundry_that_is_slow_is_left_alone_for_half_of_the_time() -> None:
    assert await looked(5.0, 3) == [6.0, 12.0, 18.0]


async def test_waiting_for_a_turn_after_a_429_does_not_bring_the_next_look_nearer() -> None:
    assert await looked(1.5, 3, refused=True) == [3.5, 7.0, 10.5]
