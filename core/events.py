"""Wire payloads as values: a push, a changed secret, or a reason why it is neither.

Event Grid sends both its own schema and CloudEvents 1.0, one event or an array, and ``data`` as an object or as text
(docs/reference/wire.md). Only the fields that are used are read; whatever else an event carries is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.model import Push
from core.reasons import Reason

IMAGE_PUSHED = "Microsoft.ContainerRegistry.ImagePushed"
SECRET_NEW_VERSION = "Microsoft.KeyVault.SecretNewVersionCreated"
SHORT_IMAGE_PUSHED = "ImagePushed"
"""How documents of 2018 to 2020, and old subscriptions, spell the type."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ARTIFACT_TAG = re.compile(r"sha256-[0-9a-f]{64}.*|.*\.(sig|att|sbom)")
"""Tags that cosign, notation and ORAS make for what belongs to an image."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")
SECRET_ID = re.compile(r"https?://([^/]+)/secrets/([0-9a-zA-Z-]{1,127})/([0-9a-zA-Z]+)/?")
MAX_QUOTED_CHARS = 60
"""Characters of an event's own text that may be told."""


@dataclass(frozen=True, slots=True)
class ImagePushed:
    """A tagged image landed in our registry."""

    push: Push
    traceparent: str | None = None
    dry_run: bool = False
    """The decision is told, and nothing is changed: ``data.dry_run`` of a smoke check, never of the registry."""


@dataclass(frozen=True, slots=True)
class SecretChanged:
    """A secret has a new version; the name is in lower case, as Key Vault ignores case."""

    vault: str
    name: str
    version: str
    event_id: str
    traceparent: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not for us, or not an event."""

    event_id: str
    reason: Reason
    detail: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""


ParsedEvent = ImagePushed | SecretChanged | Ignored
Json = Mapping[str, object]


def parse_events(payload: str, registry: str, received_at: datetime) -> tuple[ParsedEvent, ...]:
    """Every event in a delivery; never raises, and no malformed one hides another.

    ``registry`` is the resource name that a topic must end with, ``received_at`` stands in for a time nobody can read.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return (Ignored("", Reason.MALFORMED_EVENT, "the payload is not JSON"),)
    return tuple(_event(one, registry, received_at) for one in (body if isinstance(body, list) else [body]))


def _event(body: object, registry: str, received_at: datetime) -> ParsedEvent:
    if not isinstance(body, dict):
        return Ignored("", Reason.MALFORMED_EVENT, "the event is not an object")
    event_id = _told(body.get("id"))
    kind = _text(body, "eventType") or _text(body, "type")
    if not kind:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "the event has no type")
    if kind in (IMAGE_PUSHED, SHORT_IMAGE_PUSHED):
        return _push(body, event_id, registry, received_at)
    if kind == SECRET_NEW_VERSION:
        return _secret(body, event_id)
    return Ignored(event_id, Reason.OTHER_EVENT_TYPE, _told(kind))


def _push(body: Json, event_id: str, registry: str, received_at: datetime) -> ParsedEvent:
    data = _data(body)
    topic = _text(body, "topic") or _text(body, "source")
    target = data.get("target")
    if not isinstance(target, dict) or not _text(target, "repository"):
        return Ignored(event_id, Reason.MALFORMED_EVENT, "data.target.repository is missing")
    repository, tag, digest = (_text(target, key) for key in ("repository", "tag", "digest"))
    reason = _not_ours(data, topic, registry) or _not_deployable(tag, digest)
    if reason is not None:
        what = "data.target.digest is no sha256 digest" if reason is Reason.MALFORMED_EVENT else ""
        return Ignored(
            event_id, reason, what, _told(repository), _told(tag), digest if DIGEST.fullmatch(digest) else ""
        )
    times = (event_time(_text(body, key)) for key in ("eventTime", "time"))
    at = next((time for time in (*times, event_time(_text(data, "timestamp"))) if time is not None), received_at)
    return ImagePushed(Push(repository, digest, tag, at, event_id), _traceparent(body), data.get("dry_run") is True)


def _not_ours(data: Json, topic: str, registry: str) -> Reason | None:
    names = [part.lower() for part in topic.split("/")]
    if "connectedregistries" in names or data.get("connectedRegistry") or data.get("connectedregistry"):
        return Reason.CONNECTED_REGISTRY
    return Reason.OTHER_REGISTRY if names[-1] != registry.lower() else None


def _not_deployable(tag: str, digest: str) -> Reason | None:
    if not tag:
        return Reason.UNTAGGED_PUSH
    if ARTIFACT_TAG.fullmatch(tag):
        return Reason.ARTIFACT_TAG
    if not digest:
        return Reason.NO_DIGEST
    return None if DIGEST.fullmatch(digest) else Reason.MALFORMED_EVENT


def _secret(body: Json, event_id: str) -> ParsedEvent:
    # the sample's other keys carry stray spaces ("ObjectName "), so the identifier is read instead
    data = _data(body)
    found = SECRET_ID.fullmatch(_text(data, "Id").strip())
    if found is None:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "data.Id is no secret version's identifier")
    host, name, version = found.groups()
    return SecretChanged(
        host.split(".")[0].lower(), name.lower(), version, event_id, _traceparent(body), data.get("dry_run") is True
    )


def _data(body: Json) -> Json:
    """The event's data; the registry service sent it as text at times: Azure/azure-sdk-for-js, testData.ts."""
    data = body.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def _text(body: Json, key: str) -> str:
    """A text of the event; half a character, which JSON can escape and nothing can store, is read as ``?``."""
    value = body.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _told(value: object) -> str:
    """At most so much of an event's own text, printable."""
    text = value if isinstance(value, str) else ""
    return "".join(letter for letter in text[:MAX_QUOTED_CHARS] if letter.isprintable())


def event_time(text: str) -> datetime | None:
    """An aware time in UTC; fractions of 7 or 9 digits are cut to microseconds, what is odd reads as None."""
    found = TIME.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    offset = "+00:00" if not zone or zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0')[:7]:0<7}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _traceparent(body: Json) -> str | None:
    text = _text(body, "traceparent")
    return text if TRACEPARENT.fullmatch(text) else None
