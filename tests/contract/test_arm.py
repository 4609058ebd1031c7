"""Doctor against the Resource Manager stand-in: each cause of an ImageError or a 403 is found, and what mends it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from cli.doctor import event_subscriptions, local_checks, registry, run
from cli.doctor.arm_client import ArmClient
from cli.doctor.resources import Resources, find
from cli.doctor.result import Check
from cli.doctor.role_assignments import RoleAssignments
from core.agents_file.loader import load_agents
from handlers.gateways.errors import PermanentError
from handlers.settings import Settings
from local.arm import APP, CLIENT, GROUP, OWNER, PROJECT, REGISTRY, REPOSITORY_READER, ROLES, TOPIC, VAULT, Arm
from local.arm_fixture import populate
from local.stand_in import Fault
from local.tls import Authority
from tests.simulation.scene import ENVIRONMENT

RULES = load_agents(b"agents: {hello-agent: {repository: agents/hello, env: {KEY: {secret: hello-key}}}}")
ADDRESSES = {
    "foundry": "https://local",
    "vault": "https://vault.local",
    "blob": "https://storage.local",
    "queue": "https://queue.local",
}
SETTINGS = replace(Settings.from_env(ENVIRONMENT), blob_uri="https://storage.local")
PULLS = f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments"
SUBSCRIPTION = f"{TOPIC}/eventSubscriptions/slipway"


class Anybody:
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("local", 2_000_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Anybody:
        return self

    async def __aexit__(self, *args: object) -> None: ...


class Patient:
    """One visit after the other, with the stand-in changed in between."""

    def __init__(self, arm: Arm, client: ArmClient) -> None:
        self.arm, self.client = arm, client

    def change(self, identifier: str, change: dict[str, Any] | None) -> None:
        from local.arm import merged

        if change is None:
            del self.arm.resources[identifier.lower()]
        else:
            self.arm.resources[identifier.lower()] = merged(self.arm.resources[identifier.lower()], change)

    async def found(self) -> Resources:
        return await find(self.client, SETTINGS, CLIENT, None)

    async def checks(self) -> dict[str, Check]:
        found, rights = await self.found(), RoleAssignments(self.client)
        told = [
            *await registry.checks(found, rights, "demo.azurecr.io"),
            *await run.check_app_identity(found, rights),
            *await event_subscriptions.checks(found, self.client, RULES),
        ]
        return {one.name: one for one in told}

    async def wrong(self) -> dict[str, Check]:
        return {what: one for what, one in (await self.checks()).items() if one.status != "ok"}


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Patient]:
    authority, arm = Authority(tmp_path), Arm()
    populate(arm, ADDRESSES)
    address = await arm.start(tls=authority.server())
    client = ArmClient(Anybody(), address, connection_verify=str(authority.ca))
    yield Patient(arm, client)
    await client.close()
    await arm.stop()


async def test_where_all_is_well_nothing_is_wrong(patient: Patient) -> None:
    assert await patient.wrong() == {}
    assert len(await patient.checks()) == 15


async def test_the_policy_behind_most_image_errors(patient: Patient) -> None:
    off = {"properties": {"policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}}}
    patient.change(REGISTRY, off)
    (check,) = (await patient.wrong()).values()
    assert check.status == "failed"
    assert check.fix == "az acr config authentication-as-arm update -r demo --status enabled"


async def test_in_abac_mode_acr_pull_counts_for_nothing(patient: Patient) -> None:
    patient.change(REGISTRY, {"properties": {"roleAssignmentMode": "AbacRepositoryPermissions"}})
    wrong = await patient.wrong()
    project = wrong["identity of the project on registry"]
    assert project.detail == "lacks Container Registry Repository Reader; it has AcrPull, which is not enough"
    assert f"--role {REPOSITORY_READER} --scope {REGISTRY}" in project.fix
    assert wrong["identity of the account on registry"].status == "unknown"
    told = {"principalId": PROJECT, "roleDefinitionId": f"{ROLES}/{REPOSITORY_READER}", "scope": REGISTRY}
    patient.arm.put(f"{PULLS}/abac", properties=told)
    assert "identity of the project on registry" not in await patient.wrong()
    patient.change(f"{PULLS}/abac", {"properties": {"condition": "@Request[…] StringEqualsIgnoreCase 'agents/hello'"}})
    assert (await patient.wrong())["identity of the project on registry"].status == "unknown"


async def test_owner_is_not_enough_where_data_is_touched(patient: Patient) -> None:
    for key, one in patient.arm.resources.items():
        if "/roleassignments/" in key and one["properties"]["principalId"] == APP:
            one["properties"] |= {"roleDefinitionId": f"{ROLES}/{OWNER}", "scope": GROUP}
    wrong = await patient.wrong()
    assert set(wrong) == {
        f"identity of the app on {one}" for one in ("project", "vault", "storage (blobs)", "storage (queues)")
    }
    assert all("it has Owner, which is not enough" in one.detail for one in wrong.values())


async def test_a_role_at_another_resource_does_not_count(patient: Patient) -> None:
    elsewhere = {"properties": {"scope": f"{REGISTRY}2"}}
    for key in [key for key in patient.arm.resources if key.startswith(f"{PULLS}/".lower())]:
        patient.change(key, elsewhere)
    assert (await patient.wrong())["identity of the project on registry"].detail == "lacks AcrPull"
    everywhere = {"properties": {"scope": "/subscriptions/" + GROUP.split("/")[2]}}
    for key in [key for key in patient.arm.resources if key.startswith(f"{PULLS}/".lower())]:
        patient.change(key, everywhere)
    assert await patient.wrong() == {}


async def test_a_vault_with_access_policies(patient: Patient) -> None:
    patient.change(VAULT, {"properties": {"enableRbacAuthorization": False}})
    (check,) = (await patient.wrong()).values()
    assert "az keyvault set-policy -n demo-vault" in check.fix
    allowed = [{"objectId": APP, "permissions": {"secrets": ["Get", "List"]}}]
    patient.change(VAULT, {"properties": {"accessPolicies": allowed}})
    assert await patient.wrong() == {}


@pytest.mark.parametrize(
    ("change", "why"),
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
async def test_a_subscription_that_lets_a_followed_repository_not_pass(
    patient: Patient, change: dict[str, Any], why: str
) -> None:
    patient.change(SUBSCRIPTION, {"properties": change})
    (check,) = (await patient.wrong()).values()
    assert check.status == "failed"
    assert re.search(why, check.detail)


async def test_filters_that_name_the_repository_let_it_pass(patient: Patient) -> None:
    advanced = [
        {"operatorType": "StringIn", "key": "data.target.repository", "values": ["Agents/Hello"]},
        {"operatorType": "IsNotNull", "key": "data.target.tag"},
    ]
    told = {"filter": {"subjectBeginsWith": "agents/", "advancedFilters": advanced}}
    patient.change(SUBSCRIPTION, {"properties": told})
    assert await patient.wrong() == {}


async def test_a_subscription_that_is_not_there_leads_elsewhere_or_drops(patient: Patient) -> None:
    patient.change(SUBSCRIPTION, {"properties": {"deadLetterWithResourceIdentity": None}})
    (check,) = (await patient.wrong()).values()
    assert "undeliverable events are lost" in check.detail
    to = {"destination": {"endpointType": "StorageQueue", "properties": {"queueName": "another"}}}
    patient.change(SUBSCRIPTION, {"properties": {"deliveryWithResourceIdentity": to}})
    assert "pushes do not reach the app" in (await patient.wrong())["event subscription of the registry"].detail
    patient.change(SUBSCRIPTION, None)
    assert "pushes do not reach the app" in (await patient.wrong())["event subscription of the registry"].detail


async def test_what_cannot_be_seen_is_no_reason_to_call_it_wrong(patient: Patient) -> None:
    for one in (REGISTRY, VAULT, f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway"):
        patient.change(one, None)
    assert {one.status for one in (await patient.wrong()).values()} == {"unknown"}


async def test_lists_are_read_to_their_end_and_a_refusal_is_ours(patient: Patient) -> None:
    page = {"value": [{"subscriptionId": "s"}], "nextLink": f"{patient.arm.url}/subscriptions?api-version=1&page=2"}
    patient.arm.faults = [Fault("^/subscriptions\\?api-version=1$", status=200, body=page)]
    listed = await patient.client.list("/subscriptions", "1")
    assert [one["subscriptionId"] for one in listed] == ["s", GROUP.split("/")[2]]
    patient.arm.faults = [Fault(".*", status=403, body={"error": {"code": "AuthorizationFailed"}})]
    with pytest.raises(PermanentError, match="ARM: 403"):
        await patient.found()


def test_what_can_be_seen_here(tmp_path: Path) -> None:
    assert local_checks.check_python().status == "ok"
    assert local_checks.check_sdks().status == "ok"
    lock = tmp_path / "requirements.txt"
    lock.write_text("azure-identity==0.1.0 \\\n")
    assert "instead of 0.1.0" in local_checks.check_sdks(lock).detail
    odd = load_agents(b'agents: {a-1: {repository: a, cpu: "8", memory: 1Gi, protocols: {responses: "9.0"}}}')
    assert [one.status for one in local_checks.check_agents(odd)] == ["ok", "ok", "failed", "unknown"]
