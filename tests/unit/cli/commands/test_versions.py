"""``slipway versions``: each version with its tag, age, status and the reason why it stays."""

from __future__ import annotations

import pytest

from cli.commands.versions import list_versions
from cli.exit_codes import UsageError
from tests.support.app import AGENT, App
from tests.unit.cli.support import context_of, make_live


async def test_it_lists_the_newest_first_with_the_reason_of_the_next_prune(app: App) -> None:
    await make_live(app, "a", "b")
    result = await list_versions(context_of(app), AGENT)
    assert [(row["version"], row["tag"], row["status"], row["reason"], row["delete"]) for row in result.data] == [
        ("2", "v2", "active", "KEPT_LIVE", False),
        ("1", "v1", "active", "KEPT_IN_RELEASE", False),
    ]
    heading, newest, _ = result.text.splitlines()
    assert heading.split() == ["VERSION", "TAG", "CREATED", "STATUS", "NEXT", "PRUNE"]
    assert newest.endswith("active  KEPT_LIVE: traffic goes to the version")
    assert " ago  active" in newest


async def test_an_agent_without_versions_and_an_unknown_one_are_named(app: App) -> None:
    assert (await list_versions(context_of(app), AGENT)).text == f"{AGENT} has no versions"
    with pytest.raises(UsageError, match=r"agents\.yaml has no agent helo-agent; did you mean hello-agent"):
        await list_versions(context_of(app), "helo-agent")
