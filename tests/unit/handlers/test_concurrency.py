"""Calls that wait for a slot: what becomes of them when the caller is cancelled."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from handlers.concurrency import gather_all, gather_limited


async def test_calls_that_wait_for_a_slot_are_closed_when_the_caller_is_cancelled() -> None:
    begun = asyncio.Event()

    async def call() -> None:
        begun.set()
        await asyncio.Event().wait()

    calls = [call() for _ in range(3)]
    task = asyncio.create_task(gather_limited(1, calls))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {inspect.getcoroutinestate(each) for each in calls} == {inspect.CORO_CLOSED}


async def test_an_error_that_a_call_returns_is_a_result() -> None:
    refusal = ValueError("refused")

    async def refused() -> ValueError:
        return refusal

    assert await gather_all([refused(), refused()]) == [refusal, refusal]


async def test_an_error_that_a_call_raises_is_raised_once_all_have_ended() -> None:
    ended = []

    async def fail() -> None:
        raise ValueError("first")

    async def end() -> None:
        await asyncio.sleep(0)
        ended.append(True)

    with pytest.raises(ValueError, match="first"):
        await gather_all([fail(), end()])
    assert ended
