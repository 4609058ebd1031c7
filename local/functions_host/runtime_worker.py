"""Indexes and runs functions with Microsoft's own library of the Functions worker, from Python 3.13 on.

Azure's worker calls the same functions of this library; its protobuf messages are plain objects here.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local.functions_host.indexing import Function, FunctionError, IndexingError, indexed_function

SUCCESS = 1


class Message(SimpleNamespace):
    """A message of the worker's protocol; a field that nobody set is empty."""

    def __getattr__(self, name: str) -> str:
        if name[:1].isupper() or name.startswith("__"):
            raise AttributeError(name)
        return ""

    def WhichOneof(self, _: str) -> Any:  # noqa: N802 - protobuf's name
        """Return the name of the field that is set."""
        return self.__dict__.get("_oneof")


def _kind(name: str, **constants: int) -> type:
    return type(name, (Message,), dict(constants))


DIRECTIONS = {"undefined": 0, "string": 1, "binary": 2, "stream": 3, "in": 0, "out": 1, "inout": 2}
KINDS = (
    *("RpcFunctionMetadata", "RpcRetryOptions", "RpcException", "WorkerInitResponse", "WorkerMetadata"),
    *("FunctionMetadataResponse", "InvocationResponse", "ParameterBinding", "TypedData"),
    "FunctionEnvironmentReloadResponse",
)
PROTOCOL = SimpleNamespace(
    BindingInfo=_kind("BindingInfo", **DIRECTIONS),
    StatusResult=_kind("StatusResult", Failure=0, Success=SUCCESS),
    **{name: _kind(name) for name in KINDS},
)


async def load(app: Path, env: Mapping[str, str]) -> dict[str, Function]:
    """Return the app's functions by name in lower case; raise IndexingError. A process can load one app, once."""
    await initialize(app)
    return await functions(env)


async def initialize(app: Path) -> Any:
    """Configure telemetry, index the app, and return the worker's answer; raise IndexingError."""
    runtime.start_threadpool_executor()
    init = Message(capabilities={}, function_app_directory=str(app))
    answer = await runtime.worker_init_request(
        _request("init", Message(worker_init_request=init), {"protos": PROTOCOL, "host": "127.0.0.1"})
    )
    if answer.result.status != SUCCESS:
        raise IndexingError(answer.result.exception.message)
    return answer


async def specialise(app: Path, env: Mapping[str, str]) -> None:
    """What Azure asks of a worker that waited without an app: take over the environment, index; raise IndexingError."""
    runtime.start_threadpool_executor()
    reload = Message(environment_variables=env, function_app_directory=str(app))
    request = _request(
        "reload", Message(function_environment_reload_request=reload), {"protos": PROTOCOL, "host": "127.0.0.1"}
    )
    answer = await runtime.function_environment_reload_request(request)
    if answer.result.status != SUCCESS:
        raise IndexingError(answer.result.exception.message)


async def functions(env: Mapping[str, str]) -> dict[str, Function]:
    """Return the functions of the app that was indexed."""
    answer = await runtime.functions_metadata_request(_request("metadata"))
    found = [_function(metadata, env) for metadata in answer.function_metadata_results or ()]
    return {function.name.lower(): function for function in found}


async def invoke(
    function_id: str, trigger: str, argument: str, payload: str, metadata: Mapping[str, Any] | None = None
) -> None:
    """Run a function; raise FunctionError. The current span is the parent, as the host's is on Azure."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    trace: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(trace)
    data = _typed("string" if trigger == "queueTrigger" else "json", payload)
    request = Message(
        invocation_id=str(uuid.uuid4()),
        function_id=function_id,
        input_data=[Message(_oneof="data", name=argument, data=data)],
        trigger_metadata={name: _typed("json", json.dumps(value)) for name, value in (metadata or {}).items()},
        trace_context=Message(trace_parent=trace.get("traceparent", ""), trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=Message()),
    )
    # In a task of its own, as in the worker: the library changes the context and does not restore it.
    running = asyncio.create_task(
        runtime.invocation_request(_request("invocation", Message(invocation_request=request)))
    )
    result = (await running).result
    if result.status != SUCCESS:
        raise FunctionError(result.exception.stack_trace or result.exception.message)


def _function(metadata: Any, env: Mapping[str, str]) -> Function:
    bindings = [json.loads(binding) for binding in metadata.raw_bindings]
    if len(bindings) != 1:
        raise IndexingError(f"{metadata.name}: {len(bindings)} bindings; this host has triggers only")
    trigger, argument = str(bindings[0]["type"]), str(bindings[0]["name"])
    call = partial(invoke, metadata.function_id, trigger, argument)
    return indexed_function(metadata.name, bindings[0], call, env)


def _request(name: str, request: Message | None = None, properties: Mapping[str, Any] | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, request=request or Message(), properties=properties)


def _typed(kind: str, value: str) -> Message:
    return Message(_oneof=kind, **{kind: value})
