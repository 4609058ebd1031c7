"""The age of a push and the quiet time of secrets and agents.yaml are two times."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.image_manifest import ImageFacts
from handlers import user_commands
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, push_and_release, rotate

YAML = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}, WORD: "%s"}
    release: {%s}
"""
BOTH = "min_push_age: 90s, debounce: 15s"


def app_of(release: str = BOTH, word: str = "one") -> App:
    return App(clock=VirtualClock(), agents=load_agents((YAML % (word, release)).encode()))


async def live_app(release: str = BOTH) -> App:
    """Version 1 is live, and nothing waits."""
    app = app_of(release)
    await app.pushed("v1", "a")
    await app.clock.sleep(100)
    assert await app.released() == "LIVE"
    await app.clock.sleep(3600)
    return app


async def live(app: App) -> tuple[str, str]:
    """The letter of the live image, and the value of its secret."""
    number = await app.live() or ""
    version = await app.foundry.get_version(AGENT, number)
    return (version.image[-1] if version else "", app.foundry.environment(AGENT, number)["KEY"])


@in_virtual_time
async def test_a_rotation_does_not_end_the_age_of_a_push_and_is_released_meanwhile() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    await app.clock.sleep(4)
    await rotate(app, "canary-2")
    await app.clock.sleep(16)
    assert await app.released() == "LIVE"
    assert await live(app) == ("a", "canary-2")
    await app.clock.sleep(90)
    assert await app.released() == "LIVE"
    assert await live(app) == ("b", "canary-2")


@in_virtual_time
async def test_a_deployment_does_not_end_the_age_of_a_push() -> None:
    app = await live_app()
    await resume_releases(app.agents, app.gateways)
    await app.pushed("v2", "b")
    app.agents = app_of(word="two").agents
    await resume_releases(app.agents, app.gateways)
    await app.clock.sleep(20)
    assert await app.released() == "LIVE"
    assert await live(app) == ("a", "canary-3c2d")
    await app.clock.sleep(71)
    assert await app.released() == "LIVE"
    assert await live(app) == ("b", "canary-3c2d")


@in_virtual_time
async def test_a_branch_that_is_pushed_more_often_than_its_minimum_age_goes_live() -> None:
    app = await live_app()
    for number in range(12):
        await app.pushed(f"v{number + 2}", "bcdef0123456"[number])
        await app.clock.sleep(20)
        await app.released()
    assert (await live(app))[0] != "a"
    await app.clock.sleep(90)
    await app.released()
    assert (await live(app))[0] == "6"


@in_virtual_time
async def test_a_moving_tag_that_is_pushed_more_often_than_its_minimum_age_goes_live() -> None:
    app = await live_app()
    for letter in "bcdef":
        await app.pushed("main", letter)
        await app.clock.sleep(30)
    assert await app.released() == "LIVE"
    assert (await live(app))[0] == "d", "e and f are too young; the registry names f by now"
    assert "TAG_MOVED" not in app.journal.reasons()


@in_virtual_time
async def test_a_push_whose_event_never_came_waits_for_its_age_too() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    await app.clock.sleep(60)
    app.registry.push("agents/hello", "v3", f"sha256:{'c' * 64}", app.clock.now())
    await app.clock.sleep(31)
    assert await app.released() == "LIVE"
    assert (await live(app))[0] == "b"
    assert app.release_queue.sent[-1][1] == pytest.approx(38, abs=5), "v3 is known, and waited for"
    await app.clock.sleep(60)
    await app.released()
    assert (await live(app))[0] == "c"
    assert app.journal.reasons().count("MISSED_PUSH_FOUND") == 1


@in_virtual_time
async def test_rotations_do_not_stop_a_release_under_way_but_follow() -> None:
    app = await live_app("debounce: 5s")
    app.foundry.provisioning = 60.0
    await app.pushed("v2", "b")

    async def rotate_often() -> None:
        for number in range(6):
            await app.clock.sleep(8)
            await rotate(app, f"canary-{number}")

    assert "LIVE" in await asyncio.gather(app.released(), rotate_often())
    assert await live(app) == ("b", "canary-3c2d")
    assert app.foundry.create_count == 2
    assert "SUPERSEDED" not in app.journal.reasons()
    assert app.release_queue.sent[-1] == (AGENT, 0.0), "the rotation follows at once"
    await app.clock.sleep(5)
    assert await app.released() == "LIVE"
    assert (await live(app), app.foundry.create_count) == (("b", "canary-5"), 3)


@in_virtual_time
async def test_an_approved_release_goes_on_during_the_quiet_time_of_a_rotation() -> None:
    app = app_of("mode: manual, debounce: 15s")
    await push_and_release(app, "v1", "a")
    await rotate(app, "canary-2")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await live(app) == ("a", "canary-3c2d")
    await app.clock.sleep(16)
    await app.released()
    assert (await app.state_store.get_release(AGENT)).candidate == "2", "the new value waits for its own approval"


@in_virtual_time
async def test_a_push_that_waits_for_ten_years_adds_no_messages_and_is_released_when_the_age_is_lowered() -> None:
    app = await live_app("debounce: 5s")
    app.agents = app_of("min_push_age: 3650d, debounce: 5s").agents
    await resume_releases(app.agents, app.gateways)
    await app.pushed("v2", "b")
    sent = len(app.release_queue.sent)
    for _ in range(10):
        await app.clock.sleep(300)
        await resume_releases(app.agents, app.gateways)
    assert len(app.release_queue.sent) == sent
    await rotate(app, "canary-2")
    await app.clock.sleep(6)
    assert await app.released() == "LIVE"
    assert await live(app) == ("a", "canary-2")
    app.agents = app_of("debounce: 5s").agents
    await resume_releases(app.agents, app.gateways)
    assert len(app.release_queue.sent) > sent
    assert await app.released() == "LIVE"
    assert (await live(app))[0] == "b"


@in_virtual_time
async def test_a_push_whose_message_came_while_the_lease_was_held_is_not_forgotten() -> None:
    app = await live_app("min_push_age: 90s, debounce: 0s")
    app.foundry.provisioning = 60.0
    await app.pushed("v2", "b")
    await app.clock.sleep(50)
    await rotate(app, "canary-2")

    async def message_of_the_push() -> None:
        await app.clock.sleep(40.5)
        message = json.dumps({"target": AGENT, "traceparent": None})
        await handle_message(message, app.agents, app.settings, app.gateways)

    await asyncio.gather(app.released(), message_of_the_push())
    assert "LEASE_TAKEN" in app.journal.reasons()
    assert await live(app) == ("b", "canary-2") or app.release_queue.sent[-1][1] == 0.0


@in_virtual_time
async def test_an_image_that_waited_and_cannot_be_deployed_displaces_nothing() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    app.registry.images["agents/hello", f"sha256:{'b' * 64}"] = ImageFacts("NOT_AN_IMAGE", "a build cache")
    await app.clock.sleep(40)
    await app.pushed("v3", "c")
    await app.clock.sleep(51)
    await app.released()
    assert (await live(app))[0] == "a"
    assert "NOT_AN_IMAGE" in app.journal.reasons()
    await app.clock.sleep(60)
    assert await app.released() == "LIVE"
    assert (await live(app))[0] == "c"


@in_virtual_time
async def test_a_pause_that_is_longer_than_an_age_does_not_run_for_ever() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    await user_commands.pause((AGENT,), "freeze", "ann", app.gateways)
    await app.clock.sleep(91)
    sent = len(app.release_queue.sent)
    await app.released()
    assert len(app.release_queue.sent) == sent
    await user_commands.unpause((AGENT,), "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert (await live(app))[0] == "b"


@in_virtual_time
async def test_a_push_that_becomes_old_enough_during_a_release_and_a_rotation_supersedes_it() -> None:
    app = await live_app("min_push_age: 90s, debounce: 0s")
    app.foundry.provisioning = 60.0
    await app.pushed("v2", "b")
    await app.clock.sleep(20)
    await app.pushed("v3", "c")
    await app.clock.sleep(70)

    async def rotate_meanwhile() -> None:
        await app.clock.sleep(5)
        await rotate(app, "canary-2")

    await asyncio.gather(app.released(), rotate_meanwhile())
    assert await live(app) == ("c", "canary-2")
    assert "SUPERSEDED" in app.journal.reasons()


@in_virtual_time
async def test_a_push_whose_event_comes_beside_the_registry_check_is_not_a_missed_one() -> None:
    app = await live_app("min_push_age: 90s, debounce: 0s")
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    app.gateways = replace(app.gateways, registry=EventFollows(app))
    await app.released()
    waiting = [item.push.tag for item in (await app.state_store.get_desired(AGENT)).waiting]
    assert (waiting, "MISSED_PUSH_FOUND" in app.journal.reasons()) == (["v2"], False)


class EventFollows:
    """An image is pushed just before the first read of the newest tags, and its event comes just after that."""

    def __init__(self, app: App) -> None:
        self._app, self._left = app, [True]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app.registry, name)

    async def recent_tags(self, repository: str, tag: str) -> Any:
        if not self._left:
            return await self._app.registry.recent_tags(repository, tag)
        self._left.clear()
        self._app.registry.push(repository, "v2", f"sha256:{'b' * 64}", self._app.clock.now())
        tags = await self._app.registry.recent_tags(repository, tag)
        await self._app.pushed("v2", "b")
        return tags
