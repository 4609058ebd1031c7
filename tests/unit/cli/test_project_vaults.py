"""Commands where a project has a vault of its own."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import secret_expiries, services
from cli.event_files import parse_text
from cli.plan.arguments import PlanArguments
from cli.plan.assumptions import Assumptions
from cli.plan.planner import plan_live, plan_offline
from cli.plan.recording_gateways import PlanKeyVault, PlanStateStore
from cli.plan.snapshot import take_snapshot
from core.model import Secret
from handlers.agent_states import AgentStates
from handlers.gateways.errors import TransientError
from tests.support.builders import secret_event
from tests.support.projects_app import EU_VAULT, WITH_VAULT, ProjectsApp
from tests.unit.cli.support import context_of

AGENTS = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    stages: [{projects: [default, eu], release: {debounce: 0s}}]
"""
TARGETS = ("hello-agent", "hello-agent@eu")


async def live_app() -> tuple[ProjectsApp, Secret]:
    """Both targets are live; the vault of eu has a version that nothing uses yet."""
    app = ProjectsApp(AGENTS, WITH_VAULT)
    for _ in range(2):
        app.vault.put("hello-key", "canary-old")
    await app.pushed()
    assert [await app.released(target) for target in TARGETS] == ["LIVE"] * 2
    await app.clock.sleep(3600)
    return app, app.vault.put("hello-key", "canary-new", expires_on=app.clock.now() + timedelta(days=3))


def rotation(secret: Secret) -> PlanArguments:
    event = secret_event(data={"Id": f"{EU_VAULT}/secrets/hello-key/{secret.version}"})
    return PlanArguments(events=tuple(parse_text(json.dumps(event), "f")))


def planned(result: Any) -> dict[str, list[str]]:
    steps = result.data["steps"]
    return {target: [step["reason"] for step in steps if step.get("agent") == target] for target in TARGETS}


RELEASES = {
    "hello-agent": [],
    "hello-agent@eu": ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"],
}


async def test_a_plan_reads_each_vault_and_releases_its_targets_alone() -> None:
    app, secret = await live_app()
    result = await plan_live(context_of(app), rotation(secret), None)
    assert planned(result) == RELEASES
    assert await app.live_in("eu") == "1"


def test_a_plan_from_a_snapshot_knows_the_secrets_of_each_vault(tmp_path: Path) -> None:
    async def snapshot() -> tuple[ProjectsApp, Secret]:
        app, secret = await live_app()
        taken = await take_snapshot(context_of(app), None)
        (tmp_path / "snapshot.json").write_text(json.dumps(taken.data))
        versions = {"hello-key": app.key_vault.versions["hello-key"][-1].secret.version}
        assert taken.data["secrets"] == versions | {"hello-key@eu": secret.version}
        return app, secret

    _, secret = asyncio.run(snapshot())
    (tmp_path / "agents.yaml").write_text(WITH_VAULT + AGENTS)
    result = plan_offline(rotation(secret), tmp_path / "snapshot.json", tmp_path / "agents.yaml", None)
    assert planned(result) == RELEASES


async def test_a_plan_assumes_the_version_that_the_project_released() -> None:
    app, _ = await live_app()
    app.vault.down = TransientError("Key Vault", "down", "503")
    states = PlanStateStore(app.clock, app.state_store)
    for target in TARGETS:
        await states.load(target)
    found = await PlanKeyVault("eu", app.vault, states, Assumptions()).get_secret("hello-key", None)
    assert isinstance(found, Secret)
    assert found.version == (await app.state_store.get_release("hello-agent@eu")).secrets["hello-key"]
    assert found.version != (await app.state_store.get_release("hello-agent")).secrets["hello-key"]


async def test_doctor_checks_the_expiry_of_the_secrets_in_each_vault() -> None:
    app, _ = await live_app()
    (check,) = await secret_expiries.checks(app.agents, AgentStates(app.gateways.state_store), app.gateways)
    assert (check.status, check.name) == ("failed", "secret hello-key")
    assert check.detail.endswith("used by hello-agent@eu")


@pytest.mark.parametrize("is_down", [False, True])
async def test_doctor_checks_the_access_to_each_vault(is_down: bool) -> None:
    app, _ = await live_app()
    app.vault.down = TransientError("Key Vault", "down", "503") if is_down else None
    found = {check.name: check.status for check in await services.checks(app.agents, app.gateways)}
    assert found["your access to Key Vault"] == "ok"
    assert found[f"your access to Key Vault {EU_VAULT}"] == ("unknown" if is_down else "ok")
