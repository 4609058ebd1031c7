"""When a timer runs, and what its status says: decisions without I/O.

They follow ScheduleMonitor, TimerListener and TimerSchedule of azure-webjobs-sdk-extensions 5.1.0. Times are UTC, where
the real host takes the zone of its process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.ncrontab import FIELDS, Schedule

LEASE_SECONDS, LEASE_RENEWAL, LEASE_POLL = 60.0, 30.0, 60.0
"""A host holds a timer's lease for a minute at a time; another host asks for it once a minute (SingletonOptions)."""
EARLY = timedelta(seconds=1)
NEVER = "0001-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a timer; a time that is None was never."""

    last: datetime | None
    next: datetime
    last_updated: datetime | None

    def to_json(self) -> dict[str, str]:
        """Return the status as the host stores it and hands it over."""
        return {"Last": _text(self.last), "Next": _text(self.next), "LastUpdated": _text(self.last_updated)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Status:
        """Read a stored status; raise ValueError or KeyError."""
        due = _time(value["Next"])
        if due is None:
            raise ValueError("Next")
        return cls(_time(value["Last"]), due, _time(value.get("LastUpdated", NEVER)))


@dataclass(frozen=True, slots=True)
class Start:
    """What a timer does when its host starts."""

    status: Status
    """The status that its first run gets."""
    save: Status | None
    is_past_due: bool


def keeps_status(schedule: str) -> bool:
    """Return whether runs are recorded: not if all but the seconds are free, and it runs more than once a minute."""
    seconds, *others = [part for part in schedule.split(" ") if part]
    free = all(
        field.parse(part) == tuple(range(field.low, field.high + 1))
        for field, part in zip(FIELDS[1:], others, strict=True)
    )
    return not free or len(FIELDS[0].parse(seconds)) == 1


def at_start(schedule: Schedule, stored: Status | None, now: datetime) -> Start:
    """Decide whether a due time was missed while no host ran."""
    if stored is None:  # stored before the first run, so that a missed first run is noticed
        due = schedule.next(now)
        return Start(Status(None, due, None), Status(None, due, now), is_past_due=False)
    recorded_at = stored.last or stored.last_updated or now
    expected = schedule.next(recorded_at)
    if stored.next == expected:
        return Start(stored, None, now > stored.next)
    # the schedule is another one since then: what the old one missed is not made up for
    changed = Status(None, *((schedule.next(now), now) if now > expected else (expected, recorded_at)))
    return Start(changed, changed, is_past_due=False)


def invocation_time(now: datetime, due: datetime) -> datetime:
    """Return the time that a run counts as: a timer that fires a little early must not be due twice."""
    return due if now < due <= now + EARLY else now


def after_run(schedule: Schedule, invoked_at: datetime) -> Status:
    """Return the status after a run: the next due time counts from its start, so an overrun fires at once, once."""
    return Status(invoked_at, schedule.next(invoked_at), invoked_at)


def _text(time: datetime | None) -> str:
    return NEVER if time is None else time.isoformat()


def _time(text: str) -> datetime | None:
    return None if text == NEVER else datetime.fromisoformat(text)
