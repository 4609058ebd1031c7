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
    yield from _for_system_topics(request, storage)
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
    """On the projects, the vaults and the registry."""
    app = env["SLIPWAY_IDENTITY_PRINCIPAL_ID"]
    foundry_key = "foundryUser" if request.foundry_role == "user" else "agentVersions"
    for project in request.projects:
        yield RoleAssignment(foundry_key, app, project.id)
    secrets = [f"{request.vault.id}/secrets/{name}" for name in request.secret_names]
    for scope in (*(secrets or [request.vault.id]), *(vault.id for vault in request.vaults[1:])):
        yield RoleAssignment("secretsUser", app, scope)
    yield RoleAssignment("repositoryReader", app, request.registry.id)
    yield RoleAssignment("acrPull", app, request.registry.id)
    for project in request.projects if request.grant_project_pull else ():
        yield RoleAssignment("projectRepositoryReader", project.principal, request.registry.id)
        yield RoleAssignment("projectAcrPull", project.principal, request.registry.id)


def _for_system_topics(request: DeployRequest, storage: str) -> Iterator[RoleAssignment]:
    """For the system topics of the registry and the vaults, on the storage account and one container."""
    for topic in dict.fromkeys(source.topic_principal for source in request.sources):
        if request.event_delivery == "queue":
            yield RoleAssignment("eventSender", topic, storage)
        yield RoleAssignment("deadLetterWriter", topic, f"{storage}/blobServices/default/containers/deadletters")


def custom_role_name(request: DeployRequest) -> str:
    """The name of the role that FOUNDRY_ROLE=versions creates."""
    return f"{ROLES['agentVersions']['role']} ({request.label})"


def assignment_command(assignment: RoleAssignment) -> str:
    """The az command that creates the assignment."""
    assignee = f"--assignee-object-id {assignment.principal}"
    principal_type = f" --assignee-principal-type {assignment.principal_type}" if assignment.principal_type else ""
    role = f'"{assignment.readable_role}"'
    return f"az role assignment create --role {role} {assignee}{principal_type} --scope {assignment.scope}"


def custom_role_command(request: DeployRequest) -> str:
    """The az command that creates the custom role."""
    scopes = dict.fromkeys(group_id(project.subscription, project.group) for project in request.projects)
    parameters = f"--parameters deployment=\"{request.label}\" assignableScopes='{json.dumps(list(scopes))}'"
    target = f"--subscription {request.projects[0].subscription} --location {request.location}"
    return f"az deployment sub create {target} --template-file infra/modules/foundry-role.bicep {parameters}"
