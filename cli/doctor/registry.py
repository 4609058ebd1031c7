"""Checks the causes of an ImageError: the registry's policy, mode and network, and which identities may pull."""

from __future__ import annotations

from cli.arm_client import Json
from cli.doctor.resources import CONNECTIONS, Resources, principal_id
from cli.doctor.result import Check, failed, ok, unknown
from cli.doctor.role_assignments import PULL, PULL_ABAC, RoleAssignments

POLICY = "registry policy azureADAuthenticationAsArmPolicy"
ABAC = "AbacRepositoryPermissions"


async def checks(resources: Resources, roles: RoleAssignments, login_server: str) -> list[Check]:
    """Check policy, network, connection, and the three identities."""
    registry = resources.registry
    if registry is None:
        searched = f"not found in the {len(resources.subscriptions)} subscriptions that you may read in this tenant"
        return [unknown("registry", searched, "az login --tenant TENANT")]
    properties, name = registry.get("properties") or {}, registry["name"]
    abac = properties.get("roleAssignmentMode") == ABAC
    needed = PULL_ABAC if abac else PULL
    project, account = principal_id(resources.project), principal_id(resources.account)
    results = [
        _policy(properties, str(name)),
        ok("registry mode", "ABAC: AcrPull has no effect" if abac else "roles: AcrPull applies"),
        _network(properties),
        await _connection(resources, roles, login_server),
        await roles.check("identity of the project", project, needed, registry, "registry"),
        await roles.check("identity of the app", resources.app, needed, registry, "registry"),
    ]
    return [*results, _account(await roles.check("identity of the account", account, needed, registry, "registry"))]


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


async def _connection(resources: Resources, roles: RoleAssignments, login_server: str) -> Check:
    """Check the project's connection; it is documented as required, but pulls work without it."""
    check = "connection of the project to the registry"
    if resources.project is None:
        return unknown(check, "you may not read the project", "sign in with Reader on it")
    connections = await roles.arm.list(f"{resources.project['id']}/connections", CONNECTIONS)
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
