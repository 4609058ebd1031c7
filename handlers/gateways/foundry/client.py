"""Hosted agents in a Foundry project, through azure-ai-projects; every contract is in docs/reference/wire.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.agents_file.spec import Probe
from core.model import Agent, Answer, Definition, Routing, Toolbox, Version
from core.prune.retention import version_number
from core.prune.toolboxes import ToolboxVersion
from handlers.gateways.azure_http import CLIENT_OPTIONS, NO_TRACE, connection_options
from handlers.gateways.clock import Clock, SystemClock
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry.calls import NO_RETRY, PAGE_SIZE, read, read_pages, send_once
from handlers.gateways.foundry.errors import is_not_found
from handlers.gateways.foundry.invoke import ask, open_session
from handlers.gateways.foundry.mapping import (
    agent_of,
    dated_version,
    definition_to,
    numbered_version,
    routing_of,
    version_of,
    with_date,
)
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.foundry.toolboxes import ensure_toolbox, list_toolbox_versions
from handlers.gateways.interfaces import DeleteResult

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient
    from azure.core.credentials_async import AsyncTokenCredential

OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, "read_timeout": 30}


class AzureFoundry:
    """See the Foundry protocol."""

    def __init__(
        self,
        endpoint: str,
        credential: AsyncTokenCredential,
        looks: FoundryRateLimiter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._looks, self._clock = looks or FoundryRateLimiter(), clock or SystemClock()
        self._endpoint = endpoint.rstrip("/")
        self._credential = credential
        self._made: AIProjectClient | None = None

    async def get_agent(self, name: str) -> Agent | None:
        """The agent with its routing."""
        client = await self._in_turn()
        return await read(f"get agent {name}", lambda: client.agents.get(name, **NO_TRACE), agent_of)

    async def get_version(self, agent: str, number: str) -> Version | None:
        """One version."""
        client = await self._in_turn()
        what = f"get version {number} of {agent}"
        return await read(
            what, lambda: client.agents.get_version(agent, number, cls=with_date, **NO_TRACE), dated_version
        )

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """Every version, all pages."""
        client = await self._client()
        what = f"list versions of {agent}"

        async def collect() -> list[Version]:
            paged = client.agents.list_versions(agent, limit=PAGE_SIZE, order="asc", **NO_TRACE)
            return _ordered([version_of(one) for one in await read_pages(what, paged, self._turn)])

        return await read(what, collect, list) or []

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """POST once."""
        client = await self._client()
        body = {"definition": definition_to(definition), "metadata": dict(metadata)}
        what = f"create a version of {agent}"
        return await send_once(
            what, lambda: client.agents.create_version(agent, body, **NO_RETRY), numbered_version, definition
        )

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Merge-patch of the version selector alone."""
        client = await self._client()
        rules = [{"type": "FixedRatio", "agent_version": r.version, "traffic_percentage": r.percent} for r in to.rules]
        body = {"agent_endpoint": {"version_selector": {"version_selection_rules": rules}}}
        what = f"route {agent} to version {' and '.join(rule.version for rule in to.rules)}"
        return await send_once(what, lambda: client.agents.update_details(agent, body, **NO_RETRY), routing_of)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        """Never by force: that would end people's sessions. Untraced: who prunes a thousand has a span for each."""
        client = await self._client()
        what = f"delete version {number} of {agent}"
        return await _deleted(what, lambda: client.agents.delete_version(agent, number, **NO_RETRY, **NO_TRACE))

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        """A session that is bound to the version."""
        return await open_session(await self._client(), agent, version, within)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        """One question."""
        return await ask(await self._client(), agent, probe, session, within)

    async def end_session(self, agent: str, session: str) -> None:
        """Delete the session; 204 also where it is gone already."""
        client = await self._client()
        await send_once(
            f"delete a session of {agent}", lambda: client.agents.delete_session(agent, session, **NO_RETRY), bool
        )

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """The newest version if it was made of exactly these tools, else a new one."""
        return await ensure_toolbox(await self._client(), self._endpoint, name, tools)

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """Every version, with the default marked."""
        return await list_toolbox_versions(await self._client(), name)

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        """Delete one version."""
        client = await self._client()
        what = f"delete version {version} of toolbox {name}"
        return await _deleted(what, lambda: client.toolboxes.delete_version(name, version, **NO_RETRY))

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

    async def _in_turn(self) -> AIProjectClient:
        """For what is read: after a 429 one read follows another; an act follows a fresh look, and goes at once."""
        await self._turn()
        return await self._client()

    async def _turn(self) -> None:
        await self._looks.wait_for_read(self._clock)

    async def _client(self) -> AIProjectClient:
        """Import and build at first use: the import alone takes most of a second."""
        if self._made is None:
            project_client = await asyncio.to_thread(_import)
            if self._made is None:  # another coroutine may have been as early
                self._made = project_client(self._endpoint, self._credential, **OPTIONS, **connection_options())
        return self._made


async def _deleted(what: str, send: Callable[[], Awaitable[object]]) -> DeleteResult:
    try:
        await send_once(what, send, bool)
    except PermanentError as error:
        if is_not_found(error):
            return DeleteResult.GONE
        if error.status == 409:
            return DeleteResult.SESSIONS_ACTIVE
        raise
    return DeleteResult.DELETED


def _import() -> type[AIProjectClient]:
    from azure.ai.projects.aio import AIProjectClient

    return AIProjectClient


def _ordered(versions: list[Version]) -> list[Version]:
    """Oldest first, names that are no number before all; one that was told on two pages counts once."""
    return sorted({one.number: one for one in versions}.values(), key=version_number)
