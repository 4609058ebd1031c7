"""No image goes live in a later stage that did not pass the stage before, whoever made it desired, and when."""

from __future__ import annotations

import pytest

from core.agents_file.loader import load_agents
from core.intake.events import apply_push
from core.model import Push
from core.reasons import Reason
from handlers import user_commands
from handlers.resume_releases.run import resume_releases
from tests.support.projects_app import PROJECTS, ProjectsApp

STAGED = """
agents:
  hello-agent:
    repository: agents/hello
    release: {debounce: 0s}
    stages: [{project: default}, {project: eu, soak: 1h}]
"""
ALONE = STAGED.replace("[{project: default}, {project: eu, soak: 1h}]", "[{project: eu}]")
WAYS_TO_WAIT = ("paused", "mode: manual", "min_push_age: 30m", "windows: {allow: {days: sat, hours: 02:00-03:00}}")
STAGING, EU = "hello-agent", "hello-agent@eu"
HOUR = 3600


def image(letter: str, app: ProjectsApp) -> Push:
    return Push("agents/hello", f"sha256:{letter * 64}", f"v-{letter}", app.clock.now(), f"event-{letter}")


def reasons(app: ProjectsApp) -> list[str]:
    return [str(line["reason"]) for line in app.journal.lines if line["agent"] == EU]


async def pushed(app: ProjectsApp, letter: str) -> None:
    await app.pushed(f"v-{letter}", letter)
    await app.run_queue()


async def swept(app: ProjectsApp) -> None:
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()


async def test_a_push_that_any_program_made_desired_is_not_released_and_what_was_desired_returns() -> None:
    app = ProjectsApp(STAGED)
    await pushed(app, "a")
    await app.wait(HOUR)
    app.registry.push("agents/hello", "v-f", image("f", app).digest, app.clock.now())
    await app.state_store.update_desired(
        EU, lambda desired: apply_push(desired, app.agents.agents[EU], image("f", app), None, app.clock.now()).desired
    )
    await app.released(EU)
    assert await app.images_in("eu") == ["a"]
    desired = await app.state_store.get_desired(EU)
    assert desired.push is not None
    assert desired.push.tag == "v-a"
    assert "STAGE_NOT_PASSED" in reasons(app)
    await app.wait(10)
    await pushed(app, "b")
    await app.wait(HOUR)
    assert await app.images_in("eu") == ["a", "b"]


async def test_a_command_of_any_program_releases_nothing_that_did_not_pass() -> None:
    app = ProjectsApp(STAGED)
    await pushed(app, "a")
    for push in (None, image("a", app)):
        update = await user_commands.request_release(app.agents.agents[EU], "eve", app.gateways, push)
        assert update.reason in (Reason.NO_PUSH_YET, Reason.STAGE_NOT_PASSED, Reason.STAGE_WAITING)
    await app.run_queue()
    assert await app.images_in("eu") == []
    await app.wait(HOUR)
    again = await user_commands.request_release(app.agents.agents[EU], "ana", app.gateways)
    assert again.reason is Reason.RELEASE_REQUESTED


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
async def test_a_push_that_waits_when_a_stage_is_added_before_it_passes_that_stage_first(way: str) -> None:
    more = "" if way == "paused" else f", {way}"
    alone, staged = (
        text.replace("{project: eu", f"{{project: eu, release: {{debounce: 0s{more}}}") for text in (ALONE, STAGED)
    )
    app = ProjectsApp(ALONE)
    await pushed(app, "a")
    assert await app.live_in("eu") == "1"
    app.agents = load_agents(f"{PROJECTS}{alone}".encode())
    if way == "paused":
        await user_commands.pause((EU,), "wait", "ana", app.gateways)
    await app.wait(10)
    await pushed(app, "b")
    app.agents = load_agents(f"{PROJECTS}{staged}".encode())
    await user_commands.unpause((EU,), "ana", app.gateways)
    await swept(app)
    if way == "mode: manual":
        await user_commands.approve(EU, "ana", app.gateways)
    for _ in range(3):
        await app.wait(HOUR / 4)
        await swept(app)
    assert await app.live_in("eu") == "1", "staging runs it for 45 minutes"
    assert await app.live_in("default") == "1"
    app.agents = load_agents(f"{PROJECTS}{STAGED}".encode())
    await app.wait(HOUR / 2)
    await swept(app)
    assert (await app.images_in("eu"))[-1] == "b"
    assert await app.live_in("eu") == "2"
