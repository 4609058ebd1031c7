"""Variables of ``env_from_vault`` whose secret lost its tags, or cannot be read any more."""

from __future__ import annotations

import pytest

from core.agents_file.loader import load_agents
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, push_and_release
from tests.support.builders import secret_event

YAML = b"""
agents:
  hello-agent:
    repository: agents/hello
    env_from_vault: true
    release: {debounce: 0s}
"""
TAGS = {"agent": AGENT, "env": "API_KEY"}


async def tagged_app() -> App:
    """An agent whose version 1 has a variable from a tagged secret."""
    app = App(clock=VirtualClock(), agents=load_agents(YAML))
    app.key_vault.put("api-key", "canary-1", tags=TAGS)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    await app.clock.sleep(3600)
    return app


async def changed(app: App, value: str, *, enabled: bool = True, tags: dict[str, str] | None = None) -> str:
    """A new version of the secret; returns the reason of the release that follows."""
    secret = app.key_vault.put("api-key", value, enabled=enabled, tags=tags)
    data = {"Id": f"https://demo-vault.vault.azure.net/secrets/api-key/{secret.version}"}
    await app.event(secret_event(id=f"rotated-{value}", data=data))
    return await app.released()


async def variables(app: App) -> dict[str, str]:
    return app.foundry.environment(AGENT, await app.live() or "")


@in_virtual_time
async def test_a_rotation_without_tags_keeps_the_variable_and_says_so_each_time() -> None:
    app = await tagged_app()
    for value in ("canary-2", "canary-3"):
        assert await changed(app, value) == "LIVE"
        assert await variables(app) == {"API_KEY": value}
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-3"}
    assert app.journal.reasons().count("VARIABLE_TAGS_LOST") == 3


@in_virtual_time
async def test_tags_removed_by_a_person_remove_the_variable_with_a_word() -> None:
    app = await tagged_app()
    app.key_vault.versions["api-key"][-1].tags = {}
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await variables(app) == {}
    (line,) = [line for line in app.journal.lines if line["reason"] == "VARIABLE_REMOVED"]
    assert "API_KEY" in str(line["detail"])
    assert line["severity"] == "warning"


@in_virtual_time
async def test_a_disabled_secret_ends_the_release_and_what_serves_goes_on() -> None:
    app = await tagged_app()
    assert await changed(app, "canary-2", enabled=False, tags=TAGS) == "SECRET_DISABLED"
    assert await push_and_release(app, "v2", "b") == "SECRET_DISABLED"
    assert await variables(app) == {"API_KEY": "canary-1"}
    assert await changed(app, "canary-3", tags=TAGS) == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-3"}
    assert app.journal.reasons().count("VARIABLE_TAGS_LOST") == 0


@in_virtual_time
async def test_a_deleted_secret_that_comes_back_with_its_tags() -> None:
    app = await tagged_app()
    before = app.key_vault.versions.pop("api-key")
    assert await push_and_release(app, "v2", "b") == "SECRET_MISSING"
    assert await variables(app) == {"API_KEY": "canary-1"}
    app.key_vault.versions["api-key"] = before
    assert await push_and_release(app, "v3", "c") == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-1"}


@pytest.mark.parametrize("enabled", [True, False])
@in_virtual_time
async def test_another_secret_may_take_the_variable_over(enabled: bool) -> None:
    app = await tagged_app()
    app.key_vault.put("api-key", "canary-2", enabled=enabled)
    app.key_vault.put("other-key", "canary-other", tags=TAGS)
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-other"}


@in_virtual_time
async def test_a_lagging_read_of_a_version_without_tags_removes_nothing() -> None:
    app = await tagged_app()
    app.key_vault.put("api-key", "canary-2")
    app.key_vault.hidden["api-key"] = 1
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-1"}
    assert "VARIABLE_REMOVED" not in app.journal.reasons()


@in_virtual_time
async def test_an_agent_that_was_deleted_comes_back_with_its_variable() -> None:
    app = await tagged_app()
    assert await changed(app, "canary-2") == "LIVE"
    del app.foundry.agents[AGENT]
    for tag, letter in (("v2", "b"), ("v3", "c")):
        reason = await push_and_release(app, tag, letter)
    assert reason == "LIVE"
    assert await variables(app) == {"API_KEY": "canary-2"}


@in_virtual_time
async def test_an_expired_secret_ends_the_release_and_what_serves_goes_on() -> None:
    app = await tagged_app()
    app.key_vault.put("api-key", "canary-2", tags=TAGS, expires_on=app.clock.now())
    assert await push_and_release(app, "v2", "b") == "SECRET_EXPIRED"
    assert await variables(app) == {"API_KEY": "canary-1"}
