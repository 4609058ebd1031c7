"""What the commands return as data is what their schemas say, in the states that an agent can be in."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cli.commands.prune import plan_and_prune
from cli.commands.status import show_status
from cli.commands.versions import list_versions
from cli.commands.why import explain
from cli.doctor import services
from cli.runner import CommandResult
from core.intake.events import apply_config
from core.model import Failure
from handlers.poison import handle_poison_message
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with
from tests.support.builders import push_event
from tests.support.cli_schemas import validated
from tests.support.projects_app import ProjectsApp
from tests.unit.cli.support import DRY_RUN, YES, context_of, make_live, run

DAY = timedelta(days=1)
IN_STAGES = "agents: {hello-agent: {repository: agents/hello, stages: [{project: default}, {project: eu, soak: 1h}]}}"


def check(command: str, result: CommandResult) -> None:
    validated(command, json.dumps(result.data))


async def check_all(app: App) -> None:
    check("status", await show_status(context_of(app), None))
    for subject in (AGENT, "v1", "v2"):
        check("why", await explain(context_of(app), subject, DAY))
    found = [check.fields for check in await services.checks(app.agents, app.gateways)]
    validated("doctor", json.dumps(found))
    assert {check["name"].partition(":")[0] for check in found if check["agent"]} == set(app.agents.agents)


@pytest.mark.parametrize("pushes", ["", "a", "ab"])
async def test_held_paused_and_rolled_back(app: App, pushes: str) -> None:
    await make_live(app, *pushes)
    await run(app, "hold", why="a rumour", until="1d") if pushes else None
    await run(app, "pause", why="lunch", until="1h")
    await run(app, "request_rollback", why="orders are lost")
    changed = app.agents.agents[AGENT].model_copy(update={"cpu": "2", "memory": "4Gi"})
    await app.state_store.update_desired(AGENT, lambda desired: apply_config(desired, changed, app.clock.now()).desired)
    await check_all(app)
    await app.released()
    await check_all(app)


async def test_failed_and_poisoned(app: App) -> None:
    app.foundry.failures["a" * 64] = Failure("ImageError", "exit code 1")
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    await handle_poison_message("events", json.dumps(push_event()), app.gateways)
    await check_all(app)


@in_virtual_time
@pytest.mark.parametrize(
    "release",
    [
        "min_push_age: 5m",
        "mode: manual",
        "windows: {zone: Europe/Berlin, allow: {days: wed, hours: 09:00-16:00}}",
    ],
)
async def test_waiting(release: str) -> None:
    app = app_with(release)
    await app.pushed("v1", "a")
    await check_all(app)
    await app.released()
    await check_all(app)


async def test_waiting_for_a_stage() -> None:
    app = ProjectsApp(IN_STAGES)
    await app.pushed()
    await app.run_queue()
    await check_all(app)


async def test_versions_that_are_deleted_and_that_stay(app: App) -> None:
    await make_live(app, "a", "b", "c")
    check("versions", await list_versions(context_of(app), AGENT))
    check("prune", await plan_and_prune(context_of(app), AGENT, DRY_RUN))
    check("prune", await plan_and_prune(context_of(app), AGENT, YES))
