"""The ledger on Azure Blob Storage: ``desired/<agent>.json`` and ``release/<agent>.json``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobLeaseClient

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.clock import Clock
from handlers.gateways.errors import STORAGE, GatewayError, TransientError
from handlers.gateways.storage.account import StorageAccount, translate_errors
from handlers.gateways.storage.blobs import LEASE_SECONDS, Blob, BlobContainer
from handlers.gateways.storage.json_codec import Codec, text_in

CONTAINER = "slipway"
MAX_WRITE_ATTEMPTS = 50
"""Writers that may come between a read and its write before we give up."""
DESIRED_CODEC, RELEASE_CODEC = Codec(DesiredState), Codec(ReleaseState)


class BlobStateStore:
    """See the Ledger protocol."""

    def __init__(self, account: StorageAccount, clock: Clock, container: str = CONTAINER) -> None:
        self.container = container
        self._blobs = BlobContainer(account.container(container))
        self._clock = clock

    async def get_desired(self, agent: str) -> DesiredState:
        """What the agent should run."""
        blob = await self._blobs.read(_wanted(agent))
        return DESIRED_CODEC.decode(blob.data, _wanted(agent)) if blob else DesiredState()

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Compare and swap."""
        name = _wanted(agent)
        for _ in range(MAX_WRITE_ATTEMPTS):
            blob = await self._blobs.read(name)
            before = DESIRED_CODEC.decode(blob.data, name) if blob else DesiredState()
            after = change(before)
            if after == before:
                return after
            metadata = {
                "generation": str(after.generation),
                "not_before": after.not_before.isoformat() if after.not_before else "",
            }
            if await self._blobs.write(name, DESIRED_CODEC.encode(after), metadata, blob.etag if blob else None):
                return after
        raise TransientError(STORAGE, "contended", f"write {name}: {MAX_WRITE_ATTEMPTS} others came between")

    async def get_release(self, agent: str) -> ReleaseState:
        """How far the release is."""
        blob = await self._blobs.read(_release(agent))
        return RELEASE_CODEC.decode(blob.data, _release(agent)) if blob else ReleaseState()

    async def acquire_lease(self, agent: str) -> BlobLease | None:
        """Become the one writer; the record is read under the lease."""
        name = _release(agent)
        asked_at = self._clock.monotonic()
        blob, lease = await asyncio.gather(
            self._early(name), self._blobs.lease(name, RELEASE_CODEC.encode(ReleaseState()), _metadata(ReleaseState()))
        )
        if lease is None:
            return None
        if blob is None or blob.etag != lease.etag:
            blob = await self._blobs.read(name)  # written, or made, between the two
        if blob is None:
            return None  # deleted by a person in this very moment
        return BlobLease(
            name, self._blobs, lease, RELEASE_CODEC.decode(blob.data, name), blob.etag, self._clock, asked_at
        )

    async def _early(self, name: str) -> Blob | None:
        """A read beside the lease, which spares one after it; where it fails, the one after it says so."""
        try:
            return await self._blobs.read(name)
        except GatewayError:
            return None

    async def read_marker(self, what: str) -> str:
        """A blob of its own."""
        blob = await self._blobs.read(f"notes/{what}.json")
        return text_in(blob.data, "value") if blob else ""

    async def write_marker(self, what: str, value: str) -> None:
        """Whoever writes last is right: the value is the same for all who run the same deployment."""
        name = f"notes/{what}.json"
        blob = await self._blobs.read(name)
        await self._blobs.write(name, json.dumps({"value": value}).encode(), {}, blob.etag if blob else None)

    async def list_agents(self, states: frozenset[str]) -> Sequence[str]:
        """One listing: a release is open, or due, also where what is wanted is newer than what it has seen."""
        desired: dict[str, dict[str, str]] = {}
        releases: dict[str, dict[str, str]] = {}
        async for name, metadata in self._blobs.list(("release/", "desired/")):
            kind, _, file = name.partition("/")
            (releases if kind == "release" else desired)[file.removesuffix(".json")] = dict(metadata)
        return sorted(
            agent
            for agent in desired.keys() | releases.keys()
            if _state(desired.get(agent, {}), releases.get(agent, {})) in states
        )


class BlobLease:
    """See the Lease protocol."""

    def __init__(
        self,
        name: str,
        blobs: BlobContainer,
        lease: BlobLeaseClient,
        release: ReleaseState,
        etag: str,
        clock: Clock,
        asked_at: float,
    ) -> None:
        self._name = name
        self._blobs = blobs
        self._lease = lease
        self._record = release
        self._etag = etag
        self._clock = clock
        self._asked_at = asked_at

    @property
    def state(self) -> ReleaseState:
        """The record as last read or written."""
        return self._record

    @property
    def remaining_seconds(self) -> float:
        """Seconds left, counted from before the last renewal was sent."""
        return LEASE_SECONDS - (self._clock.monotonic() - self._asked_at)

    async def write(self, release: ReleaseState) -> bool:
        """Store with the lease id *and* the ETag: a lease id alone is accepted again once the lease was given back."""
        data = RELEASE_CODEC.encode(release)
        etag = await self._blobs.write(self._name, data, _metadata(release), self._etag, self._lease)
        if etag is None:
            return False
        self._record, self._etag = release, etag
        return True

    async def renew(self) -> bool:
        """Extend; an expired lease may be renewed while nobody wrote or leased since: nothing was missed."""
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

    async def release(self) -> None:
        """Let the next one in."""
        try:
            with translate_errors(f"release the lease of {self._name}"):
                await self._lease.release(**NO_TRACE)
        except GatewayError:
            return  # it ends by itself


def _wanted(agent: str) -> str:
    return f"desired/{agent}.json"


def _release(agent: str) -> str:
    return f"release/{agent}.json"


def _metadata(release: ReleaseState) -> dict[str, str]:
    return {"state": release.blob_state, "observed_generation": str(release.observed_generation)}


def _state(desired: dict[str, str], release: dict[str, str]) -> str:
    """As the metadata says; what cannot be read, because a person wrote it, is looked at."""
    try:
        newer = int(desired.get("generation", "0")) > int(release.get("observed_generation", "0"))
    except (ValueError, TypeError):
        return "open"
    if newer and desired.get("not_before"):
        return "due"
    return "open" if newer else release.get("state", "ended")
