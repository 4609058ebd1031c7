"""Invokes agents over both protocols, and gives malformed answers on demand."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any

from aiohttp import web

from local.foundry.sessions import open_session, require_active
from local.foundry.state import AgentState, FoundryError, Json, Project, VersionState

HUGE_LENGTH = 3_000_000
"""Characters of a ``huge`` answer."""


async def respond(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """Handle the responses protocol: a body with ``input``, and perhaps a session."""
    body = await request.json()
    version, answer = _answer(agent, body.get("agent_session_id"), project)
    if malformed := MALFORMED.get(str(answer.get("odd"))):
        return await malformed(request)
    if answer.get("status", 200) != 200:
        raise FoundryError(int(answer["status"]), str(answer.get("code", "agent_error")), str(answer.get("text", "")))
    response = _response(agent.name, version, str(answer.get("text", "pong")))
    return await _stream(request, response) if body.get("stream") else web.json_response(response)


async def invoke(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """Handle the invocations protocol: any body, any answer; the session is in the query."""
    _, answer = _answer(agent, request.query.get("agent_session_id"), project)
    if malformed := MALFORMED.get(str(answer.get("odd"))):
        return await malformed(request)
    return web.Response(status=int(answer.get("status", 200)), text=str(answer.get("text", "pong")))


def _answer(agent: AgentState, session: str | None, project: Project) -> tuple[VersionState, Json]:
    """Return the version that answers and the configured answer: in a pinned session, or of the live version."""
    if not agent.enabled:
        raise FoundryError(403, "AgentDisabled", "the agent is disabled")
    version = _version(agent, session)
    require_active(version, project.clock())
    if session is None:
        open_session(agent, version.number, project.clock())
    else:
        agent.sessions[session]["last_accessed_at"] = int(project.clock())
    configured = project.provisioning.answer.items()
    answer: Any = next((answer for pattern, answer in configured if re.search(pattern, version.match_text)), "pong")
    if isinstance(answer, dict) and "unpinned" in answer:
        answer = answer.get("pinned", "pong") if session else answer["unpinned"]
    return version, answer if isinstance(answer, dict) else {"text": answer}


def _version(agent: AgentState, session: str | None) -> VersionState:
    if session is not None and session not in agent.sessions:
        raise FoundryError(404, "SandboxNotFound", "there is no such session")
    version = (
        agent.versions.get(agent.sessions[session]["version_indicator"]["agent_version"])
        if session
        else agent.live_version()
    )
    if version is None:
        raise FoundryError(404, "not_found", "the version does not exist")
    return version


def _response(name: str, version: VersionState, text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "status": "completed",
        "model": "",
        "agent_reference": {"type": "agent_reference", "name": name, "version": version.number},
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}],
    }


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
