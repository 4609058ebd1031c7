"""Imports at the first event of a process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def without_collections(load: Callable[[], T]) -> T:
    """The result of a function that imports.

    Imports leave little garbage and thousands of objects that stay: the collector would visit all of them several
    times, for a tenth of a cold start, and again in each full collection later.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return load()
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
