"""The hooks as azd runs them, against an az that answers as Azure does: what is good, and what can be wrong."""

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
from infra.hooks.role_assignments import ROLES, grants
from tests.infra.checks import Infra

ROOT = Path(__file__).resolve().parents[2]
HERE, THERE = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
OWN = f"/subscriptions/{HERE}/resourceGroups/rg-slipway-test"
GROUP = f"/subscriptions/{HERE}/resourceGroups/shared"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/contoso"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/contoso-kv"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-ai"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/app"
TOPICS = f"/subscriptions/{HERE}/providers/Microsoft.EventGrid/systemTopics"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-registry"
VAULT_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-vault"
APP = f"{OWN}/providers/Microsoft.Web/sites/func-slipway"
RIGHTS, GRANTS = "providers/Microsoft.Authorization/permissions", "providers/Microsoft.Authorization/roleAssignments"
PROVIDERS = (
    *("App", "CognitiveServices", "ContainerRegistry", "EventGrid", "Insights", "KeyVault", "ManagedIdentity"),
    *("OperationalInsights", "Storage", "Web"),
)
ENVIRONMENT = {
    "AZURE_ENV_NAME": "test",
    "AZURE_LOCATION": "westeurope",
    "AZURE_SUBSCRIPTION_ID": HERE,
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
    "SLIPWAY_INSIGHTS_ID": f"{OWN}/providers/Microsoft.Insights/components/appi",
    "SLIPWAY_OUTCOME_TOPIC_ID": f"{OWN}/providers/Microsoft.EventGrid/topics/evgt",
    "SLIPWAY_REGISTRY_TOPIC_ID": TOPIC,
    "SLIPWAY_REGISTRY_TOPIC_PRINCIPAL_ID": "registry-topic-principal",
    "SLIPWAY_VAULT_TOPIC_ID": VAULT_TOPIC,
    "SLIPWAY_VAULT_TOPIC_PRINCIPAL_ID": "vault-topic-principal",
    "AZURE_PRINCIPAL_ID": "me",
}


def assignment(principal: str, role: str, scope: str, name: str = "1", **more: str) -> dict[str, Any]:
    properties = {"principalId": principal, "scope": scope, "roleDefinitionId": f"/x/{role}", **more}
    return {"id": f"{scope}/{GRANTS}/{name}", "name": name, "properties": properties}


def good() -> dict[str, Any]:
    """Everything as a deployment wants it."""
    scopes = [GROUP, REGISTRY, VAULT, f"{ACCOUNT}/projects/agents", f"/subscriptions/{HERE}"]
    registered = [{"namespace": f"Microsoft.{one}", "registrationState": "Registered"} for one in PROVIDERS]
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
            f"/subscriptions/{HERE}/providers": registered,
            TOPICS: [],
            f"{REGISTRY}/{GRANTS}": [assignment("project-principal", ROLES["acrPull"]["id"], REGISTRY)],
            **{f"{scope}/{RIGHTS}": owner for scope in scopes},
        },
        "commands": {
            "account show": {"name": "Contoso", "user": {"name": "ada@contoso.com"}},
            "account list": [{"id": HERE, "state": "Enabled"}, {"id": THERE, "state": "Enabled"}],
            "functionapp list-flexconsumption-locations": [{"name": "West Europe"}, {"name": "northeurope"}],
            "functionapp list-flexconsumption-runtimes": [{"version": "3.12"}, {"version": "3.13"}],
            "acr repository list": ["agents/hello", "agents/support"],
            "resource list": [],
            "post": {"nameAvailable": True},
        },
    }


@dataclass
class Cloud:
    """The fake az on a PATH of its own, and the hooks run against it."""

    folder: Path
    state: dict[str, Any] = field(default_factory=good)
    env: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def __post_init__(self) -> None:
        az = self.folder / "az"
        fake = (ROOT / "tests/infra/fake_az.py").read_text()
        az.write_text(fake.replace("/usr/bin/env python3", f"{sys.executable} -IS", 1))
        az.chmod(0o755)

    def around(self) -> dict[str, str]:
        """What azd hands to a hook."""
        (self.folder / "state.json").write_text(json.dumps(self.state))
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {**self.env, "PATH": path, "FAKE_AZ": str(self.folder / "state.json")}

    def run(self, hook: str) -> tuple[int, str]:
        """In this process, which spares its imports each time."""
        module: Any = importlib.import_module(f"infra.hooks.{hook}")
        with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()):
            code = module.main(self.around())
        self.state = json.loads((self.folder / "state.json").read_text())
        return code, told.getvalue()

    def script(self, hook: str) -> tuple[int, str]:
        """As azd runs it."""
        command = [sys.executable, str(ROOT / "infra" / "hooks" / f"{hook}.py")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.around(), cwd=ROOT / "infra/hooks"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def asked(self, *words: str) -> list[list[str]]:
        return [one for one in self.state.get("asked", []) if one[: len(words)] == list(words)]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def deployed(cloud: Cloud) -> Cloud:
    """As it stands after ``azd provision`` and the upload."""
    cloud.env |= OUTPUTS
    names = ["image_pushed", "secret_changed", "event_queued", "release_agent", "release_poisoned", "event_poisoned"]
    up = [{"name": f"func-slipway/{one}"} for one in (*names, "prune_versions", "resume_releases")]
    cloud.state["listings"] |= {f"{APP}/functions": up}
    return cloud


@pytest.mark.parametrize("hook", ["prepackage", "preprovision", "postprovision", "postdeploy", "predown"])
def test_every_hook_runs_as_a_script(cloud: Cloud, hook: str) -> None:
    assert deployed(cloud).script(hook)[0] == 0


def test_preflight_of_a_good_deployment_has_nothing_in_its_way(cloud: Cloud) -> None:
    code, told = cloud.run("preprovision")
    assert code == 0, told
    assert "error" not in told
    for line in (
        "westeurope has Flex Consumption",
        "you may do all that is needed",
        "its identity may pull from contoso",
    ):
        assert line in told


def test_preflight_says_all_that_is_missing_before_it_asks_azure(cloud: Cloud) -> None:
    cloud.env = {"AZURE_ENV_NAME": "x" * 41, "REGISTRY_NAME": "contoso.azurecr.io", "ASSIGN_ROLES": "maybe"}
    cloud.env |= {"PRUNE_SCHEDULE": "0 3 * * *", "INSTANCE_MEMORY_MB": "1024", "ALWAYS_READY": "21"}
    cloud.env["APP_SUBNET_ID"] = "app"
    code, told = cloud.run("preprovision")
    assert code == 1
    for line in (
        "AZURE_ENV_NAME has 1 to 40 letters",
        "REGISTRY_NAME has 5 to 50 letters and digits",
        "VAULT_NAME is not set",
        "APP_SUBNET_ID has the form /subscriptions/",
        "azd env set VAULT_RESOURCE_GROUP",
        "CREATE_VAULT=true for a first try",
        "ASSIGN_ROLES is true or false; it is 'maybe'",
        "PRUNE_SCHEDULE has 5 fields; NCRONTAB has 6",
        "INSTANCE_MEMORY_MB is one of 512, 2048, 4096",
        "ALWAYS_READY is a number from 0 to 20",
    ):
        assert line in told
    assert cloud.state.get("asked", []) == []


def registry(cloud: Cloud) -> dict[str, Any]:
    found: dict[str, Any] = cloud.state["resources"][REGISTRY]["properties"]
    return found


def second_topic(cloud: Cloud) -> None:
    found = {"id": TOPIC, "name": "evgs-registry", "tags": None, "properties": {"source": REGISTRY.upper()}}
    cloud.state["listings"][TOPICS] = [found]


def topic_without_identity(cloud: Cloud) -> None:
    second_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "evgs-registry"


def unknown_topic(cloud: Cloud) -> None:
    second_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "other"


def reader(cloud: Cloud) -> None:
    no_assigning = [{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/write"]}]
    cloud.state["listings"][f"{REGISTRY}/{RIGHTS}"] = no_assigning


def no_deployer(cloud: Cloud) -> None:
    cloud.state["listings"][f"{GROUP}/{RIGHTS}"] = [{"actions": ["*/read"], "notActions": []}]


def project_elsewhere(cloud: Cloud) -> None:
    cloud.state["resources"].pop(ACCOUNT)
    found = f"/subscriptions/{THERE}/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso-ai"
    cloud.state["commands"]["resource list"] = [{"id": found}]


def other_project(cloud: Cloud) -> None:
    cloud.state["resources"].pop(f"{ACCOUNT}/projects/agents")
    cloud.state["listings"][f"{ACCOUNT}/projects"] = [{"name": "contoso-ai/agent"}]


def no_identity(cloud: Cloud) -> None:
    cloud.state["resources"][f"{ACCOUNT}/projects/agents"]["identity"] = None


def no_subdomain(cloud: Cloud) -> None:
    cloud.state["resources"][ACCOUNT]["properties"] = {}


def no_flex(cloud: Cloud) -> None:
    cloud.env["AZURE_LOCATION"] = "jioindiacentral"


def no_provider(cloud: Cloud) -> None:
    listed = cloud.state["listings"][f"/subscriptions/{HERE}/providers"]
    listed[3]["registrationState"] = "NotRegistered"


def taken(cloud: Cloud) -> None:
    cloud.env |= {"CREATE_REGISTRY": "true"}
    cloud.state["commands"]["post"] = {"nameAvailable": False, "message": "The registry contoso is already in use."}


def policy_off(cloud: Cloud) -> None:
    registry(cloud)["policies"] = {"azureAdAuthenticationAsArmPolicy": {"status": "disabled"}}


def access_policies(cloud: Cloud) -> None:
    cloud.state["resources"][VAULT]["properties"]["enableRbacAuthorization"] = False


def closed_vault(cloud: Cloud) -> None:
    cloud.state["resources"][VAULT]["properties"]["networkAcls"] = {"defaultAction": "Deny"}


def no_vault(cloud: Cloud) -> None:
    cloud.state["resources"].pop(VAULT)


def few_rights_for_tools(cloud: Cloud) -> None:
    cloud.env["FOUNDRY_ROLE"] = "versions"


def one_secret(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "other-key"


def no_such_secret(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "support-search-key"


def odd_subnet(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET
    cloud.state["resources"][SUBNET] = {"properties": {"delegations": []}}


def no_subnet(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET


def old_python(cloud: Cloud) -> None:
    cloud.env["PYTHON_VERSION"] = "3.9"


def refused(cloud: Cloud) -> None:
    cloud.state["refused"] = [REGISTRY]


IN_THE_WAY = [
    (
        second_topic,
        "has the system topic evgs-registry in shared already",
        "azd env set REGISTRY_TOPIC_NAME evgs-registry",
    ),
    (
        topic_without_identity,
        "no system-assigned identity",
        "az eventgrid system-topic update -n evgs-registry -g shared",
    ),
    (unknown_topic, "the topics of contoso are: evgs-registry", "azd env set REGISTRY_TOPIC_NAME 'evgs-registry'"),
    (reader, f"you may not assign roles at {REGISTRY}", "azd env set ASSIGN_ROLES false"),
    (
        no_deployer,
        "you may not Microsoft.Resources/deployments/write",
        f"--role Contributor --assignee <you> --scope {GROUP}",
    ),
    (project_elsewhere, f"it is in ai of {THERE}", f"azd env set FOUNDRY_SUBSCRIPTION_ID {THERE}"),
    (other_project, "has no project agents; it has: agent", "azd env set FOUNDRY_PROJECT_NAME"),
    (no_identity, "the project agents has no identity", "turn on its system-assigned identity"),
    (no_subdomain, "has no subdomain of its own", "--custom-domain contoso-ai"),
    (no_flex, "jioindiacentral has no Flex Consumption", "azd env set AZURE_LOCATION <one of northeurope, westeurope>"),
    (no_provider, "Microsoft.EventGrid is NotRegistered", "az provider register --namespace Microsoft.EventGrid"),
    (taken, "the name contoso cannot be had: The registry contoso is already in use.", "azd env set REGISTRY_NAME"),
    (policy_off, "refuses tokens for ARM", "az acr config authentication-as-arm update -r contoso --status enabled"),
    (
        access_policies,
        "contoso-kv uses access policies",
        "az keyvault update -n contoso-kv --enable-rbac-authorization",
    ),
    (closed_vault, "the app could not read a secret", "azd env set VNET_ENABLED true"),
    (no_vault, "contoso-kv is in no subscription", "mend VAULT_NAME"),
    (few_rights_for_tools, "agent support-agent has tools", "azd env set FOUNDRY_ROLE user"),
    (one_secret, "agents.yaml uses support-search-key", "azd env set VAULT_SECRETS other-key,support-search-key"),
    (
        no_such_secret,
        "support-search-key, which contoso-kv does not have",
        "az keyvault secret set --vault-name contoso-kv",
    ),
    (
        odd_subnet,
        "app is not delegated to Microsoft.App/environments",
        "az network vnet subnet update --ids /subscriptions",
    ),
    (no_subnet, "there is no subnet /subscriptions/", "azd env set APP_SUBNET_ID"),
    (old_python, "Python 3.9 does not run there", "azd env set PYTHON_VERSION <one of 3.12, 3.13>"),
    (refused, "AuthorizationFailed", "az login"),
]


@pytest.mark.parametrize(("mishap", "what", "helps"), IN_THE_WAY, ids=lambda one: getattr(one, "__name__", ""))
def test_preflight_names_what_is_in_the_way_and_the_command_that_helps(
    cloud: Cloud, mishap: Any, what: str, helps: str
) -> None:
    mishap(cloud)
    code, told = cloud.run("preprovision")
    assert code == 1, told
    (line,) = [one for one in told.splitlines() if what in one and one.split()[0] == "error"]
    after = told.splitlines()[told.splitlines().index(line) + 1 :]
    assert any(helps in one for one in after[:3]), told
    changes = [one for one in cloud.state.get("asked", []) if {"create", "update", "delete"} & set(one)]
    assert changes == []


def test_preflight_takes_an_abac_registry_and_says_what_is_different_there(cloud: Cloud) -> None:
    registry(cloud)["roleAssignmentMode"] = "AbacRepositoryPermissions"
    code, told = cloud.run("preprovision")
    assert code == 0
    assert "note   registry      contoso is in ABAC mode" in told
    assert f'"Container Registry Repository Writer" --assignee <who pushes> --scope {REGISTRY}' in told
    assert 'az role assignment create --role "Container Registry Repository Reader"' in told, (
        "AcrPull is not enough there"
    )


def test_preflight_asks_whether_foundry_can_pull(cloud: Cloud) -> None:
    cloud.state["listings"][f"{REGISTRY}/{GRANTS}"] = []
    code, told = cloud.run("preprovision")
    assert code == 0, "roles of a group or of the account may do, so this is a note"
    assert "its identity has no role on contoso by itself" in told
    assert 'az role assignment create --role "AcrPull"' in told
    cloud.env["GRANT_PROJECT_PULL"] = "true"
    assert "its identity gets its roles on contoso" in cloud.run("preprovision")[1]


def test_single_secrets_and_a_subnet_of_somebody_s_are_looked_at(cloud: Cloud) -> None:
    cloud.env |= {"VAULT_SECRETS": "support-search-key,unused-key", "APP_SUBNET_ID": SUBNET}
    delegated = [{"properties": {"serviceName": "Microsoft.App/environments"}}]
    cloud.state["resources"] |= {
        f"{VAULT}/secrets/support-search-key": {},
        f"{VAULT}/secrets/unused-key": {},
        SUBNET: {"properties": {"delegations": delegated}},
    }
    closed_vault(cloud)
    code, told = cloud.run("preprovision")
    assert code == 0, told
    for line in (
        "the secret support-search-key is there",
        "VAULT_SECRETS names unused-key, which no agent",
        "goes into app",
    ):
        assert line in told


def test_a_private_registry_is_a_note(cloud: Cloud) -> None:
    registry(cloud)["publicNetworkAccess"] = "Disabled"
    code, told = cloud.run("preprovision")
    assert (code, "only for projects made after 2026-06-25" in told) == (0, True)


def test_a_topic_of_this_deployment_is_no_second_one(cloud: Cloud) -> None:
    second_topic(cloud)
    cloud.state["listings"][TOPICS][0]["tags"] = {"azd-env-name": "test"}
    assert cloud.run("preprovision")[0] == 0


def test_preflight_goes_on_where_az_does_not_tell_everything(cloud: Cloud) -> None:
    subscription = f"/subscriptions/{HERE}/{RIGHTS}"
    cloud.state["refused"] = [subscription]
    cloud.state["commands"]["functionapp list-flexconsumption-locations"] = []
    cloud.state["commands"]["functionapp list-flexconsumption-runtimes"] = [{"runtime": "python"}]
    cloud.state["commands"]["acr repository list"] = ["agents/other"]
    code, told = cloud.run("preprovision")
    assert code == 0, told
    for line in (
        "westeurope will show at the deployment",
        "3.13 will show at the deployment",
        f"yours at /subscriptions/{HERE} could not be read: AuthorizationFailed",
        "agents/hello is not in the registry yet",
    ):
        assert line in told


def test_without_az_it_says_so(cloud: Cloud) -> None:
    (cloud.folder / "az").unlink()
    code, told = cloud.run("preprovision")
    assert code == 1
    assert "az is not installed" in told


def test_roles_are_printed_as_commands_until_somebody_ran_them(cloud: Cloud) -> None:
    deployed(cloud).env |= {"ASSIGN_ROLES": "false", "GRANT_PROJECT_PULL": "true"}
    code, told = cloud.run("postprovision")
    assert code == 1
    for key in set(ROLES) - {"agentVersions"}:
        assert f'--role "{ROLES[key]["id"]}"' in told
    reader_of_vault = f'--role "{ROLES["secretsUser"]["id"]}" --assignee-object-id app-principal'
    assert f"{reader_of_vault} --assignee-principal-type ServicePrincipal --scope {VAULT}" in told
    cloud.state["listings"][f"{VAULT}/{GRANTS}"] = [assignment("app-principal", ROLES["secretsUser"]["id"], GROUP)]
    _, told = cloud.run("postprovision")
    assert reader_of_vault not in told


def test_the_custom_role_has_a_command_of_its_own(cloud: Cloud) -> None:
    deployed(cloud).env |= {"ASSIGN_ROLES": "false", "FOUNDRY_ROLE": "versions"}
    _, told = cloud.run("postprovision")
    assert "az deployment sub create" in told
    assert '--role "Slipway agent versions (test)"' in told


def test_the_commands_are_the_rows_of_the_table() -> None:
    env = ENVIRONMENT | OUTPUTS | {"GRANT_PROJECT_PULL": "true"}
    both = [one.key for role in ("user", "versions") for one in grants(from_env(env | {"FOUNDRY_ROLE": role}), env)]
    assert set(both) == set(Infra(ROOT / "infra").roles)


def test_with_roles_assigned_there_is_nothing_to_say(cloud: Cloud) -> None:
    assert deployed(cloud).run("postprovision") == (0, "")


def test_the_smoke_check_is_answered_and_the_ledger_is_as_it_was(cloud: Cloud) -> None:
    code, told = deployed(cloud).run("postdeploy")
    assert code == 0, told
    assert "8 indexed" in told
    assert "hello-agent: DESIRED" in told
    assert "the ledger is as it was" in told
    deleted = [one for one in cloud.asked("rest") if "delete" in one]
    assert [one[4].split("/")[-1].partition("?")[0] for one in deleted] == ["slipway-abc-function"] * 2


@pytest.mark.parametrize(
    ("wished", "module", "other"),
    [
        ({"EVENT_DELIVERY": "function"}, "subscription-function.bicep", "queue"),
        ({"ASSIGN_ROLES": "false"}, "subscription.bicep", "function"),
    ],
)
def test_what_infra_could_not_subscribe_the_hook_does_before_the_other_way_goes(
    cloud: Cloud, wished: dict[str, str], module: str, other: str
) -> None:
    deployed(cloud).env |= wished
    code, told = cloud.run("postdeploy")
    assert code == 0, told
    made = cloud.asked("deployment", "group", "create")
    assert [Path(one[one.index("--template-file") + 1]).name for one in made] == [module, module]
    given = [dict(text.split("=", 1) for text in one[one.index("--parameters") + 1 :] if "=" in text) for one in made]
    assert all(set(one) == set(Infra(ROOT / "infra").modules[module].parameters) for one in given)
    assert [one["topicName"] for one in given] == ["evgs-registry", "evgs-vault"]
    order = [one[4].partition("?")[0] if one[0] == "rest" else one[1] for one in cloud.state["asked"]]
    gone = f"eventSubscriptions/slipway-abc-{other}"
    assert [one for one in order if one == "group" or one.endswith(gone)] == [
        *("group", f"{TOPIC}/{gone}", "group", f"{VAULT_TOPIC}/{gone}")
    ]


def test_a_function_that_does_not_come_up_is_named(cloud: Cloud) -> None:
    deployed(cloud).state["listings"][f"{APP}/functions"].pop()
    around, waited = cloud.around(), list[float]()
    (last,) = postdeploy.findings(from_env(around), around, Azure(around), waited.append)
    assert (last.level, last.what) == ("error", "resume_releases did not come up")
    assert sum(waited) == postdeploy.INDEXED_WITHIN


def test_an_app_that_takes_the_event_for_a_push_is_an_old_one() -> None:
    line = {"event": "e", "agent": "hello-agent", "reason": "DESIRED"}
    assert [one.level for one in smoke.judge([line], {}, {"wanted/a": "1"}, 1)] == ["error", "note"]


def test_an_event_without_an_answer_is_an_error() -> None:
    (unanswered,) = smoke.judge([], {}, {}, 600)
    assert "not answered in the journal within 600 s" in unanswered.what


def test_half_a_line_of_the_journal_is_no_answer_yet() -> None:
    assert smoke.answers('{"event": "e", "reason": "DESIR', "e") == []
    assert smoke.answers('{"event": "e"}\n{"event": "f", "detail": "e"}', "e") == [{"event": "e"}]


def test_before_down_only_what_this_deployment_made_goes(cloud: Cloud) -> None:
    deployed(cloud)
    mine, others = f"{TOPIC}/eventSubscriptions/slipway-abc-queue", f"{TOPIC}/eventSubscriptions/billing"
    grants_path = f"/subscriptions/{HERE}/{GRANTS}"
    granted = [
        assignment("app-principal", "r", REGISTRY, "a"),
        assignment("app-principal", "r", f"{OWN}/providers/x", "b"),
        assignment("project-principal", "r", REGISTRY, "c", description="Slipway test"),
        assignment("project-principal", "r", REGISTRY, "d"),
    ]
    cloud.state["resources"] |= {
        TOPIC: {"id": TOPIC, "tags": {"team": "billing"}},
        VAULT_TOPIC: {"id": VAULT_TOPIC, "tags": {"azd-env-name": "test"}},
        **{one["id"]: one for one in granted},
        mine: {},
    }
    cloud.state["listings"] |= {
        f"{TOPIC}/eventSubscriptions": [{"id": mine, "name": "slipway-abc-queue"}, {"id": others, "name": "billing"}],
        grants_path: granted,
    }
    code, told = cloud.run("predown")
    assert code == 0, told
    gone = [line.split()[-1] for line in told.splitlines() if " deleted " in line]
    assert gone == [mine, VAULT_TOPIC, granted[0]["id"], granted[2]["id"]]


def test_before_down_what_may_not_be_deleted_is_said_and_the_rest_goes(cloud: Cloud) -> None:
    topics = {one: {"id": one, "tags": {"azd-env-name": "test"}} for one in (TOPIC, VAULT_TOPIC)}
    deployed(cloud).state["resources"] |= topics
    cloud.state["locked"] = [TOPIC]
    code, told = cloud.run("predown")
    assert code == 1
    assert "ScopeLocked: The scope cannot perform delete operation because it is locked" in told
    assert f"→ az rest --method delete --url '{TOPIC}?api-version=2025-02-15'" in told
    assert set(topics) & set(cloud.state["resources"]) == {TOPIC}


def test_before_down_nothing_goes_where_azure_does_not_answer(cloud: Cloud) -> None:
    deployed(cloud).state["refused"] = [TOPIC]
    code, told = cloud.run("predown")
    assert code == 1
    assert "nothing was deleted yet" in told


@pytest.mark.parametrize("text", ["agents: {Hello Agent: {repository: agents/hello}}", "agents: ["])
def test_a_wrong_agents_yaml_stops_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(text)
    assert prepackage.main(file) == 1
    assert "line 1" in capsys.readouterr().out
    assert prepackage.main(tmp_path / "none.yaml") == 1


def test_the_hooks_need_what_their_requirements_name_and_nothing_else() -> None:
    hooks = " ".join(f"import infra.hooks.{path.stem};" for path in (ROOT / "infra/hooks").glob("*.py"))
    command = [sys.executable, "-c", f"{hooks} import sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    owners = metadata.packages_distributions()
    used = {name.lower().replace("_", "-") for module in loaded for name in owners.get(module, [])} - {"setuptools"}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "infra/hooks/requirements.txt").read_text(), re.MULTILINE))
    assert {"pydantic", "pyyaml"} <= used <= locked


def test_the_files_of_this_repository_may_be_packaged(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepackage.main() == 0
    assert "no mistake" in capsys.readouterr().out
