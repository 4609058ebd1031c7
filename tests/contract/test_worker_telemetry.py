"""The worker's own library exports the app's telemetry once, in the trace that the host started."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.arm import CLIENT
from local.endpoints import PORTS, environment
from local.managed_identity import IDENTITY_HEADER, ManagedIdentity
from local.telemetry.server import Telemetry
from local.tls import Authority

ROOT = Path(__file__).resolve().parents[2]
TRACE = "ab" * 16
pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="the worker's library is for Python 3.13 and newer")


@pytest.fixture
async def insights() -> AsyncIterator[Telemetry]:
    telemetry = Telemetry()
    await telemetry.start()
    yield telemetry
    await telemetry.stop()


async def invoke(folder: Path, **settings: str) -> tuple[int, str]:
    """Exit code and output of the worker."""
    command = [sys.executable, "-m", "tests.support.worker_telemetry", str(folder)]
    pipe = asyncio.subprocess.PIPE
    # A temporary folder of its own: the default one may hold telemetry that another run could not export.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **settings}
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=env, cwd=ROOT)
    out, errors = await process.communicate()
    return process.returncode or 0, (out + errors).decode()


def settings(url: str) -> dict[str, str]:
    every = environment(dict.fromkeys((*PORTS, "ca"), url), ROOT / "agents.yaml")
    return {
        key: value
        for key, value in every.items()
        if key.startswith(("APPLICATIONINSIGHTS", "AZURE_SDK", "OTEL", "PYTHON"))
    }


async def test_a_decision_arrives_once_and_in_the_trace_of_the_host(tmp_path: Path, insights: Telemetry) -> None:
    exit_code, output = await invoke(tmp_path, **settings(insights.url))
    assert exit_code == 0, output
    messages: list[dict[str, Any]] = [item for item in insights.items if item["data"]["baseType"] == "MessageData"]
    decisions = [item for item in messages if item["data"]["baseData"]["message"] == "slipway.decision"]
    spans = [item for item in insights.items if item["data"]["baseData"].get("name") == "release"]
    assert len(decisions) == len(spans) == 1
    assert {item["tags"]["ai.operation.id"] for item in (*decisions, *spans)} == {TRACE}
    capabilities = json.loads(output.splitlines()[0])["capabilities"]
    assert capabilities.get("WorkerOpenTelemetryEnabled"), "without it the host exports too"
    assert "visualstudio.com" not in output, "live metrics stay on the machine too"


async def test_telemetry_is_sent_with_a_token_of_the_app_s_identity_over_tls_and_to_nobody_else(tmp_path: Path) -> None:
    authority, insights, identity = Authority(tmp_path), Telemetry(), ManagedIdentity()
    address, lookups = await insights.start(tls=authority.server()), tmp_path / "lookups"
    entra = {
        **settings(address),
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"ClientId={CLIENT};Authorization=AAD",
        "IDENTITY_ENDPOINT": f"{await identity.start()}/msi/token",
        "IDENTITY_HEADER": IDENTITY_HEADER,
        "REQUESTS_CA_BUNDLE": str(authority.ca),
        "PYTHONPATH": f"{ROOT / 'tests/support/lookups'}:{ROOT}",
        "HOST_LOOKUPS": str(lookups),
    }
    exit_code, output = await invoke(tmp_path, **entra)
    await insights.stop()
    await identity.stop()
    assert exit_code == 0, output
    sent = [line for line in insights.requests if "/track" in line["path"]]
    assert sent
    assert all("Authorization" in line["headers"] for line in insights.requests), "live metrics too"
    assert identity.requests
    assert all("monitor.azure.com" in line["path"] for line in identity.requests)
    assert set(lookups.read_text().split()) == {"127.0.0.1"}


@pytest.mark.parametrize("connection", ["InstrumentationKey=not-a-guid", "nonsense", ""])
async def test_functions_run_with_a_wrong_connection_string(tmp_path: Path, connection: str) -> None:
    wrong = {**settings("http://127.0.0.1:9"), "APPLICATIONINSIGHTS_CONNECTION_STRING": connection}
    exit_code, output = await invoke(tmp_path, **wrong)
    assert exit_code == 0, output


async def test_functions_run_without_an_ingestion_endpoint(tmp_path: Path) -> None:
    exit_code, output = await invoke(tmp_path, **settings("http://127.0.0.1:9"))
    assert exit_code == 0, output
