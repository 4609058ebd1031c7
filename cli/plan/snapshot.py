"""A world as a file: what was wanted, done, there and known at one moment; `slipway snapshot` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from cli.codes import Mistake
from cli.many import each, reading
from cli.running import Answer, House
from core.agents_file.spec import SecretRef
from core.image_manifest import ImageFacts, RegistryTag
from core.model import NO_TIME, Agent, Secret, SecretValue, Unreadable, Version
from core.prune.toolboxes import ToolboxVersion
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError

TAGS = 50
"""Of each repository, the newest."""
READ = 10
"""The newest versions, read one by one: a list's status is not to be trusted."""


@dataclass(frozen=True, slots=True)
class AgentWorld:
    """One agent in ledger and Foundry."""

    desired: DesiredState = field(default_factory=DesiredState)
    release: ReleaseState = field(default_factory=ReleaseState)
    agent: Agent | None = None
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a plan reads; what is left out is assumed, and said to be."""

    at: datetime | None = None
    registry: str = ""
    login_server: str = ""
    project: str = ""
    """The Foundry project's address, which a toolbox's begins with."""
    agents: Mapping[str, AgentWorld] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Name -> the id of its newest version, or missing, disabled, forbidden; never a value."""
    toolboxes: Mapping[str, str] = field(default_factory=dict)
    """Name -> its newest version."""
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    tags: Mapping[str, tuple[RegistryTag, ...]] = field(default_factory=dict)


def read(file: Path) -> World:
    """The world of a file; a mistake says where it is."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(World).validate_json(file.read_bytes())
    except OSError as error:
        raise Mistake(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Mistake(f"{file}: {where}: {first['msg']}; `slipway snapshot` writes one that is right") from None


async def record(house: House, agent: str | None) -> Answer:
    """The world of now."""
    names, gateways = house.named(agent), house.gateways
    house.progress.what = reading(names)
    agents = dict(zip(names, await each(names, lambda name: _agent(house, name)), strict=True))
    rules = [house.agents.agents[name] for name in names]
    refs = {value.secret for rule in rules for value in rule.env.values() if isinstance(value, SecretRef)}
    house.progress.what = "reading which versions the secrets have"
    noted = {name: version for one in agents.values() for name, version in one.release.secrets.items()}
    secrets = {name: await _secret(house, name, noted) for name in sorted(refs)}
    house.progress.what = "listing the newest tags"
    tags = {rule.repository: tuple(islice(await gateways.registry.list_tags(rule.repository), TAGS)) for rule in rules}
    images = {digest: facts for one in agents.values() for digest, facts in one.release.image_facts.items()}
    made = World(
        at=gateways.clock.now(),
        registry=house.settings.registry_name,
        login_server=house.settings.registry_login_server,
        project=house.settings.foundry_project_endpoint,
        agents=agents,
        secrets=secrets,
        toolboxes={f"{rule.name}-tools": await _toolbox(house, f"{rule.name}-tools") for rule in rules if rule.tools},
        images=images,
        tags=tags,
    )
    from pydantic import TypeAdapter

    return Answer("", TypeAdapter(World).dump_python(made, mode="json"))


async def _toolbox(house: House, name: str) -> str:
    there = await house.gateways.foundry.list_toolbox_versions(name)
    return max((one.version for one in there), key=int, default="1")


async def _agent(house: House, name: str) -> AgentWorld:
    ledger, foundry = house.gateways.state_store, house.gateways.foundry
    records = gather_two(ledger.get_desired(name), ledger.get_release(name))
    (desired, kept), (agent, versions) = await gather_two(
        records, gather_two(foundry.get_agent(name), foundry.list_versions(name))
    )
    newest = await each([one.number for one in versions[-READ:]], lambda number: foundry.get_version(name, number))
    return AgentWorld(desired, kept, agent, (*versions[:-READ], *(one for one in newest if one is not None)))


async def _secret(house: House, name: str, noted: Mapping[str, str]) -> str:
    """The newest version's id; where this person may not read it, the one that was last released."""
    try:
        found = await house.gateways.key_vault.get_secret(name, None)
    except GatewayError:
        return noted.get(name, Unreadable.FORBIDDEN.value)
    if found is Unreadable.FORBIDDEN:
        return noted.get(name, found.value)
    return found.version if isinstance(found, Secret) else found.value


class Recorded:
    """A recorded world as the gateways that a plan reads: ledger, Foundry, Key Vault and registry in one."""

    assumes = True
    """What the file does not name is taken for granted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _of(self, agent: str) -> AgentWorld:
        return self._world.agents.get(agent, AgentWorld())

    async def get_desired(self, agent: str) -> DesiredState:
        """From the file."""
        return self._of(agent).desired

    async def get_release(self, agent: str) -> ReleaseState:
        """From the file."""
        return self._of(agent).release

    async def get_agent(self, name: str) -> Agent | None:
        """From the file."""
        return self._of(name).agent

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """From the file."""
        return self._of(agent).versions

    async def get_version(self, agent: str, number: str) -> Version | None:
        """From the file."""
        return next((one for one in self._of(agent).versions if one.number == number), None)

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """The newest, which is all that a plan looks at."""
        newest = self._world.toolboxes.get(name)
        return (ToolboxVersion(newest, NO_TIME, is_ours=True),) if newest else ()

    async def get_secret(self, name: str, version: str | None) -> Secret | Unreadable | None:
        """The recorded version without a value; None where the file does not say."""
        told = self._world.secrets.get(name)
        if told in {one.value for one in Unreadable}:
            return Unreadable(told)
        return Secret(name, version or told, SecretValue("")) if told else None

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Not recorded."""
        return {}

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """From the file; None where it does not say."""
        return self._world.images.get(digest)

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        """From the file."""
        return self._world.tags.get(repository, ())
