"""Microsoft Foundry's hosted agents, as azure-ai-projects 2.10.0 calls them (docs/reference/wire.md).

Lacks: other kinds of agents, drafts, conversations, protocols other than responses and invocations, permissions, and
containers: an agent is a process of this machine, or gives the answer that is configured.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate

from aiohttp import web

from local.agents.pool import AgentPool
from local.foundry.evaluations import Evaluations
from local.foundry.invoke import invoke, respond
from local.foundry.json import agent_json, page, version_json
from local.foundry.processes import VersionProcesses
from local.foundry.pull import PullError, pull
from local.foundry.session_logs import SessionLogs
from local.foundry.sessions import Sessions
from local.foundry.state import LATEST, AgentState, FoundryError, Json, Project, VersionState, image_of, merge_patch
from local.foundry.toolboxes import Toolboxes
from local.stand_in import Handler, StandIn

BASE = "/api/projects/{project}"


class Foundry(StandIn):
    """Projects; images must exist in the registry at ``registry_url``, or with None may be anything.

    ``project`` is that of the settings. Any other name in an address is a project of its own, which begins empty.
    With a pool, images that name a program are started; without one, agents give configured answers.
    """

    name = "foundry"

    def __init__(
        self,
        registry_url: str | None = None,
        clock: Callable[[], float] = time.time,
        pool: AgentPool | None = None,
        project_name: str = "",
    ) -> None:
        super().__init__()
        self._clock, self._pool, self._name = clock, pool, project_name
        self.others: dict[str, Foundry] = {}
        """The projects beside that of the settings, by name."""
        self._routers: dict[str, web.UrlDispatcher] = {}
        self.project = Project(clock)
        self.evaluations = Evaluations(self.project)
        self._registry_url = registry_url
        self._processes = VersionProcesses(self.project, pool, lambda: self.url) if pool is not None else None

    async def started(self) -> None:
        """Begin to start agents."""
        if self._processes:
            self._processes.pool.start()

    async def restart_agents(self) -> None:
        """Give the versions of an earlier stack their processes back."""
        for other in self.others.values():
            await other.restart_agents()
        if self._processes is None:
            return
        for name, agent in self.project.agents.items():
            for version in agent.versions.values():
                with suppress(PullError):  # a purged image: the version stays, and has no process
                    self._processes.restart(name, version, await pull(self._registry_url, image_of(version.definition)))

    async def stopped(self) -> None:
        """Stop every agent."""
        if self._processes:
            await self._processes.pool.close()

    def routes(self) -> list[web.RouteDef]:
        """Return the operations that Slipway, its tests and users' scripts call."""
        agent = f"{BASE}/agents/{{agent}}"
        return [
            web.put("/_local/provisioning", self._set_provisioning),
            web.get(f"{BASE}/agents", self._wrap(self._list_agents)),
            web.get(agent, self._wrap(self._get_agent)),
            web.patch(agent, self._wrap(self._patch_agent)),
            web.delete(agent, self._wrap(self._delete_agent)),
            web.post(f"{agent}/versions", self._wrap(self._create_version)),
            web.get(f"{agent}/versions", self._wrap(self._list_versions)),
            web.get(f"{agent}/versions/{{version}}", self._wrap(self._get_version)),
            web.delete(f"{agent}/versions/{{version}}", self._wrap(self._delete_version)),
            web.post(f"{BASE}/agents/{{agent_and_verb:[^/]+:(enable|disable)}}", self._wrap(self._enable_or_disable)),
            web.post(f"{agent}/endpoint/protocols/openai/responses", self._wrap(self._respond)),
            web.post(f"{agent}/endpoint/protocols/invocations", self._wrap(self._invoke)),
            *Sessions(self.project).routes(agent, self._wrap),
            *SessionLogs(self.project).routes(agent, self._wrap),
            *Toolboxes(self.project).routes(f"{BASE}/toolboxes", self._wrap),
            *self.evaluations.routes(BASE, self._wrap),
        ]

    def _wrap(self, handler: Handler) -> Handler:
        async def wrapped(request: web.Request) -> web.StreamResponse:
            if other := await self._in_other_project(request):
                return await other(request)
            request_id = uuid.uuid4().hex
            try:
                _require_token(request)
                response = await handler(request)
            except FoundryError as error:
                response = _error(error, request_id)
            response.headers.setdefault("X-Request-ID", request_id)
            response.headers["apim-request-id"] = str(uuid.UUID(request_id))
            # the clock of created_at, or one that is behind it
            date = self.project.clock() - self.project.provisioning.date_behind_s
            response.headers["Date"] = formatdate(date, usegmt=True)
            return response

        return wrapped

    async def _in_other_project(self, request: web.Request) -> Handler | None:
        name = request.match_info["project"]
        if self._name in ("", name):
            return None
        if name not in self._routers:
            self._routers[name] = web.UrlDispatcher()
            self._routers[name].add_routes(self.other(name).routes())
        return (await self._routers[name].resolve(request)).handler

    def other(self, name: str) -> Foundry:
        """Return the project of that name beside that of the settings; the first time it is made."""
        if name not in self.others:
            other = self.others[name] = Foundry(self._registry_url, self._clock, self._pool)
            other.url, other.project.provisioning = self.url, self.project.provisioning
        return self.others[name]

    async def _set_provisioning(self, request: web.Request) -> web.Response:
        try:
            self.project.provisioning = replace(self.project.provisioning, **await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"provisioning: {error}"}, status=400)
        for other in self.others.values():
            other.project.provisioning = self.project.provisioning
        return web.json_response(vars(self.project.provisioning))

    # Agents

    def _agent(self, request: web.Request) -> AgentState:
        return self.project.agent(request.match_info["agent"])

    async def _list_agents(self, request: web.Request) -> web.Response:
        return page(request, [self._agent_json(agent) for agent in self.project.agents.values()])

    async def _get_agent(self, request: web.Request) -> web.Response:
        return web.json_response(self._agent_json(self._agent(request)))

    async def _patch_agent(self, request: web.Request) -> web.Response:
        if request.content_type != "application/merge-patch+json":
            raise FoundryError(415, "unsupported_media_type", "expected application/merge-patch+json")
        agent, body = self._agent(request), await request.json()
        selector = (body.get("agent_endpoint") or {}).get("version_selector") or {}
        for rule in selector.get("version_selection_rules") or []:
            if str(rule["agent_version"]) != LATEST:
                self.project.version(agent.name, str(rule["agent_version"]))
        agent.endpoint = merge_patch(agent.endpoint, body.get("agent_endpoint") or {})
        return web.json_response(self._agent_json(agent))

    async def _delete_agent(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        if agent.has_active_session(self.project.clock()) and request.query.get("force") != "true":
            raise FoundryError(409, "conflict", "Agent has active sessions")
        del self.project.agents[agent.name]
        await self._stop(list(agent.versions.values()))
        return web.json_response({"object": "agent.deleted", "name": agent.name, "deleted": True})

    async def _enable_or_disable(self, request: web.Request) -> web.Response:
        name, verb = request.match_info["agent_and_verb"].split(":")
        self.project.agent(name).enabled = verb == "enable"
        return web.Response(status=204)

    # Versions

    async def _create_version(self, request: web.Request) -> web.Response:
        body = await request.json()
        definition = body.get("definition") or {}
        name, image, image_error = request.match_info["agent"], None, None
        try:
            image = await pull(self._registry_url, image_of(definition))
        except PullError as error:
            image_error = str(error)
        version = self.project.create(name, definition, body.get("metadata") or {}, image_error)
        if self._processes:
            self._processes.provision(name, version, image)
        return web.json_response(self._version_json(name, version))

    async def _get_version(self, request: web.Request) -> web.Response:
        name = request.match_info["agent"]
        return web.json_response(self._version_json(name, self.project.version(name, request.match_info["version"])))

    async def _list_versions(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        visible_until = self.project.clock() - self.project.provisioning.list_lag_s
        visible = [version for version in agent.versions.values() if version.created_at <= visible_until]
        items = [self._version_json(agent.name, version) for version in visible]
        if self.project.provisioning.list_says_active:
            items = [item | {"status": "active"} for item in items]
        return page(request, items)

    async def _delete_version(self, request: web.Request) -> web.Response:
        name, number = request.match_info["agent"], request.match_info["version"]
        version = self.project.version(name, number)
        self.project.delete(name, number, force=request.query.get("force") == "true")
        await self._stop([version])
        body = {"object": "agent.version.deleted", "name": name, "version": number, "deleted": True}
        return web.json_response(body)

    # Invocations

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await respond(request, self._agent(request), self.project, self._processes)

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        return await invoke(request, self._agent(request), self.project, self._processes)

    async def _stop(self, versions: list[VersionState]) -> None:
        if self._processes:
            await self._processes.remove(versions)

    def _agent_json(self, agent: AgentState) -> Json:
        return agent_json(agent, self.project)

    def _version_json(self, name: str, version: VersionState) -> Json:
        return version_json(name, version, self.project)


def _require_token(request: web.Request) -> None:
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        raise FoundryError(401, "Unauthorized", "a bearer token is needed")


def _error(error: FoundryError, request_id: str) -> web.Response:
    """Return an error in the service's shape; it has ended its messages with the request's id since July 2026."""
    body: Json = {
        "code": error.code,
        "message": f"{error.message} [Request ID: {request_id}]",
        **({"param": error.param} if error.param else {}),
        "type": "error" if error.status == 404 else "invalid_request_error",
        "details": [],
        "additionalInfo": {"request_id": request_id},
    }
    return web.json_response({"error": body}, status=error.status, headers=error.headers)
