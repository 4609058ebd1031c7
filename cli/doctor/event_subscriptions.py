"""Whether the registry's events reach the app: topic, subscription, filter, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.doctor.arm import Arm, Json
from cli.doctor.checks import Check, ok, wrong
from cli.doctor.resources import EVENT_GRID, Resources
from core.agents_file.spec import Agents, SecretRef
from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION

QUEUE, FUNCTION = "events", "image_pushed"
SECRET_FUNCTION = "secret_changed"
MEND = "deploy infra/ again: azd provision"


async def checks(found: Resources, arm: Arm, agents: Agents) -> list[Check]:
    """The registry's subscription, and the vault's where a rotation is to be noticed."""
    told: list[Check] = []
    if found.registry is not None:
        subject = [f"{spec.repository}:" for spec in agents.agents.values()]
        ours = await subscriptions(found, arm, str(found.registry["id"]))
        told += _checked("event subscription of the registry", ours, IMAGE_PUSHED, subject)
    rotates = any(
        isinstance(value, SecretRef) and value.version is None
        for spec in agents.agents.values()
        if spec.release.on_secret_change == "release"
        for value in spec.env.values()
    )
    if found.vault is not None and rotates:
        ours = await subscriptions(found, arm, str(found.vault["id"]))
        told += _checked("event subscription of the vault", ours, SECRET_NEW_VERSION, [])
    return told


async def subscriptions(found: Resources, arm: Arm, source: str) -> list[Json]:
    """The subscriptions of a source that lead to the app, as the properties that they have."""
    topics = [one for one in found.topics if str(one["properties"].get("source", "")).lower() == source.lower()]
    paths = [f"{one['id']}/eventSubscriptions" for one in topics]
    paths.append(f"{source}/providers/Microsoft.EventGrid/eventSubscriptions")
    listed = [one for path in paths for one in await arm.list(path, EVENT_GRID)]
    return [one["properties"] for one in listed if _leads_here(destination(one["properties"]))]


def destination(told: Json) -> dict[str, Any]:
    """Where it delivers to, with or without an identity of its own."""
    by_identity = told.get("deliveryWithResourceIdentity") or {}
    return told.get("destination") or by_identity.get("destination") or {}


def dead_letters(told: Json) -> dict[str, Any]:
    """Where what cannot be delivered is kept; empty where it is dropped."""
    by_identity = told.get("deadLetterWithResourceIdentity") or {}
    kept = told.get("deadLetterDestination") or by_identity.get("deadLetterDestination") or {}
    return kept.get("properties") or {}


def _leads_here(to: dict[str, Any]) -> bool:
    properties = to.get("properties") or {}
    if to.get("endpointType") == "StorageQueue":
        return properties.get("queueName") == QUEUE
    named = str(properties.get("resourceId", "")).rpartition("/")[2]
    return named in (FUNCTION, SECRET_FUNCTION) or "functionName=" in str(properties.get("endpointBaseUrl", ""))


def _checked(what: str, ours: Sequence[Json], kind: str, subjects: list[str]) -> list[Check]:
    if not ours:
        return [wrong(what, f"none leads to the queue {QUEUE} or to a function: no push is ever heard of", MEND)]
    problems = [_problem(one, kind, subjects) for one in ours]
    if None in problems:
        told = [ok(what, "present, and lets every followed repository pass")]
    else:
        told = [wrong(what, str(problems[0]), MEND)]
    kept = [dead_letters(one) for one in ours]
    where = next((str(one.get("blobContainerName")) for one in kept if one), None)
    told.append(
        ok(f"{what}: dead letters", f"kept in {where}")
        if where
        else wrong(f"{what}: dead letters", "dropped: what cannot be delivered is lost", MEND)
    )
    return told


def _problem(told: Json, kind: str, subjects: list[str]) -> str | None:
    """Why events that are wanted do not pass; None where they do."""
    state = told.get("provisioningState", "Succeeded")
    if state != "Succeeded":
        return f"it is {state}"
    filters = told.get("filter") or {}
    types = filters.get("includedEventTypes")
    if types and kind not in types and "All" not in types:
        return f"its filter leaves {kind} out"
    begins = str(filters.get("subjectBeginsWith") or "").lower()
    for subject in subjects:
        if not subject.lower().startswith(begins) or filters.get("subjectEndsWith"):
            return f"its filter on the subject leaves {subject.rstrip(':')} out"
        if not all(_passes(one, subject) for one in filters.get("advancedFilters") or []):
            return f"its advanced filters leave {subject.rstrip(':')} out"
    return None


def _passes(advanced: Json, subject: str) -> bool:
    """Of the filters that name repositories, whether this one is named; others are taken to pass."""
    values = [str(one).lower() for one in advanced.get("values") or []]
    operator, key = advanced.get("operatorType"), str(advanced.get("key", "")).lower()
    if operator == "StringIn" and key == "data.target.repository":
        return subject.rstrip(":").lower() in values
    if operator == "StringBeginsWith" and key == "subject":
        return any(subject.lower().startswith(one) or one.startswith(subject.lower()) for one in values)
    return True
