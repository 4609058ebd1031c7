"""The role assignments of infra/modules as values: for ASSIGN_ROLES=false, and to find them again before azd down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.hooks.deploy_request import DeployRequest, group_id

MODULES = Path(__file__).resolve().parents[1] / "modules"
ROLES: Mapping[str, Mapping[str, str]] = json.loads((MODULES / "roles.json").read_text())


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of roles.json, with the principal and the place that it comes to."""

    key: str
    principal: str
    scope: str
    is_person: bool = False

    @property
    def role(self) -> str:
        """The role's id, or its name where infra makes it."""
        row = ROLES[self.key]
        return row["role"] if self.key == "agentVersions" else row["id"]


def grants(request: DeployRequest, env: Mapping[str, str]) -> Iterator[Grant]:
    """Every assignment of a deployment; ``env`` holds what infra/main.bicep put out."""
    app, own = env["SLIPWAY_IDENTITY_PRINCIPAL_ID"], group_id(request.subscription, request.group)
    storage = f"{own}/providers/Microsoft.Storage/storageAccounts/{env['AZURE_STORAGE_ACCOUNT_NAME']}"
    yield Grant("blobOwner", app, storage)
    yield Grant("queueContributor", app, storage)
    yield Grant("metricsPublisher", app, env["SLIPWAY_INSIGHTS_ID"])
    if topic := env.get("SLIPWAY_OUTCOME_TOPIC_ID"):
        yield Grant("outcomeSender", app, topic)
    if person := env.get("AZURE_PRINCIPAL_ID"):
        yield Grant("operatorBlobs", person, storage, is_person=True)
        yield Grant("operatorQueues", person, storage, is_person=True)
    yield from _of_topics(request, env, storage)
    yield from _of_sources(request, env)


def _of_sources(request: DeployRequest, env: Mapping[str, str]) -> Iterator[Grant]:
    """On what was there before: project, vault, registry."""
    app, project = env["SLIPWAY_IDENTITY_PRINCIPAL_ID"], env["SLIPWAY_PROJECT_PRINCIPAL_ID"]
    yield Grant("foundryUser" if request.foundry_role == "user" else "agentVersions", app, request.project_id)
    for place in [f"{request.vault.id}/secrets/{one}" for one in request.secrets] or [request.vault.id]:
        yield Grant("secretsUser", app, place)
    yield Grant("repositoryReader", app, request.registry.id)
    yield Grant("acrPull", app, request.registry.id)
    if request.project_pull:
        yield Grant("projectRepositoryReader", project, request.registry.id)
        yield Grant("projectAcrPull", project, request.registry.id)


def _of_topics(request: DeployRequest, env: Mapping[str, str], storage: str) -> Iterator[Grant]:
    """The two system topics, on one queue and one container."""
    for topic in dict.fromkeys((env["SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID"], env["SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID"])):
        if request.delivery == "queue":
            yield Grant("eventSender", topic, f"{storage}/queueServices/default/queues/events")
        yield Grant("deadLetterWriter", topic, f"{storage}/blobServices/default/containers/deadletters")


def command(grant: Grant) -> str:
    """The az command that makes the assignment."""
    given = f"--assignee-object-id {grant.principal}"
    kind = "" if grant.is_person else " --assignee-principal-type ServicePrincipal"
    return f'az role assignment create --role "{grant.role}" {given}{kind} --scope {grant.scope}'


def role_command(request: DeployRequest) -> str:
    """The az command that makes the custom role."""
    scope = group_id(request.foundry_subscription, request.foundry_group)
    given = f"--parameters environmentName={request.environment} assignableScope={scope}"
    where = f"--subscription {request.foundry_subscription} --location {request.location}"
    return f"az deployment sub create {where} --template-file infra/modules/foundry-role.bicep {given}"
