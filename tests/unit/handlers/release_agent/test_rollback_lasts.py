"""A rollback lasts: nothing that a person took back is live again without a newer push or a person's command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.agents_file.loader import load_agents
from core.definition import SECRETS
from core.image_manifest import ImageFacts
from core.intake.events import DesiredUpdate
from core.model import Definition, Failure, Version
from handlers import user_commands
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App, app_with, live_app, push_and_release, rotate
from tests.support.builders import secret_event

SPEC = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: %s}, WORD: "%s"}
    release: {debounce: 0s}
"""


async def deploy(app: App, word: str, key: str = "hello-key") -> None:
    """Deploy an agents.yaml that gives WORD another value, or KEY another secret."""
    app.agents = load_agents((SPEC % (key, word)).encode())
    await resume_releases(app.agents, app.gateways)


async def roll_back(app: App, to: str | None = None) -> DesiredUpdate:
    await app.clock.sleep(300)
    return await user_commands.request_rollback(AGENT, "orders are lost", "ann", app.gateways, to)


async def live_environment(app: App) -> dict[str, str]:
    return app.foundry.environment(AGENT, await app.live() or "")


async def live_image(app: App) -> str:
    return app.foundry.agents[AGENT].versions[await app.live() or ""].image[-1]


async def after_bad_configuration() -> App:
    """Version 1 is live again after a deployment of agents.yaml made version 2, with the same image."""
    app = app_with("mode: auto")
    await deploy(app, "good")
    assert await push_and_release(app, "v1", "a") == "LIVE"
    await app.clock.sleep(300)
    await deploy(app, "bad")
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["WORD"] == "bad"
    await roll_back(app)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
    await app.clock.sleep(300)
    return app


async def after_bad_image() -> App:
    """Version 1 is live again after version 2, of another image."""
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    await roll_back(app)
    assert await app.released() == "LIVE"
    assert (await app.live(), app.foundry.create_count) == ("1", 2)
    await app.clock.sleep(300)
    return app


@in_virtual_time
async def test_a_rotation_makes_the_definition_that_was_rolled_back_to() -> None:
    app = await after_bad_configuration()
    for value in ("second", "third"):
        await rotate(app, value)
        assert await app.released() == "LIVE"
        assert await live_environment(app) == {"WORD": "good", "KEY": value}
        await app.clock.sleep(300)
    assert (await app.live(), app.foundry.create_count) == ("4", 4)


@in_virtual_time
async def test_the_definition_is_copied_also_when_the_version_itself_is_gone() -> None:
    app = await after_bad_configuration()
    for value in ("second", "third", "fourth"):
        await rotate(app, value)
        assert await app.released() == "LIVE"
        await app.clock.sleep(300)
        app.foundry.agents[AGENT].remove("1")
    assert await live_environment(app) == {"WORD": "good", "KEY": "fourth"}


@in_virtual_time
async def test_a_rotation_counts_for_the_secrets_of_the_version_and_not_for_those_of_agents_yaml() -> None:
    app = app_with("mode: auto")
    app.key_vault.put("other-key", "other")
    await deploy(app, "good")
    await push_and_release(app, "v1", "a")
    await app.clock.sleep(300)
    await deploy(app, "good", "other-key")
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["KEY"] == "other"
    await roll_back(app)
    await app.released()
    await app.clock.sleep(300)
    await rotate(app, "newer", "other-key")
    assert await app.released() == "ALREADY_LIVE"
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["KEY"] == "second"


@in_virtual_time
async def test_a_duplicate_event_of_a_rotation_creates_no_version() -> None:
    app = await after_bad_configuration()
    await rotate(app, "second")
    await app.released()
    await app.clock.sleep(300)
    secret = (await app.key_vault.get_secret("hello-key", None)).version  # type: ignore[union-attr]
    event = {"Id": f"https://demo-vault.vault.azure.net/secrets/hello-key/{secret}"}
    await app.event(secret_event(id="once more", data=event))
    assert await app.released() == "ALREADY_LIVE"
    assert app.foundry.create_count == 3


@in_virtual_time
async def test_an_older_version_that_records_no_secrets_is_copied_with_those_of_agents_yaml() -> None:
    app = await after_bad_configuration()
    versions = app.foundry.agents[AGENT].versions
    kept = {key: value for key, value in versions["1"].metadata.items() if key not in SECRETS}
    versions["1"] = replace(versions["1"], metadata=kept)
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "second"}


@in_virtual_time
async def test_a_deployment_of_agents_yaml_waits_for_a_person() -> None:
    app = await after_bad_configuration()
    await deploy(app, "better")
    assert app.journal.reasons().count("ROLLED_BACK_BY") == 1
    (line,) = [line for line in app.journal.lines if line["reason"] == "ROLLED_BACK_BY"]
    assert str(line["detail"]).startswith("to version 1 by ann since 2026-")
    assert str(line["detail"]).endswith(": orders are lost")
    await app.released()
    assert (await live_environment(app))["WORD"] == "good"
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["WORD"] == "good"
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["WORD"] == "better"
    await deploy(app, "best")
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["WORD"] == "best"


@in_virtual_time
async def test_a_newer_push_is_released_with_todays_agents_yaml() -> None:
    app = await after_bad_configuration()
    await deploy(app, "better")
    assert await push_and_release(app, "v3", "c") == "LIVE"
    assert (await live_image(app), (await live_environment(app))["WORD"]) == ("c", "better")
    desired = await app.state_store.get_desired(AGENT)
    assert desired.rollback is None


@in_virtual_time
async def test_the_daily_run_takes_nothing_back_to_life() -> None:
    app = await after_bad_image()
    for day in range(3):
        await app.clock.sleep(86_400)
        await resume_releases(app.agents, app.gateways)
        await app.released()
        await rotate(app, f"value-{day}")
        assert await app.released() == "LIVE"
        assert await live_image(app) == "a"


@in_virtual_time
async def test_a_held_push_does_not_end_the_rollback() -> None:
    app = await after_bad_image()
    assert await push_and_release(app, "again", "b") == "HELD"
    await app.clock.sleep(300)
    await deploy(app, "better")
    assert app.journal.reasons()[-1] == "ROLLED_BACK_BY"
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert (await live_image(app), await live_environment(app)) == ("a", {"KEY": "second"})


@in_virtual_time
async def test_a_push_that_fails_leaves_the_definition_that_was_rolled_back_to() -> None:
    app = await after_bad_configuration()
    app.foundry.failures["c" * 64] = Failure("ImageError", "cannot start")
    assert await push_and_release(app, "v3", "c") == "IMAGE_ERROR"
    await app.clock.sleep(300)
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "second"}


@in_virtual_time
async def test_a_rotation_follows_a_rollback_that_is_asked_for_first() -> None:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    await roll_back(app)
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert (await app.live(), app.foundry.create_count) == ("1", 2), "the rollback goes first, and at once"
    assert app.release_queue.sent[-1] == (AGENT, 0.0)
    assert await app.released() == "LIVE"
    assert (await live_image(app), await live_environment(app)) == ("a", {"KEY": "second"})


@in_virtual_time
async def test_a_rollback_ends_a_rotation_that_is_under_way() -> None:
    app = app_with("mode: manual")
    for letter in "ab":
        await push_and_release(app, letter, letter)
        await user_commands.approve(AGENT, "ann", app.gateways)
        assert await app.released() == "LIVE"
        await app.clock.sleep(300)
    await rotate(app, "second")
    await app.released()
    assert app.journal.reasons()[-1] == "APPROVAL_WAITING"
    await roll_back(app)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"


@in_virtual_time
async def test_a_rollback_that_failed_is_tried_again_by_retry() -> None:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    app.foundry.agents[AGENT].enabled = False
    await roll_back(app)
    assert await app.released() == "AGENT_DISABLED"
    app.foundry.agents[AGENT].enabled = True
    update = await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    assert update.reason == "ROLLBACK_REQUESTED"
    assert await app.released() == "LIVE"
    assert (await app.live(), app.foundry.create_count) == ("1", 2)


@in_virtual_time
async def test_a_version_that_is_gone_is_not_made_from_agents_yaml() -> None:
    app = await after_bad_configuration()
    app.foundry.agents[AGENT].remove("1")
    await rotate(app, "second")
    assert await app.released() == "CANDIDATE_GONE"
    assert app.foundry.create_count == 2


@in_virtual_time
async def test_a_person_who_removes_the_hold_ends_the_rollback() -> None:
    app = await after_bad_configuration()
    await user_commands.unhold(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert (await live_environment(app))["WORD"] == "bad"


@in_virtual_time
async def test_the_removal_of_another_hold_leaves_the_rollback() -> None:
    app = await after_bad_configuration()
    await user_commands.hold(AGENT, "x", "ann", app.gateways, f"sha256:{'c' * 64}")
    await user_commands.unhold(AGENT, "ann", app.gateways, f"sha256:{'c' * 64}")
    assert await app.released() == "ALREADY_LIVE"
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "second"}


@in_virtual_time
async def test_a_rejected_push_leaves_the_rollback_in_force() -> None:
    app = await after_bad_configuration()
    await rotate(app, "second")
    await app.released()
    await app.clock.sleep(300)
    chart = f"sha256:{'d' * 64}"
    app.registry.push(REPOSITORY, "cache", chart, app.clock.now(), ImageFacts("NOT_AN_IMAGE", "a build cache"))
    await app.pushed("cache", "d")
    await app.released()
    desired = await app.state_store.get_desired(AGENT)
    assert desired.rollback is not None
    await rotate(app, "third")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "third"}


@in_virtual_time
async def test_a_secret_that_cannot_be_used_leaves_what_serves() -> None:
    app = await after_bad_configuration()
    await rotate(app, "second")
    app.key_vault.versions["hello-key"][-1].enabled = False
    assert await app.released() == "SECRET_DISABLED"
    assert (await app.live(), app.foundry.create_count) == ("1", 2)
    await rotate(app, "third")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "third"}


class RefusesOnce(InMemoryFoundry):
    """The next create is refused by the rate limit."""

    refused = True

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        if not self.refused:
            self.refused = True
            raise TransientError("Foundry", "429", "too many requests")
        return await super().create_version(agent, definition, metadata)


@in_virtual_time
async def test_the_definition_is_copied_again_after_a_fault() -> None:
    app = await after_bad_configuration()
    app.foundry.__class__ = RefusesOnce
    app.foundry.refused = False  # type: ignore[attr-defined]
    await rotate(app, "second")
    assert await app.released() == "LIVE"
    assert await live_environment(app) == {"WORD": "good", "KEY": "second"}
    assert app.foundry.refused  # type: ignore[attr-defined]
