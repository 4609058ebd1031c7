"""A simulation that finds nothing may be blind: it finds every fault that is planted."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import PLANTED
from tests.simulation.seeds import broken

SEEDS = 1500
"""A fault that this many histories do not show counts as not found."""


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    assert any(broken(seed, plant=PLANTED[fault]) for seed in range(SEEDS))
