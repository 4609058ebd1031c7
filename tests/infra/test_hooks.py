"""The hooks as azd runs them, against a fake az that answers as Azure does."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION
from infra.hooks import event_subscriptions, postdeploy, preflight_settings, prepackage, smoke
from infra.hooks.azure_cli import Azure
from infra.hooks.deploy_request import from_env
from infra.hooks.role_assignments import ROLES, role_assignments
from tests.infra.checks import Infra

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTION, OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
APP_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-slipway-test"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/contoso"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/contoso-kv"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-ai"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/app"
SKUS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/skus"
TOPICS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.EventGrid/systemTopics"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-slipway-registry-abc"
VAULT_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-slipway-vault-abc"
FOREIGN_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-registry"
APP = f"{APP_GROUP}/providers/Microsoft.Web/sites/func-slipway"
PERMISSIONS = "providers/Microsoft.Authorization/permissions"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
PROVIDERS = (
    *("App", "CognitiveServices", "ContainerRegistry", "EventGrid", "Insights", "KeyVault", "ManagedIdentity"),
    *("OperationalInsights", "Storage", "Web"),
)
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


def assignment(principal: str, role: str, scope: str, name: str = "1", **more: str) -> dict[str, Any]:
    properties = {"principalId": principal, "scope": scope, "roleDefinitionId": f"/x/{role}", **more}
    return {"id": f"{scope}/{ASSIGNMENTS}/{name}", "name": name, "properties": properties}


def ready() -> dict[str, Any]:
    """Azure with everything that a deployment needs."""
    scopes = [GROUP, REGISTRY, VAULT, f"{ACCOUNT}/projects/agents", f"/subscriptions/{SUBSCRIPTION}"]
    registered = [{"namespace": f"Microsoft.{name}", "registrationState": "Registered"} for name in PROVIDERS]
    owner = [{"actions": ["*"], "notActions": []}]
    return {
        "resources": {
            ACCOUNT: {"id": ACCOUNT, "properties": {"customSubDomainName": "contoso-ai"}},
            f"{ACCOUNT}/projects/agents": {
                "name": "contoso-ai/agents",
                "identity": {"principalId": "project-principal"},
            },
            REGISTRY: {
                "sku": {"name": "Standard"},
                "properties": {
                    "loginServer": "contoso.azurecr.io",
                    "roleAssignmentMode": "LegacyRegistryPermissions",
                    "policies": {"azureADAuthenticationAsArmPolicy": {"status": "enabled"}},
                },
            },
            VAULT: {"properties": {"enableRbacAuthorization": True, "vaultUri": "https://contoso-kv.vault.azure.net/"}},
        },
        "listings": {
            f"/subscriptions/{SUBSCRIPTION}/providers": registered,
            TOPICS: [],
            SKUS: [
                {"name": sku, "kind": "StorageV2", "resourceType": "storageAccounts", "locations": ["westeurope"]}
                for sku in ("Standard_LRS", "Standard_ZRS", "Premium_LRS")
            ],
            f"{REGISTRY}/{ASSIGNMENTS}": [assignment("project-principal", ROLES["acrPull"]["id"], REGISTRY)],
            **{f"{scope}/{PERMISSIONS}": owner for scope in scopes},
        },
        "commands": {
            "account show": {"name": "Contoso", "user": {"name": "ada@contoso.com"}},
            "account list": [{"id": SUBSCRIPTION, "state": "Enabled"}, {"id": OTHER_SUBSCRIPTION, "state": "Enabled"}],
            "functionapp list-flexconsumption-locations": [{"name": "West Europe"}, {"name": "northeurope"}],
            "functionapp list-flexconsumption-runtimes": [{"version": "3.12"}, {"version": "3.13"}],
            "acr repository list": ["agents/hello", "agents/support"],
            "resource list": [],
            "post": {"nameAvailable": True},
        },
    }


@dataclass
class Cloud:
    """The fake az on its own PATH, and the hooks run against it."""

    folder: Path
    state: dict[str, Any] = field(default_factory=ready)
    env: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def __post_init__(self) -> None:
        az = self.folder / "az"
        fake = (ROOT / "tests/infra/fake_az.py").read_text()
        az.write_text(fake.replace("/usr/bin/env python3", f"{sys.executable} -IS", 1))
        az.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """The environment that azd passes to a hook."""
        (self.folder / "state.json").write_text(json.dumps(self.state))
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {**self.env, "PATH": path, "FAKE_AZ": str(self.folder / "state.json")}

    def run(self, hook: str) -> tuple[int, str]:
        """Run a hook in this process, which saves the imports each time; return exit code and output."""
        module: Any = importlib.import_module(f"infra.hooks.{hook}")
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()):
            code = module.main(self.environment())
        self.state = json.loads((self.folder / "state.json").read_text())
        return code, stdout.getvalue()

    def script(self, hook: str) -> tuple[int, str]:
        """Run a hook as azd does."""
        command = [sys.executable, str(ROOT / "infra" / "hooks" / f"{hook}.py")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.environment(), cwd=ROOT / "infra/hooks"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def asked(self, *words: str) -> list[list[str]]:
        return [command for command in self.state.get("asked", []) if command[: len(words)] == list(words)]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def deployed(cloud: Cloud) -> Cloud:
    """The state after ``azd provision`` and the upload of the app."""
    cloud.env |= OUTPUTS
    names = ["image_pushed", "secret_changed", "event_queued", "release_agent", "release_poisoned", "event_poisoned"]
    functions = [{"name": f"func-slipway/{name}"} for name in (*names, "prune_versions", "resume_releases")]
    cloud.state["listings"] |= {f"{APP}/functions": functions}
    return cloud


@pytest.mark.parametrize("hook", ["prepackage", "preprovision", "postprovision", "postdeploy", "predown"])
def test_every_hook_runs_as_a_script(cloud: Cloud, hook: str) -> None:
    assert deployed(cloud).script(hook)[0] == 0


def test_preflight_passes_when_nothing_is_missing(cloud: Cloud) -> None:
    code, output = cloud.run("preprovision")
    assert code == 0, output
    assert "error" not in output
    for line in (
        "westeurope has Flex Consumption",
        "you have every right that the deployment needs",
        "its identity may pull from contoso",
    ):
        assert line in output


def test_preflight_reports_every_invalid_variable_before_it_calls_azure(cloud: Cloud) -> None:
    cloud.env = {"AZURE_ENV_NAME": "x" * 41, "REGISTRY_NAME": "contoso.azurecr.io", "ASSIGN_ROLES": "maybe"}
    cloud.env |= {"PRUNE_SCHEDULE": "0 3 * * *", "INSTANCE_MEMORY_MB": "1024", "ALWAYS_READY": "21"}
    cloud.env["APP_SUBNET_ID"] = "app"
    code, output = cloud.run("preprovision")
    assert code == 1
    for line in (
        "AZURE_ENV_NAME must be 1 to 40 letters",
        "REGISTRY_NAME must be 5 to 50 letters and digits",
        "VAULT_NAME is not set",
        "APP_SUBNET_ID must be /subscriptions/",
        "azd env set VAULT_RESOURCE_GROUP",
        "CREATE_VAULT=true for a first try",
        "ASSIGN_ROLES must be true or false; it is 'maybe'",
        "PRUNE_SCHEDULE has 5 fields; NCRONTAB has 6",
        "INSTANCE_MEMORY_MB must be one of 512, 2048, 4096",
        "ALWAYS_READY must be a number from 0 to 20",
    ):
        assert line in output
    assert cloud.state.get("asked", []) == []


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("VAULT_SECRETS", " support-search-key , other ", 0),
        ("VAULT_SECRETS", "support-search-key,", 1),
        ("VAULT_SECRETS", "support search key", 1),
        ("VAULT_SECRETS", "support-search-key\tother", 1),
        ("ALERT_EMAILS", " a@contoso.com ,b@contoso.com", 0),
        ("ALERT_EMAILS", "a@contoso.com;b@contoso.com", 1),
        ("STORAGE_SKU", "Standard_RAGRS", 1),
    ],
)
def test_lists_may_have_spaces_around_their_items(variable: str, value: str, code: int) -> None:
    assert len(list(preflight_settings.values({variable: value}))) == code


def registry_properties(cloud: Cloud) -> dict[str, Any]:
    properties: dict[str, Any] = cloud.state["resources"][REGISTRY]["properties"]
    return properties


def foreign_topic(cloud: Cloud) -> None:
    topic = {"id": FOREIGN_TOPIC, "name": "evgs-registry", "tags": None, "properties": {"source": REGISTRY.upper()}}
    cloud.state["listings"][TOPICS] = [topic]


def topic_without_identity(cloud: Cloud) -> None:
    foreign_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "evgs-registry"


def unknown_topic(cloud: Cloud) -> None:
    foreign_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "other"


def no_right_to_assign_roles(cloud: Cloud) -> None:
    permissions = [{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/write"]}]
    cloud.state["listings"][f"{REGISTRY}/{PERMISSIONS}"] = permissions


def no_right_to_deploy(cloud: Cloud) -> None:
    cloud.state["listings"][f"{GROUP}/{PERMISSIONS}"] = [{"actions": ["*/read"], "notActions": []}]


def account_in_another_subscription(cloud: Cloud) -> None:
    cloud.state["resources"].pop(ACCOUNT)
    account = ACCOUNT.replace(GROUP, f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/ai")
    cloud.state["commands"]["resource list"] = [{"id": account}]


def another_project(cloud: Cloud) -> None:
    cloud.state["resources"].pop(f"{ACCOUNT}/projects/agents")
    cloud.state["listings"][f"{ACCOUNT}/projects"] = [{"name": "contoso-ai/agent"}]


def project_without_identity(cloud: Cloud) -> None:
    cloud.state["resources"][f"{ACCOUNT}/projects/agents"]["identity"] = None


def account_without_subdomain(cloud: Cloud) -> None:
    cloud.state["resources"][ACCOUNT]["properties"] = {}


def region_without_flex(cloud: Cloud) -> None:
    cloud.env["AZURE_LOCATION"] = "jioindiacentral"


def unregistered_provider(cloud: Cloud) -> None:
    listed = cloud.state["listings"][f"/subscriptions/{SUBSCRIPTION}/providers"]
    listed[3]["registrationState"] = "NotRegistered"


def registry_name_taken(cloud: Cloud) -> None:
    cloud.env |= {"CREATE_REGISTRY": "true"}
    cloud.state["commands"]["post"] = {"nameAvailable": False, "message": "The registry contoso is already in use."}


def arm_tokens_refused(cloud: Cloud) -> None:
    registry_properties(cloud)["policies"] = {"azureAdAuthenticationAsArmPolicy": {"status": "disabled"}}


def vault_with_access_policies(cloud: Cloud) -> None:
    cloud.state["resources"][VAULT]["properties"]["enableRbacAuthorization"] = False


def closed_vault(cloud: Cloud) -> None:
    cloud.state["resources"][VAULT]["properties"]["networkAcls"] = {"defaultAction": "Deny"}


def vault_missing(cloud: Cloud) -> None:
    cloud.state["resources"].pop(VAULT)


def tools_with_role_versions(cloud: Cloud) -> None:
    cloud.env["FOUNDRY_ROLE"] = "versions"


def secret_not_listed(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "other-key"


def secret_missing(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "support-search-key"


def subnet_not_delegated(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET
    cloud.state["resources"][SUBNET] = {"properties": {"delegations": []}}


def subnet_missing(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET


def python_not_available(cloud: Cloud) -> None:
    cloud.env["PYTHON_VERSION"] = "3.9"


def group_of_somebody_else(cloud: Cloud) -> None:
    cloud.state["resources"][APP_GROUP] = {"location": "westeurope", "tags": {"team": "billing"}}


def group_of_another_product(cloud: Cloud) -> None:
    cloud.state["resources"][APP_GROUP] = {"location": "westeurope", "tags": {"azd-env-name": "test"}}
    cloud.state["listings"][f"{APP_GROUP}/resources"] = [{"name": "sql", "type": "Microsoft.Sql/servers", "id": "x"}]


def group_in_another_region(cloud: Cloud) -> None:
    cloud.state["resources"][APP_GROUP] = {"location": "northeurope", "tags": {"azd-env-name": "test"}}


def region_without_zones(cloud: Cloud) -> None:
    cloud.env["STORAGE_SKU"] = "Standard_ZRS"
    cloud.state["listings"][SKUS] = cloud.state["listings"][SKUS][:1]


def pull_granted_by_somebody_else(cloud: Cloud) -> None:
    cloud.env["GRANT_PROJECT_PULL"] = "true"


def registry_read_refused(cloud: Cloud) -> None:
    cloud.state["refused"] = [REGISTRY]


PROBLEMS = [
    (
        foreign_topic,
        "contoso already has the system topic evgs-registry in shared",
        "azd env set REGISTRY_TOPIC_NAME evgs-registry",
    ),
    (
        topic_without_identity,
        "no system-assigned identity",
        "az eventgrid system-topic update -n evgs-registry -g shared",
    ),
    (unknown_topic, "the topics of contoso are: evgs-registry", "azd env set REGISTRY_TOPIC_NAME 'evgs-registry'"),
    (no_right_to_assign_roles, f"you may not assign roles at {REGISTRY}", "azd env set ASSIGN_ROLES false"),
    (
        no_right_to_deploy,
        "you lack Microsoft.Resources/deployments/write",
        f"--role Contributor --assignee <you> --scope {GROUP}",
    ),
    (
        account_in_another_subscription,
        f"it is in ai of {OTHER_SUBSCRIPTION}",
        f"azd env set FOUNDRY_SUBSCRIPTION_ID {OTHER_SUBSCRIPTION}",
    ),
    (another_project, "has no project agents; it has: agent", "azd env set FOUNDRY_PROJECT_NAME"),
    (project_without_identity, "the project agents has no identity", "turn on its system-assigned identity"),
    (account_without_subdomain, "has no custom subdomain", "--custom-domain contoso-ai"),
    (
        region_without_flex,
        "jioindiacentral has no Flex Consumption",
        "azd env set AZURE_LOCATION <one of northeurope, westeurope>",
    ),
    (
        unregistered_provider,
        "Microsoft.EventGrid is NotRegistered",
        "az provider register --namespace Microsoft.EventGrid",
    ),
    (
        registry_name_taken,
        "the name contoso is not available: The registry contoso is already in use.",
        "azd env set REGISTRY_NAME",
    ),
    (
        arm_tokens_refused,
        "refuses ARM tokens",
        "az acr config authentication-as-arm update -r contoso --status enabled",
    ),
    (
        vault_with_access_policies,
        "contoso-kv uses access policies",
        "az keyvault update -n contoso-kv --enable-rbac-authorization",
    ),
    (closed_vault, "the app could not read a secret", "azd env set VNET_ENABLED true"),
    (vault_missing, "contoso-kv is in none of the subscriptions", "correct VAULT_NAME"),
    (tools_with_role_versions, "agent support-agent has tools", "azd env set FOUNDRY_ROLE user"),
    (
        secret_not_listed,
        "agents.yaml uses support-search-key",
        "azd env set VAULT_SECRETS other-key,support-search-key",
    ),
    (
        secret_missing,
        "support-search-key, which contoso-kv does not have",
        "az keyvault secret set --vault-name contoso-kv",
    ),
    (
        subnet_not_delegated,
        "app is not delegated to Microsoft.App/environments",
        "az network vnet subnet update --ids /subscriptions",
    ),
    (subnet_missing, f"the subnet {SUBNET} does not exist", "azd env set APP_SUBNET_ID"),
    (
        python_not_available,
        "Python 3.9 is not available in the region",
        "azd env set PYTHON_VERSION <one of 3.12, 3.13>",
    ),
    (registry_read_refused, "AuthorizationFailed", "ask for the role Reader there"),
    (
        group_of_somebody_else,
        "rg-slipway-test exists and was not created by this environment",
        "azd env set AZURE_RESOURCE_GROUP_NAME",
    ),
    (
        group_of_another_product,
        "rg-slipway-test exists and was not created by this environment",
        "azd env set AZURE_RESOURCE_GROUP_NAME",
    ),
    (group_in_another_region, "rg-slipway-test is in northeurope", "azd env set AZURE_LOCATION northeurope"),
    (
        region_without_zones,
        "westeurope has no storage of Standard_ZRS",
        "azd env set STORAGE_SKU <one of Standard_LRS>",
    ),
    (
        pull_granted_by_somebody_else,
        "its identity has AcrPull there already",
        "azd env set GRANT_PROJECT_PULL false",
    ),
]


@pytest.mark.parametrize(
    ("break_cloud", "message", "help_"), PROBLEMS, ids=lambda value: getattr(value, "__name__", "")
)
def test_preflight_names_each_problem_and_its_fix(cloud: Cloud, break_cloud: Any, message: str, help_: str) -> None:
    break_cloud(cloud)
    code, output = cloud.run("preprovision")
    assert code == 1, output
    (error,) = [line for line in output.splitlines() if message in line and line.split()[0] == "error"]
    after = output.splitlines()[output.splitlines().index(error) + 1 :]
    assert any(help_ in line for line in after[:3]), output
    changes = [command for command in cloud.state.get("asked", []) if {"create", "update", "delete"} & set(command)]
    assert changes == []


def test_preflight_accepts_an_abac_registry_and_names_its_roles(cloud: Cloud) -> None:
    registry_properties(cloud)["roleAssignmentMode"] = "AbacRepositoryPermissions"
    code, output = cloud.run("preprovision")
    assert code == 0
    assert "note   registry      contoso is in ABAC mode" in output
    assert f'"Container Registry Repository Writer" --assignee <who pushes> --scope {REGISTRY}' in output
    assert 'az role assignment create --role "Container Registry Repository Reader"' in output, (
        "AcrPull is not enough for an ABAC registry"
    )


def test_preflight_notes_that_foundry_may_not_be_able_to_pull(cloud: Cloud) -> None:
    cloud.state["listings"][f"{REGISTRY}/{ASSIGNMENTS}"] = []
    code, output = cloud.run("preprovision")
    assert code == 0, "a role through a group or the account may be enough, so this is a note"
    assert "its identity has no direct role on contoso" in output
    assert 'az role assignment create --role "AcrPull"' in output
    cloud.env["GRANT_PROJECT_PULL"] = "true"
    assert "its identity gets its roles on contoso" in cloud.run("preprovision")[1]


@pytest.mark.parametrize("token", ["", "abc"])
@pytest.mark.parametrize(("description", "code"), [("Slipway test abc", 0), ("Slipway staging abc", 1)])
def test_the_deployments_own_pull_assignments_are_made_again(
    cloud: Cloud, token: str, description: str, code: int
) -> None:
    cloud.env |= {"GRANT_PROJECT_PULL": "true", "SLIPWAY_TOKEN": token}
    own = assignment("project-principal", ROLES["acrPull"]["id"], REGISTRY, description=description)
    inherited = assignment("project-principal", ROLES["repositoryReader"]["id"], GROUP)
    cloud.state["listings"][f"{REGISTRY}/{ASSIGNMENTS}"] = [own, inherited]
    assert cloud.run("preprovision")[0] == code


def test_an_abac_registry_needs_the_other_role_too(cloud: Cloud) -> None:
    registry_properties(cloud)["roleAssignmentMode"] = "AbacRepositoryPermissions"
    cloud.env["GRANT_PROJECT_PULL"] = "true"
    code, output = cloud.run("preprovision")
    assert (code, 'az role assignment create --role "Container Registry Repository Reader"' in output) == (1, True)


def test_the_own_group_is_deployed_again(cloud: Cloud) -> None:
    group_of_another_product(cloud)
    identity = {"name": "id-slipway-abc", "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "id": "y"}
    cloud.state["listings"][f"{APP_GROUP}/resources"].append(identity)
    cloud.state["listings"][f"{APP_GROUP}/{PERMISSIONS}"] = [{"actions": ["*"], "notActions": []}]
    code, output = cloud.run("preprovision")
    assert code == 0, output
    assert "rg-slipway-test is this environment's" in output


def test_preflight_checks_single_secrets_and_an_existing_subnet(cloud: Cloud) -> None:
    cloud.env |= {"VAULT_SECRETS": "support-search-key,unused-key", "APP_SUBNET_ID": SUBNET}
    delegated = [{"properties": {"serviceName": "Microsoft.App/environments"}}]
    cloud.state["resources"] |= {
        f"{VAULT}/secrets/support-search-key": {},
        f"{VAULT}/secrets/unused-key": {},
        SUBNET: {"properties": {"delegations": delegated}},
    }
    closed_vault(cloud)
    code, output = cloud.run("preprovision")
    assert code == 0, output
    for line in (
        "the secret support-search-key exists",
        "VAULT_SECRETS names unused-key, which no agent",
        "the app joins the subnet app",
    ):
        assert line in output


def test_a_private_registry_gives_a_note(cloud: Cloud) -> None:
    registry_properties(cloud)["publicNetworkAccess"] = "Disabled"
    code, output = cloud.run("preprovision")
    assert (code, "only for projects created after 2026-06-25" in output) == (0, True)


@pytest.mark.parametrize("token", ["", "abc"])
@pytest.mark.parametrize(
    ("name", "environment", "code"),
    [
        ("evgs-registry", "test", 1),  # of another product of azd
        ("evgs-slipway-registry-abc", "test", 0),
        ("evgs-slipway-registry-abc", "staging", 1),
    ],
)
def test_the_deployments_own_topic_is_accepted_by_name_and_tag(
    cloud: Cloud, token: str, name: str, environment: str, code: int
) -> None:
    foreign_topic(cloud)
    cloud.state["listings"][TOPICS][0] |= {"name": name, "tags": {"azd-env-name": environment}}
    cloud.env["SLIPWAY_TOKEN"] = token
    assert cloud.run("preprovision")[0] == code


def test_preflight_goes_on_when_az_leaves_things_out(cloud: Cloud) -> None:
    cloud.state["refused"] = [f"/subscriptions/{SUBSCRIPTION}/{PERMISSIONS}"]
    cloud.state["commands"]["functionapp list-flexconsumption-locations"] = []
    cloud.state["commands"]["functionapp list-flexconsumption-runtimes"] = [{"runtime": "python"}]
    cloud.state["commands"]["acr repository list"] = ["agents/other"]
    code, output = cloud.run("preprovision")
    assert code == 0, output
    for line in (
        "the deployment will show if westeurope has it",
        "the deployment will show if 3.13 is available",
        f"your rights at /subscriptions/{SUBSCRIPTION} could not be read: AuthorizationFailed",
        "agents/hello is not in the registry yet",
    ):
        assert line in output


def test_a_missing_az_is_reported(cloud: Cloud) -> None:
    (cloud.folder / "az").unlink()
    code, output = cloud.run("preprovision")
    assert code == 1
    assert "az is not installed" in output


def test_missing_roles_are_printed_as_commands(cloud: Cloud) -> None:
    deployed(cloud).env |= {"ASSIGN_ROLES": "false", "GRANT_PROJECT_PULL": "true"}
    code, output = cloud.run("postprovision")
    assert code == 1
    for key in set(ROLES) - {"agentVersions", "foundryUser"}:
        assert f'--role "{ROLES[key]["role"]}"' in output
    assert f'--role "{ROLES["foundryUser"]["id"]}"' in output, (
        "the name was changed in 2026, and is not everywhere the new one"
    )
    reader_of_vault = f'--role "{ROLES["secretsUser"]["role"]}" --assignee-object-id app-principal'
    assert f"{reader_of_vault} --assignee-principal-type ServicePrincipal --scope {VAULT}" in output
    cloud.state["listings"][f"{VAULT}/{ASSIGNMENTS}"] = [assignment("app-principal", ROLES["secretsUser"]["id"], GROUP)]
    _, output = cloud.run("postprovision")
    assert reader_of_vault not in output
    sibling = assignment("app-principal", ROLES["secretsUser"]["id"], GROUP.removesuffix("red"))
    cloud.state["listings"][f"{VAULT}/{ASSIGNMENTS}"] = [sibling]
    _, output = cloud.run("postprovision")
    assert reader_of_vault in output, "the name of that group only begins like the vault's group"


def test_the_custom_role_has_its_own_command(cloud: Cloud) -> None:
    deployed(cloud).env |= {"ASSIGN_ROLES": "false", "FOUNDRY_ROLE": "versions"}
    _, output = cloud.run("postprovision")
    assert "az deployment sub create" in output
    assert '--role "Slipway agent versions (test abc)"' in output


def test_the_role_assignments_are_the_rows_of_roles_json() -> None:
    env = ENVIRONMENT | OUTPUTS | {"GRANT_PROJECT_PULL": "true"}
    requests = [from_env(env | {"FOUNDRY_ROLE": role}) for role in ("user", "versions")]
    keys = {assignment.key for request in requests for assignment in role_assignments(request, env)}
    assert keys == set(Infra(ROOT / "infra").roles)


def test_postprovision_prints_nothing_when_the_template_assigned_the_roles(cloud: Cloud) -> None:
    assert deployed(cloud).run("postprovision") == (0, "")


def test_the_smoke_event_is_answered_and_changes_nothing(cloud: Cloud) -> None:
    code, output = deployed(cloud).run("postdeploy")
    assert code == 0, output
    assert "8 indexed" in output
    assert "hello-agent: ACCEPTED" in output
    assert "no desired state changed" in output


STORAGE = f"{APP_GROUP}/providers/Microsoft.Storage/storageAccounts/stslipway"
DEAD_LETTERS = {
    "identity": {"type": "SystemAssigned"},
    "deadLetterDestination": {
        "endpointType": "StorageBlob",
        "properties": {"resourceId": STORAGE, "blobContainerName": "deadletters"},
    },
}
QUEUE = {
    "identity": {"type": "SystemAssigned"},
    "destination": {
        "endpointType": "StorageQueue",
        "properties": {"resourceId": STORAGE, "queueName": "events", "queueMessageTimeToLiveInSeconds": 604800},
    },
}


def test_the_subscriptions_are_created_with_their_types_retries_and_dead_letters(cloud: Cloud) -> None:
    code, output = deployed(cloud).run("postdeploy")
    assert code == 0, output
    for topic, event_type in ((TOPIC, IMAGE_PUSHED), (VAULT_TOPIC, SECRET_NEW_VERSION)):
        assert cloud.state["resources"][f"{topic}/eventSubscriptions/slipway-abc-queue"]["properties"] == {
            "topic": topic,
            "provisioningState": "Succeeded",
            "deliveryWithResourceIdentity": QUEUE,
            "eventDeliverySchema": "CloudEventSchemaV1_0",
            "filter": {"includedEventTypes": [event_type]},
            "retryPolicy": {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440},
            "deadLetterWithResourceIdentity": DEAD_LETTERS,
        }


def test_straight_delivery_subscribes_the_functions(cloud: Cloud) -> None:
    deployed(cloud).env["EVENT_DELIVERY"] = "function"
    assert cloud.run("postdeploy")[0] == 0
    for topic, function in ((TOPIC, "image_pushed"), (VAULT_TOPIC, "secret_changed")):
        subscription = cloud.state["resources"][f"{topic}/eventSubscriptions/slipway-abc-function"]["properties"]
        assert subscription["destination"] == {
            "endpointType": "AzureFunction",
            "properties": {
                "resourceId": f"{APP}/functions/{function}",
                "maxEventsPerBatch": 1,
                "preferredBatchSizeInKilobytes": 64,
            },
        }
        assert subscription["deadLetterWithResourceIdentity"] == DEAD_LETTERS


def test_the_other_delivery_ends_after_the_requested_one_began(cloud: Cloud) -> None:
    deployed(cloud).env["EVENT_DELIVERY"] = "function"
    cloud.run("postdeploy")
    changes = [(words[2], words[4]) for words in cloud.asked("rest") if words[2] in ("put", "delete")]
    assert changes == [
        (method, f"{topic}/eventSubscriptions/slipway-abc-{delivery}")
        for topic in (TOPIC, VAULT_TOPIC)
        for method, delivery in (("put", "function"), ("delete", "queue"))
    ]


def test_a_second_deployment_leaves_the_subscriptions_alone(cloud: Cloud) -> None:
    deployed(cloud).run("postdeploy")
    name = f"{TOPIC}/eventSubscriptions/slipway-abc-queue"
    destination = cloud.state["resources"][name]["properties"]["deliveryWithResourceIdentity"]["destination"]
    destination["properties"]["resourceId"] = STORAGE.lower()
    del cloud.state["asked"]
    assert cloud.run("postdeploy")[0] == 0
    assert [words for words in cloud.asked("rest") if words[2] == "put"] == []
    cloud.state["resources"][name]["properties"]["filter"]["includedEventTypes"] = ["Other"]
    assert cloud.run("postdeploy")[0] == 0
    assert len([words for words in cloud.asked("rest") if words[2] == "put"]) == 1


IDENTITY_ERROR = "Managed identity for event subscription does not have authorization to deliver to the endpoint."


@pytest.mark.parametrize("failure", ["Failed", IDENTITY_ERROR])
def test_subscribing_waits_for_the_topics_roles_and_says_so(cloud: Cloud, failure: str) -> None:
    deployed(cloud).state["put_failures"] = [failure] * 5
    env, slept = cloud.environment(), list[float]()
    found = list(postdeploy.findings(from_env(env), env, Azure(env), slept.append))
    assert [finding.level for finding in found if finding.level == "error"] == []
    waiting = [finding.message for finding in found if "waiting until Event Grid accepts" in finding.message]
    assert [message[-14:] for message in waiting] == ["minute 0 of 10", "minute 1 of 10", "minute 2 of 10"]
    assert sum(1 for seconds in slept if seconds == event_subscriptions.RETRY_SECONDS) == 5


@pytest.mark.parametrize("failure", ["Failed", IDENTITY_ERROR])
def test_roles_that_never_take_effect_are_an_error_that_names_the_account_scope(cloud: Cloud, failure: str) -> None:
    deployed(cloud).state["put_failures"] = [failure] * 20
    env, slept = cloud.environment(), list[float]()
    found = list(postdeploy.findings(from_env(env), env, Azure(env), slept.append))
    (refused,) = [finding for finding in found if finding.level == "error"]
    assert "Storage Queue Data Message Sender on the storage account (not on a queue)" in refused.help
    assert 600 <= sum(slept) <= 720
    assert [finding.message for finding in found if finding.subject == "vault"][-1].startswith("its events")


def test_another_refusal_of_a_subscription_is_not_tried_again(cloud: Cloud) -> None:
    deployed(cloud).state["refused"] = [f"{TOPIC}/eventSubscriptions/slipway-abc-queue"]
    code, output = cloud.run("postdeploy")
    assert code == 1
    assert "AuthorizationFailed" in output
    assert "waiting" not in output


def test_a_function_that_does_not_come_up_is_named(cloud: Cloud) -> None:
    deployed(cloud).state["listings"][f"{APP}/functions"].pop()
    env, slept = cloud.environment(), list[float]()
    *waiting, last = postdeploy.findings(from_env(env), env, Azure(env), slept.append)
    assert (last.level, last.message) == ("error", "resume_releases did not come up")
    assert sum(slept) == postdeploy.MAX_INDEXING_SECONDS
    assert [finding.message for finding in waiting] == [
        f"waiting for the app's functions: minute {minute} of 5" for minute in (1, 2, 3, 4)
    ]


def test_an_app_that_takes_the_smoke_event_for_a_push_is_an_error() -> None:
    line = {"event": "e", "agent": "hello-agent", "reason": "ACCEPTED"}
    assert [finding.level for finding in smoke.judge([line], {}, {"desired/a": "1"}, 1)] == ["error", "note"]


def test_an_event_without_an_answer_is_an_error() -> None:
    (unanswered,) = smoke.judge([], {}, {}, 600)
    assert "not answered in the journal within 600 s" in unanswered.message


def test_a_half_written_journal_line_does_not_count_as_an_answer() -> None:
    assert smoke.answers('{"event": "e", "reason": "DESIR', "e") == []
    assert smoke.answers('{"event": "e"}\n{"event": "f", "detail": "e"}', "e") == [{"event": "e"}]


def provisioned(cloud: Cloud) -> Cloud:
    """The state after a deployment, with both topics and their subscriptions."""
    deployed(cloud)
    for topic in (TOPIC, VAULT_TOPIC):
        own = f"{topic}/eventSubscriptions/slipway-abc-queue"
        resource = {"id": topic, "name": topic.rpartition("/")[2], "tags": {"azd-env-name": "test"}}
        cloud.state["resources"] |= {topic: resource, own: {}}
        cloud.state["listings"][f"{topic}/eventSubscriptions"] = [{"id": own, "name": "slipway-abc-queue"}]
    return cloud


def deleted(output: str) -> list[str]:
    return [line.split()[-1] for line in output.splitlines() if " deleted " in line]


def test_predown_deletes_only_what_this_deployment_created(cloud: Cloud) -> None:
    assignments = [
        assignment("app-principal", "r", REGISTRY, "a"),
        assignment("app-principal", "r", f"{APP_GROUP}/providers/x", "b"),
        assignment("project-principal", "r", REGISTRY, "c", description="Slipway test abc"),
        assignment("project-principal", "r", REGISTRY, "d"),
        assignment("project-principal", "r", REGISTRY, "e", description="Slipway test other"),
    ]
    provisioned(cloud).state["resources"] |= {item["id"]: item for item in assignments}
    cloud.state["listings"][f"/subscriptions/{SUBSCRIPTION}/{ASSIGNMENTS}"] = assignments
    code, output = cloud.run("predown")
    assert code == 0, output
    subscription = "eventSubscriptions/slipway-abc-queue"
    assert deleted(output) == [
        *(f"{TOPIC}/{subscription}", TOPIC, f"{VAULT_TOPIC}/{subscription}", VAULT_TOPIC),
        *(assignments[0]["id"], assignments[2]["id"]),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"tags": {"team": "billing"}},
        {"tags": {"azd-env-name": "staging"}},
        {"name": "evgs-orders"},
        {"name": "evgs-slipway-registry-def"},
    ],
)
def test_predown_keeps_a_topic_that_is_not_ours_by_name_and_tag(cloud: Cloud, change: dict[str, Any]) -> None:
    provisioned(cloud).state["resources"][TOPIC] |= change
    code, output = cloud.run("predown")
    assert code == 0, output
    assert TOPIC not in deleted(output)
    assert f"{TOPIC}/eventSubscriptions/slipway-abc-queue" in deleted(output)


def test_predown_keeps_a_topic_that_others_subscribe_to_and_says_so(cloud: Cloud) -> None:
    own = assignment("project-principal", "r", REGISTRY, "c", description="Slipway test abc")
    provisioned(cloud).state["listings"][f"/subscriptions/{SUBSCRIPTION}/{ASSIGNMENTS}"] = [own]
    others = {"id": f"{TOPIC}/eventSubscriptions/slipway-def-queue", "name": "slipway-def-queue"}
    cloud.state["listings"][f"{TOPIC}/eventSubscriptions"].append(others)
    code, output = cloud.run("predown")
    assert code == 0, output
    assert TOPIC in cloud.state["resources"]
    assert VAULT_TOPIC not in cloud.state["resources"]
    assert "the system topic evgs-slipway-registry-abc stays: slipway-def-queue subscribe to it" in output
    assert f"→ when nobody does: az resource delete --ids {TOPIC}" in output
    assert "the Foundry project may still pull" in output
    assert own["id"] not in deleted(output)
    assert f"{TOPIC}/providers/Microsoft.Insights/diagnosticSettings/slipway" in deleted(output)


def test_predown_names_the_topic_that_a_deleted_environment_left(cloud: Cloud) -> None:
    topic = {"name": "evgs-slipway-registry-def", "tags": {"azd-env-name": "staging"}}
    provisioned(cloud).state["resources"][TOPIC] |= topic
    _, output = cloud.run("predown")
    assert "evgs-slipway-registry-def belongs to another environment of Slipway, and nothing subscribes to it" in output


def test_predown_cleans_up_after_a_deployment_that_failed(cloud: Cloud) -> None:
    own = assignment("app-principal", "r", REGISTRY, "a")
    provisioned(cloud).env = dict(ENVIRONMENT)
    identity = f"{APP_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-slipway-abc"
    cloud.state["resources"][identity] = {"properties": {"principalId": "app-principal"}}
    cloud.state["listings"] |= {
        f"{APP_GROUP}/resources": [
            {
                "id": identity,
                "name": "id-slipway-abc",
                "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            }
        ],
        f"/subscriptions/{SUBSCRIPTION}/{ASSIGNMENTS}": [own],
    }
    code, output = cloud.run("predown")
    assert code == 0, output
    assert {TOPIC, VAULT_TOPIC, own["id"]} <= set(deleted(output))


def test_predown_before_any_deployment_deletes_nothing(cloud: Cloud) -> None:
    code, output = cloud.run("predown")
    assert (code, deleted(output)) == (0, [])


def test_predown_reports_a_locked_topic_and_deletes_the_rest(cloud: Cloud) -> None:
    provisioned(cloud).state["locked"] = [TOPIC]
    code, output = cloud.run("predown")
    assert code == 1
    assert "ScopeLocked: The scope cannot perform delete operation because it is locked" in output
    assert f"→ az rest --method delete --url '{TOPIC}?api-version=2025-02-15'" in output
    assert {TOPIC, VAULT_TOPIC} & set(cloud.state["resources"]) == {TOPIC}


def test_predown_deletes_nothing_when_azure_cannot_be_read(cloud: Cloud) -> None:
    deployed(cloud).state["refused"] = [TOPIC]
    code, output = cloud.run("predown")
    assert code == 1
    assert "nothing was deleted yet" in output


@pytest.mark.parametrize("text", ["agents: {Hello Agent: {repository: agents/hello}}", "agents: ["])
def test_prepackage_rejects_a_wrong_agents_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(text)
    assert prepackage.main(file) == 1
    assert "line 1" in capsys.readouterr().out
    assert prepackage.main(tmp_path / "none.yaml") == 1


def test_the_hooks_import_only_what_their_requirements_list() -> None:
    hooks = " ".join(f"import infra.hooks.{path.stem};" for path in (ROOT / "infra/hooks").glob("*.py"))
    command = [sys.executable, "-c", f"{hooks} import sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    owners = metadata.packages_distributions()
    used = {name.lower().replace("_", "-") for module in loaded for name in owners.get(module, [])} - {"setuptools"}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "infra/hooks/requirements.txt").read_text(), re.MULTILINE))
    assert {"pydantic", "pyyaml"} <= used <= locked


def test_prepackage_accepts_this_repositorys_agents_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepackage.main() == 0
    assert "no mistake" in capsys.readouterr().out


def test_no_word_for_az_needs_quoting_by_a_windows_shell(cloud: Cloud) -> None:
    """``az`` is a command file on Windows: its shell ends a command at an & and takes quotation marks away."""
    deployed(cloud).run("preprovision")
    cloud.run("postdeploy")
    words = [word for command in cloud.asked("rest") for word in command]
    assert [word for word in words if re.search(r'[&|<>^"]', word)] == []


def test_findings_are_printed_in_any_code_page(cloud: Cloud) -> None:
    cloud.env |= {"PYTHONIOENCODING": "cp1252", "REGISTRY_NAME": "!"}
    code, output = cloud.script("preprovision")
    assert code == 1
    assert "→ azd env set REGISTRY_NAME" in output
