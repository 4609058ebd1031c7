"""A running stack as seen from outside: its processes, its control routes, the SDK's own client, and patience."""

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
from azure.core.credentials import AccessToken

from local.endpoints import ROOT
from local.images import Kind, push

T = TypeVar("T")

UP_WITHIN = 60.0
DONE_WITHIN = 60.0
LOOK_EVERY = 0.1


class Anybody:
    """A credential that the stand-ins take."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Any token will do."""
        return AccessToken("local", int(time.time()) + 86_400)


@dataclass
class Running:
    """What is done with a stack that somebody started."""

    endpoints: dict[str, Any]
    folder: Path

    def foundry(self) -> AIProjectClient:
        """The client that a person's script would use."""
        return AIProjectClient(
            self.endpoints["env"]["FOUNDRY_PROJECT_ENDPOINT"],
            Anybody(),
            connection_verify=self.endpoints["ca"],
        )

    def push(self, repository: str, tag: str | None, salt: str = "", kind: Kind = "image") -> str:
        """Push a real image and return its digest."""
        return asyncio.run(push(self.endpoints["registry"], repository, tag, salt=salt, kind=kind))

    def put(self, part: str, path: str, body: object) -> Any:
        """Tell a stand-in how to behave."""
        return self._call(part, path, "PUT", json.dumps(body).encode())

    def post(self, part: str, path: str, body: object) -> None:
        """Deliver an event as Event Grid does."""
        headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
        where = self.endpoints[part] + path
        request = urllib.request.Request(where, json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request):  # noqa: S310 - an address of ours; anything but 2xx raises
            return

    def versions(self, agent: str) -> list[Any]:
        """Every version of an agent, as the SDK shows it."""
        with self.foundry() as project:
            return list(project.agents.list_versions(agent))

    def get(self, part: str, path: str) -> Any:
        """What a stand-in has to say."""
        return self._call(part, path, "GET", None)

    def journal(self, reason: str) -> list[dict[str, Any]]:
        """Decisions that arrived at Application Insights, with a reason."""
        items = self.get("telemetry", "/_local/items?type=MessageData")
        told = [item["data"]["baseData"].get("properties", {}) for item in items]
        return [one for one in told if one.get("slipway.reason") == reason]

    def logs(self) -> str:
        """Everything that the processes printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def _call(self, part: str, path: str, method: str, data: bytes | None) -> Any:
        where = urlsplit(self.endpoints[part])  # storage has its account in the path; control routes are above it
        request = urllib.request.Request(f"{where.scheme}://{where.netloc}{path}", data, method=method)  # noqa: S310
        trusted = ssl.create_default_context(cafile=self.endpoints["ca"])
        context = trusted if where.scheme == "https" else None
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - an address of ours
            return json.loads(answer.read())


def eventually(ask: Callable[[], T | None], what: str, within: float = DONE_WITHIN) -> T:
    """The first answer that is one; fails with what was waited for."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if answer := ask():
            return answer
        time.sleep(LOOK_EVERY)
    raise AssertionError(f"not within {within:.0f} s: {what}")


@contextmanager
def stack(folder: Path, *arguments: str) -> Iterator[Running]:
    """``python -m local up`` in a folder of its own, ended by its id."""
    command = ["local", "up", "--ports", "0", "--folder", str(folder), *arguments]
    ready = folder / "endpoints.json"
    with _process(command, os.environ, folder / "up.log", ready.exists):
        yield Running(json.loads(ready.read_text()), folder)


@dataclass
class Host:
    """A Functions host beside a stack without one."""

    url: str
    pid: int
    started: float
    """When of day the process was asked for."""

    def invocations(self, function: str) -> list[dict[str, Any]]:
        """What ran of a function, oldest first: when of day it began and ended."""
        with urllib.request.urlopen(f"{self.url}/_local/invocations") as answer:  # noqa: S310 - an address of ours
            return [one for one in json.loads(answer.read()) if one["function"] == function]


@contextmanager
def host(
    running: Running, *, only: Sequence[str] = (), app: Path = ROOT, settings: Mapping[str, str] | None = None
) -> Iterator[Host]:
    """``python -m local.functions_host`` against a stack, ended by its id; ``settings`` go over those of the stack."""
    log = running.folder / f"host-{time.time_ns()}.log"
    names = [part for name in only for part in ("--only", name)]
    command = ["local.functions_host", "--app", str(app), "--folder", str(running.folder), *names]
    environment = {**os.environ, **running.endpoints["env"], "PYTHONPATH": str(ROOT), **(settings or {})}
    started = time.time()
    with _process(command, environment, log, lambda: b'{"functions"' in log.read_bytes()) as process:
        told = json.loads(next(line for line in log.read_text().splitlines() if line.startswith("{")))
        yield Host(told["functions"], process.pid, started)


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
    try:
        eventually(lambda: ready() or process.poll() is not None, f"{command[0]} is up", UP_WITHIN)
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    if process.returncode != 0:
        raise AssertionError(log.read_text())
