"""NCRONTAB, the schedule of a timer trigger: second minute hour day month weekday; day and weekday must both match.

The grammar is that of atifaziz/NCrontab 3.3, which Azure Functions uses: names match by their beginning, ``a/n`` runs
to the end of the field, weekdays are 0 to 6, and L, W, #, ? and @daily do not exist. No package on PyPI reads it:
croniter takes 7, L, ? and seven fields, and cronsim runs when either the day or the weekday matches.

Three things that Azure takes are errors here, because they do not do what they say: a step of 0 runs at each value, a
range that runs backwards is turned round, and a date that never comes never runs.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ORDER = "second minute hour day month weekday"
EXAMPLE = f"{ORDER}, as in '0 */5 * * * *'"
TIME_SPAN = re.compile(r"(?:[0-9]{1,3}\.)?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.[0-9]+)?)?")
REPLACEMENTS = {
    "?": "write *",
    "\u2013": "write -",
    "\u2014": "write -",
    "\u2212": "write -",
    "\u00a0": "write a space",
}
LEAP_YEAR = 2024
MAX_GAP_YEARS = 40
"""29 February falls on the same weekday again after 40 years at the most, around a year such as 2100."""
MAX_NUMBER_DIGITS = 9
MAX_QUOTED_CHARS = 20


class ScheduleError(ValueError):
    """Text that is not a schedule; the message is the end of a sentence that begins with the name of the setting."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the six fields: its range and the names of its values."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> tuple[int, ...]:
        """Return the values that the text allows, in order; raise ScheduleError if it is invalid."""
        return tuple(sorted({value for part in text.split(",") for value in self._part(part)}))

    def _part(self, part: str) -> range:
        values, slash, step = part.partition("/")
        first, dash, last = values.partition("-")
        low, high = self.low, self.high
        if values != "*":
            low = self._value(first)
            high = self._value(last) if dash else self.high if slash else low
        if low > high:
            turned, around = f"{last}-{first}", f"{first}-{self.high},{self.low}-{last}"
            raise ScheduleError(
                f"has the range {values} of {self.name}s, which Azure reads as {turned}; write {turned} or {around}"
            )
        return range(low, high + 1, self._step(part, step) if slash else 1)

    def _value(self, text: str) -> int:
        start = text.lower()
        named = [self.low + index for index, name in enumerate(self.names) if start and name.lower().startswith(start)]
        if not _is_number(text) and not named:
            raise ScheduleError(self._unreadable(text))
        value = int(text) if _is_number(text) else named[0]
        if self.low <= value <= self.high:
            return value
        sunday = "; Sunday is 0" if (self.name, value) == ("weekday", 7) else ""
        raise ScheduleError(f"has the {self.name} {value}; write {self.name}s from {self.low} to {self.high}{sunday}")

    def _unreadable(self, text: str) -> str:
        replacement = next((REPLACEMENTS[char] for char in text if char in REPLACEMENTS), "")
        names = f", or {self.names[0][:3]} to {self.names[-1][:3]}" if self.names else ""
        instead = replacement or f"write * or a number from {self.low} to {self.high}{names}"
        problem = f"{_quoted(text)} is not a valid {self.name}" if text else f"a {self.name} is missing"
        return f"is not an NCRONTAB schedule of 6 fields: {problem}; {instead}"

    def _step(self, part: str, text: str) -> int:
        if _is_number(text) and int(text) > 0:
            return int(text)
        raise ScheduleError(f"has the step {_quoted(part)} of {self.name}s; after / write a number from 1")


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("weekday", 0, 6, WEEKDAYS),
)


class Schedule:
    """When a timer runs."""

    def __init__(self, text: str) -> None:
        parts = [part for part in text.split(" ") if part]  # like Azure, which does not split at a tab
        if len(parts) != len(FIELDS) or re.search(r"[\t\r\n]", text):
            raise ScheduleError(_wrong_form(text, len(parts)))
        self._allowed = [field.parse(part) for field, part in zip(FIELDS, parts, strict=True)]
        _, _, _, days, months, _ = self._allowed
        most = max(monthrange(LEAP_YEAR, month)[1] for month in months)
        if days[0] > most:
            shown = " and ".join(MONTHS[month - 1] for month in months)
            verb = "has" if len(months) == 1 else "have"
            raise ScheduleError(f"never runs: {shown} {verb} no day {days[0]}; write days from 1 to {most}")

    def next(self, after: datetime) -> datetime:
        """Return the next time after ``after``; raise ScheduleError if that is beyond the year 9999."""
        earliest = after.replace(microsecond=0) + timedelta(seconds=1)
        for day in self._days(earliest.date()):
            start = (earliest.hour, earliest.minute, earliest.second) if day == earliest.date() else (0, 0, 0)
            if (time := next(self._times(start), None)) is not None:
                hour, minute, second = time
                return earliest.replace(day.year, day.month, day.day, hour, minute, second)
        raise ScheduleError("does not run again before the year 10000")

    def _days(self, first: date) -> Iterator[date]:
        _, _, _, days, months, weekdays = self._allowed
        for year in range(first.year, min(first.year + MAX_GAP_YEARS, date.max.year) + 1):
            for month in months:
                for number in days:
                    if number > monthrange(year, month)[1]:
                        continue
                    day = date(year, month, number)
                    if day >= first and day.isoweekday() % 7 in weekdays:
                        yield day

    def _times(self, start: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
        seconds, minutes, hours, *_ = self._allowed
        return (
            (hour, minute, second)
            for hour in hours
            if hour >= start[0]
            for minute in minutes
            for second in seconds
            if (hour, minute, second) >= start
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_DIGITS


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…")


def _wrong_form(text: str, count: int) -> str:
    """What is wrong with text that does not have six fields with spaces between them."""
    if span := TIME_SPAN.fullmatch(text.strip()):
        return f"is a time span, which timers take only on an App Service plan; write {_as_schedule(span)}"
    if re.fullmatch("%.*%", text.strip()):
        return f"refers to another setting, which Azure does not follow here; write the schedule itself: {EXAMPLE}"
    if re.search(r"[\t\r\n]", text):
        return f"has a tab or a line break, where Azure reads only spaces; write spaces: {EXAMPLE}"
    if count == len(FIELDS) - 1:
        Schedule(f"0 {text}")  # raises what else is wrong
        return f"has 5 fields; NCRONTAB has 6, seconds first: write '0 {text}'"
    if count == len(FIELDS) + 1:
        return f"has 7 fields; NCRONTAB has 6, without a year: {EXAMPLE}"
    return f"is not an NCRONTAB schedule of 6 fields: {EXAMPLE}; it has {count}"


def _as_schedule(span: re.Match[str]) -> str:
    """The schedule that runs as often as the time span, or an example."""
    hours, minutes, seconds = (int(number or 0) for number in span.groups())
    if not hours and not minutes and seconds and 60 % seconds == 0:
        return f"'*/{seconds} * * * * *'"
    if not hours and not seconds and minutes and 60 % minutes == 0:
        return f"'0 */{minutes} * * * *'"
    if not minutes and not seconds and hours and 24 % hours == 0:
        return f"'0 0 */{hours} * * *'"
    return f"NCRONTAB: {EXAMPLE}"
