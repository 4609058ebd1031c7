"""Preflight: the project, the registry, the vault and the subnet must exist and be set up as a release needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cli.arm_client import Json
from infra.hooks.deploy_request import DeployRequest, Project, Source
from infra.hooks.findings import Finding, error, note, ok
from infra.hooks.own_resources import is_own_project_assignment
from infra.hooks.role_assignments import ROLES


def not_found(subject: str, prefix: str, name: str, found_ids: Sequence[str]) -> Finding:
    """A resource that does not exist where the variables say; it may be in another group or subscription.

    ``prefix``: that of the resource's variables; empty if a list of resource ids names it.
    """
    for resource_id in found_ids:
        _, _, subscription, _, group, *_ = resource_id.split("/")
        message = f"{name} is not in the group and subscription that you set; it is in {group} of {subscription}"
        if not prefix:
            return error(subject, message, f"correct its id, which begins with {resource_id}")
        help_ = f"azd env set {prefix}_SUBSCRIPTION_ID {subscription}\nazd env set {prefix}_RESOURCE_GROUP {group}"
        return error(subject, message, help_)
    message = f"{name} is in none of the subscriptions that your account can see"
    variable = f"{prefix}_NAME" if prefix else "its id"
    return error(subject, message, f"correct {variable}, or sign in to its tenant: az login --tenant <tenant>")


def foundry(account: Json, project: Json, wanted: Project) -> Iterator[Finding]:
    """The account needs a subdomain for the project's address, and the project an identity that pulls images."""
    if not (account.get("properties") or {}).get("customSubDomainName"):
        message = f"{wanted.account} has no custom subdomain, so its projects have no address"
        target = f"-n {wanted.account} -g {wanted.group} --subscription {wanted.subscription}"
        help_ = f"az cognitiveservices account update {target} --custom-domain {wanted.account}"
        yield error("foundry", message, help_)
    if not (project.get("identity") or {}).get("principalId"):
        message = f"the project {wanted.name} has no identity, which it needs to pull images"
        help_ = "turn on its system-assigned identity: portal, the project, Resource management, Identity"
        yield error("foundry", message, help_)
    yield ok("foundry", f"project {wanted.name} of {wanted.account}")


def registry(resource: Json, request: DeployRequest) -> Iterator[Finding]:
    """Both permission modes work, but Foundry and the people who push need different roles in each."""
    properties = resource["properties"]
    name, subscription = request.registry.name, request.registry.subscription
    policy = _lower_keys(properties.get("policies") or {}).get("azureadauthenticationasarmpolicy") or {}
    if str(policy.get("status", "enabled")).lower() == "disabled":
        message = f"{name} refuses ARM tokens, which Foundry pulls with: every image would end in IMAGE_ERROR"
        help_ = f"az acr config authentication-as-arm update -r {name} --status enabled --subscription {subscription}"
        yield error("registry", message, help_)
    if _is_abac(resource):
        message = f"{name} is in ABAC mode: AcrPull, AcrPush and ownership of the registry have no effect on its images"
        yield note("registry", message, _abac_help(request))
    if properties.get("publicNetworkAccess") == "Disabled":
        message = f"{name} is private: Foundry pulls from it only for projects created after 2026-06-25"
        yield note("registry", message, "see docs/how-to/deploy.md, Private network")
    sku = resource.get("sku", {}).get("name", "unknown SKU")
    yield ok("registry", f"{properties.get('loginServer', name)}, {sku}")


def _is_abac(resource: Json) -> bool:
    return bool(resource["properties"].get("roleAssignmentMode") == "AbacRepositoryPermissions")


def _abac_help(request: DeployRequest) -> str:
    role = '"Container Registry Repository Writer"'
    writer = f"az role assignment create --role {role} --assignee <who pushes> --scope {request.registry.id}"
    reader = "the app gets Container Registry Repository Reader; with GRANT_PROJECT_PULL=true so does the project"
    return f"{writer}\n{reader}"


def project_pull(assignments: Sequence[Json], resource: Json, project: Project, request: DeployRequest) -> Finding:
    """Foundry pulls with the project's identity; without a role on the registry every image ends in IMAGE_ERROR."""
    subject = "project" if project.is_first else f"project {project.name}"
    if request.grant_project_pull and request.assign_roles:
        return _granted_pull(subject, assignments, resource, request)
    sufficient = {ROLES["repositoryReader"]["id"]} | (set() if _is_abac(resource) else {ROLES["acrPull"]["id"]})
    if any(_role_id(assignment) in sufficient for assignment in assignments):
        return ok(subject, f"its identity may pull from {request.registry.name}")
    message = f"its identity has no direct role on {request.registry.name}: Foundry may not be able to pull images"
    return note(subject, message, f"azd env set GRANT_PROJECT_PULL true\nor: {_pull_command(resource, request)}")


def _granted_pull(subject: str, assignments: Sequence[Json], resource: Json, request: DeployRequest) -> Finding:
    """Azure refuses a second assignment of a role at one scope; the portal or azd ai agent may have made the first."""
    granted = {ROLES[key]["id"]: ROLES[key]["role"] for key in ("repositoryReader", "acrPull")}
    present = [
        granted[_role_id(item)]
        for item in assignments
        if _role_id(item) in granted
        and item["properties"].get("scope", "").lower() == request.registry.id.lower()
        and not is_own_project_assignment(item, request)
    ]
    if not present:
        return ok(subject, f"its identity gets its roles on {request.registry.name}")
    message = f"its identity has {' and '.join(sorted(present))} there already, and Azure refuses a second assignment"
    help_ = "azd env set GRANT_PROJECT_PULL false"
    if _is_abac(resource) and granted[ROLES["repositoryReader"]["id"]] not in present:
        help_ += f"\n{_pull_command(resource, request)}"
    return error(subject, message, help_)


def _pull_command(resource: Json, request: DeployRequest) -> str:
    role = "Container Registry Repository Reader" if _is_abac(resource) else "AcrPull"
    return f'az role assignment create --role "{role}" --assignee <project\'s identity> --scope {request.registry.id}'


def vault(resource: Json, source: Source, request: DeployRequest) -> Iterator[Finding]:
    """The vault must use roles, not access policies, and the app must be able to reach it."""
    properties = resource["properties"]
    name, subscription = source.name, source.subscription
    if not properties.get("enableRbacAuthorization"):
        message = f"{name} uses access policies, so a role on a secret has no effect"
        command = f"az keyvault update -n {name} --enable-rbac-authorization true --subscription {subscription}"
        yield error("vault", message, f"first give a role to everybody who has an access policy now, then:\n{command}")
    closed = properties.get("publicNetworkAccess") == "Disabled"
    closed = closed or (properties.get("networkAcls") or {}).get("defaultAction") == "Deny"
    # the network that the deployment creates has an endpoint of the first vault alone
    if closed and not ((request.vnet_enabled and source.is_first) or request.subnet):
        message = f"{name} is closed to the public network, or open to a list only: the app could not read a secret"
        join = "azd env set APP_SUBNET_ID <a subnet that can reach it>"
        help_ = f"azd env set VNET_ENABLED true\nor: {join}" if source.is_first else join
        yield error("vault", message, help_)
    yield ok("vault", str(properties.get("vaultUri", name)))


def secret(resource: Json | None, name: str, request: DeployRequest) -> Finding:
    """A secret must exist before a role can be assigned on it."""
    if resource is not None:
        return ok("vault", f"the secret {name} exists")
    message = f"VAULT_SECRETS names {name}, which {request.vault.name} does not have"
    help_ = f"az keyvault secret set --vault-name {request.vault.name} -n {name} --value <value>"
    return error("vault", message, help_)


def subnet(resource: Json | None, request: DeployRequest) -> Finding:
    """The subnet of APP_SUBNET_ID must be delegated to Flex Consumption."""
    if resource is None:
        message = f"the subnet {request.subnet} does not exist, or you may not see it"
        return error("network", message, "azd env set APP_SUBNET_ID <another subnet>")
    name = request.subnet.rpartition("/")[2]
    delegations = resource["properties"].get("delegations") or []
    if not any(item["properties"]["serviceName"] == "Microsoft.App/environments" for item in delegations):
        help_ = f"az network vnet subnet update --ids {request.subnet} --delegations Microsoft.App/environments"
        return error("network", f"{name} is not delegated to Microsoft.App/environments", help_)
    return ok("network", f"the app joins the subnet {name}")


def repositories(listed: Sequence[str], followed: Sequence[str]) -> Iterator[Finding]:
    """A repository of agents.yaml may be missing: it was never pushed to, or its name is misspelled."""
    known = {repository.lower() for repository in listed}
    for repository in sorted(set(followed)):
        if repository.lower() not in known:
            names = ", ".join(sorted(listed)[:10]) or "none"
            help_ = f"push to it, or correct repository in agents.yaml; existing repositories: {names}"
            yield note("repositories", f"{repository} is not in the registry yet", help_)
    yield ok("repositories", f"{len(set(followed))} followed")


def _role_id(assignment: Json) -> str:
    return str(assignment["properties"]["roleDefinitionId"]).rpartition("/")[2].lower()


def _lower_keys(policies: Json) -> dict[str, Any]:
    """Azure spells this policy in two ways, depending on the API version."""
    return {key.lower(): value for key, value in policies.items()}
