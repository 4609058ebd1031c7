"""What a timer that runs often does once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.model import UNKNOWN_TIME

INTERVAL = timedelta(days=1)


def is_due(last_run: str, now: datetime) -> bool:
    """True a day after the last run, and where its time lies in the future: that was a clock that ran ahead."""
    return not timedelta(0) <= now - _parse_time(last_run) < INTERVAL


def _parse_time(text: str) -> datetime:
    """The time of the last run; an unreadable marker, which a person wrote, counts as never."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return UNKNOWN_TIME
