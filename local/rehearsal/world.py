"""The world of a row: a subscription with a shared registry, vault and Foundry project, and what belongs to others."""

from __future__ import annotations

import copy
import re
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from local.endpoints import environment
from local.processes import Processes
from local.rehearsal.azd import Azd, machine
from local.rehearsal.bicep import Bicep, Json
from local.rehearsal.resource_manager import ResourceManager, Services
from local.stack import Options, Stack

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
SHARED = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shared"
REGISTRY = f"{SHARED}/providers/Microsoft.ContainerRegistry/registries/demoreg"
VAULT = f"{SHARED}/providers/Microsoft.KeyVault/vaults/demo-vault"
ACCOUNT = f"{SHARED}/providers/Microsoft.CognitiveServices/accounts/demo"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
PROJECT_PRINCIPAL = "11111111-0000-0000-0000-000000000002"
FUNCTION = re.compile(r'@app\.function_name\("(\w+)"\)')
KEPT_LOCAL = (
    *("FOUNDRY_PROJECT_ENDPOINT", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED"),
    *("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"),
)
"""Settings of the laptop: Foundry's address is made from a name, and Azure itself sets those of the identity."""
NOT_LOCAL = ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "REGISTRY_ID", "KEY_VAULT_ID")
"""The telemetry stand-in listens without TLS, where the exporter refuses to send a token. One app answers the smoke
events of all rows, whose registries are in different groups."""


class Machine:
    """What all rows share: the stand-ins, one app, and the compiled template."""

    def __init__(self, folder: Path, azd: Path, bicep: Bicep) -> None:
        self._stack = Stack(Options(folder, ROOT / "agents.yaml", free_ports=True, functions=False), lambda _: None)
        self._folder, self._azd, self._bicep = folder, azd, bicep
        self._processes = Processes(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._clean = AsyncExitStack()
        self.template: Json = {}
        self.app_settings: dict[str, str] = {}
        """With which the app runs."""

    async def __aenter__(self) -> Machine:
        """Start the stand-ins and compile the template."""
        self._clean.push_async_callback(self._stack.down)
        await self._stack.up()
        self._clean.push_async_callback(self._processes.down)
        self._tls.load_cert_chain(self._folder / "tls" / "server.pem")
        self.template = await self._bicep.build(ROOT / "infra" / "main.bicep")
        trusted = ssl.create_default_context(cafile=self._stack.endpoints["ca"])
        self._session = ClientSession(connector=TCPConnector(ssl=trusted))
        self._clean.push_async_callback(self._session.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything, also after a failed start."""
        await self._clean.aclose()

    async def world(self) -> World:
        """Return a new world."""
        endpoints = self._stack.endpoints
        services = Services(
            blob=endpoints["blob"],
            queue=endpoints["queue"],
            vault=endpoints["vault"],
            registry=endpoints["registry_tls"].removeprefix("https://"),
            topic=f"{endpoints['eventgrid_tls']}/api/events",
            connection_string=endpoints["env"]["APPLICATIONINSIGHTS_CONNECTION_STRING"],
            run_app=self._run_app,
            bicep=self._bicep,
        )
        arm = ResourceManager(services)
        _populate(arm, services)
        address = await arm.start(tls=self._tls)
        self._clean.push_async_callback(arm.stop)
        here = machine(self._azd, endpoints["ca"], address)
        return World(arm, self._session, address, self.template, here, _storage_settings(endpoints))

    async def _run_app(self, settings: Mapping[str, str]) -> list[str]:
        """Start the app with the settings of its site; all rows share the storage account, so one app is enough."""
        if not self.app_settings:
            local = environment(self._stack.endpoints, ROOT / "agents.yaml")
            kept = {name: local[name] for name in KEPT_LOCAL}
            self.app_settings = {name: value for name, value in settings.items() if name not in NOT_LOCAL}
            arguments = ["local.functions_host", "--app", str(ROOT), "--folder", str(self._folder)]
            here = machine(self._azd, "", "")
            await self._processes.start("app", arguments, {**here, **self.app_settings, **kept})
        return FUNCTION.findall((ROOT / "function_app.py").read_text())


@dataclass
class World:
    """One Resource Manager, and the environments of azd that deploy to it."""

    arm: ResourceManager
    session: ClientSession
    address: str
    template: Json
    machine: Mapping[str, str]
    storage: Mapping[str, str]
    """Where the hooks find the storage account that stands for every new one."""
    foreign: dict[str, Json] = field(init=False)

    def __post_init__(self) -> None:
        self.guard()

    def guard(self) -> None:
        """Take what is there now for what belongs to others."""
        self.foreign = copy.deepcopy(self.arm.resources)

    def azd(self, name: str, **env: str) -> Azd:
        """Return an environment with the variables of a first deployment."""
        first = {
            "AZURE_ENV_NAME": name,
            "AZURE_LOCATION": "westeurope",
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
            "FOUNDRY_ACCOUNT_NAME": "demo",
            "FOUNDRY_PROJECT_NAME": "demo",
            "FOUNDRY_RESOURCE_GROUP": "rg-shared",
            "REGISTRY_NAME": "demoreg",
            "REGISTRY_RESOURCE_GROUP": "rg-shared",
            "VAULT_NAME": "demo-vault",
            "VAULT_RESOURCE_GROUP": "rg-shared",
        }
        return Azd(self.session, self.address, self.template, {**first, **env}, {**self.machine, **self.storage})

    def ids(self) -> set[str]:
        """Return what is there and belongs to nobody else, deployments and their records apart."""
        return {key for key in self.arm.resources.keys() - self.foreign.keys() if "/deployments/" not in key}

    def damage(self) -> list[str]:
        """Return what belongs to others and is gone or changed."""
        return sorted(key for key, resource in self.foreign.items() if self.arm.resources.get(key) != resource)


def _storage_settings(endpoints: Mapping[str, Any]) -> dict[str, str]:
    names = ("AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri")
    return dict(zip(names, (endpoints["blob"], endpoints["queue"]), strict=True))


def _populate(arm: ResourceManager, services: Services) -> None:
    policies = {"azureADAuthenticationAsArmPolicy": {"status": "enabled"}}
    arm.put(SHARED, location="westeurope", tags={"team": "platform"})
    registry = {"loginServer": services.registry, "roleAssignmentMode": "LegacyRegistryPermissions"}
    arm.put(REGISTRY, location="westeurope", properties={**registry, "policies": policies})
    vault = {"vaultUri": f"{services.vault}/", "enableRbacAuthorization": True}
    arm.put(VAULT, location="westeurope", properties=vault)
    arm.put(ACCOUNT, location="westeurope", properties={"customSubDomainName": "demo"})
    arm.put(f"{ACCOUNT}/projects/demo", identity={"principalId": PROJECT_PRINCIPAL}, properties={})
    assignment = f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments/pull"
    role = f"/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL}"
    properties = {"principalId": PROJECT_PRINCIPAL, "roleDefinitionId": role, "scope": REGISTRY}
    arm.put(assignment, properties=properties)
    arm.put(f"{SHARED}/providers/Microsoft.Sql/servers/orders", location="westeurope")
