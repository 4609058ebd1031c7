"""The simulation finds every mutant: otherwise its silence would mean nothing."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.release_mutants import RELEASE_MUTANTS
from tests.simulation.rollback_mutants import ROLLBACK_MUTANTS
from tests.simulation.worlds import find_violation

SEEDS = 1500
"""A mutant counts as missed if none of this many histories finds it."""
ALL = {**MUTANTS, **RELEASE_MUTANTS, **ROLLBACK_MUTANTS}


@pytest.mark.parametrize("missing", ALL)
def test_a_mutant_is_found(missing: str) -> None:
    found = (find_violation(seed, mutant=ALL[missing]) for seed in range(SEEDS))
    violation = next(filter(None, found), "")
    assert "InvariantError" in violation, "an error of the mutant itself proves nothing"
