"""The log stream of a session: server-sent events with what the version's process printed, and prints."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from aiohttp import web

from local.agents.process import LogLine
from local.foundry.state import FoundryError, Project, VersionState
from local.stand_in import Handler

FOLLOW_INTERVAL = 0.1
KEEP_ALIVE_SECONDS = 60.0


class SessionLogs:
    """``GET /agents/{agent}/versions/{version}/sessions/{session}:logstream``."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self, agent: str, wrap: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Return the route; ``agent`` is the agent's path."""
        path = f"{agent}/versions/{{version}}/sessions/{{session_and_verb:[^/]+:logstream}}"
        return [web.get(path, wrap(self._stream), allow_head=False)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        agent = self._project.agent(request.match_info["agent"])
        version = self._project.version(agent.name, request.match_info["version"])
        session = request.match_info["session_and_verb"].removesuffix(":logstream")
        if not agent.has_session(session):
            raise FoundryError(404, "SandboxNotFound", "there is no such session")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        await _send(response, _status("Successfully connected to container"))
        await self._follow(request, response, version)
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse, version: VersionState) -> None:
        """Send what was printed and what is, until the client leaves; a minute of silence is said."""
        configured = self._configured(version)
        last: LogLine | None = None
        silent = 0.0
        while request.transport is not None and not request.transport.is_closing():
            lines = list(version.agent.lines) if version.agent is not None else configured
            start = next((index + 1 for index in range(len(lines) - 1, -1, -1) if lines[index] is last), 0)
            for line in lines[start:]:
                await _send(response, line)
            last, silent = (lines[-1] if lines else last), (0.0 if lines[start:] else silent + FOLLOW_INTERVAL)
            if silent >= KEEP_ALIVE_SECONDS:
                await _send(response, _status("No logs since last 60 seconds"))
                silent = 0.0
            await asyncio.sleep(FOLLOW_INTERVAL)

    def _configured(self, version: VersionState) -> list[LogLine]:
        """Return what a version without a process is said to have printed."""
        logs = self._project.provisioning.logs.items()
        found = next((lines for pattern, lines in logs if re.search(pattern, version.match_text)), [])
        return [_line("stdout", message) for message in found]


def _status(message: str) -> LogLine:
    return _line("status", message)


def _line(stream: str, message: str) -> LogLine:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return LogLine(at, stream, message)


async def _send(response: web.StreamResponse, line: LogLine) -> None:
    await response.write(f"event: log\ndata: {json.dumps(asdict(line))}\n\n".encode())
