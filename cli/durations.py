"""Reads durations and prints times."""

from __future__ import annotations

from datetime import datetime, timedelta

from cli.exit_codes import UsageError


def parse_duration(text: str) -> timedelta:
    """Return a duration as agents.yaml writes it: ``12h``, ``7d``."""
    from core.agents_file import fields

    try:
        return fields.parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def format_time(at: datetime | None) -> str:
    """Return a time in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
