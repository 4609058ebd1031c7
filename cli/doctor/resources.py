"""Finds the resources that the settings name, in the subscriptions that the signed-in user may read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cli import arm_versions
from cli.arm_client import ArmClient, Json
from core.agents_file.spec import Agents
from core.target import DEFAULT_PROJECT
from core.vault_address import vault_address
from handlers.concurrency import gather_all
from handlers.gateways.errors import GatewayError
from handlers.settings import Settings

MAX_CONCURRENT_REQUESTS = 8
KINDS = {
    "registry": ("Microsoft.ContainerRegistry/registries", arm_versions.REGISTRY),
    "account": ("Microsoft.CognitiveServices/accounts", arm_versions.FOUNDRY),
    "vault": ("Microsoft.KeyVault/vaults", arm_versions.KEY_VAULT),
    "storage": ("Microsoft.Storage/storageAccounts", arm_versions.STORAGE),
    "identity": ("Microsoft.ManagedIdentity/userAssignedIdentities", arm_versions.IDENTITY),
}
"""Field of Resources -> type and API version."""
TOPICS = "Microsoft.EventGrid/systemTopics"


@dataclass(frozen=True, slots=True)
class ProjectResources:
    """A Foundry project and its account; None for one that was not found."""

    name: str
    """As checks call it: ``project`` for that of the settings, ``project eu`` for another."""
    account: Json | None = None
    project: Json | None = None


@dataclass
class Resources:
    """The resources that were found; None for one that was not."""

    registry: Json | None = None
    projects: list[ProjectResources] = field(default_factory=list)
    """That of the settings, and those of agents.yaml."""
    vaults: dict[str, Json | None] = field(default_factory=dict)
    """Address in agents.yaml -> the vault; empty for that of the settings."""
    storage: Json | None = None
    identity: Json | None = None
    topics: list[Json] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)

    @property
    def app(self) -> str | None:
        """The principal id of the app's identity."""
        return principal_id(self.identity, "properties")

    def vault_of(self, target: str, agents: Agents) -> str:
        """Return the key in ``vaults`` of a target's vault."""
        address = agents.vault_of(target)
        return address if address in self.vaults else ""

    @property
    def sources(self) -> list[Json]:
        """What sends events: the registry and the vaults."""
        return [source for source in (self.registry, *self.vaults.values()) if source is not None]


def vault_name(address: str) -> str:
    """Return how checks call a vault: ``vault`` for that of the settings."""
    return f"vault {address.removeprefix('https://')}" if address else "vault"


def principal_id(resource: Json | None, key: str = "identity") -> str | None:
    """Return the principal id of a resource's own identity."""
    return str(((resource or {}).get(key) or {}).get("principalId") or "") or None


async def find(
    arm: ArmClient, settings: Settings, agents: Agents, client_id: str | None, subscription: str | None
) -> Resources:
    """Search one subscription, or all that can be read."""
    listed = (
        [{"subscriptionId": subscription}]
        if subscription
        else await arm.list("/subscriptions", arm_versions.SUBSCRIPTIONS)
    )
    found = Resources(subscriptions=[str(item["subscriptionId"]) for item in listed])
    slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def list_in(subscription_id: str, kind: str, version: str) -> list[Json]:
        async with slots:
            return list(await arm.list(f"/subscriptions/{subscription_id}/providers/{kind}", version))

    async def list_all(kind: str, version: str) -> list[Json]:
        pages = await gather_all(list_in(item, kind, version) for item in found.subscriptions)
        return [resource for page in pages for resource in page]

    *listings, topics = await gather_all(
        [*(list_all(*KINDS[kind]) for kind in KINDS), list_all(TOPICS, arm_versions.EVENT_GRID)]
    )
    resources = dict(zip(KINDS, listings, strict=True))
    found.registry = _first(resources["registry"], _registry(settings))
    found.storage = _first(resources["storage"], _storage(settings))
    found.identity = _first(resources["identity"], _identity(client_id))
    own = vault_address(settings.key_vault_url)
    addresses = dict.fromkeys("" if address == own else address for address in ("", *agents.vaults.values()))
    found.vaults = {address: _first(resources["vault"], _vault(address or own)) for address in addresses}
    endpoints = {DEFAULT_PROJECT: settings.foundry_project_endpoint, **agents.projects}
    reads = (_project(name, endpoint, resources["account"], arm) for name, endpoint in endpoints.items())
    found.projects = await gather_all(reads)
    sources = {str(source["id"]).lower() for source in found.sources}
    found.topics = [topic for topic in topics if str(_properties(topic).get("source", "")).lower() in sources]
    return found


async def _project(name: str, endpoint: str, accounts: Iterable[Json], arm: ArmClient) -> ProjectResources:
    """The project at an endpoint; one that may not be read stops no check of another."""
    shown = "project" if name == DEFAULT_PROJECT else f"project {name}"
    account = _first(accounts, _account(endpoint))
    if account is None:
        return ProjectResources(shown)
    path = f"{account['id']}/projects/{endpoint.rstrip('/').rpartition('/')[2]}"
    try:
        return ProjectResources(shown, account, await arm.get(path, arm_versions.FOUNDRY))
    except GatewayError:
        return ProjectResources(shown, account)


Matcher = Callable[[Json], bool]


def _first(resources: Iterable[Json], matches: Matcher) -> Json | None:
    return next((resource for resource in resources if matches(resource)), None)


def _registry(settings: Settings) -> Matcher:
    return lambda resource: str(resource.get("name", "")).lower() == settings.registry_name.lower()


def _account(endpoint: str) -> Matcher:
    host = urlsplit(endpoint).netloc

    def matches(resource: Json) -> bool:
        hosts = [urlsplit(str(url)).netloc for url in (_properties(resource).get("endpoints") or {}).values()]
        return host in hosts or host.split(".")[0] == resource.get("name")

    return matches


def _vault(address: str) -> Matcher:
    return lambda resource: vault_address(str(_properties(resource).get("vaultUri", ""))) == address


def _storage(settings: Settings) -> Matcher:
    host = urlsplit(settings.blob_uri).netloc

    def matches(resource: Json) -> bool:
        endpoint = str((_properties(resource).get("primaryEndpoints") or {}).get("blob", ""))
        return urlsplit(endpoint).netloc == host != ""

    return matches


def _identity(client_id: str | None) -> Matcher:
    return lambda resource: bool(client_id) and _properties(resource).get("clientId") == client_id


def _properties(resource: Json) -> dict[str, Any]:
    return resource.get("properties") or {}
