"""A fuzz target: its inputs, how to run one, and the errors that it may raise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

MAX_INPUT_SECONDS = 0.050
"""Seconds of processor time that one input may take."""


@dataclass(frozen=True)
class Target:
    """An entry point of the product."""

    name: str
    description: str
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], Awaitable[None]]
    """Runs an input; raises AssertionError if the result is wrong."""
    may_raise: tuple[type[Exception], ...] = ()
    """The product's own errors, which are a valid result."""
    share: int = 1
    """Its share of all inputs, relative to the other targets."""
