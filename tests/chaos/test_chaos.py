"""A minute of chaos: half of it trouble, and then everything is as it should be."""

from __future__ import annotations

import sys

import pytest

from tests.chaos.run import run
from tests.chaos.schedule import schedule

SEED, SECONDS = 5, 30.0
"""What the tests live through; ``make chaos`` draws a seed of its own, and takes longer."""


@pytest.mark.timeout(420)
async def test_whatever_goes_wrong_the_newest_push_runs_and_nothing_unproven_is_live(
    capfd: pytest.CaptureFixture[str],
) -> None:
    report = await run(SEED, SECONDS, lambda line: print(line, file=sys.stderr))  # noqa: T201 - shown where it fails
    assert not report.broken
    assert sum(report.faults.values()) > SECONDS / 3
    assert {"kill -9 functions-1", "kill -9 storage", "freeze functions-2"} <= set(report.faults)
    assert report.met.total() > 0


def test_a_seed_is_a_schedule() -> None:
    assert schedule(SEED, SECONDS) == schedule(SEED, SECONDS)
    assert schedule(SEED, SECONDS) != schedule(SEED + 1, SECONDS)
    times = [due.at for due in schedule(SEED, SECONDS)]
    assert times == sorted(times)
    assert times[-1] < SECONDS
