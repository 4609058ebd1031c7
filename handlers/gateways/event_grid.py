"""Outcomes as CloudEvents on an Event Grid topic, through azure-eventgrid with the app's identity."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from handlers.gateways.azure_http import is_retryable, retry_after
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.interfaces import OutcomeEvent

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.messaging import CloudEvent
    from azure.eventgrid.aio import EventGridPublisherClient

SERVICE = "Event Grid"
PUBLISH_TIMEOUT_SECONDS = 10.0
"""Seconds for all of it: the release is over, and its message must not be held back for those who listen."""
RETRY_OPTIONS: dict[str, Any] = {"retry_total": 1, "connection_timeout": 3, "read_timeout": 5}
"""An event that comes twice has the same id."""


class EventGridPublisher:
    """See the Outcomes protocol."""

    def __init__(self, endpoint: str, source: str, credential: AsyncTokenCredential) -> None:
        self._endpoint = endpoint
        self._source = source
        self._credential = credential
        self._made: EventGridPublisherClient | None = None

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        """One request for all of them."""
        client = await self._client()
        what = f"publish {' and '.join(sorted({one.type for one in events}))}"
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await client.send([self._event(one) for one in events])
        except HttpResponseError as error:
            raise _ours(what, error) from error
        except (AzureError, TimeoutError, ValueError) as error:
            raise TransientError(SERVICE, "no answer", f"{what}: {type(error).__name__}", unclear=True) from error

    def _event(self, told: OutcomeEvent) -> CloudEvent[dict[str, object]]:
        from azure.core.messaging import CloudEvent

        extensions: Any = {"traceparent": told.traceparent} if told.traceparent else None
        return CloudEvent(
            source=self._source,
            type=told.type,
            id=told.id,
            subject=told.subject,
            data=dict(told.data),
            datacontenttype="application/json",
            extensions=extensions,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

    async def _client(self) -> EventGridPublisherClient:
        """Import and build at first use: most apps tell nobody."""
        if self._made is None:
            made = await asyncio.to_thread(_import)
            if self._made is None:  # another coroutine may have been as early
                self._made = made(self._endpoint, self._credential, **RETRY_OPTIONS)
        return self._made


def _import() -> type[EventGridPublisherClient]:
    from azure.eventgrid.aio import EventGridPublisherClient

    return EventGridPublisherClient


def _ours(what: str, error: HttpResponseError) -> TransientError | PermanentError:
    status = 404 if isinstance(error, ResourceNotFoundError) else error.status_code  # azure-eventgrid 4.22.1 forgets it
    if is_retryable(status):
        return TransientError(SERVICE, str(status or "no answer"), what, unclear=True, retry_after=retry_after(error))
    return PermanentError(SERVICE, str(status), what, status=status)
