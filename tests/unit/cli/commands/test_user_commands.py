"""The commands of a user: what they write, and when they are refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cli.exit_codes import DONE, NOTHING_TO_DO, UsageError
from core.image_manifest import RegistryTag
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


async def test_the_author_is_the_account_that_is_signed_in_and_by_is_a_note(app: App) -> None:
    await make_live(app, "a")
    held = await run(app, "hold", why="a rumour", by="ciso@contoso.com")
    assert " by ann, note: ciso@contoso.com: a rumour" in held.text
    paused = await run(app, "pause", why="freeze")
    assert " by ann: freeze" in paused.text
    desired = await app.gateways.state_store.get_desired(AGENT)
    assert desired.pause is not None
    assert [desired.pause.by, desired.holds[0].by] == ["ann", "ann, note: ciso@contoso.com"]
