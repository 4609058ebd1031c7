"""A small part of ``make fuzz``: no input raises an unexpected error."""

from __future__ import annotations

import pytest

from tests.fuzz.runner import run_block
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SEED, MIN_INPUTS, MAX_INPUTS = 0, 100, 400
"""Each target gets inputs by its share of ``make fuzz``."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_raises_an_unexpected_error(target: Target) -> None:
    inputs = min(MAX_INPUTS, MIN_INPUTS + 15 * target.share)
    block = run_block(target, SEED, inputs)
    assert block.inputs == inputs or block.finding
    assert not block.finding, block.finding
