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

from infra.hooks import postdeploy, prepackage, smoke
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
TOPICS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.EventGrid/systemTopics"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-registry"
VAULT_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-vault"
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
    "AZURE_PRINCIPAL_ID": "me",
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


def registry_properties(cloud: Cloud) -> dict[str, Any]:
    properties: dict[str, Any] = cloud.state["resources"][REGISTRY]["properties"]
    return properties


def foreign_topic(cloud: Cloud) -> None:
    topic = {"id": TOPIC, "name": "evgs-registry", "tags": None, "properties": {"source": REGISTRY.upper()}}
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
    (registry_read_refused, "AuthorizationFailed", "az login"),
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


def test_the_deployments_own_topic_is_accepted(cloud: Cloud) -> None:
    foreign_topic(cloud)
    cloud.state["listings"][TOPICS][0]["tags"] = {"azd-env-name": "test"}
    assert cloud.run("preprovision")[0] == 0


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
    for key in set(ROLES) - {"agentVersions"}:
        assert f'--role "{ROLES[key]["id"]}"' in output
    reader_of_vault = f'--role "{ROLES["secretsUser"]["id"]}" --assignee-object-id app-principal'
    assert f"{reader_of_vault} --assignee-principal-type ServicePrincipal --scope {VAULT}" in output
    cloud.state["listings"][f"{VAULT}/{ASSIGNMENTS}"] = [assignment("app-principal", ROLES["secretsUser"]["id"], GROUP)]
    _, output = cloud.run("postprovision")
    assert reader_of_vault not in output


def test_the_custom_role_has_its_own_command(cloud: Cloud) -> None:
    deployed(cloud).env |= {"ASSIGN_ROLES": "false", "FOUNDRY_ROLE": "versions"}
    _, output = cloud.run("postprovision")
    assert "az deployment sub create" in output
    assert '--role "Slipway agent versions (test)"' in output


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
    deleted = [command for command in cloud.asked("rest") if "delete" in command]
    assert [command[4].split("/")[-1].partition("?")[0] for command in deleted] == ["slipway-abc-function"] * 2


@pytest.mark.parametrize(
    ("settings", "module", "obsolete"),
    [
        ({"EVENT_DELIVERY": "function"}, "subscription-function.bicep", "queue"),
        ({"ASSIGN_ROLES": "false"}, "subscription.bicep", "function"),
    ],
)
def test_postdeploy_creates_missing_subscriptions_before_it_deletes_the_obsolete(
    cloud: Cloud, settings: dict[str, str], module: str, obsolete: str
) -> None:
    deployed(cloud).env |= settings
    code, output = cloud.run("postdeploy")
    assert code == 0, output
    deployments = cloud.asked("deployment", "group", "create")
    assert [Path(command[command.index("--template-file") + 1]).name for command in deployments] == [module, module]
    pairs = [[word for word in command[command.index("--parameters") + 1 :] if "=" in word] for command in deployments]
    parameters = [dict(pair.split("=", 1) for pair in words) for words in pairs]
    assert all(set(names) == set(Infra(ROOT / "infra").modules[module].parameters) for names in parameters)
    assert [values["topicName"] for values in parameters] == ["evgs-registry", "evgs-vault"]
    order = [words[4].partition("?")[0] if words[0] == "rest" else words[1] for words in cloud.state["asked"]]
    deleted = f"eventSubscriptions/slipway-abc-{obsolete}"
    assert [step for step in order if step == "group" or step.endswith(deleted)] == [
        *("group", f"{TOPIC}/{deleted}", "group", f"{VAULT_TOPIC}/{deleted}")
    ]


def test_a_function_that_does_not_come_up_is_named(cloud: Cloud) -> None:
    deployed(cloud).state["listings"][f"{APP}/functions"].pop()
    env, slept = cloud.environment(), list[float]()
    (last,) = postdeploy.findings(from_env(env), env, Azure(env), slept.append)
    assert (last.level, last.message) == ("error", "resume_releases did not come up")
    assert sum(slept) == postdeploy.MAX_INDEXING_SECONDS


def test_an_app_that_takes_the_smoke_event_for_a_push_is_an_error() -> None:
    line = {"event": "e", "agent": "hello-agent", "reason": "ACCEPTED"}
    assert [finding.level for finding in smoke.judge([line], {}, {"desired/a": "1"}, 1)] == ["error", "note"]


def test_an_event_without_an_answer_is_an_error() -> None:
    (unanswered,) = smoke.judge([], {}, {}, 600)
    assert "not answered in the journal within 600 s" in unanswered.message


def test_a_half_written_journal_line_does_not_count_as_an_answer() -> None:
    assert smoke.answers('{"event": "e", "reason": "DESIR', "e") == []
    assert smoke.answers('{"event": "e"}\n{"event": "f", "detail": "e"}', "e") == [{"event": "e"}]


def test_predown_deletes_only_what_this_deployment_created(cloud: Cloud) -> None:
    deployed(cloud)
    own, foreign = f"{TOPIC}/eventSubscriptions/slipway-abc-queue", f"{TOPIC}/eventSubscriptions/billing"
    assignments = [
        assignment("app-principal", "r", REGISTRY, "a"),
        assignment("app-principal", "r", f"{APP_GROUP}/providers/x", "b"),
        assignment("project-principal", "r", REGISTRY, "c", description="Slipway test"),
        assignment("project-principal", "r", REGISTRY, "d"),
    ]
    cloud.state["resources"] |= {
        TOPIC: {"id": TOPIC, "tags": {"team": "billing"}},
        VAULT_TOPIC: {"id": VAULT_TOPIC, "tags": {"azd-env-name": "test"}},
        **{item["id"]: item for item in assignments},
        own: {},
    }
    cloud.state["listings"] |= {
        f"{TOPIC}/eventSubscriptions": [{"id": own, "name": "slipway-abc-queue"}, {"id": foreign, "name": "billing"}],
        f"/subscriptions/{SUBSCRIPTION}/{ASSIGNMENTS}": assignments,
    }
    code, output = cloud.run("predown")
    assert code == 0, output
    deleted = [line.split()[-1] for line in output.splitlines() if " deleted " in line]
    assert deleted == [own, VAULT_TOPIC, assignments[0]["id"], assignments[2]["id"]]


def test_predown_reports_a_locked_topic_and_deletes_the_rest(cloud: Cloud) -> None:
    topics = {topic: {"id": topic, "tags": {"azd-env-name": "test"}} for topic in (TOPIC, VAULT_TOPIC)}
    deployed(cloud).state["resources"] |= topics
    cloud.state["locked"] = [TOPIC]
    code, output = cloud.run("predown")
    assert code == 1
    assert "ScopeLocked: The scope cannot perform delete operation because it is locked" in output
    assert f"→ az rest --method delete --url '{TOPIC}?api-version=2025-02-15'" in output
    assert set(topics) & set(cloud.state["resources"]) == {TOPIC}


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
