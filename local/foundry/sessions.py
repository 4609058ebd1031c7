"""Sessions: each is bound to a version, which cannot be deleted while the session is active."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web

from local.foundry.json import page
from local.foundry.state import AgentState, FoundryError, Json, Project, VersionState
from local.stand_in import Handler

LIFETIME = 30 * 24 * 3600


class Sessions:
    """Routes below ``/agents/{agent}/endpoint/sessions``."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self, agent: str, wrap: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Return the routes to create, list, get, stop and delete; ``agent`` is the agent's path."""
        base = f"{agent}/endpoint/sessions"
        return [
            web.post(base, wrap(self._create)),
            web.get(base, wrap(self._list)),
            web.post(f"{base}/{{session_and_verb:[^/]+:stop}}", wrap(self._stop)),
            web.get(f"{base}/{{session}}", wrap(self._get)),
            web.delete(f"{base}/{{session}}", wrap(self._delete)),
        ]

    def _agent(self, request: web.Request) -> AgentState:
        return self._project.agent(request.match_info["agent"])

    async def _create(self, request: web.Request) -> web.Response:
        agent, body = self._agent(request), await request.json()
        number = str((body.get("version_indicator") or {}).get("agent_version", ""))
        require_active(self._project.version(agent.name, number), self._project)
        session = open_session(agent, number, self._project.clock(), body.get("agent_session_id"))
        return web.json_response(session, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        agent, now = self._agent(request), self._project.clock()
        sessions = [agent.session(key, now) for key in agent.sessions]
        return page(request, sessions, key="agent_session_id")

    async def _get(self, request: web.Request) -> web.Response:
        agent, key = self._agent(request), request.match_info["session"]
        if key not in agent.sessions:
            raise FoundryError(404, "SandboxNotFound", "there is no such session")
        return web.json_response(agent.session(key, self._project.clock()))

    async def _stop(self, request: web.Request) -> web.Response:
        key = request.match_info["session_and_verb"].removesuffix(":stop")
        session = self._agent(request).sessions.get(key)
        if session is None:
            raise FoundryError(404, "SandboxNotFound", "there is no such session")
        session["stopped_at"] = int(self._project.clock())
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        self._agent(request).deleted_sessions.add(request.match_info["session"])
        return web.Response(status=204)


def open_session(agent: AgentState, number: str, now: float, key: str | None = None) -> Json:
    """Open a session on a version."""
    session: dict[str, Any] = {
        "agent_session_id": key or uuid.uuid4().hex,
        "version_indicator": {"type": "version_ref", "agent_version": number},
        "created_at": int(now),
        "last_accessed_at": int(now),
        "expires_at": int(now) + LIFETIME,
    }
    agent.sessions[session["agent_session_id"]] = session
    return agent.session(session["agent_session_id"], now)


def require_active(version: VersionState, project: Project) -> None:
    """Raise FoundryError unless the version is active."""
    status = version.status(project.clock())
    if status == "creating":
        raise _not_ready(project.provisioning.not_ready)
    if status == "failed":
        raise FoundryError(424, "AgentVersionProvisioningFailed", "Agent version failed to provision")


def _not_ready(form: str) -> FoundryError:
    """The forms that the service is known to use (docs/reference/wire.md)."""
    if form == "header":
        return FoundryError(400, "bad_request", "Bad request", {"x-adc-response-details": "AgentVersionNotReady"})
    return FoundryError(400, form, "Agent version is still being provisioned")
