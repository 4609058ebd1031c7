"""The state store on Azure Blob Storage: ``desired/<agent>.json`` and ``release/<agent>.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobLeaseClient

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.state.summary import DesiredSummary, summarise
from handlers.concurrency import gather_two
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.clock import Clock
from handlers.gateways.errors import STORAGE, GatewayError, TransientError
from handlers.gateways.storage.account import StorageAccount, translate_errors
from handlers.gateways.storage.blobs import LEASE_SECONDS, Blob, BlobContainer
from handlers.gateways.storage.json_codec import Codec, read_text_value

Metadata = Mapping[str, str]
CONTAINER = "slipway"
MAX_WRITE_ATTEMPTS = 50
"""Attempts of a compare-and-swap: another writer came between read and write each time."""
DESIRED_CODEC, RELEASE_CODEC = Codec(DesiredState), Codec(ReleaseState)


class BlobStateStore:
    """See the StateStore protocol."""

    def __init__(self, account: StorageAccount, clock: Clock, container: str = CONTAINER) -> None:
        self.container = container
        self._blobs = BlobContainer(account.container(container), cached_prefix="release/")
        self._clock = clock

    async def get_desired(self, agent: str) -> DesiredState:
        name = f"desired/{agent}.json"
        blob = await self._blobs.read(name)
        return DESIRED_CODEC.decode(blob.data if blob else b"", name)

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        name = f"desired/{agent}.json"
        for _ in range(MAX_WRITE_ATTEMPTS):
            blob = await self._blobs.read(name)
            stored = blob.data if blob else b""
            before = DESIRED_CODEC.decode(stored, name)
            after = change(before)
            if after == before:
                return after
            data = DESIRED_CODEC.encode(after, stored)
            if await self._blobs.write(name, data, _desired_metadata(after), blob.etag if blob else None):
                return after
        raise TransientError(STORAGE, "contended", f"write {name}: {MAX_WRITE_ATTEMPTS} other writes came between")

    async def get_release(self, agent: str) -> ReleaseState:
        name = f"release/{agent}.json"
        blob = await self._blobs.read(name)
        return RELEASE_CODEC.decode(blob.data if blob else b"", name)

    async def acquire_lease(self, agent: str) -> BlobLease | None:
        name, empty = f"release/{agent}.json", ReleaseState()
        asked_at = self._clock.monotonic()
        leasing = self._blobs.lease(name, RELEASE_CODEC.encode(empty), _release_metadata(empty))
        if self._blobs.cached(name) is None:
            lease, _ = await gather_two(leasing, self._read_early(name))
        else:
            lease = await leasing
        if lease is None:
            return None
        blob = self._blobs.cached(name)
        if blob is None or blob.etag != lease.etag:
            blob = await self._blobs.read(name)  # another process wrote it, or it was not there when it was read
        if blob is None:
            return None  # somebody deleted it just now
        return BlobLease(name, self._blobs, lease, blob, self._clock, asked_at)

    async def _read_early(self, name: str) -> None:
        """Read while the lease is acquired, which saves a read afterwards; a read that fails is repeated then."""
        with suppress(GatewayError):
            await self._blobs.read(name)

    async def read_marker(self, name: str) -> str:
        blob = await self._blobs.read(f"markers/{name}.json")
        return read_text_value(blob.data) if blob else ""

    async def write_marker(self, name: str, value: str) -> None:
        """The last writer may win: every instance of a deployment writes the same value."""
        path = f"markers/{name}.json"
        blob = await self._blobs.read(path)
        await self._blobs.write(path, json.dumps({"value": value}).encode(), {}, blob.etag if blob else None)

    async def lock(self, name: str) -> BlobLock | None:
        path = f"markers/{name}.json"
        lease = await self._blobs.lease(path, json.dumps({"value": ""}).encode(), {})
        return BlobLock(path, lease) if lease else None

    async def list_agents(self, *, unfinished: bool = False) -> Sequence[str]:
        listed, now = await self._list(), self._clock.now()
        return sorted(name for name, states in listed.items() if not unfinished or _is_unfinished(*states, now))

    async def list_desired(self) -> Mapping[str, DesiredSummary]:
        return {name: _summary(desired) for name, (desired, _) in (await self._list()).items()}

    async def _list(self) -> Mapping[str, tuple[Metadata, Metadata]]:
        """Agent -> metadata of its desired and its release state."""
        desired, releases = dict[str, Metadata](), dict[str, Metadata]()
        async for name, metadata in self._blobs.list(("release/", "desired/")):
            kind, _, file = name.partition("/")
            (releases if kind == "release" else desired)[file.removesuffix(".json")] = metadata
        return {agent: (desired.get(agent, {}), releases.get(agent, {})) for agent in desired.keys() | releases.keys()}


class BlobLock:
    """See the Lock protocol."""

    def __init__(self, name: str, lease: BlobLeaseClient) -> None:
        self._name = name
        self._lease = lease

    async def release(self) -> None:
        try:
            with translate_errors(f"release the lease of {self._name}"):
                await self._lease.release(**NO_TRACE)
        except GatewayError:
            return  # the lease expires


class BlobLease(BlobLock):
    """See the Lease protocol."""

    def __init__(
        self, name: str, blobs: BlobContainer, lease: BlobLeaseClient, blob: Blob, clock: Clock, asked_at: float
    ) -> None:
        super().__init__(name, lease)
        self._blobs = blobs
        self._stored, self._etag = blob.data, blob.etag
        self._state = RELEASE_CODEC.decode(blob.data, name)
        self._clock = clock
        self._asked_at = asked_at

    @property
    def state(self) -> ReleaseState:
        return self._state

    @property
    def remaining_seconds(self) -> float:
        return LEASE_SECONDS - (self._clock.monotonic() - self._asked_at)

    async def write(self, release: ReleaseState) -> bool:
        """Store with the lease id *and* the ETag: storage takes a lease id alone again after the lease was released."""
        data = RELEASE_CODEC.encode(release, self._stored)
        etag = await self._blobs.write(self._name, data, _release_metadata(release), self._etag, self._lease)
        if etag is None:
            return False
        self._state, self._stored, self._etag = release, data, etag
        return True

    async def renew(self) -> bool:
        """Extend; an expired lease may be renewed while nobody else wrote or leased the blob: nothing was missed."""
        asked_at = self._clock.monotonic()
        with translate_errors(f"renew the lease of {self._name}"):
            try:
                await self._lease.renew(**NO_TRACE)
            except HttpResponseError as error:
                if error.status_code in (404, 409, 412):
                    return False
                raise
        self._asked_at = asked_at
        return True


def _desired_metadata(desired: DesiredState) -> dict[str, str]:
    summary = summarise(desired)
    return {
        "generation": str(summary.generation),
        "push": summary.push,
        "waiting": str(len(desired.waiting) or ""),
    }


def _summary(desired: Metadata) -> DesiredSummary:
    """What the metadata says; none where a person changed it beyond reading, and where an older Slipway wrote it."""
    try:
        return DesiredSummary(int(desired.get("generation", "0")), desired.get("push") or "")
    except (ValueError, TypeError):
        return DesiredSummary()


def _release_metadata(release: ReleaseState) -> dict[str, str]:
    due = {"secret_due": release.secret_due.isoformat()} if release.secret_due else {}
    return {"state": release.blob_state, "observed_generation": str(release.observed_generation), **due}


def _is_unfinished(desired: Metadata, release: Metadata, now: datetime) -> bool:
    """What the metadata says; metadata that a person changed beyond reading counts as unfinished."""
    try:
        has_pending = int(desired.get("generation", "0")) > int(release.get("observed_generation", "0"))
        starts = datetime.fromisoformat(due) <= now if (due := release.get("secret_due")) else False
    except (ValueError, TypeError):
        return True
    return has_pending or starts or bool(desired.get("waiting")) or release.get("state", "ended") != "ended"
