"""Index an app with the library that the Functions worker uses from Python 3.13 on, and print its function names."""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime


class Message(SimpleNamespace):
    """A substitute for a protobuf message of the worker's protocol."""

    def __getattr__(self, name: str) -> str:
        if name[:1].isupper() or name.startswith("__"):
            raise AttributeError(name)
        return ""

    def WhichOneof(self, _: str) -> Any:  # noqa: N802 - protobuf's name
        return self.__dict__.get("_oneof")


def kind(name: str, **constants: int) -> type:
    """A message type with its enum values."""
    return type(name, (Message,), dict(constants))


DIRECTIONS = {"undefined": 0, "string": 1, "binary": 2, "stream": 3, "in": 0, "out": 1, "inout": 2}
PLAIN = [
    "RpcFunctionMetadata",
    "RpcRetryOptions",
    "RpcException",
    "WorkerInitResponse",
    "WorkerMetadata",
    "FunctionMetadataResponse",
    "InvocationResponse",
    "ParameterBinding",
    "TypedData",
]
PROTOCOL = SimpleNamespace(
    BindingInfo=kind("BindingInfo", **DIRECTIONS),
    StatusResult=kind("StatusResult", Failure=0, Success=1),
    **{name: kind(name) for name in PLAIN},
)


async def index(folder: str) -> list[str]:
    """Names of the functions; exits with the worker's error if the app cannot be loaded."""
    await initialize(folder)
    return [function.name for function in await functions()]


async def initialize(folder: str) -> Any:
    """Load the app into the worker library, and return its answer; exit with its error if that fails."""
    request = Message(worker_init_request=Message(capabilities={}, function_app_directory=folder))
    properties = {"protos": PROTOCOL, "host": "127.0.0.1"}
    answer = await runtime.worker_init_request(SimpleNamespace(name="i", request=request, properties=properties))
    if answer.result.status != 1:
        sys.exit(answer.result.exception.message)
    return answer


async def functions() -> list[Any]:
    """The functions of the loaded app, as the worker describes them to the host."""
    answer = await runtime.functions_metadata_request(SimpleNamespace(name="m", request=Message(), properties=None))
    return list(answer.function_metadata_results)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(index(sys.argv[1]))) + "\n")
