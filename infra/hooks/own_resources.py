"""What belongs to this deployment: only that is taken over by ``azd up``, and only that is deleted by ``azd down``."""

from __future__ import annotations

from collections.abc import Sequence

from cli.arm_client import Json
from infra.hooks.deploy_request import DeployRequest, Source, group_id

ENVIRONMENT_TAG = "azd-env-name"
IDENTITY, IDENTITY_PREFIX = "Microsoft.ManagedIdentity/userAssignedIdentities", "id-slipway-"


def is_own_group(group: Json, resources: Sequence[Json], request: DeployRequest) -> bool:
    """Whether this environment created the group. Other products of azd use the same tag, but not the same identity."""
    if _tag(group) != request.environment:
        return False
    return not resources or bool(own_identities(resources))


def own_identities(resources: Sequence[Json]) -> list[Json]:
    """The identities of an app among the resources of a group; the token ends their names."""
    identities = [item for item in resources if item["type"].lower() == IDENTITY.lower()]
    return [item for item in identities if item["name"].startswith(IDENTITY_PREFIX)]


def topics_of(source: Source, listed: Sequence[Json]) -> list[Json]:
    """The system topics of a source among those that are listed: at most one."""
    return [topic for topic in listed if topic["properties"].get("source", "").lower() == source.id.lower()]


def is_own_topic(topic: Json, source: Source, request: DeployRequest) -> bool:
    """Whether this deployment created the system topic: it has our name and our tag."""
    prefix = f"evgs-slipway-{source.kind.lower()}-"
    return _tag(topic) == request.environment and _is_named(topic, prefix, request.token)


def is_own_project_assignment(assignment: Json, request: DeployRequest) -> bool:
    """Whether this deployment made the role assignment of the Foundry project."""
    description = str(assignment["properties"].get("description") or "")
    return (
        description == f"Slipway {request.label}"
        if request.token
        else description.startswith(f"Slipway {request.environment} ")
    )


def is_in_own_group(resource_id: str, request: DeployRequest) -> bool:
    """Whether a resource lies in the app's group, which azd deletes as a whole."""
    return f"{resource_id.lower()}/".startswith(f"{group_id(request.subscription, request.group).lower()}/")


def _tag(resource: Json) -> str:
    return str((resource.get("tags") or {}).get(ENVIRONMENT_TAG, ""))


def _is_named(resource: Json, prefix: str, token: str) -> bool:
    """Whether a resource has the name of this deployment; before the first deployment the token is not known."""
    name = str(resource["name"]).lower()
    return f"{name}-".startswith(f"{prefix}{token}-") if token else name.startswith(prefix)
