"""Preflight: the rights of the signed-in account against those that the deployment needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from cli.arm_client import Json
from infra.hooks.deploy_request import DeployRequest, Source, group_id
from infra.hooks.findings import Finding, error

ASSIGN_ROLES = "Microsoft.Authorization/roleAssignments/write"
DEFINE_ROLES = "Microsoft.Authorization/roleDefinitions/write"
DEPLOY = "Microsoft.Resources/deployments/write"


def needed_actions(request: DeployRequest, group_exists: bool) -> dict[str, list[str]]:
    """Scope → the actions that the deployment performs there."""
    subscription = f"/subscriptions/{request.subscription}"
    app_group = group_id(request.subscription, request.group) if group_exists else subscription
    existing = [source for source in request.sources if not source.created]
    pairs = [
        (subscription, DEPLOY),
        (subscription, "Microsoft.Resources/subscriptions/resourceGroups/write"),
        (app_group, DEPLOY),
        (app_group, "Microsoft.Web/sites/write"),
        *((group_id(project.subscription, project.group), DEPLOY) for project in request.projects),
        *(pair for source in existing for pair in _actions_on_source(source)),
    ]
    if request.assign_roles:
        scopes = (app_group, *(project.id for project in request.projects), *(source.id for source in existing))
        pairs += [(scope, ASSIGN_ROLES) for scope in scopes]
    if request.assign_roles and request.foundry_role == "versions":
        pairs.append((f"/subscriptions/{request.projects[0].subscription}", DEFINE_ROLES))
        # Azure asks for the right at every scope that a role names
        pairs += [(group_id(project.subscription, project.group), DEFINE_ROLES) for project in request.projects[1:]]
    actions: dict[str, list[str]] = {}
    for scope, action in dict.fromkeys(pairs):
        actions.setdefault(scope, []).append(action)
    return actions


def _actions_on_source(source: Source) -> list[tuple[str, str]]:
    group = group_id(source.subscription, source.group)
    return [
        (group, DEPLOY),
        *([] if source.topic else [(group, "Microsoft.EventGrid/systemTopics/write")]),
        (group, "Microsoft.EventGrid/systemTopics/eventSubscriptions/write"),
        (source.id, "Microsoft.EventGrid/eventSubscriptions/write"),
    ]


def is_allowed(action: str, permissions: Sequence[Json]) -> bool:
    """Whether an effective permission allows the action and does not exclude it."""
    return any(
        _matches(action, permission.get("actions") or []) and not _matches(action, permission.get("notActions") or [])
        for permission in permissions
    )


def _matches(action: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def missing_rights(scope: str, actions: Sequence[str], permissions: Sequence[Json]) -> Iterator[Finding]:
    """The actions that the signed-in account may not perform at a scope, given its permissions there."""
    missing = [action for action in actions if not is_allowed(action, permissions)]
    if ASSIGN_ROLES in missing:
        command = 'az role assignment create --role "Role Based Access Control Administrator" --assignee <you>'
        help_ = (
            f"{command} --scope {scope}\n"
            "or: azd env set ASSIGN_ROLES false, which prints the commands for an administrator to run"
        )
        yield error("rights", f"you may not assign roles at {scope}", help_)
    others = [action for action in missing if action != ASSIGN_ROLES]
    if others:
        help_ = f"az role assignment create --role Contributor --assignee <you> --scope {scope}"
        yield error("rights", f"you lack {', '.join(others)} at {scope}", help_)
