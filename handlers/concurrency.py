"""Runs calls at the same time; none is left running when another one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")


async def gather_two(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Both results; like ``gather_all`` for results of two types."""
    calls: tuple[Awaitable[Any], Awaitable[Any]] = (first, second)
    return cast("tuple[A, B]", tuple(await gather_all(calls)))


async def gather_all(calls: Iterable[Awaitable[A]]) -> list[A]:
    """The results in the order of the calls; raises the first error in that order, once every call has ended."""
    futures = [asyncio.ensure_future(call) for call in calls]
    await asyncio.gather(*futures, return_exceptions=True)
    return [future.result() for future in futures]  # a call may return an error as its result


async def gather_limited(limit: int, calls: Iterable[Awaitable[A]]) -> list[A]:
    """Like ``gather_all``, with at most ``limit`` calls at a time."""
    slots = asyncio.Semaphore(limit)

    async def run(call: Awaitable[A]) -> A:
        try:
            async with slots:
                return await call
        finally:
            if isinstance(call, Coroutine):
                call.close()  # it has not begun where the task is cancelled while it waits for a slot

    return await gather_all([run(call) for call in calls])
