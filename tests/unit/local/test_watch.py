"""``python -m local watch`` begins with the last push, whoever made it."""

from __future__ import annotations

from datetime import UTC, datetime

from local.images import push
from local.registry.server import Registry
from local.watch import last_push


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
