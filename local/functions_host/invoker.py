"""Runs a function: decodes its trigger as the worker does, opens a span, and prints failures."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
from collections import deque
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.functions_host.indexing import Function

MAX_INVOCATIONS = 2_000


class Invoker:
    """Runs async functions on the event loop and sync ones in a thread."""

    def __init__(self) -> None:
        self._traced = _configure_telemetry()
        self.invocations: deque[dict[str, Any]] = deque(maxlen=MAX_INVOCATIONS)
        """Each run: the function, and the Unix times at which it began and ended (0 while it runs)."""

    async def run(self, function: Function, payload: str, metadata: dict[str, Any] | None = None) -> bool:
        """Run a function and return whether it succeeded; print a failure with its traceback."""
        run: dict[str, Any] = {"function": function.name, "began": time.time(), "ended": 0.0}
        self.invocations.append(run)
        started = time.monotonic()
        try:
            with self._span(function):
                result = await _call(function, _decoded(function, payload, metadata or {}))
            if result is not None:
                raise TypeError(f"{function.name} without a $return binding returned a non-None value")  # noqa: TRY301
        except Exception:  # noqa: BLE001 - the host reports every exception of a function
            print(f"functions: {function.name} failed", file=sys.stderr, flush=True)
            traceback.print_exc()
            return False
        finally:
            run["ended"] = time.time()
        print(f"functions: {function.name} ended after {time.monotonic() - started:.3f} s", flush=True)
        return True

    def _span(self, function: Function) -> Any:
        from opentelemetry import trace

        kind = trace.SpanKind.SERVER if function.trigger == "eventGridTrigger" else trace.SpanKind.CONSUMER
        return trace.get_tracer("functions").start_as_current_span(function.name, kind=kind)


async def _call(function: Function, value: Any) -> Any:
    arguments = {function.argument: value}
    if inspect.iscoroutinefunction(function.call):
        return await function.call(**arguments)
    return await asyncio.to_thread(function.call, **arguments)


def _decoded(function: Function, payload: str, metadata: dict[str, Any]) -> Any:
    """Return the argument as the worker does: the text for an annotation ``str``, or the result of the converter."""
    annotation = inspect.signature(function.call, eval_str=True).parameters[function.argument].annotation
    if annotation is str:
        return payload
    kind = "string" if function.trigger == "queueTrigger" else "json"
    registry: Any = func.get_binding_registry  # untyped in azure-functions 1.26
    converter = registry().get(function.trigger)
    datums = {name: meta.Datum(json.dumps(value), "json") for name, value in metadata.items()}
    return converter.decode(meta.Datum(payload, kind), trigger_metadata=datums)


def _configure_telemetry() -> bool:
    """Configure telemetry as the worker does, if the app's settings ask for it; nothing leaves the machine."""
    enabled = os.environ.get("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "").lower() == "true"
    if not enabled or "APPLICATIONINSIGHTS_CONNECTION_STRING" not in os.environ:
        return False
    from azure.monitor.opentelemetry import configure_azure_monitor

    try:
        configure_azure_monitor(
            logger_name="slipway",
            enable_live_metrics=False,
            enable_performance_counters=False,
            disable_offline_storage=True,
        )
    except ValueError as error:  # like the worker, continue without telemetry
        print(f"functions: no telemetry: {error}", file=sys.stderr, flush=True)
        return False
    return True
