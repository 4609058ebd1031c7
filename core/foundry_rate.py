"""When to look at a version next: often where few wait, and as seldom as it delays nobody by much where many do."""

from __future__ import annotations

import math
from dataclasses import dataclass

THROTTLED_SECONDS = 60.0
"""Seconds after a 429 in which the fair share counts more than the tenth: a look that is refused delays everybody."""
RELEASE_READS_PER_SECOND = 0.2
"""Requests a second that a release in hand makes: some at its begin and end, a look now and then between."""
MAX_READ_QUEUE_SECONDS = 2.0
"""Seconds that a read waits for its turn while another release may still begin: ten pages then take half a lease."""
RATE_AFTER_REFUSAL = 0.7
"""What is left of the looks a second after a 429."""
RATE_DOUBLES_AFTER_SECONDS = 30.0
"""Seconds without a 429 after which twice as many looks are tried."""
MIN_READS_PER_SECOND = 0.1
"""Looks a second that are left, however often Foundry refuses."""


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """Everybody who waits for a version in this process."""

    polling: int
    reads_per_second: float
    """Looks a second that all of them may make together."""
    fastest_activation: float = 0.0
    """Seconds: the shortest time that a version took lately; 0 where nothing is known."""
    throttled: bool = False


def may_start_release(in_hand: int, queue: float, crowd: LoadSnapshot) -> bool:
    """Whether one more release may begin: any while Foundry takes what comes, else as many as it has answers for.

    ``queue``: seconds until a read would have its turn; a list of many pages has as many turns to wait for.

    Without it everybody's reads are refused in turn, and no release gets the several answers in a row that it needs.
    """
    return (
        not crowd.throttled
        or in_hand == 0
        or (in_hand < crowd.reads_per_second / RELEASE_READS_PER_SECOND and queue < MAX_READ_QUEUE_SECONDS)
    )


def rate_after_refusal(a_second: float) -> float:
    """Looks a second once Foundry has answered 429."""
    return max(MIN_READS_PER_SECOND, a_second * RATE_AFTER_REFUSAL)


def recovered_rate(a_second: float, calm: float, most: float) -> float:
    """Looks a second once it has not for so many seconds."""
    return min(most, a_second * math.exp2(min(calm / RATE_DOUBLES_AFTER_SECONDS, 60.0)))
