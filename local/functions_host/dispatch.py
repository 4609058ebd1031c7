"""Runs functions for every trigger within ``functionTimeout``, and ends the process where the real host does."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from local.functions_host.indexing import Function

Run = Callable[[Function, str, dict[str, Any] | None], Awaitable[bool]]
"""Runs a function with its payload and the trigger's metadata; returns whether it succeeded."""
End = Callable[[str], NoReturn]
EXIT_CODE = 1


def end_process(reason: str) -> NoReturn:
    """End at once, as after an unhandled exception: nothing that runs is awaited, released or deleted."""
    print(f"functions: the host ends: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def watched(work: Coroutine[Any, Any, None], end: End) -> asyncio.Task[None]:
    """Start work of the host; an exception that nothing in it expects ends the process, as in the real host."""

    def end_on_error(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            end("".join(traceback.format_exception(error)))

    task = asyncio.create_task(work)
    task.add_done_callback(end_on_error)
    return task


class Dispatch:
    """The way from a trigger to its function."""

    def __init__(self, run: Run, function_timeout: float | None, end: End = end_process) -> None:
        self._run = run
        self._timeout = function_timeout
        self.end = end
        self._background: set[asyncio.Task[bool]] = set()

    async def run(self, function: Function, payload: str, metadata: dict[str, Any] | None = None) -> bool:
        """Run a function and return whether it succeeded; end the process if it takes longer than allowed.

        WebJobs throws FunctionTimeoutException, which nobody handles. Azure's script host restarts the worker instead:
        whatever else runs in it is lost too.
        """
        task = asyncio.ensure_future(self._run(function, payload, metadata))
        done, _ = await asyncio.wait({task}, timeout=self._timeout)
        if not done:
            self.end(f"{function.name} ran longer than functionTimeout ({self._timeout:g} s)")
        return task.result()

    def start(self, function: Function, payload: str) -> None:
        """Run a function in the background."""
        task = asyncio.create_task(self.run(function, payload))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
