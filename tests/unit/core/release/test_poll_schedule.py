"""When a version is polled next: by the time waited, the load, the fastest activation and Foundry's refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.foundry_rate import LoadSnapshot, fair_pause
from core.release.poll_schedule import MIN_POLL_SECONDS, provisioned, seconds_to_next_poll
from core.state.release import ReleaseState

ALONE = LoadSnapshot((), 5.0)


def test_below_the_rate_the_pause_between_polls_grows_to_ten_seconds() -> None:
    assert [seconds_to_next_poll(waited, 2.0, ALONE) for waited in (0.0, 20.0, 50.0, 200.0)] == [2.0, 2.0, 5.0, 10.0]
    assert seconds_to_next_poll(0.0, 30.0, ALONE) == 30.0


def test_above_the_rate_a_poll_delays_a_release_by_a_tenth_at_most() -> None:
    busy = LoadSnapshot((2.0,) * 99, 5.0)
    assert [seconds_to_next_poll(waited, 2.0, busy) for waited in (0.0, 50.0, 150.0, 1000.0)] == [2.0, 5.0, 15.0, 20.0]


def test_above_the_rate_the_first_poll_waits_for_the_fastest_activation() -> None:
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot((2.0,) * 99, 5.0, fastest_activation=50.0)) == 35.0
    assert seconds_to_next_poll(45.0, 2.0, LoadSnapshot((2.0,) * 99, 5.0, fastest_activation=50.0)) == 4.5
    assert seconds_to_next_poll(10.0, 2.0, LoadSnapshot((), 5.0, fastest_activation=50.0)) == 2.0, (
        "a release alone does not wait for it"
    )


def test_after_a_429_polls_take_a_third_of_the_rate() -> None:
    busy = LoadSnapshot((2.0,) * 9, 0.5, throttled=True)
    assert round(seconds_to_next_poll(10.0, 2.0, busy), 6) == 60.0
    assert round(seconds_to_next_poll(10.0, 2.0, replace(busy, other_pauses=(2.0,) * 4)), 6) == 30.0


KNOWN = (15.0, 18.0, 21.0, 24.0)


def polls_until(active: float, known: tuple[float, ...], load: LoadSnapshot = ALONE) -> list[float]:
    """When a release polls, until it sees the version active."""
    polls = [0.0]
    while polls[-1] < active:
        polls.append(polls[-1] + seconds_to_next_poll(polls[-1], 2.0, load, known))
    return polls[1:]


@pytest.mark.parametrize("active", [15.0, 16.7, 19.9, 22.2, 24.0])
def test_a_version_that_takes_as_long_as_before_is_seen_within_a_quarter_of_a_second(active: float) -> None:
    polls = polls_until(active, KNOWN)
    assert polls[-1] - active <= 0.25
    assert len([poll for poll in polls if poll < 13.0]) <= 2, "few polls before it is expected"


def test_a_version_that_takes_longer_than_before_is_polled_less_and_less() -> None:
    polls = polls_until(100.0, KNOWN)
    late = [poll for poll in polls if poll > 27.0]
    pauses = [after - before for before, after in itertools.pairwise(late)]
    assert pauses == sorted(pauses)
    assert polls[-1] - 100.0 <= 10.0
    assert len(polls) <= 100


def test_those_that_poll_rarely_take_nothing_from_the_one_whose_version_is_expected() -> None:
    rare, dense = LoadSnapshot((10.0,) * 9, 5.0), LoadSnapshot((0.25,) * 9, 5.0)
    assert seconds_to_next_poll(20.0, 2.0, rare, KNOWN) == 0.25
    assert seconds_to_next_poll(20.0, 2.0, dense, KNOWN) == 2.0, "ten of them, with five polls a second"


@given(pauses=st.lists(st.floats(0.05, 60.0), min_size=1, max_size=50), polls_per_second=st.floats(0.1, 100.0))
def test_a_fair_pause_keeps_all_within_the_rate_and_wastes_none_of_it(
    pauses: list[float], polls_per_second: float
) -> None:
    fair = fair_pause(pauses, polls_per_second)
    asked = sum(1 / max(pause, fair) for pause in pauses)
    assert asked <= polls_per_second * (1 + 1e-6)
    assert asked >= polls_per_second * (1 - 1e-6) or fair == 0.0


def test_fewer_than_three_known_times_say_nothing() -> None:
    assert polls_until(60.0, (20.0, 20.0)) == polls_until(60.0, ())


def test_a_shorter_first_pause_is_never_lengthened_to_the_dense_one() -> None:
    assert seconds_to_next_poll(20.0, 0.05, ALONE, KNOWN) <= 0.25
    assert seconds_to_next_poll(1.0, 0.05, LoadSnapshot((), 5.0), KNOWN) == 0.25
    assert seconds_to_next_poll(1.0, 30.0, ALONE, (90.0,) * 3) == 30.0


@given(
    known=st.lists(st.floats(0.01, 3600.0), max_size=20).map(tuple),
    active=st.floats(0.0, 3600.0),
    polling=st.integers(1, 50),
)
def test_no_history_makes_polls_late_or_more_than_the_rate(
    known: tuple[float, ...], active: float, polling: int
) -> None:
    load = LoadSnapshot((MIN_POLL_SECONDS,) * (polling - 1), 5.0)
    polls = [0.0, *polls_until(active, known, load)]
    for before, after in itertools.pairwise(polls):
        without_history = seconds_to_next_poll(before, 2.0, load)
        assert after - before >= min(polling / 5.0, without_history) - 1e-6
    assert polls[-1] - active <= max(10.0, active * 0.2)


@pytest.mark.parametrize("seconds", [None, 0.0, -5.0, float("nan"), float("inf"), 1e9])
def test_no_time_of_a_clock_that_jumped_or_stood_still_is_kept(seconds: float | None) -> None:
    state = ReleaseState(provisioning_seconds=(20.0,))
    assert provisioned(state, seconds) == state


def test_the_last_twenty_times_are_kept() -> None:
    state = ReleaseState()
    for seconds in range(1, 23):
        state = provisioned(state, seconds)
    assert state.provisioning_seconds == tuple(range(3, 23))


@pytest.mark.parametrize("active", [30.0, 100.0, 500.0, 890.0])
def test_between_two_times_that_differ_wildly_a_release_polls_as_one_without_a_history(active: float) -> None:
    with_history, without = polls_until(active, (5.0, 900.0, 900.0)), polls_until(active, ())
    assert with_history[-1] - active <= max(2.0, active * 0.1)
    assert len(with_history) <= len(without) + 10, "about 5 s it polls more often"
