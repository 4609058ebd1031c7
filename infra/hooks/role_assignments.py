"""The role assignments of infra/modules as values, for ASSIGN_ROLES=false."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.hooks.deploy_request import DeployRequest, group_id

MODULES = Path(__file__).resolve().parents[1] / "modules"
ROLES: Mapping[str, Mapping[str, str]] = json.loads((MODULES / "roles.json").read_text())


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """One row of roles.json, with its principal and its scope."""

    key: str
    principal: str
    scope: str
    principal_type: str = "ServicePrincipal"
    """Empty if unknown; Azure then looks it up."""

    @property
    def role(self) -> str:
        """The id of the role, or its name if the deployment creates the role."""
        row = ROLES[self.key]
        return row["role"] if self.key == "agentVersions" else row["id"]

    @property
    def readable_role(self) -> str:
        """The name of the role for a command; an id where Azure has renamed the role, as Foundry's in 2026."""
        return self.role if self.key == "foundryUser" else ROLES[self.key]["role"]


def role_assignments(request: DeployRequest, env: Mapping[str, str]) -> Iterator[RoleAssignment]:
    """Every role assignment of a deployment; ``env`` holds the outputs of infra/main.bicep."""
    app, app_group = env["SLIPWAY_IDENTITY_PRINCIPAL_ID"], group_id(request.subscription, request.group)
    storage = f"{app_group}/providers/Microsoft.Storage/storageAccounts/{env['AZURE_STORAGE_ACCOUNT_NAME']}"
    yield RoleAssignment("blobOwner", app, storage)
    yield RoleAssignment("queueContributor", app, storage)
    yield RoleAssignment("metricsPublisher", app, env["SLIPWAY_INSIGHTS_ID"])
    if topic := env.get("SLIPWAY_OUTCOME_TOPIC_ID"):
        yield RoleAssignment("outcomeSender", app, topic)
    yield from _for_operators(request, env, storage)
    yield from _for_system_topics(request, env, storage)
    yield from _on_existing_resources(request, env)


def _for_operators(request: DeployRequest, env: Mapping[str, str], storage: str) -> Iterator[RoleAssignment]:
    """For the account that runs azd and the group of OPERATOR_GROUP_ID, on the state and the queue of releases."""
    queues = f"{storage}/queueServices/default/queues"
    deployer = env.get("SLIPWAY_OPERATOR_ID", "")
    for principal, principal_type in ((deployer, ""), (request.operator_group, "Group")):
        if principal:
            state = f"{storage}/blobServices/default/containers/slipway"
            yield RoleAssignment("operatorState", principal, state, principal_type)
            yield RoleAssignment("operatorReleases", principal, f"{queues}/releases", principal_type)
    if deployer:
        yield RoleAssignment("smokeSender", deployer, f"{queues}/events", "")
    if deployer and request.vault.created:
        yield RoleAssignment("secretsOfficer", deployer, request.vault.id, "")


def _on_existing_resources(request: DeployRequest, env: Mapping[str, str]) -> Iterator[RoleAssignment]:
    """On the project, the vault and the registry."""
    app, project = env["SLIPWAY_IDENTITY_PRINCIPAL_ID"], env["SLIPWAY_PROJECT_PRINCIPAL_ID"]
    foundry_key = "foundryUser" if request.foundry_role == "user" else "agentVersions"
    yield RoleAssignment(foundry_key, app, request.project_id)
    for scope in [f"{request.vault.id}/secrets/{name}" for name in request.secret_names] or [request.vault.id]:
        yield RoleAssignment("secretsUser", app, scope)
    yield RoleAssignment("repositoryReader", app, request.registry.id)
    yield RoleAssignment("acrPull", app, request.registry.id)
    if request.grant_project_pull:
        yield RoleAssignment("projectRepositoryReader", project, request.registry.id)
        yield RoleAssignment("projectAcrPull", project, request.registry.id)


def _for_system_topics(request: DeployRequest, env: Mapping[str, str], storage: str) -> Iterator[RoleAssignment]:
    """For the system topics of the registry and the vault, on the storage account and one container."""
    for topic in dict.fromkeys((env["SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID"], env["SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID"])):
        if request.event_delivery == "queue":
            yield RoleAssignment("eventSender", topic, storage)
        yield RoleAssignment("deadLetterWriter", topic, f"{storage}/blobServices/default/containers/deadletters")


def assignment_command(assignment: RoleAssignment) -> str:
    """The az command that creates the assignment."""
    assignee = f"--assignee-object-id {assignment.principal}"
    principal_type = f" --assignee-principal-type {assignment.principal_type}" if assignment.principal_type else ""
    role = f'"{assignment.readable_role}"'
    return f"az role assignment create --role {role} {assignee}{principal_type} --scope {assignment.scope}"


def custom_role_command(request: DeployRequest) -> str:
    """The az command that creates the custom role."""
    scope = group_id(request.foundry_subscription, request.foundry_group)
    parameters = f'--parameters deployment="{request.label}" assignableScope={scope}'
    target = f"--subscription {request.foundry_subscription} --location {request.location}"
    return f"az deployment sub create {target} --template-file infra/modules/foundry-role.bicep {parameters}"
