"""The import time of the app, compared with an empty app with the same triggers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.apps import empty_app
from bench.report import Row
from bench.testbed import Effort
from local.endpoints import ROOT

SCRIPT = "import time; began = time.perf_counter(); import {modules}; print(time.perf_counter() - began)"
SDKS = (
    "azure.functions, azure.identity.aio, azure.storage.blob.aio, azure.storage.queue.aio, azure.keyvault.secrets.aio, "
    "azure.ai.projects.aio, aiohttp, pydantic, yaml, opentelemetry.trace"
)


def rows(effort: Effort) -> Iterator[Row]:
    """The import row."""
    repeats = effort.choose(21, 5)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        empty = empty_app(Path(name) / "empty")
        pairs = [(import_time("function_app", ROOT), import_time("function_app", empty)) for _ in range(repeats + 1)]
    ours, bare = (median(seconds) for seconds in zip(*pairs[1:], strict=True))
    yield Row(
        name="import",
        description="import of function_app ÷ import of an app with empty functions of the same triggers",
        unit="ratio",
        value=ours / bare,
        target=1.3,
        bound=1.0,
        bound_description="the empty app",
        method=f"Medians of {repeats} fresh interpreters each, alternating, bytecode cached",
        details={"function_app, ms": 1000 * ours, "empty app, ms": 1000 * bare},
    )


def import_time(modules: str, folder: Path) -> float:
    """Seconds of an import in a fresh interpreter."""
    command = [sys.executable, "-c", SCRIPT.format(modules=modules)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(done.stdout)
