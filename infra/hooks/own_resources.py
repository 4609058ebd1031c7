"""What belongs to this deployment: only that is taken over by ``azd up``, and only that is deleted by ``azd down``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.hooks.deploy_request import DeployRequest, Source, group_id

Json = Mapping[str, Any]
ENVIRONMENT_TAG = "azd-env-name"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def is_own_group(group: Json, resources: Sequence[Json], request: DeployRequest) -> bool:
    """Whether this environment created the group. Other products of azd use the same tag, but not the same identity."""
    if _tag(group) != request.environment:
        return False
    identities = [str(item["name"]) for item in resources if item["type"].lower() == IDENTITY.lower()]
    return not resources or any(name.startswith("id-slipway-") for name in identities)


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
