"""No trickle of pushes or rotations holds anything up for ever, and nothing ends the age of a push."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.run import Mutant
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.waits_world import WAITS_MUTANTS, simulate

SEEDS = 20


@pytest.fixture(autouse=True)
def without_logging() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.parametrize("fault", WAITS_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(_violates(seed, WAITS_MUTANTS[fault]) for seed in range(SEEDS))


def _violates(seed: int, mutant: Mutant) -> bool:
    try:
        simulate(seed, mutant=mutant)
    except InvariantError:
        return True
    return False
