"""Times that several rules and handlers share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

CONSISTENCY_LAG = timedelta(seconds=75)
"""How long a write may take to show: a request whose answer was lost may still be applied, and reads lag up to 30 s."""

MAX_READ_AGE = timedelta(seconds=20)
"""How old the reads may be on which a write to Foundry is decided."""

MAX_WRITE_SECONDS = 35.0
"""How long a write may take with its connection and read timeouts: the lease must last longer."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far a time of somebody else may be ahead of ours: a later one would be newer than every real push."""

MAX_MESSAGE_DELAY = timedelta(days=6)
"""A storage queue keeps a message for a week: one that it hides for so long is lost when it is due."""

FIRST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""No image and no event is older."""


def add(at: datetime, wait: timedelta) -> datetime:
    """The end of a wait; the last representable time where the sum would overflow."""
    return at + min(wait, datetime.max.replace(tzinfo=UTC) - at)
