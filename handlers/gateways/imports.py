"""Imports at the first event of a process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MIN_NEW_OBJECTS = 10_000
"""Until the next collection. Python's 700 are those of a few requests, which are still in use: during 32 releases at
once the collector ran 90 times, in place of 6."""


def without_collections(load: Callable[[], T]) -> T:
    """The result of a function that imports.

    Imports leave little garbage and thousands of objects that stay: the collector would visit all of them several
    times, for a tenth of a cold start, and again in each full collection later. From then on collections are rarer.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return load()
    finally:
        gc.freeze()
        gc.set_threshold(MIN_NEW_OBJECTS)
        if was_enabled:
            gc.enable()
