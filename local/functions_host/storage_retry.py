"""The retries of the storage SDK for .NET, in which the Functions host runs: six tries within about 25 seconds.

Source: StorageClientOptions (MaxRetries 5) and RetryOptions (Delay 0.8 s, MaxDelay 60 s) of azure-sdk-for-net. The SDK
for Python has other numbers, so its own retries are off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

TRIES = 6
FIRST_DELAY, MAX_DELAY = 0.8, 60.0
JITTER = (0.8, 1.2)
NETWORK_TIMEOUT = 100
"""Seconds that one try waits for an answer."""
RETRIED = frozenset({0, 408, 429, 500, 502, 503, 504})
LOST = frozenset({"PopReceiptMismatch", "MessageNotFound", "QueueNotFound", "QueueBeingDeleted", "QueueDisabled"})


class StorageError(Exception):
    """Storage refused a request; ``status`` is 0 if no answer came."""

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(f"{status} {code} {detail}".strip() if status else f"no answer: {detail or code}")
        self.status, self.code = status, code

    @property
    def is_lost_receipt(self) -> bool:
        """Whether the message is gone or another client has it."""
        return self.code in LOST

    @property
    def is_temporary(self) -> bool:
        """Whether a listener polls on: the queue is gone, or the service failed."""
        return self.code.startswith("Queue") or self.status >= 500


Random = Callable[[float, float], float]


def delay_before(attempt: int, random: Random) -> float:
    """Return the seconds before a further try; the first further try is 1."""
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1)) * random(*JITTER)


async def with_retries(call: Callable[[], Awaitable[T]], random: Random) -> T:
    """Return the result of a call; raise StorageError after the last try, or at once where a retry cannot help."""
    attempt = 1
    while True:
        try:
            return await call()
        except StorageError as error:
            if error.status not in RETRIED or attempt == TRIES:
                raise
        await asyncio.sleep(delay_before(attempt, random))
        attempt += 1
