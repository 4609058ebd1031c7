"""Small blobs, read with their ETag and written on condition; a lost answer to a write is not a conflict."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.errors import TransientError
from handlers.gateways.storage.account import error_code, is_from_storage, translate_errors

LEASE_SECONDS = 60
MAX_CACHED_CLIENTS = 512
"""Two for each of 200 agents and some: building a client for each read was a fifth of the cost of all reads."""
MAX_CACHED_BLOBS = 512
"""Of some kB each."""
WRITE_ID = "write"
"""The metadata key with the id of the last write."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob's bytes, their ETag, and the id of the write that stored them."""

    data: bytes
    etag: str
    write_id: str


class BlobContainer:
    """The blobs of one container; each method raises TransientError or PermanentError.

    Those below ``cached_prefix`` are cached: a lease says which ETag its blob has, so that a blob with that ETag need
    not be read again.
    """

    def __init__(self, container: ContainerClient, cached_prefix: str) -> None:
        self._container = container
        self._blob = lru_cache(maxsize=MAX_CACHED_CLIENTS)(container.get_blob_client)
        self._cached_prefix = cached_prefix
        self._cached = OrderedDict[str, Blob]()

    def cached(self, name: str) -> Blob | None:
        """The blob as this process read or wrote it last; somebody else may have written it since."""
        return self._cached.get(name)

    def _cache(self, name: str, blob: Blob | None) -> Blob | None:
        self._cached.pop(name, None)
        if blob is not None and name.startswith(self._cached_prefix):
            self._cached[name] = blob
        while len(self._cached) > MAX_CACHED_BLOBS:
            self._cached.popitem(last=False)
        return blob

    async def read(self, name: str) -> Blob | None:
        """The blob, or None where it, or the container, does not exist."""
        with translate_errors(f"read {name}"):
            try:
                stream = await self._blob(name).download_blob(**NO_TRACE)
                properties = stream.properties
                write_id = (properties.metadata or {}).get(WRITE_ID, "")
                return self._cache(name, Blob(await stream.readall(), properties.etag, write_id))
            except ResourceNotFoundError as error:
                if is_from_storage(error):
                    return self._cache(name, None)
                raise

    async def write(
        self,
        name: str,
        data: bytes,
        metadata: Mapping[str, str],
        etag: str | None,
        lease: BlobLeaseClient | None = None,
    ) -> str | None:
        """Store the bytes if the ETag still holds (None: the blob does not exist yet); returns the new ETag, or None.

        The SDK repeats a write whose answer was lost, and the repetition fails the write's own condition: after a
        refusal, a blob with the id of our own write means that the write succeeded.
        """
        write_id = uuid.uuid4().hex
        options: dict[str, Any] = {"metadata": {**metadata, WRITE_ID: write_id}, "lease": lease, **NO_TRACE}
        options |= {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {"overwrite": False}
        try:
            with translate_errors(f"write {name}"):
                stored = await self._upload(name, data, write_id, options)
        except TransientError:
            if (stored := await self._etag_of_write(name, write_id)) is None:
                raise
        if stored is not None:
            self._cache(name, Blob(data, stored, write_id))
        return stored

    async def _upload(self, name: str, data: bytes, write_id: str, options: Mapping[str, Any]) -> str | None:
        try:
            return str((await self._blob(name).upload_blob(data, **options))["etag"])
        except ResourceNotFoundError as error:
            if not is_from_storage(error):
                raise
            if error_code(error) != "ContainerNotFound":
                return None
            with suppress(ResourceExistsError):
                await self._container.create_container(**NO_TRACE)
            return await self._upload(name, data, write_id, options)
        except HttpResponseError as error:
            if error.status_code in (409, 412) and is_from_storage(error):
                return await self._etag_of_write(name, write_id)
            raise

    async def _etag_of_write(self, name: str, write_id: str) -> str | None:
        """The blob's ETag, if this write stored it."""
        blob = await self.read(name)
        return blob.etag if blob is not None and blob.write_id == write_id else None

    async def lease(self, name: str, empty: bytes, metadata: Mapping[str, str]) -> BlobLeaseClient | None:
        """A lease of 60 s, or None while somebody else has it; a missing blob is created empty first.

        ``etag`` of the lease is the blob's at that moment: a blob read with the same ETag is the one that it protects.
        """
        lease = BlobLeaseClient(self._blob(name))
        with translate_errors(f"lease {name}"):
            try:
                try:
                    await lease.acquire(lease_duration=LEASE_SECONDS, **NO_TRACE)
                except ResourceNotFoundError:
                    await self.write(name, empty, metadata, None)
                    await lease.acquire(lease_duration=LEASE_SECONDS, **NO_TRACE)
            except ResourceExistsError as error:
                if is_from_storage(error):
                    return None
                raise
        return lease

    async def list(self, prefixes: tuple[str, ...]) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Name and metadata of each blob below the prefixes."""
        for prefix in prefixes:
            with translate_errors(f"list {prefix}"):
                try:
                    blobs = self._container.list_blobs(name_starts_with=prefix, include=["metadata"], **NO_TRACE)
                    async for blob in blobs:
                        yield blob.name, blob.metadata or {}
                except ResourceNotFoundError:
                    return
