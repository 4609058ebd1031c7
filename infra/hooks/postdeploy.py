"""azd postdeploy: wait until every function is up, subscribe them to the events, and send one smoke event."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import infra.hooks.python_version  # noqa: F401 - ends the hook on a Python that is too old

# isort: split
from cli.arm_versions import WEB
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError, PermanentError
from infra.hooks import event_subscriptions, smoke
from infra.hooks.azure_client import Azure, explain, report_failure
from infra.hooks.deploy_request import DeployRequest, from_env, group_id
from infra.hooks.event_subscriptions import Sleep
from infra.hooks.findings import Finding, note, report
from infra.hooks.prepackage import ROOT, read_agents_file

MAX_INDEXING_SECONDS, MAX_ANSWER_SECONDS, POLL_INTERVAL_SECONDS = 300.0, 600.0, 2.0
"""Storage may take ten minutes to accept a role that was just assigned."""
Result = TypeVar("Result")


def main(env: Mapping[str, str], **options: Any) -> int:
    """Run every step; return the exit code."""
    with Azure(env, **options) as azure:
        found = findings(from_env(env), env, azure, time.sleep)
        return report("postdeploy", report_failure(found, "then: azd hooks run postdeploy"))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure, sleep: Sleep) -> Iterator[Finding]:
    """Functions, then subscriptions, then the smoke event; without all functions the rest is skipped."""
    group = group_id(request.subscription, request.group)
    app = f"{group}/providers/Microsoft.Web/sites/{env['AZURE_FUNCTION_NAME']}"
    indexing = yield from _wait_for_functions(app, azure, sleep)
    yield indexing
    if indexing.level == "ok":
        for source in request.sources:
            yield from event_subscriptions.subscribe(source, request, env, azure, sleep)
        yield from _smoke_check(request, env, azure, sleep)


def _wait_for_functions(app: str, azure: Azure, sleep: Sleep) -> Generator[Finding, None, Finding]:
    expected = smoke.functions(ROOT / "function_app.py")

    def indexing() -> Finding | None:
        found = smoke.indexed(azure.list(f"{app}/functions", WEB), expected)
        return found if found.level == "ok" else None

    found = yield from _wait(indexing, MAX_INDEXING_SECONDS, "functions", "waiting for the app's functions", sleep)
    return found or smoke.indexed(azure.list(f"{app}/functions", WEB), expected)


def _smoke_check(request: DeployRequest, env: Mapping[str, str], azure: Azure, sleep: Sleep) -> Iterator[Finding]:
    agents = read_agents_file(ROOT / "agents.yaml")
    if not isinstance(agents, Agents):
        yield from agents
        return
    now = datetime.now(UTC)
    event_id = f"slipway-smoke-{uuid.uuid4()}"
    event = smoke.event(agents, request.registry.id, event_id, now)
    try:
        before = yield from _send(azure, event, sleep)
    except GatewayError as failure:
        if not request.vnet_enabled:
            raise
        message = f"storage is private: {explain(failure)[0]}"
        yield note("smoke", message, "from inside the network: azd hooks run postdeploy")
        return

    def answer() -> list[Mapping[str, Any]] | None:
        return smoke.answers(azure.journal(now), event_id) or None

    lines = yield from _wait(answer, MAX_ANSWER_SECONDS, "smoke", "waiting for the app's answer", sleep)
    yield from smoke.judge(lines or [], before, azure.desired_etags(), MAX_ANSWER_SECONDS)


def _send(azure: Azure, event: Mapping[str, Any], sleep: Sleep) -> Generator[Finding, None, Mapping[str, str]]:
    """Send the event; return the desired states before it. Storage may not know the roles of the operator yet."""

    def send() -> Mapping[str, str]:
        before = azure.desired_etags()
        azure.send_event(event)
        return before

    def send_unless_refused() -> Mapping[str, str] | None:
        try:
            return send()
        except GatewayError as failure:
            if isinstance(failure, PermanentError) and failure.status == 403:
                return None
            raise

    waiting = "waiting until storage accepts your roles"
    before = yield from _wait(send_unless_refused, MAX_ANSWER_SECONDS, "smoke", waiting, sleep)
    return send() if before is None else before


def _wait(
    read: Callable[[], Result | None], seconds: float, subject: str, message: str, sleep: Sleep
) -> Generator[Finding, None, Result | None]:
    """The first result, or None in the end; once a minute a line says what is waited for."""
    waited = 0.0
    while waited < seconds:
        result = read()
        if result is not None:
            return result
        sleep(POLL_INTERVAL_SECONDS)
        waited += POLL_INTERVAL_SECONDS
        if waited % 60 == 0 and waited < seconds:
            yield note(subject, f"{message}: minute {waited / 60:.0f} of {seconds / 60:.0f}")
    return None


if __name__ == "__main__":
    sys.exit(main(os.environ))
