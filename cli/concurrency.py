"""The same question about many agents, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 8


def reading(names: list[str]) -> str:
    """What is being done, for a person who waits."""
    return f"reading {names[0]}" if len(names) == 1 else f"reading {len(names)} agents"


async def each(names: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> list[T]:
    """The answers in the order of the names; the first error ends it."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> T:
        async with turns:
            return await ask(name)

    return list(await asyncio.gather(*map(one, names)))
