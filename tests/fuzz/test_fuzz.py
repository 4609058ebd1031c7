"""A small share of ``make fuzz``: no input from outside gets out of hand."""

from __future__ import annotations

import pytest

from tests.fuzz.running import live
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SEED, INPUTS = 0, 300


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_no_input_raises_anything_but_our_own(target: Target) -> None:
    block = live(target, SEED, INPUTS)
    assert block.inputs == INPUTS
    assert not block.finding, block.finding
