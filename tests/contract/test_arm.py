"""``slipway doctor`` against the Resource Manager stand-in: each cause of an ImageError or a 403, with its fix."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from cli.arm_client import ArmClient
from cli.doctor import event_subscriptions, local_checks, registry, run
from cli.doctor.resources import Resources, find
from cli.doctor.result import Check
from cli.doctor.role_assignments import RoleAssignments
from core.agents_file.loader import load_agents
from handlers.gateways.errors import PermanentError
from handlers.settings import Settings
from local.arm import (
    ACCOUNT_ID,
    APP,
    CLIENT,
    GROUP,
    OWNER,
    PROJECT,
    REGISTRY,
    REPOSITORY_READER,
    ROLES,
    TOPIC,
    VAULT,
    VAULT_TOPIC,
    Arm,
)
from local.arm_fixture import populate
from local.stand_in import Fault
from local.tls import Authority
from tests.simulation.scene import ENVIRONMENT

AGENTS = load_agents(b"agents: {hello-agent: {repository: agents/hello, env: {KEY: {secret: hello-key}}}}")
STAGED = load_agents(
    b"""
projects:
  eu: {endpoint: "https://local/api/projects/hello-eu", vault: "https://vault.local/vaults/eu"}
  us: {endpoint: "https://elsewhere.services.ai.azure.com/api/projects/hello-us"}
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    stages: [{project: default}, {projects: [eu, us], soak: 1h}]
"""
)
EU, EU_VAULT = f"{ACCOUNT_ID}/projects/hello-eu", f"{VAULT}-eu"
ELSEWHERE = f"{ACCOUNT_ID}-elsewhere"
ADDRESSES = {
    "foundry": "https://local",
    "vault": "https://vault.local",
    "blob": "https://storage.local",
    "queue": "https://queue.local",
}
SETTINGS = replace(Settings.from_env(ENVIRONMENT), blob_uri="https://storage.local")
REGISTRY_ASSIGNMENTS = f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments"
SUBSCRIPTION = f"{TOPIC}/eventSubscriptions/slipway"


class AnyCredential:
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("local", 2_000_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> AnyCredential:
        return self

    async def __aexit__(self, *args: object) -> None: ...


class Doctor:
    """Runs the checks, as often as the stand-in changes."""

    def __init__(self, arm: Arm, client: ArmClient) -> None:
        self.arm, self.client, self.agents = arm, client, AGENTS

    def change(self, identifier: str, change: dict[str, Any] | None) -> None:
        from local.arm import merged

        if change is None:
            del self.arm.resources[identifier.lower()]
        else:
            self.arm.resources[identifier.lower()] = merged(self.arm.resources[identifier.lower()], change)

    async def found(self) -> Resources:
        return await find(self.client, SETTINGS, self.agents, CLIENT, None)

    async def checks(self) -> dict[str, Check]:
        found, assignments = await self.found(), RoleAssignments(self.client)
        checks = [
            *await registry.checks(found, assignments, "demo.azurecr.io"),
            *await run.check_app_identity(found, assignments),
            *await event_subscriptions.checks(found, self.client, self.agents),
        ]
        return {check.name: check for check in checks}

    async def problems(self) -> dict[str, Check]:
        return {name: check for name, check in (await self.checks()).items() if check.status != "ok"}


@pytest.fixture
async def doctor(tmp_path: Path) -> AsyncIterator[Doctor]:
    authority, arm = Authority(tmp_path), Arm()
    populate(arm, ADDRESSES, ["hello-eu"], ["eu"])
    address = await arm.start(tls=authority.server())
    client = ArmClient(AnyCredential(), address, connection_verify=str(authority.ca))
    yield Doctor(arm, client)
    await client.close()
    await arm.stop()


async def test_a_correct_setup_has_no_problem(doctor: Doctor) -> None:
    assert await doctor.problems() == {}
    assert len(await doctor.checks()) == 15


async def test_a_registry_that_does_not_accept_arm_tokens(doctor: Doctor) -> None:
    disabled = {"properties": {"policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}}}
    doctor.change(REGISTRY, disabled)
    (check,) = (await doctor.problems()).values()
    assert check.status == "failed"
    assert check.fix == "az acr config authentication-as-arm update -r demo --status enabled"


async def test_in_abac_mode_acr_pull_is_not_enough(doctor: Doctor) -> None:
    doctor.change(REGISTRY, {"properties": {"roleAssignmentMode": "AbacRepositoryPermissions"}})
    problems = await doctor.problems()
    project = problems["identity of the project on registry"]
    assert project.detail == "lacks Container Registry Repository Reader; it has AcrPull, which is not enough"
    assert f"--role {REPOSITORY_READER} --scope {REGISTRY}" in project.fix
    assert problems["identity of the account on registry"].status == "unknown"
    reader = {"principalId": PROJECT, "roleDefinitionId": f"{ROLES}/{REPOSITORY_READER}", "scope": REGISTRY}
    doctor.arm.put(f"{REGISTRY_ASSIGNMENTS}/abac", properties=reader)
    assert "identity of the project on registry" not in await doctor.problems()
    doctor.change(
        f"{REGISTRY_ASSIGNMENTS}/abac",
        {"properties": {"condition": "@Request[…] StringEqualsIgnoreCase 'agents/hello'"}},
    )
    assert (await doctor.problems())["identity of the project on registry"].status == "unknown"


async def test_owner_is_not_enough_for_data_access(doctor: Doctor) -> None:
    for key, resource in doctor.arm.resources.items():
        if "/roleassignments/" in key and resource["properties"]["principalId"] == APP:
            resource["properties"] |= {"roleDefinitionId": f"{ROLES}/{OWNER}", "scope": GROUP}
    problems = await doctor.problems()
    assert set(problems) == {
        f"identity of the app on {name}" for name in ("project", "vault", "storage (blobs)", "storage (queues)")
    }
    assert all("it has Owner, which is not enough" in check.detail for check in problems.values())


async def test_a_role_on_another_resource_is_not_enough(doctor: Doctor) -> None:
    other_registry = {"properties": {"scope": f"{REGISTRY}2"}}
    for key in [key for key in doctor.arm.resources if key.startswith(f"{REGISTRY_ASSIGNMENTS}/".lower())]:
        doctor.change(key, other_registry)
    assert (await doctor.problems())["identity of the project on registry"].detail == "lacks AcrPull"
    subscription = {"properties": {"scope": "/subscriptions/" + GROUP.split("/")[2]}}
    for key in [key for key in doctor.arm.resources if key.startswith(f"{REGISTRY_ASSIGNMENTS}/".lower())]:
        doctor.change(key, subscription)
    assert await doctor.problems() == {}


async def test_a_vault_with_access_policies(doctor: Doctor) -> None:
    doctor.change(VAULT, {"properties": {"enableRbacAuthorization": False}})
    (check,) = (await doctor.problems()).values()
    assert "az keyvault set-policy -n demo-vault" in check.fix
    allowed = [{"objectId": APP, "permissions": {"secrets": ["Get", "List"]}}]
    doctor.change(VAULT, {"properties": {"accessPolicies": allowed}})
    assert await doctor.problems() == {}


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"provisioningState": "Failed"}, "it is Failed"),
        (
            {"filter": {"includedEventTypes": ["Microsoft.ContainerRegistry.ImageDeleted"]}},
            "excludes Microsoft.*Pushed",
        ),
        ({"filter": {"subjectBeginsWith": "agents/other"}}, "filter on the subject excludes agents/hello"),
        ({"filter": {"subjectEndsWith": ":latest"}}, "filter on the subject excludes agents/hello"),
        (
            {
                "filter": {
                    "advancedFilters": [{"operatorType": "StringIn", "key": "data.target.repository", "values": ["x"]}]
                }
            },
            "advanced filters exclude agents/hello",
        ),
        (
            {"filter": {"advancedFilters": [{"operatorType": "StringBeginsWith", "key": "subject", "values": ["x"]}]}},
            "advanced filters exclude agents/hello",
        ),
    ],
)
async def test_an_event_subscription_that_filters_a_followed_repository_out(
    doctor: Doctor, change: dict[str, Any], detail: str
) -> None:
    doctor.change(SUBSCRIPTION, {"properties": change})
    (check,) = (await doctor.problems()).values()
    assert check.status == "failed"
    assert re.search(detail, check.detail)


async def test_an_event_subscription_with_filters_that_include_the_repository_is_correct(doctor: Doctor) -> None:
    advanced = [
        {"operatorType": "StringIn", "key": "data.target.repository", "values": ["Agents/Hello"]},
        {"operatorType": "IsNotNull", "key": "data.target.tag"},
    ]
    filters = {"filter": {"subjectBeginsWith": "agents/", "advancedFilters": advanced}}
    doctor.change(SUBSCRIPTION, {"properties": filters})
    assert await doctor.problems() == {}


async def test_an_event_subscription_that_loses_events_delivers_elsewhere_or_is_missing(doctor: Doctor) -> None:
    doctor.change(SUBSCRIPTION, {"properties": {"deadLetterWithResourceIdentity": None}})
    (check,) = (await doctor.problems()).values()
    assert "undeliverable events are lost" in check.detail
    delivery = {"destination": {"endpointType": "StorageQueue", "properties": {"queueName": "another"}}}
    doctor.change(SUBSCRIPTION, {"properties": {"deliveryWithResourceIdentity": delivery}})
    assert "no event reaches the app" in (await doctor.problems())["event subscription of the registry"].detail
    doctor.change(SUBSCRIPTION, None)
    assert "no event reaches the app" in (await doctor.problems())["event subscription of the registry"].detail


async def test_a_subscription_of_the_vault_that_loses_events_of_a_secret_names_the_secret(doctor: Doctor) -> None:
    name, subscription = "event subscription of the vault", f"{VAULT_TOPIC}/eventSubscriptions/slipway"
    assert "every secret" in (await doctor.checks())[name].detail
    doctor.change(subscription, {"properties": {"filter": {"subjectBeginsWith": "another-"}}})
    assert (await doctor.problems())[name].detail == "its filter on the subject excludes hello-key"
    for ends, status in (("-KEY", "ok"), ("-password", "failed")):
        doctor.change(subscription, {"properties": {"filter": {"subjectBeginsWith": "", "subjectEndsWith": ends}}})
        assert (await doctor.checks())[name].status == status


async def test_a_resource_that_cannot_be_read_is_not_called_wrong(doctor: Doctor) -> None:
    identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway"
    for resource in (REGISTRY, VAULT, identity):
        doctor.change(resource, None)
    assert {check.status for check in (await doctor.problems()).values()} == {"unknown"}


@pytest.fixture
def staged(doctor: Doctor) -> Doctor:
    """The same with agents in three projects, one of them in another account, and two vaults."""
    doctor.agents = STAGED
    endpoints = {"AI Foundry API": "https://elsewhere.services.ai.azure.com/"}
    doctor.arm.put(ELSEWHERE, identity={"principalId": "other-account"}, properties={"endpoints": endpoints})
    doctor.arm.put(f"{ELSEWHERE}/projects/hello-us", identity={"principalId": "project-us"}, properties={})
    return doctor


async def test_each_project_and_vault_is_checked_and_named(staged: Doctor) -> None:
    checks = await staged.checks()
    for name in (
        "connection of the project eu to the registry",
        "identity of the project eu on registry",
        "identity of the app on project eu",
        "identity of the app on vault vault.local/vaults/eu",
        "event subscription of the vault vault.local/vaults/eu",
    ):
        assert checks[name].status == "ok"
    assert "identity of the account of project eu on registry" not in checks, (
        "it is the account of the settings' project"
    )
    assert {name: (check.status, check.detail) for name, check in (await staged.problems()).items()} == {
        "connection of the project us to the registry": ("unknown", "missing; it is documented as required"),
        "identity of the project us on registry": ("failed", "lacks AcrPull"),
        "identity of the account of project us on registry": ("unknown", "lacks AcrPull; some projects pull with it"),
        "identity of the app on project us": ("failed", "lacks Foundry User"),
    }
    fix = (await staged.problems())["identity of the app on project us"].fix
    assert fix.endswith(f"--scope {ELSEWHERE}/projects/hello-us")


async def test_what_one_project_or_vault_lacks_is_named_with_it_alone(staged: Doctor) -> None:
    before = set(await staged.problems())
    for key in [key for key in staged.arm.resources if "/roleassignments/" in key]:
        if key.startswith((f"{EU}/".lower(), f"{EU_VAULT}/".lower())):
            staged.change(key, None)
    staged.change(f"{VAULT_TOPIC}-eu/eventSubscriptions/slipway", None)
    assert set(await staged.problems()) - before == {
        "identity of the app on project eu",
        "identity of the app on vault vault.local/vaults/eu",
        "event subscription of the vault vault.local/vaults/eu",
    }


async def test_a_project_that_may_not_be_read_stops_no_check_of_another(staged: Doctor) -> None:
    staged.arm.faults = [Fault("/projects/hello-us[?]", status=403, body={"error": {"code": "AuthorizationFailed"}})]
    checks = await staged.checks()
    assert (checks["identity of the app on project us"].status, checks["identity of the app on project"].status) == (
        "unknown",
        "ok",
    )
    assert checks["connection of the project us to the registry"].detail == "you may not read the project us"


async def test_a_vault_that_a_project_shares_with_the_settings_is_checked_once(doctor: Doctor) -> None:
    text = b"projects: {eu: {endpoint: 'https://local/api/projects/hello-eu', vault: 'https://vault.local:443'}}\n"
    agents = b"agents: {hello: {repository: a, env: {K: {secret: k}}, stages: [{projects: [default, eu]}]}}"
    doctor.agents = load_agents(text + agents)
    assert set((await doctor.found()).vaults) == {""}
    assert await doctor.problems() == {}


async def test_all_pages_of_a_list_are_read_and_a_403_is_a_permanent_error(doctor: Doctor) -> None:
    page = {"value": [{"subscriptionId": "s"}], "nextLink": f"{doctor.arm.url}/subscriptions?api-version=1&page=2"}
    doctor.arm.faults = [Fault("^/subscriptions\\?api-version=1$", status=200, body=page)]
    listed = await doctor.client.list("/subscriptions", "1")
    assert [subscription["subscriptionId"] for subscription in listed] == ["s", GROUP.split("/")[2]]
    doctor.arm.faults = [Fault(".*", status=403, body={"error": {"code": "AuthorizationFailed"}})]
    with pytest.raises(PermanentError, match="ARM: AuthorizationFailed"):
        await doctor.found()


def test_the_local_checks(tmp_path: Path) -> None:
    assert local_checks.check_python().status == "ok"
    (check,) = local_checks.check_sources(replace(SETTINGS, registry_id="", key_vault_id="/x"))
    assert (check.status, check.detail) == ("unknown", "without REGISTRY_ID only names are compared, not subscriptions")
    assert local_checks.check_sdks().status == "ok"
    lock = tmp_path / "requirements.txt"
    lock.write_text("azure-identity==0.1.0 \\\n")
    assert "instead of 0.1.0" in local_checks.check_sdks(lock).detail
    unusual = load_agents(b'agents: {a-1: {repository: a, cpu: "8", memory: 1Gi, protocols: {responses: "9.0"}}}')
    assert [check.status for check in local_checks.check_agents(unusual)] == ["ok", "ok", "failed", "unknown"]
