"""Instances share one rate: known from heartbeats, whatever happens to instances, storage and clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from core.foundry_rate import (
    HEARTBEAT_SECONDS,
    MAX_INSTANCES,
    MAX_SILENT_SECONDS,
    MIN_READS_PER_SECOND,
    MIN_UNSHARED_READS_PER_SECOND,
    Heartbeat,
    rate_after_refusal,
    releases_at_once,
)
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.app_share import ONE_REFUSAL_SECONDS
from handlers.gateways.foundry.rate_limiter import MAX_PAUSE_SECONDS, SLOT_RETRY_SECONDS, FoundryRateLimiter
from handlers.gateways.in_memory.instances import InMemoryInstances
from tests.simulation.virtual_time import VirtualClock, in_virtual_time


async def hold(limiter: FoundryRateLimiter, clock: VirtualClock, releases: AsyncExitStack) -> None:
    assert await releases.enter_async_context(limiter.slot(clock, clock.sleep))


def rate(limiter: FoundryRateLimiter, clock: VirtualClock) -> float:
    return limiter.load(clock.monotonic()).reads_per_second


@in_virtual_time
async def test_two_instances_share_the_rate_by_their_releases_after_a_period() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    first, second = FoundryRateLimiter(4.0, instances), FoundryRateLimiter(4.0, instances)
    async with AsyncExitStack() as releases:
        for limiter in (first, first, first, second):
            await hold(limiter, clock, releases)
        assert (rate(first, clock), rate(second, clock)) == (4.0, 4.0), "nobody knows of another"
        await asyncio.sleep(2 * HEARTBEAT_SECONDS + 1)
        assert (rate(first, clock), rate(second, clock)) == (3.0, 1.0)


@in_virtual_time
async def test_a_release_that_ends_within_a_period_sends_no_heartbeat() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    async with AsyncExitStack() as releases:
        await hold(FoundryRateLimiter(4.0, instances), clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS - 1)
    await asyncio.sleep(5 * HEARTBEAT_SECONDS)
    assert not instances.heartbeats
    assert len(asyncio.all_tasks()) == 1, "nothing runs while nothing is in hand"


@in_virtual_time
async def test_a_429_is_known_everywhere_within_a_period() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    refused, other = FoundryRateLimiter(4.0, instances), FoundryRateLimiter(4.0, instances)
    async with AsyncExitStack() as releases:
        await hold(refused, clock, releases)
        await hold(other, clock, releases)
        await asyncio.sleep(1)
        refused.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        assert len(instances.heartbeats) == 1, "at once, by the refused instance"
        await asyncio.sleep(HEARTBEAT_SECONDS)
        assert not other.is_calm(clock.monotonic())


@in_virtual_time
async def test_a_newcomer_starts_from_what_the_refusals_of_the_others_left() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    refused, newcomer = FoundryRateLimiter(4.0, instances, "1"), FoundryRateLimiter(4.0, instances, "2")
    async with AsyncExitStack() as releases:
        await hold(refused, clock, releases)
        for _ in range(8):
            refused.record_refusal(clock.monotonic())
            await asyncio.sleep(ONE_REFUSAL_SECONDS)
        await asyncio.sleep(HEARTBEAT_SECONDS)
        known = rate(refused, clock)
        assert known < 1.0
        newcomer.record_refusal(clock.monotonic())
        async with newcomer.slot(clock, clock.sleep) as has_slot:
            assert not has_slot, "the first instance takes the releases"
        assert newcomer.load(clock.monotonic()).releases_at_once <= releases_at_once(rate(refused, clock))
        await asyncio.sleep(ONE_REFUSAL_SECONDS)
        before = newcomer.load(clock.monotonic()).releases_at_once
        newcomer.record_refusal(clock.monotonic())
        assert newcomer.load(clock.monotonic()).releases_at_once < before, "a refusal lowers what all know"


@in_virtual_time
async def test_an_instance_that_dies_is_noticed_within_two_periods() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(4.0, instances)
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS - 1)
        await instances.exchange(Heartbeat("dead", (1000.0, 900.0, 800.0)))
        await asyncio.sleep(2)
        assert rate(limiter, clock) == 1.0
        await asyncio.sleep(MAX_SILENT_SECONDS + HEARTBEAT_SECONDS)
        assert rate(limiter, clock) == 4.0


class BrokenInstances:
    """A heartbeat that cannot be written."""

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        raise TransientError("storage", "AuthorizationFailure", f"write instances/default/{own.instance}")


@in_virtual_time
async def test_without_heartbeats_each_instance_takes_an_equal_share() -> None:
    clock = VirtualClock()
    limiter = FoundryRateLimiter(4.0, BrokenInstances())
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        assert rate(limiter, clock) == 4.0 / MAX_INSTANCES
        limiter.record_refusal(clock.monotonic())
        assert rate(limiter, clock) == rate_after_refusal(4.0 / MAX_INSTANCES, MIN_UNSHARED_READS_PER_SECOND)
        began = clock.monotonic()
        await hold(limiter, clock, releases)
        assert clock.monotonic() - began <= 300, "slower, but never stuck"


@in_virtual_time
async def test_after_a_429_a_younger_release_waits_for_an_older_one_elsewhere_five_minutes_at_most() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(0.1, instances)

    async def other_instance() -> None:
        while True:
            await instances.exchange(Heartbeat("other", (1000.0 + clock.monotonic(),), since_refusal=0.0))
            await asyncio.sleep(HEARTBEAT_SECONDS)

    other = asyncio.ensure_future(other_instance())
    async with AsyncExitStack() as releases:
        began = clock.monotonic()
        await hold(limiter, clock, releases)
        limiter.record_refusal(began)
        await asyncio.sleep(1)
        asked_at = clock.monotonic()
        await limiter.wait_to_go_on(began, clock, clock.sleep)
        assert 250 < clock.monotonic() - asked_at <= 310
        other.cancel()
        await asyncio.sleep(MAX_SILENT_SECONDS + HEARTBEAT_SECONDS)
        asked_at = clock.monotonic()
        await limiter.wait_to_go_on(began, clock, clock.sleep)
        assert clock.monotonic() == asked_at


@in_virtual_time
async def test_without_heartbeats_a_small_rate_is_not_divided_until_a_release_starves() -> None:
    clock = VirtualClock()
    limiter = FoundryRateLimiter(0.2, BrokenInstances())
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        assert rate(limiter, clock) == MIN_READS_PER_SECOND
    lowest = FoundryRateLimiter(MIN_READS_PER_SECOND / 2, BrokenInstances())
    async with AsyncExitStack() as releases:
        await hold(lowest, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        assert rate(lowest, clock) == MIN_READS_PER_SECOND / 2, "never more than what is set"


@in_virtual_time
async def test_without_heartbeats_refusals_leave_less_than_where_instances_share_the_rate() -> None:
    clock = VirtualClock()
    alone, sharing = FoundryRateLimiter(4.0, BrokenInstances()), FoundryRateLimiter(4.0, InMemoryInstances(clock))
    async with AsyncExitStack() as releases:
        for limiter in (alone, sharing):
            await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        for _ in range(20):
            for limiter in (alone, sharing):
                limiter.record_refusal(clock.monotonic())
            await asyncio.sleep(ONE_REFUSAL_SECONDS)
        limits = [
            limiter.load(clock.monotonic() - ONE_REFUSAL_SECONDS).reads_per_second for limiter in (alone, sharing)
        ]
        assert limits == [MIN_UNSHARED_READS_PER_SECOND, MIN_READS_PER_SECOND]


class HealingInstances(InMemoryInstances):
    """Heartbeats of which the next ones cannot be written."""

    failures = 0

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        if self.failures:
            self.failures -= 1
            raise TransientError("storage", "503", f"write instances/default/{own.instance}")
        return await super().exchange(own)


@in_virtual_time
async def test_once_heartbeats_can_be_written_again_the_others_are_asked_before_a_release_is_taken() -> None:
    clock = VirtualClock()
    instances = HealingInstances(clock)
    instances.failures = 1
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        assert rate(limiter, clock) == 4.0 / MAX_INSTANCES
        await asyncio.sleep(HEARTBEAT_SECONDS)
        assert rate(limiter, clock) == 4.0
    await asyncio.sleep(2 * MAX_SILENT_SECONDS)
    assert rate(limiter, clock) == 4.0, "an old failure says nothing"
    async with AsyncExitStack() as releases:
        other = asyncio.ensure_future(beat_as(FIRST, instances))
        releases.callback(other.cancel)
        limiter.record_refusal(clock.monotonic())
        assert not await limiter.takes_release(clock)


@in_virtual_time
async def test_where_heartbeats_can_no_longer_be_written_what_was_heard_counts_for_two_periods() -> None:
    clock = VirtualClock()
    instances = HealingInstances(clock)
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    async with AsyncExitStack() as releases:
        began = clock.monotonic()
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS - 1)
        await instances.exchange(Heartbeat(FIRST, (100.0,) * 50, since_refusal=0.0, rate_left=0.5))
        await asyncio.sleep(2)
        instances.failures = 1_000
        limiter.record_refusal(clock.monotonic())
        assert limiter.is_for_others(clock.monotonic()), "the other one takes the releases"
        goes_on = asyncio.ensure_future(limiter.wait_to_go_on(began, clock, clock.sleep))
        await asyncio.sleep(MAX_SILENT_SECONDS - 5)
        assert not goes_on.done(), "fifty releases began earlier"
        limiter.record_refusal(clock.monotonic())
        assert limiter.is_for_others(clock.monotonic())
        await asyncio.sleep(10)
        assert not limiter.is_for_others(clock.monotonic())
        await asyncio.sleep(30)
        assert goes_on.done()


@in_virtual_time
async def test_what_refusals_without_heartbeats_left_does_not_hide_the_releases_from_the_others() -> None:
    clock = VirtualClock()
    instances = HealingInstances(clock)
    instances.failures = 1_000
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        await asyncio.sleep(HEARTBEAT_SECONDS + 1)
        for _ in range(20):
            limiter.record_refusal(clock.monotonic())
            await asyncio.sleep(ONE_REFUSAL_SECONDS)
        assert rate(limiter, clock) < MIN_READS_PER_SECOND
        instances.failures = 0
        await asyncio.sleep(HEARTBEAT_SECONDS)
        (beat,) = await instances.exchange(Heartbeat(FIRST))
        assert beat.rate_left == MIN_READS_PER_SECOND, "less counts as metadata that a person changed"
        assert rate(limiter, clock) >= MIN_READS_PER_SECOND


class WrongClock(VirtualClock):
    """The clock of a machine that counts from another moment."""

    def __init__(self, ahead: float) -> None:
        super().__init__(ahead=ahead)
        self._ahead = ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead


@pytest.mark.parametrize("ahead", [-600.0, 600.0, 1e7])
@in_virtual_time
async def test_instances_whose_clocks_differ_agree_on_who_is_ahead_and_on_the_rate(ahead: float) -> None:
    right, wrong = VirtualClock(), WrongClock(ahead)
    instances = InMemoryInstances(right)
    first, second = FoundryRateLimiter(4.0, instances, "2"), FoundryRateLimiter(4.0, instances, "1")
    async with AsyncExitStack() as releases:
        await hold(first, right, releases)
        await asyncio.sleep(1)
        began = wrong.monotonic()
        await hold(second, wrong, releases)
        for _ in range(12):
            second.record_refusal(wrong.monotonic())
            await asyncio.sleep(ONE_REFUSAL_SECONDS)
        await asyncio.sleep(2 * HEARTBEAT_SECONDS)
        known, found = first.load(right.monotonic()), second.load(wrong.monotonic())
        assert known.releases_at_once == pytest.approx(found.releases_at_once, rel=1e-6)
        assert known.releases_at_once < 2.0
        asked_at = right.monotonic()
        goes_on = asyncio.ensure_future(second.wait_to_go_on(began, wrong, wrong.sleep))
        await first.wait_to_go_on(0.0, right, right.sleep)
        assert not goes_on.done(), "the release that began first goes on first"
        await goes_on
        assert right.monotonic() - asked_at <= 310


@in_virtual_time
async def test_a_refused_instance_that_had_nothing_in_hand_asks_the_others_at_once() -> None:
    clock = VirtualClock()
    limiter = FoundryRateLimiter(4.0, InMemoryInstances(clock))
    limiter.record_refusal(clock.monotonic())
    assert await limiter.takes_release(clock)
    assert clock.monotonic() <= SLOT_RETRY_SECONDS


@pytest.mark.parametrize("count", [2, 40])
@in_virtual_time
async def test_instances_that_start_in_one_second_share_the_rate_soon(count: int) -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiters = [FoundryRateLimiter(4.0, instances) for _ in range(count)]
    async with AsyncExitStack() as releases:
        for limiter in limiters:
            await hold(limiter, clock, releases)
            limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(2 * HEARTBEAT_SECONDS + 1)
        assert sum(rate(limiter, clock) for limiter in limiters) <= 4.0 + count * 4.0 / (count + 1)
        assert all(rate(limiter, clock) > 0 for limiter in limiters)


FIRST, LAST = "0", "z"
"""Names that sort before and after every other."""


async def beat_as(name: str, instances: InMemoryInstances) -> None:
    """Another instance that Foundry refuses."""
    while True:
        await instances.exchange(Heartbeat(name, since_refusal=0.0))
        await asyncio.sleep(HEARTBEAT_SECONDS)


@pytest.mark.parametrize(("name", "takes"), [(FIRST, False), (LAST, True)])
@in_virtual_time
async def test_after_a_429_the_first_instance_by_name_takes_the_releases(name: str, takes: bool) -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    assert await limiter.takes_release(clock), "while Foundry refuses nothing each instance takes what comes"
    async with AsyncExitStack() as releases:
        other = asyncio.ensure_future(beat_as(name, instances))
        releases.callback(other.cancel)
        await hold(limiter, clock, releases)
        limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        asked_at = clock.monotonic()
        assert await limiter.takes_release(clock) is takes
        assert clock.monotonic() - asked_at == (0 if takes else HEARTBEAT_SECONDS)
        async with limiter.slot(clock, clock.sleep) as has_slot:
            assert has_slot is takes


@in_virtual_time
async def test_an_instance_that_had_nothing_in_hand_asks_who_takes_releases_before_it_takes_one() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    async with AsyncExitStack() as releases:
        other = asyncio.ensure_future(beat_as(FIRST, instances))
        releases.callback(other.cancel)
        limiter.record_refusal(clock.monotonic())
        assert not await limiter.takes_release(clock)
        await asyncio.sleep(MAX_SILENT_SECONDS + 1)
        assert not await limiter.takes_release(clock), "what it heard is too old"
        async with limiter.slot(clock, clock.sleep) as has_slot:
            assert not has_slot


@in_virtual_time
async def test_another_instance_takes_the_releases_two_periods_after_the_first_one_died() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(4.0, instances, "middle")
    first = asyncio.ensure_future(beat_as(FIRST, instances))
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        assert not await limiter.takes_release(clock)
        first.cancel()
        died_at = clock.monotonic()
        while not await limiter.takes_release(clock):
            limiter.record_refusal(clock.monotonic())
        assert clock.monotonic() - died_at <= MAX_SILENT_SECONDS + HEARTBEAT_SECONDS


@in_virtual_time
async def test_a_release_that_waits_for_a_slot_goes_back_once_other_instances_take_releases() -> None:
    clock = VirtualClock()
    instances = InMemoryInstances(clock)
    limiter = FoundryRateLimiter(0.1, instances, "middle")
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        other = asyncio.ensure_future(beat_as(FIRST, instances))
        releases.callback(other.cancel)
        asked_at = clock.monotonic()
        async with limiter.slot(clock, clock.sleep) as has_slot:
            assert not has_slot
        assert clock.monotonic() - asked_at <= 2 * HEARTBEAT_SECONDS


@in_virtual_time
async def test_without_heartbeats_each_instance_takes_releases() -> None:
    clock = VirtualClock()
    limiter = FoundryRateLimiter(4.0, BrokenInstances(), LAST)
    async with AsyncExitStack() as releases:
        await hold(limiter, clock, releases)
        limiter.record_refusal(clock.monotonic())
        await asyncio.sleep(1)
        assert await limiter.takes_release(clock)
        assert clock.monotonic() == 1, "it waits for no heartbeat"


@in_virtual_time
async def test_a_retry_after_of_an_hour_holds_reads_for_half_a_minute() -> None:
    clock = VirtualClock()
    limiter = FoundryRateLimiter(4.0)
    limiter.record_refusal(clock.monotonic(), retry_after=3600.0)
    await limiter.wait_for_read(clock)
    assert clock.monotonic() == MAX_PAUSE_SECONDS
    limiter.record_refusal(clock.monotonic(), retry_after=None)
    asked_at = clock.monotonic()
    await limiter.wait_for_read(clock)
    assert clock.monotonic() - asked_at < 1.0
