"""JSON of agents, versions and list pages, as Foundry returns it."""

from __future__ import annotations

import uuid

from aiohttp import web

from local.foundry.state import LATEST, AgentState, Json, VersionState


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


def agent_json(agent: AgentState, now: float) -> Json:
    """Return an agent."""
    latest = agent.latest
    return {
        "object": "agent",
        "id": agent.name,
        "name": agent.name,
        "state": "enabled" if agent.enabled else "disabled",
        "configuration_state": "enabled",
        "versions": {"latest": version_json(agent.name, latest, now)} if latest else {},
        "agent_endpoint": FOLLOWS_LATEST | agent.endpoint,
        "instance_identity": _identity(agent.name),
    }


def version_json(name: str, version: VersionState, now: float) -> Json:
    """Return a version; it has an ``error`` once it failed."""
    status = version.status(now)
    body: Json = {
        "object": "agent.version",
        "id": f"{name}:{version.number}",
        "name": name,
        "version": version.number,
        "description": "",
        "created_at": int(version.created_at),
        "metadata": version.metadata,
        "status": status,
        "definition": {"container_protocol_versions": [], **version.definition},
        "instance_identity": _identity(name),
        "agent_guid": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
    }
    return body | ({"error": version.error} if status == "failed" else {})


def _identity(name: str) -> Json:
    principal = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    return {"principal_id": principal, "client_id": principal}
