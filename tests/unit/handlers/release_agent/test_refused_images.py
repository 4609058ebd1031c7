"""A refusal names the image that it refuses, and no version: the version that serves runs another image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.image_manifest import ImageFacts
from handlers import user_commands
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App, live_app

NEW = f"sha256:{'b' * 64}"
Cause = Callable[[App], Awaitable[object]]


async def pause(app: App) -> object:
    return await user_commands.pause((AGENT,), "lunch", "ann", app.gateways)


async def hold(app: App) -> object:
    return await user_commands.hold(AGENT, "a rumour", "ann", app.gateways, digest=NEW)


async def disable_secret(app: App) -> object:
    return app.key_vault.put("hello-key", "another value of it", enabled=False)


@pytest.mark.parametrize(("cause", "reason"), [(pause, "PAUSED"), (hold, "HELD"), (disable_secret, "SECRET_DISABLED")])
@in_virtual_time
async def test_it_names_the_new_image(cause: Cause, reason: str) -> None:
    app = await live_app()
    await cause(app)
    app.journal.lines.clear()
    await app.pushed("v2", "b")
    await app.released()
    (line,) = [line for line in app.journal.lines if line["reason"] == reason]
    assert (line["tag"], line["digest"], line["repository"]) == ("v2", NEW, REPOSITORY)
    assert "version" not in line


@in_virtual_time
async def test_an_image_for_another_platform_is_named() -> None:
    app = await live_app()
    await app.pushed("v2", "b")
    app.registry.images[REPOSITORY, NEW] = ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is linux/arm64")
    await app.released()
    (line,) = [line for line in app.journal.lines if line["reason"] == "WRONG_PLATFORM"]
    assert (line["tag"], line.get("version")) == ("v2", None)


@in_virtual_time
async def test_what_is_about_the_live_image_names_its_version() -> None:
    app = await live_app()
    app.journal.lines.clear()
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    await app.released()
    assert {line.get("version") for line in app.journal.lines if line["reason"] == "ALREADY_LIVE"} <= {"1"}
