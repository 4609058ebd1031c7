"""What fails in one project neither delays nor stops the targets of another."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

import pytest

from core.agents_file.loader import load_agents
from core.model import Definition, Routing, Version
from handlers.gateways.errors import PermanentError, TransientError
from handlers.prune_versions.run import prune_versions
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.projects_app import PROJECTS, ProjectFoundry, ProjectsApp

AGENTS = """
agents:
  hello-agent:
    repository: agents/hello
    keep: {newest: 0, min_age: 1m}
    stages: [{projects: [default, eu, us], release: {debounce: 0s}}]
"""
TARGETS = ("hello-agent", "hello-agent@eu", "hello-agent@us")
OTHERS = ("hello-agent", "hello-agent@us")
OUTAGE = TransientError("Foundry", "503", "read agent hello-agent")
THROTTLED = TransientError("Foundry", "429", "read agent hello-agent", retry_after=600.0, throttled=True)
FORBIDDEN = PermanentError("Foundry", "Forbidden", "read agent hello-agent", status=403)
OTHER_TENANT = PermanentError("Foundry", "400", "read agent hello-agent", status=400, other_tenant=True)
FAULTS = [
    pytest.param(OUTAGE, 35.0, id="no answer for 35 seconds"),
    pytest.param(THROTTLED, 0.0, id="429"),
    pytest.param(FORBIDDEN, 0.0, id="403"),
    pytest.param(OTHER_TENANT, 0.0, id="another tenant"),
]


async def seconds_until_live(error: Exception | None, seconds: float) -> dict[str, float]:
    """Target -> the virtual seconds from the push until it is live; each target has an instance of its own."""
    app = ProjectsApp(AGENTS, clock=VirtualClock())
    app.foundries["eu"].down, app.foundries["eu"].seconds_until_failure = error, seconds
    began = app.clock.monotonic()
    await app.pushed()

    async def release(target: str) -> float:
        return app.clock.monotonic() - began if await app.released(target) == "LIVE" else math.inf

    return dict(zip(TARGETS, await asyncio.gather(*map(release, TARGETS)), strict=True))


class FoundryThatIsRemoved(ProjectFoundry):
    """Its project is taken out of agents.yaml as soon as a version is created."""

    remove: Callable[[], None] = staticmethod(lambda: None)

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        version = await super().create_version(agent, definition, metadata)
        self.remove()
        return version


@in_virtual_time
async def test_a_release_whose_project_is_removed_meanwhile_goes_on_once_it_is_back() -> None:
    app = ProjectsApp(AGENTS, clock=VirtualClock())
    before, without = app.agents, PROJECTS.replace('eu: {endpoint: "https://eu/api/projects/p"}, ', "")
    removed = load_agents(f"{without}{AGENTS.replace('eu, us', 'us')}".encode())
    app.foundries["eu"] = foundry = FoundryThatIsRemoved(app.clock)
    foundry.remove = lambda: setattr(app, "agents", removed)
    await app.pushed()
    assert await app.released("hello-agent@eu") == "", "it has not ended"
    await resume_releases(app.agents, app.gateways)
    lines = [str(line["reason"]) for line in app.journal.lines if line.get("agent") == "hello-agent@eu"]
    assert lines[-2:] == ["SERVICE_UNAVAILABLE", "AGENT_UNKNOWN"]
    app.agents = before
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()
    assert (await app.live_in("eu"), await app.images_in("eu")) == ("1", ["a"])


@pytest.mark.parametrize(("error", "seconds"), FAULTS)
@in_virtual_time
async def test_a_project_that_fails_delays_no_release_of_another(error: Exception, seconds: float) -> None:
    without, with_fault = await seconds_until_live(None, 0.0), await seconds_until_live(error, seconds)
    assert with_fault["hello-agent@eu"] == math.inf
    assert {target: with_fault[target] for target in OTHERS} == {target: without[target] for target in OTHERS}


@pytest.mark.parametrize(("error", "seconds"), FAULTS)
@in_virtual_time
async def test_the_timers_do_their_work_in_the_other_projects(error: Exception, seconds: float) -> None:
    app = ProjectsApp(AGENTS, clock=VirtualClock())
    for tag, letter in (("v1", "a"), ("v2", "b"), ("v3", "c")):
        await app.pushed(tag, letter)
        for target in TARGETS:
            assert await app.released(target) == "LIVE"
        await app.clock.sleep(3600)
    app.foundries["eu"].down, app.foundries["eu"].seconds_until_failure = error, seconds
    await prune_versions(app.agents, app.settings, app.gateways)
    assert [await app.images_in(project) for project in app.foundries] == [["b", "c"], ["a", "b", "c"], ["b", "c"]]
    for project in ("default", "us"):
        await app.foundries[project].set_routing("hello-agent", Routing.to("2"))
    await resume_releases(app.agents, app.gateways)
    drifted = {line["agent"] for line in app.journal.lines if line["reason"] == "DRIFT"}
    assert drifted == set(OTHERS)


@pytest.mark.parametrize(("error", "seconds"), FAULTS)
@in_virtual_time
async def test_agents_that_the_file_does_not_name_are_reported_in_the_other_projects(
    error: Exception, seconds: float
) -> None:
    app = ProjectsApp(AGENTS, clock=VirtualClock())
    await app.pushed()
    for target in TARGETS:
        assert await app.released(target) == "LIVE"
    app.foundries["eu"].down, app.foundries["eu"].seconds_until_failure = error, seconds
    app.agents = load_agents(f"{PROJECTS}agents: {{other-agent: {{repository: agents/other}}}}\n".encode())
    await prune_versions(app.agents, app.settings, app.gateways)
    found = [(line["reason"], line.get("agent")) for line in app.journal.lines]
    assert [agent for reason, agent in found if reason == "AGENT_NOT_MANAGED"] == list(OTHERS)
    assert ("IMAGES_IN_USE_UNKNOWN", None) in found
    assert ("IMAGES_IN_USE_UNKNOWN", "hello-agent@eu") in found
    app.foundries["eu"].down = None
    await prune_versions(app.agents, app.settings, app.gateways)
    again = [line["agent"] for line in app.journal.lines if line["reason"] == "AGENT_NOT_MANAGED"]
    assert again[len(OTHERS) :] == list(TARGETS), "a run that could not read every project is not that of the day"
