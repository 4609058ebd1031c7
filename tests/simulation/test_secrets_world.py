"""No variable is lost and no rotation is missed, with tags, start dates, lags and lost events, and with any crash."""

from __future__ import annotations

import pytest

from tests.simulation.secrets_world import SECRET_MUTANTS, simulate
from tests.simulation.seeds import violates

SEEDS = 300
"""A mutant counts as missed if none of this many histories finds it."""


@pytest.mark.parametrize("block", range(4))
def test_no_history_violates_an_invariant(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        simulate(seed)


@pytest.mark.parametrize("missing", SECRET_MUTANTS)
def test_a_mutant_is_found(missing: str) -> None:
    assert any(violates(simulate, seed, SECRET_MUTANTS[missing]) for seed in range(SEEDS))
