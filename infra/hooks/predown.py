"""azd predown: azd deletes the app's resource group; this deletes what the deployment created in other groups."""

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

EVENT_GRID_API, AUTHORIZATION_API = "2025-02-15", "2022-04-01"
Json = Mapping[str, Any]


def main(env: Mapping[str, str]) -> int:
    """Delete and report; return the exit code."""
    return report("predown", findings(from_env(env), env, Azure(env)))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """Delete subscriptions before their topics, and assignments before their role."""
    try:
        resources = list(_to_delete(request, env, azure))
    except AzureError as failure:
        yield error("Azure", str(failure), "az login; nothing was deleted yet")
        return
    for path, api in resources:
        try:
            azure.delete(path, api)
            yield ok("deleted", path)
        except AzureError as failure:
            yield error("kept", str(failure), f"az rest --method delete --url '{path}?api-version={api}'")
    if not resources:
        yield ok("nothing", "to delete outside of the app's resource group")


def _to_delete(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[tuple[str, str]]:
    """Pairs of resource id and API version."""
    for source in (request.registry, request.vault):
        if topic_id := env.get(f"SLIPWAY_{source.kind}_TOPIC_ID"):
            yield from _on_topic(topic_id, request, env, azure)
    for subscription in request.subscriptions:
        yield from _in_subscription(subscription, request, env, azure)


def _on_topic(topic_id: str, request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[tuple[str, str]]:
    subscriptions = azure.list(f"{topic_id}/eventSubscriptions", EVENT_GRID_API)
    prefix = f"slipway-{env.get('SLIPWAY_TOKEN', '')}"
    yield from ((subscription["id"], EVENT_GRID_API) for subscription in own_subscriptions(subscriptions, prefix))
    topic = azure.get(topic_id, EVENT_GRID_API)
    if topic and is_own_topic(topic, request.environment):
        yield topic_id, EVENT_GRID_API


def _in_subscription(
    subscription: str, request: DeployRequest, env: Mapping[str, str], azure: Azure
) -> Iterator[tuple[str, str]]:
    path = f"/subscriptions/{subscription}/providers/Microsoft.Authorization"
    for holder in ("IDENTITY", "PROJECT"):
        if principal := env.get(f"SLIPWAY_{holder}_PRINCIPAL_ID"):
            listed = azure.list(f"{path}/roleAssignments?$filter=principalId eq '{principal}'", AUTHORIZATION_API)
            own = own_assignments(listed, request, every=holder == "IDENTITY")
            yield from ((assignment["id"], AUTHORIZATION_API) for assignment in own)
    name = f"Slipway agent versions ({request.environment})"
    definitions = azure.list(f"{path}/roleDefinitions?$filter=roleName eq '{name}'", AUTHORIZATION_API)
    yield from ((definition["id"], AUTHORIZATION_API) for definition in definitions)


def own_subscriptions(subscriptions: Sequence[Json], prefix: str) -> list[Json]:
    """The event subscriptions of this deployment; the topic may carry other people's too."""
    names = (f"{prefix}-queue", f"{prefix}-function")
    return [subscription for subscription in subscriptions if subscription["name"] in names]


def is_own_topic(topic: Json, environment: str) -> bool:
    """Whether this environment created the topic: an older topic does not have its tag."""
    return (topic.get("tags") or {}).get("azd-env-name") == environment


def own_assignments(assignments: Sequence[Json], request: DeployRequest, *, every: bool) -> list[Json]:
    """The assignments outside of the app's resource group: every one, or only those with our description."""
    app_group = group_id(request.subscription, request.group).lower()
    outside = [
        item for item in assignments if not f"{item['properties']['scope'].lower()}/".startswith(f"{app_group}/")
    ]
    description = f"Slipway {request.environment}"
    return [item for item in outside if every or item["properties"].get("description") == description]


if __name__ == "__main__":
    sys.exit(main(os.environ))
