"""Azure Resource Manager, as ``slipway doctor``, the hooks of infra/ and azd use it: resources, and lists of them.

Lacks: differences between API versions, checks of what is written, and permissions: any token may read and write. All
resources are correct until ``PUT /_local/arm`` changes them.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from aiohttp import web

from local.arm_lists import FLEX_STACKS, PROVIDERS, REGIONS, STORAGE_SKUS
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
    """``management.azure.com``; the subscription of ``GROUP`` exists, others are added as resources."""

    name = "arm"

    def __init__(self) -> None:
        super().__init__()
        self.resources: dict[str, Json] = {}
        """Id in lower case -> the resource; subscriptions, groups and role assignments are resources too."""
        self.lists: dict[str, list[Json]] = {}
        """Path in lower case -> the items of a list that is answered as it is."""
        self.locked: set[str] = set()
        """Ids in lower case that nobody can delete."""
        self.taken_names: set[str] = set()
        """Names that somebody else has given to a registry or a vault."""
        self.operations: dict[str, Json] = {}
        """Address of an operation -> its end."""
        self.put(GROUP.partition("/resourceGroups")[0], displayName="Local", state="Enabled")

    def routes(self) -> list[web.RouteDef]:
        """Return the control route, and one route for every resource and list."""
        return [
            web.put("/_local/arm", self._change),
            web.get("/{id:.+}", self._get),
            web.put("/{id:.+}", self._put),
            web.post("/{id:.+}", self._post),
            web.delete("/{id:.+}", self._delete),
        ]

    def put(self, identifier: str, **properties: Any) -> Json:
        """Add a resource, or change its properties."""
        resource = self.resources.setdefault(identifier.lower(), described(identifier))
        resource.update(properties)
        return resource

    def remove(self, identifier: str) -> None:
        """Delete a resource and everything below it."""
        key = identifier.lower()
        self.resources = {
            other: resource for other, resource in self.resources.items() if not f"{other}/".startswith(f"{key}/")
        }

    def _register(self, subscription: str, action: str) -> Json:
        listed, namespace = f"{subscription}/providers", action.removesuffix("/register")
        providers = self.lists.get(listed, PROVIDERS)
        self.lists[listed] = [
            provider | {"registrationState": "Registered"} if provider["namespace"].lower() == namespace else provider
            for provider in providers
        ]
        return {"namespace": namespace, "registrationState": "Registering"}

    async def _change(self, request: web.Request) -> web.Response:
        """Remove or change resources: ``{"<id>": null | {…}}``."""
        for identifier, change in (await request.json()).items():
            if change is None:
                self.resources.pop(identifier.lower(), None)
            else:
                resource = self.resources.get(identifier.lower(), described(identifier))
                self.resources[identifier.lower()] = merged(resource, change)
        return web.json_response({"resources": len(self.resources)})

    async def _get(self, request: web.Request) -> web.Response:
        if refusal := refused(request):
            return refusal
        path = path_of(request)
        if path in self.operations:
            return web.json_response(self.operations[path], headers={"Retry-After": "0"})
        found = self.answer(path, request)
        if found is None:
            name = path.rpartition("/providers/")[2]
            return error_answer(404, "ResourceNotFound", f"The Resource '{name}' was not found.")
        return web.json_response(found)

    def answer(self, path: str, request: web.Request) -> Json | None:
        """Return a resource or a list; None for a resource that does not exist."""
        if path in self.resources:
            return self.resources[path]
        if path in self.lists:
            return {"value": self.lists[path]}
        scope, _, below = path.rpartition("/providers/")
        if below == "microsoft.authorization/permissions":
            known = any(f"{key}/".startswith(f"{scope}/") for key in self.resources)
            return {"value": [{"actions": ["*"], "notActions": []}]} if known else None
        if below == "microsoft.authorization/roleassignments":
            return {"value": self._role_assignments(scope, request.query.get("$filter", ""))}
        if is_list(path):
            listed = self._catalog(path) or filtered(self._list(path), request.query.get("$filter", ""))
            return {"value": listed}
        return None

    async def _put(self, request: web.Request) -> web.Response:
        if refusal := refused(request):
            return refusal
        identifier, body = f"/{request.match_info['id']}".rstrip("/"), await request.json()
        parent = parent_of(identifier)
        if parent and parent.lower() not in self.resources:
            return error_answer(404, "ParentResourceNotFound", f"'{parent}' could not be found.")
        resource = self.create(identifier, body)
        return web.json_response(resource, status=201, headers=self._operation(identifier, "Azure-AsyncOperation"))

    def create(self, identifier: str, body: Json) -> Json:
        """Create or replace a resource from the body of a request."""
        properties = {**(body.get("properties") or {}), "provisioningState": "Succeeded"}
        resource = described(identifier) | body | {"properties": properties}
        self.resources[identifier.lower()] = resource
        return resource

    async def _post(self, request: web.Request) -> web.Response:
        """Answer a check of a name, or register a provider; other actions are not known."""
        if refusal := refused(request):
            return refusal
        if path_of(request).endswith("/register"):
            return web.json_response(self._register(*path_of(request).split("/providers/")))
        if not path_of(request).endswith("/checknameavailability"):
            return error_answer(404, "ResourceNotFound", f"The action '{request.path}' was not found.")
        name = (await request.json())["name"]
        if name in self.taken_names:
            message = f"The name {name} is already in use."
            return web.json_response({"nameAvailable": False, "reason": "AlreadyExists", "message": message})
        return web.json_response({"nameAvailable": True})

    async def _delete(self, request: web.Request) -> web.Response:
        """Delete at once, but answer as for an operation that takes time."""
        if refusal := refused(request):
            return refusal
        path = path_of(request)
        if path in self.locked:
            return error_answer(409, "ScopeLocked", "The scope cannot perform delete operation because it is locked.")
        if path not in self.resources:
            return web.Response(status=204)
        self.remove(path)
        return web.Response(status=202, headers=self._operation(path, "Location"))

    def _operation(self, identifier: str, header: str) -> dict[str, str]:
        subscription = "/".join(identifier.split("/")[:3])
        path = f"{subscription}/providers/microsoft.local/operations/{len(self.operations) + 1}".lower()
        self.operations[path] = {"status": "Succeeded"}
        return {header: f"{self.url}{path}?api-version=2021-04-01", "Retry-After": "0"}

    def _catalog(self, path: str) -> list[Json]:
        """Return what every subscription has: providers, regions, runtimes and kinds of storage."""
        suffixes = {
            "/providers": PROVIDERS,
            "/microsoft.web/georegions": REGIONS,
            "/functionappstacks": FLEX_STACKS,
            "/microsoft.storage/skus": STORAGE_SKUS,
        }
        return next((items for suffix, items in suffixes.items() if path.endswith(suffix)), [])

    def _list(self, path: str) -> list[Json]:
        """Return the resources of a type in a subscription or group, those in a group, or those below a resource."""
        if path.endswith("/resources"):
            scope = path.removesuffix("resources")
            return [item for key, item in self.resources.items() if key.startswith(scope) and is_top_level(key, scope)]
        scope, separator, resource_type = path.rpartition("/providers/")
        if not separator or scope.count("/") not in (2, 4):
            return [resource for key, resource in self.resources.items() if key.rpartition("/")[0] == path]
        return [
            resource
            for key, resource in self.resources.items()
            if key.startswith(f"{scope}/") and key.rpartition("/providers/")[2].rpartition("/")[0] == resource_type
        ]

    def _role_assignments(self, scope: str, query_filter: str) -> list[Json]:
        """Return the assignments of a principal that are at a scope, above it or below it."""
        condition = re.search(r"(?:assignedTo\(|principalId eq )'([^']*)'", query_filter)
        return [
            resource
            for key, resource in self.resources.items()
            if "/roleassignments/" in key
            and (condition is None or resource["properties"]["principalId"] == condition[1])
            and is_related(key.partition("/providers/microsoft.authorization/")[0], scope)
        ]


def is_related(scope: str, other: str) -> bool:
    """Return whether a scope is another one, lies above it or below it."""
    return f"{scope}/".startswith(f"{other}/") or f"{other}/".startswith(f"{scope}/")


def refused(request: web.Request) -> web.Response | None:
    """Return the refusal of a request without a token or version."""
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        return error_answer(401, "AuthenticationFailed", "a bearer token is needed")
    if "api-version" not in request.query:
        return error_answer(400, "MissingApiVersionParameter", "the api-version query parameter is required")
    return None


def path_of(request: web.Request) -> str:
    """Return the path of a request in lower case."""
    return f"/{request.match_info['id']}".rstrip("/").lower()


def is_list(path: str) -> bool:
    """Return whether a path names a list: a type without a name behind it."""
    if path.endswith(("/resources", "/providers", "/subscriptions", "/resourcegroups")):
        return True
    return len(path.rpartition("/providers/")[2].split("/")) % 2 == 0


def is_top_level(key: str, scope: str) -> bool:
    """Return whether an id below a subscription or group names a resource of its own, and no part of another."""
    group, separator, below = key.removeprefix(scope).partition("providers/")
    return bool(separator) and below.count("/") == 2 and group.count("/") in (0, 2)


def filtered(resources: list[Json], query_filter: str) -> list[Json]:
    """Apply the filters that azd and the hooks use."""
    conditions = dict(re.findall(r"(\w+) eq '([^']*)'", query_filter))
    if tag := conditions.pop("tagName", None):
        value = conditions.pop("tagValue", None)
        resources = [item for item in resources if (item.get("tags") or {}).get(tag) == value]
    names = {"resourceType": "type", "roleName": "roleName"}
    return [
        item
        for item in resources
        if all(
            str({**(item.get("properties") or {}), **item}.get(names.get(key, key), "")).lower() == value.lower()
            for key, value in conditions.items()
        )
    ]


def described(identifier: str) -> Json:
    """Return what Resource Manager adds to every resource: id, name and type."""
    parts = identifier.rpartition("/providers/")[2].split("/")
    if "/providers/" not in identifier:
        kind = {3: "subscriptions", 5: "resourceGroups"}.get(len(identifier.split("/")), parts[-2])
        of_subscription = {"subscriptionId": parts[-1]} if kind == "subscriptions" else {}
        return {"id": identifier, "name": parts[-1], "type": f"Microsoft.Resources/{kind}", **of_subscription}
    return {"id": identifier, "name": parts[-1], "type": "/".join((parts[0], *parts[1::2]))}


def parent_of(identifier: str) -> str:
    """Return the resource that must exist first; empty for one that lies in a group or subscription."""
    before, _, below = identifier.rpartition("/providers/")
    if below.count("/") > 2:
        return identifier.rsplit("/", 2)[0]
    return before if "/providers/" in before else ""


def error_answer(status: int, code: str, message: str) -> web.Response:
    """Return an error in the shape of Resource Manager."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


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
