"""A read-only client of Azure Resource Manager."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy, HeadersPolicy
from azure.core.rest import HttpRequest

from handlers.gateways.errors import PermanentError, TransientError

PUBLIC_CLOUD = "https://management.azure.com"
"""The default; ARM_ENDPOINT names another cloud's Resource Manager."""
SERVICE = "ARM"
Json = dict[str, Any]


class ArmClient:
    """Every method raises TransientError or PermanentError."""

    def __init__(self, credential: AsyncTokenCredential, endpoint: str = "", **options: Any) -> None:
        endpoint = (endpoint or os.environ.get("ARM_ENDPOINT", PUBLIC_CLOUD)).rstrip("/")
        self._client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            base_url=endpoint,
            policies=[
                HeadersPolicy({"Accept": "application/json"}),
                AsyncRetryPolicy(retry_total=2, timeout=20),
                AsyncBearerTokenCredentialPolicy(credential, f"{endpoint}/.default"),
            ],
            connection_timeout=5,
            read_timeout=15,
            **options,
        )

    async def get(self, path: str, version: str, **query: str) -> Json | None:
        """Return a resource, or None if it does not exist."""
        return await self._get(self._client.format_url(path), {"api-version": version, **query})

    async def list(self, path: str, version: str, **query: str) -> Sequence[Json]:
        """Return every page of a list; empty if the path does not exist."""
        resources: list[Json] = []
        page = await self.get(path, version, **query)
        while page is not None:
            resources += page.get("value") or []
            next_link = page.get("nextLink")
            page = await self._get(str(next_link), {}) if next_link else None
        return resources

    async def _get(self, url: str, query: dict[str, str]) -> Json | None:
        operation = f"read {url.partition('?')[0].rpartition('/providers/')[2] or url}"
        try:
            response = await self._client.send_request(HttpRequest("GET", url, params=query))
        except AzureError as error:
            raise TransientError(SERVICE, "no answer", operation) from error
        if response.status_code == 404:
            return None
        if response.status_code >= 400:
            status = int(response.status_code)
            raise PermanentError(SERVICE, str(status), operation, status=status)
        try:
            body: Json = response.json()
        except ValueError as error:
            raise TransientError(SERVICE, "no JSON", operation) from error
        return body

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
