"""When a version is polled next: by the time waited, the load, the fastest activation and Foundry's refusals."""

from __future__ import annotations

from dataclasses import replace

from core.foundry_rate import LoadSnapshot
from core.release.poll_schedule import seconds_to_next_poll

ALONE = LoadSnapshot(1, 5.0)


def test_below_the_rate_the_pause_between_polls_grows_to_ten_seconds() -> None:
    assert [seconds_to_next_poll(waited, 2.0, ALONE) for waited in (0.0, 20.0, 50.0, 200.0)] == [2.0, 2.0, 5.0, 10.0]
    assert seconds_to_next_poll(0.0, 30.0, ALONE) == 30.0


def test_above_the_rate_a_poll_delays_a_release_by_a_tenth_at_most() -> None:
    busy = LoadSnapshot(100, 5.0)
    assert [seconds_to_next_poll(waited, 2.0, busy) for waited in (0.0, 50.0, 150.0, 1000.0)] == [2.0, 5.0, 15.0, 20.0]


def test_above_the_rate_the_first_poll_waits_for_the_fastest_activation() -> None:
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot(100, 5.0, fastest_activation=50.0)) == 35.0
    assert seconds_to_next_poll(45.0, 2.0, LoadSnapshot(100, 5.0, fastest_activation=50.0)) == 4.5
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot(1, 5.0, fastest_activation=50.0)) == 2.0, (
        "a release alone does not wait for it"
    )


def test_after_a_429_polls_take_a_third_of_the_rate() -> None:
    busy = LoadSnapshot(10, 0.5, throttled=True)
    assert round(seconds_to_next_poll(10.0, 2.0, busy), 6) == 60.0
    assert round(seconds_to_next_poll(10.0, 2.0, replace(busy, polling=5)), 6) == 30.0
