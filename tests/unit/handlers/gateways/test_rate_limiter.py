"""The rate limiter spaces reads after a 429 and says when a release may start."""

from __future__ import annotations

from core.foundry_rate import rate_after_refusal
from handlers.gateways.foundry.rate_limiter import MAX_SLOT_WAIT_SECONDS, FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock


async def test_after_a_refusal_reads_come_one_after_another_until_it_is_calm() -> None:
    limiter, clock = FoundryRateLimiter(1.0), ManualClock()
    await limiter.wait_for_read(clock)
    assert clock.passed == 0.0
    limiter.record_refusal(0.0)
    assert not limiter.is_calm(1.0)
    for _ in range(3):
        await limiter.wait_for_read(clock)
    assert 2.0 < clock.passed < 4.0, "the first at once, the others by the rate that is left"
    assert limiter.is_calm(1000.0)


def test_several_refusals_within_two_seconds_count_as_one() -> None:
    limiter = FoundryRateLimiter(5.0)
    for at in (10.0, 10.1, 11.9):
        limiter.record_refusal(at)
    assert limiter.load(10.0).reads_per_second == rate_after_refusal(5.0)


def test_a_few_activations_say_nothing_about_the_next() -> None:
    limiter = FoundryRateLimiter()
    for seconds in (60.0, 50.0, 70.0, 80.0):
        limiter.record_activation(seconds)
    assert limiter.load(0.0).fastest_activation == 0.0
    limiter.record_activation(90.0)
    assert limiter.load(0.0).fastest_activation == 50.0


async def test_without_a_limit_every_release_starts() -> None:
    limiter, clock = FoundryRateLimiter(float("inf")), ManualClock()
    limiter.record_refusal(0.0)
    assert limiter.is_calm(0.0)
    async with limiter.slot(clock, clock.sleep) as first, limiter.slot(clock, clock.sleep) as second:
        assert first
        assert second


async def test_a_slot_is_free_again_once_its_release_has_ended() -> None:
    limiter, clock = FoundryRateLimiter(0.1), ManualClock()
    limiter.record_refusal(0.0)
    async with limiter.slot(clock, clock.sleep) as first:
        assert first
        limiter.record_refusal(0.0)
        async with limiter.slot(clock, clock.sleep) as second:
            assert second, "Foundry has been calm for long by then"
        assert clock.passed < MAX_SLOT_WAIT_SECONDS
    clock.passed = 10.0
    limiter.record_refusal(10.0)
    async with limiter.slot(clock, clock.sleep) as third:
        assert third
    assert clock.passed == 10.0


async def test_a_release_without_a_slot_waits_five_minutes_at_most() -> None:
    limiter, clock = FoundryRateLimiter(0.1), ManualClock()
    limiter.record_refusal(0.0)

    async def refused_again(seconds: float) -> None:
        await clock.sleep(seconds)
        limiter.record_refusal(clock.passed)

    async with limiter.slot(clock, clock.sleep), limiter.slot(clock, refused_again) as second:
        assert not second
    assert clock.passed >= MAX_SLOT_WAIT_SECONDS
