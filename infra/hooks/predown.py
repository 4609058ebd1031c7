"""azd down deletes its own resource group; what stands in others goes here, and only what this deployment made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.hooks.azure_cli import Azure, AzureError
from infra.hooks.deploy_request import DeployRequest, from_env, group_id
from infra.hooks.findings import Finding, error, ok, report

TOPICS, ROLES = "2025-02-15", "2022-04-01"
Json = Mapping[str, Any]


def main(env: Mapping[str, str]) -> int:
    """All of it; the exit code."""
    return report("before down", findings(from_env(env), env, Azure(env)))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """Subscriptions before their topics, assignments before their role."""
    try:
        found = list(_to_delete(request, env, azure))
    except AzureError as refused:
        yield error("Azure", str(refused), "az login; nothing was deleted yet")
        return
    for path, api in found:
        try:
            azure.delete(path, api)
            yield ok("deleted", path)
        except AzureError as refused:
            yield error("kept", str(refused), f"az rest --method delete --url '{path}?api-version={api}'")
    if not found:
        yield ok("nothing", "stands outside of the resource group")


def _to_delete(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[tuple[str, str]]:
    for source in (request.registry, request.vault):
        if topic := env.get(f"SLIPWAY_{source.kind}_TOPIC_ID"):
            yield from _of_topic(topic, request, env, azure)
    for subscription in request.subscriptions:
        yield from _of_subscription(subscription, request, env, azure)


def _of_topic(topic: str, request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[tuple[str, str]]:
    listed = azure.list(f"{topic}/eventSubscriptions", TOPICS)
    yield from ((one["id"], TOPICS) for one in subscriptions(listed, f"slipway-{env.get('SLIPWAY_TOKEN', '')}"))
    made = azure.get(topic, TOPICS)
    if made and is_ours(made, request.environment):
        yield topic, TOPICS


def _of_subscription(
    subscription: str, request: DeployRequest, env: Mapping[str, str], azure: Azure
) -> Iterator[tuple[str, str]]:
    asked = f"/subscriptions/{subscription}/providers/Microsoft.Authorization"
    for who in ("IDENTITY", "PROJECT"):
        if principal := env.get(f"SLIPWAY_{who}_PRINCIPAL_ID"):
            listed = azure.list(f"{asked}/roleAssignments?$filter=principalId eq '{principal}'", ROLES)
            yield from ((one["id"], ROLES) for one in assignments(listed, request, every=who == "IDENTITY"))
    name = f"Slipway agent versions ({request.environment})"
    listed = azure.list(f"{asked}/roleDefinitions?$filter=roleName eq '{name}'", ROLES)
    yield from ((one["id"], ROLES) for one in listed)


def subscriptions(listed: Sequence[Json], name: str) -> list[Json]:
    """The event subscriptions that this deployment made on a topic that may be somebody else's."""
    return [one for one in listed if one["name"] in (f"{name}-queue", f"{name}-function")]


def is_ours(topic: Json, environment: str) -> bool:
    """A topic that was there before has no tag of ours."""
    return (topic.get("tags") or {}).get("azd-env-name") == environment


def assignments(listed: Sequence[Json], request: DeployRequest, *, every: bool) -> list[Json]:
    """Those outside of the own group: all of the app, and of the project those that say that they are ours."""
    own = group_id(request.subscription, request.group).lower()
    outside = [one for one in listed if not f"{one['properties']['scope'].lower()}/".startswith(f"{own}/")]
    ours = f"Slipway {request.environment}"
    return [one for one in outside if every or one["properties"].get("description") == ours]


if __name__ == "__main__":
    sys.exit(main(os.environ))
