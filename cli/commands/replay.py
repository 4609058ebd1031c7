"""``slipway replay``: sends events from files or the journal again, oldest first, each once."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import UsageError
from cli.options import AsJson, DryRun, Local, Yes
from cli.prompt import PromptOptions, confirm
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from cli.event_files import FoundEvent
    from cli.event_sender import Model
    from cli.json_documents.changes import ReplayedEvent

NO_TIME_YEAR = 9999
COMMIT_STATUSES = "commit-statuses"
"""A queue whose messages name a target too: replayed as one of the queue ``releases``, they would start a release."""


def replay(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders of dead letters or other events; - reads the input."),
    ] = None,
    poisoned_since: Annotated[
        str | None, typer.Option(help="Take poisoned messages from the journal instead of files: 12h, 7d.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Publish to this custom topic instead of the queue `events`.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Send events again, oldest first, each once. The app treats them as new events."""
    source = EventSource.parse(files, poisoned_since)
    options = PromptOptions(dry_run, yes, as_json)
    run_and_print(local, as_json, lambda context: show_and_send(context, source, options, topic))


@dataclass(frozen=True, slots=True)
class EventSource:
    """Files, or a time span of the journal."""

    files: tuple[str, ...] = ()
    back: timedelta | None = None

    @classmethod
    def parse(cls, files: list[str] | None, poisoned_since: str | None) -> EventSource:
        """Return the source; raise UsageError unless exactly one is named."""
        from cli.durations import parse_duration

        if bool(files) == bool(poisoned_since):
            raise UsageError("name files of events, or add --poisoned-since 7d")
        return cls(tuple(files or ()), parse_duration(poisoned_since) if poisoned_since else None)


async def show_and_send(
    context: CommandContext, source: EventSource, options: PromptOptions, topic: str | None = None
) -> CommandResult:
    """Show the events, ask, and send them; raises PermanentError or TransientError if a send fails."""
    from cli.event_files import RELEASE, deduplicate_and_sort, read_files
    from cli.event_sender import to_model
    from cli.output import join_lines

    if source.back is None:
        found, skipped = read_files(source.files), list[str]()
    else:
        found, skipped = await _poisoned_messages(context, source.back)
    events = deduplicate_and_sort(found)
    skipped += [f"{len(found) - len(events)} skipped: duplicates"] if len(found) > len(events) else []
    if topic:  # a message of the queue `releases` is not an event
        events = [event for event in events if event.kind != RELEASE]
    # convert all before the first is sent
    models = [None if event.kind == RELEASE else to_model(event) for event in events]
    rows = [_row(event, context) for event in events]
    text = "\n".join(part for part in (_text(rows), *map(join_lines, skipped)) if part) or "there is nothing to send"
    if options.dry_run or not events:
        return CommandResult(text, rows)
    if not confirm(options, context.progress, text, f"Send {len(events)} of them?"):
        return CommandResult("nothing was sent", [])
    context.progress.activity = f"sending {len(events)} events"
    await _send(context, list(zip(events, models, strict=True)), topic)
    return CommandResult(f"{text}\n{len(events)} sent", rows)


async def _poisoned_messages(context: CommandContext, back: timedelta) -> tuple[list[FoundEvent], list[str]]:
    """Return the journal's poisoned messages, and a line for each one that is not an event."""
    from cli.commands.why import JournalReader
    from cli.event_files import parse_text
    from core.reasons import Reason

    found, skipped = list[Any](), list[str]()
    journal = JournalReader(context, context.gateways.clock.now() - back)
    for line in await journal.read(_is_poisoned, {Reason.POISONED.value}):
        if line.get("queue") == COMMIT_STATUSES:
            skipped.append(f"skipped: the message of {line.get('at')} is a status of a commit, not an event")
            continue
        try:
            found += parse_text(_message(line), f"the message of {line.get('at')}")
        except UsageError as error:
            skipped.append(f"skipped: {error.message}")
    return found, skipped


def _is_poisoned(line: Mapping[str, object]) -> bool:
    from core.reasons import Reason

    return line.get("reason") == Reason.POISONED and isinstance(line.get("message"), str)


def _message(line: Mapping[str, object]) -> str:
    """Return the message; raise UsageError where the journal has not all of it: another event would be sent."""
    message = str(line["message"])
    if line.get("message_sha256") not in (None, hashlib.sha256(message.encode("utf-8", "surrogatepass")).hexdigest()):
        raise UsageError(
            f"the message of {line.get('at')} stands in the journal without a secret that it held, or cut: "
            "send it from its source"
        )
    return message


async def _send(context: CommandContext, events: Sequence[tuple[FoundEvent, Model | None]], topic: str | None) -> None:
    from cli.event_sender import EventSender
    from handlers import bootstrap
    from handlers.gateways.errors import GatewayError

    sender, sent = EventSender(bootstrap.account(), bootstrap.credential(), topic), 0
    try:
        for event, model in events:
            if model is None:
                await context.gateways.release_queue.enqueue(event.id, traceparent=event.body.get("traceparent"))
            else:
                await sender.send(model)
            sent += 1
    except GatewayError:
        print(
            f"{sent} of {len(events)} were sent; fix the cause and run it again: duplicates are safe", file=sys.stderr
        )
        raise
    finally:
        await sender.close()


def _row(event: FoundEvent, context: CommandContext) -> ReplayedEvent:
    """Return the event as data; with the reason, if the app is certain to ignore it."""
    from cli.event_files import RELEASE
    from core.events import Ignored
    from handlers.events.event_queued import parse_delivery

    at = event.occurred_at.isoformat() if event.occurred_at.year < NO_TIME_YEAR else None
    row: ReplayedEvent = {
        "at": at,
        "kind": event.kind,
        "id": event.id,
        "subject": event.subject,
        "position": event.position,
    }
    if event.kind != RELEASE:
        now, vaults = context.gateways.clock.now(), context.agents.vaults.values()
        (parsed,) = parse_delivery(json.dumps(event.body), context.settings, now, vaults)
        if isinstance(parsed, Ignored):
            row["ignored"] = parsed.reason.value
    return row


def _text(rows: list[ReplayedEvent]) -> str:
    from cli.durations import format_iso
    from cli.output import columns

    def cells(row: ReplayedEvent) -> tuple[str, ...]:
        return format_iso(row["at"]), row["kind"], row["id"], row["subject"], row.get("ignored", "")

    return columns([*map(cells, rows)])
