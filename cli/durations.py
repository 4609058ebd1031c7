"""How long, as people write it."""

from __future__ import annotations

from datetime import datetime, timedelta

from cli.codes import Mistake


def how_long(text: str) -> timedelta:
    """``12h``, ``7d``: the durations of agents.yaml."""
    from core.agents_file.fields import duration

    try:
        return timedelta(seconds=duration(text).total_seconds())  # type: ignore[attr-defined]
    except ValueError as error:
        raise Mistake(str(error)) from None


def short(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
