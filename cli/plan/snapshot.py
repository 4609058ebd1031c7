"""A snapshot: all that a plan reads, at one moment, as a file; ``slipway snapshot`` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.concurrency import read_each, reading
from cli.exit_codes import UsageError
from cli.plan.assumptions import Assumptions
from cli.runner import CommandContext, CommandResult
from core.agents_file.spec import SecretRef
from core.image_manifest import ImageFacts, RegistryTag
from core.model import (
    UNKNOWN_TIME,
    Agent,
    DefinedVersion,
    Definition,
    Secret,
    SecretUnavailable,
    SecretValue,
    SecretVersion,
    Version,
)
from core.prune.toolboxes import ToolboxVersion
from core.secret_versions import starts_later, version_in_force
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.target import DEFAULT_PROJECT, agent_of, project_of, target_of
from handlers.agent_states import read_state
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import EndsListing
from handlers.redaction import redact
from handlers.vault import read_secret

WORDS_OF_SERVICES = frozenset({"message"})
"""Of a version's failure: its container may have printed a secret that nobody may read any more."""
FREE_TEXTS = frozenset({"detail", "why", "event_id", *WORDS_OF_SERVICES})
MAX_READ_VERSIONS = 10
"""The newest versions, read one by one: the status in a list may be stale."""


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent in state store and Foundry."""

    desired: DesiredState = field(default_factory=DesiredState)
    release: ReleaseState = field(default_factory=ReleaseState)
    agent: Agent | None = None
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a plan reads; for missing entries the plan makes assumptions and lists them."""

    at: datetime | None = None
    registry: str = ""
    login_server: str = ""
    project: str = ""
    """The Foundry project's endpoint; toolbox URLs begin with it."""
    agents: Mapping[str, AgentEntry] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Name, or name@project in a project's own vault -> its newest version, or missing, disabled, forbidden."""
    toolboxes: Mapping[str, str] = field(default_factory=dict)
    """Name -> its newest version."""
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    tags: Mapping[str, tuple[RegistryTag, ...]] = field(default_factory=dict)


def read_snapshot(file: Path) -> Snapshot:
    """Return the snapshot of a file; raise UsageError with the position of an error."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Snapshot).validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        position = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{file}: {position}: {first['msg']}; `slipway snapshot` writes a valid file") from None


async def take_snapshot(context: CommandContext, agent: str | None) -> CommandResult:
    """Return a snapshot of the current state."""
    names, gateways = context.select_agents(agent), context.gateways
    context.progress.activity = reading(names)
    agents = dict(zip(names, await read_each(names, lambda name: _agent(context, name)), strict=True))
    specs = [context.agents.agents[name] for name in names]
    toolboxes = [spec.toolbox for spec in specs if spec.tools]
    context.progress.activity = "reading the versions of the secrets"
    released = {
        _secret_key(context, name, target): version
        for target, entry in agents.items()
        for name, version in entry.release.secrets.items()
    }
    refs = ((spec.name, value) for spec in specs for value in spec.env.values() if isinstance(value, SecretRef))
    users = {_secret_key(context, ref.secret, target): target for target, ref in refs}
    secrets = {key: await _secret_version(context, key, users[key], released) for key in sorted(users)}
    context.progress.activity = "listing the newest tags"
    repositories = sorted({spec.repository for spec in specs})

    async def recent_tags(repository: str) -> tuple[RegistryTag, ...]:
        return tuple(await gateways.registry.recent_tags(repository, ""))

    snapshot = Snapshot(
        at=gateways.clock.now(),
        registry=context.settings.registry_name,
        login_server=context.settings.registry_login_server,
        project=context.settings.foundry_project_endpoint,
        agents=agents,
        secrets=secrets,
        toolboxes={toolbox: await _toolbox_version(context, toolbox) for toolbox in toolboxes},
        images={digest: facts for entry in agents.values() for digest, facts in entry.release.image_facts.items()},
        tags=dict(zip(repositories, await read_each(repositories, recent_tags), strict=True)),
    )
    from pydantic import TypeAdapter

    data = _without_secrets(TypeAdapter(Snapshot).dump_python(snapshot, mode="json"))
    return CommandResult("", data, is_exact=True)


def _without_secrets(data: Any, name: str = "") -> Any:
    """Return the data with its free texts redacted, and without what services said: a plan decides on none of them.

    Tags, digests and metadata stay as they are: a plan compares them.
    """
    if isinstance(data, dict):
        return {key: _without_secrets(value, key) for key, value in data.items()}
    if isinstance(data, list):
        return [_without_secrets(item, name) for item in data]
    if not isinstance(data, str) or name not in FREE_TEXTS:
        return data
    return "" if name in WORDS_OF_SERVICES else redact(data)


async def _toolbox_version(context: CommandContext, name: str) -> str:
    versions = await context.gateways.foundry.list_toolbox_versions(name)
    return max((version.version for version in versions), key=int, default="1")


async def _agent(context: CommandContext, name: str) -> AgentEntry:
    foundry, states = context.gateways.foundry, read_state(name, context.gateways.state_store)
    (desired, release), (agent, versions) = await gather_two(
        states, gather_two(foundry.get_agent(name), foundry.list_versions(name))
    )
    older, newest = versions[:-MAX_READ_VERSIONS], versions[-MAX_READ_VERSIONS:]
    read = await read_each((version.number for version in newest), lambda number: foundry.get_version(name, number))
    return AgentEntry(desired, release, agent, (*older, *(version for version in read if version is not None)))


def _secret_key(context: CommandContext, name: str, target: str) -> str:
    """Return the name of a target's secret, with the project if that has a vault of its own."""
    return target_of(name, project_of(target)) if context.agents.vault_of(target) else name


async def _secret_version(context: CommandContext, key: str, target: str, released: Mapping[str, str]) -> str:
    """Return the id of the newest valid version; if this user may not read it, the last released one."""
    vault, now, name = context.gateways.vault_of(target), context.gateways.clock.now(), agent_of(key)
    try:
        secret = await read_secret(vault, name)
        is_later = isinstance(secret, Secret) and starts_later(secret, now)
        used = version_in_force(await vault.list_secret_versions(name), now) if is_later else None
    except GatewayError:
        return released.get(key, SecretUnavailable.FORBIDDEN.value)
    if isinstance(secret, Secret):
        return used.version if used else secret.version
    return released.get(key, secret.value) if secret is SecretUnavailable.FORBIDDEN else secret.value


class SnapshotGateways:
    """The gateways that a plan reads, over a snapshot: state store, Foundry, Key Vault and registry in one.

    ``project``: that whose vault this is.
    """

    def __init__(self, snapshot: Snapshot, assumptions: Assumptions, project: str = DEFAULT_PROJECT) -> None:
        self._snapshot, self._project = snapshot, project
        self._assumptions = assumptions

    def _entry(self, agent: str) -> AgentEntry:
        return self._snapshot.agents.get(agent, AgentEntry())

    async def get_desired(self, agent: str) -> DesiredState:
        """Return it from the snapshot."""
        return self._entry(agent).desired

    async def get_release(self, agent: str) -> ReleaseState:
        """Return it from the snapshot."""
        return self._entry(agent).release

    async def get_agent(self, name: str) -> Agent | None:
        """Return it from the snapshot."""
        return self._entry(name).agent

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """Return them from the snapshot."""
        return self._entry(agent).versions

    async def get_version(self, agent: str, number: str) -> Version | None:
        """Return it from the snapshot."""
        return next((version for version in self._entry(agent).versions if version.number == number), None)

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        """Return the version with a definition that a create accepts; a snapshot does not record definitions."""
        version = await self.get_version(agent, number)
        if version is None:
            return None
        self._assumptions.add("definition_unchanged", version=number)
        values = dict.fromkeys(version.variables, SecretValue(""))
        return DefinedVersion(version, Definition(version.image, "1", "2Gi", (), values))

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """Return the newest version; a plan needs no other."""
        newest = self._snapshot.toolboxes.get(name)
        return (ToolboxVersion(newest, UNKNOWN_TIME, is_ours=True),) if newest else ()

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """Return the recorded version without a value; FORBIDDEN if the snapshot lacks it."""
        recorded = self._snapshot.secrets.get(target_of(name, self._project), SecretUnavailable.FORBIDDEN.value)
        if recorded in {reason.value for reason in SecretUnavailable}:
            return SecretUnavailable(recorded)
        return Secret(name, version or recorded, SecretValue(""))

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        """Return none: a snapshot records only the newest version."""
        return ()

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Assume those of what serves: a snapshot does not record the secrets' tags."""
        entries = (entry for target, entry in self._snapshot.agents.items() if agent_of(target) == agent)
        good = next((entry.release.last_good for entry in entries if entry.release.last_good), None)
        if good is None or not good.tagged:
            self._assumptions.add("no_tagged_secret")
            return {}
        self._assumptions.add("secret_tags_unchanged")
        return {variable: item.secret for variable, item in good.tagged.items()}

    async def inspect(self, repository: str, digest: str) -> ImageFacts:
        """Return it from the snapshot; if the snapshot lacks it, assume an image that runs."""
        if digest not in self._snapshot.images:
            self._assumptions.add("images_run")
        return self._snapshot.images.get(digest, ImageFacts(amd64=digest))

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        """Return them from the snapshot."""
        return self._snapshot.tags.get(repository, ())

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        """Return those of the snapshot."""
        return await self.list_tags(repository)
