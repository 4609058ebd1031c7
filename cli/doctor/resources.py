"""The resources that the settings name, found in the subscriptions that this person may read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cli.doctor.arm import Arm, Json
from handlers.settings import Settings

SUBSCRIPTIONS = "2022-12-01"
AT_ONCE = 8
KINDS = {
    "registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01"),
    "account": ("Microsoft.CognitiveServices/accounts", "2025-06-01"),
    "vault": ("Microsoft.KeyVault/vaults", "2024-11-01"),
    "storage": ("Microsoft.Storage/storageAccounts", "2025-01-01"),
    "identity": ("Microsoft.ManagedIdentity/userAssignedIdentities", "2024-11-30"),
}
"""What is looked for -> its type and the version of its API; roleAssignmentMode of a registry is only in the newest."""
TOPICS, EVENT_GRID = "Microsoft.EventGrid/systemTopics", "2025-02-15"
CONNECTIONS = "2025-04-01-preview"
"""The GA version does not resolve the connections of a project: azure-dev, azure.ai.agents, acr.bicep."""


@dataclass
class Resources:
    """What was found; None where nothing of that name can be seen."""

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
        return principal(self.identity, "properties")


def principal(resource: Json | None, of: str = "identity") -> str | None:
    """The principal id of a resource's own identity."""
    return str(((resource or {}).get(of) or {}).get("principalId") or "") or None


async def find(arm: Arm, settings: Settings, client_id: str | None, subscription: str | None) -> Resources:
    """Look in one subscription, or in all that can be seen."""
    listed = [{"subscriptionId": subscription}] if subscription else await arm.list("/subscriptions", SUBSCRIPTIONS)
    found = Resources(subscriptions=[str(one["subscriptionId"]) for one in listed])
    turns = asyncio.Semaphore(AT_ONCE)

    async def every(kind: str, version: str) -> list[Json]:
        async def one(number: str) -> list[Json]:
            async with turns:
                return list(await arm.list(f"/subscriptions/{number}/providers/{kind}", version))

        return [one for listed in await asyncio.gather(*map(one, found.subscriptions)) for one in listed]

    listings = await asyncio.gather(*(every(*KINDS[name]) for name in KINDS), every(TOPICS, EVENT_GRID))
    for name, resources in zip(KINDS, listings, strict=False):
        is_it = MATCHES[name](settings, client_id)
        setattr(found, name, next((one for one in resources if is_it(one)), None))
    sources = {str(one["id"]).lower() for one in (found.registry, found.vault) if one}
    found.topics = [one for one in listings[-1] if str(_of(one).get("source", "")).lower() in sources]
    if found.account is not None:
        name = settings.foundry_project_endpoint.rstrip("/").rpartition("/")[2]
        found.project = await arm.get(f"{found.account['id']}/projects/{name}", KINDS["account"][1])
    return found


Match = Callable[[Json], bool]


def _registry(settings: Settings, _: str | None) -> Match:
    return lambda one: str(one.get("name", "")).lower() == settings.registry_name.lower()


def _account(settings: Settings, _: str | None) -> Match:
    host = urlsplit(settings.foundry_project_endpoint).netloc

    def is_it(one: Json) -> bool:
        told = [str(value) for value in (_of(one).get("endpoints") or {}).values()]
        return host in [urlsplit(value).netloc for value in told] or host.split(".")[0] == one.get("name")

    return is_it


def _vault(settings: Settings, _: str | None) -> Match:
    return lambda one: str(_of(one).get("vaultUri", "")).rstrip("/") == settings.key_vault_url.rstrip("/")


def _storage(settings: Settings, _: str | None) -> Match:
    host = urlsplit(settings.blob_uri).netloc
    return lambda one: urlsplit(str((_of(one).get("primaryEndpoints") or {}).get("blob", ""))).netloc == host != ""


def _identity(_: Settings, client_id: str | None) -> Match:
    return lambda one: bool(client_id) and _of(one).get("clientId") == client_id


MATCHES: dict[str, Callable[[Settings, str | None], Match]] = {
    "registry": _registry,
    "account": _account,
    "vault": _vault,
    "storage": _storage,
    "identity": _identity,
}


def _of(resource: Json) -> dict[str, Any]:
    return resource.get("properties") or {}
