"""What the registry holds of a digest and its tags, through azure-containerregistry."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from core.events import DIGEST
from core.image_manifest import ImageFacts, RegistryTag, inspect_config, inspect_manifest
from core.model import UNKNOWN_TIME
from handlers.gateways.azure_http import (
    CLIENT_OPTIONS,
    UNREADABLE_ANSWER,
    LazyClient,
    connection_options,
    gateway_error,
)

if TYPE_CHECKING:
    from azure.containerregistry.aio import ContainerRegistryClient
    from azure.core.credentials_async import AsyncTokenCredential

SERVICE = "registry"
OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, "read_timeout": 10}
MAX_CONFIG_BYTES = 1_000_000
PAGE_SIZE = 50
"""Tags of one request: a release asks for the newest ones only."""


class AzureRegistry:
    """See the Registry protocol."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._client = LazyClient(_load_client, endpoint, credential, **OPTIONS, **connection_options())
        self._tokens: dict[str, _Token] = {}
        """By repository and scope, which is what a token is for."""
        self.close = self._client.close

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """Read the manifest, then the configuration that it names; the client checks both against their digests."""
        try:
            return await self._facts(repository, digest)
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if _is_missing(error):
                return None
            raise gateway_error(SERVICE, f"read {repository}@{digest[:19]}", error) from error

    async def _facts(self, repository: str, digest: str) -> ImageFacts:
        client, token = await self._client.get(), self._tokens.setdefault(repository, _Token())
        answer = await client.get_manifest(repository, digest, headers=token.headers, raw_response_hook=token.keep)
        facts = inspect_manifest(answer.manifest, answer.media_type or "")
        if isinstance(facts, ImageFacts):
            return facts
        stream = await client.download_blob(repository, facts.digest, headers=token.headers)
        data = bytearray()
        async for chunk in stream:
            data += chunk
            if len(data) > MAX_CONFIG_BYTES:
                raise ValueError("the configuration is larger than that of any image")
        return inspect_config(json.loads(data), digest)

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        tags, _ = await self._list(repository, all_pages=True)
        return tags

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        """One request, and a second one where the page is full and lacks the tag."""
        tags, is_full = await self._list(repository, all_pages=False)
        if not tag or not is_full or any(item.tag == tag for item in tags):
            return tags
        client, token = await self._client.get(), self._token(repository, "metadata")
        try:
            found = await client.get_tag_properties(repository, tag, **token.options)
            return [*tags, *_registry_tags([found])]
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if _is_missing(error):
                return tags
            raise gateway_error(SERVICE, f"read {repository}:{tag[:60]}", error) from error

    async def _list(self, repository: str, *, all_pages: bool) -> tuple[list[RegistryTag], bool]:
        """The newest page of tags, or all; and whether there may be more."""
        client, token = await self._client.get(), self._token(repository, "metadata")
        options = {"order_by": "timedesc", "results_per_page": PAGE_SIZE, "cls": list}
        tags: list[RegistryTag] = []
        try:
            async for page in client.list_tag_properties(repository, **options, **token.options).by_page():
                entries = [entry async for entry in page]
                tags += _registry_tags(entries)
                if not all_pages:
                    return tags, len(entries) >= PAGE_SIZE
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if not _is_missing(error):
                raise gateway_error(SERVICE, f"list the tags of {repository}", error) from error
        return tags, False

    def _token(self, repository: str, scope: str) -> _Token:
        return self._tokens.setdefault(f"{scope} {repository}", _Token())


def _registry_tags(entries: list[Any]) -> list[RegistryTag]:
    """The tags as the client reads them, each by itself: one without a name or a readable digest affects no other.

    The client's own class for a tag needs attributes that Slipway does not use. A tag without a time counts as old.
    """
    return [
        RegistryTag(entry.name, entry.digest, entry.last_updated_on or entry.created_on or UNKNOWN_TIME)
        for entry in entries
        if entry.name and DIGEST.fullmatch(entry.digest or "")
    ]


class _Token:
    """The header of the last request that the registry accepted.

    The client fetches a token for each call, in three round trips; with this header it does so only after a 401.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    @property
    def options(self) -> dict[str, Any]:
        """Options of a call that uses the token, and keeps the next one."""
        return {"headers": dict(self.headers), "raw_response_hook": self.keep}

    def keep(self, response: Any) -> None:
        with suppress(KeyError):
            self.headers = {"Authorization": response.http_request.headers["Authorization"]}


def _load_client() -> Callable[..., ContainerRegistryClient]:
    from azure.containerregistry.aio import ContainerRegistryClient

    return ContainerRegistryClient


def _is_missing(error: Exception) -> bool:
    """True for a 404 about the image or repository, and not about the token exchange before it."""
    response: Any = getattr(error, "response", None)
    return isinstance(error, ResourceNotFoundError) and "/oauth2/" not in getattr(response, "url", "")
