"""Files of events: one event, an array, one a line, a dead-letter blob, messages of a queue, lines of the journal."""

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

from cli.codes import Mistake
from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION, SHORT_IMAGE_PUSHED, event_time

Json = dict[str, Any]
INPUT = "-"
OF_A_DEAD_LETTER = frozenset(
    one.lower()
    for one in (
        "deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome", "publishTime", "lastDeliveryAttemptTime",
        "lastHttpStatusCode", "deadLetterProperties",
    )
)  # fmt: skip
"""What Event Grid adds to an event that it could not deliver (docs/reference/wire.md)."""
IN_A_MESSAGE = ("message", "content", "messageText")
"""Where a line of our journal, ``az storage message peek`` and a queue's own XML as JSON keep a message."""
RELEASE = "release"
KINDS = {IMAGE_PUSHED: "push", SHORT_IMAGE_PUSHED: "push", SECRET_NEW_VERSION: "secret"}


@dataclass(frozen=True, slots=True)
class Found:
    """One event, or one message of the queue ``releases``, and where it stood."""

    body: Json
    place: str

    @property
    def kind(self) -> str:
        """push, secret, release, or the type that nobody acts on."""
        if "target" in self.body and not self.type:
            return RELEASE
        return KINDS.get(self.type, self.type)

    @property
    def type(self) -> str:
        """Its type in either schema."""
        return str(self.body.get("eventType") or self.body.get("type") or "")

    @property
    def id(self) -> str:
        """Its id, or whose release it asks for."""
        return str(self.body.get("id") or self.body.get("target") or "")

    @property
    def key(self) -> tuple[str, str, str]:
        """What is the same in every copy of it."""
        source = str(self.body.get("topic") or self.body.get("source") or "").lower()
        return (RELEASE if self.kind == RELEASE else "event", source, self.id or json.dumps(self.body, sort_keys=True))

    @property
    def at(self) -> datetime:
        """When it happened; what has no time that can be read comes last, in the order of the files."""
        told = (event_time(str(self.body.get(key) or "")) for key in ("eventTime", "time"))
        return next((one for one in told if one is not None), datetime.max.replace(tzinfo=UTC))

    @property
    def subject(self) -> str:
        """What it is about."""
        return str(self.body.get("subject") or "")


def read(files: Iterable[str]) -> list[Found]:
    """Every event of the files, in their order; a file without one is a mistake that says what it holds instead."""
    found: list[Found] = []
    for file in files:
        found += of_text(_text(file), "the input" if file == INPUT else file)
    return found


def in_order(found: Sequence[Found]) -> list[Found]:
    """Each once, oldest first."""
    once = {one.key: one for one in reversed(found)}  # of several copies the first one stays
    kept = [one for one in found if once[one.key] is one]
    return sorted(kept, key=lambda one: one.at)


def of_text(text: str, file: str) -> list[Found]:
    """The events of one file's text."""
    stripped = text.strip()
    if not stripped:
        raise Mistake(f"{file} is empty")
    try:
        bodies: Iterable[tuple[str, Any]] = [(file, json.loads(stripped))]
    except (ValueError, RecursionError) as error:
        bodies = _lines(stripped, file, error)
    return [one for place, body in bodies for one in _events(body, place)]


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == INPUT else Path(file).read_text()
    except OSError as error:
        raise Mistake(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Mistake(f"{file} is not text; an event is JSON") from None


def _lines(text: str, file: str, whole: Exception) -> list[tuple[str, Any]]:
    """One document a line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append((f"{file}, line {number}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            if not found and len(text.splitlines()) > number and text.lstrip()[:1] in "[{":
                raise Mistake(f"{file} is no JSON: line {_line(whole)}{_why(whole)}") from None
            raise Mistake(
                f"{file}, line {number} is no JSON: {_why(error)}; an event file is one event, an array, or one a line"
            ) from None
    return found


def _line(error: Exception) -> str:
    return f"{error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply"


def _events(body: Any, place: str) -> Iterator[Found]:
    if isinstance(body, list):
        for number, one in enumerate(body, 1):
            yield from _events(one, f"{place}, event {number}")
        return
    if not isinstance(body, dict):
        raise Mistake(f"{place} is {_kind(body)}, and no event")
    kept = next((body[key] for key in IN_A_MESSAGE if isinstance(body.get(key), str)), None)
    if kept is not None and "eventType" not in body and "type" not in body:
        yield from _events(_message(kept, place), place)
        return
    if not ({"eventType", "type"} & body.keys()) and not isinstance(body.get("target"), str):
        raise Mistake(f"{place} has no eventType and no type: it is no event")
    yield Found({key: value for key, value in body.items() if key.lower() not in OF_A_DEAD_LETTER}, place)


def _message(text: str, place: str) -> Any:
    """A queue's message: JSON, or JSON in base64."""
    for candidate in (text, _decoded(text)):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    raise Mistake(f"{place} keeps a message that is no JSON: nothing can be sent again from it")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _kind(body: Any) -> str:
    names = {str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(body), "something else")
