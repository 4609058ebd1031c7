"""NCRONTAB: the next run of a timer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.ncrontab import Schedule

SUNDAY = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 */5 * * * *", "11-22 12:35:00"),
        ("0 0 3 * * *", "11-23 03:00:00"),
        ("*/15 * * * * *", "11-22 12:35:00"),
        ("0 30 9 * * 1-5", "11-23 09:30:00"),
        ("0 30 9 * Jan Mon", "01-04 09:30:00"),
        ("0 0 0 31 * *", "12-31 00:00:00"),
        ("30 5 6 1,15 * *", "12-01 06:05:30"),
        ("0 0 12 * * 0", "11-29 12:00:00"),
        ("0 0 12 * * Fri-Mon", "11-23 12:00:00"),
        ("0 5/20 * * * *", "11-22 12:45:00"),
        ("*/5 * * * *", "11-22 12:35:00"),
        ("0 0 0 * * Monday", "11-23 00:00:00"),
        ("5,10,50 * * * * *", "11-22 12:35:05"),
        ("0 0 0 15 * Tue", "12-15 00:00:00"),
    ],
)
def test_the_next_run_is_that_of_the_real_host(schedule: str, expected: str) -> None:
    assert f"{Schedule(schedule).next(SUNDAY):%m-%d %H:%M:%S}" == expected


@pytest.mark.parametrize(
    "schedule", ["", "* *", "0 0 12 * * 7", "60 * * * * *", "0 0 0 L * *", "0 0 0 ? * 1", "@daily", "*/0 * * * * *"]
)
def test_a_schedule_that_the_real_host_rejects_is_rejected(schedule: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Schedule(schedule)


def test_a_date_that_never_occurs_is_an_error() -> None:
    with pytest.raises(ValueError, match="never runs"):
        Schedule("0 0 0 31 2 *").next(SUNDAY)
