"""A push that cannot be deployed displaces nothing, and no push is lost, in any order and with any crash."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.registry_world import REGISTRY_MUTANTS, simulate
from tests.simulation.run import Mutant
from tests.simulation.safety_invariants import InvariantError

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


@pytest.mark.parametrize("missing", REGISTRY_MUTANTS)
def test_a_mutant_is_found(missing: str) -> None:
    assert any(_violates(seed, REGISTRY_MUTANTS[missing]) for seed in range(SEEDS))


def _violates(seed: int, mutant: Mutant) -> bool:
    try:
        simulate(seed, mutant=mutant)
    except InvariantError:
        return True
    return False
