"""A client of Azure Resource Manager: ``slipway doctor`` reads through it, the hooks of infra/ also write."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy, HeadersPolicy
from azure.core.rest import HttpRequest

from handlers.gateways.azure_http import RETRYABLE_STATUSES, retry_after_in
from handlers.gateways.errors import PermanentError, TransientError

PUBLIC_CLOUD = "https://management.azure.com"
"""The default; ARM_ENDPOINT names another cloud's Resource Manager."""
SERVICE = "ARM"
NOT_JSON = "no JSON"
"""The code of an answer that Resource Manager did not write, such as a proxy's page."""
POLL_SECONDS, MAX_POLLS = 5.0, 120
"""Of an operation that Azure finishes later, unless it asks for another interval."""
Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]


class ArmClient:
    """Every method raises TransientError or PermanentError."""

    def __init__(
        self, credential: AsyncTokenCredential, endpoint: str = "", *, sleep: Sleep = asyncio.sleep, **options: Any
    ) -> None:
        endpoint = (endpoint or os.environ.get("ARM_ENDPOINT", PUBLIC_CLOUD)).rstrip("/")
        self._sleep = sleep
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

    async def put(self, path: str, version: str, body: Mapping[str, object]) -> None:
        """Create or change a resource and wait until Azure has finished."""
        await self._wait(*await self._write("PUT", path, version, body))

    async def post(self, path: str, version: str, body: Mapping[str, object]) -> Json:
        """Call an action that answers at once."""
        operation, response = await self._write("POST", path, version, body)
        return _json(response, operation)

    async def delete(self, path: str, version: str) -> None:
        """Delete a resource and wait until it is gone; one that does not exist counts as deleted."""
        await self._wait(*await self._write("DELETE", path, version))

    async def _get(self, url: str, query: dict[str, str]) -> Json | None:
        operation = f"read {_short(url)}"
        response = await self._send(HttpRequest("GET", url, params=query), operation)
        return None if response.status_code == 404 else _json(response, operation)

    async def _write(self, method: str, path: str, version: str, body: object = None) -> tuple[str, Any]:
        operation = f"{method.lower()} {_short(path)}"
        url, query = self._client.format_url(path), {"api-version": version}
        return operation, await self._send(HttpRequest(method, url, params=query, json=body), operation)

    async def _send(self, request: HttpRequest, operation: str) -> Any:
        """Return the response, a 404 included, or raise what Azure says."""
        try:
            response = await self._client.send_request(request)
        except AzureError as error:
            raise TransientError(SERVICE, "no answer", operation) from error
        status = int(response.status_code)
        if status < 400:
            return response
        failure = _json(response, operation) if response.content else {}  # a page of a proxy says nothing about Azure
        if status == 404 and request.method != "PUT":
            return response
        code, message = _reason(failure, str(status))
        if status in RETRYABLE_STATUSES:
            wait = retry_after_in(response.headers)
            raise TransientError(SERVICE, code, f"{operation}{message}", throttled=status == 429, retry_after=wait)
        raise PermanentError(SERVICE, code, f"{operation}{message}", status=status)

    async def _wait(self, operation: str, response: Any) -> None:
        """Wait for an operation: learn.microsoft.com/azure/azure-resource-manager/management/async-operations."""
        address = response.headers.get("Azure-AsyncOperation") or response.headers.get("Location")
        is_running = bool(address) and response.status_code in (201, 202)
        polled = HttpRequest("GET", address or str(response.request.url))
        for _ in range(MAX_POLLS):
            body = _json(response, operation) if response.content else {}
            state = body.get("status") or (body.get("properties") or {}).get("provisioningState") or "Succeeded"
            if state in ("Failed", "Canceled"):
                code, message = _reason(body, str(state))
                raise PermanentError(SERVICE, code, f"{operation}{message}")
            if state == "Succeeded" and not is_running:
                return
            await self._sleep(float(response.headers.get("Retry-After") or POLL_SECONDS))
            response = await self._send(polled, operation)
            is_running = response.status_code == 202
        raise TransientError(SERVICE, "not finished", operation)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _short(url: str) -> str:
    return url.partition("?")[0].rpartition("/providers/")[2] or url


def _json(response: Any, operation: str) -> Json:
    try:
        body = response.json()
    except ValueError as error:
        raise TransientError(SERVICE, NOT_JSON, operation) from error
    if not isinstance(body, dict):
        raise TransientError(SERVICE, NOT_JSON, operation)
    return body


def _reason(body: Json, code: str) -> tuple[str, str]:
    """Return Azure's code and message, where the body has them."""
    error = body.get("error")
    if not isinstance(error, dict):
        return code, ""
    message = " ".join(str(error.get("message") or "").split())
    return str(error.get("code") or code), f": {message}" if message else ""
