"""Every way into the app: its triggers, their bindings, and that importing it costs nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from core.foundry_rate import RELEASES_OF_AN_INSTANCE
from local.functions_host.indexing import load
from local.stack import QUEUES

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"PRUNE_SCHEDULE": "0 0 3 * * *", "RESUME_SCHEDULE": "0 */5 * * * *"}
TRIGGERS = {
    "image_pushed": ("eventGridTrigger", "event", "", ""),
    "secret_changed": ("eventGridTrigger", "event", "", ""),
    "event_queued": ("queueTrigger", "message", "events", ""),
    "release_agent": ("queueTrigger", "message", "releases", ""),
    "commit_status": ("queueTrigger", "message", "commit-statuses", ""),
    "commit_status_poisoned": ("queueTrigger", "message", "commit-statuses-poison", ""),
    "release_poisoned": ("queueTrigger", "message", "releases-poison", ""),
    "event_poisoned": ("queueTrigger", "message", "events-poison", ""),
    "prune_versions": ("timerTrigger", "timer", "", "0 0 3 * * *"),
    "resume_releases": ("timerTrigger", "timer", "", "0 */5 * * * *"),
}


def test_every_trigger_is_indexed_with_its_binding() -> None:
    found = load(ROOT, SETTINGS)
    assert {f.name: (f.trigger, f.argument, f.queue, f.schedule) for f in found.values()} == TRIGGERS


def test_the_stack_makes_the_queues_of_the_triggers() -> None:
    assert sorted(QUEUES) == sorted(queue for _, _, queue, _ in TRIGGERS.values() if queue)


def test_importing_the_app_imports_no_sdk_and_no_heavy_library() -> None:
    script = "import sys, function_app; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, env={})
    loaded = set(re.findall(r"'([^']+)'", done.stdout))
    heavy = ("pydantic", "yaml", "re2", "opentelemetry", "aiohttp", "gidgethub", "jsonschema_rs")
    assert not {name for name in loaded if name.startswith("azure.") and not name.startswith("azure.functions")}
    assert not {name for name in loaded if name.split(".")[0] in heavy}


def test_host_json_matches_its_page() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    queues: dict[str, object] = {
        "visibilityTimeout": "00:01:00",
        "maxPollingInterval": "00:00:00.1",
        "batchSize": 32,
        "newBatchThreshold": 32,
    }
    assert host["extensions"]["queues"] == queues
    assert RELEASES_OF_AN_INSTANCE == 32 + 32 // 2, "the threshold, and half of a batch"
    assert host["telemetryMode"] == "OpenTelemetry"
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    page = (ROOT / "docs/reference/host-json.md").read_text()
    for name, value in queues.items():
        assert f"| `queues.{name}` | `{value}` |" in page


INDEX = """
import asyncio, json, os, pathlib
from local.functions_host import runtime_worker
found = asyncio.run(runtime_worker.load(pathlib.Path.cwd(), os.environ)).values()
print(json.dumps({f.name: (f.trigger, f.argument, f.queue, f.schedule) for f in found}))
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the worker's library is for Python 3.13 and newer")
def test_the_workers_own_library_indexes_the_app() -> None:
    command = [sys.executable, "-c", INDEX]  # a process can index an app only once
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | SETTINGS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: tuple(values) for name, values in found.items()} == TRIGGERS


def test_no_installed_distribution_brings_a_package_of_the_app() -> None:
    """The worker searches the app last, so a distribution with such a name would replace the app's own package."""
    installed = packages_distributions()
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
    names = {re.sub(r"[-_.]+", "-", name).lower() for names in installed.values() for name in names}
    assert len(names & pinned) > 50, "the pinned distributions are installed"
    assert not {"core", "handlers", "function_app"} & {
        package for package, names in installed.items() if names != ["slipway"]
    }
