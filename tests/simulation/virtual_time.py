"""An event loop whose time jumps to the next timer, so that days of waiting take milliseconds."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never blocks: it adds the timeout to the time instead."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits, and no timer is set")
        if timeout > 0:
            self.passed += timeout
        return []  # there is no I/O


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop of the simulation."""

    def __init__(self) -> None:
        self._selector_of_time = _JumpingSelector()
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        return self._selector_of_time.passed


class VirtualClock:
    """The Clock gateway on a VirtualLoop; without a random source every pause has its full length.

    ``ahead``: seconds by which the clock of a host is wrong.
    """

    def __init__(self, jitter: Callable[[], float] = lambda: 1.0, ahead: float = 0.0) -> None:
        self._jitter = jitter
        self._start = START + timedelta(seconds=ahead)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return self._jitter()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in virtual time."""

    @functools.wraps(test)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return wrapped
