"""Reads many agents, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
MAX_CONCURRENT_READS = 8


def reading(names: list[str]) -> str:
    """Return the progress line for reading these agents."""
    return f"reading {names[0]}" if len(names) == 1 else f"reading {len(names)} agents"


async def read_each(names: Iterable[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
    """Return the results in the order of the names, or raise the first error."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_READS)

    async def read_one(name: str) -> T:
        async with slots:
            return await read(name)

    return list(await asyncio.gather(*map(read_one, names)))
