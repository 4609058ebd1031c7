"""Foundry in several projects: each call goes to the project of its target, with the agent's name there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from core.agents_file.spec import Probe
from core.evaluation import EvaluationRun, ServiceCriterion
from core.model import Agent, Answer, DefinedVersion, Definition, Routing, Toolbox, Version
from core.prune.toolboxes import ToolboxVersion
from core.target import DEFAULT_PROJECT, agent_of, project_of, target_of
from handlers.concurrency import gather_all
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.errors import SERVICE
from handlers.gateways.interfaces import DeleteResult, Foundry


class ProjectClient(Foundry, Protocol):
    """Foundry in one project, by the names of agents there."""

    async def close(self) -> None:
        """Close the connections."""


class FoundryProjects:
    """See the Foundry protocol. ``endpoints`` says where the projects are now; ``connect`` makes a client for one."""

    def __init__(
        self,
        default: ProjectClient,
        endpoints: Callable[[], Mapping[str, str]],
        connect: Callable[[str, str], ProjectClient],
    ) -> None:
        self._default, self._endpoints, self._connect = default, endpoints, connect
        self._connected: dict[tuple[str, str], ProjectClient] = {}

    async def close(self) -> None:
        """Close the connections to every project."""
        await gather_all([foundry.close() for foundry in (self._default, *self._connected.values())])

    def _at(self, project: str, target: str = "") -> ProjectClient:
        if project == DEFAULT_PROJECT:
            return self._default
        endpoint = self._endpoints().get(project)
        if endpoint is None:
            # transient: a release that is under way goes on once the project is in the file again
            raise TransientError(SERVICE, "PROJECT_UNKNOWN", f"read {target}: agents.yaml has no project {project}")
        key = (project, endpoint)
        if key not in self._connected:
            self._connected[key] = self._connect(*key)
        return self._connected[key]

    def _of(self, target: str) -> tuple[ProjectClient, str]:
        return self._at(project_of(target), target), agent_of(target)

    async def list_agents(self) -> Sequence[str]:
        projects = (DEFAULT_PROJECT, *self._endpoints())
        found = await gather_all([self._at(project).list_agents() for project in projects])
        return sorted(
            target_of(name, project) for project, names in zip(projects, found, strict=True) for name in names
        )

    async def get_agent(self, name: str) -> Agent | None:
        foundry, agent = self._of(name)
        return await foundry.get_agent(agent)

    async def get_version(self, agent: str, number: str) -> Version | None:
        foundry, name = self._of(agent)
        return await foundry.get_version(name, number)

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        foundry, name = self._of(agent)
        return await foundry.get_definition(name, number)

    async def list_versions(self, agent: str) -> Sequence[Version]:
        foundry, name = self._of(agent)
        return await foundry.list_versions(name)

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        foundry, name = self._of(agent)
        return await foundry.create_version(name, definition, metadata)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        foundry, name = self._of(agent)
        return await foundry.set_routing(name, to)

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        foundry, name = self._of(agent)
        return await foundry.delete_version(name, number)

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        foundry, name = self._of(agent)
        return await foundry.open_session(name, version, within)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        foundry, name = self._of(agent)
        return await foundry.ask(name, probe, session, within)

    async def end_session(self, agent: str, session: str) -> None:
        foundry, name = self._of(agent)
        await foundry.end_session(name, session)

    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        foundry, name = self._of(agent)
        return await foundry.session_log(name, version, session, within)

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        foundry, toolbox = self._of(name)
        return await foundry.ensure_toolbox(toolbox, tools)

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        foundry, toolbox = self._of(name)
        return await foundry.list_toolbox_versions(toolbox)

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        foundry, toolbox = self._of(name)
        return await foundry.delete_toolbox_version(toolbox, version)

    async def has_model(self, agent: str, deployment: str) -> bool:
        foundry, name = self._of(agent)
        return await foundry.has_model(name, deployment)

    async def create_evaluation(self, agent: str, version: str, criteria: Sequence[ServiceCriterion]) -> str:
        """The id names the project as a target does, so that rows and answers stay in the agent's project."""
        foundry, name = self._of(agent)
        return target_of(await foundry.create_evaluation(name, version, criteria), project_of(agent))

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        foundry, key = self._of(evaluation)
        return await foundry.start_run(key, name, rows)

    async def find_run(self, evaluation: str, name: str) -> str | None:
        foundry, key = self._of(evaluation)
        return await foundry.find_run(key, name)

    async def get_run(self, evaluation: str, run: str) -> EvaluationRun | None:
        foundry, key = self._of(evaluation)
        return await foundry.get_run(key, run)

    async def delete_evaluation(self, evaluation: str) -> None:
        foundry, key = self._of(evaluation)
        await foundry.delete_evaluation(key)
