"""Events again: read from files or the journal, each once, oldest first, in the form that Event Grid itself sends."""

from __future__ import annotations

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
from core.events import Ignored, parse
from core.reasons import Reason

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
    found = read(source.files) if source.back is None else await _poisoned(house, source.back)
    events = in_order(found)
    if how.topic:
        events = [one for one in events if one.kind != RELEASE]
    models = [None if one.kind == RELEASE else modelled(one) for one in events]  # all of them, before any is sent
    rows = [_row(one, house) for one in events]
    twice = f"{len(found) - len(events)} left out: they are here twice" if len(found) > len(events) else ""
    text = "\n".join(part for part in (_text(rows), twice) if part) or "there is nothing to send"
    if how.dry_run or not events:
        return Answer(text, rows)
    if not await sure(how, text, f"Send {len(events)} of them?"):
        return Answer("nothing was sent", [])
    house.progress.what = f"sending {len(events)} events"
    await _send(house, list(zip(events, models, strict=True)), how.topic)
    return Answer(f"{text}\n{len(events)} sent", rows)


async def _poisoned(house: House, back: timedelta) -> list[Found]:
    """What the journal keeps of messages that failed five times."""
    lines = await journal(house, back)
    kept = [one for one in lines if one.get("reason") == Reason.POISONED and isinstance(one.get("message"), str)]
    return [event for one in kept for event in of_text(str(one["message"]), f"the message of {one.get('at')}")]


async def _send(house: House, events: Sequence[tuple[Found, Model | None]], topic: str | None) -> None:
    sender = Sender(house.settings, topic)
    try:
        for one, model in events:
            if model is None:
                await house.outside.queue.send(one.id, traceparent=one.body.get("traceparent"))
            else:
                await sender.send(model)
    finally:
        await sender.close()


def _row(event: Found, house: House) -> dict[str, Any]:
    """What it is, and what will surely become of it where that is seen from the event alone."""
    at = short(event.at) if event.at.year < LAST else ""
    row = {"at": at, "kind": event.kind, "id": event.id, "subject": event.subject, "place": event.place}
    if event.kind == RELEASE:
        return row
    import json

    (parsed,) = parse(json.dumps(event.body), house.settings.registry_name, house.outside.clock.now())
    return row | ({"skipped": parsed.reason.value} if isinstance(parsed, Ignored) else {})


def _text(rows: list[dict[str, Any]]) -> str:
    return columns([(r["at"], r["kind"], r["id"], r["subject"], r.get("skipped", "")) for r in rows])
