"""Invokes agents over both protocols, and gives malformed answers on demand."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.foundry.sessions import open_session, require_active
from local.foundry.state import AgentState, FoundryError, Json, Project, VersionState

HUGE_LENGTH = 3_000_000
"""Characters of a ``huge`` answer."""


async def respond(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """Handle the responses protocol: a body with ``input``, and perhaps a session."""
    body = await request.json()
    asked = _ask(agent, body.get("agent_session_id"), project)
    if malformed := MALFORMED.get(str(asked.answer.get("odd"))):
        return await malformed(request)
    if asked.answer.get("status", 200) != 200:
        return _agent_error(asked)
    response = _response(agent.name, asked, project.clock())
    if body.get("stream"):
        return await _stream(request, response)
    return web.json_response(response, headers=asked.headers)


async def invoke(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """Handle the invocations protocol: any body, any answer; the session is in the query."""
    asked = _ask(agent, request.query.get("agent_session_id"), project)
    if malformed := MALFORMED.get(str(asked.answer.get("odd"))):
        return await malformed(request)
    status, text = int(asked.answer.get("status", 200)), str(asked.answer.get("text", "pong"))
    return web.Response(status=status, text=text, headers=asked.headers)


@dataclass(frozen=True)
class Asked:
    """A question to a version, in a session, and the configured answer."""

    version: VersionState
    session: str
    answer: Json

    @property
    def headers(self) -> dict[str, str]:
        """Those of the service and of Microsoft's server for agents."""
        return {
            "x-agent-session-id": self.session,
            "x-agent-version-resolved": self.version.number,
            "x-platform-server": "azure-ai-agentserver-core/2.2.0 azure-ai-agentserver-responses/2.3.0",
        }


def _ask(agent: AgentState, session: str | None, project: Project) -> Asked:
    """Ask in a pinned session, or the live version in a session of its own."""
    if not agent.enabled:
        raise FoundryError(403, "AgentDisabled", "the agent is disabled")
    version, pinned = _version(agent, session), session is not None
    require_active(version, project)
    if session is None:
        session = str(open_session(agent, version.number, project.clock())["agent_session_id"])
    agent.asked_at[session] = project.clock()
    configured = project.provisioning.answer.items()
    answer: Any = next((answer for pattern, answer in configured if re.search(pattern, version.match_text)), "pong")
    if isinstance(answer, dict) and "unpinned" in answer:
        answer = answer.get("pinned", "pong") if pinned else answer["unpinned"]
    answer = answer if isinstance(answer, dict) else {"text": answer}
    if "code" in answer:
        headers = {"x-agent-session-id": session}
        raise FoundryError(int(answer.get("status", 400)), str(answer["code"]), str(answer.get("text", "")), headers)
    return Asked(version, session, answer)


def _agent_error(asked: Asked) -> web.Response:
    """Return an error of the agent itself, as Microsoft's server for agents builds it."""
    status = int(asked.answer["status"])
    error = {
        "message": str(asked.answer.get("text", "")),
        "type": "server_error" if status >= 500 else "invalid_request_error",
        "code": "server_error" if status >= 500 else "invalid_request",
        "param": None,
    }
    headers = asked.headers | {"x-platform-error-source": "upstream" if status >= 500 else "user"}
    return web.json_response({"error": error}, status=status, headers=headers)


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


def _response(name: str, asked: Asked, now: float) -> Json:
    text = str(asked.answer.get("text", "pong"))
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "status": "completed"}
    response_id = f"caresp_{uuid.uuid4().hex}"
    origin: Json = {
        "response_id": response_id,
        "agent_reference": {"type": "agent_reference", "name": name, "version": asked.version.number},
    }
    response: Json = {
        "id": response_id,
        "object": "response",
        "output": [message | {"content": content} | origin],
        "created_at": int(now),
        "status": "completed",
        "completed_at": int(now),
        **origin,
        "model": "",
        "agent_session_id": asked.session,
        "background": False,
    }
    return response | dict(asked.answer.get("response") or {})


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
