"""Runs a function in a span of the host, keeps a record of each run, and prints failures."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections import deque
from typing import Any

from local.functions_host.indexing import Function, FunctionError

MAX_INVOCATIONS = 2_000


class Invoker:
    """Runs functions; a caller that is cancelled does not cancel its function, because the host cannot."""

    def __init__(self) -> None:
        self.invocations: deque[dict[str, Any]] = deque(maxlen=MAX_INVOCATIONS)
        """Each run: the function, and the Unix times at which it began and ended (0 while it runs)."""
        self._running: set[asyncio.Task[bool]] = set()

    async def run(self, function: Function, payload: str, metadata: dict[str, Any] | None = None) -> bool:
        """Run a function and return whether it succeeded; print a failure with its traceback."""
        task = asyncio.create_task(self._run(function, payload, metadata or {}))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def idle(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self, function: Function, payload: str, metadata: dict[str, Any]) -> bool:
        run: dict[str, Any] = {"function": function.name, "began": time.time(), "ended": 0.0}
        self.invocations.append(run)
        started = time.monotonic()
        try:
            with self._span(function):
                await function.call(payload, metadata)
        except Exception as error:  # noqa: BLE001 - the host reports every exception of a function
            text = str(error) if isinstance(error, FunctionError) else traceback.format_exc()
            print(f"functions: {function.name} failed\n{text}", file=sys.stderr, flush=True)
            return False
        finally:
            run["ended"] = time.time()
        print(f"functions: {function.name} ended after {time.monotonic() - started:.3f} s", flush=True)
        return True

    def _span(self, function: Function) -> Any:
        from opentelemetry import trace

        kind = trace.SpanKind.SERVER if function.trigger == "eventGridTrigger" else trace.SpanKind.CONSUMER
        return trace.get_tracer("functions").start_as_current_span(function.name, kind=kind)
