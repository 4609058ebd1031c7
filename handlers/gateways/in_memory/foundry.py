"""Foundry in memory: the same rules as the stand-in, in our words, without a socket."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from core.agents_file.spec import Probe
from core.model import (
    Agent,
    Answer,
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
from handlers.gateways.interfaces import Deleted

GONE = ""
"""What is left of a deleted toolbox version."""


@dataclass
class _Agent:
    versions: dict[str, Version] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    enabled: bool = True
    highest: int = 0
    sessions: set[str] = field(default_factory=set)
    asking: dict[str, str] = field(default_factory=dict)
    """Open session -> the version that it is bound to."""


class FakeFoundry:
    """See the Foundry protocol; what is public besides is how a test arranges the world."""

    def __init__(self, clock: Clock, *, provisioning: float = 20.0, list_lag: float = 0.0) -> None:
        self.clock = clock
        self.provisioning = provisioning
        self.list_lag = list_lag
        self.failing: dict[str, Failure] = {}
        """Part of an image -> why it fails."""
        self.agents: dict[str, _Agent] = {}
        self.toolboxes: dict[str, list[str]] = {}
        self.toolbox_made = datetime(2026, 11, 24, 12, tzinfo=UTC)
        """When every toolbox version was made."""
        self.values: dict[tuple[str, str], Mapping[str, str]] = {}
        """Agent and version -> environment as the container has it."""
        self.creates = 0
        self.same = "definition"
        """What makes a version identical to an earlier one: its definition, that and its metadata, or never."""
        self.answers: dict[str, str | tuple[str | Answer, str | Answer]] = {}
        """Part of an image -> what it answers; two answers: before it has traffic, and with it."""
        self.asked: list[tuple[str, str, bool]] = []
        """Agent, version and whether it was asked before it had traffic."""
        self.while_asked: Callable[[], None] = lambda: None
        """What happens in the world before a question is answered."""
        self._sessions = itertools.count(1)

    async def get_agent(self, name: str) -> Agent | None:
        found = self.agents.get(name)
        if found is None:
            return None
        latest = next(reversed(found.versions.values()), None)
        return Agent(name, found.enabled, found.routing, self._now(latest) if latest else None, f"identity-of-{name}")

    async def get_version(self, agent: str, number: str) -> Version | None:
        found = self.agents.get(agent, _Agent()).versions.get(number)
        return self._now(found) if found else None

    async def list_versions(self, agent: str) -> Sequence[Version]:
        seen_until = self.clock.now() - timedelta(seconds=self.list_lag)
        found = self.agents.get(agent, _Agent()).versions.values()
        return [self._now(version) for version in found if version.created_at <= seen_until]

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        self.creates += 1
        if (definition.cpu, definition.memory) not in {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}:
            raise PermanentError("Foundry", "invalid_request", "a valid resource tier", status=400)
        found = self.agents.setdefault(agent, _Agent())
        canonical, plain = _canonical(definition), _plain(definition)
        if self.same == "metadata":
            canonical += json.dumps(dict(metadata), sort_keys=True)
        for number, known in found.definitions.items():
            if known == canonical and self.same != "never":
                return self._now(found.versions[number])
        found.highest += 1
        made = Version(
            str(found.highest),
            Status.CREATING,
            self.clock.now().replace(microsecond=0),
            definition.image,
            frozenset(plain),
            dict(metadata),
            next((why for part, why in self.failing.items() if part in definition.image), None),
        )
        found.versions[made.number], found.definitions[made.number] = made, canonical
        self.values[agent, made.number] = plain
        return self._now(made)

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        found = self.agents.get(agent)
        if found is None or any(rule.version not in found.versions for rule in to.rules):
            raise PermanentError("Foundry", "not_found", "no such agent or version", status=404)
        found.routing = to
        return found.routing

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        found = self.agents.get(agent, _Agent())
        asked = found.versions.get(version)
        refused = _not_ready(self._now(asked) if asked else None)
        if refused is not None:
            return refused
        name = f"session-{next(self._sessions)}"
        found.asking[name] = version
        return name

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        found = self.agents.get(agent, _Agent())
        self.while_asked()
        if session is not None and session not in found.asking:
            return Answer(404, code="SandboxNotFound")
        number = found.asking[session] if session else self._serving(found)
        version = found.versions.get(number or "")
        refused = _not_ready(self._now(version) if version else None)
        if refused is not None or version is None:
            return refused or Answer(404, code="not_found")
        self.asked.append((agent, version.number, session is not None))
        told = next((one for part, one in self.answers.items() if part in version.image), "pong")
        said = told if isinstance(told, str) else told[0 if session else 1]
        return said if isinstance(said, Answer) else Answer(200, said, version=version.number)

    def _serving(self, found: _Agent) -> str | None:
        return found.routing.pinned or next(reversed(found.versions), None)

    async def end_session(self, agent: str, session: str) -> None:
        self.agents.get(agent, _Agent()).asking.pop(session, None)

    async def delete_version(self, agent: str, number: str) -> Deleted:
        found = self.agents.get(agent, _Agent())
        if number not in found.versions:
            return Deleted.GONE
        if number in found.sessions or number in found.asking.values():
            return Deleted.SESSIONS_ACTIVE
        del found.versions[number], found.definitions[number]
        return Deleted.DELETED

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        versions, desired = self.toolboxes.setdefault(name, []), json.dumps(list(tools), sort_keys=True)
        if not versions or versions[-1] != desired:
            versions.append(desired)
        return Toolbox(name, str(len(versions)), f"https://local/toolboxes/{name}/versions/{len(versions)}/mcp")

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        left = self.toolboxes.get(name, [])
        numbers = [number for number, tools in enumerate(left, 1) if tools != GONE]
        return [
            ToolboxVersion(str(one), self.toolbox_made, is_ours=True, default=one == numbers[-1]) for one in numbers
        ]

    async def delete_toolbox_version(self, name: str, version: str) -> Deleted:
        left, place = self.toolboxes.get(name, []), int(version) - 1
        if place >= len(left) or left[place] == GONE:
            return Deleted.GONE
        left[place] = GONE
        return Deleted.DELETED

    def _now(self, version: Version) -> Version:
        """The version with its status of this moment."""
        if self.clock.now() < version.created_at + timedelta(seconds=self.provisioning):
            return replace(version, status=Status.CREATING, failure=None)
        return replace(version, status=Status.FAILED if version.failure else Status.ACTIVE)


def _not_ready(version: Version | None) -> Answer | None:
    if version is None:
        return Answer(404, code="not_found")
    if version.status is Status.CREATING:
        return Answer(400, code="AgentVersionNotReady")
    return Answer(424, code="AgentVersionProvisioningFailed") if version.status is Status.FAILED else None


def _plain(definition: Definition) -> dict[str, str]:
    return {k: v.reveal() if isinstance(v, SecretValue) else v for k, v in definition.environment.items()}


def _canonical(definition: Definition) -> str:
    return json.dumps([definition.image, definition.cpu, definition.memory, definition.protocols, _plain(definition)])
