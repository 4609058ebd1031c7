"""When a version is looked at next: by the wait, the crowd, what others took, and what Foundry refused."""

from __future__ import annotations

from dataclasses import replace

from core.foundry_rate import (
    MIN_READS_PER_SECOND,
    LoadSnapshot,
    may_start_release,
    rate_after_refusal,
    recovered_rate,
)
from core.release.poll_schedule import seconds_to_next_poll

ALONE = LoadSnapshot(1, 5.0)


def test_below_the_budget_looks_come_as_they_always_did() -> None:
    assert [seconds_to_next_poll(waited, 2.0, ALONE) for waited in (0.0, 20.0, 50.0, 200.0)] == [2.0, 2.0, 5.0, 10.0]
    assert seconds_to_next_poll(0.0, 30.0, ALONE) == 30.0


def test_above_it_a_look_is_at_most_a_tenth_late() -> None:
    crowd = LoadSnapshot(100, 5.0)
    assert [seconds_to_next_poll(waited, 2.0, crowd) for waited in (0.0, 50.0, 150.0, 1000.0)] == [2.0, 5.0, 15.0, 20.0]


def test_above_it_nobody_looks_before_any_version_was_ever_ready() -> None:
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot(100, 5.0, fastest_activation=50.0)) == 35.0
    assert seconds_to_next_poll(45.0, 2.0, LoadSnapshot(100, 5.0, fastest_activation=50.0)) == 4.5
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot(1, 5.0, fastest_activation=50.0)) == 2.0, (
        "and alone one looks all the same"
    )


def test_after_a_429_everybody_gets_a_fair_share_and_few_begin() -> None:
    crowd = LoadSnapshot(20, 0.5, throttled=True)
    assert seconds_to_next_poll(10.0, 2.0, crowd) == 40.0
    assert may_start_release(1, 0.0, crowd)
    assert not may_start_release(3, 0.0, crowd)
    assert not may_start_release(1, 5.0, crowd), "reads wait already"
    assert may_start_release(1000, 0.0, replace(crowd, throttled=False))
    assert may_start_release(0, 5.0, replace(crowd, reads_per_second=0.1)), "one always may"


def test_the_budget_comes_back() -> None:
    assert recovered_rate(1.0, 0.0, 5.0) == 1.0
    assert recovered_rate(1.0, 30.0, 5.0) == 2.0
    assert recovered_rate(1.0, 1e9, 5.0) == 5.0


def test_what_is_refused_again_and_again_is_still_tried() -> None:
    a_second = 5.0
    for _ in range(100):
        a_second = rate_after_refusal(a_second)
    assert a_second == MIN_READS_PER_SECOND
