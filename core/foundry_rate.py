"""Foundry's rate: how many reads a second, and how many releases at once, an instance allows itself after a 429."""

from __future__ import annotations

import math
from dataclasses import dataclass

THROTTLED_SECONDS = 60.0
"""How long after a 429 each poll waits for its fair share of the rate, since a refused read delays every release."""
RELEASE_READS_PER_SECOND = 0.2
"""What a running release asks for on average: several reads at its start and end, one now and then between."""
MAX_READ_QUEUE_SECONDS = 2.0
"""How long a read may have to wait while another release still starts: ten pages then take half a lease."""
RATE_AFTER_REFUSAL = 0.7
"""What is left of the rate after a 429."""
RATE_DOUBLES_AFTER_SECONDS = 30.0
"""After so long without a 429 twice the rate is tried."""
MIN_READS_PER_SECOND = 0.1
"""What is left of the rate, however often Foundry refuses."""


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """The waiting releases of this process and the rate that they share."""

    polling: int
    reads_per_second: float
    fastest_activation: float = 0.0
    """Seconds that the fastest recent version took to become active; 0 where that is unknown."""
    throttled: bool = False


def may_start_release(running: int, queue_seconds: float, load: LoadSnapshot) -> bool:
    """Whether one more release may start: any without a recent 429, afterwards as many as the rate feeds.

    Otherwise the reads of all releases are refused in turn, and none gets the several answers in a row that it needs.
    ``queue_seconds``: how long a read waits for its turn now; a list of many pages waits once for each page.
    """
    fed = running < load.reads_per_second / RELEASE_READS_PER_SECOND and queue_seconds < MAX_READ_QUEUE_SECONDS
    return not load.throttled or running == 0 or fed


def rate_after_refusal(reads_per_second: float) -> float:
    """The rate once Foundry has answered 429."""
    return max(MIN_READS_PER_SECOND, reads_per_second * RATE_AFTER_REFUSAL)


def recovered_rate(reads_per_second: float, calm_seconds: float, most: float) -> float:
    """The rate after so many seconds without a 429."""
    return min(most, reads_per_second * math.exp2(min(calm_seconds / RATE_DOUBLES_AFTER_SECONDS, 60.0)))
