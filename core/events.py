"""Parses events into a push, a changed secret, or the reason to ignore the event.

Event Grid sends its own schema or CloudEvents 1.0, one event or an array, with ``data`` as an object or as text
(docs/reference/wire.md).
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
"""The type in documents of 2018 to 2020 and from old subscriptions."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ARTIFACT_TAG = re.compile(r"sha256-[0-9a-f]{64}.*|.*\.(sig|att|sbom)")
"""Tags that cosign, notation and ORAS create for what they attach to an image."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")
SECRET_ID = re.compile(r"https?://([^/]+)/secrets/([0-9a-zA-Z-]{1,127})/([0-9a-zA-Z]+)/?")
MAX_QUOTED_CHARS = 60


@dataclass(frozen=True, slots=True)
class ImagePushed:
    """A tagged image was pushed to our registry."""

    push: Push
    traceparent: str | None = None
    dry_run: bool = False
    """Only report the decision: ``data.dry_run`` of a smoke check; the registry never sends it."""


@dataclass(frozen=True, slots=True)
class SecretChanged:
    """A secret has a new version; its name is in lower case, because Key Vault ignores case."""

    vault: str
    name: str
    version: str
    event_id: str
    traceparent: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that Slipway does not act on, or that is not an event."""

    event_id: str
    reason: Reason
    detail: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""


ParsedEvent = ImagePushed | SecretChanged | Ignored
Json = Mapping[str, object]


def parse_events(payload: str, registry: str, received_at: datetime) -> tuple[ParsedEvent, ...]:
    """Every event of a delivery; never raises, and a malformed event does not affect the others.

    ``registry`` is the resource name that a topic must end with; ``received_at`` replaces an unreadable time.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return (Ignored("", Reason.MALFORMED_EVENT, "the payload is not JSON"),)
    return tuple(_event(event, registry, received_at) for event in (body if isinstance(body, list) else [body]))


def _event(body: object, registry: str, received_at: datetime) -> ParsedEvent:
    if not isinstance(body, dict):
        return Ignored("", Reason.MALFORMED_EVENT, "the event is not an object")
    event_id = _quote(_text(body, "id"))
    kind = _text(body, "eventType") or _text(body, "type")
    if not kind:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "the event has no type")
    if kind in (IMAGE_PUSHED, SHORT_IMAGE_PUSHED):
        return _push(body, event_id, registry, received_at)
    if kind == SECRET_NEW_VERSION:
        return _secret(body, event_id)
    return Ignored(event_id, Reason.OTHER_EVENT_TYPE, _quote(kind))


def _push(body: Json, event_id: str, registry: str, received_at: datetime) -> ParsedEvent:
    data = _data(body)
    topic = _text(body, "topic") or _text(body, "source")
    target = data.get("target")
    if not isinstance(target, dict) or not _text(target, "repository"):
        return Ignored(event_id, Reason.MALFORMED_EVENT, "data.target.repository is missing")
    repository, tag, digest = (_text(target, key) for key in ("repository", "tag", "digest"))
    reason = _not_ours(data, topic, registry) or _not_deployable(tag, digest)
    if reason is not None:
        detail = "data.target.digest is not a sha256 digest" if reason is Reason.MALFORMED_EVENT else ""
        known_digest = digest if DIGEST.fullmatch(digest) else ""
        return Ignored(event_id, reason, detail, _quote(repository), _quote(tag), known_digest)
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
    # Only the identifier: other keys of the documented sample have stray spaces ("ObjectName ")
    data = _data(body)
    match = SECRET_ID.fullmatch(_text(data, "Id").strip())
    if match is None:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "data.Id is not the identifier of a secret version")
    host, name, version = match.groups()
    vault, dry_run = host.split(".")[0].lower(), data.get("dry_run") is True
    return SecretChanged(vault, name.lower(), version, event_id, _traceparent(body), dry_run)


def _data(body: Json) -> Json:
    """The event's data, which the registry service has also sent as text: Azure/azure-sdk-for-js, testData.ts."""
    data = body.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def _text(body: Json, key: str) -> str:
    """A text of the event, with ``?`` for a lone surrogate, which JSON can escape but storage cannot keep."""
    value = body.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _quote(text: str) -> str:
    return "".join(char for char in text[:MAX_QUOTED_CHARS] if char.isprintable())


def event_time(text: str) -> datetime | None:
    """An aware time in UTC, or None; fractions of 7 or 9 digits are cut to microseconds."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if not zone or zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0')[:7]:0<7}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _traceparent(body: Json) -> str | None:
    text = _text(body, "traceparent")
    return text if TRACEPARENT.fullmatch(text) else None
