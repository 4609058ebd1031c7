"""A running stack for end-to-end tests: its processes, the SDK's own client, and patience."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from azure.ai.projects import AIProjectClient
from azure.core.credentials import AccessToken

from local.images import Kind, push

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN = 60.0
DONE_WITHIN = 60.0


class Anybody:
    """A credential that the stand-ins take."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("local", int(time.time()) + 86_400)


@dataclass
class Running:
    """What a test does with the stack."""

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
        request = urllib.request.Request(self.endpoints[part] + path, data, method=method)
        trusted = ssl.create_default_context(cafile=self.endpoints["ca"])
        context = trusted if self.endpoints[part].startswith("https") else None
        with urllib.request.urlopen(request, context=context) as answer:
            return json.loads(answer.read())


def eventually(ask: Callable[[], T | None], what: str, within: float = DONE_WITHIN) -> T:
    """The first answer that is one; fails with what was waited for."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {within:.0f} s: {what}")


@contextmanager
def stack(folder: Path, *arguments: str) -> Iterator[Running]:
    """``python -m local up`` in a folder of its own, ended by its id."""
    command = [sys.executable, "-m", "local", "up", "--ports", "0", "--folder", str(folder), *arguments]
    log = (folder / "up.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        ready = folder / "endpoints.json"
        eventually(lambda: ready.exists() or process.poll() is not None, "the stack is up", UP_WITHIN)
        assert process.poll() is None, (folder / "up.log").read_text()
        yield Running(json.loads(ready.read_text()), folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        log.close()
    assert process.returncode == 0, (folder / "up.log").read_text()
