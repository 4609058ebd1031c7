"""When a timer runs, what its status says, and which host has its lease."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.ncrontab import Schedule
from local.functions_host.timer_rules import LEASE_SECONDS, Status, after_run, at_start, invocation_time, keeps_status
from local.functions_host.timer_store import TimerFiles

HOURLY = Schedule("0 0 * * * *")


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, second, tzinfo=UTC)


def test_a_status_is_stored_when_a_timer_is_first_seen_so_that_a_missed_first_run_is_noticed() -> None:
    first = at_start(HOURLY, None, at(9, 30))
    assert (first.is_past_due, first.save) == (False, Status(None, at(10), at(9, 30)))
    assert first.status == Status(None, at(10), None)
    second = at_start(HOURLY, first.save, at(10, 1))
    assert (second.is_past_due, second.save) == (True, None)
    assert not at_start(HOURLY, first.save, at(9, 45)).is_past_due


def test_what_an_earlier_schedule_missed_is_not_made_up_for() -> None:
    stored = after_run(Schedule("0 */10 * * * *"), at(9, 20))
    changed = at_start(HOURLY, stored, at(9, 45))
    assert (changed.is_past_due, changed.save) == (False, Status(None, at(10), at(9, 20)))
    later = at_start(HOURLY, stored, at(11, 5))
    assert (later.is_past_due, later.save) == (False, Status(None, at(12), at(11, 5)))


def test_the_next_due_time_counts_from_the_start_of_a_run() -> None:
    assert after_run(HOURLY, at(9, 0, 1)) == Status(at(9, 0, 1), at(10), at(9, 0, 1))


def test_a_timer_that_fires_early_is_not_due_twice() -> None:
    early = at(10) - timedelta(milliseconds=3)
    assert HOURLY.next(invocation_time(early, at(10))) == at(11)
    assert invocation_time(at(9), at(10)) == at(9), "the clock was set back"
    assert invocation_time(at(10, 0, 7), at(10)) == at(10, 0, 7)


@pytest.mark.parametrize(
    ("schedule", "keeps"),
    [
        ("*/10 * * * * *", False),
        ("0,30 * */1 * 1-12 0-6", False),
        ("0 * * * * *", True),
        ("*/10 */2 * * * *", True),
        ("0 */5 * * * *", True),
        ("* * * * * Mon-Fri", True),
    ],
)
def test_a_timer_of_several_runs_a_minute_keeps_no_status(schedule: str, keeps: bool) -> None:
    assert keeps_status(schedule) is keeps


def test_a_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = TimerFiles(tmp_path / "timers")
    assert store.read("tick") is None
    for status in (Status(None, at(10), at(9)), Status(at(9), at(10), at(9))):
        store.write("tick", status)
        assert store.read("tick") == status
    assert Status(None, at(10), None).to_json()["Last"] == "0001-01-01T00:00:00+00:00"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Next": "soon", "Last": "x"}', '{"Next": null}', "null"])
def test_a_file_that_is_no_status_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "tick.json").write_text(text)
    assert TimerFiles(tmp_path).read("tick") is None


def test_one_host_has_the_lease_until_it_releases_it(tmp_path: Path) -> None:
    first, second = TimerFiles(tmp_path), TimerFiles(tmp_path)
    assert first.acquire("tick")
    assert first.acquire("tick"), "a renewal"
    assert not second.acquire("tick")
    first.release("tick")
    assert second.acquire("tick")


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (LEASE_SECONDS / 2, False), (3600, True)])
def test_a_lease_ends_by_itself_and_with_a_clock_that_was_set_back(tmp_path: Path, seconds: float, taken: bool) -> None:
    (tmp_path / "tick.lease").write_text(f"other {time.time() + seconds}")
    assert TimerFiles(tmp_path).acquire("tick") is taken


def test_a_damaged_lease_is_taken(tmp_path: Path) -> None:
    (tmp_path / "tick.lease").write_text("nonsense")
    assert TimerFiles(tmp_path).acquire("tick")
