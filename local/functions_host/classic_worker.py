"""Runs functions as the classic Functions worker does, which Azure starts below Python 3.13."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import azure.functions as func
from azure.functions import meta


def invocable(call: Callable[..., Any], trigger: str, argument: str) -> Callable[..., Awaitable[None]]:
    """Return a function of a trigger's text and metadata: async ones run on the event loop, others in a thread."""
    annotation = inspect.signature(call, eval_str=True).parameters[argument].annotation

    async def invoke(payload: str, metadata: Mapping[str, Any] | None = None) -> None:
        arguments = {argument: payload if annotation is str else _decoded(trigger, payload, metadata or {})}
        if inspect.iscoroutinefunction(call):
            result = await call(**arguments)
        else:
            result = await asyncio.to_thread(call, **arguments)
        if result is not None:
            raise TypeError("a function without a $return binding returned a non-None value")

    return invoke


def _decoded(trigger: str, payload: str, metadata: Mapping[str, Any]) -> Any:
    kind = "string" if trigger == "queueTrigger" else "json"
    registry: Any = func.get_binding_registry  # untyped in azure-functions 1.26
    converter = registry().get(trigger)
    datums = {name: meta.Datum(json.dumps(value), "json") for name, value in metadata.items()}
    return converter.decode(meta.Datum(payload, kind), trigger_metadata=datums)


def configure_telemetry() -> None:
    """Configure telemetry as the worker does, if the app's settings ask for it; nothing leaves the machine."""
    enabled = os.environ.get("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "").lower() == "true"
    if not enabled or "APPLICATIONINSIGHTS_CONNECTION_STRING" not in os.environ:
        return
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
