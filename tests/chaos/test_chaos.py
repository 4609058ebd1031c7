"""A short chaos run: 30 seconds of faults, and then all invariants hold."""

from __future__ import annotations

import sys

import pytest

from tests.chaos.run import run
from tests.chaos.schedule import schedule

SEED, SECONDS = 5, 30.0
"""``make chaos`` draws a seed, and runs longer."""


@pytest.mark.timeout(420)
async def test_after_all_faults_the_newest_push_is_live_and_was_confirmed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    report = await run(SEED, SECONDS, lambda line: print(line, file=sys.stderr))  # noqa: T201 - pytest shows it if the test fails
    assert not report.violations
    assert sum(report.faults.values()) > SECONDS / 3
    assert {"kill -9 functions-1", "kill -9 storage", "freeze functions-2"} <= set(report.faults)
    assert report.faulty_requests.total() > 0


def test_a_seed_determines_the_schedule() -> None:
    assert schedule(SEED, SECONDS) == schedule(SEED, SECONDS)
    assert schedule(SEED, SECONDS) != schedule(SEED + 1, SECONDS)
    times = [event.at for event in schedule(SEED, SECONDS)]
    assert times == sorted(times)
    assert times[-1] < SECONDS
