"""A push that cannot be deployed displaces nothing, and no push is lost, in any order and with any crash."""

from __future__ import annotations

import pytest

from tests.simulation.registry_world import REGISTRY_MUTANTS, simulate
from tests.simulation.seeds import violates

SEEDS = 300
"""A mutant counts as missed if none of this many histories finds it."""


@pytest.mark.parametrize("block", range(4))
def test_no_history_violates_an_invariant(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        simulate(seed)


@pytest.mark.parametrize("missing", REGISTRY_MUTANTS)
def test_a_mutant_is_found(missing: str) -> None:
    assert any(violates(simulate, seed, REGISTRY_MUTANTS[missing]) for seed in range(SEEDS))
