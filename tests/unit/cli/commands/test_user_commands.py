"""The commands of a user: what they write, and when they are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cli.exit_codes import DONE, NOTHING_TO_DO, UsageError
from core.image_manifest import ImageFacts, RegistryTag
from handlers.gateways.errors import TransientError
from tests.support.app import AGENT, App
from tests.unit.cli.support import make_live, run


async def test_a_command_is_written_to_the_desired_state_and_the_journal(app: App) -> None:
    await make_live(app, "a")
    result = await run(app, "hold", why="a rumour", until="7d")
    assert (result.exit_code, result.data[0]["reason"]) == (DONE, "HOLD_SET")
    (hold,) = (await app.state_store.get_desired(AGENT)).holds
    assert hold.until is not None
    assert hold.until - hold.since == timedelta(days=7)
    assert "HOLD_SET" in app.journal.reasons()


@pytest.mark.parametrize("function", ["approve", "unhold", "unpause", "request_release"])
async def test_a_command_with_nothing_to_act_on_exits_with_4(app: App, function: str) -> None:
    assert (await run(app, function)).exit_code == NOTHING_TO_DO


async def test_a_rollback_without_an_earlier_version_exits_with_4(app: App) -> None:
    await make_live(app, "a")
    result = await run(app, "request_rollback", why="wrong answers")
    assert (result.exit_code, result.data[0]["reason"]) == (NOTHING_TO_DO, "NO_ROLLBACK_VERSION")


async def test_an_image_is_named_by_its_tag_and_released_by_its_digest(app: App) -> None:
    digest = f"sha256:{'b' * 64}"
    app.registry.tags["agents/hello"] = [RegistryTag("v7", digest, app.clock.now())]
    await run(app, "request_release", image="demo.azurecr.io/agents/hello:v7")
    push = (await app.state_store.get_desired(AGENT)).push
    assert push is not None
    assert (push.tag, push.digest) == ("v7", digest)
    with pytest.raises(UsageError, match=r"is sha256:b.* now, not"):
        await run(app, "request_release", image=f"agents/hello:v7@sha256:{'c' * 64}")
    with pytest.raises(UsageError, match="the registry has no agents/hello@sha256:c"):
        await run(app, "request_release", image=f"agents/hello@sha256:{'c' * 64}")
    with pytest.raises(UsageError, match="did you mean v7"):
        await run(app, "request_release", image="agents/hello:v77")


async def test_a_rollback_to_an_image_that_is_gone_needs_force(app: App) -> None:
    await make_live(app, "a", "b")
    del app.registry.images["agents/hello", f"sha256:{'a' * 64}"]
    refused = await run(app, "request_rollback", why="wrong answers")
    assert (refused.exit_code, refused.data[0]["reason"]) == (NOTHING_TO_DO, "IMAGE_GONE")
    assert "of version 1; --force" in refused.data[0]["detail"]
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    forced = await run(app, "request_rollback", why="wrong answers", force=True)
    assert (forced.exit_code, forced.data[0]["reason"]) == (DONE, "ROLLBACK_REQUESTED")
    assert await app.released() == "LIVE"
    assert await app.live() == "1"


@pytest.mark.parametrize("of_index", [True, False])
async def test_the_child_of_an_index_must_exist_too(app: App, of_index: bool) -> None:
    await make_live(app, "a", "b")
    child = f"sha256:{'d' * 64}"
    app.registry.images["agents/hello", f"sha256:{'a' * 64}"] = ImageFacts(amd64=child)
    if not of_index:
        app.registry.images["agents/hello", child] = ImageFacts(amd64=child)
    reason = (await run(app, "request_rollback", why="wrong answers")).data[0]["reason"]
    assert reason == ("IMAGE_GONE" if of_index else "ROLLBACK_REQUESTED")


async def test_a_registry_that_does_not_answer_and_a_foreign_version_stop_no_rollback(app: App) -> None:
    await make_live(app, "a", "b")
    app.registry.error = TransientError("registry", "timeout", "no answer")
    assert (await run(app, "request_rollback", why="x")).data[0]["reason"] == "ROLLBACK_REQUESTED"
    app.registry.error = None
    app.registry.images.clear()
    versions = app.foundry.agents[AGENT].versions
    versions["1"] = replace(versions["1"], metadata={})
    assert (await run(app, "request_rollback", why="x", to="1")).data[0]["reason"] == "ROLLBACK_REQUESTED"


async def test_the_author_is_the_account_that_is_signed_in_and_by_is_a_note(app: App) -> None:
    await make_live(app, "a")
    held = await run(app, "hold", why="a rumour", by="ciso@contoso.com")
    assert " by ann, note: ciso@contoso.com: a rumour" in held.text
    paused = await run(app, "pause", why="freeze")
    assert " by ann: freeze" in paused.text
    desired = await app.gateways.state_store.get_desired(AGENT)
    assert desired.pause is not None
    assert [desired.pause.by, desired.holds[0].by] == ["ann", "ann, note: ciso@contoso.com"]
