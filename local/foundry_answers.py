"""How the Foundry stand-in shows agents and versions, pages its lists and answers questions."""

from __future__ import annotations

import json
import re
import uuid

from aiohttp import web

from local.foundry_state import AgentState, Json, Project, Refused, VersionState


def page(request: web.Request, items: list[Json], *, key: str = "id") -> web.Response:
    """One page in OpenAI's envelope; ``last_id`` is null where nothing follows, which is all that the SDK looks at."""
    step = -1 if request.query.get("order", "desc") == "desc" else 1
    items = items[::step]
    ids = [str(item[key]) for item in items]
    after = request.query.get("after")
    start = ids.index(after) + 1 if after in ids else 0
    limit = max(1, min(100, int(request.query.get("limit", 20))))
    shown = items[start : start + limit]
    more = start + limit < len(items)
    body = {
        "object": "list",
        "data": shown,
        "first_id": ids[start] if shown else None,
        "last_id": ids[start + len(shown) - 1] if shown and more else None,
        "has_more": more,
    }
    return web.json_response(body)


async def answer(request: web.Request, agent: AgentState, project: Project) -> web.StreamResponse:
    """A question over the responses protocol, to a session's version or to the one that the selector names."""
    body = await request.json()
    version = _asked(agent, body.get("agent_session_id"))
    if not agent.enabled:
        raise Refused(403, "AgentDisabled", "the agent is disabled")
    status = version.status(project.clock())
    if status == "creating":
        raise Refused(400, "AgentVersionNotReady", "Agent version is still being provisioned")
    if status == "failed":
        raise Refused(424, "AgentVersionProvisioningFailed", "Agent version failed to provision")
    text = next(
        (told for pattern, told in project.provisioning.answer.items() if re.search(pattern, version.names)), "pong"
    )
    response = _response(agent.name, version, text)
    return await _stream(request, response) if body.get("stream") else web.json_response(response)


def _asked(agent: AgentState, session_id: str | None) -> VersionState:
    if session_id is None:
        version = agent.serving()
    elif session_id in agent.sessions:
        version = agent.versions.get(agent.sessions[session_id]["version_indicator"]["agent_version"])
    else:
        raise Refused(404, "SandboxNotFound", "there is no such session")
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


def agent_shape(agent: AgentState, now: float) -> Json:
    """An agent as it is told."""
    latest = agent.latest
    return {
        "object": "agent",
        "id": agent.name,
        "name": agent.name,
        "state": "enabled" if agent.enabled else "disabled",
        "configuration_state": "enabled",
        "versions": {"latest": version_shape(agent.name, latest, now)} if latest else {},
        "agent_endpoint": agent.endpoint,
        "instance_identity": {"principal_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, agent.name))},
    }


def version_shape(name: str, version: VersionState, now: float) -> Json:
    """A version as it is told; ``error`` is there once it failed."""
    status = version.status(now)
    body: Json = {
        "object": "agent.version",
        "id": f"{name}:{version.number}",
        "name": name,
        "version": version.number,
        "created_at": int(version.created_at),
        "metadata": version.metadata,
        "draft": False,
        "status": status,
        "definition": version.definition,
    }
    return body | ({"error": version.error} if status == "failed" else {})
