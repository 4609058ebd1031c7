"""No variable is lost and no rotation is missed, with tags, start dates, lags and lost events, and with any crash."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.run import Mutant
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.secrets_world import SECRET_MUTANTS, simulate

SEEDS = 300
"""A mutant counts as missed if none of this many histories finds it."""


@pytest.fixture(autouse=True)
def without_logging() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("block", range(4))
def test_no_history_violates_an_invariant(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        simulate(seed)


@pytest.mark.parametrize("missing", SECRET_MUTANTS)
def test_a_mutant_is_found(missing: str) -> None:
    assert any(_violates(seed, SECRET_MUTANTS[missing]) for seed in range(SEEDS))


def _violates(seed: int, mutant: Mutant) -> bool:
    try:
        simulate(seed, mutant=mutant)
    except InvariantError:
        return True
    return False
