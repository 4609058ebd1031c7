"""A version has one run an attempt, whatever is killed, and no traffic before it was evaluated."""

from __future__ import annotations

import pytest

from tests.simulation.evaluation_world import EVALUATION_MUTANTS, simulate
from tests.simulation.seeds import violates

SEEDS = 30


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.parametrize("fault", EVALUATION_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(violates(simulate, seed, EVALUATION_MUTANTS[fault]) for seed in range(40 * SEEDS))
