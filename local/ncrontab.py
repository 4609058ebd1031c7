"""NCRONTAB as the Functions timer reads it: six fields, or five without seconds; day and weekday must both match.

Checked against atifaziz/NCrontab: names match by prefix, ``a/n`` runs to the end of the field, a reversed range is
swapped, weekdays are 0 to 6, and L, W, #, ? and @daily do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

MONTHS = (*"January February March April May June July August September October November December".lower().split(),)
DAYS = (*"Sunday Monday Tuesday Wednesday Thursday Friday Saturday".lower().split(),)
MAX_YEARS = 9
"""How far ahead to search: enough for any 29th of February, not for one on a given weekday."""


@dataclass(frozen=True)
class Field:
    """The range and the names of a field."""

    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        """Return the values that the text allows; raise ValueError if it is invalid."""
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, part: str) -> range:
        part, _, step = part.partition("/")
        first, _, last = part.partition("-")
        if part == "*":
            low, high = self.low, self.high
        elif last:
            low, high = sorted((self._value(first), self._value(last)))
        else:
            low = self._value(first)
            high = self.high if step else low
        increment = int(step) if step else 1
        if increment < 1 or low < self.low or high > self.high:
            raise ValueError(f"{part!r} is outside {self.low}-{self.high}")
        return range(low, high + 1, increment)

    def _value(self, text: str) -> int:
        if text.isdecimal():
            return int(text)
        matches = [index for index, name in enumerate(self.names) if text and name.startswith(text.lower())]
        if not matches:
            raise ValueError(f"{text!r} is not a value")
        return matches[0] + self.low


FIELDS = (Field(0, 59), Field(0, 59), Field(0, 23), Field(1, 31), Field(1, 12, MONTHS), Field(0, 6, DAYS))


class Schedule:
    """When a timer runs."""

    def __init__(self, text: str) -> None:
        parts = text.split()
        if len(parts) == 5:
            parts = ["0", *parts]
        if len(parts) != 6:
            raise ValueError(f"{text!r} has {len(parts)} fields; a timer's schedule has six, or five without seconds")
        self._allowed = [field.parse(part) for field, part in zip(FIELDS, parts, strict=True)]

    def next(self, after: datetime) -> datetime:
        """Return the next time after ``after``; raise ValueError if there is none."""
        seconds, minutes, hours, days, months, weekdays = self._allowed
        day = after.replace(hour=0, minute=0, second=0, microsecond=0)
        earliest = after.replace(microsecond=0) + timedelta(seconds=1)
        for _ in range(366 * MAX_YEARS):
            if day.day in days and day.month in months and day.isoweekday() % 7 in weekdays:
                times = (
                    time
                    for hour in sorted(hours)
                    for minute in sorted(minutes)
                    for second in sorted(seconds)
                    if (time := day.replace(hour=hour, minute=minute, second=second)) >= earliest
                )
                if (first := next(times, None)) is not None:
                    return first
            day += timedelta(days=1)
        raise ValueError("the schedule never runs")
