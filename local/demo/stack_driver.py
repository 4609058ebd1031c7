"""What the demo does to the stack and asks of it: pushes, the journal, and the SDK as anybody's script uses it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientSession, TCPConnector
from azure.ai.projects.aio import AIProjectClient
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from local.control import tell
from local.credentials import Anybody
from local.endpoints import ROOT
from local.images import Kind, push
from local.storage.account import connection_string

Line = dict[str, Any]
LOOK_EVERY = 0.05
PATIENCE = 30.0
"""Seconds after which something that should have been decided counts as not decided."""


@dataclass(frozen=True)
class SeenVersion:
    """A version as the SDK tells it, without the values of its variables."""

    status: str
    image: str
    variables: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """An agent as the SDK tells it."""

    live: str
    """The version that the selector names."""
    versions: dict[str, SeenVersion]

    @property
    def serving(self) -> SeenVersion:
        """The version that new sessions go to."""
        return self.versions.get(self.live, SeenVersion("", "", ()))


class World:
    """A running stack."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self.endpoints = endpoints
        self._lines: list[Line] = []
        self._http = ClientSession(connector=TCPConnector(ssl=False))
        verify = {"connection_verify": endpoints["ca"]}
        self._journal = ContainerClient.from_connection_string(connection_string(endpoints), "slipway", **verify)
        self._project = AIProjectClient(endpoints["env"]["FOUNDRY_PROJECT_ENDPOINT"], Anybody(), **verify)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(self._http.close(), self._journal.close(), self._project.close())

    async def push(self, repository: str, tag: str | None, salt: str, kind: Kind = "image") -> str:
        """Push a real image and return its digest."""
        return await push(self.endpoints["registry"], repository, tag, salt=salt, kind=kind)

    async def tell(self, part: str, path: str, body: object) -> None:
        """Tell a stand-in how to behave."""
        await tell(self.endpoints, part, path, body)

    async def run(self, function: str) -> None:
        """Run a timer's function now, as the portal's button does."""
        url = f"{self.endpoints['functions']}/admin/functions/{function}"
        async with self._http.post(url, json={"input": ""}) as told:
            told.raise_for_status()

    async def operate(self, *arguments: str) -> None:
        """Say something as a person, with the operator's command line; raises RuntimeError with its words."""
        command = [sys.executable, "-m", "cli", *arguments]
        environment = {**self.endpoints["env"], "PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE, cwd=ROOT, env=environment)
        _, told = await process.communicate()
        if process.returncode:
            raise RuntimeError(told.decode())

    def mark(self) -> int:
        """Where the journal ends now."""
        return len(self._lines)

    async def lines(self, since: int, until: Callable[[Line], bool], patience: float = PATIENCE) -> AsyncIterator[Line]:
        """Every line from a mark on, as it is written; ends with the one that ``until`` knows, or out of patience."""
        ends = asyncio.get_running_loop().time() + patience
        at = since
        while asyncio.get_running_loop().time() < ends:
            await self._read()
            while at < len(self._lines):
                line, at = self._lines[at], at + 1
                yield line
                if until(line):
                    return
            await asyncio.sleep(LOOK_EVERY)

    async def _read(self) -> None:
        """Look for new lines; the journal is read as it stands in storage."""
        name = f"journal/{datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            stream = await self._journal.download_blob(name)
            told = [json.loads(line) for line in (await stream.readall()).splitlines() if line]
        except ResourceNotFoundError:
            return
        self._lines += told[len(self._lines) :]

    async def seen(self, agent: str) -> Seen:
        """Ask Foundry, through azure-ai-projects."""
        details = await self._project.agents.get(agent)
        rules = ((details.get("agent_endpoint") or {}).get("version_selector") or {}).get("version_selection_rules")
        live = str(rules[0]["agent_version"]) if rules else ""
        numbers = [str(one["version"]) async for one in self._project.agents.list_versions(agent, order="asc")]
        told = await asyncio.gather(*(self._project.agents.get_version(agent, number) for number in numbers))
        return Seen(live, {str(one["version"]): _version(one.as_dict()) for one in told})


def _version(told: dict[str, Any]) -> SeenVersion:
    definition = told["definition"]
    variables = tuple(sorted(definition.get("environment_variables") or {}))
    return SeenVersion(str(told["status"]), str(definition["container_configuration"]["image"]), variables)
