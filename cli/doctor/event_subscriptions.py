"""Checks that events reach the app: system topic, subscription, filters, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.arm_client import ArmClient, Json
from cli.arm_versions import EVENT_GRID
from cli.doctor.resources import Resources, vault_name
from cli.doctor.result import Check, failed, ok
from core.agents_file.spec import Agents, SecretRef
from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION

QUEUE, FUNCTION = "events", "image_pushed"
SECRET_FUNCTION = "secret_changed"
FIX = "subscribe again: azd hooks run postdeploy"


async def checks(resources: Resources, arm: ArmClient, agents: Agents) -> list[Check]:
    """Check the registry's subscription, and that of each vault where a new secret version starts a release."""
    results: list[Check] = []
    if resources.registry is not None:
        subjects = [f"{spec.repository}:" for spec in agents.agents.values()]
        ours = await subscriptions(resources, arm, str(resources.registry["id"]))
        results += _check("event subscription of the registry", ours, IMAGE_PUSHED, subjects)
    for address, vault in resources.vaults.items():
        if vault is not None and _secrets(address, resources, agents):
            ours = await subscriptions(resources, arm, str(vault["id"]))
            name = f"event subscription of the {vault_name(address)}"
            results += _check(name, ours, SECRET_NEW_VERSION, _secrets(address, resources, agents))
    return results


def _secrets(address: str, resources: Resources, agents: Agents) -> list[str]:
    """Return the secrets of this vault of which a new version starts a release."""
    return [
        value.secret
        for spec in agents.agents.values()
        if spec.release.on_secret_change == "release" and resources.vault_of(spec.name, agents) == address
        for value in spec.env.values()
        if isinstance(value, SecretRef) and value.version is None
    ]


async def subscriptions(resources: Resources, arm: ArmClient, source: str) -> list[Json]:
    """Return the properties of each subscription of a source that delivers to the app."""
    topics = [
        topic for topic in resources.topics if str(topic["properties"].get("source", "")).lower() == source.lower()
    ]
    paths = [f"{topic['id']}/eventSubscriptions" for topic in topics]
    paths.append(f"{source}/providers/Microsoft.EventGrid/eventSubscriptions")
    listed = [subscription["properties"] for path in paths for subscription in await arm.list(path, EVENT_GRID)]
    return [subscription for subscription in listed if _delivers_to_app(_destination(subscription))]


def _destination(subscription: Json) -> dict[str, Any]:
    """Return the destination, whether the subscription delivers with an identity of its own or not."""
    by_identity = subscription.get("deliveryWithResourceIdentity") or {}
    return subscription.get("destination") or by_identity.get("destination") or {}


def dead_letter_destination(subscription: Json) -> dict[str, Any]:
    """Return the container that keeps undeliverable events; empty if they are dropped."""
    by_identity = subscription.get("deadLetterWithResourceIdentity") or {}
    destination = subscription.get("deadLetterDestination") or by_identity.get("deadLetterDestination") or {}
    return destination.get("properties") or {}


def _delivers_to_app(destination: dict[str, Any]) -> bool:
    properties = destination.get("properties") or {}
    if destination.get("endpointType") == "StorageQueue":
        return properties.get("queueName") == QUEUE
    function = str(properties.get("resourceId", "")).rpartition("/")[2]
    return function in (FUNCTION, SECRET_FUNCTION) or "functionName=" in str(properties.get("endpointBaseUrl", ""))


def _check(name: str, ours: Sequence[Json], event_type: str, subjects: list[str]) -> list[Check]:
    if not ours:
        return [failed(name, f"none delivers to the queue {QUEUE} or to a function: no event reaches the app", FIX)]
    problems = [_problem(subscription, event_type, subjects) for subscription in ours]
    if None in problems:
        about = "followed repository" if event_type == IMAGE_PUSHED else "secret that agents.yaml names"
        results = [ok(name, f"present, and passes events of every {about}")]
    else:
        results = [failed(name, str(problems[0]), FIX)]
    destinations = [dead_letter_destination(subscription) for subscription in ours]
    container = next((str(item.get("blobContainerName")) for item in destinations if item), None)
    results.append(
        ok(f"{name}: dead letters", f"kept in {container}")
        if container
        else failed(f"{name}: dead letters", "not kept: undeliverable events are lost", FIX)
    )
    return results


def _problem(subscription: Json, event_type: str, subjects: list[str]) -> str | None:
    """Return why the subscription drops needed events; None if it passes them."""
    state = subscription.get("provisioningState", "Succeeded")
    if state != "Succeeded":
        return f"it is {state}"
    filters = subscription.get("filter") or {}
    types = filters.get("includedEventTypes")
    if types and event_type not in types and "All" not in types:
        return f"its filter excludes {event_type}"
    begins, ends = (str(filters.get(key) or "").lower() for key in ("subjectBeginsWith", "subjectEndsWith"))
    for subject in subjects:
        is_whole = not subject.endswith(":")  # a secret is all of its subject; behind a repository comes its tag
        if not subject.lower().startswith(begins) or (ends and not (is_whole and subject.lower().endswith(ends))):
            return f"its filter on the subject excludes {subject.rstrip(':')}"
        if not all(_passes(item, subject) for item in filters.get("advancedFilters") or []):
            return f"its advanced filters exclude {subject.rstrip(':')}"
    return None


def _passes(advanced_filter: Json, subject: str) -> bool:
    """Return whether a filter that names repositories includes this one; any other filter is assumed to pass."""
    values = [str(value).lower() for value in advanced_filter.get("values") or []]
    operator, key = advanced_filter.get("operatorType"), str(advanced_filter.get("key", "")).lower()
    if operator == "StringIn" and key == "data.target.repository":
        return subject.rstrip(":").lower() in values
    if operator == "StringBeginsWith" and key == "subject":
        return any(subject.lower().startswith(value) or value.startswith(subject.lower()) for value in values)
    return True
