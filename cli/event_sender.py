"""Sends events, as azure-eventgrid's models write them, to the queue ``events`` or to a custom topic."""

from __future__ import annotations

import json
import re
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient

from cli.event_files import FoundEvent
from cli.exit_codes import UsageError
from handlers.gateways.azure_http import gateway_error
from handlers.gateways.event_grid import SERVICE
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.release_queue import send_text

Model = EventGridEvent | CloudEvent[Any]
QUEUE = "events"


class EventSender:
    """Sends one event at a time; every method raises TransientError or PermanentError."""

    def __init__(self, account: StorageAccount, credential: AsyncTokenCredential, topic: str | None) -> None:
        self._account = account
        self._topic = EventGridPublisherClient(topic, credential, retry_total=2) if topic else None

    async def send(self, model: Model) -> None:
        """Send an event.

        A system topic accepts events only from its own service, so the event goes into the queue that Event Grid would
        have filled. A custom topic overwrites the topic of an event in Event Grid's schema, which would change its
        registry: there the event goes as a CloudEvent, whose source stays (docs/decisions/0026).
        """
        if self._topic is None:
            await send_text(self._account, QUEUE, json.dumps(to_json(model)))
            return
        try:
            await self._topic.send(model if isinstance(model, CloudEvent) else to_cloud_event(model))
        except AzureError as error:
            raise gateway_error(SERVICE, f"publish {model.id}", error, unclear=True) from error

    async def close(self) -> None:
        """Close the connections to the topic."""
        if self._topic is not None:
            await self._topic.close()


def to_model(event: FoundEvent) -> Model:
    """Return the event as azure-eventgrid's model; raise UsageError if a required field is missing."""
    try:
        if event.body.get("specversion"):
            return CloudEvent.from_dict(event.body)
        return EventGridEvent.from_json(json.dumps(event.body))
    except (ValueError, TypeError, KeyError, AzureError) as error:
        raise UsageError(f"{event.position} is not an event that can be sent: {_explain(error)}") from None


def _explain(error: Exception) -> str:
    """Return the innermost sentence of an error that quotes other errors."""
    time = re.search(r"Invalid datetime string: [^'\")\s]+", str(error))
    return time[0] if time else str(error).splitlines()[0]


def to_json(model: Model) -> dict[str, Any]:
    """Return the event as Event Grid writes it."""
    if isinstance(model, CloudEvent):
        return _cloud_event_json(model)
    return dict(model.serialize(keep_readonly=True))


def to_cloud_event(model: EventGridEvent) -> CloudEvent[Any]:
    """Return the event as a CloudEvent, by Event Grid's own mapping of the two schemas."""
    return CloudEvent(
        source=str(model.topic or ""),
        type=str(model.event_type),
        id=str(model.id),
        time=model.event_time,
        subject=str(model.subject),
        data=model.data,
    )


def _cloud_event_json(model: CloudEvent[Any]) -> dict[str, Any]:
    """Return a CloudEvent in the JSON of CloudEvents 1.0."""
    required = {"specversion": model.specversion, "id": model.id, "source": model.source, "type": model.type}
    time = model.time.isoformat() if model.time else None
    optional = {"time": time, "subject": model.subject, "datacontenttype": model.datacontenttype}
    optional |= {"dataschema": model.dataschema, "data": model.data}
    present = {key: value for key, value in optional.items() if value is not None}
    return required | present | dict(model.extensions or {})
