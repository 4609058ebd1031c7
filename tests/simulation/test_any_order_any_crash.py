"""Any order, any duplicate, a crash before or after any call: the invariants of a release hold."""

from __future__ import annotations

import pytest

from tests.simulation import replay, seeds, soak

BLOCKS, BLOCK = 10, 100
FIRST = 0


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_history_breaks_an_invariant(block: int) -> None:
    assert not soak.block(range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK))


def test_a_calm_world_needs_no_luck() -> None:
    assert not [found for seed in range(20) if (found := seeds.broken(seed, harsh=0.0))]


def test_the_harsh_histories_are_really_harsh() -> None:
    histories = [seeds.live(seed) for seed in range(20)]
    assert sum(history.crashes for history in histories) > 20
    assert sum(history.foundry.create_count for history in histories) > 20


def test_a_seed_is_replayed_step_by_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main(["--seed", "3"]) == 0
    first = capsys.readouterr().out
    assert "Foundry.create" in first
    assert first.endswith("every invariant held\n")
