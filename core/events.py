"""Parses events into a push, a changed secret, or the reason to ignore the event.

Event Grid sends its own schema or CloudEvents 1.0, one event or an array, with ``data`` as an object or as text
(docs/reference/wire.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from core.image_reference import DIGEST, TAG, is_repository
from core.model import Push
from core.reasons import Reason
from core.text_encoding import repair_text
from core.timing import FIRST_TIME, MAX_CLOCK_SKEW
from core.vault_address import vault_address

IMAGE_PUSHED = "Microsoft.ContainerRegistry.ImagePushed"
SECRET_NEW_VERSION = "Microsoft.KeyVault.SecretNewVersionCreated"
SHORT_IMAGE_PUSHED = "ImagePushed"
"""The type in documents of 2018 to 2020 and from old subscriptions."""

ARTIFACT_TAG = re.compile(r"sha256-[0-9a-f]{64}.*|.*\.(sig|att|sbom)")
"""Tags that cosign, notation and ORAS create for what they attach to an image."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")
SECRET_ID = re.compile(r"https?://([^/\s]+(?:/[\w.~-]+)*)/secrets/([0-9a-zA-Z-]{1,127})/([0-9a-zA-Z]+)/?")
REGISTRY_ID = re.compile(
    r"subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.containerregistry/registries/([^/]+)"
)
JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
MAX_QUOTED_CHARS = 60
MAX_TOPIC_CHARS = 200
UNREADABLE = object()
"""An event that is not JSON."""


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
    at: datetime | None = field(default=None, compare=False)
    """The time of the event, by the vault's clock where that is believable."""
    address: str = ""
    """The vault's address, where it is the vault of a project; empty for that of the settings."""


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


def parse_events(
    payload: str,
    registry: str,
    received_at: datetime,
    vault: str = "",
    *,
    registry_id: str = "",
    vault_id: str = "",
    project_vaults: Collection[str] = (),
) -> tuple[ParsedEvent, ...]:
    """Every event of a delivery; never raises, and a malformed event does not affect the others.

    ``registry`` is the resource name that a topic must end with, ``vault`` the host that a secret must be in, if it is
    given. The topic must be ``registry_id`` or ``vault_id``, where that is given. A secret may also be in one of
    ``project_vaults``, which are addresses. ``received_at`` replaces a time that is unreadable or not believable.
    """
    ids = _resource_id(registry_id), _resource_id(vault_id)
    ours = _Ours(registry.lower(), vault.lower(), *ids, frozenset(project_vaults), received_at)
    return tuple(_event(event, ours) for event in _bodies(repair_text(payload)))


@dataclass(frozen=True, slots=True)
class _Ours:
    """What an event is compared with."""

    registry: str
    vault: str
    registry_id: str
    vault_id: str
    project_vaults: frozenset[str]
    received_at: datetime


def _resource_id(text: str) -> str:
    """A resource id as it is compared: Azure writes ids in any case of letters."""
    return text.lower().strip("/")


def _bodies(payload: str) -> Iterable[object]:
    """The events of a delivery; where the whole cannot be read, each element of the array for itself."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return map(_body, _elements(payload))
    return body if isinstance(body, list) else [body]


def _body(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE


def _elements(payload: str) -> Iterator[str]:
    """The texts between the commas of the outermost array; the whole text if it is not an array."""
    start, depth = 0, 0
    for token in JSON_TOKEN.finditer(payload):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth == 1 and token[0] == "[" and start == 0:
            start = token.end()
        elif start and ((depth == 1 and token[0] == ",") or (depth == 0 and token[0] == "]")):
            yield payload[start : token.start()]
            start = token.end()
    if start == 0 or depth > 0:
        yield payload[start:]


def _event(body: object, ours: _Ours) -> ParsedEvent:
    if not isinstance(body, dict):
        problem = "the payload is not JSON" if body is UNREADABLE else "the event is not an object"
        return Ignored("", Reason.MALFORMED_EVENT, problem)
    event_id = _quote(_text(body, "id"))
    kind = _text(body, "eventType") or _text(body, "type")
    if not kind:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "the event has no type")
    if kind in (IMAGE_PUSHED, SHORT_IMAGE_PUSHED):
        return _push(body, event_id, ours)
    if kind == SECRET_NEW_VERSION:
        return _secret(body, event_id, ours)
    return Ignored(event_id, Reason.OTHER_EVENT_TYPE, _quote(kind))


def _push(body: Json, event_id: str, ours: _Ours) -> ParsedEvent:
    data = _data(body)
    if problem := _target_problem(data):
        return Ignored(event_id, Reason.MALFORMED_EVENT, problem)
    target = cast("Json", data["target"])
    repository, tag, digest = (_text(target, key) for key in ("repository", "tag", "digest"))
    reason = _not_ours(data, _topic(body), ours) or _not_deployable(repository, tag, digest)
    if reason is not None:
        detail = _malformed(repository, tag) if reason is Reason.MALFORMED_EVENT else ""
        if reason is Reason.OTHER_REGISTRY:
            detail = _quote(_topic(body), MAX_TOPIC_CHARS).strip() or "the event has no topic or source"
        shown = repository if is_repository(repository) else _quote(repository)
        return Ignored(event_id, reason, detail, shown, _quote(tag), digest if DIGEST.fullmatch(digest) else "")
    push = Push(repository, digest, tag, _event_time(body, data, ours.received_at), event_id)
    return ImagePushed(push, _traceparent(body), data.get("dry_run") is True)


def _target_problem(data: Json) -> str:
    """What an event that must name an image lacks; a push by digest alone has no tag."""
    target = data.get("target")
    if not isinstance(target, dict):
        return "data.target is not an object" if data else "data is not an object with a target"
    wrong = [key for key in ("repository", "tag", "digest") if not isinstance(target.get(key), str | None)]
    if wrong:
        return f"data.target.{wrong[0]} is not a text"
    return "" if target.get("repository") else "data.target.repository is missing"


def _event_time(body: Json, data: Json, received_at: datetime) -> datetime:
    """The first readable time since there are registries; received now, if it is in our future or there is none."""
    texts = (_text(body, "eventTime"), _text(body, "time"), _text(data, "timestamp"))
    times = (time for text in texts if (time := event_time(text)) is not None)
    at = next((time for time in times if time >= FIRST_TIME), received_at)
    return at if at <= received_at + MAX_CLOCK_SKEW else received_at


def _topic(body: Json) -> str:
    """The id of the resource that the event comes from: ``source`` in CloudEvents."""
    return _text(body, "topic") or _text(body, "source")


def _not_ours(data: Json, topic: str, ours: _Ours) -> Reason | None:
    resource_id = _resource_id(topic)
    if (
        "connectedregistries" in resource_id.split("/")
        or data.get("connectedRegistry")
        or data.get("connectedregistry")
    ):
        return Reason.CONNECTED_REGISTRY
    match = REGISTRY_ID.fullmatch(resource_id)
    is_ours = match is not None and match[1] == ours.registry and resource_id == (ours.registry_id or resource_id)
    return None if is_ours else Reason.OTHER_REGISTRY


def _not_deployable(repository: str, tag: str, digest: str) -> Reason | None:
    if not tag:
        return Reason.UNTAGGED_PUSH
    if ARTIFACT_TAG.fullmatch(tag):
        return Reason.ARTIFACT_TAG
    if not digest:
        return Reason.NO_DIGEST
    valid = is_repository(repository) and TAG.fullmatch(tag) and DIGEST.fullmatch(digest)
    return None if valid else Reason.MALFORMED_EVENT


def _malformed(repository: str, tag: str) -> str:
    """Which part of the target no registry can have."""
    if not is_repository(repository):
        return "data.target.repository is not a repository's name"
    return "data.target.digest is not a sha256 digest" if TAG.fullmatch(tag) else "data.target.tag is not a tag"


def _secret(body: Json, event_id: str, ours: _Ours) -> ParsedEvent:
    # Only the identifier: other keys of the documented sample have stray spaces ("ObjectName ")
    data = _data(body)
    match = SECRET_ID.fullmatch((_text(data, "Id") or _text(data, "id")).strip())
    if match is None:
        return Ignored(event_id, Reason.MALFORMED_EVENT, "data.Id is not the identifier of a secret version")
    place, name, version = match.groups()
    address, host = vault_address(place), place.lower().removesuffix(":443")
    of_project = address if address in ours.project_vaults else ""
    if not of_project and (other := _other_vault(host, _topic(body), ours)):
        return Ignored(event_id, Reason.OTHER_VAULT, other)
    known = host.partition(".")[0], name.lower(), version.lower(), event_id, _traceparent(body)
    at = _event_time(body, data, ours.received_at)
    return SecretChanged(*known, data.get("dry_run") is True, at, of_project)


def _other_vault(host: str, topic: str, ours: _Ours) -> str:
    """What shows that a secret is not in the vault of the settings."""
    if ours.vault and host != ours.vault:
        return _quote(host)
    is_elsewhere = topic and ours.vault_id and _resource_id(topic) != ours.vault_id
    return _quote(topic, MAX_TOPIC_CHARS) if is_elsewhere else ""


def _data(body: Json) -> Json:
    """The event's data, which the registry service has also sent as text: Azure/azure-sdk-for-js, testData.ts."""
    data = body.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(repair_text(data))
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def _text(body: Json, key: str) -> str:
    """A text of the event, with ``?`` for a lone surrogate, which JSON can escape but storage cannot keep."""
    value = body.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _quote(text: str, max_chars: int = MAX_QUOTED_CHARS) -> str:
    return "".join(char for char in text[:max_chars] if char.isprintable())


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
