"""Toolboxes: a hosted agent's tools are a versioned toolbox, which its container reaches by address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from core.model import Toolbox, is_version_number
from core.prune.toolboxes import ToolboxVersion
from handlers.gateways.foundry.calls import ONCE, FoundryCalls
from handlers.gateways.foundry.mapping import time_of
from handlers.gateways.foundry.plain_json import PLAIN_BODY, plain_items

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

TOOLS_HASH = "slipway.tools"
"""Metadata with a hash of the tools as sent: Foundry may fill in defaults, so that its tools never equal ours, and each
release would create a version."""


@dataclass(frozen=True, slots=True)
class _Version:
    """A toolbox version as Foundry returns it."""

    number: str
    tools: list[dict[str, Any]]
    tools_hash: str | None
    created_at: datetime


async def ensure_toolbox(
    client: AIProjectClient, calls: FoundryCalls, project: str, name: str, tools: Sequence[Mapping[str, object]]
) -> Toolbox:
    """The newest version if it was made of exactly these tools, else a new one; the address names that version."""
    desired = canonical(tools)
    tools_hash = hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()
    version = next(iter(await _list_newest_first(client, calls, name)), None)
    if version is None or not (tools_hash == version.tools_hash or version.tools == desired):
        body = {"tools": desired, "metadata": {TOOLS_HASH: tools_hash}}
        what = f"create a version of toolbox {name}"
        version = await calls.send_once(
            what, lambda: client.toolboxes.create_version(name, body, **PLAIN_BODY, **ONCE), _version
        )
    return Toolbox(name, version.number, f"{project}/toolboxes/{name}/versions/{version.number}/mcp?api-version=v1")


async def list_toolbox_versions(client: AIProjectClient, calls: FoundryCalls, name: str) -> list[ToolboxVersion]:
    """Every version with what pruning needs to know; empty where the toolbox does not exist."""
    what = f"get toolbox {name}"
    get = partial(client.toolboxes.get, name, **PLAIN_BODY)
    default = await calls.read(what, get, lambda body: str(body.get("default_version")))
    return [
        ToolboxVersion(version.number, version.created_at, version.tools_hash is not None, version.number == default)
        for version in await _list_newest_first(client, calls, name)
    ]


async def _list_newest_first(client: AIProjectClient, calls: FoundryCalls, name: str) -> list[_Version]:
    what = f"list versions of toolbox {name}"
    versions = await calls.read_pages(what, partial(client.toolboxes.list_versions, name, **plain_items()), _version)
    return sorted(versions, key=lambda version: int(version.number), reverse=True)


def _version(body: Mapping[str, Any]) -> _Version:
    number = str(body["version"])
    if not is_version_number(number):
        raise ValueError("a toolbox version without a number")
    tools_hash = (body.get("metadata") or {}).get(TOOLS_HASH)
    return _Version(number, canonical(body.get("tools") or ()), tools_hash, time_of(body.get("created_at")))


def canonical(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools in one form, so that equal lists are equal."""
    plain = [json.loads(json.dumps(tool, sort_keys=True)) for tool in tools]
    return [{key: value for key, value in tool.items() if value is not None} for tool in plain]
