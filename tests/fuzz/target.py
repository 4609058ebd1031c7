"""What is thrown inputs at, what it may raise, and how an input is judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

SLOWEST = 0.050
"""Seconds of processor time that one input may take."""


@dataclass(frozen=True)
class Target:
    """A door of the product."""

    name: str
    what: str
    """One line for the table."""
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], Awaitable[None]]
    """Puts an input through the door; what is found wrong is an AssertionError."""
    may_raise: tuple[type[Exception], ...] = ()
    """The product's own errors, which are an answer too."""
    share: int = 1
    """How much of all inputs it gets, beside the others."""
