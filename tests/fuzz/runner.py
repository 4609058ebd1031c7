"""One block of inputs from one seed: how many, how slow, and what broke."""

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

from tests.fuzz.target import SLOWEST, Target
from tests.simulation.virtual_time import VirtualLoop

LONGEST_SHOWN = 2_000
AGAIN = 3
"""Times that a slow input is measured once more: the machine has other work, and Python collects its garbage."""


@dataclass
class Block:
    """What became of one seed."""

    target: str
    seed: int
    inputs: int = 0
    refused: int = 0
    """Inputs that were answered by one of the product's own errors."""
    marks: array[int] = field(default_factory=lambda: array("Q"))
    """Eight bytes of each input's hash, to tell how many were different."""
    slowest: float = 0.0
    """Seconds of processor time, the least of several measurements."""
    slowest_input: str = ""
    noise: int = 0
    """Inputs that were over the limit once, and under it when measured again."""
    finding: str = ""


class SlowError(AssertionError):
    """An input took longer than it may, each time it was measured."""


class _Judge:
    """Runs inputs one after another on a loop whose waits take no time."""

    def __init__(self, target: Target, block: Block) -> None:
        self._target = target
        self._block = block
        self._loop = VirtualLoop()
        self.collecting = True

    def once(self, given: Any) -> float:
        """Seconds of processor time; raises what the product must not."""
        work: Coroutine[Any, Any, None] = self._target.run(given)  # type: ignore[assignment]
        began = time.thread_time()
        try:
            self._loop.run_until_complete(work)
        except self._target.may_raise:
            self._block.refused += self.collecting
        return time.thread_time() - began

    def __call__(self, given: Any) -> None:
        """Count, measure, judge."""
        block = self._block
        took = self.once(given)
        if self.collecting:
            block.inputs += 1
            digest = hashlib.blake2b(repr(given).encode("utf-8", "surrogatepass"), digest_size=8).digest()
            block.marks.append(int.from_bytes(digest))
        if took > max(block.slowest, 0.001):
            self._again(given, took)

    def _again(self, given: Any, first: float) -> None:
        block, collecting = self._block, self.collecting
        self.collecting = False
        gc.disable()
        try:
            least = min([first, *(self.once(given) for _ in range(AGAIN))])
        finally:
            gc.enable()
            self.collecting = collecting
        block.noise += first > SLOWEST >= least
        if least > block.slowest:
            block.slowest, block.slowest_input = least, shown(given)
        if least > SLOWEST:
            raise SlowError(f"{least * 1000:.0f} ms, {SLOWEST * 1000:.0f} are the most")

    def close(self) -> None:
        """Let go of the loop."""
        asyncio.set_event_loop(None)
        self._loop.close()


def live(target: Target, number: int, inputs: int) -> Block:
    """Put so many inputs of a seed through the target; the first that breaks it is made as small as can be."""
    block = Block(target.name, number)
    judge = _Judge(target, block)
    asyncio.set_event_loop(judge._loop)
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
    def put(given: Any) -> None:
        last[:] = [given]
        try:
            judge(given)
        except BaseException:
            judge.collecting = False  # what follows only makes the input smaller
            raise

    _without_logs(lambda: _kept(put, block, last))
    judge.close()
    return block


def _kept(put: Callable[[], None], block: Block, last: list[Any]) -> None:
    try:
        put()
    except Exception as error:  # noqa: BLE001 - whatever is not the product's own is the finding
        told = [f"{type(one).__name__}: {one}\n  at {_place(one)}" for one in _each(error)]
        block.finding = "\n".join([*told, f"  input: {shown(last[0])}"])


def _each(error: Exception) -> list[Exception]:
    """What Hypothesis found: where that is several things, each of them."""
    if isinstance(error, ExceptionGroup):
        return [part for one in error.exceptions for part in _each(one)]
    return [error]


def _place(error: BaseException) -> str:
    """The innermost line that is ours."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if (
            any(f"/{room}/" in code.co_filename for room in ("core", "handlers"))
            and "site-packages" not in code.co_filename
        ):
            places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-1] if places else "the target itself"


def shown(given: Any) -> str:
    """An input in a report."""
    text = repr(given)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"


def _without_logs(act: Callable[[], None]) -> None:
    logging.disable(logging.CRITICAL)
    try:
        act()
    finally:
        logging.disable(logging.NOTSET)
