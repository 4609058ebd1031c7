"""Event Grid: delivers events at least once, retries on its own schedule, and dead-letters to a folder.

Lacks: filters other than the event type, batching, persistence (undelivered events are gone with the process), and the
delays with which a failing endpoint's *other* events are held back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from local.stand_in import StandIn

SCHEDULE = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
"""Seconds between tries: learn.microsoft.com/azure/event-grid/delivery-and-retry."""
ANSWER_WITHIN = 30.0
REFUSED = frozenset({400, 401, 403, 413})
"""Answers after which a webhook's event is not tried again."""
Event = dict[str, Any]


class Delivery(Protocol):
    """Where a subscription's events go."""

    async def deliver(self, event: Event) -> int:
        """The HTTP status of one try; 0 where nobody answered."""


@dataclass(frozen=True)
class Straight:
    """To an Event Grid function of the Functions host."""

    functions_url: str
    function: str

    async def deliver(self, event: Event) -> int:
        """One array with one event, as Event Grid sends it."""
        url = f"{self.functions_url}/runtime/webhooks/EventGrid"
        headers = {"aeg-event-type": "Notification"}
        timeout = ClientTimeout(total=ANSWER_WITHIN)
        try:
            async with (
                ClientSession(timeout=timeout) as session,
                session.post(url, params={"functionName": self.function}, json=[event], headers=headers) as answer,
            ):
                return answer.status
        except (ClientError, TimeoutError):
            return 0


@dataclass(frozen=True)
class ToQueue:
    """To a storage queue: one event a message, never an array."""

    send: Callable[[str], Awaitable[int]]

    async def deliver(self, event: Event) -> int:
        """Put one message."""
        return await self.send(json.dumps(event))


@dataclass(frozen=True)
class Subscription:
    """Events of some types go one way."""

    event_types: frozenset[str]
    delivery: Delivery


@dataclass
class Manners:
    """How badly to behave."""

    duplicates: int = 0
    reorder: bool = False
    cloudevents: bool = False
    data_as_string: bool = False


class EventGrid(StandIn):
    """System topics of the registry and the vault, and a custom topic at ``/api/events``."""

    name = "event grid"

    def __init__(self, dead_letters: Path, *, factor: float = 1.0) -> None:
        super().__init__()
        self.subscriptions: list[Subscription] = []
        self.deliveries: list[dict[str, Any]] = []
        self.published: list[Event] = []
        self.outcomes: list[Event] = []
        """What came to the custom topic."""
        self.manners = Manners()
        self._dead_letters = dead_letters
        self._factor = factor
        self.on_their_way: set[asyncio.Task[None]] = set()
        self._random = Random(0)  # noqa: S311 - the order of events is no secret

    def routes(self) -> list[web.RouteDef]:
        """The custom topic, and how to make it misbehave."""
        return [
            web.post("/api/events", self._publish),
            web.put("/_local/delivery", self._set_manners),
            web.get("/_local/deliveries", self._list_deliveries),
            web.get("/_local/published", self._list_published),
        ]

    async def publish(self, event: Event) -> None:
        """Take one event; it is delivered in the background, as often and in what order the manners say."""
        self.published.append(event)
        kind = event.get("eventType") or event.get("type")
        for subscription in self.subscriptions:
            if kind in subscription.event_types:
                for _ in range(1 + self.manners.duplicates):
                    task = asyncio.create_task(self._deliver(self._dressed(event), subscription.delivery))
                    self.on_their_way.add(task)
                    task.add_done_callback(self.on_their_way.discard)

    async def stopped(self) -> None:
        """Give up what is on its way."""
        for task in self.on_their_way:
            task.cancel()
        await asyncio.gather(*self.on_their_way, return_exceptions=True)

    async def _deliver(self, event: Event, delivery: Delivery) -> None:
        if self.manners.reorder:
            await asyncio.sleep(self._random.random())
        for attempt, pause in enumerate((*SCHEDULE, None), start=1):
            status = await delivery.deliver(event)
            self.deliveries.append({"id": event.get("id"), "attempt": attempt, "status": status})
            if 200 <= status < 300:
                return
            if status in REFUSED or pause is None:
                self._bury(event, attempt, status)
                return
            await asyncio.sleep(pause * self._factor)

    def _bury(self, event: Event, attempts: int, status: int) -> None:
        now = datetime.now(UTC).isoformat()
        reason = "UndeliverableDueToHttpStatus" if status in REFUSED else "MaxDeliveryAttemptsExceeded"
        told = {
            "deadLetterReason": reason,
            "deliveryAttempts": attempts,
            "lastDeliveryOutcome": str(status),
            "lastDeliveryAttemptTime": now,
        }
        self._dead_letters.mkdir(parents=True, exist_ok=True)
        (self._dead_letters / f"{event.get('id')}.json").write_text(json.dumps(event | told, indent=1))

    def _dressed(self, event: Event) -> Event:
        event = dict(event)
        if self.manners.data_as_string:
            event["data"] = json.dumps(event["data"])
        return cloud_event(event) if self.manners.cloudevents and "eventType" in event else event

    async def _publish(self, request: web.Request) -> web.Response:
        """The custom topic's data plane: without a key or a token nobody publishes."""
        if not any(header in request.headers for header in ("Authorization", "aeg-sas-key", "aeg-sas-token")):
            return web.json_response({"error": {"code": "Unauthorized", "message": "no key or token"}}, status=401)
        body = await request.json()
        self.outcomes += body if isinstance(body, list) else [body]
        for event in body if isinstance(body, list) else [body]:
            await self.publish(event)
        return web.Response()

    async def _list_published(self, _: web.Request) -> web.Response:
        return web.json_response(self.outcomes)

    async def _set_manners(self, request: web.Request) -> web.Response:
        try:
            self.manners = Manners(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"delivery: {error}"}, status=400)
        return web.json_response(vars(self.manners))

    async def _list_deliveries(self, _: web.Request) -> web.Response:
        return web.json_response(self.deliveries)


def cloud_event(event: Event) -> Event:
    """The same event in the CloudEvents 1.0 schema, by Event Grid's own mapping."""
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
