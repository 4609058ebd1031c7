"""The one backoff: full jitter, growing, and never below what the service asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.retry import MAX_TRIES, Backoff, with_retries

ENDS = ManualClock().now() + timedelta(hours=1)


class HalfChance(ManualClock):
    def jitter(self) -> float:
        return 0.5


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first=1.0, longest=5.0)
    assert [backoff.seconds(failures, ManualClock()) for failures in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]


def test_a_pause_is_shortened_by_chance_but_not_below_a_retry_after() -> None:
    backoff = Backoff(first=1.0, longest=32.0)
    assert backoff.seconds(4, HalfChance()) == 4.0
    assert backoff.seconds(4, HalfChance(), retry_after=7.0) == 7.0


async def test_a_read_is_tried_four_times() -> None:
    clock, tries = ManualClock(), list[float]()

    async def busy() -> None:
        tries.append(clock.passed)
        raise TransientError("Foundry", "503", "busy")

    with pytest.raises(TransientError):
        await with_retries(clock, busy, ENDS)
    assert tries == [0.0, 1.0, 3.0, 7.0]
    assert len(tries) == MAX_TRIES


async def test_a_read_that_is_refused_for_its_rate_is_tried_until_its_time_is_up() -> None:
    clock, tries = ManualClock(), list[float]()

    async def refuse() -> None:
        tries.append(clock.passed)
        raise TransientError("Foundry", "429", "later", retry_after=20.0, throttled=True)

    with pytest.raises(TransientError):
        await with_retries(clock, refuse, clock.now() + timedelta(seconds=150))
    assert tries == [20.0 * number for number in range(8)]


@pytest.mark.parametrize(
    "error",
    [PermanentError("Foundry", "400", "no"), TransientError("Foundry", "503", "later", retry_after=3601.0)],
)
async def test_a_refusal_and_a_wait_that_is_too_long_are_not_tried_again(error: Exception) -> None:
    clock = ManualClock()

    async def refuse() -> None:
        raise error

    with pytest.raises(type(error)):
        await with_retries(clock, refuse, ENDS)
    assert clock.passed == 0.0
