"""Hosted agents in a Foundry project, through azure-ai-projects; every contract is in docs/reference/wire.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from core.model import Agent, Definition, Routing, Toolbox, Version
from handlers.gateways import Deleted, PermanentError
from handlers.gateways.foundry_errors import SERVICE, act_failed, read_failed
from handlers.gateways.foundry_shapes import agent_of, definition_to, routing_of, tools_to, version_of

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient
    from azure.core.credentials_async import AsyncTokenCredential

T = TypeVar("T")

ONCE: dict[str, Any] = {"retry_total": 0}
"""azure-core repeats a POST on 500, 503, 504 and on any Retry-After: a second create is a second version."""
UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""Polls would be most of a trace and say nothing."""
PAGE = 100


class AzureFoundry:
    """See the Foundry protocol."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._credential = credential
        self._made: AIProjectClient | None = None

    async def agent(self, name: str) -> Agent | None:
        """The agent with its routing."""
        client = await self._client()
        return await _read(f"get agent {name}", lambda: client.agents.get(name), agent_of)

    async def version(self, agent: str, number: str) -> Version | None:
        """One version."""
        client = await self._client()
        what = f"get version {number} of {agent}"
        return await _read(what, lambda: client.agents.get_version(agent, number, **UNTRACED), version_of)

    async def versions(self, agent: str) -> Sequence[Version]:
        """Every version, all pages; the SDK ignores has_more, and an id that comes again would be an endless loop."""
        client = await self._client()

        async def collect() -> list[Version]:
            found: dict[str, Version] = {}
            async for one in client.agents.list_versions(agent, limit=PAGE, order="asc", **UNTRACED):
                version = version_of(one)
                if version.number in found:
                    raise PermanentError(SERVICE, "PAGING_LOOP", f"versions of {agent}: {version.number} came twice")
                found[version.number] = version
            return sorted(
                (one for one in found.values() if one.number.isdecimal() and not one.draft),
                key=lambda one: int(one.number),
            )

        return await _read(f"list versions of {agent}", collect, list) or []

    async def create(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """POST once."""
        client = await self._client()
        body = {"definition": definition_to(definition), "metadata": dict(metadata)}
        what = f"create a version of {agent}"
        return await _act(what, lambda: client.agents.create_version(agent, body, **ONCE), version_of, definition)

    async def route(self, agent: str, version: str) -> Routing:
        """Merge-patch of the version selector alone."""
        client = await self._client()
        rule = {"type": "FixedRatio", "agent_version": version, "traffic_percentage": 100}
        body = {"agent_endpoint": {"version_selector": {"version_selection_rules": [rule]}}}
        what = f"route {agent} to version {version}"
        return await _act(what, lambda: client.agents.update_details(agent, body, **ONCE), routing_of)

    async def delete(self, agent: str, number: str) -> Deleted:
        """Never by force: that would end people's sessions."""
        client = await self._client()
        what = f"delete version {number} of {agent}"
        try:
            await _act(what, lambda: client.agents.delete_version(agent, number, **ONCE), bool)
        except PermanentError as error:
            if error.status == 404:
                return Deleted.GONE
            if error.status == 409:
                return Deleted.SESSIONS_ACTIVE
            raise
        return Deleted.DELETED

    async def toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """The newest version if it has exactly these tools, else a new one."""
        client = await self._client()
        wanted = tools_to(tools)
        found: Any = await _read(
            f"get toolbox {name}", lambda: self._newest_toolbox(client, name), lambda newest: newest
        )
        if found is None or tools_to(found["tools"]) != wanted:
            what = f"create a version of toolbox {name}"
            found = await _act(what, lambda: client.toolboxes.create_version(name, {"tools": wanted}, **ONCE), dict)
        number = str(found["version"])
        return Toolbox(name, number, f"{self._endpoint}/toolboxes/{name}/versions/{number}/mcp?api-version=v1")

    async def _newest_toolbox(self, client: AIProjectClient, name: str) -> Mapping[str, Any] | None:
        versions = [one.as_dict() async for one in client.toolboxes.list_versions(name, limit=PAGE)]
        return max(versions, key=lambda one: int(one["version"]), default=None)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

    async def _client(self) -> AIProjectClient:
        """Import and build at first use: the import alone takes most of a second."""
        if self._made is None:
            project_client = await asyncio.to_thread(_import)
            self._made = project_client(self._endpoint, self._credential, connection_timeout=5, read_timeout=30)
        return self._made


def _import() -> type[AIProjectClient]:
    from azure.ai.projects.aio import AIProjectClient

    return AIProjectClient


async def _read(what: str, send: Callable[[], Awaitable[Any]], shape: Callable[[Any], T]) -> T | None:
    try:
        return shape(await send())
    except (AzureError, ValueError, KeyError, TypeError) as error:
        failed = read_failed(what, error)
        if failed is None:
            return None
        raise failed from error


async def _act(
    what: str, send: Callable[[], Awaitable[Any]], shape: Callable[[Any], T], sent: Definition | None = None
) -> T:
    try:
        return shape(await send())
    except (AzureError, ValueError, KeyError, TypeError) as error:
        raise act_failed(what, error, sent) from error
