"""slipway approve: what is approved is named, or shown first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.commands.approve import approve_named
from cli.exit_codes import DONE, NOTHING_TO_DO, UsageError
from core.state.release import Phase
from tests.support.app import AGENT, App
from tests.unit.cli.support import context_of


async def wait_with(app: App, letter: str, version: str) -> str:
    """A version waits for an approval; returns its digest."""
    await app.pushed(f"v{version}", letter)
    lease = await app.state_store.acquire_lease(AGENT)
    assert lease is not None
    push = (await app.state_store.get_desired(AGENT)).push
    assert push is not None
    await lease.write(replace(lease.state, push=push, phase=Phase.CONFIRMED, candidate=version, fingerprint="fp"))
    await lease.release()
    return push.digest


@pytest.mark.parametrize("as_json", [True, False])
async def test_without_a_terminal_what_is_approved_must_be_named(app: App, as_json: bool) -> None:
    await wait_with(app, "a", "1")
    with pytest.raises(UsageError, match="--version N or --digest"):
        await approve_named(context_of(app), AGENT, {}, "ann", watch=False, as_json=as_json)
    assert (await app.state_store.get_desired(AGENT)).approval is None


async def test_an_image_that_was_pushed_after_the_review_is_not_approved(app: App) -> None:
    reviewed = await wait_with(app, "a", "1")
    await wait_with(app, "b", "2")
    for named in ({"digest": reviewed}, {"version": "1"}, {"version": "2", "digest": reviewed}):
        result = await approve_named(context_of(app), AGENT, named, "ciso", watch=False, as_json=True)
        assert (result.exit_code, result.data[0]["reason"]) == (NOTHING_TO_DO, "NOTHING_TO_APPROVE")
    assert (await app.state_store.get_desired(AGENT)).approval is None


async def test_the_answer_names_tag_and_digest(app: App) -> None:
    digest = await wait_with(app, "a", "1")
    result = await approve_named(context_of(app), AGENT, {"digest": digest}, "ann", watch=False, as_json=True)
    assert result.exit_code == DONE
    assert result.data[0]["detail"].startswith(f"version 1 (v1 {digest}) by ann")
