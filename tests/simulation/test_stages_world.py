"""Nothing comes to a stage that was not good before, no stage starves, and a project's faults stay in that project."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import violates
from tests.simulation.stages_mutants import STAGE_MUTANTS
from tests.simulation.stages_world import simulate

SEEDS = 20


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.timeout(400)  # some faults show only in one of a hundred histories
@pytest.mark.parametrize("fault", STAGE_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(violates(simulate, seed, STAGE_MUTANTS[fault]) for seed in range(10 * SEEDS))
