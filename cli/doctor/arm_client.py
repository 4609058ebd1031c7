"""Azure Resource Manager, read only: the control plane that says what exists, who may do what, and where events go."""

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

ADDRESS = "https://management.azure.com"
"""Of the public cloud; ARM_ENDPOINT names another cloud's."""
SERVICE = "ARM"
Json = dict[str, Any]


class Arm:
    """Every method raises TransientError or PermanentError."""

    def __init__(self, credential: AsyncTokenCredential, address: str = "", **options: Any) -> None:
        address = (address or os.environ.get("ARM_ENDPOINT", ADDRESS)).rstrip("/")
        self._client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            base_url=address,
            policies=[
                HeadersPolicy({"Accept": "application/json"}),
                AsyncRetryPolicy(retry_total=2, timeout=20),
                AsyncBearerTokenCredentialPolicy(credential, f"{address}/.default"),
            ],
            connection_timeout=5,
            read_timeout=15,
            **options,
        )

    async def get(self, path: str, version: str, **query: str) -> Json | None:
        """One resource, or None where there is none."""
        return await self._get(self._client.format_url(path), {"api-version": version, **query})

    async def list(self, path: str, version: str, **query: str) -> Sequence[Json]:
        """Every page of a list; empty where there is no such thing."""
        found: list[Json] = []
        page = await self.get(path, version, **query)
        while page is not None:
            found += page.get("value") or []
            more = page.get("nextLink")
            page = await self._get(str(more), {}) if more else None
        return found

    async def _get(self, url: str, query: dict[str, str]) -> Json | None:
        what = f"read {url.partition('?')[0].rpartition('/providers/')[2] or url}"
        try:
            response = await self._client.send_request(HttpRequest("GET", url, params=query))
        except AzureError as error:
            raise TransientError(SERVICE, "no answer", what) from error
        if response.status_code == 404:
            return None
        if response.status_code >= 400:
            status = int(response.status_code)
            raise PermanentError(SERVICE, str(status), what, status=status)
        try:
            body: Json = response.json()
        except ValueError as error:
            raise TransientError(SERVICE, "no JSON", what) from error
        return body

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
