"""Between Foundry's JSON and our words; models of the SDK are never printed: they show environment values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.model import (
    UNKNOWN_TIME,
    Agent,
    Definition,
    Failure,
    Routing,
    SecretValue,
    Status,
    TrafficRule,
    Version,
    is_version_number,
)
from handlers.redaction import redact_and_truncate


def version_of(told: Mapping[str, Any]) -> Version:
    """A version; ``error`` is no attribute of the SDK's model and is read by its key."""
    definition = told.get("definition") or {}
    error = told.get("error") or {}
    return Version(
        number=str(told["version"]),
        status=_status(str(told.get("status") or "")),
        created_at=time_of(told.get("created_at")),
        image=str((definition.get("container_configuration") or {}).get("image") or definition.get("image") or ""),
        variables=frozenset(definition.get("environment_variables") or {}),
        metadata={str(key): str(value) for key, value in (told.get("metadata") or {}).items()},
        failure=_failure(error),
        draft=bool(told.get("draft")),
    )


def numbered_version(told: Mapping[str, Any]) -> Version:
    """A version that was asked for; raises ValueError where it has no number and so no place in the order."""
    version = version_of(told)
    if not is_version_number(version.number):
        raise ValueError("a version without a number")
    return version


def with_date(response: Any, told: Mapping[str, Any], _: Any) -> tuple[Mapping[str, Any], datetime | None]:
    """An answer with the time at which the service gave it, where its header says so (RFC 9110, Date)."""
    try:
        at = parsedate_to_datetime(response.http_response.headers.get("Date", ""))
    except ValueError:
        return told, None
    return told, at if at.tzinfo else None


def dated_version(answer: tuple[Mapping[str, Any], datetime | None]) -> Version:
    """A version with the time at which it was told."""
    told, at = answer
    return replace(numbered_version(told), read_at=at)


def _failure(told: Mapping[str, Any]) -> Failure | None:
    """In a version's own words, which may be those of its container, and that knows secrets."""
    if not told:
        return None
    return Failure(
        redact_and_truncate(str(told.get("code", "")), 100), redact_and_truncate(str(told.get("message", "")), 300)
    )


def agent_of(told: Mapping[str, Any]) -> Agent:
    """An agent; without a selector its endpoint follows the newest version."""
    newest = (told.get("versions") or {}).get("latest")
    latest = version_of(newest) if newest else None
    identity = told.get("instance_identity") or {}
    return Agent(
        name=str(told["name"]),
        enabled=told.get("state") != "disabled",
        routing=routing_of(told),
        latest=latest if latest and latest.is_release else None,
        identity=identity.get("principal_id"),
    )


def routing_of(told: Mapping[str, Any]) -> Routing:
    """The selector of an agent's endpoint."""
    selector = (told.get("agent_endpoint") or {}).get("version_selector") or {}
    rules = selector.get("version_selection_rules") or []
    return Routing(tuple(TrafficRule(str(r["agent_version"]), int(r.get("traffic_percentage", 100))) for r in rules))


def definition_to(definition: Definition) -> dict[str, Any]:
    """The definition as it is sent; the only place where secret values show."""
    return {
        **definition.more_definition,
        "kind": "hosted",
        "cpu": definition.cpu,
        "memory": definition.memory,
        "container_configuration": {"image": definition.image},
        "protocol_versions": [{"protocol": name, "version": version} for name, version in definition.protocols],
        "environment_variables": {
            name: value.reveal() if isinstance(value, SecretValue) else value
            for name, value in definition.environment.items()
        },
    }


def _status(text: str) -> Status:
    return Status(text) if text in Status.__members__.values() else Status.UNKNOWN


def time_of(told: Any) -> datetime:
    """A time from Unix seconds or an ISO text, which the SDK leaves as it is; otherwise UNKNOWN_TIME."""
    try:
        found = datetime.fromisoformat(told) if isinstance(told, str) else told
        if isinstance(found, datetime):
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        return datetime.fromtimestamp(float(found or 0), UTC)
    except (ValueError, OverflowError, OSError):
        return UNKNOWN_TIME
