"""Who may do what, from role assignments and the definitions of their roles: built-in and custom ones alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from cli.doctor.arm import Arm, Json
from cli.doctor.checks import Check, ok, unclear, wrong

AUTHORIZATION = "2022-04-01"


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody needs on a resource, and the least built-in role that has it."""

    action: str
    role: str
    role_id: str
    data: bool = True
    """True for a data action, which Owner and Contributor do not have."""


AGENTS = Right(
    "Microsoft.CognitiveServices/accounts/AIServices/agents/write",
    "Foundry User",
    "53ca6127-db72-4b80-b1b0-d745d6d5456d",
)
SECRETS = Right(
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "Key Vault Secrets User",
    "4633458b-17de-408a-b874-0445c86b69e6",
)
PULL = Right(
    "Microsoft.ContainerRegistry/registries/pull/read", "AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d", data=False
)
PULL_ABAC = Right(
    "Microsoft.ContainerRegistry/registries/repositories/content/read",
    "Container Registry Repository Reader",
    "b93aa761-3e63-49ed-ac28-beffa264f7ac",
)
BLOBS = Right(
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Storage Blob Data Owner",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
)
QUEUES = Right(
    "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
    "Storage Queue Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
)


@dataclass
class Rights:
    """Asks ARM; what was read once is kept."""

    arm: Arm
    _roles: dict[str, Json] = field(default_factory=dict)

    async def check(self, who: str, principal: str | None, right: Right, resource: Json | None, where: str) -> Check:
        """Whether an identity has a right on a resource, also inherited or through a group."""
        what = f"{who} on {where}"
        if principal is None:
            return unclear(what, f"{who} is not known here", "name the app's identity with --identity CLIENT_ID")
        if resource is None:
            return unclear(what, f"{where} is not among what you may read", "sign in with Reader on it")
        scope = str(resource["id"])
        query = {"$filter": f"assignedTo('{principal}')"}
        listed = await self.arm.list(
            f"{scope}/providers/Microsoft.Authorization/roleAssignments", AUTHORIZATION, **query
        )
        there = [one["properties"] for one in listed if _covers(str(one["properties"].get("scope", "")), scope)]
        having = [one for one in there if await self._has(str(one["roleDefinitionId"]), right)]
        if any(not one.get("condition") for one in having):
            return ok(what, f"has {right.action.rpartition('Microsoft.')[2]}")
        if having:
            return unclear(
                what, "has the right under a condition alone", "see whether the condition names every repository"
            )
        names = {await self._name(str(one["roleDefinitionId"])) for one in there}
        lacks = f"lacks {right.role}" + (f"; it has {', '.join(sorted(names))}, which is not enough" if names else "")
        return wrong(what, lacks, grant(principal, right, scope))

    async def _has(self, role: str, right: Right) -> bool:
        permissions = ((await self._role(role)).get("properties") or {}).get("permissions") or []
        kind = ("dataActions", "notDataActions") if right.data else ("actions", "notActions")
        return any(
            _named(one.get(kind[0]), right.action) and not _named(one.get(kind[1]), right.action) for one in permissions
        )

    async def _name(self, role: str) -> str:
        return str(((await self._role(role)).get("properties") or {}).get("roleName") or role.rpartition("/")[2])

    async def _role(self, role: str) -> Json:
        if role not in self._roles:
            self._roles[role] = await self.arm.get(role, AUTHORIZATION) or {}
        return self._roles[role]


def grant(principal: str, right: Right, scope: str) -> str:
    """The command that gives the right; by id, since names of roles change."""
    return (
        f"az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal "
        f"--role {right.role_id} --scope {scope}"
    )


def _covers(assigned: str, scope: str) -> bool:
    """True for an assignment at the resource or above it, not below."""
    above = assigned.lower().rstrip("/")
    return scope.lower() == above or scope.lower().startswith(f"{above}/")


def _named(patterns: list[str] | None, action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns or [])
