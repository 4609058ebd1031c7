"""Registry, vault, topics and project, as Azure Resource Manager shows them, held against what a release needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.hooks.deploy_request import DeployRequest, Source
from infra.hooks.findings import Finding, error, note, ok

Json = Mapping[str, Any]


def missing(what: str, prefix: str, name: str, elsewhere: Sequence[str]) -> Finding:
    """A resource that is not where it was looked for; it may be in another group or subscription."""
    for found in elsewhere:
        _, _, subscription, _, group, *_ = found.split("/")
        told = f"{name} is not in the group and subscription that are given, but it is in {group} of {subscription}"
        helps = f"azd env set {prefix}_SUBSCRIPTION_ID {subscription}\nazd env set {prefix}_RESOURCE_GROUP {group}"
        return error(what, told, helps)
    told = f"{name} is in no subscription that your account sees"
    return error(what, told, f"mend {prefix}_NAME, or sign in where it is: az login --tenant <tenant>")


def foundry(account: Json, project: Json, request: DeployRequest) -> Iterator[Finding]:
    """Where the project is reached follows from the account's subdomain, and who pulls is the project's identity."""
    if not (account.get("properties") or {}).get("customSubDomainName"):
        told = f"{request.account} has no subdomain of its own, so its projects have no address"
        given = f"-n {request.account} -g {request.foundry_group} --subscription {request.foundry_subscription}"
        yield error("foundry", told, f"az cognitiveservices account update {given} --custom-domain {request.account}")
    if not (project.get("identity") or {}).get("principalId"):
        told = f"the project {request.project} has no identity, with which it would pull images"
        yield error(
            "foundry", told, "turn on its system-assigned identity: portal, the project, Resource management, Identity"
        )
    yield ok("foundry", f"project {request.project} of {request.account}")


def registry(found: Json, request: DeployRequest) -> Iterator[Finding]:
    """Both of its modes work; what Foundry and the people who push need differs."""
    properties = found["properties"]
    name, subscription = request.registry.name, request.registry.subscription
    policy = _lower(properties.get("policies") or {}).get("azureadauthenticationasarmpolicy") or {}
    if str(policy.get("status", "enabled")).lower() == "disabled":
        told = f"{name} refuses tokens for ARM, with which Foundry pulls: every image would end in IMAGE_ERROR"
        helps = f"az acr config authentication-as-arm update -r {name} --status enabled --subscription {subscription}"
        yield error("registry", told, helps)
    if properties.get("roleAssignmentMode") == "AbacRepositoryPermissions":
        told = f"{name} is in ABAC mode: AcrPull and AcrPush do not count there, nor does being its owner"
        yield note("registry", told, _abac_help(request))
    if properties.get("publicNetworkAccess") == "Disabled":
        told = f"{name} is private: Foundry pulls from it only for projects made after 2026-06-25"
        yield note("registry", told, "see docs/how-to/deploy.md, Private network")
    yield ok("registry", f"{properties.get('loginServer', name)}, {found.get('sku', {}).get('name', 'no SKU told')}")


def _abac_help(request: DeployRequest) -> str:
    scope = f"--scope {request.registry.id}"
    writer = f'az role assignment create --role "Container Registry Repository Writer" --assignee <who pushes> {scope}'
    return f"{writer}\nthe app gets Container Registry Repository Reader, and with GRANT_PROJECT_PULL=true the project"


def puller(assignments: Sequence[Json], found: Json, roles: Mapping[str, Json], request: DeployRequest) -> Finding:
    """Foundry pulls with the project's identity; without a role on the registry every image ends in IMAGE_ERROR."""
    abac = found["properties"].get("roleAssignmentMode") == "AbacRepositoryPermissions"
    enough = {roles["repositoryReader"]["id"]} | (set() if abac else {roles["acrPull"]["id"]})
    if any(_role(one) in enough for one in assignments):
        return ok("project", f"its identity may pull from {request.registry.name}")
    if request.project_pull and request.assign_roles:
        return ok("project", f"its identity gets its roles on {request.registry.name}")
    role = "Container Registry Repository Reader" if abac else "AcrPull"
    told = f"its identity has no role on {request.registry.name} by itself: Foundry may not be able to pull images"
    helps = (
        f'azd env set GRANT_PROJECT_PULL true\nor: az role assignment create --role "{role}" --assignee <project\'s '
    )
    return note("project", told, f"{helps}identity> --scope {request.registry.id}")


def vault(found: Json, request: DeployRequest) -> Iterator[Finding]:
    """Roles decide there, and the app must reach it."""
    properties = found["properties"]
    name, subscription = request.vault.name, request.vault.subscription
    if not properties.get("enableRbacAuthorization"):
        told = f"{name} uses access policies, where a role on a secret has no effect"
        helps = f"az keyvault update -n {name} --enable-rbac-authorization true --subscription {subscription}"
        yield error("vault", told, f"{helps}\nafter giving roles to everybody who reads it by a policy now")
    closed = properties.get("publicNetworkAccess") == "Disabled"
    closed = closed or (properties.get("networkAcls") or {}).get("defaultAction") == "Deny"
    if closed and not (request.private or request.subnet):
        told = f"{name} lets the public network in nowhere, or by its list alone: the app could not read a secret"
        yield error(
            "vault", told, "azd env set VNET_ENABLED true\nor: azd env set APP_SUBNET_ID <a subnet with a way to it>"
        )
    yield ok("vault", str(properties.get("vaultUri", name)))


def secret(found: Json | None, name: str, request: DeployRequest) -> Finding:
    """A role on a single secret needs the secret; the deployment would stop half-way."""
    if found is not None:
        return ok("vault", f"the secret {name} is there")
    told = f"VAULT_SECRETS names {name}, which {request.vault.name} does not have"
    return error("vault", told, f"az keyvault secret set --vault-name {request.vault.name} -n {name} --value <value>")


def subnet(found: Json | None, request: DeployRequest) -> Finding:
    """Where Flex Consumption is put into a network of somebody's."""
    if found is None:
        told = f"there is no subnet {request.subnet}, or you may not see it"
        return error("network", told, "azd env set APP_SUBNET_ID <another>")
    delegated = [one["properties"]["serviceName"] for one in found["properties"].get("delegations") or []]
    if "Microsoft.App/environments" not in delegated:
        told = f"{request.subnet.rpartition('/')[2]} is not delegated to Microsoft.App/environments"
        helps = f"az network vnet subnet update --ids {request.subnet} --delegations Microsoft.App/environments"
        return error("network", told, helps)
    return ok("network", f"the app goes into {request.subnet.rpartition('/')[2]}")


def topics(listed: Sequence[Json], source: Source, environment: str) -> Iterator[Finding]:
    """A source has one system topic at most; one that is there is used, where it has an identity of its own."""
    about = source.kind.lower()
    of_it = [one for one in listed if _same(one["properties"].get("source", ""), source.id)]
    others = [one for one in of_it if (one.get("tags") or {}).get("azd-env-name") != environment]
    if source.topic:
        yield from _given_topic(of_it, source, about)
    elif others:
        name, group = others[0]["name"], others[0]["id"].split("/")[4]
        told = f"{source.name} has the system topic {name} in {group} already, and can have only one"
        helps = f"azd env set {source.kind}_TOPIC_NAME {name}"
        more = "" if _same(group, source.group) else f"\nazd env set {source.kind}_TOPIC_GROUP {group}"
        yield error(about, told, helps + more)
    else:
        yield ok(about, "its system topic is there" if of_it else "its system topic will be made")


def _given_topic(of_it: Sequence[Json], source: Source, about: str) -> Iterator[Finding]:
    wanted = [one for one in of_it if _same(one["name"], source.topic)]
    if not wanted:
        names = ", ".join(one["name"] for one in of_it) or "none"
        told = f"{source.kind}_TOPIC_NAME is {source.topic}, and the topics of {source.name} are: {names}"
        yield error(about, told, f"azd env set {source.kind}_TOPIC_NAME '{of_it[0]['name'] if of_it else ''}'")
        return
    if "SystemAssigned" not in str((wanted[0].get("identity") or {}).get("type", "")):
        told = f"the system topic {source.topic} has no system-assigned identity to deliver with"
        group = wanted[0]["id"].split("/")[4]
        helps = f"az eventgrid system-topic update -n {source.topic} -g {group} --identity systemassigned"
        yield error(about, told, f"{helps} --subscription {source.subscription}")
        return
    yield ok(about, f"events come from its system topic {source.topic}")


def repositories(listed: Sequence[str], followed: Sequence[str]) -> Iterator[Finding]:
    """A rule may be there before its first push; a slip of the pen looks the same."""
    known = {one.lower() for one in listed}
    for repository in sorted(set(followed)):
        if repository.lower() not in known:
            helps = (
                f"push to it, or mend repository in agents.yaml; there are: {', '.join(sorted(listed)[:10]) or 'none'}"
            )
            yield note("repositories", f"{repository} is not in the registry yet", helps)
    yield ok("repositories", f"{len(set(followed))} followed")


def _role(assignment: Json) -> str:
    return str(assignment["properties"]["roleDefinitionId"]).rpartition("/")[2].lower()


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _lower(given: Json) -> dict[str, Any]:
    """Azure spells this policy in two ways, by API version."""
    return {key.lower(): value for key, value in given.items()}
