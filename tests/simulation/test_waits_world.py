"""No trickle of pushes or rotations holds anything up for ever, and nothing ends the age of a push."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import violates
from tests.simulation.waits_world import WAITS_MUTANTS, simulate

SEEDS = 20


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.parametrize("fault", WAITS_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(violates(simulate, seed, WAITS_MUTANTS[fault]) for seed in range(SEEDS))
