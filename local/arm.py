"""Azure Resource Manager, read-only, as ``slipway doctor`` uses it: resources, roles, connections, event subscriptions.

Lacks: writes, differences between API versions, and permissions: any token may read. All resources are correct until
``PUT /_local/arm`` changes them.
"""

from __future__ import annotations

import copy
from typing import Any

from aiohttp import web

from local.stand_in import StandIn

Json = dict[str, Any]
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/local"
ROLES = "/providers/Microsoft.Authorization/roleDefinitions"
FOUNDRY_USER, SECRETS_USER = "53ca6127-db72-4b80-b1b0-d745d6d5456d", "4633458b-17de-408a-b874-0445c86b69e6"
ACR_PULL, REPOSITORY_READER = "7f951dda-4ed3-4680-a7ca-43fe172d538d", "b93aa761-3e63-49ed-ac28-beffa264f7ac"
BLOB_OWNER, QUEUE_CONTRIBUTOR = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
CLIENT = "00000000-0000-0000-0000-0000000000aa"
APP, PROJECT, ACCOUNT = "principal-of-the-app", "principal-of-the-project", "principal-of-the-account"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/demo"
ACCOUNT_ID = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/demo"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/demo-vault"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/local"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/demo"
VAULT_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/demo-vault"


class Arm(StandIn):
    """``management.azure.com`` with one subscription."""

    name = "arm"

    def __init__(self) -> None:
        super().__init__()
        self.resources: dict[str, Json] = {}
        """Id in lower case -> the resource; role assignments are resources too."""

    def routes(self) -> list[web.RouteDef]:
        """Return the control route, and one route for every resource and list."""
        return [
            web.put("/_local/arm", self._change),
            web.get("/{id:.+}", self._get),
        ]

    def put(self, identifier: str, **properties: Any) -> None:
        """Add a resource, or change its properties."""
        resource = self.resources.setdefault(identifier.lower(), {"id": identifier, "name": _name(identifier)})
        resource.update(properties)

    async def _change(self, request: web.Request) -> web.Response:
        """Remove or change resources: ``{"<id>": null | {…}}``."""
        for identifier, change in (await request.json()).items():
            if change is None:
                self.resources.pop(identifier.lower(), None)
            else:
                resource = self.resources.get(identifier.lower(), {"id": identifier, "name": _name(identifier)})
                self.resources[identifier.lower()] = merged(resource, change)
        return web.json_response({"resources": len(self.resources)})

    async def _get(self, request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return _error(401, "AuthenticationFailed", "a bearer token is needed")
        if "api-version" not in request.query:
            return _error(400, "MissingApiVersionParameter", "the api-version query parameter is required")
        path = f"/{request.match_info['id']}".rstrip("/").lower()
        if path in self.resources:
            return web.json_response(self.resources[path])
        if path == "/subscriptions":
            subscription = GROUP.split("/")[2]
            return web.json_response(
                {"value": [{"id": f"/subscriptions/{subscription}", "subscriptionId": subscription}]}
            )
        if path.endswith("/roleassignments"):
            return web.json_response({"value": self._role_assignments(request.query.get("$filter", ""))})
        return web.json_response({"value": self._list(path)})

    def _list(self, path: str) -> list[Json]:
        """Return the resources of a type in a subscription, or those directly below a resource."""
        scope, separator, resource_type = path.rpartition("/providers/")
        if not separator or scope.count("/") != 2:
            return [resource for key, resource in self.resources.items() if key.rpartition("/")[0] == path]
        return [
            resource
            for key, resource in self.resources.items()
            if key.startswith(f"{scope}/") and key.rpartition("/providers/")[2].rpartition("/")[0] == resource_type
        ]

    def _role_assignments(self, query_filter: str) -> list[Json]:
        principal = query_filter.partition("assignedTo('")[2].partition("'")[0]
        assignments = [resource for key, resource in self.resources.items() if "/roleassignments/" in key]
        return [assignment for assignment in assignments if assignment["properties"]["principalId"] == principal]


def _name(identifier: str) -> str:
    return identifier.rpartition("/")[2]


def merged(old: Json, new: Json) -> Json:
    """Return a copy of the old value with the new one merged into it, recursively; None removes a key."""
    result = copy.deepcopy(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
