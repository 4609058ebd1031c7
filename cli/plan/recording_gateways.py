"""Gateways for a plan: they read from a source, and keep in memory what the handlers write.

The real handlers make the plan with them. What nobody can read, or was never asked of a service, is assumed and listed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cli.plan.assumptions import Assumptions
from core.agents_file.spec import Probe
from core.image_manifest import ImageFacts, RegistryTag
from core.model import (
    Agent,
    Answer,
    DefinedVersion,
    Push,
    Secret,
    SecretUnavailable,
    SecretValue,
    SecretVersion,
    Status,
    Toolbox,
    Version,
)
from core.prune.toolboxes import ToolboxVersion
from core.signatures import SignatureBundle
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.target import DEFAULT_PROJECT, project_of
from handlers.agent_states import read_state
from handlers.concurrency import gather_two
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import AgentRecord, InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue, Message
from handlers.gateways.in_memory.state_store import InMemoryStateStore, ReleaseRecord
from handlers.gateways.interfaces import EndsListing, Foundry, Gateways, KeyVault, Registry, StateStore

ASSUMED_ANSWER = "assumed"
ASSUMED_VERSION = "assumed"


@dataclass(frozen=True, slots=True)
class Source:
    """The gateways that a plan reads."""

    state_store: StateStore
    foundry: Foundry
    vault_of: Callable[[str], KeyVault]
    """The vault of a project."""
    registry: Registry


@dataclass(frozen=True, slots=True)
class PlanGateways(Gateways):
    """The gateways that a plan gives to the handlers."""

    clock: ManualClock
    journal: InMemoryJournal
    release_queue: PlanQueue
    registry: PlanRegistry


class PlanStateStore(InMemoryStateStore):
    """A state store that begins with the states of the source."""

    def __init__(self, clock: Clock, source: StateStore) -> None:
        super().__init__(clock)
        self._source = source
        self._loaded: set[str] = set()

    async def load(self, agent: str) -> None:
        """Read an agent's states the first time."""
        if agent in self._loaded:
            return
        desired, release = await read_state(agent, self._source)
        if desired != DesiredState():
            self.desired.setdefault(agent, desired)
        if release != ReleaseState():
            self.releases.setdefault(agent, ReleaseRecord(release))
        self._loaded.add(agent)


class PlanFoundry(InMemoryFoundry):
    """A Foundry that begins with the agents of the source; new versions are active at once."""

    def __init__(self, clock: Clock, source: Foundry, project: str, assumptions: Assumptions) -> None:
        super().__init__(clock, provisioning=0)
        self.answers[""] = ASSUMED_ANSWER  # every image name contains it
        self._source, self._project, self._assumptions = source, project, assumptions
        self._loaded: set[str] = set()

    async def load(self, name: str) -> AgentRecord | None:
        """Read an agent and its versions the first time."""
        if name not in self._loaded:
            agent, versions = await gather_two(self._source.get_agent(name), self._source.list_versions(name))
            if agent is not None:
                self.agents.setdefault(name, _record(agent, versions))
            self._loaded.add(name)
        return self.agents.get(name)

    def current(self, version: Version) -> Version:
        """Assume that a version becomes active."""
        if version.status is Status.CREATING:
            self._assumptions.add("version_becomes_active", version=version.number)
        return super().current(version)

    async def get_version(self, agent: str, number: str) -> Version | None:
        """Read a version that the plan did not create: its status in a list may be stale."""
        record = await self.load(agent)
        if record and number in record.versions.keys() - record.definitions.keys():
            version = await self._source.get_version(agent, number)
            if version is None:
                record.remove(number)
            else:
                record.versions[number] = version
        return await super().get_version(agent, number)

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        """Read the definition of a version that the plan did not create."""
        found = await super().get_definition(agent, number)
        return found or await self._source.get_definition(agent, number)

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        """Assume the answer that the probe expects."""
        self._assumptions.add("agent_answers_as_expected")
        answer = await super().ask(agent, probe, session, within)
        return replace(answer, status=probe.status) if answer.status == 200 else answer

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """Assume that the newest version has these tools."""
        versions = await self.list_toolbox_versions(name)
        number = max((toolbox.version for toolbox in versions), key=int, default="1")
        self._assumptions.add("toolbox_version", name, number)
        return Toolbox(name, number, f"{self._project}/toolboxes/{name}/versions/{number}/mcp?api-version=v1")

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """Read them; a plan creates none."""
        return await self._source.list_toolbox_versions(name)


def _record(agent: Agent, versions: Sequence[Version]) -> AgentRecord:
    known = {version.number: version for version in (*versions, *([agent.latest] if agent.latest else []))}
    last = max((int(number) for number in known if number.isdecimal()), default=0)
    return AgentRecord(known, {}, agent.routing, agent.enabled, agent.identity, last)


class PlanKeyVault:
    """The vault of a project; where this user may not read a secret, its last released version there is assumed."""

    def __init__(self, project: str, source: KeyVault, state_store: PlanStateStore, assumptions: Assumptions) -> None:
        self._project, self._source = project, source
        self._state_store, self._assumptions = state_store, assumptions

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """Read it; a plan needs only its version."""
        try:
            secret = await self._source.get_secret(name, version)
        except GatewayError:
            secret = SecretUnavailable.FORBIDDEN
        if secret is not SecretUnavailable.FORBIDDEN:
            return secret
        self._assumptions.add("secret_exists", name)
        records = self._state_store.releases.items()
        states = (record.state.secrets for target, record in records if project_of(target) == self._project)
        released = next((secrets[name] for secrets in states if name in secrets), ASSUMED_VERSION)
        return Secret(name, version or released, SecretValue(""))

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        """Read them."""
        return await self._source.list_secret_versions(name)

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Read them."""
        return await self._source.tagged_secrets(agent)


class PlanRegistry:
    """The registry of the source, as it is after the pushes that a plan imagines."""

    def __init__(self, source: Registry) -> None:
        self._source = source
        self._imagined: dict[str, dict[str, RegistryTag]] = {}

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """Read it."""
        return await self._source.inspect(repository, digest)

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        """Read them."""
        return await self._source.list_children(repository, digest)

    async def list_signatures(self, repository: str, digest: str) -> Sequence[SignatureBundle]:
        """Read them."""
        return await self._source.list_signatures(repository, digest)

    async def has_referrers_api(self, repository: str, digest: str) -> bool:
        """Ask it."""
        return await self._source.has_referrers_api(repository, digest)

    def imagine(self, push: Push) -> None:
        """Let the push's tag name its digest."""
        tag = RegistryTag(push.tag, push.digest, push.pushed_at)
        self._imagined.setdefault(push.repository, {})[push.tag] = tag

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        """Read them."""
        return self._with_imagined(repository, await self._source.list_tags(repository, is_enough))

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        """Read them."""
        return self._with_imagined(repository, await self._source.recent_tags(repository, tag))

    def _with_imagined(self, repository: str, tags: Sequence[RegistryTag]) -> Sequence[RegistryTag]:
        imagined = self._imagined.get(repository, {})
        return [*imagined.values(), *(tag for tag in tags if tag.tag not in imagined)]


class PlanQueue(InMemoryReleaseQueue):
    """A queue without waiting."""

    def take_earliest(self) -> Message | None:
        """Take the earliest message, due or not; drop the others of its agent, which would find nothing left to do."""
        if not self.waiting:
            return None
        message = self.waiting[0]
        self.waiting = [other for other in self.waiting if other.agent != message.agent]
        heapq.heapify(self.waiting)
        return message


def recording_gateways(source: Source, clock: ManualClock, project: str, assumptions: Assumptions) -> PlanGateways:
    """Return gateways that read from the source and write nowhere."""
    state_store = PlanStateStore(clock, source.state_store)

    def vault_of(name: str) -> PlanKeyVault:
        return PlanKeyVault(name, source.vault_of(name), state_store, assumptions)

    return PlanGateways(
        foundry=PlanFoundry(clock, source.foundry, project, assumptions),
        key_vault=vault_of(DEFAULT_PROJECT),
        project_vault=vault_of,
        state_store=state_store,
        journal=InMemoryJournal(),
        release_queue=PlanQueue(clock),
        clock=clock,
        registry=PlanRegistry(source.registry),
    )
