"""JSON of agents, versions and list pages, as Foundry returns it."""

from __future__ import annotations

import uuid

from aiohttp import web

from local.foundry.state import LATEST, AgentState, Json, Project, VersionState


def page(request: web.Request, items: list[Json], *, key: str = "id") -> web.Response:
    """Return a page in OpenAI's envelope: ``last_id`` is set on the last page too, so the SDK asks once more."""
    step = -1 if request.query.get("order", "desc") == "desc" else 1
    items = items[::step]
    ids = [str(item[key]) for item in items]
    after = request.query.get("after")
    start = ids.index(after) + 1 if after in ids else 0
    limit = max(1, min(100, int(request.query.get("limit", 20))))
    shown = items[start : start + limit]
    more = start + limit < len(items)
    body: Json = {"data": shown, "has_more": more}
    if shown:
        body |= {"object": "list", "first_id": ids[start], "last_id": ids[start + len(shown) - 1]}
    return web.json_response(body)


FOLLOWS_LATEST: Json = {
    "version_selector": {
        "version_selection_rules": [{"type": "FixedRatio", "agent_version": LATEST, "traffic_percentage": 100}]
    },
    "protocols": ["responses"],
    "authorization_schemes": [{"type": "Entra", "isolation_key_source": {"kind": "Entra"}}],
}
"""The endpoint of an agent that was never pinned."""


def agent_json(agent: AgentState, project: Project) -> Json:
    """Return an agent."""
    latest = agent.latest
    return {
        "object": "agent",
        "id": agent.name,
        "name": agent.name,
        "state": "enabled" if agent.enabled else "disabled",
        "configuration_state": "enabled",
        "versions": {"latest": version_json(agent.name, latest, project)} if latest else {},
        "agent_endpoint": FOLLOWS_LATEST | agent.endpoint,
        **_identities(agent.name),
    }


def version_json(name: str, version: VersionState, project: Project) -> Json:
    """Return a version; it has an ``error`` once it failed.

    The service's own metadata may differ between two answers about the same version.
    """
    status, service_metadata = version.status(project.clock()), project.provisioning.service_metadata
    metadata = {key: service_metadata.get(key, value) for key, value in version.metadata.items()}
    body: Json = {
        "object": "agent.version",
        "id": f"{name}:{version.number}",
        "name": name,
        "version": version.number,
        "description": "",
        "created_at": int(version.created_at),
        "metadata": metadata,
        "status": status,
        "definition": {"container_protocol_versions": [], **version.definition},
        **_identities(name),
        "agent_guid": _guid(name),
    }
    return body | ({"error": version.error} if status == "failed" else {})


def _identities(name: str) -> Json:
    """Return the identity of an agent, which all its versions have, and the blueprint that it was made from."""
    principal, blueprint = (str(uuid.uuid5(uuid.NAMESPACE_DNS, part)) for part in (name, f"blueprint of {name}"))
    return {
        "instance_identity": {"principal_id": principal, "client_id": principal},
        "blueprint": {"principal_id": blueprint, "client_id": _guid(blueprint)},
        "blueprint_reference": {
            "type": "ManagedAgentIdentityBlueprint",
            "blueprint_id": f"{name}-{_guid(name)[:5]}",
        },
    }


def _guid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
