"""The followers of a repository share the inspection of an image, but neither a failure nor a missing image."""

from __future__ import annotations

import asyncio

import pytest

from core.image_manifest import ImageFacts
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.shared_registry import REMEMBERED_SECONDS, SharedRegistry

REPOSITORY, DIGEST = "agents/hello", f"sha256:{'a' * 64}"


class SlowRegistry(InMemoryRegistry):
    """A registry whose answers take a while."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        await self.answers.wait()
        return await super().inspect(repository, digest)


async def test_two_hundred_followers_inspect_an_image_once_and_one_that_is_cancelled_ends_no_other() -> None:
    registry, clock = SlowRegistry(), ManualClock()
    shared = SharedRegistry(registry, clock)
    registry.push(REPOSITORY, "v1", DIGEST, clock.now())
    reads = [asyncio.ensure_future(shared.inspect(REPOSITORY, DIGEST)) for _ in range(200)]
    await asyncio.sleep(0)
    reads[0].cancel()
    registry.answers.set()
    found = await asyncio.gather(*reads, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert set(found[1:]) == {ImageFacts(amd64=DIGEST)}
    assert await shared.inspect(REPOSITORY, DIGEST) == ImageFacts(amd64=DIGEST)
    assert registry.inspected == [DIGEST]
    clock.passed += REMEMBERED_SECONDS
    await shared.inspect(REPOSITORY, DIGEST)
    assert registry.inspected == [DIGEST] * 2


async def test_a_failure_and_a_missing_image_are_asked_about_again() -> None:
    registry, clock = SlowRegistry(), ManualClock()
    registry.answers.set()
    shared = SharedRegistry(registry, clock)
    registry.push(REPOSITORY, "other", f"sha256:{'b' * 64}", clock.now())
    registry.error = TransientError("registry", "503", "busy")
    with pytest.raises(TransientError):
        await shared.inspect(REPOSITORY, DIGEST)
    registry.error = None
    assert await shared.inspect(REPOSITORY, DIGEST) is None
    registry.push(REPOSITORY, "v1", DIGEST, clock.now())
    assert await shared.inspect(REPOSITORY, DIGEST) is not None
