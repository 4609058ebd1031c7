"""The hooks where a deployment has more Foundry projects and vaults than the first, also in another subscription."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.agents_file.spec import Agents
from core.events import SECRET_NEW_VERSION
from infra.hooks import event_subscriptions
from infra.hooks.deploy_request import from_env
from infra.hooks.preflight_agents import agents_against_rights
from infra.hooks.role_assignments import ROLES, role_assignments
from local.arm_lists import PROVIDERS
from tests.infra.cloud import APP_GROUP, OTHER_SUBSCRIPTION, REGISTRY, Cloud, assignment

GROUP = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/rg-eu"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-eu"
PROJECT = f"{ACCOUNT}/projects/production"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/contoso-eu-kv"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/contoso-eu"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-slipway-vault-abc-x1y2z3"
FOREIGN = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-eu"
OUTPUTS = {
    "SLIPWAY_MORE_PROJECT_PRINCIPAL_IDS": '["eu-principal"]',
    "SLIPWAY_MORE_VAULT_TOPIC_IDS": json.dumps([TOPIC]),
    "SLIPWAY_MORE_VAULT_TOPIC_PRINCIPAL_IDS": '["eu-topic-principal"]',
}


@pytest.fixture
def more(cloud: Cloud) -> Cloud:
    """A deployment with a second project and its vault in another subscription."""
    cloud.env |= {"MORE_PROJECT_IDS": PROJECT, "MORE_VAULT_IDS": VAULT}
    cloud.put(GROUP, location="swedencentral")
    cloud.put(ACCOUNT, properties={"customSubDomainName": "contoso-eu"})
    cloud.put(PROJECT, identity={"principalId": "eu-principal"}, name="contoso-eu/production")
    vault = {"enableRbacAuthorization": True, "vaultUri": "https://contoso-eu-kv.vault.azure.net/"}
    cloud.put(VAULT, properties=vault)
    return cloud


def deployed(cloud: Cloud) -> Cloud:
    cloud.deploy().env |= OUTPUTS
    cloud.put(TOPIC, tags={"azd-env-name": "test"}, properties={"source": VAULT})
    return cloud


def test_preflight_checks_each_of_them(more: Cloud) -> None:
    code, output = more.run("preprovision")
    assert code == 0, output
    for line in (
        "project production of contoso-eu",
        "https://contoso-eu-kv.vault.azure.net/",
        "azd env set GRANT_PROJECT_PULL true",
        "you have every right that the deployment needs",
    ):
        assert line in output
    more.env["GRANT_PROJECT_PULL"] = "true"
    more.arm.remove(f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments/1")
    assert "project production  its identity gets its roles on contoso" in more.run("preprovision")[1]


def without_vault_roles(cloud: Cloud) -> None:
    cloud.put(VAULT, properties={"enableRbacAuthorization": False})


def private_vault(cloud: Cloud) -> None:
    cloud.put(VAULT, properties={"enableRbacAuthorization": True, "publicNetworkAccess": "Disabled"})
    cloud.env["VNET_ENABLED"] = "true"


def foreign_topic(cloud: Cloud) -> None:
    cloud.put(FOREIGN, properties={"source": VAULT})


def unknown_topic(cloud: Cloud) -> None:
    cloud.env["MORE_VAULT_IDS"] += ":other"
    foreign_topic(cloud)


def group(cloud: Cloud, name: str) -> None:
    """Name another group than that of the resources."""
    cloud.env[name] = cloud.env[name].replace("/rg-eu/", "/rg-wrong/")


BROKEN = [
    (
        lambda cloud: group(cloud, "MORE_PROJECT_IDS"),
        "it is in rg-eu of",
        f"correct its id, which begins with {ACCOUNT}",
    ),
    (lambda cloud: group(cloud, "MORE_VAULT_IDS"), "it is in rg-eu of", f"which begins with {VAULT}"),
    (
        lambda cloud: cloud.env.update(MORE_PROJECT_IDS=PROJECT + "s"),
        "contoso-eu has no project productions; it has: production",
        "correct MORE_PROJECT_IDS",
    ),
    (
        lambda cloud: cloud.put(PROJECT, identity={}),
        "the project production has no identity",
        "turn on its system-assigned identity",
    ),
    (without_vault_roles, "contoso-eu-kv uses access policies", f"--subscription {OTHER_SUBSCRIPTION}"),
    (private_vault, "contoso-eu-kv is closed to the public network", "azd env set APP_SUBNET_ID"),
    (foreign_topic, "already has the system topic evgs-eu in rg-eu", f"write in MORE_VAULT_IDS: {VAULT}:evgs-eu"),
    (unknown_topic, "the topic in MORE_VAULT_IDS is other, but", f"write in MORE_VAULT_IDS: {VAULT}:evgs-eu"),
    (
        lambda cloud: cloud.permit(PROJECT, "Microsoft.Resources/*"),
        f"you may not assign roles at {PROJECT}",
        "azd env set ASSIGN_ROLES false",
    ),
    (
        lambda cloud: cloud.env.update(MORE_PROJECT_IDS="contoso-eu/production"),
        "MORE_PROJECT_IDS must be resource ids of Foundry projects",
        "azd env set MORE_PROJECT_IDS",
    ),
    *(
        (
            lambda cloud, wrong=wrong: cloud.env.update(MORE_PROJECT_IDS=wrong),
            "MORE_PROJECT_IDS must be resource ids of Foundry projects",
            "azd env set MORE_PROJECT_IDS",
        )
        for wrong in (
            ACCOUNT,
            VAULT,
            f"{PROJECT}/",
            f"{PROJECT},",
            f"{PROJECT} {PROJECT}",
            f"{PROJECT};{PROJECT}",
            WORKSPACE,
        )
    ),
    (
        lambda cloud: cloud.env.update(MORE_PROJECT_IDS=f"{PROJECT},{PROJECT.lower()}"),
        f"MORE_PROJECT_IDS names {PROJECT} twice",
        "remove it from the list",
    ),
    (
        lambda cloud: cloud.env.update(MORE_VAULT_IDS=f"{VAULT}:evgs-eu,{VAULT}"),
        f"MORE_VAULT_IDS names {VAULT} twice",
        "remove it from the list",
    ),
    (
        lambda cloud: cloud.env.update(MORE_PROJECT_IDS=from_env(cloud.env).projects[0].id.upper()),
        "MORE_PROJECT_IDS names the project of FOUNDRY_PROJECT_NAME, which has its roles already",
        "remove it from the list",
    ),
    (
        lambda cloud: cloud.env.update(MORE_VAULT_IDS=from_env(cloud.env).vault.id),
        "MORE_VAULT_IDS names the vault of VAULT_NAME",
        "remove it from the list",
    ),
    (
        lambda cloud: cloud.env.update(MORE_VAULT_IDS="https://contoso-eu-kv.vault.azure.net"),
        "MORE_VAULT_IDS must be resource ids of vaults",
        "azd env set MORE_VAULT_IDS",
    ),
]


@pytest.mark.parametrize(("break_cloud", "message", "help_"), BROKEN)
def test_preflight_names_each_problem_and_its_fix(more: Cloud, break_cloud: Any, message: str, help_: str) -> None:
    break_cloud(more)
    code, output = more.run("preprovision")
    assert code == 1, output
    assert message in output
    assert help_ in output


def test_projects_and_vaults_of_agents_yaml_that_the_deployment_does_not_name_are_noted(more: Cloud) -> None:
    endpoints = {"eu": "https://contoso-eu.services.ai.azure.com/api/projects/production"}
    vaults = {"eu": "https://contoso-eu-kv.vault.azure.net"}
    known = Agents(agents={}, projects=endpoints, vaults=vaults)
    request = from_env(more.env)
    assert [finding.level for finding in agents_against_rights(request, known)] == ["ok"]
    others = {**endpoints, "us": "https://contoso-us.services.ai.azure.com/api/projects/production"}
    more_vaults = {**vaults, "us": "https://contoso-us-kv.vault.azure.net"}
    found = [*agents_against_rights(request, Agents(agents={}, projects=others, vaults=more_vaults))]
    assert [finding.level for finding in found] == ["note", "note", "ok"]
    assert found[0].message.startswith("project us of agents.yaml is production of contoso-us, which MORE_PROJECT_IDS")
    assert found[1].message.startswith("the vault contoso-us-kv of agents.yaml is not in MORE_VAULT_IDS")


def test_a_topic_that_the_list_names_is_used(more: Cloud) -> None:
    more.env["MORE_VAULT_IDS"] += ":evgs-eu"
    more.put(FOREIGN, properties={"source": VAULT}, identity={"type": "SystemAssigned"})
    code, output = more.run("preprovision")
    assert code == 0, output
    assert "events come from its system topic evgs-eu" in output


def test_the_providers_of_the_other_subscription_are_checked(more: Cloud) -> None:
    grid = {"namespace": "Microsoft.EventGrid", "registrationState": "NotRegistered"}
    others = [item for item in PROVIDERS if item["namespace"] != grid["namespace"]]
    more.arm.lists[f"/subscriptions/{OTHER_SUBSCRIPTION}/providers"] = [*others, grid]
    code, output = more.run("preprovision")
    assert code == 1
    assert "az provider register --namespace Microsoft.EventGrid" in output


def test_the_events_of_each_vault_are_subscribed_to(more: Cloud) -> None:
    request = from_env(deployed(more).env)
    with more.azure() as azure:
        found = [
            finding
            for source in request.sources
            for finding in event_subscriptions.subscribe(source, request, more.env, azure, list[float]().append)
        ]
    assert [finding.level for finding in found] == ["ok"] * 3
    subscription = more.get(f"{TOPIC}/eventSubscriptions/slipway-abc-queue")["properties"]
    assert subscription["filter"] == {"includedEventTypes": [SECRET_NEW_VERSION]}


def test_the_roles_on_each_are_printed(more: Cloud) -> None:
    deployed(more).env |= {"ASSIGN_ROLES": "false", "GRANT_PROJECT_PULL": "true", "FOUNDRY_ROLE": "versions"}
    assigned = {
        (ROLES[item.key]["role"], item.principal, item.scope)
        for item in role_assignments(from_env(more.env), more.env)
        if item.scope.startswith(GROUP) or item.principal.startswith("eu-")
    }
    storage = f"/subscriptions/{more.env['AZURE_SUBSCRIPTION_ID']}/resourceGroups/rg-slipway-test/providers"
    storage += "/Microsoft.Storage/storageAccounts/stslipway"
    dead_letters = f"{storage}/blobServices/default/containers/deadletters"
    assert assigned == {
        ("Slipway agent versions", "app-principal", PROJECT),
        ("Key Vault Secrets User", "app-principal", VAULT),
        ("Container Registry Repository Reader", "eu-principal", REGISTRY),
        ("AcrPull", "eu-principal", REGISTRY),
        ("Storage Queue Data Message Sender", "eu-topic-principal", storage),
        ("Storage Blob Data Contributor", "eu-topic-principal", dead_letters),
    }
    _, output = more.run("postprovision")
    assert f'"{GROUP}"]\'' in output, "the custom role names both groups"


@pytest.mark.parametrize("failed", [False, True])
def test_predown_deletes_what_was_added(more: Cloud, failed: bool) -> None:
    """Also after a deployment that failed, which has no outputs."""
    deployed(more)
    if failed:
        more.env = {name: value for name, value in more.env.items() if not name.startswith("SLIPWAY_")}
        identity = f"{APP_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-slipway-abc"
        more.put(identity, properties={"principalId": "app-principal"})
    of_app = assignment("app-principal", ROLES["foundryUser"]["id"], PROJECT)
    pull = assignment("eu-principal", ROLES["acrPull"]["id"], REGISTRY, "2", description="Slipway test abc")
    more.assign(of_app, pull)
    more.put(f"{TOPIC}/eventSubscriptions/slipway-abc-queue", properties={})
    code, _ = more.run("predown")
    assert code == 0
    for path in (TOPIC, of_app["id"], pull["id"], f"{TOPIC}/eventSubscriptions/slipway-abc-queue"):
        assert not more.exists(path), path


@pytest.mark.parametrize("value", ["nonsense", "{}", "[1]", '["eu-principal"', "[" * 9999])
def test_an_output_that_somebody_broke_ends_the_hook_with_one_line(value: str) -> None:
    with pytest.raises(SystemExit, match=r"^SLIPWAY_MORE_PROJECT_PRINCIPAL_IDS is not a JSON array .* azd env refresh"):
        from_env({"MORE_PROJECT_IDS": PROJECT, "SLIPWAY_MORE_PROJECT_PRINCIPAL_IDS": value})
