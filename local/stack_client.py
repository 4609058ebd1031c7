"""Starts a stack or a Functions host as a process of its own, and talks to it: control routes, the SDK, waiting."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azure.ai.projects import AIProjectClient
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.credentials import LocalCredential
from local.endpoints import ROOT
from local.images import Kind, push
from local.storage.account import connection_string

T = TypeVar("T")

START_TIMEOUT = STOP_TIMEOUT = 120.0
"""Seconds after which a stack hangs; a busy machine needs many."""
DEFAULT_TIMEOUT = 60.0
TIMER_TIMEOUT = 120.0
POLL_INTERVAL = 0.1


@dataclass
class StackClient:
    """Client of a running stack."""

    endpoints: dict[str, Any]
    folder: Path

    def foundry(self) -> AIProjectClient:
        """Return the SDK's project client, as a user's script makes it."""
        return AIProjectClient(
            self.endpoints["env"]["FOUNDRY_PROJECT_ENDPOINT"],
            LocalCredential(),
            connection_verify=self.endpoints["ca"],
        )

    def vault(self) -> SecretClient:
        """Return the SDK's client of the settings' vault."""
        return SecretClient(
            self.endpoints["vault"],
            LocalCredential(),
            connection_verify=self.endpoints["ca"],
            verify_challenge_resource=False,
        )

    def blobs(self) -> BlobServiceClient:
        """Return the SDK's client of the storage account's blobs."""
        return BlobServiceClient.from_connection_string(
            connection_string(self.endpoints), connection_verify=self.endpoints["ca"]
        )

    def queues(self) -> QueueServiceClient:
        """Return the SDK's client of the storage account's queues."""
        return QueueServiceClient.from_connection_string(
            connection_string(self.endpoints), connection_verify=self.endpoints["ca"]
        )

    def push(
        self,
        repository: str,
        tag: str | None,
        salt: str = "",
        kind: Kind = "image",
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Push a real image and return its digest."""
        return asyncio.run(push(self.endpoints["registry"], repository, tag, salt=salt, kind=kind, labels=labels))

    def put(self, part: str, path: str, body: object) -> Any:
        """Send a PUT to a control route of a stand-in."""
        return self._call(part, path, "PUT", json.dumps(body).encode())

    def post(self, part: str, path: str, body: object) -> None:
        """Deliver an event as Event Grid does."""
        headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
        url = self.endpoints[part] + path
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request):  # noqa: S310 - a loopback address; anything but 2xx raises
            return

    def run_timer(self, function: str) -> None:
        """Run a timer's function, and wait for its end: the host answers when it begins."""
        before = self._ended_runs(function)
        self.post("functions", f"/admin/functions/{function}", {})
        eventually(lambda: self._ended_runs(function) > before, f"{function} ends", TIMER_TIMEOUT)

    def _ended_runs(self, function: str) -> int:
        runs = self.get("functions", "/_local/invocations")
        return sum(run["function"] == function and run["ended"] > 0 for run in runs)

    def versions(self, agent: str) -> list[Any]:
        """List an agent's versions through the SDK."""
        with self.foundry() as project:
            return list(project.agents.list_versions(agent))

    def get(self, part: str, path: str) -> Any:
        """Read a control route of a stand-in."""
        return self._call(part, path, "GET", None)

    def journal(self, reason: str) -> list[dict[str, Any]]:
        """Return the decisions with this reason that arrived at Application Insights."""
        items = self.get("telemetry", "/_local/items?type=MessageData")
        decisions = [item["data"]["baseData"].get("properties", {}) for item in items]
        return [decision for decision in decisions if decision.get("slipway.reason") == reason]

    def logs(self) -> str:
        """Return everything that the processes printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def _call(self, part: str, path: str, method: str, data: bytes | None) -> Any:
        address = urlsplit(self.endpoints[part])  # the storage account is in the path; control routes are above it
        url = f"{address.scheme}://{address.netloc}{path}"
        request = urllib.request.Request(url, data, method=method)  # noqa: S310
        trusted = ssl.create_default_context(cafile=self.endpoints["ca"])
        context = trusted if address.scheme == "https" else None
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - a loopback address
            return json.loads(answer.read())


def eventually(read: Callable[[], T | None], description: str, timeout: float = DEFAULT_TIMEOUT) -> T:
    """Return the first result of ``read`` that is true; raise AssertionError with the description after the timeout."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := read():
            return result
        time.sleep(POLL_INTERVAL)
    raise AssertionError(f"not within {timeout:.0f} s: {description}")


@contextmanager
def stack(folder: Path, *arguments: str) -> Iterator[StackClient]:
    """Run ``python -m local up`` in a folder of its own until the block ends; ``--run-agents`` starts processes."""
    command = ["local", "up", "--ports", "0", "--folder", str(folder), "--no-run-agents", *arguments]
    ready = folder / "endpoints.json"
    with _process(command, os.environ, folder / "up.log", ready.exists):
        yield StackClient(json.loads(ready.read_text()), folder)


@dataclass
class Host:
    """A Functions host beside a stack without one."""

    url: str
    pid: int
    started: float
    """Unix time at which the process was started."""

    def invocations(self, function: str) -> list[dict[str, Any]]:
        """Return the runs of a function, oldest first, with the Unix times of begin and end."""
        with urllib.request.urlopen(f"{self.url}/_local/invocations") as answer:  # noqa: S310 - a loopback address
            return [run for run in json.loads(answer.read()) if run["function"] == function]


@contextmanager
def host(
    client: StackClient, *, only: Sequence[str] = (), app: Path = ROOT, settings: Mapping[str, str] | None = None
) -> Iterator[Host]:
    """Run ``python -m local.functions_host`` against a stack until the block ends; ``settings`` override its own."""
    log = client.folder / f"host-{time.time_ns()}.log"
    names = [part for name in only for part in ("--only", name)]
    command = ["local.functions_host", "--app", str(app), "--folder", str(client.folder), *names]
    environment = {**os.environ, **client.endpoints["env"], "PYTHONPATH": str(ROOT), **(settings or {})}
    started = time.time()
    with _process(command, environment, log, lambda: b'{"functions"' in log.read_bytes()) as process:
        addresses = json.loads(next(line for line in log.read_text().splitlines() if line.startswith("{")))
        yield Host(addresses["functions"], process.pid, started)


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
    try:
        eventually(lambda: ready() or process.poll() is not None, f"{command[0]} is up", START_TIMEOUT)
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT)
    if process.returncode not in (0, -signal.SIGKILL):  # a test that killed it knows
        raise AssertionError(log.read_text())
