"""JSON of agents, versions and list pages, as Foundry returns it."""

from __future__ import annotations

import uuid

from aiohttp import web

from local.foundry.state import AgentState, Json, VersionState


def page(request: web.Request, items: list[Json], *, key: str = "id") -> web.Response:
    """Return a page in OpenAI's envelope; the SDK stops where ``last_id`` is null."""
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
        "agent_endpoint": agent.endpoint,
        "instance_identity": {"principal_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, agent.name))},
    }


def version_json(name: str, version: VersionState, now: float) -> Json:
    """Return a version; it has an ``error`` once it failed."""
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
