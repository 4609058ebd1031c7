"""The worker's own library exports what the app tells: once, and in the trace that the host began."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.endpoints import PORTS, environment
from local.telemetry.server import Telemetry

ROOT = Path(__file__).resolve().parents[2]
TRACE = "ab" * 16
pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="the worker's library is for Python 3.13 and newer")


@pytest.fixture
async def insights() -> AsyncIterator[Telemetry]:
    made = Telemetry()
    await made.start()
    yield made
    await made.stop()


async def invoked(folder: Path, **changed: str) -> tuple[int, str]:
    """The function's end, and what the worker printed."""
    command = [sys.executable, "-m", "tests.support.worker_telemetry", str(folder)]
    pipe = asyncio.subprocess.PIPE
    # what another run could not export waits in the temporary folder, and would be sent by this one
    given = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **changed}
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=given, cwd=ROOT)
    out, errors = await process.communicate()
    return process.returncode or 0, (out + errors).decode()


def settings(url: str) -> dict[str, str]:
    every = environment(dict.fromkeys((*PORTS, "ca"), url), ROOT / "agents.yaml")
    return {key: value for key, value in every.items() if key.startswith(("APPLICATIONINSIGHTS", "OTEL", "PYTHON"))}


async def test_a_decision_arrives_once_and_in_the_host_s_trace(tmp_path: Path, insights: Telemetry) -> None:
    ended, printed = await invoked(tmp_path, **settings(insights.url))
    assert ended == 0, printed
    told: list[dict[str, Any]] = [one for one in insights.items if one["data"]["baseType"] == "MessageData"]
    decisions = [one for one in told if one["data"]["baseData"]["message"] == "slipway.decision"]
    spans = [one for one in insights.items if one["data"]["baseData"].get("name") == "release"]
    assert len(decisions) == len(spans) == 1
    assert {one["tags"]["ai.operation.id"] for one in (*decisions, *spans)} == {TRACE}
    assert json.loads(printed.splitlines()[0])["capabilities"].get("WorkerOpenTelemetryEnabled"), "else the host too"


@pytest.mark.parametrize("connection", ["InstrumentationKey=not-a-guid", "nonsense", ""])
async def test_a_wrong_connection_string_stops_no_function(tmp_path: Path, connection: str) -> None:
    wrong = {**settings("http://127.0.0.1:9"), "APPLICATIONINSIGHTS_CONNECTION_STRING": connection}
    ended, printed = await invoked(tmp_path, **wrong)
    assert ended == 0, printed


async def test_an_ingestion_that_is_not_there_stops_no_function(tmp_path: Path) -> None:
    ended, printed = await invoked(tmp_path, **settings("http://127.0.0.1:9"))
    assert ended == 0, printed
