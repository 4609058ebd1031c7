"""Every way into the app: its triggers, their bindings, and that importing it costs nothing."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.host_functions import load

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"PRUNE_SCHEDULE": "0 0 3 * * *", "RESUME_SCHEDULE": "0 */5 * * * *"}
TRIGGERS = {
    "image_pushed": ("eventGridTrigger", "event", "", ""),
    "secret_changed": ("eventGridTrigger", "event", "", ""),
    "event_queued": ("queueTrigger", "message", "events", ""),
    "release_agent": ("queueTrigger", "message", "releases", ""),
    "release_poisoned": ("queueTrigger", "message", "releases-poison", ""),
    "event_poisoned": ("queueTrigger", "message", "events-poison", ""),
    "prune_versions": ("timerTrigger", "timer", "", "0 0 3 * * *"),
    "resume_releases": ("timerTrigger", "timer", "", "0 */5 * * * *"),
}


def test_every_trigger_of_the_design_is_indexed_with_its_binding() -> None:
    found = load(ROOT, SETTINGS)
    assert {f.name: (f.trigger, f.argument, f.queue, f.schedule) for f in found.values()} == TRIGGERS


def test_importing_the_app_imports_no_sdk_and_no_library_of_ours() -> None:
    script = "import sys, function_app; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, env={})
    loaded = set(re.findall(r"'([^']+)'", done.stdout))
    heavy = ("pydantic", "yaml", "re2", "opentelemetry", "aiohttp")
    assert not {name for name in loaded if name.startswith("azure.") and not name.startswith("azure.functions")}
    assert not {name for name in loaded if name.split(".")[0] in heavy}


def test_host_json_says_what_its_page_says() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    queues = {"visibilityTimeout": "00:01:00", "maxPollingInterval": "00:00:02", "batchSize": 16}
    assert host["extensions"]["queues"] == queues
    assert host["telemetryMode"] == "OpenTelemetry"
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    page = (ROOT / "docs/reference/host-json.md").read_text()
    for name, value in queues.items():
        assert f"| `queues.{name}` | `{value}` |" in page


class Message(SimpleNamespace):
    """What stands for a protobuf message of the worker's protocol."""

    def __getattr__(self, name: str) -> str:
        if name[:1].isupper() or name.startswith("__"):
            raise AttributeError(name)
        return ""

    def WhichOneof(self, _: str) -> Any:  # noqa: N802 - protobuf's name
        return self.__dict__.get("_oneof")


def _kind(name: str, **constants: int) -> type:
    return type(name, (Message,), dict(constants))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the worker's library is for Python 3.13 and newer")
def test_the_workers_own_library_indexes_the_app() -> None:
    import azure_functions_runtime as runtime

    directions = {"undefined": 0, "string": 1, "binary": 2, "stream": 3, "in": 0, "out": 1, "inout": 2}
    names = ("RpcFunctionMetadata", "RpcRetryOptions", "RpcException", "WorkerInitResponse", "WorkerMetadata")
    more = ("FunctionMetadataResponse", "InvocationResponse", "ParameterBinding", "TypedData")
    protocol = SimpleNamespace(
        BindingInfo=_kind("BindingInfo", **directions),
        StatusResult=_kind("StatusResult", Failure=0, Success=1),
        **{name: _kind(name) for name in (*names, *more)},
    )

    async def index() -> list[Any]:
        asked = Message(worker_init_request=Message(capabilities={}, function_app_directory=str(ROOT)))
        begun = {"protos": protocol, "host": "127.0.0.1"}
        made = await runtime.worker_init_request(SimpleNamespace(name="i", request=asked, properties=begun))
        assert made.result.status == 1, made.result.exception.message
        found = await runtime.functions_metadata_request(SimpleNamespace(name="m", request=Message(), properties=None))
        return list(found.function_metadata_results)

    assert {function.name for function in asyncio.run(index())} == set(TRIGGERS)
