"""The hooks over the stand-ins: as processes as azd runs them, and in this process for every case of a check."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION
from infra.hooks import event_subscriptions, postdeploy, preflight_settings, prepackage, smoke
from infra.hooks.deploy_request import from_env
from infra.hooks.findings import Finding
from infra.hooks.preflight_agents import agents_against_rights
from infra.hooks.role_assignments import ROLES, role_assignments
from local.arm_lists import PROVIDERS
from local.registry.repository import Repository
from local.stand_in import Fault
from tests.infra.checks import Infra
from tests.infra.cloud import (
    ACCOUNT,
    APP,
    APP_GROUP,
    ENVIRONMENT,
    GROUP,
    OTHER_SUBSCRIPTION,
    OUTPUTS,
    PERMISSIONS,
    PROJECT,
    REGISTRY,
    ROOT,
    SUBSCRIPTION,
    TOPIC,
    VAULT,
    VAULT_TOPIC,
    Cloud,
    assignment,
)

SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/app"
FOREIGN_TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgs-registry"


@pytest.mark.parametrize("hook", ["prepackage", "preprovision", "postprovision", "predown"])
def test_a_hook_runs_as_a_process_with_only_azd_on_the_path(cloud: Cloud, hook: str) -> None:
    assert cloud.deploy().script(hook)[0] == 0


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
    assert list(cloud.arm.requests) == []


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


@pytest.mark.parametrize(
    ("value", "wrong"), [("", 0), ("1", 0), ("40", 0), ("1000", 0), ("0", 1), ("-1", 1), ("1001", 1), ("4e1", 1)]
)
def test_the_maximum_of_instances_is_from_one_to_a_thousand(value: str, wrong: int) -> None:
    assert len(list(preflight_settings.values({"MAXIMUM_INSTANCE_COUNT": value}))) == wrong


def registry_properties(cloud: Cloud) -> dict[str, Any]:
    properties: dict[str, Any] = cloud.get(REGISTRY)["properties"]
    return properties


def foreign_topic(cloud: Cloud) -> None:
    cloud.put(FOREIGN_TOPIC, tags=None, properties={"source": REGISTRY.upper()})


def topic_without_identity(cloud: Cloud) -> None:
    foreign_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "evgs-registry"


def unknown_topic(cloud: Cloud) -> None:
    foreign_topic(cloud)
    cloud.env["REGISTRY_TOPIC_NAME"] = "other"


def no_right_to_assign_roles(cloud: Cloud) -> None:
    cloud.permit(REGISTRY, "*", without=("Microsoft.Authorization/*/write",))


def no_right_to_deploy(cloud: Cloud) -> None:
    cloud.permit(GROUP, "*/read")


def account_in_another_subscription(cloud: Cloud) -> None:
    cloud.arm.remove(ACCOUNT)
    cloud.put(ACCOUNT.replace(GROUP, f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/ai"))


def another_project(cloud: Cloud) -> None:
    cloud.arm.remove(PROJECT)
    cloud.put(f"{ACCOUNT}/projects/agent", name="contoso-ai/agent")


def project_without_identity(cloud: Cloud) -> None:
    cloud.put(PROJECT, identity=None)


def account_without_subdomain(cloud: Cloud) -> None:
    cloud.put(ACCOUNT, properties={})


def region_without_flex(cloud: Cloud) -> None:
    cloud.env["AZURE_LOCATION"] = "jioindiacentral"


def unregistered_provider(cloud: Cloud) -> None:
    states = {item["namespace"]: item for item in PROVIDERS}
    grid = {"namespace": "Microsoft.EventGrid", "registrationState": "NotRegistered"}
    cloud.arm.lists[f"/subscriptions/{SUBSCRIPTION}/providers"] = list((states | {grid["namespace"]: grid}).values())


def registry_name_taken(cloud: Cloud) -> None:
    cloud.env |= {"CREATE_REGISTRY": "true"}
    cloud.arm.remove(REGISTRY.replace(GROUP, APP_GROUP))
    cloud.arm.taken_names.add("contoso")


def arm_tokens_refused(cloud: Cloud) -> None:
    registry_properties(cloud)["policies"] = {"azureAdAuthenticationAsArmPolicy": {"status": "disabled"}}


def vault_with_access_policies(cloud: Cloud) -> None:
    cloud.get(VAULT)["properties"]["enableRbacAuthorization"] = False


def closed_vault(cloud: Cloud) -> None:
    cloud.get(VAULT)["properties"]["networkAcls"] = {"defaultAction": "Deny"}


def vault_missing(cloud: Cloud) -> None:
    cloud.arm.remove(VAULT)


def tools_with_role_versions(cloud: Cloud) -> None:
    cloud.env["FOUNDRY_ROLE"] = "versions"


def secret_not_listed(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "other-key"


def secret_missing(cloud: Cloud) -> None:
    cloud.env["VAULT_SECRETS"] = "support-search-key"


def subnet_not_delegated(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET
    cloud.put(SUBNET, properties={"delegations": []})


def subnet_missing(cloud: Cloud) -> None:
    cloud.env["APP_SUBNET_ID"] = SUBNET


def python_not_available(cloud: Cloud) -> None:
    cloud.env["PYTHON_VERSION"] = "3.9"


def group_of_somebody_else(cloud: Cloud) -> None:
    cloud.put(APP_GROUP, location="westeurope", tags={"team": "billing"})


def group_of_another_product(cloud: Cloud) -> None:
    cloud.put(APP_GROUP, location="westeurope", tags={"azd-env-name": "test"})
    cloud.put(f"{APP_GROUP}/providers/Microsoft.Sql/servers/sql")


def group_in_another_region(cloud: Cloud) -> None:
    cloud.put(APP_GROUP, location="northeurope", tags={"azd-env-name": "test"})


def region_without_zones(cloud: Cloud) -> None:
    cloud.env |= {"STORAGE_SKU": "Standard_ZRS", "AZURE_LOCATION": "northcentralus"}


def pull_granted_by_somebody_else(cloud: Cloud) -> None:
    cloud.env["GRANT_PROJECT_PULL"] = "true"


def registry_read_refused(cloud: Cloud) -> None:
    cloud.refuse(REGISTRY)


def changed(**variables: str) -> Any:
    """Break the environment of azd."""
    return lambda cloud: cloud.env.update(variables)


PROBLEMS = [
    (
        changed(VAULT_SECRETS="support-search-key,Support-Search-Key"),
        "VAULT_SECRETS names support-search-key twice",
        "remove it from the list",
    ),
    (
        changed(CREATE_REGISTRY="true", REGISTRY_TOPIC_NAME="evgs-registry", SLIPWAY_TOKEN=""),
        "REGISTRY_TOPIC_NAME is evgs-registry, but CREATE_REGISTRY creates what has no topic",
        "azd env set REGISTRY_TOPIC_NAME ''",
    ),
    (
        changed(CREATE_VAULT="true", VAULT_SECRETS="support-search-key", SLIPWAY_TOKEN=""),
        "VAULT_SECRETS names secrets, but CREATE_VAULT creates a vault without any",
        "azd env set VAULT_SECRETS ''",
    ),
    (
        changed(OPERATOR_GROUP_ID="operators"),
        "OPERATOR_GROUP_ID must be the object id of a group",
        "azd env set OPERATOR_GROUP_ID",
    ),
    (changed(FOUNDRY_ACCOUNT_NAME="https://contoso-ai"), "FOUNDRY_ACCOUNT_NAME must be 2 to 64", "azd env set FOUNDRY"),
    (changed(REGISTRY_RESOURCE_GROUP=GROUP), "REGISTRY_RESOURCE_GROUP must have at most", "azd env set REGISTRY"),
    (changed(VAULT_TOPIC_NAME=VAULT_TOPIC), "VAULT_TOPIC_NAME must be 3 to 50 letters", "azd env set VAULT_TOPIC_NAME"),
    (changed(LOG_DAILY_QUOTA_GB="0"), "LOG_DAILY_QUOTA_GB must be -1 for no limit", "azd env set LOG_DAILY_QUOTA_GB"),
    (changed(REGISTER_PROVIDERS="yes"), "REGISTER_PROVIDERS must be true or false", "azd env set REGISTER_PROVIDERS"),
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
        "azd env set AZURE_LOCATION <one of northcentralus, northeurope, westeurope>",
    ),
    (
        unregistered_provider,
        "Microsoft.EventGrid is NotRegistered",
        "az provider register --namespace Microsoft.EventGrid",
    ),
    (
        registry_name_taken,
        "the name contoso is not available: The name contoso is already in use.",
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
        "azd env set PYTHON_VERSION <one of 3.13, 3.12>",
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
        "northcentralus has no storage of Standard_ZRS",
        "azd env set STORAGE_SKU <one of Standard_GRS, Standard_LRS>",
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
    assert cloud.changes() == []


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
    cloud.arm.remove(assignment("project-principal", "", REGISTRY)["id"])
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
    cloud.assign(own, inherited)
    assert cloud.run("preprovision")[0] == code


def test_an_abac_registry_needs_the_other_role_too(cloud: Cloud) -> None:
    registry_properties(cloud)["roleAssignmentMode"] = "AbacRepositoryPermissions"
    cloud.env["GRANT_PROJECT_PULL"] = "true"
    code, output = cloud.run("preprovision")
    assert (code, 'az role assignment create --role "Container Registry Repository Reader"' in output) == (1, True)


def test_the_own_group_is_deployed_again(cloud: Cloud) -> None:
    group_of_another_product(cloud)
    cloud.put(f"{APP_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-slipway-abc")
    code, output = cloud.run("preprovision")
    assert code == 0, output
    assert "rg-slipway-test is this environment's" in output


def test_preflight_checks_single_secrets_and_an_existing_subnet(cloud: Cloud) -> None:
    cloud.env |= {"VAULT_SECRETS": "support-search-key,unused-key", "APP_SUBNET_ID": SUBNET}
    delegated = [{"properties": {"serviceName": "Microsoft.App/environments"}}]
    cloud.put(f"{VAULT}/secrets/support-search-key")
    cloud.put(f"{VAULT}/secrets/unused-key")
    cloud.put(SUBNET, properties={"delegations": delegated})
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
    cloud.put(FOREIGN_TOPIC, name=name, tags={"azd-env-name": environment})
    cloud.env["SLIPWAY_TOKEN"] = token
    assert cloud.run("preprovision")[0] == code


def test_preflight_goes_on_when_azure_leaves_things_out(cloud: Cloud) -> None:
    cloud.refuse(f"/subscriptions/{SUBSCRIPTION}/{PERMISSIONS}")
    cloud.arm.lists[f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.web/georegions"] = []
    stacks = "/providers/microsoft.web/locations/westeurope/functionappstacks"
    cloud.arm.lists[stacks] = [{"name": "python", "properties": {"majorVersions": [{}]}}]
    cloud.registry.repositories.clear()
    cloud.registry.repositories["agents/other"] = Repository()
    code, output = cloud.run("preprovision")
    assert code == 0, output
    for line in (
        "the deployment will show if westeurope has it",
        "the deployment will show if 3.13 is available",
        f"your rights at /subscriptions/{SUBSCRIPTION} could not be read: ARM: AuthorizationFailed",
        "agents/hello is not in the registry yet",
    ):
        assert line in output


def test_missing_roles_are_printed_as_commands(cloud: Cloud) -> None:
    cloud.deploy().env |= {"ASSIGN_ROLES": "false", "GRANT_PROJECT_PULL": "true"}
    code, output = cloud.run("postprovision")
    assert code == 1
    for key in set(ROLES) - {"agentVersions", "foundryUser", "secretsOfficer"}:
        assert f'--role "{ROLES[key]["role"]}"' in output
    assert f'--role "{ROLES["foundryUser"]["id"]}"' in output, (
        "the name was changed in 2026, and is not everywhere the new one"
    )
    reader_of_vault = f'--role "{ROLES["secretsUser"]["role"]}" --assignee-object-id app-principal'
    assert f"{reader_of_vault} --assignee-principal-type ServicePrincipal --scope {VAULT}" in output
    inherited = assignment("app-principal", ROLES["secretsUser"]["id"], GROUP)
    cloud.assign(inherited)
    _, output = cloud.run("postprovision")
    assert reader_of_vault not in output
    sibling = assignment("app-principal", ROLES["secretsUser"]["id"], GROUP.removesuffix("red"))
    cloud.arm.remove(inherited["id"])
    cloud.assign(sibling)
    _, output = cloud.run("postprovision")
    assert reader_of_vault in output, "the name of that group only begins like the vault's group"


def test_the_custom_role_has_its_own_command(cloud: Cloud) -> None:
    cloud.deploy().env |= {"ASSIGN_ROLES": "false", "FOUNDRY_ROLE": "versions"}
    _, output = cloud.run("postprovision")
    assert "az deployment sub create" in output
    assert '--role "Slipway agent versions (test abc)"' in output


def test_the_role_assignments_are_the_rows_of_roles_json() -> None:
    env = ENVIRONMENT | OUTPUTS | {"GRANT_PROJECT_PULL": "true", "CREATE_VAULT": "true"}
    requests = [from_env(env | {"FOUNDRY_ROLE": role}) for role in ("user", "versions")]
    keys = {assignment.key for request in requests for assignment in role_assignments(request, env)}
    assert keys == set(Infra(ROOT / "infra").roles)


def test_postprovision_prints_nothing_when_the_template_assigned_the_roles(cloud: Cloud) -> None:
    assert cloud.deploy().run("postprovision") == (0, "")


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


def subscribe(cloud: Cloud, slept: list[float] | None = None) -> list[Finding]:
    """What postdeploy finds when it subscribes the functions to the events of both sources."""
    request, sleep = from_env(cloud.env), ([] if slept is None else slept).append
    with cloud.azure() as azure:
        return [
            finding
            for source in (request.registry, request.vault)
            for finding in event_subscriptions.subscribe(source, request, cloud.env, azure, sleep)
        ]


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_the_subscriptions_are_created_with_their_types_retries_and_dead_letters(cloud: Cloud) -> None:
    assert levels(subscribe(cloud.deploy())) == ["ok", "ok"]
    for topic, event_type in ((TOPIC, IMAGE_PUSHED), (VAULT_TOPIC, SECRET_NEW_VERSION)):
        assert cloud.get(f"{topic}/eventSubscriptions/slipway-abc-queue")["properties"] == {
            "provisioningState": "Succeeded",
            "deliveryWithResourceIdentity": QUEUE,
            "eventDeliverySchema": "CloudEventSchemaV1_0",
            "filter": {"includedEventTypes": [event_type]},
            "retryPolicy": {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440},
            "deadLetterWithResourceIdentity": DEAD_LETTERS,
        }


def test_straight_delivery_subscribes_the_functions(cloud: Cloud) -> None:
    cloud.deploy().env["EVENT_DELIVERY"] = "function"
    assert levels(subscribe(cloud)) == ["ok", "ok"]
    for topic, function in ((TOPIC, "image_pushed"), (VAULT_TOPIC, "secret_changed")):
        subscription = cloud.get(f"{topic}/eventSubscriptions/slipway-abc-function")["properties"]
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
    cloud.deploy().env["EVENT_DELIVERY"] = "function"
    subscribe(cloud)
    assert cloud.changes() == [
        (method, f"{topic}/eventSubscriptions/slipway-abc-{delivery}")
        for topic in (TOPIC, VAULT_TOPIC)
        for method, delivery in (("PUT", "function"), ("DELETE", "queue"))
    ]


def test_a_second_deployment_leaves_the_subscriptions_alone(cloud: Cloud) -> None:
    subscribe(cloud.deploy())
    properties = cloud.get(f"{TOPIC}/eventSubscriptions/slipway-abc-queue")["properties"]
    destination = properties["deliveryWithResourceIdentity"]["destination"]
    destination["properties"]["resourceId"] = STORAGE.lower()
    cloud.arm.requests.clear()
    assert levels(subscribe(cloud)) == ["ok", "ok"]
    assert [method for method, _ in cloud.changes()] == ["DELETE", "DELETE"], "of the other delivery"
    properties["filter"]["includedEventTypes"] = ["Other"]
    cloud.arm.requests.clear()
    assert levels(subscribe(cloud)) == ["ok", "ok"]
    assert [method for method, _ in cloud.changes()] == ["PUT", "DELETE", "DELETE"]


IDENTITY_ERROR = "Managed identity for event subscription does not have authorization to deliver to the endpoint."


def refuse_subscriptions(cloud: Cloud, how: str, times: int) -> None:
    """Refuse at once, or let the operation end as Failed, with a reason or without."""
    reason = {"error": {"code": "Managed Identity Authorization Error", "message": IDENTITY_ERROR}}
    cloud.arm.faults = [
        Fault("eventSubscriptions", "PUT", status=400, body=reason, times=times)
        if how == "refused"
        else Fault(
            "operations/", status=200, body={"status": "Failed", **(reason if how == "ends" else {})}, times=times
        )
    ]


@pytest.mark.parametrize("how", ["refused", "ends", "ends without a reason"])
def test_subscribing_waits_for_the_topics_roles_and_says_so(cloud: Cloud, how: str) -> None:
    refuse_subscriptions(cloud.deploy(), how, 5)
    slept = list[float]()
    found = subscribe(cloud, slept)
    waiting = [finding.message for finding in found if "waiting until Event Grid accepts" in finding.message]
    assert [message[-14:] for message in waiting] == ["minute 0 of 10", "minute 1 of 10", "minute 2 of 10"]
    assert levels(found) == ["note", "note", "note", "ok", "ok"]
    assert slept == [event_subscriptions.RETRY_SECONDS] * 5


@pytest.mark.parametrize("how", ["refused", "ends"])
def test_roles_that_never_take_effect_are_an_error_that_names_the_account_scope(cloud: Cloud, how: str) -> None:
    refuse_subscriptions(cloud.deploy(), how, 20)
    slept = list[float]()
    found = subscribe(cloud, slept)
    (refused,) = [finding for finding in found if finding.level == "error"]
    assert IDENTITY_ERROR in refused.message
    assert "Storage Queue Data Message Sender on the storage account (not on a queue)" in refused.help
    assert sum(slept) == 600
    assert found[-1].message.startswith("its events")


def test_another_refusal_of_a_subscription_is_not_tried_again(cloud: Cloud) -> None:
    cloud.deploy().refuse(f"{TOPIC}/eventSubscriptions/slipway-abc-function")
    cloud.env["EVENT_DELIVERY"] = "function"
    body = {"error": {"code": "AuthorizationFailed", "message": "may not write"}}
    cloud.arm.faults = [Fault("slipway-abc-function", "PUT", status=403, body=body)]
    slept = list[float]()
    refused, *_ = subscribe(cloud, slept)
    assert (refused.level, slept) == ("error", [])
    assert "AuthorizationFailed" in refused.message
    assert "with another account" in refused.help


def test_a_function_that_does_not_come_up_is_named(cloud: Cloud) -> None:
    cloud.deploy().arm.remove(f"{APP}/functions/resume_releases")
    slept = list[float]()
    with cloud.azure() as azure:
        *waiting, last = postdeploy.findings(from_env(cloud.env), cloud.env, azure, slept.append)
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


def test_only_lines_of_the_event_are_its_answers() -> None:
    lines = [{"unreadable": '{"event": "e", "reason": "DESIR'}, {"event": "e"}, {"event": "f", "detail": "e"}]
    assert smoke.answers(lines, "e") == [{"event": "e"}]


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
    cloud.subscribed().assign(*assignments)
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
    cloud.subscribed().put(TOPIC, **change)
    code, output = cloud.run("predown")
    assert code == 0, output
    assert TOPIC not in deleted(output)
    assert f"{TOPIC}/eventSubscriptions/slipway-abc-queue" in deleted(output)


def test_predown_keeps_a_topic_that_others_subscribe_to_and_says_so(cloud: Cloud) -> None:
    own = assignment("project-principal", "r", REGISTRY, "c", description="Slipway test abc")
    cloud.subscribed().assign(own)
    cloud.put(f"{TOPIC}/eventSubscriptions/slipway-def-queue")
    code, output = cloud.run("predown")
    assert code == 0, output
    assert (cloud.exists(TOPIC), cloud.exists(VAULT_TOPIC)) == (True, False)
    assert "the system topic evgs-slipway-registry-abc stays: slipway-def-queue subscribe to it" in output
    assert f"→ when nobody does: az resource delete --ids {TOPIC}" in output
    assert "the Foundry project may still pull" in output
    assert own["id"] not in deleted(output)
    assert f"{TOPIC}/providers/Microsoft.Insights/diagnosticSettings/slipway" in deleted(output)


def test_predown_names_the_topic_that_a_deleted_environment_left(cloud: Cloud) -> None:
    cloud.subscribed().put(TOPIC, name="evgs-slipway-registry-def", tags={"azd-env-name": "staging"})
    _, output = cloud.run("predown")
    assert "evgs-slipway-registry-def belongs to another environment of Slipway, and nothing subscribes to it" in output


def test_predown_cleans_up_after_a_deployment_that_failed(cloud: Cloud) -> None:
    own = assignment("app-principal", "r", REGISTRY, "a")
    cloud.subscribed().assign(own)
    cloud.env = {name: value for name, value in cloud.env.items() if name not in OUTPUTS}
    identity = f"{APP_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-slipway-abc"
    cloud.put(identity, properties={"principalId": "app-principal"})
    code, output = cloud.run("predown")
    assert code == 0, output
    assert {TOPIC, VAULT_TOPIC, own["id"]} <= set(deleted(output))


def test_predown_before_any_deployment_deletes_nothing(cloud: Cloud) -> None:
    code, output = cloud.run("predown")
    assert (code, deleted(output)) == (0, [])


def test_predown_reports_a_locked_topic_and_deletes_the_rest(cloud: Cloud) -> None:
    cloud.subscribed().arm.locked.add(TOPIC.lower())
    code, output = cloud.run("predown")
    assert code == 1
    assert "ScopeLocked: delete Microsoft.EventGrid/systemTopics/evgs-slipway-registry-abc: The scope cannot" in output
    assert f"→ az rest --method delete --url '{TOPIC}?api-version=2025-02-15'" in output
    assert (cloud.exists(TOPIC), cloud.exists(VAULT_TOPIC)) == (True, False)


def test_predown_deletes_nothing_when_azure_cannot_be_read(cloud: Cloud) -> None:
    cloud.deploy().refuse(TOPIC)
    code, output = cloud.run("predown")
    assert code == 1
    assert "nothing was deleted yet" in output


@pytest.mark.parametrize("text", ["agents: {Hello Agent: {repository: agents/hello}}", "agents: ["])
def test_prepackage_rejects_a_wrong_agents_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(text)
    assert prepackage.main(file) == 1
    assert "agents.yaml:1: " in capsys.readouterr().out
    assert prepackage.main(tmp_path / "none.yaml") == 1


def test_the_hooks_import_only_what_their_requirements_list() -> None:
    hooks = " ".join(f"import infra.hooks.{path.stem};" for path in (ROOT / "infra/hooks").glob("*.py"))
    later = (
        "import azure.containerregistry.aio, handlers.gateways.storage.journal, handlers.gateways.storage.state_store;"
    )
    command = [sys.executable, "-c", f"{hooks} {later} import sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    owners = {**metadata.packages_distributions(), "azure": list[str]()}  # a namespace of many packages
    used = {name.lower().replace("_", "-") for module in loaded for name in owners.get(module, [])} - {"setuptools"}
    azure = {
        "-".join(module.split(".")[: 3 if ".storage." in module else 2]) for module in loaded if "azure." in module
    }
    used |= {name for name in azure if name.startswith("azure-")} - {"azure-storage"}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "infra/hooks/requirements.txt").read_text(), re.MULTILINE))
    assert {"pydantic", "pyyaml"} <= used <= locked


def test_prepackage_accepts_this_repositorys_agents_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepackage.main() == 0
    assert "no mistake" in capsys.readouterr().out


def test_findings_are_printed_in_any_code_page(cloud: Cloud) -> None:
    cloud.env |= {"PYTHONIOENCODING": "cp1252", "REGISTRY_NAME": "!"}
    code, output = cloud.script("preprovision")
    assert code == 1
    assert "→ azd env set REGISTRY_NAME" in output


def test_providers_are_registered_with_consent_only(cloud: Cloud) -> None:
    unregistered_provider(cloud)
    refused, output = cloud.run("preprovision")
    assert (refused, "azd env set REGISTER_PROVIDERS true" in output) == (1, True)
    assert "az provider register --namespace Microsoft.EventGrid" in output
    cloud.env["REGISTER_PROVIDERS"] = "true"
    code, output = cloud.run("preprovision")
    assert (code, "Microsoft.EventGrid was registered" in output) == (0, True), output
    requests = [request for request in cloud.arm.requests if request["path"].partition("?")[0].endswith("/register")]
    assert [request["method"] for request in requests] == ["POST"]


def test_an_app_without_any_function_is_a_build_with_another_python() -> None:
    finding = smoke.indexed([], {"event_queued"})
    assert (finding.level, "another Python than PYTHON_VERSION" in finding.help) == ("error", True)


@pytest.mark.parametrize("hook", ["prepackage", "preprovision", "postprovision", "postdeploy", "predown"])
def test_a_python_that_is_too_old_is_named_before_anything_is_imported(hook: str) -> None:
    script = ROOT / "infra" / "hooks" / f"{hook}.py"
    start = f"import runpy, sys; sys.version_info = (3, 10, 12); runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("Slipway's hooks need Python 3.11 or newer, and the first one on the PATH is 3.10:")


@pytest.mark.parametrize(
    ("key", "extra"),
    [
        ("verify", "release: {verify: {ask: ping, expect: pong}}"),
        ("evaluate", "release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}}"),
        ("check", "release: {check: {ask: ping, expect: pong}}"),
        ("tools", "tools: [{type: code_interpreter}]"),
    ],
)
def test_what_the_role_versions_does_not_cover_is_refused_before_the_deployment(key: str, extra: str) -> None:
    text = f"agents: {{hello-agent: {{repository: agents/hello, {extra}}}}}"
    agents = load_agents(text.encode(), lambda _: b'{"ask": "ping", "expect": "pong"}\n')
    first = next(iter(agents_against_rights(from_env({"FOUNDRY_ROLE": "versions"}), agents)))
    assert (first.level, first.message) == (
        "error",
        f"agent hello-agent has {key}, which FOUNDRY_ROLE=versions does not cover",
    )
    assert [finding.level for finding in agents_against_rights(from_env({}), agents)] == ["ok"]
