"""Versions of secrets with a start date: an older valid version is used until then, and the date starts a release."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.intake.secret_check import apply_start
from core.model import SecretVersion
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.resume_releases.run import resume_releases
from handlers.user_commands import request_rollback
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with, live_app, push_and_release
from tests.support.builders import secret_event


class UnlistedVault(InMemoryKeyVault):
    """A vault whose access policy has get, and not list."""

    async def list_secret_versions(self, name: str) -> list[SecretVersion]:
        raise PermanentError("Key Vault", "FORBIDDEN", f"list versions of secret {name}", status=403)


async def put(app: App, value: str, hours: float = 0.0, *, enabled: bool = True, event: bool = True) -> datetime:
    """A new version that starts in so many hours."""
    starts_at: datetime = app.clock.now() + timedelta(hours=hours)
    secret = app.key_vault.put("hello-key", value, enabled=enabled, not_before=starts_at if hours else None)
    data = {"Id": f"https://demo-vault.vault.azure.net/secrets/hello-key/{secret.version}"}
    if event:
        await app.event(secret_event(id=f"rotated-{value}", data=data))
    return starts_at


async def key(app: App) -> str:
    return app.foundry.environment(AGENT, await app.live() or "")["KEY"]


def details(app: App, reason: str) -> list[str]:
    return [str(line["detail"]) for line in app.journal.lines if line["reason"] == reason]


@in_virtual_time
async def test_a_future_version_stops_no_push_and_is_named() -> None:
    app = await live_app()
    used = app.key_vault.versions["hello-key"][-1].secret.version
    due = await put(app, "canary-later", 2)
    assert await app.released() == "SECRET_STARTS_LATER"
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await key(app) == "canary-3c2d"
    *_, detail = details(app, "SECRET_STARTS_LATER")
    assert used in detail
    assert f"{due:%Y-%m-%d %H:%M:%S} UTC" in detail


@in_virtual_time
async def test_the_release_goes_on_by_itself_at_the_date() -> None:
    app = await live_app()
    await put(app, "canary-later", 2)
    await app.released()
    await app.clock.sleep(2 * 3600)
    app.release_queue.sent.clear()
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == [(AGENT, 0.0)]
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-later"
    assert "SECRET_NOW_VALID" in app.journal.reasons()
    app.release_queue.sent.clear()
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == []


@in_virtual_time
async def test_a_date_of_the_next_minutes_has_its_own_message() -> None:
    app = await live_app()
    await put(app, "canary-later", 0.1)
    await app.released()
    assert app.release_queue.sent[-1] == (AGENT, 360.0)
    await app.clock.sleep(360)
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-later"


@in_virtual_time
async def test_a_push_waits_for_the_date_where_no_version_is_valid() -> None:
    app = app_with()
    app.key_vault.versions.clear()
    due = await put(app, "canary-later", 2)
    assert await push_and_release(app, "v1", "a") == "SECRET_NOT_YET_VALID"
    assert f"{due:%Y-%m-%d %H:%M:%S} UTC" in (await app.state_store.get_release(AGENT)).detail
    await app.clock.sleep(2 * 3600)
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-later"


@in_virtual_time
async def test_the_newest_enabled_and_valid_version_is_used() -> None:
    app = await live_app()
    await put(app, "canary-2")
    await put(app, "canary-off", enabled=False)
    await put(app, "canary-later", 3)
    await put(app, "canary-sooner", 2)
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await key(app) == "canary-2"
    await app.clock.sleep(2 * 3600)
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-sooner", "the other one was made before it"
    await app.clock.sleep(1 * 3600)
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-sooner"


@in_virtual_time
async def test_without_the_right_to_list_the_released_version_is_used() -> None:
    app = await live_app(UnlistedVault())
    await put(app, "canary-later", 2)
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await key(app) == "canary-3c2d"
    await app.clock.sleep(2 * 3600)
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-later"


@in_virtual_time
async def test_the_date_starts_nothing_where_rotations_start_nothing() -> None:
    app = await live_app()
    await put(app, "canary-later", 2)
    await app.released()
    spec = app.agents.agents[AGENT]
    ignoring = spec.model_copy(update={"release": spec.release.model_copy(update={"on_secret_change": "ignore"})})
    app.agents = app.agents.model_copy(update={"agents": {AGENT: ignoring}})
    await app.clock.sleep(2 * 3600)
    await app.released()
    assert app.journal.reasons()[-1] == "SECRET_CHANGE_IGNORED"
    assert await key(app) == "canary-3c2d"
    assert (await app.state_store.get_release(AGENT)).secret_due is None


@in_virtual_time
async def test_a_rollback_keeps_the_date() -> None:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    due = await put(app, "canary-later", 1)
    await app.released()
    await request_rollback(AGENT, "bad", "somebody", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
    assert (await app.state_store.get_release(AGENT)).secret_due == due


@in_virtual_time
async def test_a_change_that_comes_at_the_date_is_not_released_twice() -> None:
    app = await live_app()
    await put(app, "canary-later", 2)
    await app.released()
    desired = await app.state_store.get_desired(AGENT)
    newer = replace(desired, generation=desired.generation + 1)
    assert apply_start(newer, desired.generation, app.agents.agents[AGENT], app.clock.now()) == newer
