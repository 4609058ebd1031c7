"""Microsoft Foundry's hosted agents, as azure-ai-projects 2.10.0 asks for them (docs/reference/wire.md).

Lacks: other kinds of agents, drafts, conversations, protocols but responses and invocations, rights, and real
containers: an agent answers what it is told to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from aiohttp import web

from local.foundry.invoke import invoke, respond
from local.foundry.json import agent_shape, page, version_shape
from local.foundry.pull import image_problem
from local.foundry.sessions import Sessions
from local.foundry.state import LATEST, AgentState, Json, Project, Refused, VersionState, image_of, merge_patch
from local.foundry.toolboxes import Toolboxes
from local.stand_in import Handler, StandIn

BASE = "/api/projects/{project}"


class Foundry(StandIn):
    """One project; ``registry_url`` is where images must exist, or None where any image will do."""

    name = "foundry"

    def __init__(self, registry_url: str | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.project = Project(clock)
        self._registry_url = registry_url

    def routes(self) -> list[web.RouteDef]:
        """The operations that Slipway, its tests and a person's script use."""
        agent = f"{BASE}/agents/{{agent}}"
        return [
            web.put("/_local/provisioning", self._set_provisioning),
            web.get(f"{BASE}/agents", self._answering(self._list_agents)),
            web.get(agent, self._answering(self._get_agent)),
            web.patch(agent, self._answering(self._patch_agent)),
            web.delete(agent, self._answering(self._delete_agent)),
            web.post(f"{agent}/versions", self._answering(self._create_version)),
            web.get(f"{agent}/versions", self._answering(self._list_versions)),
            web.get(f"{agent}/versions/{{version}}", self._answering(self._get_version)),
            web.delete(f"{agent}/versions/{{version}}", self._answering(self._delete_version)),
            web.post(f"{BASE}/agents/{{agent_and_verb:[^/]+:(enable|disable)}}", self._answering(self._switch)),
            web.post(f"{agent}/endpoint/protocols/openai/responses", self._answering(self._respond)),
            web.post(f"{agent}/endpoint/protocols/invocations", self._answering(self._invoke)),
            *Sessions(self.project).routes(agent, self._answering),
            *Toolboxes(self.project).routes(f"{BASE}/toolboxes", self._answering),
        ]

    def _answering(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            if not request.headers.get("Authorization", "").startswith("Bearer "):
                return _error(Refused(401, "Unauthorized", "a bearer token is needed"))
            try:
                response = await handler(request)
            except Refused as refused:
                response = _error(refused)
            response.headers["Date"] = formatdate(self.project.clock(), usegmt=True)  # of the clock that dates versions
            return response

        return answered

    async def _set_provisioning(self, request: web.Request) -> web.Response:
        try:
            self.project.provisioning = replace(self.project.provisioning, **await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"provisioning: {error}"}, status=400)
        return web.json_response(vars(self.project.provisioning))

    # Agents

    def _agent(self, request: web.Request) -> AgentState:
        return self.project.agent(request.match_info["agent"])

    async def _list_agents(self, request: web.Request) -> web.Response:
        return page(request, [self._shape(agent) for agent in self.project.agents.values()])

    async def _get_agent(self, request: web.Request) -> web.Response:
        return web.json_response(self._shape(self._agent(request)))

    async def _patch_agent(self, request: web.Request) -> web.Response:
        if request.content_type != "application/merge-patch+json":
            raise Refused(415, "unsupported_media_type", "expected application/merge-patch+json")
        agent, body = self._agent(request), await request.json()
        selector = (body.get("agent_endpoint") or {}).get("version_selector") or {}
        for rule in selector.get("version_selection_rules") or []:
            if str(rule["agent_version"]) != LATEST:
                self.project.version(agent.name, str(rule["agent_version"]))
        agent.endpoint = merge_patch(agent.endpoint, body.get("agent_endpoint") or {})
        return web.json_response(self._shape(agent))

    async def _delete_agent(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        if agent.busy(self.project.clock()) and request.query.get("force") != "true":
            raise Refused(409, "conflict", "Agent has active sessions")
        del self.project.agents[agent.name]
        return web.json_response({"object": "agent.deleted", "name": agent.name, "deleted": True})

    async def _switch(self, request: web.Request) -> web.Response:
        name, verb = request.match_info["agent_and_verb"].split(":")
        self.project.agent(name).enabled = verb == "enable"
        return web.Response(status=204)

    # Versions

    async def _create_version(self, request: web.Request) -> web.Response:
        body = await request.json()
        definition = body.get("definition") or {}
        problem = await image_problem(self._registry_url, image_of(definition))
        made = self.project.create(request.match_info["agent"], definition, body.get("metadata") or {}, problem)
        return web.json_response(self._version(request.match_info["agent"], made))

    async def _get_version(self, request: web.Request) -> web.Response:
        name = request.match_info["agent"]
        return web.json_response(self._version(name, self.project.version(name, request.match_info["version"])))

    async def _list_versions(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        seen_until = self.project.clock() - self.project.provisioning.list_lag_s
        told = [self._version(agent.name, one) for one in agent.versions.values() if one.created_at <= seen_until]
        if self.project.provisioning.list_says_active:
            told = [one | {"status": "active"} for one in told]
        return page(request, told)

    async def _delete_version(self, request: web.Request) -> web.Response:
        name, number = request.match_info["agent"], request.match_info["version"]
        self.project.delete(name, number, force=request.query.get("force") == "true")
        body = {"object": "agent.version.deleted", "name": name, "version": number, "deleted": True}
        return web.json_response(body)

    # Questions

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await respond(request, self._agent(request), self.project)

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        return await invoke(request, self._agent(request), self.project)

    def _shape(self, agent: AgentState) -> Json:
        return agent_shape(agent, self.project.clock())

    def _version(self, name: str, version: VersionState) -> Json:
        return version_shape(name, version, self.project.clock())


def _error(refused: Refused) -> web.Response:
    told = {"code": refused.code, "message": refused.message, "param": None, "type": "invalid_request_error"}
    return web.json_response({"error": told}, status=refused.status)
