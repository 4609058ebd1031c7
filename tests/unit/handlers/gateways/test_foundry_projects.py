"""Foundry in several projects: a target's calls reach its project alone, by the agent's name there."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from core.evaluation import RunStatus, ServiceCriterion
from handlers.agents_file import load_agents_file
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.foundry.projects import FoundryProjects
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.interfaces import Foundry
from handlers.prune_versions.run import prune_versions
from handlers.resume_releases.run import resume_releases
from handlers.settings import ConfigError, Settings
from tests.simulation.scene import ENVIRONMENT
from tests.support.app import App
from tests.support.builders import secret_event
from tests.support.projects_app import ProjectFoundry, ProjectsApp

PROJECTS = {"eu": "https://eu/api/projects/p", "us": "https://us/api/projects/p"}
AGENTS = """
agents:
  hello-agent:
    repository: agents/hello
    env_from_vault: true
    tools: [{type: code_interpreter}]
    stages: [{projects: [default, eu, us], release: {debounce: 0s}}]
  other-agent: {repository: agents/other}
"""


TAGS = {"agent": "hello-agent", "env": "TAGGED"}
TARGETS = ("hello-agent", "hello-agent@eu", "hello-agent@us")


async def test_a_push_goes_live_in_every_project_of_the_stage() -> None:
    app = ProjectsApp(AGENTS)
    app.key_vault.put("tagged-key", "canary-71b0", tags=TAGS)
    await app.pushed()
    assert [await app.released(target) for target in TARGETS] == ["LIVE"] * 3
    for foundry in app.foundries.values():
        assert (list(foundry.agents), list(foundry.toolboxes)) == (["hello-agent"], ["hello-agent-tools"])
        assert {"TAGGED", "SLIPWAY_TOOLBOX_NAME"} <= foundry.environment("hello-agent", "1").keys()
        assert foundry.environment("hello-agent", "1")["SLIPWAY_TOOLBOX_NAME"] == "hello-agent-tools"
    assert set(TARGETS) <= app.state_store.releases.keys()
    assert {line["agent"] for line in app.journal.lines if line["reason"] == "LIVE"} == set(TARGETS)
    assert {event.subject for event in app.outcome_publisher.published.values()} == {
        f"agents/{target}" for target in TARGETS
    }


async def test_a_tagged_secret_s_rotation_reaches_every_target() -> None:
    app = ProjectsApp(AGENTS)
    app.key_vault.put("tagged-key", "canary-71b0", tags=TAGS)
    await app.pushed()
    for target in TARGETS:
        await app.released(target)
    await app.clock.sleep(3600)
    secret = app.key_vault.put("tagged-key", "canary-92c1", tags=TAGS)
    data = {"Id": f"https://demo-vault.vault.azure.net/secrets/tagged-key/{secret.version}"}
    await app.event(secret_event(data=data))
    assert [await app.released(target) for target in TARGETS] == ["LIVE"] * 3
    assert [await app.live_in(project) for project in app.foundries] == ["2"] * 3


@pytest.mark.parametrize(
    "error", [TransientError("Foundry", "down", "503"), PermanentError("Foundry", "FORBIDDEN", "")]
)
async def test_a_project_that_fails_stops_no_other(error: Exception) -> None:
    app = ProjectsApp(AGENTS)
    app.foundries["eu"].down = error
    await app.pushed()
    reasons = {target: await app.released(target) for target in TARGETS}
    assert (reasons["hello-agent"], reasons["hello-agent@us"]) == ("LIVE", "LIVE")
    assert reasons["hello-agent@eu"] != "LIVE"
    await resume_releases(app.agents, app.gateways)
    await prune_versions(app.agents, app.settings, app.gateways)
    app.foundries["eu"].down = None
    await app.pushed("v2", "b")
    assert await app.released("hello-agent@eu") == "LIVE"


def test_each_project_has_a_rate_limit_of_its_own() -> None:
    app = ProjectsApp(AGENTS)
    app.gateways.limiter_of("hello-agent@eu").record_refusal(app.clock.monotonic())
    calm = {target: app.gateways.limiter_of(target).is_calm(app.clock.monotonic()) for target in TARGETS}
    assert calm == {"hello-agent": True, "hello-agent@eu": False, "hello-agent@us": True}
    plain = replace(app.gateways, project_limiter=None)
    assert plain.limiter_of("hello-agent@eu") is plain.rate_limiter


async def test_all_agents_are_listed_as_targets() -> None:
    app = ProjectsApp(AGENTS)
    await app.pushed()
    for target in TARGETS:
        await app.released(target)
    assert await app.gateways.foundry.list_agents() == sorted(TARGETS)


async def test_a_project_that_the_file_does_not_name_is_waited_for() -> None:
    default = ProjectFoundry(ManualClock())
    router = FoundryProjects(default, lambda: PROJECTS, lambda name, endpoint: default)
    with pytest.raises(TransientError, match=r"read hello-agent@asia: agents\.yaml has no project asia"):
        await router.get_agent("hello-agent@asia")


async def test_a_client_is_made_once_for_a_project_and_again_for_another_endpoint() -> None:
    made, endpoints = list[str](), dict(PROJECTS)

    def connect(name: str, endpoint: str) -> ProjectFoundry:
        made.append(f"{name} {endpoint}")
        return clients.setdefault(endpoint, ProjectFoundry(ManualClock()))

    default, clients = ProjectFoundry(ManualClock()), dict[str, ProjectFoundry]()
    router = FoundryProjects(default, lambda: endpoints, connect)
    for _ in range(2):
        await router.get_agent("hello-agent@eu")
    endpoints["eu"] = "https://new/api/projects/p"
    await router.get_agent("hello-agent@eu")
    assert made == ["eu https://eu/api/projects/p", "eu https://new/api/projects/p"]
    await router.close()
    assert all(client.closed for client in (default, *clients.values()))


def test_every_call_of_the_protocol_is_routed() -> None:
    calls = {name for name, _ in inspect.getmembers(Foundry, inspect.isfunction) if not name.startswith("_")}
    assert calls <= vars(FoundryProjects).keys()


async def test_without_projects_names_and_metadata_are_those_of_the_agent_alone() -> None:
    single, routed = App(), ProjectsApp(AGENTS)
    for app in (single, routed):
        await app.pushed()
        await app.released()
    one, other = single.foundry.agents["hello-agent"], routed.foundries["default"].agents["hello-agent"]
    names = one.versions["1"].metadata.keys()
    assert names == other.versions["1"].metadata.keys() - {"slipway.secrets_2"}
    assert "@" not in "".join([*single.state_store.desired, *single.state_store.releases])


def test_the_settings_project_has_one_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings = Settings.from_env(ENVIRONMENT)
    file = tmp_path / "agents.yaml"
    file.write_text(
        f"projects: {{eu: {{endpoint: '{settings.foundry_project_endpoint}/'}}}}\n"
        "agents: {hello: {repository: agents/hello}}\n"
    )
    with pytest.raises(ConfigError, match="eu is FOUNDRY_PROJECT_ENDPOINT too"):
        load_agents_file(replace(settings, agents_file=str(file)))


@pytest.mark.parametrize(("target", "project"), [("hello-agent", "default"), ("hello-agent@eu", "eu")])
async def test_rows_and_answers_stay_in_the_project_of_their_target(target: str, project: str) -> None:
    app = ProjectsApp(AGENTS)
    foundry = app.gateways.foundry
    evaluation = await foundry.create_evaluation(target, "2", [ServiceCriterion("a", "builtin.coherence", "gpt")])
    run = await foundry.start_run(evaluation, "slipway", [{"query": "q", "response": "r"}])
    assert [name for name, found in app.foundries.items() if found.evaluations] == [project]
    assert await foundry.find_run(evaluation, "slipway") == run
    found = await foundry.get_run(evaluation, run)
    assert found is not None
    assert found.status is RunStatus.RUNNING
    await foundry.delete_evaluation(evaluation)
    assert not app.foundries[project].evaluations
