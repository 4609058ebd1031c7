"""Nothing is promoted outside of its window, and a closed window costs one message."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import violates
from tests.simulation.windows_world import WINDOW_MUTANTS, simulate

SEEDS = 60


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.parametrize("fault", WINDOW_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(violates(simulate, seed, WINDOW_MUTANTS[fault]) for seed in range(SEEDS))
