"""Azure as a deployment of docs/how-to/deploy.md finds it, on the stand-ins, and the hooks that run against it."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.hooks.azure_client import Azure
from infra.hooks.role_assignments import ROLES
from local.arm import Arm
from local.background import Background
from local.credentials import AsyncLocalCredential
from local.registry.repository import Repository
from local.registry.server import Registry
from local.stand_in import Fault
from local.tls import Authority

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTION, OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
APP_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-slipway-test"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/contoso"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/contoso-kv"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-ai"
PROJECT = f"{ACCOUNT}/projects/agents"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-slipway-registry-abc"
VAULT_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-slipway-vault-abc"
APP = f"{APP_GROUP}/providers/Microsoft.Web/sites/func-slipway"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
PERMISSIONS = "providers/Microsoft.Authorization/permissions"
ENVIRONMENT = {
    "AZURE_ENV_NAME": "test",
    "AZURE_LOCATION": "westeurope",
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
    "FOUNDRY_ACCOUNT_NAME": "contoso-ai",
    "FOUNDRY_PROJECT_NAME": "agents",
    "FOUNDRY_RESOURCE_GROUP": "shared",
    "REGISTRY_NAME": "contoso",
    "REGISTRY_RESOURCE_GROUP": "shared",
    "VAULT_NAME": "contoso-kv",
    "VAULT_RESOURCE_GROUP": "shared",
}
OUTPUTS = {
    "AZURE_FUNCTION_NAME": "func-slipway",
    "AZURE_STORAGE_ACCOUNT_NAME": "stslipway",
    "SLIPWAY_TOKEN": "abc",
    "SLIPWAY_IDENTITY_PRINCIPAL_ID": "app-principal",
    "SLIPWAY_PROJECT_PRINCIPAL_ID": "project-principal",
    "SLIPWAY_INSIGHTS_ID": f"{APP_GROUP}/providers/Microsoft.Insights/components/appi",
    "SLIPWAY_OUTCOME_TOPIC_ID": f"{APP_GROUP}/providers/Microsoft.EventGrid/topics/evgt",
    "SLIPWAY_REGISTRY_TOPIC_ID": TOPIC,
    "SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID": "registry-topic-principal",
    "SLIPWAY_VAULT_TOPIC_ID": VAULT_TOPIC,
    "SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID": "vault-topic-principal",
    "SLIPWAY_OPERATOR_ID": "me",
}
FUNCTIONS = (
    *("image_pushed", "secret_changed", "event_queued", "release_agent", "release_poisoned", "event_poisoned"),
    *("commit_status", "commit_status_poisoned"),
    *("prune_versions", "resume_releases"),
)


def assignment(principal: str, role: str, scope: str, name: str = "1", **more: str) -> dict[str, Any]:
    properties = {"principalId": principal, "scope": scope, "roleDefinitionId": f"/x/{role}", **more}
    return {"id": f"{scope}/{ASSIGNMENTS}/{name}", "name": name, "properties": properties}


@dataclass
class Cloud:
    """Resource Manager and a registry, with everything that a first deployment needs."""

    background: Background
    tls: Authority
    azd: Path
    """The folder of the program azd, which is all that the hooks find on the PATH."""
    arm: Arm = field(default_factory=Arm)
    registry: Registry = field(default_factory=lambda: Registry("contoso"))
    env: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def start(self) -> None:
        address = self.background.run(self.arm.start(tls=self.tls.server()))
        self.background.run(self.registry.start())
        registry = self.background.run(self.registry.start(tls=self.tls.server()))
        self.env |= {"ARM_ENDPOINT": address, "REGISTRY_ENDPOINT": registry}
        for name in ("agents/hello", "agents/support"):
            self.registry.repositories[name] = Repository()
        self.put(f"/subscriptions/{OTHER_SUBSCRIPTION}", displayName="Other", state="Enabled")
        self.put(GROUP, location="westeurope")
        self.put(ACCOUNT, properties={"customSubDomainName": "contoso-ai"})
        self.put(PROJECT, identity={"principalId": "project-principal"}, name="contoso-ai/agents")
        policies = {"azureADAuthenticationAsArmPolicy": {"status": "enabled"}}
        mode = {"roleAssignmentMode": "LegacyRegistryPermissions", "policies": policies}
        self.put(REGISTRY, sku={"name": "Standard"}, properties={"loginServer": "contoso.azurecr.io", **mode})
        vault = {"enableRbacAuthorization": True, "vaultUri": "https://contoso-kv.vault.azure.net/"}
        self.put(VAULT, properties=vault)
        self.assign(assignment("project-principal", ROLES["acrPull"]["id"], REGISTRY))

    def stop(self) -> None:
        self.background.run(self.arm.stop())
        self.background.run(self.registry.stop())

    def put(self, identifier: str, **content: Any) -> None:
        self.arm.put(identifier, **content)

    def get(self, identifier: str) -> dict[str, Any]:
        return self.arm.resources[identifier.lower()]

    def exists(self, identifier: str) -> bool:
        return identifier.lower() in self.arm.resources

    def assign(self, *assignments: dict[str, Any]) -> None:
        self.arm.resources |= {item["id"].lower(): item for item in assignments}

    def permit(self, scope: str, *actions: str, without: tuple[str, ...] = ()) -> None:
        """Allow only these actions at a scope."""
        self.arm.lists[f"{scope}/{PERMISSIONS}".lower()] = [{"actions": actions, "notActions": list(without)}]

    def refuse(self, identifier: str) -> None:
        """Let nobody read or change a resource."""
        message = f"The client does not have authorization over {identifier}"
        body = {"error": {"code": "AuthorizationFailed", "message": message}}
        self.arm.faults.append(Fault(f"(?i)^{identifier}\\?", status=403, body=body))

    def deploy(self) -> Cloud:
        """The state after ``azd provision`` and the upload of the app."""
        self.env |= OUTPUTS
        for topic, source in ((TOPIC, REGISTRY), (VAULT_TOPIC, VAULT)):
            self.put(topic, tags={"azd-env-name": "test"}, properties={"source": source})
        for name in FUNCTIONS:
            self.put(f"{APP}/functions/{name}", name=f"func-slipway/{name}")
        return self

    def subscribed(self) -> Cloud:
        """The state after a whole deployment."""
        self.deploy()
        for topic in (TOPIC, VAULT_TOPIC):
            self.put(f"{topic}/eventSubscriptions/slipway-abc-queue", properties={})
        return self

    def azure(self) -> Azure:
        return Azure(self.env, AsyncLocalCredential(), connection_verify=str(self.tls.ca))

    def run(self, hook: str) -> tuple[int, str]:
        """Run a hook in this process, which saves the imports each time; return exit code and output."""
        module: Any = importlib.import_module(f"infra.hooks.{hook}")
        options = {"credential": AsyncLocalCredential(), "connection_verify": str(self.tls.ca)}
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()):
            code = module.main(self.env, **options)
        return code, stdout.getvalue()

    def script(self, hook: str, **env: str) -> tuple[int, str]:
        """Run a hook as azd does, with nothing but azd on the PATH."""
        command = [sys.executable, str(ROOT / "infra" / "hooks" / f"{hook}.py")]
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**kept, **self.env, "PATH": str(self.azd), "SSL_CERT_FILE": str(self.tls.ca), **env}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT / "infra/hooks"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def changes(self) -> list[tuple[str, str]]:
        """Every PUT and DELETE, as method and path."""
        asked = [(line["method"], line["path"].partition("?")[0]) for line in self.arm.requests]
        return [(method, path) for method, path in asked if method in ("PUT", "DELETE")]
