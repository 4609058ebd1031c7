"""Weekly windows and dated freezes in one time zone: whether they are open at an instant, and when they open next.

The local time of the zone decides. An hour that the clock skips in spring opens and closes nothing; an hour that it
shows twice in autumn counts twice. A week has 10,080 minutes, and a set of them is an integer with a bit for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

MINUTES_OF_DAY = 24 * 60
MINUTES_OF_WEEK = 7 * MINUTES_OF_DAY
WHOLE_WEEK = (1 << MINUTES_OF_WEEK) - 1
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTE, DAY, WEEK = timedelta(minutes=1), timedelta(days=1), timedelta(days=7)
TIME_ZONES = "tzdata"
"""The package with the time zones: the same on every host, whatever its operating system has."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Closed from an instant to another one."""

    start: datetime
    end: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """The open minutes of each week, without the freezes."""

    zone: str
    open_minutes: int
    freezes: tuple[Freeze, ...] = ()

    def is_open(self, at: datetime) -> bool:
        """True in an open minute of the week, outside of every freeze."""
        return self.freeze_at(at) is None and _is_open_minute(self, at)

    def freeze_at(self, at: datetime) -> Freeze | None:
        """The freeze that ends last of those in force."""
        return max(
            (item for item in self.freezes if item.start <= at < item.end), key=lambda item: item.end, default=None
        )

    def next_opening(self, at: datetime) -> datetime | None:
        """The first instant from ``at`` on at which they are open; None if they never open again."""
        while True:
            if (freeze := self.freeze_at(at)) is not None:
                at = freeze.end
                continue
            opening = _next_open_minute(self, at)
            if opening is None or self.freeze_at(opening) is None:
                return opening
            at = opening

    def local(self, at: datetime) -> str:
        """The instant in the zone's local time."""
        local = at.astimezone(load_zone(self.zone))
        return f"{DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M} {self.zone}"


def minutes_of(days: Iterable[int], start: int, end: int) -> int:
    """The minutes from ``start`` to ``end`` of some days, 0 being Monday; past midnight where ``end`` is not later."""
    length = end - start if end > start else end - start + MINUTES_OF_DAY
    block, minutes = (1 << length) - 1, 0
    for day in set(days):
        minutes |= block << (day * MINUTES_OF_DAY + start)
    return (minutes & WHOLE_WEEK) | (minutes >> MINUTES_OF_WEEK)


def minute_name(minutes: int) -> str:
    """The first of some minutes of the week, as ``Fri 12:00``."""
    day, minute = divmod(_lowest(minutes), MINUTES_OF_DAY)
    return f"{DAYS[day]} {minute // 60:02}:{minute % 60:02}"


def earliest(local: datetime, zone: str) -> datetime:
    """The first instant at which this may be the zone's local time."""
    return min(_readings(local, zone))


def latest(local: datetime, zone: str) -> datetime:
    """The last instant at which this may be the zone's local time."""
    return max(_readings(local, zone))


@cache
def zone_names() -> frozenset[str]:
    """Every name of a time zone."""
    return frozenset(resources.files(TIME_ZONES).joinpath("zones").read_text(encoding="utf-8").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    with resources.files(TIME_ZONES).joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _readings(local: datetime, zone: str) -> Iterator[datetime]:
    """Both instants of a local time that comes twice, or is skipped."""
    for fold in (0, 1):
        yield local.replace(tzinfo=load_zone(zone), fold=fold).astimezone(UTC)


def _is_open_minute(windows: TimeWindows, at: datetime) -> bool:
    return bool(windows.open_minutes >> _minute_of_week(at.astimezone(load_zone(windows.zone))) & 1)


def _next_open_minute(windows: TimeWindows, at: datetime) -> datetime | None:
    """Goes from one change of the zone's offset to the next: between two of them the local time runs evenly."""
    if not windows.open_minutes:
        return None
    while not _is_open_minute(windows, at):
        local = at.astimezone(load_zone(windows.zone))
        minute = _minute_of_week(local)
        later = windows.open_minutes >> minute
        ahead = _lowest(later) if later else MINUTES_OF_WEEK - minute + _lowest(windows.open_minutes)
        opening = at - timedelta(seconds=local.second, microseconds=local.microsecond) + ahead * MINUTE
        at = min(filter(None, (opening, _offset_change(windows.zone, at, opening))))
    return at


def _offset_change(zone: str, at: datetime, until: datetime) -> datetime | None:
    """The first instant after ``at``, up to ``until``, from which the zone has another offset, to the second."""
    known = load_zone(zone)
    while at < until:
        end = min(at + DAY, until)
        if _offset(known, at) != _offset(known, end):
            while end - at > timedelta(seconds=1):
                middle = at + (end - at) / 2
                at, end = (at, middle) if _offset(known, at) != _offset(known, middle) else (middle, end)
            return end.replace(microsecond=0)
        at = end
    return None


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _minute_of_week(local: datetime) -> int:
    return local.weekday() * MINUTES_OF_DAY + local.hour * 60 + local.minute


def _lowest(minutes: int) -> int:
    """The number of the lowest bit."""
    return (minutes & -minutes).bit_length() - 1
