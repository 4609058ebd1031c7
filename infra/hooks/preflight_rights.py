"""What whoever runs azd must be allowed to do, where, and which subscriptions and regions are ready for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.hooks.deploy_request import DeployRequest, Source, group_id
from infra.hooks.findings import Finding, error, note, ok

Json = Mapping[str, Any]
ASSIGN = "Microsoft.Authorization/roleAssignments/write"
DEPLOY = "Microsoft.Resources/deployments/write"
PROVIDERS = {
    "own": (
        *("Microsoft.App", "Microsoft.EventGrid", "Microsoft.Insights", "Microsoft.ManagedIdentity"),
        *("Microsoft.OperationalInsights", "Microsoft.Storage", "Microsoft.Web"),
    ),
    "foundry": ("Microsoft.CognitiveServices", "Microsoft.App"),
    "registry": ("Microsoft.ContainerRegistry", "Microsoft.EventGrid"),
    "vault": ("Microsoft.KeyVault", "Microsoft.EventGrid"),
}


def needed(request: DeployRequest, group_exists: bool) -> dict[str, list[str]]:
    """Scope → actions that the deployment takes there."""
    whole = f"/subscriptions/{request.subscription}"
    own = group_id(request.subscription, request.group) if group_exists else whole
    existing = [one for one in (request.registry, request.vault) if not one.created]
    pairs = [
        (whole, DEPLOY),
        (whole, "Microsoft.Resources/subscriptions/resourceGroups/write"),
        (own, DEPLOY),
        (own, "Microsoft.Web/sites/write"),
        (group_id(request.foundry_subscription, request.foundry_group), DEPLOY),
        *(pair for source in existing for pair in _of_source(source)),
    ]
    if request.assign_roles:
        pairs += [(scope, ASSIGN) for scope in (own, request.project_id, *(one.id for one in existing))]
    if request.assign_roles and request.foundry_role == "versions":
        pairs.append(
            (f"/subscriptions/{request.foundry_subscription}", "Microsoft.Authorization/roleDefinitions/write")
        )
    found: dict[str, list[str]] = {}
    for scope, action in dict.fromkeys(pairs):
        found.setdefault(scope, []).append(action)
    return found


def _of_source(source: Source) -> list[tuple[str, str]]:
    group, topics = group_id(source.subscription, source.group), group_id(source.subscription, source.topic_group)
    return [
        (group, DEPLOY),
        *([] if source.topic else [(group, "Microsoft.EventGrid/systemTopics/write")]),
        (topics, DEPLOY),
        (topics, "Microsoft.EventGrid/systemTopics/eventSubscriptions/write"),
        (source.id, "Microsoft.EventGrid/eventSubscriptions/write"),
    ]


def may(action: str, permissions: Sequence[Json]) -> bool:
    """Whether one of the effective permissions allows the action and does not take it away again."""
    return any(
        _any(action, one.get("actions") or []) and not _any(action, one.get("notActions") or []) for one in permissions
    )


def _any(action: str, patterns: Sequence[str]) -> bool:
    return any(re.fullmatch(re.escape(one).replace(r"\*", ".*"), action, re.IGNORECASE) for one in patterns)


def lacking(scope: str, actions: Sequence[str], permissions: Sequence[Json]) -> Iterator[Finding]:
    """What the signed-in account may not do at a scope; permissions as Azure tells them for it."""
    lacks = [one for one in actions if not may(one, permissions)]
    if ASSIGN in lacks:
        command = 'az role assignment create --role "Role Based Access Control Administrator" --assignee <you>'
        helps = (
            f"{command} --scope {scope}\nor: azd env set ASSIGN_ROLES false, which prints the commands for whoever may"
        )
        yield error("rights", f"you may not assign roles at {scope}", helps)
    others = [one for one in lacks if one != ASSIGN]
    if others:
        helps = f"az role assignment create --role Contributor --assignee <you> --scope {scope}"
        yield error("rights", f"you may not {', '.join(others)} at {scope}", helps)


def providers(listed: Sequence[Json], used: Sequence[str], subscription: str) -> Iterator[Finding]:
    """Resource providers that are not registered; a registration takes a minute or two."""
    known = {one["namespace"].lower(): one["registrationState"] for one in listed}
    for name in used:
        state = known.get(name.lower(), "unknown here")
        if state != "Registered":
            helps = f"az provider register --namespace {name} --subscription {subscription} --wait"
            yield error("providers", f"{name} is {state} in {subscription}", helps)


def used_in(subscription: str, request: DeployRequest) -> list[str]:
    """The providers that a subscription needs."""
    homes = {
        "own": request.subscription,
        "foundry": request.foundry_subscription,
        "registry": request.registry.subscription,
        "vault": request.vault.subscription,
    }
    found = [name for part, home in homes.items() if home == subscription for name in PROVIDERS[part]]
    network = ["Microsoft.Network"] if request.private and subscription == request.subscription else []
    return list(dict.fromkeys([*found, *network]))


def region(locations: Sequence[Json], location: str) -> Finding:
    """Whether Flex Consumption is there; az names regions in one way or the other."""
    known = sorted({_plain(one["name"]) for one in locations if one.get("name")})
    if not known:
        return note("region", f"az names no region with Flex Consumption; {location} will show at the deployment")
    if _plain(location) in known:
        return ok("region", f"{location} has Flex Consumption")
    told = f"{location} has no Flex Consumption"
    return error("region", told, f"azd env set AZURE_LOCATION <one of {', '.join(known)}>")


def python(runtimes: Sequence[Json], version: str) -> Finding:
    """Whether the region runs that Python on Flex Consumption."""
    known = [str(one["version"]) for one in runtimes if one.get("version")]
    if version in known:
        return ok("region", f"Python {version} runs there")
    if not known:
        return note("region", f"az tells no Python versions; {version} will show at the deployment")
    return error(
        "region", f"Python {version} does not run there", f"azd env set PYTHON_VERSION <one of {', '.join(known)}>"
    )


def taken(answer: Json, source: Source) -> Finding:
    """Whether the name of a registry or a vault that is to be made is free."""
    if answer.get("nameAvailable"):
        return ok(source.kind.lower(), f"the name {source.name} is free")
    told = f"the name {source.name} cannot be had: {answer.get('message') or answer.get('reason') or 'it is taken'}"
    return error(source.kind.lower(), told, f"azd env set {source.kind}_NAME <another>")


def _plain(region_: str) -> str:
    return region_.replace(" ", "").lower()
