"""NCRONTAB: what a timer accepts, and its next run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ncrontab import FIELDS, MAX_GAP_YEARS, Schedule, ScheduleError

SUNDAY = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 */5 * * * *", "11-22 12:35:00"),
        ("0 0 3 * * *", "11-23 03:00:00"),
        ("*/15 * * * * *", "11-22 12:35:00"),
        ("0 30 9 * * 1-5", "11-23 09:30:00"),
        ("0 30 9 * * MON-FRI", "11-23 09:30:00"),
        ("0 30 9 * Jan Mon", "01-04 09:30:00"),
        ("0 0 0 31 * *", "12-31 00:00:00"),
        ("30 5 6 1,15 * *", "12-01 06:05:30"),
        ("0 0 12 * * 0", "11-29 12:00:00"),
        ("0 5/20 * * * *", "11-22 12:45:00"),
        ("0 0 0 * * Monday", "11-23 00:00:00"),
        ("5,10,50 * * * * *", "11-22 12:35:05"),
        ("  0  0 0 15 * Tue ", "12-15 00:00:00"),
        ("0 0 007 * * *", "11-23 07:00:00"),
        ("0 0 12 * * Thurs,s", "11-26 12:00:00"),
        ("0 10-40/20 * * * *", "11-22 13:10:00"),
        ("*/90 * * * * *", "11-22 12:35:00"),
    ],
)
def test_the_next_run_is_that_of_the_real_host(schedule: str, expected: str) -> None:
    assert f"{Schedule(schedule).next(SUNDAY):%m-%d %H:%M:%S}" == expected


@pytest.mark.parametrize(
    ("schedule", "mistake"),
    [
        ("", "6 fields: second minute hour day month weekday, as in '0 */5 * * * *'; it has 0"),
        ("* *", "6 fields: second minute hour day month weekday, as in '0 */5 * * * *'; it has 2"),
        ("@daily", "it has 1"),
        ("0 3 * * *", "has 5 fields; NCRONTAB has 6, seconds first: write '0 0 3 * * *'"),
        ("0 3 * * 7", "has the weekday 7; write weekdays from 0 to 6; Sunday is 0"),
        ("0 0 3 * * ? 2027", "has 7 fields; NCRONTAB has 6, without a year: second minute"),
        ("0\t0 3 * * *", "has a tab or a line break, where Azure reads only spaces"),
        ("0 0 3 * * *\n", "has a tab or a line break, where Azure reads only spaces"),
        ("0 0 3 * *\u00a0*", "'*\\xa0*' is not a valid weekday; write a space"),
        ("0 0 12 * * 7", "has the weekday 7; write weekdays from 0 to 6; Sunday is 0"),
        ("0 0 12 * * 8", "has the weekday 8; write weekdays from 0 to 6"),
        ("0 0 25 * * *", "has the hour 25; write hours from 0 to 23"),
        ("0 0 20-24 * * *", "has the hour 24; write hours from 0 to 23"),
        ("60 * * * * *", "has the second 60; write seconds from 0 to 59"),
        ("0 0 0 0 * *", "has the day 0; write days from 1 to 31"),
        ("0 0 0 1 13 *", "has the month 13; write months from 1 to 12"),
        ("0 0 0 L * *", "'L' is not a valid day; write * or a number from 1 to 31"),
        ("0 0 0 15W * *", "'15W' is not a valid day"),
        ("0 0 0 * * 2#1", "'2#1' is not a valid weekday; write * or a number from 0 to 6, or Sun to Sat"),
        ("0 0 0 ? * 1", "'?' is not a valid day; write *"),
        ("0 0 0 * * Mon\u2013Fri", "'Mon\u2013Fri' is not a valid weekday; write -"),
        ("0 0 0 1 Janvier *", "'Janvier' is not a valid month; write * or a number from 1 to 12, or Jan to Dec"),
        ("0 0 \u0663 * * *", "'\u0663' is not a valid hour; write * or a number from 0 to 23"),
        ("0 0 1_0 * * *", "'1_0' is not a valid hour"),
        ("0 0 -5 * * *", "a hour is missing; write *"),
        ("0 0 5- * * *", "a hour is missing; write *"),
        ("0 0 1,,2 * * *", "a hour is missing; write *"),
        (f"0 0 {'9' * 50} * * *", "'99999999999999999999…' is not a valid hour"),
        ("*/0 * * * * *", "has the step '*/0' of seconds; after / write a number from 1"),
        ("*/ * * * * *", "has the step '*/' of seconds"),
        ("0 1/2/3 * * * *", "has the step '1/2/3' of minutes"),
        ("0 */-5 * * * *", "has the step '*/-5' of minutes"),
        ("0 0 22-6 * * *", "has the range 22-6 of hours, which Azure reads as 6-22; write 6-22 or 22-23,0-6"),
        ("0 0 12 * * Fri-Mon", "has the range Fri-Mon of weekdays, which Azure reads as Mon-Fri; write Mon-Fri or Fri"),
        ("0 0 0 30 2 *", "never runs: February has no day 30; write days from 1 to 29"),
        ("0 0 0 31 4,Jun *", "never runs: April and June have no day 31; write days from 1 to 30"),
        ("00:05:00", "is a time span, which timers take only on an App Service plan; write '0 */5 * * * *'"),
        ("00:00:30", "write '*/30 * * * * *'"),
        ("6:00", "write '0 0 */6 * * *'"),
        ("1.00:07:00", "write NCRONTAB: second minute"),
        ("%OTHER%", "refers to another setting, which Azure does not follow here; write the schedule itself"),
    ],
)
def test_a_schedule_that_azure_rejects_or_reads_as_another_is_one_sentence(schedule: str, mistake: str) -> None:
    with pytest.raises(ScheduleError) as found:
        Schedule(schedule)
    assert mistake in str(found.value)
    assert "\n" not in str(found.value)


def test_the_29th_of_february_on_a_weekday_is_found_across_a_century() -> None:
    gaps = set[int]()
    for weekday in range(7):
        schedule, run = Schedule(f"0 0 0 29 2 {weekday}"), datetime(2000, 1, 1, tzinfo=UTC)
        while run.year < 2400:
            previous, run = run, schedule.next(run)
            gaps.add(run.year - previous.year)
    assert max(gaps) == MAX_GAP_YEARS


def test_a_schedule_ends_with_the_calendar() -> None:
    with pytest.raises(ScheduleError, match="does not run again before the year 10000"):
        Schedule("0 0 0 1 1 *").next(datetime(9999, 6, 1, tzinfo=UTC))


@st.composite
def schedules(draw: st.DrawFn) -> str:
    """Schedules of values, lists, ranges and steps, which all run at some time."""
    parts = list[str]()
    for field in FIELDS:
        high = min(field.high, 28)
        values = st.lists(st.integers(field.low, high), min_size=1, max_size=3)
        low, last = sorted(draw(st.tuples(st.integers(field.low, high), st.integers(field.low, high))))
        names = [str(number) for number in draw(values)]
        step = draw(st.integers(1, 70))
        parts.append(draw(st.sampled_from(["*", f"*/{step}", f"{low}-{last}", f"{low}/{step}", ",".join(names)])))
    return " ".join(parts)


@settings(deadline=None)
@given(schedules(), st.integers(0, 13_000_000_000))
def test_the_next_run_matches_and_nothing_before_it_does(text: str, seconds: int) -> None:
    after = datetime.fromtimestamp(seconds + 0.5, UTC)
    schedule = Schedule(text)
    run = schedule.next(after)
    assert run > after
    values = (run.second, run.minute, run.hour, run.day, run.month, run.isoweekday() % 7)
    assert all(value in field.parse(part) for field, part, value in zip(FIELDS, text.split(), values, strict=True))
    between = after + (run - after) / 2
    if between.replace(microsecond=0) + timedelta(seconds=1) <= run:
        assert schedule.next(between) == run


@settings(deadline=None)
@given(st.text(alphabet="0123456789*/,-?#LWMONFRIJAN%: \t\u2013\u0663", max_size=30))
def test_any_text_is_a_schedule_that_runs_or_one_sentence(text: str) -> None:
    mistake = ""
    try:
        assert Schedule(text).next(SUNDAY) > SUNDAY
    except ScheduleError as error:
        mistake = str(error)
    assert "\n" not in mistake
