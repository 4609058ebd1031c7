"""After the code is there: events come the way that was asked for, every function is up, and one event is answered."""

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

from core.rules import Agents
from infra.hooks import smoke
from infra.hooks.azure_cli import Azure, AzureError
from infra.hooks.deploy_request import DeployRequest, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.prepackage import ROOT, rules

SITES, SUBSCRIPTIONS = "2024-11-01", "2025-02-15"
EVENTS = {
    "REGISTRY": ("Microsoft.ContainerRegistry.ImagePushed", "image_pushed"),
    "VAULT": ("Microsoft.KeyVault.SecretNewVersionCreated", "secret_changed"),
}
INDEXED_WITHIN, ANSWERED_WITHIN, LOOK_EVERY = 300.0, 600.0, 10.0
"""Seconds. A role that was just assigned may take ten minutes until storage knows it."""
Wait = Callable[[float], None]


def main(env: Mapping[str, str]) -> int:
    """All of it; the exit code."""
    return report("after deploy", findings(from_env(env), env, Azure(env), time.sleep))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure, wait: Wait) -> Iterator[Finding]:
    """In order: what does not come up cannot be subscribed, and what is not subscribed may still be asked."""
    app = f"{group_id(request.subscription, request.group)}/providers/Microsoft.Web/sites/{env['AZURE_FUNCTION_NAME']}"
    try:
        up = _indexed(app, azure, wait)
        yield up
        if up.level == "ok":
            for source in (request.registry, request.vault):
                yield _subscribed(source, request, app, env, azure)
            yield from _smoke(request, env, azure, wait)
    except AzureError as refused:
        yield error("Azure", str(refused), "mend it, then: azd hooks run postdeploy")


def _indexed(app: str, azure: Azure, wait: Wait) -> Finding:
    wanted = smoke.functions(ROOT / "function_app.py")
    for _ in range(int(INDEXED_WITHIN / LOOK_EVERY)):
        found = smoke.indexed(azure.list(f"{app}/functions", SITES), wanted)
        if found.level == "ok":
            break
        wait(LOOK_EVERY)
    return found


def _subscribed(source: Source, request: DeployRequest, app: str, env: Mapping[str, str], azure: Azure) -> Finding:
    """The way that is asked for is there before the other one goes; an event that comes twice is one push."""
    other = "function" if request.delivery == "queue" else "queue"
    if request.delivery == "function" or not request.assign_roles:
        _subscribe(source, request, app, env, azure)
    name, topic = f"slipway-{env['SLIPWAY_TOKEN']}", env[f"SLIPWAY_{source.kind}_TOPIC_ID"]
    azure.delete(f"{topic}/eventSubscriptions/{name}-{other}", SUBSCRIPTIONS)
    return ok(source.kind.lower(), f"its events go to the {request.delivery}")


def _subscribe(source: Source, request: DeployRequest, app: str, env: Mapping[str, str], azure: Azure) -> None:
    """What infra/main.bicep could not: a function was not there yet, or the topic's roles were not."""
    kind, function = EVENTS[source.kind]
    _, _, subscription, _, group, *_, topic = env[f"SLIPWAY_{source.kind}_TOPIC_ID"].split("/")
    own, name = app.partition("/providers/")[0], f"slipway-{env['SLIPWAY_TOKEN']}-{request.delivery}"
    given = {
        "topicName": topic,
        "subscriptionName": name,
        "eventType": kind,
        "storageId": f"{own}/providers/Microsoft.Storage/storageAccounts/{env['AZURE_STORAGE_ACCOUNT_NAME']}",
    }
    straight = {"functionAppId": app, "functionName": function} if request.delivery == "function" else {}
    template = ROOT / "infra" / "modules" / f"subscription{'-function' if straight else ''}.bicep"
    parameters = [f"{key}={value}" for key, value in {**given, **straight}.items()]
    where = ("--resource-group", group, "--subscription", subscription, "--name", f"{name}-{source.kind.lower()}")
    azure.run(*("deployment", "group", "create", *where), "--template-file", str(template), "--parameters", *parameters)


def _smoke(request: DeployRequest, env: Mapping[str, str], azure: Azure, wait: Wait) -> Iterator[Finding]:
    agents = rules(ROOT / "agents.yaml")
    if not isinstance(agents, Agents):
        yield from agents
        return
    storage = Storage(azure, env["AZURE_STORAGE_ACCOUNT_NAME"])
    identity, now = f"slipway-smoke-{uuid.uuid4()}", datetime.now(UTC)
    told = smoke.event(agents, request.registry.id, identity, now)
    try:
        before = _patiently(storage.ledger, wait)
        storage.send(smoke.message(told))
    except AzureError as refused:
        if not request.private:
            raise
        yield note("smoke", f"storage is private: {refused}", "from inside the network: azd hooks run postdeploy")
        return
    lines: list[Mapping[str, Any]] = []
    for _ in range(int(ANSWERED_WITHIN / LOOK_EVERY)):
        lines = smoke.answers(storage.journal(now), identity)
        if lines:
            break
        wait(LOOK_EVERY)
    yield from smoke.judge(lines, before, storage.ledger(), ANSWERED_WITHIN)


def _patiently(ask: Callable[[], dict[str, str]], wait: Wait) -> dict[str, str]:
    """The first answer; raises the last AzureError where a new role is not known within its time."""
    for _ in range(int(ANSWERED_WITHIN / LOOK_EVERY) - 1):
        try:
            return ask()
        except AzureError:
            wait(LOOK_EVERY)
    return ask()


class Storage:
    """The app's own storage, with the rights of whoever runs azd."""

    def __init__(self, azure: Azure, account: str) -> None:
        self._azure = azure
        self._with = ("--account-name", account, "--auth-mode", "login")

    def send(self, text: str) -> None:
        """Put a message into ``events``."""
        self._azure.run("storage", "message", "put", "--queue-name", "events", "--content", text, *self._with)

    def ledger(self) -> dict[str, str]:
        """What every agent should run, as name and ETag; an empty ledger is one."""
        given = ("--container-name", "slipway", "--prefix", "wanted/", *self._with)
        listed = self._azure.run("storage", "blob", "list", *given, absent=[])
        return {one["name"]: str(one["properties"]["etag"]) for one in listed}

    def journal(self, day: datetime) -> str:
        """A day's journal, in all its parts."""
        text = ""
        with tempfile.TemporaryDirectory() as folder:
            for part in range(1000):
                file = Path(folder) / str(part)
                name = f"journal/{day:%Y-%m-%d}{f'.{part}' if part else ''}.jsonl"
                given = (
                    "--container-name",
                    "slipway",
                    "--name",
                    name,
                    "--file",
                    str(file),
                    "--no-progress",
                    *self._with,
                )
                if self._azure.run("storage", "blob", "download", *given, absent=False) is False:
                    break
                text += file.read_text()
        return text


if __name__ == "__main__":
    sys.exit(main(os.environ))
