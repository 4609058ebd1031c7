"""Invokes agents over both protocols, and gives malformed answers on demand."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from local.foundry import canned
from local.foundry.processes import VersionProcesses, pinned_question
from local.foundry.sessions import open_session, require_active
from local.foundry.state import AgentState, FoundryError, Json, Project, VersionState

HUGE_LENGTH = 3_000_000
"""Characters of a ``huge`` answer."""


async def respond(
    request: web.Request, agent: AgentState, project: Project, processes: VersionProcesses | None
) -> web.StreamResponse:
    """Handle the responses protocol: a body with ``input``, and perhaps a session."""
    body = await request.json()
    asked = _ask(agent, body.get("agent_session_id"), project)
    if processes and asked.by_process:
        question = pinned_question(body, agent.name, asked.version.number, asked.session)
        return await processes.ask(request, asked.version, "/responses", question, asked.chosen)
    if malformed := MALFORMED.get(str(asked.answer.get("odd"))):
        return await malformed(request)
    if (status := int(asked.answer.get("status", 200))) != 200:
        return _error(asked, status, canned.responses_error(status, asked.answer))
    origin = canned.Origin(agent.name, asked.version.number, asked.session, int(project.clock()))
    response = canned.response(origin, asked.answer)
    if body.get("stream"):
        return await _stream(request, response)
    return web.json_response(response, headers=asked.headers)


async def invoke(
    request: web.Request, agent: AgentState, project: Project, processes: VersionProcesses | None
) -> web.StreamResponse:
    """Handle the invocations protocol: any body, any answer; the session is in the query."""
    asked = _ask(agent, request.query.get("agent_session_id"), project)
    if processes and asked.by_process:
        path = f"/invocations?{urlencode({**request.query, 'agent_session_id': asked.session})}"
        return await processes.ask(request, asked.version, path, await request.read(), asked.chosen)
    if malformed := MALFORMED.get(str(asked.answer.get("odd"))):
        return await malformed(request)
    status = int(asked.answer.get("status", 200))
    headers = asked.headers | {"x-agent-invocation-id": str(uuid.uuid4())}
    if status >= 500 and "text" not in asked.answer:
        return _error(asked, status, canned.invocations_error(), headers)
    return web.Response(status=status, text=str(asked.answer.get("text", "pong")), headers=headers)


@dataclass(frozen=True)
class Asked:
    """A question to a version, in a session, and the configured answer."""

    version: VersionState
    session: str
    answer: Json
    by_process: bool
    """The version has a process, and no answer is configured in its place."""

    @property
    def chosen(self) -> dict[str, str]:
        """Headers of the service: the session and the version that it chose."""
        return {"x-agent-session-id": self.session, "x-agent-version-resolved": self.version.number}

    @property
    def headers(self) -> dict[str, str]:
        """Those of the service and of Microsoft's server for agents."""
        return self.chosen | {"x-platform-server": canned.PLATFORM_SERVER}


def _ask(agent: AgentState, session: str | None, project: Project) -> Asked:
    """Ask in a pinned session, or the live version in a session of its own."""
    if not agent.enabled:
        raise FoundryError(403, "AgentDisabled", "the agent is disabled")
    version = _version(agent, session)
    require_active(version, project)
    if session is None:
        session = str(open_session(agent, version.number, project.clock())["agent_session_id"])
    agent.asked_at[session] = project.clock()
    configured = project.provisioning.answer.items()
    found: Any = next((answer for pattern, answer in configured if re.search(pattern, version.match_text)), None)
    answer = "pong" if found is None else found
    if isinstance(answer, dict) and "first" in answer:
        version.questions += 1
        answer = answer["first"] if version.questions == 1 else answer["later"]
    answer = answer if isinstance(answer, dict) else {"text": answer}
    if "code" in answer:
        headers = {"x-agent-session-id": session}
        raise FoundryError(int(answer.get("status", 400)), str(answer["code"]), str(answer.get("text", "")), headers)
    return Asked(version, session, answer, by_process=found is None and version.has_process)


def _error(asked: Asked, status: int, error: Json, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error of the agent itself, as Microsoft's server for agents sends it."""
    source = {"x-platform-error-source": "upstream" if status >= 500 else "user"}
    return web.json_response({"error": error}, status=status, headers=(headers or asked.headers) | source)


def _version(agent: AgentState, session: str | None) -> VersionState:
    if session is not None and not agent.has_session(session):
        raise FoundryError(404, "SandboxNotFound", "there is no such session")
    version = (
        agent.versions.get(agent.sessions[session]["version_indicator"]["agent_version"])
        if session
        else agent.live_version()
    )
    if version is None:
        raise FoundryError(404, "not_found", "the version does not exist")
    return version


async def _stream(request: web.Request, response: Json) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    event = {"type": "response.completed", "response": response}
    await stream.write(f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode())
    await stream.write_eof()
    return stream


async def _huge(_: web.Request) -> web.StreamResponse:
    return web.Response(text="pong " * (HUGE_LENGTH // 5), content_type="application/json")


async def _endless(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    await stream.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await stream.write(b" ")
        await asyncio.sleep(0.01)
    return stream


async def _half(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await stream.prepare(request)
    await stream.write(b'{"output": [{"type": "mess')
    if request.transport is not None:
        request.transport.close()
    return stream


async def _binary(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\xff\xfe\x00pong\x80", content_type="application/json")


async def _redirect(_: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "https://192.0.2.1/elsewhere"})


async def _empty(_: web.Request) -> web.StreamResponse:
    return web.Response()


MALFORMED = {
    "huge": _huge,
    "endless": _endless,
    "half": _half,
    "binary": _binary,
    "redirect": _redirect,
    "empty": _empty,
}
"""The answers that ``{"odd": …}`` selects."""
