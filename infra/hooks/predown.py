"""azd predown: azd deletes the app's resource group; this deletes what the deployment created in other groups."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import infra.hooks.python_version  # noqa: F401 - ends the hook on a Python that is too old

# isort: split
from cli.arm_client import Json
from cli.arm_versions import AUTHORIZATION, DIAGNOSTICS, EVENT_GRID, FOUNDRY, IDENTITY, RESOURCES
from handlers.gateways.errors import GatewayError
from infra.hooks import event_subscriptions
from infra.hooks.azure_client import Azure, explain, report_failure
from infra.hooks.deploy_request import DeployRequest, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.own_resources import (
    IDENTITY_PREFIX,
    is_in_own_group,
    is_own_project_assignment,
    is_own_topic,
    own_identities,
    topics_of,
)
from infra.hooks.role_assignments import custom_role_name


@dataclass(slots=True)
class Plan:
    """What is deleted, in order, as pairs of id and API version; and what stays although this deployment made it."""

    deletions: list[tuple[str, str]] = field(default_factory=list)
    kept: list[Finding] = field(default_factory=list)


def main(env: Mapping[str, str], **options: Any) -> int:
    """Delete and report; return the exit code."""
    with Azure(env, **options) as azure:
        found = findings(from_env(env), env, azure)
        return report("predown", report_failure(found, "nothing was deleted yet"))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """Delete subscriptions before their topics, and assignments before their role."""
    plan = make_plan(request, env, azure)
    for path, api in plan.deletions:
        try:
            azure.delete(path, api)
            yield ok("deleted", path)
        except GatewayError as failure:
            yield error("kept", explain(failure)[0], f"az rest --method delete --url '{path}?api-version={api}'")
    yield from plan.kept
    if not plan.deletions and not plan.kept:
        yield ok("nothing", "to delete outside of the app's resource group")


def make_plan(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Plan:
    """Read everything before anything is deleted."""
    plan = Plan()
    if not request.token:
        request, env = _after_failed_deployment(request, env, azure)
    if not request.token:
        return plan
    neighbours = _on_topic(request.registry, request, azure, plan)
    for vault in request.vaults:
        _on_topic(vault, request, azure, plan)
    for subscription in request.subscriptions:
        _in_subscription(subscription, request, env, azure, plan, shared=neighbours)
    return plan


def _after_failed_deployment(
    request: DeployRequest, env: Mapping[str, str], azure: Azure
) -> tuple[DeployRequest, Mapping[str, str]]:
    """A deployment that failed has no outputs: the identity in the app's group has the token in its name."""
    resources = azure.list(f"{group_id(request.subscription, request.group)}/resources", RESOURCES)
    own = own_identities(resources)
    if not own:
        return request, env
    request = replace(request, token=own[0]["name"].removeprefix(IDENTITY_PREFIX))
    identity = azure.get(own[0]["id"], IDENTITY) or {}
    principal = (identity.get("properties") or {}).get("principalId", "")
    projects = [azure.get(project.id, FOUNDRY) or {} for project in request.projects]
    request = replace(
        request,
        projects=tuple(
            replace(project, principal=(found.get("identity") or {}).get("principalId", ""))
            for project, found in zip(request.projects, projects, strict=True)
        ),
        registry=_with_topic(request.registry, request, azure),
        vaults=tuple(_with_topic(vault, request, azure) for vault in request.vaults),
    )
    return request, {**env, "SLIPWAY_IDENTITY_PRINCIPAL_ID": principal}


def _with_topic(source: Source, request: DeployRequest, azure: Azure) -> Source:
    """The source with the id of its topic; the name of a topic in MORE_VAULT_IDS is one that only Azure computes."""
    topics = f"{group_id(source.subscription, source.group)}/providers/Microsoft.EventGrid/systemTopics"
    if source.topic or source.is_first:
        name = source.topic or f"evgs-slipway-{source.kind.lower()}-{request.token}"
        return replace(source, topic_id=f"{topics}/{name}")
    listed = topics_of(source, azure.list(topics, EVENT_GRID))
    own = next((item for item in listed if is_own_topic(item, source, request)), None)
    return replace(source, topic_id=own["id"]) if own else source


def _on_topic(source: Source, request: DeployRequest, azure: Azure, plan: Plan) -> list[str]:
    """Plan for the topic and its subscriptions; return the names of the subscriptions of others."""
    topic_id = source.topic_id
    topic = azure.get(topic_id, EVENT_GRID) if topic_id else None
    if not topic:
        return []
    listed = azure.list(f"{topic_id}/eventSubscriptions", EVENT_GRID)
    own = event_subscriptions.names(request.token).values()
    plan.deletions += [(item["id"], EVENT_GRID) for item in listed if item["name"] in own]
    others = sorted(item["name"] for item in listed if item["name"] not in own)
    if is_own_topic(topic, source, request) and not others:
        plan.deletions.append((str(topic_id), EVENT_GRID))
    elif is_own_topic(topic, source, request):
        path = f"{topic_id}/providers/Microsoft.Insights/diagnosticSettings/slipway"
        plan.deletions.append((path, DIAGNOSTICS))
        message = f"the system topic {topic['name']} stays: {', '.join(others)} subscribe to it"
        plan.kept.append(note("kept", message, f"when nobody does: {_delete_command(str(topic_id))}"))
    elif topic["name"].startswith("evgs-slipway-") and not others:
        message = (
            f"the system topic {topic['name']} belongs to another environment of Slipway, and nothing subscribes to it"
        )
        plan.kept.append(note("kept", message, f"if that environment is gone: {_delete_command(str(topic_id))}"))
    return others


def _delete_command(topic_id: str) -> str:
    return f"az resource delete --ids {topic_id}"


def _in_subscription(
    subscription: str,
    request: DeployRequest,
    env: Mapping[str, str],
    azure: Azure,
    plan: Plan,
    *,
    shared: Sequence[str],
) -> None:
    """Plan for the role assignments and the custom role."""
    app = env.get("SLIPWAY_IDENTITY_PRINCIPAL_ID", "")
    for principal in filter(None, (app, *(project.principal for project in request.projects))):
        listed = azure.role_assignments(f"/subscriptions/{subscription}", principal)
        own = own_assignments(listed, request, every=principal == app)
        if principal != app and own and any(name.startswith("slipway-") for name in shared):
            message = "the Foundry project may still pull: other environments of Slipway use the registry"
            ids = " ".join(item["id"] for item in own)
            plan.kept.append(note("kept", message, f"if they do not need it: az role assignment delete --ids {ids}"))
            continue
        plan.deletions += [(assignment["id"], AUTHORIZATION) for assignment in own]
    definitions = azure.role_definitions(subscription, custom_role_name(request))
    planned = {path.rpartition("/")[2] for path, _ in plan.deletions}  # a role is listed in each subscription it names
    plan.deletions += [(item["id"], AUTHORIZATION) for item in definitions if item["name"] not in planned]


def own_assignments(assignments: Sequence[Json], request: DeployRequest, *, every: bool) -> list[Json]:
    """The assignments outside of the app's resource group: every one, or only those that this deployment made."""
    outside = [item for item in assignments if not is_in_own_group(item["properties"]["scope"], request)]
    return [item for item in outside if every or is_own_project_assignment(item, request)]


if __name__ == "__main__":
    sys.exit(main(os.environ))
