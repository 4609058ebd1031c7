"""Stand-ins that fail on demand, and the product's own gateways to them."""

from __future__ import annotations

import copy
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
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
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
from tests.support.fast_clock import FastClock, FastRetry, FastStorageClock, FastTransport
from tests.support.local_clients import AsyncLocalCredential

CONTAINER, QUEUE = "slipway", "releases"


@dataclass(frozen=True)
class StoredImage:
    """An image as the registry stores it."""

    digest: str
    media_type: str
    manifest: bytes
    blobs: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Snapshot:
    """The state of all services at one time."""

    passed: float
    agents: list[AgentState]
    toolboxes: dict[str, Any]
    blobs: list[tuple[str, Blob]]


class FaultyServices:
    """One project, one vault, one registry with two images, one storage account."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.clock, self._authority = FastClock(), authority
        self.foundry = Foundry(clock=lambda: self.clock.now().timestamp())
        self.foundry.project.provisioning.dedupe = False  # the worst case: a request sent twice creates two versions
        self.vault, self.storage = Vault(), Storage(folder, FastStorageClock(self.clock))
        self.registry, self.images = Registry("demo"), {letter: _stored_image(letter) for letter in "ab"}
        self.registry.repositories["agents/hello"] = Repository(
            {digest: data for image in self.images.values() for digest, data in image.blobs},
            {image.digest: (image.media_type, image.manifest) for image in self.images.values()},
        )
        self.stand_ins: dict[str, StandIn] = {
            "foundry": self.foundry,
            "vault": self.vault,
            "registry": self.registry,
            "blobs": self.storage.blobs,
            "queues": self.storage.queues,
        }
        self._late_fault: Fault | None = None
        self._stopped: list[StandIn] = []

    async def start(self) -> Gateways:
        """Start all stand-ins, and return the product's gateways with the product's own client options."""
        for stand_in in self.stand_ins.values():
            await stand_in.start(tls=self._authority.server())
        credential, project = AsyncLocalCredential(), f"{self.foundry.url}/api/projects/demo"
        self._rate_limiter = FoundryRateLimiter()
        self._foundry = AzureFoundry(project, credential, self._rate_limiter, self.clock)
        self._foundry._client.instance = AIProjectClient(project, credential, **client.OPTIONS, **self._transport())
        self._vault = AzureKeyVault(self.vault.url, credential)
        self._vault._client.instance = SecretClient(
            self.vault.url, credential, **key_vault.OPTIONS, **self._transport()
        )
        self._images = AzureRegistry(self.registry.url, credential)
        self._images._client.instance = ContainerRegistryClient(
            self.registry.url, credential, **registry.OPTIONS, **self._transport()
        )
        blobs, queues = (f"{server.url}/devstoreaccount1" for server in (self.storage.blobs, self.storage.queues))
        self._account = account = StorageAccount(
            BlobServiceClient(blobs, credential=credential, **self._with_retries(CLIENT_OPTIONS)),
            lambda: QueueServiceClient(queues, credential=credential, **self._with_retries(CLIENT_OPTIONS)),
        )
        state_store, journal = BlobStateStore(account, self.clock), BlobJournal(account, self.clock)
        queue = StorageReleaseQueue(account)
        return Gateways(
            self._foundry,
            self._vault,
            state_store,
            journal,
            queue,
            self.clock,
            self._images,
            rate_limiter=self._rate_limiter,
        )

    def _transport(self) -> dict[str, Any]:
        return {"transport": FastTransport(self.clock, self._authority.client(), self._is_late)}

    def _with_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, **self._transport(), "retry_policy": FastRetry(self.clock, **options)}

    def _is_late(self, method: str, url: str) -> bool:
        return self._late_fault is not None and self._late_fault.matches(method, url)

    async def close(self) -> None:
        for gateway in (self._foundry, self._vault, self._images, self._account):
            await gateway.close()
        for stand_in in self.stand_ins.values():
            await stand_in.stop()

    # Faults

    def fail(self, stand_in: str, fault: Fault, *, seconds: float | None = None) -> None:
        """Make a stand-in answer with a fault, for some seconds or until ``repair``."""
        self.stand_ins[stand_in].faults = [fault]
        self._late_fault = fault if fault.delay_s else None
        self.clock.schedule(None if seconds is None else self.clock.passed + seconds, self.repair)

    def forget_token(self) -> None:
        """Let the registry's token expire."""
        self._images._tokens.clear()

    async def stop(self, name: str, *, seconds: float | None = None) -> None:
        """Stop a stand-in, for some seconds or until ``repair``."""
        self._stopped.append(self.stand_ins[name])
        await self.stand_ins[name].stop()
        self.clock.schedule(None if seconds is None else self.clock.passed + seconds, self.repair)

    async def repair(self) -> None:
        """Remove all faults, and start what was stopped."""
        self._late_fault = None
        self.clock.schedule(None, self.repair)
        for stand_in in self.stand_ins.values():
            stand_in.faults = []
        while self._stopped:
            stand_in = self._stopped.pop()
            await stand_in.start(int(stand_in.url.rpartition(":")[2]), self._authority.server())

    # Snapshots

    def snapshot(self) -> Snapshot:
        """Copy the state of all services."""
        project = self.foundry.project
        agents, toolboxes = _copied(project.agents.values()), copy.deepcopy(project.toolboxes)
        return Snapshot(self.clock.passed, agents, toolboxes, self.storage.store.list_blobs(CONTAINER, ""))

    async def restore(self, snapshot: Snapshot) -> None:
        """Undo everything since the snapshot."""
        await self.repair()
        self.forget_token()  # so that each case requests a token
        vars(self._rate_limiter).update(vars(FoundryRateLimiter()))  # it remembers refusals of a time that is undone
        store, project = self.storage.store, self.foundry.project
        self.clock.passed = snapshot.passed
        project.agents = {agent.name: agent for agent in _copied(snapshot.agents)}
        project.toolboxes = copy.deepcopy(snapshot.toolboxes)
        for stand_in in self.stand_ins.values():
            stand_in.requests.clear()
        store.clear(QUEUE)
        for name, _ in store.list_blobs(CONTAINER, ""):
            store.delete_blob(CONTAINER, name)
        for name, blob in snapshot.blobs:
            store.save(CONTAINER, name, blob, touch=False)


def _copied(agents: Iterable[AgentState]) -> list[AgentState]:
    return [
        replace(
            agent,
            versions={number: replace(version) for number, version in agent.versions.items()},
            endpoint=copy.deepcopy(agent.endpoint),
        )
        for agent in agents
    ]


def _stored_image(salt: str) -> StoredImage:
    image = build("image", salt)
    blobs = tuple((digest_of(data), data) for data in image.blobs)
    return StoredImage(digest_of(image.manifest), image.media_type, image.manifest, blobs)
