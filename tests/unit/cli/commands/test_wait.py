"""``slipway wait``: the image that a pipeline pushed, and no other one, is live."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cli.commands.wait import wait_for_image
from cli.exit_codes import BAD_RESULT, DONE, UsageError
from handlers.gateways.in_memory.clock import ManualClock
from tests.support.app import AGENT, App
from tests.unit.cli.support import context_of

WITHIN = timedelta(minutes=30)


async def digest_of_the_push(app: App) -> str:
    push = (await app.state_store.get_desired(AGENT)).push
    assert push is not None
    return push.digest


async def test_it_ends_with_the_result_of_the_release_of_this_image(app: App) -> None:
    await app.pushed()
    digest = await digest_of_the_push(app)
    await app.released()
    result = await wait_for_image(context_of(app), AGENT, digest, WITHIN, as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "LIVE"}, DONE)


async def test_an_image_that_never_arrives_ends_the_wait_with_what_to_ask(app: App) -> None:
    began = app.clock.now()
    result = await wait_for_image(context_of(app), AGENT, "sha256:" + "e" * 64, WITHIN, as_json=False)
    assert result.exit_code == BAD_RESULT
    assert "slipway why sha256:eee" in result.text
    assert app.clock.now() - began >= WITHIN


async def test_a_failed_release_exits_with_1(app: App) -> None:
    await app.pushed()
    app.key_vault.forbidden = True
    await app.released()
    result = await wait_for_image(context_of(app), AGENT, await digest_of_the_push(app), WITHIN, as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "SECRET_FORBIDDEN"}, BAD_RESULT)


class NewerPushClock(ManualClock):
    """While somebody waits, a newer image is pushed and goes live."""

    def __init__(self, app: App) -> None:
        super().__init__(app.clock.now())
        self.app, self.is_pushed = app, False

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if not self.is_pushed:
            self.is_pushed = True
            await self.app.pushed("v2", "b")
            await self.app.released()


async def test_a_newer_image_that_is_live_is_no_success_for_an_older_one(app: App) -> None:
    await app.pushed()
    context = replace(context_of(app), gateways=replace(app.gateways, clock=NewerPushClock(app)))
    result = await wait_for_image(context, AGENT, await digest_of_the_push(app), WITHIN, as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "SUPERSEDED"}, BAD_RESULT)
    assert f"agents/hello:v2 (sha256:{'b' * 64})" in result.text


async def test_what_is_no_digest_is_refused_at_once(app: App) -> None:
    with pytest.raises(UsageError, match="64 hex digits"):
        await wait_for_image(context_of(app), AGENT, "v1", WITHIN, as_json=True)


@pytest.mark.parametrize("agent", ["nobody", "all"])
async def test_what_is_not_one_agent_is_refused_at_once(app: App, agent: str) -> None:
    with pytest.raises(UsageError, match=f"no agent {agent}"):
        await wait_for_image(context_of(app), agent, "sha256:" + "e" * 64, WITHIN, as_json=True)
