"""Between Foundry's JSON and our words; models of the SDK are never printed: they show environment values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.model import Agent, Definition, Failure, Routing, SecretValue, Status, TrafficRule, Version
from handlers.redaction import shown

LONGEST_NUMBER = 18


def version_of(told: Mapping[str, Any]) -> Version:
    """A version; ``error`` is no attribute of the SDK's model and is read by its key.

    Raises ValueError where it has no number: which of two is newer could not be said.
    """
    if not is_numbered(told):
        raise ValueError("a version without a number")
    definition = told.get("definition") or {}
    error = told.get("error") or {}
    return Version(
        number=str(told["version"]),
        status=_status(str(told.get("status") or "")),
        created_at=time_of(told.get("created_at")),
        image=str((definition.get("container_configuration") or {}).get("image") or definition.get("image") or ""),
        variables=frozenset(definition.get("environment_variables") or {}),
        metadata=dict(told.get("metadata") or {}),
        failure=_failure(error),
        draft=bool(told.get("draft")),
    )


def is_numbered(told: Mapping[str, Any]) -> bool:
    """Whether a version has a number, as every released one has."""
    number = str(told["version"])
    return number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER


def _failure(told: Mapping[str, Any]) -> Failure | None:
    """In a version's own words, which may be those of its container, and that knows secrets."""
    if not told:
        return None
    return Failure(shown(str(told.get("code", "")), 100), shown(str(told.get("message", "")), 300))


def agent_of(told: Mapping[str, Any]) -> Agent:
    """An agent; without a selector its endpoint follows the newest version."""
    latest = (told.get("versions") or {}).get("latest")
    identity = told.get("instance_identity") or {}
    return Agent(
        name=str(told["name"]),
        enabled=told.get("state") != "disabled",
        routing=routing_of(told),
        latest=version_of(latest) if latest and is_numbered(latest) else None,
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
        **definition.more,
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
    """Unix seconds, or an ISO text, which the SDK leaves as it is; NO_TIME where nothing is said."""
    if isinstance(told, datetime):
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    if isinstance(told, str):
        return datetime.fromisoformat(told).astimezone(UTC)
    return datetime.fromtimestamp(float(told or 0), UTC)
