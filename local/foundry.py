"""Microsoft Foundry's hosted agents, as azure-ai-projects 2.10.0 asks for them (docs/reference/wire.md).

Lacks: other kinds of agents, drafts, conversations, protocols but responses, rights, and real containers: an agent
answers what it is told to.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import ClientError, ClientSession, web

from local.foundry_answers import answer, page
from local.foundry_state import AgentState, Json, Project, Refused, VersionState
from local.server import Handler, StandIn

BASE = "/api/projects/{project}"
ACCEPTED = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"  # noqa: E501


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
            web.post(f"{agent}/endpoint/sessions", self._answering(self._create_session)),
            web.get(f"{agent}/endpoint/sessions", self._answering(self._list_sessions)),
            web.delete(f"{agent}/endpoint/sessions/{{session}}", self._answering(self._delete_session)),
            web.post(f"{agent}/endpoint/protocols/openai/responses", self._answering(self._respond)),
            web.post(f"{BASE}/toolboxes/{{toolbox}}/versions", self._answering(self._create_toolbox)),
            web.get(f"{BASE}/toolboxes/{{toolbox}}/versions", self._answering(self._list_toolbox)),
        ]

    def _answering(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            if not request.headers.get("Authorization", "").startswith("Bearer "):
                return _error(Refused(401, "Unauthorized", "a bearer token is needed"))
            try:
                return await handler(request)
            except Refused as refused:
                return _error(refused)

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
        return page(request, [self._told(agent) for agent in self.project.agents.values()])

    async def _get_agent(self, request: web.Request) -> web.Response:
        return web.json_response(self._told(self._agent(request)))

    async def _patch_agent(self, request: web.Request) -> web.Response:
        if request.content_type != "application/merge-patch+json":
            raise Refused(415, "unsupported_media_type", "expected application/merge-patch+json")
        agent, body = self._agent(request), await request.json()
        selector = (body.get("agent_endpoint") or {}).get("version_selector") or {}
        for rule in selector.get("version_selection_rules") or []:
            self.project.version(agent.name, str(rule["agent_version"]))
        agent.endpoint = _merged(agent.endpoint, body.get("agent_endpoint") or {})
        return web.json_response(self._told(agent))

    async def _delete_agent(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        if agent.sessions and request.query.get("force") != "true":
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
        image = str((definition.get("container_configuration") or {}).get("image", ""))
        problem = await self._image_problem(image)
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

    async def _image_problem(self, image: str) -> str | None:
        """Why the platform could not pull the image, asked of the registry that was pushed to."""
        if self._registry_url is None:
            return None
        path, _, reference = image.partition("@") if "@" in image else image.rpartition(":")
        repository = path.partition("/")[2]
        base = f"{self._registry_url}/v2/{repository}"
        try:
            async with ClientSession() as session:
                async with session.get(f"{base}/manifests/{reference}", headers={"Accept": ACCEPTED}) as answered:
                    if answered.status != 200:
                        return f"manifest {reference} is unknown"
                    manifest = await answered.json(content_type=None)
                if "manifests" in manifest:
                    found = [child.get("platform", {}).get("architecture") for child in manifest["manifests"]]
                    return None if "amd64" in found else "the index has no linux/amd64 image"
                async with session.get(f"{base}/blobs/{manifest['config']['digest']}") as answered:
                    config = await answered.json(content_type=None)
        except ClientError as error:
            return f"the registry cannot be reached: {error}"
        return None if config.get("architecture") == "amd64" else "the image is not built for linux/amd64"

    # Sessions and questions

    async def _create_session(self, request: web.Request) -> web.Response:
        agent, body = self._agent(request), await request.json()
        number = str((body.get("version_indicator") or {}).get("agent_version", ""))
        self.project.version(agent.name, number)
        now = int(self.project.clock())
        session: Json = {
            "agent_session_id": body.get("agent_session_id") or uuid.uuid4().hex,
            "version_indicator": {"type": "version_ref", "agent_version": number},
            "status": "active",
            "created_at": now,
            "last_accessed_at": now,
            "expires_at": now + 30 * 24 * 3600,
        }
        agent.sessions[session["agent_session_id"]] = session
        return web.json_response(session, status=201)

    async def _list_sessions(self, request: web.Request) -> web.Response:
        return page(request, list(self._agent(request).sessions.values()), key="agent_session_id")

    async def _delete_session(self, request: web.Request) -> web.Response:
        self._agent(request).sessions.pop(request.match_info["session"], None)
        return web.Response(status=204)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await answer(request, self._agent(request), self.project)

    # Toolboxes

    async def _create_toolbox(self, request: web.Request) -> web.Response:
        name, body = request.match_info["toolbox"], await request.json()
        versions = self.project.toolboxes.setdefault(name, [])
        number = str(len(versions) + 1)
        made = {
            "id": f"{name}:{number}",
            "name": name,
            "version": number,
            "created_at": int(self.project.clock()),
            "metadata": {},
            "tools": body.get("tools", []),
        }
        versions.append(made)
        return web.json_response(made)

    async def _list_toolbox(self, request: web.Request) -> web.Response:
        name = request.match_info["toolbox"]
        if name not in self.project.toolboxes:
            raise Refused(404, "not_found", f"toolbox {name} does not exist")
        return page(request, self.project.toolboxes[name])

    # Shapes

    def _told(self, agent: AgentState) -> Json:
        latest = agent.latest
        return {
            "object": "agent",
            "id": agent.name,
            "name": agent.name,
            "state": "enabled" if agent.enabled else "disabled",
            "configuration_state": "enabled",
            "versions": {"latest": self._version(agent.name, latest)} if latest else {},
            "agent_endpoint": agent.endpoint,
            "instance_identity": {"principal_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, agent.name))},
        }

    def _version(self, name: str, version: VersionState) -> Json:
        status = version.status(self.project.clock())
        body: dict[str, Any] = {
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


def _merged(old: Json, new: Json) -> Json:
    """A JSON merge patch (RFC 7396)."""
    merged = {key: value for key, value in old.items() if new.get(key, ...) is not None}
    for key, value in new.items():
        if value is not None:
            merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged


def _error(refused: Refused) -> web.Response:
    told = {"code": refused.code, "message": refused.message, "param": None, "type": "invalid_request_error"}
    return web.json_response({"error": told}, status=refused.status)
