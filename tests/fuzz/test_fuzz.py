"""A small share of ``make fuzz``: no input from outside gets out of hand."""

from __future__ import annotations

import pytest

from tests.fuzz.runner import live
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SEED, LEAST, MOST = 0, 100, 400
"""Inputs of a target here: by its share of ``make fuzz``."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_no_input_raises_anything_but_our_own(target: Target) -> None:
    inputs = min(MOST, LEAST + 15 * target.share)
    block = live(target, SEED, inputs)
    assert block.inputs == inputs or block.finding
    assert not block.finding, block.finding
