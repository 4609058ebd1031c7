"""Checks which identity may do what, from its role assignments and the definitions of the roles, custom ones too."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from cli.arm_client import ArmClient, Json
from cli.arm_versions import AUTHORIZATION
from cli.doctor.result import Check, failed, ok, unknown


@dataclass(frozen=True, slots=True)
class RequiredRole:
    """An action that an identity needs on a resource, and the least built-in role that allows it."""

    action: str
    role: str
    role_id: str
    data: bool = True
    """True for a data action; Owner and Contributor do not allow data actions."""


AGENTS = RequiredRole(
    "Microsoft.CognitiveServices/accounts/AIServices/agents/write",
    "Foundry User",
    "53ca6127-db72-4b80-b1b0-d745d6d5456d",
)
SECRETS = RequiredRole(
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "Key Vault Secrets User",
    "4633458b-17de-408a-b874-0445c86b69e6",
)
PULL = RequiredRole(
    "Microsoft.ContainerRegistry/registries/pull/read", "AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d", data=False
)
PULL_ABAC = RequiredRole(
    "Microsoft.ContainerRegistry/registries/repositories/content/read",
    "Container Registry Repository Reader",
    "b93aa761-3e63-49ed-ac28-beffa264f7ac",
)
BLOBS = RequiredRole(
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Storage Blob Data Owner",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
)
QUEUES = RequiredRole(
    "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
    "Storage Queue Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
)


@dataclass
class RoleAssignments:
    """Reads role assignments; each role definition is read once."""

    arm: ArmClient
    _definitions: dict[str, Json] = field(default_factory=dict)

    async def check(
        self, identity: str, principal: str | None, needed: RequiredRole, resource: Json | None, scope_name: str
    ) -> Check:
        """Check that an identity may act on a resource, also by an inherited role or through a group."""
        check = f"{identity} on {scope_name}"
        if principal is None:
            return unknown(check, f"{identity} was not found", "name the app's identity with --identity CLIENT_ID")
        if resource is None:
            return unknown(check, f"you may not read the {scope_name}", "sign in with Reader on it")
        scope = str(resource["id"])
        query = {"$filter": f"assignedTo('{principal}')"}
        listed = await self.arm.list(
            f"{scope}/providers/Microsoft.Authorization/roleAssignments", AUTHORIZATION, **query
        )
        properties = [assignment["properties"] for assignment in listed]
        in_scope = [assignment for assignment in properties if _covers(str(assignment.get("scope", "")), scope)]
        allowing = [item for item in in_scope if await self._allows(str(item["roleDefinitionId"]), needed)]
        if any(not assignment.get("condition") for assignment in allowing):
            return ok(check, f"has {needed.action.rpartition('Microsoft.')[2]}")
        if allowing:
            return unknown(
                check, "has the right only under a condition", "check that the condition names every repository"
            )
        names = {await self._name(str(assignment["roleDefinitionId"])) for assignment in in_scope}
        extra = f"; it has {', '.join(sorted(names))}, which is not enough" if names else ""
        return failed(check, f"lacks {needed.role}{extra}", grant_command(principal, needed, scope))

    async def _allows(self, role: str, needed: RequiredRole) -> bool:
        permissions = ((await self._definition(role)).get("properties") or {}).get("permissions") or []
        allow, deny = ("dataActions", "notDataActions") if needed.data else ("actions", "notActions")
        return any(
            _matches(permission.get(allow), needed.action) and not _matches(permission.get(deny), needed.action)
            for permission in permissions
        )

    async def _name(self, role: str) -> str:
        return str(((await self._definition(role)).get("properties") or {}).get("roleName") or role.rpartition("/")[2])

    async def _definition(self, role: str) -> Json:
        if role not in self._definitions:
            self._definitions[role] = await self.arm.get(role, AUTHORIZATION) or {}
        return self._definitions[role]


def grant_command(principal: str, needed: RequiredRole, scope: str) -> str:
    """Return the command that assigns the role; by id, because role names change."""
    return (
        f"az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal "
        f"--role {needed.role_id} --scope {scope}"
    )


def _covers(assigned: str, scope: str) -> bool:
    """Return whether an assignment is at the resource or above it, not below."""
    assigned = assigned.lower().rstrip("/")
    return scope.lower() == assigned or scope.lower().startswith(f"{assigned}/")


def _matches(patterns: list[str] | None, action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns or [])
