"""What the registry holds of a digest and its tags, through azure-containerregistry."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from core.image_manifest import ImageFacts, RegistryTag, inspect_config, inspect_manifest
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


class AzureRegistry:
    """See the Registry protocol."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._client = LazyClient(_load_client, endpoint, credential, **OPTIONS, **connection_options())
        self._tokens: dict[str, _Token] = {}
        """By repository, which is what a token is for."""
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
        client = await self._client.get()
        try:
            tags = client.list_tag_properties(repository, order_by="timedesc")
            return [RegistryTag(tag.name, tag.digest, tag.last_updated_on) async for tag in tags]
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if _is_missing(error):
                return []
            raise gateway_error(SERVICE, f"list the tags of {repository}", error) from error


class _Token:
    """The header of the last request that the registry accepted.

    The client fetches a token for each call, in three round trips; with this header it does so only after a 401.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

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
