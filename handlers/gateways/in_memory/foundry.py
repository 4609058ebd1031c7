"""Foundry in memory, with the rules of the stand-in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from core.agents_file.spec import Probe
from core.agents_file.warnings import DOCUMENTED_SIZES
from core.definition import definition_parts
from core.foreign_text import ForeignText
from core.model import (
    Agent,
    Answer,
    DefinedVersion,
    Definition,
    Failure,
    Routing,
    SecretValue,
    Status,
    Toolbox,
    Version,
)
from core.prune.toolboxes import ToolboxVersion
from handlers.gateways.clock import Clock
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.clock import NOON
from handlers.gateways.in_memory.evaluations import InMemoryEvaluations
from handlers.gateways.interfaces import DeleteResult
from handlers.redaction import foreign_answer, foreign_failure

DELETED_TOOLBOX = ""
"""Stands in the place of a deleted toolbox version."""


@dataclass
class AgentRecord:
    """One agent with its versions, oldest first."""

    versions: dict[str, Version] = field(default_factory=dict)
    """As created: `InMemoryFoundry.current` says how far one is."""
    definitions: dict[str, Definition] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    enabled: bool = True
    identity: str | None = None
    last_number: int = 0
    versions_in_use: set[str] = field(default_factory=set)
    """Versions with sessions of users."""
    probe_sessions: dict[str, str] = field(default_factory=dict)
    """Session -> the version that it is bound to; a question without a session opens one too."""

    def remove(self, number: str) -> None:
        """Delete a version."""
        self.versions.pop(number, None)
        self.definitions.pop(number, None)


class InMemoryFoundry(InMemoryEvaluations):
    """See the Foundry protocol; the public attributes set up its behaviour and show what was asked of it."""

    def __init__(self, clock: Clock, *, provisioning: float = 20.0, list_lag: float = 0.0) -> None:
        super().__init__(clock)
        self.clock = clock
        self.provisioning = provisioning
        """Seconds until a version is active, or failed."""
        self.list_lag = list_lag
        """Seconds until a list shows a version."""
        self.failures: dict[str, Failure] = {}
        """Part of an image name -> why its versions fail."""
        self.answers: dict[str, str | tuple[str | Answer, str | Answer]] = {}
        """Part of an image name -> its answer to a probe, or two: in a session, and with traffic."""
        self.logs: dict[str, str] = {}
        """Part of an image name -> what its container printed."""
        self.deduplicates_by: Literal["definition", "metadata", "never"] = "definition"
        """The latest version comes back for an identical definition: always, with equal metadata only, or never."""
        self.before_answer: Callable[[], None] = lambda: None
        self.agents: dict[str, AgentRecord] = {}
        self.toolboxes: dict[str, list[str]] = {}
        self.toolbox_created_at = NOON
        self.create_count = 0
        self.probes: list[tuple[str, str, bool]] = []
        """Agent, version and whether it was asked in a session."""
        self._session_numbers = itertools.count(1)

    async def load(self, name: str) -> AgentRecord | None:
        """The agent, if it exists; a subclass may read it from elsewhere first."""
        return self.agents.get(name)

    def current(self, version: Version) -> Version:
        """The version with its status of this moment."""
        if version.failure is not None:
            version = replace(version, failure=foreign_failure(version.failure.code, version.failure.message))
        if version.status is not Status.CREATING:
            return version
        if self.clock.now() < version.created_at + timedelta(seconds=self.provisioning_of(version)):
            return replace(version, failure=None)
        return replace(version, status=Status.FAILED if version.failure else Status.ACTIVE)

    def _dated(self, version: Version) -> Version:
        """The answer to a request for this version: the service says when it gave it."""
        return replace(self.current(version), read_at=self.clock.now().replace(microsecond=0))

    def provisioning_of(self, version: Version) -> float:
        """Seconds until this version is active, or failed."""
        return self.provisioning

    def environment(self, agent: str, number: str) -> dict[str, str]:
        """The environment that the container of a version has, secrets included."""
        variables = self.agents[agent].definitions[number].environment.items()
        return {name: value.reveal() if isinstance(value, SecretValue) else value for name, value in variables}

    async def list_agents(self) -> Sequence[str]:
        return sorted(self.agents)

    async def get_agent(self, name: str) -> Agent | None:
        agent = await self.load(name)
        if agent is None:
            return None
        latest = next(reversed(agent.versions.values()), None)
        return Agent(name, agent.enabled, agent.routing, self.current(latest) if latest else None, agent.identity)

    async def get_version(self, agent: str, number: str) -> Version | None:
        version = (await self._record(agent)).versions.get(number)
        return self._dated(version) if version else None

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        version = await self.get_version(agent, number)
        definition = (await self._record(agent)).definitions.get(number)
        if version is None or definition is None:
            return None
        values = {name: SecretValue(value) for name, value in self.environment(agent, number).items()}
        return DefinedVersion(version, replace(definition, environment=values))

    async def list_versions(self, agent: str) -> Sequence[Version]:
        versions = (await self._record(agent)).versions.values()
        newest = self.clock.now() - timedelta(seconds=self.list_lag)
        return [self.current(version) for version in versions if not self.list_lag or version.created_at <= newest]

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        self.create_count += 1
        if (definition.cpu, definition.memory) not in DOCUMENTED_SIZES:
            raise PermanentError("Foundry", "invalid_request", "a valid resource tier", status=400)
        record = await self.load(agent) or self.agents.setdefault(agent, AgentRecord(identity=f"identity-of-{agent}"))
        existing = self._duplicate(record, definition, metadata)
        if existing is not None:
            return self._dated(existing)
        record.last_number += 1
        version = Version(
            str(record.last_number),
            Status.CREATING,
            self.clock.now().replace(microsecond=0),
            definition.image,
            frozenset(definition.environment),
            dict(metadata),
            next((failure for part, failure in self.failures.items() if part in definition.image), None),
            parts=definition_parts(definition),
        )
        record.versions[version.number], record.definitions[version.number] = version, definition
        return self._dated(version)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        record = await self.load(agent)
        if record is None or any(rule.version not in record.versions for rule in to.rules):
            raise PermanentError("Foundry", "not_found", "no such agent or version", status=404)
        record.routing = to
        return to

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        record = await self._record(agent)
        refusal = self._refusal(record, version)
        if refusal is not None:
            return foreign_answer(refusal)
        return self._new_session(record, version)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        record = await self._record(agent)
        self.before_answer()
        if session is not None and session not in record.probe_sessions:
            return foreign_answer(Answer(404, code="SandboxNotFound"))
        live = record.routing.pinned or next(reversed(record.versions), "")
        number = record.probe_sessions[session] if session else live
        refusal = self._refusal(record, number)
        if refusal is not None:
            return foreign_answer(refusal)
        self.probes.append((agent, number, session is not None))
        image = record.versions[number].image
        texts = next((texts for part, texts in self.answers.items() if part in image), "pong")
        text = texts if isinstance(texts, str) else texts[0 if session else 1]
        answer = text if isinstance(text, Answer) else Answer(200, text, version=number)
        session = session or self._new_session(record, number)
        return foreign_answer(replace(answer, origin=answer.origin or "agent", session=session))

    async def end_session(self, agent: str, session: str) -> None:
        (await self._record(agent)).probe_sessions.pop(session, None)

    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        record = await self._record(agent)
        number = record.probe_sessions.get(session)
        if number is None:
            raise PermanentError("Foundry", "404", "there is no such session", status=404)
        image = record.versions[number].image
        return ForeignText(next((log for part, log in self.logs.items() if part in image), ""))

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        record = await self._record(agent)
        if number not in record.versions:
            return DeleteResult.GONE
        if number in record.versions_in_use or number in record.probe_sessions.values():
            return DeleteResult.SESSIONS_ACTIVE
        record.remove(number)
        return DeleteResult.DELETED

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        versions, wanted = self.toolboxes.setdefault(name, []), json.dumps(list(tools), sort_keys=True)
        if not versions or versions[-1] != wanted:
            versions.append(wanted)
        return Toolbox(name, str(len(versions)), f"https://local/toolboxes/{name}/versions/{len(versions)}/mcp")

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        versions = self.toolboxes.get(name, [])
        numbers = [number for number, tools in enumerate(versions, 1) if tools != DELETED_TOOLBOX]
        return [
            ToolboxVersion(str(number), self.toolbox_created_at, is_ours=True, default=number == numbers[-1])
            for number in numbers
        ]

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        versions, index = self.toolboxes.get(name, []), int(version) - 1
        if index >= len(versions) or versions[index] == DELETED_TOOLBOX:
            return DeleteResult.GONE
        versions[index] = DELETED_TOOLBOX
        return DeleteResult.DELETED

    async def _record(self, name: str) -> AgentRecord:
        """The agent, or an empty record that nobody keeps."""
        return await self.load(name) or AgentRecord()

    def _duplicate(self, record: AgentRecord, definition: Definition, metadata: Mapping[str, str]) -> Version | None:
        latest = next(reversed(record.versions.values()), None)
        if latest is None or self.deduplicates_by == "never" or record.definitions.get(latest.number) != definition:
            return None
        return None if self.deduplicates_by == "metadata" and latest.metadata != metadata else latest

    def _new_session(self, record: AgentRecord, version: str) -> str:
        session = f"session-{next(self._session_numbers)}"
        record.probe_sessions[session] = version
        return session

    def _refusal(self, record: AgentRecord, number: str) -> Answer | None:
        """What the service answers in place of a version that does not run."""
        version = record.versions.get(number)
        status = self.current(version).status if version else None
        if status is None:
            return Answer(404, code="not_found")
        if status is Status.CREATING:
            return Answer(400, code="agent_version_not_ready")
        return Answer(424, code="AgentVersionProvisioningFailed") if status is Status.FAILED else None
