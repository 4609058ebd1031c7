"""Invoke one function through the worker's own library, from Python 3.13 on, with Application Insights switched on.

The function logs a decision inside a span, as the handlers do; the caller checks what arrives.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from local.functions_host import runtime_worker

APP = """
import azure.functions as func

from handlers.telemetry import otel

app = func.FunctionApp()


@app.function_name("release_agent")
@app.queue_trigger(arg_name="message", queue_name="releases", connection="AzureWebJobsStorage")
async def release_agent(message: str) -> None:
    with otel.span("release", agent="hello-agent"):
        otel.log_decision({"reason": "LIVE", "agent": "hello-agent"}, severity="info")
"""
TRACE = "ab" * 16


async def invoke(folder: Path) -> None:
    """Index and invoke, with a trace that the host began."""
    (folder / "function_app.py").write_text(APP)
    capabilities = dict(getattr(await runtime_worker.initialize(folder), "capabilities", {}))
    (function,) = (await runtime_worker.functions({})).values()
    context.attach(TraceContextTextMapPropagator().extract({"traceparent": f"00-{TRACE}-{'cd' * 8}-01"}))
    await function.call("{}")
    sys.stdout.write(json.dumps({"capabilities": capabilities}) + "\n")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    asyncio.run(invoke(folder))
