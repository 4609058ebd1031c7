"""Between Foundry's JSON and our own types; models of the SDK are never printed: they show environment values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.definition import definition_parts
from core.model import (
    UNKNOWN_TIME,
    Agent,
    DefinedVersion,
    Definition,
    Failure,
    Routing,
    SecretValue,
    Status,
    TrafficRule,
    Version,
    is_version_number,
)
from handlers.gateways.foundry.plain_json import plain_body
from handlers.redaction import foreign_failure

DEFINITION_KEYS = {
    "kind", "cpu", "memory", "container_configuration", "image", "protocol_versions", "container_protocol_versions",
    "environment_variables",
}  # fmt: skip
"""What ``Definition`` has a field for, in either form that the service returns (docs/reference/wire.md)."""


def version_of(body: Mapping[str, Any]) -> Version:
    """A version; ``error`` is not an attribute of the SDK's model and is read by its key."""
    definition, status = body.get("definition") or {}, str(body.get("status") or "")
    return Version(
        number=str(body["version"]),
        status=Status(status) if status in Status.__members__.values() else Status.UNKNOWN,
        created_at=time_of(body.get("created_at")),
        image=_image_of(definition),
        variables=frozenset(definition.get("environment_variables") or {}),
        metadata={str(key): str(value) for key, value in (body.get("metadata") or {}).items()},
        failure=_failure(body.get("error") or {}),
        draft=bool(body.get("draft")),
        parts=definition_parts(_definition_of(definition)),
    )


def numbered_version(body: Mapping[str, Any]) -> Version:
    """A requested version; raises ValueError where it has no number and so no place in the order."""
    version = version_of(body)
    if not is_version_number(version.number):
        raise ValueError("a version without a number")
    return version


def defined_version_of(body: Mapping[str, Any]) -> DefinedVersion:
    """A requested version with what it was created from; the service returns the values of variables in clear."""
    return DefinedVersion(numbered_version(body), _definition_of(body.get("definition") or {}))


def _definition_of(definition: Mapping[str, Any]) -> Definition:
    protocols = definition.get("protocol_versions") or definition.get("container_protocol_versions") or []
    variables = definition.get("environment_variables") or {}
    return Definition(
        image=_image_of(definition),
        cpu=str(definition.get("cpu") or ""),
        memory=str(definition.get("memory") or ""),
        protocols=tuple(sorted((str(item["protocol"]), str(item["version"])) for item in protocols)),
        environment={str(name): SecretValue(str(value)) for name, value in variables.items()},
        more_definition={key: value for key, value in definition.items() if key not in DEFINITION_KEYS},
    )


def _image_of(definition: Mapping[str, Any]) -> str:
    return str((definition.get("container_configuration") or {}).get("image") or definition.get("image") or "")


def with_date(response: Any, model: Mapping[str, Any], _: Any) -> tuple[Mapping[str, Any], datetime | None]:
    """An answer with the time of its Date header, where it has one (RFC 9110)."""
    body = plain_body(response, model, _)
    try:
        at = parsedate_to_datetime(response.http_response.headers.get("Date", ""))
    except ValueError:
        return body, None
    return body, at if at.tzinfo else None


def dated_version(answer: tuple[Mapping[str, Any], datetime | None]) -> Version:
    """A version with the time of the answer."""
    body, at = answer
    return replace(numbered_version(body), read_at=at)


def _failure(error: Mapping[str, Any]) -> Failure | None:
    """Why a version failed; the message may come from its container, which knows secrets."""
    return foreign_failure(str(error.get("code", "")), str(error.get("message", ""))) if error else None


def agent_of(body: Mapping[str, Any]) -> Agent:
    """An agent; without a selector its endpoint follows the newest version."""
    newest = (body.get("versions") or {}).get("latest")
    latest = version_of(newest) if newest else None
    return Agent(
        name=str(body["name"]),
        enabled=body.get("state") != "disabled",
        routing=routing_of(body),
        latest=latest if latest and latest.is_release else None,
        identity=(body.get("instance_identity") or {}).get("principal_id"),
    )


def hosted_name_of(body: Mapping[str, Any]) -> str:
    """The name of a listed agent; empty where its newest version is of another kind, which has no image."""
    definition = ((body.get("versions") or {}).get("latest") or {}).get("definition") or {}
    return str(body["name"]) if definition.get("kind", "hosted") == "hosted" else ""


def routing_of(body: Mapping[str, Any]) -> Routing:
    """The version selector of an agent's endpoint."""
    selector = (body.get("agent_endpoint") or {}).get("version_selector") or {}
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


def time_of(value: Any) -> datetime:
    """A time from Unix seconds or an ISO text, which the SDK leaves as it is; UNKNOWN_TIME from anything else."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(time, datetime):
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        return datetime.fromtimestamp(float(time or 0), UTC)
    except (ValueError, OverflowError, OSError):
        return UNKNOWN_TIME
