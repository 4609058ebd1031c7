"""Hosted agents in a Foundry project, through azure-ai-projects; every contract is in docs/reference/wire.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.agents_file.spec import Probe
from core.evaluation import EvaluationRun, ServiceCriterion
from core.model import Agent, Answer, DefinedVersion, Definition, Routing, Toolbox, Version
from core.prune.retention import version_number
from core.prune.toolboxes import ToolboxVersion
from handlers.gateways.azure_http import CLIENT_OPTIONS, NO_REDIRECT, NO_TRACE, LazyClient, NoForeignRequestId, limited
from handlers.gateways.clock import Clock, SystemClock
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry import evaluations, invoke, mapping, session_logs, toolboxes
from handlers.gateways.foundry.calls import ONCE, FoundryCalls
from handlers.gateways.foundry.errors import is_not_found
from handlers.gateways.foundry.plain_json import PLAIN_BODY, plain_items
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.interfaces import DeleteResult

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient
    from azure.core.credentials_async import AsyncTokenCredential

OPTIONS: dict[str, Any] = {
    **CLIENT_OPTIONS,
    **NO_REDIRECT,
    "http_logging_policy": NoForeignRequestId(),
    "read_timeout": 30,
}


class AzureFoundry:
    """See the Foundry protocol."""

    def __init__(
        self,
        endpoint: str,
        credential: AsyncTokenCredential,
        rate_limiter: FoundryRateLimiter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._calls = FoundryCalls(rate_limiter or FoundryRateLimiter(), clock or SystemClock())
        self._endpoint = endpoint.rstrip("/")
        self._client = LazyClient(_load_client, self._endpoint, credential, **limited(OPTIONS))
        self.close = self._client.close

    async def prepare(self) -> None:
        """Import the SDK."""
        await self._client.get()

    async def list_agents(self) -> Sequence[str]:
        agents = (await self._client.get()).agents
        options: dict[str, Any] = {"order": "asc", **plain_items()}
        names = await self._calls.read_pages("list agents", lambda: agents.list(**options), mapping.hosted_name_of)
        return sorted(filter(None, names))

    async def get_agent(self, name: str) -> Agent | None:
        agents = (await self._client.get()).agents
        return await self._calls.read(
            f"get agent {name}", lambda: agents.get(name, **PLAIN_BODY, **NO_TRACE), mapping.agent_of
        )

    async def get_version(self, agent: str, number: str) -> Version | None:
        agents = (await self._client.get()).agents
        options: dict[str, Any] = {**PLAIN_BODY, "cls": mapping.with_date, **NO_TRACE}
        what, convert = f"get version {number} of {agent}", mapping.dated_version
        return await self._calls.read(what, lambda: agents.get_version(agent, number, **options), convert)

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        agents = (await self._client.get()).agents
        what = f"get the definition of version {number} of {agent}"
        send, convert = lambda: agents.get_version(agent, number, **PLAIN_BODY, **NO_TRACE), mapping.defined_version_of
        return await self._calls.read(what, send, convert)

    async def list_versions(self, agent: str) -> Sequence[Version]:
        agents = (await self._client.get()).agents
        options: dict[str, Any] = {"order": "asc", **plain_items()}
        what = f"list versions of {agent}"
        return _ordered(
            await self._calls.read_pages(what, lambda: agents.list_versions(agent, **options), mapping.version_of)
        )

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        agents = (await self._client.get()).agents
        body = {"definition": mapping.definition_to(definition), "metadata": dict(metadata)}
        what, options = f"create a version of {agent}", {**PLAIN_BODY, "cls": mapping.with_date, **ONCE}
        return await self._calls.send_once(
            what, lambda: agents.create_version(agent, body, **options), mapping.dated_version, definition
        )

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Merge-patch of the version selector alone."""
        agents = (await self._client.get()).agents
        rules = [{"type": "FixedRatio", "agent_version": r.version, "traffic_percentage": r.percent} for r in to.rules]
        body = {"agent_endpoint": {"version_selector": {"version_selection_rules": rules}}}
        what = f"route {agent} to version {' and '.join(rule.version for rule in to.rules)}"
        options = {**PLAIN_BODY, **ONCE}
        return await self._calls.send_once(
            what, lambda: agents.update_details(agent, body, **options), mapping.routing_of
        )

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        """Never by force, which would end users' sessions; untraced, because pruning has a span for each version."""
        agents = (await self._client.get()).agents
        what = f"delete version {number} of {agent}"
        return await self._delete(what, lambda: agents.delete_version(agent, number, **ONCE, **NO_TRACE))

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        return await invoke.open_session(await self._client.get(), agent, version, within)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        return await invoke.ask(await self._client.get(), agent, probe, session, within)

    async def end_session(self, agent: str, session: str) -> None:
        """Delete the session; Foundry answers 204 also where it is gone already."""
        agents = (await self._client.get()).agents
        what = f"delete a session of {agent}"
        await self._calls.send_once(what, lambda: agents.delete_session(agent, session, **ONCE, **NO_TRACE), bool)

    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        return await session_logs.read_session_log(await self._client.get(), agent, version, session, within)

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        return await toolboxes.ensure_toolbox(await self._client.get(), self._calls, self._endpoint, name, tools)

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        return await toolboxes.list_toolbox_versions(await self._client.get(), self._calls, name)

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        client = await self._client.get()
        what = f"delete version {version} of toolbox {name}"
        return await self._delete(what, lambda: client.toolboxes.delete_version(name, version, **ONCE))

    async def has_model(self, agent: str, deployment: str) -> bool:
        client = await self._client.get()
        return await evaluations.has_model(client, self._calls, deployment)

    async def create_evaluation(self, agent: str, version: str, criteria: Sequence[ServiceCriterion]) -> str:
        name = f"slipway {agent} {version}"
        return await evaluations.create_evaluation(await self._client.get(), self._calls, name, criteria)

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        return await evaluations.start_run(await self._client.get(), self._calls, evaluation, name, rows)

    async def find_run(self, evaluation: str, name: str) -> str | None:
        return await evaluations.find_run(await self._client.get(), self._calls, evaluation, name)

    async def get_run(self, evaluation: str, run: str) -> EvaluationRun | None:
        return await evaluations.get_run(await self._client.get(), self._calls, evaluation, run)

    async def delete_evaluation(self, evaluation: str) -> None:
        await evaluations.delete_evaluation(await self._client.get(), self._calls, evaluation)

    async def _delete(self, what: str, send: Callable[[], Awaitable[object]]) -> DeleteResult:
        try:
            await self._calls.send_once(what, send, bool)
        except PermanentError as error:
            if is_not_found(error):
                return DeleteResult.GONE
            if error.status == 409:
                return DeleteResult.SESSIONS_ACTIVE
            raise
        return DeleteResult.DELETED


def _load_client() -> Callable[..., AIProjectClient]:
    from azure.ai.projects.aio import AIProjectClient

    return AIProjectClient


def _ordered(versions: list[Version]) -> list[Version]:
    """Oldest first, names that are not numbers before all; a version that two pages list counts once."""
    return sorted({version.number: version for version in versions}.values(), key=version_number)
