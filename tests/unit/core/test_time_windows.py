"""Windows follow the local time of their zone, over midnight and over both changes of its offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.time_windows import (
    MINUTES_OF_DAY,
    MINUTES_OF_WEEK,
    WHOLE_WEEK,
    Freeze,
    TimeWindows,
    earliest,
    latest,
    load_zone,
    minute_name,
    minutes_of,
    zone_names,
)

MON, TUE, FRI, SAT, SUN = 0, 1, 4, 5, 6
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
ZONES = ["UTC", BERLIN, NEW_YORK, "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(hours: str) -> tuple[int, int]:
    start, end = hours.split("-")
    return int(start[:2]) * 60 + int(start[3:]), int(end[:2]) * 60 + int(end[3:])


def windows(*open_at: tuple[list[int], str], zone: str = BERLIN, freezes: tuple[Freeze, ...] = ()) -> TimeWindows:
    minutes = 0
    for days, hours in open_at:
        minutes |= minutes_of(days, *clock(hours))
    return TimeWindows(zone, minutes, freezes)


NIGHT_OF_SUNDAY = windows(([SUN], "02:30-04:00"))


@pytest.mark.parametrize(
    ("made", "now", "opening"),
    [
        (windows(([MON, TUE], "09:00-17:00")), "2026-11-24T08:00:00", "2026-11-24T08:00:00"),
        (windows(([MON, TUE], "09:00-17:00")), "2026-11-24T15:59:59.999", "2026-11-24T15:59:59.999"),
        (windows(([MON, TUE], "09:00-17:00")), "2026-11-24T16:00:00", "2026-11-30T08:00:00"),
        (windows(([MON], "09:00-17:00")), "2026-11-24T07:59:59.5", "2026-11-30T08:00:00"),
        (windows(([FRI], "22:00-04:00")), "2026-11-28T02:59:00", "2026-11-28T02:59:00"),
        (windows(([FRI], "22:00-04:00")), "2026-11-28T03:00:00", "2026-12-04T21:00:00"),
        (windows(([SUN], "22:00-04:00"), zone="UTC"), "2026-11-30T03:59:00", "2026-11-30T03:59:00"),
        (windows(([SUN], "22:00-04:00"), zone="UTC"), "2026-11-30T04:00:00", "2026-12-06T22:00:00"),
        (windows(([MON], "00:00-24:00"), zone="UTC"), "2026-12-01T00:00:00", "2026-12-07T00:00:00"),
        (windows(([MON], "09:00-10:00"), zone="Asia/Kolkata"), "2026-11-24T00:00:00", "2026-11-30T03:30:00"),
    ],
)
def test_an_opening_is_the_first_open_instant(made: TimeWindows, now: str, opening: str) -> None:
    assert made.next_opening(at(now)) == at(opening)


def test_a_window_whose_begin_the_clock_skips_opens_when_the_clock_has_jumped() -> None:
    # Europe/Berlin, 28 March 2027: 02:00 is 03:00, at 01:00 UTC
    assert NIGHT_OF_SUNDAY.next_opening(at("2027-03-27T12:00:00")) == at("2027-03-28T01:00:00")
    assert NIGHT_OF_SUNDAY.is_open(at("2027-03-28T01:59:59"))
    assert not NIGHT_OF_SUNDAY.is_open(at("2027-03-28T02:00:00"))


def test_a_window_that_the_clock_skips_whole_does_not_open_that_day() -> None:
    skipped = windows(([SUN], "02:15-02:45"))
    assert skipped.next_opening(at("2027-03-27T12:00:00")) == at("2027-04-04T00:15:00")


def test_a_window_in_the_hour_that_the_clock_shows_twice_opens_twice() -> None:
    # Europe/Berlin, 25 October 2026: 03:00 is 02:00, at 01:00 UTC
    assert NIGHT_OF_SUNDAY.next_opening(at("2026-10-24T12:00:00")) == at("2026-10-25T00:30:00")
    assert not NIGHT_OF_SUNDAY.is_open(at("2026-10-25T01:00:00"))
    assert NIGHT_OF_SUNDAY.next_opening(at("2026-10-25T01:00:00")) == at("2026-10-25T01:30:00")
    assert NIGHT_OF_SUNDAY.is_open(at("2026-10-25T02:59:59"))
    assert not NIGHT_OF_SUNDAY.is_open(at("2026-10-25T03:00:00"))


def test_the_wall_clock_may_go_back_into_a_window() -> None:
    early = windows(([SUN], "02:15-02:45"))
    assert early.next_opening(at("2026-10-25T00:50:00")) == at("2026-10-25T01:15:00")


def test_a_freeze_lasts_as_long_as_either_reading_of_its_times() -> None:
    twice, skipped = datetime.fromisoformat("2026-10-25T02:30"), datetime.fromisoformat("2027-03-28T02:30")
    assert (earliest(twice, BERLIN), latest(twice, BERLIN)) == (at("2026-10-25T00:30:00"), at("2026-10-25T01:30:00"))
    assert earliest(skipped, BERLIN) <= at("2027-03-28T01:00:00") <= latest(skipped, BERLIN)


def test_freezes_close_open_hours_and_the_one_that_ends_last_is_named() -> None:
    first = Freeze(at("2026-12-18T00:00:00"), at("2027-01-05T00:00:00"), "holidays")
    longer = Freeze(at("2027-01-01T00:00:00"), at("2027-01-11T12:00:00"), "audit")
    made = windows(([MON], "09:00-17:00"), zone="UTC", freezes=(first, longer))
    assert made.freeze_at(at("2027-01-02T00:00:00")) == longer
    assert made.freeze_at(at("2026-12-17T23:59:59")) is None
    assert made.next_opening(at("2026-12-17T23:59:59")) == at("2027-01-11T12:00:00")


def test_no_open_minute_is_never_open() -> None:
    assert TimeWindows("UTC", 0).next_opening(at("2026-11-24T12:00:00")) is None


def test_minutes_wrap_at_the_end_of_the_week() -> None:
    assert minutes_of(range(7), 0, MINUTES_OF_DAY) == WHOLE_WEEK
    assert minute_name(minutes_of([FRI, SAT], 12 * 60, 13 * 60)) == "Fri 12:00"
    assert minute_name(minutes_of([SUN], 23 * 60, 60)) == "Mon 00:00"


def test_the_zones_are_those_of_the_pinned_package() -> None:
    assert {*ZONES} <= zone_names()
    assert "posixrules" not in zone_names()
    assert load_zone(BERLIN) is load_zone(BERLIN)
    assert windows(([MON], "09:00-10:00")).local(at("2026-11-30T08:00:00")) == "Mon 2026-11-30 09:00 Europe/Berlin"


INSTANTS = st.integers(0, 6 * 366 * MINUTES_OF_DAY).map(lambda minutes: at("2024-01-01") + timedelta(minutes=minutes))
NEAR_A_CHANGE = st.sampled_from(
    [
        "2026-10-25T01:00",
        "2027-03-28T01:00",
        "2026-11-01T06:00",
        "2027-03-14T07:00",
        "2027-04-03T15:00",
        "2027-02-07T02:00",
    ]
).flatmap(lambda text: st.integers(-12_000, 12_000).map(lambda minutes: at(text) + timedelta(minutes=minutes)))
WINDOW = st.tuples(st.sets(st.integers(0, 6), min_size=1), st.integers(0, MINUTES_OF_DAY - 1), st.integers(1, 1440))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ZONES), st.lists(WINDOW, min_size=1, max_size=3), INSTANTS | NEAR_A_CHANGE, st.integers(0, 20_000)
)
def test_the_next_opening_is_open_and_nothing_before_it(
    zone: str, open_at: list[tuple[set[int], int, int]], now: datetime, frozen_for: int
) -> None:
    minutes = 0
    for days, start, length in open_at:
        minutes |= minutes_of(days, start, (start + length) % MINUTES_OF_DAY)
    freezes = (Freeze(now - timedelta(hours=1), now + timedelta(minutes=frozen_for)),) if frozen_for > 10_000 else ()
    made = TimeWindows(zone, minutes, freezes)
    opening = made.next_opening(now)
    assert opening is not None
    assert made.is_open(opening)
    closed = int((opening - now) / timedelta(minutes=1))
    assert closed <= 20_000 + 2 * MINUTES_OF_WEEK
    step = max(1, closed // 3_000)
    assert not any(made.is_open(now + timedelta(minutes=minute)) for minute in range(0, closed, step))
    assert opening == now or not made.is_open(opening - timedelta(seconds=1))
