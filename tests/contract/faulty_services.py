"""Stand-ins that go wrong when asked to, and the product's own gateways to them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from azure.ai.projects.aio import AIProjectClient
from azure.containerregistry.aio import ContainerRegistryClient
from azure.keyvault.secrets.aio import SecretClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from handlers.gateways import key_vault, registry
from handlers.gateways.foundry import client
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.interfaces import Gateways
from handlers.gateways.key_vault import AzureKeyVault
from handlers.gateways.registry import AzureRegistry
from handlers.gateways.storage.account import CLIENT_OPTIONS, StorageAccount
from handlers.gateways.storage.journal import BlobJournal
from handlers.gateways.storage.release_queue import StorageReleaseQueue
from handlers.gateways.storage.state_store import BlobStateStore
from local.foundry.server import Foundry
from local.foundry.state import AgentState
from local.images import build
from local.registry.repository import Repository, digest_of
from local.registry.server import Registry
from local.stand_in import Fault, StandIn
from local.storage.account import Storage
from local.storage.store import Blob
from local.tls import Authority
from local.vault import Vault
from tests.support.fast_clock import OnTheClock, PassingClock, PassingRetry, PassingTransport
from tests.support.local_clients import AsyncLocalCredential

CONTAINER, QUEUE = "slipway", "releases"


@dataclass(frozen=True)
class Kept:
    """An image as the registry keeps it."""

    digest: str
    media_type: str
    manifest: bytes
    blobs: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Before:
    """What the world was like at some time."""

    passed: float
    agents: list[AgentState]
    toolboxes: dict[str, Any]
    blobs: list[tuple[str, Blob]]


class Parts:
    """One project, one vault, one registry with two images, one storage account."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.clock, self._authority = PassingClock(), authority
        self.foundry = Foundry(clock=lambda: self.clock.now().timestamp())
        self.foundry.project.provisioning.dedupe = False  # the worst case: whatever is sent twice is made twice
        self.vault, self.storage = Vault(), Storage(folder, OnTheClock(self.clock))
        self.registry, self.images = Registry("demo"), {letter: _kept(letter) for letter in "ab"}
        self.registry.repositories["agents/hello"] = Repository(
            {digest: data for one in self.images.values() for digest, data in one.blobs},
            {one.digest: (one.media_type, one.manifest) for one in self.images.values()},
        )
        self.all: dict[str, StandIn] = {
            "foundry": self.foundry,
            "vault": self.vault,
            "registry": self.registry,
            "blobs": self.storage.blobs,
            "queues": self.storage.queues,
        }
        self._late: Fault | None = None
        self._down: list[StandIn] = []

    async def start(self) -> Gateways:
        """Start everything; gives the product's gateways, built with its own options."""
        for part in self.all.values():
            await part.start(tls=self._authority.server())
        where = f"{self.foundry.url}/api/projects/demo"
        self._foundry, self._vault = (
            AzureFoundry(where, AsyncLocalCredential()),
            AzureKeyVault(self.vault.url, AsyncLocalCredential()),
        )
        self._foundry._made = AIProjectClient(where, AsyncLocalCredential(), **client.OPTIONS, **self._transport())
        self._vault._client = SecretClient(
            self.vault.url, AsyncLocalCredential(), **key_vault.OPTIONS, **self._transport()
        )
        self._images = AzureRegistry(self.registry.url, AsyncLocalCredential())
        self._images._made = ContainerRegistryClient(
            self.registry.url, AsyncLocalCredential(), **registry.OPTIONS, **self._transport()
        )
        blob, queue = (f"{part.url}/devstoreaccount1" for part in (self.storage.blobs, self.storage.queues))
        self._account = account = StorageAccount(
            BlobServiceClient(blob, credential=AsyncLocalCredential(), **self._patient(CLIENT_OPTIONS)),
            QueueServiceClient(queue, credential=AsyncLocalCredential(), **self._patient(CLIENT_OPTIONS)),
        )
        ledger, journal = BlobStateStore(account, self.clock), BlobJournal(account, self.clock)
        return Gateways(
            self._foundry, self._vault, ledger, journal, StorageReleaseQueue(account), self.clock, self._images
        )

    def _transport(self) -> dict[str, Any]:
        return {"transport": PassingTransport(self.clock, self._authority.client(), self._is_late)}

    def _patient(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, **self._transport(), "retry_policy": PassingRetry(self.clock, **options)}

    def _is_late(self, method: str, url: str) -> bool:
        return self._late is not None and self._late.matches(method, url)

    async def end(self) -> None:
        for one in (self._foundry, self._vault, self._images, self._account):
            await one.close()
        for part in self.all.values():
            await part.stop()

    # What goes wrong

    def plan(self, part: str, fault: Fault, *, seconds: float | None = None) -> None:
        """Have a part go wrong, for so many seconds where they are given."""
        self.all[part].faults = [fault]
        self._late = fault if fault.delay_s else None
        self.clock.plan(None if seconds is None else self.clock.passed + seconds, self.mend)

    def forget_token(self) -> None:
        """The registry's token of earlier has run out."""
        self._images._tokens.clear()

    async def stop(self, part: str, *, seconds: float | None = None) -> None:
        """Have nobody listen any more, for so many seconds where they are given."""
        self._down.append(self.all[part])
        await self.all[part].stop()
        self.clock.plan(None if seconds is None else self.clock.passed + seconds, self.mend)

    async def mend(self) -> None:
        """Everything works again."""
        self._late = None
        self.clock.plan(None, self.mend)
        for part in self.all.values():
            part.faults = []
        while self._down:
            part = self._down.pop()
            await part.start(int(part.url.rpartition(":")[2]), self._authority.server())

    # As it was before

    def keep(self) -> Before:
        """Remember what the world is like."""
        project = self.foundry.project
        agents, toolboxes = _copied(project.agents.values()), copy.deepcopy(project.toolboxes)
        return Before(self.clock.passed, agents, toolboxes, self.storage.store.list_blobs(CONTAINER, ""))

    async def restore(self, before: Before) -> None:
        """The same world once more, with everything that happened since undone."""
        await self.mend()
        self._images._tokens.clear()  # or no case after the first would ask for one
        store, project = self.storage.store, self.foundry.project
        self.clock.passed = before.passed
        project.agents = {one.name: one for one in _copied(before.agents)}
        project.toolboxes = copy.deepcopy(before.toolboxes)
        for part in self.all.values():
            part.requests.clear()
        store.clear(QUEUE)
        for name, _ in store.list_blobs(CONTAINER, ""):
            store.delete_blob(CONTAINER, name)
        for name, blob in before.blobs:
            store.save(CONTAINER, name, blob, touch=False)


def _copied(agents: Iterable[AgentState]) -> list[AgentState]:
    return [
        replace(
            one,
            versions={number: replace(version) for number, version in one.versions.items()},
            endpoint=copy.deepcopy(one.endpoint),
            numbers=itertools.count(len(one.versions) + 1),
        )
        for one in agents
    ]


def _kept(salt: str) -> Kept:
    made = build("image", salt)
    blobs = tuple((digest_of(data), data) for data in made.blobs)
    return Kept(digest_of(made.manifest), made.media_type, made.manifest, blobs)
