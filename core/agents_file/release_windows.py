"""``release.windows``: when traffic may move to a new version, by weekday and hour, with dated freezes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from core.agents_file.fields import Text, quote
from core.agents_file.value import Value
from core.similar_names import did_you_mean, most_similar
from core.time_windows import (
    DAYS,
    WHOLE_WEEK,
    Freeze,
    TimeWindows,
    earliest,
    latest,
    minute_name,
    minutes_of,
    zone_names,
)

DAY_NAMES = tuple(day.lower() for day in DAYS)
FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBER_OF_DAY = {name: number for names in (DAY_NAMES, FULL_NAMES) for number, name in enumerate(names)}
HOURS_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}", re.ASCII)
FIRST_YEAR, LAST_YEAR = 2000, 2999


def parse_days(value: object) -> object:
    """Weekdays as numbers, 0 being Monday: ``fri``, ``mon-thu``, ``[mon-wed, fri]``."""
    if isinstance(value, tuple):
        return value
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise PydanticCustomError("days", "expected weekdays; write mon, mon-fri or [mon, wed]")
    if not names:
        raise ValueError("is empty; write at least one, or remove the key")
    days = [day for name in names for day in _days_of(name)]
    twice = next((day for day in days if days.count(day) > 1), None)
    if twice is not None:
        raise ValueError(f"names {DAY_NAMES[twice]} twice; write each day once")
    return tuple(sorted(days))


def _days_of(name: object) -> list[int]:
    first, dash, last = name.strip().lower().partition("-") if isinstance(name, str) else ("", "", "")
    ends = [NUMBER_OF_DAY.get(end.strip()) for end in ((first, last) if dash else (first, first))]
    start, end = ends
    if start is None or end is None:
        raise ValueError(f"{quote(name)} is not a weekday; write mon, mon-fri or [mon, wed]")
    return [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]


def as_list(value: object) -> object:
    """A list with at least one item; a map stands for a list with that item."""
    if value == []:
        raise ValueError("is empty; write at least one, or remove the key")
    return [value] if isinstance(value, dict) else value


def parse_hours(value: object) -> object:
    """Minutes of the day, of ``22:00-04:00``: past midnight where the end is not later."""
    if isinstance(value, tuple):
        return value
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(HOURS_PATTERN, text):
        raise ValueError(f"{quote(value)} are not hours; write 09:00-17:00, or 22:00-04:00 for a window past midnight")
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    if start == end:
        raise ValueError(f"{text} is empty; for the whole day remove the key")
    return start, end


def check_zone(name: str) -> str:
    """The IANA name of a time zone."""
    if name not in zone_names():
        by_case = {known.lower(): known for known in zone_names()}
        found = by_case.get(name.lower()) or most_similar(name, zone_names())
        hint = did_you_mean(found, "write one such as Europe/Berlin or UTC")
        raise ValueError(f"{quote(name)} is not a time zone of IANA's list; {hint}")
    return name


def parse_start(value: object) -> object:
    """The begin of a freeze, in the time of its zone: that of a day, or a time."""
    return _time(value)[0]


def parse_end(value: object) -> object:
    """The end of a freeze, in the time of its zone; a day is frozen to its end."""
    at, is_day = _time(value)
    return at + timedelta(days=1) if is_day else at


def _time(value: object) -> tuple[datetime, bool]:
    if isinstance(value, datetime):
        return value, False
    text = value if isinstance(value, str) else ""
    try:
        if DATE.fullmatch(text) or TIME.fullmatch(text):
            at = datetime.fromisoformat(text)
            if FIRST_YEAR <= at.year <= LAST_YEAR:
                return at, DATE.fullmatch(text) is not None
    except ValueError:
        pass
    raise ValueError(f"{quote(value)} is not a date; write 2026-12-24, or 2026-12-24T18:00 in the time of the zone")


def _text_schema(**limits: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **limits})


Days = Annotated[
    tuple[int, ...],
    BeforeValidator(parse_days),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
        mode="validation",
    ),
]
Hours = Annotated[tuple[int, int], BeforeValidator(parse_hours), _text_schema(pattern=HOURS_PATTERN)]
Zone = Annotated[str, AfterValidator(check_zone), _text_schema(examples=["Europe/Berlin", "UTC"])]
StartTime = Annotated[
    datetime, BeforeValidator(parse_start), _text_schema(pattern=r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?$")
]
EndTime = Annotated[datetime, BeforeValidator(parse_end), _text_schema(pattern=r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?$")]


class WeeklyWindow(Value):
    """Some hours of some weekdays."""

    days: Days = Field(
        "mon-sun", validate_default=True, description="weekdays: `mon`, `mon-fri` or `[mon, wed]`; without it every day"
    )
    hours: Hours = Field(
        "00:00-24:00",
        validate_default=True,
        description="from and to, `09:00-17:00` or `22:00-04:00`; without it the whole day",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> WeeklyWindow:
        if not self.model_fields_set:
            raise PydanticCustomError("incomplete", "is empty; write days, hours or both")
        return self

    @property
    def minutes(self) -> int:
        """The minutes of the week."""
        return minutes_of(self.days, *self.hours)


class FreezeSpec(Value):
    """No new version gets traffic from a date to another one."""

    start: StartTime = Field(description="the first day, or a time: `2026-12-18`, `2026-12-18T18:00`")
    end: EndTime = Field(description="the last day, or a time")
    why: Text = Field("", description="what for; shown where a version waits")


WeeklyWindows = Annotated[tuple[WeeklyWindow, ...], BeforeValidator(as_list)]


class WindowsSpec(Value):
    """When traffic may move to a new version."""

    zone: Zone = Field("UTC", description="the IANA time zone of all its hours and dates")
    allow: WeeklyWindows = Field((), strict=False, description="open at these times only; without it always")
    deny: WeeklyWindows = Field((), strict=False, description="closed at these times all the same")
    freezes: Annotated[tuple[FreezeSpec, ...], BeforeValidator(as_list)] = Field(
        (), strict=False, description="closed between two dates"
    )


@lru_cache(maxsize=1000)
def time_windows(spec: WindowsSpec) -> TimeWindows:
    """The windows as minutes of the week and instants."""
    allowed = _union(spec.allow) if spec.allow else WHOLE_WEEK
    freezes = tuple(
        Freeze(earliest(item.start, spec.zone), latest(item.end, spec.zone), item.why) for item in spec.freezes
    )
    return TimeWindows(spec.zone, allowed & ~_union(spec.deny), freezes)


def describe(spec: WindowsSpec, opening: datetime, now: datetime) -> str:
    """An opening in local time and in UTC, with the freeze that is in force."""
    windows = time_windows(spec)
    freeze = windows.freeze_at(now)
    why = f", after a freeze{f' for {freeze.why}' if freeze.why else ''}" if freeze else ""
    utc = "" if spec.zone == "UTC" else f" ({opening:%Y-%m-%d %H:%M} UTC)"
    return f"{windows.local(opening)}{utc}{why}"


def find_issues(spec: WindowsSpec) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with windows that are valid each by itself, with the keys below ``release.windows``."""
    if not spec.model_fields_set:
        yield (), "is empty; write allow, deny or freezes, or remove the key"
    for key, windows in (("allow", spec.allow), ("deny", spec.deny)):
        yield from (((key, str(number)), message) for number, message in _overlaps(key, windows))
    for number, freeze in enumerate(spec.freezes):
        if freeze.end <= freeze.start:
            yield ("freezes", str(number)), "does not end after it begins; write a later end, or exchange start and end"
        earlier = [item for item in spec.freezes[:number] if item.start < freeze.end and freeze.start < item.end]
        if earlier and freeze.start < freeze.end:
            yield ("freezes", str(number)), f"overlaps freezes.{spec.freezes.index(earlier[0])}; write one freeze"
    if not time_windows(spec).open_minutes:
        yield (), "is never open: deny covers all that allow opens"


def past_freezes(spec: WindowsSpec, now: datetime) -> Iterator[tuple[tuple[str, ...], str]]:
    """The freezes that are over: mistakes in a file that is about to be deployed, and harmless afterwards."""
    for number, freeze in enumerate(spec.freezes):
        if latest(freeze.end, spec.zone) <= now:
            yield ("freezes", str(number)), f"ended {latest(freeze.end, spec.zone):%Y-%m-%d %H:%M} UTC; remove it"


def _overlaps(key: str, windows: tuple[WeeklyWindow, ...]) -> Iterator[tuple[int, str]]:
    """Each window that overlaps an earlier one."""
    for number, window in enumerate(windows):
        for other in range(number):
            if shared := window.minutes & windows[other].minutes:
                yield number, f"overlaps {key}.{other} at {minute_name(shared)}; write one window"
                break


def _union(windows: tuple[WeeklyWindow, ...]) -> int:
    minutes = 0
    for window in windows:
        minutes |= window.minutes
    return minutes
