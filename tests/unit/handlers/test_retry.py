"""The one backoff: full jitter, growing, and never below what the service asks for."""

from __future__ import annotations

import pytest

from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.retry import MAX_TRIES, Backoff, with_retries


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
        await with_retries(clock, busy)
    assert tries == [0.0, 1.0, 3.0, 7.0]
    assert len(tries) == MAX_TRIES


@pytest.mark.parametrize(
    "error",
    [PermanentError("Foundry", "400", "no"), TransientError("Foundry", "429", "later", retry_after=61.0)],
)
async def test_a_refusal_and_a_long_wait_are_not_tried_again(error: Exception) -> None:
    clock = ManualClock()

    async def refuse() -> None:
        raise error

    with pytest.raises(type(error)):
        await with_retries(clock, refuse)
    assert clock.passed == 0.0
