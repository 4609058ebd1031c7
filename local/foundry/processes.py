"""Versions whose image names a program: their processes give the status of the version and its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from aiohttp import web

from local.agents.command import has_command
from local.agents.forward import NoAnswerError, forward
from local.agents.pool import AgentPool
from local.agents.process import NotReadyError
from local.agents.server_venv import ServerVenvError
from local.foundry.pull import PulledImage
from local.foundry.state import FoundryError, Json, Project, VersionState


class VersionProcesses:
    """Starts, asks and stops the processes of a project's versions below a folder."""

    def __init__(self, project: Project, pool: AgentPool, url: Callable[[], str]) -> None:
        self.pool = pool
        self._project = project
        self._url = url

    def provision(self, name: str, version: VersionState, image: PulledImage | None) -> None:
        """Start a new version; it is creating until its process was ready once, or cannot be."""
        earliest = version.ready_at

        def done(problem: str | None) -> None:
            if problem is not None:
                version.error = {"code": "ImageError", "message": problem}
            version.ready_at = max(earliest, self._project.clock())

        if self._start(name, version, image, done):
            version.ready_at = math.inf

    def restart(self, name: str, version: VersionState, image: PulledImage | None) -> None:
        """Give a version of an earlier stack its process back; it was ready once, and stays active."""
        self._start(name, version, image, lambda _: None)

    def _start(
        self, name: str, version: VersionState, image: PulledImage | None, done: Callable[[str | None], None]
    ) -> bool:
        """Start the program that the image names, and return whether there is one to start."""
        if image is None or version.error or version.agent or not has_command(image.config):
            return False
        variables, within = self._variables(name, version), self._project.provisioning.ready_within_s
        version.agent = self.pool.provision(f"{name}-{version.number}", image, variables, within, done)
        return True

    def _variables(self, name: str, version: VersionState) -> dict[str, str]:
        named = version.definition.get("environment_variables") or {}
        return {str(key): str(value) for key, value in named.items()} | self._injected(name, version)

    def _injected(self, name: str, version: VersionState) -> dict[str, str]:
        """Return what the platform sets; without FOUNDRY_HOSTING_ENVIRONMENT the server needs no Foundry storage."""
        return {
            "FOUNDRY_PROJECT_ENDPOINT": f"{self._url()}/api/projects/demo",
            "FOUNDRY_AGENT_ID": f"{name}:{version.number}",
            "FOUNDRY_AGENT_NAME": name,
            "FOUNDRY_AGENT_VERSION": version.number,
        }

    async def remove(self, versions: list[VersionState]) -> None:
        """Stop the processes of deleted versions."""
        for version in versions:
            if version.agent is not None:
                await self.pool.remove(version.agent)

    async def ask(
        self, request: web.Request, version: VersionState, path: str, body: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Forward a question to the version's process; start it first if it is stopped."""
        if version.agent is None:
            raise FoundryError(424, "session_not_ready", "the version has no process", headers)
        try:
            async with self.pool.running(version.agent) as process:
                return await forward(request, process, path, body, headers)
        except (NotReadyError, ServerVenvError, OSError) as error:
            raise FoundryError(424, "session_not_ready", f"Session is not ready: {error}", headers) from error
        except NoAnswerError as error:
            raise FoundryError(502, "ProxyError", f"the agent gave no answer: {error}", headers) from error


def pinned_question(body: Json, name: str, version: str, session: str) -> bytes:
    """Return the body of a question as the platform sends it on: with the agent and the session that it chose."""
    reference = {"type": "agent_reference", "name": name, "version": version}
    return json.dumps(body | {"agent_reference": reference, "agent_session_id": session}).encode()
