"""What all Azure SDK clients share: options, the meaning of errors, and building a client at first use."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping, MutableMapping
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.request import getproxies

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy

from handlers.gateways.answer_limits import LimitedTransport
from handlers.gateways.errors import UNREADABLE_CONTENT, PermanentError, TransientError
from handlers.gateways.imports import without_collections

T = TypeVar("T")

RETRYABLE_STATUSES = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
UNREADABLE_ANSWER = (*UNREADABLE_CONTENT, zlib.error, TimeoutError)
"""What is raised by reading an answer that breaks the contract: HTML, half an answer, a list, a missing key, a time
beyond all calendars, endless nesting, a body that claims to be gzip, more bytes or seconds than an answer may have."""
MAX_RETRY_AFTER_SECONDS = 3600.0
"""A longer Retry-After is cut: nobody would resume a release that waits for years."""
CLIENT_OPTIONS: dict[str, Any] = {"connection_timeout": 5, "retry_status": 0}
"""Seconds. SDKs do not repeat on a bad status: azure-core would sleep for as long as Retry-After says, and nobody would
renew the lease meanwhile; the release loop waits just as long, and renews."""
NO_REDIRECT: dict[str, Any] = {"permit_redirects": False}
"""A redirected request would carry secrets, or a write, to another host; only registries redirect, to their blobs."""
MAX_CALL_SECONDS = 35.0
"""A call with its retries: a read timeout of the SDKs counts from the last byte, so that a drip would never end. A
lease is renewed between two calls, and lasts as long."""
NO_TRACE: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""Polls and our own bookkeeping in storage would be most of a trace and say nothing."""

SERVICE_REQUEST_ID = "x-ms-request-id"
"""azure-core exports this header of an answer as it came, as ``az.service_request_id`` of its own spans."""
REQUEST_IDS = ("X-Request-ID", "apim-request-id", SERVICE_REQUEST_ID, "X-Ms-Correlation-Request-Id")
"""Of Foundry, its gateway, Key Vault or storage, and the registry (docs/reference/wire.md)."""
REQUEST_ID = re.compile(r"[0-9a-fA-F-]{16,40}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ANSWERED_BY_AGENTS = "/endpoint/protocols/"


class NoForeignRequestId(SansIOHTTPPolicy[Any, Any]):
    """Removes the request id of an answer, unless it has the form of one and no agent can have written it.

    It stands in the place of the policy that logs requests: the one after which the span of a request ends.
    """

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        """Remove the header before the span ends."""
        headers: MutableMapping[str, str] = response.http_response.headers
        found = headers.get(SERVICE_REQUEST_ID, "")
        if found and (not UUID.fullmatch(found) or ANSWERED_BY_AGENTS in request.http_request.url):
            del headers[SERVICE_REQUEST_ID]


def limited(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a client, with a transport of its own that limits answers."""
    return {**options, "transport": LimitedTransport(**options, **connection_options())}


@cache
def connection_options() -> dict[str, Any]:
    """Let clients read proxies from the environment only where it names some.

    For that, aiohttp 3.14 reads the environment and ~/.netrc in a thread, for each request anew, and the request waits.
    """
    return {"use_env_settings": bool(getproxies())}


class LazyClient(Generic[T]):
    """An SDK client that is imported and built at first use: importing azure-ai-projects takes most of a second."""

    def __init__(self, load: Callable[[], Callable[..., T]], *args: object, **options: object) -> None:
        self._load, self._args, self._options = load, args, options
        self.instance: T | None = None

    async def get(self) -> T:
        """The client."""
        if self.instance is None:
            build = await asyncio.to_thread(without_collections, self._load)
            if self.instance is None:  # another coroutine may have built it meanwhile
                self.instance = build(*self._args, **self._options)
        return self.instance

    async def close(self) -> None:
        """Close the connections."""
        client: Any = self.instance
        if client is not None:
            await client.__aexit__()  # the registry's close() leaves connections of the token exchange open


def answer_headers(error: Exception) -> Mapping[str, str]:
    """The headers of the answer that an SDK's error is about; none where there was no answer."""
    return getattr(getattr(error, "response", None), "headers", None) or {}


def is_missing(error: Exception) -> bool:
    """True for a 404 about what was asked for, and not about the registry's token exchange before it."""
    url = getattr(getattr(error, "response", None), "url", "")
    return isinstance(error, ResourceNotFoundError) and "/oauth2/" not in url


def request_id(headers: Mapping[str, str]) -> str:
    """The service's id of an answer; empty where it has none, or only texts that cannot be an id."""
    found = (headers.get(name, "") for name in REQUEST_IDS)
    return next((text for text in found if REQUEST_ID.fullmatch(text)), "")


def with_request_id(what: str, error: Exception) -> str:
    """What was asked for, with the id of the answer: support asks for it, and it is shown where words are left out."""
    found = request_id(answer_headers(error))
    return f"{what} [request id {found}]" if found else what


def retry_after(error: HttpResponseError) -> float | None:
    """Seconds that the service asks us to wait, where it gives a number; an hour at most."""
    return retry_after_in(answer_headers(error))


def retry_after_in(headers: Mapping[str, str]) -> float | None:
    """The same, of the headers of an answer."""
    text = headers.get("Retry-After", "")
    return min(float(text), MAX_RETRY_AFTER_SECONDS) if text.isdecimal() else None


def gateway_error(
    service: str, what: str, error: Exception, code: str = "", *, unclear: bool = False
) -> TransientError | PermanentError:
    """The gateway's error: transient without a readable answer or with a status after which a retry may help."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if isinstance(error, ResourceNotFoundError):
        status = 404  # azure-eventgrid 4.22.1 leaves it out
    what = with_request_id(what, error)
    if not isinstance(error, HttpResponseError) or status is None or status < 300:
        return TransientError(service, "no answer", f"{what}: {type(error).__name__}", unclear=unclear)
    if status in RETRYABLE_STATUSES:
        return TransientError(service, code or str(status), what, unclear=unclear, retry_after=retry_after(error))
    return PermanentError(service, code or str(status), what, status=status)
