"""Hands events over as azure-eventgrid's own models write them: to the queue ``events``, or to a custom topic."""

from __future__ import annotations

import json
import re
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue.aio import QueueClient

from cli.codes import Mistake
from cli.event_files import Found
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.storage.account import StorageAccount, translate_errors
from handlers.settings import Settings

Model = EventGridEvent | CloudEvent[Any]
QUEUE = "events"
SERVICE = "Event Grid"


class Sender:
    """Sends events one by one, in order; every method raises TransientError or PermanentError."""

    def __init__(self, settings: Settings, topic: str | None) -> None:
        self._credential = DefaultAzureCredential(require_envvar=True)
        self._topic = EventGridPublisherClient(topic, self._credential, retry_total=2) if topic else None
        self._account = (
            StorageAccount.from_connection_string(settings.storage)
            if settings.storage
            else StorageAccount.from_uris(settings.blob_uri, settings.queue_uri, self._credential)
        )

    async def send(self, model: Model) -> None:
        """One event.

        A system topic takes events of nobody but its service, so the queue is handed what Event Grid would have put
        there. A custom topic stamps its own name on events of Event Grid's schema and would make another registry's of
        ours: there they go as CloudEvents, whose source stays (docs/decisions/0026).
        """
        if self._topic is not None:
            await self._publish(model)
            return
        text = json.dumps(as_sent(model))
        queue: QueueClient = self._account.queue(QUEUE)
        with translate_errors(f"send {model.id} to the queue {QUEUE}"):
            try:
                await queue.send_message(text)
            except ResourceNotFoundError:
                await queue.create_queue()
                await queue.send_message(text)

    async def _publish(self, model: Model) -> None:
        what = f"publish {model.id}"
        sent = model if isinstance(model, CloudEvent) else as_cloud_event(model)
        try:
            await self._topic.send(sent)  # type: ignore[union-attr]
        except HttpResponseError as error:
            status = 404 if isinstance(error, ResourceNotFoundError) else error.status_code
            raise PermanentError(SERVICE, str(status), what, status=status) from error
        except AzureError as error:
            raise TransientError(SERVICE, "no answer", what, unclear=True) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._topic is not None:
            await self._topic.close()
        await self._account.close()
        await self._credential.close()


def modelled(event: Found) -> Model:
    """The event as azure-eventgrid's model; raises Mistake for one that misses what the model needs."""
    try:
        if event.body.get("specversion"):
            return CloudEvent.from_dict(event.body)
        return EventGridEvent.from_json(json.dumps(event.body))
    except (ValueError, TypeError, KeyError, AzureError) as error:
        raise Mistake(f"{event.place} is no event that can be sent: {_why(error)}") from None


def _why(error: Exception) -> str:
    """Of an error that quotes errors, the innermost sentence."""
    time = re.search(r"Invalid datetime string: [^'\")\s]+", str(error))
    return time[0] if time else str(error).splitlines()[0]


def as_sent(model: Model) -> dict[str, Any]:
    """What Event Grid writes of it."""
    if isinstance(model, CloudEvent):
        return as_cloud_dict(model)
    return dict(model.serialize(keep_readonly=True))


def as_cloud_event(model: EventGridEvent) -> CloudEvent[Any]:
    """By Event Grid's own mapping of the two schemas."""
    return CloudEvent(
        source=str(model.topic or ""),
        type=str(model.event_type),
        id=str(model.id),
        time=model.event_time,
        subject=str(model.subject),
        data=model.data,
    )


def as_cloud_dict(model: CloudEvent[Any]) -> dict[str, Any]:
    """CloudEvents 1.0 as JSON."""
    told = {"specversion": model.specversion, "id": model.id, "source": model.source, "type": model.type}
    time = model.time.isoformat() if model.time else None
    more = {"time": time, "subject": model.subject, "datacontenttype": model.datacontenttype}
    more |= {"dataschema": model.dataschema, "data": model.data}
    return told | {key: value for key, value in more.items() if value is not None} | dict(model.extensions or {})
