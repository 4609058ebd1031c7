"""Checks the causes of an ImageError: the registry's policy, mode and network, and which identities may pull."""

from __future__ import annotations

from cli.arm_client import Json
from cli.arm_versions import CONNECTIONS
from cli.doctor.resources import ProjectResources, Resources, principal_id
from cli.doctor.result import Check, failed, ok, unknown
from cli.doctor.role_assignments import PULL, PULL_ABAC, RoleAssignments

POLICY = "registry policy azureADAuthenticationAsArmPolicy"
ABAC = "AbacRepositoryPermissions"


async def checks(resources: Resources, roles: RoleAssignments, login_server: str) -> list[Check]:
    """Check policy and network, and of each project its connection and identities."""
    registry = resources.registry
    if registry is None:
        searched = f"not found in the {len(resources.subscriptions)} subscriptions that you may read in this tenant"
        return [unknown("registry", searched, "az login --tenant TENANT")]
    properties, name = registry.get("properties") or {}, registry["name"]
    abac = properties.get("roleAssignmentMode") == ABAC
    needed = PULL_ABAC if abac else PULL
    results = [
        _policy(properties, str(name)),
        ok("registry mode", "ABAC: AcrPull has no effect" if abac else "roles: AcrPull applies"),
        _network(properties),
    ]
    for project in resources.projects:
        principal = principal_id(project.project)
        results += [
            await _connection(project, roles, login_server),
            await roles.check(f"identity of the {project.name}", principal, needed, registry, "registry"),
        ]
    results.append(await roles.check("identity of the app", resources.app, needed, registry, "registry"))
    accounts = dict[str | None, str]()
    for project in resources.projects:
        shown = "account" if project.name == "project" else f"account of {project.name}"
        accounts.setdefault(principal_id(project.account), shown)  # projects may share one
    return results + [
        _account(await roles.check(f"identity of the {shown}", account, needed, registry, "registry"))
        for account, shown in accounts.items()
    ]


def _policy(properties: Json, name: str) -> Check:
    policies = properties.get("policies")
    policy = policies.get("azureADAuthenticationAsArmPolicy") if isinstance(policies, dict) else None
    status = str((policy or {}).get("status") or "enabled")
    if status.lower() == "enabled":
        return ok(POLICY, "enabled")
    fix = f"az acr config authentication-as-arm update -r {name} --status enabled"
    return failed(POLICY, "disabled: Foundry cannot pull, and every version ends with ImageError", fix)


def _network(properties: Json) -> Check:
    if properties.get("publicNetworkAccess") != "Disabled":
        return ok("registry network", "public")
    detail = "public access is off, which works only for Foundry projects made after 2026-06-25"
    return unknown("registry network", detail, "check when the project was made")


async def _connection(project: ProjectResources, roles: RoleAssignments, login_server: str) -> Check:
    """Check the project's connection; it is documented as required, but pulls work without it."""
    check = f"connection of the {project.name} to the registry"
    if project.project is None:
        return unknown(check, f"you may not read the {project.name}", "sign in with Reader on it")
    connections = await roles.arm.list(f"{project.project['id']}/connections", CONNECTIONS)
    targets = [
        str(connection["properties"].get("target", "")).removeprefix("https://").rstrip("/")
        for connection in connections
        if (connection.get("properties") or {}).get("category") == "ContainerRegistry"
    ]
    if login_server in targets:
        return ok(check, login_server)
    fix = "if pulls fail, add a connection of the category ContainerRegistry with the project's identity"
    return unknown(check, "missing; it is documented as required", fix)


def _account(check: Check) -> Check:
    """Report a missing role of the account as unknown: only some projects pull with the account's identity."""
    if check.status != "failed":
        return check
    return unknown(check.name, f"{check.detail}; some projects pull with it", check.fix)
