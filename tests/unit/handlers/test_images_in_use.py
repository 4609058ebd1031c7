"""What must stay in the registry: images, the indexes that they came from, and the manifests of indexes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.model import Push, Status, Version
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.images_in_use import ImagesInUse

HOST = "demo.azurecr.io"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def image(letter: str, host: str = HOST) -> str:
    return f"{host}/agents/hello@{digest(letter)}"


def version(name: str, **metadata: str) -> Version:
    return Version("1", Status.ACTIVE, NOW, name, frozenset(), metadata)


@pytest.fixture
def registry() -> InMemoryRegistry:
    registry = InMemoryRegistry()
    registry.children = {digest("a"): [digest("1"), digest("2")], digest("b"): [digest("2")]}
    return registry


async def test_an_index_is_listed_with_its_children(registry: InMemoryRegistry) -> None:
    in_use = ImagesInUse(registry, HOST)
    assert await in_use.read([version(image("a")), version(image("c"))]) == list(map(image, "12ac"))


async def test_an_image_of_an_index_is_listed_with_the_index_and_its_other_children(registry: InMemoryRegistry) -> None:
    deployed = version(image("1"), **{"slipway.repository": "agents/hello", "slipway.digest": digest("a")})
    assert await ImagesInUse(registry, HOST).read([deployed]) == list(map(image, "12a"))


async def test_a_push_that_waits_is_listed(registry: InMemoryRegistry) -> None:
    push = Push("agents/hello", digest("b"), "v2", NOW, "event-2")
    assert await ImagesInUse(registry, HOST).read([], [push, None]) == list(map(image, "2b"))


async def test_images_that_cannot_be_read_are_listed_as_they_are(registry: InMemoryRegistry) -> None:
    others = [image("a", "other.azurecr.io"), f"{HOST}/agents/hello:v1", "odd", f"{HOST}/agents/hello@sha256:odd"]
    found = await ImagesInUse(registry, HOST).read([*map(version, others), version("")])
    assert set(others) <= set(found)
    assert not any(digest("1") in name for name in found)


async def test_a_digest_is_read_once(registry: InMemoryRegistry) -> None:
    in_use = ImagesInUse(registry, HOST)
    first = await in_use.read([version(image("a"))])
    registry.error = TransientError("registry", "503", "read")
    assert await in_use.read([version(image("a"))]) == first
    with pytest.raises(TransientError):
        await in_use.read([version(image("b"))])
