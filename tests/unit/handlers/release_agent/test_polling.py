"""Polls are paced from start to start, however long a read takes."""

from __future__ import annotations

import pytest

from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.lease_keeper import LeaseKeeper
from handlers.release_agent.polling import Poller
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, app_with, push_and_release


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


@pytest.mark.parametrize(("read_seconds", "pause"), [(0.0, 0.5), (0.1, 0.4), (5.0, 0.25)])
async def test_the_pause_until_the_second_read_counts_from_the_start_of_the_first(
    read_seconds: float, pause: float
) -> None:
    clock = ManualClock()
    lease = await InMemoryStateStore(clock).acquire_lease("hello")
    assert lease is not None
    poller = Poller(clock, LeaseKeeper(clock, lease), 2.0, FoundryRateLimiter())
    poller.restart(provisions=True)
    clock.passed += 1.0
    await poller.wait()
    clock.passed += read_seconds
    poller.version_active()
    assert poller.seconds_to_second_read(0.5) == pytest.approx(pause)


async def test_the_pause_is_whole_where_no_poll_found_the_version_active() -> None:
    clock = ManualClock()
    lease = await InMemoryStateStore(clock).acquire_lease("hello")
    assert lease is not None
    poller = Poller(clock, LeaseKeeper(clock, lease), 2.0, FoundryRateLimiter())
    clock.passed += 60.0
    poller.version_active()
    assert poller.seconds_to_second_read(0.5) == 0.5


async def lead_times(*provisioning: float) -> tuple[list[float], tuple[float, ...]]:
    """Seconds beside the provisioning that each release in a row takes, and the known times at the end."""
    app, overheads = app_with("mode: auto"), list[float]()
    for number, seconds in enumerate(provisioning):
        app.foundry.provisioning, began = seconds, app.clock.monotonic()
        assert await push_and_release(app, f"v{number}", "abcdefgh"[number]) == "LIVE"
        overheads.append(app.clock.monotonic() - began - seconds)
        await app.clock.sleep(600)
    return overheads, (await app.state_store.get_release(AGENT)).provisioning_seconds


@in_virtual_time
async def test_a_release_learns_how_long_its_versions_take() -> None:
    overheads, known = await lead_times(21.3, 19.2, 20.9, 20.1)
    assert known == pytest.approx((21.3, 19.2, 20.9, 20.1), abs=1.1)
    assert overheads[-1] <= 0.8
    assert max(overheads[:3]) <= 2.0 + 0.5, "as without a history"


@in_virtual_time
async def test_a_version_that_was_active_at_once_says_nothing_about_the_next() -> None:
    assert (await lead_times(0.0, 0.0))[1] == ()
