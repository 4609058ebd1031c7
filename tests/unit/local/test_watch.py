"""``python -m local watch`` begins with the last push, whoever made it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.images import push
from local.registry.server import Registry
from local.watch import is_about, last_push


async def test_it_finds_the_last_push_of_a_tag() -> None:
    registry = Registry("demo")
    address = (await registry.start()).removeprefix("http://")
    try:
        assert await last_push(address) == ""
        before = datetime.now(UTC).isoformat()
        await push(address, "agents/hello", "v1")
        first = await last_push(address)
        assert before <= first <= datetime.now(UTC).isoformat()
        await push(address, "agents/hello", None, salt="a digest alone, as a signature is pushed")
        await push(address, "agents/hello", "sha256-0123.sig", salt="a signature of an older client")
        assert await last_push(address) == first
        await push(address, "agents/hello", "v2", salt="two")
        second = await last_push(address)
        assert second > first
        await push(address, "agents/other", "v1", salt="three")
        assert await last_push(address) > second
        assert await last_push(address, "agents/hello") == second
    finally:
        await registry.stop()


@pytest.mark.parametrize(
    ("line", "repository", "shown"),
    [
        ({"reason": "LIVE", "agent": "greeter"}, "team/greeter", True),
        ({"reason": "LIVE", "agent": "greeter@eu"}, "team/greeter", True),
        ({"reason": "LIVE", "agent": "greeter-2"}, "team/greeter", False),
        ({"reason": "POISONED", "repository": "team/greeter"}, "team/greeter", True),
        ({"reason": "POISONED", "repository": "team/other"}, "team/greeter", False),
        ({"reason": "CONFIG_INVALID", "repository": "team/greeter"}, "", True),
        ({"reason": "CONFIG_INVALID"}, "team/greeter", True),
        ({"reason": "PRUNED"}, "team/greeter", False),
    ],
)
def test_it_shows_what_is_about_the_agent_and_what_keeps_its_events_from_it(
    line: dict[str, str], repository: str, shown: bool
) -> None:
    assert is_about(line, "greeter", repository) is shown
    assert is_about(line, "", repository)
