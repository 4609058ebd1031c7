"""Questions to the agents of the Foundry stand-in, over both protocols, and the ways to answer them badly."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any

from aiohttp import web

from local.foundry.sessions import opened, ready
from local.foundry.state import AgentState, Json, Project, Refused, VersionState

HUGE = 3_000_000
"""Characters of an answer that is ``huge``."""


async def respond(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """The responses protocol: a body with ``input``, and the session to ask in."""
    body = await request.json()
    version, told = _asked(agent, body.get("agent_session_id"), project)
    if odd := ODD.get(str(told.get("odd"))):
        return await odd(request)
    if told.get("status", 200) != 200:
        raise Refused(int(told["status"]), str(told.get("code", "agent_error")), str(told.get("text", "")))
    response = _response(agent.name, version, str(told.get("text", "pong")))
    return await _stream(request, response) if body.get("stream") else web.json_response(response)


async def invoke(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """The invocations protocol: any body, any answer; the session is in the address."""
    _, told = _asked(agent, request.query.get("agent_session_id"), project)
    if odd := ODD.get(str(told.get("odd"))):
        return await odd(request)
    return web.Response(status=int(told.get("status", 200)), text=str(told.get("text", "pong")))


def _asked(agent: AgentState, session: str | None, project: Project) -> tuple[VersionState, Json]:
    """The version that answers, and how it was told to answer: pinned to a session, or with traffic."""
    if not agent.enabled:
        raise Refused(403, "AgentDisabled", "the agent is disabled")
    version = _version(agent, session)
    ready(version, project.clock())
    if session is None:
        opened(agent, version.number, project.clock())
    else:
        agent.sessions[session]["last_accessed_at"] = int(project.clock())
    answers = (one for pattern, one in project.provisioning.answer.items() if re.search(pattern, version.names))
    told: Any = next(answers, "pong")
    if isinstance(told, dict) and "unpinned" in told:
        told = told.get("pinned", "pong") if session else told["unpinned"]
    return version, told if isinstance(told, dict) else {"text": told}


def _version(agent: AgentState, session: str | None) -> VersionState:
    if session is not None and session not in agent.sessions:
        raise Refused(404, "SandboxNotFound", "there is no such session")
    version = (
        agent.versions.get(agent.sessions[session]["version_indicator"]["agent_version"])
        if session
        else agent.serving()
    )
    if version is None:
        raise Refused(404, "not_found", "the version does not exist")
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
    told = {"type": "response.completed", "response": response}
    await stream.write(f"event: response.completed\ndata: {json.dumps(told)}\n\n".encode())
    await stream.write_eof()
    return stream


async def _huge(_: web.Request) -> web.StreamResponse:
    return web.Response(text="pong " * (HUGE // 5), content_type="application/json")


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


ODD = {"huge": _huge, "endless": _endless, "half": _half, "binary": _binary, "redirect": _redirect, "empty": _empty}
"""What ``{"odd": …}`` as an answer stands for."""
