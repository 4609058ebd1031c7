"""What the registry says of a digest and its tags, through azure-containerregistry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from core.image_manifest import ImageFacts, RegistryTag, inspect_config, inspect_manifest
from handlers.gateways.azure_http import (
    CLIENT_OPTIONS,
    RETRYABLE_STATUSES,
    UNREADABLE_ANSWER,
    connection_options,
    retry_after,
)
from handlers.gateways.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from azure.containerregistry.aio import ContainerRegistryClient
    from azure.core.credentials_async import AsyncTokenCredential

SERVICE = "registry"
MAX_CONFIG_BYTES = 1_000_000
"""Bytes of a configuration that are read."""
OPTIONS: dict[str, Any] = {**CLIENT_OPTIONS, "read_timeout": 10}


class AzureRegistry:
    """See the Images protocol."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._made: ContainerRegistryClient | None = None
        self._tokens: dict[str, _Token] = {}
        """By repository, which is what a token is for."""

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """Manifest first, then the configuration that it names; the client checks both against their digests."""
        what = f"read {repository}@{digest[:19]}"
        try:
            return await self._facts(repository, digest)
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if _is_missing(error):
                return None
            raise _ours(what, error) from error

    async def _facts(self, repository: str, digest: str) -> ImageFacts:
        client, token = await self._client(), self._tokens.setdefault(repository, _Token())
        found = await client.get_manifest(repository, digest, headers=token.headers, raw_response_hook=token.keep)
        facts = inspect_manifest(found.manifest, found.media_type or "")
        if isinstance(facts, ImageFacts):
            return facts
        stream = await client.download_blob(repository, facts.digest, headers=token.headers)
        data = bytearray()
        async for chunk in stream:
            data += chunk
            if len(data) > MAX_CONFIG_BYTES:
                raise ValueError("a configuration that is larger than any image's")
        return inspect_config(json.loads(data), digest)

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        """Every tag, the one that was pushed last first."""
        client = await self._client()
        try:
            listed = client.list_tag_properties(repository, order_by="timedesc")
            return [RegistryTag(one.name, one.digest, one.last_updated_on) async for one in listed]
        except (AzureError, *UNREADABLE_ANSWER) as error:
            if _is_missing(error):
                return []
            raise _ours(f"list the tags of {repository}", error) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            client: Any = self._made
            await client.__aexit__()  # its close() leaves the connections of the token exchange open

    async def _client(self) -> ContainerRegistryClient:
        """Import and build at first use."""
        if self._made is None:
            made = await asyncio.to_thread(_import)
            if self._made is None:  # another coroutine may have been as early
                self._made = made(self._endpoint, self._credential, **OPTIONS, **connection_options())
        return self._made


class _Token:
    """The header with which a request was at last let in.

    The client fetches a new token for every call, three round trips each; the last one serves until the registry says
    no, and then the client fetches one after all.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def keep(self, response: Any) -> None:
        with suppress(KeyError):
            self.headers = {"Authorization": response.http_request.headers["Authorization"]}


def _import() -> type[ContainerRegistryClient]:
    from azure.containerregistry.aio import ContainerRegistryClient

    return ContainerRegistryClient


def _is_missing(error: Exception) -> bool:
    """True for a 404 about what was asked for, and not about the tokens that are fetched on the way there."""
    asked: Any = getattr(error, "response", None)
    return isinstance(error, ResourceNotFoundError) and "/oauth2/" not in getattr(asked, "url", "")


def _ours(what: str, error: Exception) -> TransientError | PermanentError:
    if isinstance(error, HttpResponseError) and error.status_code is not None and error.status_code >= 300:
        code = str(error.status_code)
        if error.status_code in RETRYABLE_STATUSES:
            return TransientError(SERVICE, code, what, retry_after=retry_after(error))
        return PermanentError(SERVICE, code, what, status=error.status_code)
    return TransientError(SERVICE, "no answer", f"{what}: {type(error).__name__}")
