"""Any order, any duplicate, a crash before or after any call: the invariants of a release hold."""

from __future__ import annotations

import os

import pytest

from tests.simulation.history import BrokenError, History
from tests.simulation.virtual_time import run

SEEDS = int(os.environ.get("SEEDS", "300"))
BLOCK = 50


@pytest.mark.parametrize("block", range(0, SEEDS, BLOCK))
def test_no_history_breaks_an_invariant(block: int) -> None:
    for seed in range(block, min(block + BLOCK, SEEDS)):
        replay(seed)


def test_a_calm_world_needs_no_luck() -> None:
    for seed in range(20):
        replay(seed, harsh=0.0)


def test_the_harsh_histories_are_really_harsh() -> None:
    histories = [History(seed) for seed in range(20)]
    for history in histories:
        run(history.run())
    assert sum(history.crashes for history in histories) > 20
    assert sum(history.foundry.creates for history in histories) > 20


def replay(seed: int, harsh: float = 1.0) -> None:
    try:
        run(History(seed, harsh=harsh).run())
    except BrokenError as broken:
        command = f"python -m pytest tests/simulation -k replay --seed {seed}"
        raise AssertionError(f"seed {seed}: {broken}; again with: {command}") from broken
