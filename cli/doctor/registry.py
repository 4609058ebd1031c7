"""The causes behind an ImageError: the registry's policy and mode, and who may pull from it."""

from __future__ import annotations

from cli.doctor.checks import Check, ok, unclear, wrong
from cli.doctor.resources import CONNECTIONS, Resources, principal
from cli.doctor.rights import PULL, PULL_ABAC, Rights

POLICY = "registry policy azureADAuthenticationAsArmPolicy"
ABAC = "AbacRepositoryPermissions"


async def checks(found: Resources, rights: Rights, login_server: str) -> list[Check]:
    """Policy, network, connection, and the three identities."""
    registry = found.registry
    if registry is None:
        seen = f"in the {len(found.subscriptions)} subscriptions that you may read"
        return [unclear("registry", f"it is not {seen}", "az login --tenant <its tenant>, or --subscription ID")]
    told, name = registry.get("properties") or {}, registry["name"]
    abac = told.get("roleAssignmentMode") == ABAC
    right = PULL_ABAC if abac else PULL
    project, account = principal(found.project), principal(found.account)
    told_checks = [
        _policy(told, str(name)),
        ok("registry mode", "ABAC: AcrPull counts for nothing here" if abac else "roles: AcrPull counts"),
        _network(told),
        await _connection(found, rights, login_server),
        await rights.check("identity of the project", project, right, registry, "registry"),
        await rights.check("identity of the app", found.app, right, registry, "registry"),
    ]
    return [*told_checks, _account(await rights.check("identity of the account", account, right, registry, "registry"))]


def _policy(told: dict[str, object], name: str) -> Check:
    policies = told.get("policies")
    policy = policies.get("azureADAuthenticationAsArmPolicy") if isinstance(policies, dict) else None
    status = str((policy or {}).get("status") or "enabled")
    if status.lower() == "enabled":
        return ok(POLICY, "enabled")
    mend = f"az acr config authentication-as-arm update -r {name} --status enabled"
    return wrong(POLICY, "disabled: Foundry cannot pull, and every version ends with ImageError", mend)


def _network(told: dict[str, object]) -> Check:
    if told.get("publicNetworkAccess") != "Disabled":
        return ok("registry network", "public")
    since = "works only for Foundry projects made after 2026-06-25"
    return unclear("registry network", f"public access is off, which {since}", "see when the project was made")


async def _connection(found: Resources, rights: Rights, login_server: str) -> Check:
    """The documentation lists it as required; pulls were seen without it."""
    what = "connection of the project to the registry"
    if found.project is None:
        return unclear(what, "the project is not among what you may read", "sign in with Reader on it")
    listed = await rights.arm.list(f"{found.project['id']}/connections", CONNECTIONS)
    targets = [
        str(one["properties"].get("target", "")).removeprefix("https://").rstrip("/")
        for one in listed
        if (one.get("properties") or {}).get("category") == "ContainerRegistry"
    ]
    if login_server in targets:
        return ok(what, login_server)
    mend = "add a connection of the category ContainerRegistry with the project's identity, if pulls fail"
    return unclear(what, "there is none; it is documented as needed", mend)


def _account(check: Check) -> Check:
    """Only some accounts pull with their own identity: what it lacks is worth knowing where a pull fails."""
    if check.verdict != "wrong":
        return check
    return unclear(check.what, f"{check.detail}; some projects pull with it", check.mend)
