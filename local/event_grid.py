"""Event Grid: delivers events at least once, retries on its documented schedule, and dead-letters to a folder.

Lacks: filters other than the event type, batching, persistence (undelivered events are lost with the process), and the
delay of *other* events to an endpoint that fails.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from local.stand_in import StandIn

RETRY_DELAYS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
"""Seconds between attempts: learn.microsoft.com/azure/event-grid/delivery-and-retry."""
RESPONSE_TIMEOUT = 30.0
NOT_RETRIED = frozenset({400, 401, 403, 413})
"""Statuses of a webhook after which its event is not retried."""
Event = dict[str, Any]


class Delivery(Protocol):
    """Delivers the events of a subscription."""

    async def deliver(self, event: Event) -> int:
        """Try once; return the HTTP status, or 0 without a response."""


@dataclass(frozen=True)
class ToFunction:
    """Delivers to an Event Grid function of the Functions host."""

    functions_url: str
    function: str

    async def deliver(self, event: Event) -> int:
        """Post an array with one event, as Event Grid does."""
        url = f"{self.functions_url}/runtime/webhooks/EventGrid"
        headers = {"aeg-event-type": "Notification"}
        timeout = ClientTimeout(total=RESPONSE_TIMEOUT)
        try:
            async with (
                ClientSession(timeout=timeout) as session,
                session.post(url, params={"functionName": self.function}, json=[event], headers=headers) as response,
            ):
                return response.status
        except (ClientError, TimeoutError):
            return 0


@dataclass(frozen=True)
class ToQueue:
    """Delivers to a storage queue: one event in each message, never an array."""

    send: Callable[[str], Awaitable[int]]

    async def deliver(self, event: Event) -> int:
        """Send one message."""
        return await self.send(json.dumps(event))


@dataclass(frozen=True)
class Subscription:
    """Event types, and how their events are delivered."""

    event_types: frozenset[str]
    delivery: Delivery


@dataclass
class DeliveryOptions:
    """How events are delivered; set by ``PUT /_local/delivery``."""

    duplicates: int = 0
    reorder: bool = False
    cloudevents: bool = False
    data_as_string: bool = False


class EventGrid(StandIn):
    """System topics of the registry and the vault, and a custom topic at ``/api/events``."""

    name = "event grid"

    def __init__(self, dead_letters: Path, *, retry_delay_factor: float = 1.0) -> None:
        super().__init__()
        self.subscriptions: list[Subscription] = []
        self.deliveries: list[dict[str, Any]] = []
        self.published: list[Event] = []
        self.outcomes: list[Event] = []
        """Events of the custom topic."""
        self.delivery_options = DeliveryOptions()
        self._dead_letters = dead_letters
        self._retry_delay_factor = retry_delay_factor
        self.in_flight: set[asyncio.Task[None]] = set()
        self._random = Random(0)  # noqa: S311 - the order of events is not a secret

    def routes(self) -> list[web.RouteDef]:
        """Return the custom topic and the control routes."""
        return [
            web.post("/api/events", self._publish),
            web.put("/_local/delivery", self._set_delivery_options),
            web.get("/_local/deliveries", self._list_deliveries),
            web.get("/_local/published", self._list_published),
        ]

    async def publish(self, event: Event) -> None:
        """Accept one event and deliver it in the background, as the delivery options say."""
        self.published.append(event)
        event_type = event.get("eventType") or event.get("type")
        for subscription in self.subscriptions:
            if event_type in subscription.event_types:
                for _ in range(1 + self.delivery_options.duplicates):
                    task = asyncio.create_task(self._deliver(self._encoded(event), subscription.delivery))
                    self.in_flight.add(task)
                    task.add_done_callback(self.in_flight.discard)

    async def stopped(self) -> None:
        """Cancel the deliveries in flight."""
        for task in self.in_flight:
            task.cancel()
        await asyncio.gather(*self.in_flight, return_exceptions=True)

    async def _deliver(self, event: Event, delivery: Delivery) -> None:
        if self.delivery_options.reorder:
            await asyncio.sleep(self._random.random())
        for attempt, delay in enumerate((*RETRY_DELAYS, None), start=1):
            status = await delivery.deliver(event)
            self.deliveries.append({"id": event.get("id"), "attempt": attempt, "status": status})
            if 200 <= status < 300:
                return
            if status in NOT_RETRIED or delay is None:
                self._dead_letter(event, attempt, status)
                return
            await asyncio.sleep(delay * self._retry_delay_factor)

    def _dead_letter(self, event: Event, attempts: int, status: int) -> None:
        now = datetime.now(UTC).isoformat()
        reason = "UndeliverableDueToHttpStatus" if status in NOT_RETRIED else "MaxDeliveryAttemptsExceeded"
        properties = {
            "deadLetterReason": reason,
            "deliveryAttempts": attempts,
            "lastDeliveryOutcome": str(status),
            "lastDeliveryAttemptTime": now,
        }
        self._dead_letters.mkdir(parents=True, exist_ok=True)
        # never the event's id: anybody who publishes an event chooses it
        (self._dead_letters / f"{uuid.uuid4()}.json").write_text(json.dumps(event | properties, indent=1))

    def _encoded(self, event: Event) -> Event:
        event = dict(event)
        if self.delivery_options.data_as_string:
            event["data"] = json.dumps(event["data"])
        return cloud_event(event) if self.delivery_options.cloudevents and "eventType" in event else event

    async def _publish(self, request: web.Request) -> web.Response:
        """Accept events of the custom topic; a key or a token is needed."""
        if not any(header in request.headers for header in ("Authorization", "aeg-sas-key", "aeg-sas-token")):
            return web.json_response({"error": {"code": "Unauthorized", "message": "no key or token"}}, status=401)
        body = await request.json()
        events = body if isinstance(body, list) else [body]
        self.outcomes += events
        for event in events:
            await self.publish(event)
        return web.Response()

    async def _list_published(self, _: web.Request) -> web.Response:
        return web.json_response(self.outcomes)

    async def _set_delivery_options(self, request: web.Request) -> web.Response:
        try:
            self.delivery_options = DeliveryOptions(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"delivery: {error}"}, status=400)
        return web.json_response(vars(self.delivery_options))

    async def _list_deliveries(self, _: web.Request) -> web.Response:
        return web.json_response(self.deliveries)


def cloud_event(event: Event) -> Event:
    """Return the event in the CloudEvents 1.0 schema, by Event Grid's mapping."""
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "dataschema": f"#{event.get('dataVersion', '')}",
        "data": event["data"],
    }
