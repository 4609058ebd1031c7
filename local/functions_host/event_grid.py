"""What the Event Grid web-hook answers.

It follows EventGridExtensionConfigProvider.ConvertAsync of azure-sdk-for-net
(sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.EventGrid). The HTTP method matters for OPTIONS only. JSON is read
strictly, where Newtonsoft also takes single quotes, comments and a comma before a bracket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from multidict import MultiMapping

HANDSHAKE = {"WebHook-Allowed-Origin": "eventgrid.azure.net"}
"""The answer to the CloudEvents handshake, whatever origin asks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that runs no function."""

    status: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deliver:
    """The function runs once for each of these texts, all at once."""

    events: tuple[str, ...]


class Request(Protocol):
    """What the web-hook reads of a request; the names of headers are case-blind."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def query(self) -> MultiMapping[str]:
        """The query's parameters."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    async def read(self) -> bytes:
        """Return the body."""


async def respond(request: Request, names: Collection[str], run: Callable[[str, str], Awaitable[bool]]) -> Answer:
    """Answer a request; ``run`` gets a function's name and an event, and returns whether the run succeeded."""
    event_type = request.headers.get("aeg-event-type", "")
    decision = before_body(request.method, request.query, event_type, names)
    if isinstance(decision, Answer):
        return decision
    delivered = with_body(event_type, await request.read())
    if isinstance(delivered, Answer):
        return delivered
    return after_runs(decision, await asyncio.gather(*(run(decision, event) for event in delivered.events)))


def before_body(method: str, query: MultiMapping[str], event_type: str, names: Collection[str]) -> Answer | str:
    """Return the answer to a request whose body is not read, or the name of its function.

    The function's name is compared with case, the name of the query's parameter and the header's value without.
    """
    name = ",".join(value for key, value in query.items() if key.lower() == "functionname")
    if name not in names:
        return Answer(404, f"cannot find function: '{name}'")
    if method == "OPTIONS":
        return Answer(200, headers=HANDSHAKE)
    kind = event_type.strip().lower()
    if kind == "unsubscribe":
        return Answer(202)
    return name if kind in ("notification", "subscriptionvalidation") else Answer(400)


def with_body(event_type: str, body: bytes) -> Answer | Deliver:
    """Return the answer to a validation, or the events; a body that the host cannot read is an exception in it: 500."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return Answer(500)
    events = content if isinstance(content, list) else [content]
    if not all(isinstance(event, dict) for event in events):
        return Answer(500)
    if event_type.strip().lower() == "notification":
        return Deliver(tuple(json.dumps(event, indent=2, ensure_ascii=False) for event in events))
    data = events[0].get("data") if events else None
    code = data.get("validationCode") if isinstance(data, dict) else None
    if code is None:
        return Answer(500)
    return Answer(200, json.dumps({"validationResponse": str(code)}, separators=(",", ":")))


def after_runs(name: str, succeeded: Collection[bool]) -> Answer:
    """Return the answer when all runs have ended; the text is that of the script host."""
    if all(succeeded):
        return Answer(202)
    return Answer(500, f"Exception while executing function: Functions.{name}")
