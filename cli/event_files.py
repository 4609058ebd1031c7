"""Reads event files: one event, an array, one event per line, dead-letter blobs, queue messages, journal lines."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.exit_codes import UsageError
from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION, SHORT_IMAGE_PUSHED, event_time
from core.text_encoding import decode_text, repair_text

Json = dict[str, Any]
INPUT = "-"
DEAD_LETTER_KEYS = frozenset(
    key.lower()
    for key in (
        "deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome", "publishTime", "lastDeliveryAttemptTime",
        "lastHttpStatusCode", "deadLetterProperties",
    )
)  # fmt: skip
"""The keys that Event Grid adds to an event that it could not deliver (docs/reference/wire.md)."""
MESSAGE_KEYS = ("message", "content", "messageText")
"""The keys that hold a message: in the journal, in ``az storage message peek``, and in a queue's XML as JSON."""
RELEASE = "release"
KINDS = {IMAGE_PUSHED: "push", SHORT_IMAGE_PUSHED: "push", SECRET_NEW_VERSION: "secret"}


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event, or a message of the queue ``releases``, and its position in a file."""

    body: Json
    position: str

    @property
    def kind(self) -> str:
        """push, secret or release; for any other event its type."""
        if "target" in self.body and not self.type:
            return RELEASE
        return KINDS.get(self.type, self.type)

    @property
    def type(self) -> str:
        """The type, in either schema."""
        return str(self.body.get("eventType") or self.body.get("type") or "")

    @property
    def id(self) -> str:
        """The event's id, or the target of a release message."""
        return str(self.body.get("id") or self.body.get("target") or "")

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for all copies of the same event."""
        source = str(self.body.get("topic") or self.body.get("source") or "").lower()
        return (RELEASE if self.kind == RELEASE else "event", source, self.id or json.dumps(self.body, sort_keys=True))

    @property
    def occurred_at(self) -> datetime:
        """The event's time; the latest possible time if it has no readable one."""
        times = (event_time(str(self.body.get(key) or "")) for key in ("eventTime", "time"))
        return next((time for time in times if time is not None), datetime.max.replace(tzinfo=UTC))

    @property
    def subject(self) -> str:
        """The event's subject."""
        return str(self.body.get("subject") or "")


def read_files(files: Iterable[str]) -> list[FoundEvent]:
    """Return every event of the files, in their order; raise UsageError for a file that has none.

    A folder stands for the JSON files at any depth of it: Event Grid writes dead letters six folders deep.
    """
    return [
        event
        for named in files
        for file in _files_of(named)
        for event in parse_text(_read(file), "the input" if file == INPUT else file)
    ]


def _files_of(named: str) -> list[str]:
    if named == INPUT or not Path(named).is_dir():
        return [named]
    found = sorted(str(path) for path in Path(named).rglob("*.json") if path.is_file())
    if not found:
        raise UsageError(f"{named} has no JSON file")
    return found


def deduplicate_and_sort(events: Sequence[FoundEvent]) -> list[FoundEvent]:
    """Return the first copy of each event, oldest event first."""
    first_copies = {event.key: event for event in reversed(events)}
    return sorted((event for event in events if first_copies[event.key] is event), key=lambda event: event.occurred_at)


def parse_text(text: str, file: str) -> list[FoundEvent]:
    """Return the events of a file's text."""
    stripped = repair_text(text).strip()
    if not stripped:
        raise UsageError(f"{file} is empty")
    try:
        documents: Iterable[tuple[str, Any]] = [(file, json.loads(stripped))]
    except (ValueError, RecursionError) as error:
        documents = _parse_lines(stripped, file, error)
    return [event for position, document in documents for event in _events(document, position)]


def _read(file: str) -> str:
    try:
        return decode_text(sys.stdin.buffer.read() if file == INPUT else Path(file).read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text: save it as UTF-8; an event is JSON") from None


def _parse_lines(text: str, file: str, error_of_text: Exception) -> list[tuple[str, Any]]:
    """Return one document per line, with its position."""
    documents = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            documents.append((f"{file}, line {number}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            if not documents and len(text.splitlines()) > number and text.lstrip()[:1] in "[{":
                line_of_error = f"{error_of_text.lineno}: " if isinstance(error_of_text, json.JSONDecodeError) else ""
                raise UsageError(f"{file} is not JSON: line {line_of_error}{_explain(error_of_text)}") from None
            raise UsageError(
                f"{file}, line {number} is not JSON: {_explain(error)}; "
                "an event file has one event, an array, or one event per line"
            ) from None
    return documents


def _explain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it has a number with too many digits"


def _events(document: Any, position: str) -> Iterator[FoundEvent]:
    if isinstance(document, list):
        for number, item in enumerate(document, 1):
            yield from _events(item, f"{position}, event {number}")
        return
    if not isinstance(document, dict):
        raise UsageError(f"{position} is {_type_name(document)}, not an event")
    message = next((document[key] for key in MESSAGE_KEYS if isinstance(document.get(key), str)), None)
    if message is not None and "eventType" not in document and "type" not in document:
        yield from _events(_parse_message(message, position), position)
        return
    if not ({"eventType", "type"} & document.keys()) and not isinstance(document.get("target"), str):
        raise UsageError(f"{position} has no eventType and no type: it is not an event")
    yield FoundEvent({key: value for key, value in document.items() if key.lower() not in DEAD_LETTER_KEYS}, position)


def _parse_message(text: str, position: str) -> Any:
    """Return a queue message's content: JSON, or JSON in base64."""
    for candidate in (text, _decode_base64(text)):
        try:
            return json.loads(repair_text(candidate))
        except (ValueError, RecursionError):
            continue
    raise UsageError(f"{position} holds a message that is not JSON: it cannot be sent again")


def _decode_base64(text: str) -> str:
    try:
        return decode_text(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return ""


def _type_name(document: Any) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(document), "of an unknown type")
