"""What the commands say about stages, and how an operator sends an image past one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cli.commands import user_commands
from cli.commands.digests import list_digests
from cli.commands.prune import plan_and_prune
from cli.commands.status import show_status
from cli.commands.versions import list_versions
from cli.commands.why import explain
from cli.exit_codes import NOTHING_TO_DO, UsageError
from cli.plan.arguments import PlanArguments
from cli.plan.planner import plan_live
from cli.runner import CommandResult
from core.agents_file.loader import load_agents
from handlers.gateways.errors import TransientError
from tests.support.projects_app import PROJECTS, ProjectsApp
from tests.unit.cli.support import DRY_RUN, context_of

FILE = """
agents:
  hello-agent:
    repository: agents/hello
    stages: [{project: default}, {projects: [eu, us], soak: 1h}]
"""
EU = "hello-agent@eu"


@pytest.fixture
async def app() -> ProjectsApp:
    made = ProjectsApp(FILE)
    await made.pushed()
    await made.run_queue()
    return made


async def test_status_names_the_image_that_waits_for_its_stage(app: ProjectsApp) -> None:
    result = await show_status(context_of(app), EU)
    (entry,) = result.data
    assert (entry["state"], entry["state_tag"]) == ("STAGE_WAITING", "v1")
    assert entry["stage"] == {
        "stage": 2,
        "upstream": ["hello-agent"],
        "tag": "v1",
        "digest": f"sha256:{'a' * 64}",
        "reason": "STAGE_WAITING",
        "since": entry["since"],
        "until": entry["stage"]["until"],
    }
    assert (await show_status(context_of(app), "hello-agent")).data[0]["stage"] is None


async def test_status_is_a_board_with_agents_down_and_stages_across(app: ProjectsApp) -> None:
    await app.wait(3600)
    await app.pushed("v2", "b")
    await app.run_queue()
    result = await show_status(context_of(app), "hello-agent")
    live_at = app.clock.now()
    assert result.text.splitlines()[:9] == [
        "AGENT        STAGE 1          STAGE 2",
        "hello-agent  default  2 (v2)  eu  1 (v1)",
        "               LIVE  0 s ago    STAGE_WAITING (v2)  0 s ago",
        "                              us  1 (v1)",
        "                                STAGE_WAITING (v2)  0 s ago",
        "hello-agent@eu:",
        f"  v2 is good at hello-agent since {live_at:%F %T} UTC, goes on at {live_at + timedelta(hours=1):%F %T} UTC",
        "hello-agent@us:",
        result.text.splitlines()[6],
    ]
    assert [(entry["agent"], entry["stage_number"]) for entry in result.data] == [
        ("hello-agent", 1),
        (EU, 2),
        ("hello-agent@us", 2),
    ]


async def test_an_image_that_a_later_stage_never_takes_is_named(app: ProjectsApp) -> None:
    app.agents = load_agents(f"{PROJECTS}{FILE.replace('soak: 1h', 'tags: {ignore: [v2]}')}".encode())
    await app.pushed("v2", "b")
    await app.run_queue()
    result = await show_status(context_of(app), EU)
    assert result.text.startswith("AGENT           LIVE  DESIRED  STATE"), "a single target is no board"
    assert "v2 is good at hello-agent since" in result.text
    assert "and is not taken: TAG_IGNORED" in result.text


async def test_the_board_shows_how_many_versions_there_are_only_near_the_limit(app: ProjectsApp) -> None:
    assert "versions" not in (await show_status(context_of(app), "hello-agent")).text
    app.agents = load_agents(f"{PROJECTS}{FILE}    keep: {{limit: 2}}\n".encode())
    await app.pushed("v2", "b")
    await app.run_queue()
    assert "  2 of 2 versions, limit reached" in (await show_status(context_of(app), "hello-agent")).text


async def test_why_walks_the_stages_of_a_digest(app: ProjectsApp) -> None:
    await app.wait(1800)
    waits = await explain(context_of(app), f"sha256:{'a' * 64}", timedelta(days=1))
    assert "good in the stage before since" in waits.text
    await app.wait(1800)
    done = await explain(context_of(app), f"sha256:{'a' * 64}", timedelta(days=1))
    live = [line["agent"] for line in done.data["decisions"] if line["reason"] == "LIVE"]
    assert live == ["hello-agent", EU, "hello-agent@us"]


async def test_plan_shows_the_chain(app: ProjectsApp) -> None:
    app.registry.push("agents/hello", "v2", f"sha256:{'b' * 64}", app.clock.now())
    planned = await plan_live(context_of(app), PlanArguments(agent="hello-agent", image="agents/hello:v2"), None)
    steps = [(step.get("agent"), step["reason"]) for step in planned.data["steps"]]
    for target in ("hello-agent", EU, "hello-agent@us"):
        assert (target, "LIVE") in steps
    assert steps.index(("hello-agent", "LIVE")) < steps.index((EU, "STAGE_WAITING")) < steps.index((EU, "LIVE"))
    assert not app.foundries["eu"].agents


async def test_plan_goes_on_with_an_image_that_waits_for_its_stage_already(app: ProjectsApp) -> None:
    planned = await plan_live(context_of(app), PlanArguments(agent=EU), None)
    until = (await app.state_store.get_desired(EU)).stage_wait
    assert until is not None
    first, *_, last = planned.data["steps"]
    assert (first["reason"], first["detail"]) == ("STAGE_WAITING", f"v1 goes on at {until.until:%F %T} UTC")
    assert (last["reason"], last["agent"], last["after_s"] >= 3590) == ("LIVE", EU, True)
    assert not app.foundries["eu"].agents


async def command(app: ProjectsApp, target: str, **arguments: str) -> CommandResult:
    return await user_commands.apply(context_of(app), "request_release", target, arguments, watch=False, as_json=True)


async def test_an_image_goes_past_its_stage_only_with_a_reason(app: ProjectsApp) -> None:
    with pytest.raises(UsageError, match="takes what is good at hello-agent; to send an image past that stage"):
        await command(app, EU, image="agents/hello:v1")
    with pytest.raises(UsageError, match="say why: --stage WHY"):
        await command(app, EU, image="agents/hello:v1", stage=" ")
    with pytest.raises(UsageError, match="hello-agent has no stage before it"):
        await command(app, "hello-agent", image="agents/hello:v1", stage="hot fix")
    sent = await command(app, EU, image="agents/hello:v1", stage="hot fix")
    assert "STAGE_SKIPPED_BY_OPERATOR v1 by" in sent.text
    await app.run_queue()
    assert (await app.live_in("eu"), await app.live_in("us")) == ("1", None)


async def test_a_retry_while_the_image_waits_for_its_stage_says_so(app: ProjectsApp) -> None:
    result = await command(app, EU)
    assert (result.exit_code, result.data[0]["reason"]) == (NOTHING_TO_DO, "STAGE_WAITING")
    assert "v1 is good at hello-agent; goes on at" in result.text


COMMANDS: tuple[tuple[str, dict[str, str]], ...] = (
    ("hold", {"why": "odd"}),
    ("unhold", {}),
    ("pause", {"why": "odd"}),
    ("unpause", {}),
    ("approve", {"version": "1"}),
    ("request_release", {}),
    ("request_release", {"image": "agents/hello:v1"}),
    ("request_rollback", {"why": "odd"}),
)


@pytest.mark.parametrize("name", ["hello-agent", "hello-agent@default", "hello-agent@mars"])
async def test_a_name_that_is_not_a_target_is_refused_by_each_command_with_the_targets(name: str) -> None:
    app = ProjectsApp(
        FILE.replace("{project: default}, {projects: [eu, us], soak: 1h}", "{project: eu}, {project: us}")
    )
    await app.pushed()
    await app.run_queue()
    context, message = context_of(app), f"no target {name}; it has hello-agent@eu, hello-agent@us"
    for function, arguments in COMMANDS:
        with pytest.raises(UsageError, match=message):
            await user_commands.apply(context, function, name, arguments, watch=False, as_json=True)
    for read in (
        list_versions(context, name),
        explain(context, name, timedelta(days=1)),
        explain(context, "v1", timedelta(days=1), name),
        plan_live(context, PlanArguments(agent=name), None),
        plan_and_prune(context, name, DRY_RUN),
    ):
        with pytest.raises(UsageError, match=message):
            await read


async def test_a_target_whose_project_does_not_answer_stands_in_its_own_stage(app: ProjectsApp) -> None:
    app.foundries["eu"].down = TransientError("Foundry", "503", "get agent hello-agent")
    rows = {row["agent"]: row for row in (await show_status(context_of(app), "hello-agent")).data}
    assert [(row["stage_number"], row["not_read"] is None) for row in rows.values()] == [
        (1, True),
        (2, False),
        (2, True),
    ]


async def test_the_images_of_a_project_that_was_removed_are_not_left_out(app: ProjectsApp) -> None:
    await app.wait(3600)
    without = PROJECTS.replace('eu: {endpoint: "https://eu/api/projects/p"}, ', "")
    app.agents = load_agents(f"{without}{FILE.replace('[eu, us]', '[us]')}".encode())
    with pytest.raises(TransientError, match=r"hello-agent@eu: agents\.yaml has no project eu"):
        await list_digests(context_of(app))
