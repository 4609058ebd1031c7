"""azd postdeploy: wait until every function is up, subscribe them to the events, and send one smoke event."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.agents_file.spec import Agents
from infra.hooks import smoke
from infra.hooks.azure_cli import Azure, AzureError
from infra.hooks.deploy_request import DeployRequest, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.prepackage import ROOT, read_agents_file

WEB_API, EVENT_GRID_API = "2024-11-01", "2025-02-15"
EVENTS = {
    "REGISTRY": ("Microsoft.ContainerRegistry.ImagePushed", "image_pushed"),
    "VAULT": ("Microsoft.KeyVault.SecretNewVersionCreated", "secret_changed"),
}
"""Event type and function for each kind of source."""
MAX_INDEXING_SECONDS, MAX_ANSWER_SECONDS, POLL_INTERVAL_SECONDS = 300.0, 600.0, 10.0
"""Storage may take ten minutes to accept a role that was just assigned."""
Sleep = Callable[[float], None]


def main(env: Mapping[str, str]) -> int:
    """Run every step; return the exit code."""
    return report("postdeploy", findings(from_env(env), env, Azure(env), time.sleep))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure, sleep: Sleep) -> Iterator[Finding]:
    """Functions, then subscriptions, then the smoke event; without all functions the rest is skipped."""
    group = group_id(request.subscription, request.group)
    app = f"{group}/providers/Microsoft.Web/sites/{env['AZURE_FUNCTION_NAME']}"
    try:
        indexing = _wait_for_functions(app, azure, sleep)
        yield indexing
        if indexing.level == "ok":
            for source in (request.registry, request.vault):
                yield _deliver_events(source, request, app, env, azure)
            yield from _smoke_check(request, env, azure, sleep)
    except AzureError as failure:
        yield error("Azure", str(failure), "fix it, then: azd hooks run postdeploy")


def _wait_for_functions(app: str, azure: Azure, sleep: Sleep) -> Finding:
    expected = smoke.functions(ROOT / "function_app.py")
    for _ in range(int(MAX_INDEXING_SECONDS / POLL_INTERVAL_SECONDS)):
        indexing = smoke.indexed(azure.list(f"{app}/functions", WEB_API), expected)
        if indexing.level == "ok":
            break
        sleep(POLL_INTERVAL_SECONDS)
    return indexing


def _deliver_events(source: Source, request: DeployRequest, app: str, env: Mapping[str, str], azure: Azure) -> Finding:
    """Create the requested subscription before the other one is deleted; an event delivered twice is one push."""
    obsolete = "function" if request.event_delivery == "queue" else "queue"
    if request.event_delivery == "function" or not request.assign_roles:
        _create_subscription(source, request, app, env, azure)
    prefix, topic_id = f"slipway-{env['SLIPWAY_TOKEN']}", env[f"SLIPWAY_{source.kind}_TOPIC_ID"]
    azure.delete(f"{topic_id}/eventSubscriptions/{prefix}-{obsolete}", EVENT_GRID_API)
    return ok(source.kind.lower(), f"its events are delivered to the {request.event_delivery}")


def _create_subscription(
    source: Source, request: DeployRequest, app: str, env: Mapping[str, str], azure: Azure
) -> None:
    """A subscription that infra/main.bicep could not create: the function or the topic's roles did not exist yet."""
    event_type, function = EVENTS[source.kind]
    _, _, subscription, _, group, *_, topic = env[f"SLIPWAY_{source.kind}_TOPIC_ID"].split("/")
    app_group, name = app.partition("/providers/")[0], f"slipway-{env['SLIPWAY_TOKEN']}-{request.event_delivery}"
    parameters = {
        "topicName": topic,
        "subscriptionName": name,
        "eventType": event_type,
        "storageId": f"{app_group}/providers/Microsoft.Storage/storageAccounts/{env['AZURE_STORAGE_ACCOUNT_NAME']}",
    }
    module = "subscription.bicep"
    if request.event_delivery == "function":
        parameters |= {"functionAppId": app, "functionName": function}
        module = "subscription-function.bicep"
    target = ("--resource-group", group, "--subscription", subscription, "--name", f"{name}-{source.kind.lower()}")
    azure.run(
        *("deployment", "group", "create", *target, "--template-file", str(ROOT / "infra" / "modules" / module)),
        *("--parameters", *(f"{key}={value}" for key, value in parameters.items())),
    )


def _smoke_check(request: DeployRequest, env: Mapping[str, str], azure: Azure, sleep: Sleep) -> Iterator[Finding]:
    agents = read_agents_file(ROOT / "agents.yaml")
    if not isinstance(agents, Agents):
        yield from agents
        return
    storage = Storage(azure, env["AZURE_STORAGE_ACCOUNT_NAME"])
    event_id, now = f"slipway-smoke-{uuid.uuid4()}", datetime.now(UTC)
    event = smoke.event(agents, request.registry.id, event_id, now)
    try:
        before = _retry(storage.desired_etags, sleep)
        storage.send(smoke.message(event))
    except AzureError as failure:
        if not request.vnet_enabled:
            raise
        yield note("smoke", f"storage is private: {failure}", "from inside the network: azd hooks run postdeploy")
        return
    lines: list[Mapping[str, Any]] = []
    for _ in range(int(MAX_ANSWER_SECONDS / POLL_INTERVAL_SECONDS)):
        lines = smoke.answers(storage.journal(now), event_id)
        if lines:
            break
        sleep(POLL_INTERVAL_SECONDS)
    yield from smoke.judge(lines, before, storage.desired_etags(), MAX_ANSWER_SECONDS)


def _retry(read: Callable[[], dict[str, str]], sleep: Sleep) -> dict[str, str]:
    """The first successful result; raises the last AzureError if a new role does not take effect in time."""
    for _ in range(int(MAX_ANSWER_SECONDS / POLL_INTERVAL_SECONDS) - 1):
        try:
            return read()
        except AzureError:
            sleep(POLL_INTERVAL_SECONDS)
    return read()


class Storage:
    """The app's storage account, used with the rights of the account that runs azd."""

    def __init__(self, azure: Azure, account: str) -> None:
        self._azure = azure
        self._account = ("--account-name", account, "--auth-mode", "login")

    def send(self, text: str) -> None:
        """Put a message into the queue ``events``."""
        self._azure.run("storage", "message", "put", "--queue-name", "events", "--content", text, *self._account)

    def desired_etags(self) -> dict[str, str]:
        """The blobs of every agent's desired state, as name and ETag; empty before the first push."""
        query = ("--container-name", "slipway", "--prefix", "desired/", *self._account)
        blobs = self._azure.run("storage", "blob", "list", *query, absent=[])
        return {blob["name"]: str(blob["properties"]["etag"]) for blob in blobs}

    def journal(self, day: datetime) -> str:
        """The journal of a day, all its parts joined."""
        text = ""
        with tempfile.TemporaryDirectory() as folder:
            for part in range(1000):
                file = Path(folder) / str(part)
                name = f"journal/{day:%Y-%m-%d}{f'.{part}' if part else ''}.jsonl"
                blob = ("--container-name", "slipway", "--name", name, "--file", str(file), "--no-progress")
                if self._azure.run("storage", "blob", "download", *blob, *self._account, absent=False) is False:
                    break
                text += file.read_text()
        return text


if __name__ == "__main__":
    sys.exit(main(os.environ))
