"""Resource Manager as azd uses it: it takes deployments, deletes groups, and publishes the app's package.

Lacks: rights, name rules and quotas of real services, and the time that they take.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local.arm import GROUP, Arm, error_answer, path_of, refused
from local.rehearsal.bicep import Bicep, Context
from local.rehearsal.expressions import Expressions

Json = dict[str, Any]
DEPLOYMENTS = "/providers/microsoft.resources/deployments/"
GROUP_TYPE = "Microsoft.Resources/resourceGroups"
WORKSPACES = "/microsoft.operationalinsights/workspaces/"
SUBSCRIPTION = GROUP.partition("/resourceGroups")[0]
TENANT = "00000000-0000-0000-0000-0000000000ee"


@dataclass
class Services:
    """Addresses that Azure would give new resources, and what runs a published app."""

    blob: str
    queue: str
    vault: str
    registry: str
    topic: str
    connection_string: str
    run_app: Callable[[Mapping[str, str]], Awaitable[list[str]]]
    """Starts the app with these settings, unless it runs; returns the names of its functions."""
    bicep: Bicep = field(repr=False)


class ResourceManager(Arm):
    """One tenant with one subscription."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        policies = {"subscriptionPolicies": {"spendingLimit": "Off"}, "managedByTenants": []}
        self.put(SUBSCRIPTION, tenantId=TENANT, authorizationSource="RoleBased", **policies)
        self._published_site = ""
        self.fails_at = ""
        """A type: the deployment fails before resources of it are created."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the app's publish endpoint beside those of Resource Manager."""
        return [
            web.post("/api/publish", self._publish),
            web.get("/api/deployments/{name}", self._published),
            *super().routes(),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        path = path_of(request)
        if DEPLOYMENTS in f"{path}/" and path not in self.resources and not path.endswith("/deployments"):
            name = path.rpartition("/")[2]
            return error_answer(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
        return await super()._get(request)

    def answer(self, path: str, request: web.Request) -> Json | None:
        """Return the tenants too."""
        if path == "/tenants":
            tenant = {"id": f"/tenants/{TENANT}", "tenantId": TENANT, "displayName": "Local", "tenantCategory": "Home"}
            return {"value": [{**tenant, "defaultDomain": "example.com"}]}
        return super().answer(path, request)

    async def _put(self, request: web.Request) -> web.Response:
        path = path_of(request)
        if DEPLOYMENTS not in path:
            return await super()._put(request)
        return refused(request) or await self._deploy(f"/{request.match_info['id']}", await request.json())

    async def _post(self, request: web.Request) -> web.Response:
        path = path_of(request)
        if path.endswith("/calculatetemplatehash"):
            template = await request.text()
            return web.json_response({"minifiedTemplate": "", "templateHash": _hash(template)})
        if DEPLOYMENTS not in path:
            return await super()._post(request)
        identifier, body = f"/{request.match_info['id']}", await request.json()
        evaluated = await self._evaluate(identifier, body)
        ids = [{"id": resource["id"]} for resource in evaluated["predictedResources"]]
        properties = {"provisioningState": "Succeeded", "validatedResources": ids}
        return web.json_response({"id": identifier, "properties": properties})

    async def _delete(self, request: web.Request) -> web.Response:
        """Groups and workspaces are gone at once, as azd expects them."""
        path = path_of(request)
        if path.count("/") > 4 and WORKSPACES not in path:
            return await super()._delete(request)
        self.remove(path)
        return web.json_response({})

    async def _evaluate(self, identifier: str, body: Json) -> Json:
        properties = body["properties"]
        if not properties["template"].get("resources"):
            return {"predictedResources": [], "outputs": {}}
        parameters = {name: item["value"] for name, item in (properties.get("parameters") or {}).items()}
        context = Context(identifier.split("/")[2], TENANT, body["location"])
        return await self._services.bicep.evaluate(properties["template"], parameters, context)

    async def _deploy(self, identifier: str, body: Json) -> web.Response:
        evaluated = await self._evaluate(identifier, body)
        resources = list(evaluated["predictedResources"])
        kinds = [resource["type"] for resource in resources]
        failed = self.fails_at in kinds
        if failed:
            resources = resources[: kinds.index(self.fails_at)]
        created = self._create_all(resources)
        outputs = {} if failed else Expressions(self._reference).resolve(evaluated["outputs"])
        state = "Failed" if failed else "Succeeded"
        properties = {
            "provisioningState": state,
            "mode": "Incremental",
            "correlationId": str(uuid.uuid4()),
            "timestamp": "2026-11-28T12:00:00Z",
            "duration": "PT1M",
            "templateHash": _hash(json.dumps(body["properties"]["template"])),
            "parameters": body["properties"].get("parameters") or {},
            "outputs": {name: {"type": "String", "value": value} for name, value in outputs.items()},
            "outputResources": [{"id": item} for item in created],
            "providers": [],
            "dependencies": [],
        }
        deployment = self.create(identifier, {"location": body["location"], "tags": body.get("tags") or {}})
        deployment["properties"] = properties
        if failed:
            return error_answer(409, "DeploymentFailed", f"{self.fails_at} could not be created.")
        return web.json_response(deployment, status=201)

    def _create_all(self, resources: list[Json]) -> list[str]:
        """Create the resources, then answer what they ask of each other; return their ids."""
        expressions = Expressions(self._reference)
        plain = [resource for resource in resources if not resource["id"].startswith("[")]
        for resource in plain:
            self._create_one(resource)
        created = []
        for resource in resources:
            if expressions.resolve(resource.get("condition", True)) is False:
                continue
            body = expressions.resolve({key: value for key, value in resource.items() if key != "properties"})
            settled = expressions.resolve(resource.get("properties") or {})
            if resource["type"].endswith("/roleAssignments"):
                settled["scope"] = body["id"].partition("/providers/Microsoft.Authorization/roleAssignments")[0]
                body["name"] = body["id"].rpartition("/")[2]
            self._create_one({**body, "properties": settled})
            created.append(body["id"])
        return created

    def _create_one(self, resource: Json) -> None:
        known = self.resources.get(resource["id"].lower())
        added = self._added_by_azure(resource)
        properties = {**(resource.get("properties") or {}), **added.pop("properties", {})}
        body = {
            key: value for key, value in resource.items() if key not in ("id", "properties", "apiVersion", "condition")
        }
        created = self.create(resource["id"], {**body, **added, "properties": properties})
        if known and resource["type"] == GROUP_TYPE:
            created["managedBy"] = known.get("managedBy")

    def _added_by_azure(self, resource: Json) -> Json:
        """Return what Azure adds to a new resource: identities and addresses."""
        services, name = self._services, str(resource["name"])
        principal = str(uuid.uuid5(uuid.NAMESPACE_URL, resource["id"]))
        client = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{resource['id']}/client"))
        host = f"{name}.azurewebsites.net"
        added: dict[str, Json] = {
            "Microsoft.ManagedIdentity/userAssignedIdentities": {"principalId": principal, "clientId": client},
            "Microsoft.Storage/storageAccounts": {
                "primaryEndpoints": {"blob": f"{services.blob}/", "queue": f"{services.queue}/"}
            },
            "Microsoft.Insights/components": {"ConnectionString": services.connection_string},
            "Microsoft.EventGrid/topics": {"endpoint": services.topic},
            "Microsoft.KeyVault/vaults": {"vaultUri": f"{services.vault}/"},
            "Microsoft.ContainerRegistry/registries": {"loginServer": services.registry},
            "Microsoft.Web/sites": {
                "defaultHostName": host,
                "state": "Running",
                "hostNameSslStates": [
                    {"name": host, "hostType": "Standard"},
                    {"name": f"{name}.scm.azurewebsites.net", "hostType": "Repository"},
                ],
            },
        }
        properties = {"properties": added.get(resource["type"], {})}
        if resource["type"] == "Microsoft.EventGrid/systemTopics":
            properties["identity"] = {"type": "SystemAssigned", "principalId": principal}
        return properties

    def _reference(self, identifier: str) -> Json:
        return self.resources[identifier.lower()]

    async def _publish(self, request: web.Request) -> web.Response:
        """Run the app with the settings of the site; the header names the site, as its host name does in Azure."""
        await request.read()
        site = self.resources[request.headers["X-Site"].lower()]
        self._published_site = str(site["name"])
        settings = {item["name"]: str(item["value"]) for item in site["properties"]["siteConfig"]["appSettings"]}
        for function in await self._services.run_app(settings):
            self.create(f"{site['id']}/functions/{function}", {"name": f"{site['name']}/{function}"})
        return web.Response(status=202, headers={"Location": f"{self.url}/api/deployments/d-1"})

    async def _published(self, request: web.Request) -> web.Response:
        times = {"start_time": "2026-11-28T12:00:00Z", "end_time": "2026-11-28T12:01:00Z"}
        state = {"id": request.match_info["name"], "status": 4, "complete": True, "active": True, "is_temp": False}
        kind = {"is_readonly": False, "site_name": self._published_site, "provisioningState": "Succeeded"}
        return web.json_response({**state, **kind, **times})


def _hash(text: str) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:15], 16))
