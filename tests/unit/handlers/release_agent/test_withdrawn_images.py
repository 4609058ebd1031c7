"""An image that a later stage took, and whose traffic somebody moved in the stage before until it is live there."""

from __future__ import annotations

import pytest

from core.agents_file.loader import load_agents
from core.model import Failure, Routing
from handlers import user_commands
from handlers.gateways.errors import TransientError
from handlers.resume_releases.run import resume_releases
from tests.support.projects_app import PROJECTS, ProjectsApp
from tests.unit.handlers.release_agent.test_stages import EU, HOUR, STAGING, images, pushed, reasons

FILE = """
agents:
  hello-agent:
    repository: agents/hello
    env: {{KEY: {{secret: hello-key}}}}
    release: {{debounce: 0s}}
    stages: [{{project: default}}, {{project: eu, soak: 1h, release: {{{release}}}}}]
"""
MANUAL, AGED = FILE.format(release="mode: manual"), FILE.format(release="min_push_age: 5h")


async def taken(file: str) -> ProjectsApp:
    """Production runs the first image and has taken the second, which waits."""
    app = ProjectsApp(file)
    app.key_vault.put("hello-key", "canary-8a1f")
    await pushed(app)
    await app.wait(5 * HOUR)
    await approve(app)
    assert await app.live_in("eu") == "1"
    await pushed(app, "b")
    await app.wait(HOUR)
    return app


async def approve(app: ProjectsApp) -> None:
    """A person approves what waits, if anything does."""
    await user_commands.approve(EU, "ana", app.gateways)
    await app.run_queue()


async def resumed(app: ProjectsApp) -> None:
    await app.clock.sleep(300)
    await resume_releases(app.agents, app.gateways)
    await app.run_queue()


def move(app: ProjectsApp, version: str) -> None:
    app.foundries["default"].agents[STAGING].routing = Routing.to(version)


async def test_an_approval_does_not_release_what_does_not_serve_in_staging_any_more() -> None:
    app = await taken(MANUAL)
    assert reasons(app, EU)[-1] == "APPROVAL_WAITING"
    move(app, "1")
    await approve(app)
    assert await app.live_in("eu") == "1"
    assert reasons(app, EU).count("STAGE_CANCELLED") == 2  # it is withdrawn, and its release ends
    await resumed(app)
    assert await app.live_in("eu") == "1"
    move(app, "2")
    await resumed(app)
    await resumed(app)
    assert await app.live_in("eu") == "2", "the version and its approval are still there"


async def test_no_version_is_made_of_an_image_that_waited_for_its_age() -> None:
    app = await taken(AGED)
    move(app, "1")
    await app.wait(5 * HOUR)
    assert await images(app) == (["a", "b"], ["a"], [])
    assert "STAGE_CANCELLED" in reasons(app, EU)
    move(app, "2")
    await resumed(app)
    await resumed(app)
    assert (await images(app))[1] == ["a", "b"]


async def test_no_version_is_made_of_an_image_that_was_taken_during_a_pause() -> None:
    app = ProjectsApp(MANUAL)
    app.key_vault.put("hello-key", "canary-8a1f")
    await pushed(app)
    await pushed(app, "b")
    await user_commands.pause((EU,), "lunch", "ana", app.gateways)
    await app.wait(HOUR)
    assert (await app.state_store.get_desired(EU)).push
    move(app, "1")
    await user_commands.unpause((EU,), "ana", app.gateways)
    await app.run_queue()
    assert (await images(app))[1] == []
    assert reasons(app, EU)[-1] == "STAGE_CANCELLED"


async def test_the_timer_alone_withdraws_it_too() -> None:
    app = await taken(MANUAL)
    move(app, "1")
    await resumed(app)  # finds the drift
    await resumed(app)
    assert (await app.state_store.get_release(EU)).reason == "STAGE_CANCELLED"
    assert await app.live_in("eu") == "1"


@pytest.mark.parametrize("file", [MANUAL, AGED])
async def test_a_failed_release_in_staging_does_not_make_an_image_good_that_does_not_serve(file: str) -> None:
    app = await taken(file)
    app.foundries["default"].failures["c" * 64] = Failure("CodeError", "exited with 1")
    move(app, "1")
    await pushed(app, "c")  # accepts the traffic as it is
    await resumed(app)
    await app.wait(5 * HOUR)
    await approve(app)
    assert await app.live_in("eu") == "1"
    assert "STAGE_CANCELLED" in reasons(app, EU)


async def test_after_a_failed_release_in_staging_a_retry_there_accepts_what_was_moved_back() -> None:
    app = await taken(AGED)
    app.foundries["default"].failures["c" * 64] = Failure("CodeError", "exited with 1")
    move(app, "1")
    await pushed(app, "c")
    await resumed(app)
    move(app, "2")
    await resumed(app)
    await user_commands.request_release(app.agents.agents[STAGING], "ana", app.gateways)
    await app.run_queue()
    await resumed(app)
    await app.wait(5 * HOUR)
    assert (await images(app))[1] == ["a", "b"]


async def test_what_does_not_serve_in_staging_is_not_taken_after_a_release_failed_there() -> None:
    app = ProjectsApp(AGED)
    app.key_vault.put("hello-key", "canary-8a1f")
    app.foundries["default"].failures["c" * 64] = Failure("CodeError", "exited with 1")
    await pushed(app)
    await pushed(app, "b")
    move(app, "1")
    await pushed(app, "c")
    await app.wait(6 * HOUR)
    await resumed(app)
    assert await images(app) == (["a", "b", "c"], [], [])


async def test_a_newer_image_takes_the_place_of_a_withdrawn_one() -> None:
    app = await taken(MANUAL)
    move(app, "1")
    await approve(app)
    await pushed(app, "c")
    await app.wait(HOUR)
    await approve(app)
    assert (await images(app))[1] == ["a", "b", "c"]
    assert await app.live_in("eu") == "3"


async def test_a_withdrawn_image_that_becomes_the_good_one_again_after_another_waits_for_its_time() -> None:
    app = await taken(MANUAL)
    push = (await app.state_store.get_desired(EU)).push
    move(app, "1")
    await approve(app)
    await pushed(app, "c")
    await user_commands.request_release(app.agents.agents[STAGING], "ana", app.gateways, push)
    await app.run_queue()
    assert await app.live_in("default") == "2"
    await resumed(app)
    await approve(app)
    assert await app.live_in("eu") == "1"
    await app.wait(HOUR)
    await resumed(app)
    await approve(app)
    assert await app.live_in("eu") == "2"


async def test_an_operator_sends_a_withdrawn_image_past_the_stage() -> None:
    app = await taken(MANUAL)
    move(app, "1")
    await approve(app)
    push = (await app.state_store.get_desired(EU)).push
    await user_commands.request_release(app.agents.agents[EU], "ben", app.gateways, push, "hot fix")
    await app.run_queue()
    await approve(app)
    assert await app.live_in("eu") == "2"


async def test_what_is_live_stays_and_gets_new_secrets_although_staging_went_back() -> None:
    app = await taken(MANUAL)
    await approve(app)
    assert await app.live_in("eu") == "2"
    move(app, "1")
    await resumed(app)
    app.key_vault.put("hello-key", "canary-9b2e")
    await user_commands.request_release(app.agents.agents[EU], "ana", app.gateways)
    await app.run_queue()
    await approve(app)
    assert await app.live_in("eu") == "3"
    assert "STAGE_CANCELLED" not in reasons(app, EU)


async def test_a_rollback_here_goes_on_although_staging_moved() -> None:
    app = await taken(MANUAL)
    await approve(app)
    move(app, "1")
    await user_commands.request_rollback(EU, "odd answers", "ana", app.gateways)
    await app.run_queue()
    assert await app.live_in("eu") == "1"


async def test_a_staging_project_that_does_not_answer_does_not_stop_what_was_taken() -> None:
    app = await taken(MANUAL)
    app.foundries["default"].down = TransientError("foundry", "503", "get agent hello-agent")
    await approve(app)
    assert await app.live_in("eu") == "2"


async def test_a_target_that_has_no_stage_before_it_any_more_forgets_what_was_withdrawn() -> None:
    app = await taken(MANUAL)
    move(app, "1")
    await approve(app)
    head = MANUAL.partition("stages:")[0]
    app.agents = load_agents(f"{PROJECTS}{head}stages: [{{project: eu}}]".encode())
    await user_commands.request_release(app.agents.agents[EU], "ana", app.gateways)
    await app.run_queue()
    assert await app.live_in("eu") == "2"
