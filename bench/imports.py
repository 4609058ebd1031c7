"""What loading the app costs, over an app of the same triggers that does nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.apps import empty_app
from bench.report import Row
from bench.scene import Choice
from local.endpoints import ROOT
from local.functions_host.indexing import load

SCRIPT = "import time; began = time.perf_counter(); import {what}; print(time.perf_counter() - began)"
SCHEDULES = {"PRUNE_SCHEDULE": "0 0 3 * * *", "RESUME_SCHEDULE": "0 */5 * * * *"}
SDKS = (
    "azure.functions, azure.identity.aio, azure.storage.blob.aio, azure.storage.queue.aio, azure.keyvault.secrets.aio, "
    "azure.ai.projects.aio, aiohttp, pydantic, yaml, opentelemetry.trace"
)


def rows(choice: Choice) -> Iterator[Row]:
    """One row."""
    often = choice.of(21, 5)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        empty = empty_app(Path(name) / "empty", list(load(ROOT, SCHEDULES).values()))
        pairs = [(imported("function_app", ROOT), imported("function_app", empty)) for _ in range(often + 1)]
    ours, theirs = (median(one) for one in zip(*pairs[1:], strict=True))
    yield Row(
        name="import",
        what="import of function_app ÷ import of an app with empty functions of the same triggers",
        unit="ratio",
        value=ours / theirs,
        target=1.3,
        bound=1.0,
        bound_is="the empty app",
        how=f"Medians of {often} fresh interpreters each, turn about, bytecode cached",
        also={"function_app, ms": 1000 * ours, "empty app, ms": 1000 * theirs},
    )


def imported(what: str, folder: Path) -> float:
    """Seconds that an import takes in a fresh interpreter."""
    command = [sys.executable, "-c", SCRIPT.format(what=what)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(done.stdout)
