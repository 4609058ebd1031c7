"""What the registry holds of a digest and its tags, through azure-containerregistry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from core.image_manifest import (
    SCHEMA_1,
    ConfigDigest,
    ImageFacts,
    ImageIndex,
    RegistryTag,
    index_children,
    inspect_config,
    inspect_index,
    inspect_manifest,
    unreadable_child,
)
from core.image_reference import DIGEST, TAG
from core.model import UNKNOWN_TIME
from core.signatures import SignatureBundle
from handlers.concurrency import gather_limited
from handlers.gateways.azure_http import (
    CLIENT_OPTIONS,
    MAX_CALL_SECONDS,
    NO_TRACE,
    UNREADABLE_ANSWER,
    LazyClient,
    gateway_error,
    is_missing,
    limited,
)
from handlers.gateways.errors import PermanentError
from handlers.gateways.interfaces import EndsListing
from handlers.gateways.referrers import INDEX, ReferrerReads, read_bundles

if TYPE_CHECKING:
    from azure.containerregistry.aio import ContainerRegistryClient
    from azure.core.credentials_async import AsyncTokenCredential

SERVICE = "registry"
OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, "read_timeout": 10}
MAX_CONFIG_BYTES = 1_000_000
PAGE_SIZE, RECENT_TAGS = 100, 50
"""Tags of one request: of all, and of the newest ones, which a release asks for."""
MAX_MANIFESTS, MAX_DEPTH = 24, 4
"""Manifests read for one digest, and levels of indexes: whoever may push could otherwise keep us reading."""
MAX_CONCURRENT = 8
MAX_LIST_SECONDS = 300.0
"""All tags of a repository, page by page: a registry that always names a next page would be read for ever."""
BEYOND_LIMITS = f"names more than {MAX_MANIFESTS} manifests to read, or has more than {MAX_DEPTH} levels"


class AzureRegistry:
    """See the Registry protocol."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._client = LazyClient(_load_client, endpoint, credential, **limited(OPTIONS))
        self._tokens: dict[tuple[str, bool], _Token] = {}
        """By repository, and whether it is for the list of tags: each has a scope of its own."""
        self.close = self._client.close

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """Read the manifest and, until the platform is known, what it names; the client checks all against digests."""
        async with _gateway_errors(f"read {repository}@{digest[:19]}"):
            return await self._facts(repository, digest, {digest}, 1)

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        """Read the manifest and those of indexes within it; a manifest that is gone names nothing any more."""
        async with _gateway_errors(f"read {repository}@{digest[:19]}"):
            children, unread = dict[str, bool](), [digest]
            for _ in range(MAX_DEPTH):
                found = await gather_limited(MAX_CONCURRENT, (self._children(repository, name) for name in unread))
                new = {child: nested for names in found for child, nested in names.items() if child not in children}
                children |= new
                unread = [child for child, nested in new.items() if nested]
                if len(unread) > MAX_MANIFESTS:
                    break
            if unread:
                raise PermanentError(SERVICE, "NESTED", f"{repository}@{digest[:19]} {BEYOND_LIMITS}")
            return sorted(children)

    async def _facts(self, repository: str, digest: str, seen: set[str], depth: int) -> ImageFacts | None:
        """``seen`` are the manifests that were read for the same image, this one too; None if one is missing."""
        try:
            found = inspect_manifest(*await self._manifest(repository, digest))
            if isinstance(found, ConfigDigest):
                return inspect_config(await self._config(repository, found.digest), digest)
        except ResourceNotFoundError as error:
            if is_missing(error):
                return None
            raise
        return await self._index_facts(repository, found, seen, depth) if isinstance(found, ImageIndex) else found

    async def _index_facts(self, repository: str, index: ImageIndex, seen: set[str], depth: int) -> ImageFacts | None:
        unread = [child for child in index.unread if child not in seen]
        children = unread[: MAX_MANIFESTS - len(seen)] if depth < MAX_DEPTH else []
        seen.update(children)
        reads = (self._facts(repository, child, seen, depth + 1) for child in children)
        read = await gather_limited(MAX_CONCURRENT, reads)
        known = [facts for facts in read if facts is not None]
        if len(children) < len(unread):
            known.append(unreadable_child(f"an index that {BEYOND_LIMITS}"))
        facts = inspect_index(index, known)
        return None if len(known) < len(children) and not facts.amd64 else facts

    async def _children(self, repository: str, digest: str) -> Mapping[str, bool]:
        try:
            manifest, _ = await self._manifest(repository, digest)
        except ResourceNotFoundError as error:
            if is_missing(error):
                return {}
            raise
        return index_children(manifest)

    async def _manifest(self, repository: str, digest: str) -> tuple[object, str]:
        """The manifest and its media type."""
        client, token = await self._client.get(), self._token(repository)
        responses: list[Any] = []

        def keep(response: Any) -> None:
            token.keep(response)
            responses.append(response.http_response)

        try:
            answer = await client.get_manifest(repository, digest, headers=token.headers, raw_response_hook=keep)
        except ValueError:
            await responses[-1].close()  # the client leaves a manifest that it refuses to read on the wire
            media_type = responses[-1].headers.get("Content-Type", "")
            if media_type.startswith(SCHEMA_1):
                return {}, media_type  # its digest leaves its signatures out, which the client does not know
            raise
        return answer.manifest, answer.media_type or ""

    async def list_signatures(self, repository: str, digest: str) -> Sequence[SignatureBundle]:
        async with _gateway_errors(f"read the signatures of {repository}@{digest[:19]}"):
            reads = ReferrerReads(self._get_json, self._manifest, self._blob)
            return await read_bundles(reads, repository, digest)

    async def has_referrers_api(self, repository: str, digest: str) -> bool:
        async with _gateway_errors(f"list the referrers of {repository}@{digest[:19]}"):
            return (await self._get_json(repository, f"referrers/{digest}", INDEX))[0] is not None

    async def _get_json(self, repository: str, path: str, accept: str) -> tuple[object, str]:
        """An answer that the client has no method for, None for a 404, and its ``Link``; by its pipeline."""
        from azure.core.rest import HttpRequest

        client, token = await self._client.get(), self._token(repository)
        request = HttpRequest("GET", f"{{url}}/v2/{repository}/{path}", headers={**token.headers, "Accept": accept})
        response = await client._client.send_request(request, raw_response_hook=token.keep)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None, ""
        response.raise_for_status()
        return response.json(), response.headers.get("Link", "")

    async def _blob(self, repository: str, digest: str, max_bytes: int) -> bytes:
        """A blob, compared with its digest by the client; raises ValueError for one that is too large."""
        client, token = await self._client.get(), self._token(repository)
        stream = await client.download_blob(repository, digest, headers=token.headers, **NO_TRACE)
        data = bytearray()
        async with stream:
            async for chunk in stream:
                data += chunk
                if len(data) > max_bytes:
                    raise ValueError(f"has more than {max_bytes:,} bytes")
        return bytes(data)

    async def _config(self, repository: str, digest: str) -> object:
        data = await self._blob(repository, digest, MAX_CONFIG_BYTES)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None  # the client has compared all of it with its digest, so it will never be anything else

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        tags, _ = await self._list(repository, PAGE_SIZE, is_enough or (lambda _: False))
        return tags

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        """One request, and a second one where the page is full and lacks the tag."""
        tags, is_full = await self._list(repository, RECENT_TAGS, lambda _: True)
        if not tag or not is_full or any(item.tag == tag for item in tags):
            return tags
        client, token = await self._client.get(), self._token(repository, of_tags=True)
        async with _gateway_errors(f"read {repository}:{tag[:60]}"):
            try:
                found = await client.get_tag_properties(repository, tag, **token.options)
                return [*tags, *_registry_tags([found])]
            except ResourceNotFoundError as error:
                if not is_missing(error):
                    raise
                return tags

    async def _list(self, repository: str, size: int, is_enough: EndsListing) -> tuple[list[RegistryTag], bool]:
        """The newest pages of tags; and whether there may be more."""
        client, token = await self._client.get(), self._token(repository, of_tags=True)
        options = {"order_by": "timedesc", "results_per_page": size, "cls": list, **NO_TRACE}
        tags: list[RegistryTag] = []
        seconds = MAX_CALL_SECONDS if size == RECENT_TAGS else MAX_LIST_SECONDS
        async with _gateway_errors(f"list the tags of {repository}", seconds):
            try:
                async for page in client.list_tag_properties(repository, **options, **token.options).by_page():
                    entries = [entry async for entry in page]
                    found = _registry_tags(entries)
                    tags += found
                    if is_enough(found):
                        return tags, len(entries) >= size
            except ResourceNotFoundError as error:
                if not is_missing(error):
                    raise
        return tags, False

    def _token(self, repository: str, *, of_tags: bool = False) -> _Token:
        return self._tokens.setdefault((repository, of_tags), _Token())


def _registry_tags(entries: list[Any]) -> list[RegistryTag]:
    """The tags as the client reads them, each by itself: one without a name or a readable digest affects no other.

    The client's own class for a tag needs attributes that Slipway does not use. A tag without a time counts as old.
    """
    return [
        RegistryTag(entry.name, entry.digest, _time(entry.last_updated_on or entry.created_on))
        for entry in entries
        if TAG.fullmatch(entry.name or "") and DIGEST.fullmatch(entry.digest or "")
    ]


def _time(at: datetime | None) -> datetime:
    """A time of the answer; without a zone it is in UTC, as everything that the service writes."""
    if at is None:
        return UNKNOWN_TIME
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


@asynccontextmanager
async def _gateway_errors(what: str, seconds: float = MAX_CALL_SECONDS) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except (AzureError, *UNREADABLE_ANSWER) as error:
        raise gateway_error(SERVICE, what, error) from error


class _Token:
    """The header of the last request that the registry accepted.

    The client fetches a token for each request, in three round trips; with this header it does so only after a 401. The
    requests of a call share it, so that the later pages of a list have the token of the first.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    @property
    def options(self) -> dict[str, Any]:
        """Options of a call that uses the token, and keeps the next one."""
        return {"headers": self.headers, "raw_response_hook": self.keep}

    def keep(self, response: Any) -> None:
        with suppress(KeyError):
            self.headers["Authorization"] = response.http_request.headers["Authorization"]


def _load_client() -> Callable[..., ContainerRegistryClient]:
    from azure.containerregistry.aio import ContainerRegistryClient

    return ContainerRegistryClient
