"""When to read a version again: often where few releases wait or it is expected, rarely where many do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.foundry_rate import LoadSnapshot, fair_pause
from core.state.release import MAX_PROVISIONING_TIMES, ReleaseState

MAX_POLL_SECONDS = 10.0
"""The longest pause where few releases wait."""
POLL_SHARE_OF_WAIT = 0.1
"""The pause grows to this share of the time waited: a late poll then delays a release by a tenth at most."""
FIRST_POLL_SHARE = 0.9
"""No poll before this share of the fastest recent activation."""
POLL_SHARE_OF_RATE = 1 / 3
"""What polls take of the rate after a 429, so that the reads of releases that start or go live wait less."""
MAX_THROTTLED_POLL_SECONDS = 60.0

MIN_KNOWN_TIMES = 3
"""So many provisioning times must be known before they say anything about the next."""
MIN_POLL_SECONDS, DENSE_SHARE_OF_WAIT = 0.25, 0.01
"""The pause while the version is expected, and what it grows to: 15 to 24 s take some thirty polls, as 150 to 240 s."""
EXPECTED_SECONDS, EXPECTED_SHARE = 1.0, 0.05
"""A version is expected so long before and after each known time: that much, and a share of the time."""
RARE_POLLS = 5.0
"""Before the first known time the pause is so many first pauses: a version may fail, or be quicker than all others."""

MAX_PROVISIONING_SECONDS = 3600.0
"""A longer time says that the process or its clock stood still, and nothing about the next version."""


def provisioned(state: ReleaseState, seconds: float | None) -> ReleaseState:
    """The candidate became active after so many seconds, where that is known."""
    if seconds is None or not 0 < seconds <= MAX_PROVISIONING_SECONDS:
        return state
    times = (*state.provisioning_seconds, round(seconds, 2))
    return replace(state, provisioning_seconds=times[-MAX_PROVISIONING_TIMES:])


def seconds_to_next_poll(waited: float, first: float, load: LoadSnapshot, known: Sequence[float] = ()) -> float:
    """Seconds until a release that has waited for ``waited`` seconds polls again; it began with ``first`` seconds.

    ``known``: how long the target's last versions took to become active.
    """
    pause = planned_pause(waited, first, known)
    if load.throttled:  # also those that poll rarely may meet in one moment
        shared = load.polling / (load.reads_per_second * POLL_SHARE_OF_RATE)
        longest = MAX_THROTTLED_POLL_SECONDS
    else:
        shared = fair_pause((*load.other_pauses, pause), load.reads_per_second)
        longest = max(_usual(waited, first), waited * POLL_SHARE_OF_WAIT)
    if shared <= pause:
        return pause
    return max(min(shared, longest), load.fastest_activation * FIRST_POLL_SHARE - waited)


def planned_pause(waited: float, first: float, known: Sequence[float]) -> float:
    """The pause in seconds that a release makes alone; the arguments are those of ``seconds_to_next_poll``."""
    usual = _usual(waited, first)
    return _planned(waited, first, usual, known) if len(known) >= MIN_KNOWN_TIMES else usual


def _usual(waited: float, first: float) -> float:
    return min(max(MAX_POLL_SECONDS, first), max(first, waited * POLL_SHARE_OF_WAIT))


def _planned(waited: float, first: float, usual: float, known: Sequence[float]) -> float:
    """Rare before the version is expected, dense while it is, growing after; as usual between two expected times."""
    margins = [(seconds, EXPECTED_SECONDS + seconds * EXPECTED_SHARE) for seconds in known]
    begins = [seconds - margin for seconds, margin in margins]
    ends = [seconds + margin for seconds, margin in margins]
    dense = min(usual, max(MIN_POLL_SECONDS, waited * DENSE_SHARE_OF_WAIT))
    if any(begin <= waited < end for begin, end in zip(begins, ends, strict=True)):
        return dense
    next_begin = min((begin - waited for begin in begins if begin > waited), default=None)
    if next_begin is None:
        return min(usual, max(dense, (waited - max(ends)) * POLL_SHARE_OF_WAIT))
    rare = min(max(MAX_POLL_SECONDS, first), first * RARE_POLLS) if waited < min(begins) else usual
    return min(rare, next_begin)
