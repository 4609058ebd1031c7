"""Finds the resources that the settings name, in the subscriptions that the signed-in user may read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cli.arm_client import ArmClient, Json
from handlers.concurrency import gather_all
from handlers.settings import Settings

SUBSCRIPTIONS = "2022-12-01"
MAX_CONCURRENT_REQUESTS = 8
KINDS = {
    "registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01"),
    "account": ("Microsoft.CognitiveServices/accounts", "2025-06-01"),
    "vault": ("Microsoft.KeyVault/vaults", "2024-11-01"),
    "storage": ("Microsoft.Storage/storageAccounts", "2025-01-01"),
    "identity": ("Microsoft.ManagedIdentity/userAssignedIdentities", "2024-11-30"),
}
"""Field of Resources -> type and API version; only the newest version has a registry's roleAssignmentMode."""
TOPICS, EVENT_GRID = "Microsoft.EventGrid/systemTopics", "2025-02-15"
CONNECTIONS = "2025-04-01-preview"
"""The GA version does not resolve the connections of a project: azure-dev, azure.ai.agents, acr.bicep."""


@dataclass
class Resources:
    """The resources that were found; None for one that was not."""

    registry: Json | None = None
    account: Json | None = None
    project: Json | None = None
    vault: Json | None = None
    storage: Json | None = None
    identity: Json | None = None
    topics: list[Json] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)

    @property
    def app(self) -> str | None:
        """The principal id of the app's identity."""
        return principal_id(self.identity, "properties")


def principal_id(resource: Json | None, key: str = "identity") -> str | None:
    """Return the principal id of a resource's own identity."""
    return str(((resource or {}).get(key) or {}).get("principalId") or "") or None


async def find(arm: ArmClient, settings: Settings, client_id: str | None, subscription: str | None) -> Resources:
    """Search one subscription, or all that can be read."""
    listed = [{"subscriptionId": subscription}] if subscription else await arm.list("/subscriptions", SUBSCRIPTIONS)
    found = Resources(subscriptions=[str(item["subscriptionId"]) for item in listed])
    slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def list_in(subscription_id: str, kind: str, version: str) -> list[Json]:
        async with slots:
            return list(await arm.list(f"/subscriptions/{subscription_id}/providers/{kind}", version))

    async def list_all(kind: str, version: str) -> list[Json]:
        pages = await gather_all(list_in(item, kind, version) for item in found.subscriptions)
        return [resource for page in pages for resource in page]

    listings = await gather_all([*(list_all(*KINDS[kind]) for kind in KINDS), list_all(TOPICS, EVENT_GRID)])
    for kind, resources in zip(KINDS, listings, strict=False):
        matches = MATCHERS[kind](settings, client_id)
        setattr(found, kind, next((resource for resource in resources if matches(resource)), None))
    sources = {str(source["id"]).lower() for source in (found.registry, found.vault) if source}
    found.topics = [topic for topic in listings[-1] if str(_properties(topic).get("source", "")).lower() in sources]
    if found.account is not None:
        project = settings.foundry_project_endpoint.rstrip("/").rpartition("/")[2]
        found.project = await arm.get(f"{found.account['id']}/projects/{project}", KINDS["account"][1])
    return found


Matcher = Callable[[Json], bool]


def _registry(settings: Settings, _: str | None) -> Matcher:
    return lambda resource: str(resource.get("name", "")).lower() == settings.registry_name.lower()


def _account(settings: Settings, _: str | None) -> Matcher:
    host = urlsplit(settings.foundry_project_endpoint).netloc

    def matches(resource: Json) -> bool:
        hosts = [urlsplit(str(url)).netloc for url in (_properties(resource).get("endpoints") or {}).values()]
        return host in hosts or host.split(".")[0] == resource.get("name")

    return matches


def _vault(settings: Settings, _: str | None) -> Matcher:
    url = settings.key_vault_url.rstrip("/")
    return lambda resource: str(_properties(resource).get("vaultUri", "")).rstrip("/") == url


def _storage(settings: Settings, _: str | None) -> Matcher:
    host = urlsplit(settings.blob_uri).netloc

    def matches(resource: Json) -> bool:
        endpoint = str((_properties(resource).get("primaryEndpoints") or {}).get("blob", ""))
        return urlsplit(endpoint).netloc == host != ""

    return matches


def _identity(_: Settings, client_id: str | None) -> Matcher:
    return lambda resource: bool(client_id) and _properties(resource).get("clientId") == client_id


MATCHERS: dict[str, Callable[[Settings, str | None], Matcher]] = {
    "registry": _registry,
    "account": _account,
    "vault": _vault,
    "storage": _storage,
    "identity": _identity,
}


def _properties(resource: Json) -> dict[str, Any]:
    return resource.get("properties") or {}
