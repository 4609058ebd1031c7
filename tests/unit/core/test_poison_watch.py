"""When the messages of a poison queue are reported."""

from __future__ import annotations

import pytest

from core.poison_watch import PoisonWatch, watch_poison_queue


def reports(*counts: int) -> list[int]:
    """What is reported in each of the runs that count so many messages."""
    watch, reported = PoisonWatch(), list[int]()
    for count in counts:
        watch, stuck = watch_poison_queue(watch, count)
        reported.append(stuck)
    return reported


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([0, 0], [0, 0], id="nothing"),
        pytest.param([1, 0, 1, 0], [0, 0, 0, 0], id="taken between two runs"),
        pytest.param([3, 3, 3, 3], [0, 3, 0, 0], id="reported once"),
        pytest.param([2, 5, 5, 5], [0, 2, 5, 0], id="new messages count from the next run on"),
        pytest.param([5, 2, 2], [0, 2, 0], id="some are taken"),
        pytest.param([1, 1, 2, 1, 1], [0, 1, 0, 0, 0], id="a message that runs beside a stuck one"),
        pytest.param([2, 2, 1, 2, 2], [0, 2, 0, 0, 2], id="one goes, another comes"),
        pytest.param([2, 2, 0, 2, 2], [0, 2, 0, 0, 2], id="again after a clean-up"),
    ],
)
def test_what_two_runs_after_another_see_is_reported_once(counts: list[int], expected: list[int]) -> None:
    assert reports(*counts) == expected
