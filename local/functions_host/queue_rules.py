"""What becomes of a queue message, and when a queue is polled again: decisions without I/O.

They follow QueueProcessor, QueueListener and RandomizedExponentialBackoffStrategy of azure-sdk-for-net
(sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues, .Common).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

VISIBILITY_TIMEOUT = 600
"""Seconds that a message stays hidden while it runs."""
RENEWAL_INTERVAL = 300
"""Seconds between two renewals of that time."""
MIN_POLL_INTERVAL = 0.1
JITTER = (0.8, 1.2)
POISON = "-poison"
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
BASE64_SPACES = str.maketrans("", "", " \t\r\n")
"""Convert.FromBase64String skips them."""


class Step(Enum):
    """What happens to a message next."""

    RUN = auto()
    DELETE = auto()
    RELEASE = auto()
    """It is visible again after ``visibilityTimeout``."""
    POISON = auto()
    """It moves to the poison queue, as it came."""
    LEAVE = auto()
    """It stays hidden for the rest of its ten minutes."""


@dataclass(frozen=True, slots=True)
class MessageRules:
    """The rules of one queue."""

    max_dequeue_count: int
    is_poison_queue: bool

    def on_undecodable(self) -> Step:
        """Return the step for a message that is not base64: no function can take it."""
        return Step.LEAVE if self.is_poison_queue else Step.POISON

    def on_receipt(self, dequeue_count: int) -> Step:
        """Return the step for a received message; too many deliveries mean that the process was killed in each."""
        if dequeue_count <= self.max_dequeue_count:
            return Step.RUN
        return Step.LEAVE if self.is_poison_queue else Step.POISON

    def on_end(self, dequeue_count: int, *, succeeded: bool) -> Step:
        """Return the step after a run."""
        if succeeded:
            return Step.DELETE
        if self.is_poison_queue:  # a poison queue has no poison queue, and a release would run in a tight circle
            return Step.LEAVE
        return Step.POISON if dequeue_count >= self.max_dequeue_count else Step.RELEASE


def is_poison_queue(name: str) -> bool:
    """Return whether a queue of this name gets no poison queue of its own."""
    return name.endswith(POISON)


def decoded(text: str) -> bytes | None:
    """Return the content of a message, or None if its text is not base64 as .NET reads it."""
    compact = text.translate(BASE64_SPACES)
    if len(compact) % 4 or not BASE64.fullmatch(compact):
        return None
    return b64decode(compact)


class Backoff:
    """The pauses between polls that find nothing: 0.1 s, then about 0.2, 0.3, 0.5, 0.9 and so on up to the maximum."""

    def __init__(self, maximum: float, random: Callable[[float, float], float]) -> None:
        self._maximum = maximum
        self._random = random
        self._empty_polls = 0
        self._pause = MIN_POLL_INTERVAL

    def found(self) -> None:
        """Start again: the poll found messages."""
        self._empty_polls, self._pause = 0, MIN_POLL_INTERVAL

    def pause(self) -> float:
        """Return the seconds until the next poll after one that found nothing."""
        if self._pause < self._maximum:
            growth = 2 ** (self._empty_polls - 1) * self._random(*JITTER) if self._empty_polls else 0
            self._pause = min(self._maximum, MIN_POLL_INTERVAL * (1 + growth))
            self._empty_polls += 1
        return self._pause
