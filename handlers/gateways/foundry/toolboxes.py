"""Toolboxes: a hosted agent's tools stand in a versioned toolbox that its container asks by address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.model import Toolbox, is_version_number
from core.prune.toolboxes import ToolboxVersion
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.foundry.calls import NO_RETRY, PAGE_SIZE, read, read_pages, send_once
from handlers.gateways.foundry.mapping import time_of

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

TOOLS_HASH = "slipway.tools"
"""Metadata that names what a version was made of: the service may tell its tools with defaults filled in, and tools
compared as told would then differ for ever, a new version each time."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A version as Foundry tells it."""

    number: str
    tools: list[dict[str, Any]]
    made_of: str | None
    created_at: datetime


async def ensure_toolbox(
    client: AIProjectClient, project: str, name: str, tools: Sequence[Mapping[str, object]]
) -> Toolbox:
    """The newest version if it was made of exactly these tools, else a new one; its address is that version's own."""
    desired = canonical(tools)
    made_of = hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()
    listed = await _listed(client, name)
    found = listed[0] if listed else None
    if found is None or not (made_of == found.made_of or found.tools == desired):
        body = {"tools": desired, "metadata": {TOOLS_HASH: made_of}}
        what = f"create a version of toolbox {name}"
        found = await send_once(what, lambda: client.toolboxes.create_version(name, body, **NO_RETRY), _made)
    return Toolbox(name, found.number, f"{project}/toolboxes/{name}/versions/{found.number}/mcp?api-version=v1")


async def list_toolbox_versions(client: AIProjectClient, name: str) -> list[ToolboxVersion]:
    """Every version with what pruning must know of it; empty where there is no such toolbox."""
    default = await read(f"get toolbox {name}", lambda: client.toolboxes.get(name), _default)
    listed = await _listed(client, name)
    return [
        ToolboxVersion(one.number, one.created_at, one.made_of is not None, one.number == default) for one in listed
    ]


async def _listed(client: AIProjectClient, name: str) -> list[_Made]:
    """Every version, the newest first."""
    what = f"list versions of toolbox {name}"

    async def versions() -> list[Any]:
        return await read_pages(what, client.toolboxes.list_versions(name, limit=PAGE_SIZE, **NO_TRACE))

    return await read(what, versions, _newest_first) or []


def _newest_first(versions: list[Any]) -> list[_Made]:
    return sorted((_made(one) for one in versions), key=lambda one: int(one.number), reverse=True)


def _made(told: Any) -> _Made:
    version = told.as_dict()
    if not is_version_number(str(version["version"])):
        raise ValueError("a toolbox version without a number")
    made_of = (version.get("metadata") or {}).get(TOOLS_HASH)
    return _Made(
        str(version["version"]), canonical(version.get("tools") or ()), made_of, time_of(version.get("created_at"))
    )


def _default(told: Mapping[str, Any]) -> str:
    return str(told.get("default_version") or "")


def canonical(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools in one form, so that equal lists are equal."""
    plain = [json.loads(json.dumps(tool, sort_keys=True)) for tool in tools]
    return [{key: value for key, value in tool.items() if value is not None} for tool in plain]
