"""How the instances of the app share Foundry's rate, and which releases go on after a 429."""

from __future__ import annotations

import math
from dataclasses import replace

from core.foundry_rate import (
    MIN_READS_PER_SECOND,
    Heartbeat,
    LoadSnapshot,
    count_ahead,
    is_throttled,
    may_go_on,
    may_start,
    rate_after_refusal,
    rate_share,
    recovered_rate,
    releases_at_once,
    takes_releases,
)

THROTTLED = LoadSnapshot((2.0,) * 19, 0.5, throttled=True, releases_at_once=2.5)


def test_after_a_429_the_releases_that_began_first_go_on() -> None:
    assert [may_go_on(ahead, 0.0, THROTTLED) for ahead in (0, 2, 3)] == [True, True, False]
    assert may_go_on(1000, 60.0, replace(THROTTLED, throttled=False))


def test_at_a_small_rate_a_release_goes_on_once_the_reads_of_a_decision_are_answered_in_time() -> None:
    slow = replace(THROTTLED, reads_per_second=0.1)
    assert [may_go_on(0, queue, slow) for queue in (0.0, -19.0, -20.0)] == [False, False, True]


def test_a_release_starts_where_few_reads_wait() -> None:
    assert may_start(1, 3.0, THROTTLED)
    assert not may_start(3, 0.0, THROTTLED)
    assert not may_start(1, 5.0, THROTTLED), "more than two reads wait already"
    assert not may_start(1, 2.5, replace(THROTTLED, reads_per_second=5.0))
    assert may_start(1000, 60.0, replace(THROTTLED, throttled=False))


def test_the_oldest_release_of_the_app_starts_in_any_case() -> None:
    assert may_start(0, 60.0, replace(THROTTLED, reads_per_second=0.1))
    assert releases_at_once(0.001) == 1.0
    assert releases_at_once(5.0) > 20


def test_of_two_releases_that_began_together_one_is_ahead() -> None:
    own, others = [(1.0, "b"), (5.0, "b")], [(1.0, "a"), (5.0, "c")]
    assert [count_ahead(release, own, others) for release in own] == [1, 2]
    assert [count_ahead(release, others, own) for release in others] == [0, 3]


def test_instances_share_the_rate_by_their_releases_that_go_on() -> None:
    first, second = [(1.0, "a"), (2.0, "a"), (3.0, "a")], [(4.0, "b"), (5.0, "b")]
    assert (rate_share(first, second, math.inf), rate_share(second, first, math.inf)) == (0.6, 0.4)
    assert (rate_share(first, second, 4.0), rate_share(second, first, 4.0)) == (0.75, 0.25)


def test_an_instance_alone_or_without_releases_has_a_share() -> None:
    assert rate_share([], [], 25.0) == 1.0
    assert rate_share([(1.0, "a")], [], 25.0) == 1.0
    assert rate_share([], [(1.0, "b")], 25.0) == 0.5
    assert rate_share([(9.0, "a")], [(1.0, "b"), (2.0, "b")], 1.0) == 0.5


def test_a_heartbeat_grows_older_as_a_whole() -> None:
    assert Heartbeat("a", (1.0, 2.0), 5.0, 0.7).after(10.0) == Heartbeat("a", (11.0, 12.0), 15.0, 0.7)


def test_the_rate_recovers() -> None:
    assert recovered_rate(1.0, 0.0, 5.0) == 1.0
    assert recovered_rate(1.0, 30.0, 5.0) == 2.0
    assert recovered_rate(1.0, 1e9, 5.0) == 5.0
    assert recovered_rate(0.1, 100.0, 5.0) == 0.2, "30 s allow three reads only"
    assert recovered_rate(math.inf, math.inf, 5.0) == 5.0, "nothing was refused"


def test_a_429_counts_longer_at_a_small_rate() -> None:
    assert [is_throttled(5.0, seconds) for seconds in (59.0, 60.0)] == [True, False]
    assert [is_throttled(0.1, seconds) for seconds in (199.0, 200.0)] == [True, False]


def test_the_rate_never_falls_below_its_minimum() -> None:
    rate = 5.0
    for _ in range(100):
        rate = rate_after_refusal(rate)
    assert rate == MIN_READS_PER_SECOND


def test_after_a_429_as_few_instances_as_the_rate_feeds_take_releases() -> None:
    names = [f"{number:02}" for number in range(40)]
    for at_once, instances in ((1.0, 1), (95.0, 1), (96.0, 2), (10_000.0, 40)):
        taking = [name for name in names if takes_releases(name, {*names} - {name}, at_once)]
        assert taking == names[:instances]
    assert takes_releases("39", (), 1.0), "an instance that hears of nobody"
