"""What a hook says when Azure refuses or is not reached: each cause once, with the help that fits; the smoke check."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli.arm_client import ArmClient
from handlers.gateways.clock import SystemClock
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.journal import BlobJournal
from infra.hooks import postdeploy
from infra.hooks.deploy_request import from_env
from infra.hooks.findings import Finding
from local.credentials import AsyncLocalCredential
from local.stand_in import Fault
from local.storage.account import Storage
from tests.infra.cloud import SUBSCRIPTION, TOPIC, Cloud

PAGE = "<html><body>Sign in to the network</body></html>"


def errors(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("  error")]


def arm_error(status: int, code: str) -> Fault:
    return Fault(
        ".*", status=status, body={"error": {"code": code, "message": "refused"}}, headers={"Retry-After": "0"}
    )


@pytest.mark.parametrize(
    ("fault", "message", "help_"),
    [
        (arm_error(401, "ExpiredAuthenticationToken"), "ExpiredAuthenticationToken", "azd auth login --tenant-id"),
        (arm_error(403, "AuthorizationFailed"), "AuthorizationFailed", "ask for the role Reader there"),
        (arm_error(429, "TooManyRequests"), "TooManyRequests", "Azure asks to wait: try again in 60 seconds"),
        (arm_error(503, "ServerTimeout"), "ServerTimeout", "try again in some minutes"),
        *(
            (Fault(".*", status=code, body=PAGE), "another server answered", "HTTPS_PROXY")
            for code in (200, 403, 404, 407)
        ),
        (Fault(".*", status=200, body="[]"), "another server", "HTTPS_PROXY"),
        (Fault(".*", drop=True), "no answer", "check the network"),
    ],
    ids=lambda value: f"{value.status}{'-page' if value.body == PAGE else ''}" if isinstance(value, Fault) else "",
)
def test_the_help_fits_the_error(cloud: Cloud, fault: Fault, message: str, help_: str) -> None:
    cloud.arm.faults = [fault]
    code, output = cloud.run("preprovision")
    assert code == 1
    (line,) = errors(output)
    assert message in line
    assert help_ in output.partition(line)[2]
    assert cloud.changes() == []


def test_nobody_signed_in_is_said_once(cloud: Cloud) -> None:
    code, output = cloud.script("preprovision", LOCAL_AZD_SIGNED_OUT="1")
    assert code == 1
    (line,) = errors(output)
    assert "not signed in: " in line
    assert "sign in: azd auth login" in output.partition(line)[2]


def test_without_azd_and_az_the_sign_in_is_named(cloud: Cloud, tmp_path: Path) -> None:
    code, output = cloud.script("predown", PATH=str(tmp_path), SLIPWAY_TOKEN="abc", SLIPWAY_REGISTRY_TOPIC_ID=TOPIC)
    assert code == 1
    assert "not signed in: " in errors(output)[0]
    assert "nothing was deleted yet" in output


def test_an_address_that_nobody_answers_at_is_the_network(cloud: Cloud) -> None:
    cloud.env["ARM_ENDPOINT"] = "https://127.0.0.1:9"
    _, output = cloud.run("preprovision")
    assert "no answer" in errors(output)[0]
    assert "check the network and, behind a proxy, HTTPS_PROXY and its certificate" in output


def test_a_token_that_expires_on_the_way_is_renewed(cloud: Cloud) -> None:
    code, output = cloud.script("preprovision", LOCAL_AZD_TOKEN_SECONDS="1")
    assert code == 0, output


def test_a_subscription_that_the_account_cannot_see_ends_the_preflight(cloud: Cloud) -> None:
    cloud.env["AZURE_SUBSCRIPTION_ID"] = "00000000-0000-0000-0000-000000000009"
    code, output = cloud.run("preprovision")
    (line,) = errors(output)
    assert (code, "does not exist, or your account cannot see it" in line) == (1, True)
    cloud.env["AZURE_SUBSCRIPTION_ID"] = SUBSCRIPTION
    cloud.put(f"/subscriptions/{SUBSCRIPTION}", state="Disabled")
    assert "is Disabled" in errors(cloud.run("preprovision")[1])[0]


def client(cloud: Cloud) -> ArmClient:
    return ArmClient(AsyncLocalCredential(), cloud.env["ARM_ENDPOINT"], connection_verify=str(cloud.tls.ca))


async def test_an_operation_is_waited_for_and_its_reason_is_kept(cloud: Cloud) -> None:
    arm, path = client(cloud.deploy()), f"{TOPIC}/eventSubscriptions/x"
    running = Fault("operations/", status=200, body={"status": "Running"}, headers={"Retry-After": "0"}, times=3)
    failed = {"status": "Failed", "error": {"code": "Conflict", "message": "in use"}}
    cloud.arm.faults = [running]
    await arm.put(path, "1", {"properties": {}})
    assert running.used == 3
    cloud.arm.faults = [Fault("operations/", status=200, body=failed)]
    with pytest.raises(PermanentError, match=r"Conflict: put .*: in use"):
        await arm.put(path, "1", {"properties": {}})
    creating = {"properties": {"provisioningState": "Creating"}}
    cloud.arm.faults = [Fault("eventSubscriptions/x", "PUT", status=201, body=creating, headers={"Retry-After": "0"})]
    await arm.put(path, "1", {"properties": {}})
    cloud.arm.faults = [Fault("operations/", status=202, headers={"Retry-After": "0"})]
    with pytest.raises(TransientError, match="not finished"):
        await arm.delete(path, "1")
    await arm.delete(path, "1")
    await arm.close()


@pytest.fixture
def storage(cloud: Cloud, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The app's storage account, with what infra/ creates in it."""

    async def start() -> tuple[Storage, dict[str, str]]:
        account = Storage(tmp_path / "storage")
        account.store.create_queue("events")
        return account, await account.start(tls=cloud.tls.server())

    account, addresses = cloud.background.run(start())
    yield addresses
    cloud.background.run(account.stop())


class App:
    """Takes the event from the queue and answers it in the journal, while the hook waits."""

    def __init__(self, addresses: dict[str, str], cloud: Cloud, **answer: Any) -> None:
        self._cloud, self._answer = cloud, answer
        options = {"connection_verify": str(cloud.tls.ca)}
        self._account = StorageAccount.from_uris(
            addresses["blob"], addresses["queue"], AsyncLocalCredential(), **options
        )

    def close(self) -> None:
        self._cloud.background.run(self._account.close())

    def __call__(self, seconds: float) -> None:
        self._cloud.background.run(self._run())

    async def _run(self) -> None:
        journal = BlobJournal(self._account, SystemClock())
        async for message in self._account.queue("events").receive_messages(visibility_timeout=60):
            event = json.loads(base64.b64decode(message.content))
            line = {"event": event["id"], "agent": "hello-agent", "reason": "ACCEPTED", **self._answer}
            await journal.append({"dry_run": event["data"]["dry_run"], **line})


def smoke_check(cloud: Cloud, addresses: dict[str, str], **answer: Any) -> list[Finding]:
    names = ("AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri")
    env = {**cloud.deploy().env, **dict(zip(names, (addresses["blob"], addresses["queue"]), strict=True))}
    cloud.env = env
    with cloud.azure() as azure, closing(App(addresses, cloud, **answer)) as app:
        return list(postdeploy.findings(from_env(env), env, azure, app))


def test_the_smoke_event_is_answered_and_changes_nothing(cloud: Cloud, storage: dict[str, str]) -> None:
    assert [(finding.level, finding.message) for finding in smoke_check(cloud, storage)] == [
        ("ok", "10 indexed"),
        ("ok", "its events are delivered to the queue"),
        ("ok", "its events are delivered to the queue"),
        ("ok", "hello-agent: ACCEPTED"),
        ("ok", "no desired state changed"),
    ]


def test_an_old_app_that_releases_the_smoke_event_is_an_error(cloud: Cloud, storage: dict[str, str]) -> None:
    (error,) = [finding for finding in smoke_check(cloud, storage, dry_run=False) if finding.level == "error"]
    assert error.help == "the deployed app is not this checkout: azd deploy"
