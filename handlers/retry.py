"""A read that is asked again after a pause where its service is busy, for those who hold no lease meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError

T = TypeVar("T")

PAUSES = (1.0, 4.0, 16.0)
LONGEST_PAUSE = 60.0
"""Seconds; who asks for more is asked by the next run."""


async def with_retries(clock: Clock, read: Callable[[], Awaitable[T]]) -> T:
    """What the read brings; raises TransientError where it is busy four times, PermanentError at once."""
    for pause in PAUSES:
        try:
            return await read()
        except TransientError as error:
            wish = error.retry_after or 0.0
            if wish > LONGEST_PAUSE:
                raise
            await clock.sleep(max(pause, wish))
    return await read()
