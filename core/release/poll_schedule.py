"""When to read a version again: often where few releases wait, rarely where many do."""

from __future__ import annotations

from core.foundry_rate import LoadSnapshot

MAX_POLL_SECONDS = 10.0
"""The longest pause where few releases wait."""
POLL_SHARE_OF_WAIT = 0.1
"""The pause grows to this share of the time waited: a late poll then delays a release by a tenth at most."""
FIRST_POLL_SHARE = 0.9
"""No poll before this share of the fastest recent activation."""
POLL_SHARE_OF_RATE = 1 / 3
"""What polls take of the rate after a 429, so that the reads of releases that start or go live wait less."""
MAX_THROTTLED_POLL_SECONDS = 60.0


def seconds_to_next_poll(waited: float, first: float, load: LoadSnapshot) -> float:
    """Seconds until a release that has waited for ``waited`` seconds polls again; it began with ``first`` seconds."""
    usual = min(max(MAX_POLL_SECONDS, first), max(first, waited * POLL_SHARE_OF_WAIT))
    polls_per_second = load.reads_per_second * (POLL_SHARE_OF_RATE if load.throttled else 1.0)
    fair_share = load.polling / polls_per_second
    if fair_share <= usual:
        return usual
    longest = MAX_THROTTLED_POLL_SECONDS if load.throttled else max(usual, waited * POLL_SHARE_OF_WAIT)
    return max(min(fair_share, longest), load.fastest_activation * FIRST_POLL_SHARE - waited)
