"""Foundry in memory: the same rules as the stand-in, in our words, without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core.model import Agent, Definition, Failure, Routing, SecretValue, Status, Toolbox, Version
from handlers.gateways import Clock, Deleted, PermanentError


@dataclass
class _Agent:
    versions: dict[str, Version] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    enabled: bool = True
    highest: int = 0
    sessions: set[str] = field(default_factory=set)


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
        self.values: dict[tuple[str, str], Mapping[str, str]] = {}
        """Agent and version -> environment as the container has it."""
        self.creates = 0

    async def agent(self, name: str) -> Agent | None:
        found = self.agents.get(name)
        if found is None:
            return None
        latest = next(reversed(found.versions.values()), None)
        return Agent(name, found.enabled, found.routing, self._now(latest) if latest else None, f"identity-of-{name}")

    async def version(self, agent: str, number: str) -> Version | None:
        found = self.agents.get(agent, _Agent()).versions.get(number)
        return self._now(found) if found else None

    async def versions(self, agent: str) -> Sequence[Version]:
        seen_until = self.clock.now() - timedelta(seconds=self.list_lag)
        found = self.agents.get(agent, _Agent()).versions.values()
        return [self._now(version) for version in found if version.created_at <= seen_until]

    async def create(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        self.creates += 1
        if (definition.cpu, definition.memory) not in {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}:
            raise PermanentError("Foundry", "invalid_request", "a valid resource tier", status=400)
        found = self.agents.setdefault(agent, _Agent())
        canonical, plain = _canonical(definition), _plain(definition)
        for number, known in found.definitions.items():
            if known == canonical:
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

    async def route(self, agent: str, version: str) -> Routing:
        found = self.agents.get(agent)
        if found is None or version not in found.versions:
            raise PermanentError("Foundry", "not_found", "no such agent or version", status=404)
        found.routing = Routing.to(version)
        return found.routing

    async def delete(self, agent: str, number: str) -> Deleted:
        found = self.agents.get(agent, _Agent())
        if number not in found.versions:
            return Deleted.GONE
        if number in found.sessions:
            return Deleted.SESSIONS_ACTIVE
        del found.versions[number], found.definitions[number]
        return Deleted.DELETED

    async def toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        versions, wanted = self.toolboxes.setdefault(name, []), json.dumps(list(tools), sort_keys=True)
        if not versions or versions[-1] != wanted:
            versions.append(wanted)
        return Toolbox(name, str(len(versions)), f"https://local/toolboxes/{name}/versions/{len(versions)}/mcp")

    def _now(self, version: Version) -> Version:
        """The version with its status of this moment."""
        if self.clock.now() < version.created_at + timedelta(seconds=self.provisioning):
            return replace(version, status=Status.CREATING, failure=None)
        return replace(version, status=Status.FAILED if version.failure else Status.ACTIVE)


def _plain(definition: Definition) -> dict[str, str]:
    return {k: v.reveal() if isinstance(v, SecretValue) else v for k, v in definition.environment.items()}


def _canonical(definition: Definition) -> str:
    return json.dumps([definition.image, definition.cpu, definition.memory, definition.protocols, _plain(definition)])
