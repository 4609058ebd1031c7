"""Drives a running stack for the demo: pushes images, reads the journal, reads agents through the SDK."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector
from azure.ai.projects.aio import AIProjectClient
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from local.control import configure
from local.credentials import AsyncLocalCredential
from local.endpoints import PROJECT, ROOT
from local.foundry.state import LATEST
from local.images import Kind, push
from local.private_files import write_private
from local.signing import PrivateKey, stack_key
from local.storage.account import connection_string

JournalLine = dict[str, Any]
PRODUCTION = ("eu", "us")
"""The projects beside that of the settings."""
TOKEN = {"Authorization": "Bearer local"}
POLL_INTERVAL = 0.05
DEFAULT_TIMEOUT = 120.0
"""Seconds after which an expected decision counts as missing."""


@dataclass(frozen=True)
class VersionSnapshot:
    """A version as the SDK returns it, without the values of its variables."""

    status: str
    image: str
    variables: tuple[str, ...]


@dataclass(frozen=True)
class AgentSnapshot:
    """An agent as the SDK returns it."""

    live: str
    """The version that the selector names."""
    versions: dict[str, VersionSnapshot]

    @property
    def live_version(self) -> VersionSnapshot:
        """The version that gets new sessions."""
        return self.versions.get(self.live, VersionSnapshot("", "", ()))


class StackDriver:
    """Client of one running stack."""

    def __init__(self, endpoints: dict[str, Any], *, runs_agents: bool = False) -> None:
        self.endpoints = endpoints
        self.runs_agents = runs_agents
        self._lines: list[JournalLine] = []
        self._reading, self._read_at = asyncio.Lock(), 0.0
        self._configured: dict[str, dict[str, Any]] = {}
        """What the stand-in must do in place of agents, by kind and tag."""
        self._http = ClientSession(connector=TCPConnector(ssl=False))
        verify = {"connection_verify": endpoints["ca"]}
        self._journal = ContainerClient.from_connection_string(connection_string(endpoints), "slipway", **verify)
        self._projects = {
            name: AIProjectClient(f"{endpoints['foundry']}/api/projects/{name}", AsyncLocalCredential(), **verify)
            for name in (PROJECT, *PRODUCTION)
        }

    async def close(self) -> None:
        """Close every connection."""
        projects = (project.close() for project in self._projects.values())
        await asyncio.gather(self._http.close(), self._journal.close(), *projects)

    async def push(
        self,
        repository: str,
        tag: str | None,
        salt: str,
        kind: Kind = "image",
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Push a real image and return its digest; ``variables`` of the image make its agent misbehave."""
        if variables and not self.runs_agents:
            for key, value in _configuration(variables).items():
                self._configured.setdefault(key, {})[f" {tag}$"] = value
            await self.configure("foundry", "provisioning", self._configured)
        return await push(self.endpoints["registry"], repository, tag, salt=salt, kind=kind, variables=variables)

    async def proves(self, agent: str, variable: str, secret: str) -> tuple[str, bool]:
        """Ask an agent to prove that a variable has the newest value of a secret, which neither side prints."""
        nonce = uuid.uuid4().hex
        async with self._http.get(f"{self.endpoints['vault']}/secrets/{secret}/", headers=TOKEN) as response:
            value = str((await response.json())["value"])
        base = f"{self.endpoints['env']['FOUNDRY_PROJECT_ENDPOINT']}/agents/{agent}/endpoint"
        question = {"input": f"prove {variable} {nonce}", "store": False}
        async with self._http.post(f"{base}/protocols/openai/responses", json=question, headers=TOKEN) as response:
            answer = await response.json()
        session = answer.get("agent_session_id", "")
        async with self._http.delete(f"{base}/sessions/{session}", headers=TOKEN):  # an open session keeps its version
            pass
        expected = hmac.new(value.encode(), nonce.encode(), hashlib.sha256).hexdigest()
        if not self.runs_agents:
            return "not asked: no process", True
        return f"{expected[:8]}…", expected in json.dumps(answer)

    async def configure(self, part: str, path: str, body: object) -> None:
        """Change how a stand-in behaves."""
        await configure(self.endpoints, part, path, body)

    async def run_timer(self, function: str) -> None:
        """Run a timer function now, as the portal's button does."""
        url = f"{self.endpoints['functions']}/admin/functions/{function}"
        async with self._http.post(url, json={"input": ""}) as response:
            response.raise_for_status()

    def signing_key(self) -> PrivateKey:
        """Return the key whose public part agents.yaml names."""
        return stack_key(Path(self.endpoints["env"]["AGENTS_FILE"]).parent)

    def change_agents(self, old: str, new: str) -> None:
        """Replace a text in agents.yaml, as a deployment does; the app reads the file again."""
        file = Path(self.endpoints["env"]["AGENTS_FILE"])
        text = file.read_text()
        if old not in text:
            raise ValueError(f"{file} does not have {old}")
        write_private(file, text.replace(old, new).encode())

    async def run_cli(self, *arguments: str) -> str:
        """Run a ``slipway`` command as a person does; return its output, or raise RuntimeError with its errors."""
        command = [sys.executable, "-m", "cli", *arguments]
        environment = {**self.endpoints["env"], "PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=ROOT, env=environment)
        output, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(errors.decode())
        return output.decode()

    def journal_position(self) -> int:
        """Return where the journal ends now."""
        return len(self._lines)

    async def journal(
        self, start: int, until: Callable[[JournalLine], bool], max_seconds: float = DEFAULT_TIMEOUT
    ) -> AsyncIterator[JournalLine]:
        """Yield journal lines from a position on, as they are written; end with the line that meets ``until``."""
        deadline = asyncio.get_running_loop().time() + max_seconds
        position = start
        while asyncio.get_running_loop().time() < deadline:
            await self._read_journal()
            while position < len(self._lines):
                line, position = self._lines[position], position + 1
                yield line
                if until(line):
                    return
            await asyncio.sleep(POLL_INTERVAL)

    async def _read_journal(self) -> None:
        """Read the journal again, unless another reader just did."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= POLL_INTERVAL:
                await self._download_journal()
                self._read_at = now

    async def _download_journal(self) -> None:
        name = f"journal/{datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            stream = await self._journal.download_blob(name)
            lines = [json.loads(line) for line in (await stream.readall()).splitlines() if line]
        except ResourceNotFoundError:
            return
        self._lines += lines[len(self._lines) :]

    async def agent(self, name: str) -> AgentSnapshot:
        """Read an agent, or one of another project as ``agent@project``, and its versions from Foundry."""
        name, _, project_name = name.partition("@")
        project = self._projects[project_name or PROJECT]
        try:
            details = await project.agents.get(name)
        except ResourceNotFoundError:
            return AgentSnapshot("", {})
        rules = ((details.get("agent_endpoint") or {}).get("version_selector") or {}).get("version_selection_rules")
        live = str(rules[0]["agent_version"]) if rules else ""
        live = "" if live == LATEST else live  # never pinned
        numbers = [str(item["version"]) async for item in project.agents.list_versions(name, order="asc")]
        versions = await asyncio.gather(*(project.agents.get_version(name, number) for number in numbers))
        return AgentSnapshot(live, {str(version["version"]): _snapshot(version.as_dict()) for version in versions})


def _configuration(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what the stand-in must do in place of an agent with these variables."""
    if "SAMPLE_EXIT" in variables:
        message = f"the container exited with code 1 before /readiness answered: {variables['SAMPLE_EXIT']}"
        return {"fail": {"code": "ImageError", "message": message}}
    first = variables.get("SAMPLE_ANSWER", "pong")
    return {"answer": {"first": first, "later": variables.get("SAMPLE_ANSWER_LATER", first)}}


def _snapshot(version: dict[str, Any]) -> VersionSnapshot:
    definition = version["definition"]
    variables = tuple(sorted(definition.get("environment_variables") or {}))
    return VersionSnapshot(str(version["status"]), str(definition["container_configuration"]["image"]), variables)
