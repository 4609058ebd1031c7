"""Invoke one function through the worker's own library, from Python 3.13 on, with Application Insights switched on.

The function logs a decision inside a span, as the handlers do; the caller checks what arrives.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import azure_functions_runtime as runtime

from tests.support.worker_index import Message, functions, initialize

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


async def invoke(folder: Path) -> int:
    """Index and invoke; return 0 if the function succeeded."""
    (folder / "function_app.py").write_text(APP)
    runtime.start_threadpool_executor()
    capabilities = dict(getattr(await initialize(str(folder)), "capabilities", {}))
    (function,) = await functions()
    request = Message(
        invocation_id="one",
        function_id=function.function_id,
        input_data=[Message(_oneof="data", name="message", data=Message(_oneof="string", string="{}"))],
        trigger_metadata={},
        trace_context=Message(trace_parent=f"00-{TRACE}-{'cd' * 8}-01", trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=Message()),
    )
    invoked = Message(invocation_request=request)
    answer = await runtime.invocation_request(SimpleNamespace(name="v", request=invoked, properties=None))
    runtime.stop_threadpool_executor()
    sys.stdout.write(json.dumps({"capabilities": capabilities, "status": answer.result.status}) + "\n")
    return 0 if answer.result.status == 1 else 1


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    sys.exit(asyncio.run(invoke(folder)))
