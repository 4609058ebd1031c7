"""When to read a version again: often where few releases wait, rarely where many do."""

from __future__ import annotations

from core.foundry_rate import LoadSnapshot

MAX_POLL_SECONDS = 10.0
"""Seconds between two looks where few wait."""


POLL_SHARE_OF_WAIT = 0.1
"""Of the time waited so far: a look that comes late delays a release by a tenth at most."""


FIRST_POLL_SHARE = 0.9
"""Of the shortest time that a version took lately: before it, looking is of no use to anybody."""


MAX_THROTTLED_POLL_SECONDS = 60.0


def seconds_to_next_poll(waited: float, first: float, crowd: LoadSnapshot) -> float:
    """Seconds until the next look of one who has waited for so long, and began with a look every ``first`` seconds."""
    often = min(max(MAX_POLL_SECONDS, first), max(first, waited * POLL_SHARE_OF_WAIT))
    fair = crowd.polling / crowd.reads_per_second
    if fair <= often:
        return often
    seldom = MAX_THROTTLED_POLL_SECONDS if crowd.throttled else max(often, waited * POLL_SHARE_OF_WAIT)
    return max(min(fair, seldom), crowd.fastest_activation * FIRST_POLL_SHARE - waited)
