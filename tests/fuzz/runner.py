"""Runs one block of inputs from one seed: counts them, measures them, and records a finding."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import time
from array import array
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.target import MAX_INPUT_SECONDS, Target
from tests.simulation.virtual_time import VirtualLoop

MAX_INPUT_CHARACTERS = 2_000
REPEATS = 3
"""Repeated measurements of a slow input: other processes and garbage collection disturb single ones."""


@dataclass
class Block:
    """The result of one seed."""

    target: str
    seed: int
    inputs: int = 0
    rejected: int = 0
    """Inputs for which the product raised one of its own errors."""
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    """Eight bytes of each input's hash, to count distinct inputs."""
    slowest: float = 0.0
    """Seconds of processor time, the least of several measurements."""
    slowest_input: str = ""
    slow_once: int = 0
    """Inputs that exceeded the limit once, but not when measured again."""
    finding: str = ""


class SlowError(AssertionError):
    """An input exceeded the time limit in every measurement."""


class _InputRunner:
    """Runs inputs on an event loop whose waits take no time."""

    def __init__(self, target: Target, block: Block) -> None:
        self._target = target
        self._block = block
        self._loop = VirtualLoop()
        self.is_counting = True

    def run_once(self, data: Any) -> float:
        """Run an input, and return the seconds of processor time; raises errors that the product must not raise."""
        work: Coroutine[Any, Any, None] = self._target.run(data)  # type: ignore[assignment]
        began = time.thread_time()
        try:
            self._loop.run_until_complete(work)
        except self._target.may_raise:
            self._block.rejected += self.is_counting
        return time.thread_time() - began

    def __call__(self, data: Any) -> None:
        """Run, count and measure an input."""
        block = self._block
        seconds = self.run_once(data)
        if self.is_counting:
            block.inputs += 1
            digest = hashlib.blake2b(repr(data).encode("utf-8", "surrogatepass"), digest_size=8).digest()
            block.hashes.append(int.from_bytes(digest))
        if seconds > max(block.slowest, 0.001):
            self._measure_again(data, seconds)

    def _measure_again(self, data: Any, first: float) -> None:
        block, was_counting = self._block, self.is_counting
        self.is_counting = False
        gc.disable()
        try:
            least = min([first, *(self.run_once(data) for _ in range(REPEATS))])
        finally:
            gc.enable()
            self.is_counting = was_counting
        block.slow_once += first > MAX_INPUT_SECONDS >= least
        if least > block.slowest:
            block.slowest, block.slowest_input = least, shorten(data)
        if least > MAX_INPUT_SECONDS:
            raise SlowError(f"{least * 1000:.0f} ms, the limit is {MAX_INPUT_SECONDS * 1000:.0f} ms")

    def close(self) -> None:
        """Close the event loop."""
        asyncio.set_event_loop(None)
        self._loop.close()


def run_block(target: Target, number: int, inputs: int) -> Block:
    """Run inputs of a seed through the target; Hypothesis shrinks the first one that fails."""
    block = Block(target.name, number)
    runner = _InputRunner(target, block)
    asyncio.set_event_loop(runner._loop)
    last: list[Any] = []

    @seed(number)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def run_input(data: Any) -> None:
        last[:] = [data]
        try:
            runner(data)
        except BaseException:
            runner.is_counting = False  # from here on, Hypothesis only shrinks the input
            raise

    _without_logs(lambda: _record_finding(run_input, block, last))
    runner.close()
    return block


def _record_finding(run_inputs: Callable[[], None], block: Block, last: list[Any]) -> None:
    try:
        run_inputs()
    except Exception as error:  # noqa: BLE001 - any error that is not the product's own is a finding
        findings = [f"{type(cause).__name__}: {cause}\n  at {_location(cause)}" for cause in _flatten(error)]
        block.finding = "\n".join([*findings, f"  input: {shorten(last[0])}"])


def _flatten(error: Exception) -> list[Exception]:
    """The errors that Hypothesis found."""
    if isinstance(error, ExceptionGroup):
        return [cause for member in error.exceptions for cause in _flatten(member)]
    return [error]


def _location(error: BaseException) -> str:
    """The innermost line of the product's code in the traceback."""
    locations, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if (
            any(f"/{package}/" in code.co_filename for package in ("core", "handlers"))
            and "site-packages" not in code.co_filename
        ):
            locations.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return locations[-1] if locations else "the target itself"


def shorten(data: Any) -> str:
    """An input as text of limited length."""
    text = repr(data)
    return text if len(text) <= MAX_INPUT_CHARACTERS else f"{text[:MAX_INPUT_CHARACTERS]}… ({len(text):,} characters)"


def _without_logs(action: Callable[[], None]) -> None:
    logging.disable(logging.CRITICAL)
    try:
        action()
    finally:
        logging.disable(logging.NOTSET)
