"""Toolboxes: a hosted agent's tools stand in a versioned toolbox that its container asks by address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.model import Toolbox
from core.toolboxes import ToolboxVersion
from handlers.gateways.foundry_calls import ONCE, PAGE, act, every, read
from handlers.gateways.foundry_shapes import time_of
from handlers.gateways.http import UNTRACED

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

MADE_OF = "slipway.tools"
"""Metadata that names what a version was made of: the service may tell its tools with defaults filled in, and tools
compared as told would then differ for ever, a new version each time."""


async def toolbox(client: AIProjectClient, project: str, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
    """The newest version if it was made of exactly these tools, else a new one; its address is that version's own."""
    wanted = canonical(tools)
    made_of = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    listed = await read(f"get toolbox {name}", lambda: _versions(client, name), _newest_first) or []
    found = listed[0] if listed else None
    if found is None or not (made_of == _made_of(found) or canonical(found["tools"]) == wanted):
        body = {"tools": wanted, "metadata": {MADE_OF: made_of}}
        what = f"create a version of toolbox {name}"
        made: Any = await act(what, lambda: client.toolboxes.create_version(name, body, **ONCE), dict)
        found = made
    number = str(found["version"])
    return Toolbox(name, number, f"{project}/toolboxes/{name}/versions/{number}/mcp?api-version=v1")


async def toolbox_versions(client: AIProjectClient, name: str) -> list[ToolboxVersion]:
    """Every version with what pruning must know of it; empty where there is no such toolbox."""
    found = await read(f"get toolbox {name}", lambda: client.toolboxes.get(name), dict)
    listed = await read(f"list versions of toolbox {name}", lambda: _versions(client, name), _newest_first)
    default = str((found or {}).get("default_version") or "")
    return [
        ToolboxVersion(
            str(one["version"]),
            time_of(one.get("created_at")),
            _made_of(one) is not None,
            str(one["version"]) == default,
        )
        for one in listed or []
    ]


async def _versions(client: AIProjectClient, name: str) -> list[dict[str, Any]]:
    what = f"list versions of toolbox {name}"
    listed = await every(what, client.toolboxes.list_versions(name, limit=PAGE, **UNTRACED))
    return [one.as_dict() for one in listed]


def _newest_first(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(versions, key=lambda one: int(one["version"]), reverse=True)


def _made_of(version: Mapping[str, Any]) -> str | None:
    return (version.get("metadata") or {}).get(MADE_OF)


def canonical(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools in one form, so that equal lists are equal."""
    plain = [json.loads(json.dumps(tool, sort_keys=True)) for tool in tools]
    return [{key: value for key, value in tool.items() if value is not None} for tool in plain]
