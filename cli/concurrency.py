"""Reads many agents, a few at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from handlers.concurrency import gather_limited

T = TypeVar("T")
MAX_CONCURRENT_READS = 8


def reading(names: list[str]) -> str:
    """Return the progress line for reading these agents."""
    return f"reading {names[0]}" if len(names) == 1 else f"reading {len(names)} agents"


async def read_each(names: Iterable[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
    """Return the results in the order of the names, or raise the first error once every read has ended."""
    return await gather_limited(MAX_CONCURRENT_READS, map(read, names))
