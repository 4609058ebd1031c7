"""``slipway prune``: what it shows, asks and deletes."""

from __future__ import annotations

import pytest

from cli.commands.prune import plan_and_prune
from cli.exit_codes import BAD_RESULT, DONE, UsageError
from tests.support.app import AGENT, App
from tests.unit.cli.support import ASK, DRY_RUN, YES, context_of, make_live


async def test_it_deletes_what_it_showed_and_asks_first(app: App) -> None:
    await make_live(app, "a", "b", "c")
    plan = await plan_and_prune(context_of(app), AGENT, DRY_RUN)
    assert [(row["version"], row["delete"]) for row in plan.data] == [("1", True), ("2", False), ("3", False)]
    with pytest.raises(UsageError, match="add --yes"):
        await plan_and_prune(context_of(app), AGENT, ASK)
    assert len(await app.foundry.list_versions(AGENT)) == 3
    result = await plan_and_prune(context_of(app), AGENT, YES)
    assert (result.exit_code, result.text.splitlines()[-1]) == (DONE, "1 of 1 deleted")
    assert [version.number for version in await app.foundry.list_versions(AGENT)] == ["2", "3"]
    assert "PRUNED_STALE" in app.journal.reasons()


async def test_a_version_with_sessions_stays_and_the_command_exits_with_1(app: App) -> None:
    await make_live(app, "a", "b", "c")
    app.foundry.agents[AGENT].versions_in_use.add("1")
    result = await plan_and_prune(context_of(app), AGENT, YES)
    assert result.exit_code == BAD_RESULT
    assert "SESSIONS_ACTIVE" in result.text
