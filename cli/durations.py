"""Reads durations and prints times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cli.exit_codes import UsageError


def parse_duration(text: str) -> timedelta:
    """Return a duration as agents.yaml writes it: ``12h``, ``7d``."""
    from core.agents_file import fields

    try:
        return fields.parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def parse_time(text: str) -> datetime:
    """Return a time in ISO 8601; in UTC where it has no offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write 2026-12-24T18:00+01:00, or 2026-12-24T17:00 for UTC") from None
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def format_age(age: timedelta) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def format_time(at: datetime | None) -> str:
    """Return a time in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""


def format_iso(at: str | None) -> str:
    """Return a time of JSON in UTC, to the minute."""
    return format_time(datetime.fromisoformat(at)) if at else ""


def format_iso_seconds(at: str) -> str:
    """Return a time of JSON in UTC, to the second."""
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def time_with_zone(text: str) -> datetime | None:
    """Return the time; None where a person wrote something else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def age_in_seconds(at: datetime, now: datetime) -> int:
    """Return how long ago a time was, in whole seconds."""
    return max(0, int((now - at).total_seconds()))


def as_iso(at: datetime | None) -> str | None:
    """Return a time as JSON has it."""
    return at.isoformat() if at else None
