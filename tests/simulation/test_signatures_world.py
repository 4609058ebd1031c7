"""No version is created for an image whose signature did not verify, and what is signed gets live."""

from __future__ import annotations

import pytest

from tests.simulation.seeds import violates
from tests.simulation.signatures_world import SIGNATURE_MUTANTS, simulate

SEEDS = 40


def test_no_history_violates_an_invariant() -> None:
    for seed in range(SEEDS):
        simulate(seed)


@pytest.mark.parametrize("fault", SIGNATURE_MUTANTS)
def test_a_mutant_is_found(fault: str) -> None:
    assert any(violates(simulate, seed, SIGNATURE_MUTANTS[fault]) for seed in range(20 * SEEDS))
