"""What the Event Grid web-hook answers, decided without I/O.

It follows EventGridExtensionConfigProvider.ConvertAsync of azure-sdk-for-net
(sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.EventGrid). The HTTP method matters for OPTIONS only. JSON is read
strictly, where Newtonsoft also takes single quotes, comments and a comma before a bracket.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field

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

    name: str
    events: tuple[str, ...]


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


def with_body(name: str, event_type: str, body: bytes) -> Answer | Deliver:
    """Return the answer to a validation, or the events; a body that the host cannot read is an exception in it: 500."""
    try:
        content = json.loads(body)
    except ValueError:  # UnicodeDecodeError included
        return Answer(500)
    events = content if isinstance(content, list) else [content]
    if not all(isinstance(event, dict) for event in events):
        return Answer(500)
    if event_type.strip().lower() == "notification":
        return Deliver(name, tuple(json.dumps(event, indent=2, ensure_ascii=False) for event in events))
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
