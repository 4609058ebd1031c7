"""The invariants of a release hold in any order of events, with duplicates, and with a crash at any call."""

from __future__ import annotations

import pytest

from tests.simulation import replay, seeds, soak
from tests.simulation.worlds import WORLDS

BLOCKS, BLOCK = 10, 100
FIRST = 0


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_history_violates_an_invariant(block: int) -> None:
    assert not soak.run_block(range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK))


@pytest.mark.parametrize(("world", "seed"), [("agent", 77100076), ("secrets", 77100247), ("secrets", 77100434)])
def test_no_history_that_a_soak_once_found_violates_an_invariant(world: str, seed: int) -> None:
    assert not soak.run_block(range(seed, seed + 1), world)


def test_no_history_without_faults_violates_an_invariant() -> None:
    for seed in range(20):
        seeds.simulate(seed, harsh=0.0)


def test_histories_have_crashes_and_creates_and_each_rule_for_identical_definitions() -> None:
    histories = [seeds.simulate(seed) for seed in range(20)]
    assert sum(history.crashes for history in histories) > 20
    assert sum(history.foundry.create_count for history in histories) > 20
    assert {history.foundry.deduplicates_by for history in histories} == {"definition", "metadata", "never"}


def test_a_seed_is_replayed_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main(["--seed", "3"]) == 0
    output = capsys.readouterr().out
    assert "Foundry.create" in output
    assert output.endswith("every invariant held\n")


def test_every_world_can_be_soaked() -> None:
    assert not [violation for world in WORLDS for violation in soak.run_block(range(1), world)]
