"""Events again: read from files or the journal, each once, oldest first, in the form that Event Grid itself sends."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cli import asking_first
from cli.asking_first import sure
from cli.codes import Mistake
from cli.event_files import RELEASE, Found, in_order, of_text, read
from cli.explaining import journal
from cli.running import Answer, House
from cli.screen import columns
from cli.sending import Model, Sender, modelled
from cli.times import how_long, short
from core.events import Ignored, parse_events
from core.reasons import Reason
from handlers.gateways.errors import GatewayError

LAST = 9999


@dataclass(frozen=True, slots=True)
class How(asking_first.How):
    """How a replay was asked for, and where to."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Files, or so much of the journal."""

    files: tuple[str, ...] = ()
    back: timedelta | None = None

    @classmethod
    def of(cls, files: list[str] | None, poisoned_since: str | None) -> Source:
        """One of the two; raises Mistake for none and for both."""
        if bool(files) == bool(poisoned_since):
            raise Mistake("name files of events, or say --poisoned-since 7d")
        return cls(tuple(files or ()), how_long(poisoned_since) if poisoned_since else None)


async def replay(house: House, source: Source, how: How) -> Answer:
    """Say what would be sent, ask, and send; raises PermanentError or TransientError where nobody takes it."""
    found, left = (read(source.files), list[str]()) if source.back is None else await _poisoned(house, source.back)
    events = in_order(found)
    left += [f"{len(found) - len(events)} left out: they are here twice"] if len(found) > len(events) else []
    if how.topic:  # a message of the queue is no event
        events = [one for one in events if one.kind != RELEASE]
    models = [None if one.kind == RELEASE else modelled(one) for one in events]  # all of them, before any is sent
    rows = [_row(one, house) for one in events]
    text = "\n".join(part for part in (_text(rows), *left) if part) or "there is nothing to send"
    if how.dry_run or not events:
        return Answer(text, rows)
    if not sure(how, house.progress, text, f"Send {len(events)} of them?"):
        return Answer("nothing was sent", [])
    house.progress.what = f"sending {len(events)} events"
    await _send(house, list(zip(events, models, strict=True)), how.topic)
    return Answer(f"{text}\n{len(events)} sent", rows)


async def _poisoned(house: House, back: timedelta) -> tuple[list[Found], list[str]]:
    """What the journal keeps of messages that failed five times; some may have failed because they are no events."""
    found, left = list[Found](), list[str]()
    for one in await journal(house, back):
        if one.get("reason") == Reason.POISONED and isinstance(one.get("message"), str):
            try:
                found += of_text(str(one["message"]), f"the message of {one.get('at')}")
            except Mistake as mistake:
                left.append(f"left out: {mistake.message}")
    return found, left


async def _send(house: House, events: Sequence[tuple[Found, Model | None]], topic: str | None) -> None:
    sender, sent = Sender(house.settings, topic), 0
    try:
        for one, model in events:
            if model is None:
                await house.gateways.release_queue.enqueue(one.id, traceparent=one.body.get("traceparent"))
            else:
                await sender.send(model)
            sent += 1
    except GatewayError:
        print(f"{sent} of {len(events)} were sent; once it is mended run it again, twice does no harm", file=sys.stderr)
        raise
    finally:
        await sender.close()


def _row(event: Found, house: House) -> dict[str, Any]:
    """What it is, and what will surely become of it where that is seen from the event alone."""
    at = short(event.at) if event.at.year < LAST else ""
    row = {"at": at, "kind": event.kind, "id": event.id, "subject": event.subject, "place": event.place}
    if event.kind == RELEASE:
        return row
    (parsed,) = parse_events(json.dumps(event.body), house.settings.registry_name, house.gateways.clock.now())
    return row | ({"skipped": parsed.reason.value} if isinstance(parsed, Ignored) else {})


def _text(rows: list[dict[str, Any]]) -> str:
    return columns([(r["at"], r["kind"], r["id"], r["subject"], r.get("skipped", "")) for r in rows])
