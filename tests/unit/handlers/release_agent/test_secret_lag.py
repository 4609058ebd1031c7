"""A rotation whose new version Key Vault does not give yet: read again, and never called live already."""

from __future__ import annotations

import asyncio

from core.model import SecretVersion
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, live_app, rotate
from tests.support.builders import secret_event

VAULT = "https://demo-vault.vault.azure.net/secrets"


class ForgetfulVault(InMemoryKeyVault):
    """A vault whose lists lag as its reads do."""

    async def list_secret_versions(self, name: str) -> list[SecretVersion]:
        listed = list(await super().list_secret_versions(name))
        return listed[: len(listed) - self.hidden.get(name, 0)]


async def lagging_app(vault: InMemoryKeyVault | None = None) -> App:
    """An agent whose secret has a second version, which an event named and which no read gives yet."""
    app = await live_app(vault)
    app.key_vault.hidden["hello-key"] = 1
    await rotate(app, "canary-new")
    return app


async def key_of_live(app: App) -> object:
    return app.foundry.environment(AGENT, await app.live() or "")["KEY"]


@in_virtual_time
async def test_a_lagging_read_is_repeated_until_the_new_value_is_live() -> None:
    app = await lagging_app()
    assert await app.released() == "LIVE", "the end of the release before"
    assert app.journal.reasons()[-1] == "SECRET_LAGS"
    assert app.release_queue.sent[-1] == (AGENT, 5.0)
    await app.clock.sleep(5)
    app.key_vault.hidden.clear()
    assert await app.released() == "LIVE"
    assert await key_of_live(app) == "canary-new"
    assert "ALREADY_LIVE" not in app.journal.reasons()


@in_virtual_time
async def test_a_listed_version_is_read_by_its_id_in_the_end() -> None:
    app = await lagging_app()
    await app.released()
    await app.clock.sleep(30)
    assert await app.released() == "LIVE"
    assert await key_of_live(app) == "canary-new"


@in_virtual_time
async def test_a_version_that_never_shows_ends_with_its_own_reason() -> None:
    app = await lagging_app(ForgetfulVault())
    for _ in range(2):
        await app.released()
        await app.clock.sleep(150)
    assert await app.released() == "SECRET_LAGS"
    assert "ALREADY_LIVE" not in app.journal.reasons()
    assert await app.live() == "1", "what serves goes on"
    app.key_vault.hidden.clear()
    await app.event(secret_event(id="again", data={"Id": f"{VAULT}/hello-key/{2:032x}"}))
    assert await app.released() == "LIVE"
    assert await key_of_live(app) == "canary-new"


@in_virtual_time
async def test_a_push_waits_for_a_lagging_secret_for_seconds_only() -> None:
    app = await lagging_app(ForgetfulVault())
    await app.pushed("v2", "b")
    await app.released()
    assert app.journal.reasons()[-1] == "SECRET_LAGS"
    await app.clock.sleep(30)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


@in_virtual_time
async def test_a_release_under_way_goes_on_while_a_secret_lags() -> None:
    app = await live_app()
    app.foundry.provisioning = 20
    await app.pushed("v2", "b")
    running = asyncio.ensure_future(app.released())
    await app.clock.sleep(10)
    app.key_vault.hidden["hello-key"] = 1
    await rotate(app, "canary-new")
    await running
    assert await app.live() == "2"
    assert "SUPERSEDED" not in app.journal.reasons()


@in_virtual_time
async def test_a_first_version_that_cannot_be_read_yet_is_read_again() -> None:
    app = await live_app()
    app.key_vault.versions.clear()
    app.key_vault.hidden["hello-key"] = 1
    await rotate(app, "canary-new")
    await app.released()
    assert app.journal.reasons()[-1] == "SECRET_LAGS"
    await app.clock.sleep(30)
    assert await app.released() == "SECRET_MISSING"
