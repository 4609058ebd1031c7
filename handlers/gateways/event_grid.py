"""Publishes outcomes as CloudEvents to an Event Grid topic, through azure-eventgrid with the app's identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from handlers.gateways.azure_http import NO_REDIRECT, LazyClient, gateway_error
from handlers.gateways.interfaces import OutcomeEvent

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.messaging import CloudEvent
    from azure.eventgrid.aio import EventGridPublisherClient

SERVICE = "Event Grid"
PUBLISH_TIMEOUT_SECONDS = 10.0
"""For all attempts together: the release is over, and subscribers must not delay its queue message."""
RETRY_OPTIONS: dict[str, Any] = {"retry_total": 1, "connection_timeout": 3, "read_timeout": 5, **NO_REDIRECT}
"""An event that arrives twice has the same id."""


class EventGridPublisher:
    """See the OutcomePublisher protocol."""

    def __init__(self, endpoint: str, source: str, credential: AsyncTokenCredential) -> None:
        self._source = source
        self._client = LazyClient(_load_client, endpoint, credential, **RETRY_OPTIONS)
        self.close = self._client.close

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        client = await self._client.get()
        what = f"publish {' and '.join(sorted({event.type for event in events}))}"
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await client.send([self._cloud_event(event) for event in events])
        except (AzureError, TimeoutError, ValueError) as error:
            raise gateway_error(SERVICE, what, error, unclear=True) from error

    def _cloud_event(self, event: OutcomeEvent) -> CloudEvent[dict[str, object]]:
        from azure.core.messaging import CloudEvent

        return CloudEvent(
            source=self._source,
            type=event.type,
            id=event.id,
            subject=event.subject,
            data=dict(event.data),
            datacontenttype="application/json",
            extensions={"traceparent": event.traceparent} if event.traceparent else None,
        )


def _load_client() -> Callable[..., EventGridPublisherClient]:
    from azure.eventgrid.aio import EventGridPublisherClient

    return EventGridPublisherClient
